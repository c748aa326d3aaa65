"""Transformations that add: weight decay, L1 decay, noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import random, tree
from ..ir import dtypes
from .base import (
    EmptyState,
    GradientTransformation,
    MaskOrFn,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
)
from .checks import check_not_negative, need_params
from .combining import masked
from .leaves import map_leaves
from .numerics import safe_increment, zero_count
from .tree import random_like


class WeightDecaySchedule(NamedTuple):
    """How many updates there were, i32[]: the state where the decay is a schedule."""

    count: Any


def add_decayed_weights(
    weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None
) -> GradientTransformation:
    """updates + weight_decay · params: the gradient of ½ · weight_decay · ‖params‖² (L2 decay).

    Before a method that scales by moments this is L2 decay; after it, decoupled decay.

    Args:
        weight_decay: a number, or a schedule from step number i32[] to f32[].
        mask: which leaves decay, as in `masked`; all by default.
    Raises:
        ValueError: a negative number; in update, when params are not given.
    """
    check_not_negative("add_decayed_weights", weight_decay=weight_decay)
    return add_multiple("add_decayed_weights", lambda p: p, weight_decay, mask)


def add_decayed_signs(
    weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None
) -> GradientTransformation:
    """updates + weight_decay · sign(params): the gradient of weight_decay · ‖params‖₁ (L1 decay).

    Args:
        weight_decay: a number, or a schedule from step number i32[] to f32[].
        mask: which leaves decay, as in `masked`; all by default.
    Raises:
        ValueError: a negative number; in update, when params are not given.
    """
    check_not_negative("add_decayed_signs", weight_decay=weight_decay)
    return add_multiple("add_decayed_signs", fnp.sign, weight_decay, mask)


def add_multiple(
    what: str, f: Callable[[Any], Any], factor: ScalarOrSchedule, mask: MaskOrFn = None
) -> GradientTransformation:
    """updates + factor · f(params), leaf by leaf; factor may be a schedule, and negative."""

    def init(params: Params) -> Any:
        return WeightDecaySchedule(zero_count()) if callable(factor) else EmptyState()

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        need_params(what, params)
        now = factor
        if callable(factor):
            now = factor(state.count)
            state = WeightDecaySchedule(safe_increment(state.count))
        elif isinstance(factor, (int, float)) and factor == 0:
            return updates, state
        return map_leaves(what, lambda u, p: u + now * f(p), updates, params=params), state

    whole = GradientTransformation(init, update)
    return whole if mask is None else masked(whole, mask)


class AddNoiseState(NamedTuple):
    """How many updates there were, i32[], and the key of the noise to come."""

    count: Any
    rng_key: Any


def as_key(what: str, key: Any, seed: int | None = None) -> Any:
    """A typed key from a key or a seed.

    Raises:
        ValueError: neither is given, or both.
    """
    if (key is None) == (seed is None):
        given = "neither" if key is None else "both"
        raise ValueError(f"{what} takes a key or a seed, got {given}: give key=random.key(0).")
    value = seed if key is None else key
    if dtypes.is_key_dtype(getattr(value, "dtype", None)):
        return value
    return random.key(value) if fnp.ndim(value) == 0 else random.wrap_key_data(value)


def add_noise(
    eta: Any, gamma: Any, key: Any = None, *, seed: int | None = None
) -> GradientTransformation:
    """updates + N(0, eta / stepᵞ), with steps counted from 1.

    Args:
        eta: variance of the first noise.
        gamma: how fast it fades.
        key: a key, or a number to make one of.
    Raises:
        ValueError: a negative eta; key and seed both or neither given.
    Source: Neelakantan et al., arXiv:1511.06807.
    """
    check_not_negative("add_noise", eta=eta)
    first = as_key("add_noise", key, seed)

    def init(params: Params) -> AddNoiseState:
        return AddNoiseState(zero_count(), first)

    def update(updates: Updates, state: AddNoiseState, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        deviation = fnp.sqrt(eta / count**gamma)
        keys = random.split(state.rng_key)
        noise = random_like(keys[1], updates)
        out = tree.map(lambda u, n: u + deviation * n, updates, noise)
        return out, AddNoiseState(count, keys[0])

    return GradientTransformation(init, update)


AddDecayedWeightsState = EmptyState
