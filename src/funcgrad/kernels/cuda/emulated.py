"""A whole program for a GPU, run by the emulator: the oracle of its kernels.

In: a `CudaProgram` and arrays. Out: the program's results. Every buffer has memory of its own,
filled with what nobody should read, so that a kernel that leaves an element out is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.nests import Buffer
from ..program import Block, Launch
from ..runtime.scripts import words_of
from .emulator import Emulator
from .lanes import NDArray
from .program import CudaProgram, is_call
from .words import memory_type

_POISON = 0xA5


def emulate(program: CudaProgram, arrays: Sequence[Any], aligned: bool = True) -> list[NDArray]:
    """The flat results of a program, each in the dtype of its memory.

    Args:
        arrays: one for each input.
        aligned: whether memory is said to begin where neighbours can be moved at once.
    Raises:
        ValueError: the program has steps that no kernel does.
        EmulationError: a kernel does what a GPU leaves undefined.
    """
    if program.refused:
        raise ValueError("\n".join(map(str, program.refused)))
    run = _Emulated(program, Emulator(program.text, aligned))
    for buffer, given in zip(program.block.inputs, arrays, strict=True):
        run.memory[buffer] = words(given, buffer)
    run.block(program.block)
    return [
        run.of(program.block, b).view(b.dtype)[: b.size].reshape(b.shape)
        for b in program.block.outputs
    ]


def words(array: Any, buffer: Buffer) -> NDArray:
    """A copy of an array, flat, as a GPU has it in memory."""
    flat = np.array(words_of(np.asarray(array)), copy=True)
    return flat.view(getattr(np, memory_type(buffer.dtype)))


class _Emulated:
    def __init__(self, program: CudaProgram, emulator: Emulator) -> None:
        self.program = program
        self.emulator = emulator
        self.memory: dict[Buffer, NDArray] = {}

    def of(self, block: Block, buffer: Buffer) -> NDArray:
        """The memory of a buffer."""
        root = block.root(buffer)
        found = self.memory.get(root)
        if found is None:
            kind = np.dtype(getattr(np, memory_type(root.dtype)))
            found = np.full(root.size * kind.itemsize, _POISON, np.uint8).view(kind)
            self.memory[root] = found
        return found

    def block(self, block: Block) -> None:
        """The steps of a block, in order."""
        for buffer, value in block.constants.items():
            self.memory[buffer] = words(value, buffer)
        for step in block.steps:
            if isinstance(step, Launch):
                for kernel in self.program.steps[id(step)]:
                    arrays = [self.of(block, b) for b in kernel.params]
                    launch = kernel.launch
                    self.emulator.launch(kernel.name, launch.blocks, launch.threads, arrays)
                continue
            assert is_call(step)
            (inner,) = self._inner(step)
            for mine, theirs in zip(inner.inputs, step.reads, strict=True):
                self.memory[mine] = self.of(block, theirs)
            self.block(inner)
            for target, made in zip(step.writes, inner.outputs, strict=True):
                self.memory[block.root(target)] = self.of(inner, made)

    def _inner(self, step: Any) -> list[Block]:
        return [step.block]
