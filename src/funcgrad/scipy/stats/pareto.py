"""The Pareto distribution: density b / y^(b+1) / scale for y = (x - loc) / scale ≥ 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, b, loc, scale = floats("pareto.logpdf", x, b, loc, scale)
    y = (x - loc) / scale
    value = fnp.log(b / scale) - (b + 1) * fnp.log(y)
    return fnp.where(x < loc + scale, -fnp.inf, value)


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, b, loc, scale))


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    x, b, loc, scale = floats("pareto.cdf", x, b, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc + scale, 0.0, 1 - y**-b)


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    x, b, loc, scale = floats("pareto.logcdf", x, b, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc + scale, -fnp.inf, fnp.log1p(-(y**-b)))


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    return fnp.exp(logsf(x, b, loc, scale))


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    x, b, loc, scale = floats("pareto.logsf", x, b, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc + scale, 0.0, -b * fnp.log(y))


def ppf(
    q: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability q."""
    q, b, loc, scale = floats("pareto.ppf", q, b, loc, scale)
    valid = (q >= 0) & (q <= 1)
    return fnp.where(valid, loc + scale * (1 - q) ** (-1 / b), fnp.nan)
