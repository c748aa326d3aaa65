"""Values that a program starts from: lifted into a trace, of undefined content, or a shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.staging import StagingTrace
from ..core.trace import Trace, Tracer, as_array, current_trace
from ..ir import dtypes
from ..ir.avals import ShapedArray, canonical_shape
from .creation import full, zeros_like_aval


def stage(x: Any, /) -> Any:
    """The value as a tracer of the program being written down, or as an Array if none is.

    Args:
        x: an array, a NumPy array or a Python number.
    """
    if isinstance(x, Tracer):
        return x
    trace: Trace | None = current_trace()
    while trace is not None:
        if isinstance(trace, StagingTrace):
            return trace.to_tracer(x)
        trace = trace.parent
    return as_array(x)


def empty(shape: Any, dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array whose elements are not defined; here they are zeros.

    Args:
        shape: an extent or several.
        dtype: of the elements.
    """
    found = dtype
    if not dtypes.is_key_dtype(dtype):
        found = dtypes.check_user_dtype_supported(dtype, "empty")
    return zeros_like_aval(ShapedArray(canonical_shape(shape, "empty"), found))


def shape_as_value(shape: Sequence[int]) -> Any:
    """The extents as integers[rank]: int32, or int64 where one needs it."""
    wide = any(extent > np.iinfo(np.int32).max for extent in shape)
    dtype = np.dtype(np.int64 if wide else np.int32)
    return np.asarray(shape, dtype) if len(shape) else full((0,), np.zeros((), dtype))
