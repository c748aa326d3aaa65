"""Text of LLVM over values of which many are known: integers fold, the rest is instructions.

The one idea: an extent, offset or stride is a `Value`, an int where it is known when the text is
written and else a name. The same description of a kernel then gives constants where there can be
constants, and no loop at all where a loop would run once.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from zlib import crc32

from ..emit.writer import Loop, Writer

Value = int | str

# Words of two int16 that are multiplied each with its counterpart, and added.
PAIRS = "pairs"
# LLVM's names of the types of elements, and their bytes. Integers wrap, so their sign is not asked.
KINDS = {
    "float32": ("float", 4),
    "float64": ("double", 8),
    "int32": ("i32", 4),
    "uint32": ("i32", 4),
    "int64": ("i64", 8),
    "uint64": ("i64", 8),
    PAIRS: ("i32", 4),
}

# The branch back of a loop of `Writer.loop`.
BACKWARDS = re.compile(r"br i1 %(\w+)\.more, label %\1, label %\1\.end$", re.MULTILINE)


class Code:
    """The body of one function of the kernel ABI whose arrays hold one type of number.

    Attributes:
        kind: LLVM's name of the element type.
        size: its bytes.
        lanes: elements of the widest vector.
    """

    def __init__(self, dtype: str, vector_bits: int) -> None:
        self.writer = Writer()
        self.dtype = dtype
        self.kind, self.size = KINDS[dtype]
        self.lanes = vector_bits // (8 * self.size)

    @property
    def whole(self) -> bool:
        """Whether the elements are integers."""
        return self.kind.startswith("i")

    # Integers.

    def _folded(self, op: str, a: Value, b: Value) -> Value:
        return self.writer.value(f"{op} i64 {a}, {b}")

    def add(self, *terms: Value) -> Value:
        """The sum of the terms."""
        known = sum(t for t in terms if isinstance(t, int))
        total: Value = 0
        for term in terms:
            if isinstance(term, str):
                total = term if total == 0 else self._folded("add nsw", total, term)
        if isinstance(total, int):
            return known
        return self._folded("add nsw", total, known) if known else total

    def mul(self, a: Value, b: Value) -> Value:
        """a · b."""
        if isinstance(a, int):
            a, b = b, a
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if b in (0, 1):
            return a if b == 1 else 0
        return self._folded("mul nsw", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        """a - b."""
        return self.add(a, -b if isinstance(b, int) else self.mul(b, -1))

    def div(self, a: Value, b: Value) -> Value:
        """The quotient of nonnegative a by b."""
        if isinstance(a, int) and isinstance(b, int):
            return a // b
        return a if b == 1 else self._folded("udiv", a, b)

    def rem(self, a: Value, b: Value) -> Value:
        """The remainder of nonnegative a by b."""
        if isinstance(a, int) and isinstance(b, int):
            return a % b
        return 0 if b == 1 else self._folded("urem", a, b)

    def least(self, a: Value, b: Value) -> Value:
        """The smaller of both."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        less = self.writer.value(f"icmp slt i64 {a}, {b}")
        return self.writer.value(f"select i1 {less}, i64 {a}, i64 {b}")

    def greatest(self, a: Value, b: Value) -> Value:
        """The greater of both."""
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        more = self.writer.value(f"icmp sgt i64 {a}, {b}")
        return self.writer.value(f"select i1 {more}, i64 {a}, i64 {b}")

    def chosen(self, condition: str, a: Value, b: Value) -> Value:
        """a where the i1 `condition` holds, else b."""
        return a if a == b else self.writer.value(f"select i1 {condition}, i64 {a}, i64 {b}")

    def clamp(self, a: Value, low: Value, high: Value) -> Value:
        """The value brought into [low, high]."""
        return self.greatest(self.least(a, high), low)

    def pick(self, table: Sequence[int], number: Value) -> Value:
        """Entry `number` of a table."""
        if isinstance(number, int):
            return table[number]
        if len(set(table)) == 1:
            return table[0]
        step = table[1] - table[0]
        if all(b - a == step for a, b in pairwise(table)):
            return self.add(self.mul(number, step), table[0])
        entries = ", ".join(f"i64 {entry}" for entry in table)
        return self.writer.value(f"extractelement <{len(table)} x i64> <{entries}>, i64 {number}")

    def split(self, number: Value, extents: Sequence[int]) -> list[Value]:
        """The index into extents whose C-order position is `number`."""
        index: list[Value] = []
        for extent in reversed(extents[1:]):
            index.append(self.rem(number, extent))
            number = self.div(number, extent)
        return [number, *reversed(index)]

    # Loops.

    @contextmanager
    def loop(self, start: Value, stop: Value, step: int = 1) -> Generator[Value]:
        """A loop over start, start + step, … < stop; no loop where it is known to run once."""
        if isinstance(start, int) and isinstance(stop, int) and start < stop <= start + step:
            yield start
            return
        with self.writer.loop(str(start), str(stop), step) as opened:
            yield opened.index

    @contextmanager
    def carrying(self, count: Value, carried: Sequence[tuple[str, str]]) -> Generator[Loop]:
        """A loop run `count` times that carries (type, first value); no loop if count is 1."""
        if count == 1:
            once = Loop("0", [first for _, first in carried], [])
            yield once
            once.results = once.next
            return
        with self.writer.loop("0", str(count), 1, carried) as opened:
            yield opened

    # Memory. Offsets count elements.

    def argument(self, number: int) -> str:
        """The pointer number `number` among the function's arguments."""
        place = self.writer.value(f"getelementptr ptr, ptr %args, i64 {number}")
        return self.writer.value(f"load ptr, ptr {place}, align 8")

    def room(self, elements: int) -> str:
        """Memory for so many elements, which the call gives back."""
        return self.writer.value(f"alloca [{elements * self.size} x i8], align 64")

    def at(self, pointer: str, offset: Value) -> str:
        """The address of an element."""
        if offset == 0:
            return pointer
        return self.writer.value(f"getelementptr {self.kind}, ptr {pointer}, i64 {offset}")

    def vector(self, lanes: int) -> str:
        """The type of a vector; of one lane, the scalar's."""
        return self.kind if lanes == 1 else f"<{lanes} x {self.kind}>"

    def load(self, pointer: str, offset: Value, lanes: int = 1) -> str:
        """Elements from an offset on."""
        place = self.at(pointer, offset)
        return self.writer.value(f"load {self.vector(lanes)}, ptr {place}, align {self.size}")

    def store(self, value: str, pointer: str, offset: Value, lanes: int = 1) -> None:
        """Elements written from an offset on."""
        place = self.at(pointer, offset)
        self.writer.line(f"store {self.vector(lanes)} {value}, ptr {place}, align {self.size}")

    def prefetch(self, pointer: str, offset: Value, writes: int) -> None:
        """Ask for an element in the second cache; it need not be memory of anybody."""
        at = self.writer.declare("llvm.prefetch.p0", "void (ptr, i32, i32, i32)")
        place = self.at(pointer, offset)
        self.writer.line(f"call void {at}(ptr {place}, i32 {writes}, i32 2, i32 1)")

    def zero(self, lanes: int) -> str:
        """Zeros."""
        return "zeroinitializer" if lanes > 1 else "0" if self.whole else "0.0"

    def broadcast(self, pointer: str, offset: Value, lanes: int) -> str:
        """One element in all lanes."""
        kind, one = self.vector(lanes), self.load(pointer, offset)
        single = self.writer.value(f"insertelement {kind} poison, {self.kind} {one}, i64 0")
        return self.writer.value(
            f"shufflevector {kind} {single}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )

    def fma(self, a: str, b: str, c: str, lanes: int) -> str:
        """a · b + c, rounded once; of `PAIRS` the sum of both products and c."""
        kind = self.vector(lanes)
        if self.dtype == PAIRS:
            return self.sum(self._pairs(a, b, lanes), c, lanes)
        if self.whole:
            return self.sum(self.writer.value(f"mul {kind} {a}, {b}"), c, lanes)
        suffix = f"f{8 * self.size}" if lanes == 1 else f"v{lanes}f{8 * self.size}"
        name = self.writer.declare(f"llvm.fma.{suffix}", f"{kind} ({kind}, {kind}, {kind})")
        return self.writer.value(f"call {kind} {name}({kind} {a}, {kind} {b}, {kind} {c})")

    def _pairs(self, a: str, b: str, lanes: int) -> str:
        """The sums of the two products of each word; LLVM knows the instructions that do this."""
        writer, halves, wide = self.writer, f"<{2 * lanes} x i16>", f"<{2 * lanes} x i32>"
        kind, sides = self.vector(lanes), list[str]()
        for x in (a, b):
            x = writer.value(f"bitcast {kind} {x} to {halves}")
            sides.append(writer.value(f"sext {halves} {x} to {wide}"))
        products = writer.value(f"mul {wide} {sides[0]}, {sides[1]}")
        low, high = (self._every_second(wide, products, first, lanes) for first in (0, 1))
        return self.sum(low, high, lanes)

    def _every_second(self, wide: str, value: str, first: int, lanes: int) -> str:
        if lanes == 1:
            return self.writer.value(f"extractelement {wide} {value}, i64 {first}")
        return self.shuffled(wide, value, "poison", range(first, 2 * lanes, 2))

    def sum(self, a: str, b: str, lanes: int = 1) -> str:
        """a + b of elements."""
        op = "add" if self.whole else "fadd"
        return self.writer.value(f"{op} {self.vector(lanes)} {a}, {b}")

    def total(self, value: str) -> str:
        """The sum of the lanes of a whole vector."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            low, high = (
                self._piece(value, 2 * lanes, 0, lanes),
                self._piece(value, 2 * lanes, lanes, lanes),
            )
            value = self.sum(low, high, lanes)
        return value

    def store_lanes(
        self, value: str, lanes: int, valid: int, pointer: str, offset: Value, stride: int
    ) -> None:
        """The first `valid` lanes of a vector written, `stride` elements apart.

        Neighbours go in pieces of powers of two, so that nothing behind the last one is touched.
        """
        kind = self.vector(lanes)
        if stride != 1:
            for lane in range(valid):
                one = self.writer.value(f"extractelement {kind} {value}, i64 {lane}")
                self.store(one, pointer, self.add(offset, lane * stride))
            return
        for done, piece, part in self.pieces(value, lanes, valid):
            self.store(part, pointer, self.add(offset, done), piece)

    def pieces(self, value: str, lanes: int, valid: int) -> list[tuple[int, int, str]]:
        """The first `valid` lanes of a vector in pieces of powers of two: first, count, piece."""
        if valid == lanes:
            return [(0, lanes, value)]
        found: list[tuple[int, int, str]] = []
        done, piece = 0, lanes
        while done < valid:
            while piece > valid - done:
                piece //= 2
            found.append((done, piece, self._piece(value, lanes, done, piece)))
            done += piece
        return found

    def _piece(self, value: str, lanes: int, first: int, count: int) -> str:
        kind = self.vector(lanes)
        if count == 1:
            return self.writer.value(f"extractelement {kind} {value}, i64 {first}")
        places = ", ".join(f"i32 {first + i}" for i in range(count))
        return self.writer.value(
            f"shufflevector {kind} {value}, {kind} poison, <{count} x i32> <{places}>"
        )

    def transpose(self, source: str, apart: Value, into: str, pitch: Value) -> None:
        """A square of as many elements as a vector has lanes, its rows so far apart."""
        lanes = self.lanes
        held = [self.load(source, self.mul(apart, i), lanes) for i in range(lanes)]
        for i, vector in enumerate(self.turned(held)):
            self.store(vector, into, self.mul(pitch, i), lanes)

    def turned(self, rows: Sequence[str]) -> list[str]:
        """The columns of a square whose rows are these vectors.

        Of fewer vectors, a power of two, each as many neighbouring lanes hold a square.
        """
        lanes, held = self.lanes, [*rows]
        kind = self.vector(lanes)
        step = 1
        while step < len(held):
            # Of the numbers of a lane and of its vector, one binary digit is exchanged.
            low = [i if not i & step else lanes + i - step for i in range(lanes)]
            high = [i + step if not i & step else lanes + i for i in range(lanes)]
            for i in range(len(held)):
                if i & step:
                    continue
                pair = held[i], held[i + step]
                for at, lane in ((i, low), (i + step, high)):
                    held[at] = self.shuffled(kind, *pair, lane)
            step *= 2
        return held

    def shuffled(self, kind: str, a: str, b: str, lanes: Sequence[int]) -> str:
        """Lanes of two vectors side by side, chosen by their numbers."""
        mask = ", ".join(f"i32 {x}" for x in lanes)
        return self.writer.value(
            f"shufflevector {kind} {a}, {kind} {b}, <{len(lanes)} x i32> <{mask}>"
        )

    # Runs of elements.

    def fill(self, pointer: str, count: Value) -> None:
        """Zeros in `count` neighbouring elements."""
        if count == 0:
            return
        whole = self.mul(self.div(count, self.lanes), self.lanes)
        if whole != 0:
            with self.loop(0, whole, self.lanes) as i:
                self.store(self.zero(self.lanes), pointer, i, self.lanes)
        if whole != count:
            with self.loop(whole, count) as i:
                self.store(self.zero(1), pointer, i)

    def copy(self, into: str, source: str, count: Value, unit: int, stride: int) -> None:
        """`count` elements, a multiple of `unit`, from `stride` apart to side by side."""
        if stride == 0 and count in (2, 4, 8, 16):
            self.store(self.broadcast(source, 0, count), into, 0, count)
            return
        if stride == 1 and isinstance(count, int) and count < 2 * self.lanes:
            done, piece = 0, self.lanes
            while done < count:
                while piece > count - done:
                    piece //= 2
                self.store(self.load(source, done, piece), into, done, piece)
                done += piece
            return
        whole: Value = 0
        if stride == 1:
            whole = count
            if unit % self.lanes:
                whole = self.mul(self.div(count, self.lanes), self.lanes)
            if whole != 0:
                with self.loop(0, whole, self.lanes) as i:
                    self.store(self.load(source, i, self.lanes), into, i, self.lanes)
        if whole != count:
            with self.loop(whole, count) as i:
                self.store(self.load(source, self.mul(i, stride)), into, i)

    def function(self, name: str, params: str = "ptr %args, i64 %lo, i64 %hi") -> str:
        """The text of the whole function. No loop is unrolled.

        Of unrolled steps LLVM would keep elements that both read, and the sums would not all stay
        in registers.
        """
        text = self.writer.function(name, params, attributes="nounwind")
        # Metadata is numbered, and a module may hold many such functions: numbered by their text,
        # without the name, so that a program which has a function twice finds that out.
        number = crc32(text.replace(f"@{name}(", "@(", 1).encode()) & ~1
        text = BACKWARDS.sub(rf"\g<0>, !llvm.loop !{number}", text)
        once = '!{!"llvm.loop.unroll.disable"}'
        return f"{text}!{number} = distinct !{{!{number}, !{number + 1}}}\n!{number + 1} = {once}\n"

    @property
    def declarations(self) -> tuple[str, ...]:
        """What the function needs in its module."""
        return tuple(self.writer.declared.values())
