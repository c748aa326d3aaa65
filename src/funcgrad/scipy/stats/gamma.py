"""The gamma distribution: density y^(a-1) e^-y / Γ(a) / scale, y = (x - loc) / scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammainc, gammaincc, gammaln, xlogy
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, a, loc, scale = floats("gamma.logpdf", x, a, loc, scale)
    inside = x >= loc
    y = fnp.where(inside, (x - loc) / scale, 1.0)
    value = xlogy(a - 1, y) - y - gammaln(a) - fnp.log(scale)
    return fnp.where(inside, value, -fnp.inf)


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, a, loc, scale))


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    x, a, loc, scale = floats("gamma.cdf", x, a, loc, scale)
    y = (x - loc) / scale
    return gammainc(a, fnp.clip(y, 0, None))


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    return fnp.log(cdf(x, a, loc, scale))


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    x, a, loc, scale = floats("gamma.sf", x, a, loc, scale)
    y = (x - loc) / scale
    return gammaincc(a, fnp.clip(y, 0, None))


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    return fnp.log(sf(x, a, loc, scale))
