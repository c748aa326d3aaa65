"""Triangular systems, Cholesky, LU and QR factors, by loops over columns and products of blocks.

In: matrices [..., n, n] or [..., m, n]. Out: what LAPACK gives. The one idea: a turn of a loop does
one column of all matrices, or one block of columns, by operations on whole arrays.

Source: Golub & Van Loan, Matrix Computations, 4th edition, sections 3.1, 3.4, 4.2, 5.2 and 5.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control.scan import scan
from ..core.composed import compose
from ..primitives.indexing import dynamic_slice_in_dim, dynamic_update_slice_in_dim

# Blocks of so many columns are done by products.
BLOCK = 32


def swapped(x: Any) -> Any:
    """The last two axes exchanged."""
    return fnp.swapaxes(x, -1, -2)


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return fnp.conj(swapped(x)) if x.dtype.kind == "c" else swapped(x)


def column(x: Any, j: Any) -> Any:
    """Column j of matrices, [..., m]."""
    return dynamic_slice_in_dim(x, j, 1, x.ndim - 1)[..., 0]


def loop(
    count: int, turn: Callable[[Any, Any], Any], state: Any, reverse: bool = False
) -> tuple[Any, Any]:
    """turn(i, state) for each i; the state in the end, and what turns gave beside it, stacked."""
    return scan(
        lambda state, i: turn(i, state), state, fnp.arange(count, dtype=np.int32), reverse=reverse
    )


# Triangular systems.


def _inverse_of_small(lower: Any) -> Any:
    """The inverses of lower triangles [..., n, n] with few rows, row after row."""
    n = lower.shape[-1]
    eye = fnp.eye(n, dtype=lower.dtype)

    def turn(i: Any, found: Any) -> Any:
        # Rows from i on are still 0.
        row = dynamic_slice_in_dim(lower, i, 1, lower.ndim - 2)
        rest = dynamic_slice_in_dim(eye, i, 1, 0) - row @ found
        row = rest / dynamic_slice_in_dim(row, i, 1, lower.ndim - 1)
        return dynamic_update_slice_in_dim(found, row, i, found.ndim - 2), None

    return loop(n, turn, fnp.zeros_like(lower))[0]


def solve_lower(lower: Any, b: Any) -> Any:
    """x with lower x = b, where everything above the diagonal is 0 already."""
    n = lower.shape[-1]
    blocks = -(-n // BLOCK)
    size = min(BLOCK, n)
    missing = blocks * size - n
    if missing:
        wide = [(0, 0)] * (lower.ndim - 2)
        lower = fnp.pad(lower, [*wide, (0, missing), (0, missing)])
        lower = lower + fnp.diag(fnp.arange(n + missing) >= n).astype(lower.dtype)
        b = fnp.pad(b, [*wide, (0, missing), (0, 0)])
    starts = range(0, blocks * size, size)
    diagonal = fnp.stack([lower[..., s : s + size, s : s + size] for s in starts], -3)
    inverses = _inverse_of_small(diagonal)
    found: list[Any] = []
    for k, s in enumerate(starts):
        rest = b[..., s : s + size, :]
        if found:
            rest = rest - lower[..., s : s + size, :s] @ fnp.concatenate(found, -2)
        found.append(inverses[..., k, :, :] @ rest)
    return fnp.concatenate(found, -2)[..., :n, :]


@compose("triangular_solve")
def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool,
    unit_diagonal: bool,
) -> Any:
    """x with op(a) x = b, or x op(a) = b; all are brought to a lower triangle on the left."""
    a = fnp.tril(a) if lower else fnp.triu(a)
    if unit_diagonal:
        eye = fnp.eye(a.shape[-1], dtype=bool)
        a = fnp.where(eye, a.dtype.type(1), a)
    if conjugate_a and a.dtype.kind == "c":
        a = fnp.conj(a)
    if transpose_a == left_side:
        a, lower = swapped(a), not lower
    b = b if left_side else swapped(b)
    if not lower:
        a, b = a[..., ::-1, ::-1], b[..., ::-1, :]
    x = solve_lower(a, b)
    x = x if lower else x[..., ::-1, :]
    return x if left_side else swapped(x)


# Cholesky.


def _small_cholesky(x: Any) -> Any:
    """Factors of matrices [..., n, n] with few rows, column after column."""
    n = x.shape[-1]
    rows = fnp.arange(n)

    def turn(j: Any, state: Any) -> Any:
        rest, found = state
        now = column(rest, j)
        pivot = fnp.sqrt(fnp.real(dynamic_slice_in_dim(now, j, 1, now.ndim - 1)))
        done = fnp.where(rows >= j, now / pivot.astype(x.dtype), 0)
        rest = rest - done[..., :, None] * fnp.conj(done)[..., None, :]
        found = dynamic_update_slice_in_dim(found, done[..., None], j, x.ndim - 1)
        return (rest, found), None

    return loop(n, turn, (x, fnp.zeros_like(x)))[0][1]


@compose("cholesky")
def cholesky(x: Any) -> Any:
    """L with L Lᴴ = x, blocks of columns after each other; NaN where x is not definite."""
    n = x.shape[-1]
    size = min(BLOCK, n)
    blocks = -(-n // size)
    missing = blocks * size - n
    wide = [(0, 0)] * (x.ndim - 2) + [(0, missing), (0, missing)]
    rest = fnp.pad(fnp.tril(x), wide) if missing else fnp.tril(x)
    if missing:
        rest = rest + fnp.diag(fnp.arange(n + missing) >= n).astype(x.dtype)
    rows = fnp.arange(blocks * size)[:, None]

    def turn(k: Any, state: Any) -> Any:
        rest, found = state
        at = k * size
        panel = dynamic_slice_in_dim(rest, at, size, x.ndim - 1)
        square = fnp.tril(dynamic_slice_in_dim(panel, at, size, x.ndim - 2))
        square = square + adjoint(fnp.tril(square, -1))
        factor = _small_cholesky(square)
        panel = panel @ adjoint(_inverse_of_small(factor))
        panel = fnp.where(rows >= at + size, panel, 0)
        rest = rest - panel @ adjoint(panel)
        panel = dynamic_update_slice_in_dim(panel, factor, at, x.ndim - 2)
        return (rest, dynamic_update_slice_in_dim(found, panel, at, x.ndim - 1)), None

    found = loop(blocks, turn, (rest, fnp.zeros_like(rest)))[0][1][..., :n, :n]
    definite = fnp.all(fnp.real(fnp.diagonal(found, axis1=-2, axis2=-1)) > 0, -1)
    none = fnp.tril(fnp.full_like(x, fnp.nan))
    return fnp.where(definite[..., None, None], found, none)


@compose("cholesky_update")
def cholesky_update(r: Any, w: Any) -> Any:
    """s with sᵀ s = rᵀ r + w wᵀ, by a rotation for each row."""
    n = r.shape[-1]

    def turn(k: Any, state: Any) -> Any:
        r, w = state
        row = dynamic_slice_in_dim(r, k, 1, r.ndim - 2)[..., 0, :]
        x, y = (dynamic_slice_in_dim(v, k, 1, v.ndim - 1) for v in (row, w))
        still = y == 0
        safe = fnp.where(still, 1, fnp.hypot(x, y))
        c, s = fnp.where(still, 1, x / safe), fnp.where(still, 0, y / safe)
        turned = (c * row + s * w)[..., None, :]
        return (dynamic_update_slice_in_dim(r, turned, k, r.ndim - 2), c * w - s * row), None

    return loop(n, turn, (fnp.triu(r), w))[0][0]


# LU.


@compose("lu")
def lu(x: Any) -> list[Any]:
    """L and U in one matrix, the exchanges of rows, and the permutation they make."""
    m, n = x.shape[-2:]
    lead, count = x.shape[:-2], min(m, n)
    rows, columns = fnp.arange(m, dtype=np.int32), fnp.arange(n)
    order = fnp.broadcast_to(rows, (*lead, m))
    if not count:
        return [x, fnp.zeros((*lead, 0), np.int32), order]

    def turn(j: Any, state: Any) -> Any:
        x, order = state
        size = abs(column(x, j))
        if x.dtype.kind == "c":
            now = column(x, j)
            size = abs(now.real) + abs(now.imag)
        pivot = fnp.argmax(fnp.where(rows >= j, size, -1), -1).astype(np.int32)
        # Rows j and pivot change places.
        at = pivot[..., None]
        source = fnp.where(rows == j, at, fnp.where(rows == at, j, rows))
        x = fnp.take_along_axis(x, source[..., None], -2)
        order = fnp.take_along_axis(order, source, -1)
        now = column(x, j)
        head = dynamic_slice_in_dim(now, j, 1, now.ndim - 1)
        below = fnp.where(rows > j, now / fnp.where(head == 0, 1, head), 0)
        row = dynamic_slice_in_dim(x, j, 1, x.ndim - 2)
        x = x - below[..., None] * fnp.where(columns > j, row, 0)
        kept = fnp.where(rows > j, below, now)[..., None]
        return (dynamic_update_slice_in_dim(x, kept, j, x.ndim - 1), order), pivot

    (x, order), pivots = loop(count, turn, (x, order))
    return [x, fnp.moveaxis(pivots, 0, -1), order]


@compose("lu_pivots_to_permutation")
def lu_pivots_to_permutation(pivots: Any, *, permutation_size: int) -> Any:
    """The order of rows after the exchanges."""
    rows = fnp.arange(permutation_size, dtype=np.int32)
    order = fnp.broadcast_to(rows, (*pivots.shape[:-1], permutation_size))

    def turn(i: Any, order: Any) -> Any:
        at = fnp.clip(dynamic_slice_in_dim(pivots, i, 1, pivots.ndim - 1), 0, permutation_size - 1)
        source = fnp.where(rows == i, at, fnp.where(rows == at, i, rows))
        return fnp.take_along_axis(order, source, -1), None

    return loop(pivots.shape[-1], turn, order)[0] if pivots.shape[-1] else order
