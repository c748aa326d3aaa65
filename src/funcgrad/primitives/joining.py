"""Joining arrays and taking them apart: concatenate, split, tile.

In: operands and static extents. Out: arrays whose elements come from the operands. Public names
are reached through `movement.py`; boxes of arrays (slice, pad) are `slicing.py`.
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
from ..ir.loops import (
    Const,
    Expr,
    IndexTuple,
    Lowered,
    Map,
    Operand,
    below,
    divmod_index,
    in_range,
    select,
)
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

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        axis: int = params["dimension"]
        ends = list(accumulate(x.shape[axis] for x in operands))
        parts = [
            (x, start, end)
            for x, start, end in zip(operands, [0, *ends], ends, strict=False)
            if start < end
        ]

        def at(index: IndexTuple) -> Expr:
            found = joined(parts, index, axis)
            # In no part: read under a guard that never holds, as beyond the ends of a padding.
            return Const(0, outs[0].dtype) if found is None else found

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for shapes, axis in (
            (((2, 3), (1, 3)), 0),
            (((2, 1), (2, 0), (2, 4)), 1),
            (((3,),), 0),
        ):
            args = tuple(draw(reals(-1.0, 1.0), s, 3 + i) for i, s in enumerate(shapes))
            yield Example(args, {"dimension": axis})


def joined(parts: Sequence[tuple[Operand, int, int]], index: IndexTuple, axis: int) -> Expr | None:
    """The element of the part whose stretch [start, end) of an axis holds the index, if one can."""
    along = index[axis]
    bounds = along.bounds()
    out: Expr | None = None
    for x, start, end in reversed(parts):
        if bounds is not None and not (bounds[0] < end and start <= bounds[1]):
            continue
        local = along - start
        inside = in_range(local, end - start)
        element = x.at((*index[:axis], local, *index[axis + 1 :]), inside)
        before = below(along, end)
        out = element if out is None or before is None else select(before, element, out)
    return out


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

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        axis: int = params["axis"]

        def piece(start: int) -> Map:
            def at(index: IndexTuple) -> Expr:
                return x.at((*index[:axis], index[axis] + start, *index[axis + 1 :]))

            return Map(at)

        sizes: tuple[int, ...] = params["sizes"]
        return [piece(end - n) for n, end in zip(sizes, accumulate(sizes), strict=True)]

    def examples(self) -> Iterator[Example]:
        x = draw(reals(-1.0, 1.0), (2, 5), 4)
        yield Example((x,), {"sizes": (2, 0, 3), "axis": 1})
        yield Example((x,), {"sizes": (2,), "axis": 0})
        yield Example((x[:0],), {"sizes": (0, 0), "axis": 0})


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

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        (x,) = operands
        rank = len(params["reps"])

        def at(index: IndexTuple) -> Expr:
            rests = [divmod_index(i, n)[1] for i, n in zip(index[:rank], x.shape, strict=False)]
            return x.at([*rests, *index[rank:]])

        return Map(at)

    def examples(self) -> Iterator[Example]:
        for shape, reps in (((2, 3), (2, 1)), ((2, 3), (0, 2)), ((1,), (4,)), ((), ())):
            yield Example((draw(reals(-1.0, 1.0), shape, 10),), {"reps": reps})
        yield Example((draw(integers(0, 9), (2, 2), 11),), {"reps": (1, 3)})


concatenate_p = Concatenate()
split_p = Split()
tile_p = Tile()


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """The operands joined along an axis; the other extents and the dtype are the same.

    Raises:
        ValueError: no operands.
        TypeError: shapes or dtypes do not fit, or the operands are no sequence.
    """
    operands = _listed(operands, "concatenate")
    if len(operands) == 0:
        raise ValueError(
            f"concatenate got no operands.\n  {user_line()}\n  Give at least one array."
        )
    if len(operands) == 1:
        return as_array(operands[0])
    return concatenate_p.bind(*operands, dimension=operator.index(dimension))


def _listed(operands: Any, name: str) -> Sequence[Any]:
    """The operands themselves, or the rows of an array.

    Raises:
        TypeError: they are no sequence.
    """
    kind: Any = type(operands)  # pyright: ignore[reportUnknownVariableType]
    if kind in (list, tuple):
        return operands
    if hasattr(kind, "__iter__") and not issubclass(kind, (dict, str)):
        return list(operands)
    raise TypeError(
        f"{name} takes a list or tuple of arrays, got {kind.__name__}.\n  {user_line()}"
        "\n  Put the arrays into one."
    )


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """The operands, all of one shape, joined along a new axis.

    Raises:
        ValueError: there are none, or the axis is out of range.
        TypeError: shapes or dtypes differ, or the operands are no sequence.
    """
    from .broadcasting import expand_dims

    operands = _listed(operands, "stack")
    if len(operands) == 0:
        raise ValueError(f"stack got no operands.\n  {user_line()}\n  Give at least one array.")
    axis = canonical_axis(axis, len(aval_of(operands[0]).shape) + 1)
    return concatenate([expand_dims(x, (axis,)) for x in operands], axis)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The arrays along an axis, which they are without.

    Raises:
        ValueError: x has no such axis.
    """
    from .movement import squeeze

    shape = aval_of(x).shape
    axis = canonical_axis(axis, len(shape))
    if not shape[axis]:
        return ()
    return tuple(squeeze(part, (axis,)) for part in split(x, (1,) * shape[axis], axis))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """The operand cut along `axis` into pieces of the given sizes.

    Raises:
        ValueError: the sizes do not add up to the extent, or the axis is out of range.
    """
    axis = canonical_axis(axis, len(aval_of(operand).shape))
    return split_p.bind(operand, sizes=tuple(map(operator.index, sizes)), axis=axis)


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """The operand repeated reps[i] times along its axis i."""
    return tile_p.bind(operand, reps=tuple(map(operator.index, reps)))
