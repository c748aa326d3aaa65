"""Kin of Adam that mix averages of different age, or divide before they average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .adding import add_decayed_weights
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MaskOrFn,
    Params,
    ScalarOrSchedule,
    Updates,
)
from .checks import check_decay_rates, check_not_negative, need_params
from .combining import chain
from .leaves import map_leaves
from .moments import ScaleByAdamState, ScaleByBeliefState, fade
from .numerics import abs_sq, safe_increment, zero_count
from .scaling import scale_by_learning_rate
from .tree import cast, zeros_like


def _at(value: ScalarOrSchedule, count: Any) -> Any:
    return value(count) if callable(value) else value


class ScaleByAdemamixState(NamedTuple):
    """Step numbers i32[] of both averages, the fast and the slow one, and the second moment."""

    count: Any
    count_m2: Any
    m1: Any
    m2: Any
    nu: Any


def scale_by_ademamix(
    b1: Any = 0.9,
    b2: Any = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 6.0,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """(m̂₁ + alpha·m₂) / (√(v̂ + eps_root) + eps): Adam with a second, slow average m₂ of rate b3.

    Args:
        b3, alpha: numbers, or schedules; both should begin small.
        mu_dtype: dtype of the averages; that of the params by default.
    Raises:
        ValueError: rates outside [0, 1); in update, when the trees differ.
    Source: Pagliardini et al., arXiv:2409.03137.
    """
    check_decay_rates("scale_by_ademamix", b1=b1, b2=b2, b3=b3)
    check_not_negative("scale_by_ademamix", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByAdemamixState:
        zeros = zeros_like(params, mu_dtype)
        return ScaleByAdemamixState(zero_count(), zero_count(), zeros, zeros, zeros)

    def update(
        updates: Updates, state: ScaleByAdemamixState, params: Params = None
    ) -> tuple[Any, Any]:
        slow, share = _at(b3, state.count_m2), _at(alpha, state.count_m2)
        count = safe_increment(state.count)
        of_m1, of_nu = fade(b1, count), fade(b2, count)

        def one(g: Any, m1: Any, m2: Any, v: Any) -> Any:
            m1 = (1 - b1) * g + b1 * m1
            m2 = (1 - slow) * g + slow * m2
            v = (1 - b2) * abs_sq(g) + b2 * v
            return (of_m1(m1) + share * m2) / (fnp.sqrt(of_nu(v) + eps_root) + eps), m1, m2, v

        trees = {"m1": state.m1, "m2": state.m2, "nu": state.nu}
        out, *new = map_leaves("scale_by_ademamix", one, updates, outputs=4, **trees)
        return out, ScaleByAdemamixState(count, safe_increment(state.count_m2), *new)

    return GradientTransformation(init, update)


def ademamix(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    weight_decay: Any = 0.0,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """AdEMAMix with decoupled decay; see `scale_by_ademamix`."""
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    """Step number i32[], the sum of gradients that fades, and the second moment."""

    t: Any
    m: Any
    n: Any


def scale_by_simplified_ademamix(
    b1: Any = 0.99,
    b2: Any = 0.95,
    alpha: ScalarOrSchedule = 0.0,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
) -> GradientTransformation:
    """(m + alpha·g) / (√(v̂ + eps_root) + eps), with m ← b1·m + g.

    Args:
        alpha: how much the last gradient counts besides.
    Raises:
        ValueError: rates outside [0, 1); in update, when the trees differ.
    Source: Morwani et al., arXiv:2502.02431.
    """
    check_decay_rates("scale_by_simplified_ademamix", b1=b1, b2=b2)
    check_not_negative("scale_by_simplified_ademamix", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleBySimplifiedAdEMAMixState:
        return ScaleBySimplifiedAdEMAMixState(zero_count(), zeros_like(params), zeros_like(params))

    def update(
        updates: Updates, state: ScaleBySimplifiedAdEMAMixState, params: Params = None
    ) -> tuple[Any, Any]:
        share, count = _at(alpha, state.t), safe_increment(state.t)
        unbiased = fade(b2, count)

        def one(g: Any, m: Any, n: Any) -> Any:
            m, n = g + b1 * m, (1 - b2) * g * g + b2 * n
            return (m + share * g) / (fnp.sqrt(unbiased(n) + eps_root) + eps), m, n

        name = "scale_by_simplified_ademamix"
        out, m, n = map_leaves(name, one, updates, outputs=3, m=state.m, n=state.n)
        return out, ScaleBySimplifiedAdEMAMixState(count, m, n)

    return GradientTransformation(init, update)


def simplified_ademamix(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.99,
    b2: Any = 0.95,
    alpha: ScalarOrSchedule = 0.0,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """AdEMAMix of one average, with decoupled decay; see `scale_by_simplified_ademamix`."""
    return chain(
        scale_by_simplified_ademamix(b1, b2, alpha, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def _fourth_root(count: Any) -> Any:
    return count**0.25


def scale_by_adopt(
    b1: Any = 0.9,
    b2: Any = 0.9999,
    eps: Any = 1e-6,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[Any], Any] = _fourth_root,
) -> GradientTransformation:
    """The average m of g / max(√v, eps), with the v of the steps before: g is not in its divisor.

    The first step only sets v = g².

    Args:
        use_clipping: clip the quotients to ± clip_value_fn(step number).
        nesterov: m looks one step ahead.
    Raises:
        ValueError: rates outside [0, 1); in update, when the trees differ.
    Source: Taniguchi et al., arXiv:2411.02853.
    """
    check_decay_rates("scale_by_adopt", b1=b1, b2=b2)
    check_not_negative("scale_by_adopt", eps=eps)

    def init(params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(zero_count(), zeros_like(params, mu_dtype), zeros_like(params))

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Any, Any]:
        begun = state.count > 0
        keep_m, keep_v = fnp.where(begun, b1, 1.0), fnp.where(begun, b2, 0.0)
        largest = clip_value_fn(state.count) if use_clipping else None

        def averaged(x: Any, m: Any) -> Any:
            return ((1 - keep_m) * x + keep_m * m).astype(x.dtype)

        def one(g: Any, m: Any, v: Any) -> Any:
            x = g / fnp.maximum(fnp.sqrt(v), eps)
            x = x if largest is None else fnp.clip(x, -largest, largest)
            v = ((1 - keep_v) * abs_sq(g) + keep_v * v).astype(v.dtype)
            m = averaged(x, m)
            return averaged(x, m) if nesterov else m, m, v

        out, mu, nu = map_leaves(
            "scale_by_adopt", one, updates, outputs=3, mu=state.mu, nu=state.nu
        )
        return out, ScaleByAdamState(safe_increment(state.count), cast(mu, mu_dtype), nu)

    return GradientTransformation(init, update)


def adopt(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.9999,
    eps: Any = 1e-6,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[Any], Any] = _fourth_root,
) -> GradientTransformationExtraArgs:
    """ADOPT: Adam that converges for any b2; see `scale_by_adopt`."""
    options: dict[str, Any] = {"use_clipping": use_clipping, "clip_value_fn": clip_value_fn}
    return chain(
        scale_by_adopt(b1, b2, eps, mu_dtype, nesterov=nesterov, **options),
        scale_by_learning_rate(learning_rate),
    )


def scale_by_acprop(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-16, eps_root: Any = 1e-16
) -> GradientTransformation:
    """g / (√ŝ + eps), with the ŝ of the steps before: the average of (g − m)², as in AdaBelief.

    The first step is that of the gradient.

    Raises:
        ValueError: rates outside [0, 1); in update, when the trees differ.
    Source: Zhuang et al., arXiv:2110.05454.
    """
    check_decay_rates("scale_by_acprop", b1=b1, b2=b2)
    check_not_negative("scale_by_acprop", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByBeliefState:
        return ScaleByBeliefState(zero_count(), zeros_like(params), zeros_like(params))

    def update(
        updates: Updates, state: ScaleByBeliefState, params: Params = None
    ) -> tuple[Any, Any]:
        first = state.count == 0
        unbiased = fade(b2, fnp.where(first, 1, state.count))

        def one(g: Any, m: Any, s: Any) -> Any:
            divisor = fnp.sqrt(fnp.where(first, 1, unbiased(s))) + eps
            new = (1 - b2) * abs_sq(g - m) + b2 * s + eps_root
            return (g / divisor).astype(g.dtype), (1 - b1) * g + b1 * m, new

        trees = {"mu": state.mu, "nu": state.nu}
        out, mu, nu = map_leaves("scale_by_acprop", one, updates, outputs=3, **trees)
        return out, ScaleByBeliefState(safe_increment(state.count), mu, nu)

    return GradientTransformation(init, update)


def acprop(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-16,
    eps_root: Any = 1e-16,
    weight_decay: Any = 0.0,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """ACProp with decoupled decay; see `scale_by_acprop`."""
    return chain(
        scale_by_acprop(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


class MadgradState(NamedTuple):
    """Step number i32[], the weighted sums of g² and of g, and the start."""

    count: Any
    grad_sum_sq: Any
    s: Any
    x0: Params


def scale_by_madgrad(
    learning_rate: ScalarOrSchedule, momentum: Any = 0.9, eps: Any = 1e-6
) -> GradientTransformation:
    """p ← momentum·p + (1 − momentum)·(p₀ − s / (∛v + eps)), s = Σ λ·g, v = Σ λ·g².

    λ = (rate + eps)·√step: dual averaging from the start p₀. The update includes the rate.

    Raises:
        ValueError: in update, when the params are missing.
    Source: Defazio & Jelassi, arXiv:2101.11075.
    """
    check_decay_rates("scale_by_madgrad", momentum=momentum)
    check_not_negative("scale_by_madgrad", eps=eps)

    def init(params: Params) -> MadgradState:
        return MadgradState(zero_count(), zeros_like(params), zeros_like(params), params)

    def update(updates: Updates, state: MadgradState, params: Params = None) -> tuple[Any, Any]:
        need_params("scale_by_madgrad", params)
        weight = (_at(learning_rate, state.count) + eps) * fnp.sqrt(state.count + 1)

        def one(g: Any, v: Any, s: Any, p0: Any, p: Any) -> Any:
            v, s = v + (weight * g**2).astype(g.dtype), s + (weight * g).astype(g.dtype)
            z = p0 - s / (fnp.cbrt(v) + eps)
            return (1 - momentum) * z + momentum * p - p, v, s

        trees = {"v": state.grad_sum_sq, "s": state.s, "x0": state.x0, "params": params}
        out, v, s = map_leaves("scale_by_madgrad", one, updates, outputs=3, **trees)
        return out, MadgradState(safe_increment(state.count), v, s, state.x0)

    return GradientTransformation(init, update)


def madgrad(
    learning_rate: ScalarOrSchedule, momentum: Any = 0.9, weight_decay: Any = 0.0, eps: Any = 1e-6
) -> GradientTransformationExtraArgs:
    """MADGRAD with L2 decay; see `scale_by_madgrad`."""
    return chain(add_decayed_weights(weight_decay), scale_by_madgrad(learning_rate, momentum, eps))
