"""Arrays divided over several GPUs, and the programs that run on all of them.

In: arrays, a mesh, specs. Out: arrays whose parts stay on their devices. The one idea: what one
device has of an array is an array of that device; a whole one is put together where it is asked
for: on the host where it is read, on the first device for an operation outside of shard_map.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.composed import compose
from ..core.devices import Device
from ..core.evaluate import eval_closed
from ..core.meshes import Mesh, PartitionSpec, local_shape, whole_shape
from ..core.primitive import Primitive
from ..core.remote import RemoteArray
from ..core.shardings import NamedSharding, Shard, Sharding
from ..core.sources import user_line
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Jaxpr, subjaxprs
from ..locks import lock
from ..primitives.indexing import dynamic_slice_in_dim
from .accelerators import CudaHome, home_at
from .collectives import all_gather, axis_index
from .direct import matched
from .jit import jit_p, simplified
from .mesh_page import page
from .pieces import Pieces, divided, memories_of, shared
from .segments import run_segments, segments
from .shard_map import inside, shard_map_p

if TYPE_CHECKING:
    from ..kernels.cuda.nccl import Nccl
    from ..kernels.cuda.runtime.mesh import MeshExecutable
    from ..kernels.cuda.runtime.place import Place


class MeshHome:
    """Several GPUs that have arrays together, and compute with them.

    Args:
        homes: the devices, in the order of the mesh.
    """

    def __init__(self, homes: Sequence[CudaHome], mesh: Mesh) -> None:
        self.homes = list(homes)
        self._mesh = mesh
        self._programs: weakref.WeakKeyDictionary[ClosedJaxpr, dict[Mesh, MeshExecutable]]
        self._programs = weakref.WeakKeyDictionary()
        self._nccl: Nccl | None = None

    @property
    def device(self) -> Device:
        """The first of them."""
        return self.homes[0].device

    @property
    def device_set(self) -> set[Device]:
        """All of them."""
        return {home.device for home in self.homes}

    # Arrays.

    def put(self, x: Any, sharding: Sharding) -> RemoteArray:
        """A value as an array of its own, whose parts are on the devices."""
        pieces = shared(x, divided(x, sharding, self.homes))
        return RemoteArray(pieces, pieces.aval, self, True)

    def shards(self, memory: Pieces, aval: ShapedArray) -> list[Shard]:
        """The parts of an array, each with its device and its place."""
        for part in memory.parts:
            # Whoever asks may keep them.
            part.alive().shared = True
        return memory.shards()

    def fetch(self, memory: Pieces, aval: ShapedArray, coming: Any) -> np.ndarray[Any, Any]:
        """A copy of the whole in the host's memory; waits for it."""
        first = [s for s in memory.shards() if not s.replica_id]
        self.begin(memory, aval)
        whole = np.empty(aval.shape, aval.dtype)
        for shard in first:
            whole[shard.index] = shard.data.numpy()
        return whole

    def begin(self, memory: Pieces, aval: ShapedArray) -> None:
        """Begin to copy an array to the host."""
        for shard in memory.shards():
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

    def brought(self, memory: Pieces, place: Place) -> Any:
        """The whole array on one device, which may be one of these."""
        found = memory.together(place)
        found.shared |= any(part.memory is found for part in memory.parts)
        return found

    # Programs.

    def evaluate(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive: `shard_map` to parts, others on every device to all of it."""
        if primitive is jit_p:
            return self.run(params["jaxpr"], args)
        if primitive is shard_map_p:
            return self.mapped(args, params)
        outs = self.run(self.homes[0].staged(primitive, args, params), args)
        return outs if primitive.multiple_results else outs[0]

    def run(
        self, closed: ClosedJaxpr, args: Sequence[Any], donated: Sequence[int] = ()
    ) -> list[Any]:
        """Run a program: each `shard_map` divided, what is between them whole on every device."""
        given = [x.alive().sharding for x in args if type(x) is RemoteArray and x.home is self]
        mesh = next((s.mesh for s in given if isinstance(s, NamedSharding)), None)
        between = partial(self._everywhere, mesh or mesh_within(closed.jaxpr) or self._mesh)
        return run_segments(simplified(closed), args, shard_map_p, self.mapped, between, donated)

    def mapped(
        self, args: Sequence[Any], params: dict[str, Any], free: Sequence[int] = ()
    ) -> list[RemoteArray]:
        """The results of a `shard_map`, their parts on their devices.

        Args:
            free: operands that nobody reads any more.
        """
        specs = params["in_specs"], params["out_specs"]
        return self._divided(params["jaxpr"], params["mesh"], specs, args, free)

    def _divided(
        self,
        closed: ClosedJaxpr,
        mesh: Mesh,
        specs: tuple[Sequence[PartitionSpec], Sequence[PartitionSpec]],
        args: Sequence[Any],
        free: Sequence[int],
    ) -> list[RemoteArray]:
        """The results of a program that every device runs on its parts."""
        theirs = {id(m) for x in args if type(x) is RemoteArray for m in memories_of(x)}
        given = [
            divided(x, NamedSharding(mesh, spec), self.homes).parts
            for x, spec in zip(args, specs[0], strict=True)
        ]
        program = self._executable(closed, mesh)
        held: list[list[Any]] = []
        reused: list[list[tuple[int, int]]] = []
        for k, part in enumerate(program.parts):
            mine = [parts[k].alive() for parts in given]
            sole = {
                i
                for i, memory in enumerate(mine)
                if (i in free or id(memory) not in theirs)
                and not memory.shared
                and mine.count(memory) == 1
            }
            held.append(mine)
            reused.append(matched(part.reusable, closed.in_avals, closed.out_avals, sole))
        made = program(held, reused)
        outs: list[RemoteArray] = []
        for n, (aval, spec) in enumerate(zip(closed.out_avals, specs[1], strict=True)):
            parts = [
                RemoteArray(memories[n], aval, home, True)
                for memories, home in zip(made, self.homes, strict=True)
            ]
            outs.append(self._joined(parts, aval, NamedSharding(mesh, spec)))
        return outs

    def _everywhere(
        self, mesh: Mesh, closed: ClosedJaxpr, args: Sequence[Any], free: Sequence[int]
    ) -> list[RemoteArray]:
        """The results of a program that every device runs on whole arrays: they have the same."""
        same = NamedSharding(mesh, PartitionSpec())
        if mesh_within(closed.jaxpr) is not None:
            specs = [same.spec] * len(args), [same.spec] * len(closed.out_avals)
            return self._divided(closed, mesh, specs, args, free)
        whole = [divided(x, same, self.homes).parts for x in args]
        first = self.homes[0].executable(closed)
        if first.commands.leaves:
            # The host's part of it is done once.
            outs = self.homes[0].run(closed, [parts[0] for parts in whole])
            return [self.put(out, same) for out in outs]
        for home in self.homes[1:]:
            home.executable(closed, first)
        made = [
            home.run(closed, [parts[k] for parts in whole], free)
            for k, home in enumerate(self.homes)
        ]
        return [self._joined(list(parts), parts[0].aval, same) for parts in zip(*made, strict=True)]

    def _joined(
        self, parts: list[RemoteArray], aval: ShapedArray, sharding: NamedSharding
    ) -> RemoteArray:
        shape = whole_shape(sharding.spec, aval.shape, sharding.mesh.shape)
        whole = aval.update(shape=shape)
        return RemoteArray(Pieces(sharding, parts, whole), whole, self, True)

    def _executable(self, closed: ClosedJaxpr, mesh: Mesh) -> MeshExecutable:
        """The program of a body on the devices, made once.

        Raises:
            NoKernelError: it has a step without a kernel.
        """
        known = self._programs.setdefault(closed, {})
        found = known.get(mesh)
        if found is None:
            from ..kernels.cuda.runtime.mesh import MeshExecutable

            places = [home.place for home in self.homes]
            program = self.homes[0].lowered(closed)
            name = closed.jaxpr.debug_name or "the program"
            found = MeshExecutable(program, places, mesh.coordinates(), name, self._joining)
            known[mesh] = found
        return found

    def explain(
        self, closed: ClosedJaxpr, args: Sequence[tuple[str, ShapedArray, str]], name: str
    ) -> str:
        """A page on a program on these devices.

        Args:
            args: of each argument its name, and the device it is on; "" is the host's memory.
        """
        return page(name, segments(simplified(closed).jaxpr, shard_map_p), args, self.homes)

    def arena(self, closed: ClosedJaxpr) -> int:
        """Bytes of each device that a program takes beside its arguments and results."""
        from ..kernels.cuda.runtime.writing import commands_of

        total = 0
        for segment in segments(simplified(closed).jaxpr, shard_map_p):
            total += commands_of(self.homes[0].lowered(segment.body)).arena
        return total

    def _joining(self) -> Nccl:
        if self._nccl is None:
            from ..kernels.cuda.nccl import Nccl

            self._nccl = Nccl()
        return self._nccl


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
            found = _homes[mesh.ranks] = MeshHome(homes, mesh)
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


@compose("shard_map")
def within_a_program(*arrays: Any, **params: Any) -> list[Any]:
    """A `shard_map` inside of a loop or a branch that each device runs on whole arrays.

    Each takes its parts, and all gather the results: what is carried stays whole.
    """
    mesh: Mesh = params["mesh"]
    with inside(mesh):
        parts = [_own(x, s, mesh) for x, s in zip(arrays, params["in_specs"], strict=True)]
        outs = eval_closed(params["jaxpr"], *parts)
        return [_whole(y, s) for y, s in zip(outs, params["out_specs"], strict=True)]


def _own(x: Any, spec: PartitionSpec, mesh: Mesh) -> Any:
    """The part of an array that this device has by a spec."""
    extents = local_shape(spec, aval_of(x).shape, mesh.shape)
    for axis, names in enumerate(spec.names()):
        if names:
            x = dynamic_slice_in_dim(x, axis_index(names) * extents[axis], extents[axis], axis)
    return x


def _whole(x: Any, spec: PartitionSpec) -> Any:
    """The array of which each device has a part."""
    for axis, names in enumerate(spec.names()):
        if names:
            x = all_gather(x, names, axis=axis, tiled=True)
    return x
