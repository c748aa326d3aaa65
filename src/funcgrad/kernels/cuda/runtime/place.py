"""One GPU: its stream, its memory, and the kernels that it has loaded.

In: NumPy arrays, kernels. Out: memory of the device, handles. The one idea: one stream has all the
work of a device in the order in which the host asked for it, and nothing else orders it; the host
waits only where it reads.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..adapter import Cubin
from ..cublaslt import CublasLt, Matmul
from ..cudnn import Convolution, Cudnn
from ..program import CudaKernel, CudaProgram
from .conditions import CASES, TEXT, WHILE
from .driver import CudaError, Driver, Info
from .pool import Memory, Pool
from .staging import Fetch, Staging

NDArray = np.ndarray[Any, Any]
Compiler = Callable[[CudaProgram, Sequence[CudaKernel], str], list[Cubin]]
# What CUDA allows in the one dimension that grids have here.
MOST_BLOCKS = 2**31 - 1


class Mark:
    """A point in the work of a device."""

    def __init__(self, place: Place) -> None:
        self._place = place
        # Not amid what another thread records.
        with place.lock:
            place.enter()
            self._event = place.driver.event(place.stream)

    def wait(self) -> None:
        """Return when the work before it is done."""
        self._place.enter()
        self._place.driver.wait_for(self._event)

    def __del__(self) -> None:
        event = self.__dict__.get("_event")
        if event is not None:
            self._place.pool.leave(self._place.driver.drop, event)


@contextmanager
def together(places: Iterable[Place]) -> Generator[None]:
    """Hold the locks of several devices, always taken in the order of their numbers."""
    with ExitStack() as stack:
        for place in sorted(places, key=lambda p: p.number):
            stack.enter_context(place.lock)
        yield


class Place:
    """A device in use.

    Attributes:
        matmuls: whether products of matrices that cuBLASLt takes are its; `convolutions`: the same
            of cuDNN.
        lock: held while work is put into the stream, so that a program's commands stay together.
    """

    def __init__(self, driver: Driver, number: int, info: Info, compiler: Compiler) -> None:
        self.driver = driver
        self.number = number
        self.info = info
        self.lock = threading.RLock()
        self._compiler = compiler
        self._kernels: dict[tuple[str, str, int], Any] = {}
        self.matmuls = False
        self._products: CublasLt | None = None
        self.convolutions = False
        self._cudnn: Cudnn | None = None
        self.enter()
        self.stream = driver.stream()
        self.pool = Pool(driver, self.stream)
        self.staging = Staging(driver, self.pool, self.stream)

    def enter(self) -> None:
        """Make the device that of this thread."""
        self.driver.use(self.number)

    def multiply(
        self, product: Matmul, addresses: Sequence[int], workspace: int, stream: Any
    ) -> None:
        """Put a product of matrices into a stream."""
        where = self.driver.address_of(stream)
        assert self._products is not None
        self._products.multiply(product, addresses, workspace, where)

    def takes(self, product: Matmul) -> bool:
        """Whether cuBLASLt does a product here."""
        with self.lock:
            self.enter()
            if self.matmuls and self._products is None:
                try:
                    self._products = CublasLt()
                except Exception as error:
                    self.matmuls = False
                    told = f"cuBLASLt cannot be used, products are done by our own kernels: {error}"
                    warnings.warn(f"{told}\n  `python -m funcgrad doctor` looks.", stacklevel=2)
            return self._products is not None and self._products.takes(product)

    def convolve(
        self, convolution: Convolution, addresses: Sequence[int], workspace: int, stream: Any
    ) -> None:
        """Put a convolution into a stream."""
        where = self.driver.address_of(stream)
        assert self._cudnn is not None
        self._cudnn.convolve(convolution, addresses, workspace, where)

    def room(self, convolution: Convolution) -> int | None:
        """The bytes that cuDNN does a convolution in; None where it does not do it here."""
        with self.lock:
            self.enter()
            if self.convolutions and self._cudnn is None:
                try:
                    self._cudnn = Cudnn()
                except Exception as error:
                    self.convolutions = False
                    told = (
                        f"cuDNN cannot be used, convolutions are done by our own kernels: {error}"
                    )
                    warnings.warn(f"{told}\n  `python -m funcgrad doctor` looks.", stacklevel=2)
            return None if self._cudnn is None else self._cudnn.room(convolution)

    def upload(self, array: NDArray) -> Memory:
        """A flat array on the device."""
        self.enter()
        array = np.ascontiguousarray(array)
        with self.lock:
            memory = self.pool.take(array.nbytes)
            if array.nbytes:
                self.staging.up(memory.address, array.ctypes.data, array.nbytes)
        return memory

    def copied(self, memory: Any) -> Memory:
        """The bytes of a memory in a new one."""
        self.enter()
        with self.lock:
            found = self.pool.take(memory.size)
            if memory.size:
                self.driver.copy(found.address, memory.address, memory.size, self.stream)
        return found

    def download(self, memory: Memory, array: NDArray, offset: int = 0) -> None:
        """Fill a contiguous array with what is on the device."""
        self.enter()
        if not array.nbytes:
            return
        with self.lock:
            self.staging.down(array.ctypes.data, memory.address + offset, array.nbytes)

    def fetch(self, memory: Memory, size: int) -> Fetch:
        """Begin to bring what is on the device; the host does not wait."""
        self.enter()
        with self.lock:
            return self.staging.fetch(memory.address, size)

    def kernels(self, program: CudaProgram, kernels: Sequence[CudaKernel]) -> dict[str, Any]:
        """By name: the handles of kernels; what is new is compiled and loaded."""
        keys = {k.name: (program.module_of(k), k.name, k.launch.shared) for k in kernels}
        new = [k for k in kernels if keys[k.name] not in self._kernels]
        if new:
            made = self._compiler(program, new, self.info.target)
            self.enter()
            for kernel, cubin in zip(new, made, strict=True):
                shared = kernel.launch.shared
                handle = self.driver.load(cubin.code, cubin.entry, shared)
                self._kernels[keys[kernel.name]] = handle
        return {name: self._kernels[key] for name, key in keys.items()}

    def prepare_choices(self) -> None:
        """Load the kernels that set choices: while a stream records, nothing is loaded."""
        for entry in (WHILE, *CASES.values()):
            if ("", entry, 0) not in self._kernels:
                self.enter()
                self._kernels["", entry, 0] = self.driver.load(TEXT.encode() + b"\0", entry)

    def decide(self, entry: str, numbers: list[int], stream: Any) -> None:
        """Put the kernel that sets a choice into a stream that records."""
        self.driver.launch(self._kernels["", entry, 0], (1, 1, 0), numbers, stream)

    def launch(
        self,
        name: str,
        handle: Any,
        grid: tuple[int, int, int],
        pointers: list[int],
        stream: Any = None,
    ) -> None:
        """Put a kernel into the stream, or into another one.

        Raises:
            CudaError: the grid is larger than there can be, or the driver refuses it.
        """
        blocks, threads, _ = grid
        if blocks > MOST_BLOCKS:
            raise CudaError(
                f"The kernel {name} would need {blocks} blocks, and a GPU launches {MOST_BLOCKS} "
                "at most. Make the array smaller, or call the function on parts of it."
            )
        try:
            where = self.stream if stream is None else stream
            self.driver.launch(handle, grid, pointers, where)
        except CudaError as error:
            raise CudaError(f"{name} of {blocks} × {threads} threads: {error}") from error
