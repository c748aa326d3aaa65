"""Determinants, as numbers and as signs with logarithms.

The one idea: d det(a) = det(a) · tr(a⁻¹ da), in which det(a) · a⁻¹ is a polynomial of the entries
and so exists for singular matrices too. There a pivot that is zero is moved by rounding, which
moves the polynomial by rounding.
Source: Golub & Van Loan, Matrix Computations, section 3.4, for the factors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..control.custom_jvp import custom_jvp
from ..ir import dtypes
from ..primitives.complexes import conj
from ..primitives.decompositions_lu import lu
from ..primitives.decompositions_qr import geqrf
from ..primitives.matrices import diagonal_of, identity_like, lower_part, taken
from ..primitives.rounding import stop_gradient
from ..primitives.sorting import sort_key_val
from ..typing import Array, ArrayLike
from . import arithmetic, diagonals, elementary, extremes, reductions, selection
from .decompositions import inexact
from .promotion import dtype_of
from .solvers import solve

if TYPE_CHECKING:
    from jaxtyping import Shaped


class SlogdetResult(NamedTuple):
    """Sign of the determinant, or its phase, and the logarithm of its absolute value."""

    sign: Array
    logabsdet: Array


def _check_square(name: str, x: Any) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"Argument to {name}() must have shape [..., n, n], got {x.shape}.")


def _parity(pivots: Any) -> Any:
    """1 or −1: whether an even or odd number of rows were exchanged."""
    moved = reductions.count_nonzero(pivots != np.arange(pivots.shape[-1], dtype=np.int32), -1)
    return 1 - 2 * (moved % 2)


def _by_expansion(x: Any) -> Any:
    """The determinant of matrices of at most three rows, by their entries."""
    n = x.shape[-1]
    a = [[x[..., i, j] for j in range(n)] for i in range(n)]
    if n == 2:
        return a[0][0] * a[1][1] - a[0][1] * a[1][0]
    return (
        a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1])
        - a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0])
        + a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0])
    )


@custom_jvp
def _det(x: Any) -> Any:
    factor, pivots, _ = lu(x)
    return reductions.prod(diagonal_of(factor), -1) * _parity(pivots).astype(x.dtype)


@_det.defjvp
def _det_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    near = x + stop_gradient(_nudge(stop_gradient(x)))
    return _det(x), _det(near) * diagonals.trace(solve(near, dx), 0, -2, -1)


def _nudge(x: Any) -> Any:
    """What to add to x so that pivots that are zero are as large as rounding of the others."""
    factor, _, order = lu(x)
    pivots = diagonal_of(factor)
    largest = extremes.max(abs(pivots), -1, keepdims=True)
    size = selection.where(largest == 0, 1, largest) * dtypes.finfo(x.dtype).eps
    moved = selection.where(pivots == 0, size, 0).astype(x.dtype)
    lower = lower_part(factor, -1) + identity_like(factor)
    # x[order] = L U, and row i of U moves by its pivot alone.
    _, inverse = sort_key_val(
        order, np.broadcast_to(np.arange(x.shape[-1], dtype=np.int32), order.shape)
    )
    return taken(lower * moved[..., None, :], inverse, 2)


def det(a: Shaped[ArrayLike, "*batch n n"]) -> Array:
    """The determinant of square matrices, [...].

    The derivative exists everywhere, at singular matrices too. Second derivatives of matrices of
    four rows and more lose digits near singular ones.

    Raises:
        ValueError: a is not square.

    >>> import funcgrad as fg
    >>> fg.grad(fg.numpy.linalg.det)(fg.numpy.array([[1.0, 2.0], [2.0, 4.0]]))
    Array([[ 4., -2.],
           [-2.,  1.]], dtype=float32)
    """
    (x,) = inexact("det", a)
    _check_square("det", x)
    return _by_expansion(x) if x.shape[-1] in (2, 3) else _det(x)


def slogdet(a: Shaped[ArrayLike, "*batch n n"], *, method: str | None = None) -> SlogdetResult:
    """Sign and logarithm of the absolute value of determinants: det(a) = sign · exp(logabsdet).

    Of a singular matrix they are 0 and −inf, and the derivative is infinite or NaN.

    Args:
        method: "lu", by default, or "qr": how the determinant is found.
    Returns:
        SlogdetResult(sign [...], logabsdet [...], real).
    Raises:
        ValueError: a is not square, or the method is unknown.
    """
    (x,) = inexact("slogdet", a)
    _check_square("slogdet", x)
    if method not in (None, "lu", "qr"):
        raise ValueError(f"Unknown slogdet method {method!r}. Give 'lu' or 'qr'.")
    return SlogdetResult(*(_slogdet_qr(x) if method == "qr" else _slogdet_lu(x)))


@custom_jvp
def _slogdet_lu(x: Any) -> tuple[Any, Any]:
    factor, pivots, _ = lu(x)
    return _of_diagonal(diagonal_of(factor), _parity(pivots).astype(x.dtype))


@custom_jvp
def _slogdet_qr(x: Any) -> tuple[Any, Any]:
    packed, taus = geqrf(x)
    # A reflection that is not the identity has the determinant −τ / conj(τ).
    still = taus == 0
    turns = selection.where(still, 1, -taus / conj_of(selection.where(still, 1, taus)))
    return _of_diagonal(diagonal_of(packed), reductions.prod(turns, -1).astype(x.dtype))


def conj_of(x: Any) -> Any:
    """The complex conjugate; real x as it is."""
    return conj(x) if dtype_of(x).kind == "c" else x


def _of_diagonal(diagonal: Any, sign: Any) -> tuple[Any, Any]:
    """Sign and logarithm of the product of a diagonal, and of a sign."""
    signs = reductions.prod(arithmetic.sign(diagonal), -1)
    return sign * signs, reductions.sum(elementary.log(abs(diagonal)), -1)


def _slogdet_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    sign, logabsdet = _slogdet_lu(x)
    moved = diagonals.trace(solve(x, dx), 0, -2, -1)
    if dtype_of(x).kind != "c":
        return (sign, logabsdet), (sign * 0, moved)
    turned = (moved - moved.real.astype(moved.dtype)) * sign
    return (sign, logabsdet), (turned, moved.real)


_slogdet_lu.defjvp(_slogdet_jvp)
_slogdet_qr.defjvp(_slogdet_jvp)
