"""Transformations that multiply: by a number, a schedule, a norm, the sign, a factor per leaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree
from .base import (
    EmptyState,
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    ScalarOrSchedule,
    Schedule,
    Updates,
    identity,
    init_empty_state,
)
from .checks import check_not_negative, check_rate, need_extra, need_params
from .leaves import map_leaves
from .numerics import safe_increment, safe_norm, safe_root_mean_squares, zero_count
from .tree import norm


def scale(step_size: Any) -> GradientTransformation:
    """step_size · updates. The state is empty."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(lambda u: step_size * u, updates), state

    return GradientTransformation(init_empty_state, update)


class ScaleByScheduleState(NamedTuple):
    """How many updates there were, i32[]."""

    count: Any


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """step_size_fn(step) · updates, with steps counted from 0."""

    def init(params: Params) -> ScaleByScheduleState:
        return ScaleByScheduleState(zero_count())

    def update(
        updates: Updates, state: ScaleByScheduleState, params: Params = None
    ) -> tuple[Any, Any]:
        step = step_size_fn(state.count)
        out = tree.map(lambda u: fnp.asarray(step, dtype=fnp.asarray(u).dtype) * u, updates)
        return out, ScaleByScheduleState(safe_increment(state.count))

    return GradientTransformation(init, update)


def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule = None, *, flip_sign: bool = True
) -> GradientTransformation:
    """−learning_rate · updates: from a direction to climb, the step down.

    Args:
        learning_rate: a number, or a schedule from step number i32[] to f32[]; None changes
            nothing, the sign included.
        flip_sign: whether to take the sign off.
    Raises:
        ValueError: a negative rate.
    """
    if learning_rate is None:
        return identity()
    check_rate("scale_by_learning_rate", learning_rate)
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        rate: Callable[[Any], Any] = learning_rate
        return scale_by_schedule(lambda count: sign * rate(count))
    return scale(sign * learning_rate)


def scale_by_sign() -> GradientTransformation:
    """The sign of each element."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(fnp.sign, updates), state

    return GradientTransformation(init_empty_state, update)


def scale_leaves(multipliers: Any) -> GradientTransformation:
    """Each leaf times its own number; Caffe's `lr_mult`.

    Args:
        multipliers: a tree of numbers with the structure of the params or a prefix of it, or a
            function from params to one.
    Raises:
        ValueError: a negative number; in update, a tree that is no prefix of the updates.
    """
    if not callable(multipliers):
        for value in tree.leaves(multipliers):
            check_not_negative("scale_leaves", multiplier=value)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        factors = multipliers(updates) if callable(multipliers) else multipliers
        out = map_leaves(
            "scale_leaves",
            lambda u, factor: factor * u,
            updates,
            multipliers=tree.broadcast(factors, updates),
            unlike=("multipliers",),
        )
        return out, state

    return GradientTransformation(init_empty_state, update)


def scale_by_trust_ratio(
    min_norm: Any = 0.0, trust_coefficient: Any = 1.0, eps: Any = 0.0
) -> GradientTransformation:
    """u · trust_coefficient · ‖p‖ / (‖u‖ + eps), leaf by leaf; 1 where a norm is 0.

    Raises:
        ValueError: in update, when params are not given.
    Source: You et al., arXiv:1904.00962 (LAMB).
    """
    check_not_negative("scale_by_trust_ratio", min_norm=min_norm, eps=eps)

    def scaled(u: Any, p: Any) -> Any:
        of_param, of_update = safe_norm(p, min_norm), safe_norm(u, min_norm)
        ratio = trust_coefficient * of_param / (of_update + eps)
        is_zero = (of_param == 0.0) | (of_update == 0.0)
        return u * fnp.where(is_zero, fnp.ones((), p.dtype), ratio)

    return _by_param("scale_by_trust_ratio", scaled)


def scale_by_param_block_norm(min_scale: Any = 1e-3) -> GradientTransformation:
    """u · max(‖p‖, min_scale), leaf by leaf.

    Raises:
        ValueError: in update, when params are not given.
    """
    return _by_param("scale_by_param_block_norm", lambda u, p: u * safe_norm(p, min_scale))


def scale_by_param_block_rms(min_scale: Any = 1e-3) -> GradientTransformation:
    """u · max(√mean p², min_scale), leaf by leaf.

    Raises:
        ValueError: in update, when params are not given.
    """
    return _by_param(
        "scale_by_param_block_rms", lambda u, p: u * safe_root_mean_squares(p, min_scale)
    )


def _by_param(what: str, f: Callable[[Any, Any], Any]) -> GradientTransformation:
    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        need_params(what, params)
        return map_leaves(what, f, updates, params=params), state

    return GradientTransformation(init_empty_state, update)


def centralize() -> GradientTransformation:
    """Each leaf of two or more axes less its mean over all axes but the first.

    Source: Yong et al., arXiv:2004.01461.
    """

    def centred(u: Any) -> Any:
        if fnp.ndim(u) < 2:
            return u
        return u - fnp.mean(u, axis=tuple(range(1, fnp.ndim(u))), keepdims=True)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(centred, updates), state

    return GradientTransformation(init_empty_state, update)


def normalize_by_update_norm(scale_factor: Any = 1.0, eps: Any = 1e-6) -> GradientTransformation:
    """scale_factor · u / (‖u‖ + eps), with the norm of the whole tree."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        divisor = (norm(updates) + eps) / scale_factor
        return tree.map(lambda u: u / divisor, updates), state

    return GradientTransformation(init_empty_state, update)


class ScaleByOptimisticGradientState(NamedTuple):
    """Whether no step was made yet, bool[], and the gradient before."""

    is_initial_step: Any
    previous_gradient: Any


def scale_by_optimistic_gradient(alpha: Any = 1.0, beta: Any = 1.0) -> GradientTransformation:
    """(alpha + beta) · g − beta · g before: a guess at the next gradient, for games.

    Source: Mokhtari et al., arXiv:1901.08511.
    """

    def init(params: Params) -> ScaleByOptimisticGradientState:
        return ScaleByOptimisticGradientState(fnp.array(True), tree.map(fnp.zeros_like, params))

    def update(
        updates: Updates, state: ScaleByOptimisticGradientState, params: Params = None
    ) -> tuple[Any, Any]:
        def guess(g: Any, before: Any) -> Any:
            before = fnp.where(state.is_initial_step, g, before)
            return (alpha + beta) * g - beta * before

        what = "scale_by_optimistic_gradient"
        out = map_leaves(what, guess, updates, previous_gradient=state.previous_gradient)
        return out, ScaleByOptimisticGradientState(fnp.array(False), updates)

    return GradientTransformation(init, update)


def scale_by_polyak(
    f_min: Any = 0.0, max_learning_rate: Any = 1.0, eps: Any = 0.0, variant: str = "sps"
) -> GradientTransformationExtraArgs:
    """g · min((f − f_min) / (‖g‖² + eps), max_learning_rate): Polyak's step size.

    Args:
        variant: "sps", or "sps+" with max(f − f_min, 0).
    Raises:
        ValueError: another variant; in update, when the keyword `value`, the loss, is not given.
    Source: Loizou et al., arXiv:2002.10542.
    """
    if variant not in ("sps", "sps+"):
        raise ValueError(f"scale_by_polyak knows the variants 'sps' and 'sps+', got {variant!r}.")

    def update(
        updates: Updates,
        state: OptState,
        params: Params = None,
        *,
        value: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        need_extra("scale_by_polyak", value=value)
        square = norm(updates, squared=True)
        gap = fnp.asarray(value - f_min).astype(square.dtype)
        if variant == "sps+":
            gap = fnp.maximum(gap, 0)
        # At a stationary point the quotient means nothing: no step.
        at_rest = square + eps <= fnp.finfo(fnp.asarray(0.0).dtype).eps
        divisor = fnp.where(at_rest, 1.0, square + eps)
        step = fnp.where(at_rest, 0.0, fnp.minimum(gap / divisor, max_learning_rate))
        return tree.map(lambda u: step * u, updates), state

    return GradientTransformationExtraArgs(init_empty_state, update)


class ScaleByDistanceOverGradientsState(NamedTuple):
    """Largest distance from the start, sum of squared gradients, and the start, leaf by leaf."""

    max_dist: Any
    grad_sum_of_squares: Any
    init_params: Any


def scale_by_distance_over_gradients(
    reps_rel: Any = 1e-6, eps: Any = 1e-8, param_dtype: Any = None, global_scale: Any = 1.0
) -> GradientTransformation:
    """g · global_scale · d / √(Σ‖g‖² + eps), with d the largest ‖p − p₀‖ so far: no rate to tune.

    Raises:
        ValueError: in update, when params are not given.
    Source: Ivgi et al., arXiv:2302.12022 (DoG), leaf by leaf.
    """
    what = "scale_by_distance_over_gradients"
    kept = fnp.float32 if param_dtype is None else param_dtype

    def length(x: Any) -> Any:
        return fnp.sqrt(fnp.sum(fnp.square(x)))

    def init(params: Params) -> ScaleByDistanceOverGradientsState:
        return ScaleByDistanceOverGradientsState(
            tree.map(lambda p: reps_rel * (1 + length(p)), params),
            tree.map(lambda p: fnp.zeros(1), params),
            tree.map(lambda p: fnp.asarray(p).astype(kept), params),
        )

    def update(
        updates: Updates, state: ScaleByDistanceOverGradientsState, params: Params = None
    ) -> tuple[Any, Any]:
        need_params(what, params)

        def one(g: Any, p: Any, start: Any, farthest: Any, total: Any) -> Any:
            farthest = fnp.maximum(farthest, length(p - start))
            total = total + fnp.sum(fnp.square(g))
            # The sums have one axis of length 1; a leaf without axes stays without.
            rate = global_scale * (farthest / fnp.sqrt(total[0] + eps))
            return rate * g, farthest, total

        out, farthest, total = map_leaves(
            what,
            one,
            updates,
            outputs=3,
            unlike=("max_dist", "grad_sum_of_squares"),
            params=params,
            init_params=state.init_params,
            max_dist=state.max_dist,
            grad_sum_of_squares=state.grad_sum_of_squares,
        )
        return out, ScaleByDistanceOverGradientsState(farthest, total, state.init_params)

    return GradientTransformation(init, update)


ScaleState = EmptyState
ScaleByTrustRatioState = EmptyState
