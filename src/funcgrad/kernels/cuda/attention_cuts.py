"""How attention by tensor cores is cut into tiles: what a warp has, what goes by, where it lies.

In: an attention, a step of it, a GPU. Out: a `Cut`, and the rooms of its tiles in shared memory.
The one idea: a matrix fetched from shared memory serves all rows of a warp, so a warp has 32 rows
wherever registers hold their sums; where they do not, warps that share rows have columns each.

    fetches for a product of a warp, in words of 128 bytes, by high · 16 rows of it and
    `part` of those that go by (each fetch is 4 words, and serves two products for each 16 rows)

        scores            (high + part / 16) · 4 / (high · part / 8)
        sums              4 / (2 · high)          where weights are in registers
                          (1 + wide / (across · 16 · high)) · 4 · high / (high · wide / across / 8)

    A multiprocessor fetches a word a cycle; on one of sm_90 `mma.sync` takes about 1.6 cycles.

Source: PTX ISA, "ldmatrix"; Dao, arXiv:2307.08691, for 32 rows of a warp.
"""

from __future__ import annotations

from typing import NamedTuple

from ...errors import CompileError
from .attention import Attention
from .limits import PLAIN, most_shared
from .plan import WARP
from .products import WANTED_BLOCKS

# Numbers of 16 bits in the 16 bytes that are moved at once; also the words of a step.
PIECE = 8
STEP = 16
# Rows of so many numbers begin in the same bank, and are powers of two in words: exchanging pieces
# by their bits touches no bit of a row's number.
_CROSSED = (64, 128, 256)
# What begins there begins at a multiple of the longest row, in words.
_LINE = 128
# Queries of a head are known by so many, which all tiles divide.
KNOWN = 64
OWN = {"forward": ("query",), "queries": ("query", "ct"), "keys": ("key", "value")}
OTHERS = {"forward": ("key", "value"), "queries": ("key", "value"), "keys": ("query", "ct")}
# So many warps keep a multiprocessor busy; what it keeps of each block for itself.
_BUSY, _KEPT = 8, 1 << 10


def padded(width: int, step: int = STEP) -> int:
    """Numbers of a row of a tile: whole steps of products."""
    return -(-width // step) * step


class Cut(NamedTuple):
    """How a kernel is cut.

    Attributes:
        high: a warp's own rows are so many times 16.
        warps: those of a block.
        tile: how many rows go by at once.
        across: warps that share their rows: each has a part of the scores, and of the columns.
        twice: whether the next tiles come while these are multiplied.
    """

    high: int
    warps: int
    tile: int
    across: int = 1
    twice: bool = False

    @property
    def rows(self) -> int:
        """Own rows of a block."""
        return STEP * self.high * self.warps // self.across

    @property
    def part(self) -> int:
        """Of those that go by, how many a warp has scores with."""
        return self.tile // self.across

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return WARP * self.warps


class Room(NamedTuple):
    """A tile in shared memory: of which operand, from which word on, words of a row, rows.

    `width`: numbers of a row, `wide`: the same with zeros. `goes`: whether it has two places.
    """

    name: str
    offset: int
    pitch: int
    rows: int
    width: int
    wide: int
    goes: bool = False

    @property
    def crossed(self) -> bool:
        """Whether pieces of a row are exchanged by its number."""
        return self.wide in _CROSSED

    def at(self, lane: str, step: str, rows: str) -> str:
        """The word where a lane's piece of a step begins, which are two pieces."""
        how = "^" if self.crossed else "+"
        lane = f"({lane} + now)" if self.goes else lane
        return plus(f"({lane} {how} {PIECE} * {step})", rows, str(self.offset))


class Rooms(NamedTuple):
    """Where everything lies in shared memory.

    Attributes:
        tiles: by operand; weights and slopes that warps share too.
        stats: the word from which on what is known of the queries of a tile lies.
        span: words from the first place of what goes by to its second one.
        words: all of them.
    """

    tiles: dict[str, Room]
    stats: int
    span: int
    words: int

    @property
    def asked_for(self) -> int:
        """Bytes that a launch asks for: none where every GPU gives so many."""
        return 0 if 4 * self.words <= PLAIN else 4 * self.words


def plus(*terms: str) -> str:
    """A sum without what is 0."""
    return " + ".join(t for t in terms if t != "0") or "0"


def rooms_of(a: Attention, cut: Cut, step: str, stats: int) -> Rooms:
    """The rooms of a kernel; `stats`: numbers that are known of each query that goes by."""
    found: dict[str, Room] = {}
    size = 0

    def add(name: str, rows: int, width: int, wide: int, goes: bool = False) -> None:
        nonlocal size
        pieces = wide // PIECE
        pitch = 4 * (pieces if wide in _CROSSED else pieces | 1)
        found[name] = Room(name, size, pitch, rows, width, wide, goes and cut.twice)
        size += pitch * rows

    def whole(name: str) -> tuple[int, int]:
        width = a.width_of(name)
        return width, padded(width, STEP * cut.across)

    for name in OWN[step]:
        add(name, cut.rows, *whole(name))
    for name in ("weights", "slopes") if cut.across > 1 else ():
        add(name, cut.rows, cut.tile, cut.tile)
    begun = size
    for name in OTHERS[step]:
        add(name, cut.tile, *whole(name), goes=True)
    at = size
    span = padded(size + stats * cut.tile - begun, _LINE)
    return Rooms(
        found, at, span, begun + (2 * span if cut.twice else at + stats * cut.tile - begun)
    )


# By step and the widest head: the best cut first; the last ones are for few queries, and for GPUs
# that have no more shared memory than all have.
_CUTS = {
    "forward": {
        64: [Cut(2, 4, 64), Cut(1, 4, 64)],
        128: [Cut(2, 4, 32), Cut(1, 4, 32)],
        256: [Cut(1, 8, 64), Cut(1, 4, 32), Cut(1, 2, 32), Cut(1, 1, 32)],
    },
    "queries": {
        64: [Cut(2, 4, 32, twice=True), Cut(2, 4, 32), Cut(1, 4, 32)],
        128: [Cut(2, 4, 32, twice=True), Cut(2, 4, 32), Cut(1, 4, 32)],
        256: [Cut(1, 4, 32, twice=True), Cut(1, 4, 32), Cut(1, 1, 16)],
    },
    "keys": {
        64: [Cut(2, 8, 32, twice=True), Cut(1, 4, 32)],
        96: [Cut(2, 8, 64, 2, True), Cut(2, 8, 64, 2), Cut(1, 4, 32)],
        # Registers for the places that 128 numbers have, and for where a row ends, are too many.
        127: [Cut(2, 8, 32, 2, True), Cut(2, 8, 32, 2), Cut(1, 4, 32), Cut(1, 2, 32)],
        128: [Cut(2, 8, 64, 2, True), Cut(2, 8, 64, 2), Cut(1, 4, 32), Cut(1, 2, 32)],
        256: [Cut(2, 8, 64, 4, True), Cut(2, 8, 64, 4), Cut(1, 4, 32, 2), Cut(1, 2, 32, 2)],
    },
}


def cut_of(a: Attention, step: str, target: str, stats: int = 0) -> Cut:
    """The cut of a kernel, from sizes alone: the best one that registers and shared memory hold.

    Args:
        stats: as `rooms_of` has it.
    Raises:
        CompileError: nothing is known of the GPU, and what all have is too little.
    """
    wide = max(a.width, a.values)
    cuts = next(found for widest, found in _CUTS[step].items() if wide <= widest)
    most = most_shared(target)
    sizes = {cut: 4 * rooms_of(a, cut, step, stats).words for cut in cuts}
    fitting = [cut for cut in cuts if sizes[cut] <= most]
    busy = [cut for cut in fitting if cut.warps * ((most + _KEPT) // (sizes[cut] + _KEPT)) >= _BUSY]
    if not fitting:
        raise CompileError(
            f"attention with heads of {wide} has {min(sizes.values()) >> 10} KiB of tiles in the "
            f"shared memory of a block, and {target} is not known to have more than {most >> 10}. "
            "Give the bytes it has in funcgrad/kernels/cuda/limits.py, or use narrower heads."
        )
    heads, extent = a.batch * a.heads, a.columns
    if step != "keys":
        heads, extent = heads * a.group, a.rows
    for cut in busy or fitting:
        if heads * -(-extent // cut.rows) >= WANTED_BLOCKS:
            return cut
    return min(busy or fitting, key=lambda cut: cut.rows)
