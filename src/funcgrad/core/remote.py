"""Arrays whose memory is a device's: the host reads them only where it is asked to.

In: memory that a `Home` knows. Out: an `Array` whose operations are done where it is. The one
idea: it is an `Array` of another class, so that all that is quick because memory is NumPy's passes
it by, and the one place where operations are evaluated hands them to its home.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..config import config, elsewhere
from ..ir.avals import ShapedArray, size_of
from .array import Array
from .devices import Device
from .shardings import Shard, Sharding, SingleDeviceSharding
from .sources import user_line


class Home(Protocol):
    """A device that has arrays, and computes with them."""

    @property
    def device(self) -> Device:
        """What users see of it."""
        ...

    def fetch(self, memory: Any, aval: ShapedArray, coming: Any) -> np.ndarray[Any, Any]:
        """A copy of an array in the host's memory; waits for it.

        Args:
            coming: what `begin` gave, if it was called.
        """
        ...

    def begin(self, memory: Any, aval: ShapedArray) -> Any:
        """Begin to copy an array to the host."""
        ...

    def is_done(self, memory: Any) -> bool:
        """Whether what was put into the memory is there."""
        ...

    def wait(self, memory: Any) -> None:
        """Return when what was put into the memory is there."""
        ...

    def address(self, memory: Any) -> int:
        """Where the memory begins."""
        ...

    def brought(self, memory: Any, place: Any) -> Any:
        """The memory as a device has it, copied there if it is elsewhere, past the host.

        None where that cannot be.
        """
        ...

    def interface(self, memory: Any, aval: ShapedArray) -> dict[str, Any]:
        """An array as `__cuda_array_interface__` says it."""
        ...

    def capsule(self, array: RemoteArray, stream: Any, options: dict[str, Any]) -> Any:
        """An array as `__dlpack__` gives it."""
        ...

    @property
    def number(self) -> tuple[int, int]:
        """DLPack's kind of device, and its number."""
        ...

    def evaluate(self, primitive: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive."""
        ...

    def run(self, closed: Any, args: Sequence[Any], donated: Sequence[int]) -> list[Any]:
        """Run a program; `donated`: the arguments whose memory it may use."""
        ...


# DLPack's kind and number of the CPU.
HOST = (1, 0)
# Whether there ever was an array elsewhere, or a default device: until then nobody need look.
known: list[Any] = elsewhere
# Who finds the home of a device that is named; None: the CPU, to which nothing is committed.
finders: list[Callable[[Any], Home | None]] = []


def default_home() -> Home | None:
    """Where is computed what names no device; None: on the CPU.

    Raises:
        RuntimeError: the device is not present.
    """
    return None if config.default_device is None else finders[0](config.default_device)


class RemoteArray(Array):
    """An array in the memory of a device.

    Args:
        committed: whether somebody said that it be there; then operations happen there.
    """

    __slots__ = ("_committed", "_coming", "home", "memory")

    def __init__(self, memory: Any, aval: ShapedArray, home: Home, committed: bool) -> None:
        self._value = None
        self._coming = None
        self.aval = aval
        self.memory = memory
        self.home = home
        self._committed = committed
        if home not in known:
            known.append(home)

    def alive(self) -> Any:
        """The memory.

        Raises:
            RuntimeError: it was given away.
        """
        if self.memory is None:
            raise RuntimeError(
                f"Array has been deleted with shape={self.aval.long()}: it was donated to a "
                "jitted call or deleted.\n"
                f"  {user_line()}\n  Use the result of that call, or do not donate it."
            )
        return self.memory

    def numpy(self) -> np.ndarray[Any, Any]:
        """A read-only copy in the host's memory, made at the first call; waits for the device."""
        if self._value is None:
            found = self.home.fetch(self.alive(), self.aval, self._coming)
            self._coming = None
            found.flags.writeable = False
            self._value = found
        return self._value

    def block_until_ready(self) -> Array:
        """The array itself, once it is computed."""
        self.home.wait(self.alive())
        return self

    def copy_to_host_async(self) -> None:
        """Begin to copy the array to the host, which waits for it where it reads the array."""
        if self._value is None and self._coming is None:
            self._coming = self.home.begin(self.alive(), self.aval)

    def is_ready(self) -> bool:
        """Whether the array is computed."""
        memory = self.alive()
        return self._value is not None or self.home.is_done(memory)

    def on_device_size_in_bytes(self) -> int:
        """The size of the elements in memory."""
        return size_of(self.aval.shape) * self.aval.dtype.itemsize

    def devices(self) -> set[Device]:
        """The devices that hold the array, or a part of it."""
        return getattr(self.home, "device_set", None) or {self.home.device}

    @property
    def sharding(self) -> Sharding:
        """Which part of the array lies on which device."""
        found: Sharding | None = getattr(self.alive(), "sharding", None)
        return found or SingleDeviceSharding(self.home.device)

    @property
    def addressable_shards(self) -> list[Shard]:
        """The parts of the array, each with `device`, `index`, `replica_id` and `data`."""
        shards = getattr(self.home, "shards", None)
        return super().addressable_shards if shards is None else shards(self.alive(), self.aval)

    @property
    def is_fully_replicated(self) -> bool:
        """Whether every device that has a part of the array has all of it."""
        return self.sharding.is_fully_replicated

    @property
    def device(self) -> Device:
        return self.home.device

    @property
    def committed(self) -> bool:
        return self._committed

    def is_deleted(self) -> bool:
        """Whether the memory was given away by donation or `delete`."""
        return self.memory is None

    def delete(self) -> None:
        """Let go of the memory; any later use raises RuntimeError."""
        self.memory = self._value = self._coming = None

    def unsafe_buffer_pointer(self) -> int:
        """Address of the first element, on the device."""
        return self.home.address(self.alive())

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The array for other libraries, without a copy; they must not write to it."""
        return self.home.interface(self.alive(), self.aval)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule of the memory, without a copy where none is asked for.

        Args:
            stream: where the consumer will use it: None or 1: the default stream; 2: that of the
                thread; -1: anywhere, after waiting by itself; else a stream's address.
            dl_device: (1, 0) gives a copy in the host's memory.
        Raises:
            BufferError: another device, or a dtype that DLPack does not have.
        """
        options = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
        return self.home.capsule(self, stream, options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.home.number

    def __repr__(self) -> str:
        if self.memory is None:
            return f"Array(<deleted>, {self.aval.long()})"
        return repr(Array(self.numpy(), self.aval))

    def __str__(self) -> str:
        return repr(self) if self.memory is None else str(self.numpy())


def _named(x: RemoteArray) -> str:
    """The devices of an array."""
    return ", ".join(map(str, sorted(x.devices(), key=lambda d: d.id)))


def home_of(values: Sequence[Any], held: Sequence[Any] = ()) -> Home | None:
    """Where an operation on these values happens; None: on the CPU.

    It happens where an array was put, if any was; else on the default device.

    Args:
        held: what the operation has captured; it decides where none of the values does, and is
            brought to them where they do, from one GPU to another.
    Raises:
        ValueError: two of them were put on different devices.
    """
    committed = [x for x in values if type(x) is RemoteArray and x.committed]
    beside = [x for x in held if type(x) is RemoteArray and x.committed]
    if not committed:
        committed, beside = beside, []
    if not committed:
        return default_home()
    home = committed[0].home
    to_host = home.number == HOST
    for x in [*committed[1:], *(x for x in beside if to_host)]:
        if x.home is not home:
            raise ValueError(
                f"Received incompatible devices: an array of {committed[0].aval.long()} is on "
                f"{_named(committed[0])} and one of {x.aval.long()} on {_named(x)}.\n"
                f"  {user_line()}\n  Bring them to one device by device_put."
            )
    return home
