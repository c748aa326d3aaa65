"""Real scalar expressions with Python's operators, for formulas that read like formulas.

In: `ir.loops` expressions of float32, float64, int32 or int64. Out: the same, built from the basic
operations that every emitter has. The one idea: a `Value` wraps an expression, and a Python number
beside it becomes a constant of its dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ...ir import loops
from ...ir.loops import Apply, DType, Expr

Number = float | int


class Format(NamedTuple):
    """A binary floating-point format: IEEE 754 binary32 or binary64."""

    real: DType
    integer: DType
    digits: int  # stored bits of the fraction
    bias: int  # of the exponent
    round_bits: int  # the bits of 1.5 · 2^digits, where one unit in the last place is 1

    @property
    def tiny(self) -> float:
        """The least normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def epsilon(self) -> float:
        """The step from 1 to the next number."""
        return 2.0**-self.digits

    @property
    def rounder(self) -> float:
        """1.5 · 2^digits: adding it rounds to an integer, which its last bits then hold."""
        return 1.5 * 2.0**self.digits


single = Format(np.dtype(np.float32), np.dtype(np.int32), 23, 127, 0x4B400000)
double = Format(np.dtype(np.float64), np.dtype(np.int64), 52, 1023, 0x4338000000000000)
formats = {f.real: f for f in (single, double)}


class Value:
    """A scalar expression under construction."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    @property
    def dtype(self) -> DType:
        """The dtype of the expression."""
        return self.expr.dtype

    @property
    def format(self) -> Format:
        """The format of a floating-point expression."""
        return formats[self.expr.dtype]

    def like(self, x: Value | Number) -> Value:
        """A number as a constant of this value's dtype; a value as it is."""
        return x if isinstance(x, Value) else constant(x, self.dtype)

    def op(self, name: str, *others: Value | Number) -> Value:
        """An operation of this value and others of its dtype."""
        return Value(loops.apply(name, self.expr, *(self.like(x).expr for x in others)))

    def __add__(self, other: Value | Number) -> Value:
        return self.op("add", other)

    def __radd__(self, other: Number) -> Value:
        return self.op("add", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self.op("sub", other)

    def __rsub__(self, other: Number) -> Value:
        return self.like(other).op("sub", self)

    def __mul__(self, other: Value | Number) -> Value:
        return self.op("mul", other)

    def __rmul__(self, other: Number) -> Value:
        return self.op("mul", other)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.op("div", other)

    def __rtruediv__(self, other: Number) -> Value:
        return self.like(other).op("div", self)

    def __neg__(self) -> Value:
        return self.op("neg")

    def __abs__(self) -> Value:
        return self.op("abs")

    def __lt__(self, other: Value | Number) -> Value:
        return self.op("lt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self.op("le", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self.op("gt", other)

    def __ge__(self, other: Value | Number) -> Value:
        return self.op("ge", other)

    def equals(self, other: Value | Number) -> Value:
        """Whether both are equal."""
        return self.op("eq", other)

    def differs(self, other: Value | Number) -> Value:
        """Whether both differ; NaN differs from itself."""
        return self.op("ne", other)

    def __and__(self, other: Value | Number) -> Value:
        return self.op("and", other)

    def __or__(self, other: Value | Number) -> Value:
        return self.op("or", other)

    def __xor__(self, other: Value | Number) -> Value:
        return self.op("xor", other)

    def __lshift__(self, other: Value | Number) -> Value:
        return self.op("shift_left", other)

    def __rshift__(self, other: Value | Number) -> Value:
        """Shifts zeros in: AVX2 has no arithmetic shift of 64 bits."""
        return self.op("shift_right_logical", other)

    def sqrt(self) -> Value:
        """The square root."""
        return self.op("sqrt")

    def signed_as(self, other: Value) -> Value:
        """The magnitude of this with the sign of another."""
        return self.op("copysign", other)

    def signed_by(self, other: Value) -> Value:
        """The value, negated where another is negative."""
        return select(other < 0.0, -self, self)

    def bits(self) -> Value:
        """The bits of a float as a signed integer."""
        return Value(loops.bitcast(self.expr, f"i{self.dtype.itemsize}"))

    def as_float(self, dtype: DType | None = None) -> Value:
        """The float whose bits a signed integer is: of its width in IEEE 754 unless given."""
        return Value(loops.bitcast(self.expr, dtype or f"f{self.dtype.itemsize}"))

    def cast(self, dtype: DType) -> Value:
        """The value converted to a dtype."""
        return Value(loops.cast(self.expr, dtype))

    def clamped(self, low: float, high: float) -> Value:
        """The value brought into [low, high]; NaN stays."""
        # Not min and max: these comparisons are single machine instructions.
        x = select(self > high, self.like(high), self)
        return select(x < low, self.like(low), x)


def constant(value: Number, dtype: DType) -> Value:
    """A constant; integers beyond the signed range are taken as bit patterns."""
    if dtype.kind not in "iu":
        return Value(loops.const(float(dtype.type(value)), dtype))
    width = 8 * dtype.itemsize
    bits = int(value) & ((1 << width) - 1)
    return Value(loops.const(bits - (1 << width) if bits >> (width - 1) else bits, dtype))


def fma(x: Value, y: Value | Number, z: Value | Number) -> Value:
    """x · y + z, rounded once."""
    return x.op("fma", y, z)


def select(condition: Value, x: Value | Number, y: Value | Number) -> Value:
    """x where the condition holds, y elsewhere; one of them is a value."""
    if isinstance(x, Value):
        return Value(loops.select(condition.expr, x.expr, x.like(y).expr))
    assert isinstance(y, Value)
    return Value(loops.select(condition.expr, y.like(x).expr, y.expr))


def rarely(condition: Value, x: Value, y: Value) -> Value:
    """A select whose condition seldom holds.

    It is named "rare": an emitter may jump over the operations only x needs where no lane wants x.
    """
    return Value(Apply("select", (condition.expr, x.expr, y.expr), x.dtype, "rare"))


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Σ cᵢ xⁱ by Horner's rule: the fewest operations."""
    total = x.like(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = fma(total, x, c)
    return total


def power_of_two(exponent: Value) -> Value:
    """2^(e - bias) of an integer e; higher bits than the exponent's are shifted out."""
    digits = single.digits if exponent.dtype.itemsize == 4 else double.digits
    return (exponent << digits).as_float()


def whole_as_float(n: Value, offset: int = 0) -> Value:
    """The float n + offset of a small integer n, which is cheaper than a conversion."""
    f = single if n.dtype.itemsize == 4 else double
    return (n + f.round_bits).as_float() - (f.rounder - offset)


def split_constant(value: str, f: Format, *, truncated: bool = False) -> tuple[float, ...]:
    """A number given by its decimal digits as a sum of three floats, largest first.

    Each is what is left, rounded; `truncated` rounds down, so that none is negative.
    """
    rest, parts = Fraction(value), list[float]()
    for _ in range(3):
        part = f.real.type(float(rest))
        if truncated and Fraction(float(part)) > rest:
            part = np.nextafter(part, f.real.type(0))
        parts.append(float(part))
        rest -= Fraction(float(part))
    return tuple(parts)


infinity = math.inf
nan = math.nan
