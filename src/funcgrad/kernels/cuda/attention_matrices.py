"""Attention of 16-bit floats by tensor cores: scores stay in the registers that products leave.

In: an attention, as `attention` has it. Out: the text of its kernels. The one idea: a warp has
`high` · 16 positions of its own, and what a product of 16 × 16 by 16 × 8 leaves in a lane is what
the next product wants as its left side, so weights go from scores to values without being stored.

    fragment    lane = 4 · quad + turn has rows quad and quad + 8, columns 2 · turn and the next
    s[k]        of rows 16 · i + 8 · half + quad, columns 8 · (j // 2) + 2 · turn + j % 2, with
                k = tile / 2 · i + 4 · (j // 2) + 2 · half + j % 2
    tiles       words of two neighbours; eight rows that are fetched at once lie in different banks:
                their pieces of 16 bytes are exchanged, or rows have an odd number of pieces

Tiles come by copies that nobody waits for while other tiles are multiplied, where memory lies so
that 16 bytes can be moved at once. Scores are kept as logarithms to the base 2, unless there is a
bias, which may be so large that it leaves no room for the factor.

Source: Dao, arXiv:2307.08691; PTX ISA, "Matrix Fragments for mma.m16n8k16", "ldmatrix".
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .attention import MASKED, Attention, Tiles
from .plan import WARP
from .products import WANTED_BLOCKS
from .words import ALL_LANES, CudaLibrary

_LOG2_E = math.log2(math.e)
# Numbers of 16 bits in the 16 bytes that are moved at once; also the words of a step.
_PIECE = 8
STEP = 16
NARROW = 64


def plus(*terms: str) -> str:
    """A sum without what is 0."""
    return " + ".join(t for t in terms if t != "0") or "0"


def padded(width: int) -> int:
    """Numbers of a row of a tile: whole steps of products."""
    return -(-width // STEP) * STEP


class Cut(NamedTuple):
    """How a kernel is cut: a warp's own rows are `high` times 16, `tile` those that go by."""

    high: int
    warps: int
    tile: int

    @property
    def rows(self) -> int:
        """Own rows of a block."""
        return STEP * self.high * self.warps

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return WARP * self.warps


def cut_of(a: Attention, step: str) -> Cut:
    """The cut of a kernel, from sizes alone: what fits into 255 registers and 48 KiB."""
    wide = max(padded(a.width), padded(a.values)) > NARROW
    if step != "forward":
        return Cut(1, 4, 32 if wide else 64) if wide or step == "keys" else Cut(2, 4, 32)
    large = Cut(1, 8, 32) if wide else Cut(2, 4, 64)
    blocks = a.batch * a.heads * a.group * -(-a.rows // large.rows)
    return large if blocks >= WANTED_BLOCKS else Cut(1, 4, 32 if wide else 64)


class Room(NamedTuple):
    """A tile in shared memory: of which operand, from which word on, words of a row, rows."""

    name: str
    offset: int
    pitch: int
    rows: int
    width: int

    @property
    def crossed(self) -> bool:
        """Whether pieces of a row are exchanged by its number."""
        return padded(self.width) % NARROW == 0

    def at(self, lane: str, step: str, rows: str) -> str:
        """The word where a lane's piece of a step begins, which are two pieces."""
        how = "^" if self.crossed else "+"
        return plus(f"({lane} {how} {_PIECE} * {step})", rows, str(self.offset))


class Matrices(Tiles):
    """Writes what the kernels do with tiles in shared memory and in fragments."""

    def __init__(self, a: Attention, library: CudaLibrary, cut: Cut) -> None:
        super().__init__(a, library)
        self.cut = cut
        self.dtype = a.given["query"].dtype.name
        self.rooms: dict[str, Room] = {}
        # Scores are natural where a bias is added to them, else to the base 2.
        self.natural = "bias" in a.given

    # Where things are.

    def prepare(self, own: list[str], others: list[str], first: str, grouped: bool) -> None:
        """Which rows a block has, what a lane is, and the room of the tiles."""
        a, cut = self.a, self.cut
        extent = a.rows if first == "row" else a.columns
        self.line("lane = cuda.threadIdx.x")
        self.line(f"warp, mine = lane // {WARP}, lane % {WARP}")
        self.line("quad, turn = mine // 4, mine % 4")
        self.line("at = cuda.blockIdx.x")
        tiles = -(-extent // cut.rows)
        self.line(f"{first}, at = {cut.rows} * (at % {tiles}), at // {tiles}")
        if grouped:
            self.line(f"group, at = at % {a.group}, at // {a.group}")
        self.line(f"head, batch = at % {a.heads}, at // {a.heads}")
        self.line(f"own_row = {STEP * cut.high} * warp + quad")
        size = 0
        for name in [*own, *others]:
            width = self.width(name)
            pieces = padded(width) // _PIECE
            pitch = 4 * (pieces if padded(width) % NARROW == 0 else pieces | 1)
            rows = cut.rows if name in own else cut.tile
            self.rooms[name] = room = Room(name, size, pitch, rows, width)
            size += pitch * rows
            self._lanes(room, name in own)
        self.line(f"tiles = cuda.shared.array({size}, uint32)")
        both = " and ".join(f"aligned({n})" for n in self.rooms if self._movable(n))
        if both:
            self.line(f"moves = {both}")

    def width(self, name: str) -> int:
        """Numbers of a row of an operand."""
        return self.a.width if name in ("query", "key") else self.a.values

    def _lanes(self, room: Room, own: bool) -> None:
        """Where a lane fetches: rows below each other first, or pieces beside each other first."""
        cross = " ^ mine % 8" if room.crossed else ""
        below = f"{room.pitch} * (mine % 16) + 4 * (mine // 16{cross})"
        if own:
            self.line(f"{room.name}_below = {below} + {STEP * self.cut.high * room.pitch} * warp")
            return
        self.line(f"{room.name}_below = {below}")
        row = "(mine // 16 * 8 + mine % 8)"
        self.line(f"{room.name}_beside = {room.pitch} * {row} + 4 * (mine // 8 % 2{cross})")

    def local(self, name: str, size: int, kind: str = "float32") -> None:
        """An array of a thread's own, which compilers put into registers."""
        self.line(f"{name} = cuda.local.array({size}, {kind})")

    def zeros(self, name: str, size: int, depth: int) -> None:
        """All of a thread's numbers become 0."""
        self.line(f"for k in range({size}):", depth)
        self.line(f"{name}[k] = {self.number(0)}", depth + 1)

    def sums(self, width: int) -> int:
        """A thread's numbers of its own rows with columns of a width."""
        return self.cut.high * padded(width) // 2

    # Tiles.

    def _movable(self, name: str) -> bool:
        """Whether rows consist of pieces of 16 bytes, if the first one begins so."""
        *outer, row, place = self.a.strides(name)
        whole = self.width(name) % _PIECE == 0 and all(s % _PIECE == 0 for s in (*outer, row))
        return place == 1 and whole

    def fill(self, name: str, first: str, depth: int) -> None:
        """Begin to bring rows `first + …` of an operand to its tile."""
        room = self.rooms[name]
        extent = self.a.columns if name in ("key", "value") else self.a.rows
        pieces = padded(room.width) // _PIECE
        beside = 1 << (pieces - 1).bit_length()
        each = self.cut.threads // beside
        self.line(f"r, c = lane // {beside}, lane % {beside}", depth)
        cross = "(c ^ r % 8)" if room.crossed else "c"
        self.line(f"place = {room.pitch} * r + 4 * {cross}", depth)
        *_, row, step = self.a.strides(name)
        self.line(f"source = {name}_at + ({first} + r) * {row} + {_PIECE * step} * c", depth)
        guards = [f"c < {pieces}"] * (pieces < beside)
        guards += [f"r + {each} * k < {room.rows}"] * bool(room.rows % each)
        there = [f"{first} + r + {each} * k < {extent}"] * bool(extent % room.rows)
        if self._movable(name):
            self.line("if moves:", depth)
            inside = [*there, *([f"{_PIECE} * c < {room.width}"] * (room.width % STEP != 0))]
            self._loop(room, each, guards, depth + 1)
            more = depth + 2 + bool(guards)
            target = f"tiles, {plus('place', f'{each * room.pitch} * k', str(room.offset))}"
            given = f"{name}, source + {each * row} * k, {' and '.join(inside) or 'True'}"
            self.line(f"copy_16({target}, {given})", more)
            self.line("else:", depth)
            depth += 1
        self._loop(room, each, guards, depth)
        depth += 1 + bool(guards)
        self.line("for word in range(4):", depth)
        for half, of_word in (("low", "2 * word"), ("high", "(2 * word + 1)")):
            tests = [*there, f"{_PIECE} * c + {of_word} < {room.width}"]
            self.line(f"{half} = uint16(0)", depth + 1)
            self.line(f"if {' and '.join(tests)}:", depth + 1)
            times = "" if step == 1 else f"{step} * "
            self.line(f"{half} = {name}[source + {each * row} * k + {times}{of_word}]", depth + 2)
        place = plus("place", f"{each * room.pitch} * k", "word", str(room.offset))
        code = "uint32(low) | (uint32(high) << uint32(16))"
        self.line(f"tiles[{place}] = uint32({code})", depth + 1)

    def _loop(self, room: Room, each: int, guards: list[str], depth: int) -> None:
        """A thread's pieces of a tile."""
        self.line(f"for k in range({-(-room.rows // each)}):", depth)
        if guards:
            self.line(f"if {' and '.join(guards)}:", depth + 1)

    def there(self, depth: int) -> None:
        """All copies have come, and everybody knows it."""
        self.line("wait_copies()", depth)
        self.line("cuda.syncthreads()", depth)

    # Products.

    def pairs(self, sums: str, own: str, other: str, depth: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`sums` of each own row and each row of the tile: the product of both."""
        high, tile = self.cut.high, self.cut.tile
        left, right = self.rooms[own], self.rooms[other]
        self.zeros(sums, high * tile // 2, depth)
        self.line(f"for step in range({padded(left.width) // STEP}):", depth)
        self.line(f"for i in range({high}):", depth + 1)
        place = left.at(f"{own}_below", "step", f"{STEP * left.pitch} * i")
        self._fetch("a", "4 * i + ", "fetch_matrices", place, depth + 2)
        self.line(f"for j in range({tile // STEP}):", depth + 1)
        place = right.at(f"{other}_beside", "step", f"{STEP * right.pitch} * j")
        self._fetch("b", "", "fetch_matrices", place, depth + 2)
        self.line(f"for i in range({high}):", depth + 2)
        self._multiply(sums, f"{tile // 2} * i + 8 * j", "a", "4 * i", depth + 3)

    def weighted(self, sums: str, other: str, depth: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`sums` += what is in `p`, own rows by rows of the tile, times the tile."""
        high, tile = self.cut.high, self.cut.tile
        room = self.rooms[other]
        width = padded(room.width)
        self.line(f"for step in range({tile // STEP}):", depth)
        self.line(f"for j in range({width // STEP}):", depth + 1)
        place = room.at(f"{other}_below", "j", f"{STEP * room.pitch} * step")
        self._fetch("b", "", "fetch_turned", place, depth + 2)
        self.line(f"for i in range({high}):", depth + 2)
        left = f"{tile // 4} * i + 4 * step"
        self._multiply(sums, f"{width // 2} * i + 8 * j", "p", left, depth + 3)

    def _fetch(self, name: str, at: str, how: str, place: str, depth: int) -> None:
        targets = ", ".join(f"{name}[{at}{k}]" for k in range(4))
        self.line(f"{targets} = {how}(tiles, {place})", depth)

    def _multiply(self, sums: str, at: str, left: str, from_: str, depth: int) -> None:
        """16 × 16 times 16 × 16 by two instructions."""
        self.line("for half in range(2):", depth)
        self.line(f"k = {at} + 4 * half", depth + 1)
        own = ", ".join(f"{sums}[k + {n}]" if n else f"{sums}[k]" for n in range(4))
        given = ", ".join(f"{left}[{from_} + {n}]" for n in range(4))
        code = f"mma_{self.dtype}({given}, b[2 * half], b[2 * half + 1], {own})"
        self.line(f"{own} = {code}", depth + 1)

    def pack(self, name: str, depth: int) -> None:
        """`p` gets a thread's numbers as the left side of a product."""
        self.line(f"for k in range({self.cut.high * self.cut.tile // 4}):", depth)
        self.line(f"p[k] = pack_{self.dtype}({name}[2 * k], {name}[2 * k + 1])", depth + 1)

    # Scores.

    def each(self, own: str, other: str, depth: int, of_row: dict[str, str] | None = None) -> int:
        """Loops over a thread's scores: `k` is one's place, `r` and `c` its query and key.

        Args:
            of_row: what is asked of each query, where queries go by: names of values.
        Returns:
            The depth of what is done inside.
        """
        loops = [
            [f"for i in range({self.cut.high}):"],
            ["for half in range(2):", f"{own} = {self._first(own)} + own_row + 16 * i + 8 * half"],
        ]
        across = [
            f"for j in range({self.cut.tile // 4}):",
            f"{other} = {self._first(other)} + 8 * (j // 2) + 2 * turn + j % 2",
        ]
        for lines in [across, *loops] if of_row else [*loops, across]:
            self.line(lines[0], depth)
            for inner in lines[1:]:
                self.line(inner, depth + 1)
            if lines is across and of_row:
                self.known(of_row, depth + 1)
            depth += 1
        self.line(f"k = {self.cut.tile // 2} * i + 4 * (j // 2) + 2 * half + j % 2", depth)
        return depth

    def known(self, names: dict[str, str], depth: int) -> None:
        """What is known of query `r`, clamped to those that are there."""
        self.line(f"own = rows_at + min(r, {self.a.rows - 1})", depth)
        for target, n in names.items():
            code = f"{n}[own]"
            if n == "total":
                code = f"{self.number(1)} / {code}"
            if n == "top" and not self.natural:
                self.line(f"largest = {code}", depth)
                masked, factor = self.number(MASKED), self.number(_LOG2_E)
                code = f"largest if largest == {masked} else largest * {factor}"
            self.line(f"{target} = {code}", depth)

    def _first(self, position: str) -> str:
        return "row" if position == "r" else "first"

    def scores(self, own: str, depth: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`s`, products of queries and keys, become scores; own rows are `r` or `c`."""
        a = self.a
        other = "c" if own == "r" else "r"
        scale = a.computation.pattern.scale
        for name, extent in (("query_lengths", a.rows), ("key_lengths", a.columns)):
            if name in a.given:
                self.line(f"{name}_here = min(int64({name}[batch]), {extent})", depth)
        factor = self.number(scale if self.natural else scale * _LOG2_E)
        if self.natural:
            inner = self.each(own, other, depth)
            self.line(f"s[k] = s[k] * {factor} + {self._extra('bias')}", inner)
        else:
            self.line(f"for k in range({self.cut.high * self.cut.tile // 2}):", depth)
            self.line(f"s[k] = s[k] * {factor}", depth + 1)
        tests = self._tests()
        if tests:
            crossing = self._crossing(own)
            if crossing:
                self.line(f"if {crossing}:", depth)
                depth += 1
            inner = self.each(own, other, depth)
            self.line(f"if not ({' and '.join(tests)}):", inner)
            self.line(f"s[k] = {self.number(MASKED)}", inner + 1)

    def _crossing(self, own: str) -> str:
        """Whether some pair of two tiles does not count, where positions alone say so."""
        if not self.a.is_band:
            return ""
        left, right = self.a.reach
        rows, columns = self.cut.rows, self.cut.tile
        if own == "c":
            rows, columns = columns, rows
        tests = [f"first + {columns - 1} > {plus('row', str(right))}"] if right is not None else []
        tests += [f"row + {rows - 1} > {plus('first', str(left))}"] if left is not None else []
        return " or ".join(tests)

    def beyond(self, own: str, value: float, depth: int) -> None:
        """What `s` is beyond the last row that goes by."""
        extent, other = (self.a.columns, "c") if own == "r" else (self.a.rows, "r")
        if extent % self.cut.tile == 0:
            return
        self.line(f"if {self._first(other)} + {self.cut.tile} > {extent}:", depth)
        inner = self.each(own, other, depth + 1)
        self.line(f"if {other} >= {extent}:", inner)
        self.line(f"s[k] = {self.number(value)}", inner + 1)

    def weight(self, score: str, top: str) -> str:
        """exp of a score, less the largest one."""
        if self.natural:
            return f"exp2_quick(({score} - {top}) * {self.number(_LOG2_E)})"
        return f"exp2_quick({score} - {top})"

    def folded(self, name: str, how: str, depth: int) -> None:
        """A value of the four lanes of a row, folded: all of them get it."""
        for n in (1, 2):
            other = f"cuda.shfl_xor_sync({ALL_LANES}, {name}, {n})"
            self.line(f"{name} = {how}({name}, {other})", depth)

    def store(
        self, sums: str, name: str, parameter: str, own: str, first: list[str], scale: str = ""
    ) -> None:
        """Own rows go to memory, two numbers at once where it lies so; `r` or `c` is the row.

        Args:
            first: lines before the numbers of a row; `scale`: what is done to a number.
        """
        width = self.width(name)
        extent = self.a.rows if own == "r" else self.a.columns
        *outer, row, place = self.a.strides(parameter)
        self.bases([parameter])
        even = width % 2 == 0 and place == 1 and not any(s % 2 for s in (*outer, row))
        if even:
            self.line(f"moves = aligned({parameter})")
        self.line(f"for i in range({self.cut.high}):")
        self.line("for half in range(2):", 2)
        for line in first:
            self.line(line, 3)
        self.line(f"{own} = {self._first(own)} + own_row + 16 * i + 8 * half", 3)
        self.line(f"target = {parameter}_at + {own} * {row} + {2 * place} * turn", 3)
        for fast in (True, False) if even else (False,):
            test = f"{own} < {extent}" + (" and moves" if fast else " and not moves" * even)
            self.line(f"if {test}:", 3)
            self.line(f"for j in range({padded(width) // 8}):", 4)
            self.line(f"k = {padded(width) // 2} * i + 4 * j + 2 * half", 5)
            codes = f"{sums}[k]{scale}, {sums}[k + 1]{scale}"
            self.line(f"both = pack_{self.dtype}({codes})", 5)
            halves = ["uint16(both)", "uint16(both >> uint32(16))"]
            tests = [f"8 * j + 2 * turn{' + 1' * k} < {width}" for k in range(2)]
            guard = width % STEP != 0
            if fast:
                self.line(f"pair[0], pair[1] = {', '.join(halves)}", 5)
                if guard:
                    self.line(f"if {tests[0]}:", 5)
                self.line(f"store_2({parameter}, target + 8 * j, pair)", 5 + guard)
                continue
            for k, half in enumerate(halves):
                if guard:
                    self.line(f"if {tests[k]}:", 5)
                to = plus("target", f"{8 * place} * j", str(k * place))
                self.line(f"{parameter}[{to}] = {half}", 5 + guard)
