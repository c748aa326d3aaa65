"""Memory of a device, given out again in the order of its stream.

In: sizes. Out: `Memory`, which goes back when nobody refers to it any more. The one idea: all work
of a device goes through one stream, so memory that the host lets go of may be given out at once:
whoever gets it comes later in the stream. So a loop meets the same addresses again and again, and
recorded work can be repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ....core.sources import current_source
from ....ir.sources import Source, describe
from ...room import in_bytes
from .driver import DeviceMemoryError, Driver

_SMALL = 512
_STEP = 1 << 16
_SHOWN = 5
# A function, and what it is called with.
Act = tuple[Callable[..., None], tuple[Any, ...]]


@dataclass(eq=False)
class Memory:
    """Bytes of a device; they go back to the pool with the last reference.

    Attributes:
        shared: whether others than one array know it; then nothing is written over what is there.
        readers: streams of others that may use it.
    """

    address: int
    size: int
    given_back: Callable[[Memory], None]
    shared: bool = False
    readers: set[int] = field(default_factory=lambda: set())

    def __del__(self) -> None:
        self.given_back(self)


class Pool:
    """The memory of one device.

    Attributes:
        used: bytes that somebody holds; `peak`: the most they ever were; `held`: bytes that the
            driver gave.
        count: how often memory was taken, and `largest`: the most bytes at once.
    """

    def __init__(self, driver: Driver, stream: Any) -> None:
        self._driver = driver
        self._stream = stream
        self._free: dict[int, list[int]] = {}
        self._live: dict[int, tuple[int, Source | None]] = {}
        # A reference may go while another block is taken, in the same thread.
        self._lock = threading.RLock()
        self._lent: list[tuple[int, int, set[int]]] = []
        self._waiting: list[tuple[Any, Act]] = []
        self._left: list[Act] = []
        self.used = self.peak = self.held = 0
        self.largest = self.count = 0

    def take(self, size: int) -> Memory:
        """Memory for so many bytes, aligned to 256.

        Raises:
            MemoryError: there is none, also after what is free was given back to the driver.
        """
        step = _SMALL if size <= _STEP else _STEP
        rounded = max(-(-size // step) * step, _SMALL)
        origin = current_source()
        with self._lock:
            self.settle()
            found = self._free.get(rounded)
            address = found.pop() if found else self._from_driver(rounded, size)
            self.used += rounded
            self.count += 1
            self.largest = max(self.largest, rounded)
            self.peak = max(self.peak, self.used)
            self._live[address] = rounded, origin
        return Memory(address, rounded, self._give)

    def _give(self, memory: Memory) -> None:
        with self._lock:
            self._live.pop(memory.address, None)
            self.used -= memory.size
            if memory.readers:
                self._lent.append((memory.address, memory.size, memory.readers))
            else:
                self._free.setdefault(memory.size, []).append(memory.address)

    # What goes calls these two, at the end of the process when names of modules may be gone: so
    # what to do comes in parts, and they use nothing but their arguments.

    def when_done(self, act: Callable[..., None], *given: Any) -> None:
        """Do something once all work that is asked for by now is done, at some later `settle`."""
        with self._lock:
            # Not marked yet: the stream may be recording.
            self._waiting.append((None, (act, given)))

    def leave(self, act: Callable[..., None], *given: Any) -> None:
        """Do something at some later `settle`, whatever the device still does.

        Objects go in any thread, whose device may be another library's: nothing is asked there.
        """
        with self._lock:
            self._left.append((act, given))

    def settle(self) -> None:
        """Take back what others may have used, and do what waited for work that is done."""
        with self._lock:
            left, self._left = self._left, []
            for act, given in left:
                act(*given)
            lent, self._lent = self._lent, []
            for address, size, readers in lent:
                for stream in readers:
                    self._driver.follow(self._stream, stream)
                self._free.setdefault(size, []).append(address)
            waiting, self._waiting = self._waiting, []
            for event, (act, given) in waiting:
                if event is None:
                    self._waiting.append((self._driver.event(self._stream), (act, given)))
                elif self._driver.is_done(event):
                    self._driver.drop(event)
                    act(*given)
                else:
                    self._waiting.append((event, (act, given)))

    def _from_driver(self, size: int, asked: int) -> int:
        try:
            address = self._driver.allocate(size, self._stream)
        except DeviceMemoryError:
            self.release()
            try:
                address = self._driver.allocate(size, self._stream)
            except DeviceMemoryError:
                raise MemoryError(self._full(asked)) from None
        self.held += size
        return address

    def release(self) -> None:
        """Give what nobody holds back to the driver."""
        with self._lock:
            self.settle()
            for size, addresses in self._free.items():
                for address in addresses:
                    self._driver.free(address, self._stream)
                    self.held -= size
            self._free.clear()
        self._driver.wait(self._stream)
        self.settle()

    def _full(self, asked: int) -> str:
        free, total = self._driver.room()
        largest = sorted(self._live.values(), key=lambda live: -live[0])[:_SHOWN]
        lines = [
            f"    {in_bytes(size)}  {describe(origin) or 'by funcgrad'}" for size, origin in largest
        ]
        return "\n".join(
            [
                f"The GPU has no room for {in_bytes(asked)}: {in_bytes(free)} of "
                f"{in_bytes(total)} are free, and {in_bytes(self.used)} are held by arrays and "
                "programs.",
                *(["  The largest of them were made at"] if lines else []),
                *lines,
                "  Let go of what is not needed, donate arguments (donate_argnums), or make the "
                "batch smaller.",
            ]
        )
