"""Solving with tridiagonal matrices: elimination row by row, then the unknowns from the last on.

In: three diagonals and right-hand sides. Out: solutions, as LAPACK's gtsv, gttrf and gttrs give
them. The one idea: a row is known by its diagonal, what is right of it, and its right-hand side;
of this and the next row the one with the greater first entry eliminates that of the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control.scan import scan
from ..core.composed import compose


def _size(x: Any) -> Any:
    """What LAPACK compares: of complex numbers the sum of both parts."""
    return abs(x.real) + abs(x.imag) if x.dtype.kind == "c" else abs(x)


def _eliminated(row: Any, below: Any) -> Any:
    """What is left of two rows for the next step, and the row that is done."""
    pivot, right, b = row
    lower, next_pivot, next_right, next_b = below
    keep = _size(pivot) >= _size(lower)
    zero = fnp.zeros_like(pivot)
    # Where both are 0 the matrix is singular, and what is left stays.
    divisor = fnp.where(keep, pivot, lower)
    factor = fnp.where(keep, lower, pivot) / fnp.where(divisor == 0, 1, divisor)
    left = (
        fnp.where(keep, next_pivot - factor * right, right - factor * next_pivot),
        fnp.where(keep, next_right, -factor * next_right),
        fnp.where(keep, next_b - factor * b, b - factor * next_b),
    )
    done = (
        divisor,
        fnp.where(keep, right, next_pivot),
        fnp.where(keep, zero, next_right),
        fnp.where(keep, b, next_b),
    )
    return left, done


def _unknown(after: Any, row: Any) -> Any:
    """One unknown from the two behind it."""
    pivot, right, far, b = row
    x = (b - right * after[0] - far * after[1]) / pivot
    return (x, after[0]), x


def _perturbed(pivot: Any, *others: Any) -> Any:
    """Pivots that are not less than rounding of the largest entry of U."""
    largest = fnp.max(fnp.stack([abs(v) for v in (pivot, *others)]), (0, 1))
    info = np.finfo(pivot.dtype)
    size, least = abs(pivot), fnp.maximum(largest * info.eps, info.tiny)
    sign = fnp.where(size == 0, 1, pivot / fnp.where(size == 0, 1, size))
    return fnp.where(size < least, sign * least, pivot)


@compose("tridiagonal_solve")
def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool) -> Any:
    """The solutions; NaN where a matrix is singular."""
    # An element of the result has all that it needs, so that a turn is one in registers.
    lower, pivots, rights = (
        fnp.moveaxis(fnp.broadcast_to(v[..., None], b.shape), -2, 0) for v in (dl, d, du)
    )
    values = fnp.moveaxis(b, -2, 0)
    inner = fnp.concatenate([rights[:-1], fnp.zeros_like(rights[:1])])
    first = pivots[0], inner[0], values[0]
    left, done = scan(_eliminated, first, (lower[1:], pivots[1:], inner[1:], values[1:]))
    last = left[0], left[1], fnp.zeros_like(left[0]), left[2]
    pivot, right, far, values = (
        fnp.concatenate([v, end[None]]) for v, end in zip(done, last, strict=True)
    )
    if perturb_singular:
        pivot = _perturbed(pivot, right, far)
    zero = fnp.zeros_like(values[0])
    x = scan(_unknown, (zero, zero), (pivot, right, far, values), reverse=True)[1]
    x = fnp.where(fnp.any(pivot == 0, 0), np.array(np.nan, b.dtype), x)
    return fnp.moveaxis(x, 0, -2)
