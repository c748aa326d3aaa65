"""Methods that find their own rate: from the distance travelled, or from bets on it."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import numpy as fnp
from .. import tree as pytree
from .adding import add_decayed_weights
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MaskOrFn,
    Params,
    ScalarOrSchedule,
    Updates,
    identity,
)
from .checks import check_decay_rates, check_not_negative, check_positive, need_params
from .combining import chain
from .leaves import map_leaves
from .numerics import safe_increment, zero_count
from .scaling import scale_by_learning_rate
from .tree import dtype, norm, ones_like, scale, sub, sum, vdot, zeros_like


class DoGState(NamedTuple):
    """Whether this is the first step, the start, the largest distance from it, and Σ ‖g‖²."""

    is_init_step: Any
    init_params: Params
    max_dist: Any
    sum_sq_norm_grads: Any


_first_steps = ("distance", "learning_rate", "heuristic")


def _scale_by_dog(init_step: tuple[str, Any], eps: Any) -> GradientTransformation:
    kind, value = init_step
    if kind not in _first_steps:
        raise ValueError(f"dog: init_step begins with one of {_first_steps}, got {kind!r}.")

    def init(params: Params) -> DoGState:
        low = dtype(params, "lowest")
        first = {"distance": value, "learning_rate": 0.0}.get(kind)
        first = value * (1 + norm(params)) if first is None else first
        true, zero = fnp.asarray(True), fnp.zeros((), low)
        return DoGState(true, params, fnp.asarray(first, low), zero)

    def update(updates: Updates, state: DoGState, params: Params = None) -> tuple[Any, DoGState]:
        need_params("dog", params)
        distance = fnp.maximum(state.max_dist, norm(sub(state.init_params, params)))
        total = state.sum_sq_norm_grads + norm(updates, squared=True)
        rate = distance / fnp.sqrt(total + eps)
        if kind == "learning_rate":
            rate = fnp.where(state.is_init_step, value, rate)
        new = DoGState(fnp.asarray(False), state.init_params, distance, total)
        return scale(rate, updates), new

    return GradientTransformation(init, update)


def _decayed(weight_decay: Any, mask: MaskOrFn) -> Any:
    return identity() if weight_decay is None else add_decayed_weights(weight_decay, mask)


def dog(
    learning_rate: ScalarOrSchedule = 1.0,
    init_step: tuple[str, Any] = ("heuristic", 1e-6),
    eps: Any = 1e-8,
    weight_decay: Any = None,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Steps of r / √(Σ ‖g‖² + eps), with r the largest distance from the start so far.

    Args:
        learning_rate: a factor of it; 1 is the method.
        init_step: what to begin with: ("distance", r), ("learning_rate", the first rate) or
            ("heuristic", a), r = a·(1 + ‖params‖).
    Raises:
        ValueError: another init_step; in update, when the params are missing.
    Source: Ivgi et al., arXiv:2302.12022.
    """
    check_not_negative("dog", eps=eps)
    inner = _scale_by_dog(init_step, eps)
    return chain(_decayed(weight_decay, mask), inner, scale_by_learning_rate(learning_rate))


class DoWGState(NamedTuple):
    """The start, Σ r²·‖g‖², and r², the square of the largest distance."""

    init_params: Params
    weighted_sq_norm_grads: Any
    estim_sq_dist: Any


def _scale_by_dowg(init_estim_sq_dist: Any, eps: Any) -> GradientTransformation:
    def init(params: Params) -> DoWGState:
        low = dtype(params, "lowest")
        first = eps if init_estim_sq_dist is None else init_estim_sq_dist
        return DoWGState(params, fnp.zeros((), low), fnp.asarray(first, low))

    def update(updates: Updates, state: DoWGState, params: Params = None) -> tuple[Any, DoWGState]:
        need_params("dowg", params)
        moved = norm(sub(state.init_params, params), squared=True)
        square = fnp.maximum(state.estim_sq_dist, moved)
        total = state.weighted_sq_norm_grads + square * norm(updates, squared=True)
        rate = square / (fnp.sqrt(total) + eps)
        return scale(rate, updates), DoWGState(state.init_params, total, square)

    return GradientTransformation(init, update)


def dowg(
    learning_rate: ScalarOrSchedule = 1.0,
    init_estim_sq_dist: Any = None,
    eps: Any = 1e-4,
    weight_decay: Any = None,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Steps of r² / (√(Σ r²·‖g‖²) + eps), with r the largest distance from the start so far.

    Args:
        learning_rate: a factor of it; 1 is the method.
        init_estim_sq_dist: r² to begin with; eps by default.
    Source: Khaled et al., arXiv:2305.16284.
    """
    check_not_negative("dowg", eps=eps)
    inner = _scale_by_dowg(init_estim_sq_dist, eps)
    return chain(_decayed(weight_decay, mask), inner, scale_by_learning_rate(learning_rate))


class ProdigyState(NamedTuple):
    """Moments of the weighted gradients, their sum, the start, the estimate, and its numerator."""

    exp_avg: Any
    exp_avg_sq: Any
    grad_sum: Any
    params0: Params
    estim_lr: Any
    numerator_weighted: Any
    count: Any


def prodigy(
    learning_rate: ScalarOrSchedule = 1.0,
    betas: tuple[Any, Any] = (0.9, 0.999),
    beta3: Any = None,
    eps: Any = 1e-8,
    estim_lr0: Any = 1e-6,
    estim_lr_coef: Any = 1.0,
    weight_decay: Any = 0.0,
    safeguard_warmup: bool = False,
) -> GradientTransformationExtraArgs:
    """Adam at a rate d that grows to a lower bound of the distance to the solution.

    d ← max(d, coef · Σ d²·⟨g, p₀ − p⟩ / ‖Σ d²·g‖₁), both sums fading with beta3.

    Args:
        learning_rate: a factor of d; 1 is the method.
        betas: of the moments.
        beta3: √betas[1] by default.
        estim_lr0: d to begin with.
        estim_lr_coef: larger for a larger d.
        safeguard_warmup: leave the rate out of the sum below, for long warm-ups.
    Raises:
        ValueError: decay rates outside [0, 1); estim_lr0 not positive; in update, when the params
            are missing.
    Source: Mishchenko & Defazio, arXiv:2306.06101.
    """
    beta1, beta2 = betas
    fading = beta2**0.5 if beta3 is None else beta3
    check_decay_rates("prodigy", beta1=beta1, beta2=beta2, beta3=fading)
    check_positive("prodigy", estim_lr0=estim_lr0)

    def init(params: Params) -> ProdigyState:
        low = dtype(params, "lowest")
        zeros = zeros_like(params)
        d = fnp.asarray(estim_lr0, low)
        return ProdigyState(zeros, zeros, zeros, params, d, fnp.zeros((), low), zero_count())

    def update(
        updates: Updates, state: ProdigyState, params: Params = None, **extra_args: Any
    ) -> tuple[Any, ProdigyState]:
        need_params("prodigy", params)
        count, d = safe_increment(state.count), state.estim_lr
        factor = learning_rate(state.count) if callable(learning_rate) else learning_rate
        unbiased = (1 - beta2**count) ** 0.5 / (1 - beta1**count)
        rate = fnp.asarray(d * factor * unbiased).astype(d.dtype)
        weight = (d if safeguard_warmup else rate) / estim_lr0

        m, v, s = _weighted_moments(updates, state, (beta1, beta2, fading), weight)
        gained = vdot(updates, sub(state.params0, params))
        numerator = fading * state.numerator_weighted + d / estim_lr0 * rate * gained
        length = sum(pytree.map(lambda x: fnp.sum(fnp.abs(x)), s))
        d = fnp.maximum(d, estim_lr_coef * numerator / length)

        def step(m: Any, v: Any, p: Any) -> Any:
            return -weight_decay * rate * p - rate * m / (fnp.sqrt(v) + d * eps)

        out = map_leaves("prodigy", step, m, exp_avg_sq=v, params=params)
        return out, ProdigyState(m, v, s, state.params0, d, numerator, count)

    return GradientTransformationExtraArgs(init, update)


def _weighted_moments(
    updates: Updates, state: ProdigyState, decays: tuple[Any, Any, Any], weight: Any
) -> tuple[Any, Any, Any]:
    """The averages of d·g and its square, and the fading sum of weight·d·g."""
    beta1, beta2, fading = decays

    def one(g: Any, m: Any, v: Any, s: Any) -> tuple[Any, Any, Any]:
        g = state.estim_lr * g
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        return m, v, fading * s + weight * g

    trees = {"exp_avg": state.exp_avg, "exp_avg_sq": state.exp_avg_sq, "sum": state.grad_sum}
    return map_leaves("prodigy", one, updates, outputs=3, **trees)


class COCOBState(NamedTuple):
    """The start, −Σ g, the largest |g|, Σ |g|, and what the bets won: trees like the params."""

    init_particles: Params
    cumulative_gradients: Any
    scale: Any
    subgradients: Any
    reward: Any


def scale_by_cocob(alpha: Any = 100.0, eps: Any = 1e-8) -> GradientTransformation:
    """Each element bets a share of what it won on the sign of −g; see `cocob`.

    p = p₀ − Σg / (L·max(Σ|g| + L, alpha·L)) · (L + reward), with L the largest |g| so far.

    Raises:
        ValueError: in update, when the params are missing.
    """
    check_not_negative("scale_by_cocob", alpha=alpha, eps=eps)

    def init(params: Params) -> COCOBState:
        zeros = zeros_like(params)
        return COCOBState(params, zeros, scale(eps, ones_like(params)), zeros, zeros)

    def update(
        updates: Updates, state: COCOBState, params: Params = None
    ) -> tuple[Any, COCOBState]:
        need_params("scale_by_cocob", params)

        def one(c: Any, p: Any, p0: Any, total: Any, largest: Any, sizes: Any, won: Any) -> Any:
            largest, sizes = fnp.maximum(largest, fnp.abs(c)), sizes + fnp.abs(c)
            won, total = fnp.maximum(won - c * (p - p0), 0), total - c
            share = total / (largest * fnp.maximum(sizes + largest, alpha * largest))
            return p0 + share * (largest + won) - p, total, largest, sizes, won

        step: Any = one
        trees = {"params": params, **state._asdict()}
        out, *new = map_leaves("scale_by_cocob", step, updates, outputs=5, **trees)
        return out, COCOBState(state.init_particles, *new)

    return GradientTransformation(init, update)


def cocob(
    learning_rate: ScalarOrSchedule = 1.0,
    alpha: Any = 100.0,
    eps: Any = 1e-8,
    weight_decay: Any = 0.0,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """COCOB: no rate at all, each weight bets on coins; see `scale_by_cocob`.

    Args:
        learning_rate: a factor of the gradients; the method does not depend on it but for eps.
        alpha: how slowly the bets begin.
    Source: Orabona & Tommasi, arXiv:1705.07795.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate, flip_sign=False),
        scale_by_cocob(alpha, eps),
    )
