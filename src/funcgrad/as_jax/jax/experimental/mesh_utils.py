"""`jax.experimental.mesh_utils`: devices in the shape of a mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .... import devices as all_devices

__all__ = ["create_device_mesh"]


def create_device_mesh(
    mesh_shape: Sequence[int], devices: Sequence[Any] | None = None, **_: bool
) -> np.ndarray[Any, Any]:
    """The devices in order, in a shape; no axis of it is nearer than another here.

    Raises:
        ValueError: the shape has another number of places than there are devices.
    """
    given = list(all_devices() if devices is None else devices)
    if math.prod(mesh_shape) != len(given):
        raise ValueError(
            f"Number of devices {len(given)} must equal the product of mesh_shape {mesh_shape}. "
            "Give that many devices."
        )
    places = np.empty(len(given), object)
    places[:] = given
    return places.reshape(tuple(mesh_shape))
