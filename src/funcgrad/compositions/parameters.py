"""Derivatives of special functions with respect to their parameters, first and second ones.

In: float64 numbers, and which parameters. Out: the same. The one idea: a series or a fraction is
found turn by turn, and each turn is differentiated, by a derivative of a derivative where two are
wanted, until none of them changes any more.

Sources: DLMF 8.17.7-8, 8.7.1, 8.9.2, 13.2.39, 15.8.1, 25.11.28.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import numpy as fnp
from ..api.forward import jvp
from ..control.loops import while_loop
from ..primitives.special import lgamma
from .elements import (
    MOST,
    NEGLIGIBLE,
    ROUNDING,
    bernoulli,
    elementwise,
    is_whole,
    numbers_of_fraction,
)

Scalar = Any
Values = tuple[Scalar, ...]
Points = tuple[Scalar, ...]
_BERNOULLI = [float(b) for b in bernoulli(8)]


def _lifted(
    function: Callable[[Points, Values], Values], points: Points, along: Sequence[int]
) -> Callable[[tuple[Values, ...]], tuple[Values, ...]]:
    """The function on values with their derivatives along one or two parameters.

    Of two, i and j, these are the values, those by i, those by j, and those by both.
    """

    def unit(i: int) -> Points:
        return tuple((fnp.ones_like if k == i else fnp.zeros_like)(p) for k, p in enumerate(points))

    def once(points: Points, values: Values, by_first: Values) -> Any:
        return jvp(function, (points, values), (unit(along[0]), by_first))

    def apply(known: tuple[Values, ...]) -> tuple[Values, ...]:
        if len(along) == 1:
            return once(points, *known)
        values, by_first, by_second, by_both = known
        tangents = unit(along[1]), by_second, by_both
        (values, by_first), (by_second, by_both) = jvp(once, (points, values, by_first), tangents)
        return values, by_first, by_second, by_both

    return apply


def _nothing(count: int, like: Scalar, along: Sequence[int]) -> tuple[Values, ...]:
    return ((fnp.zeros_like(like),) * count,) * 2 ** len(along)


def _iterated(
    start: Callable[[Points], Values],
    step: Callable[[Scalar, Points, Values], Values],
    goes_on: Callable[[tuple[Values, ...]], Any],
    points: Points,
    along: Sequence[int],
    wanted: Any,
) -> tuple[Values, ...]:
    """Values and their derivatives, by steps n = 0, 1, ... until they stand still."""
    count = len(start(points))
    nothing = _nothing(count, points[0], along)
    first = _lifted(lambda points, _: start(points), points, along)(nothing)

    def matters(state: Any) -> Any:
        n, known = state
        return (n < MOST) & goes_on(known) & wanted

    def turn(state: Any) -> Any:
        n, known = state
        moved = _lifted(lambda points, values: step(n, points, values), points, along)(known)
        return n + 1.0, moved

    return while_loop(matters, turn, (fnp.zeros_like(points[0]), first))[1]


def _finished(
    finish: Callable[[Points, Values], Scalar],
    points: Points,
    known: tuple[Values, ...],
    along: Sequence[int],
) -> Scalar:
    """The derivative of what is made of values in the end, along all the parameters."""

    def single(points: Points, values: Values) -> Values:
        return (finish(points, values),)

    return _lifted(single, points, along)(known)[-1][0]


def _series(
    ratio: Callable[[Scalar, Points], Scalar], points: Points, along: Sequence[int], wanted: Any
) -> tuple[Values, ...]:
    """Σ tₙ with t₀ = 1 and tₙ₊₁ = tₙ · ratio(n); the values are a term and the sum."""

    def start(points: Points) -> Values:
        one = fnp.ones_like(points[0])
        return one, one

    def step(n: Scalar, points: Points, values: Values) -> Values:
        term, total = values
        term = term * ratio(n, points)
        return term, total + term

    def goes_on(known: tuple[Values, ...]) -> Any:
        # One derivative may end long before another, where a parameter is a whole number.
        on: Any = False
        for term, total in known:
            on = on | (abs(term) > NEGLIGIBLE * abs(total))
        return on

    return _iterated(start, step, goes_on, points, along, wanted)


def _where_known(derivative: Scalar, known: Any, level: Any = None) -> Scalar:
    out = fnp.where(known, derivative, fnp.nan)
    return out if level is None else fnp.where(level, 0.0, out)


def _safe(known: Any, harmless: Sequence[float], *values: Scalar) -> list[Scalar]:
    return [fnp.where(known, v, h) for v, h in zip(values, harmless, strict=True)]


def _finite(*values: Scalar) -> Any:
    known: Any = True
    for v in values:
        known = known & fnp.isfinite(v)
    return known


def _is_pole(x: Scalar) -> Any:
    return (x <= 0.0) & is_whole(x)


# Hypergeometric functions.


def _kummer(a: Scalar, b: Scalar, x: Scalar, along: Sequence[int]) -> Scalar:
    known = _finite(a, b, x) & ~_is_pole(b)
    a, b, x = _safe(known, (0.5, 1.0, 0.5), a, b, x)
    left, size = x < 0.0, abs(x)

    # All terms of one sign in the end: M(a, b, x) = eˣ M(b - a, b, -x).
    def ratio(n: Scalar, points: Points) -> Scalar:
        a, b = points
        return (fnp.where(left, b - a, a) + n) / (b + n) * (size / (n + 1.0))

    found = _series(ratio, (a, b), along, known)[-1][1]
    return _where_known(fnp.where(left, fnp.exp(x), 1.0) * found, known)


@elementwise("hyp1f1_slope")
def hyp1f1_slope(a: Scalar, b: Scalar, x: Scalar, *, which: int) -> Scalar:
    """∂M(a, b, x)/∂a or ∂b."""
    return _kummer(a, b, x, (which,))


@elementwise("hyp1f1_curvature")
def hyp1f1_curvature(a: Scalar, b: Scalar, x: Scalar, *, which: tuple[int, int]) -> Scalar:
    """∂²M(a, b, x) with respect to a and b."""
    return _kummer(a, b, x, which)


def _gauss(a: Scalar, b: Scalar, c: Scalar, x: Scalar, along: Sequence[int]) -> Scalar:
    known = _finite(a, b, c, x) & ~_is_pole(c) & (x < 1.0)
    a, b, c, x = _safe(known, (0.5, 0.5, 1.0, 0.5), a, b, c, x)
    left = x < 0.0
    # F(a, b; c; x) = (1 - x)^-a F(a, c - b; c; x / (x - 1)) brings x < 0 to the unit interval.
    place, power = fnp.where(left, x / (x - 1.0), x), fnp.log1p(-fnp.minimum(x, 0.0))

    def ratio(n: Scalar, points: Points) -> Scalar:
        a, b, c = points
        other = fnp.where(left, c - b, b)
        return (a + n) * (other + n) / ((c + n) * (n + 1.0)) * place

    def finish(points: Points, values: Values) -> Scalar:
        return fnp.exp(-points[0] * power) * values[1]

    points = a, b, c
    return _where_known(
        _finished(finish, points, _series(ratio, points, along, known), along), known
    )


@elementwise("hyp2f1_slope")
def hyp2f1_slope(a: Scalar, b: Scalar, c: Scalar, x: Scalar, *, which: int) -> Scalar:
    """∂F(a, b; c; x)/∂a, ∂b or ∂c."""
    return _gauss(a, b, c, x, (which,))


@elementwise("hyp2f1_curvature")
def hyp2f1_curvature(
    a: Scalar, b: Scalar, c: Scalar, x: Scalar, *, which: tuple[int, int]
) -> Scalar:
    """∂²F(a, b; c; x) with respect to a, b and c."""
    return _gauss(a, b, c, x, which)


# The beta integral.


def _beta(a: Scalar, b: Scalar, x: Scalar, along: Sequence[int]) -> Scalar:
    valid = (a > 0.0) & (b > 0.0)
    known = valid & _finite(a, b) & (x > 0.0) & (x < 1.0)
    # Of infinite parameters too, the second one, as the rule without jit has it.
    level = valid & ((x == 0.0) | (x == 1.0)) & (_finite(a, b) | (len(along) > 1))
    a, b, y = _safe(known, (0.5, 0.5, 0.25), a, b, x)
    # I_x(a, b) = 1 - I_{1 - x}(b, a)
    right = y > (a + 1.0) / (a + b + 2.0)
    y = fnp.where(right, 1.0 - y, y)

    def turned(points: Points) -> Points:
        a, b = points
        return fnp.where(right, b, a), fnp.where(right, a, b)

    def ratio(n: Scalar, points: Points) -> Scalar:
        p, q = turned(points)
        return (p + q + n) / (p + 1.0 + n) * y

    def finish(points: Points, values: Values) -> Scalar:
        p, q = turned(points)
        logarithm = p * fnp.log(y) + q * fnp.log1p(-y) - lgamma(p + 1.0) - lgamma(q) + lgamma(p + q)
        return fnp.exp(logarithm) * values[1]

    points = a, b
    found = _finished(finish, points, _series(ratio, points, along, known), along)
    return _where_known(fnp.where(right, -found, found), known, level)


@elementwise("betainc_slope")
def betainc_slope(a: Scalar, b: Scalar, x: Scalar, *, which: int) -> Scalar:
    """∂I_x(a, b)/∂a or ∂b."""
    return _beta(a, b, x, (which,))


@elementwise("betainc_curvature")
def betainc_curvature(a: Scalar, b: Scalar, x: Scalar, *, which: tuple[int, int]) -> Scalar:
    """∂²I_x(a, b) with respect to a and b."""
    return _beta(a, b, x, which)


# The zeta function.


def _hurwitz(x: Scalar, q: Scalar) -> Scalar:
    """ζ(x, q) of q > 0: twelve terms, the rest by the rule of Euler and Maclaurin."""
    w = q + 12.0
    total = sum(fnp.exp(-x * fnp.log(q + k)) for k in range(12))
    power = fnp.exp(-x * fnp.log(w))
    total = total + power * w / (x - 1.0) + 0.5 * power
    factor = x * power / w
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + b / math.factorial(2 * k) * factor
        factor = factor * (x + (2 * k - 1)) * (x + 2 * k) / (w * w)
    return total


def _zeta(x: Scalar, q: Scalar, along: Sequence[int]) -> Scalar:
    known = _finite(x, q) & (x > 1.0) & (q > 0.0)
    x, q = _safe(known, (2.0, 1.0), x, q)
    nothing = _nothing(0, x, along)
    found = _finished(lambda points, _: _hurwitz(points[0], q), (x,), nothing, along)
    return _where_known(found, known)


@elementwise("zeta_slope")
def zeta_slope(x: Scalar, q: Scalar, *, which: int) -> Scalar:
    """∂ζ(x, q)/∂x."""
    return _zeta(x, q, (which,))


@elementwise("zeta_curvature")
def zeta_curvature(x: Scalar, q: Scalar, *, which: tuple[int, int]) -> Scalar:
    """∂²ζ(x, q)/∂x²."""
    return _zeta(x, q, which)


# The gamma integral.


@elementwise("igamma_curvature")
def igamma_curvature(a: Scalar, x: Scalar, *, which: tuple[int, int]) -> Scalar:
    """∂²P(a, x)/∂a²."""
    known = _finite(a, x) & (a > 0.0) & (x > 0.0)
    level = (a > 0.0) & ((x == 0.0) | (x == fnp.inf))
    a, x = _safe(known, (0.5, 0.25), a, x)
    above = (x > 1.0) & (x > a)
    points = (a,)

    def scale(points: Points) -> Scalar:
        return fnp.exp(points[0] * fnp.log(x) - x - lgamma(points[0]))

    below = _series(lambda n, points: x / (points[0] + n + 1.0), points, which, known & ~above)

    def start(points: Points) -> Values:
        first = x + 1.0 - points[0]
        return first, fnp.zeros_like(first), first, fnp.zeros_like(first)

    def step(n: Scalar, points: Points, values: Values) -> Values:
        c, d, total, _ = values
        n = n + 1.0
        c, d = numbers_of_fraction(-n * (n - points[0]), x + (2.0 * n + 1.0) - points[0], c, d)
        return c, d, total * (c * d), c * d

    def goes_on(known: tuple[Values, ...]) -> Any:
        (*_, change), *rest = known
        on = abs(change - 1.0) > ROUNDING
        for *_, change in rest:
            on = on | (abs(change) > ROUNDING)
        return on

    far = _iterated(start, step, goes_on, points, which, known & above)
    left = _finished(lambda p, values: scale(p) * values[1] / p[0], points, below, which)
    right = _finished(lambda p, values: -scale(p) / values[2], points, far, which)
    return _where_known(fnp.where(above, right, left), known, level)
