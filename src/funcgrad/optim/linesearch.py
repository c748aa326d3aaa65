"""Line search by backtracking, and what all line searches share.

A line search is the last part of a chain: it scales the direction it gets. Its update takes the
keywords `value` and `grad`, the loss and its gradient at the params, `value_fn`, the loss as a
function of params, and whatever `value_fn` takes besides.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as fnp
from .. import tree as pytree
from ..api.reverse import grad as gradient
from ..api.reverse import value_and_grad
from ..control.debug_printing import debug_print
from .base import GradientTransformationExtraArgs, Params, Updates
from .checks import check_not_negative, check_positive, need_extra, need_params
from .leaves import map_leaves
from .tree import cast_like, get, zeros_like

# Keywords of other parts of a chain, which a loss need not take.
_OTHERS = {"predict_fn", "loss_fn", "divergence_fn"}


def with_own_keywords(
    what: str, value_fn: Callable[..., Any], extra_args: dict[str, Any]
) -> Callable[[Any], Any]:
    """value_fn as a function of params alone, the keywords that it knows filled in.

    Raises:
        TypeError: a keyword that it does not know.
    """
    known = {*inspect.signature(value_fn).parameters}
    unknown = sorted({*extra_args} - known - _OTHERS)
    if unknown:
        raise TypeError(
            f"{what} got the keywords {unknown}, and value_fn takes {sorted(known)}. Keywords of "
            "update besides value, grad and value_fn are handed to value_fn."
        )
    own = {name: value for name, value in extra_args.items() if name in known}
    return functools.partial(value_fn, **own)


def slope_along(grad: Updates, updates: Updates) -> Any:
    """The derivative of the loss along the updates, f32[]."""
    parts = map_leaves("line search", lambda g, u: fnp.real(fnp.sum(g * u)), grad, updates=updates)
    return pytree.reduce(operator.add, parts, 0)


def moved(params: Params, step: Any, updates: Updates) -> Params:
    """params + step · updates, in the dtypes of params."""
    return map_leaves(
        "line search", lambda p, u: (p + step * u).astype(p.dtype), params, updates=updates
    )


def real_dtype(params: Params) -> Any:
    """The dtype of the loss: the real part of that of the first leaf.

    Raises:
        ValueError: params without leaves.
    """
    leaves = pytree.leaves(params)
    if not leaves:
        raise ValueError("A line search needs params with at least one leaf.")
    return fnp.real(fnp.zeros((), fnp.asarray(leaves[0]).dtype)).dtype


def line_search(
    what: str, init: Callable[[Params], Any], search: Callable[..., Any], verbose: bool
) -> GradientTransformationExtraArgs:
    """The transformation that scales updates by the step size a search finds.

    Args:
        search: `(f, updates, state, params, value, grad) -> state`, with the step size as
            `learning_rate` of the state it gives, and how it went as `info`.
    """

    def update(
        updates: Updates,
        state: Any,
        params: Params = None,
        *,
        value: Any = None,
        grad: Any = None,
        value_fn: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        need_params(what, params)
        need_extra(what, value=value, grad=grad, value_fn=value_fn)
        f = with_own_keywords(what, value_fn, extra_args)
        new = search(f, updates, state, params, value, grad)
        if verbose:
            text = what + ": step {step}, value {value}, {info}"
            debug_print(text, step=new.learning_rate, value=new.value, info=new.info)
        return pytree.map(lambda u: new.learning_rate * u, updates), cast_like(new, state)

    return GradientTransformationExtraArgs(init, update)


class BacktrackingLinesearchInfo(NamedTuple):
    """Values of the loss that were taken, i32[], and by how much the last misses the decrease."""

    num_linesearch_steps: Any
    decrease_error: Any


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """The last step size, the loss there, its gradient if stored, and how the search went."""

    learning_rate: Any
    value: Any
    grad: Any
    info: BacktrackingLinesearchInfo


class _Trial(NamedTuple):
    step: Any
    value: Any
    error: Any
    count: Any


def _start(params: Params, store_grad: bool) -> ScaleByBacktrackingLinesearchState:
    own = real_dtype(params)
    far = fnp.array(np.inf, own)
    info = BacktrackingLinesearchInfo(fnp.zeros((), int), far)
    grad = zeros_like(params) if store_grad else None
    return ScaleByBacktrackingLinesearchState(fnp.ones((), own), far, grad, info)


def scale_by_backtracking_linesearch(
    max_backtracking_steps: int,
    slope_rtol: Any = 1e-4,
    decrease_factor: Any = 0.8,
    increase_factor: Any = 1.5,
    max_learning_rate: Any = 1.0,
    atol: Any = 0.0,
    rtol: Any = 0.0,
    store_grad: bool = False,
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """s · updates, with s made smaller until the loss falls enough (Armijo's condition).

    f(p + s·u) ≤ (1 + rtol)·f(p) + s·slope_rtol·slope + atol.

    Args:
        increase_factor: the first trial is the last step size times this.
        store_grad: keep the gradient at the end, for `value_and_grad_from_state`.
        verbose: print the result of each search.
    Raises:
        ValueError: factors that do not shrink and grow; in update, when a keyword is missing.
        TypeError: in update, for keywords that value_fn does not take.
    Source: Armijo, Pacific J. Math. 16, 1966.
    """
    what = "scale_by_backtracking_linesearch"
    check_not_negative(what, slope_rtol=slope_rtol, atol=atol, rtol=rtol)
    check_positive(what, decrease_factor=decrease_factor, increase_factor=increase_factor)
    if decrease_factor >= 1:
        raise ValueError(f"{what}: decrease_factor must be below 1, got {decrease_factor}.")

    def miss(step: Any, found: Any, value: Any, slope: Any) -> Any:
        over = found - (1.0 + rtol) * value - step * slope_rtol * slope
        return fnp.maximum(fnp.where(fnp.isnan(over), fnp.inf, over), 0.0)

    def search(f: Any, updates: Any, state: Any, params: Any, value: Any, grad: Any) -> Any:
        slope = slope_along(grad, updates)

        def attempt(trial: _Trial) -> _Trial:
            step = fnp.where(trial.count > 0, decrease_factor * trial.step, trial.step)
            found = f(moved(params, step, updates))
            new = _Trial(step, found, miss(step, found, value, slope), trial.count + 1)
            return cast_like(new, trial)

        def is_on(trial: _Trial) -> Any:
            return ~(trial.error <= atol) & (trial.count <= max_backtracking_steps)

        first = fnp.minimum(increase_factor * state.learning_rate, max_learning_rate)
        start = _Trial(first, fnp.asarray(value), fnp.full_like(first, np.inf), fnp.zeros((), int))
        end = lax.while_loop(is_on, attempt, start)
        return ScaleByBacktrackingLinesearchState(
            # Nothing finite was found: better no step than one into nowhere.
            learning_rate=fnp.where(fnp.isinf(end.error), 0.0, end.step),
            value=end.value,
            grad=gradient(f)(moved(params, end.step, updates)) if store_grad else None,
            info=BacktrackingLinesearchInfo(end.count, end.error),
        )

    return line_search(what, lambda params: _start(params, store_grad), search, verbose)


def value_and_grad_from_state(value_fn: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """`value_and_grad(value_fn)` that takes both from the state of a line search if they are there.

    The function it gives takes the arguments of value_fn, and the keyword `state`.

    Raises:
        ValueError: in the call, when the state holds no value or no gradient.
    """

    def function(params: Params, *fn_args: Any, state: Any, **fn_kwargs: Any) -> tuple[Any, Any]:
        value, grad = get(state, "value"), get(state, "grad")
        if value is None or grad is None:
            raise ValueError(
                "value_and_grad_from_state found no value or no gradient in the state. Line "
                "searches keep them: scale_by_zoom_linesearch always, "
                "scale_by_backtracking_linesearch with store_grad=True."
            )

        def anew() -> Any:
            found = value_and_grad(value_fn)(params, *fn_args, **fn_kwargs)
            return cast_like(found, (value, grad))

        return lax.cond(fnp.isfinite(value), lambda: (value, grad), anew)

    return function
