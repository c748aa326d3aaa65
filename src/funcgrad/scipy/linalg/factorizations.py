"""Factors of matrices in SciPy's form: Cholesky, LU, QR, singular values."""

from __future__ import annotations

from typing import Any

from ... import numpy as fnp
from ...primitives import decompositions_lu, decompositions_qr, decompositions_svd, factor
from ...primitives.broadcasting import broadcast_shapes
from ...primitives.matrices import adjoint, lower_part, swap, upper_part
from ...typing import Array
from .operands import arrays, columns_like, spread, square


def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Array:
    """The triangle u with uᴴ u = a, or l with l lᴴ = a if lower, of hermitian definite matrices.

    Returns:
        [..., n, n]; NaN for matrices that are not positive definite.
    Raises:
        ValueError: a is not square.
    """
    (x,) = arrays(a)
    # One triangle is read, and stands for a hermitian matrix; so do tangents.
    read = square("cholesky", x) if lower else adjoint(square("cholesky", x))
    found = factor.cholesky(read, symmetrize_input=False)
    return found if lower else adjoint(found)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, bool]:
    """The factor of `cholesky` and `lower`, as `cho_solve` takes them."""
    return cholesky(a, lower), lower


def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """The x with a x = b, from the factor of `cho_factor`.

    Args:
        c_and_lower: a triangle [..., n, n], and whether it is the lower one.
        b: a vector [n], or [..., n, k].
    Raises:
        ValueError: the shapes do not fit.
    """
    c, lower = c_and_lower
    c, b, vector = columns_like("cho_solve", *arrays(c, b))
    given = {"left_side": True, "lower": bool(lower)}
    flipped = {"transpose_a": True, "conjugate_a": True}
    first, last = ({}, flipped) if lower else (flipped, {})
    x = factor.triangular_solve(c, b, **given, **first)
    x = factor.triangular_solve(c, x, **given, **last)
    return x[..., 0] if vector else x


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Singular values, with their vectors: (u, s, vᴴ), or s; see `lax.linalg.svd`.

    Args:
        lapack_driver: accepted, and of no effect.
    """
    (x,) = arrays(a)
    return decompositions_svd.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)


def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """Triangles and a permutation: a = p l u.

    Args:
        a: [..., m, n].
        permute_l: return p l in place of p and l.
    Returns:
        (p, l, u): [..., m, m], [..., m, k], [..., k, n] with k = min(m, n).
    """
    (x,) = arrays(a)
    packed, _, order = decompositions_lu.lu(x)
    m, n = map(int, x.shape[-2:])
    k = min(m, n)
    lower = lower_part(packed[..., :, :k], -1) + fnp.eye(m, k, dtype=x.dtype)
    upper = upper_part(packed[..., :k, :])
    matrix: Any = order[..., None, :] == fnp.arange(m)[:, None]
    matrix = matrix.astype(x.real.dtype)
    if permute_l:
        return fnp.matmul(matrix.astype(x.dtype), lower), upper
    return matrix, lower, upper


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """Both triangles in one matrix, and the exchanges of rows, as `lu_solve` takes them.

    Returns:
        [..., m, n], and pivots i32[..., min(m, n)]: row i was exchanged with row pivots[i].
    """
    (x,) = arrays(a)
    packed, pivots, _ = decompositions_lu.lu(x)
    return packed, pivots


def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:
    """The x with a x = b, from the factors of `lu_factor`.

    Args:
        b: a vector [n], or [..., n, k].
        trans: 0 for a, 1 for aᵀ, 2 for aᴴ.
    Raises:
        ValueError: the shapes do not fit, or trans is another number.
    """
    if trans not in (0, 1, 2):
        raise ValueError(f"'trans' value must be 0, 1, or 2, got {trans!r}.")
    packed, b = arrays(lu_and_piv[0], b)
    packed, b, vector = columns_like("lu_solve", packed, b)
    order = decompositions_lu.lu_pivots_to_permutation(lu_and_piv[1], packed.shape[-1])
    x = decompositions_lu.lu_solve(packed, spread(order, packed.shape[:-2], 1), b, trans)
    return x[..., 0] if vector else x


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """Orthonormal columns times a triangle: a = q r, or a[:, p] = q r with pivoting.

    Args:
        mode: "full", q [..., m, m]; "economic", q [..., m, min(m, n)]; "r", r alone.
        pivoting: order the columns so that the diagonal of r descends.
    Returns:
        (q, r), (q, r, p), (r,) or (r, p).
    Raises:
        ValueError: the mode is unknown.
    """
    if mode not in ("full", "r", "economic"):
        raise ValueError(
            f"Unsupported QR decomposition mode {mode!r}. Give 'full', 'economic' or 'r'."
        )
    (x,) = arrays(a)
    out = decompositions_qr.qr(x, pivoting=pivoting, full_matrices=mode != "economic")
    return out[1:] if mode == "r" else out


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> Any:
    """c Q, or Q c, with r, of a = Q r, without forming Q.

    Args:
        a: [..., m, n], with k = min(m, n).
        c: [..., p, m] for "right", [..., k, p] for "left"; or a vector.
        mode: "right" for c Q, "left" for Q c.
        pivoting: order the columns of a.
        conjugate: take the complex conjugate of Q.
    Returns:
        (c Q [..., p, k], r), or (Q c [..., m, p], r); also the order with pivoting.
    Raises:
        ValueError: the shapes do not fit, or the mode is unknown.
    """
    if mode not in ("right", "left"):
        raise ValueError(f"mode must be 'right' or 'left', got {mode!r}.")
    x, c = arrays(a, c)
    vector = c.ndim == 1
    if vector:
        c = c[:, None] if mode == "left" else c[None, :]
    m, k = x.shape[-2], min(x.shape[-2:])
    found, want = (c.shape[-2], k) if mode == "left" else (c.shape[-1], m)
    if found != want:
        raise ValueError(
            f"qr_multiply of a with shape {x.shape} in mode {mode!r} takes c with {want} "
            f"{'rows' if mode == 'left' else 'columns'}, got shape {c.shape}."
        )
    lead = broadcast_shapes(x.shape[:-2], c.shape[:-2])
    x, c = spread(x, lead), spread(c, lead)
    order: tuple[Any, ...] = ()
    if pivoting:
        packed, *order_, taus = decompositions_qr.geqp3(x)
        order = tuple(order_)
    else:
        packed, taus = decompositions_qr.geqrf(x)
    if mode == "left":
        c = fnp.concatenate([c, fnp.zeros((*lead, m - k, c.shape[-1]), c.dtype)], -2)
    # conj(Q) c = (cᵀ Qᴴ)ᵀ.
    left = (mode == "left") != conjugate
    out = decompositions_qr.ormqr(
        packed, taus, swap(c) if conjugate else c, left=left, transpose=conjugate
    )
    out = swap(out) if conjugate else out
    out = out[..., :k] if mode == "right" else out
    return (out.ravel() if vector else out), upper_part(packed[..., :k, :]), *order
