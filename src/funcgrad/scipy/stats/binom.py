"""The binomial distribution: k of n trials succeed, each with probability p."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammaln, xlog1py, xlogy
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpmf(
    k: Shaped[ArrayLike, "*#shape"],
    n: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The logarithm of the probability of k."""
    k, n, p, loc = floats("binom.logpmf", k, n, p, loc)
    y = k - loc
    ways = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    value = ways + xlogy(y, p) + xlog1py(n - y, -p)
    value = fnp.where((y == 0) & (n == 0), 0.0, value)
    return fnp.where((k < loc) | (k > n + loc), -fnp.inf, value)


def pmf(
    k: Shaped[ArrayLike, "*#shape"],
    n: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of k."""
    return fnp.exp(logpmf(k, n, p, loc))
