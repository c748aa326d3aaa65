"""Sorting a few hundred integers in registers: a network that compares whole vectors only.

The number of an element is that of its register and that of its lane side by side, in binary. A
comparison at a distance of 2^j is one of two registers where digit j is among those of the
register's number, and lanes are not compared at all; so is its direction, which digit k decides
while runs of 2^k are made. Where one of them is a digit of the lane, it changes places with a digit
of the register's number that is not needed for the longest time: a shuffle for each register.
Source: Batcher, Sorting networks and their applications, AFIPS 1968, in its bitonic form.
"""

from __future__ import annotations

from collections.abc import Sequence

from .conv_code import Value
from .sort_words import Words

# Registers that hold elements; as many are left for what is being shuffled.
REGISTERS = 16


class Lanes(Words):
    """The body of a function on vectors of integers of one width, of which some lanes may count."""

    def __init__(self, bits: int, vector_bits: int) -> None:
        super().__init__(vector_bits)
        self.bits, self.width = bits, vector_bits // bits
        self.unit = self.type(bits, self.width)
        self.flags = self.type(1, self.width)
        self.suffix = f"v{self.width}i{bits}"

    def every(self, value: Value) -> str:
        """An integer in all lanes."""
        if isinstance(value, int):
            return self.const(self.bits, value, self.width)
        one = self.writer.value(f"insertelement {self.unit} poison, i{self.bits} {value}, i64 0")
        return self.shuffled(self.unit, one, "poison", [0] * self.width)

    def every_flag(self, value: str) -> str:
        """A flag in all lanes."""
        one = self.writer.value(f"insertelement {self.flags} poison, i1 {value}, i64 0")
        return self.shuffled(self.flags, one, "poison", [0] * self.width)

    def numbers(self, first: int = 0) -> str:
        """The integers from the first one on, one for each lane."""
        listed = ", ".join(f"i{self.bits} {first + k}" for k in range(self.width))
        return f"<{listed}>"

    def below(self, count: str, first: int = 0) -> str:
        """Which of the lanes first, first + 1, … are below a count, which all lanes hold."""
        return self.writer.value(f"icmp ult {self.unit} {self.numbers(first)}, {count}")

    def narrowed(self, count: Value) -> Value:
        """A count as an integer as wide as elements."""
        return count if isinstance(count, int) else self.resized(count, 64, self.bits)

    def get_some(self, pointer: str, offset: Value, mask: str, other: str) -> str:
        """Elements from an offset on; where they do not count, `other` is."""
        unit, name = self.unit, f"llvm.masked.load.{self.suffix}.p0"
        called = self.writer.declare(name, f"{unit} (ptr, i32, {self.flags}, {unit})")
        at = self.place(self.bits, pointer, offset)
        return self.writer.value(
            f"call {unit} {called}(ptr {at}, i32 {self.bits // 8}, {self.flags} {mask}, "
            f"{unit} {other})"
        )

    def put_some(self, value: str, pointer: str, offset: Value, mask: str) -> None:
        """Elements that count, written from an offset on."""
        unit, name = self.unit, f"llvm.masked.store.{self.suffix}.p0"
        called = self.writer.declare(name, f"void ({unit}, ptr, i32, {self.flags})")
        at = self.place(self.bits, pointer, offset)
        self.writer.line(
            f"call void {called}({unit} {value}, ptr {at}, i32 {self.bits // 8}, "
            f"{self.flags} {mask})"
        )

    def ask(self, pointer: str, offset: Value) -> None:
        """Ask for the line of an element, to write it; it need not be memory of anybody."""
        called = self.writer.declare("llvm.prefetch.p0", "void (ptr, i32, i32, i32)")
        at = self.place(self.bits, pointer, offset)
        self.writer.line(f"call void {called}(ptr {at}, i32 1, i32 3, i32 1)")

    def copy_all(self, source: str, target: str, count: Value) -> None:
        """So many elements copied, and nothing behind them."""
        whole = self.op("and", 64, str(count), -self.width)
        with self.loop("0", whole, self.width) as i:
            self.put(self.get(self.bits, source, i, self.width), self.bits, target, i, self.width)
        there = self.below(self.every(self.narrowed(self.sub(count, whole))))
        self.put_some(self.get_some(source, whole, there, self.every(0)), target, whole, there)

    def fetch(self, pointer: str, places: str) -> str:
        """Elements at places that lanes hold, which are i32."""
        unit, n = self.unit, self.width
        at = self.writer.value(f"getelementptr i{self.bits}, ptr {pointer}, <{n} x i32> {places}")
        called = self.writer.declare(
            f"llvm.masked.gather.{self.suffix}.v{n}p0",
            f"{unit} (<{n} x ptr>, i32, {self.flags}, {unit})",
        )
        return self.writer.value(
            f"call {unit} {called}(<{n} x ptr> {at}, i32 {self.bits // 8}, "
            f"{self.flags} splat (i1 true), {unit} zeroinitializer)"
        )

    def gathered(self, value: str, mask: str) -> str:
        """The lanes that count side by side, in order, from the first lane on."""
        unit, name = self.unit, f"llvm.experimental.vector.compress.{self.suffix}"
        called = self.writer.declare(name, f"{unit} ({unit}, {self.flags}, {unit})")
        return self.writer.value(
            f"call {unit} {called}({unit} {value}, {self.flags} {mask}, {unit} poison)"
        )

    def counted(self, mask: str) -> str:
        """How many lanes count, an i64."""
        n = self.width
        word = self.writer.value(f"bitcast {self.flags} {mask} to i{n}")
        called = self.writer.declare(f"llvm.ctpop.i{n}", f"i{n} (i{n})")
        return self.resized(self.writer.value(f"call i{n} {called}(i{n} {word})"), n, 64)

    def ordered(self, a: str, b: str) -> tuple[str, str]:
        """The lesser and the greater of each two elements."""
        unit = self.unit

        def of(name: str) -> str:
            called = self.writer.declare(f"llvm.{name}.{self.suffix}", f"{unit} ({unit}, {unit})")
            return self.writer.value(f"call {unit} {called}({unit} {a}, {unit} {b})")

        low = of("umin")
        if self.bits < 64:
            return low, of("umax")
        # Processors have fewer ports for it in 64 bits: the greater one is that which is left over.
        both = self.op("xor", self.bits, a, b, self.width)
        return low, self.op("xor", self.bits, both, low, self.width)


class Registers:
    """Text that sorts the elements of registers, as many as a power of two."""

    def __init__(self, code: Lanes, held: Sequence[str]) -> None:
        self.code, self.held = code, [*held]
        registers, lanes = len(held).bit_length() - 1, code.width.bit_length() - 1
        self.digits = registers + lanes
        # The steps: at which distance, and in runs of what, as digits.
        self.steps = [(j, k) for k in range(1, self.digits + 1) for j in reversed(range(k))]
        # Which digit of an element's number is which of its register's, and of its lane's.
        self.ours, self.lanes = [*range(registers)], [*range(registers, self.digits)]
        self.kept = registers

    def sorted(self) -> list[str]:
        """The registers, of which the first one has the least elements, in order."""
        for number, (j, k) in enumerate(self.steps):
            for digit in self._needed(j, k):
                if digit not in self.ours:
                    self._exchange(self._least_needed(number), digit)
            self._compare(j, k)
        for digit in range(self.digits - self.kept, self.digits):
            if digit not in self.ours:
                self._exchange(min(self.ours), digit)
        return self._straightened()

    def _needed(self, j: int, k: int) -> set[int]:
        return {j, k} if k < self.digits else {j}

    def _least_needed(self, number: int) -> int:
        """The digit of registers' numbers that steps from a number on need last."""

        def when(digit: int) -> int:
            later = self.steps[number:]
            uses = (t for t, step in enumerate(later) if digit in self._needed(*step))
            return next(uses, len(later) + self.digits - digit)

        return max(self.ours, key=when)

    def _compare(self, j: int, k: int) -> None:
        near = 1 << self.ours.index(j)
        down = 1 << self.ours.index(k) if k < self.digits else 0
        for a in range(len(self.held)):
            if not a & near:
                pair = self.code.ordered(self.held[a], self.held[a | near])
                low, high = reversed(pair) if a & down else pair
                self.held[a], self.held[a | near] = low, high

    def _exchange(self, ours: int, lane: int) -> None:
        """A digit of registers' numbers changes places with one of lanes'."""
        code, n = self.code, self.code.width
        i, k = self.ours.index(ours), self.lanes.index(lane)
        near, far = 1 << i, 1 << k
        low = [x if not x & far else n + (x ^ far) for x in range(n)]
        high = [x | far if not x & far else n + x for x in range(n)]
        for a in range(len(self.held)):
            if not a & near:
                pair = self.held[a], self.held[a | near]
                self.held[a] = code.shuffled(code.unit, *pair, low)
                self.held[a | near] = code.shuffled(code.unit, *pair, high)
        self.ours[i], self.lanes[k] = lane, ours

    def _straightened(self) -> list[str]:
        """Registers and lanes in the order of their elements' numbers."""
        code, lanes, first = self.code, len(self.lanes), self.digits - self.kept

        def place(number: int, digits: list[int], base: int) -> int:
            return sum((number >> (d - base) & 1) << i for i, d in enumerate(digits))

        places = [place(x, self.lanes, 0) for x in range(1 << lanes)]
        held = [self.held[place(a, self.ours, first)] for a in range(len(self.held))]
        if places == [*range(1 << lanes)]:
            return held
        return [code.shuffled(code.unit, x, "poison", places) for x in held]


def leaf_name(bits: int, vector_bits: int) -> str:
    """The name of the function that sorts a few elements."""
    return f"sort_leaf_{bits}_{vector_bits}"


def leaf_size(bits: int, vector_bits: int) -> int:
    """How many elements it sorts at most."""
    return REGISTERS * (vector_bits // bits)


def leaf_text(bits: int, vector_bits: int) -> tuple[str, tuple[str, ...]]:
    """`(source, target, count)`: so many elements of one go in order into the other.

    Returns:
        The text, and what it declares.
    """
    code = Lanes(bits, vector_bits)
    writer, lanes = code.writer, code.width
    count = code.every(code.narrowed("%count"))
    last, registers = 0, REGISTERS // 4
    while registers <= REGISTERS:
        more = writer.value(f"icmp ugt i64 %count, {last}")
        few = writer.value(f"icmp ule i64 %count, {registers * lanes}")
        last = registers * lanes
        with writer.when(code.op("and", 1, more, few)):
            there = [code.below(count, k * lanes) for k in range(registers)]
            behind = code.every(-1)
            held = [
                code.get_some("%source", k * lanes, mask, behind) for k, mask in enumerate(there)
            ]
            for k, value in enumerate(Registers(code, held).sorted()):
                code.put_some(value, "%target", k * lanes, there[k])
        registers *= 2
    params = "ptr %source, ptr %target, i64 %count"
    return code.function(leaf_name(bits, vector_bits), params), code.declarations
