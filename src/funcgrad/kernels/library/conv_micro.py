"""The micro-kernel of every convolution here: a sum of outer products held in registers.

           V vectors of the right side
           w0          w1
    x0   acc[0][0]   acc[0][1]        at each step of the contraction, T elements of the left side
    x1   acc[1][0]   acc[1][1]        (at fixed distances from one moving pointer, each in all
    …                                 lanes) meet V vectors of the right side: T + V loads for
    xT   acc[T][0]   acc[T][1]        T * V fused multiply-adds, and nothing is stored

Forward, x are T output pixels' inputs and w are channels; for weights, x are taps and w channels
of the gradient. With `lanewise`, x are vectors too (each channel has its own kernel). The
contraction is a nest of loops; each moves both pointers by constant steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .conv_code import Code, Value


class Tile(NamedTuple):
    """What is held in registers.

    Attributes:
        left: offsets of the T elements of the left side.
        right: offsets of the V vectors of the right side.
        lanes: elements in a vector.
        lanewise: whether the left side is vectors.
    """

    left: tuple[Value, ...]
    right: tuple[int, ...]
    lanes: int
    lanewise: bool = False


class Level(NamedTuple):
    """A loop of the contraction: how often, and how far each side's pointer moves a step."""

    times: Value
    left: Value
    right: Value


class Ahead(NamedTuple):
    """What is fetched into cache on the way: how many lines each step, and how far to the next."""

    place: str
    move: Value
    lines: int = 1


def merged(levels: Sequence[Level]) -> list[Level]:
    """The same nest without loops of one step, and with loops joined that step alike."""
    out: list[Level] = []
    for level in levels:
        if level.times == 1:
            continue
        if out and isinstance(level.times, int) and isinstance(out[-1].times, int):
            outer, count = out[-1], level.times
            if (outer.left, outer.right) == (level.left * count, level.right * count):
                out[-1] = Level(count * outer.times, level.left, level.right)
                continue
        out.append(level)
    return out


def outer_products(
    code: Code,
    tile: Tile,
    levels: Sequence[Level],
    left: str,
    right: str,
    ahead: Sequence[Ahead] = (),
) -> list[str]:
    """The T * V sums (T outermost) over a nest of loops from these pointers on.

    Args:
        ahead: of nests of one loop only.
    """
    sums = [code.zero(tile.lanes)] * len(tile.left) * len(tile.right)
    places = [left, right, *(a.place for a in ahead)]
    return _nest(code, tile, merged(levels), places, ahead, sums)


def _nest(
    code: Code,
    tile: Tile,
    levels: list[Level],
    places: list[str],
    ahead: Sequence[Ahead],
    sums: list[str],
) -> list[str]:
    left, right, *others = places
    if not levels:
        for place, (_, _, lines) in zip(others, ahead, strict=True):
            for i in range(lines):
                code.prefetch(place, i * (64 // code.size), 0)
        return _step(code, tile, left, right, sums)
    level, inner = levels[0], levels[1:]
    moves = [level.left, level.right, *(a.move for a in ahead)]
    kind = code.vector(tile.lanes)
    carried = [*(("ptr", p) for p in places), *((kind, s) for s in sums)]
    with code.carrying(level.times, carried) as loop:
        here, held = loop.carried[: len(moves)], loop.carried[len(moves) :]
        found = _nest(code, tile, inner, here, ahead, held)
        loop.next = [*(code.at(p, m) for p, m in zip(here, moves, strict=True)), *found]
    return loop.results[len(moves) :]


def _step(code: Code, tile: Tile, left: str, right: str, sums: list[str]) -> list[str]:
    lanes, width = tile.lanes, len(tile.right)
    vectors = [code.load(right, offset, lanes) for offset in tile.right]
    out: list[str] = []
    for t, offset in enumerate(tile.left):
        if tile.lanewise:
            x = code.load(left, offset, lanes)
        else:
            x = code.broadcast(left, offset, lanes)
        held = sums[t * width : (t + 1) * width]
        out += [code.fma(x, w, s, lanes) for w, s in zip(vectors, held, strict=True)]
    return out
