"""Complex exponentials, logarithms, circular and hyperbolic functions as pairs of real expressions.

In: a `Complex` of float32 or float64 expressions. Out: the same. The real functions inside (exp,
sin, atan2, ...) stay operations, for `maths.expand`. A circular function is a hyperbolic one
turned by i. Source: W. Kahan, Branch Cuts for Complex Elementary Functions (1987), for the inverse
functions and tanh; ISO C, annex G, for the values at infinities, NaN and signed zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .complex_values import (
    Complex,
    is_infinite,
    is_zero,
    ordered,
    ratio_of,
    root,
    scaled_quotient,
    times,
    turned,
    turned_back,
)
from .maths_values import Value, infinity, nan, select

# From a first number on exponentials of an itemsize may overflow; a second is then taken from the
# exponent, and comes back as two equal factors.
OVERFLOW = {4: (88.0, 60.0), 8: (709.0, 640.0)}
BOOSTS: dict[str, Callable[[float], float]] = {"exp": math.exp, "exp2": math.exp2}

# Exponentials and logarithms.


class Growth(NamedTuple):
    """size · boost²: an exponential that overflows only after it is multiplied by a sine."""

    size: Value
    boost: Value

    def times(self, x: Value) -> Value:
        """The product with a number; a zero stays, where the size is infinite or NaN too."""
        return select(x.equals(0.0), x, self.size * x * self.boost * self.boost)


def lowered(x: Value, op: str = "exp") -> tuple[Value, Value]:
    """y and b such that an exponential of x is that of y times b²; y is great, and exact."""
    limit, step = OVERFLOW[x.dtype.itemsize]
    great = x > limit
    return select(great, x - step, x), select(great, x.like(BOOSTS[op](step / 2)), 1.0)


def has_no_angle(x: Complex) -> Value:
    """Whether the real part is infinite and the imaginary part infinite or NaN."""
    aimless = x.im.op("is_finite").equals(x.im.op("is_finite").like(0))
    return abs(x.re).equals(infinity).op("and", aimless)


def angle(x: Complex) -> Complex:
    """cos im + i sin im; 1 + i NaN where an infinite real part leaves no angle."""
    return Complex(select(has_no_angle(x), 1.0, x.im.op("cos")), x.im.op("sin"))


def growing(x: Complex, op: str, turn: Complex) -> Complex:
    """An exponential of the real part, times the turn of the imaginary part."""
    y, boost = lowered(x.re, op)
    growth = Growth(y.op(op), boost)
    # e^-inf is 0 whatever its angle.
    still = has_no_angle(x).op("and", x.re < 0.0)
    return Complex(growth.times(turn.re), growth.times(select(still, 0.0, turn.im)))


def exponential(x: Complex) -> Complex:
    """e^re (cos im + i sin im)."""
    return growing(x, "exp", angle(x))


def exponential_of_two(x: Complex) -> Complex:
    """2^re (cos (im ln 2) + i sin (im ln 2))."""
    return growing(x, "exp2", angle(Complex(x.re, x.im * math.log(2.0))))


def exponential_less_one(x: Complex) -> Complex:
    """e^x - 1, whose real part is expm1(re) cos im - 2 sin²(im / 2)."""
    whole, turn = exponential(x), angle(x)
    half = select(has_no_angle(x), 0.0, (0.5 * x.im).op("sin"))
    re = x.re.op("expm1") * turn.re - 2.0 * half * half
    # Beside e^80 no 1 is seen, whatever the cosine.
    return Complex(select(x.re > 80.0, whole.re, re), whole.im)


def logarithm(x: Complex) -> Complex:
    """log |x| + i angle(x)."""
    great, small = ordered(x)
    excess = (great - 1.0).op("fma", great + 1.0, small * small)
    return Complex(log_modulus(x, excess), x.im.op("atan2", x.re))


def log_modulus(x: Complex, excess: Value) -> Value:
    """log |x|, from |x|² - 1 where that is small: log(1 + excess) / 2."""
    great, small = ordered(x)
    ratio = ratio_of(great, small)
    # Of x = 0 the ratio is 1, but log 0 is infinite anyway.
    near = (great > 0.5).op("and", great < 1.5)
    square = select(near, excess, ratio * ratio)
    whole = select(near, great.like(0.0), great.op("log"))
    out = whole + 0.5 * square.op("log1p")
    return select(is_infinite(x), infinity, out)


def logarithm_of_one_more(x: Complex) -> Complex:
    """log(1 + x), where |1 + x|² - 1 = re (2 + re) + im²."""
    y = x.plus(1.0)
    excess = x.re.op("fma", x.re + 2.0, x.im * x.im)
    return Complex(log_modulus(y, excess), x.im.op("atan2", y.re))


def power(x: Complex, y: Complex) -> Complex:
    """e^(y log x); 1 where y = 0. Of x = 0: 0 where y has a positive real part, else undefined."""
    out = exponential(times(y, logarithm(x)))
    of_zero = select(y.re > 0.0, y.re.like(0.0), nan)
    nothing, one = is_zero(x), is_zero(y)
    re = select(one, 1.0, select(nothing, of_zero, out.re))
    return Complex(re, select(one, 0.0, select(nothing, of_zero, out.im)))


def logistic(x: Complex) -> Complex:
    """1 / (1 + e^-x), or e^x / (1 + e^x) where the real part is negative."""
    left = x.re < 0.0
    e = exponential(Complex(select(left, x.re, -x.re), select(left, x.im, -x.im)))
    one = Complex(select(left, e.re, 1.0), select(left, e.im, 0.0))
    return scaled_quotient(one, e.plus(1.0))


# Hyperbolic and circular functions.


def hyperbolic_sine(x: Complex) -> Complex:
    """sinh re cos im + i cosh re sin im."""
    size, boost = lowered(abs(x.re))
    turn = angle(x)
    re = Growth(size.op("sinh").signed_as(x.re), boost).times(turn.re)
    return Complex(
        select(x.re.equals(0.0), x.re, re), Growth(size.op("cosh"), boost).times(turn.im)
    )


def hyperbolic_cosine(x: Complex) -> Complex:
    """cosh re cos im + i sinh re sin im."""
    size, boost = lowered(abs(x.re))
    turn = angle(x)
    im = Growth(size.op("sinh").signed_as(x.re), boost).times(turn.im)
    # A zero times anything is one, with the sign of the product.
    nothing = x.re.equals(0.0).op("or", turn.im.equals(0.0))
    zero = x.re.like(0.0).signed_as(x.re) * x.re.like(1.0).signed_as(x.im)
    return Complex(Growth(size.op("cosh"), boost).times(turn.re), select(nothing, zero, im))


def hyperbolic_tangent(x: Complex) -> Complex:
    """(β ρ s + i t) / (1 + β s²) of t = tan im, s = sinh re, β = 1 + t², ρ = √(1 + s²)."""
    t = select(has_no_angle(x), 0.0, x.im.op("tan"))
    s = x.re.op("sinh")
    beta = t.op("fma", t, 1.0)
    square = s * s
    below = beta.op("fma", square, 1.0)
    re = beta * (square + 1.0).sqrt() * s / below
    # From here on it is ±1, and the square may overflow.
    far = (abs(x.re) > 20.0).op("and", t.equals(t))
    re = select(far, x.re.like(1.0).signed_as(x.re), re)
    return Complex(select(x.re.equals(0.0), x.re, re), select(x.im.equals(0.0), x.im, t / below))


def sine(x: Complex) -> Complex:
    """sin x = -i sinh ix."""
    return turned_back(hyperbolic_sine(turned(x)))


def cosine(x: Complex) -> Complex:
    """cos x = cosh ix."""
    return hyperbolic_cosine(turned(x))


def tangent(x: Complex) -> Complex:
    """tan x = -i tanh ix."""
    return turned_back(hyperbolic_tangent(turned(x)))


# Inverse functions. Of an infinite operand one part is infinite, the other the operand's angle.


def shrunk(x: Complex) -> tuple[Value, Value]:
    """A factor that keeps products of roots of x ± 1 finite, and what asinh is less by then."""
    # From there on it is log(2 x), to any digit that there is.
    large = ordered(x)[0] > 1e18
    return select(large, x.re.like(0.25), 1.0), select(large, x.re.like(math.log(4.0)), 0.0)


def arcsine(x: Complex) -> Complex:
    """The inverse of the sine, with cuts on the real axis beyond ±1."""
    factor, less = shrunk(x)
    up, down = root(x.plus(1.0)), root(Complex(1.0 - x.re, -x.im))
    up = Complex(factor * up.re, factor * up.im)
    endless = is_infinite(x)
    beside = select(endless, abs(x.im), down.re * up.re - down.im * up.im)
    re = select(x.re.equals(0.0), x.re, (factor * x.re).op("atan2", beside))
    im = (down.re * up.im - down.im * up.re).op("asinh")
    im = im + less.signed_as(im)
    return Complex(re, select(endless, x.im.like(infinity).signed_as(x.im), im))


def arccosine(x: Complex) -> Complex:
    """The inverse of the cosine, with cuts on the real axis beyond ±1."""
    factor, less = shrunk(x)
    up, down = root(x.plus(1.0)), root(Complex(1.0 - x.re, -x.im))
    endless = is_infinite(x)
    im = (factor * up.re * down.im - factor * up.im * down.re).op("asinh")
    im = im + less.signed_as(im)
    im = select(endless, (-x.im).like(infinity).signed_as(-x.im), im)
    # Of the roots it is half the angle.
    re = select(endless, abs(x.im), down.re).op("atan2", select(endless, x.re, up.re))
    re = select(endless, re, re + re)
    return Complex(select(x.re.equals(0.0), math.pi / 2, re), im)


def area_sine(x: Complex) -> Complex:
    """asinh x = -i asin ix."""
    return turned_back(arcsine(turned(x)))


def area_cosine(x: Complex) -> Complex:
    """The inverse of cosh, with a cut on the real axis below 1."""
    factor, less = shrunk(x)
    up, down = root(x.plus(1.0)), root(x.plus(-1.0))
    endless = is_infinite(x)
    re = (factor * down.re * up.re + factor * down.im * up.im).op("asinh") + less
    # Of the roots it is half the angle.
    im = select(endless, x.im, down.im).op("atan2", select(endless, x.re, up.re))
    im = select(endless, im, im + im)
    im = select(x.re.equals(0.0), im.like(math.pi / 2).signed_as(x.im), im)
    return Complex(select(endless, infinity, re), im)


def area_tangent(x: Complex) -> Complex:
    """The inverse of tanh, with cuts on the real axis beyond ±1."""
    great, _ = ordered(x)
    size, endless = abs(x.re), is_infinite(x)
    rest = 1.0 - size
    # What is divided is scaled, so that no square overflows.
    scale = 1.0 / select(great > 1e9, great, 1.0)
    above = 4.0 * (size * scale)
    below = (rest * scale).op("fma", rest, x.im * scale * x.im)
    # Right above and below ±1 the square of the height vanishes: half of log(2 / height) it is.
    near = rest.equals(0.0).op("and", abs(x.im) < 1e-17)
    # Of a tiny height the quotient overflows: it is taken 2^60 times as large.
    low = abs(x.im)
    tiny = near.op("and", low < 1e-36)
    ratio = select(near, 2.0, above) / select(tiny, low * 2.0**60, select(near, low, below))
    re = select(near, ratio.like(0.5), 0.25) * ratio.op("log1p")
    re = re + select(tiny, re.like(30.0 * math.log(2.0)), 0.0)
    re = select(endless.op("or", x.re.equals(0.0)), 0.0, re)
    # Of an infinite operand the angle is that of a negative number: half of it is ±π/2.
    height = select(abs(x.im).equals(infinity), 0.0, x.im)
    beside = 0.5 * rest.op("fma", size + 1.0, -(x.im * x.im))
    turn = height.signed_as(x.im).op("atan2", select(endless, -infinity, beside))
    return Complex(re.signed_as(x.re), 0.5 * turn)


def arctangent(x: Complex) -> Complex:
    """atan x = -i atanh ix."""
    return turned_back(area_tangent(turned(x)))
