"""Meshes: arrays of devices whose axes have names, and which axes an array is divided over.

In: devices and names. Out: `Mesh`, `PartitionSpec`. The one idea: a spec says of each axis of an
array over which axes of a mesh it is divided; over all others each device has the same.
"""

from __future__ import annotations

import enum
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..config import config
from .devices import Device, devices
from .sources import user_line

Shape = tuple[int, ...]


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
    """Which axes of a mesh each axis of an array is divided over.

    An entry is a name, a tuple of names (the first varies slowest), or None for no division; axes
    of the array without an entry are not divided.
    """

    UNCONSTRAINED = _Unconstrained()

    def __new__(cls, *partitions: Any, unreduced: Any = (), reduced: Any = ()) -> PartitionSpec:
        """A spec of one entry an axis.

        Raises:
            ValueError: `unreduced` or `reduced` names axes, or a name stands twice.
        """
        if unreduced or reduced:
            raise ValueError(
                "PartitionSpec(unreduced=, reduced=): sums left undone are not kept here. Reduce "
                "them by lax.psum inside of shard_map."
            )
        new = super().__new__(cls, partitions)
        named = [name for entry in new.names() for name in entry]
        if len(set(named)) < len(named):
            raise ValueError(
                f"{new!r} names an axis of the mesh twice: an array can be divided over it once."
            )
        return new

    def names(self) -> tuple[tuple[Any, ...], ...]:
        """The names of each entry."""
        found: list[tuple[Any, ...]] = []
        for entry in self:
            whole: Any = entry
            free = entry is None or entry is self.UNCONSTRAINED
            found.append(() if free else whole if isinstance(entry, tuple) else (entry,))
        return tuple(found)

    def mentioned(self) -> frozenset[Any]:
        """All axes of the mesh that it names."""
        return frozenset(name for entry in self.names() for name in entry)

    @property
    def partitions(self) -> tuple[Any, ...]:
        return tuple(self)

    def with_batch(self, at: int) -> PartitionSpec:
        """The spec of an array with one more axis, which is not divided."""
        entries = [*self, *[None] * (at - len(self))]
        return PartitionSpec(*entries[:at], None, *entries[at:])

    def __repr__(self) -> str:
        return f"PartitionSpec({', '.join(map(repr, self))})"

    def __reduce__(self) -> Any:
        return PartitionSpec, tuple(self)


P = PartitionSpec


class _WithAxisTypes:
    """What meshes say of the types of their axes."""

    axis_names: tuple[Any, ...]
    axis_types: tuple[AxisType, ...]

    @property
    def auto_axes(self) -> tuple[Any, ...]:
        return self._of(AxisType.Auto)

    @property
    def explicit_axes(self) -> tuple[Any, ...]:
        return self._of(AxisType.Explicit)

    @property
    def manual_axes(self) -> tuple[Any, ...]:
        return self._of(AxisType.Manual)

    def _of(self, kind: AxisType) -> tuple[Any, ...]:
        return tuple(n for n, k in zip(self.axis_names, self.axis_types, strict=True) if k == kind)


class AbstractMesh(_WithAxisTypes):
    """Names and sizes of axes, without devices."""

    def __init__(
        self, axis_sizes: Sequence[int], axis_names: Sequence[Any], axis_types: Any = None
    ) -> None:
        self.axis_sizes = tuple(axis_sizes)
        self.axis_names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        self.axis_types = axis_types or (AxisType.Auto,) * len(self.axis_names)
        if len(self.axis_sizes) != len(self.axis_names):
            raise ValueError(
                f"A mesh of axes {self.axis_names} needs as many sizes, got {self.axis_sizes}."
            )

    @property
    def shape(self) -> dict[Any, int]:
        return dict(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def size(self) -> int:
        return math.prod(self.axis_sizes)

    @property
    def empty(self) -> bool:
        return not self.axis_names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractMesh) and self.shape == other.shape

    def __hash__(self) -> int:
        return hash(tuple(self.shape.items()))

    def __repr__(self) -> str:
        return f"AbstractMesh(axis_sizes={self.axis_sizes}, axis_names={self.axis_names})"


class Mesh(_WithAxisTypes):
    """An array of devices whose axes have names.

    Args:
        devices: an array, or nested lists, of devices.
        axis_names: a name for each axis of it.
        axis_types: kept; how values are laid out is said by specs alone.
    Raises:
        ValueError: names that do not fit the axes or stand twice, or a device that stands twice.
    """

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None) -> None:
        array = devices if isinstance(devices, np.ndarray) else _objects(devices)  # pyright: ignore[reportUnknownVariableType]
        self.devices: np.ndarray[Any, Any] = array
        self.axis_names: tuple[Any, ...] = (
            (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        )
        self.axis_types = axis_types or (AxisType.Auto,) * len(self.axis_names)
        shape, names = self.devices.shape, self.axis_names
        if len(shape) != len(names) or len(set(names)) < len(names):
            raise ValueError(
                f"Mesh: got devices of shape {shape} and the axis names {names}.\n  {user_line()}\n"
                "  Give one name for each axis, each another."
            )
        self.ranks: tuple[Device, ...] = tuple(self.devices.ravel())
        twice = [d for k, d in enumerate(self.ranks) if d in self.ranks[:k]]
        if twice:
            raise ValueError(
                f"Mesh: {twice[0]} stands twice among the devices.\n  {user_line()}\n"
                "  Each device can have one place in a mesh."
            )

    @property
    def axis_sizes(self) -> Shape:
        return self.devices.shape

    @property
    def shape(self) -> dict[Any, int]:
        return dict(zip(self.axis_names, self.devices.shape, strict=True))

    @property
    def shape_tuple(self) -> tuple[tuple[Any, int], ...]:
        return tuple(self.shape.items())

    @property
    def size(self) -> int:
        return self.devices.size

    @property
    def empty(self) -> bool:
        return not self.axis_names

    @property
    def device_ids(self) -> np.ndarray[Any, Any]:
        return np.array([d.id for d in self.ranks]).reshape(self.devices.shape)

    @property
    def is_multi_process(self) -> bool:
        return False

    @property
    def local_mesh(self) -> Mesh:
        return self

    @property
    def local_devices(self) -> list[Device]:
        return list(self.ranks)

    @property
    def abstract_mesh(self) -> AbstractMesh:
        return AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types)

    def coordinates(self) -> list[dict[Any, int]]:
        """For each device, in order, its place along each axis."""
        ranges = [range(n) for n in self.axis_sizes]
        places = itertools.product(*ranges)
        return [dict(zip(self.axis_names, place, strict=True)) for place in places]

    def over(self, names: frozenset[Any]) -> Mesh:
        """The mesh of some of the axes; along the others the first devices."""
        at = tuple(slice(None) if name in names else 0 for name in self.axis_names)
        kept = [name for name in self.axis_names if name in names]
        part: Any = self.devices[at]
        return Mesh(part if isinstance(part, np.ndarray) else _objects(part), kept)  # pyright: ignore[reportUnknownArgumentType]

    def __enter__(self) -> Mesh:
        _current.meshes = (*_current.meshes, self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.meshes = _current.meshes[:-1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mesh):
            return NotImplemented
        return (self.axis_names, self.axis_sizes, self.ranks) == (
            other.axis_names,
            other.axis_sizes,
            other.ranks,
        )

    def __hash__(self) -> int:
        return hash((self.axis_names, self.axis_sizes, self.ranks))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name!r}: {size}" for name, size in self.shape.items())
        return f"Mesh({sizes}, of {', '.join(map(str, self.ranks))})"


class _Current(threading.local):
    meshes: tuple[Mesh, ...] = ()
    abstract: tuple[AbstractMesh, ...] = ()


_current = _Current()


def current_mesh() -> Mesh | None:
    """The mesh of the innermost `with mesh:` or `set_mesh` around, if there is one."""
    return _current.meshes[-1] if _current.meshes else None


def get_mesh() -> Mesh:
    """The mesh of the innermost `with mesh:` or `set_mesh` around; else one without axes."""
    return current_mesh() or Mesh(_objects([default_devices()[0]]).reshape(()), ())


def get_abstract_mesh() -> AbstractMesh:
    """Names and sizes of the axes of `use_abstract_mesh`, or else of `get_mesh`."""
    if _current.abstract:
        return _current.abstract[-1]
    mesh = current_mesh()
    return AbstractMesh((), ()) if mesh is None else mesh.abstract_mesh


class use_abstract_mesh:
    """Within a with-statement, `get_abstract_mesh` gives this mesh; programs run where they did.

    Raises:
        TypeError: something else than an AbstractMesh.
    """

    def __init__(self, mesh: AbstractMesh) -> None:
        if not isinstance(mesh, AbstractMesh):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"use_abstract_mesh takes an AbstractMesh, got {mesh!r}.\n  {user_line()}\n  Give "
                "mesh.abstract_mesh of a mesh of devices, or set that one by set_mesh."
            )
        self.mesh = mesh

    def __enter__(self) -> AbstractMesh:
        _current.abstract = (*_current.abstract, self.mesh)
        return self.mesh

    def __exit__(self, *_: object) -> None:
        _current.abstract = _current.abstract[:-1]


class set_mesh:
    """Make a mesh the one that `shard_map` takes where it is given none.

    As a with-statement until its end; as a call, from then on in this thread.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.before = _current.meshes
        _current.meshes = (*self.before, mesh)

    def __enter__(self) -> Mesh:
        return self.mesh

    def __exit__(self, *_: object) -> None:
        _current.meshes = self.before


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[str],
    axis_types: Any = None,
    *,
    devices: Sequence[Device] | None = None,
) -> Mesh:
    """A mesh whose axes have these sizes and names.

    Args:
        axis_types: kept in the mesh; arrays are laid out as specs say whatever they are.
        devices: which ones, row-major; by default the first of `funcgrad.devices()`.
    Raises:
        ValueError: there are too few devices, or sizes and names do not match.
    """
    shape, names = tuple(map(int, axis_shapes)), tuple(axis_names)
    if len(shape) != len(names):
        raise ValueError(
            f"make_mesh: {len(shape)} sizes {shape} and {len(names)} names {names}.\n"
            f"  {user_line()}\n  Give one name for each axis."
        )
    given = default_devices() if devices is None else list(devices)
    count = math.prod(shape)
    if count > len(given):
        raise ValueError(
            f"make_mesh: a mesh of shape {shape} needs {count} devices, and there are "
            f"{len(given)}: {', '.join(map(str, given))}.\n  {user_line()}\n  Make it smaller; on "
            f'a CPU, config.update("num_cpu_devices", {count}) gives as many devices.'
        )
    return Mesh(_objects(given[:count]).reshape(shape), names, axis_types)


def default_devices() -> list[Device]:
    """All devices of the platform that computes what names no device."""
    chosen = config.default_device
    return devices(chosen if isinstance(chosen, str) else getattr(chosen, "platform", None))


def _objects(given: Any) -> np.ndarray[Any, Any]:
    """An array of devices, of the shape of nested lists."""
    if isinstance(given, (list, tuple)) and given:
        return np.stack([_objects(d) for d in given])  # pyright: ignore[reportUnknownVariableType]
    return np.array(given, object)


# What lies where.


def local_shape(spec: PartitionSpec, shape: Shape, sizes: dict[Any, int]) -> Shape:
    """The shape of the part of an array that each device has.

    Raises:
        ValueError: more entries than axes, or an extent that does not divide.
    """
    names = spec.names()
    if len(names) > len(shape):
        raise ValueError(f"it has {len(names)} entries, and the array {len(shape)} axes")
    found = list(shape)
    for axis, entry in enumerate(names):
        count = math.prod(sizes[name] for name in entry)
        if found[axis] % count:
            over = " × ".join(map(repr, entry))
            raise ValueError(
                f"axis {axis} of extent {found[axis]} does not divide by {count}, over {over}"
            )
        found[axis] //= count
    return tuple(found)


def whole_shape(spec: PartitionSpec, shape: Shape, sizes: dict[Any, int]) -> Shape:
    """The shape of an array whose parts have this one.

    Raises:
        ValueError: more entries than axes.
    """
    names = spec.names()
    if len(names) > len(shape):
        raise ValueError(f"it has {len(names)} entries, and the array {len(shape)} axes")
    found = list(shape)
    for axis, entry in enumerate(names):
        found[axis] *= math.prod(sizes[name] for name in entry)
    return tuple(found)


def parts(spec: PartitionSpec, shape: Shape, mesh: Mesh) -> Iterator[tuple[slice, ...]]:
    """For each device of a mesh, in order, which part of an array of this shape it has."""
    sizes = mesh.shape
    extents = local_shape(spec, shape, sizes)
    for place in mesh.coordinates():
        at: list[slice] = []
        for axis, entry in enumerate(spec.names()):
            index = 0
            for name in entry:
                index = index * sizes[name] + place[name]
            at.append(slice(index * extents[axis], (index + 1) * extents[axis]))
        yield (*at, *[slice(None)] * (len(shape) - len(at)))


def firsts(spec: PartitionSpec, mesh: Mesh) -> list[int]:
    """Of the devices that have one part, the first ones: together they have an array once."""
    named = spec.mentioned()
    return [
        k
        for k, place in enumerate(mesh.coordinates())
        if not any(index for name, index in place.items() if name not in named)
    ]
