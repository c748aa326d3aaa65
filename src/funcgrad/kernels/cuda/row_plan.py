"""What of a row its threads keep for later loops over it: registers first, then shared memory.

In: a launch of plan whose teams go through rows. Out: the same with a `Row`, and as many threads as
suit it. The one idea: every loop over a row gives a lane the same elements, so what it has read or
made it can keep for itself, without waiting for others: so many in registers, so many in the memory
that the launch asks for; only what no block can keep is read again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ...ir.loops import Affine, Axis, Expr, IndexTuple
from ...ir.nests import Accumulate, Buffer, For, Node, Store, expressions, loads_of, offset_of
from .apart import accesses, independent, loops_in
from .hazards import shared_chain
from .limits import most_shared
from .plan import (
    BLOCK_THREADS,
    MOST_WIDE,
    WARP,
    WARP_ROW,
    WIDE_BYTES,
    CudaLaunch,
    is_side_by_side,
    shared_inside,
)

# A place in a row, whichever loop goes along it: buffer, offset, steps of outer axes and its own.
Key = tuple[Buffer, int, frozenset[tuple[Axis, int]], int]
# A thread keeps so many words in registers, and of a warp's row twice as many.
_USUAL, _BY_WARP = 32, 64
# Rows of so many words are done by blocks of 256 threads, longer ones by twice as many; of those
# beyond, a multiprocessor has one at a time.
_SHORT, _LONG = 32 * BLOCK_THREADS, 128 * BLOCK_THREADS


class Piece(NamedTuple):
    """Vectors of a row that each lane has: where they are kept, the first one, and how many.

    `lanes`: how many lanes have them, where a row ends; 0: all.
    """

    where: str
    first: int
    vectors: int
    lanes: int


@dataclass(frozen=True)
class Row:
    """What is kept of the rows of a launch.

    Attributes:
        loops: those that go along a row; `wide`: how many neighbours a lane does together.
        team: how many lanes share a row.
        values: the places that are read again: of operands, and of rows that loops make.
        registers: elements of each value that a lane has in registers, `shared`: in shared memory.
        roomy: whether a thread needs more registers than it has beside 1023 others.
        parts: whether a block has a part of a row, of which it keeps nothing.
        left: what loops leave in the place of elements that later ones need no more, and `instead`:
            for expressions of these, by identity, where that is.
    """

    loops: tuple[For, ...]
    wide: int
    team: int
    values: dict[Key, tuple[Buffer, IndexTuple, Axis]]
    registers: int
    shared: int
    roomy: bool = False
    parts: bool = False
    left: dict[int, tuple[tuple[Expr, Key], ...]] = field(default_factory=lambda: {})
    instead: dict[int, Key] = field(default_factory=lambda: {})

    @property
    def extent(self) -> int:
        """Elements of a row."""
        return self.loops[0].axis.extent

    @property
    def each(self) -> int:
        """Elements that a lane has of a row, at most."""
        return _each(self.extent, self.wide, self.team)

    @property
    def again(self) -> int:
        """Elements of a row that no lane keeps."""
        kept = min((self.registers + self.shared) * self.team, self.extent)
        return self.extent - kept if self.values else 0

    def pieces(self) -> list[Piece]:
        """The vectors of a row by where they are kept, the last ones of some lanes apart."""
        sweep = self.wide * self.team
        full, end = self.extent // sweep, self.each // self.wide
        found: list[Piece] = []
        first = 0
        for where, stop in (
            ("registers", self.registers // self.wide),
            ("shared", (self.registers + self.shared) // self.wide),
            ("memory", end),
        ):
            if first < min(stop, full):
                found.append(Piece(where, first, min(stop, full) - first, 0))
            if first <= full < stop:
                found.append(Piece(where, full, 1, self.extent % sweep // self.wide))
            first = max(first, stop)
        return found

    def rooms(self) -> dict[Key, int]:
        """Where in the shared memory of a block each value begins, in elements of its kind."""
        found: dict[Key, int] = {}
        begun = 0
        for key in sorted(self.values, key=lambda k: -k[0].dtype.itemsize):
            found[key] = begun // key[0].dtype.itemsize
            begun += self.shared * self.team * key[0].dtype.itemsize
        return found


def key_in_row(buffer: Buffer, index: IndexTuple, axis: Axis) -> Key | None:
    """A place in a row; None for one that does not move along it, or that data decide."""
    offset = offset_of(buffer, index)
    step = offset.axes.get(axis, 0)
    if offset.dynamic or not step:
        return None
    return buffer, offset.const, frozenset(p for p in offset.axes.items() if p[0] is not axis), step


def with_rows(launch: CudaLaunch, target: str) -> CudaLaunch:
    """A launch with what its teams keep of rows; others as they are.

    Args:
        target: the GPU, for what a block can share.
    """
    if launch.kind == "chunks":
        return _in_parts(launch)
    loops = _loops(launch.body) if launch.kind in ("rows", "block") else []
    if not loops or (launch.kind == "block" and loops[0].axis.extent <= WARP_ROW):
        return launch  # a short row alone stays in the cache
    made = _made(launch, loops)
    read = _read(launch, loops)
    row = _fitting(launch, loops, read | made, target)
    if row.again and made:
        # Rows that loops make are kept whole or, as ever, where all threads have room for them.
        row = _fitting(launch, loops, read, target)
    if not row.values and row.wide == 1:
        return launch
    kept = {key[0] for key in row.values}
    launch.scratch = [b for b in launch.scratch if b not in kept]
    if launch.threads == launch.team:
        launch.threads = launch.team = row.team
    launch.shared = sum(row.shared * row.team * b.dtype.itemsize for b, *_ in row.values)
    launch.row = row
    return launch


def _in_parts(launch: CudaLaunch) -> CudaLaunch:
    """A launch by parts of rows, with how many neighbours are done together."""
    loops = [n for n in launch.body if isinstance(n, For) and n.chunked]
    if not loops or any(loops_in(n.body) or not independent(n) for n in loops):
        return launch
    if not all(isinstance(n, Store | Accumulate) for loop in loops for n in loop.body):
        return launch
    wide = _wide(launch, loops, launch.team, launch.kernel.grain)
    if wide > 1:
        launch.row = Row(tuple(loops), wide, launch.team, {}, 0, 0, parts=True)
    return launch


def _loops(body: list[Node]) -> list[For]:
    """The loops along the longest rows; none where some loop would give a lane other elements."""
    loops = [n for n in body if isinstance(n, For) and n.axis.extent != 1]
    if not all(independent(n) and not n.chunked and not shared_inside(n.body) for n in loops):
        return []
    longest = max((n.axis.extent for n in loops), default=0)
    found = [n for n in loops if n.axis.extent == longest and len(shared_chain(n)) == 1]
    known = (Store, Accumulate)
    plain = not any(
        loops_in(n.body) or not all(isinstance(x, known) for x in n.body) for n in found
    )
    return found if plain else []


def _read(launch: CudaLaunch, loops: list[For]) -> dict[Key, tuple[Buffer, IndexTuple, Axis]]:
    """Places of operands that several loops read, those that most do first."""
    outer = {loop.axis for loop in launch.grid}
    closed = {*launch.written, *launch.scratch}
    count: Counter[Key] = Counter()
    found: dict[Key, tuple[Buffer, IndexTuple, Axis]] = {}
    for loop in loops:
        keys: dict[Key, tuple[Buffer, IndexTuple, Axis]] = {}
        for buffer, index in ends_of(loop, stores=False):
            key = key_in_row(buffer, index, loop.axis)
            if key is not None and buffer not in closed and {a for a, _ in key[2]} <= outer:
                keys[key] = buffer, index, loop.axis
        count.update(list(keys))
        found = keys | found
    return {key: found[key] for key, n in count.most_common() if n > 1}


def _made(launch: CudaLaunch, loops: list[For]) -> dict[Key, tuple[Buffer, IndexTuple, Axis]]:
    """Rows that loops make for later ones, of which a lane touches its own elements only."""
    found: dict[Key, tuple[Buffer, IndexTuple, Axis]] = {}
    for buffer in launch.scratch:
        here = [(a, loop.axis) for loop in loops for a in accesses(loop.body) if a.buffer is buffer]
        all_here = sum(a.buffer is buffer for a in accesses(launch.body)) == len(here)
        keys = {key_in_row(buffer, a.place, axis) for a, axis in here}
        stores = [n for loop in loops for n in loop.body if isinstance(n, Store)]
        plain = not any(n.target is buffer and (n.combine or n.guard) for n in stores)
        own: Key = (buffer, 0, frozenset(), 1)
        if all_here and plain and keys == {own}:
            access, axis = here[0]
            found[own] = buffer, access.place, axis
    return found


def ends_of(loop: For, stores: bool = True) -> list[tuple[Buffer, IndexTuple]]:
    """Places that the turns of a loop touch whatever the data are."""
    found: list[tuple[Buffer, IndexTuple]] = []
    for node in loop.body:
        assert isinstance(node, Store | Accumulate)
        reads = [x for x in loads_of(*expressions(node)) if x.guard is None and x.source.size]
        found += [(x.source, x.index) for x in reads]
        if stores and isinstance(node, Store) and node.guard is None and node.target.size:
            found.append((node.target, node.index))
    return found


def _fitting(
    launch: CudaLaunch,
    loops: list[For],
    values: dict[Key, tuple[Buffer, IndexTuple, Axis]],
    target: str,
) -> Row:
    """The row with as much of it kept as there is room for."""
    words, extent, team = _words(values), loops[0].axis.extent, launch.team
    by_warp = launch.threads > team
    if values and not by_warp:
        team = BLOCK_THREADS if extent * words <= _SHORT else 2 * BLOCK_THREADS
    wide = _wide(launch, loops, team, extent)
    each = _each(extent, wide, team)
    if not values:
        return Row(tuple(loops), wide, team, values, 0, 0)
    sizes = [key[0].dtype.itemsize for key in values]
    # Arithmetic of eight bytes takes more registers itself, as do vectors of eight numbers.
    wider = max(max(sizes) // 4, 1)
    kept = {key[0] for key in values}
    others = sum(b.bytes for b in launch.scratch if b not in kept) * (launch.threads // launch.team)
    room = 0 if by_warp else max(most_shared(target) - others - _rooms(launch.body), 0)
    most = (_BY_WARP if by_warp else _USUAL) // wider
    registers = min(each, most // words // wide * wide)
    shared = min(each - registers, room // (team * sum(sizes)) // wide * wide)
    full = registers * words > _USUAL // 2
    alone = not by_warp and extent * words > _LONG
    roomy = alone or wider > 1 or (full and wide == MOST_WIDE) or registers * words > _USUAL
    return Row(tuple(loops), wide, team, values, registers, shared, roomy)


def _rooms(body: list[Node]) -> int:
    """Bytes of shared memory that folds of warps take, at most: 32 values of a type, and places."""
    accs = [acc for loop in loops_in(body) for acc in loop.accs]
    kinds = {(acc.value_dtype.name, acc.value_dtype.itemsize) for acc in accs}
    places = max((8 for acc in accs if acc.positional), default=0)
    return WARP * (sum(size for _, size in kinds) + places)


def _words(values: dict[Key, tuple[Buffer, IndexTuple, Axis]]) -> int:
    """Registers that an element of all values takes."""
    return sum(max(key[0].dtype.itemsize, 4) // 4 for key in values)


def _each(extent: int, wide: int, team: int) -> int:
    return -(-extent // (wide * team)) * wide


def _wide(launch: CudaLaunch, loops: list[For], team: int, extent: int) -> int:
    """How many neighbours a lane does together: all that lies side by side is moved so.

    Args:
        extent: elements of a row, or of a part of one.
    """
    ends: list[tuple[Affine, Axis, int]] = []
    for loop in loops:
        for buffer, index in ends_of(loop):
            offset = offset_of(buffer, index)
            beside = not offset.dynamic and offset.axes.get(loop.axis) == 1
            if beside and buffer not in launch.scratch:
                ends.append((offset, loop.axis, buffer.dtype.itemsize))
    if not ends:
        return 1
    wide = min(WIDE_BYTES // min(size for *_, size in ends), MOST_WIDE)
    while wide > 1:
        fits = extent % wide == 0 and extent >= wide * team
        if fits and all(is_side_by_side(offset, axis, wide) for offset, axis, _ in ends):
            break
        wide //= 2
    return max(wide, 1)
