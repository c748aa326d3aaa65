"""The normal distribution of vectors, by its mean and covariance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...core.sources import user_line
from ...numpy.promotion import check_arraylike, promote_dtypes_inexact, to_array
from ...primitives import factor
from ...typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "..."],
    mean: Shaped[ArrayLike, "..."],
    cov: Shaped[ArrayLike, "..."],
    allow_singular: None = None,
) -> Array:
    """The logarithm of the density at x.

    Args:
        x: points [..., n]; of a scalar mean, numbers.
        mean: [..., n] or a scalar.
        cov: [..., n, n], or a scalar variance for all components.
    Raises:
        ValueError: shapes that do not fit, or allow_singular is given.
    """
    if allow_singular is not None:
        raise ValueError(
            f"multivariate_normal takes no allow_singular.\n  {user_line()}\n"
            "  Add a small multiple of the identity to the covariance."
        )
    check_arraylike("multivariate_normal.logpdf", x, mean, cov)
    point, centre, spread = map(to_array, promote_dtypes_inexact(x, mean, cov))
    y = point - centre
    if not centre.ndim:
        return -0.5 * (y * y / spread + math.log(2 * math.pi) + fnp.log(spread))
    n = centre.shape[-1]
    if not spread.ndim:
        squares = (y * y).sum(axis=-1)
        return -0.5 * (squares / spread + n * (math.log(2 * math.pi) + fnp.log(spread)))
    if spread.ndim < 2 or spread.shape[-2:] != (n, n):
        raise ValueError(
            "multivariate_normal.logpdf got incompatible shapes: mean "
            f"{centre.shape}, cov {spread.shape}.\n  {user_line()}"
        )
    root = factor.cholesky(spread)
    lead = fnp.broadcast_shapes(y.shape[:-1], root.shape[:-2])
    column = fnp.broadcast_to(y, (*lead, n))[..., None]
    root = fnp.broadcast_to(root, (*lead, n, n))
    white = factor.triangular_solve(root, column, left_side=True, lower=True)[..., 0]
    volume = fnp.log(fnp.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    return -0.5 * ((white * white).sum(axis=-1) + n * math.log(2 * math.pi)) - volume


def pdf(
    x: Shaped[ArrayLike, "..."], mean: Shaped[ArrayLike, "..."], cov: Shaped[ArrayLike, "..."]
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, mean, cov))
