"""Losses of features: what a network sees in two images, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line
from .layer import check_axes
from .operands import floats, paired

if TYPE_CHECKING:
    from jaxtyping import Float


def gram_matrix(
    features: Float[Any, "*batch height width channels"],
) -> Float[Any, "*batch channels channels"]:
    """FᵀF / (height · width · channels): how channels go together, wherever they do.

    Args:
        features: f32[..., height, width, channels].
    Returns:
        f32[..., channels, channels].
    Raises:
        ValueError: fewer than three axes.
    Source: Gatys, Ecker & Bethge, CVPR 2016, equation 3; scaled as in Johnson et al.,
        arXiv:1603.08155.
    """
    x = floats(features)
    check_axes(x, 3, "gram_matrix", "features [..., height, width, channels]")
    *batch, height, width, channels = x.shape
    flat = x.reshape(*batch, height * width, channels)
    return fnp.swapaxes(flat, -1, -2) @ flat / (height * width * channels)


def perceptual_loss(
    features: Any, targets: Any, weights: Sequence[float] | None = None
) -> Float[Any, "batch"]:
    """Σ over layers of weight · mean (features − targets)².

    Args:
        features: tree of f32[batch, ...], one leaf for each layer.
        targets: tree of the same structure and shapes.
        weights: one for each leaf; by default 1.
    Returns:
        f32[batch].
    Raises:
        ValueError: the trees or shapes differ; another number of weights.
    Source: Johnson, Alahi & Fei-Fei, arXiv:1603.08155, equation 2.
    """
    return _over_layers("perceptual_loss", features, targets, weights, floats)


def gram_loss(
    features: Any, targets: Any, weights: Sequence[float] | None = None
) -> Float[Any, "batch"]:
    """Σ over layers of weight · Σ (Gram matrix of features − that of targets)².

    Args:
        features: tree of f32[batch, height, width, channels], one leaf for each layer.
        targets: tree of the same structure; heights and widths may differ.
        weights: one for each leaf; by default 1.
    Returns:
        f32[batch].
    Raises:
        ValueError: the trees or numbers of channels differ; another number of weights.
    Source: Johnson, Alahi & Fei-Fei, arXiv:1603.08155, equation 4.
    """
    return _over_layers("gram_loss", features, targets, weights, gram_matrix)


def _over_layers(
    name: str, features: Any, targets: Any, weights: Sequence[float] | None, seen: Any
) -> Any:
    if tree.structure(features) != tree.structure(targets):
        raise ValueError(
            f"{name} got features of the tree {tree.structure(features)} and targets of "
            f"{tree.structure(targets)}.\n  {user_line()}\n  Give both from the same layers."
        )
    found, wanted = tree.leaves(features), tree.leaves(targets)
    chosen = [1.0] * len(found) if weights is None else list(weights)
    if len(chosen) != len(found):
        raise ValueError(
            f"{name} got {len(chosen)} weights for {len(found)} layers.\n  {user_line()}\n"
            "  Give one weight for each leaf of the features."
        )
    total: Any = 0.0
    for weight, x, y in zip(chosen, found, wanted, strict=True):
        a, b = paired(name, seen(x), seen(y), ("features", "targets"))
        squares = fnp.square(a - b).reshape(a.shape[0], -1)
        reduce = fnp.sum if seen is gram_matrix else fnp.mean
        total = total + weight * reduce(squares, axis=1)
    return total
