"""Movements of whole axes: broadcast_in_dim, reshape, transpose, squeeze, rev.

In: one operand. Out: its elements under another shape or order; on NumPy memory mostly a view.
The one idea: a movement is linear and blind to the dtype, so it serves PRNG keys as well.
Joining and cutting arrays (concatenate, split, pad, slice, tile) is `joining.py`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.array import Array
from ..core.axes import move_axis, provide_movement
from ..core.primitive import AxisData, Example
from ..core.sources import user_line
from ..core.trace import Tracer, as_array
from ..ir.avals import ShapedArray, aval_of, canonical_axis, canonical_shape, size_of
from .joining import concatenate as concatenate
from .joining import concatenate_p as concatenate_p
from .joining import pad as pad
from .joining import pad_p as pad_p
from .joining import slice as slice
from .joining import slice_in_dim as slice_in_dim
from .joining import slice_p as slice_p
from .joining import split as split
from .joining import split_p as split_p
from .joining import stack as stack
from .joining import tile as tile
from .joining import tile_p as tile_p
from .kinds import Movement, draw, integers, reals


def is_ours(x: Any) -> bool:
    """Whether x is an Array or a tracer, which a movement that moves nothing may return."""
    return isinstance(x, (Array, Tracer))


class BroadcastInDim(Movement):
    """Operand axis i becomes axis broadcast_dimensions[i] of the output; the others repeat."""

    name = "broadcast_in_dim"

    def printed(self, params: dict[str, Any]) -> dict[str, Any]:
        axes = params["broadcast_dimensions"]
        return {"broadcast_dimensions": axes} if axes else {}

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        shape, axes = params["shape"], params["broadcast_dimensions"]
        problem = None
        if len(axes) != len(x.shape):
            problem = f"needs {len(x.shape)} broadcast_dimensions, one for each axis"
        elif not all(0 <= a < len(shape) for a in axes):
            problem = "got broadcast_dimensions outside of the target shape"
        elif len(set(axes)) != len(axes):
            problem = "got duplicate broadcast_dimensions"
        elif not all(n in (1, shape[a]) for n, a in zip(x.shape, axes, strict=True)):
            problem = "can only stretch axes of size 1"
        if problem:
            raise TypeError(
                f"broadcast_in_dim {problem}: got {x.long()}, target shape {shape}, "
                f"broadcast_dimensions {axes}.\n  {user_line()}\n"
                "  Let every operand axis match the target axis it is sent to, or have size 1."
            )
        return ShapedArray(shape, x.dtype, x.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        shape, axes = params["shape"], params["broadcast_dimensions"]
        if list(axes) != sorted(axes):
            order = sorted(range(len(axes)), key=axes.__getitem__)
            x, axes = x.transpose(order), tuple(axes[i] for i in order)
        if len(axes) != len(shape):
            extents = dict(zip(axes, x.shape, strict=True))
            x = x.reshape([extents.get(i, 1) for i in range(len(shape))])
        return np.broadcast_to(x, shape)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .reduction import reduce_sum

        (x,) = args
        shape, axes = params["shape"], params["broadcast_dimensions"]
        kept = [a for n, a in zip(x.aval.shape, axes, strict=True) if n == shape[a]]
        summed = tuple(i for i in range(len(shape)) if i not in kept)
        ct = reduce_sum(ct, summed) if summed else ct
        if kept != sorted(kept):
            ct = transpose(ct, [sorted(kept).index(a) for a in kept])
        ones = [i for i, (n, a) in enumerate(zip(x.aval.shape, axes, strict=True)) if n != shape[a]]
        return [expand_dims(ct, ones) if ones else ct]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        x = move_axis(args[0], dims[0] or 0, 0)
        axes = (0, *(a + 1 for a in params["broadcast_dimensions"]))
        return broadcast_in_dim(x, (axis.size, *params["shape"]), axes), 0

    def examples(self) -> Iterator[Example]:
        for operand, shape, axes in (
            ((), (2, 3), ()),
            ((), (), ()),
            ((3,), (2, 3), (1,)),
            ((3,), (3, 2), (0,)),
            ((1, 3), (2, 3, 4), (0, 1)),
            ((2, 3), (3, 4, 2), (2, 0)),
            ((1, 1), (1, 3), (1, 0)),
            ((2, 1), (0, 2, 1), (1, 2)),
        ):
            x = draw(reals(-1.0, 1.0), operand, 3)
            yield Example((x,), {"shape": shape, "broadcast_dimensions": axes})


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

    def examples(self) -> Iterator[Example]:
        for shape, axes in (((2, 3), (0,)), ((2, 3), (1, 0)), ((0, 2), (0,)), ((2,), ())):
            yield Example((draw(reals(-1.0, 1.0), shape, 11),), {"dimensions": axes})
        yield Example((draw(integers(0, 9), (4,), 12),), {"dimensions": (0,)})


broadcast_in_dim_p = BroadcastInDim()
reshape_p = Reshape()
transpose_p = Transpose()
squeeze_p = Squeeze()
rev_p = Rev()


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes one."""
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def broadcast_in_dim(
    operand: Any, shape: Any, broadcast_dimensions: Sequence[int], *, out_sharding: Any = None
) -> Any:
    """The operand stretched to `shape`; its axis i lands on axis broadcast_dimensions[i].

    Raises:
        TypeError: an operand axis neither has size 1 nor fits the axis it is sent to.
    """
    axes = tuple(map(operator.index, broadcast_dimensions))
    shape = canonical_shape(shape, "broadcast_in_dim")
    if not axes and not shape and is_ours(operand) and not operand.shape:
        return operand
    return broadcast_in_dim_p.bind(operand, shape=shape, broadcast_dimensions=axes)


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """The operand repeated along new leading axes of the given sizes."""
    sizes = canonical_shape(sizes, "broadcast")
    shape = aval_of(operand).shape
    if not sizes:
        return as_array(operand)
    axes = tuple(range(len(sizes), len(sizes) + len(shape)))
    return broadcast_in_dim(operand, sizes + shape, axes)


def broadcast_to(operand: Any, shape: Any) -> Any:
    """The operand stretched to `shape` by NumPy's rules: trailing axes match or have size 1.

    Raises:
        ValueError: the shapes do not broadcast.
    """
    shape = canonical_shape(shape, "broadcast_to")
    aval = aval_of(operand)
    if aval.shape == shape:
        return as_array(operand)
    lead = len(shape) - len(aval.shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(aval.shape, shape[lead:], strict=True)):
        raise ValueError(
            f"Incompatible shapes for broadcasting: {aval.long()} and requested shape {shape}.\n"
            f"  {user_line()}\n  Trailing axes must have equal extents, or size 1."
        )
    return broadcast_in_dim(operand, shape, tuple(range(lead, len(shape))))


def broadcast_like(operand: Any, like: Any) -> Any:
    """The operand stretched to the shape of another value."""
    return broadcast_to(operand, aval_of(like).shape)


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """The array with leading axes of size 1 added up to `rank`."""
    return broadcast(x, (1,) * (rank - len(aval_of(x).shape)))


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to, by NumPy's rules.

    Raises:
        ValueError: two extents of one axis differ and neither is 1.
    """
    given = [canonical_shape(s, "broadcast_shapes") for s in shapes]
    rank = max((len(s) for s in given), default=0)
    result: list[int] = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in given if len(s) >= -axis} - {1}
        if len(sizes) > 1:
            raise ValueError(
                f"Incompatible shapes for broadcasting: shapes={given} (axis {axis}: "
                f"{' against '.join(map(str, sorted(sizes)))}).\n  {user_line()}\n"
                "  Trailing axes must have equal extents, or size 1."
            )
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


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


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """The array with axes of size 1 inserted, at positions counted in the result.

    Raises:
        ValueError: a position is out of range or named twice.
    """
    shape = aval_of(array).shape
    ndim = len(shape) + len(dimensions)
    axes = {canonical_axis(d, ndim) for d in dimensions}
    if len(axes) != len(dimensions):
        raise ValueError(
            f"repeated axis in expand_dims: {tuple(dimensions)} for shape {shape}.\n"
            f"  {user_line()}\n  Name each new axis once."
        )
    kept = tuple(i for i in range(ndim) if i not in axes)
    extents = dict(zip(kept, shape, strict=True))
    return broadcast_in_dim(array, tuple(extents.get(i, 1) for i in range(ndim)), kept)


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """The operand with the order along the named axes reversed."""
    return rev_p.bind(operand, dimensions=tuple(map(operator.index, dimensions)))


def moveaxis(x: Any, source: int, target: int) -> Any:
    """The array with one axis moved and the order of the others kept."""
    order = [i for i in range(len(aval_of(x).shape)) if i != source]
    order.insert(target, source)
    return transpose(x, order)


def broadcast_along(x: Any, size: int, at: int) -> Any:
    """The array repeated `size` times along a new axis `at`."""
    shape = aval_of(x).shape
    axes = tuple(i + (i >= at) for i in range(len(shape)))
    return broadcast_in_dim(x, (*shape[:at], size, *shape[at:]), axes)


provide_movement("moveaxis", moveaxis)
provide_movement("broadcast", broadcast_along)
