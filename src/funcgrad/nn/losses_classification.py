"""Losses of classifiers: cross-entropies of logits, one value for each example, unreduced.

Labels are class numbers or distributions. The mean over what counts is the caller's:
`loss.sum() / (labels != ignore_label).sum()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import lax
from .. import numpy as fnp
from ..core.sources import user_line
from .activations import log_sigmoid, log_softmax, softmax
from .operands import (
    at_labels,
    class_numbers,
    fitting,
    floats,
    is_integer,
    normalize_axes,
    paired,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num, Real

Axis = int | tuple[int, ...] | None


def softmax_cross_entropy(
    logits: Float[Any, "..."],
    labels: Real[Any, "..."],
    axis: Axis = -1,
    where: Any = None,
    *,
    ignore_label: int | None = None,
    label_smoothing: float = 0.0,
) -> Float[Any, "..."]:
    """−Σ labels · log softmax(logits), over the classes.

    A class of probability 0 and label 0 adds 0, also where its logit is −∞.

    Args:
        logits: f32[..., classes].
        labels: i32[...] class numbers, or f32[..., classes] distributions. A class number out
            of range gives NaN, as value and as gradient.
        axis: the axis of the classes; several count as one, numbered in row-major order.
        where: bool, of the shape of logits or without the classes: what takes part. An example
            none of whose classes takes part has loss 0.
        ignore_label: class number whose examples have loss 0 and gradient 0.
        label_smoothing: share of the label spread evenly over the classes.
    Returns:
        f32[...], one loss for each example.
    Raises:
        ValueError: the shapes do not fit; `ignore_label` with distributions; `label_smoothing`
            outside of [0, 1].
    """
    name = "softmax_cross_entropy"
    logits, labels = floats(logits), fnp.asarray(labels)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"{name} got label_smoothing={label_smoothing}.\n  {user_line()}\n"
            "  Give a share between 0 and 1."
        )
    axes = normalize_axes(axis, logits.ndim)
    shape = logits.shape
    logits, mask = _classes_last(logits, axes), _mask(where, shape, axes)
    if is_integer(labels):
        return _by_number(name, logits, labels, mask, ignore_label, label_smoothing)
    fitting(name, labels, shape, ("labels", f"the logits have shape {shape}"))
    if ignore_label is not None:
        raise ValueError(
            f"{name} got ignore_label={ignore_label} with distributions as labels.\n"
            f"  {user_line()}\n  Give class numbers, or `where`."
        )
    return _by_share(logits, _classes_last(labels, axes), mask, label_smoothing)


def softmax_cross_entropy_with_integer_labels(
    logits: Float[Any, "..."],
    labels: Integer[Any, "..."],
    axis: int | tuple[int, ...] = -1,
    where: Any = None,
    *,
    ignore_label: int | None = None,
    label_smoothing: float = 0.0,
) -> Float[Any, "..."]:
    """log Σⱼ e^xⱼ − x_label: `softmax_cross_entropy` for class numbers.

    Args:
        logits: f32[..., classes].
        labels: i32[...]; out of range: NaN.
        axis: the axis of the classes; several count as one, numbered in row-major order.
        where: bool: what takes part.
        ignore_label: class number whose examples have loss 0 and gradient 0.
        label_smoothing: share of the label spread evenly over the classes.
    Returns:
        f32[...].
    """
    return softmax_cross_entropy(
        logits,
        labels,
        axis,
        where,
        ignore_label=ignore_label,
        label_smoothing=label_smoothing,
    )


def _classes_last(x: Any, axes: Sequence[int]) -> Any:
    rest = [i for i in range(x.ndim) if i not in axes]
    shape = tuple(x.shape[i] for i in rest)
    return fnp.transpose(x, (*rest, *axes)).reshape(*shape, -1)


def _mask(where: Any, shape: tuple[int, ...], axes: Sequence[int]) -> Any:
    if where is None:
        return None
    where = fnp.asarray(where)
    if where.ndim != len(shape):
        where = fnp.expand_dims(where, tuple(axes))
    return _classes_last(fnp.broadcast_to(where, shape), axes)


def _log_p(logits: Any, mask: Any) -> Any:
    """log softmax among the classes that take part, 0 elsewhere."""
    if mask is None:
        return log_softmax(logits)
    # A row without classes is one of zeros: nothing is subtracted from −∞.
    some = fnp.any(mask, axis=-1, keepdims=True)
    left = fnp.where(mask, logits, fnp.where(some, -fnp.inf, 0.0).astype(logits.dtype))
    return fnp.where(mask, log_softmax(left), fnp.zeros_like(left))


def _count(log_p: Any, mask: Any) -> Any:
    if mask is None:
        return log_p.shape[-1]
    return fnp.maximum(fnp.sum(mask, axis=-1), 1).astype(log_p.dtype)


def _by_number(
    name: str, logits: Any, labels: Any, mask: Any, ignore: int | None, smoothing: float
) -> Any:
    labels = class_numbers(name, labels, logits)
    log_p = _log_p(logits, mask)
    kept = None if ignore is None else labels != ignore
    known = labels if kept is None else fnp.where(kept, labels, fnp.zeros_like(labels))
    loss = -at_labels(log_p, known)
    if smoothing:
        spread = fnp.sum(log_p, axis=-1) / _count(log_p, mask)
        loss = (1 - smoothing) * loss - smoothing * spread
    return loss if kept is None else fnp.where(kept, loss, fnp.zeros_like(loss))


def _by_share(logits: Any, labels: Any, mask: Any, smoothing: float) -> Any:
    log_p = _log_p(logits, mask)
    if smoothing:
        count = _count(log_p, mask)
        labels = (1 - smoothing) * labels + smoothing / (
            count if mask is None else count[..., None]
        )
    terms = _times_log(labels, log_p)
    return -fnp.sum(terms if mask is None else fnp.where(mask, terms, 0), axis=-1)


def _times_log(shares: Any, log_p: Any) -> Any:
    """shares · log p, with 0 · −∞ = 0."""
    dead = (shares == 0) & (log_p == -fnp.inf)
    return shares * fnp.where(dead, fnp.zeros_like(log_p), log_p)


def safe_softmax_cross_entropy(
    logits: Float[Any, "*batch classes"], labels: Num[Any, "..."]
) -> Float[Any, "*batch"]:
    """`softmax_cross_entropy` of distributions; 0 · log 0 counts as 0 in both.

    Args:
        logits: f32[..., classes], −∞ allowed where the label is 0.
        labels: f32[..., classes].
    Returns:
        f32[...].
    """
    return softmax_cross_entropy(logits, floats(labels))


def smooth_labels(
    labels: Float[Any, "*shape"], alpha: Any, *, axis: Axis = -1, where: Any = None
) -> Float[Any, "*shape"]:
    """(1 − alpha) · labels + alpha / classes.

    Args:
        labels: f32[..., classes], distributions.
        alpha: the share that is spread over the classes.
        where: bool: the classes that count.
    Returns:
        f32[..., classes].
    Source: Szegedy et al., arXiv:1512.00567, section 7.
    """
    labels = fnp.asarray(labels)
    if where is None:
        count: Any = 1
        for i in normalize_axes(axis, labels.ndim):
            count *= labels.shape[i]
    else:
        count = fnp.sum(where, axis, keepdims=True)
    return ((1 - alpha) * labels + alpha / count).astype(labels.dtype)


def multinomial_logistic_loss(
    probabilities: Float[Any, "*batch classes"],
    labels: Integer[Any, "..."],
    *,
    floor: float = 1e-20,
) -> Float[Any, "*batch"]:
    """−log max(p_label, floor): the cross-entropy of probabilities already normalised.

    Args:
        probabilities: f32[..., classes].
        labels: i32[...]; out of range: NaN.
        floor: keeps the logarithm finite; below it the gradient is 0.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit.
    """
    p = floats(probabilities)
    labels = class_numbers("multinomial_logistic_loss", labels, p)
    return -fnp.log(fnp.maximum(at_labels(p, labels), fnp.asarray(floor, p.dtype)))


def poly_loss_cross_entropy(
    logits: Float[Any, "..."],
    labels: Float[Any, "..."],
    *,
    epsilon: Any = 2.0,
    axis: Axis = -1,
    where: Any = None,
) -> Float[Any, "..."]:
    """Cross-entropy + epsilon · Σ labels · (1 − p).

    Args:
        logits: f32[..., classes].
        labels: f32[..., classes], distributions.
        where: bool: the classes that take part.
    Returns:
        f32[...].
    Source: Leng et al., arXiv:2204.12511, Poly-1.
    """
    entropy = softmax_cross_entropy(logits, labels, axis, where)
    logits, labels = floats(logits), floats(labels)
    axes = normalize_axes(axis, logits.ndim)
    mask = _mask(where, logits.shape, axes)
    p = fnp.exp(_log_p(_classes_last(logits, axes), mask))
    missed = _classes_last(labels, axes) * (1 - p)
    return entropy + epsilon * fnp.sum(
        missed if mask is None else fnp.where(mask, missed, 0), axis=-1
    )


def sigmoid_binary_cross_entropy(
    logits: Float[Any, "*shape"], labels: Num[Any, "..."] | float
) -> Float[Any, "*shape"]:
    """−labels · log σ(x) − (1 − labels) · log(1 − σ(x)), elementwise.

    Args:
        logits: f32[...].
        labels: of the same shape, or a scalar; 0, 1 or a probability.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    """
    words = ("logits", "labels")
    logits, targets = paired("sigmoid_binary_cross_entropy", logits, labels, words)
    targets = targets.astype(logits.dtype)
    return -targets * log_sigmoid(logits) - (1 - targets) * log_sigmoid(-logits)


def sigmoid_focal_loss(
    logits: Float[Any, "*shape"],
    labels: Num[Any, "..."] | float,
    *,
    alpha: Any = None,
    gamma: Any = 2.0,
) -> Float[Any, "*shape"]:
    """(1 − p)^gamma · cross-entropy, p the probability given to the label; elementwise.

    Args:
        logits: f32[...].
        labels: of the same shape, or a scalar; 0, 1 or a probability.
        alpha: weight of label 1, 1 − alpha that of label 0; None for none.
        gamma: how much the well classified is made light of.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    Source: Lin et al., arXiv:1708.02002, equations 4 and 5.
    """
    logits, targets = paired("sigmoid_focal_loss", logits, labels, ("logits", "labels"))
    targets = targets.astype(logits.dtype)
    # 1 − p = (1 − targets) · σ(x) + targets · σ(−x), both terms ≥ 0: nothing cancels.
    missed = (1 - targets) * lax.logistic(logits) + targets * lax.logistic(-logits)
    loss = _powered(missed, gamma) * sigmoid_binary_cross_entropy(logits, targets)
    if alpha is None:
        return loss
    return (alpha * targets + (1 - alpha) * (1 - targets)) * loss


def softmax_focal_loss(
    logits: Float[Any, "*batch classes"],
    labels: Integer[Any, "..."],
    *,
    alpha: Any = None,
    gamma: Any = 2.0,
) -> Float[Any, "*batch"]:
    """−(1 − p)^gamma · log p, p the probability given to the label.

    Args:
        logits: f32[..., classes].
        labels: i32[...]; out of range: NaN.
        alpha: f32[classes], a weight for each class; None for none.
        gamma: how much the well classified is made light of.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit.
    Source: Lin et al., arXiv:1708.02002.
    """
    logits = floats(logits)
    labels = class_numbers("softmax_focal_loss", labels, logits)
    # 1 − p as the sum of the others' probabilities: exact where p is near 1.
    others = 1 - fnp.equal(labels[..., None], fnp.arange(logits.shape[-1])).astype(logits.dtype)
    missed = fnp.sum(softmax(logits) * others, axis=-1)
    loss = -_powered(missed, gamma) * at_labels(log_softmax(logits), labels)
    if alpha is None:
        return loss
    weights = fnp.asarray(alpha, logits.dtype)
    fitting("softmax_focal_loss", weights, logits.shape[-1:], ("alpha", "each class has a weight"))
    return at_labels(fnp.broadcast_to(weights, logits.shape), labels) * loss


def _powered(x: Any, power: Any) -> Any:
    """x^power for x ≥ 0, with derivative 0 at 0 whatever the power."""
    positive = x > 0
    # The inner choice keeps the derivative of the branch that is not taken finite.
    return fnp.where(positive, fnp.where(positive, x, 1) ** power, fnp.zeros_like(x) ** power)
