"""Sorting long rows by digits, each pass divided among threads.

    encode:        parts of rows become elements; the first digit is counted in each part
    then for each digit
    begin:         for each row, where the elements of each digit of each part begin
    move:          each part moves its elements from one room to the other
    count:         each part of the other room counts the next digit
    decode:        parts of rows become results
    settle:        equal values that are not the same

Which room the elements of a row are in is known when it runs: a digit that is the same everywhere
moves nothing. The order of equal ones is that of parts and of elements in them, so that nothing
depends on who does which part.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from . import LibraryKernel, Slot, Stage
from .conv_code import Value
from .sort_digits import BUCKETS, PASS, WIDTH, Passes
from .sort_ends import Ends
from .sort_plan import Rows
from .sort_words import Words

# What is known of each row: the rooms of the last pass, and the bits below the next digit.
FROM, INTO, SHIFT = range(3)
# A part has so many elements at least, and a row so many parts at most.
PART, MOST_PARTS = 1 << 14, 16


class Part(NamedTuple):
    """A part of a row while its text is written: the row, the part, its elements, their rooms."""

    row: Value
    number: Value
    span: tuple[Value, Value]
    start: Value


class PartSort:
    """Text of the stages."""

    def __init__(self, rows: Rows, vector_bits: int, ends: type[Ends] = Ends) -> None:
        self.rows, self.vector_bits, self.ends = rows, vector_bits, ends
        self.each = -(-rows.length // max(1, min(MOST_PARTS, rows.length // PART)))
        self.parts = -(-rows.length // self.each)
        self.functions: dict[str, str] = {}
        self.declared: dict[str, None] = {}
        self.stages: list[Stage] = []
        keys = range(len(rows.keys))
        self.elements = [rows.element(k) for k in keys]
        bits, size = self.elements[0].bits, rows.size
        # One operand's results have room for the elements too.
        self.in_place = len(rows.bits) == 1 and rows.inner == 1
        self.scratch = [
            4 * rows.total * self.parts * BUCKETS,
            3 * 8 * rows.total,
            *[size * bits // 8] * (1 if self.in_place else 2),
        ]
        last: Slot = ("out", 0) if self.in_place else ("scratch", 3)
        own: list[Slot] = [("scratch", k) for k in range(3)]
        self.args = (*ends.arguments(rows), *own, last)

    def kernel(self) -> LibraryKernel:
        """The kernel."""
        for number in reversed(range(len(self.rows.keys))):
            self._encode(number)
            for digit in range(self.rows.keys[number].bits // WIDTH):
                if digit:
                    self._count(number)
                self._begin()
                self._move(number)
        self._decode()
        self._settle()
        return LibraryKernel(
            self.functions, tuple(self.declared), tuple(self.stages), tuple(self.scratch), 0.0
        )

    @contextmanager
    def _stage(self, name: str, by_part: bool, weight: float) -> Generator[tuple[Words, Part]]:
        """A stage over rows or parts of rows, of so many passes over what there is."""
        rows, code = self.rows, Words(self.vector_bits)
        first = len(self.args) - 4
        self.table, self.state, *self.rooms = (code.argument(first + k) for k in range(4))
        with code.writer.loop("%lo", "%hi", 1) as loop:
            row, number = loop.index, "0"
            if by_part:
                row, number = code.split(loop.index, [rows.total, self.parts])
            first = code.mul(number, self.each)
            last = code.least(code.add(first, self.each), rows.length)
            yield code, Part(row, number, (first, last), rows.start(code, row))
        self.functions[name] = code.function(name)
        self.declared.update(dict.fromkeys(code.declarations))
        extent = rows.total * (self.parts if by_part else 1)
        self.stages.append(Stage(name, self.args, extent, 1, rows.size * weight * PASS))

    def _room(self, code: Words, part: Part, which: Value, number: int) -> str:
        """Where the elements of a row are in one of the rooms: 0 or 1."""
        first = code.op("icmp eq", 64, str(which), 0)
        room = code.writer.value(f"select i1 {first}, ptr {self.rooms[0]}, ptr {self.rooms[1]}")
        bits = self.elements[number].bits
        return code.place(bits, room, code.mul(part.row, self.rows.length))

    def _state(self, code: Words, part: Part, what: int) -> str:
        """The address of what is known of a row: `FROM`, `INTO` or `SHIFT`."""
        return code.place(64, self.state, code.add(code.mul(part.row, 3), what))

    def _known(self, code: Words, part: Part, what: int) -> str:
        return code.get(64, self._state(code, part, what), 0)

    def _encode(self, number: int) -> None:
        with self._stage(f"sort_encode{number}", True, 1.0) as (code, part):
            ends = self.ends(self.rows, number, code)
            if number < len(self.rows.keys) - 1:
                room = self._room(code, part, self._known(code, part, INTO), number)
                ends.encode_again(self.elements[number + 1], part.start, *part.span, room)
            else:
                room = self._room(code, part, 0, number)
                ends.encode(part.start, *part.span, room)
                code.put("0", 64, self._state(code, part, INTO), 0)
            code.put("0", 64, self._state(code, part, SHIFT), 0)
            self._counted(code, part, number, 0, room)

    def _count(self, number: int) -> None:
        with self._stage(f"sort_count{number}", True, 0.3) as (code, part):
            room = self._room(code, part, self._known(code, part, INTO), number)
            self._counted(code, part, number, self._known(code, part, SHIFT), room)

    def _counted(self, code: Words, part: Part, number: int, shift: Value, room: str) -> None:
        """Count a digit in a part of a row, for `begin`."""
        local = code.space(32, BUCKETS)
        code.clear(local, 4 * BUCKETS)
        Passes(self.elements[number], code).count(room, part.span, {shift: local})
        for i, at in self._places(code, part):
            code.put(code.get(32, local, i), 32, self.table, at)

    def _places(self, code: Words, part: Part) -> Iterator[tuple[Value, Value]]:
        """Each digit, and its place for a part of a row in the shared table, in an open loop."""
        base = code.add(code.mul(part.row, self.parts * BUCKETS), part.number)
        with code.loop(0, BUCKETS) as i:
            yield i, code.add(base, code.mul(i, self.parts))

    def _begin(self) -> None:
        with self._stage("sort_begin", False, 0.1) as (code, part):
            size, n = self.parts * BUCKETS, self.rows.length
            table = code.place(32, self.table, code.mul(part.row, size))
            with code.carrying(BUCKETS, [("i32", "0"), ("i1", "true")]) as loop:
                total, moves = loop.carried
                here = code.place(32, table, code.mul(loop.index, self.parts))
                with code.carrying(self.parts, [("i32", total)]) as inner:
                    (begin,) = inner.carried
                    count = code.get(32, here, inner.index)
                    code.put(begin, 32, here, inner.index)
                    inner.next = [code.op("add", 32, begin, count)]
                (end,) = inner.results
                some = code.op("icmp ne", 32, code.op("sub", 32, end, total), n)
                loop.next = [end, code.op("and", 1, moves, some)]
            held = self._known(code, part, INTO)
            into = code.op("xor", 64, held, code.resized(loop.results[1], 1, 64))
            shift = code.op("add", 64, self._known(code, part, SHIFT), WIDTH)
            for what, value in ((FROM, held), (INTO, into), (SHIFT, shift)):
                code.put(value, 64, self._state(code, part, what), 0)

    def _move(self, number: int) -> None:
        with self._stage(f"sort_move{number}", True, 1.0) as (code, part):
            held, goal = (self._known(code, part, what) for what in (FROM, INTO))
            local = code.space(32, BUCKETS)
            with code.writer.when(code.op("icmp ne", 64, held, goal)):
                for i, at in self._places(code, part):
                    code.put(code.get(32, self.table, at), 32, local, i)
                source, into = (self._room(code, part, which, number) for which in (held, goal))
                # By then the next digit is written there.
                shift = code.sub(self._known(code, part, SHIFT), WIDTH)
                Passes(self.elements[number], code).move(source, part.span, shift, local, into)

    def _decode(self) -> None:
        with self._stage("sort_decode", True, 1.0) as (code, part):
            room = self._room(code, part, self._known(code, part, INTO), 0)
            self.ends(self.rows, 0, code).decode(part.row, *part.span, room)

    def _settle(self) -> None:
        if self.rows.keys[0].form != "float" or self.rows.by_place:
            return
        with self._stage("sort_settle", False, 0.0) as (code, part):
            self.ends(self.rows, 0, code).settle(part.start)
