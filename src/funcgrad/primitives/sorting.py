"""Sorting: sort by one or several keys, and the k largest elements.

In: operands of one shape, an axis. Out: the same elements in order. The one idea: a sort is a
permutation found on the keys and applied to every operand, so a tangent is gathered along it.
Floats are ordered with NaN last and -0.0 equal to 0.0, complex numbers by real then imaginary part.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import broadcast_at, move_axis
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import Zero, zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, canonical_axis
from ..ir.jaxpr import Eqn
from ..ir.loops import Library, Lowered, Operand
from .broadcasting import expand_dims
from .creation import broadcasted_iota
from .gathering import GatherDimensionNumbers, GatherScatterMode, gather
from .kinds import draw, integers, reals

NDArray = np.ndarray[Any, Any]
Dims = Sequence[int | None]


def sort_keys(key: NDArray) -> list[NDArray]:
    """Arrays whose plain order is the order of a key, first the ones that decide."""
    if key.dtype.kind == "c":
        return [*sort_keys(key.real), *sort_keys(key.imag)]
    if key.dtype == dtypes.bfloat16:
        # Every bfloat16 is a float32, in the same order.
        return [key.astype(np.float32)]
    return [key]


def order_of(keys: Sequence[NDArray], axis: int) -> NDArray:
    """The stable permutation along the axis that sorts by the keys, the first one deciding."""
    columns = [column for key in keys for column in sort_keys(key)]
    if len(columns) == 1:
        return np.argsort(columns[0], axis=axis, kind="stable")
    return np.lexsort(columns[::-1], axis=axis)


class Sort(Primitive):
    """The operands in the order of the first num_keys of them."""

    name = "sort"
    multiple_results = True
    composed = True

    def is_composed(self, eqn: Eqn) -> bool:
        return any(a.aval.dtype.kind == "c" for a in eqn.invars)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        listed = ", ".join(a.long() for a in avals)
        if any(a.shape != avals[0].shape for a in avals):
            raise TypeError(
                f"Arguments to sort must have equal shapes, got {listed}.\n  {user_line()}\n"
                "  Broadcast them to one shape."
            )
        if any(dtypes.is_opaque(a.dtype) for a in avals[: self.keys(params)]):
            raise TypeError(
                f"sort cannot order its keys: got {listed}.\n  {user_line()}\n"
                "  Sort by numbers, and give the others as further operands."
            )
        return list(avals)

    @staticmethod
    def keys(params: dict[str, Any]) -> int:
        """The number of operands that decide the order."""
        return params["num_keys"]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        axis, count = params["dimension"], params["num_keys"]
        if len(arrays) == 1 and arrays[0].dtype.kind in "biu":
            return [np.sort(arrays[0], axis=axis)]
        if len(arrays) == 1 and arrays[0].dtype.kind == "f":
            # Equal floats are the same, but for zeros of both signs: those keep their order, and
            # NumPy's sort may even turn one into the other.
            (x,) = arrays
            if not np.signbit(x[x == 0]).any():
                return [np.sort(x, axis=axis)]
        order = order_of(arrays[:count], axis)
        if order.ndim == 1:
            return [x[order] for x in arrays]
        return [np.take_along_axis(x, order, axis) for x in arrays]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        axis = params["dimension"]
        places = broadcasted_iota(np.uint32, aval_of(primals[0]).shape, axis)
        *outs, order = self.bind(*primals, places, **params)
        moved = [
            zero_tangent(aval_of(out)) if isinstance(t, Zero) else gather_along(t, order, axis)
            for out, t in zip(outs, tangents, strict=True)
        ]
        return outs, moved

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Dims, **params: Any
    ) -> tuple[Any, Any]:
        first = next(d for d in dims if d is not None)
        moved = [
            broadcast_at(x, axis.size, first) if d is None else move_axis(x, d, first)
            for x, d in zip(args, dims, strict=True)
        ]
        dimension = params["dimension"] + (first <= params["dimension"])
        outs = self.bind(*moved, **{**params, "dimension": dimension})
        return outs, [first] * len(outs)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Library("sort", params)

    def examples(self) -> Iterator[Example]:
        x, y = draw(reals(-2.0, 2.0), (3, 4), 3), draw(reals(-2.0, 2.0), (3, 4), 4)
        keys = draw(integers(0, 2), (3, 4), 5)
        for args, dimension, stable, count in (
            ((x,), 1, True, 1),
            ((x, y), 0, True, 1),
            ((keys, x, y), 1, True, 2),
            ((keys, x), 0, True, 1),
            ((keys,), 1, False, 1),
            ((x[:0],), 0, True, 1),
            ((x[0],), 0, False, 1),
        ):
            params = {"dimension": dimension, "is_stable": stable, "num_keys": count}
            yield Example(args, params)
        z = x + 1j * y
        yield Example((z,), {"dimension": 1, "is_stable": True, "num_keys": 1})


class TopK(Primitive):
    """The k largest elements along an axis in descending order, and where they stood."""

    name = "top_k"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        k, axis = params["k"], params["axis"]
        if not x.shape:
            raise ValueError(
                f"top_k operand must have >= 1 dimension, got {x.long()}.\n  {user_line()}\n"
                "  Give an array."
            )
        problem = None
        if dtypes.issubdtype(x.dtype, np.complexfloating):
            problem = "is not defined for complex numbers"
        elif not 0 <= axis < len(x.shape):
            problem = "got an axis out of range"
        elif not 0 <= k <= x.shape[axis]:
            problem = "needs k between 0 and the extent of the axis"
        if problem:
            raise ValueError(
                f"top_k {problem}: got {x.long()}, k={k}, axis={axis}.\n  {user_line()}\n"
                "  Order complex numbers by abs; k counts elements of the axis."
            )
        shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
        return [ShapedArray(shape, x.dtype, x.weak_type), ShapedArray(shape, np.int32)]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        k, axis = params["k"], params["axis"]
        order = np.argsort(descending_key(x), axis=axis, kind="stable")
        order = order[(slice(None),) * axis + (slice(0, k),)]
        return [np.take_along_axis(x, order, axis), order.astype(np.int32)]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        values, places = self.bind(*primals, **params)
        (t,) = tangents
        moved = zero_tangent(aval_of(values))
        if not isinstance(t, Zero):
            moved = gather_along(t, places, params["axis"])
        return [values, places], [moved, zero_tangent(aval_of(places))]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Dims, /, **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        moved = params["axis"] + (dim <= params["axis"])
        return self.bind(args[0], k=params["k"], axis=moved), [dim, dim]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        return Library("top_k", params)

    def examples(self) -> Iterator[Example]:
        x = draw(reals(-2.0, 2.0), (3, 5), 3)
        for k, axis in ((2, 1), (3, 0), (0, 1), (5, 1)):
            yield Example((x,), {"k": k, "axis": axis})
        yield Example((draw(integers(-3, 3), (7,), 4),), {"k": 4, "axis": 0})
        yield Example((draw(integers(0, 3, np.uint8), (7,), 5),), {"k": 4, "axis": 0})


sort_p = Sort()
top_k_p = TopK()


def descending_key(x: NDArray) -> NDArray:
    """Integers whose ascending order is the descending total order of x.

    Floats are read as their bits, so that NaN of positive sign is the largest and 0.0 lies above
    -0.0, as XLA's top_k has it.
    """
    if x.dtype.kind == "b":
        return ~x
    if x.dtype.kind in "iu":
        return ~x
    bits = np.ascontiguousarray(x).view(f"i{x.dtype.itemsize}").reshape(x.shape)
    flipped = bits ^ np.asarray(np.iinfo(bits.dtype).max, bits.dtype)
    return ~np.where(bits < 0, flipped, bits)


def gather_along(x: Any, order: Any, axis: int) -> Any:
    """The elements of x at the places of `order` along an axis; the other axes go in step."""
    rank = len(aval_of(x).shape)
    others = tuple(i for i in range(rank) if i != axis)
    return gather(
        x,
        expand_dims(order, (rank,)),
        GatherDimensionNumbers((), (axis,), (axis,), others, others),
        tuple(min(n, 1) if i != axis else 1 for i, n in enumerate(aval_of(x).shape)),
        mode=GatherScatterMode.PROMISE_IN_BOUNDS,
    )


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """The operand sorted along an axis; several are sorted together by the first num_keys.

    NaN comes last and -0.0 equals 0.0; complex numbers are ordered by real, then imaginary part.

    Args:
        operand: an array, or a sequence of arrays of one shape.
        is_stable: equal keys keep their order; they do in any case.
        num_keys: how many operands decide the order, the first one foremost.
    Returns:
        An array, or a tuple of arrays for a sequence.
    Raises:
        TypeError: no operands, or their shapes differ.
        ValueError: num_keys or dimension is out of range.
    """
    several = isinstance(operand, (list, tuple))
    operands: list[Any] = [*operand] if several else [operand]
    if not operands:
        raise TypeError(f"sort requires at least one operand.\n  {user_line()}\n  Give an array.")
    if not 1 <= num_keys <= len(operands):
        raise ValueError(
            f"sort got num_keys={num_keys} for {len(operands)} operands.\n  {user_line()}\n"
            f"  Give num_keys in [1, {len(operands)}]."
        )
    axis = canonical_axis(dimension, len(aval_of(operands[0]).shape))
    outs = sort_p.bind(*operands, dimension=axis, is_stable=bool(is_stable), num_keys=num_keys)
    return tuple(outs) if several else outs[0]


def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Any, Any]:
    """Keys sorted along an axis, and values of their shape in the same order."""
    first, second = sort((keys, values), dimension, is_stable)
    return first, second


def top_k(operand: Any, k: int, *, axis: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """The k largest elements along an axis, descending, and their indices.

    Of equal elements the one with the lower index comes first.

    Args:
        is_stable: False leaves the order of equal elements open; it is as above all the same.
    Returns:
        values of the operand's dtype and indices i32, both with extent k along the axis.
    Raises:
        ValueError: k is negative or larger than the extent, or the operand is complex.
    """
    k = operator.index(k)
    if k < 0:
        raise ValueError(
            f"k argument to top_k must be nonnegative, got {k}.\n  {user_line()}\n"
            "  Give the number of elements wanted."
        )
    rank = len(aval_of(operand).shape)
    values, indices = top_k_p.bind(operand, k=k, axis=canonical_axis(axis, rank) if rank else 0)
    return values, indices


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The k largest elements along an axis and their indices, found exactly (recall 1)."""
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The k smallest elements along an axis and their indices, found exactly (recall 1)."""
    axis = canonical_axis(reduction_dimension, len(aval_of(operand).shape))
    places = broadcasted_iota(np.int32, aval_of(operand).shape, axis)
    values, indices = sort((operand, places), axis)
    from .slicing import slice_in_dim

    return slice_in_dim(values, 0, k, 1, axis), slice_in_dim(indices, 0, k, 1, axis)
