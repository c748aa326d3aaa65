"""Conjugate gradients, for hermitian positive definite matrices, and BiCGSTAB, for any."""

from __future__ import annotations

from typing import Any, NamedTuple

from .... import numpy as fnp
from ....control.loops import while_loop
from .operators import (
    Operator,
    System,
    add,
    choose,
    inner,
    real_inner,
    scale,
    solve,
    subtract,
)


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,
) -> tuple[Any, None]:
    """The x with A x = b by conjugate gradients, for hermitian positive definite A.

    Args:
        A: a matrix [n, n], or a function from trees like b to trees like b.
        b: a pytree of arrays, which counts as one vector.
        x0: where to start; zeros without it.
        tol, atol: ends where ‖b − A x‖ ≤ max(tol ‖b‖, atol).
        maxiter: how many iterations at most; ten times the size of b without it.
        M: the preconditioner, a matrix or function near A⁻¹, hermitian and positive definite.
    Returns:
        x, a tree like b, and None, for SciPy's `info`.
    Raises:
        TypeError: A or M is neither a matrix nor a function.
        ValueError: A or M is not square, or x0 is not like b.
    Source: Hestenes & Stiefel, J. Res. Nat. Bur. Standards 49, 1952; the preconditioned form is
        algorithm 9.1 of Saad, Iterative Methods for Sparse Linear Systems (2nd edition).
    """
    return solve("cg", solve_cg, A, b, x0, M, (tol, atol, maxiter), hermitian=True), None


def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,
) -> tuple[Any, None]:
    """The x with A x = b by stabilized biconjugate gradients, for any invertible A.

    Args and Returns are those of `cg`; neither A nor M needs to be hermitian. For reverse mode, a
    matrix M is transposed with A; a function M is used as it is.
    Source: van der Vorst, SIAM J. Sci. Stat. Comput. 13(2), 1992.
    """
    return solve("bicgstab", solve_bicgstab, A, b, x0, M, (tol, atol, maxiter)), None


class Conjugate(NamedTuple):
    """What the loop of conjugate gradients carries; `energy` is rᴴ M r."""

    x: Any
    residual: Any
    direction: Any
    energy: Any
    iterations: Any


def solve_cg(system: System, A: Operator, b: Any) -> Any:
    """A solution by directions that are conjugate under A."""
    enough = system.tolerance(b) ** 2

    def going(state: Conjugate) -> Any:
        left = real_inner(state.residual, state.residual)
        return (left > enough) & (state.iterations < system.maxiter)

    def advance(state: Conjugate) -> Conjugate:
        p, image = state.direction, A(state.direction)
        step = state.energy / real_inner(p, image)
        r = subtract(state.residual, scale(step, image))
        z = system.precondition(r)
        energy = real_inner(r, z)
        turned = add(z, scale(energy / state.energy, p))
        x = add(state.x, scale(step, p))
        return Conjugate(x, r, turned, energy, state.iterations + 1)

    r = subtract(b, A(system.guess))
    z = system.precondition(r)
    start = Conjugate(system.guess, r, z, real_inner(r, z), fnp.asarray(0))
    return while_loop(going, advance, start).x


class Stabilized(NamedTuple):
    """What the loop of BiCGSTAB carries, in van der Vorst's letters; r̂ stays the first residual."""

    x: Any
    residual: Any
    direction: Any
    image: Any
    alpha: Any
    omega: Any
    rho: Any
    iterations: Any
    broken: Any


def solve_bicgstab(system: System, A: Operator, b: Any) -> Any:
    """A solution by iterations of two steps: along a direction, and to the least residual."""
    enough = system.tolerance(b) ** 2
    shadow = subtract(b, A(system.guess))

    def going(state: Stabilized) -> Any:
        left = real_inner(state.residual, state.residual)
        return (left > enough) & (state.iterations < system.maxiter) & ~state.broken

    def advance(state: Stabilized) -> Stabilized:
        rho = inner(shadow, state.residual)
        beta = rho / state.rho * state.alpha / state.omega
        older = subtract(state.direction, scale(state.omega, state.image))
        p = add(state.residual, scale(beta, older))
        prepared = system.precondition(p)
        v = A(prepared)
        alpha = rho / inner(shadow, v)
        half = subtract(state.residual, scale(alpha, v))
        half_x = add(state.x, scale(alpha, prepared))
        # Where the first step is enough already, the second would divide by almost nothing.
        early = real_inner(half, half) <= enough
        second = system.precondition(half)
        t = A(second)
        omega = inner(t, half) / inner(t, t)
        x = choose(early, half_x, add(half_x, scale(omega, second)))
        broken = ~fnp.isfinite(alpha)
        return Stabilized(
            choose(broken, state.x, x),
            choose(early, half, subtract(half, scale(omega, t))),
            p,
            v,
            alpha,
            omega,
            rho,
            state.iterations + 1,
            broken | (rho == 0) | (alpha == 0) | (omega == 0),
        )

    one = fnp.ones_like(inner(shadow, shadow))
    start = Stabilized(
        system.guess, shadow, shadow, shadow, one, one, one, fnp.asarray(0), fnp.asarray(False)
    )
    return while_loop(going, advance, start).x
