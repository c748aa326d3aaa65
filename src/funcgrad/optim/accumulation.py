"""Memory of past updates: momentum, averages, and sums over several small batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import numpy as fnp
from .. import tree
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Params,
    Updates,
    with_extra_args_support,
)
from .checks import check_decay_rates
from .leaves import map_leaves
from .numerics import safe_increment, zero_count
from .tree import bias_correction, cast, cast_like, zeros_like


class TraceState(NamedTuple):
    """The momentum, a tree like the params."""

    trace: Any


def trace(
    decay: Any, nesterov: bool = False, accumulator_dtype: Any = None
) -> GradientTransformation:
    """Momentum: m ← updates + decay · m; gives m, or updates + decay · m with Nesterov.

    Args:
        accumulator_dtype: dtype of m; that of the params by default.
    Raises:
        ValueError: decay outside [0, 1].
    Source: Sutskever et al., ICML 2013.
    """
    check_decay_rates("trace", closed=True, decay=decay)

    def init(params: Params) -> TraceState:
        return TraceState(zeros_like(params, accumulator_dtype))

    def update(updates: Updates, state: TraceState, params: Params = None) -> tuple[Any, Any]:
        def one(g: Any, m: Any) -> Any:
            m = g + decay * m
            return (g + decay * m if nesterov else m), m

        out, moved = map_leaves("trace", one, updates, outputs=2, trace=state.trace)
        return out, TraceState(cast(moved, accumulator_dtype))

    return GradientTransformation(init, update)


class EmaState(NamedTuple):
    """How many updates there were, i32[], and their average, a tree like the params."""

    count: Any
    ema: Any


def ema(decay: Any, debias: bool = True, accumulator_dtype: Any = None) -> GradientTransformation:
    """Running average: m ← decay · m + (1 − decay) · updates; gives m, or m / (1 − decayᵗ).

    Args:
        debias: whether to make up for the start at zero.
        accumulator_dtype: dtype of m; that of the params by default.
    Raises:
        ValueError: decay outside [0, 1].
    """
    check_decay_rates("ema", closed=not debias, decay=decay)

    def init(params: Params) -> EmaState:
        return EmaState(zero_count(), zeros_like(params, accumulator_dtype))

    def update(updates: Updates, state: EmaState, params: Params = None) -> tuple[Any, Any]:
        # Before the average: what follows it then joins its pass over memory.
        count = safe_increment(state.count)
        average = map_leaves(
            "ema", lambda g, m: (1 - decay) * g + decay * m, updates, ema=state.ema
        )
        out = bias_correction(average, decay, count) if debias else average
        return out, EmaState(count, cast(average, accumulator_dtype))

    return GradientTransformation(init, update)


class ApplyEvery(NamedTuple):
    """Calls since the last step, i32[], and the sum since then."""

    count: Any
    grad_acc: Any


def apply_every(k: Any = 1) -> GradientTransformation:
    """The sum of k updates at each k-th call, zeros in between.

    Source of a better one: `MultiSteps`, which lets the state of a method rest in between.
    """

    def init(params: Params) -> ApplyEvery:
        return ApplyEvery(zero_count(), zeros_like(params))

    def update(updates: Updates, state: ApplyEvery, params: Params = None) -> tuple[Any, Any]:
        position = state.count % k
        emit = position == k - 1

        def one(g: Any, total: Any) -> Any:
            total = (position != 0) * total + g
            return emit * total, total

        out, total = map_leaves("apply_every", one, updates, outputs=2, grad_acc=state.grad_acc)
        return out, ApplyEvery(safe_increment(state.count) % k, total)

    return GradientTransformation(init, update)


ShouldSkipUpdateFunction = Callable[[Any, Any, Any], tuple[Any, Any]]
"""`(updates, gradient_step, params) -> (skip bool[], state)`: which calls MultiSteps leaves out."""


def skip_not_finite(
    updates: Updates, gradient_step: Any, params: Params
) -> tuple[Any, dict[str, Any]]:
    """Skip where any element is NaN or infinite; the state tells how many are."""
    bad = sum(
        (fnp.sum(~fnp.isfinite(x), dtype=np.int32) for x in tree.leaves(updates)), zero_count()
    )
    return bad > 0, {"should_skip": bad > 0, "num_not_finite": bad}


def skip_large_updates(
    updates: Updates, gradient_step: Any, params: Params, max_squared_norm: Any
) -> tuple[Any, dict[str, Any]]:
    """Skip where ‖updates‖² is not below max_squared_norm; give the bound by functools.partial."""
    square = fnp.asarray(sum(fnp.sum(fnp.square(x)) for x in tree.leaves(updates)))
    skip = ~(square < max_squared_norm)
    return skip, {"should_skip": skip, "norm_squared": square}


def _skip_none(updates: Updates, gradient_step: Any, params: Params) -> tuple[Any, Any]:
    return fnp.array(False), ()


class MultiStepsState(NamedTuple):
    """State of MultiSteps.

    Attributes:
        mini_step: calls since the last step, i32[].
        gradient_step: steps made, i32[].
        inner_opt_state: state of the inner transformation.
        acc_grads: mean or sum of the gradients since the last step.
        skip_state: what the skip function told last.
    """

    mini_step: Any
    gradient_step: Any
    inner_opt_state: Any
    acc_grads: Any
    skip_state: Any = ()


class MultiSteps:
    """One step of a method for every k calls, on the mean of their gradients; Caffe's iter_size.

    Between steps the updates are zeros, and the state of the method rests. k batches of b examples
    make the same step as one batch of k · b, if the loss is a mean over the batch.
    """

    def __init__(
        self,
        opt: Any,
        every_k_schedule: int | Callable[[Any], Any],
        use_grad_mean: bool = True,
        should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
        accumulator_dtype: Any = np.float32,
    ) -> None:
        """Wrap a transformation.

        Args:
            every_k_schedule: k, or a function from the number of steps made, i32[], to k.
            use_grad_mean: whether gradients are averaged, or summed.
            should_skip_update_fn: calls to leave out, such as `skip_not_finite`.
            accumulator_dtype: dtype of the mean or sum.
        Raises:
            ValueError: k below 1.
        """
        if not callable(every_k_schedule) and every_k_schedule < 1:
            raise ValueError(
                f"MultiSteps: every_k_schedule must be 1 or more, got {every_k_schedule}."
            )
        self._opt = with_extra_args_support(opt)
        self._every_k = every_k_schedule
        self._use_grad_mean = use_grad_mean
        self._should_skip = should_skip_update_fn or _skip_none
        self._dtype = accumulator_dtype

    @property
    def inner_opt(self) -> GradientTransformationExtraArgs:
        """The inner transformation."""
        return self._opt

    def init(self, params: Params) -> MultiStepsState:
        """The state before the first call."""
        _, told = self._should_skip(zeros_like(params), zero_count(), params)
        return MultiStepsState(
            mini_step=zero_count(),
            gradient_step=zero_count(),
            inner_opt_state=self._opt.init(params),
            acc_grads=zeros_like(params, self._dtype),
            skip_state=told,
        )

    def update(
        self, updates: Updates, state: MultiStepsState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, MultiStepsState]:
        """Zeros, or at each k-th call the step of the inner transformation."""
        skip, told = self._should_skip(updates, state.gradient_step, params)
        if fnp.shape(skip) != () or fnp.asarray(skip).dtype != np.bool_:
            raise ValueError(
                "MultiSteps: should_skip_update_fn must give (bool[], state), and gave "
                f"{fnp.asarray(skip).dtype}{fnp.shape(skip)}."
            )
        state = state._replace(skip_state=told)
        made, new = self._accumulate(updates, state, params, extra_args)
        if self._should_skip is _skip_none:
            return made, new
        out = tree.map(lambda u: fnp.where(skip, fnp.zeros_like(u), u), made)
        return out, tree.map(lambda kept, moved: fnp.where(skip, kept, moved), state, new)

    def _accumulate(
        self, updates: Updates, state: MultiStepsState, params: Params, extra_args: dict[str, Any]
    ) -> tuple[Any, MultiStepsState]:
        k = self._every_k(state.gradient_step) if callable(self._every_k) else self._every_k

        def gather(g: Any, old: Any) -> Any:
            return old + (g - old) / (state.mini_step + 1) if self._use_grad_mean else g + old

        total = map_leaves("MultiSteps", gather, updates, acc_grads=state.acc_grads)
        made, inner = self._opt.update(
            cast_like(total, updates), state.inner_opt_state, params, **extra_args
        )
        emit = state.mini_step == k - 1
        steps = fnp.where(emit, safe_increment(state.gradient_step), state.gradient_step)
        return tree.map(lambda u: fnp.where(emit, u, fnp.zeros_like(u)), made), MultiStepsState(
            mini_step=safe_increment(state.mini_step) % k,
            gradient_step=steps,
            inner_opt_state=tree.map(
                lambda old, new: fnp.where(emit, new, old).astype(fnp.asarray(old).dtype),
                state.inner_opt_state,
                inner,
            ),
            acc_grads=tree.map(lambda x: fnp.where(emit, 0, x).astype(self._dtype), total),
            skip_state=state.skip_state,
        )

    def has_updated(self, state: Any) -> Any:
        """Whether the last call made a step, bool[]."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformationExtraArgs:
        """The pair of functions, for `chain` and the like."""
        return GradientTransformationExtraArgs(self.init, self.update)
