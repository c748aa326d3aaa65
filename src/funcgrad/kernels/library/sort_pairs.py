"""The ends of a sort of two operands by splits: what travels with a key is its place.

So no two elements are the same, and their order is the stable one. In the end the second operand
is fetched from the places, unless it is the places itself, as that of an argsort: then what was
carried is the result. Whether that is so is found out while elements are made.
"""

from __future__ import annotations

from .conv_code import Value
from .sort_ends import Ends
from .sort_plan import Rows
from .sort_words import Words


class PairEnds(Ends):
    """Text at the ends of a sort of a key and an operand of at most 32 bits, in rows side by side.

    Attributes:
        other: where is written, as an i32, and read whether the operand is anything but places.
    """

    def __init__(self, rows: Rows, number: int, code: Words) -> None:
        super().__init__(rows, number, code)
        self.other = ""

    def encode(self, start: Value, first: Value, last: Value, into: str) -> None:
        code, lanes = self.code, self.code.vector_bits // 64
        code.put("0", 32, self.other, 0)

        def some(i: Value, count: int) -> None:
            at = code.add(start, i)
            raw = code.get(self.element.key.bits, self.operands[0], at, count)
            places = self._places(i, count)
            key = code.encoded(self.element.key, raw, count)
            code.put(code.packed(self.element, key, places, count), 64, into, i, count)
            bits = self.rows.bits[1]
            carried = code.resized(code.get(bits, self.operands[1], at, count), bits, 32, count)
            differs = code.op("icmp ne", 32, carried, places, count)
            word = differs
            if count > 1:
                word = code.writer.value(f"bitcast {code.type(1, count)} {differs} to i{count}")
            found = code.get(32, self.other, 0)
            code.put(code.op("or", 32, found, code.resized(word, count, 32)), 32, self.other, 0)

        self._runs(first, last, lanes, some)

    def _places(self, i: Value, lanes: int) -> str:
        """i, i + 1, … as an i32 each."""
        code = self.code
        first = code.writer.value(f"trunc i64 {i} to i32")
        if lanes == 1:
            return first
        kind = code.type(32, lanes)
        one = code.writer.value(f"insertelement {kind} poison, i32 {first}, i64 0")
        every = code.shuffled(kind, one, "poison", [0] * lanes)
        steps = ", ".join(f"i32 {k}" for k in range(lanes))
        return code.writer.value(f"add {kind} {every}, <{steps}>")

    def decode(self, row: Value, first: Value, last: Value, source: str) -> None:
        code = self.code
        start = self.rows.start(code, row)
        other = code.op("icmp ne", 32, code.get(32, self.other, 0), 0)
        with code.writer.when(other):
            self._decoded(start, (first, last), source, fetched=True)
        with code.writer.when(code.op("xor", 1, other, 1)):
            self._decoded(start, (first, last), source, fetched=False)

    def _decoded(self, start: Value, span: tuple[Value, Value], source: str, fetched: bool) -> None:
        code, bits, key = self.code, self.rows.bits[1], self.element.key

        def some(i: Value, count: int) -> None:
            packed, at = code.get(64, source, i, count), code.add(start, i)
            raw = code.decoded(key, code.key(self.element, packed, count), count)
            code.put(raw, key.bits, self.outs[0], at, count)
            carried = code.carried(self.element, packed, count)
            for lane in range(count if fetched else 0):
                place = carried
                if count > 1:
                    kind = code.type(32, count)
                    place = code.writer.value(f"extractelement {kind} {carried}, i64 {lane}")
                there = code.add(start, code.resized(place, 32, 64))
                code.put(
                    code.get(bits, self.operands[1], there), bits, self.outs[1], code.add(at, lane)
                )
            if not fetched:
                code.put(code.resized(carried, 32, bits, count), bits, self.outs[1], at, count)

        self._runs(*span, code.vector_bits // 64, some)
