"""What programs of special functions share: elements one by one, sums until nothing changes.

In: arrays of floats. Out: the same dtype, computed in float64, as on CPUs. The one idea: a function
is written for one number, with loops that end when it is found, and mapped over the elements, so
that on a GPU each thread makes as many turns as its number needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial, wraps
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..api.forward import jvp
from ..api.mapping import vmap
from ..control.loops import while_loop
from ..core.composed import compose

# A term that is smaller than this part of a sum does not change it, nor does its derivative.
NEGLIGIBLE = 2.0**-60
ROUNDING = 2.0**-52
# Loops end in any case: what has not converged by then is not a number that a float can tell.
MOST = 100000
Scalar = Any


def elementwise(
    *names: str, narrow: Callable[..., Scalar] | None = None
) -> Callable[[Callable[..., Scalar]], Callable[..., Scalar]]:
    """Register a function of float64 or complex128 numbers as the program of these primitives.

    Args:
        narrow: what to take instead where the operands have at most half of the digits.
    """

    def register(function: Callable[..., Scalar]) -> Callable[..., Scalar]:
        @wraps(function)
        def program(*arrays: Any, **params: Any) -> Any:
            shape = np.broadcast_shapes(*(x.shape for x in arrays))
            dtype = arrays[0].dtype
            wide = dtype.itemsize // (2 if dtype.kind == "c" else 1) == 8
            chosen = function if narrow is None or wide else narrow
            # What is one number everywhere stays one: of a literal much is known beforehand.
            axes = tuple(0 if x.ndim or not shape else None for x in arrays)
            flat = [
                x.astype(_wide(x)) if axis is None else _flat(x, shape)
                for x, axis in zip(arrays, axes, strict=True)
            ]
            mapped = vmap(partial(chosen, **params), in_axes=axes)
            return mapped(*flat).reshape(shape).astype(dtype)

        compose(*names)(program)
        return function

    return register


def _flat(x: Any, shape: tuple[int, ...]) -> Any:
    return fnp.broadcast_to(x, shape).reshape(-1).astype(_wide(x))


def _wide(x: Any) -> Any:
    """The dtype that functions are computed in."""
    return np.complex128 if x.dtype.kind == "c" else np.float64


def summed(
    first: Scalar, following: Callable[[Scalar, Scalar], Scalar], wanted: Any = True
) -> Scalar:
    """first + t₁ + t₂ + ..., until terms no longer matter.

    Args:
        following: takes n = 1, 2, ... as a float and the term before, and gives tₙ.
        wanted: where it does not hold, the sum is not made.
    """

    def matters(state: Any) -> Any:
        n, term, total = state
        return (n < MOST) & (abs(term) > NEGLIGIBLE * abs(total))

    def turn(state: Any) -> Any:
        n, term, total = state
        term = following(n + 1.0, term)
        return n + 1.0, term, total + term

    first = fnp.where(wanted, first, 0.0)
    return while_loop(matters, turn, (fnp.zeros_like(first), first, first))[2]


def _away(x: Scalar) -> Scalar:
    """x, or something tiny that can be divided by."""
    return fnp.where(abs(x) < 1e-300, 1e-300, x)


def numbers_of_fraction(
    numerator: Scalar, denominator: Scalar, c: Scalar, d: Scalar
) -> tuple[Scalar, Scalar]:
    """Ratios of numerators, and of denominators, of one convergent and the one before."""
    return _away(denominator + numerator / c), 1.0 / _away(denominator + numerator * d)


def fraction(
    numerator: Callable[[Scalar], Scalar],
    denominator: Callable[[Scalar], Scalar],
    wanted: Any = True,
) -> Scalar:
    """b₀ + a₁/(b₁ + a₂/(b₂ + ...)), a and b being functions of n as a float.

    Source: Lentz's method as modified by Thompson & Barnett, J. Comput. Phys. 64 (1986).
    """

    def goes_on(state: Any) -> Any:
        n, _, _, _, change = state
        return (n < MOST) & (abs(change - 1.0) > ROUNDING) & wanted

    def turn(state: Any) -> Any:
        n, c, d, total, _ = state
        n = n + 1.0
        c, d = numbers_of_fraction(numerator(n), denominator(n), c, d)
        return n, c, d, total * (c * d), c * d

    first = _away(denominator(0.0))
    zero = fnp.zeros_like(first)
    return while_loop(goes_on, turn, (zero, first, zero, first, zero))[3]


def fraction_slope(
    p: Scalar,
    numerator: Callable[[Scalar, Scalar], Scalar],
    denominator: Callable[[Scalar, Scalar], Scalar],
    wanted: Any = True,
) -> tuple[Scalar, Scalar]:
    """A fraction whose terms depend on p too, and its derivative by p.

    A numerator that is 0 ends the fraction, not its derivative, which is waited for by itself.
    """

    def goes_on(state: Any) -> Any:
        n, _, _, (change, by_p) = state
        there = (abs(change - 1.0) <= ROUNDING) & (abs(by_p) <= ROUNDING)
        return (n < MOST) & ~there & wanted

    def turn(state: Any) -> Any:
        n, values, slopes, _ = state
        n = n + 1.0

        def step(p: Scalar, c: Scalar, d: Scalar, total: Scalar) -> Any:
            c, d = numbers_of_fraction(numerator(n, p), denominator(n, p), c, d)
            return c, d, total * (c * d), c * d

        found, moved = jvp(step, (p, *values), (one, *slopes))
        return n, found[:3], moved[:3], (found[3], moved[3])

    one, zero = fnp.ones_like(p), fnp.zeros_like(p)

    def beginning(p: Scalar) -> Scalar:
        return _away(denominator(0.0, p))

    first, by_p = jvp(beginning, (p,), (one,))
    start = (zero, (first, zero, first), (by_p, zero, by_p), (zero, one))
    _, (_, _, value), (_, _, slope), _ = while_loop(goes_on, turn, start)
    return value, slope


def polynomial(x: Scalar, coefficients: Any) -> Scalar:
    """Σ cₖ xᵏ."""
    total: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def is_whole(x: Scalar) -> Any:
    """Whether a float is a whole number."""
    return fnp.floor(x) == x


def bernoulli(count: int) -> list[Fraction]:
    """B₂, B₄, ..., B₂ₖ."""
    found = [Fraction(1)]
    for m in range(1, 2 * count + 1):
        total = sum((math.comb(m + 1, k) * b for k, b in enumerate(found)), Fraction(0))
        found.append(-total / (m + 1))
    return found[2::2]
