"""Ragged contractions: one axis is cut into groups, whose sizes are values.

In: two arrays, the sizes of the groups, and which axes play which part. Out: as `dot_general`. The
one idea: the derivatives of a ragged contraction are ragged contractions along the same axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..core.axes import move_axis, to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .contraction import (
    Axes,
    Precision,
    batch_numbers,
    bump,
    canonicalize_precision,
    free_axes,
    transpose_operand,
)
from .kinds import draw, integers, reals
from .product_dtypes import product_dtype, work_dtype
from .ragged_numbers import (
    Mode,
    RaggedDotDimensionNumbers,
    check_ragged,
    contract_ragged,
    ragged_shape,
)

DotDimensionNumbers: TypeAlias = tuple[
    tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]
]
PrecisionLike: TypeAlias = str | Precision | tuple[str, str] | tuple[Precision, Precision] | None


class RaggedDotGeneral(Primitive):
    """Contraction by groups of an axis of lhs; operands: lhs, rhs, group sizes.

    free:       out[b, m, n] = sum over k of lhs[b, m, k] * rhs[g(m), b, k, n], 0 outside of groups
    contracted: out[g, b, m, n] = sum over k in group g of lhs[b, m, k] * rhs[b, k, n]
    batch:      out[b, m, n] = sum over k of lhs[b, m, k] * rhs[b, k, n], whatever the groups
    """

    name = "ragged_dot_general"
    composed = True
    linear = "each"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        lhs, rhs, sizes = avals
        numbers: RaggedDotDimensionNumbers = params["ragged_dot_dimension_numbers"]
        check_ragged(lhs, rhs, sizes, numbers)
        preferred = params["preferred_element_type"]
        dtype = product_dtype("lax.ragged_dot_general", lhs, rhs, preferred)
        weak = lhs.weak_type and rhs.weak_type
        return ShapedArray(
            ragged_shape(lhs.shape, rhs.shape, sizes.shape[-1], numbers), dtype, weak
        )

    def impl(self, *arrays: Any, **params: Any) -> Any:
        lhs, rhs, sizes = arrays
        left, right = (ShapedArray(x.shape, x.dtype) for x in (lhs, rhs))
        preferred = params["preferred_element_type"]
        dtype = product_dtype("lax.ragged_dot_general", left, right, preferred)
        work = work_dtype(dtype, lhs.dtype, rhs.dtype)
        lhs, rhs = (x.astype(work, copy=False) for x in (lhs, rhs))
        out = contract_ragged(
            lhs, rhs, sizes.astype(np.int64), params["ragged_dot_dimension_numbers"]
        )
        return out.astype(dtype, copy=False)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        lhs, rhs, sizes = args
        left = isinstance(lhs, UndefinedPrimal)
        aval, other = (lhs.aval, rhs) if left else (rhs.aval, lhs)
        numbers: RaggedDotDimensionNumbers = params["ragged_dot_dimension_numbers"]
        own = {name: params[name] for name in ("precision", "preferred_element_type")}
        if numbers.mode() is Mode.BATCH:
            pulled = transpose_operand(
                ct, aval, other, left=left, dimension_numbers=numbers.dot_dimension_numbers, **own
            )
        else:
            rule = transpose_free if numbers.mode() is Mode.FREE else transpose_contracted
            pulled = rule(ct, aval, other, sizes, numbers, left, **own)
        return [pulled, None, None] if left else [None, pulled, None]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        numbers: RaggedDotDimensionNumbers = params["ragged_dot_dimension_numbers"]
        operands, operand_dims = aligned(axis, args, dims, numbers)
        lhs, rhs, sizes = operands
        left, right = operand_dims
        ranks = aval_of(lhs).ndim, aval_of(rhs).ndim
        new, out_dim = batch_ragged(ranks, (left, right), numbers)
        if aval_of(sizes).ndim > 1:
            extents = [aval_of(lhs).shape[a] for a in new.prefix(ranks[0])]
            sizes = stretched(sizes, extents, dims[2] is not None)
        out = self.bind(lhs, rhs, sizes, **{**params, "ragged_dot_dimension_numbers": new})
        return out, out_dim

    def examples(self) -> Iterator[Example]:
        for left, right, sizes, numbers in _cases:
            yield Example(
                (
                    draw(reals(-2.0, 2.0), left, 1),
                    draw(reals(-2.0, 2.0), right, 2),
                    np.array(sizes, np.int32),
                ),
                ragged_params(RaggedDotDimensionNumbers(*numbers)),
            )
        ints = (
            draw(integers(-9, 9, np.int8), (5, 2), 3),
            draw(integers(-9, 9, np.int8), (2, 2, 3), 4),
        )
        sizes = np.array([2, 2], np.uint8)
        yield Example((*ints, sizes), ragged_params(basic_numbers))
        wide = {**ragged_params(basic_numbers), "preferred_element_type": np.dtype(np.int32)}
        yield Example((*ints, sizes), wide)
        small = tuple(x.astype(np.float16) for x in ints)
        highest = (Precision.HIGHEST, Precision.HIGHEST)
        params = {**ragged_params(basic_numbers), "precision": highest}
        yield Example((*small, sizes), params, differentiable=())


_cases: list[tuple[Any, Any, Any, Any]] = [
    # Free: rows of three groups, one of them empty; rows beyond the groups; no groups at all.
    ((6, 2), (3, 2, 4), [1, 0, 4], ((((1,), (1,)), ((), ())), [0], [0])),
    ((0, 2), (2, 2, 3), [0, 0], ((((1,), (1,)), ((), ())), [0], [0])),
    ((3, 2), (0, 2, 2), np.zeros(0), ((((1,), (1,)), ((), ())), [0], [0])),
    # With batch axes, two contracted ones in another order, and sizes for each batch element.
    ((2, 5, 3, 4), (4, 3, 2, 2, 2), [2, 2], ((((2, 3), (1, 0)), ((0,), (3,))), [1], [2])),
    ((4, 2, 3), (2, 2, 3, 2), [[1, 2], [4, 0]], ((((2,), (2,)), ((1,), (1,))), [0], [0])),
    # Sizes that differ along a free axis outer to the ragged one.
    ((2, 4, 3), (3, 2, 2), [[1, 2], [3, 1]], ((((2,), (0,)), ((), ())), [1], [2])),
    # Contracted, plain, batched, and with a contracted axis outer to the ragged one.
    ((3, 5), (5, 2), [2, 0, 2], ((((1,), (0,)), ((), ())), [1], [])),
    ((3, 5, 2), (2, 5, 2), [[2, 1], [1, 4]], ((((1,), (1,)), ((2,), (0,))), [1], [])),
    ((2, 3, 4), (4, 2, 2), [[1, 2], [0, 3]], ((((0, 2), (1, 0)), ((), ())), [2], [])),
    # Batch: the groups make no difference.
    ((3, 2, 4), (3, 4, 2), [1, 2], ((((2,), (1,)), ((0,), (0,))), [0], [])),
    ((2, 3, 2), (2, 3, 2), [[1, 2], [3, 0]], ((((2,), (2,)), ((0, 1), (0, 1))), [1], [])),
]

basic_numbers = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
ragged_dot_general_p = RaggedDotGeneral()


def ragged_params(numbers: RaggedDotDimensionNumbers) -> dict[str, Any]:
    """The params where neither precision nor dtype is asked for."""
    return {
        "ragged_dot_dimension_numbers": numbers,
        "precision": None,
        "preferred_element_type": None,
    }


# Rules.


def transpose_free(
    ct: Any,
    aval: ShapedArray,
    other: Any,
    sizes: Any,
    numbers: RaggedDotDimensionNumbers,
    left: bool,
    **params: Any,
) -> Any:
    """Cotangent of an operand where the ragged axis is free: ct is ragged along it as well."""
    (lc, rc), (lb, rb) = numbers.dot_dimension_numbers
    lhs_ndim, rhs_ndim = (
        (aval.ndim, aval_of(other).ndim) if left else (aval_of(other).ndim, aval.ndim)
    )
    lhs_free = free_axes(lhs_ndim, lc, lb)
    rhs_free = free_axes(rhs_ndim, rc, rb, numbers.rhs_group_dimensions)
    count = len(lb)
    batch = tuple(range(count))
    rows = tuple(range(count, count + len(lhs_free)))
    columns = tuple(range(count + len(lhs_free), count + len(lhs_free) + len(rhs_free)))
    (ragged,) = numbers.lhs_ragged_dimensions
    if left:
        new = RaggedDotDimensionNumbers(
            ((columns, rhs_free), (batch, rb)),
            (count + lhs_free.index(ragged),),
            numbers.rhs_group_dimensions,
        )
        axes = [*lb, *lhs_free, *paired(lc, rc)]
        return back(ragged_dot_general(ct, other, sizes, new, **params), axes, aval)
    new = RaggedDotDimensionNumbers(((lhs_free, rows), (lb, batch)), (ragged,), ())
    axes = [*numbers.rhs_group_dimensions, *rb, *paired(rc, lc), *rhs_free]
    return back(ragged_dot_general(other, ct, sizes, new, **params), axes, aval)


def transpose_contracted(
    ct: Any,
    aval: ShapedArray,
    other: Any,
    sizes: Any,
    numbers: RaggedDotDimensionNumbers,
    left: bool,
    **params: Any,
) -> Any:
    """Cotangent of an operand where the ragged axis is contracted: it is free in the other.

    The other's axes are put in the order batch, contracted, free, so that the sizes go with them.
    """
    from .movement import transpose

    contracts, batches = numbers.dot_dimension_numbers
    own, its = (0, 1) if left else (1, 0)
    own_free = free_axes(aval.ndim, contracts[own], batches[own])
    its_free = free_axes(aval_of(other).ndim, contracts[its], batches[its])
    count, inner = len(batches[0]), len(contracts[0])
    turned = transpose(other, [*batches[its], *contracts[its], *its_free])
    start = 1 + count + (len(own_free) if left else 0)
    new = RaggedDotDimensionNumbers(
        (
            (
                range(count + inner, count + inner + len(its_free)),
                range(start, start + len(its_free)),
            ),
            (range(count), range(1, 1 + count)),
        ),
        (count + contracts[0].index(numbers.lhs_ragged_dimensions[0]),),
        (0,),
    )
    axes = [*batches[own], *contracts[own], *own_free]
    return back(ragged_dot_general(turned, ct, sizes, new, **params), axes, aval)


def paired(axes: Axes, partners: Axes) -> list[int]:
    """Axes in the order of those they are contracted with."""
    return [axes[i] for i in sorted(range(len(axes)), key=partners.__getitem__)]


def back(x: Any, axes: Sequence[int], aval: ShapedArray) -> Any:
    """A cotangent whose axes came out as `axes`, in the order and dtype of its operand."""
    from .casting import convert_element_type
    from .movement import transpose

    x = transpose(x, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
    return x if aval_of(x).dtype == aval.dtype else convert_element_type(x, aval.dtype)


def aligned(
    axis: AxisData,
    args: Sequence[Any],
    dims: Sequence[int | None],
    numbers: RaggedDotDimensionNumbers,
) -> tuple[list[Any], list[int | None]]:
    """Operands, and the batch axes of lhs and rhs, such that group sizes can go with them."""
    lhs, rhs, sizes = args
    left, right, groups = dims
    if groups is not None:
        # Sizes of their own for each element: it has to be a batch axis of both operands.
        pairs = zip(args, dims, strict=True)
        return [to_front(x, d, axis.size) for x, d in pairs], [0, 0]
    if left is not None and right is None and aval_of(sizes).ndim > 1:
        # Innermost, a free axis is none of those that the sizes are listed by.
        last = aval_of(lhs).ndim - 1
        return [move_axis(lhs, left, last), rhs, sizes], [last, None]
    return [lhs, rhs, sizes], [left, right]


def batch_ragged(
    ranks: tuple[int, int], dims: tuple[int | None, int | None], numbers: RaggedDotDimensionNumbers
) -> tuple[RaggedDotDimensionNumbers, int]:
    """Dimension numbers for operands with batch axes, and the batch axis of the output."""
    left, right = dims
    new, out_dim = batch_numbers(ranks, dims, numbers.dot_dimension_numbers)
    groups = bump(numbers.rhs_group_dimensions, right)
    if left is None and right is not None:
        # The group axis is not free, though it is neither contracted nor batched.
        out_dim -= sum(g < right for g in groups)
    return (
        RaggedDotDimensionNumbers(new, bump(numbers.lhs_ragged_dimensions, left), groups),
        out_dim + (numbers.mode() is Mode.CONTRACTED),
    )


def stretched(sizes: Any, prefix: Sequence[int], own: bool) -> Any:
    """Group sizes repeated over the axes they do not have; with `own`, their first is the batch."""
    from .broadcasting import broadcast_in_dim

    aval = aval_of(sizes)
    shape = (*prefix, aval.shape[-1])
    if aval.shape == shape:
        return sizes
    kept = range(len(shape) - aval.ndim, len(shape)) if not own else (0, len(shape) - 1)
    return broadcast_in_dim(sizes, shape, tuple(kept))


# User functions.


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """A contraction in which one axis of lhs is cut into groups.

    What the groups do depends on that axis: free, each group meets its own part of rhs;
    contracted, each gives a result of its own; a batch axis, they change nothing.

    Args:
        lhs, rhs: numbers, as in `dot_general`.
        group_sizes: integers[groups], or with the axes of lhs outer to the ragged one in front:
            the batch axes, then those of the ragged axis's kind.
        ragged_dot_dimension_numbers: which axes play which part.
        precision, preferred_element_type: as in `dot_general`.
        group_offset: None; other offsets are not supported.
    Returns:
        As `dot_general`; with a leading axis of groups when the ragged axis is contracted.
    Raises:
        TypeError: axes, extents, group sizes or dtypes that do not agree.
        ValueError: a group_offset is given.
    """
    if group_offset is not None:
        raise ValueError(
            f"ragged_dot_general does not support group_offset, got {group_offset!r}.\n"
            f"  {user_line()}\n  Leave it out, and give the sizes of all groups."
        )
    if preferred_element_type is not None:
        preferred_element_type = dtypes.check_user_dtype_supported(
            preferred_element_type, "ragged_dot_general"
        )
    return ragged_dot_general_p.bind(
        lhs,
        rhs,
        group_sizes,
        ragged_dot_dimension_numbers=ragged_dot_dimension_numbers,
        precision=canonicalize_precision(precision),
        preferred_element_type=preferred_element_type,
    )


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Groups of rows of a matrix, each times a matrix of its own.

    out[i] = lhs[i] @ rhs[g], where g is the group of row i; 0 for rows after the last group

    Args:
        lhs: numbers[m, k].
        rhs: numbers[groups, k, n].
        group_sizes: integers[groups], how many rows each group has, in order.
        precision, preferred_element_type, group_offset: as in `ragged_dot_general`.
    Returns:
        numbers[m, n].
    Raises:
        TypeError, ValueError: as in `ragged_dot_general`.
    """
    return ragged_dot_general(
        lhs,
        rhs,
        group_sizes,
        basic_numbers,
        precision,
        preferred_element_type,
        group_offset,
        out_sharding,
    )
