"""Arrays divided over several GPUs, and the programs that run on all of them.

In: arrays, a mesh, specs. Out: arrays whose parts stay on their devices. The one idea: what one
device has of an array is an array of that device; a whole one is put together where it is asked
for: on the host where it is read, on the first device for an operation outside of shard_map.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.array import Array, to_ndarray
from ..core.devices import Device
from ..core.meshes import Mesh, PartitionSpec, whole_shape
from ..core.primitive import Primitive
from ..core.remote import RemoteArray
from ..core.shardings import NamedSharding
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr, Jaxpr, subjaxprs
from ..locks import lock
from .accelerators import CudaHome, home_at
from .jit import jit_p, simplified, simplified_for_gpu
from .segments import run_segments
from .shard_map import shard_map_p

if TYPE_CHECKING:
    from ..kernels.cuda.nccl import Nccl
    from ..kernels.cuda.runtime.mesh import MeshExecutable
    from ..kernels.cuda.runtime.place import Place


@dataclass(frozen=True)
class Shard:
    """The part of an array that one device has.

    Attributes:
        index: which part it is; `replica_id`: how many devices before this one have the same.
    """

    device: Device
    index: tuple[slice, ...]
    replica_id: int
    data: RemoteArray


class Pieces:
    """The parts of one array, in the order of the devices."""

    def __init__(self, sharding: NamedSharding, parts: list[RemoteArray]) -> None:
        self.sharding = sharding
        self.parts = parts


class MeshHome:
    """Several GPUs that have arrays together, and compute with them.

    Args:
        homes: the devices, in the order of the mesh.
    """

    def __init__(self, homes: Sequence[CudaHome]) -> None:
        self.homes = list(homes)
        self._programs: weakref.WeakKeyDictionary[ClosedJaxpr, dict[Mesh, MeshExecutable]]
        self._programs = weakref.WeakKeyDictionary()
        self._nccl: Nccl | None = None

    @property
    def device(self) -> Device:
        """The first of them, on which operations are done outside of shard_map."""
        return self.homes[0].device

    @property
    def device_set(self) -> set[Device]:
        """All of them."""
        return {home.device for home in self.homes}

    # Arrays.

    def divided(self, x: Any, sharding: NamedSharding) -> RemoteArray:
        """An array whose parts are on the devices."""
        if type(x) is RemoteArray and x.home is self:
            same = x.alive().sharding
            if same == sharding or same.is_equivalent_to(sharding, len(x.shape)):
                return RemoteArray(Pieces(sharding, x.alive().parts), x.aval, self, True)
        given = as_array(x)
        whole = to_ndarray(given)
        places = zip(self.homes, sharding.indices(whole.shape), strict=True)
        parts = [home.put(np.ascontiguousarray(whole[at]), True) for home, at in places]
        return RemoteArray(Pieces(sharding, parts), given.aval, self, True)

    def shards(self, pieces: Pieces, aval: ShapedArray) -> list[Shard]:
        """The parts of an array, each with its device and its place."""
        seen: dict[str, int] = {}
        found: list[Shard] = []
        for part, at in zip(pieces.parts, pieces.sharding.indices(aval.shape), strict=True):
            key = repr(at)
            found.append(Shard(part.device, at, seen.get(key, 0), part))
            seen[key] = seen.get(key, 0) + 1
        return found

    def fetch(self, memory: Pieces, aval: ShapedArray, coming: Any) -> np.ndarray[Any, Any]:
        """A copy of the whole in the host's memory; waits for it."""
        first = [s for s in self.shards(memory, aval) if not s.replica_id]
        for shard in first:
            shard.data.copy_to_host_async()
        whole = np.empty(aval.shape, aval.dtype)
        for shard in first:
            whole[shard.index] = shard.data.numpy()
        return whole

    def begin(self, memory: Pieces, aval: ShapedArray) -> None:
        """Begin to copy an array to the host."""
        for shard in self.shards(memory, aval):
            if not shard.replica_id:
                shard.data.copy_to_host_async()

    def is_done(self, memory: Pieces) -> bool:
        """Whether all parts are computed."""
        return all(part.is_ready() for part in memory.parts)

    def wait(self, memory: Pieces) -> None:
        """Return when all parts are computed."""
        for part in memory.parts:
            part.block_until_ready()

    def address(self, memory: Pieces) -> int:
        """There is none: the parts are in several memories."""
        raise ValueError(
            f"An array divided over {len(self.homes)} GPUs has no one address.\n  {user_line()}\n"
            "  Ask its parts: x.addressable_shards[k].data."
        )

    def interface(self, memory: Pieces, aval: ShapedArray) -> dict[str, Any]:
        """There is none: the parts are in several memories."""
        raise AttributeError(f"{aval.long()} is divided over {len(self.homes)} GPUs.")

    def capsule(self, array: RemoteArray, stream: Any, options: dict[str, Any]) -> Any:
        """There is none but of a copy in the host's memory."""
        raise BufferError(
            f"{array.aval.long()} is divided over {len(self.homes)} GPUs.\n  {user_line()}\n"
            "  Bring it to one device by device_put, or give its parts, x.addressable_shards."
        )

    @property
    def number(self) -> tuple[int, int]:
        """DLPack's kind of device, and the number of the first."""
        return self.homes[0].number

    def whole(self, x: Any) -> Any:
        """A value on the first device."""
        if type(x) is RemoteArray and x.home is self:
            if x.alive().sharding.is_fully_replicated:
                return x.alive().parts[0]
            return self.homes[0].put(Array(x.numpy(), x.aval), True)
        return x

    def brought(self, memory: Pieces, place: Place) -> Any:
        """One of the parts, where each is the whole; None: the host puts it together."""
        if not memory.sharding.is_fully_replicated:
            return None
        near = [p for p in memory.parts if getattr(p.home, "place", None) is place]
        part = (near or memory.parts)[0]
        return part.home.brought(part.alive(), place)

    # Programs.

    def evaluate(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive: `shard_map` on all devices, others on the first."""
        if primitive is jit_p:
            return self.run(params["jaxpr"], args)
        if primitive is shard_map_p:
            return self.mapped(args, params)
        return self.homes[0].evaluate(primitive, [self.whole(x) for x in args], params)

    def run(
        self, closed: ClosedJaxpr, args: Sequence[Any], donated: Sequence[int] = ()
    ) -> list[Any]:
        """Run a program: each `shard_map` on all devices, what is between them on the first."""

        def between(part: ClosedJaxpr, values: Sequence[Any]) -> list[Any]:
            return self.homes[0].run(part, [self.whole(x) for x in values])

        return run_segments(simplified(closed), args, shard_map_p, self.mapped, between)

    def mapped(self, args: Sequence[Any], params: dict[str, Any]) -> list[RemoteArray]:
        """The results of a `shard_map`, their parts on their devices."""
        closed, mesh = params["jaxpr"], params["mesh"]
        ins = [
            self.divided(x, NamedSharding(mesh, spec)).alive().parts
            for x, spec in zip(args, params["in_specs"], strict=True)
        ]
        held = [[parts[k].alive() for parts in ins] for k in range(len(self.homes))]
        made = self._executable(closed, mesh)(held)
        outs: list[RemoteArray] = []
        for n, (aval, spec) in enumerate(zip(closed.out_avals, params["out_specs"], strict=True)):
            parts = [
                RemoteArray(memories[n], aval, home, True)
                for memories, home in zip(made, self.homes, strict=True)
            ]
            outs.append(self._joined(parts, aval, mesh, spec))
        return outs

    def _joined(
        self, parts: list[RemoteArray], aval: ShapedArray, mesh: Mesh, spec: PartitionSpec
    ) -> RemoteArray:
        whole = aval.update(shape=whole_shape(spec, aval.shape, mesh.shape))
        return RemoteArray(Pieces(NamedSharding(mesh, spec), parts), whole, self, True)

    def _executable(self, closed: ClosedJaxpr, mesh: Mesh) -> MeshExecutable:
        """The program of a body on the devices, made once.

        Raises:
            NoKernelError: it has a step without a kernel.
        """
        known = self._programs.setdefault(closed, {})
        found = known.get(mesh)
        if found is None:
            from ..kernels.cuda.nccl import Nccl
            from ..kernels.cuda.program import cuda_program
            from ..kernels.cuda.runtime.mesh import MeshExecutable

            self._nccl = self._nccl or Nccl()
            places = [home.place for home in self.homes]
            program = cuda_program(simplified_for_gpu(closed), simplified_for_gpu, places[0].takes)
            name = closed.jaxpr.debug_name or "the program"
            found = MeshExecutable(program, places, mesh.coordinates(), name, self._nccl)
            known[mesh] = found
        return found


_homes: dict[tuple[Device, ...], MeshHome] = {}
_lock = lock()


def mesh_home(mesh: Mesh) -> MeshHome | None:
    """Where arrays over a mesh are; None for a mesh of CPU devices, whose arrays are whole.

    Raises:
        RuntimeError: a device is not present.
        ValueError: the mesh has devices of several platforms.
    """
    platforms = {d.platform for d in mesh.ranks}
    if platforms == {"cpu"}:
        return None
    if len(platforms) > 1:
        raise ValueError(f"A mesh of devices of several platforms: {', '.join(sorted(platforms))}.")
    with _lock:
        found = _homes.get(mesh.ranks)
        if found is None or any(h is not home_at(h.device) for h in found.homes):
            homes: list[Any] = [home_at(d) for d in mesh.ranks]
            found = _homes[mesh.ranks] = MeshHome(homes)
        return found


_meshes: weakref.WeakKeyDictionary[Jaxpr, Mesh | None] = weakref.WeakKeyDictionary()


def mesh_within(jaxpr: Jaxpr) -> Mesh | None:
    """The mesh of the first `shard_map` in a program."""
    if jaxpr not in _meshes:
        found: Mesh | None = None
        for eqn in jaxpr.eqns:
            if not eqn.params:
                continue
            if eqn.primitive is shard_map_p:
                found = eqn.params["mesh"]
            for inner in subjaxprs(eqn.params):
                found = found or mesh_within(inner)
        _meshes[jaxpr] = found
    return _meshes[jaxpr]
