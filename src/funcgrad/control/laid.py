"""Arrays over the devices of a CPU: whole in the one memory there is, with a sharding.

In: arrays, shardings. Out: arrays that name their devices and parts. The one idea: what JAX's users
ask of an array on a mesh is answered as on GPUs, and nothing is copied for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.array import Array, to_ndarray
from ..core.devices import Device
from ..core.meshes import PartitionSpec
from ..core.primitive import Primitive
from ..core.remote import RemoteArray
from ..core.shardings import NamedSharding, Shard, Sharding, shards_of
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr
from ..locks import lock
from .accelerators import HostHome
from .jit import jit_p, run


class Laid(NamedTuple):
    """An array in the host's memory, and where it is said to lie."""

    array: np.ndarray[Any, Any]
    sharding: Sharding


class HostMesh(HostHome):
    """Several devices of the CPU that have arrays together."""

    def __init__(self, devices: tuple[Device, ...]) -> None:
        self._devices = devices

    @property
    def device(self) -> Device:
        """The first of them."""
        return self._devices[0]

    @property
    def device_set(self) -> set[Device]:
        """All of them."""
        return set(self._devices)

    def lay(self, x: Any, sharding: Sharding) -> RemoteArray:
        """A value on these devices."""
        return RemoteArray(Laid(to_ndarray(x), sharding), aval_of(x), self, True)

    def shards(self, memory: Laid, aval: ShapedArray) -> list[Shard]:
        """The parts of an array, each with its device and its place."""
        indices = memory.sharding.indices(aval.shape)
        parts = [Array(np.asarray(memory.array[at], order="C")) for at in indices]
        return shards_of(memory.sharding, aval.shape, parts)

    def fetch(self, memory: Laid, aval: ShapedArray, coming: Any) -> np.ndarray[Any, Any]:
        """The array itself."""
        return memory.array

    def address(self, memory: Laid) -> int:
        """Where the memory begins."""
        return memory.array.ctypes.data

    def evaluate(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive to arrays; its results lie whole on all devices."""
        if primitive is jit_p:
            return self.run(params["jaxpr"], args)
        outs = primitive.evaluate_here(args, params)
        return self.whole(outs, args) if primitive.multiple_results else self.whole([outs], args)[0]

    def whole(self, outs: Sequence[Any], args: Sequence[Any]) -> list[RemoteArray]:
        """Results that every device has, on the mesh of the first argument that has one."""
        given = (x.alive().sharding for x in args if type(x) is RemoteArray and x.home is self)
        mesh = next(s.mesh for s in given if isinstance(s, NamedSharding))
        return [self.lay(x, NamedSharding(mesh, PartitionSpec())) for x in outs]

    def run(
        self, closed: ClosedJaxpr, args: Sequence[Any], donated: Sequence[int] = ()
    ) -> list[Any]:
        """Run a program; what a `shard_map` gives lies by its specs, the rest whole."""
        from .layouts import specs_within

        outs = run(closed, [to_ndarray(x) for x in args])
        arrays = [Array(x, a) for x, a in zip(outs, closed.out_avals, strict=True)]
        found = self.whole(arrays, args)
        said = specs_within(closed)
        for k, var in enumerate(closed.jaxpr.outvars):
            sharding = said.get(var)  # pyright: ignore[reportArgumentType, reportCallIssue]
            if sharding is not None and set(sharding.mesh.ranks) == self.device_set:
                found[k] = self.lay(arrays[k], sharding)
        return found


_known: dict[tuple[Device, ...], HostMesh] = {}
_lock = lock()


def host_mesh(sharding: NamedSharding) -> HostMesh:
    """The devices of the CPU that a sharding names."""
    with _lock:
        return _known.setdefault(sharding.mesh.ranks, HostMesh(sharding.mesh.ranks))
