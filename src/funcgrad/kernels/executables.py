"""From machine code to something that is called: its constants, its memory, what answers call-outs.

In: the stages of a program, and its object code. Out: `Executable`. The one idea: machine code
knows its program by a table of addresses alone, so all that it needs of Python is listed here, and
the same list goes into the store.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.array import to_ndarray
from ..ir.avals import ShapedArray
from ..ir.jaxpr import Literal
from ..ir.sources import describe
from .costs import serial_nanoseconds
from .custom import NativeCall, again, array_at
from .linking import linked
from .memory import reusable
from .program import HostCall, all_constants
from .runtime.launch import Executable
from .storage import in_memory

if TYPE_CHECKING:
    from .pipeline import Stages


def executable(stages: Stages, code: bytes) -> Executable:
    """Machine code with what it needs."""
    return executable_of_text(stages, stages.llvm, code)


def executable_of_text(
    stages: Stages, text: str, code: bytes, more: Sequence[ShapedArray] = ()
) -> Executable:
    """Machine code of a text with what it needs.

    Args:
        more: results that the text has beside those of the program.
    """
    calls = stages.host_calls
    host = host_of(calls) if calls else None
    meta, constants = described(stages, text), constants_of(stages)
    avals = [*stages.simplified.out_avals, *more]
    program = stages.simplified
    return linked(code, meta, constants, avals, lambda: program, host, natives_of(calls))


def constants_of(stages: Stages) -> list[np.ndarray[Any, Any]]:
    """The arrays a program captures, in the order of its table."""
    return [in_memory(value, b.dtype) for b, value in all_constants(stages.block).items()]


def described(stages: Stages, text: str) -> dict[str, Any]:
    """What is needed beside its code to call a program of this text."""
    names = {
        line.split("@", 1)[1].split("(", 1)[0].strip('"')
        for line in text.splitlines()
        if line.startswith("declare ")
    }
    return {
        "symbols": sorted(n for n in names if not n.startswith("llvm.")),
        "arena": stages.memory.size,
        "cost": serial_nanoseconds(stages.block),
        "reusable": reusable(stages.block),
    }


def natives_of(calls: Sequence[HostCall]) -> dict[int, NativeCall]:
    """The calls that native code answers, by number."""
    return {
        call.number: NativeCall(call.native, describe(call.eqn.source))
        for call in calls
        if call.native is not None
    }


def host_of(calls: list[HostCall]) -> Callable[[int, int], None]:
    """The function that runs the NumPy rule of a call-out on the program's memory."""
    natives = natives_of(calls)

    def host(args: int, number: int) -> None:
        if number in natives:
            again(natives[number], args)
            return
        call = calls[number]
        eqn = call.eqn
        count = len(call.reads)
        pointers: Any = (ctypes.c_void_p * (count + len(call.writes))).from_address(args)
        values: list[Any] = []
        for k, (b, atom) in enumerate(zip(call.reads, eqn.invars, strict=True)):
            if isinstance(atom, Literal):
                values.append(np.asarray(to_ndarray(atom.val), atom.aval.dtype))
                continue
            view = array_at(pointers[k], b.shape, b.dtype)
            view.flags.writeable = False
            values.append(
                view if b.dtype == atom.aval.dtype else view.view(atom.aval.dtype)[..., 0]
            )
        with np.errstate(all="ignore"):
            result = eqn.rule()(*values, **eqn.params)
        results = result if eqn.primitive.multiple_results else [result]
        for k, (b, value) in enumerate(zip(call.writes, results, strict=True)):
            target = array_at(pointers[count + k], b.shape, b.dtype)
            value = np.asarray(value)
            if value.dtype != b.dtype and (
                value.dtype.names is not None or value.dtype.kind == "c"
            ):
                value = np.ascontiguousarray(value)[..., None].view(b.dtype)
            target[...] = value

    return host
