"""The multinomial distribution: n things fall into bins with probabilities p, x of them in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import numpy as fnp
from ...core.sources import user_line
from ...numpy.promotion import dtype_of, promote_args_numeric, to_array
from ...typing import Array, ArrayLike
from ..special import gammaln, xlogy
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


def logpmf(
    x: Shaped[ArrayLike, "*#batch bins"],
    n: Shaped[ArrayLike, "*#batch"],
    p: Shaped[ArrayLike, "*#batch bins"],
) -> Array:
    """The logarithm of the probability of the counts x.

    Raises:
        ValueError: x or n is not made of integers.
    """
    (probabilities,) = floats("multinomial.logpmf", p)
    counts, total = (to_array(v) for v in promote_args_numeric("multinomial.logpmf", x, n))
    if dtype_of(counts).kind not in "iu":
        raise ValueError(
            f"x and n must be of integer type: multinomial got {dtype_of(x)} and {dtype_of(n)}.\n"
            f"  {user_line()}\n  Convert them with astype."
        )
    k, size = counts.astype(probabilities.dtype), total.astype(probabilities.dtype)
    value = gammaln(size + 1) + (xlogy(k, probabilities) - gammaln(k + 1)).sum(axis=-1)
    return fnp.where(k.sum(axis=-1) == size, value, -fnp.inf)


def pmf(
    x: Shaped[ArrayLike, "*#batch bins"],
    n: Shaped[ArrayLike, "*#batch"],
    p: Shaped[ArrayLike, "*#batch bins"],
) -> Array:
    """The probability of the counts x."""
    return fnp.exp(logpmf(x, n, p))
