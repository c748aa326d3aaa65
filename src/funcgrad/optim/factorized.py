"""Second moments kept as a row and a column: memory n + m for a leaf of n × m (Adafactor)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import numpy as fnp
from .base import GradientTransformation, Params, Updates
from .checks import check_not_negative, need_params
from .leaves import map_leaves
from .numerics import abs_sq, safe_increment, zero_count


class FactoredState(NamedTuple):
    """Step number i32[], averages over rows and over columns, and whole second moments.

    For each leaf either the first two or the last are in use; the rest is `zeros(1)`.
    """

    count: Any
    v_row: Any
    v_col: Any
    v: Any


def _power_decay(step: Any, exponent: Any = 0.8) -> Any:
    """1 − (step + 1)^−exponent: 0 at the first step, towards 1 later."""
    return 1.0 - (fnp.asarray(step, np.float32) + 1) ** (-exponent)


def _factored_axes(shape: tuple[int, ...], factored: bool, least: int) -> tuple[int, int] | None:
    """The two longest axes, the longest last; None where a leaf is too small to factor."""
    if not factored or len(shape) < 2:
        return None
    order = np.argsort(shape)
    if shape[order[-2]] < least:
        return None
    return int(order[-2]), int(order[-1])


def _start(p: Any, axes: tuple[int, int] | None) -> tuple[Any, Any, Any]:
    """Zeros for the rows, the columns and the whole of a leaf, or as many as it needs."""
    nothing = fnp.zeros(1, p.dtype)
    if axes is None:
        return nothing, nothing, fnp.zeros_like(p)
    row, column = (fnp.zeros(np.delete(p.shape, axis), p.dtype) for axis in reversed(axes))
    return row, column, nothing


def _by_rows_and_columns(
    g: Any, row: Any, column: Any, decay: Any, epsilon: Any, axes: tuple[int, int]
) -> tuple[Any, Any, Any]:
    """The step, and the averages over rows and columns moved towards g²."""
    second, first = axes
    square = abs_sq(g) + epsilon
    row = (decay * row + (1.0 - decay) * fnp.mean(square, axis=first)).astype(row.dtype)
    column = (decay * column + (1.0 - decay) * fnp.mean(square, axis=second)).astype(column.dtype)
    mean = fnp.mean(row, axis=second - (second > first), keepdims=True)
    by_row = fnp.expand_dims((row / mean) ** -0.5, first)
    return g * by_row * fnp.expand_dims(column**-0.5, second), row, column


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Any = 0.8,
    step_offset: Any = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Any = 1e-30,
    decay_rate_fn: Callable[[Any, Any], Any] = _power_decay,
) -> GradientTransformation:
    """g / √v, with v of large leaves the product of its means over rows and over columns.

    Args:
        factored: whether to factor at all.
        decay_rate: the exponent that decay_rate_fn gets.
        step_offset: taken from the step number, for fine-tuning.
        min_dim_size_to_factor: leaves with a second longest axis below this keep v whole.
        epsilon: added to g².
        decay_rate_fn: from step and decay_rate to the decay of this step.
    Raises:
        ValueError: in update, when params are not given or the trees differ.
    Source: Shazeer & Stern, arXiv:1804.04235.
    """
    check_not_negative("scale_by_factored_rms", epsilon=epsilon)

    def axes_of(p: Any) -> tuple[int, int] | None:
        return _factored_axes(fnp.shape(p), factored, min_dim_size_to_factor)

    def init(params: Params) -> FactoredState:
        parts = map_leaves(
            "scale_by_factored_rms", lambda p: _start(p, axes_of(p)), params, outputs=3
        )
        return FactoredState(zero_count(), *parts)

    def update(updates: Updates, state: FactoredState, params: Params = None) -> tuple[Any, Any]:
        need_params("scale_by_factored_rms", params)
        decay = decay_rate_fn(state.count - step_offset, decay_rate)

        def one(g: Any, p: Any, row: Any, column: Any, v: Any) -> tuple[Any, ...]:
            nothing = fnp.zeros(1, p.dtype)
            axes = axes_of(p)
            if axes is None:
                v = (decay * v + (1.0 - decay) * (abs_sq(g) + epsilon)).astype(p.dtype)
                return g * v**-0.5, nothing, nothing, v
            return (*_by_rows_and_columns(g, row, column, decay, epsilon, axes), nothing)

        out, *parts = map_leaves(
            "scale_by_factored_rms",
            one,
            updates,
            outputs=4,
            unlike=("v_row", "v_col", "v"),
            params=params,
            v_row=state.v_row,
            v_col=state.v_col,
            v=state.v,
        )
        return out, FactoredState(safe_increment(state.count), *parts)

    return GradientTransformation(init, update)
