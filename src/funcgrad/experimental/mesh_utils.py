"""Devices in the shape of a mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.meshes import default_devices
from ..core.sources import user_line

__all__ = ["create_device_mesh", "create_hybrid_device_mesh"]


def create_device_mesh(
    mesh_shape: Sequence[int],
    devices: Sequence[Any] | None = None,
    *,
    contiguous_submeshes: bool = False,
    allow_split_physical_axes: bool = False,
) -> np.ndarray[Any, Any]:
    """The devices in order, in the shape of a mesh.

    Args:
        mesh_shape: the sizes of the axes.
        devices: by default `funcgrad.devices()`.
        contiguous_submeshes, allow_split_physical_axes: for devices that lie in a grid; these
            do not.
    Returns:
        An array of devices, for `funcgrad.sharding.Mesh`.
    Raises:
        ValueError: the shape has another number of places than there are devices.
    """
    given = list(default_devices() if devices is None else devices)
    shape = tuple(mesh_shape)
    if math.prod(shape) != len(given):
        raise ValueError(
            f"create_device_mesh: {len(given)} devices, and a mesh of shape {shape} has "
            f"{math.prod(shape)} places.\n  {user_line()}\n  Give as many devices as places."
        )
    places = np.empty(len(given), object)
    places[:] = given
    return places.reshape(shape)


def create_hybrid_device_mesh(
    mesh_shape: Sequence[int],
    dcn_mesh_shape: Sequence[int],
    devices: Sequence[Any] | None = None,
    *,
    process_is_granule: bool = False,
    should_sort_granules_by_key: bool = True,
    allow_split_physical_axes: bool = False,
) -> np.ndarray[Any, Any]:
    """The devices in the shape of a mesh over several networks, of which there is one.

    Args:
        mesh_shape: the sizes of the axes within the network.
        dcn_mesh_shape: their sizes between networks: all 1.
        devices: by default `funcgrad.devices()`.
        process_is_granule, should_sort_granules_by_key: how networks are told apart.
        allow_split_physical_axes: as for `create_device_mesh`.
    Raises:
        ValueError: several networks, another number of axes, or of devices.
    """
    if math.prod(dcn_mesh_shape) != 1 or len(dcn_mesh_shape) != len(mesh_shape):
        raise ValueError(
            f"create_hybrid_device_mesh: the devices of one process are one network, and "
            f"dcn_mesh_shape={tuple(dcn_mesh_shape)} beside mesh_shape={tuple(mesh_shape)} asks "
            f"for others.\n  {user_line()}\n  Give a 1 for each axis, or use create_device_mesh."
        )
    return create_device_mesh(mesh_shape, devices)
