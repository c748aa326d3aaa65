"""Sharing memory with other libraries by the DLPack protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core.array import Array


def from_dlpack(external_array: Any, device: Any = None, copy: bool | None = None) -> Array:
    """The array of another library as an Array, without a copy where the protocol allows.

    Whoever made the array must not write to it afterwards.

    Args:
        external_array: an object with `__dlpack__` and `__dlpack_device__`, in host memory.
        device: accepted for the one device there is.
        copy: `True` copies always.
    Raises:
        TypeError: the object does not offer the protocol.
        BufferError: the memory is not the host's.
    """
    if not hasattr(external_array, "__dlpack__"):
        raise TypeError(
            f"from_dlpack takes an object with __dlpack__ and __dlpack_device__, got "
            f"{type(external_array).__name__}. Raw capsules are not accepted."
        )
    value = np.from_dlpack(external_array)
    return Array(value.copy() if copy else value.view())


def to_dlpack(x: Array) -> Any:
    """A DLPack capsule of an Array's memory; `np.from_dlpack(x)` is the usual way."""
    return x.__dlpack__()
