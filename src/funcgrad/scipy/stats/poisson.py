"""The Poisson distribution of mean mu: probability e^-mu mu^k / k!."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammaincc, gammaln, xlogy
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpmf(
    k: Shaped[ArrayLike, "*#shape"],
    mu: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The logarithm of the probability of k."""
    k, mu, loc = floats("poisson.logpmf", k, mu, loc)
    x = k - loc
    value = xlogy(x, mu) - gammaln(x + 1) - mu
    return fnp.where((x < 0) | (fnp.round(k) != k), -fnp.inf, value)


def pmf(
    k: Shaped[ArrayLike, "*#shape"],
    mu: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of k."""
    return fnp.exp(logpmf(k, mu, loc))


def cdf(
    k: Shaped[ArrayLike, "*#shape"],
    mu: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of a value of at most k."""
    k, mu, loc = floats("poisson.cdf", k, mu, loc)
    x = fnp.floor(k - loc)
    return fnp.where(x < 0, 0.0, gammaincc(fnp.clip(x, 0, None) + 1, mu))


def entropy(mu: Shaped[ArrayLike, "*#shape"], loc: Shaped[ArrayLike, "*#shape"] = 0) -> Array:
    """The entropy -Σ p log p, from the sum of terms; of mu ≥ 100 from its expansion."""
    mu, loc = floats("poisson.entropy", mu, loc)
    mu = fnp.broadcast_to(mu, fnp.broadcast_shapes(mu.shape, loc.shape))
    small = (mu > 0) & (mu < 100)
    # Beyond 250 the terms of means below 100 vanish.
    k = fnp.arange(250).astype(mu.dtype).reshape((-1, *(1,) * mu.ndim))
    logarithms = logpmf(k, fnp.where(small, mu, 1.0)[None])
    terms = -(fnp.exp(logarithms) * logarithms).sum(axis=0)
    large = fnp.where(mu < 100, 100.0, mu)
    expansion = 0.5 * fnp.log(2 * math.pi * math.e * large) - 1 / (12 * large)
    return fnp.where(mu == 0, 0.0, fnp.where(small, terms, expansion))
