"""Continuous distributions made of uniform or normal numbers by a formula.

Each inverts its distribution function at uniform numbers, or combines a few normal ones; the
formulas are those of JAX, so that keys give the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_shape
from ..numpy.arithmetic import power
from ..primitives.arithmetic import abs, div, mul, neg, sqrt, sub
from ..primitives.broadcasting import broadcast_shapes
from ..primitives.casting import convert_element_type
from ..primitives.powers import integer_pow
from ..primitives.reduction import reduce_sum
from ..primitives.rounding import sign
from ..primitives.selection import select
from ..primitives.transcendental import exp, log, log1p, tan
from ..typing import Array, ArrayLike
from .keys import KeyLike, check_key
from .parameters import check_castable, joint_shape, spread
from .uniform import draw_normal, draw_uniform, float_dtype, split_key

if TYPE_CHECKING:
    from jaxtyping import Shaped

Shape = Sequence[int]


@planned
def exponential(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Exponential numbers of mean 1: -log(1 - u).

    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("exponential", key)
    return draw_exponential(typed, canonical_shape(shape), float_dtype("exponential", dtype))


def draw_exponential(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Exponential numbers from a typed key."""
    return neg(log1p(neg(draw_uniform(key, shape, dtype))))


@planned
def laplace(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Laplace numbers, density e^-|x| / 2: sign(u) log(1 - |u|) of u uniform in (-1, 1).

    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("laplace", key)
    canonical = float_dtype("laplace", dtype)
    info: Any = dtypes.finfo(canonical)
    low = np.array(-1.0 + info.epsneg, canonical)
    u = draw_uniform(typed, canonical_shape(shape), canonical, low, np.array(1.0, canonical))
    return mul(sign(u), log1p(neg(abs(u))))


@planned
def logistic(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Logistic numbers: log(u / (1 - u)).

    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("logistic", key)
    canonical = float_dtype("logistic", dtype)
    low = np.array(dtypes.finfo(canonical).tiny, canonical)
    u = draw_uniform(typed, canonical_shape(shape), canonical, low, np.array(1.0, canonical))
    return sub(log(u), log1p(neg(u)))


@planned
def cauchy(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Cauchy numbers, density 1 / (π (1 + x²)): tan(π (u - 1/2)).

    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("cauchy", key)
    canonical = float_dtype("cauchy", dtype)
    low = np.array(dtypes.finfo(canonical).eps, canonical)
    u = draw_uniform(typed, canonical_shape(shape), canonical, low, np.array(1.0, canonical))
    return tan(mul(np.array(np.pi, canonical), sub(u, np.array(0.5, canonical))))


@planned
def pareto(
    key: KeyLike, b: Shaped[ArrayLike, "..."], shape: Shape | None = None, dtype: Any = None
) -> Array:
    """Pareto numbers x ≥ 1, density b / x^(b+1).

    Args:
        b: exponents that broadcast to the shape.
        shape: of the result; that of b when None.
    Raises:
        ValueError: dtype is not floating, or b does not fit the shape or dtype.
    """
    typed, _ = check_key("pareto", key)
    canonical = float_dtype("pareto", dtype)
    whole = joint_shape("pareto", shape, b)
    check_castable("pareto", canonical, b)
    return exp(div(draw_exponential(typed, whole, canonical), spread(b, whole, canonical)))


@planned
def maxwell(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Maxwell numbers, density √(2/π) x² e^(-x²/2): lengths of normal vectors in space.

    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("maxwell", key)
    return _draw_maxwell(typed, canonical_shape(shape), float_dtype("maxwell", dtype))


def _draw_maxwell(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    vectors = draw_normal(key, (*shape, 3), dtype)
    return sqrt(reduce_sum(mul(vectors, vectors), (len(shape),)))


@planned
def double_sided_maxwell(
    key: KeyLike,
    loc: Shaped[ArrayLike, "*#shape"],
    scale: Shaped[ArrayLike, "*#shape"],
    shape: Shape = (),
    dtype: Any = None,
) -> Array:
    """Maxwell numbers of random sign, times a scale, plus a location.

    Args:
        loc, scale: floats or arrays that broadcast together.
        shape: leading axes of the result; the shape of the parameters once more when ().
    Raises:
        ValueError: dtype is not floating.
    """
    from .discrete import draw_signs

    typed, _ = check_key("double_sided_maxwell", key)
    canonical = float_dtype("double_sided_maxwell", dtype)
    own = broadcast_shapes(aval_of(loc).shape, aval_of(scale).shape)
    whole = (canonical_shape(shape) or own) + own
    for_size, for_sign = split_key(typed)
    size = _draw_maxwell(for_size, whole, canonical)
    return draw_signs(for_sign, whole, canonical) * size * scale + loc


@planned
def rayleigh(
    key: KeyLike, scale: Shaped[ArrayLike, "..."], shape: Shape | None = None, dtype: Any = None
) -> Array:
    """Rayleigh numbers, density x e^(-x²/2σ²) / σ²: σ √(-2 log u).

    Args:
        scale: σ, floats that broadcast to the shape.
        shape: of the result; that of scale when None.
    Raises:
        ValueError: dtype is not floating, or scale does not fit the shape or dtype.
    """
    typed, _ = check_key("rayleigh", key)
    canonical = float_dtype("rayleigh", dtype)
    whole = joint_shape("rayleigh", shape, scale)
    check_castable("rayleigh", canonical, scale)
    u = draw_uniform(typed, whole, canonical)
    return mul(spread(scale, whole, canonical), sqrt(mul(log(u), np.array(-2.0, canonical))))


@planned
def wald(
    key: KeyLike, mean: Shaped[ArrayLike, "..."], shape: Shape | None = None, dtype: Any = None
) -> Array:
    """Inverse Gaussian numbers of a mean μ and scale 1.

    Args:
        mean: floats that broadcast to the shape.
        shape: of the result; that of mean when None.
    Raises:
        ValueError: dtype is not floating, or mean does not fit the shape or dtype.
    Source: Michael, Schucany & Haas, The American Statistician 30 (1976).
    """
    typed, _ = check_key("wald", key)
    canonical = float_dtype("wald", dtype)
    whole = joint_shape("wald", shape, mean)
    check_castable("wald", canonical, mean)
    for_normal, for_uniform = split_key(typed)
    mu = spread(mean, whole, canonical)
    squares = integer_pow(draw_normal(for_normal, whole, canonical), 2)
    mu_squared = integer_pow(mu, 2)
    root = sqrt(4 * mu * squares + mu_squared * integer_pow(squares, 2))
    # The smaller of the two roots; the other is μ²/x, taken with probability x / (μ + x).
    x = mu + mu_squared * squares / 2 - mu / 2 * root
    u = draw_uniform(for_uniform, whole, canonical)
    return select(u <= mu / (mu + x), x, mu_squared / x)


@planned
def weibull_min(
    key: KeyLike,
    scale: Shaped[ArrayLike, "*#shape"],
    concentration: Shaped[ArrayLike, "*#shape"],
    shape: Shape = (),
    dtype: Any = None,
) -> Array:
    """Weibull numbers, P(X > x) = e^(-(x/scale)^concentration).

    Args:
        scale, concentration: floats or arrays that broadcast with the shape.
    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("weibull_min", key)
    canonical = float_dtype("weibull_min", dtype)
    drawn = draw_exponential(typed, canonical_shape(shape), canonical)
    return power(drawn, 1.0 / concentration) * scale


@planned
def triangular(
    key: KeyLike,
    left: Shaped[ArrayLike, "*#shape"],
    mode: Shaped[ArrayLike, "*#shape"],
    right: Shaped[ArrayLike, "*#shape"],
    shape: Shape | None = None,
    dtype: Any = None,
) -> Array:
    """Triangular numbers: the density rises from left to mode and falls to right.

    Args:
        left, mode, right: floats that broadcast to the shape, left ≤ mode ≤ right, left < right.
        shape: of the result; that of the parameters when None.
    Raises:
        ValueError: dtype is not floating, or a parameter does not fit the shape or dtype.
    """
    typed, _ = check_key("triangular", key)
    canonical = float_dtype("triangular", dtype)
    whole = joint_shape("triangular", shape, left, mode, right)
    check_castable("triangular", canonical, left, mode, right)
    low, peak, high = (spread(x, whole, canonical) for x in (left, mode, right))
    u = draw_uniform(typed, whole, canonical)
    rising = low + sqrt(u * (high - low) * (peak - low))
    falling = high - sqrt((1 - u) * (high - low) * (high - peak))
    return select(u < (peak - low) / (high - low), rising, falling)


@planned
def lognormal(
    key: KeyLike,
    sigma: Shaped[ArrayLike, "..."] = 1.0,
    shape: Shape | None = None,
    dtype: Any = None,
) -> Array:
    """Log-normal numbers: e^(σ z) of z normal.

    Args:
        sigma: floats that broadcast to the shape.
        shape: of the result; that of sigma when None.
    Raises:
        ValueError: dtype is neither floating nor complex, or sigma does not fit shape or dtype.
    """
    typed, _ = check_key("lognormal", key)
    canonical = dtypes.canonicalize_dtype(float if dtype is None else dtype)
    if not dtypes.issubdtype(canonical, np.inexact):
        raise ValueError(
            f"dtype argument to `lognormal` must be a float or complex dtype, got {canonical}."
            f"\n  {user_line()}"
        )
    whole = joint_shape("lognormal", shape, sigma)
    check_castable("lognormal", canonical, sigma)
    return exp(draw_normal(typed, whole, canonical) * convert_element_type(sigma, canonical))
