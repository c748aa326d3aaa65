"""The Bernoulli distribution: 1 with probability p, 0 otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import xlog1py, xlogy
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpmf(
    k: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The logarithm of the probability of k."""
    k, p, loc = floats("bernoulli.logpmf", k, p, loc)
    x = k - loc
    value = xlogy(x, p) + xlog1py(1 - x, -p)
    return fnp.where((x < 0) | (x > 1), -fnp.inf, value)


def pmf(
    k: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of k."""
    return fnp.exp(logpmf(k, p, loc))


def cdf(k: Shaped[ArrayLike, "*#shape"], p: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The probability of a value of at most k."""
    k, p = floats("bernoulli.cdf", k, p)
    bad = fnp.isnan(k) | fnp.isnan(p) | (p < 0) | (p > 1)
    value = fnp.where(k < 0, 0.0, fnp.where(k < 1, 1 - p, 1.0))
    return fnp.where(bad, fnp.nan, value)


def ppf(q: Shaped[ArrayLike, "*#shape"], p: Shaped[ArrayLike, "*#shape"]) -> Array:
    """The value that is not exceeded with probability q."""
    q, p = floats("bernoulli.ppf", q, p)
    valid = (q >= 0) & (q <= 1) & (p >= 0) & (p <= 1)
    return fnp.where(valid, (q > 1 - p).astype(q.dtype), fnp.nan)
