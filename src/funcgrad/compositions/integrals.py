"""Bessel functions, the beta integral, and integrals of elementary functions.

In: float64 numbers. Out: the same. The one idea: where a number is small, a power series; where it
is large, an asymptotic one or a continued fraction; one loop does either, by the ratio of a term
to the one before.

Sources: DLMF 10.74 (iv) for Miller's recurrence, 8.17.22, 6.6.2, 6.12.2, 8.19.8, 8.19.17, 7.6.1,
7.9.1, 7.12.1, 25.12.4 and 25.12.6.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control.loops import while_loop
from ..primitives.special import digamma, erf, erfc, lgamma
from .elements import MOST, NEGLIGIBLE, elementwise, fraction, is_whole, polynomial, summed
from .gammas import log1p_less, stirling_rest

Scalar = Any
_GAMMA = float(np.euler_gamma)
# -Li₂(-w) / w as a quotient of polynomials in w, from -1/2 to 1/2 (Moshier, Cephes, spence).
_DILOGARITHM = (
    (
        1.0,
        3.297713409852251,
        4.256971560081218,
        2.7114985119655346,
        0.8796913117545303,
        0.13384763957830903,
        0.007315890452380947,
        4.6512858607399003e-05,
    ),
    (
        1.0,
        3.547713409852251,
        5.03278880143317,
        3.6380053334513707,
        1.4117259775183106,
        0.2829748606025681,
        0.02540437639325444,
        0.0006909904889125533,
    ),
)


# The beta integral.


def log_beta(a: Scalar, b: Scalar) -> Scalar:
    """log B(a, b) of positive a and b, without cancellation for large ones."""
    a, b = fnp.minimum(a, b), fnp.maximum(a, b)
    plain = lgamma(a) + lgamma(b) - lgamma(a + b)
    wide = fnp.where(b >= 10.0, b, 10.0)
    whole = a + wide
    # log Γ(b) - log Γ(a + b), by Stirling's formula.
    less = (wide - 0.5) * fnp.log1p(-a / whole) - a * fnp.log(whole) + a
    less = less + stirling_rest(wide) - stirling_rest(whole)
    return fnp.where(b >= 10.0, lgamma(a) + less, plain)


@elementwise("betaln")
def betaln(a: Scalar, b: Scalar) -> Scalar:
    """log |B(a, b)|."""
    inside = (a > 0.0) & (b > 0.0) & (a < fnp.inf) & (b < fnp.inf)
    p, q = (fnp.where(inside, v, 1.0) for v in (a, b))
    rest = lgamma(a) + lgamma(b) - lgamma(a + b)
    rest = fnp.where((a == 0.0) & (b == 0.0), fnp.inf, rest)
    return fnp.where(inside, log_beta(p, q), rest)


def _beta_scale(a: Scalar, b: Scalar, x: Scalar) -> Scalar:
    """x^a (1 - x)^b / B(a, b)."""
    plain = fnp.exp(a * fnp.log(x) + b * fnp.log1p(-x) - log_beta(a, b))
    large = (a >= 10.0) & (b >= 10.0)
    p, q = (fnp.where(large, v, 10.0) for v in (a, b))
    whole = p + q
    # Distances of x from a / (a + b), and of 1 - x from b / (a + b), relative to these.
    away = (x * whole - p) / p, (p - x * whole) / q
    exponent = p * log1p_less(away[0]) + q * log1p_less(away[1])
    exponent = exponent + stirling_rest(whole) - stirling_rest(p) - stirling_rest(q)
    near = fnp.sqrt(p * q / (2.0 * math.pi * whole)) * fnp.exp(exponent)
    return fnp.where(large, near, plain)


@elementwise("regularized_incomplete_beta")
def betainc(a: Scalar, b: Scalar, x: Scalar) -> Scalar:
    """I_x(a, b) by its continued fraction, below the mean; above it that of 1 - x."""
    inside = (a > 0.0) & (b > 0.0) & (x > 0.0) & (x < 1.0) & (a < fnp.inf) & (b < fnp.inf)
    p, q = (fnp.where(inside, v, 1.0) for v in (a, b))
    y = fnp.where(inside, x, 0.5)
    right = y > (p + 1.0) / (p + q + 2.0)
    p, q = fnp.where(right, q, p), fnp.where(right, p, q)
    y = fnp.where(right, 1.0 - y, y)

    def numerator(n: Scalar) -> Scalar:
        m = fnp.floor(0.5 * n)
        even = m * (q - m) * y / ((p + 2.0 * m - 1.0) * (p + 2.0 * m))
        odd = -(p + m) * (p + q + m) * y / ((p + 2.0 * m) * (p + 2.0 * m + 1.0))
        return fnp.where(2.0 * m == n, even, odd)

    def denominator(n: Scalar) -> Scalar:
        return fnp.ones_like(p)

    value = _beta_scale(p, q, y) / (p * fraction(numerator, denominator, inside))
    value = fnp.where(right, 1.0 - value, value)
    known = (a > 0.0) & (b > 0.0) & (a < fnp.inf) & (b < fnp.inf)
    ends = fnp.where(x == 0.0, 0.0, fnp.where(x == 1.0, 1.0, fnp.nan))
    return fnp.where(inside, value, fnp.where(known, ends, fnp.nan))


# Exponential integrals.


def _exponential_fraction(n: Scalar, x: Scalar, wanted: Any) -> Scalar:
    """Eₙ(x) e^x, for x of 1 and more."""
    return 1.0 / fraction(lambda i: -i * (n - 1.0 + i), lambda i: x + n + 2.0 * i, wanted)


@elementwise("expi")
def expi(x: Scalar) -> Scalar:
    """Ei(x); for negative x that is -E₁(-x)."""
    low, high = x < -1.0, x > 40.0
    place = fnp.where(low | (x == 0.0), 1.0, x)
    far = fnp.where(high, place, 1.0)

    def near(n: Scalar, term: Scalar) -> Scalar:
        # Of x^n / (n n!).
        return term * (place * n / ((n + 1.0) * (n + 1.0)))

    between = ~low & ~high
    series = _GAMMA + fnp.log(abs(place)) + summed(place, near, between)
    # Terms of the asymptotic series grow again where they are far below rounding.
    away = summed(fnp.ones_like(x), lambda n, term: term * fnp.minimum(n / far, 0.999), high)
    away = away * fnp.exp(0.5 * far) / far * fnp.exp(0.5 * far)
    left = fnp.where(low, -x, 1.0)
    left = -fnp.exp(-left) * _exponential_fraction(1.0, left, low)
    value = fnp.where(low, left, fnp.where(high, away, series))
    value = fnp.where(x == 0.0, -fnp.inf, fnp.where(x == fnp.inf, fnp.inf, value))
    return fnp.where(x == -fnp.inf, 0.0, value)


@elementwise("expn")
def expn(n: Scalar, x: Scalar) -> Scalar:
    """Eₙ(x) of whole n ≥ 0: a power series for x ≤ 1, a continued fraction beyond."""
    n = fnp.trunc(n)
    known = (n >= 0.0) & (x >= 0.0) & (n < fnp.inf)
    above = known & (x > 1.0) & (x < fnp.inf) & (n > 0.0)
    below = known & (x > 0.0) & (x <= 1.0) & (n > 0.0)
    order, low = fnp.where(below, n, 1.0), fnp.where(below, x, 1.0)
    first = order == 1.0

    # Σ (-x)^k / ((k - n + 1) k!) without k = n - 1.
    def goes_on(state: Any) -> Any:
        k, _, share, total = state
        # The place left out is no end.
        return (k < MOST) & ((abs(share) > NEGLIGIBLE * abs(total)) | (k == order - 1.0)) & below

    def turn(state: Any) -> Any:
        k, power, _, total = state
        k = k + 1.0
        power = power * (-low / k)
        divisor = k + 1.0 - order
        share = fnp.where(divisor == 0.0, 0.0, power / fnp.where(divisor == 0.0, 1.0, divisor))
        return k, power, share, total + share

    start = fnp.where(first, 0.0, 1.0 / (1.0 - fnp.where(first, 0.0, order)))
    one = fnp.ones_like(low)
    series = while_loop(goes_on, turn, (fnp.zeros_like(low), one, one, start))[3]
    logarithm = fnp.log(low)
    size = fnp.exp((order - 1.0) * logarithm - lgamma(order))
    size = fnp.where(fnp.fmod(order, 2.0) == 1.0, size, -size)
    near = size * (digamma(order) - logarithm) - series
    high = fnp.where(above, x, 2.0)
    far = fnp.exp(-high) * _exponential_fraction(fnp.where(above, n, 1.0), high, above)
    at_zero = fnp.where(n < 2.0, fnp.inf, 1.0 / (fnp.where(n < 2.0, 2.0, n) - 1.0))
    value = fnp.where(above, far, fnp.where(below, near, at_zero))
    value = fnp.where((n == 0.0) & (x > 0.0), fnp.exp(-x) / x, value)
    value = fnp.where(x == fnp.inf, 0.0, value)
    return fnp.where(known, value, fnp.nan)


# Others.


@elementwise("spence")
def spence(x: Scalar) -> Scalar:
    """Li₂(1 - x), brought to x between 1/2 and 3/2."""
    high = x > 1.5
    inner = fnp.where(high, 1.0 / x, x)
    low = inner < 0.5
    w = fnp.where(low, -inner, fnp.where(high, 1.0 / x - 1.0, x - 1.0))
    value = (0.0 - w) * polynomial(w, _DILOGARITHM[0]) / polynomial(w, _DILOGARITHM[1])
    logs = fnp.log(fnp.where(inner > 0.0, inner, 1.0)) * fnp.log1p(fnp.where(low, w, 0.0))
    value = fnp.where(low, math.pi**2 / 6.0 - logs - value, value)
    value = fnp.where(high, -value - 0.5 * fnp.log(x) ** 2, value)
    return fnp.where((x >= 0.0) & (x < fnp.inf), value, fnp.nan)


@elementwise("owens_t")
def owens_t(h: Scalar, a: Scalar) -> Scalar:
    """T(h, a), for |a| ≤ 1 by Gauss's rule; beyond by T(ah, 1/a)."""
    h, size = abs(h), abs(a)
    steep = size > 1.0
    # Where one is 0 and one infinite there is no product, and none is needed.
    across = fnp.where((h == 0.0) | (size == 0.0), 0.0, h * size)
    slope = fnp.where(steep, 1.0 / size, size)
    place, beside = fnp.where(steep, across, h), fnp.where(steep, h, across)
    # e^(-(beside t)² / 2) is nothing beside 1 from t = reach on.
    reach = fnp.minimum(1.0, 8.7 / fnp.maximum(beside, 8.0))
    narrow, end = beside * reach, slope * reach
    narrow = fnp.where(narrow < 10.0, narrow, 10.0)
    total = sum(
        weight * fnp.exp((-0.5 * point**2) * (narrow * narrow)) / (1.0 + point**2 * (end * end))
        for point, weight in _half_of_gauss(20)
    )
    found = end / (2.0 * math.pi) * fnp.exp(-0.5 * place * place) * total
    p, q = h * math.sqrt(0.5), across * math.sqrt(0.5)
    left, right = erfc(p), erfc(q)
    near = 0.25 - 0.25 * erf(p) * erf(q)
    rest = fnp.where(across <= 0.67, near, 0.25 * (left + right - left * right))
    value = fnp.where(steep, rest - found, found)
    return fnp.where(fnp.isnan(h) | fnp.isnan(a), fnp.nan, fnp.sign(a) * value)


def _half_of_gauss(count: int) -> list[tuple[float, float]]:
    """The positive points of Gauss's rule with twice as many, and their weights."""
    points, weights = np.polynomial.legendre.leggauss(2 * count)
    return [(float(p), float(w)) for p, w in zip(points[count:], weights[count:], strict=True)]


@elementwise("bessel_jn")
def bessel_jn(n: Scalar, x: Scalar) -> Scalar:
    """Jₙ(x) of whole n: the recurrence from far above down, then J₀ + 2 J₂ + 2 J₄ + ... = 1."""
    order, size = abs(n), abs(x)
    known = is_whole(n) & (size <= 1e4) & (order <= 1e4)
    order, place = fnp.where(known, order, 0.0), fnp.where(known & (x != 0.0), size, 1.0)
    most = fnp.maximum(order, place)
    start = 2.0 * fnp.ceil(0.5 * (most + 20.0 + 12.0 * fnp.cbrt(most)))

    def turn(state: Any) -> Any:
        k, above, here, total, found = state
        # Scaled down in time: only ratios count.
        scale = fnp.where(abs(here) > 1e200, 1e-200, 1.0)
        above, here, total, found = above * scale, here * scale, total * scale, found * scale
        found = fnp.where(k == order, here, found)
        share = fnp.where(k == 0.0, 1.0, fnp.where(fnp.fmod(k, 2.0) == 0.0, 2.0, 0.0))
        return k - 1.0, here, 2.0 * k / place * here - above, total + share * here, found

    zero = fnp.zeros_like(place)
    first = (start, zero, zero + 1e-200, zero, zero)
    *_, total, found = while_loop(lambda s: s[0] >= 0.0, turn, first)
    value = fnp.where(x == 0.0, fnp.where(n == 0.0, 1.0, 0.0), found / total)
    odd = fnp.fmod(order, 2.0) == 1.0
    value = fnp.where(odd & ((x < 0.0) != (n < 0.0)), -value, value)
    return fnp.where(known, value, fnp.nan)
