"""The Faddeeva function w(z) = e^(-z²) erfc(-iz) as a pair of real expressions.

In: a `Complex` of float32 or float64 expressions. Out: the same, computed in float64. The one idea:
far out a continued fraction; near 0 the trapezoidal rule, with what its pole leaves over, whose
terms go by the hyperbolic functions of multiples. All is found for a real part above 0.
Source: S. Johnson's Faddeeva package; Gautschi, SIAM J. Numer. Anal. 7 (1970); Poppe & Wijers,
ACM Trans. Math. Softw. 16 (1990); Zaghloul & Ali, Algorithm 916, ibid. 38 (2011).
"""

from __future__ import annotations

import math

from .complex_values import Complex
from .maths_values import Value, double, infinity, select

# The step of the rule: half its aliasing is less than rounding.
STEP = math.pi / math.sqrt(-math.log(2.0**-53))
# Beyond these points, and below these levels of the fraction, nothing is seen.
POINTS, LEVELS = 28, 16


def greater(x: Value, y: Value) -> Value:
    """The greater of two numbers that are not NaN, or one of both."""
    return select(x > y, x, y)


def by_fraction(x: Value, y: Value) -> tuple[Value, Value]:
    """w(x + iy) far from 0, i/√π / (z - (1/2)/(z - 1/(z - (3/2)/(z - ...))))."""
    # Squares of what is larger overflow in the end, and the fraction is its first term.
    size = greater(x, y)
    great, endless = size > 1e8, size.equals(infinity)
    scale = select(great, size, 1.0)
    x, y = x / scale, y / scale
    re, im = x, y
    for k in range(LEVELS, 0, -1):
        share = select(great, 0.0, 0.5 * k / (re * re + im * im))
        re, im = x - share * re, y + share * im
    share = (1.0 / math.sqrt(math.pi)) / (scale * (re * re + im * im))
    return select(endless, 0.0, share * im), select(endless, 0.0, share * re)


def by_rule(x: Value, y: Value) -> tuple[Value, Value]:
    """w(x + iy) near 0, of x ≥ 0 and y of both signs."""
    size, twice = (-(x * x)).op("exp"), (2.0 * STEP) * x
    sinh, cosh = twice.op("sinh"), twice.op("cosh")
    # Those of n · 2 · STEP · x, and sums over n > 0.
    odd, even = sinh, cosh
    square = y * y
    plain = level = slope = x.like(0.0)
    for n in range(1, POINTS + 1):
        point = STEP * n
        share = math.exp(-point * point) / (square + point * point)
        plain = plain + share
        level = share.op("fma", even, level)
        slope = (point * share).op("fma", odd, slope)
        odd, even = odd * cosh + even * sinh, even * cosh + odd * sinh
    factor = 2.0 * STEP / math.pi
    angle = x * y
    sine, cosine = angle.op("sin"), angle.op("cos")
    share = select(angle.equals(0.0), 1.0, sine / angle)
    first = y.op("erfcx") - factor * y * plain
    second = factor * x
    re = first * (cosine * cosine - sine * sine) + second * sine * share + factor * y * level
    im = second * share * cosine - first * (2.0 * sine * cosine) + factor * slope
    return size * re, size * im


def faddeeva(z: Complex) -> Complex:
    """w(z)."""
    own = z.re.dtype
    across, y = z.re.cast(double.real), z.im.cast(double.real)
    x, height = abs(across), abs(y)
    far = (height > 4.0).op("or", x > 8.0)
    far = far.op("or", (x > 6.0).op("and", height > 0.1))
    away = select(far, x, 8.0)
    re, im = by_fraction(away, select(far, height, 8.0))
    # On the real axis the fraction has no real part.
    re = re + select(height < 1e-10, (-(away * away)).op("exp"), 0.0)
    # w(z) = 2 exp(-z²) - w(-z), and w(-z) is the conjugate of w(x + i height).
    grown, angle = 2.0 * ((height - x) * (height + x)).op("exp"), 2.0 * x * y
    lower = y < 0.0
    re = select(lower, grown * angle.op("cos") - re, re)
    im = select(lower, im - grown * angle.op("sin"), im)
    near = by_rule(select(far, 0.0, x), select(far, 0.0, y))
    re, im = select(far, re, near[0]), select(far, im, near[1])
    # w(iy) = erfcx y.
    middle = x.equals(0.0)
    re, im = select(middle, y.op("erfcx"), re), select(middle, 0.0, im)
    im = select((across.bits() < 0), -im, im)
    return Complex(re.cast(own), im.cast(own))
