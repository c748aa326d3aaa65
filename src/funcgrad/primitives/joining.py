"""Joining and cutting arrays: concatenate, split, pad, slice, tile.

In: operands and static extents. Out: arrays whose elements come from the operands (or are the
padding value). Public names are reached through `movement.py`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example
from ..core.sources import user_line
from ..core.trace import as_array
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir.avals import ShapedArray, aval_of, canonical_axis
from .kinds import Movement, draw, integers, reals


class Concatenate(Movement):
    """The operands one after the other along an axis."""

    name = "concatenate"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        axis: int = params["dimension"]
        first = avals[0]
        listed = ", ".join(a.long() for a in avals)
        problem, remedy = None, "Give operands that differ in that axis only."
        if any(a.dtype != first.dtype for a in avals):
            problem = "requires arguments to have the same dtypes"
            remedy = "Convert with astype, or use numpy.concatenate, which promotes."
        elif any(len(a.shape) != len(first.shape) for a in avals):
            problem = "requires operands of one rank"
        elif not 0 <= axis < len(first.shape):
            problem, remedy = "got an axis out of bounds", "Count the axis from the front."
        elif len({(a.shape[:axis], a.shape[axis + 1 :]) for a in avals}) > 1:
            problem = "got shapes that differ in other axes than the one joined"
        if problem:
            raise TypeError(
                f"lax.concatenate {problem}: got {listed}, dimension {axis}.\n"
                f"  {user_line()}\n  {remedy}"
            )
        total = sum(a.shape[axis] for a in avals)
        shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
        return ShapedArray(shape, first.dtype, all(a.weak_type for a in avals))

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.concatenate(arrays, params["dimension"])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        axis: int = params["dimension"]
        pieces = split(ct, tuple(aval_of(x).shape[axis] for x in args), axis)
        return [
            piece if isinstance(x, UndefinedPrimal) else None
            for x, piece in zip(args, pieces, strict=True)
        ]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        moved = [to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True)]
        return concatenate(moved, params["dimension"] + 1), 0

    def examples(self) -> Iterator[Example]:
        for shapes, axis in (
            (((2, 3), (1, 3)), 0),
            (((2, 1), (2, 0), (2, 4)), 1),
            (((3,),), 0),
        ):
            args = tuple(draw(reals(-1.0, 1.0), s, 3 + i) for i, s in enumerate(shapes))
            yield Example(args, {"dimension": axis})


class Split(Movement):
    """The operand cut along `axis` into pieces of the given sizes."""

    name = "split"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        sizes, axis = params["sizes"], params["axis"]
        if any(n < 0 for n in sizes) or sum(sizes) != x.shape[axis]:
            raise ValueError(
                f"split got sizes {sizes} (sum {sum(sizes)}) for axis {axis} of {x.long()}.\n"
                f"  {user_line()}\n  Sizes must be nonnegative and add up to {x.shape[axis]}."
            )
        return [
            ShapedArray((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype, x.weak_type)
            for n in sizes
        ]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        sizes: tuple[int, ...] = params["sizes"]
        lead = (builtins.slice(None),) * params["axis"]
        ends = list(accumulate(sizes))
        starts = [0, *ends[:-1]]
        return [x[(*lead, builtins.slice(s, e))] for s, e in zip(starts, ends, strict=False)]

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        if all(isinstance(c, Zero) for c in ct):
            return [Zero(args[0].aval)]
        return [concatenate([instantiate(c) for c in ct], params["axis"])]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        cut = params["axis"] + (params["axis"] >= dim)
        return split(args[0], params["sizes"], cut), [dim] * len(params["sizes"])

    def examples(self) -> Iterator[Example]:
        x = draw(reals(-1.0, 1.0), (2, 5), 4)
        yield Example((x,), {"sizes": (2, 0, 3), "axis": 1})
        yield Example((x,), {"sizes": (2,), "axis": 0})
        yield Example((x[:0],), {"sizes": (0, 0), "axis": 0})


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
        from .creation import full
        from .movement import broadcast_in_dim
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
        strides = params["strides"] or (1,) * x.ndim
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


class Tile(Movement):
    """The operand repeated reps[i] times along axis i."""

    name = "tile"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        reps = params["reps"]
        if len(reps) != len(x.shape) or any(r < 0 for r in reps):
            raise TypeError(
                f"tile got reps {reps} for {x.long()}.\n  {user_line()}\n"
                f"  Give {len(x.shape)} nonnegative counts, one for each axis."
            )
        shape = tuple(n * r for n, r in zip(x.shape, reps, strict=True))
        return ShapedArray(shape, x.dtype, x.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.tile(arrays[0], params["reps"])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .movement import reshape
        from .reduction import reduce_sum

        shape = args[0].aval.shape
        pairs = tuple(k for pair in zip(params["reps"], shape, strict=True) for k in pair)
        axes = tuple(range(0, 2 * len(shape), 2))
        return [reduce_sum(reshape(ct, pairs), axes) if shape else ct]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        dim = dims[0] or 0
        reps = params["reps"]
        return tile(args[0], (*reps[:dim], 1, *reps[dim:])), dim

    def examples(self) -> Iterator[Example]:
        for shape, reps in (((2, 3), (2, 1)), ((2, 3), (0, 2)), ((1,), (4,)), ((), ())):
            yield Example((draw(reals(-1.0, 1.0), shape, 10),), {"reps": reps})
        yield Example((draw(integers(0, 9), (2, 2), 11),), {"reps": (1, 3)})


concatenate_p = Concatenate()
split_p = Split()
pad_p = Pad()
slice_p = Slice()
tile_p = Tile()


def padded_shape(shape: Sequence[int], config: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """The shape after padding: low + n + (n - 1) * interior + high."""
    return tuple(
        low + n + max(0, n - 1) * interior + high
        for n, (low, high, interior) in zip(shape, config, strict=True)
    )


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """The operands joined along an axis; the other extents and the dtype are the same.

    Raises:
        ValueError: no operands.
        TypeError: shapes or dtypes do not fit.
    """
    if len(operands) == 0:
        raise ValueError(
            f"concatenate got no operands.\n  {user_line()}\n  Give at least one array."
        )
    if len(operands) == 1:
        return as_array(operands[0])
    return concatenate_p.bind(*operands, dimension=operator.index(dimension))


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """The operands, all of one shape, joined along a new axis."""
    from .movement import expand_dims

    if not operands:
        raise ValueError(f"stack got no operands.\n  {user_line()}\n  Give at least one array.")
    axis = canonical_axis(axis, len(aval_of(operands[0]).shape) + 1)
    return concatenate([expand_dims(x, (axis,)) for x in operands], axis)


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """The operand cut along `axis` into pieces of the given sizes.

    Raises:
        ValueError: the sizes do not add up to the extent, or the axis is out of range.
    """
    axis = canonical_axis(axis, len(aval_of(operand).shape))
    return split_p.bind(operand, sizes=tuple(map(operator.index, sizes)), axis=axis)


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


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """The operand repeated reps[i] times along its axis i."""
    return tile_p.bind(operand, reps=tuple(map(operator.index, reps)))
