"""Complex numbers as pairs of real expressions: arithmetic, sizes, directions and roots.

In: a `Complex` of float32 or float64 expressions. Out: the same, or a real `Value`. The one idea:
what an infinity, NaN or zero changes is chosen by selects behind the general formula, so that
every lane of a vector takes the same way. Source: R. Smith, Algorithm 116 (1962), for the
quotient; ISO C, annex G, for the values at infinities, NaN and signed zeros.
"""

from __future__ import annotations

from typing import NamedTuple

from .maths_values import Value, infinity, nan, rarely, select


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
    """x / y, a number even where one of them is infinite."""
    out = scaled_quotient(x, y)
    lost = out.re.differs(out.re) & out.im.differs(out.im)
    at_ends = _quotient_at_infinities(x, y)
    return Complex(rarely(lost, at_ends.re, out.re), rarely(lost, at_ends.im, out.im))


def scaled_quotient(x: Complex, y: Complex) -> Complex:
    """x / y of finite numbers, scaled by the greater part of y so that its square may overflow."""
    level = abs(y.re) >= abs(y.im)
    great, small = select(level, y.re, y.im), select(level, y.im, -y.re)
    ratio = small / great
    # Where the imaginary part is the greater one, x and y are both turned by -i.
    re, im = select(level, x.re, x.im), select(level, x.im, -x.re)
    # Each part is divided by a zero on its own, whose sign is that of the real part.
    zero = is_zero(y)
    scale = select(zero, great, great + small * ratio)
    return Complex(
        select(zero, re, re + im * ratio) / scale, select(zero, im, im - re * ratio) / scale
    )


def _quotient_at_infinities(x: Complex, y: Complex) -> Complex:
    """x / y where one is infinite and the other is finite; NaN where not."""
    large, endless = is_infinite(x), is_infinite(y)
    top, bottom = _corner(x, large), _corner(y, endless)
    # A finite number by an infinite one is zero, the other way round it is infinite.
    from_top = (x.re - x.re) + (x.im - x.im)
    from_bottom = (y.re - y.re) + (y.im - y.im) + infinity
    factor = select(endless, from_top, select(large, from_bottom, nan))
    re = top.re * bottom.re + top.im * bottom.im
    im = top.im * bottom.re - top.re * bottom.im
    return Complex(factor * re, factor * im)


def _corner(x: Complex, infinite: Value) -> Complex:
    """Signed ones for the infinite parts of an infinite number and zeros for others; else x."""
    re, im = (select(abs(part).equals(infinity), part.like(1.0), 0.0).signed_as(part) for part in x)
    return Complex(select(infinite, re, x.re), select(infinite, im, x.im))


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
    return select(is_infinite(x), infinity, out)


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


def is_infinite(x: Complex) -> Value:
    """Whether a part is infinite, even beside a NaN."""
    return abs(x.re).equals(infinity).op("or", abs(x.im).equals(infinity))


def is_zero(x: Complex) -> Value:
    """Whether both parts are zeros."""
    return x.re.equals(0.0).op("and", x.im.equals(0.0))


def direction(x: Complex) -> Complex:
    """x / |x|, 0 of 0; that of one infinite part is its sign, that of two is undefined."""
    great, small = ordered(x)
    size = select(small.equals(infinity), nan, unit_hypotenuse(great, small))
    nothing = great.equals(0.0)

    def part(y: Value) -> Value:
        # Equal infinities have no quotient.
        share = select(abs(y).equals(great), great.like(1.0).signed_as(y), y / great)
        return select(nothing, 0.0, share / size)

    return Complex(part(x.re), part(x.im))


def root(x: Complex) -> Complex:
    """The square root with a real part of at least 0."""
    great, small = ordered(x)
    # Scaled, so that the size neither overflows nor loses digits as a subnormal number.
    large = great > 1.0
    scale = select(large, great.like(2.0**-3), 2.0**107)
    back = select(large, great.like(2.0), 2.0**-54)
    part = back * (scale * abs(x.re) + scale * great * unit_hypotenuse(great, small)).sqrt()
    part = select(is_infinite(x), infinity, part)
    other = select(part.equals(0.0), 0.0, abs(x.im) / (part + part))
    right = x.re >= 0.0
    # An infinite imaginary part outweighs any real part, NaN too.
    endless = abs(x.im).equals(infinity)
    re = select(endless, infinity, select(right, part, other))
    im = select(endless, infinity, select(right, other, part))
    return Complex(re, im.signed_as(x.im))


def reciprocal_root(x: Complex) -> Complex:
    """1 / √x."""
    one = Complex(x.re.like(1.0), x.re.like(0.0))
    return scaled_quotient(one, root(x))


def turned(x: Complex) -> Complex:
    """i · x."""
    return Complex(-x.im, x.re)


def turned_back(x: Complex) -> Complex:
    """-i · x."""
    return Complex(x.im, -x.re)
