"""Inverse circular and hyperbolic functions: identities take them to a short interval.

In: values of float32 or float64. Out: the function's value, NaN outside of its domain.
Coefficients are minimax fits (Remez exchange in 50 digits), with the greatest relative error of
the function beside them. Source: the identities are those of S. Moshier's Cephes library (1989).
"""

from __future__ import annotations

from .maths_exponential import LN2, log1p
from .maths_values import (
    Format,
    Value,
    constant,
    double,
    fma,
    infinity,
    nan,
    polynomial,
    select,
    single,
    split_constant,
)

PI_TEXT = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803"
PI = {f: split_constant(PI_TEXT, f) for f in (single, double)}

# (asin x / x - 1) / z, z = x², where |x| ≤ 1/2: 2^-27.6 and 2^-59.7.
ASIN = {
    single: (
        0.16666752099990845,
        0.07495306432247162,
        0.04546976834535599,
        0.024180809035897255,
        0.0421663299202919,
    ),
    double: (
        0.1666666666666676,
        0.0749999999997081,
        0.044642857174645875,
        0.030381942704691835,
        0.022372215105673537,
        0.017351609449690324,
        0.013980855726749968,
        0.011398593008309536,
        0.010782197717175472,
        0.003698531050957698,
        0.02172779938490894,
        -0.021029421094660376,
        0.03264852202021411,
    ),
}
# (atan x / x - 1) / z, z = x², where |x| ≤ 1: 2^-28.5 and 2^-55.
ATAN = {
    single: (
        -0.33333298563957214,
        0.1999852955341339,
        -0.14264015853405,
        0.10950879752635956,
        -0.08399300277233124,
        0.057881198823451996,
        -0.03109668381512165,
        0.01086844690144062,
        -0.0017827459378167987,
    ),
    double: (
        -0.3333333333333307,
        0.19999999999951426,
        -0.14285714282572856,
        0.11111111006951523,
        -0.09090907001528158,
        0.07692279820623298,
        -0.06666403892678593,
        0.05880526763115228,
        -0.05253513568718593,
        0.04722304297792517,
        -0.042191294443378005,
        0.03664085175892763,
        -0.02990210088160749,
        0.02198259921347099,
        -0.013898348936662886,
        0.007194876048199574,
        -0.002884049525873177,
        0.0008310040340793229,
        -0.00015208967961445401,
        1.3217713879595165e-05,
    ),
}


def high_and_low(f: Format, scale: float) -> tuple[float, float]:
    """π · scale as a sum of two floats, of a power of two."""
    high, low, _ = PI[f]
    return high * scale, low * scale


# Circular.


def asin_pieces(x: Value) -> tuple[Value, Value, Value]:
    """Whether |x| > 1/2, and s and e: s + e is asin |x|, or π/4 - asin(|x|) / 2 where so.

    s = |x| or √((1 - |x|) / 2), and e = asin s - s.
    """
    size = abs(x)
    far = size > 0.5
    z = select(far, fma(size, -0.5, 0.5), size * size)
    s = select(far, z.sqrt(), size)
    return far, s, s * z * polynomial(z, ASIN[x.format])


def asin(x: Value) -> Value:
    """The arcsine."""
    far, s, e = asin_pieces(x)
    high, low = high_and_low(x.format, 0.5)
    beyond = high - (2.0 * s + (2.0 * e - low))
    return select(far, beyond, s + e).signed_as(x)


def acos(x: Value) -> Value:
    """The arccosine."""
    far, s, e = asin_pieces(x)
    s, e = select(far, s + s, s.signed_as(x)), select(far, e + e, e.signed_as(x))
    high, low = high_and_low(x.format, 1.0)
    right = far.op("and", x > 0.0)
    high = select(far, high, x.like(high / 2))
    low = select(far, low, x.like(low / 2))
    return select(right, s + e, high - (s + (e - low)))


def atan_or_rest(t: Value, rest: Value) -> Value:
    """The arctangent of t, 0 ≤ t ≤ 1, or π/2 less it where `rest` holds."""
    z = t * t
    high, low = high_and_low(t.format, 0.5)
    angle = fma(t * z, polynomial(z, ATAN[t.format]), t)
    return select(rest, high - (angle - low), angle)


def atan(x: Value) -> Value:
    """The arctangent: π/2 less that of 1 / |x| where |x| > 1."""
    size = abs(x)
    far = size > 1.0
    ratio = select(far, 1.0, size) / select(far, size, constant(1.0, x.dtype))
    return atan_or_rest(ratio, far).signed_as(x)


def atan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y), from -π to π."""
    across, up = abs(x), abs(y)
    steep = up > across
    large = select(steep, up, across)
    small = select(steep, across, up)
    # Two infinities have the ratio of two equal numbers; the angle of two zeros is 0.
    ratio = select(small.equals(large), 1.0, small / large)
    angle = atan_or_rest(select(large.equals(0.0), 0.0, ratio), steep)
    # The sign of -0 counts, too.
    left = x.bits() < 0
    high, low = high_and_low(x.format, 1.0)
    angle = select(left, high - (angle - low), angle)
    undefined = x.differs(x).op("or", y.differs(y))
    return select(undefined, nan, angle).signed_as(y)


# Hyperbolic: float32 computes in float64.


def asinh(x: Value) -> Value:
    """The inverse hyperbolic sine: log(1 + t), t = a + a² / (1 + √(1 + a²)), of a = |x|."""
    wide = x.cast(double.real)
    size = abs(wide)
    square = size * size
    t = size + square / ((square + 1.0).sqrt() + 1.0)
    if x.format is single:
        out = log1p(select(size < infinity, t, size))
    else:
        out = log1p_or_double(t, size)
    return out.signed_as(wide).cast(x.dtype)


def acosh(x: Value) -> Value:
    """The inverse hyperbolic cosine: log(1 + s), s = t + √(t (t + 2)), of t = x - 1."""
    wide = x.cast(double.real)
    t = wide - 1.0
    s = t + (t * (t + 2.0)).sqrt()
    out = log1p(s) if x.format is single else log1p_or_double(s, wide)
    return select(wide < 1.0, nan, out).cast(x.dtype)


def log1p_or_double(t: Value, size: Value) -> Value:
    """log(1 + t), or log(2 · size) of a size whose square might overflow."""
    great = size > 2.0**30
    return log1p(select(great, size - 1.0, t)) + select(
        great, LN2[double][0], constant(0.0, double.real)
    )


def atanh(x: Value) -> Value:
    """The inverse hyperbolic tangent: log(1 + 2a / (1 - a)) / 2 of a = |x|."""
    wide = x.cast(double.real)
    size = abs(wide)
    out = 0.5 * log1p((size + size) / (1.0 - size))
    return out.signed_as(wide).cast(x.dtype)
