"""Arrays and programs on GPUs: where device_put, jit and eager operations meet their compiler.

In: arrays, programs, primitives. Out: arrays on a device. The one idea: a device is asked for when
it is named; nothing of CUDA is imported before. What is not there, or has no kernel, is an error
that says so: nothing is done on the CPU instead.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from .. import tree
from ..config import config, default_device
from ..core import collecting
from ..core import devices as known_devices
from ..core.array import Array, to_ndarray
from ..core.devices import Device, cpu_device
from ..core.primitive import Primitive
from ..core.remote import HOST, Home, RemoteArray, default_home, finders
from ..core.shardings import Sharding
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, as_array
from ..ir.avals import ShapedArray, aval_of, size_of
from ..ir.jaxpr import ClosedJaxpr
from ..locks import lock
from .announcing import announced
from .direct import matched
from .jit import captured, jit_p, run, simplified_for_gpu

if TYPE_CHECKING:
    from ..kernels.cuda.program import CudaProgram
    from ..kernels.cuda.runtime.executable import CudaExecutable
    from ..kernels.cuda.runtime.place import Place

P = ParamSpec("P")
R = TypeVar("R")

_PLATFORMS = ("gpu", "cuda")
_lock = lock()
# The devices in use, once they were asked for.
_homes: list[CudaHome] = []


class CudaHome:
    """A GPU that has arrays, and computes with them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._device = Device("gpu", place.number, place.info.name)
        self._programs: weakref.WeakKeyDictionary[ClosedJaxpr, CudaExecutable] = (
            weakref.WeakKeyDictionary()
        )
        self._single: dict[Any, ClosedJaxpr] = {}

    @property
    def device(self) -> Device:
        """What users see of it."""
        return self._device

    # Arrays.

    def put(self, x: Any, committed: bool) -> RemoteArray:
        """A value on this device."""
        aval = aval_of(x)
        if type(x) is RemoteArray:
            memory = x.home.brought(x.alive(), self.place)
            if memory is not None:
                return RemoteArray(memory, aval, self, committed)
        from ..kernels.runtime.scripts import words_of

        flat = words_of(to_ndarray(x))
        return RemoteArray(self.place.upload(flat), aval, self, committed)

    def fetch(self, memory: Any, aval: ShapedArray, coming: Any) -> np.ndarray[Any, Any]:
        """A copy of an array in the host's memory; waits for it."""
        array = np.empty(aval.shape, aval.dtype)
        if coming is None:
            self.place.download(memory, array)
        else:
            coming.into(array)
        return array

    def begin(self, memory: Any, aval: ShapedArray) -> Any:
        """Begin to copy an array to the host."""
        size = size_of(aval.shape) * aval.dtype.itemsize
        return self.place.fetch(memory, size) if size else None

    def is_done(self, memory: Any) -> bool:
        """Whether all work so far is done."""
        with self.place.lock:
            self.place.enter()
            return self.place.driver.is_idle(self.place.stream)

    def wait(self, memory: Any) -> None:
        """Return when what was put into the memory is there."""
        from ..kernels.cuda.runtime.place import Mark

        Mark(self.place).wait()

    def address(self, memory: Any) -> int:
        """Where the memory begins."""
        return memory.address

    def brought(self, memory: Any, place: Place) -> Any:
        """The memory itself on this device; a copy of it on another one."""
        if place is self.place:
            memory.shared = True
            return memory
        from ..kernels.cuda.runtime.moves import moved

        return moved(place, self.place, memory)

    # Other libraries.

    @property
    def number(self) -> tuple[int, int]:
        """DLPack's kind of device, and its number."""
        return (2, self.place.number)

    def interface(self, memory: Any, aval: ShapedArray) -> dict[str, Any]:
        """An array as `__cuda_array_interface__` says it."""
        from ..kernels.cuda.runtime.interchange import interface

        return interface(self.place, memory, aval)

    def capsule(self, array: RemoteArray, stream: Any, options: dict[str, Any]) -> Any:
        """An array as `__dlpack__` gives it, with its arguments max_version, dl_device and copy."""
        from ..kernels.cuda.runtime.interchange import exported

        memory, copy = array.alive(), options["copy"]
        dl_device, version = options["dl_device"], options["max_version"]
        if dl_device is not None and tuple(dl_device) != self.number:
            if tuple(dl_device) == (1, 0) and copy is not False:
                host = Array(array.numpy(), array.aval)
                return host.__dlpack__(max_version=version, copy=copy)
            raise BufferError(
                f"{array.aval.long()} on {self.device} was asked for on DLPack's device "
                f"{tuple(dl_device)}{' without a copy' if copy is False else ''}.\n"
                f"  {user_line()}\n  Bring it there first by device_put."
            )
        if copy:
            memory = self.place.copied(memory)
        return exported(self.place, memory, array.aval, stream, version, bool(copy))

    # Programs.

    def explain(
        self, closed: ClosedJaxpr, args: Sequence[tuple[str, ShapedArray, str]], name: str
    ) -> str:
        """A page on a program on this device, and on what comes from elsewhere.

        Args:
            args: of each argument its name, and the device it is on; "" is the host's memory.
        """
        from ..kernels.cuda.transfers import Given, transfers

        program = self.lowered(closed)
        given = [
            Given(n, a.short(), b.bytes, place)
            for (n, a, place), b in zip(args, program.block.inputs, strict=True)
        ]
        page = program.explain(f"{name} for {self.place.info.target}")
        decides = self.place.driver.decides()
        return "\n".join([page, *transfers(program, given, str(self.device), decides)])

    def lowered(self, closed: ClosedJaxpr) -> CudaProgram:
        """What the device would be told to do."""
        from ..kernels.cuda.program import cuda_program

        place, simplify, target = self.place, simplified_for_gpu, self.place.info.target
        return cuda_program(simplify(closed), simplify, place.takes, place.room, target)

    def executable(self, closed: ClosedJaxpr, like: CudaExecutable | None = None) -> CudaExecutable:
        """The program of a jaxpr on this device, made once.

        Args:
            like: that of another device, which need not be lowered again for one of its kind.
        Raises:
            NoKernelError: it has a step without a kernel.
        """
        found = self._programs.get(closed)
        if found is None:
            from ..kernels.cuda.runtime.executable import CudaExecutable

            name = closed.jaxpr.debug_name or "the program"
            with collecting.put_off(), announced("compiling", name, closed.in_avals):
                alike = like is not None and like.place.info == self.place.info
                program = like.program if like and alike else self.lowered(closed)
                found = CudaExecutable(program, self.place, name)
            with _lock:
                self._programs[closed] = found
        return found

    def arena(self, closed: ClosedJaxpr) -> int:
        """Bytes of the device that a program takes beside its arguments and results."""
        return self.executable(closed).commands.arena

    def run(
        self, closed: ClosedJaxpr, args: Sequence[Any], donated: Sequence[int] = ()
    ) -> list[Any]:
        """Put a program into the stream; its results are there before they are computed."""
        program = self.executable(closed)
        here = [type(x) is RemoteArray and x.home is self for x in args]
        arrays = [x if h else self.put(x, False) for x, h in zip(args, here, strict=True)]
        held = [a.alive() for a in arrays]
        sole = {
            i
            for i in donated
            if type(args[i]) is RemoteArray and not held[i].shared and held.count(held[i]) == 1
        }
        out_avals = closed.out_avals
        pairs = matched(program.reusable, [a.aval for a in arrays], out_avals, sole)
        program.brought = [
            0 if type(x) is RemoteArray else size_of(a.aval.shape) * a.aval.dtype.itemsize
            for x, a in zip(args, arrays, strict=True)
        ]
        memories = program(held, pairs)
        given = [*args, *captured(closed)]
        committed = any(type(x) is RemoteArray and x.committed for x in given)
        outs = [
            RemoteArray(m, a, self, committed) for m, a in zip(memories, out_avals, strict=True)
        ]
        if config.debug_nans or config.debug_infs:
            from .blame import check_results

            check_results(closed, [a.numpy() for a in arrays], [x.numpy() for x in outs])
        return outs

    def evaluate(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive to arrays, as a program of one step."""
        if primitive is jit_p:
            return self.run(params["jaxpr"], args)
        outs = self.run(self.staged(primitive, args, params), args)
        return outs if primitive.multiple_results else outs[0]

    def staged(
        self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]
    ) -> ClosedJaxpr:
        """A primitive as a program of one step."""
        avals = tuple(aval_of(x) for x in args)
        try:
            key = (primitive, avals, tuple(sorted(params.items())), config.signature())
            closed = self._single.get(key)
        except TypeError:  # params that cannot be compared or hashed
            key, closed = None, None
        if closed is None:
            closed = stage(_bound(primitive, params), avals, primitive.name)
            if key is not None:
                self._single[key] = closed
        return closed


class HostHome:
    """The CPU, for arrays that were put there while other devices are in use."""

    @property
    def device(self) -> Device:
        """What users see of it."""
        return cpu_device

    def put(self, x: Any, committed: bool) -> RemoteArray:
        """A value on the CPU."""
        return RemoteArray(to_ndarray(x), aval_of(x), self, committed)

    def fetch(self, memory: Any, aval: ShapedArray, coming: Any) -> np.ndarray[Any, Any]:
        """The array itself."""
        return memory

    def begin(self, memory: Any, aval: ShapedArray) -> None:
        """Nothing: it is the host's."""

    def is_done(self, memory: Any) -> bool:
        """True: results are there when a call returns."""
        return True

    def wait(self, memory: Any) -> None:
        """Nothing: results are there when a call returns."""

    def address(self, memory: Any) -> int:
        """Where the memory begins."""
        return memory.ctypes.data

    def brought(self, memory: Any, place: Place) -> None:
        """None: what the host has, it uploads."""

    @property
    def number(self) -> tuple[int, int]:
        """DLPack's kind of device, and its number."""
        return HOST

    def interface(self, memory: Any, aval: ShapedArray) -> dict[str, Any]:
        """Arrays on the CPU have none."""
        raise AttributeError(f"{aval.long()} is on {cpu_device}, not on a GPU.")

    def capsule(self, array: RemoteArray, stream: Any, options: dict[str, Any]) -> Any:
        """An array as `__dlpack__` gives it."""
        return Array.__dlpack__(array, stream=stream, **options)

    def evaluate(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive to arrays."""
        outs = primitive.evaluate_here(args, params)
        if primitive.multiple_results:
            return [self.put(x, True) for x in outs]
        return self.put(outs, True)

    def run(
        self, closed: ClosedJaxpr, args: Sequence[Any], donated: Sequence[int] = ()
    ) -> list[Any]:
        """Run a program."""
        outs = run(closed, [to_ndarray(x) for x in args])
        return [RemoteArray(x, a, self, True) for x, a in zip(outs, closed.out_avals, strict=True)]


host_home = HostHome()


def _bound(primitive: Primitive, params: dict[str, Any]) -> Callable[..., Sequence[Any]]:
    def function(*values: Any) -> Sequence[Any]:
        out = primitive.bind(*values, **params)
        return out if primitive.multiple_results else [out]

    return function


# Devices.


def homes() -> list[CudaHome]:
    """The GPUs of this machine, asked for at the first call.

    Raises:
        RuntimeError: there is no driver, no GPU, or no package to ask for them; it says what to do.
    """
    with _lock:
        if not _homes:
            from ..kernels.cuda import cublaslt, cudnn
            from ..kernels.cuda.compiled import compile_kernels
            from ..kernels.cuda.runtime.driver import NvidiaDriver
            from ..kernels.cuda.runtime.place import Place

            driver = NvidiaDriver()
            places = [Place(driver, k, i, compile_kernels) for k, i in enumerate(driver.devices())]
            for place in places:
                place.matmuls = cublaslt.available()
                place.convolutions = cudnn.available()
            _homes.extend(map(CudaHome, places))
        return list(_homes)


def gpus() -> list[Device]:
    """The GPUs of this machine."""
    return [home.device for home in homes()]


def _memory_stats(number: int) -> dict[str, int]:
    """What a GPU's memory holds, under JAX's names."""
    pool = homes()[number].place.pool
    return {
        "bytes_in_use": pool.used,
        "peak_bytes_in_use": pool.peak,
        "bytes_limit": homes()[number].place.info.memory,
        "bytes_reserved": pool.held,
        "largest_alloc_size": pool.largest,
        "num_allocs": pool.count,
    }


known_devices.register(_PLATFORMS, gpus, _memory_stats)


def home_at(device: Any, backend: str | None = None) -> CudaHome | HostHome | None:
    """What `device=` and `backend=` name; None where neither is given.

    Raises:
        RuntimeError: a device or backend that is not present.
    """
    if device is None:
        if backend in (None, "cpu"):
            return None if backend is None else host_home
        known_devices.devices(backend)
        return homes()[0]
    if backend is not None:
        raise ValueError(
            f"device={device!r} and backend={backend!r} are both given: give one of them."
        )
    if device == "cpu" or (isinstance(device, Device) and device in known_devices.cpu_devices()):
        # The devices of the CPU share one memory.
        return host_home
    if isinstance(device, str) and device in _PLATFORMS:
        return homes()[0]
    if isinstance(device, Device) and device.platform in _PLATFORMS:
        for home in homes():
            if home.device == device:
                return home
    present = [str(d) for d in [*known_devices.cpu_devices(), *(h.device for h in _homes)]]
    raise RuntimeError(
        f"Unknown device {device!r}: the devices present are [{', '.join(present)}]. Take one of "
        "funcgrad.devices() or funcgrad.devices('gpu'), or leave device out."
    )


def _default_at(device: Any) -> Home | None:
    home = home_at(device)
    return None if home is host_home else home


finders.append(_default_at)


def placed(x: Any, home: CudaHome | HostHome, committed: bool = True) -> Any:
    """A value on a device; tracers stay as they are.

    Where the CPU is the one device in use, its arrays are as they always are.
    """
    if isinstance(x, Tracer):
        return x
    if home is host_home and not _homes:
        return Array(x.numpy(), x.aval) if type(x) is RemoteArray else as_array(x)
    return home.put(x, committed)


def by_default(x: Any) -> Any:
    """A new array on the default device, uncommitted; what is elsewhere already stays."""
    if config.default_device is None or type(x) is not Array:
        return x
    home = default_home()
    return x if home is None else placed(x, home, committed=False)  # pyright: ignore[reportArgumentType]


def made_on_device(function: Callable[P, R]) -> Callable[P, R]:
    """A function that makes arrays, with its argument `device=`: they are made, and stay, there.

    Without one they are made on the default device.
    """

    @wraps(function)
    def making(*args: P.args, **kwargs: P.kwargs) -> Any:
        device = kwargs.get("device")
        if device is None:
            return by_default(function(*args, **kwargs))
        if isinstance(device, Sharding):
            from .layouts import laid_out

            found = function(*args, **{**kwargs, "device": None})  # pyright: ignore[reportCallIssue]
            return tree.map(lambda x: laid_out(x, device), found)
        home = home_at(device)
        assert home is not None
        with default_device(home.device):
            found = function(*args, **{**kwargs, "device": None})  # pyright: ignore[reportCallIssue]
            return tree.map(lambda x: placed(x, home), found)

    return making
