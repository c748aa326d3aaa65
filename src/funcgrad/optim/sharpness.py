"""Sharpness-aware minimisation: the gradient at the worst point nearby."""

from __future__ import annotations

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
    apply_updates,
    init_empty_state,
    with_extra_args_support,
)
from .checks import need_extra, need_params
from .leaves import map_leaves
from .numerics import zero_count
from .tree import norm

NormalizeState = EmptyState


def normalize() -> GradientTransformation:
    """g / ‖g‖, over the whole tree."""

    def update(updates: Updates, state: EmptyState, params: Params = None) -> tuple[Any, Any]:
        length = norm(updates)
        return tree.map(lambda g: g / length, updates), state

    return GradientTransformation(init_empty_state, update)


class SAMState(NamedTuple):
    """Steps since the last real one i32[], both states, and the params where that one began."""

    steps_since_sync: Any
    opt_state: OptState
    adv_state: OptState
    cache: Params


def sam(
    optimizer: Any,
    adv_optimizer: Any,
    sync_period: int = 2,
    reset_state: bool = True,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
) -> GradientTransformationExtraArgs:
    """Steps up by adv_optimizer, then one down from where they began, by the gradient at their end.

    Of each sync_period updates the last is real; the others lead to the worst point nearby. With
    opaque_mode each update is real, and takes the keyword `grad_fn(params, step)` for the gradients
    on the way.

    Args:
        adv_optimizer: such as `chain(normalize(), sgd(0.05))`, a step of length 0.05.
        reset_state: whether adv_optimizer starts anew after each real update.
        batch_axis_name: axis over which opaque_mode averages the gradients.
    Raises:
        ValueError: sync_period below 1; in update, when params or `grad_fn` are missing.
    Source: Foret et al., arXiv:2010.01412.
    """
    if sync_period < 1:
        raise ValueError(f"sam: sync_period must be at least 1, got {sync_period}.")
    down, up = with_extra_args_support(optimizer), with_extra_args_support(adv_optimizer)

    def init(params: Params) -> SAMState:
        cache = None if opaque_mode else params
        return SAMState(zero_count(), down.init(params), up.init(params), cache)

    update = (
        _at_once(down, up, sync_period, reset_state, batch_axis_name)
        if opaque_mode
        else _step_by_step(down, up, sync_period, reset_state)
    )
    return GradientTransformationExtraArgs(init, update)


def _step_by_step(down: Any, up: Any, sync_period: int, reset_state: bool) -> Any:
    """The update where a step up takes an update of its own."""

    def update(
        updates: Updates, state: SAMState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, SAMState]:
        need_params("sam", params)
        first = state.steps_since_sync == 0
        last = state.steps_since_sync == sync_period - 1
        climbs, high = up.update(updates, state.adv_state, params)
        begin = tree.map(lambda p, old: fnp.where(first, p, old), params, state.cache)
        falls, low = down.update(updates, state.opt_state, begin)

        def one(fall: Any, climb: Any, start: Any, p: Any) -> Any:
            return fnp.where(last, start - p + fall, -climb)

        out = map_leaves("sam", one, falls, climbs=climbs, begin=begin, params=params)
        after = up.init(params) if reset_state else state.adv_state
        high = tree.map(lambda a, b: fnp.where(last, a, b), after, high)
        low = tree.map(lambda a, b: fnp.where(last, a, b), low, state.opt_state)
        return out, SAMState((state.steps_since_sync + 1) % sync_period, low, high, begin)

    return update


def _at_once(
    down: Any, up: Any, sync_period: int, reset_state: bool, batch_axis_name: str | None
) -> Any:
    """The update that goes all the way up by itself."""

    def update(
        updates: Updates,
        state: SAMState,
        params: Params = None,
        *,
        grad_fn: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, SAMState]:
        need_params("sam", params)
        need_extra("sam", grad_fn=grad_fn)
        place, high = params, state.adv_state
        for i in range(sync_period - 1):
            climbs, high = up.update(updates, high, place)
            place = apply_updates(place, tree.map(lambda climb: -climb, climbs))
            updates = grad_fn(place, i)
            if batch_axis_name is not None:
                updates = lax.pmean(updates, batch_axis_name)
        out, low = down.update(updates, state.opt_state, params)
        return out, SAMState(zero_count(), low, up.init(params) if reset_state else high, None)

    return update
