"""The k largest elements of rows and their places: of equal ones the first, as a sort has it.

Few of many: the rows are read once. Elements greater than the least of the k best so far are put
behind those in a small room; when it is full, it is sorted, and only the k best stay. A long row is
read in parts, and the best of the parts are sorted in the end.

Many of few: rows are sorted, and the first elements kept.

Floats are in the order of their bits: NaN of positive sign is the largest, 0.0 lies above -0.0.
Keys are turned over: the lesser one is the better one, and of equal ones the place decides.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..runtime.toolchain import Machine
from . import LibraryKernel, Slot, Stage
from .conv_code import Value
from .sort import longer
from .sort_ends import Ends
from .sort_lanes import Network
from .sort_plan import Rows
from .sort_words import Words, key_of

DType = np.dtype[Any]

# More than so many are kept only by sorting; so many always by a room.
MOST, FEW = 1024, 64
# Elements that are compared with the least of the best at once.
BLOCK = 32
# A part of a row has so many elements at least, and so many times more than it gives.
PART, SHARE, MOST_PARTS = 1 << 16, 64, 16
# Elements that one call reads at least, and in a nanosecond.
CHUNK, SPEED = 1 << 15, 3.0


class TopSpec(NamedTuple):
    """The k largest elements along an axis."""

    dtype: DType
    shape: tuple[int, ...]
    axis: int
    k: int


def build(spec: TopSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of (operand, values, places).

    Returns:
        None for empty results, and for dtypes other than bool, integers and floats.
    """
    key, size, n = key_of(spec.dtype), prod(spec.shape), spec.shape[spec.axis]
    if key is None or not 0 < size < 1 << 31 or not spec.k:
        return None
    outer, inner = prod(spec.shape[: spec.axis]), prod(spec.shape[spec.axis + 1 :])
    # NaNs stay where their bits place them.
    rows = Rows((key.bits, 32), (key._replace(nans=0),), outer, n, inner, spec.k)
    if spec.k <= FEW or (spec.k <= MOST and spec.k * 16 <= n):
        return RoomKernel(rows, machine.vector_bits).kernel()
    return longer(rows, machine, TopEnds)


class TopEnds(Ends):
    """The ends of a sort of which the first elements are kept."""

    @staticmethod
    def arguments(rows: Rows) -> tuple[Slot, ...]:
        return (("in", 0), ("out", 0), ("out", 1))

    def encode(self, start: Value, first: Value, last: Value, into: str) -> None:
        code, key = self.code, self.element.key
        with code.loop(first, last) as i:
            raw = code.get(key.bits, self.operands[0], self.rows.at(code, start, i))
            turned = code.op("xor", key.bits, code.encoded(key, raw), -1)
            place = code.writer.value(f"trunc i64 {i} to i32")
            code.put(code.packed(self.element, turned, place), self.element.bits, into, i)

    def decode(self, row: Value, first: Value, last: Value, source: str) -> None:
        code, rows, element = self.code, self.rows, self.element
        goal = rows.goal(code, row)
        with code.loop(first, code.least(last, rows.kept)) as i:
            packed = code.get(element.bits, source, i)
            turned = code.op("xor", element.key.bits, code.key(element, packed), -1)
            self.result(goal, i, turned, code.carried(element, packed))

    def result(self, goal: Value, i: Value, key: str, place: str) -> None:
        """Result i of a row: a value by its key, and its place."""
        code, at = self.code, self.rows.at(self.code, goal, i)
        bits = self.element.key.bits
        code.put(code.decoded(self.element.key, key), bits, self.outs[0], at)
        code.put(place, 32, self.outs[1], at)

    def settle(self, start: Value) -> None:
        """There is nothing to settle: bits decide."""


class RoomKernel:
    """Text of the functions that keep the best in a room.

    The room holds pairs of a turned key and a place: in one integer for keys of at most 32 bits,
    in two else. Integers are compared as signed ones, so that their upper bit is turned over.
    """

    def __init__(self, rows: Rows, vector_bits: int) -> None:
        self.rows, self.vector_bits = rows, vector_bits
        self.key, k = rows.keys[0], rows.kept
        self.streams = 1 if self.key.bits <= 32 else 2
        self.lanes = vector_bits // 64
        self.block = max(BLOCK, vector_bits // self.key.bits)
        # Behind the best there is room for as many, for a block, and for what fills vectors.
        self.size = 1 << (k + max(k, self.block) - 1).bit_length()
        parts = min(MOST_PARTS, rows.length // max(PART, SHARE * k), 4 * MOST // k)
        self.each = -(-rows.length // max(1, parts))
        self.parts = -(-rows.length // self.each)

    def kernel(self) -> LibraryKernel:
        """The kernel."""
        rows, k = self.rows, self.rows.kept
        args = TopEnds.arguments(rows)
        code = Words(self.vector_bits)
        functions = {"top_k": self._best(code)}
        declared = dict.fromkeys(code.declarations)
        cost = rows.size / SPEED + rows.total * self.parts * self.size * 10.0
        extent = rows.total * self.parts
        grain = max(1, CHUNK // (self.each + 8 * self.size))
        scratch: tuple[int, ...] = ()
        if self.parts > 1:
            each: list[Slot] = [("scratch", s) for s in range(self.streams)]
            args = (*args, *each)
            scratch = (8 * rows.total * self.parts * k,) * self.streams
        stages = [Stage("top_k", args, extent, grain, cost)]
        if self.parts > 1:
            code = Words(self.vector_bits)
            functions["top_k_of_parts"] = self._of_parts(code)
            declared.update(dict.fromkeys(code.declarations))
            count = rows.total * self.parts * k
            stages.append(Stage("top_k_of_parts", args, rows.total, 1, count * 20.0))
        return LibraryKernel(functions, tuple(declared), tuple(stages), scratch, 0.0)

    # One pass over the rows.

    def _best(self, code: Words) -> str:
        """Parts of rows: the best of each go to results, or to memory for all parts."""
        rows = self.rows
        self.code, self.ends = code, TopEnds(rows, 0, code)
        self.rooms = [code.space(64, self.size) for _ in range(self.streams)]
        between = [code.argument(3 + s) for s in range(self.streams if self.parts > 1 else 0)]
        network = Network(
            code, self.rooms, 64, self.lanes, self.size // self.lanes, within=self.lanes > 1
        )
        self.held, self.here = (code.writer.first("alloca i64") for _ in range(2))
        self.least = code.writer.first(f"alloca i{self.key.bits}")
        self.open = code.writer.first("alloca i1")
        with code.writer.loop("%lo", "%hi", 1) as loop:
            row, part = code.split(loop.index, [rows.total, self.parts])
            first = code.mul(part, self.each)
            last = code.least(code.add(first, self.each), rows.length)
            self._search(rows.start(code, row), first, last, network)
            if self.parts == 1:
                self._results(row)
            else:
                base = code.mul(loop.index, rows.kept)
                with code.loop(0, rows.kept) as i:
                    for room, into in zip(self.rooms, between, strict=True):
                        code.put(code.get(64, room, i), 64, into, code.add(base, i))
        return code.function("top_k")

    def _search(self, start: Value, first: Value, last: Value, network: Network) -> None:
        """Leave the best of part of a row at the beginning of the room."""
        code, writer = self.code, self.code.writer
        code.put("0", 64, self.held, 0)
        code.put(code.op("add", 64, str(first), 0), 64, self.here, 0)
        code.put("true", 1, self.open, 0)
        code.put("0", self.key.bits, self.least, 0)
        with writer.forever() as leave:
            self._fill(start, last)
            with code.loop(code.get(64, self.held, 0), self.size) as i:
                for room in self.rooms:
                    code.put(code.const(64, (1 << 63) - 1), 64, room, i)
            network.sort()
            code.put(code.const(64, self.rows.kept), 64, self.held, 0)
            code.put("false", 1, self.open, 0)
            code.put(self._signed(self._turned(self.rows.kept - 1)), self.key.bits, self.least, 0)
            leave(code.op("icmp sge", 64, code.get(64, self.here, 0), str(last)))

    def _fill(self, start: Value, last: Value) -> None:
        """Read on until the room is full, or the part at its end."""
        code, writer = self.code, self.code.writer
        with writer.forever() as leave:
            here = code.get(64, self.here, 0)
            leave(code.op("icmp sge", 64, here, str(last)))
            leave(code.op("icmp sgt", 64, code.get(64, self.held, 0), self.size - self.block))
            count = code.least(code.sub(last, here), self.block)
            found = "true"
            if self.rows.inner == 1:
                found = self._any(start, here, count)
            with writer.when(found), code.loop(0, count) as i:
                self._offer(start, code.add(here, i))
            code.put(str(code.add(here, count)), 64, self.here, 0)

    def _any(self, start: Value, here: Value, count: Value) -> str:
        """Whether any element of a block may be one of the best."""
        code, key = self.code, self.key
        lanes = self.vector_bits // key.bits
        whole = code.op("icmp eq", 64, str(count), self.block)
        opened = code.get(1, self.open, 0)
        closed = code.op("xor", 1, opened, 1)
        with code.writer.detour(code.op("and", 1, whole, closed), [("i1", "true")]) as detour:
            least = code.get(key.bits, self.least, 0)
            kind = code.type(key.bits, lanes)
            one = code.writer.value(f"insertelement {kind} poison, i{key.bits} {least}, i64 0")
            every = code.writer.value(
                f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer"
            )
            more = ""
            for k in range(0, self.block, lanes):
                at = code.add(start, here, k)
                raw = code.get(key.bits, self.ends.operands[0], at, lanes)
                signed = self._signed(code.encoded(key, raw, lanes), lanes)
                beyond = code.op("icmp sgt", key.bits, signed, every, lanes)
                more = code.op("or", 1, more, beyond, lanes) if more else beyond
            bits = code.writer.value(f"bitcast {code.type(1, lanes)} {more} to i{lanes}")
            detour.next = [code.op("icmp ne", lanes, bits, 0)]
        return detour.results[0]

    def _offer(self, start: Value, i: Value) -> None:
        """Put an element behind the best; it stays if it is greater than the least of them."""
        code, key = self.code, self.key
        raw = code.get(key.bits, self.ends.operands[0], self.rows.at(code, start, i))
        found = code.encoded(key, raw)
        turned = code.resized(code.op("xor", key.bits, found, -1), key.bits, 64)
        held = code.get(64, self.held, 0)
        if self.streams == 1:
            place = code.op("and", 64, str(i), (1 << 32) - 1)
            turned = code.op("or", 64, code.op("shl", 64, turned, 32), place)
        else:
            code.put(str(i), 64, self.rooms[1], held)
        code.put(code.op("xor", 64, turned, 1 << 63), 64, self.rooms[0], held)
        least = code.get(key.bits, self.least, 0)
        better = code.op("icmp sgt", key.bits, self._signed(found), least)
        better = code.op("or", 1, better, code.get(1, self.open, 0))
        code.put(code.op("add", 64, held, code.resized(better, 1, 64)), 64, self.held, 0)

    def _signed(self, key: str, lanes: int = 1) -> str:
        return self.code.op("xor", self.key.bits, key, self.key.top, lanes)

    def _turned(self, i: Value) -> str:
        """The key of an element of the room."""
        code, bits = self.code, self.key.bits
        found = code.op("xor", 64, code.get(64, self.rooms[0], i), 1 << 63)
        if self.streams == 1:
            found = code.op("lshr", 64, found, 32)
        return code.op("xor", bits, code.resized(found, 64, bits), -1)

    def _results(self, row: Value) -> None:
        """The best of a row, from the room."""
        code = self.code
        goal = self.rows.goal(code, row)
        with code.loop(0, self.rows.kept) as i:
            place = code.resized(code.get(64, self.rooms[-1], i), 64, 32)
            self.ends.result(goal, i, self._turned(i), place)

    # The best of all parts.

    def _of_parts(self, code: Words) -> str:
        rows, count = self.rows, self.parts * self.rows.kept
        self.code, self.ends = code, TopEnds(rows, 0, code)
        between = [code.argument(3 + s) for s in range(self.streams)]
        units = -(-count // self.lanes)
        self.rooms = [code.space(64, units * self.lanes) for _ in range(self.streams)]
        network = Network(code, self.rooms, 64, self.lanes, units, within=self.lanes > 1)
        with code.writer.loop("%lo", "%hi", 1) as loop:
            base = code.mul(loop.index, count)
            for room, source in zip(self.rooms, between, strict=True):
                with code.loop(0, count) as i:
                    code.put(code.get(64, source, code.add(base, i)), 64, room, i)
                for i in range(count, units * self.lanes):
                    code.put(code.const(64, (1 << 63) - 1), 64, room, i)
            network.sort()
            self._results(loop.index)
        return code.function("top_k_of_parts")
