"""A program on a device, ready to be called.

In: a `CudaProgram` and a `Place`. Out: `CudaExecutable`, called with memory of that place. The one
idea: the arena and the constants are taken once; results come from the pool; and where a call
meets the addresses of an earlier one, its commands are recorded, and from then on repeated as one
graph.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ....core.remote import RemoteArray
from ....ir.nests import Buffer
from ...memory import reusable
from ...program import all_constants
from ...storage import in_memory
from ..convolution_calls import ConvolutionLaunch
from ..cublaslt import WORKSPACE
from ..cudnn import ALIGNMENT
from ..custom import CustomLaunch
from ..emulated import words
from ..matmuls import MatmulLaunch
from ..program import CudaProgram
from ..refusals import Refusal
from .commands import (
    Choose,
    Command,
    Commands,
    Copy,
    Leave,
    Repeat,
    Run,
    Slot,
    Until,
    Walk,
)
from .conditions import CASES, WHILE
from .place import Place
from .pool import Memory
from .recordings import Recordings
from .writing import commands_of


class NoKernelError(RuntimeError):
    """A program has a step that no kernel for a GPU does."""

    def __init__(self, name: str, refusals: Sequence[Refusal]) -> None:
        self.refusals = list(refusals)
        steps = "\n".join(f"  {refusal}" for refusal in refusals)
        super().__init__(
            f"{name} has steps without a kernel for GPUs:\n{steps}\n"
            "  Nothing of it ran. Run it on the CPU (jit without device=, arrays brought back by "
            "device_get), or leave these steps out of what runs on the GPU."
        )


class CudaExecutable:
    """A program that a device can run.

    Attributes:
        program: what it was made of; `commands`: what the device is told to do.
        reusable: pairs of a result and an argument in whose memory it may be written.
        replays: whether it is recorded; a program whose way the host decides is not.
        decides: whether the device chooses the ways of its loops and branches.
        brought: bytes of each argument that the last call brought to the device.

    Raises:
        NoKernelError: it has a step without a kernel.
    """

    def __init__(self, program: CudaProgram, place: Place, name: str) -> None:
        if program.refused:
            raise NoKernelError(name, program.refused)
        self.place, self.program = place, program
        # What is taken here, is taken of the device that is current.
        place.enter()
        self.commands: Commands = commands_of(program)
        self.reusable = reusable(program.block)
        self._sizes = [b.bytes for b in program.block.outputs]
        libraries = MatmulLaunch, ConvolutionLaunch
        own = [k for k in program.kernels if not isinstance(k.launch, libraries)]
        self._handles = place.kernels(program, own)
        values = all_constants(program.block)
        self._constants = [_captured(place, values[b], b) for b in self.commands.constants]
        rooms = [_room(k.launch, place) for k in program.kernels if isinstance(k.launch, libraries)]
        self.convolves = any(isinstance(k.launch, ConvolutionLaunch) for k in program.kernels)
        with place.lock:
            place.enter()
            # One for all products and convolutions of the program: they come one after the other.
            self.workspace = place.pool.take(max(*rooms, ALIGNMENT)) if rooms else None
            self._arena = place.pool.take(self.commands.arena) if self.commands.arena else None
        # A program of one command gains nothing from being recorded.
        several = len(self.commands.body) > 1 or any(
            isinstance(c, (Repeat, Until, Choose)) for c in self.commands.body
        )
        self.decides = bool(self.commands.choices) and place.driver.decides()
        can = not self.commands.leaves and (self.decides or not self.commands.choices)
        self.replays = can and several
        if self.decides:
            place.prepare_choices()
        # Where the device chooses, it is recorded at once: the host would wait in between.
        self._recordings = Recordings([place], at_once=self.decides)
        self.brought: list[int] = []

    def __call__(
        self, inputs: Sequence[Memory], reused: Sequence[tuple[int, int]] = ()
    ) -> list[Memory]:
        """Put the program into the stream of its device; its results' memory.

        Args:
            reused: pairs out of `reusable`: the result is written into the argument's memory.
        """
        with self.place.lock:
            outputs, running = self.begin(inputs, reused)
            if self.replays:
                body, recorded = self.commands.body, _Recorded(self, running.bases)
                self._recordings.run(
                    running.addresses, lambda: running.all(body), lambda: recorded.all(body)
                )
            else:
                running.all(self.commands.body)
        return outputs

    def begin(
        self, inputs: Sequence[Memory], reused: Sequence[tuple[int, int]] = ()
    ) -> tuple[list[Memory], Running]:
        """Memory for the results, and a run that can begin; the lock of the place is held."""
        place, whose = self.place, dict(reused)
        place.enter()
        if self.convolves:
            # Others' arrays may begin anywhere.
            inputs = [place.copied(m) if m.address % ALIGNMENT else m for m in inputs]
        outputs = [
            inputs[whose[k]] if k in whose else place.pool.take(size)
            for k, size in enumerate(self._sizes)
        ]
        for k in whose:
            # Other devices may still copy what is there.
            readers = inputs[whose[k]].readers
            for reader in readers:
                place.driver.follow(place.stream, reader)
            readers.clear()
        bases = {
            "input": [m.address for m in inputs],
            "output": [m.address for m in outputs],
            "constant": [m.address for m in self._constants],
            "arena": [self._arena.address if self._arena is not None else 0],
        }
        return outputs, Running(self, bases)

    def handle(self, name: str) -> Any:
        """The loaded kernel of a name."""
        return self._handles[name]

    def explain(self) -> str:
        """What a call does, command by command."""
        last = sum(self.brought)
        which = ", ".join(str(k) for k, size in enumerate(self.brought) if size)
        came = f"the last call brought {last} bytes for the arguments {which}" if last else ""
        return "\n".join(filter(None, [self.commands.page(self.decides), came]))


def _room(launch: Any, place: Place) -> int:
    """The bytes that a library works in on a device, asked there: a program may be another's.

    Raises:
        RuntimeError: there the library does not do it.
    """
    if isinstance(launch, MatmulLaunch):
        assert launch.product is not None
        room = WORKSPACE if place.takes(launch.product) else None
    else:
        room = place.room(launch.convolution)
    if room is None:
        raise RuntimeError(
            f"{launch.name} is done by {launch.kind} on another device of the mesh, which device "
            f"{place.number} does not take. `python -m funcgrad doctor` looks."
        )
    return room


def _captured(place: Place, value: Any, buffer: Buffer) -> Any:
    """Memory of a captured array: its own where it is on the device, else a copy, made once."""
    if type(value) is RemoteArray:
        found = value.home.brought(value.alive(), place)
        if found is not None:
            return found
    return place.upload(words(in_memory(value, buffer.dtype), buffer))


class Running(Walk):
    """Commands put into the stream of a device."""

    def __init__(self, executable: CudaExecutable, bases: dict[str, list[int]]) -> None:
        super().__init__()
        self.executable = executable
        self.place = executable.place
        self.bases = bases
        self.stream = executable.place.stream

    def address(self, slot: Slot) -> int:
        """Where a buffer begins in this turn."""
        return self.bases[slot.region][slot.number] + self.offset(slot)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Those that may be others at the next call."""
        return (*self.bases["input"], *self.bases["output"])

    @property
    def where(self) -> int:
        """The stream as other libraries name it."""
        return self.place.driver.address_of(self.stream)

    def launch(self, command: Run) -> None:
        launch = command.kernel.launch
        pointers = [self.address(s) for s in command.slots]
        if isinstance(launch, MatmulLaunch):
            assert launch.product is not None and self.executable.workspace is not None
            room = self.executable.workspace.address
            for offsets in launch.offsets:
                moved = [p + o for p, o in zip(pointers, (*offsets, 0, 0), strict=False)]
                self.place.multiply(launch.product, moved, room, self.stream)
            return
        if isinstance(launch, ConvolutionLaunch):
            assert launch.convolution is not None and self.executable.workspace is not None
            room = self.executable.workspace.address
            self.place.convolve(launch.convolution, pointers, room, self.stream)
            return
        handle = self.executable.handle(launch.name)
        if isinstance(launch, CustomLaunch):
            pointers = launch.numbers(pointers)
        grid = launch.blocks, launch.threads, launch.shared
        self.place.launch(launch.name, handle, grid, pointers, self.stream)

    def copy(self, command: Copy) -> None:
        ends = self.address(command.target), self.address(command.source)
        # An argument that was given away is there already.
        if ends[0] != ends[1]:
            self.place.driver.copy(*ends, command.bytes, self.stream)

    def leave(self, command: Leave) -> None:
        driver, stream = self.place.driver, self.place.stream
        reads, writes = command.arrays()
        for array, (slot, _) in zip(reads, command.reads, strict=True):
            if array.nbytes:
                driver.download(array.ctypes.data, self.address(slot), array.nbytes, stream)
        driver.wait(stream)
        with np.errstate(all="ignore"):
            command.rule(reads, writes)
        # Python may have made another device current.
        self.place.enter()
        for array, (slot, _) in zip(writes, command.writes, strict=True):
            if array.nbytes:
                driver.upload(self.address(slot), array.ctypes.data, array.nbytes, stream)

    def read(self, slot: Slot, size: int) -> int:
        found = np.zeros(1, f"i{size}")
        driver, stream = self.place.driver, self.place.stream
        driver.download(found.ctypes.data, self.address(slot), size, stream)
        driver.wait(stream)
        return int(found[0])


class _Recorded(Running):
    """Commands put into a stream that records: the device chooses the ways."""

    def one(self, command: Command) -> None:
        if isinstance(command, Until):
            self.until(command)
        elif isinstance(command, Choose):
            self.choose(command)
        else:
            super().one(command)

    def until(self, command: Until) -> None:
        """Turns while the byte is not 0: each turn ends by making it, and setting the choice."""
        self.all(command.condition)
        choice = self.place.driver.decision(self.stream)
        told = [choice, self.address(command.flag)]
        self.place.decide(WHILE, told, self.stream)
        with self.inside(choice, again=True):
            self.all(command.turn)
            self.place.decide(WHILE, told, self.stream)

    def choose(self, command: Choose) -> None:
        """One choice for each case; all are set before the first case can change anything."""
        place, last = self.place, len(command.bodies) - 1
        choices = [place.driver.decision(self.stream) for _ in command.bodies]
        for case, choice in enumerate(choices):
            told = [choice, self.address(command.chosen), case, last]
            place.decide(CASES[command.bytes], told, self.stream)
        for choice, body in zip(choices, command.bodies, strict=True):
            with self.inside(choice, again=False):
                self.all(body)

    @contextmanager
    def inside(self, choice: int, again: bool) -> Generator[None]:
        """What is put into the stream meanwhile belongs to a choice."""
        outer, driver = self.stream, self.place.driver
        self.stream = driver.inside(choice, again, outer)
        try:
            yield
        finally:
            inner, self.stream = self.stream, outer
            driver.leave(inner)
