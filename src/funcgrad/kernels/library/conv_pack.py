"""Copies of a box of an array in another order, with zeros where the box leaves the array.

The one idea: the copy is a nest of loops sorted by the source's strides, so that memory is read
in its own order whatever order is written; what lies outside is filled beforehand, and the loops
run over what lies inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from .conv_code import Code, Value


class Side(NamedTuple):
    """An axis of a box.

    Attributes:
        extent: of the box.
        stride: of the source in memory.
        pitch: of the copy in memory.
        start: where the box starts in the source, perhaps outside.
        size: of the source; outside [0, size) are zeros.
        repeat: how many neighbours of the copy see the same element of the source.
        is_sure: whether the box is known not to leave the source along this axis.
    """

    extent: int
    stride: int
    pitch: int
    start: Value = 0
    size: Value = 0
    repeat: int = 1
    is_sure: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether all of the box is known to lie within the source."""
        if isinstance(self.start, int) and isinstance(self.size, int):
            return 0 <= self.start <= self.size - self.extent
        return self.is_sure


def pitches(extents: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Strides of a dense array whose axes lie in this order, outermost first."""
    out, step = [0] * len(extents), 1
    for axis in reversed(order):
        out[axis] = step
        step *= extents[axis]
    return tuple(out)


class Run(NamedTuple):
    """A loop of a copy: how often, a known divisor of that, and the axis it steps along."""

    times: Value
    unit: int
    side: Side


def pack(code: Code, into: str, source: str, sides: Sequence[Side]) -> None:
    """The box of `source` (a pointer to its element 0) written densely from `into` on."""
    if not all(side.is_inside for side in sides):
        code.fill(into, prod(side.extent for side in sides))
    runs: list[Run] = []
    for side in sorted(sides, key=lambda s: (abs(s.stride), s.pitch), reverse=True):
        if side.is_inside:
            low, high = 0, side.extent
        else:
            low = code.clamp(code.sub(0, side.start), 0, side.extent)
            high = code.clamp(code.sub(side.size, side.start), low, side.extent)
        if side.repeat == 1:
            first = code.add(side.start, low)
            into = code.at(into, code.mul(low, side.pitch))
            source = code.at(source, code.mul(first, side.stride))
        times = code.sub(high, low) if side.repeat == 1 else high
        runs.append(Run(times, times if isinstance(times, int) else 1, side))
    _nest(code, into, source, _joined(code, runs))


def _joined(code: Code, runs: list[Run]) -> list[Run]:
    """The same nest with loops joined that step alike; loops of one step left out."""
    out: list[Run] = []
    for run in runs:
        times, _, side = run
        if times == 1 and side.repeat == 1:
            continue
        if out and isinstance(times, int) and side.repeat == 1:
            outer, unit, above = out[-1]
            if (above.stride, above.pitch) == (side.stride * times, side.pitch * times):
                out[-1] = Run(code.mul(outer, times), unit * times, side)
                continue
        out.append(run)
    return out


def _nest(code: Code, into: str, source: str, runs: list[Run]) -> None:
    if not runs:
        code.store(code.load(source, 0), into, 0)
        return
    (times, unit, side), inner = runs[0], runs[1:]
    if not inner and side.repeat == 1 and side.pitch == 1:
        code.copy(into, source, times, unit, side.stride)
        return
    with code.loop(0, times) as i:
        if side.repeat == 1:
            from_ = code.mul(i, side.stride)
        else:
            from_ = code.mul(code.div(code.add(side.start, i), side.repeat), side.stride)
        _nest(code, code.at(into, code.mul(i, side.pitch)), code.at(source, from_), inner)
