"""Arrays and programs on GPUs: where device_put, jit and eager operations meet their compiler.

In: arrays, programs, primitives. Out: arrays on a device. The one idea: a device is asked for when
it is named; nothing of CUDA is imported before. What is not there, or has no kernel, is an error
that says so: nothing is done on the CPU instead.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import config
from ..core import devices as known_devices
from ..core.array import to_ndarray
from ..core.devices import Device, cpu_device
from ..core.primitive import Primitive
from ..core.remote import RemoteArray
from ..core.staging import stage
from ..core.trace import Tracer
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr
from .direct import matched
from .jit import jit_p, simplified

if TYPE_CHECKING:
    from ..kernels.cuda.runtime.executable import CudaExecutable
    from ..kernels.cuda.runtime.place import Place

_PLATFORMS = ("gpu", "cuda")
_lock = threading.RLock()
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
        if type(x) is RemoteArray and x.home is self:
            return RemoteArray(x.alive(), x.aval, self, committed)
        aval = aval_of(x)
        from ..kernels.runtime.scripts import words_of

        flat = words_of(to_ndarray(x))
        return RemoteArray(self.place.upload(flat), aval, self, committed)

    def fetch(self, memory: Any, aval: ShapedArray) -> np.ndarray[Any, Any]:
        """A copy of an array in the host's memory; waits for it."""
        array = np.empty(aval.shape, aval.dtype)
        self.place.download(memory, array)
        return array

    def wait(self, memory: Any) -> None:
        """Return when what was put into the memory is there."""
        from ..kernels.cuda.runtime.place import Mark

        Mark(self.place).wait()

    def address(self, memory: Any) -> int:
        """Where the memory begins."""
        return memory.address

    # Programs.

    def executable(self, closed: ClosedJaxpr) -> CudaExecutable:
        """The program of a jaxpr on this device, made once.

        Raises:
            NoKernelError: it has a step without a kernel.
        """
        found = self._programs.get(closed)
        if found is None:
            from ..kernels.cuda.program import cuda_program
            from ..kernels.cuda.runtime.executable import CudaExecutable

            program = cuda_program(simplified(closed), simplified)
            name = closed.jaxpr.debug_name or "the program"
            found = CudaExecutable(program, self.place, name)
            with _lock:
                self._programs[closed] = found
        return found

    def run(
        self, closed: ClosedJaxpr, args: Sequence[Any], donated: Sequence[int] = ()
    ) -> list[Any]:
        """Put a program into the stream; its results are there before they are computed."""
        program = self.executable(closed)
        arrays = [self.put(x, False) for x in args]
        sole = {i for i in donated if type(args[i]) is RemoteArray}
        out_avals = closed.out_avals
        pairs = matched(program.reusable, [a.aval for a in arrays], out_avals, sole)
        memories = program([a.alive() for a in arrays], pairs)
        committed = any(type(x) is RemoteArray and x.committed for x in args)
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
        outs = self.run(closed, args)
        return outs if primitive.multiple_results else outs[0]


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
            from ..kernels.cuda.compiled import compile_kernel
            from ..kernels.cuda.runtime.driver import NvidiaDriver
            from ..kernels.cuda.runtime.place import Place

            driver = NvidiaDriver()
            places = [Place(driver, k, i, compile_kernel) for k, i in enumerate(driver.devices())]
            _homes.extend(map(CudaHome, places))
        return list(_homes)


def gpus() -> list[Device]:
    """The GPUs of this machine."""
    return [home.device for home in homes()]


known_devices.register(_PLATFORMS, gpus)


def home_at(device: Any, backend: str | None = None) -> CudaHome | None:
    """What `device=` and `backend=` name; None for the CPU, or where neither is given.

    Raises:
        RuntimeError: a device or backend that is not present.
    """
    if device is None:
        if backend in (None, "cpu"):
            return None
        known_devices.devices(backend)
        return homes()[0]
    if backend is not None:
        raise ValueError(
            f"device={device!r} and backend={backend!r} are both given: give one of them."
        )
    if device == cpu_device or device == "cpu":
        return None
    if isinstance(device, str):
        known_devices.devices(device)
        return homes()[0]
    if isinstance(device, Device) and device.platform in _PLATFORMS:
        for home in homes():
            if home.device == device:
                return home
    present = [str(cpu_device), *(str(home.device) for home in _homes)]
    raise RuntimeError(
        f"Unknown device {device!r}: the devices present are [{', '.join(present)}]. Take one of "
        "funcgrad.devices() or funcgrad.devices('gpu'), or leave device out."
    )


def placed(x: Any, home: CudaHome | None, committed: bool = True) -> Any:
    """A value on a device; tracers stay as they are."""
    if isinstance(x, Tracer):
        return x
    return x if home is None else home.put(x, committed)
