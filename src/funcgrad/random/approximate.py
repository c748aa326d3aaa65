"""Gamma and Poisson numbers without loops, by formulas that are close to their quantiles.

In: a typed key and parameters. Out: `method="approximate"` of the samplers. The one idea: a normal
number is moved to where the distribution has the same share of its mass below it. Rejection, which
is exact, waits for its unluckiest element; these take the same few operations for each.

Sources: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), 18.37, which
is Goldstein's Algorithm 451, CACM 16 (1973), for χ²; Stuart, Biometrika 49 (1962), for small
orders; Peizer and Pratt, JASA 63 (1968), for counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import aval_of
from ..numpy.ranges import arange
from ..numpy.selection import where
from ..primitives.arithmetic import abs, max, rsqrt, sqrt, square
from ..primitives.broadcasting import broadcast_shapes, broadcast_to_rank
from ..primitives.casting import convert_element_type
from ..primitives.reduction import reduce_sum
from ..primitives.rounding import ceil
from ..primitives.special import erfc
from ..primitives.transcendental import exp, log
from .continuous import draw_exponential
from .parameters import spread
from .uniform import draw_normal, split_key

# Row k, entry j: the coefficient of t^k / ν^j in (χ² / ν)^(1/3), where t = z / √ν. The first is
# 1.0000886 in the sources, by which the mean of large orders would be off.
_chi_square_root = (
    (1.0, -0.2237368, -0.01513904),
    (0.4713941, 0.02607083, -0.008986007),
    (0.0001348028, 0.01128186, 0.02277679),
    (-0.008553069, -0.01153761, -0.01323293),
    (0.00312558, 0.005169654, -0.006950356),
    (-0.0008426812, 0.00253001, 0.001060438),
    (0.00009780499, -0.001450117, 0.001565326),
)
# Orders are raised by this many before the series, which is poor below 4.
_raised = 4
# Means below this count by the distribution function's terms, of which so many matter.
_few, _terms = 7.0, 20


def check_method(name: str, method: str) -> bool:
    """Whether the approximate method is asked for.

    Raises:
        ValueError: neither it nor the exact one is.
    """
    if method not in ("exact", "approximate"):
        raise ValueError(
            f"method argument to `{name}` must be one of {{'exact', 'approximate'}}, got "
            f"{method!r}.\n  {user_line()}"
        )
    return method == "approximate"


def _horner(x: Any, coefficients: Any) -> Any:
    """Σ c_k x^k."""
    *rest, result = coefficients
    for c in reversed(rest):
        result = result * x + c
    return result


def draw_gamma_quickly(
    key: Any, a: Any, shape: tuple[int, ...], dtype: np.dtype[Any], log_space: bool
) -> Any:
    """Gamma numbers or their logarithms from a typed key, within 0.05 % of their quantiles."""
    kind = np.dtype(np.float32) if dtypes.finfo(dtype).bits < 32 else dtype
    order = spread(a, shape, kind)
    for_base, for_raise = split_key(key)
    raised = order + _raised
    nu = 2 * raised
    t = draw_normal(for_base, shape, kind) * rsqrt(nu)
    root = _horner(t, [_horner(1 / nu, row) for row in _chi_square_root])
    base = log(raised) + 3 * log(max(root, np.array(dtypes.finfo(kind).tiny, kind)))
    # G(a) = G(a + n) Π U_k^(1 / (a + k)), with -log U_k an exponential number.
    waits = draw_exponential(for_raise, (_raised, *shape), kind)
    steps = arange(_raised, dtype=kind).reshape(_raised, *(1,) * len(shape))
    sample = base - reduce_sum(waits / (order[None, ...] + steps), (0,))
    return convert_element_type(sample if log_space else exp(sample), dtype)


def draw_poisson_quickly(key: Any, lam: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Poisson numbers from a typed key; 1e-4 of their mass at most is elsewhere.

    Raises:
        ValueError: lam does not broadcast to the shape.
    """
    own = aval_of(lam)
    if broadcast_shapes(own.shape, shape) != shape:
        raise ValueError(
            f"lam shape must be broadcastable to shape argument; got lam.shape {own.shape}, shape "
            f"{shape}.\n  {user_line()}"
        )
    wide = own.dtype == np.float64 or dtype.itemsize > 4
    kind = np.dtype(np.float64 if wide else np.float32)
    mean = broadcast_to_rank(convert_element_type(lam, kind), len(shape))
    z = draw_normal(key, shape, kind)
    counts = where(mean < _few, _count_of_few(z, mean), _count_of_many(z, mean))
    return convert_element_type(counts, dtype)


def _count_of_few(z: Any, mean: Any) -> Any:
    """How many of P(X ≤ 0), P(X ≤ 1), ... lie below Φ(z)."""
    share = 0.5 * erfc(z * -np.sqrt(0.5))
    mass = below = exp(-mean)
    count = convert_element_type(below < share, aval_of(z).dtype)
    for k in range(1, _terms - 1):
        mass = mass * (mean / k)
        below = below + mass
        count = count + convert_element_type(below < share, aval_of(z).dtype)
    return count


def _count_of_many(z: Any, mean: Any) -> Any:
    """The least x with z(x) ≥ z, Φ(z(x)) being close to P(X ≤ x): Cornish and Fisher's, mended."""
    root = sqrt(mean)
    guess = mean + root * z - 2 / 3 + square(z) / 6 + z * (1 - square(z)) / (72 * root)
    # Off by less than 1 to either side of 0.6 above: one of three neighbours is it.
    near = ceil(guess + 0.6)

    def reaches(x: Any) -> Any:
        at = where(x < 0, -np.inf, _normal_of(max(x, np.zeros((), aval_of(x).dtype)), mean))
        return convert_element_type(at >= z, aval_of(z).dtype)

    found = near + 1 - reaches(near) - reaches(near - 1)
    return max(found, np.zeros((), aval_of(z).dtype))


def _normal_of(x: Any, mean: Any) -> Any:
    """z with P(X ≤ x) close to Φ(z), by Peizer and Pratt."""
    y = (x + 0.5) / mean
    d = y - 1
    small = abs(d) < 0.25
    # (1 - y² + 2 y log y) / (1 - y)², by its series in y - 1 near 1.
    series = d * _horner(d, [2 * (-1) ** k / ((k + 1) * (k + 2)) for k in range(1, 10)])
    y, d = where(small, 2.0, y), where(small, 1.0, d)
    bend = where(small, series, (1 - square(y) + 2 * y * log(y)) / square(d))
    return (x - mean + 2 / 3 + 0.02 / (x + 1)) * sqrt((1 + bend) / mean)
