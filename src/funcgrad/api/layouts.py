"""Arrays over several devices, made of their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..control.layouts import laid_out
from ..core.array import Array, to_ndarray
from ..core.remote import RemoteArray
from ..core.shardings import Index, NamedSharding, Sharding
from ..core.sources import user_line
from ..core.trace import as_array


def make_array_from_callback(
    shape: Sequence[int],
    sharding: Sharding,
    data_callback: Callable[[Index], Any],
    dtype: Any = None,
) -> Array:
    """An array whose parts a function gives, each once.

    Args:
        shape: of the whole array.
        sharding: which part lies where.
        data_callback: gives the part at an index, a tuple of slices.
        dtype: of the array; by default that of the parts.
    Returns:
        A committed array.
    Raises:
        ValueError: the shape does not divide so, or a part has another shape.
    """
    whole = tuple(shape)
    local = sharding.shard_shape(whole)
    known: dict[str, np.ndarray[Any, Any]] = {}
    parts: list[np.ndarray[Any, Any]] = []
    for at in sharding.indices(whole):
        if repr(at) not in known:
            part = np.asarray(to_ndarray(as_array(data_callback(at))), dtype)
            if part.shape != local:
                raise ValueError(
                    f"make_array_from_callback: the part at {at} has the shape {part.shape}, and "
                    f"by {sharding!r} it has {local}.\n  {user_line()}"
                )
            known[repr(at)] = part
        parts.append(known[repr(at)])
    return _joined(parts, whole, sharding)


def make_array_from_process_local_data(
    sharding: Sharding, local_data: Any, global_shape: Sequence[int] | None = None
) -> Array:
    """An array of what this process has of it, which is all of it: there is one process.

    Raises:
        ValueError: `global_shape` is another one, or the array does not divide so.
    """
    shape = np.shape(local_data)
    if global_shape is not None and tuple(global_shape) != shape:
        raise ValueError(
            f"make_array_from_process_local_data: the one process has data of shape {shape}, and "
            f"global_shape is {tuple(global_shape)}.\n  {user_line()}"
        )
    return laid_out(as_array(local_data), sharding)


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Sharding, arrays: Sequence[Any], *, dtype: Any = None
) -> Array:
    """An array of parts that are on their devices already; on GPUs nothing is copied.

    Args:
        shape: of the whole array.
        sharding: which part lies where.
        arrays: the parts, in the order of the devices of the sharding.
        dtype: what the parts have.
    Returns:
        A committed array.
    Raises:
        ValueError: too few or too many parts, or one of another shape, dtype or device.
    """
    whole, devices = tuple(shape), sharding.device_list()
    local = sharding.shard_shape(whole)
    given = [as_array(x) for x in arrays]
    if len(given) != len(devices):
        raise ValueError(
            f"make_array_from_single_device_arrays: {sharding!r} is over {len(devices)} devices, "
            f"and there are {len(given)} arrays.\n  {user_line()}\n  Give one for each device."
        )
    want = given[0].dtype if dtype is None else np.dtype(dtype)
    for x, device in zip(given, devices, strict=True):
        if x.shape != local or x.dtype != want:
            raise ValueError(
                f"make_array_from_single_device_arrays: a part is {x.aval.long()}, and by "
                f"{sharding!r} each has the shape {local} and the dtype {want}.\n  {user_line()}"
            )
        if device.platform != "cpu" and x.devices() != {device}:
            raise ValueError(
                f"make_array_from_single_device_arrays: a part is on {x.device}, and by "
                f"{sharding!r} it is on {device}.\n  {user_line()}\n  Give the parts in the order "
                "of the devices, each put there by device_put."
            )
    if isinstance(sharding, NamedSharding) and devices[1:] and devices[0].platform != "cpu":
        from ..control.meshed import mesh_home
        from ..control.pieces import Pieces

        aval = given[0].aval.update(shape=whole)
        over, parts = mesh_home(sharding.mesh), [x for x in given if type(x) is RemoteArray]
        assert over is not None
        for part in parts:
            # Whoever gave it has it too.
            part.alive().shared = True
        return RemoteArray(Pieces(sharding, parts, aval), aval, over, True)
    return _joined([to_ndarray(x) for x in given], whole, sharding)


def _joined(
    parts: Sequence[np.ndarray[Any, Any]], shape: tuple[int, ...], sharding: Sharding
) -> Array:
    """An array of parts on the host."""
    whole = np.empty(shape, parts[0].dtype)
    for at, part in zip(sharding.indices(shape), parts, strict=True):
        whole[at] = part
    return laid_out(as_array(whole), sharding)
