"""Decompositions of matrices in NumPy's order of results: `numpy.linalg`'s cholesky to eigvals.

In: arrays [..., m, n], promoted to floats. Out: factors, as named tuples. What the derivatives are
where they degenerate is said at the functions of `lax.linalg` that these call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ir.avals import aval_of
from ..primitives import (
    decompositions_qr,
    decompositions_spectral,
    decompositions_svd,
    factor,
)
from ..primitives.creation import broadcasted_iota
from ..primitives.matrices import adjoint, columns_times, swap, taken
from ..primitives.movement import rev
from ..primitives.sorting import sort
from ..typing import Array, ArrayLike
from .arithmetic import sign
from .promotion import check_arraylike, promote_dtypes_inexact, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped


class EigResult(NamedTuple):
    """Eigenvalues [..., n] and eigenvectors [..., n, n], in columns."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """Ascending real eigenvalues [..., n] and eigenvectors [..., n, n], in columns."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """Orthonormal columns Q [..., m, k] and a triangle R [..., k, n]."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """Left vectors U, descending singular values S, and the adjoint Vh of the right vectors."""

    U: Array
    S: Array
    Vh: Array


def inexact(name: str, *args: Any) -> list[Any]:
    """Operands as arrays of one inexact dtype."""
    check_arraylike(f"linalg.{name}", *args)
    return [to_array(x) for x in promote_dtypes_inexact(*args)]


def cholesky(
    a: Shaped[ArrayLike, "*batch n n"], *, upper: bool = False, symmetrize_input: bool = True
) -> Array:
    """L lower triangular with L Lᴴ = a, for a hermitian and positive definite.

    Args:
        upper: return Lᴴ.
        symmetrize_input: take the hermitian part of a; else its lower triangle is read.
    Returns:
        [..., n, n]; NaN for matrices that are not positive definite.
    Raises:
        ValueError: a is not square.

    >>> import funcgrad.numpy as fnp
    >>> fnp.linalg.cholesky(fnp.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    (x,) = inexact("cholesky", a)
    lower = factor.cholesky(x, symmetrize_input=symmetrize_input)
    return adjoint(lower) if upper else lower


def qr(a: Shaped[ArrayLike, "*batch m n"], mode: str = "reduced") -> Any:
    """Orthonormal columns times a triangle: a = Q R.

    Args:
        mode: "reduced", k = min(m, n) columns; "complete", k = m; "r", R alone; "raw", the
            reflections as LAPACK keeps them, transposed, and their factors.
    Returns:
        QRResult(Q [..., m, k], R [..., k, n]); [..., k, n] for "r".
    Raises:
        ValueError: a is no matrix, or the mode is unknown.
    """
    (x,) = inexact("qr", a)
    if mode == "raw":
        packed, taus = decompositions_qr.geqrf(x)
        return QRResult(swap(packed), taus)
    if mode not in ("reduced", "r", "full", "complete"):
        raise ValueError(
            f"Unsupported QR decomposition mode {mode!r}. Give 'reduced', 'complete', 'r' or 'raw'."
        )
    q, r = decompositions_qr.qr(x, full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def svd(
    a: Shaped[ArrayLike, "*batch m n"],
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """Singular value decomposition: a = U diag(S) Vh, S ≥ 0 descending.

    Args:
        full_matrices: U [..., m, m] and Vh [..., n, n]; else [..., m, k] and [..., k, n] with
            k = min(m, n).
        compute_uv: False for S alone.
        hermitian: a is hermitian, and its eigenvectors serve.
        subset_by_index: (start, stop), a range of the singular values; not with full_matrices.
            With `hermitian` a range of the ascending eigenvalues.
    Returns:
        SVDResult(U, S, Vh), or S [..., k].
    Raises:
        ValueError: a is no matrix, or the range is none.
    """
    (x,) = inexact("svd", a)
    if hermitian:
        return _hermitian_svd(x, compute_uv, subset_by_index)
    out = decompositions_svd.svd(
        x, full_matrices=full_matrices, compute_uv=compute_uv, subset_by_index=subset_by_index
    )
    return SVDResult(*out) if compute_uv else out


def _hermitian_svd(x: Any, compute_uv: bool, subset: tuple[int, int] | None) -> Any:
    """Eigenvectors in the order of descending |w|; the signs of w go to the right vectors."""
    v, w = decompositions_spectral.eigh(x, subset_by_index=subset)
    last = w.ndim - 1
    if not compute_uv:
        return rev(sort(abs(w), last), (last,))
    places = broadcasted_iota(np.int32, aval_of(w).shape, last)
    _, places, w = sort((abs(w), places, w), last, num_keys=1)
    places, w = rev(places, (last,)), rev(w, (last,))
    u = taken(v, places, 1)
    return SVDResult(u, abs(w), adjoint(columns_times(u, sign(w))))


def svdvals(x: Shaped[ArrayLike, "*batch m n"], /) -> Array:
    """The singular values [..., min(m, n)], descending.

    Raises:
        ValueError: x is no matrix.

    >>> import funcgrad.numpy as fnp
    >>> fnp.linalg.svdvals(fnp.array([[3.0, 0.0], [0.0, -4.0]]))
    Array([4., 3.], dtype=float32)
    """
    return svd(x, compute_uv=False)


def _reads_lower(uplo: str | None) -> bool:
    if uplo not in (None, "L", "U"):
        raise ValueError(f"UPLO must be one of None, 'L', or 'U', got {uplo!r}.")
    return uplo != "U"


def eigh(
    a: Shaped[ArrayLike, "*batch n n"], UPLO: str | None = None, symmetrize_input: bool = True
) -> EighResult:
    """Eigenvalues, ascending, and eigenvectors of hermitian matrices: a v = v diag(w).

    Args:
        UPLO: the triangle that is read where the input is not symmetrized: "L", by default, or "U".
        symmetrize_input: take the hermitian part of a.
    Returns:
        EighResult(w [..., n], v [..., n, n]).
    Raises:
        ValueError: a is not square, or UPLO is neither.
    """
    (x,) = inexact("eigh", a)
    v, w = decompositions_spectral.eigh(
        x, lower=_reads_lower(UPLO), symmetrize_input=symmetrize_input
    )
    return EighResult(w, v)


def eigvalsh(
    a: Shaped[ArrayLike, "*batch n n"], UPLO: str | None = "L", *, symmetrize_input: bool = True
) -> Array:
    """The eigenvalues of hermitian matrices [..., n], ascending; see `eigh`.

    >>> import funcgrad.numpy as fnp
    >>> fnp.linalg.eigvalsh(fnp.array([[2.0, 0.0], [0.0, 1.0]]))
    Array([1., 2.], dtype=float32)
    """
    return eigh(a, UPLO, symmetrize_input).eigenvalues


def eig(a: Shaped[ArrayLike, "*batch n n"]) -> EigResult:
    """Eigenvalues and right eigenvectors of square matrices, complex in any case.

    The eigenvectors have norm 1. They are not differentiated; `eigvals` is, and
    `lax.linalg.eig` can be told that eigenvectors may be.

    Returns:
        EigResult(w [..., n], v [..., n, n]).
    Raises:
        ValueError: a is not square.
    """
    (x,) = inexact("eig", a)
    return EigResult(*decompositions_spectral.eig(x, compute_left_eigenvectors=False))


def eigvals(a: Shaped[ArrayLike, "*batch n n"]) -> Array:
    """The eigenvalues of square matrices [..., n], complex in any case, in LAPACK's order.

    Raises:
        ValueError: a is not square.
    """
    (x,) = inexact("eigvals", a)
    return decompositions_spectral.eig(
        x, compute_left_eigenvectors=False, compute_right_eigenvectors=False
    )[0]
