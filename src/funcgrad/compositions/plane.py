"""Functions of complex numbers: the logarithm of Γ, its derivative, and the Faddeeva function.

In: complex128 numbers. Out: the same. The one idea: far out an asymptotic series or a continued
fraction, which recurrences and reflections lead to; for the Faddeeva function the trapezoidal rule,
with what its pole leaves over, near 0. All are found for one half-plane, the other being conjugate.

Sources: Hare, J. Algorithms 25 (1997), for log Γ; DLMF 5.5.2, 5.5.4, 5.7.3, 5.11.1-2;
S. Johnson's Faddeeva package, after Gautschi, SIAM J. Numer. Anal. 7 (1970), Poppe & Wijers, ACM
Trans. Math. Softw. 16 (1990), and Zaghloul & Ali, Algorithm 916, ibid. 38 (2011).
"""

from __future__ import annotations

import math
from typing import Any

from .. import numpy as fnp
from ..primitives.complexes import complex as joined
from ..primitives.integrals import erfcx_p
from .elements import bernoulli, elementwise, is_whole, polynomial

Scalar = Any
_BERNOULLI = [float(b) for b in bernoulli(12)]
# The step of the rule: half its aliasing is less than rounding.
_STEP = math.pi / math.sqrt(-math.log(2.0**-53))
# Beyond these points, and below these levels of the fraction, nothing is seen.
_POINTS, _LEVELS = 28, 16
_UNKNOWN = complex(math.nan, math.nan)


def _upper(z: Scalar) -> tuple[Scalar, Any]:
    """The number or its conjugate, not below the real axis, and whether it is the conjugate."""
    below = fnp.signbit(z.imag)
    return joined(z.real, abs(z.imag)), below


def _conjugate(z: Scalar, where: Any) -> Scalar:
    return fnp.where(where, fnp.conj(z), z)


def _is_pole(z: Scalar) -> Any:
    """Whether Γ has a pole there."""
    return (z.imag == 0.0) & (z.real <= 0.0) & is_whole(z.real)


def _over(z: Scalar) -> Scalar:
    """z less the whole number next to its real part."""
    return joined(z.real - fnp.round(z.real), z.imag)


# The gamma function.


def _stirling(z: Scalar) -> Scalar:
    """log Γ(z) far from 0 and from the negative axis."""
    inverse = 1.0 / z
    terms = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI[:9], 1)]
    rest = inverse * polynomial(inverse * inverse, terms)
    return (z - 0.5) * fnp.log(z) - z + 0.5 * math.log(2.0 * math.pi) + rest


def _near_one(u: Scalar) -> Scalar:
    """log Γ(1 + u) of small u."""
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    special: Any = functions
    terms = [(-1) ** k * float(special.zeta(k)) / k for k in range(2, 25)]
    return u * (-float(fnp.euler_gamma) + u * polynomial(u, terms))


@elementwise("loggamma")
def loggamma(z: Scalar) -> Scalar:
    """log Γ(z), continuous off the negative real axis."""
    given = z
    z, below = _upper(z)
    high = z.imag > 7.0
    left = (z.real < 0.1) & ~high
    # log Γ(z) = log π - log sin πz - log Γ(1 - z): there the conjugate of 1 - z lies above.
    w = fnp.where(left, joined(1.0 - z.real, z.imag), z)
    ends = abs(w - 1.0) <= 0.2, abs(w - 2.0) <= 0.2
    u = fnp.where(ends[0], w - 1.0, fnp.where(ends[1], w - 2.0, 0.0))
    near = _near_one(u) + fnp.where(ends[1], fnp.log1p(u), 0.0)
    product, turns, far = fnp.ones_like(w), fnp.zeros_like(w.real), w
    for _ in range(8):
        on = (far.real <= 7.0) & ~high
        following = product * far
        # Its angle grows by a quarter of a turn at most.
        over = on & (following.imag < 0.0) & (product.imag >= 0.0)
        turns = turns + fnp.where(over, 1.0, 0.0)
        product, far = fnp.where(on, following, product), fnp.where(on, far + 1.0, far)
    less = fnp.log(product)
    out = _stirling(far) - joined(less.real, less.imag + 2.0 * math.pi * turns)
    out = fnp.where(ends[0] | ends[1], near, out)
    whole = fnp.round(z.real)
    sine = fnp.sin(math.pi * _over(z))
    sine = fnp.where(fnp.fmod(whole, 2.0) == 0.0, sine, -sine)
    angle = 2.0 * math.pi * fnp.floor(0.5 * z.real + 0.25)
    reflected = math.log(math.pi) - fnp.log(sine) - fnp.conj(out)
    reflected = joined(reflected.real, reflected.imag + angle)
    out = _conjugate(fnp.where(left, reflected, out), below)
    return fnp.where(_is_pole(given), _UNKNOWN, out)


@elementwise("complex_digamma")
def complex_digamma(z: Scalar) -> Scalar:
    """ψ(z)."""
    given = z
    z, below = _upper(z)
    left = z.real < 0.0
    w = fnp.where(left, joined(1.0 - z.real, z.imag), z)
    less = fnp.zeros_like(w)
    for _ in range(9):
        on = abs(w) < 8.0
        less = fnp.where(on, less + 1.0 / w, less)
        w = fnp.where(on, w + 1.0, w)
    inverse = 1.0 / w
    square = inverse * inverse
    terms = [b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)]
    rest = 0.5 * inverse + square * polynomial(square, terms)
    out = fnp.log(w) - fnp.where(abs(w) == fnp.inf, 0.0, rest) - less
    # ψ(z) = ψ(1 - z) - π cot πz
    place = fnp.where(left, _over(z), 0.25)
    reflected = fnp.conj(out) - math.pi / fnp.tan(math.pi * place)
    out = _conjugate(fnp.where(left, reflected, out), below)
    return fnp.where(_is_pole(given), _UNKNOWN, out)


# The Faddeeva function.


def _by_fraction(x: Scalar, y: Scalar) -> tuple[Scalar, Scalar]:
    """w(x + iy) far from 0, i/√π / (z - (1/2)/(z - 1/(z - (3/2)/(z - ...))))."""
    # Squares of what is larger overflow in the end, and the fraction is its first term.
    great = fnp.maximum(x, y) > 1e8
    endless = fnp.maximum(x, y) == fnp.inf
    size = fnp.where(great, fnp.maximum(x, y), 1.0)
    x, y = x / size, y / size
    re, im = x, y
    for k in range(_LEVELS, 0, -1):
        share = fnp.where(great, 0.0, 0.5 * k / (re * re + im * im))
        re, im = x - share * re, y + share * im
    share = 1.0 / (math.sqrt(math.pi) * size) / (re * re + im * im)
    return fnp.where(endless, 0.0, share * im), fnp.where(endless, 0.0, share * re)


def _by_rule(x: Scalar, y: Scalar) -> tuple[Scalar, Scalar]:
    """w(x + iy) near 0, of x ≥ 0 and y of both signs."""
    size, double = fnp.exp(-x * x), (2.0 * _STEP) * x
    sinh, cosh = fnp.sinh(double), fnp.cosh(double)
    # Those of n · double, and sums over n > 0.
    odd, even = sinh, cosh
    plain, level, slope = fnp.zeros_like(x), fnp.zeros_like(x), fnp.zeros_like(x)
    for n in range(1, _POINTS + 1):
        point = _STEP * n
        share = size * math.exp(-point * point) / (point * point + y * y)
        plain, level = plain + share, level + share * even
        slope = slope + point * share * odd
        odd, even = odd * cosh + even * sinh, even * cosh + odd * sinh
    factor = 2.0 * _STEP / math.pi
    angle = x * y
    sine = fnp.sin(angle)
    flat = angle == 0.0
    share = fnp.where(flat, 1.0, sine / fnp.where(flat, 1.0, angle))
    first = size * erfcx_p.bind(y) - factor * y * plain
    second = factor * x * size
    cosine, twice = fnp.cos(2.0 * angle), fnp.sin(2.0 * angle)
    re = first * cosine + second * sine * share + factor * y * level
    im = second * share * fnp.cos(angle) - first * twice + factor * slope
    return re, im


@elementwise("wofz")
def wofz(z: Scalar) -> Scalar:
    """w(z)."""
    x, y = abs(z.real), z.imag
    height = abs(y)
    far = (height > 4.0) | (x > 8.0) | ((x > 6.0) & (height > 0.1))
    away = fnp.where(far, x, 8.0), fnp.where(far, height, 8.0)
    re, im = _by_fraction(*away)
    # On the real axis the fraction has no real part.
    re = re + fnp.where(height < 1e-10, fnp.exp(-away[0] * away[0]), 0.0)
    # w(z) = 2 exp(-z²) - w(-z), and w(-z) is the conjugate of w(x + i height).
    lower = far & (y < 0.0)
    grown, angle = 2.0 * fnp.exp((height - x) * (height + x)), 2.0 * x * y
    re = fnp.where(lower, grown * fnp.cos(angle) - re, re)
    im = fnp.where(lower, im - grown * fnp.sin(angle), im)
    near = _by_rule(fnp.where(far, 0.0, x), fnp.where(far, 0.0, y))
    re, im = fnp.where(far, re, near[0]), fnp.where(far, im, near[1])
    # w(iy) = erfcx y.
    middle = x == 0.0
    re = fnp.where(middle, erfcx_p.bind(y), re)
    return joined(
        re, fnp.copysign(fnp.where(middle, 0.0, 1.0), z.real) * fnp.where(middle, 1.0, im)
    )
