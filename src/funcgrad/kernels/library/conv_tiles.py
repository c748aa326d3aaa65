"""How much a micro-kernel holds in registers, and how the work is cut into chunks.

In: extents. Out: tiles and parts, from sizes alone, so that equal sizes give equal sums whatever
the number of threads. The one idea: a tile that meets the end of an axis moves back to fit, and
computes some outputs again; extents and tiles are matched so that this is little work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

# Two loads and two fused multiply-adds start every cycle, and an add waits 4 cycles for the last.
LATENCY = 4.5
# What a tile of several images costs, over one of neighbours, where outputs share inputs: fewer
# rows of each are copied at once, so more are copied twice, and what the next tile reads again has
# left the first cache.
IMAGES = 1.05


class Shape(NamedTuple):
    """Extents of a tile along each axis of the left side, and vectors of the right side."""

    left: tuple[int, ...]
    vectors: int


def registers(vector_bits: int) -> int:
    """How many vector registers there are."""
    return 32 if vector_bits == 512 else 16


@lru_cache(maxsize=1024)
def choose(
    counts: tuple[int, ...],
    vectors: int,
    limit: int,
    steps: int,
    scattered: int,
    lanewise: bool,
    images: float = 1.0,
) -> Shape:
    """The tile of least cost.

    Args:
        counts: extents of the left side's axes.
        vectors: how many vectors the right side has.
        limit: number of vector registers.
        steps: length of the contraction.
        scattered: elements of a vector that are stored one by one; 0 for whole vectors.
        lanewise: whether the left side is vectors.
        images: the cost of a tile of several elements of the first axis, over that of one.
    """
    best: tuple[float, Shape] | None = None
    for width in range(1, min(4, vectors) + 1):
        if lanewise and width > 1:
            break
        for left in _tiles(counts, (limit - width - 1) // width):
            count = prod(left)
            work = count * width
            loads = count + width
            tiles = prod(-(-n // t) for n, t in zip(counts, left, strict=True))
            cycles = max(work / 2, loads / 2, LATENCY, (work + loads + 4) / 5)
            finish = work * (scattered or 1) + 2 * count + 12
            total = tiles * -(-vectors // width) * (cycles * steps + finish)
            total *= images if left[0] > 1 else 1.0
            # Of equal ones the one that is wide along the last axis reads neighbours.
            if best is None or (total, [-t for t in reversed(left)]) < (
                best[0],
                [-t for t in reversed(best[1].left)],
            ):
                best = total, Shape(left, width)
    assert best is not None
    return best[1]


def choose_rows(rows: int, places: int, lanes: int, channels: int, limit: int) -> tuple[int, int]:
    """Rows and vectors in a row of the tile of least cost where lanes run along rows.

    Args:
        rows, places: extents of the outputs.
        lanes: of a vector.
        channels: of the outputs, all held at once.
        limit: number of vector registers.
    """
    room = max(1, (limit - 1) // (channels + 1))
    best: tuple[float, int, int] | None = None
    for high in range(1, min(rows, room) + 1):
        for wide in range(1, min(room // high, max(1, places // lanes)) + 1):
            count = high * wide
            cycles = max(channels * count / 2, (channels + count) / 2, LATENCY)
            tiles = -(-rows // high) * -(-places // min(places, wide * lanes))
            cost = tiles * (cycles + 1)
            if best is None or (cost, -wide) < (best[0], -best[2]):
                best = cost, high, wide
    assert best is not None
    return best[1:]


def _tiles(counts: Sequence[int], room: int) -> Iterator[tuple[int, ...]]:
    """Extents of a box within counts whose size is at most room."""
    if not counts:
        yield ()
        return
    for first in range(1, min(counts[0], room) + 1):
        for rest in _tiles(counts[1:], room // first):
            yield (first, *rest)


class Parts(NamedTuple):
    """An axis cut into parts of whole tiles.

    Attributes:
        counts: extent of the axis in each phase.
        tile: extent of a tile.
        parts: how many parts.
    """

    counts: tuple[int, ...]
    tile: int
    parts: int

    @property
    def tiles(self) -> list[int]:
        """Number of tiles in each phase."""
        return [-(-n // self.tile) for n in self.counts]

    @property
    def longest(self) -> int:
        """The most elements a part can have."""
        return self.tile * -(-max(self.tiles) // self.parts)

    @property
    def is_even(self) -> bool:
        """Whether all parts have the same extent."""
        even = all(n % self.tile == 0 for n in self.counts)
        return even and all(n % self.parts == 0 for n in self.tiles)

    @property
    def can_split(self) -> bool:
        """Whether more parts are possible."""
        return self.parts < min(self.tiles)

    def split(self) -> Parts:
        """The same axis in about twice as many parts."""
        return self._replace(parts=min(2 * self.parts, min(self.tiles)))
