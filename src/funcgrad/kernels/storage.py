"""How values lie in memory, where they do not lie as NumPy has them.

In: avals and arrays. Out: shapes, dtypes and arrays of plain numbers. The one idea: memory holds
real numbers only, so a complex number or a key is one more axis, of its two parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..core.remote import RemoteArray
from ..ir import dtypes
from ..ir.avals import ShapedArray


def storage_shape(aval: ShapedArray) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the memory of a value; a key is two uint32, a complex number its parts."""
    if dtypes.is_key_dtype(aval.dtype):
        return (*aval.shape, 2), np.dtype(np.uint32)
    if aval.dtype.kind == "c":
        return (*aval.shape, 2), np.dtype(dtypes.to_floating_dtype(aval.dtype))
    return aval.shape, aval.dtype


def captured(value: Any, dtype: np.dtype[Any]) -> Any:
    """A captured array as numbers of a dtype; an array of a device stays what and where it is."""
    return value if type(value) is RemoteArray else in_memory(value, dtype)


def in_memory(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array in the host's memory, seen as numbers of a dtype."""
    array = value if type(value) is np.ndarray else to_ndarray(value)
    # A scalar cannot be seen as two words; made contiguous, it has an axis.
    return array if array.dtype == dtype else np.ascontiguousarray(array).view(dtype)
