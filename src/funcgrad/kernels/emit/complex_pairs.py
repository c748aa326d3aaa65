"""Complex operations as expressions on pairs of real ones.

In: an operation of `ir.loops` and its complex operands, each as a pair (real part, imaginary
part) of float32 or float64 expressions. Out: such a pair, or one real expression for operations
with a real result. The real functions inside (exp, sin, atan2, ...) stay operations, for
`maths.expand`. Source: W. Kahan, Branch Cuts for Complex Elementary Functions (1987), for the
inverse functions and tanh; R. Smith, Algorithm 116 (1962), for the quotient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ...ir.loops import Expr
from .maths_values import Value, infinity, select

Pair = tuple[Expr, Expr]


class Complex(NamedTuple):
    """A complex expression by its parts."""

    re: Value
    im: Value

    def __neg__(self) -> Complex:
        return Complex(-self.re, -self.im)

    def scaled(self, factor: Value | float) -> Complex:
        """The product with a real number."""
        return Complex(self.re * factor, self.im * factor)

    def plus(self, x: float) -> Complex:
        """The sum with a real number."""
        return Complex(self.re + x, self.im)


# Arithmetic.


def plus(x: Complex, y: Complex) -> Complex:
    """x + y."""
    return Complex(x.re + y.re, x.im + y.im)


def minus(x: Complex, y: Complex) -> Complex:
    """x - y."""
    return Complex(x.re - y.re, x.im - y.im)


def times(x: Complex, y: Complex) -> Complex:
    """x · y; not fused, so that z times its conjugate is real."""
    return Complex(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)


def quotient(x: Complex, y: Complex) -> Complex:
    """x / y, scaled by the greater part of y so that its square may overflow."""
    level = abs(y.re) >= abs(y.im)
    great, small = select(level, y.re, y.im), select(level, y.im, -y.re)
    ratio = select(great.equals(0.0), 0.0, small / great)
    scale = great + small * ratio
    # Where the imaginary part is the greater one, x and y are both turned by -i.
    re, im = select(level, x.re, x.im), select(level, x.im, -x.re)
    return Complex((re + im * ratio) / scale, (im - re * ratio) / scale)


def negative(x: Complex) -> Complex:
    """-x."""
    return -x


def conjugate(x: Complex) -> Complex:
    """The number mirrored at the real axis."""
    return Complex(x.re, -x.im)


def modulus(x: Complex) -> Value:
    """|x|; infinite where a part is, even beside a NaN."""
    great, small = ordered(x)
    out = great * unit_hypotenuse(great, small)
    endless = abs(x.re).equals(infinity).op("or", abs(x.im).equals(infinity))
    return select(endless, infinity, out)


def ordered(x: Complex) -> tuple[Value, Value]:
    """The sizes of the parts, the greater first; NaN in both where either is."""
    re, im = abs(x.re), abs(x.im)
    return re.op("max", im), re.op("min", im)


def ratio_of(great: Value, small: Value) -> Value:
    """small / great, of two zeros or two infinities 1."""
    return select(great.equals(small), 1.0, small / great)


def unit_hypotenuse(great: Value, small: Value) -> Value:
    """√(1 + (small / great)²)."""
    ratio = ratio_of(great, small)
    return ratio.op("fma", ratio, 1.0).sqrt()


def direction(x: Complex) -> Complex:
    """x / |x|, 0 of 0."""
    size = modulus(x)
    nothing = size.equals(0.0)
    return Complex(select(nothing, x.re, x.re / size), select(nothing, x.im, x.im / size))


# Roots, exponentials, logarithms.


def root(x: Complex) -> Complex:
    """The square root with a real part of at least 0."""
    size = modulus(x)
    part = (0.5 * abs(x.re) + 0.5 * size).sqrt()
    other = select(part.equals(0.0), 0.0, abs(x.im) / (part + part))
    # An infinite imaginary part outweighs any real part.
    other = select(abs(x.im).equals(infinity), infinity, other)
    right = x.re >= 0.0
    return Complex(select(right, part, other), select(right, other, part).signed_as(x.im))


def reciprocal_root(x: Complex) -> Complex:
    """1 / √x = conj(√x) / |x|."""
    size, y = modulus(x), root(x)
    return Complex(y.re / size, -y.im / size)


def product_with_exp(size: Value, angle: Complex) -> Complex:
    """`size` · (cos, sin) of an angle; a zero of the sine stays where the size is infinite."""
    return Complex(size * angle.re, select(angle.im.equals(0.0), angle.im, size * angle.im))


def exponential(x: Complex) -> Complex:
    """e^re (cos im + i sin im)."""
    return product_with_exp(x.re.op("exp"), Complex(x.im.op("cos"), x.im.op("sin")))


def exponential_of_two(x: Complex) -> Complex:
    """2^x."""
    return product_with_exp(x.re.op("exp2"), angle_of_two(x.im))


def angle_of_two(y: Value) -> Complex:
    """2^(iy)."""
    angle = y * math.log(2.0)
    return Complex(angle.op("cos"), angle.op("sin"))


def exponential_less_one(x: Complex) -> Complex:
    """e^x - 1, whose real part is expm1(re) cos im - 2 sin²(im / 2)."""
    half = (0.5 * x.im).op("sin")
    re = x.re.op("expm1") * x.im.op("cos") - 2.0 * half * half
    return Complex(re, exponential(x).im)


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
    endless = abs(x.re).equals(infinity).op("or", abs(x.im).equals(infinity))
    return select(endless, infinity, out)


def logarithm_of_one_more(x: Complex) -> Complex:
    """log(1 + x), where |1 + x|² - 1 = re (2 + re) + im²."""
    y = x.plus(1.0)
    excess = x.re.op("fma", x.re + 2.0, x.im * x.im)
    return Complex(log_modulus(y, excess), x.im.op("atan2", y.re))


def power(x: Complex, y: Complex) -> Complex:
    """e^(y log x); 1 where y = 0, and 0 where x = 0 and y has a positive real part."""
    out = exponential(times(y, logarithm(x)))
    nothing = x.re.equals(0.0).op("and", x.im.equals(0.0))
    vanishes = nothing.op("and", y.re > 0.0)
    one = y.re.equals(0.0).op("and", y.im.equals(0.0))
    re = select(one, 1.0, select(vanishes, 0.0, out.re))
    return Complex(re, select(one.op("or", vanishes), 0.0, out.im))


def logistic(x: Complex) -> Complex:
    """1 / (1 + e^-x), or e^x / (1 + e^x) where the real part is negative."""
    left = x.re < 0.0
    e = exponential(Complex(select(left, x.re, -x.re), select(left, x.im, -x.im)))
    one = Complex(select(left, e.re, 1.0), select(left, e.im, 0.0))
    return quotient(one, e.plus(1.0))


# Circular and hyperbolic functions; a circular one is a hyperbolic one turned by i.


def turned(x: Complex) -> Complex:
    """i · x."""
    return Complex(-x.im, x.re)


def turned_back(x: Complex) -> Complex:
    """-i · x."""
    return Complex(x.im, -x.re)


def hyperbolic_sine(x: Complex) -> Complex:
    """sinh re cos im + i cosh re sin im."""
    angle = Complex(x.im.op("cos"), x.im.op("sin"))
    out = product_with_exp(x.re.op("cosh"), angle)
    return Complex(x.re.op("sinh") * angle.re, out.im)


def hyperbolic_cosine(x: Complex) -> Complex:
    """cosh re cos im + i sinh re sin im."""
    angle = Complex(x.im.op("cos"), x.im.op("sin"))
    out = product_with_exp(x.re.op("sinh"), angle)
    # A zero of sinh times a sine keeps its sign.
    return Complex(x.re.op("cosh") * angle.re, select(angle.im.equals(0.0), x.re * x.im, out.im))


def hyperbolic_tangent(x: Complex) -> Complex:
    """(β ρ s + i t) / (1 + β s²) of t = tan im, s = sinh re, β = 1 + t², ρ = √(1 + s²)."""
    limit = 20.0
    re = x.re.clamped(-limit, limit)
    t, s = x.im.op("tan"), re.op("sinh")
    beta = t.op("fma", t, 1.0)
    square = s * s
    below = beta.op("fma", square, 1.0)
    return Complex(beta * (square + 1.0).sqrt() * s / below, t / below)


def sine(x: Complex) -> Complex:
    """sin x = -i sinh ix."""
    return turned_back(hyperbolic_sine(turned(x)))


def cosine(x: Complex) -> Complex:
    """cos x = cosh ix."""
    return hyperbolic_cosine(turned(x))


def tangent(x: Complex) -> Complex:
    """tan x = -i tanh ix."""
    return turned_back(hyperbolic_tangent(turned(x)))


def arcsine(x: Complex) -> Complex:
    """The inverse of the sine, with cuts on the real axis beyond ±1."""
    up, down = root(x.plus(1.0)), root(Complex(1.0 - x.re, -x.im))
    re = x.re.op("atan2", down.re * up.re - down.im * up.im)
    return Complex(re, (down.re * up.im - down.im * up.re).op("asinh"))


def arccosine(x: Complex) -> Complex:
    """The inverse of the cosine, with cuts on the real axis beyond ±1."""
    up, down = root(x.plus(1.0)), root(Complex(1.0 - x.re, -x.im))
    im = (up.re * down.im - up.im * down.re).op("asinh")
    return Complex(2.0 * down.re.op("atan2", up.re), im)


def area_sine(x: Complex) -> Complex:
    """asinh x = -i asin ix."""
    return turned_back(arcsine(turned(x)))


def area_cosine(x: Complex) -> Complex:
    """The inverse of cosh, with a cut on the real axis below 1."""
    up, down = root(x.plus(1.0)), root(x.plus(-1.0))
    re = (down.re * up.re + down.im * up.im).op("asinh")
    return Complex(re, 2.0 * down.im.op("atan2", up.re))


def area_tangent(x: Complex) -> Complex:
    """The inverse of tanh, with cuts on the real axis beyond ±1."""
    size, square = abs(x.re), x.im * x.im
    rest = 1.0 - size
    re = 0.25 * (4.0 * size / rest.op("fma", rest, square)).op("log1p")
    angle = (x.im + x.im).op("atan2", rest.op("fma", size + 1.0, -square))
    return Complex(re.signed_as(x.re), 0.5 * angle)


def arctangent(x: Complex) -> Complex:
    """atan x = -i atanh ix."""
    return turned_back(area_tangent(turned(x)))


# Comparisons.


def is_before(x: Complex, y: Complex) -> Value:
    """Whether x lies before y: by real part, then by imaginary part."""
    tail = x.re.equals(y.re).op("and", x.im < y.im)
    return (x.re < y.re).op("or", tail)


def chosen(first: Value, x: Complex, y: Complex) -> Complex:
    """x where `first` holds or x has a NaN; else y."""
    undefined = x.re.differs(x.re).op("or", x.im.differs(x.im))
    first = first.op("or", undefined)
    return Complex(select(first, x.re, y.re), select(first, x.im, y.im))


def greatest(x: Complex, y: Complex) -> Complex:
    """The one that lies after the other, or one with a NaN."""
    return chosen(is_before(y, x), x, y)


def least(x: Complex, y: Complex) -> Complex:
    """The one that lies before the other, or one with a NaN."""
    return chosen(is_before(x, y), x, y)


def equal(x: Complex, y: Complex) -> Value:
    """Whether both parts are equal."""
    return x.re.equals(y.re).op("and", x.im.equals(y.im))


def different(x: Complex, y: Complex) -> Value:
    """Whether a part differs."""
    return x.re.differs(y.re).op("or", x.im.differs(y.im))


def finite(x: Complex) -> Value:
    """Whether both parts are finite."""
    return x.re.op("is_finite").op("and", x.im.op("is_finite"))


def real_part(x: Complex) -> Value:
    """The real part."""
    return x.re


def imaginary_part(x: Complex) -> Value:
    """The imaginary part."""
    return x.im


COMPLEX: dict[str, Callable[..., Complex]] = {
    "add": plus,
    "sub": minus,
    "mul": times,
    "div": quotient,
    "neg": negative,
    "conj": conjugate,
    "max": greatest,
    "min": least,
    "sign": direction,
    "sqrt": root,
    "rsqrt": reciprocal_root,
    "exp": exponential,
    "exp2": exponential_of_two,
    "expm1": exponential_less_one,
    "log": logarithm,
    "log1p": logarithm_of_one_more,
    "pow": power,
    "logistic": logistic,
    "sinh": hyperbolic_sine,
    "cosh": hyperbolic_cosine,
    "tanh": hyperbolic_tangent,
    "sin": sine,
    "cos": cosine,
    "tan": tangent,
    "asin": arcsine,
    "acos": arccosine,
    "atan": arctangent,
    "asinh": area_sine,
    "acosh": area_cosine,
    "atanh": area_tangent,
}
REAL: dict[str, Callable[..., Value]] = {
    "abs": modulus,
    "real": real_part,
    "imag": imaginary_part,
    "eq": equal,
    "ne": different,
    "is_finite": finite,
}


def wrapped(args: tuple[Pair, ...]) -> list[Any]:
    """Pairs of expressions as complex values."""
    return [Complex(Value(re), Value(im)) for re, im in args]


def expand_complex(op: str, args: tuple[Pair, ...]) -> Pair | None:
    """The parts of an operation's complex result; None where it has no formula here.

    Args:
        op: an operation of `ir.loops.SCALAR_OPS`.
        args: its complex operands, by their parts.
    Returns:
        (real part, imaginary part).
    """
    function = COMPLEX.get(op)
    if function is None:
        return None
    out = function(*wrapped(args))
    return out.re.expr, out.im.expr


def expand_to_real(op: str, args: tuple[Pair, ...]) -> Expr | None:
    """An operation of complex operands with a real or boolean result; None where it has none."""
    function = REAL.get(op)
    return None if function is None else function(*wrapped(args)).expr
