"""A whole program for a GPU, run by the emulator: the oracle of its kernels.

In: a `CudaProgram` and arrays. Out: the program's results. It does the commands that a device would
be told, in memory that is first filled with what nobody should read, so that a kernel that leaves
an element out is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...ir.nests import Buffer
from ..program import all_constants
from ..runtime.scripts import words_of
from ..storage import in_memory
from .custom import CustomLaunch
from .emulator import Emulator
from .lanes import NDArray
from .program import CudaProgram
from .runtime.commands import Copy, Leave, Run, Slot, Walk
from .runtime.writing import commands_of
from .threads import run_threads
from .words import memory_type

_POISON = 0xA5


def emulate(
    program: CudaProgram, arrays: Sequence[Any], aligned: bool = True, seed: int = 0
) -> list[NDArray]:
    """The flat results of a program, each in the dtype of its memory.

    Args:
        arrays: one for each input.
        aligned: whether memory is said to begin where neighbours can be moved at once.
        seed: of the order of blocks that wait for each other.
    Raises:
        ValueError: the program has steps that no kernel does.
        EmulationError: a kernel does what a GPU leaves undefined.
    """
    if program.refused:
        raise ValueError("\n".join(map(str, program.refused)))
    commands = commands_of(program)
    outputs = program.block.outputs
    constants = all_constants(program.block)
    inputs = zip(arrays, program.block.inputs, strict=True)
    memory = {
        "input": [words(given, buffer).view(np.uint8) for given, buffer in inputs],
        "constant": [
            words(in_memory(constants[b], b.dtype), b).view(np.uint8) for b in commands.constants
        ],
        "output": [np.full(b.bytes, _POISON, np.uint8) for b in outputs],
        "arena": [np.full(commands.arena, _POISON, np.uint8)],
    }
    _Emulated(Emulator(program.text, aligned, seed), memory).all(commands.body)
    return [
        flat.view(b.dtype)[: b.size].reshape(b.shape)
        for flat, b in zip(memory["output"], outputs, strict=True)
    ]


def seen(array: NDArray, read: bool) -> Any:
    """An array as a user's kernel gets it: what is read cannot be written, rank 0 is a scalar."""
    if not read:
        return array
    if not array.ndim:
        return array[()]
    array.flags.writeable = False
    return array


def words(array: Any, buffer: Buffer) -> NDArray:
    """A copy of an array, flat, as a GPU has it in memory."""
    flat = np.array(words_of(np.asarray(array)), copy=True)
    return flat.view(getattr(np, memory_type(buffer.dtype)))


class _Emulated(Walk):
    """Commands done by the emulator, in the memory that is planned for them."""

    def __init__(self, emulator: Emulator, memory: dict[str, list[NDArray]]) -> None:
        super().__init__()
        self.emulator = emulator
        self.memory = memory

    def of(self, slot: Slot, size: int) -> NDArray:
        """Bytes from where a buffer begins."""
        start = self.offset(slot)
        found = self.memory[slot.region][slot.number][start : start + size]
        assert found.size == size, slot
        return found

    def launch(self, command: Run) -> None:
        kernel = command.kernel
        if isinstance(kernel.launch, CustomLaunch):
            self.custom(kernel.launch, command.slots)
            return
        known: dict[Any, NDArray] = {}
        arrays: list[NDArray] = []
        for slot, b in zip(command.slots, kernel.params, strict=True):
            kind = np.dtype(getattr(np, memory_type(b.dtype)))
            # One array for one place: so what a kernel does in place is seen by the emulator.
            key = slot, kind
            arrays.append(known.setdefault(key, self.of(slot, b.bytes).view(kind)))
        launch = kernel.launch
        grid = launch.blocks, launch.threads
        self.emulator.launch(kernel.name, *grid, arrays, launch.shared)

    def custom(self, launch: CustomLaunch, slots: Sequence[Slot]) -> None:
        """A user's kernel, thread after thread."""
        arrays: list[Any] = []
        for k, (slot, (shape, dtype)) in enumerate(zip(slots, launch.arrays, strict=True)):
            whole = self.of(slot, prod(shape) * dtype.itemsize).view(dtype).reshape(shape)
            arrays.append(seen(whole, k < launch.reads))
        run_threads(launch.function.function, launch.blocks, launch.threads, arrays)

    def copy(self, command: Copy) -> None:
        self.of(command.target, command.bytes)[:] = self.of(command.source, command.bytes).copy()

    def leave(self, command: Leave) -> None:
        reads, writes = command.arrays()
        for array, (slot, b) in zip(reads, command.reads, strict=True):
            array.view(np.uint8)[:] = self.of(slot, b.bytes)
        with np.errstate(all="ignore"):
            command.rule(reads, writes)
        for array, (slot, b) in zip(writes, command.writes, strict=True):
            self.of(slot, b.bytes)[:] = array.view(np.uint8)

    def read(self, slot: Slot, size: int) -> int:
        return int(self.of(slot, size).view(f"i{size}")[0])
