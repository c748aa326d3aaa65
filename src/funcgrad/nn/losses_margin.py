"""Losses with a margin: hinge losses of scores, and distances that are pulled and pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import lax
from .. import numpy as fnp
from ..core.sources import user_line
from .losses_regression import cosine_similarity
from .operands import at_labels, class_numbers, fitting, floats, paired, safe_root

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num, Shaped


def hinge_loss(
    predictor_outputs: Num[Any, "..."], targets: Num[Any, "..."] | float
) -> Num[Any, "..."]:
    """max(0, 1 − target · output), elementwise.

    Args:
        predictor_outputs: f32[...], outputs of a decision function.
        targets: of the same shape, or a scalar: −1 or 1.
    Raises:
        ValueError: the shapes differ.
    """
    outputs, targets = paired("hinge_loss", predictor_outputs, targets, ("outputs", "targets"))
    return fnp.maximum(0, 1 - outputs * targets)


def squared_hinge_loss(
    predictor_outputs: Num[Any, "..."], targets: Num[Any, "..."] | float
) -> Num[Any, "..."]:
    """max(0, 1 − target · output)², elementwise: the L2 form.

    Args:
        predictor_outputs: f32[...], outputs of a decision function.
        targets: of the same shape, or a scalar: −1 or 1.
    Raises:
        ValueError: the shapes differ.
    """
    return fnp.square(hinge_loss(predictor_outputs, targets))


def perceptron_loss(
    predictor_outputs: Num[Any, "..."], targets: Num[Any, "..."] | float
) -> Num[Any, "..."]:
    """max(0, −target · output), elementwise.

    Args:
        predictor_outputs: f32[...], outputs of a decision function.
        targets: of the same shape, or a scalar: −1 or 1.
    Raises:
        ValueError: the shapes differ.
    """
    outputs, targets = paired("perceptron_loss", predictor_outputs, targets, ("outputs", "targets"))
    return fnp.maximum(0, -outputs * targets)


def _is_label(labels: Any, scores: Any) -> Any:
    return fnp.equal(labels[..., None], fnp.arange(scores.shape[-1]))


def multiclass_hinge_loss(
    scores: Float[Any, "*batch classes"], labels: Integer[Any, "..."]
) -> Float[Any, "*batch"]:
    """maxⱼ (scoreⱼ + [j ≠ label]) − score_label.

    Args:
        scores: f32[..., classes].
        labels: i32[...]; out of range: NaN.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit.
    Source: Crammer & Singer, JMLR 2 (2001).
    """
    scores = floats(scores)
    labels = class_numbers("multiclass_hinge_loss", labels, scores)
    rivals = scores + ~_is_label(labels, scores)
    return fnp.max(rivals, axis=-1) - at_labels(scores, labels)


def multiclass_perceptron_loss(
    scores: Float[Any, "*batch classes"], labels: Integer[Any, "..."]
) -> Float[Any, "*batch"]:
    """maxⱼ scoreⱼ − score_label.

    Args:
        scores: f32[..., classes].
        labels: i32[...]; out of range: NaN.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit.
    """
    scores = floats(scores)
    labels = class_numbers("multiclass_perceptron_loss", labels, scores)
    return fnp.max(scores, axis=-1) - at_labels(scores, labels)


def multi_margin_loss(
    scores: Float[Any, "*batch classes"],
    labels: Integer[Any, "..."],
    *,
    margin: float = 1.0,
    norm: int = 1,
) -> Float[Any, "*batch"]:
    """Σⱼ≠label max(0, margin − score_label + scoreⱼ)^norm / classes.

    Args:
        scores: f32[..., classes].
        labels: i32[...]; out of range: NaN.
        norm: 1 or 2.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit; another norm.
    """
    _known_norm("multi_margin_loss", norm)
    scores = floats(scores)
    labels = class_numbers("multi_margin_loss", labels, scores)
    short = fnp.maximum(0, margin - at_labels(scores, labels)[..., None] + scores) ** norm
    others = fnp.where(_is_label(labels, scores), fnp.zeros_like(short), short)
    return fnp.sum(others, axis=-1) / scores.shape[-1]


def one_vs_all_hinge_loss(
    scores: Float[Any, "*batch classes"], labels: Integer[Any, "..."], *, norm: int = 1
) -> Float[Any, "*batch"]:
    """Σⱼ max(0, 1 − tⱼ · scoreⱼ)^norm, t = 1 at the label and −1 elsewhere.

    Args:
        scores: f32[..., classes].
        labels: i32[...]; out of range: NaN.
        norm: 1 or 2.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit; another norm.
    """
    _known_norm("one_vs_all_hinge_loss", norm)
    scores = floats(scores)
    labels = class_numbers("one_vs_all_hinge_loss", labels, scores)
    sides = fnp.where(_is_label(labels, scores), 1, -1).astype(scores.dtype)
    total = fnp.sum(fnp.maximum(0, 1 - sides * scores) ** norm, axis=-1)
    return at_labels(fnp.broadcast_to(total[..., None], scores.shape), labels)


def _known_norm(name: str, norm: int) -> None:
    if norm not in (1, 2):
        raise ValueError(f"{name} got norm={norm}.\n  {user_line()}\n  Give 1 or 2.")


def _distance(name: str, a: Any, b: Any) -> Any:
    a, b = paired(name, a, b, ("embeddings", "embeddings to compare with"))
    return safe_root(fnp.sum(fnp.square(a - b), axis=-1))


def contrastive_loss(
    a: Float[Any, "*batch features"],
    b: Float[Any, "..."],
    same: Shaped[Any, "..."],
    *,
    margin: float = 1.0,
    squared_margin: bool = False,
) -> Float[Any, "*batch"]:
    """½ d² of pairs that are the same, ½ max(0, margin − d)² of others; d = ‖a − b‖.

    Args:
        a: f32[..., features].
        b: f32[..., features].
        same: bool or number [...]: 1 for pairs of one kind.
        margin: the distance at which others are let go.
        squared_margin: others cost ½ max(0, margin − d²), as in old networks.
    Returns:
        f32[...]; where d = 0, others have gradient 0.
    Raises:
        ValueError: the shapes do not fit.
    Source: Hadsell, Chopra & LeCun, CVPR 2006, equation 4.
    """
    d = _distance("contrastive_loss", a, b)
    same = floats(same).astype(d.dtype)
    fitting("contrastive_loss", same, d.shape, ("same", f"there are {d.shape} pairs"))
    pushed = (
        fnp.maximum(0, margin - fnp.square(d))
        if squared_margin
        else (fnp.square(fnp.maximum(0, margin - d)))
    )
    return 0.5 * (same * fnp.square(d) + (1 - same) * pushed)


def triplet_margin_loss(
    anchors: Float[Any, "*shape"],
    positives: Float[Any, "..."],
    negatives: Float[Any, "..."],
    axis: int = -1,
    norm_degree: Any = 2,
    margin: Any = 1.0,
    eps: Any = 1e-6,
) -> Float[Any, "..."]:
    """max(0, d(anchor, positive) − d(anchor, negative) + margin).

    d(a, b) = (Σ |a − b|^norm_degree + eps)^(1 / norm_degree)

    Args:
        anchors: f32[..., features].
        positives: f32[..., features], of the anchors' kind.
        negatives: f32[..., features], of another kind.
        eps: keeps the derivative finite where the points meet.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    Source: Balntas et al., BMVC 2016.
    """

    def distance(others: Any, word: str) -> Any:
        a, b = paired("triplet_margin_loss", anchors, others, ("anchors", word))
        total = fnp.sum(fnp.abs(a - b) ** norm_degree, axis=axis) + eps
        return total ** (1 / norm_degree)

    near, far = distance(positives, "positives"), distance(negatives, "negatives")
    return fnp.maximum(0, near - far + margin)


def cosine_embedding_loss(
    a: Float[Any, "*batch features"],
    b: Float[Any, "..."],
    targets: Num[Any, "..."],
    *,
    margin: float = 0.0,
    epsilon: float = 1e-12,
) -> Float[Any, "*batch"]:
    """1 − cos(a, b) where the target is 1, max(0, cos(a, b) − margin) where it is −1.

    Args:
        a: f32[..., features].
        b: f32[..., features].
        targets: [...], 1 or −1.
        epsilon: least value of a squared norm.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes do not fit.
    """
    name = "cosine_embedding_loss"
    a, b = paired(name, a, b, ("embeddings", "embeddings to compare with"))
    targets = fnp.asarray(targets)
    fitting(name, targets, a.shape[:-1], ("targets", f"the embeddings have shape {a.shape}"))
    near = cosine_similarity(a, b, epsilon=epsilon)
    return fnp.where(targets > 0, 1 - near, fnp.maximum(0, near - margin))


def ntxent(
    embeddings: Float[Any, "batch features"], labels: Integer[Any, "..."], temperature: Any = 0.07
) -> Float[Any, ""]:
    """Mean over pairs (i, j) of one label of −log(e^sᵢⱼ / (e^sᵢⱼ + Σₖ e^sᵢₖ)), k of other labels.

    s is the cosine similarity over the temperature.

    Args:
        embeddings: f32[batch, features].
        labels: i32[batch]; each label at least twice.
    Returns:
        f32[], reduced: pairs have no example of their own. NaN where no two labels agree.
    Raises:
        ValueError: the shapes do not fit.
    Source: Chen et al., arXiv:2002.05709.
    """
    x = floats(embeddings)
    labels = class_numbers("ntxent", labels, x)
    tiny = fnp.finfo(x.dtype).eps
    s = cosine_similarity(x[None], x[:, None], epsilon=tiny) / temperature
    same = labels[:, None] == labels[None]
    pairs = same & ~fnp.eye(x.shape[0], dtype=np.bool_)
    top = lax.stop_gradient(fnp.max(s, axis=1, keepdims=True))
    others = fnp.sum(fnp.where(same, 0, fnp.exp(s - top)), axis=1, keepdims=True)
    log_p = s - top - fnp.log(fnp.exp(s - top) + others)
    return -fnp.sum(fnp.where(pairs, log_p, 0)) / fnp.sum(pairs)
