"""A compiled program with its memory, ready to be called.

In: machine code, and what a call needs: constants, shapes of the results, bytes of the arena.
Out: `Executable`, called with NumPy arrays. The one idea: the table of addresses that a program
reads is filled by machine code too, from the arrays' own headers, so a call costs a few Python
operations whatever the number of arrays.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from . import outputs as memory
from . import pool as pools
from . import toolchain

FIRST_SLOT = 3
_IN_LINE_NANOSECONDS = 30_000.0

# PyArrayObject: data at 16, flags at 64; bit 0: C-contiguous, bit 8: aligned. A tuple's items
# begin at 24. The plan: program, table, first slot, count. Gives -1 - k if array k must be copied.
_LAUNCH = """
define i64 @fg_launch(ptr %plan, ptr %arrays) {
entry:
  %program = load ptr, ptr %plan
  %table.at = getelementptr i8, ptr %plan, i64 8
  %table = load ptr, ptr %table.at
  %count.at = getelementptr i8, ptr %plan, i64 16
  %count = load i64, ptr %count.at
  %items = getelementptr i8, ptr %arrays, i64 24
  br label %check
check:
  %i = phi i64 [ 0, %entry ], [ %i1, %fine ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %run
one:
  %item.at = getelementptr ptr, ptr %items, i64 %i
  %item = load ptr, ptr %item.at
  %flags.at = getelementptr i8, ptr %item, i64 64
  %flags = load i32, ptr %flags.at
  %both = and i32 %flags, 257
  %good = icmp eq i32 %both, 257
  br i1 %good, label %fine, label %bad
fine:
  %data.at = getelementptr i8, ptr %item, i64 16
  %data = load ptr, ptr %data.at
  %slot = getelementptr ptr, ptr %table, i64 %i
  store ptr %data, ptr %slot
  %i1 = add i64 %i, 1
  br label %check
bad:
  %k = sub i64 -1, %i
  ret i64 %k
run:
  %first = getelementptr i8, ptr %table, i64 -TABLE
  %code = call i32 %program(ptr %first)
  %wide = sext i32 %code to i64
  ret i64 %wide
}
"""


class Launcher(NamedTuple):
    """The function that fills the table and runs the program, with and without the GIL held."""

    holding: Any
    releasing: Any
    code: toolchain.LoadedCode


@cache
def launcher() -> Launcher:
    """The launcher of this process.

    Raises:
        RuntimeError: arrays or tuples lie otherwise in memory than the launcher reads them.
    """
    check_layout()
    text = _LAUNCH.replace("-TABLE", str(-8 * FIRST_SLOT))
    code = toolchain.load(toolchain.compile_text(text), {}, ("fg_launch",))
    at = code.address("fg_launch")
    kinds = (ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    return Launcher(ctypes.PYFUNCTYPE(*kinds)(at), ctypes.CFUNCTYPE(*kinds)(at), code)


def check_layout() -> None:
    """Hold what the launcher reads by offset against what Python says of the same objects."""
    array = np.arange(3.0)
    given = (array,)
    item = ctypes.c_void_p.from_address(id(given) + 24).value
    data = ctypes.c_void_p.from_address(id(array) + 16).value
    flags = ctypes.c_int32.from_address(id(array) + 64).value
    if item != id(array) or data != array.ctypes.data or flags & 257 != 257:
        raise RuntimeError(
            "This build of Python or NumPy keeps tuples or arrays in another layout than compiled "
            "programs read. Set FUNCGRAD_LOWERING=numpy, which runs programs without compiling."
        )


class Workspace:
    """What one call at a time uses: the table, the arena, and the plan that names them."""

    def __init__(self, program: int, slots: int, arena: int, host: int, count: int) -> None:
        self.table: Any = (ctypes.c_void_p * (FIRST_SLOT + slots))()
        self.memory = np.empty(arena + 64, np.uint8)
        self.table[0] = host
        self.table[1] = pools.pool().address
        at = self.memory.ctypes.data
        self.table[2] = -(-at // 64) * 64
        first = ctypes.addressof(self.table) + 8 * FIRST_SLOT
        self.plan: Any = (ctypes.c_int64 * 3)(program, first, count)
        self.address = ctypes.addressof(self.plan)


class Output(NamedTuple):
    """Shape and dtype of a result in memory, and the dtype it is seen as."""

    shape: tuple[int, ...]
    dtype: Any
    view: Any


def _size(output: Output) -> int:
    return math.prod(output.shape) * output.dtype.itemsize


Host = Callable[[int, int], None]


class Executable:
    """A program that can be called, from any number of threads at once.

    Attributes:
        cost: rough nanoseconds; long programs run without the GIL.
    """

    def __init__(
        self,
        code: toolchain.LoadedCode,
        constants: Sequence[np.ndarray[Any, Any]],
        outputs: Sequence[Output],
        arena: int,
        cost: float,
        host: Host | None,
    ) -> None:
        self._code = code
        self._constants = tuple(np.ascontiguousarray(c) for c in constants)
        self._outputs = tuple(outputs)
        self._empty = tuple((o.shape, o.dtype, _size(o)) for o in outputs)
        self._views = tuple((k, o.view) for k, o in enumerate(outputs) if o.view is not None)
        self._arena = arena
        self._program = code.address("program")
        self._free: list[Workspace] = []
        self._failed = threading.local()
        self._host = host
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)
        self._callback = kind(self._call_out) if host is not None else None
        # Held: threads that come first together make a launcher each.
        self._launcher = found = launcher()
        hold = host is None and cost < _IN_LINE_NANOSECONDS
        self._launch = found.holding if hold else found.releasing

    def _call_out(self, args: int, number: int) -> int:
        assert self._host is not None
        try:
            self._host(args, number)
        except BaseException as error:  # it must not be lost in the machine code
            self._failed.error = error
            return 1
        return 0

    def _workspace(self, count: int) -> Workspace:
        host = ctypes.cast(self._callback, ctypes.c_void_p).value if self._callback else 0
        return Workspace(self._program, count, self._arena, host or 0, count)

    def __call__(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Run the program.

        Args:
            arrays: one for each input, of its shape and dtype.
        Raises:
            Exception: what a call-out raised.
            MemoryError: there is no room for the results.
        """
        empty = np.empty
        outs = [
            empty(shape, dtype) if size < memory.SMALLEST else memory.empty(shape, dtype, size)
            for shape, dtype, size in self._empty
        ]
        given: tuple[Any, ...] = (*self._constants, *arrays, *outs)
        try:
            work = self._free.pop()
        except IndexError:
            work = self._workspace(len(given))
        code = self._launch(work.address, id(given))
        while code < 0:
            # Not contiguous, or not aligned: a copy is.
            k = -1 - code
            given = (*given[:k], np.array(given[k], order="C", copy=True), *given[k + 1 :])
            code = self._launch(work.address, id(given))
        if len(self._free) < 4:
            self._free.append(work)
        if code:
            error = self._failed.error
            del self._failed.error
            raise error
        for k, view in self._views:
            outs[k] = outs[k].view(view)[..., 0]
        return outs
