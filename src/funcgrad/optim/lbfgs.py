"""L-BFGS: curvature from the last few steps and changes of the gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as fnp
from .. import tree as pytree
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Params,
    ScalarOrSchedule,
    Updates,
    identity,
)
from .checks import need_params
from .combining import chain
from .leaves import map_leaves
from .numerics import safe_increment, zero_count
from .scaling import scale, scale_by_learning_rate
from .tree import cast_like, norm, vdot, zeros_like
from .zoom import scale_by_zoom_linesearch


class ScaleByLBFGSState(NamedTuple):
    """State of `scale_by_lbfgs`.

    Attributes:
        count: step number, i32[].
        params, updates: those of the last call.
        diff_params_memory, diff_updates_memory: changes of both over the last m steps, stacked
            along a first axis.
        weights_memory: 1 / ⟨change of updates, change of params⟩ of each, f32[m].
    """

    count: Any
    params: Any
    updates: Any
    diff_params_memory: Any
    diff_updates_memory: Any
    weights_memory: Any


class _Memory(NamedTuple):
    steps: Any
    changes: Any
    weights: Any


def _dot(x: Any, y: Any) -> Any:
    return fnp.real(vdot(x, y))


def _add_multiple(x: Any, factor: Any, y: Any) -> Any:
    return map_leaves(
        "scale_by_lbfgs", lambda a, b: (a + factor * b).astype(a.dtype), x, direction=y
    )


def _two_loops(updates: Updates, memory: _Memory, initial: Any, order: Any) -> Updates:
    """The inverse curvature times the updates, from the newest pair back and forth again."""

    def at(i: Any) -> _Memory:
        return pytree.map(lambda x: x[i], memory)

    def back(direction: Any, i: Any) -> tuple[Any, Any]:
        pair = at(i)
        share = pair.weights * _dot(pair.steps, direction)
        return _add_multiple(direction, -share, pair.changes), share

    def forth(direction: Any, carried: Any) -> tuple[Any, None]:
        i, share = carried
        pair = at(i)
        other = pair.weights * _dot(pair.changes, direction)
        return _add_multiple(direction, share - other, pair.steps), None

    direction, shares = lax.scan(back, updates, order, reverse=True)
    direction = pytree.map(lambda x: (initial * x).astype(x.dtype), direction)
    return lax.scan(forth, direction, (order, shares))[0]


def _difference(new: Any, old: Any, is_first: Any) -> Any:
    return map_leaves(
        "scale_by_lbfgs",
        lambda x, before: fnp.where(is_first, fnp.zeros_like(x), x - before),
        new,
        state=old,
    )


def _first_scale(updates: Any, product: Any, change: Any, is_first: Any) -> Any:
    """The curvature to start from: that of the last pair, or at most unit length."""
    square, length = norm(change, squared=True), norm(updates)
    known = fnp.where(square > 0.0, product / fnp.where(square > 0.0, square, 1.0), 1.0)
    return fnp.where(is_first, fnp.minimum(1.0, 1.0 / length), known)


def scale_by_lbfgs(
    memory_size: int = 10, scale_init_precond: bool = True
) -> GradientTransformation:
    """The gradient times an inverse Hessian estimated from the last memory_size steps.

    Args:
        scale_init_precond: start from γ·I, γ = ⟨y, s⟩/⟨y, y⟩ of the last pair (and at most unit
            length at the first step), in place of I.
    Raises:
        ValueError: memory_size below 1; in update, when params are not given or the trees differ.
    Source: Liu & Nocedal, Math. Programming 45, 1989; Nocedal & Wright, algorithm 7.4.
    """
    if memory_size < 1:
        raise ValueError(f"scale_by_lbfgs: memory_size must be at least 1, got {memory_size}.")

    def init(params: Params) -> ScaleByLBFGSState:
        stack = pytree.map(
            lambda p: fnp.zeros((memory_size, *fnp.shape(p)), fnp.asarray(p).dtype), params
        )
        return ScaleByLBFGSState(
            count=zero_count(),
            params=zeros_like(params),
            updates=zeros_like(params),
            diff_params_memory=stack,
            diff_updates_memory=stack,
            weights_memory=fnp.zeros(memory_size),
        )

    def update(
        updates: Updates, state: ScaleByLBFGSState, params: Params = None
    ) -> tuple[Any, ScaleByLBFGSState]:
        need_params("scale_by_lbfgs", params)
        updates, params = pytree.map(fnp.asarray, updates), pytree.map(fnp.asarray, params)
        is_first = state.count == 0
        step = _difference(params, state.params, is_first)
        change = _difference(updates, state.updates, is_first)
        product = _dot(change, step)
        weight = fnp.where(product == 0.0, 0.0, 1.0 / fnp.where(product == 0.0, 1.0, product))
        last = (state.count - 1) % memory_size
        old = _Memory(state.diff_params_memory, state.diff_updates_memory, state.weights_memory)
        memory = pytree.map(
            lambda kept, new: kept.at[last].set(new), old, _Memory(step, change, weight)
        )
        order = (state.count + fnp.arange(memory_size, dtype=np.int32)) % memory_size
        scaled = scale_init_precond
        first = _first_scale(updates, product, change, is_first) if scaled else 1.0
        out = _two_loops(updates, memory, first, order)
        new = ScaleByLBFGSState(safe_increment(state.count), params, updates, *memory)
        return out, cast_like(new, state)

    return GradientTransformation(init, update)


_ZOOM = scale_by_zoom_linesearch(20, initial_guess_strategy="one")


def lbfgs(
    learning_rate: ScalarOrSchedule = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: Any = _ZOOM,
) -> GradientTransformationExtraArgs:
    """L-BFGS with a line search; its update takes `value`, `grad` and `value_fn` too.

    Args:
        learning_rate: scales the direction before the search; None for 1.
        linesearch: a transformation that scales the direction, or None for none.
    Source: Liu & Nocedal, Math. Programming 45, 1989.
    """
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond),
        scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate),
        identity() if linesearch is None else linesearch,
    )
