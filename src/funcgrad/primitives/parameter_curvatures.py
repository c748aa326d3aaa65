"""Second derivatives of special functions with respect to their parameters.

In and out: NumPy floats, computed in float64. The one idea: these functions are analytic in their
parameters, so a derivative is an integral round a circle (Cauchy), which the mean of equidistant
points gives to rounding; half the circle will do, the other half being conjugate. A mixed
derivative follows from those along p, along q, and along both at once.
Source: Lyness & Moler, Numerical differentiation of analytic functions, SIAM J. Numer. Anal. 4
(1967).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import gamma_order, parameter_slopes

Function = Callable[..., Any]
# Points on the whole circle, whose radius is a third of the way to the nearest pole: the first term
# that the mean does not see is 3^-28 of the result.
_points = 28
# The overloads of np.where give no type for operands of type Any.
where: Any = np.where


def second(
    make: Function, which: tuple[int, int], *arrays: Any, reach: Function, level: Any = None
) -> Any:
    """∂²f/∂p∂q with respect to the parameters number `which`; NaN where reach is not positive.

    Args:
        make: gives the function, of complex parameters [k, n] near these and of points [n].
        reach: how far from the parameters the function is analytic.
        level: where it does not depend on them: there the derivative is 0.
    """
    dtype = arrays[0].dtype
    wide = np.broadcast_arrays(*[v.astype(np.float64) for v in arrays])
    radius: Any = np.broadcast_to(reach(*wide), wide[0].shape)
    finite: Any = np.all(np.isfinite(wide), axis=0)
    known = finite & (radius > 0)
    out = np.full(wide[0].shape, np.nan)
    if known.any():
        points = [v[known] for v in wide]
        function = make(*points)
        radius = np.minimum(radius[known], 1.0) / 3
        first, other = which
        with np.errstate(all="ignore"):
            total = _bend(function, points, {first, other}, radius)
            if first != other:
                alone = [_bend(function, points, {i}, radius) for i in which]
                total = (total - alone[0] - alone[1]) / 2
        out[known] = total
    if level is not None:
        out[level(*wide)] = 0.0
    return out.astype(dtype)


def _bend(function: Function, points: list[Any], moved: set[int], radius: Any) -> Any:
    """The second derivative along the diagonal of the parameters that are moved."""
    # The upper half, [places, n]; all but its ends stand for their conjugates too.
    turns = np.exp(2j * np.pi / _points * np.arange(_points // 2 + 1))[:, None]
    shares = np.full(turns.shape, 2.0)
    shares[[0, -1]] = 1.0
    at = [v + radius * turns if i in moved else v for i, v in enumerate(points)]
    total: Any = (shares * (function(*at) / turns**2).real).sum(axis=0)
    return 2 * total / (_points * radius**2)


def pole_distance(p: Any) -> Any:
    """How far p is from 0, -1, -2, ..."""
    return np.abs(p - np.minimum(np.rint(p), 0.0))


def _scipy() -> Any:
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    return functions


def kummer(*_: Any) -> Function:
    """M(a, b, x)."""

    def value(a: Any, b: Any, x: Any) -> Any:
        return parameter_slopes.kummer(a + 0j, b + 0j, x)

    return value


def gauss(*_: Any) -> Function:
    """F(a, b; c; x)."""

    def value(a: Any, b: Any, c: Any, x: Any) -> Any:
        return parameter_slopes.gauss(a + 0j, b + 0j, c + 0j, x)

    return value


def hurwitz(*_: Any) -> Function:
    """ζ(x, q)."""

    def value(x: Any, q: Any) -> Any:
        return parameter_slopes.hurwitz(x + 0j, q)

    return value


def beta_integral(a: Any, b: Any, x: Any) -> Function:
    """I_x(a, b) of 0 < x < 1; less 1 where x lies above the mean."""
    left = x <= (a + 1) / (a + b + 2)
    y = where(left, x, 1 - x)
    log = _scipy().loggamma

    def integral(a: Any, b: Any, x: Any) -> Any:
        p, q = where(left, a, b) + 0j, where(left, b, a) + 0j
        logarithm = p * np.log(y) + q * np.log1p(-y) - log(p + 1) - log(q) + log(p + q)
        value = np.exp(logarithm) * parameter_slopes.beta_series(p, q, y)
        return where(left, value, -value)

    return integral


def gamma_integral(a: Any, x: Any) -> Function:
    """P(a, x) of 0 < x < ∞; less 1 where x lies above the mean."""
    above = (x > 1) & (x > a)

    def integral(a: Any, x: Any) -> Any:
        value = np.exp(a * np.log(x) - x - _scipy().loggamma(a))
        if above.any():
            value[:, above] *= -gamma_order.fraction(a[:, above], x[above], 1e-15)
        if not above.all():
            order = a[:, ~above]
            value[:, ~above] *= gamma_order.series(order, x[~above]) / order
        return value

    return integral
