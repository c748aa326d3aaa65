"""The polar decomposition by QR factorizations and Cholesky factors alone.

In: a matrix. Out: its unitary and its hermitian factor. The one idea: a rational function of the
matrix, applied again and again, takes every singular value to 1; its weights follow from a lower
bound of the singular values, so most steps are known before the matrix is seen.
Source: Nakatsukasa, Bai & Gygi, SIAM J. Matrix Anal. Appl. 31 (2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..control.loops import while_loop
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import aval_of
from ..primitives.decompositions_qr import qr
from ..primitives.factor import cholesky, triangular_solve
from ..primitives.matrices import check_matrices, is_complex

Weights = tuple[float, float, float]
# Above this weight a Cholesky factor of 1 + c xᴴ x would lose too many digits.
_limit = 100.0


def weights_from(bound: float, tolerance: float, most: int) -> list[Weights]:
    """The weights a, b, c of each step, for singular values in [bound, 1]."""
    found: list[Weights] = []
    while bound + tolerance < 1 and len(found) < most:
        square = bound * bound
        d = (4 * (1 / square - 1) / square) ** (1 / 3)
        root = (1 + d) ** 0.5
        a = root + (2 - d + 2 * (2 - square) / (square * root)) ** 0.5
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        bound = bound * (a + b * square) / (1 + c * square)
        found.append((a, b, c))
    return found


def _step(u: Any, weights: Weights) -> Any:
    """u (a + b uᴴ u) (1 + c uᴴ u)⁻¹."""
    from .. import numpy as fnp

    a, b, c = weights
    dtype = u.dtype
    eye = fnp.eye(u.shape[-1], dtype=dtype)
    first, rest = dtype.type(b / c), a - b / c
    if c > _limit:
        root = c**0.5
        q, _ = qr(fnp.concatenate([dtype.type(root) * u, eye]), full_matrices=False)
        upper, lower = q[: u.shape[0]], q[u.shape[0] :]
        return first * u + dtype.type(rest / root) * (upper @ lower.conj().T)
    factor = cholesky(dtype.type(c) * (u.conj().T @ u) + eye, symmetrize_input=False)
    right = {"lower": True, "conjugate_a": is_complex(u)}
    inner = triangular_solve(factor, u, transpose_a=True, **right)
    return first * u + dtype.type(rest) * triangular_solve(factor, inner, lower=True)


def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[Any, Any] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Polar decomposition x = u h, u with orthonormal columns, h hermitian and semidefinite.

    Args:
        x: floats or complex numbers [m, n] with m ≥ n.
        is_hermitian: accepted; it changes nothing.
        max_iterations: at most so many steps; 10 by default.
        eps: precision to reach; that of the dtype by default.
        dynamic_shape: rows and columns that count, where x has others behind them.
    Returns:
        (u, h, number of steps, whether the last one changed next to nothing).
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is not one matrix with as many rows as columns, or more.
    """
    from .. import numpy as fnp

    aval = aval_of(x)
    check_matrices("qdwh", aval)
    if len(aval.shape) != 2 or aval.shape[0] < aval.shape[1]:
        raise ValueError(
            f"qdwh takes one matrix with as many rows as columns, or more, got {aval.long()}.\n"
            f"  {user_line()}\n  Give its conjugate transpose, or map with vmap."
        )
    x = fnp.asarray(x)
    if dynamic_shape is not None:
        m, n = dynamic_shape
        inside = (fnp.arange(x.shape[0])[:, None] < m) & (fnp.arange(x.shape[1]) < n)
        x = fnp.where(inside, x, fnp.zeros((), x.dtype))
    precision = float(dtypes.finfo(x.dtype).eps) if eps is None else float(eps)
    return _iterated(x, precision, 10 if max_iterations is None else int(max_iterations))


def _iterated(x: Any, precision: float, most: int) -> tuple[Any, Any, Any, Any]:
    from .. import numpy as fnp

    norms = fnp.linalg.norm(x, 1), fnp.linalg.norm(x, np.inf)
    size = fnp.sqrt(norms[0]) * fnp.sqrt(norms[1])
    u = x / fnp.where(norms[0] == 0, fnp.ones_like(size), size).astype(x.dtype)
    tolerance = 5.0 * precision
    least = fnp.asarray(np.cbrt(tolerance), norms[0].dtype)
    known = weights_from(precision, tolerance, most)
    previous = u
    for weights in known:
        previous, u = u, _step(u, weights)
    moves = fnp.linalg.norm(u - previous) > least

    def goes_on(state: Any) -> Any:
        k, _, moves = state
        return moves & (k < most)

    def again(state: Any) -> Any:
        k, u, _ = state
        # With all singular values at 1 but for rounding: Halley's weights.
        new = _step(u, (3.0, 1.0, 3.0))
        return k + 1, new, fnp.linalg.norm(new - u) > least

    start = fnp.asarray(len(known), fnp.asarray(0).dtype), u, moves
    count, u, moves = while_loop(goes_on, again, start)
    # One step of Newton and Schulz takes out what rounding left.
    u = x.dtype.type(1.5) * u - x.dtype.type(0.5) * (u @ (u.conj().T @ u))
    h = u.conj().T @ x
    return u, (h + h.conj().T) * x.dtype.type(0.5), count, ~moves
