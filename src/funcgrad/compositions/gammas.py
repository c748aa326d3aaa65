"""The gamma function's family: polygamma, zeta, and the incomplete gamma integrals.

In: float64 numbers. Out: the same. The one idea: P(a, x) is a power series below a, 1 - P(a, x) a
continued fraction above it, and for large a both are the normal distribution function with a
correction that is a double series; derivatives by a are those of these programs.

Sources: DLMF 5.15.1, 25.11.28 (Euler and Maclaurin); 8.11.4, 8.9.2; Temme, SIAM J. Math.
Anal. 10 (1979), for large a; DiDonato & Morris, ACM Trans. Math. Softw. 12 (1986), for small a.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from .. import numpy as fnp
from ..api.forward import jvp
from ..control.loops import while_loop
from ..primitives.special import digamma, erfc, lgamma
from .elements import (
    bernoulli,
    elementwise,
    fraction,
    fraction_slope,
    is_whole,
    polynomial,
    summed,
)

Scalar = Any
Power = Callable[[Scalar, Scalar], Scalar]
_EXACT = bernoulli(12)
_BERNOULLI = [float(b) for b in _EXACT]
# From this order on, near x = a, the integral is the normal one with a correction.
_LARGE, _NEAR = 30.0, 0.3
_ORDERS, _POWERS = 9, 17


# Zeta and polygamma.


def _exact_power(w: Scalar, x: Scalar) -> Scalar:
    return w**-x


def _signed_power(w: Scalar, x: Scalar) -> Scalar:
    """w^-x by an exponential, which errs by the exponent's rounding; of negative w for whole x."""
    size = fnp.exp(-x * fnp.log(abs(w)))
    return fnp.where((w < 0.0) & (2.0 * fnp.floor(0.5 * x) != x), -size, size)


def _powers(w: Scalar, x: Scalar, power: Power) -> Scalar:
    """w^-x, by products for the orders that derivatives of digamma have."""
    inverse = 1.0 / w
    square = inverse * inverse
    cube, fourth = square * inverse, square * square
    rest = fnp.where(x == 3.0, cube, fnp.where(x == 4.0, fourth, power(w, x)))
    return fnp.where(x == 1.0, inverse, fnp.where(x == 2.0, square, rest))


def _zeta(x: Scalar, q: Scalar, power: Power) -> Scalar:
    """ζ(x, q): nine terms, more up to q + n > 9, the rest by the rule of Euler and Maclaurin."""

    def turn(state: Any) -> Any:
        w, total = state
        return w + 1.0, total + _powers(w, x, power)

    # Nothing is to be found for x below 1, nor for negative q with powers that are not whole.
    pole = (q <= 0.0) & is_whole(q)
    unknown = (
        (x < 1.0)
        | (x == fnp.inf)
        | ((q < 0.0) & ~pole & ~is_whole(x))
        | fnp.isnan(x)
        | fnp.isnan(q)
    )
    start = fnp.where(unknown | pole | (x == 1.0), 10.0, q)
    # Terms of a sum do not wait for each other, as turns of a loop do.
    total = sum(_powers(start + k, x, power) for k in range(9))
    w, total = while_loop(lambda state: state[0] <= 9.0, turn, (start + 9.0, total))
    inverse = 1.0 / w
    factor, series = x * inverse, 0.5
    for k, b in enumerate(_BERNOULLI, 1):
        series = series + b / math.factorial(2 * k) * factor
        factor = factor * ((x + (2 * k - 1)) * inverse) * ((x + 2 * k) * inverse)
    rest = _powers(w, x - 1.0, power) / (x - 1.0) + _powers(w, x, power) * series
    # Factors of large x overflow where the power is 0 already.
    total = fnp.where(rest > 1e-18 * abs(total), total + rest, total)
    total = fnp.where(unknown, fnp.nan, total)
    return fnp.where((pole & ~(x < 1.0)) | (x == 1.0), fnp.inf, total)


def _zeta_of_few_digits(x: Scalar, q: Scalar) -> Scalar:
    """ζ(x, q) to the digits of a float32, in which results hold no exponent beyond 104."""
    return _zeta(x, q, _signed_power)


@elementwise("zeta", narrow=_zeta_of_few_digits)
def zeta(x: Scalar, q: Scalar) -> Scalar:
    """ζ(x, q)."""
    return _zeta(x, q, _exact_power)


@elementwise("polygamma")
def polygamma(m: Scalar, x: Scalar) -> Scalar:
    """ψ⁽ᵐ⁾(x) = (-1)^(m+1) m! ζ(m + 1, x)."""
    odd = fnp.fmod(m, 2.0) == 1.0
    size = fnp.exp(lgamma(m + 1.0)) * zeta(m + 1.0, x)
    value = fnp.where(m == 0.0, digamma(x), fnp.where(odd, size, -size))
    pole = (x <= 0.0) & is_whole(x)
    return fnp.where((m >= 0.0) & is_whole(m) & (odd | ~pole), value, fnp.nan)


# The incomplete gamma integrals.


def log1p_less(u: Scalar) -> Scalar:
    """log(1 + u) - u, without cancellation for small u."""
    # log(1 + u) = 2 artanh r with r = u / (2 + u).
    r = u / (2.0 + u)
    square = r * r
    series = polynomial(square, [1.0 / (2 * k + 3) for k in range(14)])
    near = r * (2.0 * square * series - u)
    return fnp.where(abs(u) < 0.4, near, fnp.log1p(u) - u)


def stirling_rest(a: Scalar) -> Scalar:
    """log Γ(a) - ((a - 1/2) log a - a + log(2π)/2), of a ≥ 10."""
    z = 1.0 / (a * a)
    return polynomial(z, [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI[:9], 1)]) / a


def _log_scale(a: Scalar, x: Scalar) -> Scalar:
    """log(x^a e^-x / Γ(a + 1))."""
    large = a >= 10.0
    big, small = fnp.where(large, a, 10.0), fnp.where(large, 1.0, a)
    plain = small * fnp.log(x) - x - lgamma(small + 1.0)
    scaled = big * log1p_less((x - big) / big) - stirling_rest(big)
    return fnp.where(large, scaled - 0.5 * fnp.log(2.0 * math.pi * big), plain)


def _below(a: Scalar, x: Scalar, wanted: Any) -> Scalar:
    """P(a, x) Γ(a + 1) e^x x^-a = Σ xⁿ / ((a + 1) ... (a + n))."""
    return summed(fnp.ones_like(a), lambda n, term: term * (x / (a + n)), wanted)


def _above(a: Scalar, x: Scalar, wanted: Any) -> Scalar:
    """Q(a, x) Γ(a) e^x x^-a, by its continued fraction."""
    return 1.0 / fraction(lambda n: -n * (n - a), lambda n: x + (2.0 * n + 1.0) - a, wanted)


def _above_slope(a: Scalar, x: Scalar, wanted: Any) -> tuple[Scalar, Scalar]:
    """`_above`, and its derivative by a."""
    value, slope = fraction_slope(
        a, lambda n, a: -n * (n - a), lambda n, a: x + (2.0 * n + 1.0) - a, wanted
    )
    return 1.0 / value, -slope / (value * value)


@lru_cache(maxsize=1)
def _temme() -> list[list[float]]:
    """The coefficients of Temme's double series, of a^-k ηⁿ: d[k][n]."""
    # λ - 1 = Σ αₖ ηᵏ where η²/2 = λ - 1 - log λ; so η (1 + μ) = μ dμ/dη for μ = λ - 1.
    most = _POWERS + 2 * _ORDERS + 3
    alpha = [Fraction(0), Fraction(1)]
    for m in range(2, most + 1):
        # Of η^m on both sides: α_{m-1} = Σ j αⱼ αᵢ over i + j = m + 1, where αₘ comes up twice.
        known = sum(alpha[m + 1 - j] * alpha[j] * j for j in range(2, m))
        alpha.append((alpha[m - 1] - known) / (m + 1))
    gammas = _stirling_numbers(_ORDERS)
    first = [(n + 2) * alpha[n + 2] for n in range(most - 2)]
    first[0] = Fraction(-1, 3)
    rows = [first]
    for k in range(1, _ORDERS):
        before = rows[-1]
        count = len(before) - 2
        sign = -1 if k % 2 else 1
        rows.append([sign * gammas[k] * first[n] + (n + 2) * before[n + 2] for n in range(count)])
    # An order more is a factor of 1/30, as one and a half powers of η are, which is below 0.33.
    return [[float(x) for x in row[: _POWERS - 3 * k // 2]] for k, row in enumerate(rows)]


def _stirling_numbers(count: int) -> list[Fraction]:
    """gₖ of Γ(a) = √(2π/a) (a/e)^a Σ gₖ a^-k."""
    logarithm = [Fraction(0)] * (count + 1)
    for k in range(1, (count + 1) // 2 + 1):
        logarithm[2 * k - 1] = _EXACT[k - 1] / (2 * k * (2 * k - 1))
    found = [Fraction(1)]
    for n in range(1, count + 1):
        found.append(
            sum((j * logarithm[j] * found[n - j] for j in range(1, n + 1)), Fraction(0)) / n
        )
    return found


def _near(a: Scalar, x: Scalar) -> tuple[Scalar, Scalar]:
    """P and Q for large a and x near it."""
    mu = (x - a) / a
    half = -log1p_less(mu)
    eta = fnp.sign(mu) * fnp.sqrt(2.0 * half)
    rows = [polynomial(eta, row) for row in _temme()]
    series = polynomial(1.0 / a, rows)
    rest = fnp.exp(-a * half) / fnp.sqrt(2.0 * math.pi * a) * series
    place = eta * fnp.sqrt(0.5 * a)
    return 0.5 * erfc(-place) - rest, 0.5 * erfc(place) + rest


def _log_gamma_above(a: Scalar) -> Scalar:
    """log Γ(1 + a) for 0 ≤ a ≤ 1, exact to the relative precision of a."""
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    special: Any = functions
    # Around 1/2 of a the series converges twice as fast on either side: b = a or a - 1.
    far = a > 0.5
    b = fnp.where(far, a - 1.0, a)
    rest = [(-1) ** k * float(special.zeta(k, 2.0)) / k for k in range(2, 30)]
    series = b * (1.0 - float(fnp.euler_gamma)) + b * b * polynomial(b, rest)
    # log Γ(1 + b) = series - log(1 + b), and Γ(1 + a) = a Γ(a) = (1 + b) Γ(1 + b).
    return fnp.where(far, series, series - fnp.log1p(b))


def _small_above(a: Scalar, x: Scalar, wanted: Any) -> Scalar:
    """Q(a, x) for a ≤ 1 and x ≤ 1, where P is near 1."""
    a = fnp.where(wanted, a, 0.5)
    logarithm = a * fnp.log(fnp.where(wanted, x, 1.0))
    gamma = _log_gamma_above(a)

    # a x^a / Γ(1 + a) times Σ (-x)ⁿ / (n! (a + n)) over n ≥ 1.
    total = summed(
        -x / (a + 1.0), lambda n, t: -t * (x / (n + 1.0)) * ((a + n) / (a + n + 1.0)), wanted
    )
    return -fnp.expm1(logarithm - gamma) - a * fnp.exp(logarithm - gamma) * total


def _regions(a: Scalar, x: Scalar) -> tuple[Any, Any, Any]:
    """Where a continued fraction is taken, where large a makes it near normal, where a series."""
    inside = (a > 0.0) & (x > 0.0) & (a < fnp.inf) & (x < fnp.inf)
    near = inside & (a >= _LARGE) & (abs(x - a) < _NEAR * a)
    above = inside & ~near & (x > 1.0) & (x > a)
    return above, near, inside & ~near & ~above


def integrals(a: Scalar, x: Scalar) -> tuple[Scalar, Scalar]:
    """P(a, x) and Q(a, x) = 1 - P(a, x), neither by cancellation."""
    above, near, below = _regions(a, x)
    a1, x1 = (fnp.where(above | below, v, 1.0) for v in (a, x))
    scale = fnp.exp(_log_scale(a1, x1))
    lower = scale * _below(a1, x1, below)
    upper = a1 * scale * _above(a1, x1, above)
    bound = fnp.where(x1 <= 0.5, -0.4 / fnp.log(fnp.minimum(x1, 0.5)), 1.1 * x1)
    small = below & (x1 <= 1.0) & (a1 < bound)
    upper = fnp.where(small, _small_above(a1, x1, small), fnp.where(below, 1.0 - lower, upper))
    lower = fnp.where(above, 1.0 - upper, lower)
    wide = fnp.where(near, a, _LARGE)
    left, right = _near(wide, fnp.where(near, x, _LARGE))
    lower, upper = fnp.where(near, left, lower), fnp.where(near, right, upper)
    # At the ends one of both is everything.
    none = (x == 0.0) | (a == fnp.inf)
    whole = (x == fnp.inf) | (a == 0.0)
    lower = fnp.where(none, 0.0, fnp.where(whole, 1.0, lower))
    upper = fnp.where(none, 1.0, fnp.where(whole, 0.0, upper))
    unknown = (a < 0.0) | (x < 0.0) | fnp.isnan(a) | fnp.isnan(x) | (none & whole)
    return fnp.where(unknown, fnp.nan, lower), fnp.where(unknown, fnp.nan, upper)


@elementwise("igamma")
def igamma(a: Scalar, x: Scalar) -> Scalar:
    """P(a, x)."""
    return integrals(a, x)[0]


@elementwise("igammac")
def igammac(a: Scalar, x: Scalar) -> Scalar:
    """Q(a, x)."""
    return integrals(a, x)[1]


def _slopes(a: Scalar, x: Scalar) -> tuple[Scalar, Scalar]:
    """∂P(a, x)/∂a, and how a sample x moves with a where P stays."""
    above, near, below = _regions(a, x)
    a1, x1 = (fnp.where(above | below, v, 1.0) for v in (a, x))
    logarithm, one = fnp.log(x1) - digamma(a1), fnp.ones_like(a1)

    def series(a: Scalar) -> Scalar:
        return _below(a, x1, below) / a

    # P = s / Γ(a) times the series over a, 1 - P = s / Γ(a) times the fraction, s = x^a e^-x.
    pairs = jvp(series, (a1,), (one,)), _above_slope(a1, x1, above)
    left, right = (change + value * logarithm for value, change in pairs)
    scaled = fnp.where(above, -right, left)
    slope = a1 * fnp.exp(_log_scale(a1, x1)) * scaled
    moved = -x1 * scaled
    wide, point = fnp.where(near, a, _LARGE), fnp.where(near, x, _LARGE)

    def by_normal(a: Scalar) -> Scalar:
        return _near(a, point)[0]

    by_order = jvp(by_normal, (wide,), (fnp.ones_like(wide),))[1]
    density = wide / point * fnp.exp(_log_scale(wide, point))
    # Far out where all is 0, to first order in 1 / a: η √a stays.
    mu = (point - wide) / wide
    far = (1.0 + mu) * (1.0 + log1p_less(mu) / fnp.where(mu == 0.0, 1.0, mu))
    sample = fnp.where(density > 1e-280, -by_order / density, far)
    edge = (a > 0.0) & ((x == 0.0) | (x == fnp.inf))
    rest = fnp.where(edge, 0.0, fnp.nan)
    slope, moved = (fnp.where(above | below, v, rest) for v in (slope, moved))
    return fnp.where(near, by_order, slope), fnp.where(near, sample, moved)


@elementwise("igamma_grad_a")
def igamma_grad_a(a: Scalar, x: Scalar) -> Scalar:
    """∂P(a, x)/∂a."""
    return _slopes(a, x)[0]


@elementwise("random_gamma_grad")
def random_gamma_grad(a: Scalar, x: Scalar) -> Scalar:
    """-(∂P/∂a) / (∂P/∂x)."""
    return _slopes(a, x)[1]
