"""The exponential distribution: density e^-y / scale, y = (x - loc) / scale ≥ 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, loc, scale = floats("expon.logpdf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc, -fnp.inf, -(y + fnp.log(scale)))


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, loc, scale))


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    x, loc, scale = floats("expon.cdf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc, 0.0, -fnp.expm1(-y))


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    return fnp.log1p(-sf(x, loc, scale))


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    return fnp.exp(logsf(x, loc, scale))


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = floats("expon.logsf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc, 0.0, -y)


def ppf(
    q: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability q."""
    q, loc, scale = floats("expon.ppf", q, loc, scale)
    valid = (q >= 0) & (q <= 1)
    return fnp.where(valid, loc - scale * fnp.log1p(-q), fnp.nan)
