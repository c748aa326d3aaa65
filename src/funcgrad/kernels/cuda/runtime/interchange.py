"""Arrays of a device given to other libraries, and theirs taken, without a copy.

In: memory and streams of both sides. Out: capsules, interfaces, `Foreign` memory. The one idea:
whoever comes later waits on the device for who came before, by an event, so that the host never
does; and memory is let go of only when the streams of both sides are behind its last use.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ....ir.avals import ShapedArray
from .capsules import CUDA, CUDA_MANAGED, Described, capsule, opened, row_strides
from .place import Place
from .pool import Memory

# What CUDA calls the stream that libraries use where they name none, and the one of each thread.
LEGACY, PER_THREAD = 1, 2


class Foreign:
    """Memory of another library, which nobody here writes to.

    Attributes:
        shared: true, as of memory that others can see.
    """

    shared = True

    def __init__(self, address: int, size: int, place: Place, release: Callable[[], None]) -> None:
        self.address = address
        self.size = size
        self._place = place
        self._release = release

    def __del__(self) -> None:
        # Work that was asked for may still read it.
        self._place.pool.when_done(self._release)


# Out.


def exported(
    place: Place,
    memory: Any,
    aval: ShapedArray,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    copied: bool = False,
) -> Any:
    """A DLPack capsule of memory, for work that the consumer puts into a stream.

    Args:
        stream: None or 1: the default stream; 2: that of the thread; -1: the consumer waits by
            itself; else the address of a stream.
        max_version: of the consumer; None: one that knows no versions.
        copied: whether the memory is the consumer's own.
    Raises:
        BufferError: the stream is 0, or DLPack has no number for the dtype.
    """
    where = LEGACY if stream is None else stream
    if not isinstance(where, int) or isinstance(where, bool) or where < -1 or where == 0:
        raise BufferError(
            f"__dlpack__ got stream={stream!r}. Give 1 for the default stream, 2 for that of the "
            "thread, -1 to wait for nothing, or the address of a stream as an integer."
        )
    versioned = max_version is not None and max_version[0] >= 1
    what = Described(
        memory.address, aval.shape, None, aval.dtype, (CUDA, place.number), not copied, _nothing
    )
    made = capsule(what, memory, versioned, copied)
    lend(place, memory, where)
    return made


def interface(place: Place, memory: Any, aval: ShapedArray) -> dict[str, Any]:
    """The array as `__cuda_array_interface__` of version 3 says it.

    Raises:
        AttributeError: the interface has no name for the dtype.
    """
    dtype = aval.dtype
    if dtype.isbuiltin != 1:
        raise AttributeError(
            f"__cuda_array_interface__ has no name for {dtype}. View it as an integer of its "
            "size (x.view), give it another dtype, or hand it on by DLPack."
        )
    # Consumers that do not look at the stream use the default one.
    lend(place, memory, LEGACY)
    return {
        "shape": aval.shape,
        "typestr": dtype.str,
        "data": (memory.address if aval.size else 0, True),
        "version": 3,
        "strides": None,
        "stream": place.driver.address_of(place.stream),
    }


def lend(place: Place, memory: Any, stream: int) -> None:
    """Let another stream come after the work so far, and note that it may use the memory."""
    place.enter()
    memory.shared = True
    if stream == -1:
        stream = LEGACY
    else:
        with place.lock:
            place.driver.follow(stream, place.stream)
    if isinstance(memory, Memory):
        memory.readers.add(stream)


def _nothing() -> None:
    """What is given has nothing to be let go of by its maker."""


# In.


def device_of(array: Any) -> int | None:
    """The number of the GPU that an object says it lies on; None if it says nothing of one."""
    if isinstance(array, np.ndarray | np.generic | int | float | complex | str):
        return None
    if hasattr(array, "__dlpack_device__") and hasattr(array, "__dlpack__"):
        kind, number = array.__dlpack_device__()
        return int(number) if int(kind) in (CUDA, CUDA_MANAGED) else None
    # Attributes that raise say no, as PyTorch's of arrays on the CPU.
    return -1 if hasattr(array, "__cuda_array_interface__") else None


def imported(places: list[Place], array: Any) -> tuple[Place, Foreign, Described]:
    """The memory of a foreign array, ordered before all later work of its device.

    Raises:
        BufferError: its device is none of these, or it is not made as arrays here are.
    """
    number = device_of(array)
    if number == -1:
        place, what = _by_interface(places, array)
    else:
        place = _of_number(places, number)
        handle = place.driver.address_of(place.stream)
        # The producer lets our stream wait, which must not happen amid what it records.
        with place.lock:
            place.enter()
            try:
                given = array.__dlpack__(stream=handle, max_version=(1, 0))
            except TypeError:  # a producer of before DLPack 1.0
                given = array.__dlpack__(stream=handle)
        what = opened(given)
    try:
        _check(place, what)
    except BufferError:
        what.release()
        raise
    size = prod(what.shape) * what.dtype.itemsize
    return place, Foreign(what.address, size, place, what.release), what


def _of_number(places: list[Place], number: Any) -> Place:
    for place in places:
        if place.number == number:
            return place
    raise BufferError(
        f"The array lies on GPU {number}, and the GPUs here are {[p.number for p in places]}. Copy "
        "it to one of them first, in the library that it comes from."
    )


def _by_interface(places: list[Place], array: Any) -> tuple[Place, Described]:
    told: dict[str, Any] = array.__cuda_array_interface__
    if told.get("mask") is not None:
        raise BufferError("A foreign array with a mask has no like here. Fill it first.")
    address, read_only = told["data"]
    places[0].enter()
    number = places[0].driver.device_of(address) if address else places[0].number
    place = _of_number(places, number)
    stream = told.get("stream")
    if stream == 0:
        raise BufferError(
            "A foreign array names stream 0, which the interface forbids: 1 is the default stream."
        )
    if stream is not None:
        place.enter()
        with place.lock:
            place.driver.follow(place.stream, stream)
    dtype = np.dtype(told["typestr"])
    given = told.get("strides")
    strides = None if given is None else tuple(step // dtype.itemsize for step in given)
    kept = [array]
    what = Described(
        address, tuple(told["shape"]), strides, dtype, (CUDA, number), read_only, kept.clear
    )
    return place, what


def _check(place: Place, what: Described) -> None:
    """Raise BufferError for memory that no kernel could read."""
    if what.address % what.dtype.itemsize and prod(what.shape):
        raise BufferError(
            f"A foreign array of {what.dtype} begins at {what.address:#x}, which is no multiple of "
            f"{what.dtype.itemsize}: a GPU cannot read it there. Copy it in the library that it "
            "comes from."
        )
    if packed_order(what) is None:
        raise BufferError(
            f"A foreign array of shape {what.shape} has steps of {what.strides} elements: only "
            "arrays without gaps are taken as they are. Make it contiguous in the library that it "
            "comes from."
        )


def packed_order(what: Described) -> tuple[int, ...] | None:
    """The axes in the order in which memory has them, outermost first; None if it has gaps."""
    shape = what.shape
    if what.strides is None or not prod(shape):
        return tuple(range(len(shape)))
    strides = what.strides
    # Axes of one element have any stride, and stay.
    rest = iter(sorted((a for a, n in enumerate(shape) if n > 1), key=lambda a: -strides[a]))
    order = tuple(next(rest) if n > 1 else a for a, n in enumerate(shape))
    steps = row_strides(tuple(shape[a] for a in order))
    fits = all(strides[a] == s for a, s in zip(order, steps, strict=True) if shape[a] > 1)
    return order if fits else None
