"""The wrapped Cauchy distribution on [0, 2π]: density (1 - c²) / 2π (1 + c² - 2c cos x)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(x: Shaped[ArrayLike, "*#shape"], c: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The logarithm of the density at x."""
    x, c = floats("wrapcauchy.logpdf", x, c)
    width = 1 + c * c - 2 * c * fnp.cos(x)
    value = fnp.log(1 - c * c) - math.log(2 * math.pi) - fnp.log(width)
    value = fnp.where((x >= 0) & (x <= 2 * math.pi), value, -fnp.inf)
    return fnp.where((c > 0) & (c < 1), value, fnp.nan)


def pdf(x: Shaped[ArrayLike, "*#shape"], c: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, c))
