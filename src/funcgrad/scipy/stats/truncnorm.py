"""The normal distribution cut off to [a, b], in units of scale about loc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import log_ndtr, ndtr
from ..special.operands import floats
from . import norm

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _log_mass(a: Any, b: Any) -> Any:
    """log (Φ(b) - Φ(a)), without cancellation in either tail."""
    central = (a <= 0) & (b > 0)
    # The right tail is mirrored, so that the logarithms of Φ are those of small numbers.
    right = a > 0
    low, high = fnp.where(right, -b, a), fnp.where(right, -a, b)
    gap = fnp.where(central | (low >= high), -1.0, log_ndtr(low) - log_ndtr(high))
    tail = log_ndtr(high) + fnp.log1p(-fnp.exp(gap))
    tail = fnp.where(low >= high, -fnp.inf, tail)
    middle = fnp.log1p(-ndtr(fnp.where(central, a, -1.0)) - ndtr(fnp.where(central, -b, -1.0)))
    return fnp.where(central, middle, tail)


def logpdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of the density at x."""
    x, a, b, loc, scale = floats("truncnorm.logpdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    value = norm.logpdf(x, loc, scale) - _log_mass(a, b)
    return fnp.where(a >= b, fnp.nan, fnp.where((y < a) | (y > b), -fnp.inf, value))


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, a, b, loc, scale))


def logcdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `cdf`."""
    x, a, b, loc, scale = floats("truncnorm.logcdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    inside = fnp.clip(y, a, b)
    mass = _log_mass(a, b)
    below, above = _log_mass(a, inside) - mass, _log_mass(inside, b) - mass
    # Near 1 the probability of the rest is the exact one.
    value = fnp.where(below > -0.1, fnp.log1p(-fnp.exp(fnp.minimum(above, 0.0))), below)
    value = fnp.where(y >= b, 0.0, fnp.where(y <= a, -fnp.inf, value))
    return fnp.where(a >= b, fnp.nan, value)


def cdf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value of at most x."""
    return fnp.exp(logcdf(x, a, b, loc, scale))


def logsf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The logarithm of `sf`."""
    x, a, b, loc, scale = floats("truncnorm.logsf", x, a, b, loc, scale)
    return logcdf(-x, -b, -a, -loc, scale)


def sf(
    x: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The probability of a value above x."""
    return fnp.exp(logsf(x, a, b, loc, scale))
