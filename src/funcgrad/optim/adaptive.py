"""Methods with a step size for each element, from the history of its gradient."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from .. import lax, tree
from .. import numpy as fnp
from ..core.sources import user_line
from ..ir import dtypes
from .base import GradientTransformation, Params, Updates
from .checks import check_decay_rates, check_not_negative, check_positive, check_rate, need_params
from .leaves import map_leaves
from .moments import fade
from .numerics import abs_sq, safe_increment, zero_count
from .tree import cast, full_like, zeros_like


class ScaleByRssState(NamedTuple):
    """The sum of squares so far."""

    sum_of_squares: Any


def scale_by_rss(initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> GradientTransformation:
    """g / √(Σ g² + eps), and 0 where the sum is 0.

    Raises:
        ValueError: negative numbers; in update, when the trees differ.
    Source: Duchi et al., JMLR 12, 2011 (Adagrad).
    """
    check_not_negative("scale_by_rss", initial_accumulator_value=initial_accumulator_value, eps=eps)

    def init(params: Params) -> ScaleByRssState:
        return ScaleByRssState(full_like(params, initial_accumulator_value))

    def update(updates: Updates, state: ScaleByRssState, params: Params = None) -> tuple[Any, Any]:
        def one(g: Any, total: Any) -> Any:
            total = abs_sq(g) + total
            return fnp.where(total > 0, lax.rsqrt(total + eps), 0.0) * g, total

        out, total = map_leaves(
            "scale_by_rss", one, updates, outputs=2, sum_of_squares=state.sum_of_squares
        )
        return out, ScaleByRssState(total)

    return GradientTransformation(init, update)


class ScaleByRmsState(NamedTuple):
    """The running average of squares."""

    nu: Any


class ScaleByRmsWithCountState(NamedTuple):
    """Step number i32[], and the running average of squares."""

    count: Any
    nu: Any


def _inverse_root(x: Any, eps: Any, eps_in_sqrt: bool) -> Any:
    return lax.rsqrt(x + eps) if eps_in_sqrt else 1 / (fnp.sqrt(x) + eps)


def scale_by_rms(
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """g / √(v + eps), with v ← decay·v + (1−decay)·g².

    Args:
        initial_scale: v before the first step.
        eps_in_sqrt: whether eps is added under the root, or to it.
        bias_correction: whether to make up for the start.
    Raises:
        ValueError: decay outside [0, 1]; in update, when the trees differ.
    Source: Tieleman & Hinton, Coursera lecture 6.5, 2012 (RMSProp).
    """
    check_decay_rates("scale_by_rms", closed=not bias_correction, decay=decay)
    check_not_negative("scale_by_rms", eps=eps, initial_scale=initial_scale)

    def init(params: Params) -> Any:
        nu = full_like(params, initial_scale)
        return (
            ScaleByRmsWithCountState(zero_count(), nu) if bias_correction else ScaleByRmsState(nu)
        )

    def update(updates: Updates, state: Any, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count) if bias_correction else None
        unbiased = fade(decay, count) if bias_correction else fnp.asarray

        def one(g: Any, v: Any) -> Any:
            v = (1 - decay) * abs_sq(g) + decay * v
            return _inverse_root(unbiased(v), eps, eps_in_sqrt) * g, v

        out, nu = map_leaves("scale_by_rms", one, updates, outputs=2, nu=state.nu)
        new = ScaleByRmsWithCountState(count, nu) if bias_correction else ScaleByRmsState(nu)
        return out, new

    return GradientTransformation(init, update)


class ScaleByRStdDevState(NamedTuple):
    """The running averages of gradients and of their squares."""

    mu: Any
    nu: Any


class ScaleByRStdDevWithCountState(NamedTuple):
    """Step number i32[], and the running averages of gradients and of their squares."""

    count: Any
    mu: Any
    nu: Any


def scale_by_stddev(
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """g / √(v − m² + eps), with m and v the running averages of g and g²: centred RMSProp.

    Raises:
        ValueError: decay outside [0, 1]; in update, when the trees differ.
    Source: Graves, arXiv:1308.0850.
    """
    check_decay_rates("scale_by_stddev", closed=not bias_correction, decay=decay)
    check_not_negative("scale_by_stddev", eps=eps, initial_scale=initial_scale)

    def pack(count: Any, mu: Any, nu: Any) -> Any:
        if bias_correction:
            return ScaleByRStdDevWithCountState(count, mu, nu)
        return ScaleByRStdDevState(mu, nu)

    def init(params: Params) -> Any:
        return pack(zero_count(), zeros_like(params), full_like(params, initial_scale))

    def update(updates: Updates, state: Any, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count) if bias_correction else None
        unbiased = fade(decay, count) if bias_correction else fnp.asarray

        def one(g: Any, m: Any, v: Any) -> Any:
            m = (1 - decay) * g + decay * m
            v = (1 - decay) * abs_sq(g) + decay * v
            variance = unbiased(v) - abs_sq(unbiased(m))
            return _inverse_root(variance, eps, eps_in_sqrt) * g, m, v

        out, mu, nu = map_leaves(
            "scale_by_stddev", one, updates, outputs=3, mu=state.mu, nu=state.nu
        )
        return out, pack(count, mu, nu)

    return GradientTransformation(init, update)


class ScaleByAdaDeltaState(NamedTuple):
    """The running averages of squared gradients and of squared steps."""

    e_g: Any
    e_x: Any


def scale_by_adadelta(rho: Any = 0.9, eps: Any = 1e-6) -> GradientTransformation:
    """g · √(E[x²] + eps) / √(E[g²] + eps): steps in the units of the params.

    Raises:
        ValueError: rho outside [0, 1]; in update, when the trees differ.
    Source: Zeiler, arXiv:1212.5701.
    """
    check_decay_rates("scale_by_adadelta", closed=True, rho=rho)
    check_not_negative("scale_by_adadelta", eps=eps)

    def init(params: Params) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(zeros_like(params), zeros_like(params))

    def update(
        updates: Updates, state: ScaleByAdaDeltaState, params: Params = None
    ) -> tuple[Any, Any]:
        def one(g: Any, e_g: Any, e_x: Any) -> Any:
            e_g = (1 - rho) * g**2 + rho * e_g
            step = fnp.sqrt(e_x + eps) / fnp.sqrt(e_g + eps) * g
            return step, e_g, (1 - rho) * step**2 + rho * e_x

        out, e_g, e_x = map_leaves(
            "scale_by_adadelta", one, updates, outputs=3, e_g=state.e_g, e_x=state.e_x
        )
        return out, ScaleByAdaDeltaState(e_g, e_x)

    return GradientTransformation(init, update)


class ScaleByRpropState(NamedTuple):
    """A step size for each element, and the last updates."""

    step_sizes: Any
    prev_updates: Any


def scale_by_rprop(
    learning_rate: Any,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> GradientTransformation:
    """Step sizes that grow while the sign of the gradient stays and shrink when it turns.

    After a turn the element rests for one step.

    Raises:
        ValueError: a negative rate, eta_minus not in (0, 1], eta_plus below 1, or a smallest step
            above the largest; in update, when the trees differ.
    Source: Riedmiller & Braun, IEEE ICNN 1993.
    """
    check_rate("scale_by_rprop", learning_rate)
    check_positive(
        "scale_by_rprop", eta_minus=eta_minus, eta_plus=eta_plus, max_step_size=max_step_size
    )
    check_not_negative("scale_by_rprop", min_step_size=min_step_size)
    numbers = (eta_minus, eta_plus, min_step_size, max_step_size)
    if all(isinstance(x, (int, float)) for x in numbers) and not (
        eta_minus <= 1 <= eta_plus and min_step_size <= max_step_size
    ):
        raise ValueError(
            f"scale_by_rprop wants eta_minus <= 1 <= eta_plus and min_step_size <= max_step_size, "
            f"got {numbers}.\n  {user_line()}"
        )

    def init(params: Params) -> ScaleByRpropState:
        return ScaleByRpropState(full_like(params, learning_rate), zeros_like(params))

    def one(g: Any, size: Any, before: Any) -> Any:
        turn = g * before
        factor = fnp.where(turn > 0, eta_plus, eta_minus)
        grown = fnp.clip(size * factor, min_step_size, max_step_size)
        size = fnp.where(turn == 0, size, grown)
        return fnp.where(turn < 0, fnp.zeros_like(g), size * fnp.sign(g)), size

    def update(
        updates: Updates, state: ScaleByRpropState, params: Params = None
    ) -> tuple[Any, Any]:
        out, sizes = map_leaves(
            "scale_by_rprop",
            one,
            updates,
            outputs=2,
            step_sizes=state.step_sizes,
            prev_updates=state.prev_updates,
        )
        return out, ScaleByRpropState(sizes, out)

    return GradientTransformation(init, update)


class ScaleBySM3State(NamedTuple):
    """For each leaf one vector per axis with the largest squares, and the momentum."""

    mu: Any
    nu: Any


def scale_by_sm3(b1: Any = 0.9, b2: Any = 1.0, eps: Any = 1e-8) -> GradientTransformation:
    """Adagrad with one accumulator per row and column: memory of the axes, not of their product.

    ν = min over axes of μ + g²; step g / √(ν + eps), averaged with b1; μ ← largest ν of the slice.

    Raises:
        ValueError: b1 outside [0, 1) or b2 outside [0, 1]; in init, for complex params; in update,
            when the trees differ.
    Source: Anil et al., arXiv:1901.11150.
    """
    check_decay_rates("scale_by_sm3", b1=b1)
    check_decay_rates("scale_by_sm3", closed=True, b2=b2)
    weight = fnp.where(fnp.asarray(b2) == 1.0, 1.0, 1.0 - b2)

    def per_axis(p: Any) -> Any:
        # A scalar has one accumulator of its own.
        sizes = [(n,) for n in fnp.shape(p)] or [()]
        return [fnp.zeros(size, fnp.asarray(p).dtype) for size in sizes]

    def init(params: Params) -> ScaleBySM3State:
        for path, p in tree.leaves_with_path(params):
            if dtypes.issubdtype(fnp.asarray(p).dtype, np.complexfloating):
                raise ValueError(f"scale_by_sm3 takes real params, got {p.dtype} at {path}.")
        return ScaleBySM3State(tree.map(per_axis, params), zeros_like(params))

    def one(g: Any, nu: Any, mu: Any) -> Any:
        n = fnp.ndim(g)
        others = [tuple(j for j in range(n) if j != i) for i in range(n)] or [()]
        spread = [fnp.expand_dims(v, axes) for v, axes in zip(mu, others, strict=True)]
        total = weight * g**2 + b2 * functools.reduce(fnp.minimum, spread)
        step = g * fnp.where(total > 0, lax.rsqrt(total + eps), 0.0)
        largest = [fnp.max(total, axis=axes) if axes else total for axes in others]
        return (1 - b1) * step + b1 * nu, largest

    def update(updates: Updates, state: ScaleBySM3State, params: Params = None) -> tuple[Any, Any]:
        out, mu = map_leaves(
            "scale_by_sm3",
            one,
            updates,
            outputs=2,
            unlike=("mu",),
            nu=state.nu,
            mu=state.mu,
        )
        return out, ScaleBySM3State(mu, out)

    return GradientTransformation(init, update)


class ScaleByNovogradState(NamedTuple):
    """Step number i32[], the momentum, and one average of squared norms for each leaf."""

    count: Any
    mu: Any
    nu: Any


def scale_by_novograd(
    b1: Any = 0.9,
    b2: Any = 0.25,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """m ← b1·m + g / (√(v + eps_root) + eps) + weight_decay·p, v the average of ‖g‖² of a leaf.

    The first step starts both at their new values.

    Raises:
        ValueError: a rate outside [0, 1); in update, when params are not given or trees differ.
    Source: Ginsburg et al., arXiv:1905.11286.
    """
    check_decay_rates("scale_by_novograd", b1=b1, b2=b2)
    check_not_negative("scale_by_novograd", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByNovogradState:
        norms = tree.map(lambda p: fnp.zeros((), fnp.asarray(p).dtype), params)
        return ScaleByNovogradState(zero_count(), zeros_like(params, mu_dtype), norms)

    def update(
        updates: Updates, state: ScaleByNovogradState, params: Params = None
    ) -> tuple[Any, Any]:
        need_params("scale_by_novograd", params)
        count = safe_increment(state.count)
        is_first = count == 1

        def one(g: Any, p: Any, m: Any, v: Any) -> Any:
            square = fnp.sum(abs_sq(g))
            v = fnp.where(is_first, square, (1 - b2) * square + b2 * v).astype(v.dtype)
            step = g / (fnp.sqrt(v + eps_root) + eps) + weight_decay * p
            return fnp.where(is_first, step, b1 * m + step), v

        mu, nu = map_leaves(
            "scale_by_novograd",
            one,
            updates,
            outputs=2,
            unlike=("nu",),
            params=params,
            mu=state.mu,
            nu=state.nu,
        )
        mu = cast(mu, mu_dtype)
        return mu, ScaleByNovogradState(count, mu, nu)

    return GradientTransformation(init, update)
