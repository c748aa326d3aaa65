"""L-BFGS: BFGS that keeps its last few steps instead of a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ... import numpy as fnp
from ...api.reverse import value_and_grad
from ...control.loops import while_loop
from ...control.scan import scan
from .line_search import line_search

CONVERGED, TOO_MANY_ITERATIONS, TOO_MANY_VALUES, TOO_MANY_GRADIENTS = 0, 1, 2, 3
NO_PROGRESS, LINE_SEARCH_FAILED = 4, 5


class LBFGSState(NamedTuple):
    """What the loop carries; the last steps stand in the rows of the memory, the newest last."""

    x: Any
    value: Any
    gradient: Any
    steps: Any
    changes: Any
    curvatures: Any
    scale: Any
    iterations: Any
    evaluations: Any
    converged: Any
    status: Any


class Limits(NamedTuple):
    """When to stop; the names are SciPy's."""

    maxiter: Any
    ftol: Any
    maxfun: Any
    maxgrad: Any


def minimize_lbfgs(
    fun: Callable[[Any], Any],
    x0: Any,
    maxiter: Any = None,
    norm: Any = fnp.inf,
    maxcor: int = 10,
    ftol: Any = 2.220446049250313e-09,
    gtol: Any = 1e-05,
    maxfun: Any = None,
    maxgrad: Any = None,
    maxls: int = 20,
) -> LBFGSState:
    """The state where ‖∇f‖ < gtol, or where another condition ended the search.

    Real functions of complex variables are minimized as well: y is then conjugate, and inner
    products count by their real parts.

    Args:
        maxcor: how many steps are remembered.
        ftol: ends where the function falls by less.
        maxfun, maxgrad: how many evaluations are allowed; maxls: how many in a line search.
    Source: Nocedal & Wright, Numerical Optimization (2nd edition), algorithm 7.5; for complex
        variables Sorber, Van Barel & De Lathauwer, SIAM J. Optim. 22(3), 2012.
    """
    if maxiter is None and maxfun is None and maxgrad is None:
        maxiter = 200 * x0.size
    unlimited = [fnp.inf if n is None else n for n in (maxiter, maxfun, maxgrad)]
    limits = Limits(unlimited[0], ftol, unlimited[1], unlimited[2])
    value, gradient = value_and_grad(fun)(x0)

    def small(g: Any) -> Any:
        return fnp.linalg.norm(g, ord=norm) < gtol

    def advance(state: LBFGSState) -> LBFGSState:
        direction = descent_direction(state)
        one = fnp.ones_like(state.value)
        found = line_search(fun, state.x, direction, state.value, state.gradient, one, maxls)
        step = found.step.astype(x0.dtype) * direction
        converged = small(found.gradient)
        status = fnp.where(found.failed, LINE_SEARCH_FAILED, reached(state, found.value, limits))
        return LBFGSState(
            state.x + step,
            found.value,
            found.gradient,
            *remembered(state, step, found.gradient - state.gradient),
            state.iterations + 1,
            state.evaluations + found.evaluations,
            converged,
            fnp.where(converged, CONVERGED, status),
        )

    start = first_state(x0, value, gradient, maxcor)._replace(converged=small(gradient))
    return while_loop(lambda state: ~state.converged & (state.status == 0), advance, start)


def first_state(x0: Any, value: Any, gradient: Any, maxcor: int) -> LBFGSState:
    """The state before the first iteration: nothing is remembered."""
    real = value.dtype
    return LBFGSState(
        x=x0,
        value=value,
        gradient=gradient,
        steps=fnp.zeros((maxcor, x0.size), x0.dtype),
        changes=fnp.zeros((maxcor, x0.size), x0.dtype),
        curvatures=fnp.zeros(maxcor, real),
        scale=fnp.ones((), real),
        iterations=fnp.asarray(0),
        evaluations=fnp.asarray(1),
        converged=fnp.asarray(False),
        status=fnp.asarray(CONVERGED),
    )


def reached(state: LBFGSState, value: Any, limits: Limits) -> Any:
    """The code of the limit that ends the search after this iteration, or 0."""
    status = fnp.where(state.value - value < limits.ftol, NO_PROGRESS, 0)
    status = fnp.where(state.evaluations >= limits.maxgrad, TOO_MANY_GRADIENTS, status)
    status = fnp.where(state.evaluations >= limits.maxfun, TOO_MANY_VALUES, status)
    return fnp.where(state.iterations >= limits.maxiter, TOO_MANY_ITERATIONS, status)


def remembered(state: LBFGSState, step: Any, change: Any) -> tuple[Any, Any, Any, Any]:
    """The memory with one more step, the oldest forgotten; a step without curvature is not kept."""
    bend = fnp.real(fnp.dot(change, step))
    length = fnp.real(fnp.dot(fnp.conj(change), change))
    # A step along which the gradient did not change would divide by 0 in every later direction.
    useful = bend > 0

    def pushed(memory: Any, new: Any) -> Any:
        moved = fnp.concatenate([memory[1:], new[None].astype(memory.dtype)])
        return fnp.where(useful, moved, memory)

    return (
        pushed(state.steps, step),
        pushed(state.changes, change),
        pushed(state.curvatures, 1 / fnp.where(useful, bend, 1)),
        fnp.where(useful, bend / fnp.where(useful, length, 1), state.scale).astype(bend.dtype),
    )


def descent_direction(state: LBFGSState) -> Any:
    """−H ∇f from the remembered steps alone; rows that are still empty change nothing.

    Source: Nocedal & Wright, algorithm 7.4, the two-loop recursion.
    """
    memory = (state.steps, state.changes, state.curvatures)

    def backward(q: Any, row: Any) -> tuple[Any, Any]:
        step, change, curvature = row
        share = curvature * fnp.real(fnp.dot(fnp.conj(step), q))
        return q - share.astype(q.dtype) * fnp.conj(change), share

    def forward(q: Any, row: Any) -> tuple[Any, None]:
        step, change, curvature, share = row
        excess = share - curvature * fnp.real(fnp.dot(change, q))
        return q + excess.astype(q.dtype) * step, None

    q, shares = scan(backward, -fnp.conj(state.gradient), memory, reverse=True)
    direction, _ = scan(forward, state.scale.astype(q.dtype) * q, (*memory, shares))
    return direction
