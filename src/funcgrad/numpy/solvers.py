"""Solving linear equations, inverses, and what follows from singular values: rank, condition.

In: arrays [..., n, n] or [..., m, n], promoted to floats. Out: arrays. The one idea: the derivative
of a solution is that of its equation, solved again with the factors that were found.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.custom_jvp import custom_jvp
from ..control.solves import custom_linear_solve
from ..core.sources import user_line
from ..ir import dtypes
from ..primitives.broadcasting import broadcast_shapes, broadcast_to
from ..primitives.decompositions_lu import lu, lu_solve
from ..primitives.matrices import adjoint, hermitian_part
from ..primitives.rounding import stop_gradient
from ..typing import Array, ArrayLike
from . import contraction, diagonals, extremes, manipulation, reductions, selection
from .creation import empty, zeros
from .decompositions import inexact, svd
from .norms import norm
from .promotion import check_arraylike, shape_of, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped


def solve(a: Shaped[ArrayLike, "*#batch n n"], b: Shaped[ArrayLike, "..."]) -> Array:
    """The x with a x = b.

    Args:
        a: square matrices [..., n, n].
        b: a vector [n], or matrices [..., n, k]; leading axes broadcast with those of a.
    Returns:
        [..., n] for a vector, [..., n, k] for matrices; inf or NaN where a is singular.
    Raises:
        ValueError: the shapes do not fit.

    >>> import funcgrad.numpy as fnp
    >>> fnp.linalg.solve(fnp.array([[2.0, 0.0], [0.0, 4.0]]), fnp.array([2.0, 2.0]))
    Array([1. , 0.5], dtype=float32)
    """
    matrix, right = inexact("solve", a, b)
    check_solve("solve", matrix, right)
    if right.ndim == 1:
        return _solve(matrix, right[:, None])[..., 0]
    return _solve(matrix, right)


def check_solve(name: str, a: Any, b: Any) -> None:
    """Raise ValueError unless a is square and b has as many rows, in its last axis if a vector."""
    rows = b.shape[0 if b.ndim == 1 else -2] if b.ndim else None
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] != rows:
        raise ValueError(
            f"{name} takes a [..., n, n] and b [n] or [..., n, k], got shapes {a.shape} and "
            f"{b.shape}.\n  {user_line()}\n  Of several vectors, add an axis: b[..., None]."
        )


def spread(x: Any, lead: tuple[int, ...], core: int) -> Any:
    """x with its leading axes broadcast; the last `core` stay."""
    return broadcast_to(x, (*lead, *x.shape[x.ndim - core :]))


def _solve(a: Any, b: Any) -> Any:
    """One solution for each of the leading axes of both, by one LU factorization for each of a."""
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    factor, _, order = lu(stop_gradient(a))
    factor, order = spread(factor, lead, 2), spread(order, lead, 1)
    matrix = spread(a, lead, 2)

    def by_factor(trans: int, _: Any, y: Any) -> Any:
        return lu_solve(factor, order, y, trans)

    return custom_linear_solve(
        partial(contraction.matmul, matrix),
        spread(b, lead, 2),
        solve=partial(by_factor, 0),
        transpose_solve=partial(by_factor, 1),
    )


def inv(a: Shaped[ArrayLike, "*batch n n"]) -> Array:
    """The inverse of square matrices; inf or NaN where they are singular.

    Raises:
        ValueError: a is not square.
    """
    (x,) = inexact("inv", a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"Argument to inv must have shape [..., n, n], got {x.shape}.")
    return _solve(x, diagonals.eye(x.shape[-1], dtype=x.dtype))


def pinv(
    a: Shaped[ArrayLike, "*batch m n"],
    rtol: Shaped[ArrayLike, "..."] | None = None,
    hermitian: bool = False,
    *,
    rcond: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """The Moore-Penrose inverse of matrices.

    Its derivative is right where the rank does not change nearby; a change of rank is a jump of
    the function itself.

    Args:
        rtol: singular values up to rtol times the largest count as zero; 10 · max(m, n) · eps by
            default.
        hermitian: a is hermitian; its eigenvectors serve.
        rcond: another name of rtol.
    Returns:
        [..., n, m].
    Raises:
        ValueError: both rtol and rcond are given.
    """
    if rcond is not None and rtol is not None:
        raise ValueError("pinv: only one of rtol and rcond may be specified.")
    (x,) = inexact("pinv", a)
    limit = rcond if rtol is None else rtol
    if limit is None:
        limit = 10.0 * max(x.shape[-2:]) * float(dtypes.finfo(x.dtype).eps)
    return _pinv(x, stop_gradient(to_array(limit)), hermitian)


@partial(custom_jvp, nondiff_argnums=(2,))
def _pinv(x: Any, rtol: Any, hermitian: bool) -> Any:
    *lead, m, n = x.shape
    if 0 in (m, n):
        return empty((*lead, n, m), x.dtype)
    u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)
    cutoff = rtol[..., None].astype(s.dtype) * s[..., :1]
    inverse = selection.where(s > cutoff, 1 / selection.where(s > cutoff, s, 1), 0)
    return contraction.matmul(adjoint(vh) * inverse[..., None, :].astype(x.dtype), adjoint(u))


@_pinv.defjvp
def _pinv_jvp(hermitian: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    # Source: Golub & Pereyra, SIAM Journal on Numerical Analysis 10 (1973), theorem 4.3.
    (x, rtol), (dx, _) = primals, tangents
    p = _pinv(x, rtol, hermitian)
    if hermitian:
        x, dx = hermitian_part(x), hermitian_part(dx)
    down = adjoint(dx)
    left = contraction.matmul(contraction.matmul(p, adjoint(p)), down)
    right = contraction.matmul(down, contraction.matmul(adjoint(p), p))
    moved = left - contraction.matmul(left, contraction.matmul(x, p))
    moved = moved + right - contraction.matmul(p, contraction.matmul(x, right))
    return p, moved - contraction.matmul(p, contraction.matmul(dx, p))


def lstsq(
    a: Shaped[ArrayLike, "m n"],
    b: Shaped[ArrayLike, "m *k"],
    rcond: Any = None,
    *,
    numpy_resid: bool = False,
) -> tuple[Array, Array, Array, Array]:
    """The x of least norm among those for which |a x − b| is least.

    Args:
        a: [m, n].
        b: [m] or [m, k].
        rcond: singular values below rcond times the largest count as zero; max(m, n) · eps by
            default, eps for negative ones.
        numpy_resid: return no residuals where the rank is below n or m ≤ n, as NumPy does; needs
            values that are not traced.
    Returns:
        x [n] or [n, k]; the sums of squares of b − a x, [1] or [k]; the rank; the singular values.
    Raises:
        ValueError: a and b have different numbers of rows.
        TypeError: a is not one matrix, or b has more than two axes.
    """
    x, right = inexact("lstsq", a, b)
    if x.ndim and right.ndim and x.shape[0] != right.shape[0]:
        raise ValueError(f"lstsq takes as many rows in a as in b, got {x.shape} and {right.shape}.")
    if x.ndim != 2 or right.ndim not in (1, 2):
        raise TypeError(f"lstsq takes a [m, n] and b [m] or [m, k], got {x.shape}, {right.shape}.")
    columns = right[:, None] if right.ndim == 1 else right
    out, rank, s = _least_squares(x, columns, rcond)
    if numpy_resid and (int(rank) < x.shape[1] or x.shape[0] <= x.shape[1]):
        residuals = zeros(0, s.dtype)
    else:
        rest = columns - contraction.matmul(x, out)
        residuals = reductions.sum(rest.real**2 + rest.imag**2, 0)
    return (out[:, 0] if right.ndim == 1 else out), residuals, rank, s


def _least_squares(x: Any, b: Any, rcond: Any) -> tuple[Any, Any, Any]:
    """The solution, the rank and the singular values."""
    m, n = x.shape
    real = dtypes.to_floating_dtype(x.dtype)
    eps = float(dtypes.finfo(real).eps)
    if not x.size:
        return zeros((n, b.shape[1]), x.dtype), to_array(0), zeros(0, real)
    if rcond is None:
        rcond = eps * max(m, n)
    else:
        rcond = selection.where(to_array(rcond) < 0, eps, rcond)
    rcond = stop_gradient(to_array(rcond)).astype(real)
    s = svd(x, compute_uv=False)
    rank = reductions.sum((s > 0) & (s >= rcond * s[0]))
    return contraction.matmul(_pinv(x, rcond, False), b), rank, s


def tensorinv(a: Shaped[ArrayLike, "..."], ind: int = 2) -> Array:
    """The inverse of a as a linear map from its last axes to its first `ind`.

    Raises:
        ValueError: ind is not positive, or the two groups of axes differ in size.
    """
    check_arraylike("linalg.tensorinv", a)
    x = to_array(a)
    ind = operator.index(ind)
    if ind <= 0:
        raise ValueError(f"ind must be a positive integer; got {ind}.")
    first, last = x.shape[:ind], x.shape[ind:]
    if math.prod(first) != math.prod(last):
        raise ValueError(
            f"tensorinv needs as many elements in the first {ind} axes as in the others, "
            f"got shape {x.shape}."
        )
    return inv(x.reshape(math.prod(first), -1)).reshape(*last, *first)


def tensorsolve(
    a: Shaped[ArrayLike, "..."], b: Shaped[ArrayLike, "..."], axes: Sequence[int] | None = None
) -> Array:
    """The x with tensordot(a, x, x.ndim) = b.

    Args:
        axes: axes of a that are moved behind the others first.
    Raises:
        ValueError: the shapes do not fit.
    """
    check_arraylike("linalg.tensorsolve", a, b)
    x, right = to_array(a), to_array(b)
    for axis in axes or ():
        x = manipulation.moveaxis(x, axis, -1)
    shape = x.shape[right.ndim :]
    if x.shape[: right.ndim] != right.shape or right.size != math.prod(shape):
        raise ValueError(
            f"tensorsolve needs a of shape b.shape + x.shape with as many elements in both, got "
            f"a {shape_of(x)} and b {right.shape}."
        )
    return solve(x.reshape(right.size, -1), right.ravel()).reshape(shape)


def matrix_rank(
    M: Shaped[ArrayLike, "..."],
    rtol: Shaped[ArrayLike, "..."] | None = None,
    *,
    hermitian: bool = False,
    tol: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """How many singular values are above a limit.

    Args:
        rtol: the limit itself, as in JAX; by default the largest singular value times
            max(m, n) · eps.
        hermitian: M is hermitian; its eigenvalues serve.
        tol: another name of rtol.
    Returns:
        integers [...]; of a vector or scalar, whether it is not zero.
    Raises:
        ValueError: both rtol and tol are given.
    """
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank: only one of tol or rtol may be specified.")
    limit = tol if rtol is None else rtol
    (x,) = inexact("matrix_rank", M)
    if x.ndim < 2:
        return reductions.any(x != 0).astype(np.int32)
    s = svd(x, full_matrices=False, compute_uv=False, hermitian=hermitian)
    if limit is None:
        step = max(x.shape[-2:]) * float(dtypes.finfo(s.dtype).eps)
        limit = extremes.max(s, -1, initial=0) * step
    return reductions.sum(s > to_array(limit)[..., None], axis=-1)


def cond(x: Shaped[ArrayLike, "*batch m n"], p: Any = None) -> Array:
    """The condition number of matrices, |x| · |x⁻¹|.

    Args:
        p: the norm, as in `norm`; by default 2, for which x need not be square.
    Returns:
        [...]; inf for singular matrices.
    Raises:
        ValueError: x is no matrix, is empty, or has to be square and is not.
    """
    (value,) = inexact("cond", x)
    if value.ndim < 2 or 0 in value.shape[-2:]:
        raise ValueError(f"cond takes matrices that are not empty, got shape {value.shape}.")
    if p in (None, 2):
        s = svd(value, compute_uv=False)
        return s[..., 0] / s[..., -1]
    if p == -2:
        s = svd(value, compute_uv=False)
        ratio = s[..., -1] / s[..., 0]
    elif value.shape[-1] != value.shape[-2]:
        raise ValueError(f"cond with p={p!r} takes square matrices, got shape {value.shape}.")
    else:
        ratio = norm(value, p, (-2, -1)) * norm(inv(value), p, (-2, -1))
    given = reductions.any(value != value, (-2, -1))
    return selection.where((ratio != ratio) & ~given, np.inf, ratio)
