"""Pooling: one value for each window. No params."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import lax
from .. import numpy as fnp
from .layer import Layer, activation


def _pool_sizes(
    window: Sequence[int], strides: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    size = (1, *window, 1)
    return size, (1, *(strides if strides is not None else window), 1)


def max_pool(
    window: Sequence[int], strides: Sequence[int] | None = None, padding: str = "VALID"
) -> Layer:
    """Largest value of each window; strides default to the window. No params."""
    size, steps = _pool_sizes(window, strides)

    def apply(x: Any) -> Any:
        return lax.reduce_window(x, -fnp.inf, lax.max, size, steps, padding)

    return activation(apply, "max_pool")


def avg_pool(
    window: Sequence[int], strides: Sequence[int] | None = None, padding: str = "VALID"
) -> Layer:
    """Mean of each window, over the elements inside the image. No params."""
    size, steps = _pool_sizes(window, strides)

    def apply(x: Any) -> Any:
        total = lax.reduce_window(x, 0.0, lax.add, size, steps, padding)
        count = lax.reduce_window(fnp.ones_like(x), 0.0, lax.add, size, steps, padding)
        return total / count

    return activation(apply, "avg_pool")
