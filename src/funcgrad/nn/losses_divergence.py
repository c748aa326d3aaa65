"""Divergences between distributions, over the axis of the classes, unreduced."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import numpy as fnp
from .operands import floats, paired

if TYPE_CHECKING:
    from jaxtyping import Float

Axis = int | tuple[int, ...] | None


def kl_divergence(
    log_predictions: Float[Any, "..."],
    targets: Float[Any, "..."],
    axis: Axis = -1,
    where: Any = None,
) -> Float[Any, "..."]:
    """Σ t · (log t − log p), with 0 · log 0 = 0.

    Args:
        log_predictions: f32[..., classes], log p.
        targets: f32[..., classes], t.
        where: bool: the elements that count.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    """
    words = ("log predictions", "targets")
    log_p, t = paired("kl_divergence", log_predictions, targets, words)
    return fnp.sum(_times_log_ratio(t, log_p), axis=axis, where=where)


def _times_log_ratio(t: Any, log_p: Any) -> Any:
    some = t > 0
    log_t = fnp.log(fnp.where(some, t, 1))
    # t · log p stays where p is 0 and t is not: the divergence is infinite there.
    return fnp.where(some, t * log_t, 0) - t * fnp.where(some, log_p, fnp.maximum(log_p, _least(t)))


def _least(t: Any) -> Any:
    return fnp.finfo(t.dtype).min


def kl_divergence_with_log_targets(
    log_predictions: Float[Any, "..."],
    log_targets: Float[Any, "..."],
    axis: Axis = -1,
    where: Any = None,
) -> Float[Any, "..."]:
    """Σ t · (log t − log p), from log t.

    Args:
        log_predictions: f32[..., classes], log p.
        log_targets: f32[..., classes], log t; −∞ adds 0.
        where: bool: the elements that count.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    """
    words = ("log predictions", "log targets")
    log_p, log_t = paired("kl_divergence_with_log_targets", log_predictions, log_targets, words)
    some = log_t > -fnp.inf
    ratio = fnp.where(some, log_t, 0) - fnp.where(some, log_p, 0)
    return fnp.sum(fnp.exp(log_t) * ratio, axis=axis, where=where)


def generalized_kl_divergence(
    log_predictions: Float[Any, "..."],
    targets: Float[Any, "..."],
    axis: Axis = -1,
    where: Any = None,
) -> Float[Any, "..."]:
    """Σ t · (log t − log p) + p − t: at least 0 also where p and t do not sum to 1.

    Args:
        log_predictions: f32[..., classes], log p.
        targets: f32[..., classes], t.
        where: bool: the elements that count.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    """
    divergence = kl_divergence(log_predictions, targets, axis, where)
    surplus = fnp.exp(floats(log_predictions)) - floats(targets)
    return divergence + fnp.sum(surplus, axis=axis, where=where)


def jensen_shannon_divergence(
    log_predictions: Float[Any, "..."],
    log_targets: Float[Any, "..."],
    axis: Axis = -1,
    where: Any = None,
) -> Float[Any, "..."]:
    """½ KL(p ‖ m) + ½ KL(t ‖ m), m = ½ (p + t): symmetric, from 0 to log 2.

    Args:
        log_predictions: f32[..., classes], log p.
        log_targets: f32[..., classes], log t.
        where: bool: the elements that count.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    Source: Lin, IEEE Transactions on Information Theory 37 (1991).
    """
    words = ("log predictions", "log targets")
    log_p, log_t = paired("jensen_shannon_divergence", log_predictions, log_targets, words)
    some = fnp.maximum(log_p, log_t) > -fnp.inf
    # Where both are 0 the mean has no logarithm to differentiate.
    log_m = fnp.logaddexp(fnp.where(some, log_p, 0), fnp.where(some, log_t, 0)) - math.log(2)
    halves = [kl_divergence_with_log_targets(log_m, log_q, axis, where) for log_q in (log_p, log_t)]
    return 0.5 * (halves[0] + halves[1])
