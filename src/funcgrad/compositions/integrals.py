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
from ..primitives.special import erf_inv, erfc, lgamma
from .elements import elementwise, fraction, is_whole, summed
from .gammas import log1p_less, stirling_rest

Scalar = Any
_GAMMA = float(np.euler_gamma)


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


# The normal distribution.


@elementwise("erfcx")
def erfcx(x: Scalar) -> Scalar:
    """e^x² erfc(x)."""
    far = (x > 4.0) & (x < 1e8)
    place = fnp.where(far, x, 4.0)
    inner = fraction(lambda n: 0.5 * n, lambda n: place, far)
    near = fnp.where(x > 4.0, 0.0, x)
    # e^(x²) by the square of x in two parts, the first of which is exact.
    rough = fnp.round(near * 1024.0) / 1024.0
    square = fnp.exp(rough * rough) * fnp.exp((near - rough) * (near + rough))
    away = fnp.where(far, 1.0 / inner, 1.0 / x) / math.sqrt(math.pi)
    return fnp.where(x > 4.0, away, fnp.where(x < -27.0, fnp.inf, square * erfc(near)))


@elementwise("log_ndtr")
def log_ndtr(x: Scalar) -> Scalar:
    """log Φ(x)."""
    low = x < -1.0
    left = fnp.where(low, x, -1.0) * math.sqrt(0.5)
    tail = fnp.log(0.5 * erfcx(-left)) - left * left
    rest = 0.5 * erfc(fnp.where(low, 0.0, x) * math.sqrt(0.5))
    return fnp.where(low, fnp.where(x == -fnp.inf, x, tail), fnp.log1p(-rest))


@elementwise("ndtri")
def ndtri(p: Scalar) -> Scalar:
    """x with Φ(x) = p: by the error function, and far out by steps on log Φ."""
    inside = (p > 0.0) & (p < 1.0)
    tail = fnp.where(inside, fnp.minimum(p, 1.0 - p), 0.5)
    near = math.sqrt(2.0) * erf_inv(fnp.maximum(2.0 * tail - 1.0, -0.999))
    logarithm = fnp.log(tail)
    x = fnp.where(tail > 5e-4, near, -fnp.sqrt(fnp.maximum(-2.0 * logarithm, 1.0)))
    for _ in range(7):
        # Of a concave function steps from the left do not go too far.
        value = log_ndtr(x)
        slope = math.sqrt(2.0 / math.pi) / erfcx(-x * math.sqrt(0.5))
        step = (value - logarithm) / slope
        x = fnp.where(tail > 5e-4, x, x - step)
    x = fnp.where(p > 0.5, -x, x)
    ends = fnp.where(p == 0.0, -fnp.inf, fnp.where(p == 1.0, fnp.inf, fnp.nan))
    return fnp.where(inside, x, ends)


# Others.


@elementwise("dawsn")
def dawsn(x: Scalar) -> Scalar:
    """e^-x² ∫₀ˣ e^t² dt; of the integral's series all terms have one sign."""
    square = x * x
    far = square > 42.0
    small, large = fnp.where(far, 0.0, square), fnp.where(far, square, 42.0)

    def following(n: Scalar, term: Scalar) -> Scalar:
        near = small * (2.0 * n - 1.0) / (n * (2.0 * n + 1.0))
        return term * fnp.where(far, fnp.minimum((n - 0.5) / large, 0.999), near)

    total = summed(fnp.ones_like(x), following)
    return fnp.where(far, total / (2.0 * x), x * fnp.exp(-small) * total)


@elementwise("spence")
def spence(x: Scalar) -> Scalar:
    """Li₂(1 - x), brought to x between 1/2 and 3/2."""
    high = x > 1.5
    inner = fnp.where(high, 1.0 / x, x)
    low = inner < 0.5
    y = fnp.where(low, 1.0 - inner, inner)
    w = 1.0 - y

    def following(n: Scalar, term: Scalar) -> Scalar:
        return term * (w * (n / (n + 1.0)) ** 2)

    value = summed(fnp.where(abs(w) <= 0.5, w, 0.0), following)
    logs = fnp.log(fnp.where(inner > 0.0, inner, 1.0)) * fnp.log1p(-fnp.where(low, inner, 0.0))
    value = fnp.where(low, math.pi**2 / 6.0 - logs - value, value)
    value = fnp.where(high, -value - 0.5 * fnp.log(x) ** 2, value)
    value = fnp.where(x == fnp.inf, -fnp.inf, value)
    return fnp.where((x < 0.0) | fnp.isnan(x), fnp.nan, value)


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
