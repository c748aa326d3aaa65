"""Sorting by digits: the steps of a least-significant-digit radix sort, and sorts of whole rows.

A pass moves every element to where its digit begins, those of one digit in the order in which they
come; after the pass of the last digit they are sorted, and equal ones are in their first order. A
digit that is the same everywhere needs no pass.
Source: Knuth, The Art of Computer Programming, volume 3, 5.2.5.
"""

from __future__ import annotations

from . import LibraryKernel, Stage
from .conv_code import Value
from .sort_ends import Ends
from .sort_plan import Rows
from .sort_words import Element, Words

# Elements in a turn of a loop.
TIMES = 4
# Bits of a digit: the lines in which the elements of all digits end fit in the first cache.
WIDTH = 8
BUCKETS = 1 << WIDTH
# Nanoseconds for an element and a pass, roughly: decides only whether threads are worth it.
PASS = 1.5


class Passes:
    """Text of the steps of a pass."""

    def __init__(self, element: Element, code: Words) -> None:
        self.element, self.code = element, code

    def digit(self, packed: str, shift: Value) -> str:
        """The digit of an element whose key has so many bits below it, as an index."""
        code, bits = self.code, self.element.key.bits
        found = code.key(self.element, packed)
        if isinstance(shift, str):
            shift = code.resized(shift, 64, bits)
        if shift != 0:
            found = code.op("lshr", bits, found, shift)
        if bits > WIDTH:
            found = code.op("and", bits, found, BUCKETS - 1)
        return code.resized(found, bits, 64)

    def count(self, source: str, span: tuple[Value, Value], tables: dict[Value, str]) -> None:
        """Count the digits of the elements of a span that have a table, by the bits below them."""
        code = self.code

        def one(i: Value) -> None:
            packed = code.get(self.element.bits, source, i)
            for shift, table in tables.items():
                at = code.place(32, table, self.digit(packed, shift))
                code.put(code.op("add", 32, code.get(32, at, 0), 1), 32, at, 0)

        def some(i: Value, count: int) -> None:
            for k in range(count):
                one(code.add(i, k))

        code.turns(*span, TIMES, some)

    def move(
        self, source: str, span: tuple[Value, Value], shift: Value, table: str, into: str
    ) -> None:
        """Put each element where the table says that its digit begins; the next goes behind it."""
        code, bits = self.code, self.element.bits

        def some(i: Value, count: int) -> None:
            # All places before the first move: loads behind a store whose address is late may wait.
            moved: list[tuple[str, str]] = []
            for k in range(count):
                packed = code.get(bits, source, code.add(i, k))
                at = code.place(32, table, self.digit(packed, shift))
                place = code.get(32, at, 0)
                code.put(code.op("add", 32, place, 1), 32, at, 0)
                moved.append((packed, place))
            for packed, place in moved:
                code.put(packed, bits, into, code.resized(place, 32, 64))

        code.turns(*span, TIMES, some)


class RowSort:
    """Text of the function that sorts rows `lo` to `hi`, each by itself, in memory of the call."""

    def __init__(self, rows: Rows, code: Words, ends: type[Ends]) -> None:
        self.rows, self.code = rows, code
        self.ends = [ends(rows, k, code) for k in range(len(rows.keys))]

    def text(self, name: str) -> str:
        """The function."""
        code, rows = self.code, self.rows
        bits = self.ends[0].element.bits
        rooms = [code.space(bits, rows.length) for _ in range(2)]
        held = [code.writer.first("alloca ptr") for _ in range(2)]
        with code.writer.loop("%lo", "%hi", 1) as row:
            start = rows.start(code, row.index)
            for slot, room in zip(held, rooms, strict=True):
                code.writer.line(f"store ptr {room}, ptr {slot}")
            before: Element | None = None
            for ends in reversed(self.ends):
                self._by_key(ends, start, before, held)
                before = ends.element
            self.ends[0].decode(row.index, 0, rows.length, self._pointer(held[0]))
            self.ends[0].settle(start)
        return code.function(name)

    def _pointer(self, slot: str) -> str:
        return self.code.writer.value(f"load ptr, ptr {slot}")

    def _by_key(self, ends: Ends, start: Value, before: Element | None, held: list[str]) -> None:
        code, n = self.code, self.rows.length
        passes = Passes(ends.element, code)
        source = self._pointer(held[0])
        if before is None:
            ends.encode(start, 0, n, source)
        else:
            ends.encode_again(before, start, 0, n, source)
        bits = ends.element.key.bits
        tables = code.space(32, bits // WIDTH * BUCKETS)
        code.clear(tables, bits // WIDTH * BUCKETS * 4)
        each: dict[Value, str] = {}
        for shift in range(0, bits, WIDTH):
            each[shift] = code.place(32, tables, shift // WIDTH * BUCKETS)
        passes.count(source, (0, n), each)
        for shift, table in each.items():
            source = self._pointer(held[0])
            first = passes.digit(code.get(ends.element.bits, source, 0), shift)
            same = code.get(32, table, first)
            with code.writer.when(code.op("icmp ne", 32, same, n)):
                into = self._pointer(held[1])
                begin_each(code, table)
                passes.move(source, (0, n), shift, table, into)
                code.writer.line(f"store ptr {into}, ptr {held[0]}")
                code.writer.line(f"store ptr {source}, ptr {held[1]}")


def begin_each(code: Words, table: str) -> None:
    """Counts become where each digit begins."""
    with code.carrying(BUCKETS, [("i32", "0")]) as loop:
        (total,) = loop.carried
        count = code.get(32, table, loop.index)
        code.put(total, 32, table, loop.index)
        loop.next = [code.op("add", 32, total, count)]


def rows_kernel(rows: Rows, vector_bits: int, ends: type[Ends] = Ends) -> LibraryKernel:
    """The kernel that sorts each row in the memory of one call."""
    code = Words(vector_bits)
    text = RowSort(rows, code, ends).text("sort_rows")
    passes = sum(k.bits // WIDTH + 2 for k in rows.keys)
    cost = rows.size * passes * PASS
    grain = max(1, (1 << 14) // rows.length)
    stage = Stage("sort_rows", ends.arguments(rows), rows.total, grain, cost)
    return LibraryKernel({"sort_rows": text}, code.declarations, (stage,), (), 0.0)
