"""Contractions: sums of products over shared axes of two arrays.

In: two arrays and which of their axes are contracted, which are batched. Out: batch axes, then
the free axes of the left, then those of the right. The one idea: a contraction is a matrix
product after moving and joining axes, and so are both of its derivatives.
"""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..config import config
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, size_of
from ..ir.jaxpr import ClosedJaxpr, Eqn
from ..ir.loops import Contract, Lowered, Operand
from .chained_products import reordered
from .kinds import draw, integers, reals
from .narrow_products import widened
from .product_dtypes import product_dtype, work_dtype

Axes = tuple[int, ...]
DimensionNumbers = tuple[tuple[Axes, Axes], tuple[Axes, Axes]]
# Complex products of fewer multiplications are loops.
_FEW_COMPLEX = 1024


class Precision(enum.Enum):
    """How exact products of float32 have to be; on this machine they always are float32's."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    def __repr__(self) -> str:
        return f"Precision.{self.name}"

    def __str__(self) -> str:
        return self.name

    @classmethod
    def _missing_(cls, value: object) -> Precision | None:
        return _precision_names.get(value) if isinstance(value, str) else None


_precision_names: dict[str, Precision] = {
    "default": Precision.DEFAULT,
    "bfloat16": Precision.DEFAULT,
    "fastest": Precision.DEFAULT,
    "high": Precision.HIGH,
    "bfloat16_3x": Precision.HIGH,
    "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST,
    "float32": Precision.HIGHEST,
}


def canonicalize_precision(precision: Any) -> tuple[Precision, Precision] | None:
    """The precision of each operand; `None` where neither the call nor the config asks for one.

    Raises:
        ValueError: not a Precision, its name, or a pair of them.
    """
    if precision is None:
        precision = config.default_matmul_precision
        if precision is None:
            return None
    try:
        left, right = (precision, precision) if _is_single(precision) else precision
        return Precision(left), Precision(right)
    except ValueError:
        raise ValueError(
            f"precision={precision!r} is not understood.\n  {user_line()}\n"
            f"  Give None, a lax.Precision, one of {list(_precision_names)}, or a pair of these."
        ) from None


def _is_single(precision: Any) -> bool:
    return not isinstance(precision, (tuple, list))


class DotGeneral(Primitive):
    """Sum of products over the contracted axes, for each index of the batch axes.

    out[b, i, j] = sum over k of lhs[b, i, k] * rhs[b, k, j], where each letter may be many axes
    """

    name = "dot_general"
    composed = True
    linear = "each"

    def is_composed(self, eqn: Eqn) -> bool:
        # Kernels multiply real matrices; small complex ones, and vectors, are loops over pairs.
        out = eqn.outvars[0].aval
        if out.dtype.kind != "c":
            return False
        batch, rows, columns, inner = extents(eqn)
        return batch * rows * columns * inner > _FEW_COMPLEX and min(rows, columns, inner) > 4

    def printed(self, params: dict[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in sorted(params.items()) if value is not None}
        pairs = tuple((list(left), list(right)) for left, right in params["dimension_numbers"])
        return {**shown, "dimension_numbers": pairs}

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        lhs, rhs = avals
        numbers = params["dimension_numbers"]
        check_dimension_numbers(lhs, rhs, numbers)
        dtype = product_dtype("dot_general", lhs, rhs, params["preferred_element_type"])
        weak = lhs.weak_type and rhs.weak_type
        return ShapedArray(output_shape(lhs.shape, rhs.shape, numbers), dtype, weak)

    def turned(self, eqn: Eqn, permutation: Sequence[int]) -> Eqn | None:
        """The eqn with its operands exchanged, if its result is then permuted so."""
        (left, right), (left_batch, right_batch) = eqn.params["dimension_numbers"]
        batch, rank = len(left_batch), eqn.outvars[0].aval.ndim
        first = eqn.invars[0].aval.ndim - batch - len(left)
        exchange = [*range(batch), *range(batch + first, rank), *range(batch, batch + first)]
        if list(permutation) != exchange:
            return None
        numbers = ((right, left), (right_batch, left_batch))
        precision: Any = eqn.params["precision"]
        if isinstance(precision, tuple):
            precision = precision[::-1]  # pyright: ignore[reportUnknownVariableType]
        params = {**eqn.params, "dimension_numbers": numbers, "precision": precision}
        return eqn.replace(invars=eqn.invars[::-1], params=params)

    def associated(self, first: Eqn, eqn: Eqn, at: int) -> list[Eqn] | None:
        """The two eqns in a cheaper order, where the first makes an operand of the second."""
        return reordered(first, eqn, at)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr | None:
        """For large products of narrow numbers, the same of the floats they are added up in."""
        dtypes_of = (atom.aval.dtype for atom in (*eqn.outvars, *eqn.invars))
        return widened(eqn, work_dtype(*dtypes_of))

    def is_whole(self, eqn: Eqn) -> bool:
        """Where there are kernels of whole eqns, some multiply narrow numbers."""
        return True

    def impl(self, *arrays: Any, **params: Any) -> Any:
        lhs, rhs = arrays
        preferred = params["preferred_element_type"]
        left = ShapedArray(lhs.shape, lhs.dtype)
        dtype = product_dtype("dot_general", left, ShapedArray(rhs.shape, rhs.dtype), preferred)
        numbers = params["dimension_numbers"]
        work = work_dtype(dtype, lhs.dtype, rhs.dtype)
        out = contract(lhs.astype(work, copy=False), rhs.astype(work, copy=False), numbers)
        return out.astype(dtype, copy=False)

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        lhs, rhs = avals
        numbers = params["dimension_numbers"]
        dtype = product_dtype("dot_general", lhs, rhs, params["preferred_element_type"])
        work = work_dtype(dtype, lhs.dtype, rhs.dtype)
        if not lhs.dtype == rhs.dtype == dtype == work:
            return None
        return np.matmul if is_plain(lhs.ndim, rhs.ndim, numbers) else None

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        lhs, rhs = args
        if isinstance(lhs, UndefinedPrimal):
            return [transpose_operand(ct, lhs.aval, rhs, left=True, **params), None]
        return [None, transpose_operand(ct, rhs.aval, lhs, left=False, **params)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        lhs, rhs = args
        ranks = aval_of(lhs).ndim, aval_of(rhs).ndim
        numbers, out_dim = batch_numbers(ranks, dims, params["dimension_numbers"])
        return self.bind(lhs, rhs, **{**params, "dimension_numbers": numbers}), out_dim

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (lc, rc), (lb, rb) = params["dimension_numbers"]
        work = work_dtype(outs[0].dtype, *[x.dtype for x in operands])
        return Contract(lb, rb, lc, rc, work)

    def examples(self) -> Iterator[Example]:
        cases: list[tuple[Any, Any, DimensionNumbers]] = [
            ((3, 4), (4, 5), (((1,), (0,)), ((), ()))),
            ((4,), (4,), (((0,), (0,)), ((), ()))),
            ((), (), (((), ()), ((), ()))),
            ((2,), (3,), (((), ()), ((), ()))),
            ((2, 3, 4), (4, 2, 5), (((2,), (0,)), ((0,), (1,)))),
            ((3, 2, 4, 5), (5, 6, 2, 4), (((3, 2), (0, 3)), ((1,), (2,)))),
            ((2, 3), (3, 2), (((), ()), ((1, 0), (0, 1)))),
            ((2, 0), (0, 3), (((1,), (0,)), ((), ()))),
        ]
        for left, right, numbers in cases:
            args = draw(reals(-2.0, 2.0), left, 1), draw(reals(-2.0, 2.0), right, 2)
            yield Example(args, dot_params(numbers))
        matrix: DimensionNumbers = (((1,), (0,)), ((), ()))
        args = draw(reals(-2.0, 2.0), (2, 3), 3), draw(reals(-2.0, 2.0), (3, 2), 4)
        highest = (Precision.HIGHEST, Precision.HIGHEST)
        yield Example(args, {**dot_params(matrix), "precision": highest})
        small = args[0].astype(np.float32), args[1].astype(np.float32)
        wide = {**dot_params(matrix), "preferred_element_type": np.dtype(np.float64)}
        yield Example(small, wide, differentiable=())
        ints = draw(integers(-9, 9, np.int8), (2, 3), 5), draw(integers(-9, 9, np.int8), (3, 2), 6)
        yield Example(ints, dot_params(matrix))
        yield Example(ints, {**dot_params(matrix), "preferred_element_type": np.dtype(np.int32)})


dot_general_p = DotGeneral()


def dot_params(numbers: DimensionNumbers) -> dict[str, Any]:
    """The params of a contraction where neither precision nor dtype is asked for."""
    return {"dimension_numbers": numbers, "precision": None, "preferred_element_type": None}


# Checks, shapes and dtypes.


def check_dimension_numbers(lhs: ShapedArray, rhs: ShapedArray, numbers: DimensionNumbers) -> None:
    """Raise TypeError unless the dimension numbers fit the operands and the extents agree."""
    sides = [(lhs, *(axes[0] for axes in numbers)), (rhs, *(axes[1] for axes in numbers))]
    tail = f"\n  {user_line()}\n  dimension_numbers are ((lhs_contract, rhs_contract), "
    tail += "(lhs_batch, rhs_batch))."
    for name, (x, contract_axes, batch_axes) in zip(("lhs", "rhs"), sides, strict=True):
        both = (*contract_axes, *batch_axes)
        if not all(0 <= a < x.ndim for a in both):
            raise TypeError(
                f"dot_general got {name} axes out of range for {x.long()}: contracted "
                f"{contract_axes}, batched {batch_axes}; axes are non-negative and below "
                f"{x.ndim}.{tail}"
            )
        if len(set(both)) != len(both):
            raise TypeError(
                f"dot_general got {name} axes that are not distinct and disjoint for {x.long()}: "
                f"contracted {contract_axes}, batched {batch_axes}.{tail}"
            )
    for word, (left, right) in zip(("contracted", "batch"), numbers, strict=True):
        extents = [lhs.shape[a] for a in left], [rhs.shape[a] for a in right]
        if extents[0] != extents[1]:
            raise TypeError(
                f"dot_general requires {word} axes of equal shape, got {lhs.long()} with axes "
                f"{left} and {rhs.long()} with axes {right}: {tuple(extents[0])} against "
                f"{tuple(extents[1])}.{tail}"
            )


def extents(eqn: Eqn) -> tuple[int, int, int, int]:
    """How many products of matrices an eqn is, and their rows, columns and inner extents."""
    left, right = (atom.aval for atom in eqn.invars)
    numbers: DimensionNumbers = eqn.params["dimension_numbers"]
    (contracted, _), (batched, _) = numbers
    inner = math.prod([left.shape[a] for a in contracted])
    batch = math.prod([left.shape[a] for a in batched])
    both = max(batch * inner, 1)
    return batch, left.size // both, right.size // both, inner


def free_axes(ndim: int, *taken: Axes) -> list[int]:
    """The axes that are neither contracted nor batched."""
    used = {a for axes in taken for a in axes}
    return [a for a in range(ndim) if a not in used]


def output_shape(
    lhs: tuple[int, ...], rhs: tuple[int, ...], numbers: DimensionNumbers
) -> tuple[int, ...]:
    """Batch extents, then the free extents of the left, then those of the right."""
    (lc, rc), (lb, rb) = numbers
    left = [lhs[a] for a in free_axes(len(lhs), lc, lb)]
    right = [rhs[a] for a in free_axes(len(rhs), rc, rb)]
    return (*[lhs[a] for a in lb], *left, *right)


# Evaluation and rules.


def is_plain(left: int, right: int, numbers: DimensionNumbers) -> bool:
    """Whether a contraction of operands of these ranks is a product as NumPy has it."""
    (lc, rc), (lb, _) = numbers
    return left < 3 and right < 3 and lc == (left - 1,) and rc == (0,) and not lb


def contract(lhs: Any, rhs: Any, numbers: DimensionNumbers) -> Any:
    """The contraction of NumPy arrays of one dtype, as one (batched) matrix product."""
    if is_plain(lhs.ndim, rhs.ndim, numbers):
        return np.matmul(lhs, rhs)
    (lc, rc), (lb, rb) = numbers
    shape = output_shape(lhs.shape, rhs.shape, numbers)
    left, right = free_axes(lhs.ndim, lc, lb), free_axes(rhs.ndim, rc, rb)
    batch = tuple(lhs.shape[a] for a in lb)
    inner = size_of(lhs.shape[a] for a in lc)
    # Only axes within one group are joined, so that a plain matrix is passed on without a copy.
    rows = lhs.transpose(*lb, *left, *lc).reshape(
        *batch, size_of(lhs.shape[a] for a in left), inner
    )
    columns = rhs.transpose(*rb, *rc, *right).reshape(
        *batch, inner, size_of(rhs.shape[a] for a in right)
    )
    return np.matmul(rows, columns).reshape(shape)


def transpose_operand(
    ct: Any,
    aval: ShapedArray,
    other: Any,
    left: bool,
    dimension_numbers: DimensionNumbers,
    precision: Any,
    preferred_element_type: Any,
) -> Any:
    """Cotangent of one operand: the output's contracted with the other operand's free axes."""
    from .casting import convert_element_type
    from .movement import transpose

    contracts, batches = dimension_numbers
    own, its = (0, 1) if left else (1, 0)
    own_free = free_axes(aval.ndim, contracts[own], batches[own])
    its_free = free_axes(aval_of(other).ndim, contracts[its], batches[its])
    count = len(batches[own])
    start = count + (len(own_free) if left else 0)
    out_axes = tuple(range(start, start + len(its_free)))
    numbers = (out_axes, tuple(its_free)), (tuple(range(count)), batches[its])
    x = dot_general(ct, other, numbers, precision, preferred_element_type)
    # The other's contracted axes came out in their own order; ours follow it.
    order = sorted(range(len(contracts[its])), key=lambda i: contracts[its][i])
    axes = [*batches[own], *own_free, *(contracts[own][i] for i in order)]
    x = transpose(x, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
    return x if aval_of(x).dtype == aval.dtype else convert_element_type(x, aval.dtype)


def batch_numbers(
    ranks: tuple[int, int], dims: Sequence[int | None], numbers: DimensionNumbers
) -> tuple[DimensionNumbers, int]:
    """Dimension numbers for operands with batch axes, and the batch axis of the output.

    Batched on both sides, the axis becomes a batch axis; on one side, a free one.
    """
    contracts, batches = numbers
    new_contracts = [bump(axes, d) for axes, d in zip(contracts, dims, strict=True)]
    new_batches = [bump(axes, d) for axes, d in zip(batches, dims, strict=True)]
    left, right = dims
    if left is not None and right is not None:
        new_batches = [(left, *new_batches[0]), (right, *new_batches[1])]
        out_dim = 0
    else:
        side, dim = (0, left) if left is not None else (1, right)
        assert dim is not None
        before = free_axes(ranks[side], new_contracts[side], new_batches[side]).index(dim)
        out_dim = len(batches[0]) + before
        if side == 1:
            out_dim += ranks[0] - len(contracts[0]) - len(batches[0])
    return ((new_contracts[0], new_contracts[1]), (new_batches[0], new_batches[1])), out_dim


def bump(axes: Axes, dim: int | None) -> Axes:
    """Axes counted anew after an axis was inserted at `dim`."""
    return axes if dim is None else tuple(a + (a >= dim) for a in axes)


# User functions.


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Sum of products over contracted axes, for each index of the batch axes.

    Args:
        lhs, rhs: numbers; of unequal dtypes the wider one is the result's.
        dimension_numbers: ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)), tuples of
            non-negative axes; axes paired up have equal extents.
        precision: None, a `Precision`, its name, or a pair.
        preferred_element_type: dtype of the result, and of the sums if it is wider.
    Returns:
        Batch axes, then the free axes of lhs, then those of rhs.
    Raises:
        TypeError: axes out of range or repeated, extents or dtypes that do not agree.
    """
    contracts, batches = dimension_numbers
    if preferred_element_type is not None:
        preferred_element_type = dtypes.check_user_dtype_supported(
            preferred_element_type, "dot_general"
        )
    return dot_general_p.bind(
        lhs,
        rhs,
        dimension_numbers=(_pair(contracts), _pair(batches)),
        precision=canonicalize_precision(precision),
        preferred_element_type=preferred_element_type,
    )


def _pair(axes: Any) -> tuple[Axes, Axes]:
    left, right = axes
    return tuple(map(operator.index, left)), tuple(map(operator.index, right))


def dot(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Product of vectors and matrices, or any contraction when `dimension_numbers` say which.

    Without `dimension_numbers` the last axis of lhs is contracted with the first of rhs.

    Args:
        lhs, rhs: vectors or matrices, or any arrays with `dimension_numbers`.
        dimension_numbers, precision, preferred_element_type: as in `dot_general`.
    Raises:
        ValueError: the shapes are not those of a vector or matrix product.
        TypeError: as in `dot_general`.
    """
    if dimension_numbers is None:
        left, right = aval_of(lhs), aval_of(rhs)
        simple = 1 <= left.ndim <= 2 and 1 <= right.ndim <= 2
        if not simple or left.shape[-1] != right.shape[0]:
            raise ValueError(
                f"dot got {left.long()} and {right.long()}, which is no product of vectors or "
                f"matrices: lhs ends with the extent rhs begins with.\n  {user_line()}\n"
                "  Give dimension_numbers to contract other axes, or transpose an operand."
            )
        dimension_numbers = ((left.ndim - 1,), (0,)), ((), ())
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """Matrix products of the last two axes, for each index of the leading ones.

    Args:
        lhs: numbers[..., m, k].
        rhs: numbers[..., k, n], of the same rank.
        precision: as in `dot_general`.
    Raises:
        ValueError: a rank below 2, or unequal ranks.
    """
    left, right = aval_of(lhs), aval_of(rhs)
    if min(left.ndim, right.ndim) < 2 or left.ndim != right.ndim:
        raise ValueError(
            f"batch_matmul needs operands of one rank, at least 2, got {left.long()} and "
            f"{right.long()}.\n  {user_line()}\n  Add axes with expand_dims, or use numpy.matmul."
        )
    batch = tuple(range(left.ndim - 2))
    numbers = ((left.ndim - 1,), (right.ndim - 2,)), (batch, batch)
    return dot_general(lhs, rhs, numbers, precision)
