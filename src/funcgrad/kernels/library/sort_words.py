"""What is sorted: keys as unsigned integers that are ordered alike, and what they carry along.

Of a float the bits of negative numbers are turned over, and all keys are moved down by the number
of negative NaNs: those wrap around to the top, so that NaN of either sign comes last. The map has
an inverse; it puts -0.0 right before 0.0, and NaNs in an order of their own, where the order that
is wanted knows them as equal: `exact` keys say which are, `like` maps them to one key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .conv_code import Code, Value

DType = np.dtype[Any]

# Bits of the fraction of a float.
_FRACTIONS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


class Key(NamedTuple):
    """How values become keys.

    Attributes:
        bits: of the value, and of the key.
        form: unsigned, signed or float.
        nans: how many negative NaNs there are.
    """

    bits: int
    form: str
    nans: int = 0

    @property
    def top(self) -> int:
        """The sign bit."""
        return 1 << (self.bits - 1)

    @property
    def zeros(self) -> tuple[int, int]:
        """The keys of -0.0 and 0.0."""
        return self.top - 1 - self.nans, self.top - self.nans

    @property
    def infinity(self) -> int:
        """The key of inf, the last one before NaN."""
        return (1 << self.bits) - 2 * self.nans - 1


def key_of(dtype: DType) -> Key | None:
    """The keys of a dtype, or None where it has no order here."""
    bits, fraction = 8 * dtype.itemsize, _FRACTIONS.get(dtype.name)
    if fraction is not None:
        return Key(bits, "float", (1 << fraction) - 1)
    return Key(bits, "signed" if dtype.kind == "i" else "unsigned") if dtype.kind in "biu" else None


class Element(NamedTuple):
    """An integer of so many bits: a key, and in its lower half 32 bits that the key carries."""

    key: Key
    bits: int
    carries: bool

    @property
    def shift(self) -> int:
        """Where the key begins."""
        return self.bits // 2 if self.carries else 0


class Words(Code):
    """The body of a function on integers of several widths; offsets count elements of theirs."""

    def __init__(self, vector_bits: int) -> None:
        super().__init__("float32", vector_bits)
        self.vector_bits = vector_bits

    def type(self, bits: int, lanes: int) -> str:
        """The type of an integer, or of a vector of them."""
        return f"i{bits}" if lanes == 1 else f"<{lanes} x i{bits}>"

    def const(self, bits: int, value: int, lanes: int = 1) -> str:
        """A constant in all lanes."""
        value &= (1 << bits) - 1
        return str(value) if lanes == 1 else f"splat (i{bits} {value})"

    def place(self, bits: int, pointer: str, offset: Value) -> str:
        """The address of an element."""
        if offset == 0:
            return pointer
        return self.writer.value(f"getelementptr i{bits}, ptr {pointer}, i64 {offset}")

    def get(self, bits: int, pointer: str, offset: Value, lanes: int = 1) -> str:
        """Elements from an offset on."""
        at = self.place(bits, pointer, offset)
        return self.writer.value(
            f"load {self.type(bits, lanes)}, ptr {at}, align {max(bits // 8, 1)}"
        )

    def put(self, value: str, bits: int, pointer: str, offset: Value, lanes: int = 1) -> None:
        """Elements written from an offset on."""
        at = self.place(bits, pointer, offset)
        self.writer.line(
            f"store {self.type(bits, lanes)} {value}, ptr {at}, align {max(bits // 8, 1)}"
        )

    def op(self, name: str, bits: int, a: str, b: str | int, lanes: int = 1) -> str:
        """An operation on two integers, the second of which may be a constant."""
        if isinstance(b, int):
            b = self.const(bits, b, lanes)
        return self.writer.value(f"{name} {self.type(bits, lanes)} {a}, {b}")

    def choose(self, which: str, bits: int, a: str, b: str, lanes: int = 1) -> str:
        """a where the condition holds, b elsewhere."""
        flag, kind = self.type(1, lanes), self.type(bits, lanes)
        return self.writer.value(f"select {flag} {which}, {kind} {a}, {kind} {b}")

    def resized(self, value: str, bits: int, to: int, lanes: int = 1) -> str:
        """An unsigned integer of another width; too wide ones lose their upper bits."""
        if bits == to:
            return value
        how = "zext" if to > bits else "trunc"
        return self.writer.value(
            f"{how} {self.type(bits, lanes)} {value} to {self.type(to, lanes)}"
        )

    def space(self, bits: int, count: int) -> str:
        """Memory for so many elements, which the call gives back; made once."""
        return self.writer.first(f"alloca [{count * bits // 8} x i8], align 64")

    def clear(self, pointer: str, size: int) -> None:
        """Zeros in so many bytes."""
        at = self.writer.declare("llvm.memset.p0.i64", "void (ptr, i8, i64, i1)")
        self.writer.line(f"call void {at}(ptr {pointer}, i8 0, i64 {size}, i1 false)")

    def turns(
        self, first: Value, last: Value, times: int, body: Callable[[Value, int], None]
    ) -> None:
        """`body(i, count)` over first … last - 1, `times` of them in a turn, at last one by one."""
        count = self.sub(last, first)
        whole = self.add(first, self.mul(self.div(count, times), times))
        if whole != first:
            with self.loop(first, whole, times) as i:
                body(i, times)
        if whole != last:
            with self.loop(whole, last) as i:
                body(i, 1)

    # Keys.

    def encoded(self, key: Key, raw: str, lanes: int = 1) -> str:
        """The key of a value's bits."""
        bits = key.bits
        if key.form == "unsigned":
            return raw
        if key.form == "signed":
            return self.op("xor", bits, raw, key.top, lanes)
        signs = self.op("ashr", bits, raw, bits - 1, lanes)
        mask = self.op("or", bits, signs, key.top, lanes)
        turned = self.op("xor", bits, raw, mask, lanes)
        return self.op("sub", bits, turned, key.nans, lanes)

    def decoded(self, key: Key, found: str, lanes: int = 1) -> str:
        """The bits of the value of a key."""
        bits = key.bits
        if key.form == "unsigned":
            return found
        if key.form == "signed":
            return self.op("xor", bits, found, key.top, lanes)
        turned = self.op("add", bits, found, key.nans, lanes)
        signs = self.op("ashr", bits, turned, bits - 1, lanes)
        mask = self.op("or", bits, self.op("xor", bits, signs, -1, lanes), key.top, lanes)
        return self.op("xor", bits, turned, mask, lanes)

    def like(self, key: Key, found: str, lanes: int = 1) -> str:
        """A key, the same one for what counts as equal: zeros of both signs, and all NaNs."""
        if key.form != "float":
            return found
        bits, (low, high) = key.bits, key.zeros
        below = self.op("icmp eq", bits, found, low, lanes)
        found = self.choose(below, bits, self.const(bits, high, lanes), found, lanes)
        beyond = self.op("icmp ugt", bits, found, key.infinity, lanes)
        return self.choose(beyond, bits, self.const(bits, -1, lanes), found, lanes)

    # Elements.

    def packed(self, element: Element, key: str, carried: str, lanes: int = 1) -> str:
        """A key and the 32 bits it carries as one element."""
        if not element.carries:
            return key
        bits = element.bits
        wide = self.resized(key, element.key.bits, bits, lanes)
        high = self.op("shl", bits, wide, element.shift, lanes)
        return self.op("or", bits, high, self.resized(carried, 32, bits, lanes), lanes)

    def key(self, element: Element, packed: str, lanes: int = 1) -> str:
        """The key of an element."""
        if not element.carries:
            return packed
        high = self.op("lshr", element.bits, packed, element.shift, lanes)
        return self.resized(high, element.bits, element.key.bits, lanes)

    def carried(self, element: Element, packed: str, lanes: int = 1) -> str:
        """The 32 bits that an element carries."""
        return self.resized(packed, element.bits, 32, lanes)
