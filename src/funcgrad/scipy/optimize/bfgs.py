"""BFGS: Newton's method with an inverse Hessian that is learnt from the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ... import numpy as fnp
from ...api.reverse import value_and_grad
from ...control.loops import while_loop
from .line_search import line_search

# Codes of SciPy and JAX; a failed line search adds its own status to the last one.
CONVERGED, TOO_MANY_ITERATIONS, LINE_SEARCH_FAILED = 0, 1, 2


class BFGSState(NamedTuple):
    """What the loop carries: the point, the function there, and what is known of its curvature."""

    x: Any
    value: Any
    gradient: Any
    inverse_hessian: Any
    previous: Any
    iterations: Any
    evaluations: Any
    converged: Any
    failed: Any
    search_status: Any


def minimize_bfgs(
    fun: Callable[[Any], Any],
    x0: Any,
    maxiter: Any = None,
    norm: Any = fnp.inf,
    gtol: Any = 1e-5,
    line_search_maxiter: int = 10,
) -> tuple[BFGSState, Any]:
    """The state where ‖∇f‖ < gtol, or where no step goes further down; and why it ended.

    H ← (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ, with s the step, y the change of the gradient and
    ρ = 1 / yᵀs; the next direction is −H ∇f.

    Source: Nocedal & Wright, Numerical Optimization (2nd edition), algorithm 6.1.
    """
    limit = 200 * x0.size if maxiter is None else maxiter
    value, gradient = value_and_grad(fun)(x0)

    def small(g: Any) -> Any:
        return fnp.linalg.norm(g, ord=norm) < gtol

    def advance(state: BFGSState) -> BFGSState:
        direction = -(state.inverse_hessian @ state.gradient)
        first = first_step(state, fnp.dot(state.gradient, direction))
        found = line_search(
            fun, state.x, direction, state.value, state.gradient, first, line_search_maxiter
        )
        step = found.step.astype(x0.dtype) * direction
        change = found.gradient - state.gradient
        return BFGSState(
            state.x + step,
            found.value,
            found.gradient,
            updated_inverse(state.inverse_hessian, step, change),
            state.value,
            state.iterations + 1,
            state.evaluations + found.evaluations,
            small(found.gradient),
            found.failed,
            found.status,
        )

    def going(state: BFGSState) -> Any:
        return ~state.converged & ~state.failed & (state.iterations < limit)

    start = BFGSState(
        x0,
        value,
        gradient,
        fnp.eye(x0.size, dtype=x0.dtype),
        value + fnp.linalg.norm(gradient).astype(value.dtype) / 2,
        fnp.asarray(0),
        fnp.asarray(1),
        small(gradient),
        fnp.asarray(False),
        fnp.asarray(0),
    )
    end = while_loop(going, advance, start)
    why = fnp.where(end.failed, LINE_SEARCH_FAILED + end.search_status, TOO_MANY_ITERATIONS)
    return end, fnp.where(end.converged, CONVERGED, why)


def first_step(state: BFGSState, slope: Any) -> Any:
    """A first step that would bring what the last iteration brought, at most 1."""
    guess = 1.01 * 2 * (state.value - state.previous) / slope
    return fnp.where((guess > 0) & (guess < 1), guess, fnp.ones_like(guess))


def updated_inverse(inverse: Any, step: Any, change: Any) -> Any:
    """The inverse Hessian after a step; unchanged where the gradient did not change along it."""
    rho = 1 / fnp.dot(change, step)
    keep = fnp.eye(step.size, dtype=step.dtype) - rho * fnp.outer(step, change)
    updated = keep @ inverse @ keep.T + rho * fnp.outer(step, step)
    return fnp.where(fnp.isfinite(rho), updated, inverse)
