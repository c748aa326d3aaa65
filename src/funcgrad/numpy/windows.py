"""Windows: weights of M samples that fall off towards the ends; and i0, which one of them needs."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes
from ..primitives import special
from ..primitives.creation import iota
from ..typing import Array, ArrayLike
from .arithmetic import abs, sqrt
from .creation import ones
from .elementary import cos, exp
from .promotion import check_arraylike, promote_args_inexact, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _places(M: Any) -> tuple[int, Any]:
    """The number of samples, and 0, 1, ..., M - 1 where there are at least two."""
    size = operator.index(M)
    dtype = dtypes.canonicalize_dtype(float)
    return size, ones(max(size, 0), dtype) if size <= 1 else iota(dtype, size)


def _cosines(M: int, *weights: float) -> Any:
    """Σ wᵢ cos(2π i n / (M - 1))."""
    size, n = _places(M)
    if size <= 1:
        return n
    terms = [w * cos(2 * math.pi * i / (size - 1) * n) for i, w in enumerate(weights) if i]
    return sum(terms[1:], weights[0] + terms[0])


def bartlett(M: int) -> Array:
    """The triangle over M samples, 0 at both ends."""
    size, n = _places(M)
    return n if size <= 1 else 1 - abs(2 * n + 1 - size) / (size - 1)


def blackman(M: int) -> Array:
    """0.42 - 0.5 cos(2πn / (M - 1)) + 0.08 cos(4πn / (M - 1))."""
    return _cosines(M, 0.42, -0.5, 0.08)


def hamming(M: int) -> Array:
    """0.54 - 0.46 cos(2πn / (M - 1))."""
    return _cosines(M, 0.54, -0.46)


def hanning(M: int) -> Array:
    """0.5 - 0.5 cos(2πn / (M - 1))."""
    return _cosines(M, 0.5, -0.5)


def kaiser(M: int, beta: Shaped[ArrayLike, "..."]) -> Array:
    """I₀(β √(1 - (2n / (M - 1) - 1)²)) / I₀(β)."""
    check_arraylike("kaiser", beta)
    size, n = _places(M)
    if size <= 1:
        return n
    half = 0.5 * (size - 1)
    return i0(to_array(beta) * sqrt(1 - ((n - half) / half) ** 2)) / i0(beta)


def i0(x: Shaped[ArrayLike, "..."]) -> Array:
    """I₀(x), the modified Bessel function of order 0.

    Raises:
        ValueError: x is complex.
    """
    (value,) = map(to_array, promote_args_inexact("i0", x))
    if not dtypes.issubdtype(value.dtype, np.floating):
        raise ValueError(f"i0 takes real numbers, got {dtypes.short_name(value.dtype)}.")
    return exp(abs(value)) * special.bessel_i0e(value)
