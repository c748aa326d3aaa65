"""Machine code and a description to an executable program.

In: an object file, from the compiler or from the store, and a few numbers that say how it is
called. Out: `Executable`. The one idea: nothing here knows the stages of the compiler, so a program
that comes from the store needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr
from . import custom
from .runtime import symbols, toolchain
from .runtime.launch import Executable, Output
from .runtime.pool import pool
from .storage import storage_shape


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
