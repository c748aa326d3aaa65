"""The distribution of von Mises on the circle: density e^(κ cos x) / 2π I₀(κ)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import i0e
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(x: Shaped[ArrayLike, "*#shape"], kappa: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The logarithm of the density at x."""
    x, kappa = floats("vonmises.logpdf", x, kappa)
    value = kappa * (fnp.cos(x) - 1) - fnp.log(2 * math.pi * i0e(kappa))
    return fnp.where(kappa > 0, value, fnp.nan)


def pdf(x: Shaped[ArrayLike, "*#shape"], kappa: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, kappa))
