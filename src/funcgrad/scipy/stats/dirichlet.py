"""The Dirichlet distribution on probabilities: density ∏ xᵢ^(αᵢ-1) Γ(Σ αᵢ) / ∏ Γ(αᵢ)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...core.sources import user_line
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...typing import Array, ArrayLike
from ..special import gammaln, xlogy

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(x: Shaped[ArrayLike, "k ..."], alpha: Shaped[ArrayLike, "n"]) -> Array:
    """The logarithm of the density at x, whose first axis holds the n probabilities, or n - 1.

    Returns:
        -∞ where x is not positive or does not sum to 1.
    Raises:
        ValueError: shapes that do not fit.
    """
    check_arraylike("dirichlet.logpdf", x, alpha)
    point, weights = map(to_array, promote_dtypes_inexact(x, alpha))
    if weights.ndim != 1:
        raise ValueError(
            f"`alpha` must be one-dimensional; dirichlet got {weights.shape}.\n  {user_line()}"
        )
    if point.shape[0] not in (weights.shape[0], weights.shape[0] - 1):
        raise ValueError(
            "`x` must have as many entries as `alpha` or one fewer, dirichlet got shapes "
            f"{point.shape} and {weights.shape}.\n  {user_line()}"
        )
    if point.shape[0] != weights.shape[0]:
        point = fnp.concatenate([point, 1 - point.sum(0, keepdims=True)], axis=0)
    norm = gammaln(weights).sum() - gammaln(weights.sum())
    powers = weights.reshape((-1, *(1,) * (point.ndim - 1))) - 1
    value = xlogy(powers, point).sum(axis=0) - norm
    inside = (point > 0).all(axis=0) & (fnp.abs(point.sum(axis=0) - 1) < 1e-6)
    return fnp.where(inside, value, -fnp.inf)


def pdf(x: Shaped[ArrayLike, "k ..."], alpha: Shaped[ArrayLike, "n"]) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, alpha))
