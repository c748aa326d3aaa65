"""A user's Numba function as a step of compiled programs.

In: a function compiled by `numba.njit` that reads arrays and writes arrays. Out: the address of a C
function that a program calls with its own memory, for the element types of each call. The one idea:
the C function gives a number and raises nothing; where it is not 0, the same function is called
again from Python on the same memory, and what that raises is the user's own error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..ir.loops import Native
from ..locks import lock

NDArray = np.ndarray[Any, Any]

_lock = lock()


class Operand(NamedTuple):
    """An operand of one call: element type, rank, and over which loops around the call it runs."""

    dtype: str
    rank: int
    mapped: tuple[bool, ...]


class Signature(NamedTuple):
    """What machine code is made for: operands, then (element type, rank) of outputs, loops around.

    Attributes:
        loops: how many nested loops there are around the call, from vmap.
    """

    operands: tuple[Operand, ...]
    outs: tuple[tuple[str, int], ...]
    loops: int

    def written(self) -> list[Any]:
        """The signature as JSON holds it."""
        operands = [[o.dtype, o.rank, list(o.mapped)] for o in self.operands]
        return [operands, [list(o) for o in self.outs], self.loops]


def signature_read(written: Sequence[Any]) -> Signature:
    """The signature that was written."""
    operands, outs, loops = written
    return Signature(
        tuple(Operand(dtype, rank, tuple(mapped)) for dtype, rank, mapped in operands),
        tuple((dtype, rank) for dtype, rank in outs),
        loops,
    )


class Shapes(NamedTuple):
    """Extents of the loops, and of what each operand and output is for one turn of them."""

    loops: tuple[int, ...]
    operands: list[tuple[int, ...]]
    outs: list[tuple[int, ...]]


def shapes_of(signature: Signature, extents: Sequence[int]) -> Shapes:
    """The extents, told apart."""
    rest = iter(extents)

    def some(count: int) -> tuple[int, ...]:
        return tuple(next(rest) for _ in range(count))

    loops = some(signature.loops)
    operands = [some(o.rank) for o in signature.operands]
    return Shapes(loops, operands, [some(rank) for _, rank in signature.outs])


class NumbaKernel:
    """A function of arrays to read and arrays to write, compiled by Numba; equal to itself only.

    Attributes:
        name: what errors and printed programs call it.
        where: its file and line.
        cuda: the kernel for GPUs of the same operation, if there is one.
    """

    def __init__(self, dispatcher: Any, name: str, cuda: Any = None) -> None:
        self.dispatcher = dispatcher
        self.name = name
        self.cuda = cuda
        code = dispatcher.py_func.__code__
        self.where = f"{code.co_filename}:{code.co_firstlineno}"
        self._entries: dict[Signature, Any] = {}

    def __repr__(self) -> str:
        return self.name

    def address(self, signature: Signature) -> int:
        """The address of `int32 (void **arrays, int64 *extents)`; it lives as long as the kernel.

        Raises:
            TypeError: Numba cannot compile the function for these types.
        """
        with _lock:
            found = self._entries.get(signature)
            if found is None:
                found = self._entries[signature] = self._compiled(signature)
        return int(found.address)

    def _compiled(self, signature: Signature) -> Any:
        numba: Any = import_module("numba")
        self.check(signature)
        kinds = [np.dtype(d) for d, *_ in (*signature.operands, *signature.outs)]
        namespace = {f"type{k}": kind for k, kind in enumerate(kinds)}
        namespace |= {"carray": numba.carray, "read_only": read_only(), "kernel": self.dispatcher}
        exec(entry_text(signature), namespace)
        types = numba.types
        pointers = types.CPointer(types.voidptr), types.CPointer(types.int64)
        return numba.cfunc(types.int32(*pointers))(namespace["entry"])

    def check(self, signature: Signature) -> None:
        """Compile the function for the types of a signature.

        Raises:
            TypeError: Numba cannot.
        """
        numba: Any = import_module("numba")
        types: list[Any] = []
        try:
            for dtype, rank, _ in signature.operands:
                kind = numba.from_dtype(np.dtype(dtype))
                array = numba.types.Array(kind, rank, "C", readonly=True)
                types.append(array if rank else kind)
            for dtype, rank in signature.outs:
                types.append(numba.types.Array(numba.from_dtype(np.dtype(dtype)), rank, "C"))
            self.dispatcher.compile(tuple(types))
        except (numba.core.errors.NumbaError, RuntimeError) as error:
            given = ", ".join(map(str, types))
            raise TypeError(
                f"Numba cannot compile the kernel {self.name} ({self.where}) for the arguments "
                f"({given}).\n{error}\n  What is read arrives as read-only arrays, scalars where "
                "the rank is 0; the arrays to write follow. Leave out explicit signatures of njit."
            ) from error

    def call(
        self,
        signature: Signature,
        extents: Sequence[int],
        arrays: Sequence[NDArray],
        line: str = "",
    ) -> None:
        """Call the function from Python, once for each turn of the loops around it.

        Args:
            arrays: operands, then outputs, with the axes of the loops in front.
            line: the user's line, for what the function raises.
        """
        count = len(signature.operands)
        shapes = shapes_of(signature, extents)
        for array in arrays[:count]:
            array.flags.writeable = False
        try:
            for turn in np.ndindex(*shapes.loops):
                self.dispatcher(*_elements(signature, arrays, turn))
        except Exception as error:
            error.add_note(f"in the kernel {self.name} ({self.where})\n  {line}".rstrip())
            raise

    def run(self, signature: Signature, extents: Sequence[int], arrays: Sequence[NDArray]) -> None:
        """Call the function on C-contiguous arrays; its loops in machine code, where it has any."""
        if not signature.loops:
            self.check(signature)
            self.call(signature, extents, arrays)
            return
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
        pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        sizes = (ctypes.c_int64 * len(extents))(*extents)
        if kind(self.address(signature))(ctypes.addressof(pointers), ctypes.addressof(sizes)):
            self.call(signature, extents, arrays)


def _elements(
    signature: Signature, arrays: Sequence[NDArray], turn: tuple[int, ...]
) -> Iterator[Any]:
    """What the function gets at a turn of the loops."""
    count = len(signature.operands)
    for operand, array in zip(signature.operands, arrays[:count], strict=True):
        at = tuple(i for i, m in zip(turn, operand.mapped, strict=True) if m)
        yield array[at] if operand.rank else array[at][()]
    for array in arrays[count:]:
        yield array[(*turn, ...)]


@cache
def read_only() -> Any:
    """A function of Numba code that gives the same array, which cannot be written."""
    extending: Any = import_module("numba.extending")
    returned: Any = import_module("numba.core.imputils").impl_ret_borrowed

    @extending.intrinsic
    def protected(typingctx: Any, array: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return returned(context, builder, signature.return_type, args[0])

        return array.copy(readonly=True)(array), code

    return protected


def entry_text(signature: Signature) -> str:
    """The C function for a signature as Python for Numba: 0, or 1 where the kernel raised."""
    loops = range(signature.loops)
    place = signature.loops
    lines: list[str] = []
    given: list[str] = []
    every = (True,) * signature.loops
    outs = [Operand(dtype, rank, every) for dtype, rank in signature.outs]
    for k, (_, rank, mapped) in enumerate([*signature.operands, *outs]):
        around = [j for j in loops if mapped[j]]
        sizes = [f"extents[{j}]" for j in [*around, *range(place, place + rank)]]
        place += rank
        array = f"carray(arrays[{k}], ({''.join(s + ', ' for s in sizes)}), type{k})"
        index = [f"i{j}" for j in around]
        if k < len(signature.operands):
            array = f"read_only({array})"
            given.append(f"a{k}[{', '.join(index) or ('()' if not rank else '...')}]")
        elif rank or not index:
            given.append(f"a{k}[{', '.join(index) or '...'}]")
        else:
            # An array of rank 0 over the one element.
            last = f"{index[-1]}:{index[-1]} + 1"
            given.append(f"a{k}[{', '.join([*index[:-1], last])}].reshape(())")
        lines.append(f"    a{k} = {array}")
    given = [g.removesuffix("[...]") for g in given]
    lines.append("    try:")
    for j in loops:
        lines.append(f"{'    ' * (j + 2)}for i{j} in range(extents[{j}]):")
    lines.append(f"{'    ' * (signature.loops + 2)}kernel({', '.join(given)})")
    lines += ["    except Exception:", "        return 1", "    return 0"]
    return "\n".join(["def entry(arrays, extents):", *lines, ""])


# Programs that call such functions.


class NativeCall(NamedTuple):
    """A call in a program, and the user's line that asked for it."""

    native: Native
    line: str


def symbol_of(number: int) -> str:
    """The name under which a program calls its native function of a number."""
    return f"fg_native_{number}"


def addresses(calls: Mapping[int, NativeCall]) -> dict[str, int]:
    """The addresses of what a program calls, by symbol."""
    return {
        symbol_of(number): call.native.function.address(call.native.signature)
        for number, call in calls.items()
    }


def host_of_natives(calls: Mapping[int, NativeCall]) -> Callable[[int, int], None]:
    """The function that calls a native function again which failed, and so raises its error."""

    def host(args: int, number: int) -> None:
        again(calls[number], args)

    return host


def again(call: NativeCall, args: int) -> None:
    """Call a native function from Python on the memory of the program."""
    signature, extents = call.native.signature, call.native.extents
    shapes = shapes_of(signature, extents)
    count = len(signature.operands)
    pointers: Any = (ctypes.c_void_p * (count + len(signature.outs))).from_address(args)
    arrays: list[NDArray] = []
    for k, operand in enumerate(signature.operands):
        around = tuple(n for n, m in zip(shapes.loops, operand.mapped, strict=True) if m)
        shape = (*around, *shapes.operands[k])
        arrays.append(array_at(pointers[k], shape, np.dtype(operand.dtype)))
    for k, (dtype, _) in enumerate(signature.outs):
        shape = (*shapes.loops, *shapes.outs[k])
        arrays.append(array_at(pointers[count + k], shape, np.dtype(dtype)))
    call.native.function.call(signature, extents, arrays, call.line)


def array_at(address: int | None, shape: tuple[int, ...], dtype: Any) -> NDArray:
    """An array over memory of the program."""
    size = prod(shape) * dtype.itemsize
    if not size or not address:
        return np.empty(shape, dtype)
    memory: Any = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)
