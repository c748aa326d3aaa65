"""Averages of the iterates in place of a schedule of the rate.

Three points: z takes the steps, x is a weighted mean of all z, and the params y lie between them,
where the gradient is taken. x is never stored: it follows from y and z.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree as pytree
from ..core.sources import user_line
from .adaptive import scale_by_rms
from .adding import add_decayed_weights
from .aliases import sgd
from .base import (
    GradientTransformationExtraArgs,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
    with_extra_args_support,
)
from .checks import check_decay_rates, need_params
from .combining import chain
from .leaves import map_leaves
from .numerics import safe_increment
from .scaling import scale_by_learning_rate
from .schedules import warmup_constant_schedule
from .tree import cast, dtype


class ScheduleFreeState(NamedTuple):
    """b1, the sum of weights, step number i32[] from 1, largest rate, the base's state, and z."""

    b1: Any
    weight_sum: Any
    step_count: Any
    max_lr: Any
    base_optimizer_state: OptState
    z: Params


def schedule_free_eval_params(state: Any, params: Params) -> Params:
    """x = (y − (1 − b1)·z) / b1, the params to evaluate with.

    Args:
        state: a ScheduleFreeState.
        params: y, those that are trained.
    Raises:
        ValueError: another state.
    """
    if not isinstance(state, ScheduleFreeState):
        raise ValueError(
            f"schedule_free_eval_params takes a ScheduleFreeState, got {type(state).__name__}.\n"
            f"  {user_line()}\n  Of a chain give the part that schedule_free has."
        )

    def one(y: Any, z: Any) -> Any:
        return (y - (1 - state.b1) * z) / state.b1

    return map_leaves("schedule_free_eval_params", one, params, z=state.z)


def schedule_free(
    base_optimizer: Any,
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    weight_lr_power: Any = 2.0,
    state_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """z ← z + base's step, x ← (1 − c)·x + c·z, y = b1·x + (1 − b1)·z.

    c is the share of this step's weight, max(rate)^weight_lr_power, in the sum of all weights so
    far. Evaluate with `schedule_free_eval_params`.

    Args:
        base_optimizer: without momentum; b1 takes its place.
        learning_rate: that of the base, for the weights.
        b1: where between z (0) and x (1) the gradient is taken; above 0.
        state_dtype: dtype of z; that of the params by default.
    Raises:
        ValueError: b1 outside [0, 1); in update, when the params are missing.
    Source: Defazio et al., arXiv:2405.15682.
    """
    check_decay_rates("schedule_free", b1=b1)
    base = with_extra_args_support(base_optimizer)

    def init(params: Params) -> ScheduleFreeState:
        low = dtype(params, "lowest")
        zero = fnp.zeros((), low)
        start = pytree.map(fnp.array, cast(params, state_dtype))
        one = fnp.ones((), fnp.int32)
        return ScheduleFreeState(fnp.asarray(b1, low), zero, one, zero, base.init(params), start)

    def update(
        updates: Updates, state: ScheduleFreeState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, ScheduleFreeState]:
        need_params("schedule_free", params)
        rate = learning_rate(state.step_count) if callable(learning_rate) else learning_rate
        largest = fnp.maximum(state.max_lr, rate).astype(state.max_lr.dtype)
        weight = largest**weight_lr_power
        total = state.weight_sum + weight
        # The first steps of a warm-up have rate 0: no weight, and no share of it.
        share = fnp.where(total == 0, 0, weight / fnp.where(total == 0, 1, total))
        steps, inner = base.update(updates, state.base_optimizer_state, params, **extra_args)

        def one(step: Any, y: Any, z: Any) -> tuple[Any, Any]:
            x = (y - (1 - b1) * z) / b1
            z = (z + step).astype(z.dtype)
            x = (1 - share) * x + share * z
            return b1 * x + (1 - b1) * z - y, z

        out, z = map_leaves("schedule_free", one, steps, outputs=2, params=params, z=state.z)
        count = safe_increment(state.step_count)
        return out, ScheduleFreeState(state.b1, total, count, largest, inner, z)

    return GradientTransformationExtraArgs(init, update)


def _warm(learning_rate: Any, warmup_steps: int | None) -> Any:
    if warmup_steps is None:
        return learning_rate
    return warmup_constant_schedule(0, learning_rate, warmup_steps)


def schedule_free_sgd(
    learning_rate: Any = 1.0,
    warmup_steps: int | None = None,
    b1: Any = 0.9,
    weight_decay: Any = None,
    weight_lr_power: Any = 2.0,
    state_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """SGD in `schedule_free`, after a linear warm-up of so many steps.

    Source: Defazio et al., arXiv:2405.15682.
    """
    rate = _warm(learning_rate, warmup_steps)
    base = sgd(rate)
    if weight_decay is not None:
        base = chain(add_decayed_weights(weight_decay), base)
    return schedule_free(base, rate, b1, weight_lr_power, state_dtype)


def schedule_free_adamw(
    learning_rate: Any = 0.0025,
    warmup_steps: int | None = None,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    weight_decay: Any = 0.0,
    weight_lr_power: Any = 2.0,
    state_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """AdamW without its first moment in `schedule_free`, after a linear warm-up.

    Source: Defazio et al., arXiv:2405.15682.
    """
    rate = _warm(learning_rate, warmup_steps)
    base = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(rate),
    )
    return schedule_free(base, rate, b1, weight_lr_power, state_dtype)
