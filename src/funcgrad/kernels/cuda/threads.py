"""A user's numba.cuda kernel run by Python, thread after thread: the oracle where no GPU is.

In: a function that names `numba.cuda`, a grid and arrays. Out: the arrays are changed. The one
idea: what a thread asks `cuda` for is its place; where threads of a block wait for each other, they
are threads of Python that do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np


class Three(NamedTuple):
    """Numbers along the axes of a grid."""

    x: int
    y: int = 0
    z: int = 0


class _Block:
    """What the threads of a block share: arrays, and a barrier."""

    def __init__(self, threads: int) -> None:
        self.barrier = threading.Barrier(threads)
        self.arrays: list[Any] = []
        self.lock = threading.Lock()


class _Shared:
    def __init__(self, block: _Block) -> None:
        self._block = block
        self._next = 0

    def array(self, shape: Any, dtype: Any) -> Any:
        """The block's array: threads ask for theirs in one order."""
        at, self._next = self._next, self._next + 1
        with self._block.lock:
            if at == len(self._block.arrays):
                self._block.arrays.append(np.empty(shape, _dtype(dtype)))
        return self._block.arrays[at]


class _Local:
    def array(self, shape: Any, dtype: Any) -> Any:
        """An array of the thread's own."""
        return np.empty(shape, _dtype(dtype))


class Cuda:
    """What a thread sees of `numba.cuda`."""

    def __init__(self, block: _Block, at: int, thread: int, blocks: int, threads: int) -> None:
        self._block = block
        self.blockIdx, self.threadIdx = Three(at), Three(thread)
        self.gridDim, self.blockDim = Three(blocks, 1, 1), Three(threads, 1, 1)
        self.shared, self.local = _Shared(block), _Local()

    def grid(self, ndim: int) -> Any:
        """The number of the thread in the grid."""
        first = self.blockIdx.x * self.blockDim.x + self.threadIdx.x
        return first if ndim == 1 else (first, *(0,) * (ndim - 1))

    def gridsize(self, ndim: int) -> Any:
        """How many threads there are."""
        size = self.gridDim.x * self.blockDim.x
        return size if ndim == 1 else (size, *(1,) * (ndim - 1))

    def syncthreads(self) -> None:
        """Wait for the other threads of the block."""
        self._block.barrier.wait()


def run_threads(
    function: Callable[..., None], blocks: int, threads: int, arrays: Sequence[Any]
) -> None:
    """Run a kernel for every thread of a grid.

    Raises:
        Exception: what a thread raises.
    """
    # Threads that never wait can follow each other.
    if not _waits(function, set()):
        for at in range(blocks):
            block = _Block(1)
            for thread in range(threads):
                _bound(function, Cuda(block, at, thread, blocks, threads), {})(*arrays)
        return
    for at in range(blocks):
        _together(function, at, blocks, threads, arrays)


def _together(
    function: Callable[..., None], at: int, blocks: int, threads: int, arrays: Sequence[Any]
) -> None:
    block, errors = _Block(threads), list[BaseException]()

    def one(thread: int) -> None:
        try:
            _bound(function, Cuda(block, at, thread, blocks, threads), {})(*arrays)
        except threading.BrokenBarrierError:
            return
        except Exception as error:
            errors.append(error)
        # Who is done no longer waits, nor lets others wait for it.
        if errors:
            block.barrier.abort()

    workers = [threading.Thread(target=one, args=(k,)) for k in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    block.barrier.abort()
    if errors:
        raise errors[0]


def _plain(value: Any) -> FunctionType | None:
    """The Python function of a value that is one, or that numba.cuda made of one."""
    found = getattr(value, "py_func", value)
    return found if isinstance(found, FunctionType) else None


def _is_cuda(value: Any) -> bool:
    return isinstance(value, ModuleType) and value.__name__.endswith("numba.cuda")


def _named(function: FunctionType) -> dict[str, Any]:
    """The globals that the code of a function names."""
    held = function.__globals__
    return {name: held[name] for name in function.__code__.co_names if name in held}


def _waits(function: Callable[..., None], seen: set[int]) -> bool:
    plain = _plain(function)
    if plain is None or id(plain) in seen:
        return False
    seen.add(id(plain))
    used = plain.__code__.co_names
    if "syncthreads" in used or "shared" in used:
        return True
    return any(_waits(value, seen) for value in _named(plain).values())


def _bound(function: Any, cuda: Cuda, made: dict[int, Any]) -> Any:
    """The function, and what it calls, with another `cuda`."""
    plain = _plain(function)
    assert plain is not None
    found = made.get(id(plain))
    if found is None:
        held = dict(plain.__globals__)
        found = FunctionType(
            plain.__code__, held, plain.__name__, plain.__defaults__, plain.__closure__
        )
        made[id(plain)] = found
        for name, value in _named(plain).items():
            if _is_cuda(value):
                held[name] = cuda
            elif hasattr(value, "py_func"):
                held[name] = _bound(value, cuda, made)
    return found


def _dtype(dtype: Any) -> np.dtype[Any]:
    """NumPy's dtype of NumPy's or Numba's."""
    return np.dtype(dtype if not hasattr(dtype, "bitwidth") else str(dtype))
