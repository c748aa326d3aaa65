"""The Cauchy distribution: density 1 / (π scale (1 + y²)), y = (x - loc) / scale."""

from __future__ import annotations

import math
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
    x, loc, scale = floats("cauchy.logpdf", x, loc, scale)
    y = (x - loc) / scale
    return -(fnp.log(math.pi * scale) + fnp.log1p(y * y))


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
    x, loc, scale = floats("cauchy.cdf", x, loc, scale)
    y = (x - loc) / scale
    return 0.5 + fnp.arctan(y) / math.pi


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    return fnp.log(cdf(x, loc, scale))


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, loc, scale = floats("cauchy.sf", x, loc, scale)
    y = (x - loc) / scale
    return 0.5 - fnp.arctan(y) / math.pi


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    return fnp.log(sf(x, loc, scale))


def ppf(
    q: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability q."""
    q, loc, scale = floats("cauchy.ppf", q, loc, scale)
    return loc + scale * fnp.tan(math.pi * q - math.pi / 2)


def isf(
    q: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is exceeded with probability q."""
    q, loc, scale = floats("cauchy.isf", q, loc, scale)
    return loc + scale * fnp.tan(math.pi / 2 - math.pi * q)
