"""`jax.sharding` where there is one device: each sharding says that an array lies on it, whole."""

from __future__ import annotations

import enum
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...core.devices import Device, cpu_device


class AxisType(enum.Enum):
    """Who decides how arrays are laid out along an axis of a mesh."""

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()


class _Unconstrained:
    """Says of an axis that anything may be done with it."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"


class PartitionSpec(tuple[Any, ...]):
    """Which axes of a mesh each axis of an array is split over; None: over none."""

    UNCONSTRAINED = _Unconstrained()

    def __new__(cls, *partitions: Any, unreduced: Any = (), reduced: Any = ()) -> PartitionSpec:
        """A spec of one entry an axis.

        Raises:
            ValueError: `unreduced` or `reduced` names axes: there is nothing to reduce over.
        """
        if unreduced or reduced:
            raise ValueError("PartitionSpec: with one device nothing is left unreduced.")
        return super().__new__(cls, partitions)

    def __repr__(self) -> str:
        return f"PartitionSpec{tuple(self)!r}"

    def __reduce__(self) -> Any:
        return PartitionSpec, tuple(self)


class Mesh:
    """Names for the axes of an array of devices; here each axis has one device."""

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None) -> None:
        """A mesh.

        Raises:
            ValueError: more than one device, or names that do not fit the axes.
        """
        # Filled one by one: a Device is a tuple, and NumPy would take it apart.
        made: Any = devices if isinstance(devices, np.ndarray) else _objects(devices)  # pyright: ignore[reportUnknownVariableType]
        given: np.ndarray[Any, Any] = made
        names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        if given.size != 1 or given.ndim != len(names):
            raise ValueError(
                f"Mesh: got devices of shape {given.shape} and axes {names}; there is one device, "
                "so give as many axes of size 1 as names."
            )
        self.devices: np.ndarray[Any, Any] = given
        self.axis_names = names
        self.axis_types = axis_types or (AxisType.Auto,) * len(names)

    @classmethod
    def of_shape(cls, shape: Sequence[int], names: Any, types: Any, devices: Any = None) -> Mesh:
        """A mesh whose axes have these sizes.

        Raises:
            ValueError: the sizes ask for more than one device.
        """
        if math.prod(shape) != 1:
            raise ValueError(
                f"make_mesh: the shape {tuple(shape)} needs {math.prod(shape)} devices, and there "
                "is one."
            )
        flat = _objects([cpu_device] if devices is None else devices)
        return cls(flat.reshape(tuple(shape)), names, types)

    @property
    def shape(self) -> dict[str, int]:
        return dict.fromkeys(self.axis_names, 1)

    @property
    def size(self) -> int:
        return 1

    @property
    def empty(self) -> bool:
        return not self.axis_names

    @property
    def abstract_mesh(self) -> AbstractMesh:
        return AbstractMesh((1,) * len(self.axis_names), self.axis_names, self.axis_types)

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self.axis_names == other.axis_names

    def __hash__(self) -> int:
        return hash(self.axis_names)

    def __repr__(self) -> str:
        return f"Mesh(axis_sizes={tuple(self.shape.values())}, axis_names={self.axis_names})"


class AbstractMesh:
    """Names and sizes of axes, without devices."""

    def __init__(
        self, axis_sizes: Sequence[int], axis_names: Sequence[str], axis_types: Any = None
    ) -> None:
        self.axis_sizes = tuple(axis_sizes)
        self.axis_names = tuple(axis_names)
        self.axis_types = axis_types or (AxisType.Auto,) * len(self.axis_names)

    @property
    def shape(self) -> dict[str, int]:
        return dict(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def size(self) -> int:
        return math.prod(self.axis_sizes)

    @property
    def empty(self) -> bool:
        return not self.axis_names

    def __repr__(self) -> str:
        return f"AbstractMesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names})"


class Sharding:
    """Where an array lies: whole, on the one device."""

    memory_kind: str | None = None

    @property
    def device_set(self) -> set[Device]:
        return {cpu_device}

    @property
    def addressable_devices(self) -> set[Device]:
        return {cpu_device}

    @property
    def is_fully_replicated(self) -> bool:
        return True

    @property
    def is_fully_addressable(self) -> bool:
        return True

    @property
    def num_devices(self) -> int:
        return 1

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what lies on each device."""
        return tuple(global_shape)

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether an array lies the same by both: always."""
        return True

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Device, tuple[slice, ...]]:
        """Which part of an array lies on which device."""
        return {cpu_device: (slice(None),) * len(global_shape)}


class SingleDeviceSharding(Sharding):
    """An array on one device."""

    def __init__(self, device: Device = cpu_device, *, memory_kind: str | None = None) -> None:
        self._device = device
        self.memory_kind = memory_kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SingleDeviceSharding) and self._device == other._device

    def __hash__(self) -> int:
        return hash(self._device)

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self._device!r})"


class NamedSharding(Sharding):
    """An array split over the axes of a mesh; whole, since each has one device."""

    def __init__(self, mesh: Any, spec: Any, *, memory_kind: str | None = None) -> None:
        self.mesh = mesh
        self.spec = spec if isinstance(spec, PartitionSpec) else PartitionSpec(*spec)
        self.memory_kind = memory_kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedSharding) and (self.mesh, self.spec) == (
            other.mesh,
            other.spec,
        )

    def __hash__(self) -> int:
        return hash(self.spec)

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh!r}, spec={self.spec!r})"


def get_mesh() -> Mesh:
    """The mesh in force: one without axes."""
    return Mesh(_objects(cpu_device), ())


def get_abstract_mesh() -> AbstractMesh:
    """The names of the axes in force: none."""
    return AbstractMesh((), ())


@contextmanager
def set_mesh(mesh: Mesh) -> Generator[Mesh]:
    """Make a mesh the one in force; with one device nothing changes."""
    yield mesh


use_abstract_mesh = set_mesh


def reshard(x: Any, out_shardings: Any) -> Any:
    """The array, laid out by another sharding: as it is."""
    return x


def make_single_device_sharding(device: Device = cpu_device) -> SingleDeviceSharding:
    """The sharding of an array on a device."""
    return SingleDeviceSharding(device)


def device_of(place: Any) -> Any:
    """The device that a sharding names, or the device itself."""
    return next(iter(place.device_set)) if isinstance(place, Sharding) else place


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
    return [device_of(places)] if isinstance(places, (Sharding, str)) else []


def _objects(devices: Any) -> np.ndarray[Any, Any]:
    """An array of devices, of the shape of nested lists."""
    if isinstance(devices, (list, tuple)) and not isinstance(devices, Device):
        parts = [_objects(d) for d in devices]  # pyright: ignore[reportUnknownVariableType]
        return np.stack(parts) if parts else np.empty(0, object)
    single = np.empty((), object)
    single[()] = devices
    return single
