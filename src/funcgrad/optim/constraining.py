"""Updates kept within what is allowed: non-negative params, no NaN, only when a condition holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import lax, tree
from .. import numpy as fnp
from .base import (
    EmptyState,
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    init_empty_state,
    with_extra_args_support,
)
from .checks import need_params
from .leaves import map_leaves
from .numerics import safe_increment, zero_count

NonNegativeParamsState = EmptyState


def keep_params_nonnegative() -> GradientTransformation:
    """−p where p + u would be negative, else u: params that start at 0 or above stay there.

    Raises:
        ValueError: in update, when params are not given or the trees differ.
    """

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        need_params("keep_params_nonnegative", params)
        out = map_leaves(
            "keep_params_nonnegative",
            lambda u, p: fnp.where(p + u < 0.0, -p, u),
            updates,
            params=params,
        )
        return out, state

    return GradientTransformation(init_empty_state, update)


class ZeroNansState(NamedTuple):
    """For each leaf whether the last updates held a NaN, bool[]."""

    found_nan: Any


def zero_nans() -> GradientTransformation:
    """0 in place of each NaN; the state tells in which leaves there were some."""

    def init(params: Params) -> ZeroNansState:
        return ZeroNansState(tree.map(lambda p: fnp.array(False), params))

    def update(updates: Updates, state: ZeroNansState, params: Params = None) -> tuple[Any, Any]:
        found = tree.map(lambda u: fnp.any(fnp.isnan(u)), updates)
        out = tree.map(lambda u: fnp.where(fnp.isnan(u), fnp.zeros_like(u), u), updates)
        return out, ZeroNansState(found)

    return GradientTransformation(init, update)


class ConditionallyTransformState(NamedTuple):
    """State of the inner transformation, and calls so far, i32[]."""

    inner_state: Any
    step: Any


class ConditionallyMaskState(NamedTuple):
    """Calls so far, i32[], and the state of the inner transformation."""

    step: Any
    inner_state: Any


def _only_when(
    inner: Any,
    condition: Callable[..., Any],
    forward_extra_args: bool,
    otherwise: Callable[[Any], Any],
    make: Callable[..., Any],
) -> GradientTransformationExtraArgs:
    part = with_extra_args_support(inner)

    def init(params: Params) -> Any:
        return make(inner_state=part.init(params), step=zero_count())

    def update(
        updates: Updates, state: Any, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        known = extra_args if forward_extra_args else {}
        out, new = lax.cond(
            condition(state.step, **known),
            lambda: part.update(updates, state.inner_state, params, **extra_args),
            lambda: (otherwise(updates), state.inner_state),
        )
        return out, make(inner_state=new, step=safe_increment(state.step))

    return GradientTransformationExtraArgs(init, update)


def conditionally_transform(
    inner: Any, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """The transformation where the condition holds; elsewhere updates pass as they are.

    Args:
        should_transform_fn: from step number i32[] to bool[].
        forward_extra_args: whether the condition gets the keywords of update too.
    """

    def keep(updates: Any) -> Any:
        return tree.map(fnp.asarray, updates)

    return _only_when(
        inner, should_transform_fn, forward_extra_args, keep, ConditionallyTransformState
    )


def conditionally_mask(
    inner: Any, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """The transformation at the steps where the condition holds; zeros at others.

    Args:
        should_transform_fn: from step number i32[] to bool[].
        forward_extra_args: whether the condition gets the keywords of update too.
    """

    def zeros(updates: Any) -> Any:
        return tree.map(fnp.zeros_like, updates)

    return _only_when(inner, should_transform_fn, forward_extra_args, zeros, ConditionallyMaskState)


class ApplyIfFiniteState(NamedTuple):
    """State of `apply_if_finite`.

    Attributes:
        notfinite_count: bad updates in a row up to now, i32[].
        last_finite: whether the last updates were finite, bool[].
        total_notfinite: bad updates in all, i32[].
        inner_state: state of the inner transformation.
    """

    notfinite_count: Any
    last_finite: Any
    total_notfinite: Any
    inner_state: Any


def apply_if_finite(inner: Any, max_consecutive_errors: int) -> GradientTransformationExtraArgs:
    """Zeros in place of updates with a NaN or an infinity; the state of the method then rests.

    After max_consecutive_errors in a row the next one goes through, so that the failure shows.
    """
    part = with_extra_args_support(inner)

    def init(params: Params) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(zero_count(), fnp.array(True), zero_count(), part.init(params))

    def update(
        updates: Updates, state: ApplyIfFiniteState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        finite: Any = fnp.array(True)
        for u in tree.leaves(updates):
            finite = finite & fnp.all(fnp.isfinite(u))
        in_a_row = fnp.where(finite, zero_count(), safe_increment(state.notfinite_count))
        out, new = lax.cond(
            finite | (in_a_row > max_consecutive_errors),
            lambda: part.update(updates, state.inner_state, params, **extra_args),
            lambda: (tree.map(fnp.zeros_like, updates), state.inner_state),
        )
        total = fnp.where(finite, state.total_notfinite, safe_increment(state.total_notfinite))
        return out, ApplyIfFiniteState(in_a_row, finite, total, new)

    return GradientTransformationExtraArgs(init, update)
