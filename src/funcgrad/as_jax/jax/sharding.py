"""`jax.sharding`: the devices that shardings name; its names are those of `funcgrad.sharding`."""

from __future__ import annotations

from typing import Any

from ...core.devices import Device
from ...core.meshes import PartitionSpec
from ...core.shardings import Sharding


def device_of(place: Any) -> Any:
    """The device that a sharding names, or the device itself."""
    return place.device_list()[0] if isinstance(place, Sharding) else place


def devices_of(places: Any) -> list[Any]:
    """The devices named in a tree of devices and shardings; specs name none."""
    if isinstance(places, Device):
        return [places]
    if isinstance(places, PartitionSpec) or places is None:
        return []
    if isinstance(places, (tuple, list)):
        return [device for place in places for device in devices_of(place)]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(places, dict):
        return devices_of(list(places.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    if isinstance(places, Sharding):
        return places.device_list()
    return [places] if isinstance(places, str) else []
