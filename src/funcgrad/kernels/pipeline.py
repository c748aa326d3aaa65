"""The compiler: from a simplified jaxpr to something that runs, stage by stage.

stage    from what to what                                       where
jaxpr    primitives without a kernel → programs of others        passes.simplify.with_programs
block    jaxpr → nests → groups → loops, as steps over buffers   program: lowering, fuse, schedule
         values over those that nobody reads any more            in_place
memory   buffers → places in one arena                           memory
text     loops → LLVM's language, or Python                      emit
code     text → object file → what is called                     runtime.toolchain, executables

The docstring of the package has all modules in the order of reading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..config import config
from ..ir.jaxpr import ClosedJaxpr
from ..passes.simplify import with_programs
from .emit.program import ProgramEmitter
from .executables import constants_of, executable
from .in_place import update_in_place
from .libraries import library_kernel
from .linking import outputs_of
from .memory import Plan, plan
from .program import Block, Builder, HostCall
from .runtime import toolchain
from .runtime.launch import Executable

if TYPE_CHECKING:
    from .emit.source_program import Rule
    from .runtime.scripts import Script

Simplify = Callable[[ClosedJaxpr], ClosedJaxpr]


@dataclass(frozen=True, eq=False)
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
    builder = Builder(lambda body: with_programs(simplify(body)), library_kernel)
    block = builder.block(with_programs(closed))
    update_in_place(block)
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
