"""What gather, scatter and the dynamic slices read and write, element by element.

In: the operands as a rule of lowering sees them, and dimension numbers. Out: `Map` or `Scatter`.
The one idea: an index vector is read once for an element, and its start is brought into bounds,
or guards the access, before memory is touched, so that no index leaves its buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir import loops
from ..ir.loops import (
    Affine,
    Apply,
    Axis,
    Const,
    Expr,
    IndexTuple,
    Map,
    Operand,
    apply,
    axis_index,
    both,
    clamped,
    const,
    in_range,
    index_of,
    select,
    value_of,
    zero_index,
)

_greatest = np.iinfo(np.int64).max


def start_of(x: Expr) -> Affine:
    """An integer of any dtype as an index; what int64 cannot hold becomes its greatest value."""
    if isinstance(x, Const):
        return Affine(min(int(x.value), _greatest))
    if x.dtype == np.dtype(np.uint64):
        x = Apply("min", (x, const(_greatest, np.uint64)), x.dtype)
    return index_of(x)


def window_starts(
    shape: Sequence[int], starts: Sequence[Operand], sizes: Sequence[int]
) -> list[Affine]:
    """Starts of a window of these sizes, moved inside of the shape."""
    return [
        clamped(start_of(s.at(())), n - size) if n > size else zero_index
        for n, s, size in zip(shape, starts, sizes, strict=False)
    ]


def sliced(x: Operand, starts: Sequence[Operand], sizes: Sequence[int]) -> Map:
    """The window of x at the starts."""

    def at(index: IndexTuple) -> Expr:
        first = window_starts(x.shape, starts, sizes)
        moved = [i + s for i, s in zip(index, first, strict=False)]
        return x.at((*moved, *index[len(sizes) :]))

    return Map(at)


def updated(x: Operand, update: Operand, starts: Sequence[Operand]) -> Map:
    """x with its window at the starts replaced."""
    if 0 in update.shape:
        return Map(x.at)

    def at(index: IndexTuple) -> Expr:
        first = window_starts(x.shape, starts, update.shape)
        moved = [i - s for i, s in zip(index, first, strict=False)]
        inside: Expr | None = None
        for i, n in zip(moved, update.shape, strict=False):
            inside = both(inside, in_range(i, n))
        element = update.at((*moved, *index[len(starts) :]), inside)
        return element if inside is None else select(inside, element, x.at(index))

    def target(index: IndexTuple) -> IndexTuple:
        first = window_starts(x.shape, starts, update.shape)
        moved = [i + s for i, s in zip(index, first, strict=False)]
        return (*moved, *index[len(starts) :])

    return Map(at, loops.Scatter("set", x.at, update.shape, target, update.at, always, True))


def always(index: IndexTuple) -> None:
    """No update is left out."""


class IndexedWindows:
    """Where windows of a gather or scatter lie in the operand.

    Attributes:
        numbers: `GatherDimensionNumbers`, or those of a scatter in the same order.
        window_dims: the axes, of the array that has one window for each index vector, that run
            through the windows.
        clip: whether starts are moved inside; else windows not inside are left out.
    """

    def __init__(
        self,
        shape: Sequence[int],
        indices: Operand,
        numbers: Any,
        sizes: Sequence[int],
        clip: bool,
    ) -> None:
        axes: Sequence[tuple[int, ...]] = numbers
        self.window_dims, collapsed, self.start_map, batching, index_batching = axes
        self.kept = [d for d in range(len(sizes)) if d not in (*collapsed, *batching)]
        self.batching = dict(zip(batching, index_batching, strict=True))
        self.last = [n - size for n, size in zip(shape, sizes, strict=False)]
        self.rank = len(indices.shape) - 1 + len(self.window_dims)
        self.indices = indices
        self.clip = clip

    def place(self, index: IndexTuple) -> tuple[IndexTuple, Expr | None]:
        """The operand's index for an index of the other array, and whether its window is inside."""
        batch = [i for d, i in enumerate(index[: self.rank]) if d not in self.window_dims]
        window = dict(zip(self.kept, (index[d] for d in self.window_dims), strict=True))
        starts: dict[int, Affine] = {d: batch[axis] for d, axis in self.batching.items()}
        inside: Expr | None = None
        for component, d in enumerate(self.start_map):
            if self.clip and self.last[d] == 0:
                continue
            start = start_of(self.indices.at((*batch, Affine(component))))
            if self.clip:
                starts[d] = clamped(start, self.last[d])
            else:
                inside = both(inside, in_range(start, self.last[d] + 1))
                starts[d] = start
        places = [
            starts.get(d, zero_index) + window.get(d, zero_index) for d in range(len(self.last))
        ]
        return (*places, *index[self.rank :]), inside


def gathered(x: Operand, windows: IndexedWindows, fill: Any) -> Map:
    """The elements of windows of x; `fill` where one is not inside."""

    def at(index: IndexTuple) -> Expr:
        place, inside = windows.place(index)
        element = x.at(place, inside)
        if inside is None:
            return element
        return select(inside, element, const(np.asarray(fill).astype(x.dtype)[()], x.dtype))

    return Map(at)


def scattered(
    op: str, x: Operand, updates: Operand, windows: IndexedWindows, apart: bool
) -> loops.Scatter | Map:
    """x with the updates set or folded in at their windows, one whole window after the other.

    Where each row of x has one update, an element asks whether it is that one's.
    """
    inner = windows.window_dims
    order = [d for d in range(len(updates.shape)) if d not in inner]
    order[windows.rank - len(inner) : windows.rank - len(inner)] = inner

    def ordered(index: IndexTuple) -> IndexTuple:
        return tuple(index[order.index(d)] for d in range(len(order)))

    def target(index: IndexTuple) -> IndexTuple:
        return windows.place(ordered(index))[0]

    def guard(index: IndexTuple) -> Expr | None:
        return windows.place(ordered(index))[1]

    def update(index: IndexTuple) -> Expr:
        return updates.at(ordered(index))

    extents = tuple(updates.shape[d] for d in order)
    several = loops.Scatter(op, x.at, extents, target, update, guard, apart)
    return _one_a_row(several, x) or several


def _one_a_row(scatter: loops.Scatter, x: Operand) -> Map | None:
    """The same element by element, if the axes of the updates are axes of x, gone over whole."""
    axes = [Axis(n, "u") for n in scatter.extents]
    place = scatter.target(tuple(map(axis_index, axes)))
    homes: list[int | None] = []
    for axis in axes:
        here = [d for d, i in enumerate(place) if i.is_axis(axis) and x.shape[d] == axis.extent]
        if not here and axis.extent != 1:
            return None
        homes.append(here[0] if here else None)
    rows = {d for d in homes if d is not None}
    if not rows or len(rows) == len(place):
        return None

    def at(index: IndexTuple) -> Expr:
        mine = tuple(zero_index if d is None else index[d] for d in homes)
        here = scatter.guard(mine)
        for d, goal in enumerate(scatter.target(mine)):
            if d not in rows and not index[d].same(goal):
                here = both(here, apply("eq", value_of(index[d]), value_of(goal)))
        old, new = x.at(index), scatter.update(mine)
        new = new if scatter.op == "set" else apply(scatter.op, old, new)
        return new if here is None else select(here, new, old)

    return Map(at, scatter)
