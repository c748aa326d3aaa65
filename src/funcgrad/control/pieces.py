"""What devices have of an array, and how it comes from one sharding to another.

In: an array, a sharding, the devices. Out: arrays of the parts. The one idea: what is on devices
goes from device to device; what is on the host is brought once and goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.array import to_ndarray
from ..core.remote import RemoteArray
from ..core.shardings import Index, Shard, Sharding, shards_of
from ..core.trace import as_array
from ..ir.avals import ShapedArray
from .accelerators import CudaHome

if TYPE_CHECKING:
    from ..kernels.cuda.runtime.moves import Part
    from ..kernels.cuda.runtime.place import Place

# What is smaller is brought to each device by itself.
_SMALL = 1 << 16


class Pieces:
    """The parts of one array, in the order of the devices."""

    def __init__(self, sharding: Sharding, parts: list[RemoteArray], aval: ShapedArray) -> None:
        self.sharding = sharding
        self.parts = parts
        self.aval = aval

    def indices(self) -> list[Index]:
        """For each part, which it is."""
        return self.sharding.indices(self.aval.shape)

    def at(self, homes: Sequence[CudaHome]) -> list[Index] | None:
        """For each of these devices, which part it has; None where others have them."""
        return self.indices() if [part.home for part in self.parts] == list(homes) else None

    def located(self) -> list[Part]:
        """The parts, with the places that have them."""
        from ..kernels.cuda.runtime.moves import Part

        found: list[Part] = []
        for part, at in zip(self.parts, self.indices(), strict=True):
            home: Any = part.home
            found.append(Part(home.place, part.alive(), at))
        return found

    def together(self, place: Place) -> Any:
        """Memory of one device with the whole array."""
        whole = (slice(None),) * len(self.aval.shape)
        return _gathered(self.located(), [(place, whole)], self.aval)[0]

    def shards(self) -> list[Shard]:
        """The parts, each with its device and its place."""
        return shards_of(self.sharding, self.aval.shape, self.parts)


def divided(x: Any, sharding: Sharding, homes: Sequence[CudaHome]) -> Pieces:
    """The parts of a value on the devices; those that are there already are not copied."""
    given = as_array(x)
    aval = given.aval
    has = given.alive() if type(given) is RemoteArray else None
    indices = sharding.indices(aval.shape)
    if isinstance(has, Pieces) and has.at(homes) == indices:
        return Pieces(sharding, has.parts, aval)
    wanted = list(zip(homes, indices, strict=True))
    local = aval.update(shape=sharding.shard_shape(aval.shape))
    parts = _located(given)
    if parts is None:
        memories = _brought(to_ndarray(given), local, wanted)
    else:
        memories = _gathered(parts, [(home.place, at) for home, at in wanted], aval)
    made = [RemoteArray(m, local, home, True) for m, home in zip(memories, homes, strict=True)]
    return Pieces(sharding, made, aval)


def shared(x: Any, pieces: Pieces) -> Pieces:
    """The parts of a value that stays an array of its own: nobody writes over what both have."""
    if type(x) is RemoteArray:
        for part in pieces.parts:
            part.alive().shared |= any(part.memory is own for own in memories_of(x))
    return pieces


def memories_of(x: RemoteArray) -> list[Any]:
    """The memory of an array, on one device or on several."""
    memory = x.alive()
    return [part.alive() for part in memory.parts] if isinstance(memory, Pieces) else [memory]


def _located(x: Any) -> list[Part] | None:
    """The parts of an array that is on devices; None of one that is on the host."""
    from ..kernels.cuda.runtime.moves import Part

    if type(x) is not RemoteArray:
        return None
    memory = x.alive()
    if isinstance(memory, Pieces):
        return memory.located()
    if isinstance(x.home, CudaHome):
        return [Part(x.home.place, memory, (slice(None),) * len(x.shape))]
    return None


def _gathered(
    parts: Sequence[Part], wanted: Sequence[tuple[Place, Index]], aval: ShapedArray
) -> list[Any]:
    from ..kernels.cuda.runtime.moves import gathered

    return gathered(parts, wanted, aval.shape, aval.dtype.itemsize)


def _brought(
    whole: np.ndarray[Any, Any], local: ShapedArray, wanted: Sequence[tuple[CudaHome, Index]]
) -> list[Any]:
    """Memory of the devices with parts of an array of the host, each brought once."""
    from ..kernels.cuda.runtime.moves import Part
    from ..kernels.runtime.scripts import words_of

    first: dict[str, tuple[CudaHome, Any]] = {}
    found: list[Any] = []
    each = (slice(None),) * len(local.shape)
    small = local.size * local.dtype.itemsize <= _SMALL
    for home, at in wanted:
        known = first.get(repr(at))
        if known is None or small:
            memory = home.place.upload(words_of(np.ascontiguousarray(whole[at])))
            known = first[repr(at)] = home, memory
            found.append(memory)
        else:
            part = Part(known[0].place, known[1], each)
            found += _gathered([part], [(home.place, each)], local)
    return found
