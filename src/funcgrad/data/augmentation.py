"""Random changes of images: pure functions of a key, one draw for each image of a batch.

Images are [n, h, w, c], of any dtype. All work under jit, vmap and grad.
"""

from __future__ import annotations

from typing import Any

from .. import numpy as fnp
from .. import random
from ..api.mapping import vmap
from ..core.sources import user_line
from ..lax import dynamic_slice


def random_flip(key: Any, images: Any, *, axis: int = 2, probability: float = 0.5) -> Any:
    """Each image turned round along an axis with some probability.

    Args:
        axis: 2 changes left and right, 1 top and bottom.
    Raises:
        ValueError: no batch of images, or axis 0.
    """
    images = _batch("random_flip", images)
    if not 1 <= axis < images.ndim:
        raise ValueError(
            f"data.random_flip: axis {axis} of images of shape {images.shape}.\n  {user_line()}\n"
            "  Axis 1 is the height, 2 the width."
        )
    chosen = random.bernoulli(key, probability, (images.shape[0], *(1,) * (images.ndim - 1)))
    return fnp.where(chosen, fnp.flip(images, axis), images)


def random_crop(key: Any, images: Any, size: tuple[int, int], *, padding: int = 0) -> Any:
    """From each image a window at a random place.

    Args:
        size: (height, width) of the window.
        padding: how many zeros are set around the image before.
    Returns:
        [n, height, width, c].
    Raises:
        ValueError: no batch of images, or a window that does not fit into them.
    """
    images = _batch("random_crop", images)
    images = fnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    n, height, width, channels = images.shape
    _check_window("random_crop", images, size)
    spare = fnp.array([height - size[0] + 1, width - size[1] + 1])
    corners = random.randint(key, (n, 2), 0, spare)

    def window(image: Any, corner: Any) -> Any:
        return dynamic_slice(image, (corner[0], corner[1], 0), (*size, channels))

    return vmap(window)(images, corners)


def random_shift(key: Any, images: Any, most: int) -> Any:
    """Each image moved by up to `most` pixels each way; zeros come in at the edges.

    Raises:
        ValueError: no batch of images, or a negative number of pixels.
    """
    images = _batch("random_shift", images)
    if most < 0:
        raise ValueError(f"data.random_shift: most={most} is negative.\n  {user_line()}")
    return random_crop(key, images, images.shape[1:3], padding=most)


def center_crop(images: Any, size: tuple[int, int]) -> Any:
    """The window (height, width) in the middle of each image.

    Raises:
        ValueError: no batch of images, or a window that does not fit into them.
    """
    images = _batch("center_crop", images)
    _check_window("center_crop", images, size)
    top, left = (images.shape[1] - size[0]) // 2, (images.shape[2] - size[1]) // 2
    return images[:, top : top + size[0], left : left + size[1]]


def _batch(name: str, images: Any) -> Any:
    images = fnp.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"data.{name}: images have shape [n, h, w, c], got {images.shape}.\n  {user_line()}\n"
            "  Add the missing axes with reshape."
        )
    return images


def _check_window(name: str, images: Any, size: tuple[int, int]) -> None:
    if not (1 <= size[0] <= images.shape[1] and 1 <= size[1] <= images.shape[2]):
        raise ValueError(
            f"data.{name}: a window {tuple(size)} does not fit into {images.shape[1:3]}.\n"
            f"  {user_line()}\n  Give a smaller window, or more padding."
        )
