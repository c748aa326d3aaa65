"""`jax.sharding`: funcgrad's, and JAX's names for what needs nothing done here."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ...core.devices import Device, cpu_device
from ...core.meshes import AbstractMesh as AbstractMesh
from ...core.meshes import AxisType as AxisType
from ...core.meshes import Mesh as Mesh
from ...core.meshes import PartitionSpec as PartitionSpec
from ...core.meshes import current_mesh
from ...core.meshes import set_mesh as set_mesh
from ...core.shardings import NamedSharding as NamedSharding
from ...core.shardings import Sharding as Sharding
from ...core.shardings import SingleDeviceSharding as SingleDeviceSharding


def get_mesh() -> Mesh:
    """The mesh in force; one without axes where none was set."""
    return current_mesh() or Mesh(cpu_device, ())


def get_abstract_mesh() -> AbstractMesh:
    """The names and sizes of the axes of the mesh in force."""
    mesh = current_mesh()
    return AbstractMesh((), ()) if mesh is None else mesh.abstract_mesh


@contextmanager
def use_abstract_mesh(mesh: AbstractMesh) -> Generator[AbstractMesh]:
    """A mesh without devices says nothing about where programs run."""
    yield mesh


def reshard(x: Any, out_shardings: Any) -> Any:
    """The array as it is: which device needs which part is said where it is used."""
    return x


def make_single_device_sharding(device: Device = cpu_device) -> SingleDeviceSharding:
    """The sharding of an array on a device."""
    return SingleDeviceSharding(device)


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
