"""Movements of whole axes: reshape, transpose, squeeze, rev.

In: one operand. Out: its elements under another shape or order; on NumPy memory mostly a view.
The one idea: a movement is linear and blind to the dtype, so it serves PRNG keys as well.
Stretching is `broadcasting.py`, joining arrays `joining.py`, boxes of them `slicing.py`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import Any

import numpy as np

from ..core.axes import move_axis, provide_movement
from ..core.primitive import AxisData, Example
from ..core.sources import user_line
from ..ir.avals import ShapedArray, aval_of, canonical_axis, size_of
from ..ir.loops import (
    Expr,
    IndexTuple,
    Lowered,
    Map,
    Operand,
    View,
    flat_index,
    split_index,
    zero_index,
)
from .broadcasting import expand_dims, is_ours
from .kinds import Movement, draw, integers, reals


class Reshape(Movement):
    """The elements in C order (of the axes permuted by `dimensions`) under a new shape."""

    name = "reshape"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        shape, order = params["new_sizes"], params["dimensions"]
        if any(n < 0 for n in shape):
            raise TypeError(
                f"reshape got new_sizes {shape} with a negative extent for {x.long()}.\n"
                f"  {user_line()}\n  Give every extent; numpy.reshape works out a -1."
            )
        if size_of(shape) != x.size:
            raise TypeError(
                f"reshape cannot give {x.long()} ({x.size} elements) the shape {shape} "
                f"({size_of(shape)} elements).\n  {user_line()}\n"
                "  Choose extents whose product is the number of elements."
            )
        if order is not None and sorted(order) != list(range(len(x.shape))):
            raise TypeError(
                f"reshape dimensions {order} are not a permutation of the axes of {x.long()}.\n"
                f"  {user_line()}\n  Name every axis once, or leave dimensions out."
            )
        return ShapedArray(shape, x.dtype, x.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        if params["dimensions"] is not None:
            x = x.transpose(params["dimensions"])
        return x.reshape(params["new_sizes"])

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        return methodcaller("reshape", params["new_sizes"]) if not params["dimensions"] else None

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        (x,) = args
        order = params["dimensions"]
        if order is None:
            return [reshape(ct, x.aval.shape)]
        permuted = reshape(ct, tuple(x.aval.shape[d] for d in order))
        return [transpose(permuted, inverse_permutation(order))]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = move_axis(args[0], dims[0] or 0, 0)
        order = params["dimensions"]
        order = None if order is None else (0, *(d + 1 for d in order))
        return reshape(x, (axis.size, *params["new_sizes"]), order), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,), (out,) = operands, outs
        order = params["dimensions"]
        if order is None:
            places = unit_axes_moved(x.shape, out.shape)
            if places is None:
                return View(0)
            return Map(rearranged(x, places))
        order = (*order, *range(len(order), len(x.shape)))
        permuted = tuple(x.shape[d] for d in order)

        def at(index: IndexTuple) -> Expr:
            moved = split_index(flat_index(index, out.shape), permuted)
            return x.at([moved[p] for p in inverse_permutation(order)])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for operand, shape, order in (
            ((2, 3), (6,), None),
            ((2, 3), (3, 2), (1, 0)),
            ((2, 3, 4), (4, 6), (2, 0, 1)),
            ((1, 1), (), None),
            ((), (1, 1), None),
            ((0, 3), (5, 0, 2), None),
        ):
            x = draw(reals(-1.0, 1.0), operand, 5)
            yield Example((x,), {"new_sizes": shape, "dimensions": order})


class Transpose(Movement):
    """Axis i of the output is axis permutation[i] of the operand."""

    name = "transpose"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        permutation: tuple[int, ...] = params["permutation"]
        if sorted(permutation) != list(range(len(x.shape))):
            raise TypeError(
                f"transpose permutation {permutation} is not a permutation of the axes of "
                f"{x.long()}.\n  {user_line()}\n  Name each of {len(x.shape)} axes once."
            )
        return ShapedArray(tuple(x.shape[p] for p in permutation), x.dtype, x.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0].transpose(params["permutation"])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [transpose(ct, inverse_permutation(params["permutation"]))]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        # The batch axis leads the result; the others are counted around it, without moving it.
        dim = dims[0] or 0
        rest = (p + (p >= dim) for p in params["permutation"])
        return transpose(args[0], (dim, *rest)), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        inverse = inverse_permutation(params["permutation"])
        return Map(rearranged(x, (*inverse, *range(len(inverse), len(x.shape)))))

    def examples(self) -> Iterator[Example]:
        for shape, permutation in (
            ((2, 3), (1, 0)),
            ((2, 3, 4), (2, 0, 1)),
            ((2, 0, 3), (1, 2, 0)),
            ((), ()),
        ):
            yield Example((draw(reals(-1.0, 1.0), shape, 7),), {"permutation": permutation})


class Squeeze(Movement):
    """The operand without some of its axes of size 1."""

    name = "squeeze"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        axes: tuple[int, ...] = params["dimensions"]
        problem = None
        if len(set(axes)) != len(axes):
            problem = "got duplicate dimensions"
        elif not all(0 <= a < len(x.shape) for a in axes):
            problem = "got dimensions out of range"
        elif any(x.shape[a] != 1 for a in axes):
            problem = "only removes axes of size 1"
        if problem:
            raise ValueError(
                f"squeeze {problem}: got {x.long()}, dimensions {axes}.\n  {user_line()}\n"
                "  Name axes of size 1, or index the others away."
            )
        shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        return ShapedArray(shape, x.dtype, x.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0].squeeze(params["dimensions"])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [expand_dims(ct, params["dimensions"])]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        axes = params["dimensions"]
        shifted = tuple(a + (a >= dim) for a in axes)
        return squeeze(args[0], shifted), dim - sum(a < dim for a in shifted)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        kept = iter(range(len(x.shape)))
        places = [None if i in params["dimensions"] else next(kept) for i in range(len(x.shape))]
        return Map(rearranged(x, places))

    def examples(self) -> Iterator[Example]:
        for shape, axes in (((2, 1, 3), (1,)), ((1, 1), (0, 1)), ((0, 1), (1,)), ((1, 3, 1), (2,))):
            yield Example((draw(reals(-1.0, 1.0), shape, 9),), {"dimensions": axes})


class Rev(Movement):
    """The operand with the order along some axes reversed."""

    name = "rev"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        axes = params["dimensions"]
        if len(set(axes)) != len(axes) or not all(0 <= a < len(x.shape) for a in axes):
            raise TypeError(
                f"rev got dimensions {axes} for {x.long()}: they must differ and lie in "
                f"[0, {len(x.shape)}).\n  {user_line()}\n  Name each axis once, from the front."
            )
        return x

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.flip(arrays[0], params["dimensions"])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [rev(ct, params["dimensions"])]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        return rev(args[0], tuple(a + (a >= dim) for a in params["dimensions"])), dim

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        axes = params["dimensions"]

        def at(index: IndexTuple) -> Expr:
            return x.at([x.shape[a] - 1 - i if a in axes else i for a, i in enumerate(index)])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for shape, axes in (((2, 3), (0,)), ((2, 3), (1, 0)), ((0, 2), (0,)), ((2,), ())):
            yield Example((draw(reals(-1.0, 1.0), shape, 11),), {"dimensions": axes})
        yield Example((draw(integers(0, 9), (4,), 12),), {"dimensions": (0,)})


reshape_p = Reshape()
transpose_p = Transpose()
squeeze_p = Squeeze()
rev_p = Rev()


def rearranged(x: Operand, places: Sequence[int | None]) -> Callable[[IndexTuple], Expr]:
    """The elements of x where its axis i runs with axis places[i] of the index, or is one long."""

    def at(index: IndexTuple) -> Expr:
        return x.at([zero_index if p is None else index[p] for p in places])

    return at


def unit_axes_moved(old: Sequence[int], new: Sequence[int]) -> tuple[int | None, ...] | None:
    """For each axis of the old shape the axis of the new one it becomes, None where it has size 1.

    None where the shapes differ in more than axes of size 1.
    """
    if [n for n in old if n != 1] != [n for n in new if n != 1]:
        return None
    places = iter([i for i, n in enumerate(new) if n != 1])
    return tuple(None if n == 1 else next(places) for n in old)


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes one."""
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def reshape(
    operand: Any,
    new_sizes: Any,
    dimensions: Sequence[int] | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """The elements of the operand in C order under a new shape.

    Args:
        new_sizes: the shape; its product is the number of elements.
        dimensions: the order in which the operand's axes are read; from the front by default.
    Raises:
        TypeError: the number of elements differs, or dimensions are no permutation.
    """
    extents = (new_sizes,) if hasattr(new_sizes, "__index__") else new_sizes
    sizes = tuple(map(operator.index, extents))
    shape = aval_of(operand).shape
    order = None if dimensions is None else tuple(map(operator.index, dimensions))
    if order == tuple(range(len(shape))):
        order = None
    if shape and sizes == shape and order is None and is_ours(operand):
        return operand
    return reshape_p.bind(operand, new_sizes=sizes, dimensions=order)


def transpose(operand: Any, permutation: Sequence[int] | np.ndarray[Any, Any]) -> Any:
    """The operand with its axes reordered: axis i of the result is axis permutation[i]."""
    order = tuple(map(operator.index, permutation))
    if order == tuple(range(len(aval_of(operand).shape))) and is_ours(operand):
        return operand
    return transpose_p.bind(operand, permutation=order)


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """The array with the axes from start to stop (exclusive) made one.

    Raises:
        ValueError: an axis is out of range, or start is not before stop.
    """
    shape = aval_of(operand).shape
    start, stop, _ = builtins.slice(start_dimension, stop_dimension).indices(len(shape))
    if start >= stop:
        raise ValueError(
            f"collapse got start {start_dimension} and stop {stop_dimension}, which leave no axis "
            f"of {aval_of(operand).long()}.\n  {user_line()}"
        )
    merged = size_of(shape[start:stop])
    return reshape(operand, (*shape[:start], merged, *shape[stop:]))


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """The array without the named axes, each of size 1.

    Raises:
        ValueError: an axis is out of range or has another size.
    """
    ndim = len(aval_of(array).shape)
    axes = tuple(sorted(canonical_axis(d, ndim) for d in dimensions))
    if not axes and is_ours(array):
        return array
    return squeeze_p.bind(array, dimensions=axes)


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """The operand with the order along the named axes reversed."""
    return rev_p.bind(operand, dimensions=tuple(map(operator.index, dimensions)))


def moveaxis(x: Any, source: int, target: int) -> Any:
    """The array with one axis moved and the order of the others kept."""
    order = [i for i in range(len(aval_of(x).shape)) if i != source]
    order.insert(target, source)
    return transpose(x, order)


provide_movement("moveaxis", moveaxis)
