"""Derivatives of the regularised gamma integral P(a, x) with respect to its order a.

In and out: NumPy floats. Near or below a, P is x^a e^-x / Γ(a + 1) times a power series; far above
it, 1 - P is x^a e^-x / Γ(a) times a continued fraction. The one idea: the factor is differentiated
by hand, series and fraction by a complex step, Im f(a + ih) / h with h so small that nothing but
the first order is left, which is exact to rounding.

Source: DLMF 8.11.4 and 8.9.2; Squire & Trapp, SIAM Review 40 (1998), the complex step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_step = 1e-30
_most_terms = 20000
_tiny = 1e-300


def series(a: Any, x: Any) -> Any:
    """Σ xⁿ / ((a + 1) ... (a + n)) over n ≥ 0, of complex a."""
    term = np.ones_like(a)
    total = term.copy()
    for n in range(1, _most_terms):
        term = term * x / (a + n)
        total = total + term
        small = np.abs(term) <= 1e-17 * np.abs(total)
        if np.all(small & (np.abs(term.imag) <= 1e-17 * np.abs(total.imag))):
            break
    return total


def fraction(a: Any, x: Any, still: float = 1e-15 * _step) -> Any:
    """1/(x + 1 - a - 1(1 - a)/(x + 3 - a - 2(2 - a)/(...))), of complex a, by Lentz's method.

    It ends where a factor is 1 to rounding, and its imaginary part below `still`.
    """
    b = x + 1 - a
    c = np.full_like(a, 1 / _tiny)
    d = 1 / b
    h = d
    for n in range(1, _most_terms):
        numerator = -n * (n - a)
        b = b + 2
        d = numerator * d + b
        d = 1 / np.where(np.abs(d) < _tiny, _tiny, d)
        c = b + numerator / c
        c = np.where(np.abs(c) < _tiny, _tiny, c)
        factor = c * d
        h = h * factor
        # Rounding keeps factors a few units of the last place from 1.
        if np.all((np.abs(factor - 1) <= max(1e-15, still)) & (np.abs(factor.imag) <= still)):
            break
    return h


def slopes(a: Any, x: Any) -> tuple[Any, Any]:
    """∂P/∂a and dx/da at fixed P, of float64 a > 0 and 0 < x < ∞ in one dimension."""
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    module: Any = functions
    above = (x > 1) & (x > a)
    scaled = np.empty_like(x)
    for where, expand in ((above, fraction), (~above, series)):
        if not where.any():
            continue
        order, point = a[where], x[where]
        value = expand(order + 1j * _step, point)
        if expand is series:
            value = value / (order + 1j * _step)
        # d/da log(x^a / Γ(a)) = log x - ψ(a); the rest is what the complex step gave.
        logarithmic = np.log(point) - module.psi(order)
        slope = value.imag / _step + value.real * logarithmic
        scaled[where] = slope if expand is series else -slope
    density = np.exp(a * np.log(x) - x - module.gammaln(a))
    return density * scaled, -x * scaled


def _at_points(a: Any, x: Any, which: int) -> Any:
    dtype = a.dtype
    a, x = np.broadcast_arrays(a.astype(np.float64), x.astype(np.float64))
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    # P(a, 0) = 0 and P(a, ∞) = 1 for every a.
    out = np.full(a.shape, np.nan)
    out[(a > 0) & ((x == 0) | (x == np.inf))] = 0.0
    if inside.any():
        out[inside] = slopes(a[inside], x[inside])[which]
    return out.astype(dtype)


def order_slope(a: Any, x: Any) -> Any:
    """∂P(a, x)/∂a; NaN outside of a > 0, x ≥ 0."""
    return _at_points(a, x, 0)


def sample_slope(a: Any, x: Any) -> Any:
    """-(∂P/∂a) / (∂P/∂x), how a sample moves with the order at a fixed quantile."""
    return _at_points(a, x, 1)
