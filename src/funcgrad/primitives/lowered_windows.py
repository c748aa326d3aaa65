"""What reductions over windows and convolutions compute, element by element.

In: the operands as a rule of lowering sees them, and the params of the windows. Out: `Fold`, `Map`
or `Scatter`. The one idea: padding and dilation are no memory but a guard, so that an element of a
window is read at an index affine in the places of window and output.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ..ir import loops
from ..ir.avals import ShapedArray, size_of
from ..ir.loops import (
    Affine,
    Expr,
    Fold,
    IndexTuple,
    Map,
    Operand,
    Scatter,
    apply,
    cast,
    const,
    divmod_index,
    index_of,
    select,
    zero_index,
)
from .kinds import fold_op
from .scalars import either, is_nan
from .slicing import unpadded

# A scan of a window is written out place by place; larger windows are left to the host.
LARGEST_SCAN = 64


class WindowPlaces:
    """Where the elements of windows lie in an operand of `shape`."""

    def __init__(self, shape: Sequence[int], params: dict[str, Any]) -> None:
        self.shape = shape
        self.window: tuple[int, ...] = params["window_dimensions"]
        self.strides: tuple[int, ...] = params["window_strides"]
        self.steps: tuple[int, ...] = params["window_dilation"]
        # Interior padding of pad's configuration; what comes after the end does not matter here.
        pads, dilation = params["padding"], params["base_dilation"]
        self.config = [(low, 0, d - 1) for (low, _), d in zip(pads, dilation, strict=True)]

    def at(self, index: IndexTuple, place: Sequence[Affine]) -> tuple[list[Affine], Expr | None]:
        """The operand's index of an element of a window, and whether it is no padding."""
        moved = [
            i * stride + k * step
            for i, k, stride, step in zip(index, place, self.strides, self.steps, strict=True)
        ]
        return unpadded(moved, self.shape, self.config)

    def offsets(self) -> list[tuple[int, ...]]:
        """The places of a window, row by row."""
        return list(product(*(range(n) for n in self.window)))


def window_fold(
    op: str, x: Operand, identity: Any, work: np.dtype[Any], params: dict[str, Any]
) -> Fold:
    """The fold of every window of x; padding counts as the identity."""
    places = WindowPlaces(x.shape, params)

    def at(index: IndexTuple, folded: IndexTuple) -> Expr:
        place, inside = places.at(index, folded)
        element = cast(x.at(place, inside), work)
        if inside is None or op == "add":
            return element
        return select(inside, element, const(np.asarray(identity).astype(work)[()], work))

    return Fold(fold_op(op, x.dtype), places.window, at, work)


# The winners of windows.


def beats(x: Expr, best: Expr, largest: bool) -> Expr:
    """Whether x is strictly better than the best so far; NaN is better than all else."""
    better = apply("gt" if largest else "lt", x, best)
    if x.dtype.kind in "biu":
        return better
    return either(better, apply("and", is_nan(x), apply("eq", best, best)))


def wins(
    x: Operand, places: WindowPlaces, index: IndexTuple, largest: bool, start: Any
) -> list[Expr]:
    """For each place of a window but the first, whether it beats all places before."""
    best: Expr | None = None
    better: list[Expr] = []
    for offset in places.offsets():
        place, inside = places.at(index, [Affine(k) for k in offset])
        element = x.at(place, inside)
        if inside is not None:
            element = select(inside, element, const(np.asarray(start).astype(x.dtype)[()], x.dtype))
        if best is None:
            best = element
            continue
        better.append(beats(element, best, largest))
        best = select(better[-1], element, best)
    return better


def gathered_winners(
    tangents: Operand, x: Operand, largest: bool, start: Any, params: dict[str, Any]
) -> Map | None:
    """Of every window the tangent at the place that wins; None for large windows."""
    places = WindowPlaces(x.shape, params)
    if size_of(places.window) > LARGEST_SCAN:
        return None

    def at(index: IndexTuple) -> Expr:
        better = wins(x, places, index, largest, start)
        elements = [
            tangents.at(*places.at(index, [Affine(k) for k in offset]))
            for offset in places.offsets()
        ]
        out = elements[0]
        for better_here, element in zip(better, elements[1:], strict=True):
            out = select(better_here, element, out)
        return out

    return Map(at)


def scattered_winners(
    source: Operand, x: Operand, largest: bool, start: Any, params: dict[str, Any]
) -> Scatter | None:
    """The source of every window added at the place that wins; None for large windows."""
    places = WindowPlaces(x.shape, params)
    if size_of(places.window) > LARGEST_SCAN:
        return None

    def winner(index: IndexTuple) -> tuple[list[Affine], Expr | None]:
        better = wins(x, places, index, largest, start)
        offsets = places.offsets()
        place: list[Affine] = []
        for axis, size in enumerate(places.window):
            if size == 1:
                place.append(zero_index)
                continue
            chosen: Expr = const(0, loops.int64)
            for better_here, offset in zip(better, offsets[1:], strict=True):
                chosen = select(better_here, const(offset[axis], loops.int64), chosen)
            place.append(index_of(chosen))
        return places.at(index, place)

    def base(index: IndexTuple) -> Expr:
        return const(0, source.dtype)

    def target(index: IndexTuple) -> IndexTuple:
        return tuple(winner(index)[0])

    def guard(index: IndexTuple) -> Expr | None:
        return winner(index)[1]

    return Scatter("add", base, source.shape, target, source.at, guard)


# Convolution.


def convolved(
    lhs: Operand, rhs: Operand, out: ShapedArray, work: np.dtype[Any], params: dict[str, Any]
) -> Fold:
    """The sum over features of a group and places of the kernel."""
    numbers = params["dimension_numbers"]
    lhs_spec: tuple[int, ...] = numbers.lhs_spec
    rhs_spec: tuple[int, ...] = numbers.rhs_spec
    out_spec: tuple[int, ...] = numbers.out_spec
    groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    outs, features = (rhs.shape[a] for a in rhs_spec[:2])
    window = [rhs.shape[a] for a in rhs_spec[2:]]
    places = WindowPlaces(
        [lhs.shape[a] for a in lhs_spec[2:]],
        {
            "window_dimensions": tuple(window),
            "window_strides": params["window_strides"],
            "window_dilation": params["rhs_dilation"],
            "base_dilation": params["lhs_dilation"],
            "padding": params["padding"],
        },
    )
    # Folded in the order of the array's axes, so that the innermost loop runs through memory.
    order = sorted(range(1, len(lhs_spec)), key=lhs_spec.__getitem__)
    extents = (features, *window)
    images = out.shape[out_spec[0]]

    def at(index: IndexTuple, folded: IndexTuple) -> Expr:
        ordered = [index[a] for a in out_spec]
        inner = dict(zip(order, folded, strict=True))
        feature, place = inner[1], [inner[2 + i] for i in range(len(window))]
        moved, inside = places.at(tuple(ordered[2:]), place)
        image, channel = ordered[0], feature
        if batch_groups > 1:
            group, _ = divmod_index(ordered[1], outs // batch_groups)
            image = image + group * images
        elif groups > 1:
            group, _ = divmod_index(ordered[1], outs // groups)
            channel = channel + group * features
        left = lhs.at(placed(lhs_spec, (image, channel, *moved)), inside)
        right = rhs.at(placed(rhs_spec, (ordered[1], feature, *place)))
        return apply("mul", cast(left, work), cast(right, work))

    return Fold("add", tuple(extents[i - 1] for i in order), at, work)


def placed(spec: Sequence[int], values: Sequence[Affine]) -> IndexTuple:
    """The index whose axis spec[i] is values[i]."""
    return tuple(values[spec.index(axis)] for axis in range(len(spec)))
