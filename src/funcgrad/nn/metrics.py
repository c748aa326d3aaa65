"""Metrics of classifiers: shares of examples, and tables of what was taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line
from .operands import class_numbers, fitting, floats, is_integer, paired, safe_root

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num, Shaped

Average = str | None


def accuracy(
    logits: Float[Any, "*batch classes"],
    labels: Shaped[Any, "..."],
    *,
    ignore_label: int | None = None,
) -> Float[Any, ""]:
    """Share of examples whose largest logit is at the label; of equal ones the first counts.

    Args:
        logits: f32[..., classes].
        labels: i32[...]; out of range: a miss.
        ignore_label: class number whose examples do not count. If none counts: NaN.
    Returns:
        f32[].
    Raises:
        ValueError: the shapes do not fit.
    """
    logits = floats(logits)
    labels = class_numbers("accuracy", labels, logits)
    return _share(fnp.argmax(logits, axis=-1) == labels, labels, ignore_label)


def top_k_accuracy(
    logits: Float[Any, "*batch classes"],
    labels: Shaped[Any, "..."],
    k: int = 5,
    *,
    ignore_label: int | None = None,
) -> Float[Any, ""]:
    """Share of examples whose label is among the k largest logits; of equal ones the first count.

    Args:
        logits: f32[..., classes].
        labels: i32[...]; out of range: a miss.
        ignore_label: class number whose examples do not count. If none counts: NaN.
    Returns:
        f32[].
    Raises:
        ValueError: the shapes do not fit; k below 1 or above the number of classes.
    """
    logits = floats(logits)
    labels = class_numbers("top_k_accuracy", labels, logits)
    classes = logits.shape[-1]
    if not 1 <= k <= classes:
        raise ValueError(
            f"top_k_accuracy got k={k} with {classes} classes.\n  {user_line()}\n"
            f"  Give k from 1 to {classes}."
        )
    inside = (labels >= 0) & (labels < classes)
    index = fnp.where(inside, labels, 0)[..., None]
    own = fnp.take_along_axis(logits, index, axis=-1)
    ahead = (logits > own) | ((logits == own) & (fnp.arange(classes) < index))
    # A NaN at the label is behind everything: no comparison with it holds.
    hits = (fnp.sum(ahead, axis=-1) < k) & inside & ~fnp.isnan(own[..., 0])
    return _share(hits, labels, ignore_label)


def _share(hits: Any, labels: Any, ignore_label: int | None) -> Any:
    if ignore_label is None:
        return fnp.mean(hits)
    kept = labels != ignore_label
    return fnp.sum(hits & kept) / fnp.sum(kept)


def contrastive_accuracy(
    a: Float[Any, "*batch features"],
    b: Float[Any, "..."],
    same: Shaped[Any, "..."],
    *,
    threshold: float = 0.5,
) -> Float[Any, ""]:
    """Share of pairs for which ‖a − b‖ < threshold says whether they are the same.

    Args:
        a: f32[..., features].
        b: f32[..., features].
        same: bool or number [...]: 1 for pairs of one kind.
        threshold: by default half the default margin of `contrastive_loss`.
    Returns:
        f32[].
    Raises:
        ValueError: the shapes do not fit.
    """
    a, b = paired("contrastive_accuracy", a, b, ("embeddings", "embeddings to compare with"))
    near = safe_root(fnp.sum(fnp.square(a - b), axis=-1)) < threshold
    same = fnp.asarray(same)
    fitting("contrastive_accuracy", same, near.shape, ("same", f"there are {near.shape} pairs"))
    return fnp.mean(near == (same > 0))


def confusion_matrix(
    labels: Integer[Any, "*batch"],
    predictions: Integer[Any, "..."],
    num_classes: int,
    *,
    normalize: str | None = None,
) -> Num[Any, "classes classes"]:
    """How often class i (row) was taken for class j (column).

    Args:
        labels: i32[...].
        predictions: i32[...], class numbers. Pairs with a number out of range are left out.
        normalize: "true": shares of each row; "pred": of each column; "all": of the whole. A row
            or column without examples is 0.
    Returns:
        i32[num_classes, num_classes], or f32 of it where normalised.
    Raises:
        TypeError: no integers.
        ValueError: the shapes differ; an unknown word.
    """
    labels, predictions = fnp.asarray(labels), fnp.asarray(predictions)
    for x, word in ((labels, "labels"), (predictions, "predictions")):
        if not is_integer(x):
            raise TypeError(
                f"confusion_matrix got {word} of dtype {x.dtype.name}.\n  {user_line()}\n"
                "  Give class numbers, such as argmax of the logits."
            )
    said = f"the labels have shape {labels.shape}"
    fitting("confusion_matrix", predictions, labels.shape, ("predictions", said))
    inside = fnp.ones(labels.shape, np.bool_)
    for x in (labels, predictions):
        inside &= (x >= 0) & (x < num_classes)
    # Index num_classes is out of bounds and dropped; negative ones would count from the end.
    rows, columns = (fnp.where(inside, x, num_classes).ravel() for x in (labels, predictions))
    counts = fnp.zeros((num_classes, num_classes), int).at[rows, columns].add(1, mode="drop")
    axes = {None: None, "true": 1, "pred": 0, "all": (0, 1)}
    if normalize not in axes:
        raise ValueError(
            f"confusion_matrix got normalize={normalize!r}.\n  {user_line()}\n"
            "  Give 'true', 'pred', 'all' or None."
        )
    if normalize is None:
        return counts
    return _ratio(counts, fnp.sum(counts, axis=axes[normalize], keepdims=True), 0.0)


def _ratio(part: Any, whole: Any, otherwise: float) -> Any:
    some = whole > 0
    return fnp.where(some, part / fnp.where(some, whole, 1), otherwise)


def precision(
    labels: Integer[Any, "*batch"],
    predictions: Integer[Any, "..."],
    num_classes: int,
    *,
    average: Average = "macro",
    zero_division: float = 0.0,
) -> Float[Any, "..."]:
    """Of what was taken for a class, the share that is of it.

    Args:
        labels: i32[...].
        predictions: i32[...], class numbers. Pairs with a number out of range are left out.
        average: "macro": mean of the classes; "weighted": by their numbers of labels; "micro":
            of all pairs together; None: each class by itself.
        zero_division: the value where nothing was taken for the class.
    Returns:
        f32[], or f32[num_classes] for None.
    Raises:
        ValueError: the shapes differ; an unknown average.
    """
    hit, taken, there = _counts(labels, predictions, num_classes, average)
    return _averaged(_ratio(hit, taken, zero_division), there, average)


def recall(
    labels: Integer[Any, "*batch"],
    predictions: Integer[Any, "..."],
    num_classes: int,
    *,
    average: Average = "macro",
    zero_division: float = 0.0,
) -> Float[Any, "..."]:
    """Of what is of a class, the share that was taken for it.

    Args:
        labels: i32[...].
        predictions: i32[...], class numbers. Pairs with a number out of range are left out.
        average: "macro", "weighted", "micro" or None, as for `precision`.
        zero_division: the value where no label is of the class.
    Returns:
        f32[], or f32[num_classes] for None.
    Raises:
        ValueError: the shapes differ; an unknown average.
    """
    hit, _, there = _counts(labels, predictions, num_classes, average)
    return _averaged(_ratio(hit, there, zero_division), there, average)


def f1_score(
    labels: Integer[Any, "*batch"],
    predictions: Integer[Any, "..."],
    num_classes: int,
    *,
    average: Average = "macro",
    zero_division: float = 0.0,
) -> Float[Any, "..."]:
    """Harmonic mean of precision and recall: 2 · hits / (taken + there).

    Args:
        labels: i32[...].
        predictions: i32[...], class numbers. Pairs with a number out of range are left out.
        average: "macro", "weighted", "micro" or None, as for `precision`.
        zero_division: the value where the class occurs on neither side.
    Returns:
        f32[], or f32[num_classes] for None.
    Raises:
        ValueError: the shapes differ; an unknown average.
    """
    hit, taken, there = _counts(labels, predictions, num_classes, average)
    return _averaged(_ratio(2 * hit, taken + there, zero_division), there, average)


def _counts(labels: Any, predictions: Any, classes: int, average: Average) -> tuple[Any, Any, Any]:
    """Hits, how often each class was taken, and how often it is there."""
    if average not in ("macro", "micro", "weighted", None):
        raise ValueError(
            f"precision, recall and f1_score got average={average!r}.\n  {user_line()}\n"
            "  Give 'macro', 'micro', 'weighted' or None."
        )
    table = confusion_matrix(labels, predictions, classes)
    counts = fnp.diagonal(table), fnp.sum(table, axis=0), fnp.sum(table, axis=1)
    return (fnp.sum(counts[0]), *(fnp.sum(c) for c in counts[1:])) if average == "micro" else counts


def _averaged(scores: Any, there: Any, average: Average) -> Any:
    if average == "macro":
        return fnp.mean(scores)
    if average == "weighted":
        return fnp.sum(scores * there) / fnp.maximum(fnp.sum(there), 1)
    return scores
