"""Eigenvalues of hermitian matrices and singular values, by Jacobi's rotations.

In: matrices [..., n, n] or [..., m, n]. Out: values in order, and vectors up to phases. The one
idea: columns are rotated by pairs, half of them with the other half at once, and places exchanged
between rounds so that in n - 1 of them everyone meets everyone; sweeps go on until all pairs are
orthogonal. One method does both: eigenvectors are what makes the columns of a matrix orthogonal.

Source: Brent & Luk, SIAM J. Sci. Stat. Comput. 6 (1985); Demmel & Veselić, SIAM J. Matrix Anal.
Appl. 13 (1992), for the accuracy; Golub & Van Loan, 4th edition, sections 8.5 and 8.6.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control.loops import while_loop
from ..core.composed import compose
from .factors import adjoint, loop
from .reflections import qr

# Convergence is quadratic in the end; ten sweeps are many.
MOST_SWEEPS = 30


def _next_places(n: int) -> Any:
    """Who comes to each place for the next round: the first stays, the others go round."""
    half = n // 2
    top, bottom = list(range(half)), list(range(half, n))
    if half == 1:
        return np.arange(n)
    return np.array([top[0], bottom[0], *top[1:-1], *bottom[1:], top[-1]])


def _angles(p: Any, q: Any, r: Any) -> tuple[Any, Any]:
    """Cosine, and sine with its phase, of the rotation that makes [[p, r], [r̄, q]] diagonal."""
    size = abs(r)
    none = size == 0
    safe = fnp.where(none, 1, size)
    phase = fnp.where(none, 1, r / safe.astype(r.dtype))
    zeta = (q - p) / (2 * safe)
    t = fnp.where(zeta < 0, -1, 1) / (abs(zeta) + fnp.hypot(1, zeta))
    t = fnp.where(none, 0, t)
    c = 1 / fnp.sqrt(1 + t * t)
    return c.astype(r.dtype), (c * t).astype(r.dtype) * phase


def _turned(x: Any, c: Any, s: Any) -> Any:
    """Columns of the left half of x rotated with those of the right one."""
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    c, s = c[..., None, :], s[..., None, :]
    return fnp.concatenate([c * left - fnp.conj(s) * right, s * left + c * right], -1)


def orthogonal_columns(x: Any) -> tuple[Any, Any]:
    """x v with orthogonal columns, and v; x [..., m, n] of even n."""
    n_columns = x.shape[-1]
    half, places = n_columns // 2, _next_places(n_columns)
    real = x.real.dtype
    v = fnp.broadcast_to(fnp.eye(n_columns, dtype=x.dtype), (*x.shape[:-2], n_columns, n_columns))

    def round_of(_: Any, state: Any) -> Any:
        x, v, worst = state
        left, right = x[..., :half], x[..., half:]
        p, q = (fnp.sum(abs(part) ** 2, -2) for part in (left, right))
        r = fnp.sum(fnp.conj(left) * right, -2)
        scale = fnp.sqrt(p) * fnp.sqrt(q)
        far = abs(r) / fnp.where(scale == 0, 1, scale)
        # Columns of rounding errors stay as they are.
        c, s = _angles(p, q, fnp.where(far > np.finfo(real).eps / 4, r, 0))
        x, v = _turned(x, c, s)[..., places], _turned(v, c, s)[..., places]
        return (x, v, fnp.maximum(worst, fnp.max(far, -1))), None

    def goes_on(carry: Any) -> Any:
        n, _, _, worst = carry
        return (n < MOST_SWEEPS) & fnp.any(worst > 8 * float(np.finfo(real).eps))

    def sweep(carry: Any) -> Any:
        n, *pair, worst = carry
        x, v, worst = loop(max(n_columns - 1, 1), round_of, (*pair, fnp.zeros_like(worst)))[0]
        return n + 1, x, v, worst

    start = fnp.full(x.shape[:-2], np.inf, real)
    return while_loop(goes_on, sweep, (0, x, v, start))[1:3]


def _in_order(keys: Any, *parts: Any) -> list[Any]:
    """The last axis of arrays [..., m, n] in the ascending order of keys [..., n]."""
    order = fnp.argsort(keys, -1)
    return [fnp.take_along_axis(part, order[..., None, :], -1) for part in parts]


def _even(x: Any) -> tuple[Any, int]:
    """x with a column and a row of zeros more where the number of its columns is odd."""
    more = x.shape[-1] % 2
    return fnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, more), (0, more)]), more


def _unless_finite(x: Any, parts: list[Any]) -> list[Any]:
    """NaN instead of what belongs to matrices with values that are not finite."""
    finite = fnp.all(fnp.isfinite(x), (-2, -1))
    return [
        fnp.where(finite.reshape(finite.shape + (1,) * (p.ndim - finite.ndim)), p, fnp.nan)
        for p in parts
    ]


@compose("eigh")
def eigh(x: Any, *, lower: bool, subset_by_index: Any, **params: Any) -> list[Any]:
    """Eigenvectors and eigenvalues.

    With σ beyond all eigenvalues, x + σ is positive, and what makes its columns orthogonal are its
    eigenvectors, which are those of x.
    """
    n = x.shape[-1]
    part = fnp.tril(x, -1) if lower else fnp.triu(x, 1)
    diagonal = fnp.real(fnp.diagonal(x, axis1=-2, axis2=-1)).astype(x.dtype)
    whole = part + adjoint(part) + diagonal[..., None, :] * fnp.eye(n, dtype=x.dtype)
    wide, more = _even(whole)
    size = fnp.max(fnp.sum(abs(wide), -1), -1)[..., None, None]
    shift = fnp.where(size == 0, 1, 2 * size).astype(x.dtype)
    _, v = orthogonal_columns((wide + shift * fnp.eye(n + more, dtype=x.dtype)) / shift)
    w = fnp.real(fnp.sum(fnp.conj(v) * (wide @ v), -2))
    if more:
        w = fnp.where(abs(v[..., -1, :]) > 0.5, np.inf, w)
    v, w = _in_order(w, v, w[..., None, :])
    chosen = slice(*(subset_by_index or (0, n)))
    return _unless_finite(whole, [v[..., :n, :n][..., chosen], w[..., 0, :n][..., chosen]])


@compose("eigh_values")
def eigh_values(x: Any, **params: Any) -> Any:
    """Eigenvalues alone."""
    return eigh(x, **params)[1]


@compose("svd")
def svd(
    x: Any, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any, **params: Any
) -> list[Any]:
    """Singular values, and u and vᴴ."""
    m, n = x.shape[-2:]
    if m < n:
        flags = {"full_matrices": full_matrices, "compute_uv": compute_uv}
        s, *vectors = svd(adjoint(x), subset_by_index=subset_by_index, **flags)
        return [s, *(adjoint(part) for part in vectors[::-1])]
    if not n:
        return [fnp.zeros((*x.shape[:-2], 0), x.real.dtype), *_empty(x, full_matrices)][
            : 1 + 2 * compute_uv
        ]
    outer, small = qr(x, pivoting=False, full_matrices=full_matrices)
    scale = fnp.max(abs(x), (-2, -1), keepdims=True)
    scale = fnp.where(scale == 0, 1, scale)
    wide, more = _even(small[..., :n, :] / scale.astype(x.dtype))
    y, v = orthogonal_columns(wide)
    s = fnp.sqrt(fnp.sum(abs(y) ** 2, -2))
    # The column that was added comes last.
    keys = fnp.where(abs(v[..., -1, :]) > 0.5, 1, -s) if more else -s
    y, v, s = _in_order(keys, y, v, s[..., None, :])
    start, stop = subset_by_index or (0, n)
    s = (s[..., 0, :n] * scale[..., 0])[..., start:stop]
    if not compute_uv:
        return _unless_finite(x, [s])
    inner, r = qr(y[..., :n, :n], pivoting=False, full_matrices=True)
    # The triangle is diagonal, with the phases by which the columns differ from unit vectors.
    diagonal = fnp.diagonal(r, axis1=-2, axis2=-1)
    size = abs(diagonal)
    none = size == 0
    inner = inner * fnp.where(none, 1, diagonal / fnp.where(none, 1, size))[..., None, :]
    u = outer[..., :n] @ inner
    vh = adjoint(v[..., :n, :n])
    if full_matrices:
        return _unless_finite(x, [s, fnp.concatenate([u, outer[..., n:]], -1), vh])
    return _unless_finite(x, [s, u[..., start:stop], vh[..., start:stop, :]])


def _empty(x: Any, full: bool) -> list[Any]:
    """u and vᴴ of matrices without columns."""
    m = x.shape[-2]
    inner = m if full else 0
    u = fnp.broadcast_to(fnp.eye(m, inner, dtype=x.dtype), (*x.shape[:-2], m, inner))
    return [u, fnp.zeros((*x.shape[:-2], 0, 0), x.dtype)]
