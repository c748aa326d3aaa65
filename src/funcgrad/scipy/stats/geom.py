"""The geometric distribution: the k-th trial is the first to succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...typing import Array, ArrayLike
from ..special import xlog1py
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpmf(
    k: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The logarithm of the probability of k."""
    k, p, loc = floats("geom.logpmf", k, p, loc)
    x = k - loc
    return fnp.where(x <= 0, -fnp.inf, xlog1py(x - 1, -p) + fnp.log(p))


def pmf(
    k: Shaped[ArrayLike, "*#shape"],
    p: Shaped[ArrayLike, "*#shape"],
    loc: Shaped[ArrayLike, "*#shape"] = 0,
) -> Array:
    """The probability of k."""
    return fnp.exp(logpmf(k, p, loc))
