"""Layers that move, join and combine values. No params, but for scale-and-shift."""

from __future__ import annotations

from typing import Any

from .. import numpy as fnp
from .layer import Layer, activation


def flatten() -> Layer:
    """All axes but the batch axis made one. No params."""
    return activation(lambda x: x.reshape(x.shape[0], -1), "flatten")


def concat(axis: int = -1) -> Layer:
    """The arrays of a tuple joined along an axis. No params."""

    def apply(x: Any) -> Any:
        return fnp.concatenate(x, axis=axis)

    return activation(apply, "concat")
