"""A rate that falls when the loss has stopped to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line
from .base import GradientTransformationExtraArgs, Params, Updates
from .checks import need_extra
from .numerics import safe_increment, zero_count
from .tree import cast_like, dtype


class ReduceLROnPlateauState(NamedTuple):
    """State of `reduce_on_plateau`.

    Attributes:
        scale: the factor now.
        best_value: the lowest mean loss so far.
        plateau_count: means since then, i32[].
        cooldown_count: means still to wait, i32[].
        count: losses in the mean that is gathered, i32[].
        avg_value: that mean.
    """

    scale: Any
    best_value: Any
    plateau_count: Any
    cooldown_count: Any
    count: Any
    avg_value: Any


class _Settings(NamedTuple):
    factor: Any
    patience: Any
    rtol: Any
    atol: Any
    cooldown: Any
    min_scale: Any


def _judged(state: ReduceLROnPlateauState, settings: _Settings) -> ReduceLROnPlateauState:
    """The state after a full mean was held against the best."""
    factor, patience, rtol, atol, cooldown, min_scale = settings
    better = state.avg_value < (1 - rtol) * state.best_value - atol
    waited = fnp.where(better, 0, safe_increment(state.plateau_count))
    cooling = state.cooldown_count > 0
    fall = (waited == patience) & ~cooling
    lower = fnp.maximum(state.scale * factor, min_scale)
    kept = fnp.where(cooling, state.scale, fnp.maximum(state.scale, min_scale))
    pause = fnp.where(fall, cooldown, 0)
    return ReduceLROnPlateauState(
        scale=fnp.where(fall, lower, kept),
        best_value=fnp.where(better, state.avg_value, state.best_value),
        plateau_count=fnp.where(fall | cooling, 0, waited),
        cooldown_count=fnp.where(cooling, state.cooldown_count - 1, pause),
        count=zero_count(),
        avg_value=fnp.zeros_like(state.avg_value),
    )


def reduce_on_plateau(
    factor: float = 0.1,
    patience: Any = 10,
    rtol: float = 1e-4,
    atol: float = 0.0,
    cooldown: Any = 0,
    accumulation_size: Any = 1,
    min_scale: Any = 0.0,
) -> GradientTransformationExtraArgs:
    """updates · scale; scale ← factor · scale after `patience` means without a better loss.

    A mean is better below (1 − rtol) · best − atol. The update takes the keyword `value`, the loss.

    Args:
        cooldown: means to wait after each fall.
        accumulation_size: losses to a mean.
    Raises:
        ValueError: factor outside (0, 1), bounds that are negative, both 0, or above 1; in update,
            when `value` is not given.
    """
    if not 0 < factor < 1 or not (rtol >= 0 and atol >= 0) or rtol > 1 or rtol == atol == 0:
        raise ValueError(
            "reduce_on_plateau wants factor in (0, 1), rtol in [0, 1] and atol >= 0, not both 0; "
            f"got factor={factor}, rtol={rtol}, atol={atol}.\n  {user_line()}"
        )

    settings = _Settings(factor, patience, rtol, atol, cooldown, min_scale)

    def init(params: Params) -> ReduceLROnPlateauState:
        fine = dtype(params, "highest")
        return ReduceLROnPlateauState(
            scale=fnp.ones((), dtype(params, "lowest")),
            best_value=fnp.array(np.inf, fine),
            plateau_count=zero_count(),
            cooldown_count=zero_count(),
            count=zero_count(),
            avg_value=fnp.zeros((), fine),
        )

    def update(
        updates: Updates,
        state: ReduceLROnPlateauState,
        params: Params = None,
        *,
        value: Any = None,
        **extra_args: Any,
    ) -> tuple[Any, Any]:
        need_extra("reduce_on_plateau", value=value)
        count = safe_increment(state.count)
        value = fnp.asarray(value).astype(state.avg_value.dtype)
        mean = (state.count * state.avg_value + value) / count
        gathered = state._replace(count=count, avg_value=mean.astype(value.dtype))
        full = count == accumulation_size
        new = tree.map(
            lambda now, old: fnp.where(full, now, old), _judged(gathered, settings), gathered
        )
        new = cast_like(new, state)
        return tree.map(lambda u: new.scale * u, updates), new

    return GradientTransformationExtraArgs(init, update)
