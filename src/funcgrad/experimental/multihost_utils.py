"""What several processes do together, for the one process there is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tree
from ..api.placement import device_put
from ..control.layouts import shardings_of
from ..core.meshes import Mesh, PartitionSpec
from ..core.shardings import NamedSharding

__all__ = [
    "assert_equal",
    "broadcast_one_to_all",
    "global_array_to_host_local_array",
    "host_local_array_to_global_array",
    "process_allgather",
    "sync_global_devices",
]


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The arrays of all processes, as NumPy arrays, one behind the other.

    Args:
        in_tree: a pytree of arrays.
        tiled: along their first axis; else along a new one, of size 1 here.
    """
    found = tree.map(np.asarray, in_tree)
    return found if tiled else tree.map(lambda x: x[None], found)


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The arrays of the process that is the source, as NumPy arrays.

    Args:
        in_tree: a pytree of arrays.
        is_source: whether this process is it, which it is.
    """
    return tree.map(np.asarray, in_tree)


def sync_global_devices(name: str) -> None:
    """Wait for the other processes: there are none."""


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Check that all processes have the same arrays, as one process has."""


def host_local_array_to_global_array(local_inputs: Any, global_mesh: Mesh, pspecs: Any) -> Any:
    """Arrays over a mesh, of what this process has of them: all.

    Args:
        local_inputs: a pytree of arrays.
        global_mesh: the mesh.
        pspecs: a PartitionSpec for each of them, or a tree prefix.
    Raises:
        ValueError: an array does not divide so.
    """
    given = shardings_of(_over(global_mesh, pspecs), local_inputs, "pspecs")
    leaves, structure = tree.flatten(local_inputs)
    return tree.unflatten(structure, [device_put(x, s) for x, s in zip(leaves, given, strict=True)])


def global_array_to_host_local_array(global_inputs: Any, global_mesh: Mesh, pspecs: Any) -> Any:
    """What this process has of arrays over a mesh: all of them, as they are.

    Args:
        global_inputs: a pytree of arrays.
        global_mesh: the mesh.
        pspecs: a PartitionSpec for each of them, or a tree prefix.
    """
    shardings_of(_over(global_mesh, pspecs), global_inputs, "pspecs")
    return global_inputs


def _over(mesh: Mesh, specs: Any) -> Any:
    """Shardings for specs; None is a spec that divides nothing."""
    if specs is None or isinstance(specs, PartitionSpec):
        return NamedSharding(mesh, specs or PartitionSpec())
    return tree.map(
        lambda s: NamedSharding(mesh, s or PartitionSpec()), specs, is_leaf=lambda x: x is None
    )
