"""Student's distribution of df degrees of freedom: density ∝ (1 + y²/df)^(-(df+1)/2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammaln
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
    x, df, loc, scale = floats("t.logpdf", x, df, loc, scale)
    y = (x - loc) / scale
    half = 0.5 * df
    logarithm = 0.5 * fnp.log(df * math.pi) + fnp.log(scale)
    norm = gammaln(half) + logarithm - gammaln(half + 0.5)
    return -norm - (half + 0.5) * fnp.log1p(y * y / df)


def pdf(
    x: Shaped[ArrayLike, "*#shape"],
    df: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
    scale: Shaped[ArrayLike, "*#shape"] = 1,
) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, df, loc, scale))
