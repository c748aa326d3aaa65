"""What NVIDIA's driver is asked where devices reach each other's memory.

In: numbers of devices, addresses, rows of bytes. Out: copies in streams. The one idea: memory of a
pool is its own device's alone until others are let in; then copies go from device to device.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

# Bytes from one row to the next that copies of rows can have at most (CU_DEVICE_ATTRIBUTE_MAX_PITCH
# of all devices so far).
MOST_PITCH = 2**31 - 1


class Rows(NamedTuple):
    """Bytes in rows and planes, as they lie on two sides.

    Attributes:
        extent: bytes of a row, rows of a plane, planes.
        source: where they begin, bytes from one row to the next, rows from one plane to the next;
            `target`: likewise. Where they begin is counted from an address.
    """

    extent: tuple[int, int, int]
    source: tuple[int, int, int]
    target: tuple[int, int, int]


class Neighbours:
    """The part of NVIDIA's driver that knows several devices."""

    _cuda: Any
    _contexts: list[Any]
    _current: threading.local
    _shared: set[tuple[int, int]]

    def _ask(self, name: str, *args: Any) -> Any:
        raise TypeError(f"{type(self).__name__} defines no _ask")

    def bring(self, target: int, source: int, rows: Rows, device: int, stream: Any) -> None:
        """Copy rows of a device's memory, which may be another one's, to the current one."""
        (width, height, depth), to, of = rows.extent, rows.target, rows.source
        own = self._current.device
        # Memory of a pool is its own device's alone, so both are named.
        here, there = self._contexts[own], self._contexts[device]
        if height * depth == 1 and device != own:
            ends = target + to[0], here, source + of[0], there
            self._ask("cuMemcpyPeerAsync", *ends, width, stream)
            return
        if height * depth == 1:
            self._ask("cuMemcpyDtoDAsync", target + to[0], source + of[0], width, stream)
            return
        kind = self._cuda.CUmemorytype.CU_MEMORYTYPE_DEVICE
        what = self._cuda.CUDA_MEMCPY3D_PEER() if device != own else self._cuda.CUDA_MEMCPY3D()
        what.srcMemoryType = what.dstMemoryType = kind
        what.srcDevice, what.srcPitch, what.srcHeight = source + of[0], *of[1:]
        what.dstDevice, what.dstPitch, what.dstHeight = target + to[0], *to[1:]
        what.WidthInBytes, what.Height, what.Depth = rows.extent
        if device != own:
            what.srcContext, what.dstContext = there, here
        self._ask("cuMemcpy3DAsync" if device == own else "cuMemcpy3DPeerAsync", what, stream)

    def reaches(self, device: int, other: int) -> bool:
        """Whether a device can reach the memory of another one; else copies pass the host."""
        return bool(self._ask("cuDeviceCanAccessPeer", device, other))

    def share(self, devices: Sequence[int]) -> None:
        """Let each device reach the memory of the others, where machines can."""
        for one in devices:
            new = [d for d in devices if d != one and (one, d) not in self._shared]
            self._shared |= {(one, d) for d in new}
            told = [self._access(other) for other in new if self.reaches(other, one)]
            if told:
                pool = self._ask("cuDeviceGetDefaultMemPool", one)
                self._ask("cuMemPoolSetAccess", pool, told, len(told))

    def _access(self, device: int) -> Any:
        cuda = self._cuda
        access = cuda.CUmemAccessDesc()
        access.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
        access.location.id = device
        access.flags = cuda.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
        return access
