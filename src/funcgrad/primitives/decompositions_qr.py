"""QR: an orthonormal factor times a triangle, and the reflections it is made of.

The reflections H₁ … H_k, H_i = I − τᵢ vᵢ vᵢᴴ, are kept as LAPACK does: vᵢ below the diagonal of
column i, its first entry 1 left out. The one idea: their product is I − V T Vᴴ with a small upper
triangle T, which can be differentiated as it stands.
Source: Walter & Lehmann, arXiv:1009.6112; Schreiber & Van Loan, SIAM J. Sci. Stat. Comput. 10
(1989), for T.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..core.sources import user_line
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Library, Operand
from .arithmetic import add, neg, sub
from .complexes import conj
from .factor import triangular_solve
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    NDArray,
    adjoint,
    along_rows,
    beside,
    check_dtype,
    check_matrices,
    columns,
    each_matrix,
    extents,
    identity_like,
    imaginary_part,
    is_complex,
    kept,
    lapack,
    lower_part,
    padded,
    product,
    rows,
    rows_times,
    taken,
    upper_part,
)


class Geqrf(MatrixPrimitive):
    """The triangle r of x = q r, with the reflections q is made of below it, and their τ."""

    name = "geqrf"
    multiple_results = True
    jvp_term = NotDifferentiable("reflections are no smooth function of the matrix")

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x)
        return [x.strong(), ShapedArray((*x.shape[:-2], min(x.shape[-2:])), x.dtype)]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        avals = self.abstract_eval(aval_of(x))
        if not x.size:
            return [np.zeros(a.shape, a.dtype) for a in avals]
        solve = lapack("geqrf", x.dtype)
        return each_matrix(lambda i: solve(x[i])[:2], avals, x.ndim - 2)

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 4, 2), (2, 3), (0, 2)):
            yield Example((draw(reals(-1, 1), shape, 6),))
        yield Example((draw(reals(-1, 1), (3, 2), 6) + 1j,))


class Geqp3(MatrixPrimitive):
    """As `geqrf` for x with its columns reordered; also the order, which counts from 0."""

    name = "geqp3"
    multiple_results = True
    jvp_term = NotDifferentiable("reflections are no smooth function of the matrix")

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x)
        *lead, m, n = x.shape
        order = ShapedArray((*lead, n), np.dtype(np.int32))
        return [x.strong(), order, ShapedArray((*lead, min(m, n)), x.dtype)]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        avals = self.abstract_eval(aval_of(x))
        if not x.size:
            packed, order, taus = (np.zeros(a.shape, a.dtype) for a in avals)
            return [packed, order + np.arange(x.shape[-1], dtype=order.dtype), taus]
        solve = lapack("geqp3", x.dtype)

        def factored(i: tuple[int, ...]) -> Sequence[Any]:
            packed, order, taus = solve(x[i])[:3]
            return packed, order - 1, taus

        return each_matrix(factored, avals, x.ndim - 2)

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 4, 2), (2, 3), (0, 2)):
            yield Example((draw(reals(-1, 1), shape, 6),))
        yield Example((draw(reals(-1, 1), (3, 2), 6) + 1j,))


def _compact(a: Any, taus: Any) -> tuple[Any, Any, Any]:
    """V, the strict upper triangle S of Vᴴ V, and T of the product I − V T Vᴴ."""
    count = aval_of(taus).shape[-1]
    part = columns(a, 0, count)
    v = add(lower_part(part, -1), identity_like(part))
    s = upper_part(product(adjoint(v), v), 1)
    d = kept(along_rows(taus, s), np.eye(count, dtype=bool))
    # T = D − T S D, so (I + D S) T = D; nothing is divided by a τ, which may be zero.
    return v, s, triangular_solve(rows_times(taus, s), d, left_side=True, unit_diagonal=True)


def _turned(a: Any, taus: Any, c: Any, da: Any, dtaus: Any, flip: bool) -> Any:
    """The tangent of Q c, or of Qᴴ c, due to the reflections; da or dtaus may be None."""
    v, s, t = _compact(a, taus)
    count = aval_of(taus).shape[-1]
    terms: list[Any] = []
    inner = product(adjoint(v), c)
    right_side: Any = None
    if da is not None:
        dv = lower_part(columns(da, 0, count), -1)
        cross = product(adjoint(dv), v)
        ds = upper_part(add(cross, adjoint(cross)), 1)
        right_side = neg(product(rows_times(taus, ds), t))
        op = adjoint(t) if flip else t
        terms = [product(dv, product(op, inner)), product(v, product(op, product(adjoint(dv), c)))]
    if dtaus is not None:
        d = kept(along_rows(dtaus, s), np.eye(count, dtype=bool))
        moved = sub(d, product(rows_times(dtaus, s), t))
        right_side = moved if right_side is None else add(right_side, moved)
    dt = triangular_solve(rows_times(taus, s), right_side, left_side=True, unit_diagonal=True)
    total = product(v, product(adjoint(dt) if flip else dt, inner))
    for term in terms:
        total = add(total, term)
    return neg(total)


class HouseholderProduct(MatrixPrimitive):
    """The first columns of the product of reflections."""

    name = "householder_product"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        a, taus = avals
        check_matrices(self.name, a)
        check_dtype(self.name, a, taus)
        if a.shape[-2] < a.shape[-1]:
            raise ValueError(
                f"{self.name} takes at least as many rows as columns, got {a.long()}.\n"
                f"  {user_line()}"
            )
        check_taus(self.name, a, taus)
        return a.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        a, taus = arrays
        if not (a.size and taus.shape[-1]):
            return np.broadcast_to(np.eye(*extents(a), dtype=a.dtype), a.shape)
        solve = lapack("orgqr", a.dtype)
        return each_matrix(lambda i: solve(a[i], taus[i])[:1], [aval_of(a)], a.ndim - 2)[0]

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, taus = primals
        return _turned(a, taus, identity_like(a), *((t, None) if i == 0 else (None, t)), False)

    def examples(self) -> Iterator[Example]:
        for shape, count in (((3, 3), 3), ((4, 2), 2), ((2, 4, 3), 2), ((3, 3), 0), ((0, 0), 0)):
            args = draw(reals(-1, 1), shape, 6), draw(reals(-1, 1), (*shape[:-2], count), 7)
            yield Example(args)
        yield Example((draw(reals(-1, 1), (3, 2), 6) + 1j, np.array([1 + 0.5j, 0.3])))


def check_taus(name: str, a: ShapedArray, taus: ShapedArray) -> None:
    """Raise unless there is a τ for at most each column of the reflections."""
    if not taus.shape or taus.shape[:-1] != a.shape[:-2] or taus.shape[-1] > min(a.shape[-2:]):
        raise ValueError(
            f"{name}: taus {taus.long()} do not fit reflections {a.long()}.\n  {user_line()}\n"
            "  Give taus [..., k] with the same leading axes and k <= min(m, n)."
        )


class Ormqr(MatrixPrimitive):
    """Q c, Qᴴ c, c Q or c Qᴴ, of the square product Q of reflections; linear in c."""

    name = "ormqr"
    linear_operands = slice(2, 3)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        a, taus, c = avals
        check_matrices(self.name, a)
        check_matrices(self.name, c)
        check_dtype(self.name, a, taus, c)
        check_taus(self.name, a, taus)
        side = c.shape[-2] if params["left"] else c.shape[-1]
        if side != a.shape[-2] or a.shape[:-2] != c.shape[:-2]:
            raise ValueError(
                f"{self.name}: reflections {a.long()} do not fit c {c.long()} "
                f"(left={params['left']}).\n  {user_line()}\n  Both need the same leading axes, "
                f"and c {'rows' if params['left'] else 'columns'} as many as a has rows."
            )
        return c.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        a, taus, c = arrays
        count = taus.shape[-1]
        if not (c.size and count):
            return c
        solve = lapack("ormqr", a.dtype)
        flip = ("C" if a.dtype.kind == "c" else "T") if params["transpose"] else "N"
        side = "L" if params["left"] else "R"
        # Of LAPACK's block size, 64 is the largest in use.
        work = 64 * max(c.shape[-2:])

        def applied(i: tuple[int, ...]) -> Sequence[Any]:
            return solve(side, flip, a[i][:, :count], taus[i], c[i], work)[:1]

        return each_matrix(applied, [aval_of(c)], c.ndim - 2)[0]

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, taus, c = primals
        if i == 2:
            return self.bind(a, taus, t, **params)
        given = (t, None) if i == 0 else (None, t)
        if params["left"]:
            return _turned(a, taus, c, *given, params["transpose"])
        # c Q = (Qᴴ cᴴ)ᴴ.
        return adjoint(_turned(a, taus, adjoint(c), *given, not params["transpose"]))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        a, taus, _ = args
        complex_ = is_complex(ct)
        flipped = {**params, "transpose": not params["transpose"]}
        out = self.bind(a, taus, conj(ct) if complex_ else ct, **flipped)
        return [None, None, conj(out) if complex_ else out]

    def examples(self) -> Iterator[Example]:
        a, taus = draw(reals(-1, 1), (3, 2), 6), draw(reals(-1, 1), (2,), 7)
        c = draw(reals(-1, 1), (3, 2), 8)
        for number in range(4):
            left, flip = bool(number & 1), bool(number & 2)
            yield Example((a, taus, c if left else c.T), {"left": left, "transpose": flip})
        params = {"left": True, "transpose": True}
        yield Example((a[None] + 1j, taus[None] + 0.5j, c[None] - 1j), params)
        yield Example((a, taus[:0], c), params)
        yield Example((a, taus, c[:, :0]), params)


class Qr(MatrixPrimitive):
    """q with orthonormal columns and r upper triangular, q r = x, or x with columns reordered.

    Degenerate where the leading columns of x depend on each other: the derivative, which divides
    by the diagonal of r, is infinite or NaN there. With more rows than columns and full_matrices,
    also where a leading column is a multiple of its unit vector already.
    """

    name = "qr"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x)
        *lead, m, n = x.shape
        inner = m if params["full_matrices"] else min(m, n)
        outs = [ShapedArray((*lead, *s), x.dtype) for s in ((m, inner), (inner, n))]
        order = ShapedArray((*lead, n), np.dtype(np.int32))
        return [*outs, order] if params["pivoting"] else outs

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        if not params["pivoting"]:
            out = np.linalg.qr(x, "complete" if params["full_matrices"] else "reduced")
            return [out.Q, out.R]
        m, n = x.shape[-2:]
        packed, order, taus = geqp3_p.impl(x)
        inner = m if params["full_matrices"] else min(m, n)
        start = np.zeros((*x.shape[:-2], m, inner), x.dtype)
        start[..., :, : min(inner, n)] = packed[..., :, : min(inner, n)]
        q: NDArray = householder_product_p.impl(start, taus)
        return [q, np.triu(packed[..., :inner, :]), order]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("qr", params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (dx,) = primals, tangents
        outs = self.bind(x, **params)
        q, r, *order = outs
        still = [zero_tangent(aval_of(p)) for p in order]
        if isinstance(dx, Zero):
            return outs, [zero_tangent(aval_of(q)), zero_tangent(aval_of(r)), *still]
        dx = taken(instantiate(dx), order[0], 1) if order else instantiate(dx)
        m, n = aval_of(x).shape[-2:]
        k = min(m, n)
        thin = columns(q, 0, k)
        dq = _thin_tangent(thin, rows(columns(r, 0, k), 0, k), columns(dx, 0, k))
        # Qᴴ dQ R + dR = Qᴴ dX, in which dR is upper triangular.
        dr = sub(product(adjoint(thin), dx), product(adjoint(thin), product(dq, rows(r, 0, k))))
        dr = upper_part(dr)
        if params["full_matrices"] and m > n:
            dr = padded(dr, m - n, 0)
            dq = beside(dq, _rest_tangent(thin, dq))
        return outs, [dq, dr, *still]

    def examples(self) -> Iterator[Example]:
        shapes = (((3, 3), True), ((4, 2), False), ((2, 3, 2), False), ((4, 2), True), ((2, 3), 0))
        for shape, full in shapes:
            for pivoting in (False, True):
                params = {"full_matrices": bool(full), "pivoting": pivoting}
                yield Example((draw(reals(-1, 1), shape, 6),), params, tolerance=1e-5)
        x = draw(reals(-1, 1), (3, 2), 6)
        for pivoting in (False, True):
            params = {"full_matrices": True, "pivoting": pivoting}
            turned = x + 1j * draw(reals(-1, 1), (3, 2), 9)
            yield Example((turned,), params, tolerance=1e-5)
            for shape in ((0, 2), (2, 0), (0, 0)):
                yield Example((np.zeros(shape),), params, differentiable=())


def _thin_tangent(q: Any, r: Any, dx: Any) -> Any:
    """dq of x = q r, for as many rows as columns, or more."""
    # dx r⁻¹ = dq + q (dr r⁻¹), where qᴴ dq is antihermitian and dr r⁻¹ upper triangular with a
    # real diagonal.
    moved = triangular_solve(r, dx)
    inner = product(adjoint(q), moved)
    lower = lower_part(inner, -1)
    turn = sub(lower, adjoint(lower))
    if is_complex(q):
        turn = add(turn, kept(imaginary_part(inner), np.eye(aval_of(r).shape[-1], dtype=bool)))
    return add(product(q, sub(turn, inner)), moved)


def _rest_tangent(q: Any, dq: Any) -> Any:
    """The tangent of the columns that complete q [m, n], as products of reflections do.

    Q − I = −V T Vᴴ has the rows of Vᴴ for its row space, so the completing columns are
    I' + (q − I) Zᴴ with Z = q₂ (q₁ − I)⁻¹, where q₁ and q₂ are the square and the lower part of q.
    """
    from .decompositions_lu import lu_p, lu_solve

    m, n = aval_of(q).shape[-2:]
    moved = sub(q, identity_like(q))
    square, low = rows(moved, 0, n), rows(moved, n, m)
    factor, _, order = lu_p.bind(square)

    def divided(x: Any) -> Any:
        """The adjoint of x (q₁ − I)⁻¹."""
        return lu_solve(factor, order, adjoint(x), 2)

    z_adjoint = divided(low)
    change = sub(rows(dq, n, m), product(adjoint(z_adjoint), rows(dq, 0, n)))
    return add(product(dq, z_adjoint), product(moved, divided(change)))


geqrf_p, geqp3_p = Geqrf(), Geqp3()
householder_product_p, ormqr_p, qr_p = HouseholderProduct(), Ormqr(), Qr()


def geqrf(a: Any) -> tuple[Any, Any]:
    """The triangle of a QR decomposition with the reflections below it, and their τ.

    Args:
        a: floats or complex numbers [..., m, n].
    Returns:
        The packed matrix [..., m, n], and taus [..., min(m, n)].
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: a is no matrix.
    """
    packed, taus = geqrf_p.bind(a)
    return packed, taus


def geqp3(a: Any) -> tuple[Any, Any, Any]:
    """As `geqrf`, of the columns in an order that makes the diagonal descend.

    Returns:
        The packed matrix [..., m, n], the order i32[..., n], and taus [..., min(m, n)].
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: a is no matrix.
    """
    packed, order, taus = geqp3_p.bind(a)
    return packed, order, taus


def householder_product(a: Any, taus: Any) -> Any:
    """The first n columns of H₁ H₂ … H_k, H_i = I − τᵢ vᵢ vᵢᴴ.

    Args:
        a: [..., m, n] with m ≥ n; vᵢ is 1 at i, and column i of a below that.
        taus: [..., k] with k ≤ n.
    Returns:
        [..., m, n].
    Raises:
        TypeError: the dtypes differ, or LAPACK does not have them.
        ValueError: the shapes do not fit.
    """
    return householder_product_p.bind(a, taus)


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Any:
    """Q c, with the square Q = H₁ H₂ … H_k of reflections never formed.

    Args:
        a: reflections [..., m, n], as from `geqrf`.
        taus: their factors [..., k].
        c: [..., m, p]; [..., p, m] unless left.
        left: False for c Q.
        transpose: take Qᴴ for Q.
    Returns:
        An array like c.
    Raises:
        TypeError: the dtypes differ, or LAPACK does not have them.
        ValueError: the shapes do not fit.
    """
    return ormqr_p.bind(a, taus, c, left=bool(left), transpose=bool(transpose))


def qr(
    x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None
) -> Any:
    """Factors q [..., m, k] and r [..., k, n] of x [..., m, n]; k is m, or min(m, n) when not full.

    Args:
        pivoting: take the columns of x in an order that makes the diagonal of r descend in
            absolute value; x[:, p] = q r.
        use_magma: accepted, and of no effect here.
    Returns:
        (q, r), and the order p i32[..., n] when pivoting.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is no matrix.
    """
    return tuple(qr_p.bind(x, pivoting=bool(pivoting), full_matrices=bool(full_matrices)))
