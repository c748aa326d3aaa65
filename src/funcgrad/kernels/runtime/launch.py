"""A compiled program with its memory, ready to be called.

In: machine code, and what a call needs: constants, shapes of the results, bytes of the arena.
Out: `Executable`, called with NumPy arrays, or with whatever has the avals it was made for.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...core.array import Array
from ...ir.avals import ShapedArray
from . import outputs as memory
from . import pool as pools
from . import toolchain
from .launcher import FIRST_SLOT, MISMATCH, ROOMLESS, Forms, Plan
from .wanted import Wanted

# Programs that take longer let go of the GIL, so that other threads of Python's go on.
_SHORT_NANOSECONDS = 30_000.0


class Workspace:
    """What one call at a time uses: the table, the arena, and the plan that names them."""

    def __init__(
        self,
        program: int,
        constants: Sequence[np.ndarray[Any, Any]],
        inputs: int,
        outputs: int,
        arena: int,
        host: int,
        forms: int,
        releases: bool,
    ) -> None:
        slots = FIRST_SLOT + len(constants) + inputs + outputs
        self.table: Any = (ctypes.c_void_p * slots)()
        self.memory = np.empty(arena + 64, np.uint8)
        self.table[0] = host
        self.table[1] = pools.pool().address
        at = self.memory.ctypes.data
        self.table[2] = -(-at // 64) * 64
        for k, array in enumerate(constants, FIRST_SLOT):
            self.table[k] = array.ctypes.data
        start = ctypes.addressof(self.table)
        first = start + 8 * (FIRST_SLOT + len(constants))
        plan = Plan(program, start, first, inputs, outputs, forms, releases)
        self.plan, self.method, self.call = plan, plan.method, plan.call


class Output(NamedTuple):
    """Shape and dtype of a result in memory, and the dtype it is seen as."""

    shape: tuple[int, ...]
    dtype: Any
    view: Any


def _size(output: Output) -> int:
    return math.prod(output.shape) * output.dtype.itemsize


def _seen(output: Output) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of a result as it is given out."""
    if output.view is None:
        return output.shape, output.dtype
    return output.shape[:-1], output.view


Host = Callable[[int, int], None]


class Executable:
    """A program that can be called, from any number of threads at once.

    Attributes:
        cost: rough nanoseconds.
        in_line: whether machine code makes its results and reads its arguments, `on_leaves`; where
            there are call-outs, Python does.
        reusable: pairs of an output and an input in whose memory it may be written.
    """

    def __init__(
        self,
        code: toolchain.LoadedCode,
        constants: Sequence[np.ndarray[Any, Any]],
        outputs: Sequence[Output],
        arena: int,
        cost: float,
        host: Host | None,
        no_room: Callable[[int, int], str],
        reusable: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._code = code
        self._constants = tuple(np.ascontiguousarray(c) for c in constants)
        self._empty = tuple((*_seen(o), _size(o)) for o in outputs)
        self._forms = Forms(
            [(shape, dtype, _maker(shape, dtype, n)) for shape, dtype, n in self._empty]
        )
        self._arena = arena
        self._program = code.address("program")
        self._free: list[Workspace] = []
        self._failed = threading.local()
        self._host = host
        self._no_room = no_room
        self.cost = cost
        self.reusable = tuple(reusable)
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)
        self._callback = kind(self._call_out) if host is not None else None
        self.in_line = host is None

    def _call_out(self, args: int, number: int) -> int:
        assert self._host is not None
        try:
            self._host(args, number)
        except BaseException as error:  # it must not be lost in the machine code
            self._failed.error = error
            return 1
        return 0

    def _workspace(self, inputs: int) -> Workspace:
        host = ctypes.cast(self._callback, ctypes.c_void_p).value if self._callback else 0
        counts = (inputs, len(self._empty))
        ends = host or 0, self._forms.address, self.cost >= _SHORT_NANOSECONDS
        return Workspace(self._program, self._constants, *counts, self._arena, *ends)

    def __call__(
        self, arrays: Sequence[np.ndarray[Any, Any]], reused: Sequence[tuple[int, int]] = ()
    ) -> list[np.ndarray[Any, Any]]:
        """Run the program; the results are read-only.

        Args:
            arrays: one for each input, of its shape and dtype.
            reused: pairs out of `reusable`: the output is the memory of the input, which nobody
                else refers to.
        Raises:
            Exception: what a call-out raised.
            MemoryError: there is no room for the results, or for what is in between.
        """
        given = tuple(arrays)
        try:
            outs = self._results(reused, arrays)
            try:
                work = self._free.pop()
            except IndexError:
                work = self._workspace(len(given))
        except MemoryError:
            raise self._too_large() from None
        code = work.call(given, outs)
        while code < 0:
            # Not contiguous, or not aligned: a copy is.
            k = -1 - code
            given = (*given[:k], np.array(given[k], order="C", copy=True), *given[k + 1 :])
            code = work.call(given, outs)
        return self._finish(code, work, outs)

    def on_leaves(
        self, leaves: tuple[Any, ...], out_avals: tuple[ShapedArray, ...], wanted: Wanted
    ) -> list[Array] | None:
        """Run a program that is `in_line`; None if the leaves are not what is wanted.

        Args:
            leaves: as many as it has inputs, of any type.
            out_avals: what the results are, one for each of its outputs.
            wanted: of the avals of its inputs.
        Raises:
            MemoryError: there is no room for the results, or for what is in between.
        """
        records = wanted.records
        try:
            try:
                work = self._free.pop()
            except IndexError:
                work = self._workspace(len(leaves))
            while (outs := work.method(leaves, out_avals, records)) is leaves:
                code = work.plan.code
                contiguous = None
                if code < MISMATCH:
                    k = ROOMLESS - code
                    size = wanted.size_of(k)
                    if size < memory.SMALLEST:
                        work.plan.make_room(k, size)
                        continue
                elif code > MISMATCH:
                    contiguous = made_contiguous(leaves[-1 - code])
                if contiguous is None:
                    self._free.append(work)
                    return None
                k = -1 - code
                leaves = (*leaves[:k], contiguous, *leaves[k + 1 :])
        except MemoryError:
            raise self._too_large() from None
        if len(self._free) < 4:
            self._free.append(work)
        return outs

    def _too_large(self) -> MemoryError:
        results = sum(size for _, _, size in self._empty)
        return MemoryError(self._no_room(results, self._arena))

    def _results(
        self, reused: Sequence[tuple[int, int]], arrays: Sequence[np.ndarray[Any, Any]]
    ) -> list[Any]:
        """Memory for the results."""
        whose = dict(reused)
        return [
            arrays[whose[k]]
            if k in whose
            else np.empty(shape, dtype)
            if size < memory.SMALLEST
            else memory.empty(shape, dtype, size)
            for k, (shape, dtype, size) in enumerate(self._empty)
        ]

    def _finish(self, code: int, work: Workspace, outs: list[Any]) -> list[Any]:
        if len(self._free) < 4:
            self._free.append(work)
        if code:
            error = self._failed.error
            del self._failed.error
            raise error
        return outs


def _maker(shape: tuple[int, ...], dtype: Any, size: int) -> Callable[[], Any] | None:
    """What makes a result whose memory is kept for later ones."""
    return None if size < memory.SMALLEST else partial(memory.empty, shape, dtype, size)


def made_contiguous(x: Any) -> Any:
    """What stands for an Array or ndarray in memory that programs can read; None if it has none.

    An Array keeps that memory, for the next call.
    """
    if type(x) is np.ndarray:
        copied: Any = x.copy(order="C")
        return copied
    value = x._value
    if value is None:
        return None
    copy = np.array(value, order="C", copy=True)
    copy.flags.writeable = False
    x._value = copy
    return x
