"""Gumbel's distribution of greatest values: density e^(-y - e^-y) / scale, y = (x - loc) / scale.

NaN where the scale is not positive.
"""

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
    x, loc, scale = floats("gumbel_r.logpdf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(scale > 0, -(y + fnp.exp(-y)) - fnp.log(scale), fnp.nan)


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, loc, scale))


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    x, loc, scale = floats("gumbel_r.logcdf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(scale > 0, -fnp.exp(-y), fnp.nan)


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    return fnp.exp(logcdf(x, loc, scale))


def ppf(
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability p."""
    p, loc, scale = floats("gumbel_r.ppf", p, loc, scale)
    inside = (p > 0) & (p < 1)
    return fnp.where(inside, loc - scale * fnp.log(-fnp.log(p)), fnp.nan)


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, loc, scale = floats("gumbel_r.sf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(scale > 0, -fnp.expm1(-fnp.exp(-y)), fnp.nan)


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = floats("gumbel_r.logsf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(scale > 0, fnp.log(-fnp.expm1(-fnp.exp(-y))), fnp.nan)
