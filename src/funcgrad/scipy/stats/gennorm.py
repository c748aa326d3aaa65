"""The generalised normal distribution: density β e^(-|x|^β) / 2 Γ(1/β)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammainc, gammaln
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpdf(x: Shaped[ArrayLike, "*#shape"], beta: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The logarithm of the density at x."""
    x, beta = floats("gennorm.logpdf", x, beta)
    return fnp.log(0.5 * beta) - gammaln(1 / beta) - fnp.abs(x) ** beta


def cdf(x: Shaped[ArrayLike, "*#shape"], beta: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The probability of a value of at most x."""
    x, beta = floats("gennorm.cdf", x, beta)
    return 0.5 * (1 + fnp.sign(x) * gammainc(1 / beta, fnp.abs(x) ** beta))


def pdf(x: Shaped[ArrayLike, "*#shape"], beta: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The density at x."""
    return fnp.exp(logpdf(x, beta))
