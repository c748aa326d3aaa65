"""Types and values of the texts of kernels, as LLVM writes them.

The one idea: the texts say the type of every number, so a value's type is known as soon as it is
written, and so are the integers that it is made of while it is compiled.
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import numpy as np

_FLOATS = {16: "half", 32: "float", 64: "double"}


class Kind(NamedTuple):
    """A type of numbers.

    Attributes:
        name: NumPy's; `letter`: "b" truth values, "i" and "u" integers, "f" floats.
    """

    name: str
    letter: str
    bits: int

    @property
    def llvm(self) -> str:
        """LLVM's name of it."""
        return _FLOATS[self.bits] if self.letter == "f" else f"i{self.bits}"

    @property
    def size(self) -> int:
        """Bytes of an element in memory."""
        return max(self.bits // 8, 1)

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers."""
        return self.letter in "iu"


BOOL = Kind("bool_", "b", 1)
INT32, INT64 = Kind("int32", "i", 32), Kind("int64", "i", 64)
UINT16, UINT32, UINT64 = (Kind(f"uint{n}", "u", n) for n in (16, 32, 64))
FLOAT32, FLOAT64 = Kind("float32", "f", 32), Kind("float64", "f", 64)
KINDS = {
    **{f"int{n}": Kind(f"int{n}", "i", n) for n in (8, 16, 32, 64)},
    **{f"uint{n}": Kind(f"uint{n}", "u", n) for n in (8, 16, 32, 64)},
    **{k.name: k for k in (BOOL, FLOAT32, FLOAT64)},
}


class Value(NamedTuple):
    """A number of a kernel.

    Attributes:
        code: how LLVM's text names it.
        constant: what it is, where the text says so.
        natural: a place or a size: it is not negative, and does not overflow.
    """

    kind: Kind
    code: str
    constant: Any = None
    natural: bool = False

    @property
    def typed(self) -> str:
        """Its type and name."""
        return f"{self.kind.llvm} {self.code}"


class Pointer(NamedTuple):
    """Where elements begin.

    Attributes:
        space: the kind of memory: "global", "shared" or "local".
    """

    kind: Kind
    code: str
    space: str


def constant(value: Any, kind: Kind) -> Value:
    """A number that the text says; integers wrap, floats are rounded."""
    if kind.letter == "b":
        value = bool(value)
        return Value(kind, "true" if value else "false", value)
    if kind.letter == "f":
        with np.errstate(all="ignore"):
            value = float(np.float32(value)) if kind.bits == 32 else float(value)
        bits = (
            0x7FF8 << 48 if math.isnan(value) else struct.unpack("<Q", struct.pack("<d", value))[0]
        )
        return Value(kind, f"0x{bits:016X}", value)
    value = int(value) & ((1 << kind.bits) - 1)
    if kind.letter == "i" and value >> (kind.bits - 1):
        value -= 1 << kind.bits
    return Value(kind, str(value), value, value >= 0)


def literal(value: bool | int | float) -> Value:
    """A number as Python writes it: of 64 bits."""
    if isinstance(value, bool):
        return constant(value, BOOL)
    if isinstance(value, float):
        return constant(value, FLOAT64)
    return constant(value, INT64 if -(1 << 63) <= value < 1 << 63 else UINT64)
