"""What is asked of a GPU's driver, and the one that asks NVIDIA's through cuda-bindings.

In: addresses, sizes, machine code. Out: the same, or `CudaError`. The one idea: the runtime knows
a `Driver` only, so that its plans run in tests on one that keeps memory in NumPy arrays. The
package is imported when a GPU is first asked for.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from ...room import in_bytes
from ..adapter import driver_wanted, remedy, toolkit
from .neighbours import Neighbours, Rows

# What is older has no recorded work, and no memory in the order of a stream.
OLDEST_DRIVER = 12000
# What is older has no choices in recorded work: the host makes them.
DECIDING_DRIVER = 12040
_ASSIGN_DEFAULT = 1
_OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"


class CudaError(RuntimeError):
    """The driver refuses something, or a kernel failed."""


class DeviceMemoryError(MemoryError):
    """The driver has no memory left."""


class Info(NamedTuple):
    """A GPU: its name, its compute capability, its multiprocessors and bytes of memory."""

    name: str
    capability: tuple[int, int]
    processors: int
    memory: int

    @property
    def target(self) -> str:
        """What kernels for it are compiled for."""
        return f"sm_{self.capability[0]}{self.capability[1]}"


class Driver(Protocol):
    """What the runtime asks of a driver. Everything with a stream returns before it is done."""

    def devices(self) -> list[Info]:
        """The GPUs that can be used, in the order of their numbers."""
        ...

    def use(self, device: int) -> None:
        """Make a device that of the calling thread."""
        ...

    def stream(self) -> Any:
        """A new queue of work."""
        ...

    def wait(self, stream: Any) -> None:
        """Return when all work of a stream is done."""
        ...

    def is_idle(self, stream: Any) -> bool:
        """Whether all work of a stream is done."""
        ...

    def address_of(self, stream: Any) -> int:
        """A stream as other libraries name it."""
        ...

    def follow(self, later: Any, earlier: Any) -> None:
        """Let what is put into one stream from now on wait for what is in another."""
        ...

    def device_of(self, address: int) -> int:
        """The number of the device whose memory an address is in."""
        ...

    def allocate(self, size: int, stream: Any) -> int:
        """The address of new memory."""
        ...

    def free(self, address: int, stream: Any) -> None:
        """Give memory back, once what the stream holds is done."""
        ...

    def room(self) -> tuple[int, int]:
        """Bytes that are free, and bytes in all."""
        ...

    def pinned(self, size: int) -> int:
        """The address of new memory of the host, which devices copy by themselves."""
        ...

    def unpinned(self, address: int) -> None:
        """Give such memory back."""
        ...

    def upload(self, target: int, source: int, size: int, stream: Any) -> None:
        """Copy the host's memory to the device; what is pinned is read when the stream is there."""
        ...

    def download(self, target: int, source: int, size: int, stream: Any) -> None:
        """Copy the device's memory to the host's."""
        ...

    def copy(self, target: int, source: int, size: int, stream: Any) -> None:
        """Copy memory of the device."""
        ...

    def bring(self, target: int, source: int, rows: Rows, device: int, stream: Any) -> None:
        """Copy rows of a device's memory, which may be another one's, to the current one."""
        ...

    def share(self, devices: Sequence[int]) -> None:
        """Let each device reach the memory of the others, where machines can."""
        ...

    def reaches(self, device: int, other: int) -> bool:
        """Whether a device can reach the memory of another one; else copies pass the host."""
        ...

    def load(self, code: bytes, entry: str, shared: int = 0) -> Any:
        """A kernel of a cubin; `shared`: bytes of shared memory that its launches ask for."""
        ...

    def launch(
        self, kernel: Any, grid: tuple[int, int, int], pointers: Sequence[int], stream: Any
    ) -> None:
        """Run a kernel: so many blocks, threads of each, and bytes that each asks for."""
        ...

    def event(self, stream: Any) -> Any:
        """A mark behind the work of a stream so far."""
        ...

    def wait_for(self, event: Any) -> None:
        """Return when the work before a mark is done."""
        ...

    def is_done(self, event: Any) -> bool:
        """Whether the work before a mark is done."""
        ...

    def drop(self, event: Any) -> None:
        """Let go of a mark."""
        ...

    def record(self, stream: Any) -> None:
        """From here on, work of a stream is written down and not done."""
        ...

    def recorded(self, stream: Any) -> Any:
        """The work written down, as one that can be repeated."""
        ...

    def abandon(self, stream: Any) -> None:
        """Stop recording, and forget what was."""
        ...

    def decides(self) -> bool:
        """Whether recorded work can choose its way on the device."""
        ...

    def decision(self, stream: Any) -> int:
        """The number of a new choice in the work that a stream records; kernels set it."""
        ...

    def inside(self, decision: int, again: bool, stream: Any) -> Any:
        """A stream that records what is done if a choice is not 0 (again: as long as it is)."""
        ...

    def leave(self, inner: Any) -> None:
        """The end of what `inside` began."""
        ...

    def replay(self, graph: Any, stream: Any) -> None:
        """Do recorded work."""
        ...

    def forget(self, graph: Any) -> None:
        """Let go of recorded work."""
        ...


class NvidiaDriver(Neighbours):
    """NVIDIA's driver.

    Raises:
        CudaError: there is none, none that is new enough, or the package that asks it is missing.
    """

    def __init__(self) -> None:
        self._cuda = _bindings()
        self._contexts: list[Any] = []
        self._current = threading.local()
        try:
            self._ask("cuInit", 0)
        except CudaError:
            raise
        except Exception as error:  # the driver's library is found at the first call
            raise CudaError(
                f"NVIDIA's driver is not installed on this machine. Install it, {driver_wanted()}; "
                "`python -m funcgrad doctor` looks again."
            ) from error
        version: int = self._ask("cuDriverGetVersion")
        self._version = version
        self._count = 0
        self._shared = set()
        # Streams that record the inside of choices, for those that are nested.
        self._inner: dict[int, list[Any]] = {}
        if version < OLDEST_DRIVER:
            raise CudaError(
                f"NVIDIA's driver supports CUDA {version // 1000}.{version % 1000 // 10}, and 12.0 "
                "is the oldest that is enough. Install a newer driver (nvidia.com/drivers)."
            )
        packages = toolkit()
        if version // 1000 < packages:
            raise CudaError(
                f"NVIDIA's driver supports CUDA {version // 1000}.{version % 1000 // 10}, and the "
                f"packages here are of CUDA {packages}. Install those of CUDA 12: pip install "
                "'funcgrad[cuda12]'; or a newer driver (nvidia.com/drivers)."
            )

    def _ask(self, name: str, *args: Any) -> Any:
        """Call a function of the driver; its results without the error code."""
        code, *results = getattr(self._cuda, name)(*args)
        if code != self._cuda.CUresult.CUDA_SUCCESS:
            raise self._error(name, code)
        return results[0] if len(results) == 1 else tuple(results)

    def _error(self, name: str, code: Any) -> Exception:
        if code.name == _OUT_OF_MEMORY:
            return DeviceMemoryError(f"{name}: {code.name}")
        _, told = self._cuda.cuGetErrorString(code)
        text = told.decode() if isinstance(told, bytes) else ""
        if code.name == "CUDA_ERROR_NO_DEVICE":
            return CudaError(
                "NVIDIA's driver finds no GPU. Run where /dev/nvidia0 is; in a container, with "
                "--gpus all; and look at CUDA_VISIBLE_DEVICES."
            )
        return CudaError(f"{name} failed: {code.name} ({text}).")

    def devices(self) -> list[Info]:
        which = self._cuda.CUdevice_attribute
        start = "CU_DEVICE_ATTRIBUTE_"
        wanted = [
            getattr(which, start + name)
            for name in (
                "COMPUTE_CAPABILITY_MAJOR",
                "COMPUTE_CAPABILITY_MINOR",
                "MULTIPROCESSOR_COUNT",
            )
        ]
        found: list[Info] = []
        self._count = self._ask("cuDeviceGetCount")
        for k in range(self._count):
            device = self._ask("cuDeviceGet", k)
            name: bytes = self._ask("cuDeviceGetName", 256, device)
            major, minor, processors = (
                self._ask("cuDeviceGetAttribute", a, device) for a in wanted
            )
            text = name.decode(errors="replace").rstrip("\0").strip()
            memory: int = self._ask("cuDeviceTotalMem", device)
            found.append(Info(text, (major, minor), processors, memory))
        return found

    def use(self, device: int) -> None:
        # Other libraries change it too where there are several.
        if getattr(self._current, "device", None) == device and self._count == 1:
            return
        while len(self._contexts) <= device:
            handle = self._ask("cuDeviceGet", len(self._contexts))
            self._contexts.append(self._ask("cuDevicePrimaryCtxRetain", handle))
        self._ask("cuCtxSetCurrent", self._contexts[device])
        self._current.device = device

    def stream(self) -> Any:
        return self._ask("cuStreamCreate", self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING)

    def wait(self, stream: Any) -> None:
        self._ask("cuStreamSynchronize", stream)

    def address_of(self, stream: Any) -> int:
        return int(stream)

    def follow(self, later: Any, earlier: Any) -> None:
        # An event is of the device of the stream that it marks, which may be another one.
        own = self._ask("cuCtxGetCurrent")
        self._ask("cuCtxSetCurrent", self._ask("cuStreamGetCtx", earlier))
        try:
            event = self.event(earlier)
        finally:
            self._ask("cuCtxSetCurrent", own)
        self._ask("cuStreamWaitEvent", later, event, 0)
        self.drop(event)

    def device_of(self, address: int) -> int:
        which = self._cuda.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
        return int(self._ask("cuPointerGetAttribute", which, address))

    def allocate(self, size: int, stream: Any) -> int:
        return int(self._ask("cuMemAllocAsync", size, stream))

    def free(self, address: int, stream: Any) -> None:
        self._ask("cuMemFreeAsync", address, stream)

    def pinned(self, size: int) -> int:
        try:
            return int(self._ask("cuMemHostAlloc", size, 0))
        except DeviceMemoryError:
            raise DeviceMemoryError(
                f"The host has no room for {in_bytes(size)} of pinned memory, through which copies "
                "go. Let go of copies to the host that nobody reads (copy_to_host_async), or of "
                "other memory of this process."
            ) from None

    def unpinned(self, address: int) -> None:
        self._ask("cuMemFreeHost", address)

    def room(self) -> tuple[int, int]:
        free, total = self._ask("cuMemGetInfo")
        return free, total

    def upload(self, target: int, source: int, size: int, stream: Any) -> None:
        self._ask("cuMemcpyHtoDAsync", target, source, size, stream)

    def download(self, target: int, source: int, size: int, stream: Any) -> None:
        self._ask("cuMemcpyDtoHAsync", target, source, size, stream)

    def copy(self, target: int, source: int, size: int, stream: Any) -> None:
        self._ask("cuMemcpyDtoDAsync", target, source, size, stream)

    def load(self, code: bytes, entry: str, shared: int = 0) -> Any:
        module = self._ask("cuModuleLoadData", code)
        kernel = self._ask("cuModuleGetFunction", module, entry.encode())
        if shared:
            # Beyond 48 KiB only who says so before gets it; no launch is recorded before this.
            which = self._cuda.CUfunction_attribute
            most = which.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._ask("cuFuncSetAttribute", kernel, most, shared)
        return kernel

    def launch(
        self, kernel: Any, grid: tuple[int, int, int], pointers: Sequence[int], stream: Any
    ) -> None:
        blocks, threads, shared = grid
        count = len(pointers)
        values = (ctypes.c_uint64 * count)(*pointers)
        start = ctypes.addressof(values)
        places = (ctypes.c_void_p * count)(*(start + 8 * k for k in range(count)))
        sizes = (blocks, 1, 1, threads, 1, 1, shared)
        self._ask("cuLaunchKernel", kernel, *sizes, stream, ctypes.addressof(places), 0)

    def event(self, stream: Any) -> Any:
        event = self._ask("cuEventCreate", self._cuda.CUevent_flags.CU_EVENT_DISABLE_TIMING)
        self._ask("cuEventRecord", event, stream)
        return event

    def wait_for(self, event: Any) -> None:
        self._ask("cuEventSynchronize", event)

    def is_done(self, event: Any) -> bool:
        return self._is_over("cuEventQuery", event)

    def is_idle(self, stream: Any) -> bool:
        return self._is_over("cuStreamQuery", stream)

    def _is_over(self, name: str, what: Any) -> bool:
        (code,) = getattr(self._cuda, name)(what)
        if code.name == "CUDA_ERROR_NOT_READY":
            return False
        if code != self._cuda.CUresult.CUDA_SUCCESS:
            raise self._error(name, code)
        return True

    def drop(self, event: Any) -> None:
        self._ask("cuEventDestroy", event)

    @property
    def _mode(self) -> Any:
        """How streams record: libraries may load what they need, which other modes forbid."""
        return self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED

    def record(self, stream: Any) -> None:
        self._ask("cuStreamBeginCapture", stream, self._mode)

    def recorded(self, stream: Any) -> Any:
        graph = self._ask("cuStreamEndCapture", stream)
        try:
            # The numbers of choices are the graph's: it stays as long as what was made of it.
            return self._ask("cuGraphInstantiate", graph, 0), graph
        except BaseException:
            self._ask("cuGraphDestroy", graph)
            raise

    def abandon(self, stream: Any) -> None:
        status, *_ = self._ask("cuStreamGetCaptureInfo", stream)
        # What failed may have ended it already.
        if status == self._cuda.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_NONE:
            return
        code, *found = self._cuda.cuStreamEndCapture(stream)
        if code == self._cuda.CUresult.CUDA_SUCCESS:
            self._ask("cuGraphDestroy", *found)

    def decides(self) -> bool:
        return self._version >= DECIDING_DRIVER and hasattr(
            self._cuda, "cuGraphConditionalHandleCreate"
        )

    def _recording(self, stream: Any) -> tuple[Any, list[Any]]:
        """The graph that a stream records, and what its next node waits for, as nodes are added."""
        _, _, graph, *before = self._ask("cuStreamGetCaptureInfo", stream)
        return graph, before

    def decision(self, stream: Any) -> int:
        graph, _ = self._recording(stream)
        context = self._contexts[self._current.device]
        return int(self._ask("cuGraphConditionalHandleCreate", graph, context, 0, _ASSIGN_DEFAULT))

    def inside(self, decision: int, again: bool, stream: Any) -> Any:
        cuda = self._cuda
        # Nodes, from CUDA 13 on data of the edges from them, and how many there are.
        graph, before = self._recording(stream)
        params = cuda.CUgraphNodeParams()
        params.type = cuda.CUgraphNodeType.CU_GRAPH_NODE_TYPE_CONDITIONAL
        kinds = cuda.CUgraphConditionalNodeType
        params.conditional.handle = cuda.CUgraphConditionalHandle(decision)
        params.conditional.type = (
            kinds.CU_GRAPH_COND_TYPE_WHILE if again else kinds.CU_GRAPH_COND_TYPE_IF
        )
        params.conditional.size = 1
        params.conditional.ctx = self._contexts[self._current.device]
        node = self._ask("cuGraphAddNode", graph, *before, params)
        replace = cuda.CUstreamUpdateCaptureDependencies_flags.CU_STREAM_SET_CAPTURE_DEPENDENCIES
        after = [[node], *[None] * (len(before) - 2), 1]
        self._ask("cuStreamUpdateCaptureDependencies", stream, *after, replace.value)
        idle = self._inner.setdefault(self._current.device, [])
        inner = idle.pop() if idle else self.stream()
        (body,) = params.conditional.phGraph_out
        self._ask("cuStreamBeginCaptureToGraph", inner, body, None, None, 0, self._mode)
        return inner

    def leave(self, inner: Any) -> None:
        # The graph belongs to its node.
        self._ask("cuStreamEndCapture", inner)
        self._inner[self._current.device].append(inner)

    def replay(self, graph: Any, stream: Any) -> None:
        self._ask("cuGraphLaunch", graph[0], stream)

    def forget(self, graph: Any) -> None:
        made, of = graph
        self._ask("cuGraphExecDestroy", made)
        self._ask("cuGraphDestroy", of)


def _bindings() -> Any:
    try:
        return import_module("cuda.bindings.driver")
    except ImportError as error:
        raise CudaError(
            f"A GPU is asked for through cuda-bindings, which this Python does not have. "
            f"Install it: {remedy()}"
        ) from error
