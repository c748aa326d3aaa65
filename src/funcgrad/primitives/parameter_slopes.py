"""Derivatives of special functions with respect to their parameters, which SciPy lacks.

In and out: NumPy floats, computed in float64. The one idea: a series that converges is evaluated at
a complex parameter p + ih with h so small that only the first order is left; Im f(p + ih) / h is
the derivative, exact to rounding.
Source: Squire & Trapp, SIAM Review 40 (1998); DLMF 8.17.7-8, 13.2.39, 15.8.1, 25.11.43.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# The overloads of np.where give no type for operands of type Any.
where: Any = np.where
_step = 1e-30
_most_terms = 20000


def _sum_of_terms(first: Any, ratio: Callable[[int], Any]) -> Any:
    """Σ tₙ, where tₙ₊₁ = tₙ · ratio(n), until both parts stand still."""
    term = first
    total = first.copy()
    for n in range(_most_terms):
        term = term * ratio(n)
        total = total + term
        real = np.abs(term.real) <= 1e-17 * np.abs(total.real)
        imaginary = np.abs(term.imag) <= 1e-17 * np.abs(total.imag)
        # A parameter at a whole number may end the real part long before the imaginary one.
        if np.all((real | ~np.isfinite(total)) & (imaginary | ~np.isfinite(total))):
            break
    return total


def kummer(a: Any, b: Any, x: Any) -> Any:
    """M(a, b, x) = Σ (a)ₙ xⁿ / ((b)ₙ n!) of complex a and b, of real x."""
    # All terms of one sign, so that none cancel: M(a, b, x) = eˣ M(b - a, b, -x).
    order = where(x < 0, b - a, a)
    size = np.abs(x)
    total = _sum_of_terms(
        np.ones_like(order * b), lambda n: (order + n) / (b + n) * (size / (n + 1))
    )
    return where(x < 0, np.exp(x), 1.0) * total


def gauss(a: Any, b: Any, c: Any, x: Any) -> Any:
    """F(a, b; c; x) = Σ (a)ₙ (b)ₙ xⁿ / ((c)ₙ n!) of complex parameters, of real x < 1."""
    # F(a, b; c; x) = (1 - x)^-a F(a, c - b; c; x / (x - 1)) brings x < 0 to the unit interval.
    other = where(x < 0, c - b, b)
    point = where(x < 0, x / (x - 1.0), x)
    total = _sum_of_terms(
        np.ones_like(a * other * c),
        lambda n: (a + n) * (other + n) / ((c + n) * (n + 1)) * point,
    )
    return where(x < 0, np.exp(-a * np.log1p(-np.minimum(x, 0.0))), 1.0) * total


def hurwitz(x: Any, q: Any) -> Any:
    """ζ(x, q) = Σ (q + k)^-x of complex x, of real q > 0, by the rule of Euler and Maclaurin."""
    count = 12
    shifted = q + count
    log = np.log(shifted)
    total = sum(np.exp(-x * np.log(q + k)) for k in range(count))
    power = np.exp(-x * log)
    total = total + power * shifted / (x - 1.0) + 0.5 * power
    # B₂ⱼ / (2j)! · x (x + 1) ... (x + 2j - 2) (q + N)^(1 - x - 2j)
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
    factor = x * power / shifted / 2.0
    for j, number in enumerate(bernoulli, 1):
        total = total + number * factor
        above = (x + 2 * j - 1) * (x + 2 * j) / ((2 * j + 1) * (2 * j + 2))
        factor = factor * above / shifted**2
    return total


def slope(function: Callable[..., Any], which: int, *arrays: Any, inside: Any) -> Any:
    """The derivative of a function of complex parameters with respect to one; NaN outside."""
    dtype = arrays[0].dtype
    wide = np.broadcast_arrays(*[v.astype(np.float64) for v in arrays])
    known = np.broadcast_to(inside(*wide), wide[0].shape) & np.all(np.isfinite(wide), axis=0)
    out = np.full(wide[0].shape, np.nan)
    if known.any():
        points: list[Any] = [v[known] for v in wide]
        points[which] = points[which] + 1j * _step
        with np.errstate(all="ignore"):
            value: Any = function(*points)
            out[known] = value.imag / _step
    return out.astype(dtype)


def beta_series(p: Any, q: Any, x: Any) -> Any:
    """F(p + q, 1; p + 1; x) of complex p and q."""
    return _sum_of_terms(np.ones_like(p + q), lambda n: (p + q + n) / (p + 1 + n) * x)


def _left_beta_slopes(a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """∂I/∂a and ∂I/∂b of the beta integral I_x(a, b) where x lies below its mean.

    I = x^a (1 - x)^b / (a B(a, b)) · F(a + b, 1; a + 1; x); the factor is differentiated by hand.
    """
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    module: Any = functions

    both = module.psi(a + b)
    value = module.betainc(a, b, x)
    by_a = beta_series(a + 1j * _step, b + 0j, x)
    by_b = beta_series(a + 0j, b + 1j * _step, x)
    logarithmic = np.log(x) - 1.0 / a - module.psi(a) + both
    slope_a = value * (logarithmic + by_a.imag / _step / by_a.real)
    slope_b = value * (np.log1p(-x) - module.psi(b) + both + by_b.imag / _step / by_b.real)
    return slope_a, slope_b


def beta_slope(which: int, a: Any, b: Any, x: Any) -> Any:
    """The derivative of I_x(a, b) with respect to a (which = 0) or b (1); NaN outside."""
    dtype = a.dtype
    a, b, x = np.broadcast_arrays(*[v.astype(np.float64) for v in (a, b, x)])
    out = np.full(a.shape, np.nan)
    valid = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    out[valid & ((x == 0) | (x == 1))] = 0.0
    inside = valid & (x > 0) & (x < 1)
    left = inside & (x <= (a + 1) / (a + b + 2))
    right = inside & ~left
    if left.any():
        out[left] = _left_beta_slopes(a[left], b[left], x[left])[which]
    if right.any():
        # I_x(a, b) = 1 - I_{1 - x}(b, a)
        out[right] = -_left_beta_slopes(b[right], a[right], 1.0 - x[right])[1 - which]
    return out.astype(dtype)
