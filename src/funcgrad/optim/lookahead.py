"""Lookahead: fast weights explore, slow weights follow every few steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line
from .base import GradientTransformationExtraArgs, Updates, with_extra_args_support
from .leaves import map_leaves
from .numerics import zero_count


class LookaheadState(NamedTuple):
    """State of the fast optimizer, and steps since fast and slow met, i32[]."""

    fast_state: Any
    steps_since_sync: Any


class LookaheadParams(NamedTuple):
    """Two trees of weights: train with the fast ones, evaluate with the slow ones."""

    fast: Any
    slow: Any

    @classmethod
    def init_synced(cls, params: Any) -> LookaheadParams:
        """Both equal."""
        return cls(fast=params, slow=params)


def lookahead(
    fast_optimizer: Any, sync_period: int, slow_step_size: Any, reset_state: bool = False
) -> GradientTransformationExtraArgs:
    """Every sync_period steps slow ← slow + slow_step_size · (fast − slow), and fast ← slow.

    Gradients are those of the fast weights; params and updates are `LookaheadParams`.

    Args:
        reset_state: whether the fast optimizer starts anew when they meet.
    Raises:
        ValueError: sync_period below 1; in update, when the params are no LookaheadParams.
    Source: Zhang et al., arXiv:1907.08610.
    """
    if sync_period < 1:
        raise ValueError(f"lookahead: sync_period must be at least 1, got {sync_period}.")
    fast = with_extra_args_support(fast_optimizer)

    def init(params: Any) -> LookaheadState:
        return LookaheadState(fast.init(getattr(params, "fast", params)), zero_count())

    def update(
        updates: Updates, state: LookaheadState, params: Any = None, **extra_args: Any
    ) -> tuple[LookaheadParams, LookaheadState]:
        if not isinstance(params, LookaheadParams):
            raise ValueError(
                f"lookahead wants LookaheadParams, got {type(params).__name__}.\n  {user_line()}\n"
                "  Make them by LookaheadParams.init_synced(params)."
            )
        moves, fast_state = fast.update(updates, state.fast_state, params.fast, **extra_args)
        meet = state.steps_since_sync == sync_period - 1

        def one(u: Any, at_fast: Any, at_slow: Any) -> tuple[Any, Any]:
            apart = at_fast + u - at_slow
            return u - meet * (1 - slow_step_size) * apart, slow_step_size * meet * apart

        moves = LookaheadParams(
            *map_leaves("lookahead", one, moves, outputs=2, fast=params.fast, slow=params.slow)
        )
        if reset_state:
            fast_state = tree.map(
                lambda now, new: fnp.where(meet, new, now), fast_state, fast.init(params.fast)
            )
        return moves, LookaheadState(fast_state, (state.steps_since_sync + 1) % sync_period)

    return GradientTransformationExtraArgs(init, update)
