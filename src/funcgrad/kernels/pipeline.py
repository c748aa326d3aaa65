"""The compiler: from a simplified jaxpr to something that runs, stage by stage.

blocks   jaxpr → nests → groups → loop nests       lowering, fuse, schedule (program)
memory   where every buffer lives                  memory
text     loop nests → LLVM, or → Python            emit
code     text → object code → executable           runtime
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import config
from ..core.array import to_ndarray
from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr, Literal
from ..ir.sources import describe
from .custom import NativeCall, again, array_at
from .emit.program import ProgramEmitter
from .libraries import library_kernel
from .linking import in_memory, linked, outputs_of
from .memory import Plan, plan, reusable
from .program import Block, Builder, HostCall, Launch, LibraryCall, Scan, While, all_constants
from .runtime import toolchain
from .runtime.launch import Executable

if TYPE_CHECKING:
    from .emit.source_program import Rule
    from .runtime.scripts import Script

Simplify = Callable[[ClosedJaxpr], ClosedJaxpr]


@dataclass(eq=False)
class Stages:
    """Every stage of one program; the texts are written when they are asked for."""

    simplified: ClosedJaxpr
    block: Block
    memory: Plan
    host_calls: list[HostCall]

    @cached_property
    def llvm(self) -> str:
        """The program in LLVM's language."""
        return ProgramEmitter(self.block, self.memory, toolchain.machine().vector_bits).module()

    def python(self, numba: bool) -> tuple[str, list[Rule]]:
        """The program as Python, and the eqns in it that run by their NumPy rule."""
        from .emit.source_program import ProgramSource

        writer = ProgramSource(self.block, self.memory)
        return writer.module(numba), writer.rules


# Called with the stages of every program that is lowered; tests check them all.
watchers: list[Callable[[Stages], None]] = []


def lower(closed: ClosedJaxpr, simplify: Simplify) -> Stages:
    """The stages of a simplified program up to the memory plan."""
    builder = Builder(simplify, library_kernel)
    block = builder.block(closed)
    stages = Stages(closed, block, plan(block), builder.host_calls)
    for watch in watchers:
        watch(stages)
    if config.debug:
        from .debugging import show

        show(stages, config.debug)
    return stages


def script(stages: Stages, lowering: str) -> Script:
    """The program as Python; its kernels are compiled by Numba if the lowering is "source"."""
    from .runtime.scripts import Script, rule_of

    text, rules = stages.python(numba=lowering == "source")
    functions = [rule_of(*rule) for rule in rules]
    constants = constants_of(stages)
    return Script(
        text, functions, constants, outputs_of(stages.simplified.out_avals), stages.memory.size
    )


def compiled(stages: Stages) -> Executable:
    """The program as machine code, ready to be called."""
    return executable(stages, machine_code(stages))


def machine_code(stages: Stages) -> bytes:
    """The object file of a program."""
    return toolchain.compile_text(stages.llvm)


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
    return linked(code, meta, constants, stages.simplified, host, natives_of(calls), more)


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
        "cost": cost_of(stages.block),
        "reusable": reusable(stages.block),
    }


def natives_of(calls: Sequence[HostCall]) -> dict[int, NativeCall]:
    """The calls that native code answers, by number."""
    return {
        call.number: NativeCall(call.native, describe(call.eqn.source))
        for call in calls
        if call.native is not None
    }


def cost_of(block: Block) -> float:
    """Rough nanoseconds of a block on one core."""
    total = 0.0
    for step in block.steps:
        if isinstance(step, Launch):
            total += step.kernel.cost
        elif isinstance(step, LibraryCall):
            total += sum(s.cost for s in step.kernel.stages)
        elif isinstance(step, Scan):
            total += cost_of(step.block) * step.length
        elif isinstance(step, (While, HostCall)):
            total += 1e6
    return total


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
