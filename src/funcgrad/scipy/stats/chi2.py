"""The chi-square distribution of df degrees of freedom: density ∝ y^(df/2-1) e^(-y/2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammainc, gammaincc, gammaln
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, df, loc, scale = floats("chi2.logpdf", x, df, loc, scale)
    y = (x - loc) / scale
    half = 0.5 * df
    norm = gammaln(half) + half * math.log(2) + fnp.log(scale)
    value = (half - 1) * fnp.log(y) - 0.5 * y - norm
    return fnp.where(x < loc, -fnp.inf, value)


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, df, loc, scale))


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    x, df, loc, scale = floats("chi2.cdf", x, df, loc, scale)
    y = (x - loc) / scale
    return gammainc(0.5 * df, fnp.clip(0.5 * y, 0, None))


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    return fnp.log(cdf(x, df, loc, scale))


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, df, loc, scale = floats("chi2.sf", x, df, loc, scale)
    y = (x - loc) / scale
    return gammaincc(0.5 * df, fnp.clip(0.5 * y, 0, None))


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    return fnp.log(sf(x, df, loc, scale))
