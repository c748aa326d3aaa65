"""Running a program from its Python text: with Numba, or by the interpreter alone.

In: the text of a module with a function `program`, and what a call needs. Out: `Script`, called
like a compiled program. The names that such texts import are here as well. It is the oracle of the
machine code, and what a person steps through with a debugger.
"""

from __future__ import annotations

import ctypes
import itertools
import linecache
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from ...core.array import to_ndarray
from ...ir import narrow
from ...ir.jaxpr import Eqn, Literal
from ...ir.nests import Buffer
from . import symbols
from .launch import Output

F = TypeVar("F", bound=Callable[..., Any])
NDArray = np.ndarray[Any, Any]
_serial = itertools.count()


def plain(function: F) -> F:
    """The function as it is: Python runs it."""
    return function


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled by Numba, at its first call with arguments of each type."""
    numba: Any = import_module("numba")
    # As in machine code and in NumPy, a division by zero is no exception.
    return numba.njit(error_model="numpy")(function)


def c_function(name: str, dtype: str, count: int) -> Any:
    """A C function of `count` arguments of float32 or float64, which gives the same."""
    kind = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype]
    return ctypes.CFUNCTYPE(kind, *[kind] * count)(symbols.address(name))


def view(memory: NDArray, offset: int, size: int, dtype: Any) -> NDArray:
    """`size` elements of memory from a byte offset on."""
    return memory[offset : offset + size * np.dtype(dtype).itemsize].view(dtype)


def strided(array: NDArray, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray:
    """A flat array under a shape, with strides in elements."""
    steps = [s * array.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(array, shape, steps)


def matmul(left: NDArray, right: NDArray, out: NDArray, adds: bool = False) -> None:
    """out = left @ right, or out + left @ right if it adds."""
    if adds:
        out += np.matmul(left, right, dtype=out.dtype, casting="unsafe")
    else:
        np.matmul(left, right, out=out, dtype=out.dtype, casting="unsafe")


def words_of(array: Any) -> NDArray:
    """An array flat, as programs have it in memory."""
    array = np.ascontiguousarray(array)
    if array.dtype.names is not None:
        array = array.view(np.uint32)
    elif array.dtype.kind == "c":
        array = array.view(array.real.dtype)
    elif array.dtype.itemsize == 2 and array.dtype.kind not in "iu":
        array = array.view(np.uint16)
    elif narrow.is_narrow(array.dtype):
        array = array.view(np.uint8)
    return array.reshape(-1)


def rule_of(
    eqn: Eqn,
    reads: Sequence[Buffer],
    writes: Sequence[Buffer],
    backwards: Sequence[tuple[int, ...]] = (),
) -> Callable[[Sequence[NDArray], Sequence[NDArray]], None]:
    """The NumPy rule of an eqn as a function of flat arrays to read and to write.

    Args:
        backwards: of each operand, the axes along which what is read lies backwards.
    """
    flips = backwards or [()] * len(reads)

    def run(sources: Sequence[NDArray], targets: Sequence[NDArray]) -> None:
        values: list[Any] = []
        for source, b, atom, axes in zip(sources, reads, eqn.invars, flips, strict=True):
            if isinstance(atom, Literal):
                values.append(np.asarray(to_ndarray(atom.val), atom.aval.dtype))
                continue
            value = source.view(b.dtype).reshape(b.shape)
            value = np.flip(value, axes) if axes else value
            key = b.dtype != atom.aval.dtype
            values.append(value.view(atom.aval.dtype)[..., 0] if key else value)
        result = eqn.rule()(*values, **eqn.params)
        results = result if eqn.primitive.multiple_results else [result]
        for target, value in zip(targets, results, strict=True):
            target[...] = words_of(value)

    return run


class Script:
    """A program that runs from its text; called like an `Executable`."""

    def __init__(
        self,
        text: str,
        rules: Sequence[Callable[..., None]],
        constants: Sequence[NDArray],
        outputs: Sequence[Output],
        arena: int,
    ) -> None:
        self.text = text
        self._rules = rules
        self._constants = [words_of(c) for c in constants]
        self._outputs = outputs
        self._arena = arena
        name = f"<funcgrad program {next(_serial)}>"
        # So that tracebacks and debuggers show the lines.
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        self._namespace: dict[str, Any] = {"__name__": name}
        exec(compile(text, name, "exec"), self._namespace)

    def __call__(self, arrays: Sequence[Any]) -> list[NDArray]:
        """Run the program.

        Args:
            arrays: one for each input, of its shape and dtype.
        """
        outs = [np.empty(o.shape, o.dtype) for o in self._outputs]
        memory = np.empty(self._arena, np.uint8)
        given = [*self._constants, *map(words_of, arrays), *map(words_of, outs)]
        with np.errstate(all="ignore"):
            self._namespace["program"](self._rules, memory, *given)
        return [
            out if o.view is None else out.view(o.view)[..., 0]
            for out, o in zip(outs, self._outputs, strict=True)
        ]
