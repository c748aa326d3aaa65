"""Exponentials and logarithms: x = n·ln 2 + r and x = m·2^e take every one to a short interval.

In: values of float32 or float64. Out: the function's value, right at NaN, infinities, zeros and
subnormals. Coefficients are minimax fits (Remez exchange in 50 digits, rounded one after another
from the lowest degree on); beside each stands the greatest relative error of its function.
Source: W. J. Cody & W. Waite, Software Manual for the Elementary Functions (1980), for the
reductions; the atanh form of the logarithm is of FDLIBM's e_log.c.
"""

from __future__ import annotations

from .maths_values import (
    Format,
    Value,
    double,
    fma,
    infinity,
    nan,
    polynomial,
    power_of_two,
    select,
    single,
    split_constant,
    whole_as_float,
)

LOG2_E = 1.4426950408889634
LN2_TEXT = "0.6931471805599453094172321214581765680755001343602552"
LN2 = {f: split_constant(LN2_TEXT, f) for f in (single, double)}

# (e^r - 1 - r) / r² where |r| ≤ ln 2 / 2: 2^-28.2 and 2^-57.7.
EXP = {
    single: (
        0.4999999403953552,
        0.16666516661643982,
        0.041668105870485306,
        0.00836913101375103,
        0.0013836438301950693,
    ),
    double: (
        0.5000000000000011,
        0.1666666666666643,
        0.04166666666652566,
        0.008333333333479083,
        0.0013888888944923554,
        0.00019841269547965783,
        2.4801491657462794e-05,
        2.7557542324544467e-06,
        2.7630794849797537e-07,
        2.501620410749062e-08,
    ),
}
# (2^r - 1) / r where |r| ≤ 1/2: 2^-27.5 and 2^-55.5.
EXP2 = {
    single: (
        0.6931472420692444,
        0.24022655189037323,
        0.05550272762775421,
        0.009617066010832787,
        0.001341775176115334,
        0.00015823007561266422,
    ),
    double: (
        0.6931471805599457,
        0.240226506959101,
        0.05550410866478791,
        0.009618129107605605,
        0.0013333558153949942,
        0.00015403530443919479,
        1.5252726961955757e-05,
        1.3215441247076962e-06,
        1.018079958223281e-07,
        7.072855318762499e-09,
        4.058511451795183e-10,
    ),
}
# (sinh x / x - 1) / z, z = x², where |x| ≤ 1: 2^-31.6 and 2^-60.
SINH = {
    single: (
        0.1666666716337204,
        0.00833331048488617,
        0.00019842891197185963,
        2.782267074508127e-06,
    ),
    double: (
        0.16666666666666669,
        0.008333333333332912,
        0.0001984126984159421,
        2.7557319106364276e-06,
        2.5052131083932813e-08,
        1.6056650730177718e-10,
        7.776910881810584e-13,
    ),
}
# (tanh x / x - 1) / z, z = x², where |x| ≤ 0.55: 2^-27.7 and 2^-59.
TANH = {
    single: (
        -0.3333328068256378,
        0.13331405818462372,
        -0.05373651534318924,
        0.02062816731631756,
        -0.0056922961957752705,
    ),
    double: (
        -0.333333333333333,
        0.13333333333326516,
        -0.05396825396367982,
        0.021869488383139863,
        -0.008863232551926744,
        0.0035920914889376447,
        -0.0014555391305962507,
        0.0005884283660669476,
        -0.00023333861510227536,
        8.325231798666096e-05,
        -1.9453608779252935e-05,
    ),
}
# (log(1 + f) - f) / f² where |f| ≤ 1/3: 2^-27.6.
LOG_SINGLE = (
    -0.5,
    0.33333197236061096,
    -0.24999919533729553,
    0.20011433959007263,
    -0.16674445569515228,
    0.13989700376987457,
    -0.12273460626602173,
    0.14060446619987488,
    -0.12488413602113724,
)
# (2 atanh(s) / s - 2) / z, z = s², where |s| ≤ 3 - 2√2: 2^-59.5.
LOG_DOUBLE = (
    0.6666666666666735,
    0.39999999999409336,
    0.2857142874369288,
    0.22222198428117887,
    0.18183572408466336,
    0.1531383060087945,
    0.14798276151817508,
)


# x = n ln 2 + r.


def nearest_multiple(x: Value, scale: float, offset: int) -> tuple[Value, Value]:
    """n = round(x · scale), as a float, and an integer that ends in the bits of n + offset."""
    rounder = x.format.rounder + offset
    shifted = fma(x, scale, rounder)
    return shifted - rounder, shifted.bits()


def reduce_exp(x: Value, offset: int, far: bool = True) -> tuple[Value, Value]:
    """r = x - n ln 2, |r| ≤ ln 2 / 2, and the integer of `nearest_multiple`.

    Args:
        far: whether n may be so large that digits of ln 2 beyond the format matter.
    """
    high, low, _ = LN2[x.format]
    n, bits = nearest_multiple(x, LOG2_E, offset)
    r = fma(n, -high, x)
    return fma(n, -low, r) if far else r, bits


def scale_twice(p: Value, bits: Value) -> Value:
    """p · 2^n for bits that end in n + 2 · bias: two factors reach subnormals and infinity."""
    half = bits >> 1
    return p * power_of_two(half) * power_of_two(bits - half)


def exp_limits(f: Format) -> tuple[float, float]:
    """Where e^x is zero, and where it is infinite."""
    return (-104.0, 90.0) if f is single else (-746.0, 711.0)


def exp_times(x: Value, factor: Value | float = 1.0, tail: Value | None = None) -> Value:
    """`factor` · e^(x + tail), rounded once more where it is subnormal, for a small `tail`."""
    f = x.format
    r, bits = reduce_exp(x.clamped(*exp_limits(f)), 2 * f.bias)
    p = polynomial(r if tail is None else r + tail, (1.0, 1.0, *EXP[f]))
    return scale_twice(p if factor == 1.0 else p * factor, bits)


def exp(x: Value) -> Value:
    """e^x = 2^n e^r."""
    return exp_times(x)


def exp2(x: Value) -> Value:
    """2^x = 2^n 2^r."""
    f = x.format
    low = -float(f.bias + f.digits + 1)
    x = x.clamped(low, f.bias + 1.0)
    n, bits = nearest_multiple(x, 1.0, 2 * f.bias)
    return scale_twice(polynomial(x - n, (1.0, *EXP2[f])), bits)


def exp_pieces(x: Value, shift: int, far: bool = True) -> tuple[Value, Value]:
    """s = 2^(n - shift), a normal number, and q = e^r - 1: s q + s is e^x · 2^-shift.

    Args:
        far: as for `reduce_exp`.
    """
    f = x.format
    r, bits = reduce_exp(x, f.bias - shift, far)
    return power_of_two(bits), fma(r * r, polynomial(r, EXP[f]), r)


def expm1(x: Value) -> Value:
    """e^x - 1, without cancellation near 0."""
    f = x.format
    low, high = (-18.0, 88.8) if f is single else (-38.0, 709.9)
    # Half of it is finite longer than 2^n.
    s, q = exp_pieces(x.clamped(low, high), 1)
    out = fma(s, q, s - 0.5) * 2.0
    # There x² / 2 is less than half a unit, and the sign of zero and subnormal digits stay.
    return select(abs(x) < f.epsilon / 2, x, out)


def tanh(x: Value) -> Value:
    """tanh x = 1 - 2 / (e^(2|x|) + 1), and an odd polynomial near 0."""
    f = x.format
    saturated = 9.02 if f is single else 19.1
    size = abs(x)
    size = select(size > saturated, saturated, size)
    # An error of e^(2|x|) counts the less the greater it is.
    s, q = exp_pieces(size + size, 0, far=False)
    far = 1.0 - 2.0 / fma(s, q, s + 1.0)
    z = size * size
    near = fma(size * z, polynomial(z, TANH[f]), size)
    return select(size < 0.55, near, far).signed_as(x)


def logistic(x: Value) -> Value:
    """1 / (1 + e^-x) = c / (c + c e^-x); c = 2^-24 or 2^-54 keeps e^-x finite up to where it ends.

    Of s + c in c e^-x + c = s q + (s + c) the rounding error is kept.
    """
    f = x.format
    scale = f.digits + 1 if f is single else f.digits + 2
    low, high = (-104.5, 18.0) if f is single else (-746.0, 38.0)
    s, q = exp_pieces((-x).clamped(-high, -low), scale)
    c = 2.0**-scale
    total = s + c
    return c / (total + fma(s, q, (s - total) + c))


def sinh(x: Value) -> Value:
    """The hyperbolic sine: e - 1 / 4e of e = e^|x| / 2, and an odd polynomial near 0."""
    size = abs(x)
    e = exp_times(size, 0.5)
    z = size * size
    near = fma(size * z, polynomial(z, SINH[x.format]), size)
    return select(size < 1.0, near, e - 0.25 / e).signed_as(x)


def cosh(x: Value) -> Value:
    """The hyperbolic cosine: e + 1 / 4e of e = e^|x| / 2."""
    e = exp_times(abs(x), 0.5)
    return e + 0.25 / e


# x = m · 2^e.


def split_float(x: Value) -> tuple[Value, Value, Value]:
    """x = m · 2^e of a positive normal x: m, e, and e + bias as an integer.

    m is in [2/3, 4/3) in float32 and in [√½, √2) in float64.
    """
    f = x.format
    lowest = 0x3F2AAAAB if f is single else 0x3FE6A09E667F3BCD
    fraction = (1 << f.digits) - 1
    moved = x.bits() + ((f.bias << f.digits) - lowest)
    exponent = moved >> f.digits
    m = ((moved & fraction) + lowest).as_float()
    return m, whole_as_float(exponent, -f.bias), exponent


def log_near_one(f: Value, e: Value) -> Value:
    """log(1 + f) + e ln 2, f = m - 1 of `split_float`."""
    high, low, _ = LN2[f.format]
    if f.format is single:
        return fma(e, high, fma(f * f, polynomial(f, LOG_SINGLE), f))
    # f - s(f - z·Q) = s(2 + z·Q): f is exact, and what is subtracted is small.
    s = f / (f + 2.0)
    z = s * s
    half = 0.5 * f * f
    rest = fma(s, fma(z, polynomial(z, LOG_DOUBLE), half), e * low)
    return fma(e, high, f - (half - rest))


def log_of_positive(x: Value) -> Value:
    """log x of a finite x > 0."""
    f = x.format
    small = x < f.tiny
    shift = f.digits + 1
    m, e, _ = split_float(select(small, x * 2.0**shift, x))
    return log_near_one(m - 1.0, select(small, e - float(shift), e))


def log_edges(x: Value, out: Value) -> Value:
    """The value where x is positive and finite; the logarithm's elsewhere."""
    outside = select(x.equals(0.0), -infinity, x.like(nan))
    return select(x > 0.0, select(x < infinity, out, x), outside)


def log(x: Value) -> Value:
    """The natural logarithm of x."""
    return log_edges(x, log_of_positive(x))


def log1p(x: Value) -> Value:
    """log(1 + x), without cancellation near 0.

    u = 1 + x rounds; what it lost, c = x - (u - 1), goes into f as c · 2^-e.
    """
    f = x.format
    u = x + 1.0
    m, e, exponent = split_float(u)
    # Where 2^-e is subnormal, nothing is lost.
    scale = power_of_two((2 * f.bias - exponent).op("max", 0))
    near = fma(x - (u - 1.0), scale, m - 1.0)
    return log_edges(u, log_near_one(near, e)).signed_as(x)
