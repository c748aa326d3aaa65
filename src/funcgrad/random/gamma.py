"""Gamma numbers, and the distributions made of them.

Derivatives with respect to the parameters are implicit: a sample moves at a fixed quantile.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir.avals import aval_of, canonical_shape
from ..numpy.reductions import sum as sum_along
from ..primitives.arithmetic import abs, div, max, mul, sqrt, sub
from ..primitives.broadcasting import expand_dims
from ..primitives.random_gamma import random_gamma_p
from ..primitives.reduction import reduce_max, reduce_sum
from ..primitives.rounding import stop_gradient
from ..primitives.transcendental import exp
from ..typing import Array, ArrayLike
from .approximate import check_method, draw_gamma_quickly
from .continuous import draw_exponential
from .discrete import draw_signs
from .keys import KeyLike, check_key
from .parameters import check_castable, joint_shape, spread
from .uniform import check_shape, draw_normal, float_dtype, split_key

if TYPE_CHECKING:
    from jaxtyping import Shaped

Shape = Sequence[int]


@planned
def gamma(
    key: KeyLike,
    a: Shaped[ArrayLike, "..."],
    shape: Shape | None = None,
    dtype: Any = None,
    *,
    method: str = "exact",
) -> Array:
    """Gamma numbers, density x^(a-1) e^-x / Γ(a).

    Args:
        key: a single key.
        a: orders, a > 0, that broadcast to the shape.
        shape: of the result; that of a when None.
        dtype: a floating dtype; the default float when None.
        method: "exact", by rejection; or "approximate", without loops and quicker, within 0.05 % of
            the quantiles, whose derivatives are others.
    Raises:
        ValueError: dtype is not floating, method is another, or a does not fit the shape.
    """
    typed, _ = check_key("gamma", key)
    canonical = float_dtype("gamma", dtype)
    quick = check_method("gamma", method)
    return draw_gamma(typed, a, joint_shape("gamma", shape, a), canonical, quick=quick)


@planned
def loggamma(
    key: KeyLike,
    a: Shaped[ArrayLike, "..."],
    shape: Shape | None = None,
    dtype: Any = None,
    *,
    method: str = "exact",
) -> Array:
    """Logarithms of gamma numbers, finite where the numbers would round to zero; see `gamma`."""
    typed, _ = check_key("loggamma", key)
    canonical = float_dtype("loggamma", dtype)
    quick = check_method("loggamma", method)
    return draw_gamma(typed, a, joint_shape("loggamma", shape, a), canonical, True, quick)


def draw_gamma(
    key: Any,
    a: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    log_space: bool = False,
    quick: bool = False,
) -> Any:
    """Gamma numbers or their logarithms from a typed key."""
    if quick:
        return draw_gamma_quickly(key, a, shape, dtype, log_space)
    return random_gamma_p.bind(key, spread(a, shape, dtype), log_space=log_space)


@planned
def beta(
    key: KeyLike,
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    shape: Shape | None = None,
    dtype: Any = None,
    *,
    method: str = "exact",
) -> Array:
    """Beta numbers, density proportional to x^(a-1) (1-x)^(b-1): g / (g + h) of gamma numbers.

    Args:
        a, b: orders that broadcast to the shape.
        shape: of the result; that of a and b when None.
        method: of the gamma numbers, see `gamma`.
    Raises:
        ValueError: dtype is not floating, method is another, or a parameter does not fit the
            shape or dtype.
    """
    typed, _ = check_key("beta", key)
    quick = check_method("beta", method)
    canonical = float_dtype("beta", dtype)
    check_castable("beta", canonical, a, b)
    whole = joint_shape("beta", shape, a, b)
    for_a, for_b = split_key(typed)
    log_a = draw_gamma(for_a, a, whole, canonical, True, quick)
    log_b = draw_gamma(for_b, b, whole, canonical, True, quick)
    # Relative to the larger one, neither under- nor overflows.
    largest = max(log_a, log_b)
    scaled_a, scaled_b = exp(sub(log_a, largest)), exp(sub(log_b, largest))
    return div(scaled_a, scaled_a + scaled_b)


@planned
def dirichlet(
    key: KeyLike,
    alpha: Shaped[ArrayLike, "*batch n"],
    shape: Shape | None = None,
    dtype: Any = None,
) -> Shaped[Array, "*shape n"]:
    """Dirichlet vectors, density proportional to Π x_i^(α_i - 1) on Σ x_i = 1.

    Args:
        alpha: concentrations [..., n].
        shape: of the result without its last axis; that of alpha without its last when None.
    Returns:
        [*shape, n].
    Raises:
        ValueError: dtype is not floating, alpha is a scalar, or it does not fit the shape.
    """
    typed, _ = check_key("dirichlet", key)
    canonical = float_dtype("dirichlet", dtype)
    own = aval_of(alpha).shape
    if not own:
        raise ValueError(
            f"dirichlet requires alpha of one axis or more, got a scalar.\n  {user_line()}"
        )
    whole = own[:-1] if shape is None else canonical_shape(shape, "dirichlet")
    check_shape("dirichlet", whole, own[:-1])
    logs = draw_gamma(typed, alpha, whole + own[-1:], canonical, log_space=True)
    last = len(whole)
    largest = stop_gradient(reduce_max(logs, (last,)))
    scaled = exp(sub(logs, expand_dims(largest, (last,))))
    return div(scaled, expand_dims(reduce_sum(scaled, (last,)), (last,)))


@planned
def chisquare(
    key: KeyLike,
    df: Shaped[ArrayLike, "..."],
    shape: Shape | None = None,
    dtype: Any = None,
    *,
    method: str = "exact",
) -> Array:
    """χ² numbers of `df` degrees of freedom: twice a gamma number of order df/2.

    Args:
        df: floats that broadcast to the shape.
        shape: of the result; that of df when None.
        method: of the gamma numbers, see `gamma`.
    Raises:
        ValueError: dtype is not floating, method is another, or df does not fit the shape or dtype.
    """
    typed, _ = check_key("chisquare", key)
    canonical = float_dtype("chisquare", dtype)
    whole = joint_shape("chisquare", shape, df)
    check_castable("chisquare", canonical, df)
    return _draw_chisquare(typed, df, whole, canonical, check_method("chisquare", method))


def _draw_chisquare(
    key: Any, df: Any, shape: tuple[int, ...], dtype: np.dtype[Any], quick: bool = False
) -> Any:
    two = np.array(2, dtype)
    half = div(spread(df, shape, dtype), two)
    return mul(exp(draw_gamma(key, half, shape, dtype, True, quick)), two)


@planned
def f(
    key: KeyLike,
    dfnum: Shaped[ArrayLike, "*#shape"],
    dfden: Shaped[ArrayLike, "*#shape"],
    shape: Shape | None = None,
    dtype: Any = None,
) -> Array:
    """F numbers: the ratio of two χ² numbers, each by its degrees of freedom.

    Args:
        dfnum, dfden: degrees of freedom that broadcast to the shape.
        shape: of the result; that of the parameters when None.
    Raises:
        ValueError: dtype is not floating, or a parameter does not fit the shape or dtype.
    """
    typed, _ = check_key("f", key)
    canonical = float_dtype("f", dtype)
    whole = joint_shape("f", shape, dfnum, dfden)
    check_castable("f", canonical, dfnum, dfden)
    above, below = (spread(x, whole, canonical) for x in (dfnum, dfden))
    for_below, for_above = split_key(typed)
    numerator = div(_draw_chisquare(for_above, above, whole, canonical), above)
    return div(numerator, div(_draw_chisquare(for_below, below, whole, canonical), below))


@planned
def t(
    key: KeyLike, df: Shaped[ArrayLike, "..."], shape: Shape | None = None, dtype: Any = None
) -> Array:
    """Student t numbers of `df` degrees of freedom: z √(df / χ²) of a normal number z.

    Args:
        df: floats that broadcast to the shape.
        shape: of the result; that of df when None.
    Raises:
        ValueError: dtype is not floating, or df does not fit the shape or dtype.
    """
    typed, _ = check_key("t", key)
    canonical = float_dtype("t", dtype)
    whole = joint_shape("t", shape, df)
    check_castable("t", canonical, df)
    for_normal, for_gamma = split_key(typed)
    half = div(spread(df, whole, canonical), np.array(2, canonical))
    drawn = draw_normal(for_normal, whole, canonical)
    return mul(drawn, sqrt(div(half, draw_gamma(for_gamma, half, whole, canonical))))


@planned
def generalized_normal(
    key: KeyLike, p: Shaped[ArrayLike, ""], shape: Shape = (), dtype: Any = None
) -> Array:
    """Numbers of density proportional to e^(-|x|^p).

    Args:
        p: a float.
    Raises:
        ValueError: dtype is not floating.
    """
    typed, _ = check_key("generalized_normal", key)
    canonical = float_dtype("generalized_normal", dtype)
    return _draw_generalized(typed, p, canonical_shape(shape), canonical)


def _draw_generalized(key: Any, p: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    for_size, for_sign = split_key(key)
    size = draw_gamma(for_size, 1 / p, shape, dtype)
    return draw_signs(for_sign, shape, dtype) * size ** (1 / p)


@planned
def ball(
    key: KeyLike, d: int, p: int | float = 2, shape: Shape = (), dtype: Any = None
) -> Shaped[Array, "*shape {d}"]:
    """Points uniform in the unit ball of the p norm in d dimensions.

    Args:
        d: how many dimensions.
        p: of the norm.
        shape: of the result without its last axis.
    Returns:
        [*shape, d].
    Raises:
        ValueError: dtype is not floating.
    Source: Barthe et al., arXiv:math/0503650.
    """
    typed, _ = check_key("ball", key)
    canonical = float_dtype("ball", dtype)
    whole = canonical_shape(shape)
    for_points, for_radius = split_key(typed)
    points = _draw_generalized(for_points, p, (*whole, operator.index(d)), canonical)
    radius = draw_exponential(for_radius, whole, canonical)
    scale = (sum_along(abs(points) ** p, axis=-1) + radius) ** (1 / p)
    return points / expand_dims(scale, (len(whole),))
