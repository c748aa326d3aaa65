"""GMRES: the least residual in a Krylov space, in rounds of a fixed number of vectors.

A round spans the space by Arnoldi's method and solves a small least-squares problem in it, either
once at its end ("batched") or by a rotation after each vector ("incremental"), which knows when it
may stop. Vectors of the basis lie along a new first axis of each leaf.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from .... import numpy as fnp
from .... import tree
from ....control.loops import fori_loop, while_loop
from ....core.sources import user_line
from ....ir import dtypes
from ....primitives.factor import triangular_solve
from .operators import Operator, System, add, common_dtype, norm, solve, subtract


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    restart: int = 20,
    maxiter: Any = None,
    M: Any = None,
    solve_method: str = "batched",
) -> tuple[Any, Any]:
    """The x with A x = b by generalized minimal residuals, for any invertible A.

    Args:
        A: a matrix [n, n], or a function from trees like b to trees like b.
        b: a pytree of arrays, which counts as one vector.
        x0: where to start; zeros without it.
        tol, atol: ends where ‖b − A x‖ ≤ max(tol ‖b‖, atol).
        restart: how many vectors a round spans; at most the size of b.
        maxiter: how many rounds at most; ten times the size of b without it.
        M: the preconditioner, a matrix or function near A⁻¹. For reverse mode, a matrix is
            transposed with A; a function is used as it is.
        solve_method: "batched" or "incremental"; the second ends a round when it is good enough.
    Returns:
        x, a tree like b, and i32[]: 0, or −1 where x is NaN.
    Raises:
        TypeError: A or M is neither a matrix nor a function.
        ValueError: A or M is not square, x0 is not like b, or solve_method is unknown.
    Source: Saad & Schultz, SIAM J. Sci. Stat. Comput. 7(3), 1986.
    """
    rounds = {"batched": batched_round, "incremental": incremental_round}
    if solve_method not in rounds:
        raise ValueError(
            f"gmres: invalid solve_method {solve_method!r}: give 'incremental' or 'batched'.\n"
            f"  {user_line()}"
        )
    solver = partial(solve_gmres, rounds[solve_method], restart)
    x = solve("gmres", solver, A, b, x0, M, (tol, atol, maxiter))
    return x, fnp.where(fnp.isnan(norm(x)), -1, 0)


class Rounds(NamedTuple):
    """What the loop over rounds carries; `left` is the norm of the residual."""

    x: Any
    residual: Any
    left: Any
    count: Any


def solve_gmres(one_round: Any, restart: int, system: System, A: Operator, b: Any) -> Any:
    """A solution by rounds, each from where the one before it ended."""
    vectors = min(restart, sum(x.size for x in tree.leaves(b)))
    enough = system.tolerance(b)

    def applied(x: Any) -> Any:
        return system.precondition(A(x))

    def at(x: Any, count: Any) -> Rounds:
        residual = subtract(b, A(x))
        return Rounds(x, residual, norm(residual), count)

    def going(state: Rounds) -> Any:
        return (state.left > enough) & (state.count < system.maxiter)

    def advance(state: Rounds) -> Rounds:
        start, length = normalized(system.precondition(state.residual), 0)
        # What is enough of the residual, as a share, is enough of the preconditioned one.
        small = length * enough / state.left
        step = one_round(applied, start, length, small, vectors)
        return at(add(state.x, step), state.count + 1)

    return while_loop(going, advance, at(system.guess, fnp.asarray(0))).x


def normalized(x: Any, least: Any) -> tuple[Any, Any]:
    """x / ‖x‖ and ‖x‖; zeros where the norm is not above the least."""
    length = norm(x)
    counts = length > least
    divisor = fnp.where(counts, length, 1)
    unit = tree.map(lambda a: fnp.where(counts, a / divisor.astype(a.dtype), 0), x)
    return unit, fnp.where(counts, length, 0)


def first_basis(start: Any, vectors: int) -> Any:
    """Room for a basis, of which the first vector is known."""

    def with_room(x: Any) -> Any:
        return fnp.concatenate([x[None], fnp.zeros((vectors, *x.shape), x.dtype)])

    return tree.map(with_room, start)


def combined(basis: Any, coefficients: Any) -> Any:
    """The sum of the vectors of a basis, each with its coefficient."""
    return tree.map(
        lambda x: fnp.tensordot(coefficients.astype(x.dtype), x[: coefficients.size], 1), basis
    )


def projected(basis: Any, x: Any, dtype: Any) -> Any:
    """The coefficients of x along each vector of an orthonormal basis."""

    def along(vectors: Any, leaf: Any) -> Any:
        flat = fnp.conj(vectors.reshape(vectors.shape[0], -1))
        return (flat @ leaf.reshape(-1)).astype(dtype)

    terms = tree.leaves(tree.map(along, basis, x))
    return sum(terms[1:], terms[0])


def extended(applied: Operator, basis: Any, k: Any, dtype: Any) -> tuple[Any, Any, Any]:
    """The basis with vector k + 1, the coefficients of vector k's image, and whether it closes.

    Made orthogonal twice, to all vectors at once: once leaves errors that grow with every vector.
    """
    vector = applied(tree.map(lambda x: x[k], basis))
    before = norm(vector)
    column = projected(basis, vector, dtype)
    vector = subtract(vector, combined(basis, column))
    again = projected(basis, vector, dtype)
    vector = subtract(vector, combined(basis, again))
    unit, length = normalized(vector, before * dtypes.finfo(before.dtype).eps)
    basis = tree.map(lambda x, y: x.at[k + 1].set(y), basis, unit)
    column = (column + again).at[k + 1].set(length.astype(dtype))
    return basis, column, length == 0


def batched_round(applied: Operator, start: Any, length: Any, small: Any, vectors: int) -> Any:
    """The step of a round that spans the whole space and then solves once."""
    dtype = common_dtype(start)

    def going(state: Any) -> Any:
        _, _, closed, k = state
        return (k < vectors) & ~closed

    def advance(state: Any) -> Any:
        basis, columns, _, k = state
        basis, column, closed = extended(applied, basis, k, dtype)
        return basis, columns.at[k].set(column), closed, k + 1

    # Rows of the identity for vectors that are not reached: their coefficients come out as 0.
    columns = fnp.eye(vectors, vectors + 1, dtype=dtype)
    begin = (first_basis(start, vectors), columns, fnp.asarray(False), fnp.asarray(0))
    basis, columns, *_ = while_loop(going, advance, begin)
    q, r = fnp.linalg.qr(columns.T)
    right = fnp.conj(q[0]) * length.astype(dtype)
    return combined(basis, triangular_solve(r, right[:, None], left_side=True)[:, 0])


def incremental_round(applied: Operator, start: Any, length: Any, small: Any, vectors: int) -> Any:
    """The step of a round that keeps a triangle, and ends when the residual is small."""
    dtype = common_dtype(start)

    def going(state: Any) -> Any:
        *_, left, k = state
        return (k < vectors) & (left > small)

    def advance(state: Any) -> Any:
        basis, rows, right, cosines, sines, _, k = state
        basis, column, _ = extended(applied, basis, k, dtype)

        def turn(i: Any, row: Any) -> Any:
            return rotated(row, i, cosines[i], sines[i])

        column = fori_loop(0, k, turn, column)
        cosine, sine = rotation(column[k], column[k + 1])
        right = rotated(right, k, cosine, sine)
        return (
            basis,
            rows.at[k].set(rotated(column, k, cosine, sine)),
            right,
            cosines.at[k].set(cosine),
            sines.at[k].set(sine),
            fnp.abs(right[k + 1]),
            k + 1,
        )

    zeros = fnp.zeros(vectors, dtype)
    right = fnp.zeros(vectors + 1, dtype).at[0].set(length.astype(dtype))
    rows = fnp.eye(vectors, vectors + 1, dtype=dtype)
    begin = (first_basis(start, vectors), rows, right, zeros, zeros, length, fnp.asarray(0))
    basis, rows, right, _, _, _, k = while_loop(going, advance, begin)
    # Behind the last rotation stands the residual, which is no coefficient.
    known = fnp.where(fnp.arange(vectors) < k, right[:vectors], 0)
    triangle = rows[:, :vectors].T
    return combined(basis, triangular_solve(triangle, known[:, None], left_side=True)[:, 0])


def rotation(a: Any, b: Any) -> tuple[Any, Any]:
    """c and s with c real and −s a + c b = 0, so that (a, b) turns into (c a + s̄ b, 0)."""
    size = fnp.sqrt(fnp.abs(a) ** 2 + fnp.abs(b) ** 2)
    divisor = fnp.where(size > 0, size, 1)
    # With a = 0 any phase serves: that of b then is the phase of the result.
    phase = fnp.where(fnp.abs(a) > 0, a / fnp.where(fnp.abs(a) > 0, fnp.abs(a), 1), 1)
    cosine = fnp.where(size > 0, fnp.abs(a) / divisor, 1).astype(a.dtype)
    return cosine, b * fnp.conj(phase) / divisor.astype(a.dtype)


def rotated(x: Any, i: Any, cosine: Any, sine: Any) -> Any:
    """x with elements i and i + 1 turned."""
    a, b = x[i], x[i + 1]
    x = x.at[i].set(cosine * a + fnp.conj(sine) * b)
    return x.at[i + 1].set(cosine * b - sine * a)
