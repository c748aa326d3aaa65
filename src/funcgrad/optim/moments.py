"""Methods that divide an average of the gradient by the root of an average of its square."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import numpy as fnp
from .base import GradientTransformation, Params, Updates
from .checks import check_decay_rates, check_not_negative
from .leaves import map_leaves
from .numerics import abs_sq, safe_increment, zero_count
from .tree import cast, full_like, zeros_like


class ScaleByAdamState(NamedTuple):
    """Step number i32[], and the running moments, each a tree like the params."""

    count: Any
    mu: Any
    nu: Any


def fade(decay: Any, count: Any) -> Callable[[Any], Any]:
    """x / (1 − decayᶜᵒᵘⁿᵗ), in the dtype of x: what a start of averages at zero took away."""
    share = fnp.asarray(1 - decay**count)
    return lambda x: x / share.astype(x.dtype)


def first_moment(b1: Any, count: Any, nesterov: bool) -> Callable[[Any, Any], Any]:
    """From gradient and average to the estimate m̂; with Nesterov, that of the step to come."""
    if not nesterov:
        unbiased = fade(b1, count)
        return lambda g, m: unbiased(m)
    ahead, now = fade(b1, safe_increment(count)), fade(b1, count)
    return lambda g, m: b1 * ahead(m) + (1 - b1) * now(g)


def _zero_moments(params: Params, mu_dtype: Any = None) -> ScaleByAdamState:
    return ScaleByAdamState(zero_count(), zeros_like(params, mu_dtype), zeros_like(params))


def scale_by_adam(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """m̂ / (√(v̂ + eps_root) + eps), with m ← b1·m + (1−b1)·g and v ← b2·v + (1−b2)·|g|².

    Args:
        mu_dtype: dtype of m; that of the params by default.
        nesterov: m̂ looks one step ahead.
    Raises:
        ValueError: b1 or b2 outside [0, 1); in update, when the trees differ.
    Source: Kingma & Ba, arXiv:1412.6980, algorithm 1; Dozat, 2016 (Nesterov).
    """
    check_decay_rates("scale_by_adam", b1=b1, b2=b2)
    check_not_negative("scale_by_adam", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByAdamState:
        return _zero_moments(params, mu_dtype)

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        estimate, unbiased = first_moment(b1, count, nesterov), fade(b2, count)

        def one(g: Any, m: Any, v: Any) -> Any:
            kept = v.dtype
            m = (1 - b1) * g + b1 * m
            v = (1 - b2) * abs_sq(g) + b2 * v
            step = estimate(g, m) / (fnp.sqrt(unbiased(v) + eps_root) + eps)
            return step, m, v.astype(kept)

        out, mu, nu = map_leaves("scale_by_adam", one, updates, outputs=3, mu=state.mu, nu=state.nu)
        return out, ScaleByAdamState(count, cast(mu, mu_dtype), nu)

    return GradientTransformation(init, update)


class ScaleByAmsgradState(NamedTuple):
    """Step number i32[], running moments, and the largest second moment so far."""

    count: Any
    mu: Any
    nu: Any
    nu_max: Any


def scale_by_amsgrad(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> GradientTransformation:
    """m̂ / (√(max v̂ + eps_root) + eps): Adam whose divisor never shrinks.

    Raises:
        ValueError: b1 or b2 outside [0, 1); in update, when the trees differ.
    Source: Reddi et al., arXiv:1904.09237.
    """
    check_decay_rates("scale_by_amsgrad", b1=b1, b2=b2)
    check_not_negative("scale_by_amsgrad", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByAmsgradState:
        return ScaleByAmsgradState(*_zero_moments(params, mu_dtype), zeros_like(params))

    def update(
        updates: Updates, state: ScaleByAmsgradState, params: Params = None
    ) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        of_mu, of_nu = fade(b1, count), fade(b2, count)

        def one(g: Any, m: Any, v: Any, largest: Any) -> Any:
            m = (1 - b1) * g + b1 * m
            v = (1 - b2) * abs_sq(g) + b2 * v
            largest = fnp.maximum(largest, of_nu(v) if bias_correction_nu else v)
            estimate = of_mu(m) if bias_correction_mu else m
            return estimate / (fnp.sqrt(largest + eps_root) + eps), m, v, largest

        out, mu, nu, nu_max = map_leaves(
            "scale_by_amsgrad",
            one,
            updates,
            outputs=4,
            mu=state.mu,
            nu=state.nu,
            nu_max=state.nu_max,
        )
        return out, ScaleByAmsgradState(count, cast(mu, mu_dtype), nu, nu_max)

    return GradientTransformation(init, update)


def scale_by_adamax(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> GradientTransformation:
    """m̂ / u, with u ← max(|g| + eps, b2 · u): Adam in the largest-element norm.

    Raises:
        ValueError: b1 or b2 outside [0, 1); in update, when the trees differ.
    Source: Kingma & Ba, arXiv:1412.6980, algorithm 2.
    """
    check_decay_rates("scale_by_adamax", b1=b1, b2=b2)
    check_not_negative("scale_by_adamax", eps=eps)

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        unbiased = fade(b1, count)

        def one(g: Any, m: Any, v: Any) -> Any:
            m = (1 - b1) * g + b1 * m
            v = fnp.maximum(fnp.abs(g) + eps, b2 * v)
            return unbiased(m) / v, m, v

        out, mu, nu = map_leaves(
            "scale_by_adamax", one, updates, outputs=3, mu=state.mu, nu=state.nu
        )
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_zero_moments, update)


class ScaleByBeliefState(NamedTuple):
    """Step number i32[], the running average, and that of its squared error."""

    count: Any
    mu: Any
    nu: Any


def scale_by_belief(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-16,
    eps_root: Any = 1e-16,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """m̂ / (√ŝ + eps), with s ← b2·s + (1−b2)·(g − m)² + eps_root: long steps where g is expected.

    Raises:
        ValueError: b1 or b2 outside [0, 1); in update, when the trees differ.
    Source: Zhuang et al., arXiv:2010.07468.
    """
    check_decay_rates("scale_by_belief", b1=b1, b2=b2)
    check_not_negative("scale_by_belief", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByBeliefState:
        return ScaleByBeliefState(*_zero_moments(params))

    def update(
        updates: Updates, state: ScaleByBeliefState, params: Params = None
    ) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        estimate, unbiased = first_moment(b1, count, nesterov), fade(b2, count)

        def one(g: Any, m: Any, s: Any) -> Any:
            m = (1 - b1) * g + b1 * m
            s = (1 - b2) * abs_sq(g - m) + b2 * s + eps_root
            return estimate(g, m) / (fnp.sqrt(unbiased(s)) + eps), m, s

        out, mu, nu = map_leaves(
            "scale_by_belief", one, updates, outputs=3, mu=state.mu, nu=state.nu
        )
        return out, ScaleByBeliefState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_yogi(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-3,
    eps_root: Any = 0.0,
    initial_accumulator_value: Any = 1e-6,
) -> GradientTransformation:
    """m̂ / (√(v̂ + eps_root) + eps), with v ← v − (1−b2) · sign(v − g²) · g².

    Raises:
        ValueError: b1 or b2 outside [0, 1); in update, when the trees differ.
    Source: Zaheer et al., NeurIPS 2018.
    """
    check_decay_rates("scale_by_yogi", b1=b1, b2=b2)
    check_not_negative("scale_by_yogi", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByAdamState:
        start = full_like(params, initial_accumulator_value)
        return ScaleByAdamState(zero_count(), start, start)

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        of_mu, of_nu = fade(b1, count), fade(b2, count)

        def one(g: Any, m: Any, v: Any) -> Any:
            m = (1 - b1) * g + b1 * m
            square = abs_sq(g)
            v = v - (1 - b2) * fnp.sign(v - square) * square
            return of_mu(m) / (fnp.sqrt(of_nu(v) + eps_root) + eps), m, v

        out, mu, nu = map_leaves("scale_by_yogi", one, updates, outputs=3, mu=state.mu, nu=state.nu)
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_radam(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    threshold: Any = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """r · m̂ / (√(v̂ + eps_root) + eps), or m̂ alone while too few squares were seen.

    ρ = ρ∞ − 2t·b2ᵗ/(1−b2ᵗ), ρ∞ = 2/(1−b2) − 1; r² = (ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ).

    Args:
        threshold: the ρ from which on v is trusted.
    Raises:
        ValueError: b1 or b2 outside [0, 1); in update, when the trees differ.
    Source: Liu et al., arXiv:1908.03265.
    """
    check_decay_rates("scale_by_radam", b1=b1, b2=b2)
    check_not_negative("scale_by_radam", eps=eps, eps_root=eps_root)
    limit = 2.0 / (1.0 - b2) - 1.0

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.count)
        power = b2**count
        rho = limit - 2 * count * power / (1 - power)
        trusted = rho >= threshold
        # Below the threshold the product may be negative: its root is not taken there.
        safe = fnp.where(trusted, rho, limit)
        factor = (safe - 4.0) * (safe - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * safe)
        rectifier = fnp.sqrt(factor)
        estimate, unbiased = first_moment(b1, count, nesterov), fade(b2, count)

        def one(g: Any, m: Any, v: Any) -> Any:
            m = (1 - b1) * g + b1 * m
            v = (1 - b2) * abs_sq(g) + b2 * v
            plain = estimate(g, m)
            root = fnp.sqrt(unbiased(v) + eps_root) + eps
            return fnp.where(trusted, rectifier.astype(m.dtype) * plain / root, plain), m, v

        out, mu, nu = map_leaves(
            "scale_by_radam", one, updates, outputs=3, mu=state.mu, nu=state.nu
        )
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_zero_moments, update)


class ScaleByAdanState(NamedTuple):
    """Averages of g, of its change, of the square; the gradient before; step number i32[]."""

    m: Any
    v: Any
    n: Any
    g: Any
    t: Any


def scale_by_adan(
    b1: Any = 0.98, b2: Any = 0.92, b3: Any = 0.99, eps: Any = 1e-8, eps_root: Any = 0.0
) -> GradientTransformation:
    """(m̂ + (1−b2)·v̂) / (√(n̂ + eps_root) + eps), v the average of changes of the gradient.

    n averages (g + (1−b2)·(g − g before))².

    Raises:
        ValueError: a rate outside [0, 1); in update, when the trees differ.
    Source: Xie et al., arXiv:2208.06677.
    """
    check_decay_rates("scale_by_adan", b1=b1, b2=b2, b3=b3)
    check_not_negative("scale_by_adan", eps=eps, eps_root=eps_root)

    def init(params: Params) -> ScaleByAdanState:
        zeros = zeros_like(params)
        return ScaleByAdanState(m=zeros, v=zeros, n=zeros, g=zeros, t=zero_count())

    def update(updates: Updates, state: ScaleByAdanState, params: Params = None) -> tuple[Any, Any]:
        count = safe_increment(state.t)
        of_m, of_v, of_n = fade(b1, count), fade(b2, count), fade(b3, count)

        def one(g: Any, m: Any, v: Any, n: Any, before: Any) -> Any:
            change = fnp.where(state.t == 0, fnp.zeros_like(g), g - before)
            m = (1 - b1) * g + b1 * m
            v = (1 - b2) * change + b2 * v
            n = (1 - b3) * abs_sq(g + (1 - b2) * change) + b3 * n
            step = (of_m(m) + (1 - b2) * of_v(v)) / (fnp.sqrt(of_n(n) + eps_root) + eps)
            return step, m, v, n

        out, m, v, n = map_leaves(
            "scale_by_adan", one, updates, outputs=4, m=state.m, v=state.v, n=state.n, g=state.g
        )
        return out, ScaleByAdanState(m, v, n, updates, count)

    return GradientTransformation(init, update)


class ScaleByLionState(NamedTuple):
    """Step number i32[], and the running average."""

    count: Any
    mu: Any


_LION_MODES: dict[str, Callable[[Any, Any], Any]] = {
    "hard": lambda x, beta: fnp.sign(x),
    "smooth": lambda x, beta: fnp.tanh(beta * x),
    "refined": lambda x, beta: fnp.where(fnp.abs(x) < 1.0, x, fnp.sign(x)),
}


def scale_by_lion(
    b1: Any = 0.9,
    b2: Any = 0.99,
    mu_dtype: Any = None,
    *,
    mode: str = "hard",
    smooth_beta: Any = 1.0,
) -> GradientTransformation:
    """sign(b1·m + (1−b1)·g), then m ← b2·m + (1−b2)·g.

    Args:
        mode: "hard" for the sign, "smooth" for tanh(smooth_beta · x), "refined" for x itself
            where |x| < 1.
    Raises:
        ValueError: a rate outside [0, 1), or another mode; in update, when the trees differ.
    Source: Chen et al., arXiv:2302.06675.
    """
    check_decay_rates("scale_by_lion", b1=b1, b2=b2)
    if mode not in _LION_MODES:
        raise ValueError(f"scale_by_lion knows the modes {list(_LION_MODES)}, got {mode!r}.")
    shape = _LION_MODES[mode]

    def init(params: Params) -> ScaleByLionState:
        return ScaleByLionState(zero_count(), zeros_like(params, mu_dtype))

    def update(updates: Updates, state: ScaleByLionState, params: Params = None) -> tuple[Any, Any]:
        def one(g: Any, m: Any) -> Any:
            step = shape((1.0 - b1) * g + b1 * m, smooth_beta)
            return step, (1 - b2) * g + b2 * m

        out, mu = map_leaves("scale_by_lion", one, updates, outputs=2, mu=state.mu)
        return out, ScaleByLionState(safe_increment(state.count), cast(mu, mu_dtype))

    return GradientTransformation(init, update)
