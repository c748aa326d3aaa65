"""The beta distribution: density y^(a-1) (1-y)^(b-1) / B(a, b) / scale, y = (x - loc) / scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import betainc, betaln, xlog1py, xlogy
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, a, b, loc, scale = floats("beta.logpdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    value = xlogy(a - 1, y) + xlog1py(b - 1, -y) - betaln(a, b) - fnp.log(scale)
    value = fnp.where((x > loc + scale) | (x < loc), -fnp.inf, value)
    return fnp.where((a <= 0) | (b <= 0) | (scale <= 0), fnp.nan, value)


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, a, b, loc, scale))


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    x, a, b, loc, scale = floats("beta.cdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    return betainc(a, b, fnp.clip(y, 0, 1))


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    return fnp.log(cdf(x, a, b, loc, scale))


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, a, b, loc, scale = floats("beta.sf", x, a, b, loc, scale)
    y = (x - loc) / scale
    return betainc(b, a, 1 - fnp.clip(y, 0, 1))


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    return fnp.log(sf(x, a, b, loc, scale))
