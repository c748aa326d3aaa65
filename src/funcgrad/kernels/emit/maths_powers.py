"""Powers, roots and remainders, and functions that read or step through the bits of a float.

In: values of float32 or float64. Out: the function's value. The one idea of `pow`: y · log|x|
needs as many more digits as its integer part has, so the logarithm is a sum of two floats.
Source: T. J. Dekker, A Floating-Point Technique for Extending the Available Precision (1971).
"""

from __future__ import annotations

import numpy as np

from ...ir.loops import Apply, Const
from .maths_exponential import exp_times, log, split_float
from .maths_values import (
    Value,
    constant,
    double,
    fma,
    infinity,
    nan,
    polynomial,
    rarely,
    select,
    single,
)

# (2 atanh(s) / s - 2 - 2/3 z) / z², z = s², where |s| ≤ 3 - 2√2: 2^-66.3.
LOG_TAIL = (
    0.4000000000000227,
    0.28571428570091245,
    0.2222222252147287,
    0.1818178422635241,
    0.1538676403674813,
    0.1325665679335689,
    0.13197864440275944,
)
TWO_THIRDS = (2 / 3, 3.700743415417188e-17)
# The first part of ln 2 leaves room for the product with an exponent.
LN2_SHORT = (0.693147180559663, 2.8235290563031577e-13)


def log_in_two(x: Value) -> tuple[Value, Value]:
    """The logarithm of x ≥ 0 as a sum of two floats, to about 2^-65 of it.

    Of x = m · 2^e and s = (m - 1) / (m + 1): log x = s (2 + w) + e ln 2, w = 2/3 s² + ...
    """
    small = x < double.tiny
    m, e, _ = split_float(select(small, x * 2.0**54, x))
    e = select(small, e - 54.0, e)
    f = m - 1.0
    d = f + 2.0
    s = f / d
    s_low = (fma(-s, d, f) - s * (f - (d - 2.0))) / d
    z = s * s
    z_low = fma(s, s, -z) + 2.0 * s * s_low
    w = z * TWO_THIRDS[0]
    products = fma(z, TWO_THIRDS[0], -w) + (z_low * TWO_THIRDS[0] + z * TWO_THIRDS[1])
    w_low = fma(z * z, polynomial(z, LOG_TAIL), products)
    u = s * w
    u_low = fma(s, w, -u) + (s * w_low + s_low * w)
    # Each sum's first term is the greater one, so what its rounding lost is exact.
    first = e * LN2_SHORT[0]
    a = first + 2.0 * s
    b = a + u
    lost = ((first - a) + 2.0 * s) + ((a - b) + u)
    low = lost + (fma(s_low, 2.0, u_low) + e * LN2_SHORT[1])
    high = b + low
    low = (b - high) + low
    return select(x > 0.0, select(x < infinity, high, x), select(x < infinity, -infinity, x)), low


def pow_of_positive(x: Value, y: Value) -> Value:
    """x^y = e^(y log x) of float64, x ≥ 0."""
    high, low = log_in_two(x)
    product = y * high
    rest = fma(y, high, -product) + y * low
    # Beyond, the power is 0, infinite or NaN, and the rest is not finite.
    return exp_times(product, 1.0, select(abs(product) < 1000.0, rest, 0.0))


def half_power(x: Value, twice: int) -> Value:
    """x^(twice/2) of a constant exponent, by products and a square root."""
    if twice % 2:
        # 0 and infinity count without their sign; the root of any other negative number is NaN.
        edge = x.equals(0.0).op("or", x.equals(-infinity))
        x = select(edge, abs(x), x)
    root = x.op("sqrt")
    if twice == -1:
        return 1.0 / root
    if twice < 0:
        # The reciprocal first: the power of a large number would overflow, its own is subnormal.
        x = 1.0 / x
        root = x.op("sqrt")
    out: Value | None = root if twice % 2 else None
    factor, rest = x, abs(twice) // 2
    while rest:
        if rest % 2:
            out = factor if out is None else out * factor
        factor, rest = factor * factor, rest // 2
    assert out is not None
    return out


def power(x: Value, y: Value) -> Value:
    """x^y with the special values of IEEE 754: 1 where y = 0 or x = 1, even for a NaN."""
    if isinstance(y.expr, Const):
        twice = 2.0 * float(y.expr.value)
        if twice.is_integer() and 0 < abs(twice) <= 8:
            return half_power(x, int(twice))
    size = abs(x)
    if x.format is single:
        wide = y.cast(double.real) * log(size.cast(double.real))
        out = exp_times(wide).cast(single.real)
    else:
        out = pow_of_positive(size, y)
    half = 0.5 * y
    whole = y.op("floor").equals(y)
    odd = whole.op("and", half.op("floor").differs(half))
    out = select(odd.op("and", x.bits() < 0), -out, out)
    negative = (x < 0.0).op("and", x > -infinity)
    out = select(negative, select(whole, out, nan), out)
    # -1 to an infinite power is 1, too.
    unit = size.equals(1.0).op("and", (x > 0.0).op("or", abs(y).equals(infinity)))
    return select(unit.op("or", y.equals(0.0)), 1.0, out)


def cbrt(x: Value) -> Value:
    """The cube root: a third of the exponent's bits as a guess, then steps of Halley and Newton.

    Source: W. Kahan & D. Bindel, Computing a Real Cube Root (2001).
    """
    f = x.format
    size = abs(x)
    small = size < 1.0
    # Times 2^3k: neither is a subnormal, nor does a sum of cubes overflow.
    shift = 8 if f is single else 18
    a = size * select(small, 2.0 ** (3 * shift), constant(2.0**-6, f.real))
    t = third_of_bits(a)
    for _ in range(1 if f is single else 2):
        cube = t * t * t
        t = t * ((cube + 2.0 * a) / (2.0 * cube + a))
    square = t * t
    left = fma(square, t, -a) + fma(t, t, -square) * t
    t = t - left / (3.0 * square)
    t = (t * select(small, 2.0**-shift, constant(4.0, f.real))).signed_as(x)
    return select((size > 0.0).op("and", size < infinity), t, x)


def third_of_bits(x: Value) -> Value:
    """A third of a positive float's bits, and two thirds of the bits of 1: some 5% off its root.

    The upper bits become a float by being the last bits of one.
    """
    f = x.format
    kept = 8 if f is single else 32
    whole = 2.0**f.digits
    one = f.bias << (f.digits - kept)
    upper = ((x.bits() >> kept) | ((f.bias + f.digits) << f.digits)).as_float() - whole
    third = fma(upper, 1 / 3, whole + one * (2 / 3) - one * 3e-5)
    return (third.bits() << kept).as_float()


def rsqrt(x: Value) -> Value:
    """1 / √x."""
    return 1.0 / x.sqrt()


def sign(x: Value) -> Value:
    """-1, the zero x is, or 1; NaN stays."""
    unit = constant(1.0, x.dtype).signed_as(x)
    return select(abs(x) > 0.0, unit, x)


def round_away(x: Value) -> Value:
    """The nearest integer, halves away from zero."""
    # With 0.5 itself the sum of the float just below 0.5 would round up to 1.
    below_half = float(np.nextafter(x.dtype.type(0.5), x.dtype.type(0)))
    return (x + constant(below_half, x.dtype).signed_as(x)).op("trunc")


def nextafter(x: Value, y: Value) -> Value:
    """The float after x toward y: its bits one more or one less, in any format."""
    whole = np.dtype(f"i{x.dtype.itemsize}")
    away = (x < y).equals(x > 0.0)
    one = constant(1, whole)
    moved = (x.bits() + select(away, one, constant(-1, whole))).as_float(x.dtype)
    out = select(x.equals(0.0), one.as_float(x.dtype).signed_as(y), moved)
    out = select(x.equals(y), y, out)
    return select(x.differs(x).op("or", y.differs(y)), nan, out)


def remainder(x: Value, y: Value) -> Value:
    """The remainder of x / y with the sign of x, exact.

    Where the quotient has no more digits than a float, |x| - trunc(|x / y|) · |y| is a multiple of
    the last digit of y between -|y| and |y|, so it is a float; it is negative where the quotient
    was rounded up to an integer. Farther away it is the instruction "rem", by name.
    """
    a, b = abs(x), abs(y)
    quotient = a / b
    rest = fma(-quotient.op("trunc"), b, a)
    rest = select(rest < 0.0, rest + b, rest)
    near = select(a < b, a, rest).signed_as(x)
    far = Value(Apply("rem", (x.expr, y.expr), x.dtype, "far"))
    return rarely(quotient >= 2.0**x.format.digits, far, near)
