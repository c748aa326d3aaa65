"""Memory of the host that a device copies by itself: through it, copies wait for nothing.

In: arrays of the host, addresses of the device. Out: copies put into the stream. The one idea: an
array is cut into pieces, each goes through a block of pinned memory, and a block is used again when
the event behind its copy is done; so the host waits only where all blocks are on their way.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .driver import Driver
from .pool import Pool

# Bytes of a block, and how many blocks there are of that size at most.
SMALL, LARGE = (1 << 16, 64), (1 << 22, 16)


class _Blocks:
    """Pinned blocks of one size, the one given out longest ago first."""

    def __init__(self, driver: Driver, size: int, most: int) -> None:
        self._driver = driver
        self.size = size
        self._most = most
        self._count = 0
        self._given: deque[tuple[int, Any]] = deque()
        self._unused: list[int] = []

    def take(self) -> int:
        """The address of a block that no copy uses; waits only if all are in use."""
        if self._unused:
            return self._unused.pop()
        if self._given and self._driver.is_done(self._given[0][1]):
            return self._oldest()
        if self._count < self._most:
            address = self._driver.pinned(self.size)
            self._count += 1
            return address
        self._driver.wait_for(self._given[0][1])
        return self._oldest()

    def _oldest(self) -> int:
        address, event = self._given.popleft()
        self._driver.drop(event)
        return address

    def give(self, address: int, event: Any) -> None:
        """Take a block back once an event is done."""
        self._given.append((address, event))

    def back(self, address: int) -> None:
        """Take a block back that no copy uses, for the driver refused it."""
        self._unused.append(address)


@contextmanager
def _kept(blocks: _Blocks, address: int) -> Generator[None]:
    """A block goes back where its copy is refused."""
    try:
        yield
    except BaseException:
        blocks.back(address)
        raise


class Fetch:
    """A copy to the host that is on its way.

    Attributes:
        event: it is done when that is.
    """

    def __init__(self, driver: Driver, pool: Pool, size: int) -> None:
        self._driver = driver
        self._pool = pool
        self.size = size
        self.event: Any = None
        self.address = 0
        self.address = driver.pinned(size)

    def into(self, array: np.ndarray[Any, Any]) -> None:
        """Wait for it, and fill an array."""
        self._driver.wait_for(self.event)
        ctypes.memmove(array.ctypes.data, self.address, self.size)

    def __del__(self) -> None:
        if self.event is not None:
            self._pool.leave(self._driver.drop, self.event)
        if self.address:
            # The device may still write there.
            self._pool.when_done(self._driver.unpinned, self.address)


class Staging:
    """The pinned memory of one device's copies; its caller holds the lock of the device."""

    def __init__(self, driver: Driver, pool: Pool, stream: Any) -> None:
        self._driver = driver
        self._pool = pool
        self._stream = stream
        self._small, self._large = (_Blocks(driver, *kind) for kind in (SMALL, LARGE))

    def _of(self, size: int) -> _Blocks:
        return self._small if size <= self._small.size else self._large

    def up(self, target: int, source: int, size: int) -> None:
        """Copy the host's memory to the device; it may be changed when this returns."""
        blocks = self._of(size)
        for start in range(0, size, blocks.size):
            count = min(blocks.size, size - start)
            block = blocks.take()
            ctypes.memmove(block, source + start, count)
            with _kept(blocks, block):
                self._driver.upload(target + start, block, count, self._stream)
            blocks.give(block, self._driver.event(self._stream))

    def down(self, target: int, source: int, size: int) -> None:
        """Copy the device's memory to the host, and wait for it."""
        blocks = self._of(size)
        going: deque[tuple[int, int, int, Any]] = deque()
        for start in range(0, size, blocks.size):
            count = min(blocks.size, size - start)
            # Two pieces at once: one is copied here while the next one comes.
            if len(going) == 2:
                self._arrived(blocks, target, going.popleft())
            block = blocks.take()
            with _kept(blocks, block):
                self._driver.download(block, source + start, count, self._stream)
            going.append((start, count, block, self._driver.event(self._stream)))
        while going:
            self._arrived(blocks, target, going.popleft())

    def _arrived(self, blocks: _Blocks, target: int, piece: tuple[int, int, int, Any]) -> None:
        start, count, block, event = piece
        self._driver.wait_for(event)
        ctypes.memmove(target + start, block, count)
        blocks.give(block, event)

    def fetch(self, source: int, size: int) -> Fetch:
        """Begin to copy the device's memory to the host."""
        found = Fetch(self._driver, self._pool, size)
        self._driver.download(found.address, source, size, self._stream)
        found.event = self._driver.event(self._stream)
        return found
