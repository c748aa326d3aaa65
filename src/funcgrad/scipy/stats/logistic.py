"""The logistic distribution: density e^-y / (1 + e^-y)² / scale, y = (x - loc) / scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import expit, logit
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, loc, scale = floats("logistic.logpdf", x, loc, scale)
    y = (x - loc) / scale
    half = 0.5 * y
    return -2 * fnp.logaddexp(half, -half) - fnp.log(scale)


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
    x, loc, scale = floats("logistic.cdf", x, loc, scale)
    y = (x - loc) / scale
    return expit(y)


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, loc, scale = floats("logistic.sf", x, loc, scale)
    y = (x - loc) / scale
    return expit(-y)


def ppf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability x."""
    x, loc, scale = floats("logistic.ppf", x, loc, scale)
    return logit(x) * scale + loc


def isf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is exceeded with probability x."""
    x, loc, scale = floats("logistic.isf", x, loc, scale)
    return loc - logit(x) * scale
