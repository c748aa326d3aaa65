"""Functions of complex numbers: the logarithm of Γ, and its derivative.

In: complex128 numbers. Out: the same. The one idea: far out an asymptotic series, which recurrences
and reflections lead to. Both are found for the upper half-plane, the other being conjugate.

Sources: Hare, J. Algorithms 25 (1997); DLMF 5.5.2, 5.5.4, 5.7.3, 5.11.1-2.
"""

from __future__ import annotations

import math
from typing import Any

from .. import numpy as fnp
from ..primitives.complexes import complex as joined
from .elements import bernoulli, elementwise, is_whole, polynomial

Scalar = Any
_BERNOULLI = [float(b) for b in bernoulli(12)]
_UNKNOWN = complex(math.nan, math.nan)


def _upper(z: Scalar) -> tuple[Scalar, Any]:
    """The number or its conjugate, not below the real axis, and whether it is the conjugate."""
    below = fnp.signbit(z.imag)
    return joined(z.real, abs(z.imag)), below


def _conjugate(z: Scalar, where: Any) -> Scalar:
    return fnp.where(where, fnp.conj(z), z)


def _is_pole(z: Scalar) -> Any:
    """Whether Γ has a pole there."""
    return (z.imag == 0.0) & (z.real <= 0.0) & is_whole(z.real)


def _over(z: Scalar) -> Scalar:
    """z less the whole number next to its real part."""
    return joined(z.real - fnp.round(z.real), z.imag)


# The gamma function.


def _stirling(z: Scalar) -> Scalar:
    """log Γ(z) far from 0 and from the negative axis."""
    inverse = 1.0 / z
    terms = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI[:9], 1)]
    rest = inverse * polynomial(inverse * inverse, terms)
    return (z - 0.5) * fnp.log(z) - z + 0.5 * math.log(2.0 * math.pi) + rest


def _near_one(u: Scalar) -> Scalar:
    """log Γ(1 + u) of small u."""
    import scipy.special as functions  # pyright: ignore[reportMissingTypeStubs]

    special: Any = functions
    terms = [(-1) ** k * float(special.zeta(k)) / k for k in range(2, 25)]
    return u * (-float(fnp.euler_gamma) + u * polynomial(u, terms))


@elementwise("loggamma")
def loggamma(z: Scalar) -> Scalar:
    """log Γ(z), continuous off the negative real axis."""
    given = z
    z, below = _upper(z)
    high = z.imag > 7.0
    left = (z.real < 0.1) & ~high
    # log Γ(z) = log π - log sin πz - log Γ(1 - z): there the conjugate of 1 - z lies above.
    w = fnp.where(left, joined(1.0 - z.real, z.imag), z)
    ends = abs(w - 1.0) <= 0.2, abs(w - 2.0) <= 0.2
    u = fnp.where(ends[0], w - 1.0, fnp.where(ends[1], w - 2.0, 0.0))
    near = _near_one(u) + fnp.where(ends[1], fnp.log1p(u), 0.0)
    product, turns, far = fnp.ones_like(w), fnp.zeros_like(w.real), w
    for _ in range(8):
        on = (far.real <= 7.0) & ~high
        following = product * far
        # Its angle grows by a quarter of a turn at most.
        over = on & (following.imag < 0.0) & (product.imag >= 0.0)
        turns = turns + fnp.where(over, 1.0, 0.0)
        product, far = fnp.where(on, following, product), fnp.where(on, far + 1.0, far)
    less = fnp.log(product)
    out = _stirling(far) - joined(less.real, less.imag + 2.0 * math.pi * turns)
    out = fnp.where(ends[0] | ends[1], near, out)
    whole = fnp.round(z.real)
    sine = fnp.sin(math.pi * _over(z))
    sine = fnp.where(fnp.fmod(whole, 2.0) == 0.0, sine, -sine)
    angle = 2.0 * math.pi * fnp.floor(0.5 * z.real + 0.25)
    reflected = math.log(math.pi) - fnp.log(sine) - fnp.conj(out)
    reflected = joined(reflected.real, reflected.imag + angle)
    out = _conjugate(fnp.where(left, reflected, out), below)
    return fnp.where(_is_pole(given), _UNKNOWN, out)


@elementwise("complex_digamma")
def complex_digamma(z: Scalar) -> Scalar:
    """ψ(z)."""
    given = z
    z, below = _upper(z)
    left = z.real < 0.0
    w = fnp.where(left, joined(1.0 - z.real, z.imag), z)
    less = fnp.zeros_like(w)
    for _ in range(9):
        on = abs(w) < 8.0
        less = fnp.where(on, less + 1.0 / w, less)
        w = fnp.where(on, w + 1.0, w)
    inverse = 1.0 / w
    square = inverse * inverse
    terms = [b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)]
    rest = 0.5 * inverse + square * polynomial(square, terms)
    out = fnp.log(w) - fnp.where(abs(w) == fnp.inf, 0.0, rest) - less
    # ψ(z) = ψ(1 - z) - π cot πz
    place = fnp.where(left, _over(z), 0.25)
    reflected = fnp.conj(out) - math.pi / fnp.tan(math.pi * place)
    out = _conjugate(fnp.where(left, reflected, out), below)
    return fnp.where(_is_pole(given), _UNKNOWN, out)
