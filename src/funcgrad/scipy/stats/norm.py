"""The normal distribution: density exp(-(x - loc)² / 2 scale²) / √(2π scale²)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import log_ndtr, ndtr, ndtri
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, loc, scale = floats("norm.logpdf", x, loc, scale)
    y = (x - loc) / scale
    return -0.5 * (y * y) - fnp.log(scale) - 0.5 * math.log(2 * math.pi)


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
    x, loc, scale = floats("norm.cdf", x, loc, scale)
    y = (x - loc) / scale
    return ndtr(y)


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    x, loc, scale = floats("norm.logcdf", x, loc, scale)
    y = (x - loc) / scale
    return log_ndtr(y)


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, loc, scale = floats("norm.sf", x, loc, scale)
    y = (x - loc) / scale
    return ndtr(-y)


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = floats("norm.logsf", x, loc, scale)
    y = (x - loc) / scale
    return log_ndtr(-y)


def ppf(
    q: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability q."""
    return fnp.asarray(ndtri(q) * scale + loc, dtype=float)


def isf(
    q: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is exceeded with probability q."""
    return ppf(1 - q, loc, scale)
