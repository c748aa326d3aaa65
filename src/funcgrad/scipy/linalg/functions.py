"""Functions of matrices: exponentials, roots, polar factors, and any other by Schur's form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ... import numpy as fnp
from ...control.custom_jvp import custom_jvp
from ...core.sources import user_line
from ...ir import dtypes
from ...lax.qdwh import qdwh
from ...primitives.decompositions_svd import svd
from ...primitives.matrices import adjoint, columns_times, hermitian_part, product
from ...primitives.matrix_functions import expm_frechet_p, expm_p, sqrtm_p, sylvester_p
from ...typing import Array
from .eigen import rsf2csf, schur
from .operands import arrays, square

# The 1-norm up to which Padé's approximation of the exponential needs no scaling.
# Source: Higham, SIAM J. Matrix Anal. Appl. 26 (2005), table 2.3.
_unscaled = {np.dtype(np.float32): 3.925724783138660, np.dtype(np.float64): 5.371920351148152}


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Array:
    """The exponential Σ Aᵏ / k! of square matrices; smooth everywhere.

    Args:
        upper_triangular: A is upper triangular; accepted, and of no effect.
        max_squarings: the result is NaN for matrices so large that their exponential needs to be
            squared more often; a norm above about 5 · 2^max_squarings.
    Returns:
        [..., n, n].
    Raises:
        ValueError: A is not square.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.linalg import expm
    >>> expm(fnp.zeros((2, 2)))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    (x,) = arrays(A)
    square("expm", x)
    real = dtypes.to_floating_dtype(x.dtype)
    size = fnp.linalg.norm(x, 1, axis=(-2, -1)) if x.size else fnp.zeros(x.shape[:-2], real)
    limit = _unscaled.get(real, 4.0) * 2.0 ** (max_squarings + 1)
    return fnp.where(
        (size >= limit)[..., None, None], fnp.asarray(fnp.nan, x.dtype), expm_p.bind(x)
    )


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """The exponential of A, and its derivative along E.

    Args:
        method: accepted, and of no effect.
        compute_expm: return both; else the derivative alone.
    Returns:
        (expm(A), L(A, E)), or L(A, E); each [..., n, n].
    Raises:
        ValueError: the matrices are not square, or of different shapes.
    """
    x, e = arrays(A, E)
    square("expm_frechet", x)
    if x.shape != square("expm_frechet", e).shape:
        raise ValueError(f"expected A and E to be the same shape, got {x.shape} and {e.shape}.")
    moved = expm_frechet_p.bind(x, e)
    return (expm_p.bind(x), moved) if compute_expm else moved


def sqrtm(A: Any, blocksize: int = 1) -> Array:
    """The principal square root of square matrices, complex in any case.

    Args:
        blocksize: 1.
    Returns:
        X [..., n, n] with X X = A. Its derivative is infinite or NaN where A is singular.
    Raises:
        ValueError: A is not square, or blocksize is not 1.
    """
    if blocksize > 1:
        raise ValueError(f"sqrtm works without blocks; got blocksize={blocksize}. Leave it out.")
    (x,) = arrays(A)
    return sqrtm_p.bind(square("sqrtm", x).astype(dtypes.to_complex_dtype(x.dtype)))


def funm(A: Any, func: Callable[[Array], Array], disp: bool = True) -> Any:
    """A function of a matrix, from a function of its eigenvalues.

    Inexact where eigenvalues lie close together, and not differentiable, as Schur's form is not.

    Args:
        A: one square matrix [n, n].
        func: takes and returns an array [n].
        disp: False for an estimate of the relative error too.
    Returns:
        f(A) [n, n], complex, or (f(A), error); real where func and A are and A is symmetric enough
        only to the eye, so complex in any case.
    Raises:
        ValueError: A is not one square matrix.
    Source: Golub & Van Loan, Matrix Computations, algorithm 11.1.1.
    """
    (x,) = arrays(A)
    if x.ndim != 2 or x.shape[0] != x.shape[1]:
        raise ValueError(f"expected one square matrix, got shape {x.shape}.")
    t, z = rsf2csf(*schur(x))
    values = fnp.diag(t)
    result, least = _recurrence(t, fnp.diag(func(values).astype(t.dtype)))
    out = product(z, result, adjoint(z))
    if disp:
        return out
    eps = float(dtypes.finfo(out.dtype).eps)
    least = fnp.where(least == 0, eps, least)
    error = fnp.clip(eps / least * fnp.linalg.norm(fnp.triu(t, 1), 1), eps, 1)
    return out, fnp.where(fnp.isinf(out).any(), fnp.inf, error)


def _recurrence(t: Any, f: Any) -> tuple[Any, Any]:
    """f(t) of a triangle, diagonal after diagonal, and the least distance of eigenvalues.

    t f = f t gives entry (i, j) from those between it and the diagonal.
    """
    strict, values = fnp.triu(t, 1), fnp.diag(t)
    least = abs(values[0]) if values.shape[0] else fnp.asarray(0.0)
    for k in range(1, t.shape[0]):
        known, ends = fnp.triu(f, 1), fnp.diag(f)
        inner = fnp.diagonal(strict @ known - known @ strict, k)
        rest = fnp.diagonal(t, k) * (ends[k:] - ends[:-k]) + inner
        gaps = values[k:] - values[:-k]
        f = f + fnp.diag(fnp.where(gaps == 0, rest, rest / fnp.where(gaps == 0, 1, gaps)), k)
        least = fnp.minimum(least, abs(gaps).min())
    return f, least


def polar(
    a: Any,
    side: str = "right",
    *,
    method: str = "qdwh",
    eps: float | None = None,
    max_iterations: int | None = None,
) -> tuple[Array, Array]:
    """A unitary and a hermitian semidefinite factor: a = u p, or a = p u for side "left".

    Degenerate where a does not have full rank: u is not unique there, and its derivative infinite
    or NaN.

    Args:
        a: [..., m, n].
        method: "qdwh" or "svd", how they are found. Matrices with more columns than rows for
            "right", or more rows for "left", are taken by "svd" in any case.
        eps, max_iterations: as in `lax.linalg.qdwh`.
    Returns:
        u [..., m, n], and p [..., n, n], or [..., m, m] for "left".
    Raises:
        ValueError: a is no matrix, or side or method is unknown.
    """
    (x,) = arrays(a)
    if x.ndim < 2:
        raise ValueError(f"polar takes matrices [..., m, n], got shape {x.shape}.\n  {user_line()}")
    if side not in ("right", "left") or method not in ("qdwh", "svd"):
        raise ValueError(
            f"polar takes side 'right' or 'left' and method 'qdwh' or 'svd', got {side!r} and "
            f"{method!r}."
        )
    x = x if side == "right" else adjoint(x)
    if x.shape[-2] < x.shape[-1]:
        u, p = _by_singular_values(x)
    else:
        u, p = _polar(x, method, eps, max_iterations)
    return (u, p) if side == "right" else (adjoint(u), p)


def _by_singular_values(x: Any) -> tuple[Any, Any]:
    u, s, vh = svd(x, full_matrices=False)
    return product(u, vh), hermitian_part(product(columns_times(adjoint(vh), s), vh))


@partial(custom_jvp, nondiff_argnums=(1, 2, 3))
def _polar(x: Any, method: str, eps: float | None, most: int | None) -> tuple[Any, Any]:
    """u p = x for at least as many rows as columns."""
    if method == "svd" or not x.size:
        return _by_singular_values(x)

    def one(matrix: Any) -> tuple[Any, Any]:
        return qdwh(matrix, eps=eps, max_iterations=most)[:2]

    return fnp.vectorize(one, signature="(m,n)->(m,n),(n,n)")(x)


@_polar.defjvp
def _polar_jvp(
    method: str, eps: float | None, most: int | None, primals: Any, tangents: Any
) -> tuple[Any, Any]:
    # dx = du p + u dp. With uᴴ du = w antihermitian, w p + p w = uᴴ dx − dxᴴ u.
    (x,), (dx,) = primals, tangents
    u, p = _polar(x, method, eps, most)
    inner = product(adjoint(u), dx)
    w = sylvester_p.bind(p, p, inner - adjoint(inner))
    outside = dx - product(u, inner)
    du = product(u, w) + adjoint(fnp.linalg.solve(p, adjoint(outside)))
    return (u, p), (du, hermitian_part(inner - product(w, p)))
