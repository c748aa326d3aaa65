"""Losses and metrics: one value for each example, unreduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line
from ..ir import dtypes
from .activations import log_softmax

if TYPE_CHECKING:
    from jaxtyping import Float, Num, Real, Shaped

Scalar = int | float | complex


def softmax_cross_entropy(
    logits: Float[Any, "*batch classes"], labels: Real[Any, "..."]
) -> Float[Any, "*batch"]:
    """−Σ labels · log softmax(logits), over the last axis.

    Args:
        logits: f32[..., classes].
        labels: i32[...] class numbers, or f32[..., classes] distributions. A class number out
            of range gives NaN.
    Returns:
        f32[...], one loss for each example.
    Raises:
        ValueError: the shapes do not fit.
    """
    logits, labels = fnp.asarray(logits), fnp.asarray(labels)
    log_p = log_softmax(logits)
    if not dtypes.issubdtype(labels.dtype, np.integer):
        if labels.shape != logits.shape:
            raise ValueError(_mismatch(logits, labels, logits.shape))
        return -fnp.sum(labels * log_p, axis=-1)
    if labels.shape != logits.shape[:-1]:
        raise ValueError(_mismatch(logits, labels, logits.shape[:-1]))
    found = fnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    inside = (labels >= 0) & (labels < logits.shape[-1])
    return fnp.where(inside, -found, fnp.nan)


def _mismatch(logits: Any, labels: Any, wanted: tuple[int, ...]) -> str:
    return (
        f"softmax_cross_entropy got logits of shape {logits.shape} and labels of shape "
        f"{labels.shape} and dtype {labels.dtype.name}.\n  {user_line()}\n"
        f"  Give labels of shape {wanted}."
    )


def squared_error(
    predictions: Num[Any, "..."] | Scalar, targets: Num[Any, "..."] | Scalar
) -> Num[Any, "..."]:
    """(prediction − target)², elementwise."""
    return fnp.square(fnp.asarray(predictions) - targets)


def accuracy(logits: Float[Any, "*batch classes"], labels: Shaped[Any, "*batch"]) -> Float[Any, ""]:
    """Share of examples whose largest logit is at the label.

    Args:
        logits: f32[..., classes].
        labels: i32[...].
    Returns:
        f32[].
    """
    return fnp.mean(fnp.argmax(fnp.asarray(logits), axis=-1) == fnp.asarray(labels))
