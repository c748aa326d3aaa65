"""Stretching arrays: broadcast_in_dim and the functions that fill in its axes.

In: one operand. Out: its elements, repeated along axes it has not, or has with size 1. Public
names are reached through `movement.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import Any

import numpy as np

from ..core.array import Array
from ..core.axes import move_axis, provide_movement
from ..core.primitive import AxisData, Example
from ..core.sources import user_line
from ..core.trace import Tracer, as_array
from ..ir.avals import ShapedArray, aval_of, canonical_axis, canonical_shape
from ..ir.loops import Expr, IndexTuple, Lowered, Map, Operand, zero_index
from .kinds import Movement, draw, reals


def is_ours(x: Any) -> bool:
    """Whether x is an Array or a tracer, which a movement that moves nothing may return."""
    return isinstance(x, (Array, Tracer))


_copied = 256


class BroadcastInDim(Movement):
    """Operand axis i becomes axis broadcast_dimensions[i] of the output; the others repeat."""

    name = "broadcast_in_dim"
    spreads = True

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
        if not axes and math.prod(shape) <= _copied:
            out = np.empty(shape, x.dtype)
            out[...] = x
            return out
        if list(axes) != sorted(axes):
            order = sorted(range(len(axes)), key=axes.__getitem__)
            x, axes = x.transpose(order), tuple(axes[i] for i in order)
        if len(axes) != len(shape):
            extents = dict(zip(axes, x.shape, strict=True))
            x = x.reshape([extents.get(i, 1) for i in range(len(shape))])
        if math.prod(shape) > _copied:
            return np.broadcast_to(x, shape)
        # A view costs more than a copy of few elements.
        out = np.empty(shape, x.dtype)
        out[...] = x
        return out

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        (x,) = avals
        shape, axes = params["shape"], params["broadcast_dimensions"]
        size = math.prod(shape)
        if size > _copied or list(axes) != sorted(axes):
            return None
        if size == x.size:
            return methodcaller("reshape", shape)
        extents, empty, dtype = dict(zip(axes, x.shape, strict=True)), np.empty, x.dtype
        aligned = tuple(extents.get(i, 1) for i in range(len(shape)))

        def spread(x: Any) -> Any:
            out = empty(shape, dtype)
            out[...] = x.reshape(aligned)
            return out

        return spread

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .movement import squeeze, transpose
        from .reduction import reduce_sum

        (x,) = args
        shape, axes = params["shape"], params["broadcast_dimensions"]
        kept = [a for n, a in zip(x.aval.shape, axes, strict=True) if n == shape[a]]
        summed = tuple(i for i in range(len(shape)) if i not in kept)
        if summed:
            # A sum of one number is that number: its memory need not be read.
            alone = all(shape[i] == 1 for i in summed)
            ct = squeeze(ct, summed) if alone else reduce_sum(ct, summed)
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

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        rank = len(params["shape"])
        axes: tuple[int, ...] = params["broadcast_dimensions"]
        taken = tuple(zip(x.shape, axes, strict=False))

        def at(index: IndexTuple) -> Expr:
            # An index of a key has a last axis more, of its words; here and in all movements.
            lead = [zero_index if n == 1 else index[a] for n, a in taken]
            return x.at((*lead, *index[rank:]))

        return Map(at)

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


broadcast_in_dim_p = BroadcastInDim()


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


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """The array stretched to the shape of another value."""
    return broadcast_to(arr, aval_of(like_arr).shape)


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


def broadcast_along(x: Any, size: int, at: int) -> Any:
    """The array repeated `size` times along a new axis `at`."""
    shape = aval_of(x).shape
    axes = tuple(i + (i >= at) for i in range(len(shape)))
    return broadcast_in_dim(x, (*shape[:at], size, *shape[at:]), axes)


provide_movement("broadcast", broadcast_along)
