"""Arrays of other libraries on a GPU, taken as ours.

In: objects with `__dlpack__` or `__cuda_array_interface__`. Out: arrays over their memory. The one
idea: what needs a copy is copied by a kernel on the device, never by the host.
"""

from __future__ import annotations

from typing import Any

from ..config import enable_x64
from ..core.array import Array
from ..core.remote import RemoteArray
from ..core.sources import user_line
from ..core.trace import Tracer
from ..ir import dtypes
from ..ir.avals import ShapedArray
from ..primitives.casting import convert_element_type_p
from ..primitives.movement import transpose_p
from .accelerators import CudaHome, homes


def is_foreign(x: Any) -> bool:
    """Whether an object of another library says that it lies on a GPU."""
    if isinstance(x, (Array, Tracer)):
        return False
    if not hasattr(x, "__dlpack__") and not hasattr(x, "__cuda_array_interface__"):
        return False
    from ..kernels.cuda.runtime.interchange import device_of

    return device_of(x) is not None


def ours(x: Any, copy: bool | None = None) -> RemoteArray | None:
    """An array of this library on one GPU, over the same memory or a copy; None for others."""
    if type(x) is not RemoteArray or not isinstance(x.home, CudaHome):
        return None
    if copy:
        return RemoteArray(x.home.place.copied(x.alive()), x.aval, x.home, True)
    return x.home.put(x, True)


def taken(x: Any, copy: bool | None = None) -> RemoteArray:
    """An array of another library on a GPU, in its memory, which its owner must not write to.

    It is copied on the device where asked, or where memory has its axes in another order; without
    64-bit types, 64-bit data become their 32-bit kin.

    Raises:
        BufferError: another device, memory with gaps, or that no kernel can read.
        ValueError: copy=False, and a copy is needed.
    """
    from ..kernels.cuda.runtime.interchange import imported, packed_order

    found = homes()
    place, memory, what = imported([home.place for home in found], x)
    home = next(h for h in found if h.place is place)
    order = packed_order(what)
    assert order is not None
    dtype = dtypes.canonicalize_dtype(what.dtype)
    turned = order != tuple(range(len(order)))
    if copy is False and (turned or dtype != what.dtype):
        reason = "its axes lie in another order" if turned else f"it would become {dtype}"
        raise ValueError(
            f"A foreign array of {what.dtype}{list(what.shape)} has to be copied, and copy is "
            f"False: {reason}.\n  {user_line()}\n  Leave copy out."
        )
    lying = ShapedArray(tuple(what.shape[a] for a in order), what.dtype)
    array: Any = RemoteArray(memory, lying, home, True)
    with enable_x64(True):
        if turned:
            axes = tuple(order.index(a) for a in range(len(order)))
            array = transpose_p.bind(array, permutation=axes)
        if dtype != what.dtype:
            array = convert_element_type_p.bind(array, new_dtype=dtype, weak_type=False)
    if copy and array.memory is memory:
        array = RemoteArray(place.copied(memory), lying, home, True)
    return array
