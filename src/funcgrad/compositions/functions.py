"""The exponential of matrices.

In: matrices [..., n, n]. Out: what the CPU gives. The one idea: a rational function near 0, squared
as often as the matrix was halved.

Source: Higham, SIAM J. Matrix Anal. Appl. 26 (2005).
"""

from __future__ import annotations

import math
from typing import Any

from .. import numpy as fnp
from ..control.loops import while_loop
from ..core.composed import compose
from ..primitives.decompositions_lu import solve_square

# The degree of the rational function, and for matrices of how large a norm it is exact to rounding.
_SINGLE, _DOUBLE = (7, 3.925724783138660), (13, 5.371920351148152)


def _coefficients(degree: int) -> list[float]:
    """Of the numerator; those of the denominator have alternating signs."""
    count, whole = math.factorial(degree), math.factorial(2 * degree)
    return [
        math.factorial(2 * degree - k)
        * count
        / (math.factorial(degree - k) * math.factorial(k))
        / whole
        for k in range(degree + 1)
    ]


@compose("expm")
def expm(x: Any) -> Any:
    """The exponentials; NaN for matrices that are not finite."""
    n, real = x.shape[-1], x.real.dtype
    degree, reach = _SINGLE if real.itemsize == 4 else _DOUBLE
    finite = fnp.all(fnp.isfinite(x), (-2, -1), keepdims=True)
    safe = fnp.where(finite, x, 0)
    norm = fnp.max(fnp.sum(abs(safe), -2, keepdims=True), -1, keepdims=True)
    halvings = fnp.ceil(fnp.log2(fnp.maximum(norm / real.type(reach), 1)))
    small = safe * fnp.exp2(-halvings).astype(x.dtype)
    square = small @ small
    powers = [fnp.broadcast_to(fnp.eye(n, dtype=x.dtype), x.shape), square]
    powers += [square @ square]
    powers += [powers[2] @ square]
    odd, even = (_even_part(powers, _coefficients(degree)[k::2]) for k in (1, 0))
    odd = small @ odd
    found = solve_square(even - odd, even + odd)

    def turn(state: Any) -> Any:
        k, found = state
        return k + 1, fnp.where(k < halvings, found @ found, found)

    most = fnp.max(halvings)
    found = while_loop(lambda s: s[0] < most, turn, (real.type(0), found))[1]
    return fnp.where(finite, found, fnp.nan)


def _even_part(powers: list[Any], coefficients: list[float]) -> Any:
    """Σ cₖ x²ᵏ up to x⁶ or x¹², of the powers 1, x², x⁴ and x⁶."""
    scaled = [p * p.dtype.type(c) for p, c in zip(powers, coefficients[:4], strict=True)]
    high = [p * p.dtype.type(c) for p, c in zip(powers[1:], coefficients[4:], strict=False)]
    return sum(scaled) + powers[3] @ sum(high) if high else sum(scaled)


@compose("expm_frechet")
def expm_frechet(x: Any, e: Any) -> Any:
    """The derivative at x along e, a block of the exponential of [[x, e], [0, x]]."""
    n = x.shape[-1]
    below = fnp.concatenate([fnp.zeros_like(x), x], -1)
    return expm(fnp.concatenate([fnp.concatenate([x, e], -1), below], -2))[..., :n, n:]
