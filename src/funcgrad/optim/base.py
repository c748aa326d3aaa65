"""The protocol: `init(params) -> state`, `update(updates, state, params) -> (updates, state)`.

Names and meanings are optax's. A transformation is a pair of pure functions; its state is a plain
pytree that goes in and comes out, so that jit, vmap, scan and checkpoints act on it directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree
from .leaves import map_leaves

Params = Any
"""The tree of weights."""
Updates = Any
"""A tree like the params: gradients on the way in, steps on the way out."""
OptState = Any
"""What a transformation remembers between two calls."""
Schedule = Callable[[Any], Any]
"""From step number i32[] to a number f32[]."""
ScalarOrSchedule = Any
"""A number, an array without axes, or a schedule."""
MaskOrFn = Any
"""A tree of booleans (or a prefix of one), or a function from params to one; or None."""

TransformInitFn = Callable[[Any], Any]
TransformUpdateFn = Callable[..., tuple[Any, Any]]
TransformUpdateExtraArgsFn = Callable[..., tuple[Any, Any]]


class GradientTransformation(NamedTuple):
    """A pair of pure functions.

    Attributes:
        init: `params -> state`.
        update: `(updates, state, params=None) -> (updates, state)`.
    """

    init: TransformInitFn
    update: TransformUpdateFn


class GradientTransformationExtraArgs(GradientTransformation):
    """A transformation whose update also takes keywords, such as `value=` or `value_fn=`.

    Keywords that it has no use for are passed over, so that a chain can hand all to all.
    """


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing."""


def init_empty_state(params: Params) -> EmptyState:
    """The empty state, for any params."""
    return EmptyState()


def identity() -> GradientTransformation:
    """Updates as they are. The state is empty."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return updates, state

    return GradientTransformation(init_empty_state, update)


def set_to_zero() -> GradientTransformation:
    """Zeros in place of the updates: what it is applied to stays as it is. The state is empty."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return tree.map(fnp.zeros_like, updates), state

    return GradientTransformation(init_empty_state, update)


def stateless(f: Callable[[Updates, Params], Updates]) -> GradientTransformation:
    """f(updates, params) as a transformation without state; params may be None."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        return f(updates, params), EmptyState()

    return GradientTransformation(init_empty_state, update)


def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> GradientTransformation:
    """f(update, param) at each leaf as a transformation without state; param may be None."""

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        if params is None:
            return tree.map(lambda u: f(u, None), updates), EmptyState()
        out = map_leaves("stateless_with_tree_map", f, updates, params=params)
        return out, EmptyState()

    return GradientTransformation(init_empty_state, update)


def with_extra_args_support(tx: Any) -> GradientTransformationExtraArgs:
    """The transformation with an update that also takes keywords, and passes over unknown ones.

    Raises:
        TypeError: not a transformation.
    """
    if isinstance(tx, GradientTransformationExtraArgs):
        return tx
    if not (callable(getattr(tx, "init", None)) and callable(getattr(tx, "update", None))):
        name = getattr(tx, "__name__", type(tx).__name__)
        raise TypeError(
            f"A transformation with init and update is wanted, got {name} of type "
            f"{type(tx).__name__}. A function such as optim.adam gives one when it is called: "
            "optim.adam(0.1)."
        )
    own_update: Any = tx.update

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, Any]:
        return own_update(updates, state, params)

    return GradientTransformationExtraArgs(tx.init, update)


def apply_updates(params: Params, updates: Updates) -> Params:
    """params + updates, leaf by leaf, in the dtypes of params; an update of None changes nothing.

    Raises:
        ValueError: the trees differ.
    """
    return map_leaves(
        "apply_updates",
        lambda p, u: p if u is None else (p + u).astype(p.dtype),
        params,
        optional=("updates",),
        updates=updates,
    )


def incremental_update(new_tensors: Params, old_tensors: Params, step_size: Any) -> Params:
    """step_size · new + (1 − step_size) · old: a slow copy that follows (Polyak averaging).

    Raises:
        ValueError: the trees differ.
    """
    return map_leaves(
        "incremental_update",
        lambda new, old: step_size * new + (1.0 - step_size) * old,
        new_tensors,
        old_tensors=old_tensors,
    )


def periodic_update(
    new_tensors: Params, old_tensors: Params, steps: Any, update_period: Any
) -> Params:
    """The new tree at every update_period-th step, else the old one.

    Args:
        steps: i32[], the number of the step.
    """
    is_due = fnp.mod(steps, update_period) == 0
    return map_leaves(
        "periodic_update",
        lambda new, old: fnp.where(is_due, new, old),
        new_tensors,
        old_tensors=old_tensors,
    )
