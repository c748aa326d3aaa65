"""Convolution on NumPy arrays as matrix products of unrolled windows.

In: images with features last, a kernel with output features last. Out: the correlation, features
last. The one idea: a strided view shows every window, and copying it out gives the left matrix
of one product (a batched one for groups), a few images at a time so that it stays in cache.

Source: Chellapilla, Puri & Simard, High performance convolutional neural networks for document
processing, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.avals import size_of
from .windowing import pad_numpy, window_counts, window_view

_chunk_bytes = 1 << 24


def correlate(
    images: Any,
    kernel: Any,
    *,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    groups: int,
) -> Any:
    """Correlation of images[n, *space, g * c] with kernel[*window, c, g * o].

    Both arrays have one dtype; features of a group lie together.

    Returns:
        [n, *places, g * o]
    """
    rank = images.ndim - 2
    window, (features, outs) = kernel.shape[:rank], kernel.shape[rank:]
    counts = window_counts(images.shape[1:-1], window, strides, padding, lhs_dilation, rhs_dilation)
    shape = (images.shape[0], *counts, outs)
    if 0 in shape or 0 in kernel.shape:
        return np.zeros(shape, images.dtype)
    padded = pad_numpy(images, 0, ((0, 0), *padding, (0, 0)), (1, *lhs_dilation, 1))
    view = window_view(np.ascontiguousarray(padded), 1, window, counts, strides, rhs_dilation)
    if groups == 1:
        out = _by_product(view, kernel.reshape(-1, outs), size_of(counts))
    elif features == 1:
        out = _by_offsets(view, kernel, groups)
    else:
        out = _by_grouped_product(view, kernel, groups, size_of(counts))
    return out.reshape(shape)


def _by_product(view: Any, kernel: Any, places: int) -> Any:
    """[n, places, o] by one matrix product for a few images at a time."""
    count, (inner, outs) = view.shape[0], kernel.shape
    out = np.empty((count * places, outs), view.dtype)
    step = max(1, _chunk_bytes // (places * inner * view.itemsize))
    for start in range(0, count, step):
        rows = view[start : start + step].reshape(-1, inner)
        np.matmul(rows, kernel, out=out[start * places : (start + step) * places])
    return out


def _by_grouped_product(view: Any, kernel: Any, groups: int, places: int) -> Any:
    """[n * places, g, o] by a matrix product for each group."""
    features, outs = kernel.shape[-2:]
    count, inner = view.shape[0], size_of(kernel.shape[:-1])
    weights = kernel.reshape(inner, groups, outs // groups).transpose(1, 0, 2)
    split = view.reshape(count, places, inner // features, groups, features)
    rows = split.transpose(3, 0, 1, 2, 4).reshape(groups, count * places, inner)
    return np.matmul(rows, weights).transpose(1, 0, 2)


def _by_offsets(view: Any, kernel: Any, groups: int) -> Any:
    """[n, *places, g, o] where each group has one feature: a sum over places of the window."""
    rank = kernel.ndim - 2
    outs = kernel.shape[-1] // groups
    weights = kernel.reshape(*kernel.shape[:rank], groups, outs)
    every = (slice(None),) * (1 + rank)
    out = np.zeros((*view.shape[: 1 + rank], groups, outs), view.dtype)
    for offset in np.ndindex(*kernel.shape[:rank]):
        out += view[(*every, *offset)][..., None] * weights[offset]
    return out
