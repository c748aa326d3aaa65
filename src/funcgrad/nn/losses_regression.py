"""Losses of regression: errors of predictions, elementwise or over an axis, unreduced."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import numpy as fnp
from .operands import floats, normalize_axes, paired, safe_root

if TYPE_CHECKING:
    from jaxtyping import Num

Scalar = int | float | complex
Axis = int | tuple[int, ...] | None
_words = ("predictions", "targets")


def _errors(name: str, predictions: Any, targets: Any) -> Any:
    if targets is None:
        return floats(predictions)
    predictions, targets = paired(name, predictions, targets, _words)
    return predictions - targets


def squared_error(
    predictions: Num[Any, "..."] | Scalar, targets: Num[Any, "..."] | Scalar | None = None
) -> Num[Any, "..."]:
    """(prediction − target)², elementwise.

    Args:
        predictions: f32[...].
        targets: of the same shape, or a scalar; None for 0.
    Raises:
        ValueError: the shapes differ.
    """
    return fnp.square(_errors("squared_error", predictions, targets))


def l2_loss(
    predictions: Num[Any, "..."] | Scalar, targets: Num[Any, "..."] | Scalar | None = None
) -> Num[Any, "..."]:
    """½ (prediction − target)², elementwise.

    Args:
        predictions: f32[...].
        targets: of the same shape, or a scalar; None for 0.
    Raises:
        ValueError: the shapes differ.
    """
    return 0.5 * fnp.square(_errors("l2_loss", predictions, targets))


def euclidean_loss(
    predictions: Num[Any, "..."], targets: Num[Any, "..."], axis: Axis = -1
) -> Num[Any, "..."]:
    """½ ‖prediction − target‖², over the axis.

    Args:
        predictions: f32[..., n].
        targets: f32[..., n].
        axis: what makes one example.
    Returns:
        f32[...].
    Raises:
        ValueError: the shapes differ.
    """
    errors = _errors("euclidean_loss", predictions, targets)
    return 0.5 * fnp.sum(fnp.square(errors), axis=axis)


def absolute_error(
    predictions: Num[Any, "..."] | Scalar, targets: Num[Any, "..."] | Scalar | None = None
) -> Num[Any, "..."]:
    """|prediction − target|, elementwise; derivative 0 at 0.

    Args:
        predictions: f32[...].
        targets: of the same shape, or a scalar; None for 0.
    Raises:
        ValueError: the shapes differ.
    """
    return fnp.abs(_errors("absolute_error", predictions, targets))


def huber_loss(
    predictions: Num[Any, "..."] | Scalar,
    targets: Num[Any, "..."] | Scalar | None = None,
    *,
    delta: Any = 1.0,
) -> Num[Any, "..."]:
    """½ e² where |e| ≤ delta, delta · (|e| − ½ delta) beyond, e = prediction − target.

    Args:
        predictions: f32[...].
        targets: of the same shape, or a scalar; None for 0.
        delta: where the square gives way to the straight line.
    Raises:
        ValueError: the shapes differ.
    Source: Huber, Annals of Mathematical Statistics 35 (1964).
    """
    size = fnp.abs(_errors("huber_loss", predictions, targets))
    square = fnp.minimum(size, delta)
    return 0.5 * square**2 + delta * (size - square)


def smooth_l1_loss(
    predictions: Num[Any, "..."] | Scalar,
    targets: Num[Any, "..."] | Scalar | None = None,
    *,
    beta: float = 1.0,
) -> Num[Any, "..."]:
    """The Huber loss over beta: slope 1 far out, whatever beta is; |e| for beta = 0.

    Args:
        predictions: f32[...].
        targets: of the same shape, or a scalar; None for 0.
        beta: where the square gives way to the straight line.
    Raises:
        ValueError: the shapes differ.
    Source: Girshick, arXiv:1504.08083, equation 3.
    """
    if beta == 0:
        return absolute_error(predictions, targets)
    return huber_loss(predictions, targets, delta=beta) / beta


def log_cosh(
    predictions: Num[Any, "..."] | Scalar, targets: Num[Any, "..."] | Scalar | None = None
) -> Num[Any, "..."]:
    """log cosh(prediction − target), elementwise, without overflow.

    Args:
        predictions: f32[...].
        targets: of the same shape, or a scalar; None for 0.
    Raises:
        ValueError: the shapes differ.
    """
    errors = _errors("log_cosh", predictions, targets)
    return fnp.logaddexp(errors, -errors) - math.log(2)


def cosine_similarity(
    predictions: Num[Any, "..."],
    targets: Num[Any, "..."],
    *,
    epsilon: Any = 0.0,
    axis: Axis = -1,
    where: Any = None,
) -> Num[Any, "..."]:
    """⟨a, b⟩ / (‖a‖ ‖b‖), over the axis.

    Args:
        predictions: f32[..., n].
        targets: f32[..., n]; also shapes that broadcast, for all pairs.
        epsilon: least value of a squared norm; with 0 a zero vector gives NaN.
        where: bool: the elements that count.
    Returns:
        f32[...].
    """
    a, b = floats(predictions), floats(targets)
    units: list[Any] = []
    for x in (a, b):
        squares = fnp.sum(fnp.square(x), axis=axis, where=where, keepdims=True)
        units.append(x / safe_root(fnp.maximum(squares, epsilon)))
    return fnp.sum(units[0] * units[1], axis=axis, where=where)


def cosine_distance(
    predictions: Num[Any, "..."],
    targets: Num[Any, "..."],
    *,
    epsilon: Any = 0.0,
    axis: Axis = -1,
    where: Any = None,
) -> Num[Any, "..."]:
    """1 − the cosine similarity.

    Args:
        predictions: f32[..., n].
        targets: f32[..., n].
        epsilon: least value of a squared norm; with 0 a zero vector gives NaN.
        where: bool: the elements that count.
    Returns:
        f32[...], from 0 to 2.
    """
    return 1 - cosine_similarity(predictions, targets, epsilon=epsilon, axis=axis, where=where)


def total_variation_loss(
    images: Num[Any, "*batch height width channels"],
) -> Num[Any, "*batch"]:
    """Σ |difference of neighbours|, down and across: how rough an image is.

    Args:
        images: f32[..., height, width, channels].
    Returns:
        f32[...].
    Source: Rudin, Osher & Fatemi, Physica D 60 (1992), the anisotropic form.
    """
    axes = normalize_axes((-3, -2, -1), images.ndim)
    steps = (fnp.diff(images, axis=axis) for axis in (-3, -2))
    down, across = (fnp.sum(fnp.abs(step), axis=axes) for step in steps)
    return down + across
