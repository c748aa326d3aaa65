"""Boxes of arrays: slice takes one out, pad puts one in.

In: an operand and static extents. Out: its elements in a box, or those of a box and the padding
value. The one idea: each is the transpose of the other. Public names are reached through
`movement.py`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal
from ..ir.avals import ShapedArray, aval_of, canonical_axis
from ..ir.loops import (
    Affine,
    Expr,
    IndexTuple,
    Lowered,
    Map,
    Operand,
    both,
    divmod_index,
    equals,
    in_range,
    select,
)
from .kinds import Movement, draw, reals


class Pad(Movement):
    """The operand with padding before, after and between its elements; negative cuts away."""

    name = "pad"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        x, value = avals
        config = params["padding_config"]
        if x.dtype != value.dtype:
            raise TypeError(
                f"pad operand and padding_value must have the same dtype: got {x.long()} and "
                f"{value.long()}.\n  {user_line()}\n  Convert the padding value with astype."
            )
        problem = None
        if value.shape:
            problem = "takes a scalar padding_value"
        elif len(config) != len(x.shape):
            problem = "needs one (low, high, interior) for each axis"
        elif any(interior < 0 for _, _, interior in config):
            problem = "takes no negative interior padding"
        shape = padded_shape(x.shape, config) if not problem else ()
        if any(n < 0 for n in shape):
            problem = f"would give the negative extents {shape}"
        if problem:
            raise ValueError(
                f"pad {problem}: got {x.long()}, padding_value {value.long()}, padding_config "
                f"{config}.\n  {user_line()}\n"
                "  Negative low and high padding may at most remove the whole axis."
            )
        return ShapedArray(shape, x.dtype, x.weak_type and value.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, value = arrays
        shape = padded_shape(x.shape, params["padding_config"])
        out = np.full(shape, value, x.dtype)
        into: list[builtins.slice] = []
        taken: list[builtins.slice] = []
        for n, m, (low, _, interior) in zip(x.shape, shape, params["padding_config"], strict=True):
            step = interior + 1
            # Elements i with 0 <= low + i * step < m survive.
            first = max(0, -(low // step))
            last = max(first, min(n, -((low - m) // step)))
            taken.append(builtins.slice(first, last))
            start = low + first * step
            into.append(builtins.slice(start, start + (last - first) * step, step))
            if last == first:
                return out
        out[tuple(into)] = x[tuple(taken)]
        return out

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .arithmetic import sub
        from .reduction import reduce_sum

        x, value = args
        config = params["padding_config"]
        zero = np.zeros((), aval_of(ct).dtype)
        cut = pad(ct, zero, tuple((-low, -high, 0) for low, high, _ in config))
        ends = aval_of(cut).shape
        kept = slice(cut, (0,) * len(ends), ends, tuple(i + 1 for _, _, i in config))
        result: list[Any] = [kept if isinstance(x, UndefinedPrimal) else None, None]
        if isinstance(value, UndefinedPrimal):
            axes = tuple(range(len(ends)))
            result[1] = sub(reduce_sum(ct, axes), reduce_sum(kept, axes)) if axes else None
        return result

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        from .broadcasting import broadcast_in_dim
        from .creation import full
        from .selection import select

        x = to_front(args[0], dims[0], axis.size)
        config = ((0, 0, 0), *params["padding_config"])
        if dims[1] is None:
            return pad(x, args[1], config), 0
        dtype = aval_of(x).dtype
        padded = pad(x, np.zeros((), dtype), config)
        mask = pad(full(aval_of(x).shape, True, np.bool_), False, config)
        shape = aval_of(padded).shape
        return select(mask, padded, broadcast_in_dim(args[1], shape, (0,))), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        x, value = operands
        config: tuple[tuple[int, int, int], ...] = params["padding_config"]
        rank = len(config)

        def at(index: IndexTuple) -> Expr:
            moved, inside = unpadded(index[:rank], x.shape, config)
            element = x.at((*moved, *index[rank:]), inside)
            return element if inside is None else select(inside, element, value.at(index[rank:]))

        return Map(at)

    def examples(self) -> Iterator[Example]:
        value = np.float64(0.5)
        for shape, config in (
            ((2, 3), ((1, 2, 0), (0, 1, 2))),
            ((4, 5), ((-1, 1, 1), (2, -3, 0))),
            ((3,), ((-2, -2, 1),)),
            ((3,), ((-4, 3, 0),)),
            ((0, 2), ((1, 1, 3), (0, 0, 0))),
            ((), ()),
        ):
            x = draw(reals(-1.0, 1.0), shape, 6)
            yield Example((x, np.asarray(value)), {"padding_config": config})


def unpadded(
    index: Sequence[Affine], shape: Sequence[int], config: Sequence[tuple[int, int, int]]
) -> tuple[list[Affine], Expr | None]:
    """The index of the operand that lies at an index of the padded array, and whether one does."""
    moved: list[Affine] = []
    inside: Expr | None = None
    for i, n, (low, _, interior) in zip(index, shape, config, strict=False):
        step = interior + 1
        # A whole number of steps keeps the division nonnegative.
        lift = -(-low // step) if low > 0 and step > 1 else 0
        quotient, rest = divmod_index(i - low + lift * step, step)
        inside = both(inside, in_range(quotient - lift, n))
        if step > 1:
            inside = both(inside, equals(rest, 0))
        moved.append(quotient - lift)
    return moved, inside


class Slice(Movement):
    """The box of elements from start_indices to limit_indices in steps of strides."""

    name = "slice"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        starts, limits = params["start_indices"], params["limit_indices"]
        strides = params["strides"] or (1,) * len(x.shape)
        if not (
            len(starts) == len(limits) == len(strides) == len(x.shape)
            and all(0 <= s <= e <= n for s, e, n in zip(starts, limits, x.shape, strict=True))
            and all(s > 0 for s in strides)
        ):
            raise TypeError(
                f"slice got start_indices {starts}, limit_indices {limits}, strides "
                f"{params['strides']} for {x.long()}.\n  {user_line()}\n  Give one of each an "
                "axis, with 0 <= start <= limit <= extent and a positive stride."
            )
        shape = tuple((e - s + d - 1) // d for s, e, d in zip(starts, limits, strides, strict=True))
        return ShapedArray(shape, x.dtype, x.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        strides = params["strides"]
        if strides is None and x.ndim:
            slices = map(builtins.slice, params["start_indices"], params["limit_indices"])
            return x[tuple(slices)]
        strides = strides or (1,) * x.ndim
        bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
        return x[tuple(map(builtins.slice, *zip(*bounds, strict=True)))] if x.ndim else x

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        shape = args[0].aval.shape
        strides = params["strides"] or (1,) * len(shape)
        config: list[tuple[int, int, int]] = []
        for n, start, step, m in zip(
            shape, params["start_indices"], strides, aval_of(ct).shape, strict=True
        ):
            covered = (m - 1) * step + 1 if m else 0
            config.append((start, n - start - covered, step - 1))
        return [pad(ct, np.zeros((), aval_of(ct).dtype), config)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        starts, limits = list(params["start_indices"]), list(params["limit_indices"])
        starts.insert(dim, 0)
        limits.insert(dim, axis.size)
        strides = params["strides"]
        if strides is not None:
            strides = (*strides[:dim], 1, *strides[dim:])
        return slice(args[0], starts, limits, strides), dim

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        starts = params["start_indices"]
        strides = params["strides"] or (1,) * len(starts)

        def at(index: IndexTuple) -> Expr:
            box = [s + i * d for i, s, d in zip(index, starts, strides, strict=False)]
            return x.at([*box, *index[len(starts) :]])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for shape, starts, limits, strides in (
            ((4, 5), (1, 0), (3, 5), None),
            ((4, 5), (0, 1), (4, 5), (3, 2)),
            ((4,), (2,), (2,), None),
            ((5,), (4,), (4,), (2,)),
            ((), (), (), None),
        ):
            x = draw(reals(-1.0, 1.0), shape, 8)
            params = {"start_indices": starts, "limit_indices": limits, "strides": strides}
            yield Example((x,), params)


pad_p = Pad()
slice_p = Slice()


def padded_shape(shape: Sequence[int], config: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """The shape after padding: low + n + (n - 1) * interior + high."""
    return tuple(
        low + n + max(0, n - 1) * interior + high
        for n, (low, high, interior) in zip(shape, config, strict=True)
    )


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """The operand with padding.

    Args:
        padding_value: a scalar of the operand's dtype.
        padding_config: (low, high, interior) for each axis; negative low and high cut away,
            interior elements go between neighbours.
    Raises:
        TypeError: the dtypes differ.
        ValueError: padding_value is no scalar, or the configuration does not fit the operand.
    """
    config = tuple(tuple(map(operator.index, triple)) for triple in padding_config)
    return pad_p.bind(operand, padding_value, padding_config=config)


def slice(
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Any:
    """The box of the operand from start_indices up to limit_indices, in steps of strides.

    Raises:
        TypeError: the box does not lie in the operand.
    """
    starts = tuple(map(operator.index, start_indices))
    limits = tuple(map(operator.index, limit_indices))
    steps = None if strides is None else tuple(map(operator.index, strides))
    return slice_p.bind(operand, start_indices=starts, limit_indices=limits, strides=steps)


def slice_in_dim(
    operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Any:
    """The slice of one axis; the others are kept whole. Negative indices count from the end."""
    shape = aval_of(operand).shape
    axis = canonical_axis(axis, len(shape))
    extent = shape[axis]
    start = 0 if start_index is None else operator.index(start_index)
    limit = extent if limit_index is None else operator.index(limit_index)
    starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis] = start + extent if start < 0 else start
    limits[axis] = limit + extent if limit < 0 else limit
    strides[axis] = operator.index(stride)
    return slice(operand, starts, limits, strides)
