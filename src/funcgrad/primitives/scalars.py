"""Scalar expressions of operations that say more than the machine's instructions do.

In: expressions of one element of each operand. Out: that of the result. The one idea: where an
instruction leaves a result open (a division by zero, a shift beyond the width), its operand is
replaced by a harmless one, and a select puts the defined result there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import dtypes, loops
from ..ir.loops import Apply, Const, Expr, apply, bitcast, cast, const, select

DType = np.dtype[Any]


def like(x: Expr, value: Any) -> Const:
    """A constant of the dtype of x; integers wrap."""
    if x.dtype.kind in "iu":
        value = np.array(value, np.int64).astype(x.dtype)[()]
    return const(value, x.dtype)


def bits_of(x: Expr, kind: str) -> Expr:
    """The bits of a number as an integer: signed for kind "i", unsigned for "u"."""
    dtype = np.dtype(f"{kind}{x.dtype.itemsize}")
    if isinstance(x, Const) and x.dtype.kind in "iu":
        return const(np.array(x.value, x.dtype).view(dtype)[()], dtype)
    return x if x.dtype == dtype else bitcast(x, dtype)


def either(x: Expr, y: Expr) -> Expr:
    """Whether x or y holds."""
    return apply("or", x, y)


def is_nan(x: Expr) -> Expr:
    """Whether x is NaN, which alone differs from itself."""
    return apply("ne", x, x)


# Integer division.


def divisor_of(y: Expr) -> tuple[Expr, Expr | None, Expr | None]:
    """A divisor that no instruction minds, and where y is 0 and where -1; None where never."""
    if isinstance(y, Const):
        zero = None if y.value else const(True, bool)
        minus = const(True, bool) if y.value == -1 else None
        return (y if zero is None and minus is None else like(y, 1)), zero, minus
    zero = apply("eq", y, like(y, 0))
    if y.dtype.kind == "u":
        return select(zero, like(y, 1), y), zero, None
    # The least integer divided by -1 overflows.
    minus = apply("eq", y, like(y, -1))
    return select(either(zero, minus), like(y, 1), y), zero, minus


def quotient(x: Expr, y: Expr) -> Expr:
    """x / y; of integers toward zero, with all bits set where y is 0."""
    if x.dtype.kind not in "iu":
        return apply("div", x, y)
    divisor, zero, minus = divisor_of(y)
    out = apply("div", x, divisor)
    if minus is not None:
        out = select(minus, apply("neg", x), out)
    return out if zero is None else select(zero, like(x, -1), out)


def remainder(x: Expr, y: Expr) -> Expr:
    """The remainder of x / y with the sign of x; of integers x itself where y is 0."""
    if x.dtype.kind not in "iu":
        return apply("rem", x, y)
    divisor, zero, _ = divisor_of(y)
    out = apply("rem", x, divisor)
    return out if zero is None else select(zero, x, out)


# Shifts and bits.


def shift(op: str, x: Expr, y: Expr) -> Expr:
    """x moved by y places; by the width or more, or by a negative count, all bits leave."""
    width = 8 * x.dtype.itemsize
    count, last = bits_of(y, "u"), width - 1
    inside = apply("lt", count, like(count, width))
    if isinstance(count, Const) and count.value <= last:
        inside = None
    if op == "shift_right_arithmetic":
        places = count if inside is None else apply("min", count, like(count, last))
        signed = bits_of(x, "i")
        return as_dtype(apply(op, signed, bits_of(places, "i")), x.dtype)
    bits = bits_of(x, "u")
    if inside is None:
        return as_dtype(apply(op, bits, count), x.dtype)
    moved = apply(op, bits, apply("and", count, like(count, last)))
    return as_dtype(select(inside, moved, like(bits, 0)), x.dtype)


def as_dtype(x: Expr, dtype: DType) -> Expr:
    """The bits of x in another dtype of its width; x itself if it has that dtype."""
    return x if x.dtype == dtype else bitcast(x, dtype)


def rotated_left(x: Expr, places: int) -> Expr:
    """The bits of an unsigned integer moved up by some places, those that leave coming in below."""
    width = 8 * x.dtype.itemsize
    up = apply("shift_left", x, like(x, places))
    return apply("or", up, apply("shift_right_logical", x, like(x, width - places)))


def total_order_key(x: Expr) -> Expr:
    """An integer that compares as the float x does in the total order of floats."""
    if x.dtype.kind in "biu":
        return x
    bits = bits_of(x, "i")
    sign = apply("shift_right_arithmetic", bits, like(bits, 8 * x.dtype.itemsize - 1))
    # The magnitude bits of a negative float grow as the float falls: flip them.
    return apply("xor", bits, apply("and", sign, like(bits, np.iinfo(bits.dtype).max)))


# Floats and complex numbers.


def integer_power(x: Expr, count: int) -> Expr:
    """x to a static power, by repeated squaring; 1 / of it for a negative one."""
    out: Expr | None = None
    rest, square = abs(count), x
    while rest:
        if rest & 1:
            out = square if out is None else apply("mul", out, square)
        rest >>= 1
        square = apply("mul", square, square) if rest else square
    if out is None:
        return like(x, 1)
    return apply("div", like(x, 1), out) if count < 0 else out


def complex_of(x: Expr, y: Expr) -> Expr:
    """x + iy."""
    return Apply("complex", (x, y), np.dtype(dtypes.to_complex_dtype(x.dtype)))


def part(op: str, x: Expr) -> Expr:
    """The part `real` or `imag` of a complex number."""
    return Apply(op, (x,), np.dtype(dtypes.to_floating_dtype(x.dtype)))


def magnitude(x: Expr) -> Expr:
    """|x|, real for complex x."""
    dtype = dtypes.to_floating_dtype(x.dtype) if x.dtype.kind == "c" else x.dtype
    return Apply("abs", (x,), np.dtype(dtype))


def extremum(op: str, x: Expr, y: Expr) -> Expr:
    """max or min of x and y; of truth values their disjunction or conjunction."""
    if x.dtype.kind == "b":
        op = "or" if op == "max" else "and"
    return apply(op, x, y)


def converted(x: Expr, dtype: DType) -> Expr:
    """x in another dtype; complex numbers lose or get an imaginary part."""
    if x.dtype == dtype:
        return x
    if x.dtype.kind == "c" and dtype.kind == "c":
        of = dtypes.to_floating_dtype(dtype)
        return complex_of(cast(part("real", x), of), cast(part("imag", x), of))
    if dtype.kind == "c":
        real = cast(x, dtypes.to_floating_dtype(dtype))
        return complex_of(real, like(real, 0))
    return cast(part("real", x) if x.dtype.kind == "c" else x, dtype)


def lexicographic_less(x: Expr, y: Expr) -> Expr:
    """Whether complex x lies before y: by real part, then by imaginary part."""
    a, b = part("real", x), part("real", y)
    tail = apply("lt", part("imag", x), part("imag", y))
    return either(apply("lt", a, b), apply("and", apply("eq", a, b), tail))


def clamped(lower: Expr, x: Expr, upper: Expr) -> Expr:
    """x limited to [lower, upper]."""
    if x.dtype.kind == "c":
        out = select(lexicographic_less(x, lower), lower, x)
        return select(lexicographic_less(upper, out), upper, out)
    return extremum("min", extremum("max", x, lower), upper)


def choice(which: Expr, cases: list[Expr]) -> Expr:
    """Case `which`; out of range the nearest one."""
    out = cases[0]
    if which.dtype.kind == "b":
        return out if len(cases) == 1 else select(which, cases[1], out)
    if len(cases) > np.iinfo(which.dtype).max:
        which = cast(which, loops.int64)
    for i, case in enumerate(cases[1:], 1):
        out = select(apply("ge", which, like(which, i)), case, out)
    return out


def complex_atan2(x: Expr, y: Expr) -> Expr:
    """-i log((y + ix) / √(x² + y²)) of complex numbers."""
    unit = like(x, 1j)
    length = apply("sqrt", apply("add", apply("mul", x, x), apply("mul", y, y)))
    ratio = apply("div", apply("add", y, apply("mul", unit, x)), length)
    return apply("mul", apply("neg", unit), apply("log", ratio))


def rounded_to_format(x: Expr, exponent_bits: int, mantissa_bits: int) -> Expr:
    """A float rounded, to even, to a format with these many bits; NaN stays what it is."""
    info = dtypes.finfo(x.dtype)
    dropped = int(info.nmant) - mantissa_bits
    out = x
    if dropped > 0:
        # Adding just under half of the last kept bit, or half where that bit is 1: to even.
        bits = bits_of(x, "u")
        last = apply("shift_right_logical", bits, like(bits, dropped))
        last = apply("and", last, like(bits, 1))
        bits = apply("add", apply("add", bits, last), like(bits, (1 << (dropped - 1)) - 1))
        out = as_dtype(apply("and", bits, like(bits, -(1 << dropped))), x.dtype)
    if exponent_bits < info.bits - 1 - info.nmant:
        bias = (1 << (exponent_bits - 1)) - 1
        size = apply("abs", out)
        large = apply("ge", size, like(x, 2.0 ** (bias + 1)))
        small = apply("lt", size, like(x, 2.0 ** (1 - bias)))
        size = select(large, like(x, np.inf), select(small, like(x, 0.0), size))
        out = apply("copysign", size, x)
    return x if out is x else select(is_nan(x), x, out)
