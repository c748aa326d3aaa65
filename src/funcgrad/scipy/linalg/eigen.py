"""Eigenvalues and similar forms in SciPy's order of results."""

from __future__ import annotations

from functools import partial
from typing import Any

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir import dtypes
from ...primitives import decompositions_reduced, decompositions_spectral
from ...primitives.broadcasting import broadcast_shapes
from ...primitives.decompositions_qr import householder_product
from ...primitives.factor import cholesky, triangular_solve
from ...primitives.matrices import adjoint, hermitian_part, upper_part
from ...typing import Array
from .operands import arrays, spread, square


def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: None = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues, ascending, and eigenvectors of hermitian matrices, or of pairs: a v = v diag(w).

    The hermitian parts of a and b are taken, so that `lower` changes nothing.

    Args:
        b: positive definite [..., n, n], whose leading axes broadcast with those of a.
        eigvals_only: return w alone.
        type: of the problem of a pair: 1 for a v = b v diag(w), 2 for a b v = v diag(w), 3 for
            b a v = v diag(w).
    Returns:
        (w [..., n], v [..., n, n]), or w. Of a pair vᴴ b v = 1, and vᴴ b⁻¹ v = 1 for type 3; NaN
        where b is not positive definite.
    Raises:
        ValueError: a or b is not square, they differ in rows, type is none of those or asked for
            without b, or a range is asked for.
    Source: Golub and Van Loan, Matrix Computations (2013), 8.7.2: by the Cholesky factor of b.
    """
    if eigvals is not None or type not in (1, 2, 3) or (b is None and type != 1):
        raise ValueError(
            f"eigh takes eigvals=None, and type 1, or 2 or 3 with b; got eigvals={eigvals!r}, "
            f"type={type!r}.\n  {user_line()}"
        )
    if b is None:
        (x,) = arrays(a)
        v, w = decompositions_spectral.eigh(x, lower=lower)
        return w if eigvals_only else (w, v)
    x, y = arrays(a, b)
    if x.shape[-1:] != y.shape[-1:]:
        raise ValueError(
            f"eigh takes a and b of as many rows, got shapes {x.shape} and {y.shape}.\n"
            f"  {user_line()}"
        )
    lead = broadcast_shapes(square("eigh", x).shape[:-2], square("eigh", y).shape[:-2])
    x, factor = spread(hermitian_part(x), lead), cholesky(spread(y, lead))
    solve = partial(triangular_solve, factor, lower=True)
    solve_adjoint = partial(solve, transpose_a=True, conjugate_a=True)
    if type == 1:
        one = solve_adjoint(solve(x, left_side=True))  # l⁻¹ a l⁻ᴴ
    else:
        one = fnp.matmul(fnp.matmul(adjoint(factor), x), factor)  # lᴴ a l
    u, w = decompositions_spectral.eigh(one)
    if eigvals_only:
        return w
    return w, fnp.matmul(factor, u) if type == 3 else solve_adjoint(u, left_side=True)


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: tuple[float | int, float | int] | None = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """Eigenvalues, ascending, and eigenvectors of a hermitian matrix with three diagonals.

    Found from the whole matrix, in O(n³), and differentiable as those of `eigh` are.

    Args:
        d: the diagonal [n], of which the real part counts.
        e: the upper diagonal [n − 1].
        eigvals_only: return the eigenvalues alone.
        select: "a" for all, "i" for those with indices in select_range.
        select_range: the first and the last index, for "i".
        tol, key: accepted; the result is exact to rounding, and nothing is drawn.
    Returns:
        (w [k], v [n, k]), or w.
    Raises:
        TypeError: the dtypes differ, or are not those of floats of 32 or 64 bits or complex ones.
        ValueError: select is neither, or the range is none.
    """
    diagonal, off = fnp.asarray(d), fnp.asarray(e)
    allowed = ("float32", "float64", "complex64", "complex128")
    if diagonal.dtype != off.dtype or diagonal.dtype.name not in allowed:
        raise TypeError(
            f"eigh_tridiagonal takes diagonals of one dtype, of {', '.join(allowed)}; got "
            f"{diagonal.dtype} and {off.dtype}."
        )
    n = diagonal.shape[0]
    first, last = 0, n - 1
    if select == "i":
        if select_range is None or select_range[0] > select_range[1]:
            raise ValueError("for select='i', select_range must be (first, last), first <= last.")
        first, last = int(select_range[0]), int(select_range[1])
    elif select != "a":
        raise ValueError(f"select must be 'a' or 'i', got {select!r}.")
    matrix = fnp.diag(diagonal.real.astype(diagonal.dtype))
    if n > 1:
        matrix = matrix + fnp.diag(off, 1) + fnp.diag(fnp.conj(off), -1)
    v, w = decompositions_spectral.eigh(matrix, subset_by_index=(first, last + 1))
    return w if eigvals_only else (w, v)


def schur(a: Any, output: str = "real") -> tuple[Array, Array]:
    """Schur's form a = z t zᴴ, z unitary, t upper triangular; not differentiable.

    Args:
        output: "real": t of a real matrix is real, with blocks of 2 × 2; "complex": triangular.
    Returns:
        (t, z).
    Raises:
        ValueError: a is not square, or output is neither.
    """
    if output not in ("real", "complex"):
        raise ValueError(f"Expected 'output' to be either 'real' or 'complex', got {output!r}.")
    (x,) = arrays(a)
    if output == "complex":
        x = x.astype(dtypes.to_complex_dtype(x.dtype))
    return decompositions_reduced.schur(x)


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """Schur's form with blocks made triangular, which makes it complex.

    Args:
        T: [..., n, n], with blocks of 1 and 2 rows on its diagonal; Z: unitary, [..., n, n].
    Returns:
        (t, z) with z t zᴴ = Z T Zᴴ, t upper triangular.
    Raises:
        ValueError: the shapes do not fit.
    """
    t, z = arrays(T, Z)
    square("rsf2csf", t)
    if square("rsf2csf", z).shape[-1] != t.shape[-1]:
        raise ValueError(f"Input array shapes must match: T {t.shape}, Z {z.shape}.")
    lead = broadcast_shapes(t.shape[:-2], z.shape[:-2])
    dtype = dtypes.to_complex_dtype(t.dtype)
    t, z = spread(t.astype(dtype), lead), spread(z.astype(dtype), lead)
    for m in range(t.shape[-1] - 1, 0, -1):
        turn = _rotation(t[..., m - 1 : m + 1, m - 1 : m + 1])
        t = t.at[..., m - 1 : m + 1, :].set(turn @ t[..., m - 1 : m + 1, :])
        t = t.at[..., m - 1 : m + 1].set(t[..., m - 1 : m + 1] @ adjoint(turn))
        t = t.at[..., m, m - 1].set(0)
        z = z.at[..., m - 1 : m + 1].set(z[..., m - 1 : m + 1] @ adjoint(turn))
    return t, z


def _rotation(block: Any) -> Any:
    """The unitary G with G b Gᴴ upper triangular; the identity where b is, but for rounding."""
    a, b = block[..., 0, 0], block[..., 0, 1]
    c, d = block[..., 1, 0], block[..., 1, 1]
    still = abs(c) <= float(dtypes.finfo(block.dtype).eps) * (abs(a) + abs(d))
    half = (a - d) / 2
    mu = half + fnp.sqrt(fnp.where(still, 1, half * half + b * c))
    size = fnp.where(still, 1, fnp.hypot(abs(mu), abs(c))).astype(block.dtype)
    cos, sin = fnp.where(still, 1, mu / size), fnp.where(still, 0, c / size)
    rows = [fnp.stack([fnp.conj(cos), sin], -1), fnp.stack([-sin, cos], -1)]
    return fnp.stack(rows, -2)


def hessenberg(
    a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The form h of a = q h qᴴ that is zero below the first subdiagonal; not differentiable.

    Args:
        calc_q: also return q, unitary.
    Returns:
        h [..., n, n], or (h, q).
    Raises:
        ValueError: a is not square.
    """
    (x,) = arrays(a)
    packed, taus = decompositions_reduced.hessenberg(x)
    h = upper_part(packed, -1)
    if not calc_q:
        return h
    n = x.shape[-1]
    if n < 2:
        return h, fnp.broadcast_to(fnp.eye(n, dtype=x.dtype), x.shape)
    inner = householder_product(packed[..., 1:, :-1], taus)
    widths = [(0, 0)] * (x.ndim - 2) + [(1, 0), (1, 0)]
    return h, fnp.pad(inner, widths).at[..., 0, 0].set(1)
