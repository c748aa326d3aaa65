"""Machine code and a description to an executable program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..core.remote import RemoteArray
from ..ir import dtypes
from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr
from . import custom
from .runtime import symbols, toolchain
from .runtime.launch import Executable, Output
from .runtime.pool import pool


def storage_shape(aval: ShapedArray) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the memory of a value; a key is two uint32, a complex number its parts."""
    if dtypes.is_key_dtype(aval.dtype):
        return (*aval.shape, 2), np.dtype(np.uint32)
    if aval.dtype.kind == "c":
        return (*aval.shape, 2), np.dtype(dtypes.to_floating_dtype(aval.dtype))
    return aval.shape, aval.dtype


def captured(value: Any, dtype: np.dtype[Any]) -> Any:
    """A captured array as numbers of a dtype; an array of a device stays what and where it is."""
    return value if type(value) is RemoteArray else in_memory(value, dtype)


def in_memory(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array in the host's memory, seen as numbers of a dtype."""
    array = value if type(value) is np.ndarray else to_ndarray(value)
    # A scalar cannot be seen as two words; made contiguous, it has an axis.
    return array if array.dtype == dtype else np.ascontiguousarray(array).view(dtype)


def outputs_of(avals: Sequence[ShapedArray]) -> list[Output]:
    """The results of a program in memory."""
    outputs: list[Output] = []
    for aval in avals:
        shape, dtype = storage_shape(aval)
        outputs.append(Output(shape, dtype, aval.dtype if dtype != aval.dtype else None))
    return outputs


def linked(
    code: bytes,
    meta: dict[str, Any],
    constants: Sequence[np.ndarray[Any, Any]],
    avals: Sequence[ShapedArray],
    program: Callable[[], ClosedJaxpr],
    host: Callable[[int, int], None] | None = None,
    natives: Mapping[int, custom.NativeCall] | None = None,
) -> Executable:
    """The program of an object file.

    Args:
        meta: `symbols` it calls, bytes of its `arena`, its `cost` in nanoseconds, the
            pairs of output and input that are `reusable`.
        avals: of its results.
        program: gives what it was compiled from, which is told of where there is no memory for it.
        host: runs its call-outs; it holds the native functions for as long as the program lives.
        natives: machine code from elsewhere that it calls.
    """
    given = custom.addresses(natives or {})
    found = symbols.resolve(set(meta["symbols"]) - given.keys() - {"fg_parallel_for"}) | given
    found["fg_parallel_for"] = pool().parallel_for_address
    loaded = toolchain.load(code, found)
    reusable = [(k, i) for k, i in meta["reusable"]]
    outputs = outputs_of(avals)
    sizes = meta["arena"], meta["cost"]
    told = partial(_no_room, program)
    return Executable(loaded, constants, outputs, *sizes, host, told, reusable)


def _no_room(program: Callable[[], ClosedJaxpr], results: int, temporary: int) -> str:
    from .room import no_room

    return no_room(program(), results, temporary)
