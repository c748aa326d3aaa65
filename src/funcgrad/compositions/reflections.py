"""Factors by reflections: QR, with columns reordered or not, and forms similar to a matrix.

In: matrices [..., m, n]. Out: what LAPACK gives, reflections packed as it does. The one idea: a
reflection H = I − τ v vᴴ that makes a column zero below a row is found for all matrices at once,
and applied to the whole of them; a turn of a loop does one column. Of large matrices it is applied
to the columns of its block, and the rest is done by products: the reflections of a block are
I − V T Vᴴ, with T⁻¹ the upper triangle of Vᴴ V whose diagonal is 1/τ.

Source: Golub & Van Loan, Matrix Computations, 4th edition, sections 5.1, 5.2, 5.4, 7.4 and 8.3;
Schreiber & Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989); Puglisi, ibid. 13 (1992), for T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as fnp
from ..core.composed import compose
from ..primitives.indexing import dynamic_slice_in_dim, dynamic_update_slice_in_dim
from .factors import (
    adjoint,
    block_of_columns,
    block_of_rows,
    brought_down,
    brought_up,
    column,
    filled,
    loop,
    solve_lower,
)

# Columns of a block, and from how many on there are blocks.
BLOCK, LARGE = 32, 96


def _entry(x: Any, i: Any) -> Any:
    """Entry i of vectors [..., m], as [..., 1]."""
    return dynamic_slice_in_dim(x, i, 1, x.ndim - 1)


def reflection(x: Any, first: Any) -> tuple[Any, Any, Any]:
    """v and τ with (I − τ̄ v vᴴ) x zero below entry `first`, and what is there then.

    Args:
        x: vectors [..., m], of which nothing before `first` is looked at.
    """
    rows = fnp.arange(x.shape[-1])
    alpha = _entry(x, first)
    rest = fnp.where(rows > first, x, 0)
    # Scaled, so that squares neither overflow nor vanish.
    largest = fnp.maximum(fnp.max(abs(rest), -1, keepdims=True), abs(alpha))
    scale = fnp.where(largest == 0, 1, largest)
    parts = abs(rest / scale.astype(x.dtype))
    total = fnp.sum(parts * parts, -1, keepdims=True)
    size = scale * fnp.sqrt(abs(alpha / scale.astype(x.dtype)) ** 2 + total)
    beta = -fnp.copysign(size, fnp.real(alpha))
    # A column that is zero below, and real, stays as it is: τ is 0.
    still = (total == 0) & (fnp.imag(alpha) == 0)
    safe = fnp.where(still, 1, beta).astype(x.dtype)
    tau = fnp.where(still, 0, (safe - alpha) / safe)
    below = rest / fnp.where(still, 1, alpha - safe)
    v = fnp.where(rows == first, 1, below).astype(x.dtype)
    return v, tau, fnp.where(still, alpha, safe)


def reflected(v: Any, tau: Any, x: Any) -> Any:
    """(I − τ v vᴴ) x."""
    return x - (tau * v)[..., None] * (fnp.conj(v)[..., None, :] @ x)


def _packed(x: Any, v: Any, beta: Any, first: Any, j: Any) -> Any:
    """x with column j as LAPACK keeps it: β at `first`, and v below."""
    rows = fnp.arange(x.shape[-2])
    now = fnp.where(rows == first, beta, fnp.where(rows > first, v, column(x, j)))
    return dynamic_update_slice_in_dim(x, now[..., None], j, x.ndim - 1)


def _exchanged(x: Any, j: Any, other: Any) -> Any:
    """Entries j and `other` [...] along the last axis exchanged."""
    places, at = fnp.arange(x.shape[-1], dtype=np.int32), other[..., None]
    source = fnp.where(places == j, at, fnp.where(places == at, j, places))
    if x.ndim > source.ndim:
        source = source[..., None, :]
    return fnp.take_along_axis(x, source, -1)


def _triangle(x: Any, pivoting: bool) -> tuple[Any, Any, Any]:
    """The packed factor, the order of the columns, and τ."""
    m, n = x.shape[-2:]
    order = fnp.broadcast_to(fnp.arange(n, dtype=np.int32), (*x.shape[:-2], n))
    rows, columns = fnp.arange(m)[:, None], fnp.arange(n)

    def turn(j: Any, state: Any) -> Any:
        x, order = state
        if pivoting:
            size = abs(fnp.where(rows >= j, x, 0))
            norms = fnp.where(columns >= j, fnp.sum(size * size, -2), -1)
            longest = fnp.argmax(norms, -1).astype(np.int32)
            x, order = _exchanged(x, j, longest), _exchanged(order, j, longest)
        v, tau, beta = reflection(column(x, j), j)
        v = fnp.where(fnp.arange(m) >= j, v, 0)
        moved = reflected(v, fnp.conj(tau), x)
        x = fnp.where(columns > j, moved, x)
        return (_packed(x, v, beta, j, j), order), tau[..., 0]

    if not min(m, n):
        return x, order, fnp.zeros((*x.shape[:-2], 0), x.dtype)
    (x, order), taus = loop(min(m, n), turn, (x, order))
    return x, order, fnp.moveaxis(taus, 0, -1)


class _Block:
    """The reflections of a block of columns.

    Args:
        v: [..., m, k], in columns; `taus` [..., k].
    """

    def __init__(self, v: Any, taus: Any) -> None:
        self.v, self.taus = v, taus[..., None]
        # T = D (1 + S D)⁻¹ with D = diag τ, which may have zeros, and S above the diagonal of Vᴴ V.
        self.triangle = fnp.triu(adjoint(v) @ v, 1) * taus[..., None, :]

    def applied(self, c: Any, back: bool) -> Any:
        """Qᴴ c if `back`, else Q c."""
        x = adjoint(self.v) @ c
        if back:
            x = solve_lower(adjoint(self.triangle), fnp.conj(self.taus) * x, unit=True)
        else:
            turned = self.triangle[..., ::-1, ::-1]
            x = self.taus * solve_lower(turned, x[..., ::-1, :], unit=True)[..., ::-1, :]
        return c - self.v @ x


def _by_blocks(x: Any) -> tuple[Any, Any]:
    """The packed factor and τ of large matrices."""
    m, n = x.shape[-2:]
    count = min(m, n)
    wide = -(-count // BLOCK) * BLOCK
    rows, columns = fnp.arange(max(m, wide))[:, None], fnp.arange(max(n, wide))

    def turn(k: Any, x: Any) -> Any:
        at = k * BLOCK
        panel = block_of_columns(x, at, BLOCK)
        packed, _, taus = _triangle(brought_up(panel, at), False)
        eye = np.eye(*packed.shape[-2:], dtype=x.dtype)
        v = brought_down(fnp.tril(packed, -1) + eye, at)
        rest = _Block(v, taus).applied(x, True)
        panel = fnp.where(rows >= at, brought_down(packed, at), panel)
        done = dynamic_update_slice_in_dim(x, panel, at, x.ndim - 1)
        return fnp.where(columns >= at + BLOCK, rest, done), taus

    x, taus = loop(wide // BLOCK, turn, filled(x, max(m, wide), max(n, wide)))
    taus = fnp.moveaxis(taus, 0, -2).reshape(*x.shape[:-2], wide)
    return x[..., :m, :n], taus[..., :count]


def _factored(x: Any) -> tuple[Any, Any]:
    """The packed factor and τ."""
    if min(x.shape[-2:]) >= LARGE:
        return _by_blocks(x)
    packed, _, taus = _triangle(x, False)
    return packed, taus


@compose("geqrf")
def geqrf(x: Any) -> list[Any]:
    """The packed factor and τ."""
    return list(_factored(x))


@compose("geqp3")
def geqp3(x: Any) -> list[Any]:
    """The packed factor, the order of the columns, and τ."""
    return list(_triangle(x, True))


def applied(a: Any, taus: Any, c: Any, back: bool) -> Any:
    """Qᴴ c if `back`, else Q c, with Q = H₁ … H_k; H₁ comes first, or last."""
    if taus.shape[-1] >= LARGE:
        return _applied_by_blocks(a, taus, c, back)
    rows = fnp.arange(a.shape[-2])

    def turn(i: Any, c: Any) -> Any:
        v = fnp.where(rows == i, 1, fnp.where(rows > i, column(a, i), 0)).astype(a.dtype)
        tau = _entry(taus, i)
        return reflected(v, fnp.conj(tau) if back else tau, c), None

    return loop(taus.shape[-1], turn, c, reverse=not back)[0] if taus.shape[-1] else c


def _applied_by_blocks(a: Any, taus: Any, c: Any, back: bool) -> Any:
    """The same, by blocks of reflections."""
    m, count = a.shape[-2], taus.shape[-1]
    wide = -(-count // BLOCK) * BLOCK
    high = max(m, wide)
    # Reflections that are filled up have τ = 0.
    a = filled(a[..., :count], high, wide)
    taus = filled(taus[..., None], wide, 1)[..., 0]
    rows, columns = fnp.arange(high)[:, None], fnp.arange(BLOCK)

    def turn(k: Any, c: Any) -> Any:
        at = k * BLOCK
        below = rows - (at + columns)
        v = fnp.where(below > 0, block_of_columns(a, at, BLOCK), below == 0).astype(a.dtype)
        own = block_of_rows(taus[..., None], at, BLOCK)[..., 0]
        return _Block(v, own).applied(c, back), None

    c = loop(wide // BLOCK, turn, filled(c, high, c.shape[-1]), reverse=not back)[0]
    return c[..., :m, :]


@compose("householder_product")
def householder_product(a: Any, taus: Any) -> Any:
    """The first columns of Q."""
    eye = fnp.broadcast_to(fnp.eye(*a.shape[-2:], dtype=a.dtype), a.shape)
    return applied(a, taus, eye, False)


@compose("ormqr")
def ormqr(a: Any, taus: Any, c: Any, *, left: bool, transpose: bool) -> Any:
    """Q c or Qᴴ c; c Q = (Qᴴ cᴴ)ᴴ."""
    if left:
        return applied(a, taus, c, transpose)
    return adjoint(applied(a, taus, adjoint(c), not transpose))


@compose("qr")
def qr(x: Any, *, pivoting: bool, full_matrices: bool) -> list[Any]:
    """q and r, and the order of the columns."""
    m, n = x.shape[-2:]
    order: Any = None
    if pivoting:
        packed, order, taus = _triangle(x, True)
    else:
        packed, taus = _factored(x)
    inner = m if full_matrices else min(m, n)
    eye = fnp.broadcast_to(fnp.eye(m, inner, dtype=x.dtype), (*x.shape[:-2], m, inner))
    factors = [applied(packed, taus, eye, False), fnp.triu(packed[..., :inner, :])]
    return [*factors, order] if pivoting else factors


# Similar forms.


def _similar(x: Any) -> tuple[Any, Any]:
    """x made zero below the first subdiagonal by reflections from both sides, and their τ."""
    n = x.shape[-1]
    places = fnp.arange(n)

    def turn(j: Any, x: Any) -> Any:
        v, tau, beta = reflection(column(x, j), j + 1)
        v = fnp.where(places > j, v, 0)
        # Columns up to j hold reflections of turns before.
        moved = reflected(v, fnp.conj(tau), x)
        moved = fnp.where(places > j, moved, x)
        # x (I − τ v vᴴ) = ((I − τ̄ v vᴴ) xᴴ)ᴴ changes the columns behind j alone.
        moved = adjoint(reflected(v, fnp.conj(tau), adjoint(moved)))
        moved = fnp.where(places > j, moved, x)
        return _packed(moved, v, beta, j + 1, j), tau[..., 0]

    x, taus = loop(n - 1, turn, x)
    return x, fnp.moveaxis(taus, 0, -1)


@compose("hessenberg")
def hessenberg(x: Any) -> list[Any]:
    """The form, with reflections where it is zero, and τ."""
    if x.shape[-1] < 2:
        return [x, fnp.zeros((*x.shape[:-2], 0), x.dtype)]
    return list(_similar(x))
