"""The uniform distribution on [loc, loc + scale]."""

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
    x, loc, scale = floats("uniform.logpdf", x, loc, scale)
    outside = (x > loc + scale) | (x < loc)
    return fnp.where(outside, -fnp.inf, -fnp.log(scale))


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
    x, loc, scale = floats("uniform.cdf", x, loc, scale)
    y = (x - loc) / scale
    return fnp.where(x < loc, 0.0, fnp.where(x > loc + scale, 1.0, y))


def ppf(
    q: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The value that is not exceeded with probability q."""
    q, loc, scale = floats("uniform.ppf", q, loc, scale)
    valid = (q >= 0) & (q <= 1)
    return fnp.where(valid, loc + scale * q, fnp.nan)
