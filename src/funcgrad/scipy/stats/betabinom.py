"""The binomial distribution of n trials whose probability is beta-distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import betaln
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpmf(
    k: Shaped[ArrayLike, "*#shape"],
    n: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The logarithm of the probability of k."""
    k, n, a, b, loc = floats("betabinom.logpmf", k, n, a, b, loc)
    y = fnp.floor(k) - loc
    ways = -fnp.log1p(n) - betaln(n - y + 1, y + 1)
    value = ways + betaln(y + a, n - y + b) - betaln(a, b)
    value = fnp.where((y == 0) & (n == 0), 0.0, value)
    value = fnp.where((y < -loc) | (y > n) | (y + a <= 0), -fnp.inf, value)
    return fnp.where((n < 0) | (a <= 0) | (b <= 0), fnp.nan, value)


def pmf(
    k: Shaped[ArrayLike, "*#shape"],
    n: Shaped[ArrayLike, "*#shape"],
    a: Shaped[ArrayLike, "*#shape"],
    b: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of k."""
    return fnp.exp(logpmf(k, n, a, b, loc))
