"""Operators of `lax` that are short formulas of others: log2, 1 - x², polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..control.custom_jvp import custom_jvp
from ..control.scan import scan
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir.avals import aval_of
from ..primitives.arithmetic import mul, sub
from ..primitives.broadcasting import broadcast_shapes, broadcast_to
from ..primitives.elementwise import constant_like
from ..primitives.transcendental import log
from .elementary import log_base
from .joining import stack
from .promotion import convert, to_array


def log2(x: Any, *, accuracy: Any = None) -> Any:
    """The logarithm of x to base 2.

    Raises:
        TypeError: x is neither of floats nor complex.
    """
    return log_base(log(x, accuracy=accuracy), 2.0)


@custom_jvp
def one_minus_square(x: Any) -> Any:
    """1 - x², as (1 + x) (1 - x), without cancellation near ±1; its derivative is -2x as it stands.

    Args:
        x: numbers other than booleans.
    """
    one = constant_like(x, 1)
    return mul(to_array(x) + one, sub(one, x))


@one_minus_square.defjvp
def _one_minus_square_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    return one_minus_square(x), mul(mul(constant_like(x, -2), x), dx)


def polynomial(x: Any, coeffs: Sequence[Any], *, unroll: int | None = None) -> Any:
    """a₀ + a₁ x + ... + aₙ xⁿ.

    Args:
        x: where; numbers.
        coeffs: a₀, a₁, ... aₙ, numbers or arrays of the rank of x that broadcast with it, which are
            taken to its dtype.
        unroll: how many terms stand in the program one after the other, 8 by default; beyond them
            it loops.
    Returns:
        The dtype of x and the common shape; zeros where there are no coefficients.
    Raises:
        TypeError: an array among the coefficients has another rank.
        ValueError: the shapes do not broadcast.
    Source: Horner's rule.
    """
    at = to_array(as_array(x))
    terms = [convert(to_array(as_array(a)), at.dtype) for a in coeffs]
    if any(a.ndim not in (0, at.ndim) for a in terms):
        raise TypeError(
            f"polynomial takes coefficients that are numbers or of the rank of x, got "
            f"{', '.join(aval_of(a).long() for a in terms)} for {aval_of(at).long()}.\n"
            f"  {user_line()}\n  Add axes of extent 1."
        )
    shape = broadcast_shapes(*(a.shape for a in (at, *terms)))
    if not terms:
        return at * 0
    if len(terms) <= (8 if unroll is None else unroll):
        result = terms[-1]
        for term in reversed(terms[:-1]):
            result = result * at + term
        return broadcast_to(result, shape)
    whole = stack([broadcast_to(term, shape) for term in reversed(terms)])
    at = broadcast_to(at, shape)
    return scan(lambda y, a: (y * at + a, None), whole[0], whole[1:], unroll=unroll or 8)[0]
