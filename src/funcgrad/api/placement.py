"""Where arrays are: device_put, device_get, waiting, and forgetting what was cached."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tree
from ..control.accelerators import by_default, home_at, placed
from ..control.layouts import laid_out, resolved
from ..core.array import Array
from ..core.devices import Device
from ..core.formats import Format, sharding_of
from ..core.meshes import PartitionSpec
from ..core.primitive import registry
from ..core.shardings import Sharding
from ..core.trace import Tracer, as_array


def device_put(x: Any, device: Any = None, *, donate: bool = False, **_: Any) -> Any:
    """The tree with its leaves on a device, as Arrays; without one, Arrays stay where they are.

    Args:
        device: one of `devices()` or `devices("gpu")`; "cpu", "gpu"; a sharding; a PartitionSpec
            over the mesh that is set; a Format; None; or a tree prefix of these. Arrays put
            somewhere stay there: what is computed with them is computed there. The devices of the
            CPU share one memory, in which arrays are whole.
        donate: arrays that are moved elsewhere are deleted where they were.
    Raises:
        RuntimeError: the device is not present.
        ValueError: an array does not divide as a sharding says, or a layout is not row-major.
    """
    leaves, structure = tree.flatten(x)
    several = not isinstance(device, (Format, Sharding, PartitionSpec, Device, str, type(None)))
    places = tree.flatten_prefix(device, x) if several else [device] * len(leaves)

    def put(leaf: Any, place: Any) -> Any:
        if isinstance(place, Format):
            place = sharding_of(place, np.ndim(leaf), "device_put")
        if isinstance(place, (Sharding, PartitionSpec)):
            moved = laid_out(leaf, resolved(place, "device_put", ValueError))
        elif place is not None:
            home = home_at(place)
            assert home is not None
            moved = placed(leaf, home)
        else:
            moved = leaf if isinstance(leaf, Array) else by_default(as_array(leaf))
        if donate and isinstance(leaf, Array) and moved.devices() != leaf.devices():
            leaf.delete()
        return moved

    found = [put(leaf, place) for leaf, place in zip(leaves, places, strict=True)]
    return tree.unflatten(structure, found)


def device_get(x: Any) -> Any:
    """The tree with its Arrays as NumPy arrays.

    Raises:
        TracerArrayConversionError: a leaf is traced.
    """
    return tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, (Array, Tracer)) else leaf, x)


def block_until_ready(x: Any) -> Any:
    """The tree itself, once its arrays are computed."""
    for leaf in tree.leaves(x):
        if hasattr(leaf, "block_until_ready"):
            leaf.block_until_ready()
    return x


def effects_barrier() -> None:
    """Nothing to wait for: effects happen in order, before the call that makes them returns."""


def clear_caches() -> None:
    """Forget what was inferred and traced; programs in use are traced again at their next call."""
    for primitive in registry.values():
        primitive.forget()
