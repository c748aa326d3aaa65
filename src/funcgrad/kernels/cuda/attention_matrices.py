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

from .attention import MASKED, Attention, Tiles
from .attention_cuts import OTHERS, PIECE, STEP, Cut, Room, padded, plus, rooms_of
from .plan import WARP
from .words import ALL_LANES, CudaLibrary

LOG2_E = math.log2(math.e)


class Matrices(Tiles):
    """Writes what the kernels do with tiles in shared memory and in fragments."""

    def __init__(
        self, a: Attention, library: CudaLibrary, cut: Cut, step: str, stats: int = 0
    ) -> None:
        super().__init__(a, library)
        self.cut = cut
        self.step = step
        self.dtype = a.given["query"].dtype.name
        self.room = rooms_of(a, cut, step, stats)
        self.rooms = self.room.tiles
        # Scores are natural where a bias is added to them, else to the base 2. Where a query meets
        # what counts before what does not, `s` stays as it is: the factor comes with the exponent.
        self.natural = "bias" in a.given
        self.late = self.positive and (not self._tests() or (a.is_band and a.reach[0] is None))

    @property
    def positive(self) -> bool:
        """Whether the largest product of a query has its largest score."""
        return not self.natural and self.a.computation.pattern.scale > 0

    # Where things are.

    def prepare(self, first: str, grouped: bool) -> None:
        """Which rows a block has, what a lane is, and the room of the tiles."""
        a, cut = self.a, self.cut
        extent = a.rows if first == "row" else a.columns
        self.line("lane = cuda.threadIdx.x")
        self.line(f"warp, mine = lane // {WARP}, lane % {WARP}")
        if cut.across > 1:
            self.line(f"warp, beside = warp // {cut.across}, warp % {cut.across}")
        self.line("quad, turn = mine // 4, mine % 4")
        self.line("at = cuda.blockIdx.x")
        tiles = -(-extent // cut.rows)
        number = f"at % {tiles}"
        left, right = a.reach
        if first == "row" and a.is_band and left is None and right is not None and tiles > 1:
            # The last queries see most keys: who has most to do begins first.
            number = f"({tiles - 1} - at % {tiles})"
        self.line(f"{first}, at = {cut.rows} * ({number}), at // {tiles}")
        if grouped:
            self.line(f"group, at = at % {a.group}, at // {a.group}")
        self.line(f"head, batch = at % {a.heads}, at // {a.heads}")
        self.line(f"own_row = {STEP * cut.high} * warp + quad")
        for room in self.rooms.values():
            self._lanes(room)
        asked = self.room.asked_for
        self.line(f"tiles = cuda.shared.array({0 if asked else self.room.words}, uint32)")
        if cut.twice:
            self.line("now = 0")
        both = " and ".join(f"aligned({n})" for n in self.operands if self._movable(n))
        if both:
            self.line(f"moves = {both}")

    @property
    def operands(self) -> list[str]:
        """Those of which there are tiles."""
        return [n for n in self.rooms if n in self.a.given]

    def _lanes(self, room: Room) -> None:
        """Where a lane fetches: rows below each other first, or pieces beside each other first."""
        cut, name = self.cut, room.name
        cross = " ^ mine % 8" if room.crossed else ""
        below = f"{room.pitch} * (mine % 16) + 4 * (mine // 16{cross})"
        if name not in OTHERS[self.step]:
            self.line(f"{name}_below = {below} + {STEP * cut.high * room.pitch} * warp")
            return
        self.line(f"{name}_below = {below}")
        row = "(mine // 16 * 8 + mine % 8)"
        share = f" + {room.pitch * cut.part} * beside" if cut.across > 1 else ""
        where = f"{room.pitch} * {row} + 4 * (mine // 8 % 2{cross}){share}"
        self.line(f"{name}_beside = {where}")

    def local(self, name: str, size: int, kind: str = "float32") -> None:
        """An array of a thread's own, which compilers put into registers."""
        self.line(f"{name} = cuda.local.array({size}, {kind})")

    def zeros(self, name: str, size: int, depth: int) -> None:
        """All of a thread's numbers become 0."""
        self.line(f"for k in range({size}):", depth)
        self.line(f"{name}[k] = {self.number(0)}", depth + 1)

    def sums(self, width: int) -> int:
        """A thread's numbers of its own rows with its columns of a width."""
        return self.cut.high * self.columns(width) // 2

    def columns(self, width: int) -> int:
        """How many columns of a width a warp has, with those of zeros."""
        return padded(width, STEP * self.cut.across) // self.cut.across

    # Tiles.

    def _movable(self, name: str) -> bool:
        """Whether rows consist of pieces of 16 bytes, if the first one begins so."""
        *outer, row, place = self.a.strides(name)
        steps = *outer, row, self.a.start(name)
        whole = self.a.width_of(name) % PIECE == 0 and all(s % PIECE == 0 for s in steps)
        return place == 1 and whole

    def fill(self, name: str, first: str, depth: int, into: str = "0") -> None:
        """Begin to bring rows `first + …` of an operand to its tile.

        Args:
            into: words from the first place of what goes by.
        """
        room = self.rooms[name]
        extent = self.a.columns if name in ("key", "value") else self.a.rows
        pieces = room.wide // PIECE
        beside = 1 << (pieces - 1).bit_length()
        each = self.cut.threads // beside
        self.line(f"r, c = lane // {beside}, lane % {beside}", depth)
        # A thread's rows are a multiple of 8 apart, so that it has the same piece of all, or fewer.
        alike = not room.crossed or each % 8 == 0
        cross = "(c ^ r % 8)" if room.crossed else "c"
        if alike:
            self.line(f"place = {plus(f'{room.pitch} * r + 4 * {cross}', into)}", depth)
        *_, row, step = self.a.strides(name)
        self.line(f"source = {name}_at + ({first} + r) * {row} + {PIECE * step} * c", depth)
        guards = [f"c < {pieces}"] * (pieces < beside)
        guards += [f"r + {each} * k < {room.rows}"] * bool(room.rows % each)
        there = [f"{first} + r + {each} * k < {extent}"] * bool(extent % room.rows)
        target = plus("place" if alike else into, f"{each * room.pitch} * k", str(room.offset))
        if not alike:
            target += f" + {room.pitch} * r + 4 * (c ^ (r + {each} * k) % 8)"
        if self._movable(name):
            self.line("if moves:", depth)
            inside = [*there, *([f"{PIECE} * c < {room.width}"] * (room.wide != room.width))]
            self._loop(room, each, guards, depth + 1)
            more = depth + 2 + bool(guards)
            given = f"{name}, source + {each * row} * k, {' and '.join(inside) or 'True'}"
            self.line(f"copy_16(tiles, {target}, {given})", more)
            self.line("else:", depth)
            depth += 1
        self._loop(room, each, guards, depth)
        depth += 1 + bool(guards)
        self.line("for word in range(4):", depth)
        for half, of_word in (("low", "2 * word"), ("high", "(2 * word + 1)")):
            tests = [*there, f"{PIECE} * c + {of_word} < {room.width}"]
            self.line(f"{half} = uint16(0)", depth + 1)
            self.line(f"if {' and '.join(tests)}:", depth + 1)
            times = "" if step == 1 else f"{step} * "
            self.line(f"{half} = {name}[source + {each * row} * k + {times}{of_word}]", depth + 2)
        code = "uint32(low) | (uint32(high) << uint32(16))"
        self.line(f"tiles[{target} + word] = uint32({code})", depth + 1)

    def _loop(self, room: Room, each: int, guards: list[str], depth: int) -> None:
        """A thread's pieces of a tile."""
        self.line(f"for k in range({-(-room.rows // each)}):", depth)
        if guards:
            self.line(f"if {' and '.join(guards)}:", depth + 1)

    def again(self, depth: int) -> None:
        """Where a lane fetches is worked out in each turn: the places of all steps are many."""
        for name, room in self.rooms.items():
            if not room.goes:
                for end in ("below", "beside") if name in OTHERS[self.step] else ("below",):
                    self.line(f"{name}_{end} = again({name}_{end})", depth)
        if self.cut.across > 1:
            self.line("quad = again(quad)", depth)

    def there(self, depth: int) -> None:
        """All copies have come, and everybody knows it."""
        self.line("wait_copies()", depth)
        self.line("cuda.syncthreads()", depth)

    # Products.

    def pairs(self, sums: str, own: str, other: str, depth: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`sums` of each own row and each row of the warp's part of the tile: their product."""
        high, part = self.cut.high, self.cut.part
        left, right = self.rooms[own], self.rooms[other]
        self.zeros(sums, high * part // 2, depth)
        self.line(f"for step in range({padded(left.width) // STEP}):", depth)
        self.line(f"for i in range({high}):", depth + 1)
        place = left.at(f"{own}_below", "step", f"{STEP * left.pitch} * i")
        self._fetch("a", "4 * i + ", "fetch_matrices", place, depth + 2)
        self.line(f"for j in range({part // STEP}):", depth + 1)
        place = right.at(f"{other}_beside", "step", f"{STEP * right.pitch} * j")
        self._fetch("b", "", "fetch_matrices", place, depth + 2)
        self.line(f"for i in range({high}):", depth + 2)
        self._multiply(sums, f"{part // 2} * i + 8 * j", "a", "4 * i", depth + 3)

    def weighted(self, sums: str, other: str, depth: int, shared: str = "") -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`sums` += weights, own rows by rows of the tile, times the warp's columns of the tile.

        Args:
            shared: the room of the weights, where warps share rows; else they are in `p`.
        """
        high, tile = self.cut.high, self.cut.tile
        room = self.rooms[other]
        steps = self.columns(room.width) // STEP
        self.line(f"for step in range({tile // STEP}):", depth)
        if shared:
            left = self.rooms[shared]
            self.line(f"for i in range({high}):", depth + 1)
            place = left.at(f"{shared}_below", "step", f"{STEP * left.pitch} * i")
            self._fetch("a", "4 * i + ", "fetch_matrices", place, depth + 2)
        self.line(f"for j in range({steps}):", depth + 1)
        column = f"(j + {steps} * beside)" if self.cut.across > 1 else "j"
        place = room.at(f"{other}_below", column, f"{STEP * room.pitch} * step")
        self._fetch("b", "", "fetch_turned", place, depth + 2)
        self.line(f"for i in range({high}):", depth + 2)
        left, from_ = ("a", "4 * i") if shared else ("p", f"{tile // 4} * i + 4 * step")
        self._multiply(sums, f"{8 * steps} * i + 8 * j", left, from_, depth + 3)

    def share(self, name: str, depth: int) -> None:
        """What is in `p` goes to where the warps that share its rows read it."""
        room, part = self.rooms[name], self.cut.part
        pieces = f" + {part // PIECE} * beside"
        self.line(f"for i in range({self.cut.high}):", depth)
        self.line("for half in range(2):", depth + 1)
        self.line(f"for j in range({part // PIECE}):", depth + 2)
        piece = f"((j{pieces}) ^ quad)" if room.crossed else f"(j{pieces})"
        row = f"{room.pitch} * (own_row + 16 * i + 8 * half)"
        place = plus(f"{row} + 4 * {piece} + turn", str(room.offset))
        self.line(f"tiles[{place}] = p[{part // 4} * i + 2 * j + half]", depth + 3)

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
        self.line(f"for k in range({self.cut.high * self.cut.part // 4}):", depth)
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
        part = self.cut.part
        share = f" + {part} * beside" if self.cut.across > 1 else ""
        across = [
            f"for j in range({part // 4}):",
            f"there = 8 * (j // 2) + 2 * turn + j % 2{share}",
            f"{other} = {self._first(other)} + there",
        ]
        for lines in [across, *loops] if of_row else [*loops, across]:
            self.line(lines[0], depth)
            for inner in lines[1:]:
                self.line(inner, depth + 1)
            if lines is across and of_row:
                for target, place in of_row.items():
                    self.line(f"{target} = as_float32(tiles[{place} + there])", depth + 1)
            depth += 1
        self.line(f"k = {part // 2} * i + 4 * (j // 2) + 2 * half + j % 2", depth)
        return depth

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
        factor = self.number(scale if self.natural else scale * LOG2_E)
        if self.late:
            pass
        elif self.natural:
            inner = self.each(own, other, depth)
            self.line(f"s[k] = s[k] * {factor} + {self._extra('bias')}", inner)
        else:
            self.line(f"for k in range({self.cut.high * self.cut.part // 2}):", depth)
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

    @property
    def factor(self) -> str:
        """What makes of a product a score to the base 2."""
        return self.number(self.a.computation.pattern.scale * LOG2_E)

    def weight(self, score: str, top: str) -> str:
        """exp of a score, less the largest one."""
        if self.late:
            return f"exp2_quick(cuda.fma({score}, {self.factor}, -{top}))"
        if self.natural:
            return f"exp2_quick(({score} - {top}) * {self.number(LOG2_E)})"
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
        width = self.a.width_of(name)
        extent = self.a.rows if own == "r" else self.a.columns
        *outer, row, place = self.a.strides(parameter)
        self.bases([parameter])
        steps = *outer, row, self.a.start(parameter)
        even = width % 2 == 0 and place == 1 and not any(s % 2 for s in steps)
        columns = self.columns(width)
        shift = f" + {columns} * beside" if self.cut.across > 1 else ""
        if even:
            self.line(f"moves = aligned({parameter})")
        self.line(f"for i in range({self.cut.high}):")
        self.line("for half in range(2):", 2)
        for line in first:
            self.line(line, 3)
        self.line(f"{own} = {self._first(own)} + own_row + 16 * i + 8 * half", 3)
        self.line(f"column = 2 * turn{shift}", 3)
        times = "" if place == 1 else f"{place} * "
        self.line(f"target = {parameter}_at + {own} * {row} + {times}column", 3)
        for fast in (True, False) if even else (False,):
            test = f"{own} < {extent}" + (" and moves" if fast else " and not moves" * even)
            self.line(f"if {test}:", 3)
            self.line(f"for j in range({columns // 8}):", 4)
            self.line(f"k = {columns // 2} * i + 4 * j + 2 * half", 5)
            codes = f"{sums}[k]{scale}, {sums}[k + 1]{scale}"
            self.line(f"both = pack_{self.dtype}({codes})", 5)
            halves = ["uint16(both)", "uint16(both >> uint32(16))"]
            tests = [f"8 * j + column{' + 1' * k} < {width}" for k in range(2)]
            guard = columns * self.cut.across != width
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
