"""Newton, Gauss-Newton and natural-gradient steps, by curvature products and conjugate gradients.

No matrix is formed: a product with the Hessian is the derivative of the gradient along a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import lax
from .. import numpy as fnp
from .. import tree as pytree
from ..api.forward import jvp
from ..api.reverse import grad as gradient
from ..api.reverse import vjp
from .base import (
    EmptyState,
    GradientTransformationExtraArgs,
    Params,
    ScalarOrSchedule,
    Updates,
    init_empty_state,
)
from .checks import check_not_negative, check_positive, need_extra, need_params
from .combining import chain
from .leaves import map_leaves
from .linesearch import with_own_keywords
from .scaling import scale_by_learning_rate
from .tree import add_scale, cast_like, norm, real, vdot, where, zeros_like

Product = Callable[[Any], Any]


def hvp(f: Callable[[Any], Any], params: Params, v: Any) -> Any:
    """H v, with H the Hessian of f at params, by one jvp of its gradient."""
    return jvp(gradient(f), (params,), (v,))[1]


def ggn_vp(
    predict_fn: Callable[[Any], Any], loss_fn: Callable[[Any], Any], params: Params, v: Any
) -> Any:
    """Jᵀ H J v, with J the Jacobian of predict_fn at params and H the Hessian of loss_fn there.

    The Gauss-Newton matrix of loss_fn(predict_fn(params)), semi-definite for convex losses.

    Source: Schraudolph, Neural Computation 14, 2002.
    """
    outputs, pushed = jvp(predict_fn, (params,), (v,))
    return vjp(predict_fn, params)[1](hvp(loss_fn, outputs, pushed))[0]


class _Solve(NamedTuple):
    x: Any
    residual: Any
    direction: Any
    square: Any
    count: Any
    stopped: Any


def truncated_cg(product: Product, b: Any, tol: Any = 1e-5, maxiter: int = 100) -> Any:
    """x with A x = b by conjugate gradients that end at a curvature that is not positive.

    Then x is what was reached, or b itself at the first step: a direction of descent in any case.

    Args:
        product: x to A x, for a symmetric A.
        b: a tree; x has its structure.
        tol: ends where ‖b − A x‖ ≤ tol · ‖b‖.
    Source: Nocedal & Wright, Numerical Optimization, algorithm 7.1.
    """
    goal = (tol**2) * norm(b, squared=True)

    def dot(x: Any, y: Any) -> Any:
        return real(vdot(x, y))

    def step(state: _Solve) -> _Solve:
        image = product(state.direction)
        curvature = dot(state.direction, image)
        bent = ~(curvature > 0)
        length = state.square / fnp.where(bent, 1.0, curvature)
        x = add_scale(state.x, length, state.direction)
        residual = add_scale(state.residual, -length, image)
        square = dot(residual, residual)
        direction = add_scale(residual, square / state.square, state.direction)
        fallback = where(state.count == 0, b, state.x)
        new = _Solve(where(bent, fallback, x), residual, direction, square, state.count + 1, bent)
        return cast_like(new, state)

    def is_on(state: _Solve) -> Any:
        return (state.square > goal) & (state.count < maxiter) & ~state.stopped

    b = pytree.map(fnp.asarray, b)
    start = _Solve(zeros_like(b), b, b, dot(b, b), fnp.zeros((), int), fnp.array(False))
    return lax.while_loop(is_on, step, start).x


def _check(what: str, damping: Any, tol: Any, maxiter: Any) -> None:
    check_not_negative(what, damping=damping, tol=tol)
    check_positive(what, maxiter=maxiter)


def _solved(product: Product, updates: Updates, damping: Any, tol: Any, maxiter: int) -> Any:
    def damped(v: Any) -> Any:
        return map_leaves(
            "second-order step",
            lambda v, image: (image + damping * v).astype(v.dtype),
            v,
            image=product(v),
        )

    return truncated_cg(damped, updates, tol, maxiter)


def scale_by_newton(
    damping: Any = 0.0, tol: Any = 1e-5, maxiter: int = 100
) -> GradientTransformationExtraArgs:
    """(H + damping · I)⁻¹ g, with H the Hessian of the loss.

    The update takes the keyword `value_fn`, the loss as a function of params, and what that takes
    besides. The solution is by `truncated_cg`: where H is not positive it ends early.

    Args:
        tol: of the solution, relative to ‖g‖.
        maxiter: products with H at most.
    Raises:
        ValueError: negative numbers; in update, when params or `value_fn` are not given.
    Source: Nocedal & Wright, Numerical Optimization, section 7.1.
    """
    what = "scale_by_newton"
    _check(what, damping, tol, maxiter)

    def update(
        updates: Updates,
        state: EmptyState,
        params: Params = None,
        *,
        value_fn: Any = None,
        value: Any = None,
        grad: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        need_params(what, params)
        need_extra(what, value_fn=value_fn)
        f = with_own_keywords(what, value_fn, extra_args)
        out = _solved(lambda v: hvp(f, params, v), updates, damping, tol, maxiter)
        return out, state

    return GradientTransformationExtraArgs(init_empty_state, update)


def scale_by_gauss_newton(
    damping: Any = 0.0, tol: Any = 1e-5, maxiter: int = 100
) -> GradientTransformationExtraArgs:
    """(Jᵀ H J + damping · I)⁻¹ g, for a loss loss_fn(predict_fn(params)); see `ggn_vp`.

    The update takes the keywords `predict_fn` and `loss_fn`. With damping it is
    Levenberg-Marquardt's step.

    Raises:
        ValueError: negative numbers; in update, when params or the functions are not given.
    Source: Schraudolph, Neural Computation 14, 2002; Martens, ICML 2010.
    """
    what = "scale_by_gauss_newton"
    _check(what, damping, tol, maxiter)

    def update(
        updates: Updates,
        state: EmptyState,
        params: Params = None,
        *,
        predict_fn: Any = None,
        loss_fn: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        need_params(what, params)
        need_extra(what, predict_fn=predict_fn, loss_fn=loss_fn)
        out = _solved(
            lambda v: ggn_vp(predict_fn, loss_fn, params, v), updates, damping, tol, maxiter
        )
        return out, state

    return GradientTransformationExtraArgs(init_empty_state, update)


def scale_by_natural_gradient(
    damping: Any = 0.0, tol: Any = 1e-5, maxiter: int = 100
) -> GradientTransformationExtraArgs:
    """(F + damping · I)⁻¹ g, with F the Fisher matrix: the curvature of a divergence.

    The update takes the keywords `predict_fn`, params to the outputs of a model, and
    `divergence_fn(outputs, fixed_outputs)`, such as the mean Kullback-Leibler divergence between
    the distributions that outputs stand for. F = Jᵀ (∂² divergence / ∂ outputs²) J.

    Raises:
        ValueError: negative numbers; in update, when params or the functions are not given.
    Source: Amari, Neural Computation 10, 1998; Pascanu & Bengio, arXiv:1301.3584.
    """
    what = "scale_by_natural_gradient"
    _check(what, damping, tol, maxiter)

    def update(
        updates: Updates,
        state: EmptyState,
        params: Params = None,
        *,
        predict_fn: Any = None,
        divergence_fn: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        need_params(what, params)
        need_extra(what, predict_fn=predict_fn, divergence_fn=divergence_fn)
        fixed = predict_fn(params)

        def product(v: Any) -> Any:
            return ggn_vp(predict_fn, lambda outputs: divergence_fn(outputs, fixed), params, v)

        return _solved(product, updates, damping, tol, maxiter), state

    return GradientTransformationExtraArgs(init_empty_state, update)


def newton(
    learning_rate: ScalarOrSchedule = 1.0, damping: Any = 0.0, tol: Any = 1e-5, maxiter: int = 100
) -> GradientTransformationExtraArgs:
    """Newton's steps; see `scale_by_newton`. On a quadratic one step reaches the minimum."""
    return chain(scale_by_newton(damping, tol, maxiter), scale_by_learning_rate(learning_rate))


def gauss_newton(
    learning_rate: ScalarOrSchedule = 1.0, damping: Any = 0.0, tol: Any = 1e-5, maxiter: int = 100
) -> GradientTransformationExtraArgs:
    """Gauss-Newton steps; see `scale_by_gauss_newton`. On linear least squares one step is all."""
    return chain(
        scale_by_gauss_newton(damping, tol, maxiter), scale_by_learning_rate(learning_rate)
    )


def natural_gradient(
    learning_rate: ScalarOrSchedule = 1.0, damping: Any = 0.0, tol: Any = 1e-5, maxiter: int = 100
) -> GradientTransformationExtraArgs:
    """Natural-gradient steps; see `scale_by_natural_gradient`."""
    return chain(
        scale_by_natural_gradient(damping, tol, maxiter), scale_by_learning_rate(learning_rate)
    )
