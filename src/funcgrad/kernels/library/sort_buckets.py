"""Sorts by splits: of whole rows, and of long ones, divided among threads.

    look:     for each row, which elements are the borders between buckets
    deal:     blocks of rows become elements in the order of buckets; those of each one are counted
    begin:    for each row, where the elements of each bucket of each block begin
    collect:  each block moves its elements to their buckets
    sort:     each bucket is sorted, and its elements become results
    settle:   equal values that are not the same

Blocks are so small that they stay in the first caches while they are split, as whole rows are
(`Splits`), but at borders that all have in common. Elements that compare equal are the same, so
that there is only one order in the end, whoever did which part.
Source: Frazer & McKellar, Samplesort, Journal of the ACM 17 (1970).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from . import LibraryKernel, Slot, Stage
from .conv_code import Value
from .sort_ends import Ends
from .sort_pairs import PairEnds
from .sort_plan import Rows
from .sort_registers import Lanes, leaf_name, leaf_size, leaf_text
from .sort_split import SPAN_KINDS, Listed, Sorting, Span, Splits

# Bytes of a block, and buckets of a row: as many as a power of two.
BLOCK, BUCKETS = 1 << 15, 32
# Nanoseconds for an element: of a split, and of what else a stage does. They decide only whether
# threads are worth it.
SPLIT, ELSE = 0.2, 0.5


def looks_of(length: int) -> int:
    """How often elements are looked at on the way from a row to parts that fit in registers.

    Twice as often as it takes where the middle one is always found.
    """
    return 2 * length.bit_length()


class SplitSort:
    """Text of the stages."""

    def __init__(self, rows: Rows, vector_bits: int, ends: type[Ends] = Ends) -> None:
        self.rows, self.vector_bits, self.ends = rows, vector_bits, ends
        self.bits = rows.element(0).bits
        # One operand's results have room for the elements too.
        self.in_place = len(rows.bits) == 1 and rows.inner == 1
        self.block = BLOCK // (self.bits // 8)
        self.blocks = -(-rows.length // self.block)
        leaf, declared = leaf_text(self.bits, vector_bits)
        self.functions = {leaf_name(self.bits, vector_bits): leaf}
        self.declared = dict.fromkeys(declared)
        self.stages: list[Stage] = []
        self.looks = looks_of(rows.length)

    def _kernel(self, scratch: tuple[int, ...]) -> LibraryKernel:
        return LibraryKernel(self.functions, tuple(self.declared), tuple(self.stages), scratch, 0.0)

    def _ends(self, code: Lanes, other: str) -> Ends:
        """The ends; of pairs, where it is known whether the second operand is other than places."""
        ends = self.ends(self.rows, 0, code)
        if isinstance(ends, PairEnds):
            ends.other = other
        return ends

    # Whole rows.

    def whole_rows(self) -> LibraryKernel:
        """The kernel that sorts each row in the memory of one call."""
        rows, bits, code = self.rows, self.bits, Lanes(self.bits, self.vector_bits)
        ends = self._ends(code, code.space(32, 1))
        other = code.space(bits, rows.length)
        room = "" if self.in_place else code.space(bits, rows.length)
        sorting = Sorting(code)
        with code.writer.loop("%lo", "%hi", 1) as loop:
            start = rows.start(code, loop.index)
            home = code.place(bits, ends.outs[0], start) if self.in_place else room
            ends.encode(start, 0, rows.length, home)
            span = Span(home, other, "false", str(rows.length))
            sorting.sort(span, "0", "-1", str(self.looks))
            ends.decode(loop.index, 0, rows.length, home)
            ends.settle(start)
        self._staged("sort_splits", code, self.ends.arguments(rows), rows.total)
        grain = max(1, (1 << 14) // rows.length)
        cost = rows.size * (rows.length.bit_length() * SPLIT + ELSE)
        self.stages[0] = self.stages[0]._replace(grain=grain, cost=cost)
        return self._kernel(())

    def _staged(self, name: str, code: Lanes, args: tuple[Slot, ...], extent: int) -> None:
        self.functions[name] = code.function(name)
        self.declared.update(dict.fromkeys(code.declarations))
        self.stages.append(Stage(name, args, extent, 1, self.rows.size * ELSE))

    # Long rows.

    def long_rows(self) -> LibraryKernel:
        """The kernel that divides rows among threads."""
        rows, size = self.rows, self.rows.size * self.bits // 8
        entries = (BUCKETS + 1) * self.blocks + 2
        scratch = (4 * rows.total * entries, 2 * BUCKETS * rows.total * self.bits // 8, size)
        if not self.in_place:
            scratch = (*scratch, size)
        last: Slot = ("out", 0) if self.in_place else ("scratch", 3)
        own: list[Slot] = [("scratch", k) for k in range(3)]
        self.args = (*self.ends.arguments(rows), *own, last)
        self._look()
        self._deal()
        self._begin()
        self._collect()
        self._sort()
        self._settle()
        return self._kernel(scratch)

    @contextmanager
    def _stage(self, name: str, parts: int) -> Generator[tuple[Lanes, Value, Value]]:
        """A stage over so many parts of rows: gives the row and the part."""
        code, rows = Lanes(self.bits, self.vector_bits), self.rows
        table, borders, *rooms = (code.argument(len(self.args) - 4 + k) for k in range(4))
        with code.writer.loop("%lo", "%hi", 1) as loop:
            row, part = code.split(loop.index, [rows.total, parts])
            self.table = code.place(32, table, code.mul(row, (BUCKETS + 1) * self.blocks + 2))
            # Behind the places of buckets: whether second operands are other than places.
            self.other = code.place(32, self.table, BUCKETS * self.blocks + 1)
            self.tree = code.place(self.bits, borders, code.mul(row, 2 * BUCKETS))
            self.borders = code.place(self.bits, self.tree, BUCKETS)
            first = code.mul(row, rows.length)
            self.away, self.home = (code.place(self.bits, room, first) for room in rooms)
            yield code, row, part
        self._staged(name, code, self.args, rows.total * parts)

    def _look(self) -> None:
        with self._stage("sort_look", 1) as (code, row, _):
            bits, n, writer = self.bits, self.rows.length, code.writer
            looks = leaf_size(bits, self.vector_bits)
            ends, room = self._ends(code, code.space(32, 1)), code.space(bits, looks)
            start = self.rows.start(code, row)
            with code.loop(0, looks) as k:
                at = code.div(code.mul(k, n), looks)
                ends.encode(start, at, code.add(at, 1), code.place(bits, room, code.sub(k, at)))
            leaf = leaf_name(bits, self.vector_bits)
            writer.line(f"call void @{leaf}(ptr {room}, ptr {room}, i64 {looks})")
            each = looks // BUCKETS
            found = [code.get(bits, room, each * (b + 1) - 1) for b in range(BUCKETS - 1)]
            borders = [*self._apart(code, found), "-1"]
            for b, border in enumerate(borders):
                code.put(border, bits, self.borders, b)
            for node in range(1, BUCKETS):
                below = node.bit_length() - 1
                middle = (2 * (node - (1 << below)) + 1) * (BUCKETS >> (below + 1)) - 1
                code.put(borders[middle], bits, self.tree, node)

    def _apart(self, code: Lanes, found: list[str]) -> Iterator[str]:
        """Borders, of which the first one of several that are alike is one less.

        Their value then has a bucket of its own, which needs no sorting.
        """
        bits = self.bits
        for b, border in enumerate(found):
            first = code.op("icmp ne", bits, border, found[b - 1] if b else "0")
            again = code.op("icmp eq", bits, border, found[b + 1] if b + 1 < len(found) else "-1")
            less = code.resized(code.op("and", 1, first, again), 1, bits)
            yield code.op("sub", bits, border, less)

    def _deal(self) -> None:
        with self._stage("sort_deal", self.blocks) as (code, row, block):
            bits = self.bits
            first = code.mul(block, self.block)
            last = code.least(code.add(first, self.block), self.rows.length)
            ends = self._ends(code, code.place(32, self.other, code.add(block, 1)))
            splits = Splits(code)
            other = code.space(bits, self.block)
            ends.encode(self.rows.start(code, row), first, last, self.away)
            here = code.place(bits, self.away, first)
            parts = Listed(code, SPAN_KINDS, 2 * BUCKETS)
            parts.put(1, Span(here, other, "false", code.sub(last, first)))
            # The parts of part k are parts 2k and 2k + 1.
            with code.loop(1, BUCKETS) as node:
                less, more = splits.split(Span(*parts.get(node)), code.get(bits, self.tree, node))
                parts.put(code.mul(node, 2), less)
                parts.put(code.add(code.mul(node, 2), 1), more)
            with code.loop(0, BUCKETS) as b:
                source, other, away, count = parts.get(code.add(b, BUCKETS))
                with code.writer.when(away):
                    code.copy_all(source, other, count)
                at = code.add(code.mul(b, self.blocks), block)
                code.put(code.resized(str(count), 64, 32), 32, self.table, at)

    def _begin(self) -> None:
        with self._stage("sort_begin", 1) as (code, _, _):
            entries = BUCKETS * self.blocks
            with code.carrying(entries, [("i32", "0")]) as loop:
                (total,) = loop.carried
                count = code.get(32, self.table, loop.index)
                code.put(total, 32, self.table, loop.index)
                loop.next = [code.op("add", 32, total, count)]
            code.put(str(self.rows.length), 32, self.table, entries)
            if self.ends is PairEnds:
                with code.carrying(self.blocks, [("i32", "0")]) as loop:
                    each = code.get(32, self.other, code.add(loop.index, 1))
                    loop.next = [code.op("or", 32, loop.carried[0], each)]
                code.put(loop.results[0], 32, self.other, 0)

    def _place(self, code: Lanes, number: Value) -> str:
        """Where the elements of a bucket of a block begin, by their number."""
        return code.resized(code.get(32, self.table, number), 32, 64)

    def _collect(self) -> None:
        with self._stage("sort_collect", self.blocks) as (code, _, block):
            here = code.mul(block, self.block)
            with code.carrying(BUCKETS, [("i64", str(here))]) as loop:
                (source,) = loop.carried
                number = code.add(code.mul(loop.index, self.blocks), block)
                first = self._place(code, number)
                count = code.sub(self._place(code, code.add(number, 1)), first)
                code.copy_all(
                    code.place(self.bits, self.away, source),
                    code.place(self.bits, self.home, first),
                    count,
                )
                loop.next = [str(code.add(source, count))]

    def _sort(self) -> None:
        with self._stage("sort_buckets", BUCKETS) as (code, row, bucket):
            bits, sorting = self.bits, Sorting(code)
            number = code.mul(bucket, self.blocks)
            first = self._place(code, number)
            last = self._place(code, code.add(number, self.blocks))
            high = code.get(bits, self.borders, bucket)
            begins = code.op("icmp eq", 64, str(bucket), 0)
            before = code.get(bits, self.borders, code.greatest(code.sub(bucket, 1), 0))
            low = code.choose(begins, bits, "0", code.op("add", bits, before, 1))
            home, away = (code.place(bits, room, first) for room in (self.home, self.away))
            span = Span(home, away, "false", code.sub(last, first))
            sorting.sort(span, low, high, str(self.looks))
            self._ends(code, self.other).decode(row, first, last, self.home)
        cost = self.rows.size * (self.rows.length.bit_length() * SPLIT + ELSE)
        self.stages[-1] = self.stages[-1]._replace(cost=cost)

    def _settle(self) -> None:
        if self.rows.keys[0].form != "float" or self.rows.by_place:
            return
        with self._stage("sort_settle", 1) as (code, row, _):
            self.ends(self.rows, 0, code).settle(self.rows.start(code, row))
