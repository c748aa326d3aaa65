"""The negative binomial distribution: k trials fail before n succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import gammaln, xlogy
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
    k, n, p, loc = floats("nbinom.logpmf", k, n, p, loc)
    y = k - loc
    ways = gammaln(y + n) - gammaln(n) - gammaln(y + 1)
    value = ways + xlogy(n, p) + xlogy(y, 1 - p)
    return fnp.where(k < loc, -fnp.inf, value)


def pmf(
    k: Shaped[ArrayLike, "*#shape"],
    n: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of k."""
    return fnp.exp(logpmf(k, n, p, loc))
