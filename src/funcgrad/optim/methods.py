"""SGD, momentum and Adam, built from smaller transformations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree
from .base import GradientTransformation, chain, global_norm

Rate = float | Callable[[Any], Any]


def _no_state(params: Any) -> tuple[()]:
    return ()


def zeros_like_tree(params: Any) -> Any:
    """The tree with zeros for its leaves."""
    return tree.map(fnp.zeros_like, params)


def scale(factor: float) -> GradientTransformation:
    """updates · factor. The state is empty."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return tree.map(lambda u: factor * u, updates), state

    return GradientTransformation(_no_state, update)


class CountState(NamedTuple):
    """How many updates there were, i32[]."""

    count: Any


def _count_state(params: Any) -> CountState:
    return CountState(fnp.zeros((), fnp.int32))


def scale_by_rate(rate: Rate) -> GradientTransformation:
    """updates · −rate; rate is a number or a schedule from step number i32[] to f32[]."""
    if not callable(rate):
        return scale(-rate)

    def update(updates: Any, state: CountState, params: Any = None) -> tuple[Any, Any]:
        step = rate(state.count)
        return tree.map(lambda u: -step * u, updates), CountState(state.count + 1)

    return GradientTransformation(_count_state, update)


def trace(decay: float, nesterov: bool = False) -> GradientTransformation:
    """Momentum: m ← updates + decay · m; gives m, or updates + decay · m with Nesterov.

    Source: Sutskever et al., ICML 2013.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        moved = tree.map(lambda u, m: u + decay * m, updates, state)
        out = tree.map(lambda u, m: u + decay * m, updates, moved) if nesterov else moved
        return out, moved

    return GradientTransformation(zeros_like_tree, update)


def sgd(
    learning_rate: Rate, momentum: float | None = None, nesterov: bool = False
) -> GradientTransformation:
    """Steps of −learning_rate · gradient, with momentum if given.

    Args:
        learning_rate: a number, or a schedule from step number i32[] to f32[].
    """
    step = scale_by_rate(learning_rate)
    return step if momentum is None else chain(trace(momentum, nesterov), step)


class AdamState(NamedTuple):
    """Step number i32[], and the running moments, each of the tree of the params."""

    count: Any
    mu: Any
    nu: Any


def scale_by_adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> GradientTransformation:
    """m̂ / (√v̂ + eps), with m ← b1·m + (1−b1)·g and v ← b2·v + (1−b2)·g².

    Source: Kingma & Ba, arXiv:1412.6980, algorithm 1.
    """

    def init(params: Any) -> AdamState:
        zeros = zeros_like_tree(params)
        return AdamState(fnp.zeros((), fnp.int32), zeros, zeros)

    def update(updates: Any, state: AdamState, params: Any = None) -> tuple[Any, AdamState]:
        count = state.count + 1
        mu = tree.map(lambda g, m: b1 * m + (1 - b1) * g, updates, state.mu)
        nu = tree.map(lambda g, v: b2 * v + (1 - b2) * (g * fnp.conj(g)).real, updates, state.nu)
        # Moments start at zero; dividing by 1 − bᵗ removes that bias.
        fix1, fix2 = 1 - b1**count, 1 - b2**count
        out = tree.map(lambda m, v: (m / fix1) / (fnp.sqrt(v / fix2) + eps), mu, nu)
        return out, AdamState(count, mu, nu)

    return GradientTransformation(init, update)


def adam(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> GradientTransformation:
    """Adam: each step scaled by running moments of the gradient; see `scale_by_adam`.

    Args:
        learning_rate: a number, or a schedule from step number i32[] to f32[].
    Raises:
        ValueError: in update, when the gradients have another tree than the params.
    """
    return chain(scale_by_adam(b1, b2, eps), scale_by_rate(learning_rate))


def add_decayed_weights(weight_decay: float) -> GradientTransformation:
    """updates + weight_decay · params.

    Raises:
        ValueError: in update, when params are not given.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("add_decayed_weights needs the params: update(grads, state, params).")
        return tree.map(lambda u, p: u + weight_decay * p, updates, params), state

    return GradientTransformation(_no_state, update)


def clip_by_global_norm(max_norm: float) -> GradientTransformation:
    """updates scaled down so that their global norm is at most max_norm.

    Source: Pascanu et al., arXiv:1211.5063.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        norm = global_norm(updates)
        # The divisor is never 0, so that the derivative is finite where nothing is clipped.
        factor = fnp.where(norm > max_norm, max_norm / fnp.where(norm > 0, norm, 1.0), 1.0)
        return tree.map(lambda u: u * factor, updates), state

    return GradientTransformation(_no_state, update)
