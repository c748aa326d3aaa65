"""Scaling of features: a fit to data that gives a pure function, itself a pytree of two arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line
from .sources import Source

Axes = int | tuple[int, ...]


class Scaling(NamedTuple):
    """x → (x − shift) / scale. A pytree: it goes through jit and into a checkpoint."""

    shift: Any
    scale: Any

    def __call__(self, x: Any) -> Any:
        """(x − shift) / scale, of the shape of x."""
        return (x - self.shift) / self.scale

    def inverse(self, y: Any) -> Any:
        """y · scale + shift: what was scaled, as it was."""
        return y * self.scale + self.shift


def standardize(x: Any, axis: Axes = 0) -> Scaling:
    """The scaling that gives mean 0 and deviation 1 over an axis, or several.

    y = (x − mean) / deviation; a feature that is constant becomes 0.

    Args:
        x: data f32[n, ...]; sums are taken in float64.
    Raises:
        ValueError: no data.
    """
    values = _data("standardize", x)
    return _scaling(x, values.mean(axis), values.std(axis))


def min_max(x: Any, low: float = 0.0, high: float = 1.0, axis: Axes = 0) -> Scaling:
    """The scaling that spreads the data over [low, high]; a feature that is constant becomes low.

    Raises:
        ValueError: no data, or low is not below high.
    """
    if not low < high:
        raise ValueError(f"data.min_max: low={low} is not below high={high}.\n  {user_line()}")
    values = _data("min_max", x)
    least, most = values.min(axis), values.max(axis)
    scale = np.where(most > least, (most - least) / (high - low), 1.0)
    return _scaling(x, least - low * scale, scale)


def channel_scaling(images: Any) -> Scaling:
    """The scaling of images [n, h, w, c] that gives each channel mean 0 and deviation 1."""
    values = _data("channel_scaling", images)
    axes = tuple(range(values.ndim - 1))
    return _scaling(images, values.mean(axes), values.std(axes))


def mean_image(images: Any, chunk: int = 256) -> Any:
    """The mean of images, f32[h, w, c].

    Args:
        images: [n, h, w, c], or a `Source` with them as the first leaf of its rows.
        chunk: how many rows are read at a time.
    """
    if not isinstance(images, Source):
        return fnp.asarray(_data("mean_image", images).mean(0).astype(np.float32))
    total: Any = 0.0
    for start in range(0, len(images), chunk):
        rows = images.take(np.arange(start, min(start + chunk, len(images))))
        total = total + np.asarray(tree.leaves(rows)[0], np.float64).sum(0)
    return fnp.asarray((total / len(images)).astype(np.float32))


def _data(name: str, x: Any) -> np.ndarray[Any, Any]:
    values = np.asarray(x, np.float64)
    if values.ndim == 0 or values.size == 0:
        raise ValueError(
            f"data.{name}: there are no data in an array of shape {values.shape}.\n"
            f"  {user_line()}\n  Give an array [n, ...] with n of at least 1."
        )
    return values


def _scaling(x: Any, shift: Any, scale: Any) -> Scaling:
    dtype = np.asarray(x).dtype
    # Integers, images above all, are scaled to the default float.
    dtype = fnp.asarray(0.0).dtype if dtype.kind in "iub" else dtype
    safe = np.where(scale > 0, scale, 1.0)
    return Scaling(fnp.asarray(np.asarray(shift, dtype)), fnp.asarray(np.asarray(safe, dtype)))
