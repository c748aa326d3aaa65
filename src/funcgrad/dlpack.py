"""Sharing memory with other libraries by the DLPack protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

from .api.placement import device_put
from .control.foreign import is_foreign, ours, taken
from .core.array import Array
from .ir import dtypes


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> Array:
    """The array of another library as an Array where it lies, without a copy where that can be.

    Whoever made the array must not write to it afterwards.

    Args:
        external_array: an object with `__dlpack__` and `__dlpack_device__`, in host memory or on
            a GPU.
        device: where the result is to be; by default where the array is.
        copy: `True` copies always; `False` refuses where one is needed: without 64-bit types,
            64-bit data become their 32-bit kin.
    Raises:
        TypeError: the object does not offer the protocol.
        BufferError: the memory is neither the host's nor that of a GPU here, has gaps, or begins
            where no element of its dtype can.
        ValueError: copy=False, and a copy is needed.
    """
    if not hasattr(external_array, "__dlpack__"):
        raise TypeError(
            f"from_dlpack takes an object with __dlpack__ and __dlpack_device__, got "
            f"{type(external_array).__name__}. Raw capsules are not accepted."
        )
    own = ours(external_array, copy)
    if own is not None or is_foreign(external_array):
        found = taken(external_array, copy) if own is None else own
        return found if device is None else device_put(found, device)
    kind, number = external_array.__dlpack_device__()
    # Pinned host memory (3, 11) is the host's too.
    if int(kind) not in (1, 3, 11):
        raise BufferError(
            f"from_dlpack reads the memory of the host and of NVIDIA's GPUs, but the array lives "
            f"on device {int(kind)}:{number} (DLPack's numbers). Copy it to the host first."
        )
    value = np.from_dlpack(external_array)
    dtype = dtypes.canonicalize_dtype(value.dtype)
    if dtype != value.dtype and copy is False:
        raise ValueError(
            f"from_dlpack with copy=False cannot give {value.dtype.name} as {dtype.name}. Enable "
            "64-bit types (enable_x64), or allow the copy."
        )
    made = Array(value.astype(dtype, copy=bool(copy)).view())
    return made if device is None else device_put(made, device)


def to_dlpack(x: Array) -> Any:
    """A DLPack capsule of an Array's memory; `np.from_dlpack(x)` is the usual way."""
    return x.__dlpack__()
