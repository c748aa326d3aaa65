"""Triangular systems, Cholesky and LU factors of large matrices, by blocks of columns.

In: matrices [..., n, n] or [..., m, n]. Out: what LAPACK gives. The one idea: a turn of a loop does
one block of columns of all matrices; a kernel does the few of its own, products the rest. Blocks of
thousands of columns are done by smaller blocks, so that the whole matrix is gone over seldom.

Source: Golub & Van Loan, Matrix Computations, 4th edition, sections 3.1, 3.4 and 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control.scan import scan
from ..core.composed import compose
from ..ir.jaxpr import Eqn
from ..kernels.cuda.factors import SIDE, is_small
from ..primitives.decompositions_lu import lu_p
from ..primitives.factor import cholesky_p
from ..primitives.factor import triangular_solve as solve_p
from ..primitives.indexing import dynamic_slice_in_dim, dynamic_update_slice_in_dim

# Columns of a panel of LU that one kernel does: it goes over the others for each of them.
PANEL = 32
# Blocks that a level has at most, before blocks are made of blocks.
MOST_BLOCKS = 16


def beyond_a_block(eqn: Eqn) -> bool:
    """Whether the matrices of an eqn are more than a kernel does by itself."""
    return not is_small(eqn.primitive.name, eqn)


def size_of_blocks(n: int, least: int) -> int:
    """How many of n columns are a block: a multiple of `least`, few where that saves passes.

    A pass over the whole matrix for each block of `size`, and one over a block for each of `least`
    columns, are fewest where both are the root of the number of smallest blocks.
    """
    count = -(-n // least)
    if count <= MOST_BLOCKS:
        return least
    root = math.sqrt(count)
    near = range(int(root / 1.5), int(root * 1.5) + 1)
    turns = min(near, key=lambda t: (-(-count // t) * t, abs(t - root)))
    return -(-count // turns) * least


def padded(n: int, least: int) -> int:
    """n filled up to whole blocks."""
    size = size_of_blocks(n, least)
    return -(-n // size) * size


def filled(x: Any, rows: int, columns: int) -> Any:
    """Matrices with zeros behind their rows and columns."""
    m, n = x.shape[-2:]
    wide = [(0, 0)] * (x.ndim - 2) + [(0, rows - m), (0, columns - n)]
    return fnp.pad(x, wide) if (rows, columns) != (m, n) else x


def with_ones(x: Any, n: int) -> Any:
    """Square matrices filled up to n rows, with ones on what is new of the diagonal."""
    before = x.shape[-1]
    if before == n:
        return x
    return filled(x, n, n) + fnp.diag(np.arange(n) >= before).astype(x.dtype)


def block_of_rows(x: Any, at: Any, count: int) -> Any:
    """So many rows of matrices."""
    return dynamic_slice_in_dim(x, at, count, x.ndim - 2)


def block_of_columns(x: Any, at: Any, count: int) -> Any:
    """So many columns of matrices."""
    return dynamic_slice_in_dim(x, at, count, x.ndim - 1)


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


def solve_lower(lower: Any, b: Any, unit: bool = False) -> Any:
    """x with lower x = b, where everything above the diagonal is 0 already.

    Args:
        unit: take the diagonal for ones.
    """
    n = lower.shape[-1]
    if n <= SIDE and lower.dtype.kind == "c":
        ones = fnp.eye(n, dtype=lower.dtype)
        return _inverse_of_small(fnp.where(ones == 1, ones, lower) if unit else lower) @ b
    if n <= SIDE:
        return solve_p(lower, b, left_side=True, lower=True, unit_diagonal=unit)
    wide, size = padded(n, SIDE), size_of_blocks(n, SIDE)
    lower, b = with_ones(lower, wide), filled(b, wide, b.shape[-1])

    def turn(k: Any, found: Any) -> Any:
        # Rows that are not found yet are 0.
        rows = block_of_rows(lower, k * size, size)
        rest = block_of_rows(b, k * size, size) - rows @ found
        x = solve_lower(block_of_columns(rows, k * size, size), rest, unit)
        return dynamic_update_slice_in_dim(found, x, k * size, found.ndim - 2), None

    return loop(wide // size, turn, fnp.zeros_like(b))[0][..., :n, :]


@compose("triangular_solve", where=beyond_a_block)
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


def _cholesky_of_columns(x: Any, at: Any) -> Any:
    """Columns of the factor from `at` on, of which x [..., m, w] is what is left."""
    m, w = x.shape[-2:]
    rows = fnp.arange(m)[:, None]
    if w <= SIDE:
        square = block_of_rows(x, at, w)
        if x.dtype.kind == "c":
            square = fnp.tril(square)
            factor = _small_cholesky(square + adjoint(fnp.tril(square, -1)))
            below = x @ adjoint(_inverse_of_small(factor))
        else:
            factor = cholesky_p.bind(square)
            below = solve_p(factor, x, lower=True, transpose_a=True)
        own = fnp.take(factor, fnp.clip(rows[:, 0] - at, 0, w - 1), -2)
        return fnp.where(rows >= at + w, below, fnp.where(rows >= at, own, 0))
    size = size_of_blocks(w, SIDE)

    def turn(k: Any, found: Any) -> Any:
        before = adjoint(block_of_rows(found, at + k * size, size))
        rest = block_of_columns(x, k * size, size) - found @ before
        done = _cholesky_of_columns(rest, at + k * size)
        return dynamic_update_slice_in_dim(found, done, k * size, x.ndim - 1), None

    return loop(w // size, turn, fnp.zeros_like(x))[0]


@compose("cholesky", where=beyond_a_block)
def cholesky(x: Any) -> Any:
    """L with L Lᴴ = x, of which the lower triangle is read; NaN where x is not definite."""
    n = x.shape[-1]
    found = _cholesky_of_columns(with_ones(x, padded(n, SIDE)), 0)[..., :n, :n]
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


def _small_lu(x: Any) -> list[Any]:
    """The factors of matrices [..., m, n] with few columns, column after column."""
    m, n = x.shape[-2:]
    rows, columns = fnp.arange(m, dtype=np.int32), fnp.arange(n)
    order = fnp.broadcast_to(rows, (*x.shape[:-2], m))

    def turn(j: Any, state: Any) -> Any:
        x, order = state
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

    (x, order), pivots = loop(min(m, n), turn, (x, order))
    return [x, fnp.moveaxis(pivots, 0, -1), order]


def brought_up(x: Any, at: Any) -> Any:
    """The rows from `at` on, then zeros."""
    return block_of_rows(filled(x, 2 * x.shape[-2], x.shape[-1]), at, x.shape[-2])


def brought_down(x: Any, at: Any) -> Any:
    """Zeros in the rows up to `at`, then those of x from the first on."""
    m = x.shape[-2]
    wide = fnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(m, 0), (0, 0)])
    return block_of_rows(wide, m - at, m)


def _lu_of_panel(x: Any, at: Any) -> list[Any]:
    """Few columns, whose rows before `at` are done: the factors, the exchanges, and their order.

    Exchanges count from `at`. The rows from `at` on come first, then zeros, which no exchange
    prefers to the row itself.
    """
    m = x.shape[-2]
    first = brought_up(x, at)
    packed, pivots, order = _small_lu(first) if x.dtype.kind == "c" else lu_p.bind(first)
    rows = fnp.arange(m, dtype=np.int32)
    order = brought_down(order[..., None] + at, at)[..., 0]
    packed = fnp.where((rows >= at)[:, None], brought_down(packed, at), x)
    return [packed, pivots, fnp.where(rows >= at, order, rows)]


def _at_rows(x: Any, order: Any) -> Any:
    """The rows of matrices at places [..., k]."""
    return fnp.take_along_axis(x, order[..., None], -2, mode="promise_in_bounds")


def _lu_of_columns(x: Any, at: Any, count: int) -> list[Any]:
    """The first columns of x [..., m, w], whose rows before `at` are done, and what is behind."""
    m, w = x.shape[-2:]
    if w <= PANEL:
        return _lu_of_panel(x, at)
    size = size_of_blocks(count, PANEL)
    rows, columns = np.arange(m, dtype=np.int32)[:, None], np.arange(w, dtype=np.int32)

    def turn(k: Any, state: Any) -> Any:
        x, order = state
        j = (k * size).astype(np.int32)
        start, stop = at + j, at + j + size
        panel, pivots, moved = _lu_of_columns(block_of_columns(x, j, size), start, size)
        order = _at_rows(order[..., None], moved)[..., 0]
        square = fnp.tril(block_of_rows(panel, start, size), -1)
        chosen = dynamic_slice_in_dim(moved, start, size, moved.ndim - 1)
        upper = solve_lower(square, _at_rows(x, chosen), unit=True)
        below = fnp.where(rows >= stop, panel, 0) @ upper
        # Rows of the block get what was solved, columns of the panel what it is now.
        x = _at_rows(x, moved)
        rest = dynamic_update_slice_in_dim(x - below, upper, start, x.ndim - 2)
        done = dynamic_update_slice_in_dim(x, panel, j, x.ndim - 1)
        return (fnp.where(columns >= j + size, rest, done), order), pivots

    order = fnp.broadcast_to(rows[:, 0], (*x.shape[:-2], m))
    (x, order), pivots = loop(count // size, turn, (x, order))
    return [x, fnp.moveaxis(pivots, 0, -2).reshape(*x.shape[:-2], count), order]


@compose("lu", where=beyond_a_block)
def lu(x: Any) -> list[Any]:
    """L and U in one matrix, the exchanges of rows, and the permutation they make."""
    m, n = x.shape[-2:]
    count = min(m, n)
    if not count:
        rows = fnp.arange(m, dtype=np.int32)
        order = fnp.broadcast_to(rows, (*x.shape[:-2], m))
        return [x, fnp.zeros((*x.shape[:-2], 0), np.int32), order]
    wide = padded(count, PANEL) if n > PANEL else count
    # Columns of zeros exchange nothing, and rows of zeros come last.
    whole = filled(x, max(m, wide), max(n, wide))
    factor, pivots, order = _lu_of_columns(whole, np.int32(0), wide)
    pivots = pivots + np.arange(wide, dtype=np.int32) // PANEL * PANEL
    return [factor[..., :m, :n], pivots[..., :count], order[..., :m]]


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
