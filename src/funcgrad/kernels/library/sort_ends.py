"""The ends of a sort: operands become elements, and sorted elements become results.

One operand is its keys, turned back into values. A second one of at most 32 bits travels with the
key. Otherwise places travel, and the operands are fetched from there in the end.

Keys that are turned back are all different where the values are: -0.0 would come before 0.0, and
NaNs in an order of theirs. Where both zeros, or several NaNs, are there, their places in the result
are filled once more, in the order in which the operand has them.
"""

from __future__ import annotations

from collections.abc import Callable

from . import Slot
from .conv_code import Value
from .sort_plan import Rows
from .sort_words import Element, Words


class Ends:
    """Text at the ends of a sort by one key.

    Attributes:
        element: what is sorted; number: by which operand.
        operands, outs: pointers to the whole arrays.
    """

    def __init__(self, rows: Rows, number: int, code: Words) -> None:
        self.rows, self.number, self.code = rows, number, code
        self.element = rows.element(number)
        slots = self.arguments(rows)
        pointers = [(kind, code.argument(k)) for k, (kind, _) in enumerate(slots)]
        self.operands = [p for kind, p in pointers if kind == "in"]
        self.outs = [p for kind, p in pointers if kind == "out"]

    @staticmethod
    def arguments(rows: Rows) -> tuple[Slot, ...]:
        """Operands, then results: the first arguments of every function."""
        count = len(rows.bits)
        return (*(("in", k) for k in range(count)), *(("out", k) for k in range(count)))

    # Operands become elements.

    def encode(self, start: Value, first: Value, last: Value, into: str) -> None:
        """Elements first … last - 1 of the row that begins at `start`."""
        code, bits = self.code, self.element.bits
        lanes = code.vector_bits // bits
        if self.rows.inner > 1 or self.rows.by_place or bits > 64:
            lanes = 1

        def some(i: Value, count: int) -> None:
            code.put(self._element(start, i, count), bits, into, i, count)

        self._runs(first, last, lanes, some)

    def _runs(
        self, first: Value, last: Value, lanes: int, some: Callable[[Value, int], None]
    ) -> None:
        code, whole = self.code, first
        if lanes > 1:
            whole = code.add(first, code.mul(code.div(code.sub(last, first), lanes), lanes))
            if whole != first:
                with code.loop(first, whole, lanes) as i:
                    some(i, lanes)
        if whole != last:
            with code.loop(whole, last) as i:
                some(i, 1)

    def _element(self, start: Value, i: Value, lanes: int) -> str:
        code, rows, element = self.code, self.rows, self.element
        at = rows.at(code, start, i)
        raw = code.get(element.key.bits, self.operands[self.number], at, lanes)
        key = code.encoded(element.key, raw, lanes)
        if not element.carries:
            return key
        if rows.by_place:
            key = code.like(element.key, key)
            return code.packed(element, key, code.writer.value(f"trunc i64 {i} to i32"))
        carried = code.get(rows.bits[1], self.operands[1], at, lanes)
        carried = code.resized(carried, rows.bits[1], 32, lanes)
        return code.packed(element, key, carried, lanes)

    def encode_again(
        self, before: Element, start: Value, first: Value, last: Value, held: str
    ) -> None:
        """Elements of another key in place of those before, with the places these carry."""
        code, rows, element = self.code, self.rows, self.element
        with code.loop(first, last) as i:
            packed = code.get(before.bits, held, i)
            place = code.carried(before, packed)
            at = rows.at(code, start, code.resized(place, 32, 64))
            raw = code.get(element.key.bits, self.operands[self.number], at)
            key = code.like(element.key, code.encoded(element.key, raw))
            code.put(code.packed(element, key, place), element.bits, held, i)

    # Elements become results.

    def decode(self, row: Value, first: Value, last: Value, source: str) -> None:
        """Results first … last - 1 of a row."""
        code, rows, element = self.code, self.rows, self.element
        start = rows.start(code, row)
        lanes = code.vector_bits // element.bits
        if rows.inner > 1 or rows.by_place or element.bits > 64:
            lanes = 1

        def some(i: Value, count: int) -> None:
            packed = code.get(element.bits, source, i, count)
            at = rows.at(code, start, i)
            if rows.by_place:
                self.fetch(start, code.carried(element, packed), at)
                return
            raw = code.decoded(element.key, code.key(element, packed, count), count)
            code.put(raw, element.key.bits, self.outs[0], at, count)
            if element.carries:
                carried = code.resized(
                    code.carried(element, packed, count), 32, rows.bits[1], count
                )
                code.put(carried, rows.bits[1], self.outs[1], at, count)

        self._runs(first, last, lanes, some)

    def fetch(self, start: Value, place: str, at: Value) -> None:
        """All operands at a place of a row, an i32, go to where it stands in the end."""
        code, rows = self.code, self.rows
        source = rows.at(code, start, code.resized(place, 32, 64))
        self._copy(source, at)

    def _copy(self, source: Value, at: Value) -> None:
        for operand, out, bits in zip(self.operands, self.outs, self.rows.bits, strict=True):
            self.code.put(self.code.get(bits, operand, source), bits, out, at)

    def settle(self, start: Value) -> None:
        """Equal values of a row's results that are not the same, put in their first order."""
        key, code, last = self.element.key, self.code, self.rows.length - 1
        if key.form != "float" or self.rows.by_place:
            return
        low, high = key.zeros
        first, end = self._below(start, low), self._below(start, high + 1)
        least = self._key(start, code.least(first, last))
        most = self._key(start, code.greatest(code.sub(end, 1), 0))
        below = code.op("icmp eq", key.bits, least, low)
        above = code.op("icmp eq", key.bits, most, high)
        with code.writer.when(code.op("and", 1, below, above)):
            self._refill(start, first, (low, high))
        if self.element.carries:
            first = self._below(start, key.infinity + 1)
            least, most = self._key(start, code.least(first, last)), self._key(start, last)
            with code.writer.when(code.op("icmp ne", key.bits, least, most)):
                self._refill(start, first, (key.infinity + 1, -1))

    def _key(self, start: Value, i: Value) -> str:
        """The key of a result."""
        key = self.element.key
        raw = self.code.get(key.bits, self.outs[0], self.rows.at(self.code, start, i))
        return self.code.encoded(key, raw)

    def _below(self, start: Value, limit: int) -> Value:
        """How many results of a row have a key below the limit."""
        code, bits = self.code, self.element.key.bits
        base: Value = 0
        count = self.rows.length
        while count:
            half = (count + 1) // 2
            key = self._key(start, code.add(base, half - 1))
            less = code.op("icmp ult", bits, key, limit)
            base = code.add(base, code.writer.value(f"select i1 {less}, i64 {half}, i64 0"))
            # Of an odd number one less is left on the lower side: there one is asked for twice.
            count //= 2
        return base

    def _refill(self, start: Value, first: Value, span: tuple[int, int]) -> None:
        """The elements of a row whose keys are in the span, from a place of the result on."""
        code, rows, key = self.code, self.rows, self.element.key
        with code.carrying(rows.length, [("i64", str(first))]) as loop:
            (place,) = loop.carried
            source = rows.at(code, start, loop.index)
            raw = code.get(key.bits, self.operands[self.number], source)
            shifted = code.op("sub", key.bits, code.encoded(key, raw), span[0])
            width = (span[1] - span[0]) & ((1 << key.bits) - 1)
            inside = code.op("icmp ule", key.bits, shifted, width)
            with code.writer.when(inside):
                self._copy(source, rows.at(code, start, place))
            loop.next = [code.op("add", 64, place, code.resized(inside, 1, 64))]
