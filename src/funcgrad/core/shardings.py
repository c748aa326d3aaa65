"""Shardings: which part of an array lies on which device.

In: a mesh and a spec, or a device. Out: shapes of parts, and which part each device has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .devices import Device, cpu_device
from .meshes import Mesh, PartitionSpec, local_shape, parts

Index = tuple[slice, ...]


class Sharding:
    """Where an array lies."""

    memory_kind: str | None = None

    @property
    def device_set(self) -> set[Device]:
        """The devices that have a part of the array."""
        return set(self.device_list())

    @property
    def addressable_devices(self) -> set[Device]:
        """Those of this process: all of them."""
        return self.device_set

    @property
    def num_devices(self) -> int:
        return len(self.device_list())

    @property
    def is_fully_addressable(self) -> bool:
        return True

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device has the whole array."""
        return True

    @property
    def has_addressable_devices(self) -> bool:
        """Whether this process has any of its devices: it has all."""
        return True

    # Names that libraries written for JAX read, orbax for one.

    @property
    def _device_assignment(self) -> tuple[Device, ...]:
        return tuple(self.device_list())

    @property
    def _addressable_device_assignment(self) -> tuple[Device, ...]:
        return tuple(self.device_list())

    def device_list(self) -> list[Device]:
        """The devices in order."""
        raise TypeError(f"{type(self).__name__} names no devices.")

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what lies on each device."""
        return tuple(global_shape)

    def indices(self, global_shape: Sequence[int]) -> list[Index]:
        """For each device, in order, which part of an array it has."""
        return [(slice(None),) * len(global_shape)] * self.num_devices

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Device, Index]:
        """Which part of an array lies on which device."""
        return dict(zip(self.device_list(), self.indices(global_shape), strict=True))

    addressable_devices_indices_map = devices_indices_map

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether an array of so many axes lies the same by both."""
        shape = (self.num_devices**2 * other.num_devices,) * ndim
        try:
            return self.devices_indices_map(shape) == other.devices_indices_map(shape)
        except ValueError:
            return False


class SingleDeviceSharding(Sharding):
    """An array on one device."""

    def __init__(self, device: Device = cpu_device, *, memory_kind: str | None = None) -> None:
        self._device = device
        self.memory_kind = memory_kind

    def device_list(self) -> list[Device]:
        """The device."""
        return [self._device]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and self._device == other._device

    def __hash__(self) -> int:
        return hash(self._device)

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self._device!r})"


def make_single_device_sharding(
    device: Device, *, memory_kind: str | None = None
) -> SingleDeviceSharding:
    """The sharding of an array on one device."""
    return SingleDeviceSharding(device, memory_kind=memory_kind)


class NamedSharding(Sharding):
    """An array divided over axes of a mesh as a spec says.

    Raises:
        ValueError: the spec names an axis that the mesh has not.
    """

    def __init__(self, mesh: Mesh, spec: Any, *, memory_kind: str | None = None) -> None:
        self.mesh = mesh
        self.spec = spec if isinstance(spec, PartitionSpec) else PartitionSpec(*spec)
        self.memory_kind = memory_kind
        unknown = self.spec.mentioned() - set(mesh.axis_names)
        if unknown:
            raise ValueError(
                f"NamedSharding: {self.spec} names {sorted(map(str, unknown))}, and the axes of "
                f"the mesh are {mesh.axis_names}."
            )

    @property
    def is_fully_replicated(self) -> bool:
        sizes = self.mesh.shape
        return all(sizes[name] == 1 for name in self.spec.mentioned())

    def device_list(self) -> list[Device]:
        """The devices of the mesh, row-major."""
        return list(self.mesh.ranks)

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what lies on each device.

        Raises:
            ValueError: an extent does not divide.
        """
        try:
            return local_shape(self.spec, tuple(global_shape), self.mesh.shape)
        except ValueError as error:
            raise ValueError(
                f"An array of shape {tuple(global_shape)} cannot lie by {self.spec} on a mesh of "
                f"{self.mesh.shape}: {error}."
            ) from None

    def indices(self, global_shape: Sequence[int]) -> list[Index]:
        """For each device, in order, which part of an array it has."""
        self.shard_shape(global_shape)
        return list(parts(self.spec, tuple(global_shape), self.mesh))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedSharding) and (self.mesh, self.spec) == (
            other.mesh,
            other.spec,
        )

    def __hash__(self) -> int:
        return hash((self.mesh, self.spec))

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh!r}, spec={self.spec!r})"


@dataclass(frozen=True)
class Shard:
    """The part of an array that one device has.

    Attributes:
        index: which part it is; `replica_id`: how many devices before this one have the same.
        data: an array of the device.
    """

    device: Device
    index: Index
    replica_id: int
    data: Any


def shards_of(sharding: Sharding, shape: Sequence[int], parts: Sequence[Any]) -> list[Shard]:
    """The parts of an array, in the order of the devices, each with its place."""
    seen: dict[str, int] = {}
    found: list[Shard] = []
    told = zip(sharding.device_list(), sharding.indices(shape), parts, strict=True)
    for device, at, part in told:
        key = repr(at)
        found.append(Shard(device, at, seen.get(key, 0), part))
        seen[key] = seen.get(key, 0) + 1
    return found
