"""Sorting short rows by a network of comparisons, many at once in the lanes of vectors.

Rows that lie side by side fill units of one vector each, and the lanes of a unit are compared among
themselves too; of rows that lie across (the axis is not the last one) each lane is a row, and a
unit is a place in all of them. Runs of units are merged to runs of twice the length: each element
is compared with the one that mirrors it, then with those half, a quarter, … of a run away. Lesser
ones always go to lower places, so that units behind the last one need not be there.

One operand is its keys. Of several, pairs of key and place are sorted, none of which are equal: so
the order is the stable one, though a network is not.
Source: Batcher, Sorting networks and their applications, AFIPS 1968.
"""

from __future__ import annotations

from . import LibraryKernel, Stage
from .conv_code import Value
from .sort_ends import Ends
from .sort_plan import Rows
from .sort_words import Words

# Units that are sorted in registers.
GROUP = 4
# Comparisons of units in a nanosecond, roughly: decides only whether threads are worth it.
SPEED = 1.0
# Elements of rows that one call sorts, at least if there are as many.
CHUNK = 1 << 13

Unit = list[str]


class Network:
    """Text that sorts units in memory.

    Attributes:
        rooms: where the units of each stream begin: keys, or keys and places.
        bits: of an element of a stream.
        within: whether the lanes of a unit belong to one row.
    """

    def __init__(
        self, code: Words, rooms: list[str], bits: int, lanes: int, units: int, within: bool
    ) -> None:
        self.code, self.rooms, self.bits, self.lanes = code, rooms, bits, lanes
        self.units, self.within = units, within

    def load(self, unit: Value) -> Unit:
        """A unit of every stream."""
        at = self.code.mul(unit, self.lanes)
        return [self.code.get(self.bits, room, at, self.lanes) for room in self.rooms]

    def store(self, values: Unit, unit: Value) -> None:
        """A unit of every stream, written."""
        at = self.code.mul(unit, self.lanes)
        for value, room in zip(values, self.rooms, strict=True):
            self.code.put(value, self.bits, room, at, self.lanes)

    def ordered(self, a: Unit, b: Unit) -> tuple[Unit, Unit]:
        """The lesser and the greater of each two elements."""
        code, bits, lanes = self.code, self.bits, self.lanes
        more = code.op("icmp sgt", bits, a[0], b[0], lanes)
        if len(a) > 1:
            equal = code.op("icmp eq", bits, a[0], b[0], lanes)
            behind = code.op("icmp sgt", bits, a[1], b[1], lanes)
            more = code.op("or", 1, more, code.op("and", 1, equal, behind, lanes), lanes)
        pairs = list(zip(a, b, strict=True))
        low = [code.choose(more, bits, y, x, lanes) for x, y in pairs]
        return low, [code.choose(more, bits, x, y, lanes) for x, y in pairs]

    def _shuffled(self, a: str, b: str, places: list[int]) -> str:
        kind, mask = self.code.type(self.bits, self.lanes), ", ".join(f"i32 {p}" for p in places)
        return self.code.writer.value(
            f"shufflevector {kind} {a}, {kind} {b}, <{self.lanes} x i32> <{mask}>"
        )

    def mirrored(self, unit: Unit) -> Unit:
        """The lanes of a unit in reverse, if they are of one row."""
        if not self.within or self.lanes == 1:
            return unit
        return [self._shuffled(x, x, [*reversed(range(self.lanes))]) for x in unit]

    def _step(self, unit: Unit, mask: int) -> Unit:
        """Each lane compared with the one whose number has the bits of the mask turned over."""
        lanes = range(self.lanes)
        other = [self._shuffled(x, x, [k ^ mask for k in lanes]) for x in unit]
        low, high = self.ordered(unit, other)
        chosen = [k if k < k ^ mask else k + self.lanes for k in lanes]
        return [self._shuffled(x, y, chosen) for x, y in zip(low, high, strict=True)]

    def lanes_merged(self, unit: Unit, run: int) -> Unit:
        """Comparisons at distances run / 2, run / 4, … 1 of the lanes of a unit."""
        while self.within and run > 1:
            run //= 2
            unit = self._step(unit, run)
        return unit

    def lanes_sorted(self, unit: Unit) -> Unit:
        """A unit with its lanes in order."""
        run = 2
        while self.within and run <= self.lanes:
            unit = self.lanes_merged(self._step(unit, run - 1), run // 2)
            run *= 2
        return unit

    def mirror(self, a: Unit, b: Unit) -> tuple[Unit, Unit]:
        """Two units compared with each other's mirror image."""
        low, high = self.ordered(a, self.mirrored(b))
        return low, self.mirrored(high)

    # In registers.

    def _tail(self, held: list[Unit], run: int) -> list[Unit]:
        """The last comparisons of a merge: at distances below `run` units, and of lanes."""
        while run > 1:
            run //= 2
            for i in range(len(held)):
                if not i & run and i + run < len(held):
                    held[i], held[i + run] = self.ordered(held[i], held[i + run])
        return [self.lanes_merged(unit, self.lanes) for unit in held]

    def _group_sorted(self, held: list[Unit]) -> list[Unit]:
        held = [self.lanes_sorted(unit) for unit in held]
        run = 1
        while run < len(held):
            for i in range(len(held)):
                other = i ^ (2 * run - 1)
                if i < other < len(held):
                    held[i], held[other] = self.mirror(held[i], held[other])
            held = self._tail(held, run)
            run *= 2
        return held

    # In memory.

    def sort(self) -> None:
        """Sort the units."""
        self._groups(True)
        run = GROUP
        while run < self.units:
            self._pairs(run, mirrored=True)
            away = run // 2
            while away >= GROUP:
                self._pairs(away, mirrored=False)
                away //= 2
            self._groups(False)
            run *= 2

    def _groups(self, first: bool) -> None:
        whole = self.units // GROUP * GROUP

        def one(start: Value, count: int) -> None:
            held = [self.load(self.code.add(start, k)) for k in range(count)]
            held = self._group_sorted(held) if first else self._tail(held, GROUP)
            for k, unit in enumerate(held):
                self.store(unit, self.code.add(start, k))

        if whole:
            with self.code.loop(0, whole, GROUP) as start:
                one(start, GROUP)
        if whole != self.units:
            one(whole, self.units - whole)

    def _pairs(self, away: int, mirrored: bool) -> None:
        """Compare units of one half of every block of 2 · away units with those of the other."""
        code, size = self.code, 2 * away
        whole = self.units // size * size
        if whole:
            with code.loop(0, whole, size) as base, code.loop(0, away) as i:
                self._pair(base, i, away, mirrored)
        # Of the last block only those that are there.
        rest = self.units - whole
        if rest > away:
            first, last = (size - rest, away) if mirrored else (0, rest - away)
            with code.loop(first, last) as i:
                self._pair(whole, i, away, mirrored)

    def _pair(self, base: Value, i: Value, away: int, mirrored: bool) -> None:
        code = self.code
        low = code.add(base, i)
        high = code.sub(code.add(base, 2 * away - 1), i) if mirrored else code.add(low, away)
        a, b = self.load(low), self.load(high)
        a, b = self.mirror(a, b) if mirrored else self.ordered(a, b)
        self.store(a, low)
        self.store(b, high)


class LaneSort:
    """Text of the function that sorts rows, or blocks of rows that lie across, `lo` to `hi`."""

    def __init__(self, rows: Rows, vector_bits: int) -> None:
        self.rows, self.code = rows, Words(vector_bits)
        self.by_place = len(rows.bits) > 1
        self.key = rows.keys[0]
        # A pair of a short key and a place is one integer.
        self.joined = self.by_place and self.key.bits <= 32
        self.bits = 64 if self.by_place else self.key.bits
        self.lanes = vector_bits // self.bits
        self.across = rows.inner >= self.lanes
        self.units = rows.length if self.across else -(-rows.length // self.lanes)

    def kernel(self) -> LibraryKernel:
        """The kernel."""
        rows, name = self.rows, "sort_lanes"
        text = self.text(name)
        extent = rows.total if not self.across else rows.outer * -(-rows.inner // self.lanes)
        steps = (rows.length.bit_length() ** 2 + 1) // 2 + 2
        cost = self.units * steps * extent / (SPEED * 4)
        grain = max(1, CHUNK // (self.units * self.lanes))
        stage = Stage(name, Ends.arguments(rows), extent, grain, cost)
        return LibraryKernel({name: text}, self.code.declarations, (stage,), (), 0.0)

    def text(self, name: str) -> str:
        """The function."""
        code, rows = self.code, self.rows
        self.ends = Ends(rows, 0, code)
        size = self.units * self.lanes
        streams = 2 if self.by_place and not self.joined else 1
        self.rooms = [code.space(self.bits, size) for _ in range(streams)]
        network = Network(
            code, self.rooms, self.bits, self.lanes, self.units, within=not self.across
        )
        with code.writer.loop("%lo", "%hi", 1) as loop:
            start = self._start(loop.index)
            negative = self._encode(start)
            network.sort()
            if self.by_place:
                self._fetch(start)
            else:
                self._decode(start, negative)
        return code.function(name)

    def _start(self, number: Value) -> Value:
        """The place of the first element of a row, or of the first of a block of rows."""
        code, rows = self.code, self.rows
        if not self.across:
            return rows.start(code, number)
        blocks = -(-rows.inner // self.lanes)
        outside, block = code.split(number, [rows.outer, blocks])
        # The last block begins earlier where it would reach too far: its rows are sorted twice.
        inside = code.least(code.mul(block, self.lanes), rows.inner - self.lanes)
        return code.add(code.mul(outside, rows.length * rows.inner), inside)

    # Keys.

    def _encode(self, start: Value) -> str:
        """Fill the rooms; whether there is a -0.0 among the keys of one operand."""
        code, rows, lanes = self.code, self.rows, self.lanes
        none = "0" if lanes == 1 else "zeroinitializer"
        whole = self.units
        if not self.across:
            whole = rows.length // lanes if rows.inner == 1 else 0
            if whole < self.units:
                for room in self.rooms:
                    with code.loop(whole * lanes, self.units * lanes) as i:
                        code.put(code.const(self.bits, self._last), self.bits, room, i)
        found = "0"
        if whole:
            with code.carrying(whole, [(code.type(self.bits, lanes), none)]) as loop:
                loop.next = [self._one(start, loop.index, lanes, loop.carried[0])]
            found = self._any(loop.results[0], lanes)
        if not self.across and whole * lanes < rows.length:
            kind = f"i{self.bits}"
            with code.carrying(rows.length - whole * lanes, [(kind, "0")]) as loop:
                i = code.add(loop.index, whole * lanes)
                loop.next = [self._one(start, i, 1, loop.carried[0])]
            other = self._any(loop.results[0], 1)
            found = other if found == "0" else code.op("or", 1, found, other)
        return found

    @property
    def _last(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def _any(self, marks: str, lanes: int) -> str:
        code, size = self.code, self.bits * lanes
        if lanes > 1:
            marks = code.writer.value(f"bitcast {code.type(self.bits, lanes)} {marks} to i{size}")
        return code.op("icmp ne", size, marks, 0)

    def _one(self, start: Value, i: Value, lanes: int, marks: str) -> str:
        """Encode a unit, or one element; marks of keys of -0.0."""
        code, rows, key = self.code, self.rows, self.key
        side = lanes > 1 and not self.across
        at = code.add(start, code.mul(i, lanes)) if side else rows.at(code, start, i)
        raw = code.get(key.bits, self.ends.operands[0], at, lanes)
        found = code.encoded(key, raw, lanes)
        into = code.mul(i, lanes)
        if self.by_place:
            found = code.resized(code.like(key, found, lanes), key.bits, 64, lanes)
            place = self._places(i, lanes)
            if self.joined:
                high = code.op("shl", 64, found, 32, lanes)
                found = code.op("or", 64, high, place, lanes)
            else:
                code.put(place, 64, self.rooms[1], into, lanes)
        elif key.form == "float":
            below = code.op("icmp eq", key.bits, found, key.zeros[0], lanes)
            flag, kind = code.type(1, lanes), code.type(key.bits, lanes)
            mark = code.writer.value(f"sext {flag} {below} to {kind}")
            marks = code.op("or", key.bits, marks, mark, lanes)
        signed = code.op("xor", self.bits, found, 1 << (self.bits - 1), lanes)
        code.put(signed, self.bits, self.rooms[0], into, lanes)
        return marks

    def _places(self, i: Value, lanes: int) -> str:
        """The places along the axis of the elements of a unit."""
        code = self.code
        first = code.mul(i, 1 if self.across else lanes)
        if lanes == 1:
            return code.op("add", 64, str(first), 0)
        kind = code.type(64, lanes)
        one = code.writer.value(f"insertelement {kind} poison, i64 {first}, i64 0")
        every = code.writer.value(
            f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )
        if self.across:
            return every
        steps = ", ".join(f"i64 {k}" for k in range(lanes))
        return code.writer.value(f"add {kind} {every}, <{steps}>")

    # Results.

    def _decode(self, start: Value, negative: str) -> None:
        code, rows, lanes = self.code, self.rows, self.lanes

        def one(i: Value, count: int) -> None:
            found = code.get(self.bits, self.rooms[0], code.mul(i, count), count)
            found = code.op("xor", self.bits, found, 1 << (self.bits - 1), count)
            raw = code.decoded(self.key, found, count)
            side = count > 1 and not self.across
            at = code.add(start, code.mul(i, count)) if side else rows.at(code, start, i)
            code.put(raw, self.bits, self.ends.outs[0], at, count)

        whole = self.units
        if not self.across:
            whole = rows.length // lanes if rows.inner == 1 else 0
        if whole:
            with code.loop(0, whole) as i:
                one(i, lanes)
        if not self.across and whole * lanes < rows.length:
            with code.loop(whole * lanes, rows.length) as i:
                one(i, 1)
        if self.key.form == "float":
            with code.writer.when(negative), code.loop(0, lanes if self.across else 1) as k:
                self.ends.settle(code.add(start, k))

    def _fetch(self, start: Value) -> None:
        """Operands from the places that were sorted."""
        code, rows = self.code, self.rows
        lanes, room = (self.lanes if self.across else 1), self.rooms[-1]
        with code.loop(0, rows.length) as i, code.loop(0, lanes) as k:
            found = code.get(64, room, code.add(code.mul(i, lanes), k))
            row = code.add(start, k)
            self.ends.fetch(row, code.resized(found, 64, 32), rows.at(code, row, i))
