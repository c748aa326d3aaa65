"""Muon: momentum made orthogonal by Newton-Schulz iterations, for weights of two axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as fnp
from .. import tree as pytree
from ..core.sources import user_line
from .adding import add_decayed_weights
from .aliases_adam import adamw
from .base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MaskOrFn,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
    init_empty_state,
)
from .checks import check_decay_rates, check_not_negative
from .combining import chain, partition
from .leaves import map_leaves
from .moments import first_moment
from .numerics import safe_increment, zero_count
from .scaling import scale_by_learning_rate
from .tree import cast, zeros_like


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a weight are its inputs and which its outputs; others are a batch."""

    reduction_axis: Any = 0
    output_axis: Any = 1


class MuonState(NamedTuple):
    """Step number i32[], the momentum, and the coefficients of the iteration."""

    count: Any
    mu: Any
    ns_coeffs: Any


_STANDARD = (3.4445, -4.7750, 2.0315)
_PRESETS: dict[str, Any] = {
    "standard": _STANDARD,
    # Coefficients that change from iteration to iteration: arXiv:2504.05295.
    "dion": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
}
_PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")


def _is_numbers(x: Any) -> bool:
    return isinstance(x, MuonDimensionNumbers)


def _numbers_by_leaf(numbers: Any, updates: Updates) -> list[Any]:
    """For each leaf its dimension numbers, or None."""
    found = numbers(updates) if callable(numbers) else numbers
    if found is None:
        found = MuonDimensionNumbers()
    return pytree.flatten_prefix(found, updates, _is_numbers)


def _axes(x: Any, numbers: MuonDimensionNumbers) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of inputs and of outputs, counted from the front."""

    def front(axis: Any) -> tuple[int, ...]:
        given = (axis,) if isinstance(axis, int) else tuple(axis)
        return tuple(a % x.ndim for a in given)

    if x.ndim < 2:
        raise ValueError(f"Muon wants weights of two or more axes, got shape {x.shape}.")
    inputs, outputs = front(numbers.reduction_axis), front(numbers.output_axis)
    if {*inputs} & {*outputs}:
        raise ValueError(
            f"Muon got axes {inputs} as inputs and {outputs} as outputs of shape {x.shape}.\n"
            f"  {user_line()}\n  An axis is one or the other."
        )
    return inputs, outputs


def _polynomial(x: Any, gram: Any, c: Any) -> Any:
    """c₀·x + (c₁·A + c₂·A²)·x, with A = x xᵀ."""
    return c[0] * x + (c[1] * gram + c[2] * (gram @ gram)) @ x


def _gram(x: Any) -> Any:
    return x @ fnp.conj(fnp.swapaxes(x, -1, -2))


def _first_iteration(x: Any, c: Any, preconditioning: str) -> Any:
    """The first iteration, with x scaled by its own Gram matrix rather than before."""
    gram = _gram(x)
    if preconditioning == "aol":
        sums = fnp.sum(fnp.abs(gram), axis=-1, keepdims=True)
        factor = lax.rsqrt(fnp.maximum(sums, 1e-8))
        return _polynomial(x * factor, gram * factor * fnp.swapaxes(factor, -1, -2), c)
    length = fnp.linalg.norm(gram, axis=(-2, -1), keepdims=True)
    factor = lax.rsqrt(fnp.maximum(length, 1e-8))
    return _polynomial(x * factor, gram * factor**2, c)


def _orthogonal(x: Any, coefficients: Any, steps: int, preconditioning: str, eps: Any) -> Any:
    """Singular values brought near 1; x is [batch, n, m]."""
    is_tall = x.shape[-2] > x.shape[-1]
    x = fnp.swapaxes(x, -1, -2) if is_tall else x
    if preconditioning == "frobenius":
        x = x / (fnp.linalg.norm(x, axis=(-2, -1), keepdims=True) + eps)
    elif preconditioning == "spectral":
        x = x / (fnp.linalg.norm(x, ord=2, axis=(-2, -1), keepdims=True) + eps)
    coefficients = coefficients.astype(x.dtype)
    rows = [coefficients] * steps if coefficients.ndim == 1 else list(coefficients)
    for i, c in enumerate(rows):
        if i == 0 and preconditioning in ("aol", "schatten"):
            x = _first_iteration(x, c, preconditioning)
        else:
            x = _polynomial(x, _gram(x), c)
    return fnp.swapaxes(x, -1, -2) if is_tall else x


def orthogonalize_via_newton_schulz(
    x: Any,
    ns_coeffs: Any,
    ns_steps: int = 5,
    preconditioning: str = "frobenius",
    eps: Any = 1e-8,
    dimension_numbers: MuonDimensionNumbers | None = None,
) -> Any:
    """x with its singular values brought near 1, without a decomposition.

    x ← c₀·x + c₁·(x xᵀ)·x + c₂·(x xᵀ)²·x, ns_steps times.

    Args:
        x: f32[n, m], or any shape with dimension_numbers.
        ns_coeffs: f32[3], or f32[steps, 3] for coefficients that change.
        preconditioning: what x is divided by first: "frobenius" or "spectral" norm, or within the
            first iteration "aol" or "schatten".
    Raises:
        ValueError: shapes that do not fit, or another preconditioning.
    Source: Jordan et al., Muon, 2024; Bernstein & Newhouse, arXiv:2409.20325.
    """
    x, ns_coeffs = fnp.asarray(x), fnp.asarray(ns_coeffs)
    if x.ndim != 2 and dimension_numbers is None:
        raise ValueError(
            f"orthogonalize_via_newton_schulz got shape {x.shape}: say by dimension_numbers which "
            f"axes are inputs and outputs.\n  {user_line()}"
        )
    if preconditioning not in _PRECONDITIONINGS:
        raise ValueError(
            f"Muon knows the preconditionings {_PRECONDITIONINGS}, got {preconditioning!r}."
        )
    _check_coefficients(ns_coeffs)
    inputs, outputs = _axes(
        x, MuonDimensionNumbers() if x.ndim == 2 else dimension_numbers or MuonDimensionNumbers()
    )
    batch = tuple(a for a in range(x.ndim) if a not in (*inputs, *outputs))
    order = (*batch, *inputs, *outputs)
    moved = fnp.transpose(x, order)
    sizes = [math.prod(x.shape[a] for a in axes) for axes in (batch, inputs, outputs)]
    found = _orthogonal(moved.reshape(sizes), ns_coeffs, ns_steps, preconditioning, eps)
    return fnp.transpose(found.reshape(moved.shape), np.argsort(order).tolist())


def _check_coefficients(ns_coeffs: Any) -> None:
    if ns_coeffs.ndim not in (1, 2) or ns_coeffs.shape[-1] != 3:
        raise ValueError(f"Muon wants ns_coeffs of shape (3,) or (n, 3), got {ns_coeffs.shape}.")


def scale_by_muon(
    ns_coeffs: Any = _STANDARD,
    ns_steps: int = 5,
    beta: Any = 0.95,
    eps: Any = 1e-8,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: str = "frobenius",
    weight_dimension_numbers: Any = None,
) -> GradientTransformation:
    """The running average of the gradient, made orthogonal; all leaves are weights of two axes.

    Args:
        ns_coeffs, ns_steps, preconditioning, eps: see `orthogonalize_via_newton_schulz`.
        adaptive: scale by ⟨average, result⟩, the dual norm.
        weight_dimension_numbers: MuonDimensionNumbers, a tree of them, or a function from params.
    Raises:
        ValueError: beta outside [0, 1), coefficients that do not fit; in update, leaves that are
            no weights of two axes.
    Source: Jordan et al., Muon, 2024.
    """
    check_decay_rates("scale_by_muon", beta=beta)
    check_not_negative("scale_by_muon", eps=eps)

    def init(params: Params) -> MuonState:
        coefficients = fnp.asarray(ns_coeffs)
        _check_coefficients(coefficients)
        if coefficients.ndim == 2:
            if coefficients.shape[0] > ns_steps:
                coefficients = coefficients[-ns_steps:]
            elif coefficients.shape[0] < ns_steps:
                raise ValueError(
                    f"scale_by_muon: {ns_steps} steps want as many rows of ns_coeffs, got "
                    f"{coefficients.shape[0]}."
                )
        return MuonState(zero_count(), zeros_like(params, mu_dtype), coefficients)

    def update(updates: Updates, state: MuonState, params: Params = None) -> tuple[Any, MuonState]:
        count = safe_increment(state.count)
        estimate = first_moment(beta, count, nesterov)
        numbers = iter(_numbers_by_leaf(weight_dimension_numbers, updates))

        def one(g: Any, m: Any) -> tuple[Any, Any]:
            m = (1 - beta) * g + beta * m
            ahead = estimate(g, m)
            out = orthogonalize_via_newton_schulz(
                ahead, state.ns_coeffs, ns_steps, preconditioning, eps, next(numbers)
            )
            return (fnp.sum(fnp.conj(ahead) * out) * out if adaptive else out), m

        out, mu = map_leaves("scale_by_muon", one, updates, outputs=2, mu=state.mu)
        return out, MuonState(count, cast(mu, mu_dtype), state.ns_coeffs)

    return GradientTransformation(init, update)


def scale_by_shape(
    weight_dimension_numbers: Any = None, consistent_rms: Any = None
) -> GradientTransformation:
    """Each weight times √max(1, outputs / inputs), or √max(inputs, outputs) · consistent_rms.

    Source: Bernstein & Newhouse, arXiv:2409.20325; Liu et al., arXiv:2502.16982.
    """

    def factor(u: Any, numbers: MuonDimensionNumbers) -> float:
        inputs, outputs = (math.prod(u.shape[a] for a in axes) for axes in _axes(u, numbers))
        if consistent_rms is not None:
            return math.sqrt(max(inputs, outputs)) * consistent_rms
        return math.sqrt(max(1, outputs / inputs))

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Any, Any]:
        numbers = iter(_numbers_by_leaf(weight_dimension_numbers, updates))
        return map_leaves("scale_by_shape", lambda u: factor(u, next(numbers)) * u, updates), state

    return GradientTransformation(init_empty_state, update)


def _labels(numbers: Any) -> Callable[[Any], Any]:
    """From params to the tree that says which leaves are Muon's."""

    def label(params: Params) -> Any:
        leaves, treedef = pytree.flatten(params)
        if numbers is None:
            is_muon = [fnp.ndim(x) == 2 for x in leaves]
        else:
            is_muon = [found is not None for found in _numbers_by_leaf(numbers, params)]
        return pytree.unflatten(treedef, ["muon" if yes else "adam" for yes in is_muon])

    return label


def _named(ns_coeffs: Any) -> Any:
    if isinstance(ns_coeffs, str) and ns_coeffs not in _PRESETS:
        raise ValueError(f"muon knows the coefficients {[*_PRESETS]}, got {ns_coeffs!r}.")
    return _PRESETS[ns_coeffs] if isinstance(ns_coeffs, str) else ns_coeffs


def muon(
    learning_rate: ScalarOrSchedule,
    ns_coeffs: Any = _STANDARD,
    ns_steps: int = 5,
    beta: Any = 0.95,
    eps: Any = 1e-8,
    weight_decay: Any = 0.0,
    weight_decay_mask: MaskOrFn = None,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: str = "frobenius",
    adam_b1: Any = 0.9,
    adam_b2: Any = 0.999,
    adam_eps_root: Any = 0.0,
    adam_weight_decay: Any = 0.0,
    adam_learning_rate: ScalarOrSchedule = None,
    muon_weight_dimension_numbers: Any = None,
    consistent_rms: Any = None,
) -> GradientTransformationExtraArgs:
    """Muon for weights of two axes, AdamW for everything else.

    Args:
        ns_coeffs: as in `orthogonalize_via_newton_schulz`, or "standard" or "dion".
        adam_learning_rate: rate of everything else; learning_rate by default.
        muon_weight_dimension_numbers: which leaves are weights and with which axes; None as a leaf
            leaves it to AdamW. By default all leaves of two axes.
    Raises:
        ValueError: other names of coefficients, rates out of range.
    Source: Jordan et al., Muon, 2024.
    """
    numbers = muon_weight_dimension_numbers
    weights = chain(
        scale_by_muon(
            _named(ns_coeffs),
            ns_steps,
            beta,
            eps,
            mu_dtype,
            nesterov=nesterov,
            adaptive=adaptive,
            preconditioning=preconditioning,
            weight_dimension_numbers=numbers,
        ),
        scale_by_shape(numbers, consistent_rms),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    others = adamw(
        learning_rate if adam_learning_rate is None else adam_learning_rate,
        adam_b1,
        adam_b2,
        eps,
        adam_eps_root,
        mu_dtype,
        adam_weight_decay,
        nesterov=nesterov,
    )
    return partition({"muon": weights, "adam": others}, _labels(numbers))
