"""Sorting by splits: elements up to a chosen one before those beyond it, and so on in both parts.

A split reads its elements once. The lanes that stay are moved together and written where there were
elements before, the others to other memory: no branch depends on an element. Of both memories a
part then has as much as it needs, so that nothing is copied back. Parts that fit in registers are
sorted there (`sort_registers.py`).

Which element splits is the middle one of a few that are looked at. It is known between which two
the elements of a part are; where looking has been of no use for too long, the middle between these
splits, so that it ends whatever is sorted. Elements that compare equal must be the same.
Source: Hoare, Quicksort, Computer Journal 5 (1962); in vectors: Bramas, A novel hybrid quicksort
algorithm vectorized using AVX-512 on Intel Skylake, IJACSA 8 (2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .conv_code import Value
from .sort_lanes import Network
from .sort_registers import Lanes, leaf_name, leaf_size

# Parts that wait: the larger one of two does, so that there are no more than bits of a length.
WAITING = 32
# How many bytes ahead lines are asked for that will be written: most vectors are in two lines, of
# which a processor asks early for one only.
AHEAD = 256


class Span(NamedTuple):
    """A part: where its elements are, and other memory of that size.

    In the end they go to where they are, or where `away` is true, to the other memory.
    """

    source: str
    other: str
    away: str
    size: Value


SPAN_KINDS = ("ptr", "ptr", "i1", "i64")


class Listed:
    """Records of values of several types in memory of the call."""

    def __init__(self, code: Lanes, kinds: Sequence[str], count: int) -> None:
        self.code, self.kinds = code, kinds
        self.room = code.space(64, count * len(kinds))

    def _places(self, number: Value) -> Iterator[tuple[str, str]]:
        first = self.code.mul(number, len(self.kinds))
        for k, kind in enumerate(self.kinds):
            yield kind, self.code.place(64, self.room, self.code.add(first, k))

    def put(self, number: Value, values: Sequence[Value]) -> None:
        """Write a record."""
        for (kind, place), value in zip(self._places(number), values, strict=True):
            self.code.writer.line(f"store {kind} {value}, ptr {place}, align 8")

    def get(self, number: Value) -> list[str]:
        """Read a record."""
        return [
            self.code.writer.value(f"load {kind}, ptr {place}, align 8")
            for kind, place in self._places(number)
        ]


class Splits:
    """Text of splits in a function."""

    def __init__(self, code: Lanes) -> None:
        self.code = code

    def split(self, span: Span, most: str) -> tuple[Span, Span]:
        """The parts of elements up to `most`, and beyond it.

        Of a part that is at home, those up to `most` stay, and the others go to the other memory;
        of one that is away, those beyond it stay, and the others go home.
        """
        code, writer, lanes = self.code, self.code.writer, self.code.width
        source, other, away, count = span
        every, turned = code.every(most), code.every_flag(away)

        def staying(values: str) -> str:
            less = writer.value(f"icmp ule {code.unit} {values}, {every}")
            return code.op("xor", 1, less, turned, lanes)

        whole = code.op("and", 64, str(count), -lanes)
        with writer.loop("0", whole, lanes, [("i64", "0")]) as loop:
            (kept,) = loop.carried
            values = code.get(code.bits, source, loop.index, lanes)
            stays = staying(values)
            goes = code.op("xor", 1, stays, -1, lanes)
            gone = code.sub(loop.index, kept)
            for pointer, offset in ((source, kept), (other, gone)):
                code.ask(pointer, code.add(offset, AHEAD // (code.bits // 8)))
            # What lies behind those that count is written over, or was read before.
            code.put(code.gathered(values, stays), code.bits, source, kept, lanes)
            code.put(code.gathered(values, goes), code.bits, other, gone, lanes)
            loop.next = [str(code.add(kept, code.counted(stays)))]
        (kept,) = loop.results
        there = code.below(code.every(code.narrowed(code.sub(count, whole))))
        values = code.get_some(source, whole, there, code.every(0))
        stays = code.op("and", 1, staying(values), there, lanes)
        goes = code.op("xor", 1, stays, there, lanes)
        for mask, into, offset in ((stays, source, kept), (goes, other, code.sub(whole, kept))):
            these = code.below(code.every(code.narrowed(code.counted(mask))))
            code.put_some(code.gathered(values, mask), into, offset, these)
        kept = code.add(kept, code.counted(stays))
        gone = code.sub(count, kept)
        bits = code.bits
        stay = Span(source, code.place(bits, other, gone), away, kept)
        go = Span(other, code.place(bits, source, kept), code.op("xor", 1, away, 1), gone)
        return self._chosen(away, go, stay), self._chosen(away, stay, go)

    def _chosen(self, away: str, a: Span, b: Span) -> Span:
        return Span(
            *(
                self.code.writer.value(f"select i1 {away}, {kind} {x}, {kind} {y}")
                for kind, x, y in zip(SPAN_KINDS, a, b, strict=True)
            )
        )

    def middle(self, span: Span) -> str:
        """About the middle one of elements that lie far apart, one for each lane."""
        code, lanes = self.code, self.code.width
        step = code.writer.value(f"udiv i64 {span.size}, {lanes}")
        step = code.resized(step, 64, 32)
        kind = code.type(32, lanes)
        one = code.writer.value(f"insertelement {kind} poison, i32 {step}, i64 0")
        steps = code.shuffled(kind, one, "poison", [0] * lanes)
        numbers = ", ".join(f"i32 {k}" for k in range(lanes))
        found = code.fetch(span.source, code.writer.value(f"mul {kind} {steps}, <{numbers}>"))
        # Networks of lanes compare signed integers.
        top = 1 << (code.bits - 1)
        found = code.op("xor", code.bits, found, top, lanes)
        network = Network(code, [], code.bits, lanes, 1, within=True)
        (found,) = network.lanes_sorted([found])
        half = code.writer.value(f"extractelement {code.unit} {found}, i64 {lanes // 2 - 1}")
        return code.op("xor", code.bits, half, top)


class Sorting:
    """Text that sorts parts, of which it knows the least and the greatest element there may be."""

    def __init__(self, code: Lanes) -> None:
        self.code, self.splits = code, Splits(code)
        # Of a part its span, the least and the greatest element, how often there will be looks.
        kinds = (*SPAN_KINDS, f"i{code.bits}", f"i{code.bits}", "i64")
        self.waiting = Listed(code, kinds, WAITING)
        self.held = code.writer.first("alloca i64")

    def sort(self, span: Span, low: str, high: str, looks: Value) -> None:
        """Sort a part."""
        code, writer = self.code, self.code.writer
        leaf = f"@{leaf_name(code.bits, code.vector_bits)}"
        code.put("0", 64, self.held, 0)
        self._push(span, low, high, looks)
        with writer.forever() as leave:
            held = code.get(64, self.held, 0)
            leave(code.op("icmp eq", 64, held, 0))
            span, low, high, left = self._pop(held)
            few = code.op("icmp ule", 64, str(span.size), leaf_size(code.bits, code.vector_bits))
            same = code.op("icmp eq", code.bits, low, high)
            with writer.when(same):
                self._fill(span, low)
            with writer.when(code.op("and", 1, few, code.op("xor", 1, same, 1))):
                target = self._target(span)
                writer.line(f"call void {leaf}(ptr {span.source}, ptr {target}, i64 {span.size})")
            with writer.when(code.op("xor", 1, code.op("or", 1, few, same), 1)):
                self._split(span, low, high, left)

    def _split(self, span: Span, low: str, high: str, looks: str) -> None:
        code, bits = self.code, self.code.bits
        width = code.op("lshr", bits, code.op("sub", bits, high, low), 1)
        between = code.op("add", bits, low, width)
        below = code.op("sub", bits, high, 1)
        middle = self.splits.middle(span)
        less = code.op("icmp ult", bits, middle, below)
        middle = code.choose(less, bits, middle, below)
        tired = code.op("icmp eq", 64, looks, 0)
        most = code.choose(tired, bits, between, middle)
        looks = code.op("sub", 64, looks, code.resized(code.op("xor", 1, tired, 1), 1, 64))
        less, more = self.splits.split(span, most)
        first = less, low, most, looks
        second = more, code.op("add", bits, most, 1), high, looks
        # The larger one first, that it waits below the other.
        larger = code.op("icmp ugt", 64, str(less.size), str(more.size))
        with code.writer.when(larger):
            self._push(*first)
            self._push(*second)
        with code.writer.when(code.op("xor", 1, larger, 1)):
            self._push(*second)
            self._push(*first)

    def _fill(self, span: Span, value: str) -> None:
        """Elements that are all the same, where they go in the end."""
        code, lanes = self.code, self.code.width
        every, target = code.every(value), self._target(span)
        whole = code.op("and", 64, str(span.size), -lanes)
        with code.loop("0", whole, lanes) as i:
            code.put(every, code.bits, target, i, lanes)
        rest = code.every(code.narrowed(code.sub(span.size, whole)))
        code.put_some(every, target, whole, code.below(rest))

    def _target(self, span: Span) -> str:
        source, other, away, _ = span
        return self.code.writer.value(f"select i1 {away}, ptr {other}, ptr {source}")

    def _push(self, span: Span, low: str, high: str, looks: Value) -> None:
        code, held = self.code, self.code.get(64, self.held, 0)
        self.waiting.put(held, (*span, low, high, looks))
        code.put(code.op("add", 64, held, 1), 64, self.held, 0)

    def _pop(self, held: str) -> tuple[Span, str, str, str]:
        number = self.code.op("sub", 64, held, 1)
        self.code.put(number, 64, self.held, 0)
        *span, low, high, looks = self.waiting.get(number)
        return Span(*span), low, high, looks
