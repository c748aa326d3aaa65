"""A program as what a GPU is told to do, in order, with all addresses but four known.

In: a `CudaProgram`. Out: `Commands`. The one idea: every buffer is an offset into an argument, a
result, a constant or the arena, which may move with the turns of loops around; so a run of the
program only adds four kinds of addresses, and can be recorded where nothing is read on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ....ir.loops import Exchange
from ....ir.nests import Buffer
from ...memory import carried, direct_outputs, updates_in_place
from ...program import Block, BlockStep, Branch, HostCall, Scan, While, all_constants
from ...runtime.scripts import rule_of, words_of
from ..custom import CustomLaunch
from ..program import CudaKernel, CudaProgram, exchange_of, numbers_of

_ALIGNMENT = 256


class Slot(NamedTuple):
    """Where a buffer begins.

    Attributes:
        region: "input", "output", "constant" or "arena", and `number`: which of them.
        offset: bytes from its beginning.
        steps: pairs of a loop and how many bytes further each of its turns begins.
    """

    region: str
    number: int
    offset: int = 0
    steps: tuple[tuple[int, int], ...] = ()


class Run(NamedTuple):
    """Launch a kernel on buffers."""

    kernel: CudaKernel
    slots: tuple[Slot, ...]


class Copy(NamedTuple):
    """Copy bytes from one place on the device to another one."""

    target: Slot
    source: Slot
    bytes: int


class Repeat(NamedTuple):
    """Commands for each turn of a loop of known length."""

    loop: int
    length: int
    reverse: bool
    body: list[Command]


class Until(NamedTuple):
    """Commands again and again, until a byte that others make is 0."""

    condition: list[Command]
    flag: Slot
    body: list[Command]


class Choose(NamedTuple):
    """The commands that an integer on the device chooses."""

    chosen: Slot
    bytes: int
    bodies: list[list[Command]]


class Leave(NamedTuple):
    """The host runs the NumPy rule of an eqn: it waits for what that reads, and brings the rest.

    Attributes:
        rule: takes flat arrays to read and to write.
        reads, writes: buffers, and where they are.
    """

    name: str
    rule: Callable[[Sequence[Any], Sequence[Any]], None]
    reads: tuple[tuple[Slot, Buffer], ...]
    writes: tuple[tuple[Slot, Buffer], ...]

    def arrays(self) -> tuple[list[Any], list[Any]]:
        """Memory of the host for what is read, and for what is written."""
        found = [
            [words_of(np.empty(b.shape, b.dtype)) for _, b in side]
            for side in (self.reads, self.writes)
        ]
        return found[0], found[1]


class Meet(NamedTuple):
    """A collective of the ranks that run this program.

    Attributes:
        source: of the operand, of which one rank has so many numbers of a dtype, in `bytes`; an
            index has none.
    """

    exchange: Exchange
    source: Slot | None
    target: Slot
    numbers: int
    dtype: str
    bytes: int


Command = Run | Copy | Repeat | Until | Choose | Leave | Meet


@dataclass(eq=False)
class Commands:
    """What a program does on a device.

    Attributes:
        arena: bytes for all that is neither given nor given out.
        leaves: how many commands wait for Python; 0: it can be recorded.
        choices: how many loops and branches go as data say.
    """

    body: list[Command]
    constants: list[Buffer]
    arena: int
    leaves: int = 0
    choices: int = 0
    kernels: list[CudaKernel] = field(default_factory=lambda: [])

    def page(self, decides: bool = False) -> str:
        """The commands in lines, loops and branches indented.

        Args:
            decides: whether the device chooses the ways of loops and branches.
        """
        reads = self.leaves + self.choices
        how = "replayed as one graph from the second call on"
        if self.leaves or (self.choices and not decides):
            how = f"not recorded: the host decides at {reads} of them"
        elif self.choices:
            how = f"replayed as one graph; the device decides at {self.choices} of them"
        head = f"{_count(self.body)} commands, {self.arena} bytes of arena, {how}"
        who = "device" if decides and not self.leaves else "host"
        return "\n".join([head, *_lines(self.body, 1, who)])


def commands_of(program: CudaProgram) -> Commands:
    """The commands of a program that has a kernel for every step."""
    writer = _Writer(program)
    targets = [Slot("output", k) for k in range(len(program.block.outputs))]
    body = writer.block(program.block, targets)
    constants = list(all_constants(program.block))
    counts = writer.leaves, writer.choices
    return Commands(body, constants, writer.arena, *counts, program.kernels)


class Walk:
    """One run of commands: at which turn each loop is. What is done at each is a subclass's."""

    def __init__(self) -> None:
        self.turns: dict[int, int] = {}

    def launch(self, command: Run) -> None:
        """Run a kernel."""
        raise TypeError(f"{type(self).__name__} defines no launch")

    def copy(self, command: Copy) -> None:
        """Copy memory."""
        raise TypeError(f"{type(self).__name__} defines no copy")

    def leave(self, command: Leave) -> None:
        """Let the host compute."""
        raise TypeError(f"{type(self).__name__} defines no leave")

    def meet(self, command: Meet) -> None:
        """Meet the other ranks."""
        raise TypeError(f"{type(self).__name__} defines no meet")

    def read(self, slot: Slot, size: int) -> int:
        """An integer of so many bytes, which decides what comes next."""
        raise TypeError(f"{type(self).__name__} defines no read")

    def offset(self, slot: Slot) -> int:
        """Where a buffer begins in this turn, in bytes of its region."""
        return slot.offset + sum(self.turns[loop] * step for loop, step in slot.steps)

    def all(self, body: Sequence[Command]) -> None:
        """Commands in order."""
        for command in body:
            self.one(command)

    def one(self, command: Command) -> None:
        """One command."""
        if isinstance(command, Run):
            self.launch(command)
        elif isinstance(command, Copy):
            self.copy(command)
        elif isinstance(command, Leave):
            self.leave(command)
        elif isinstance(command, Meet):
            self.meet(command)
        elif isinstance(command, Repeat):
            turns = range(command.length)
            for turn in reversed(turns) if command.reverse else turns:
                self.turns[command.loop] = turn
                self.all(command.body)
        elif isinstance(command, Choose):
            index = self.read(command.chosen, command.bytes)
            self.all(command.bodies[min(max(index, 0), len(command.bodies) - 1)])
        else:
            self.all(command.condition)
            while self.read(command.flag, 1):
                self.all(command.body)
                self.all(command.condition)


def _count(body: Sequence[Command]) -> int:
    return sum(1 + sum(map(_count, inner_commands(c))) for c in body)


def inner_commands(command: Command) -> list[list[Command]]:
    """The commands inside of a loop or of branches."""
    if isinstance(command, Repeat):
        return [command.body]
    if isinstance(command, Until):
        return [command.condition, command.body]
    return command.bodies if isinstance(command, Choose) else []


def _lines(body: Sequence[Command], depth: int, who: str) -> list[str]:
    """The commands in words."""
    found: list[str] = []
    margin = "  " * depth
    for command in body:
        if isinstance(command, Run):
            places = ", ".join(map(_place, command.slots))
            found.append(f"{margin}{command.kernel.name}({places})")
        elif isinstance(command, Copy):
            what = f"{_place(command.target)} = {_place(command.source)}"
            found.append(f"{margin}copy {what}, {command.bytes} bytes")
        elif isinstance(command, Repeat):
            order = ", the last first" if command.reverse else ""
            found.append(f"{margin}turn{command.loop}, {command.length} times{order}")
            found += _lines(command.body, depth + 1, who)
        elif isinstance(command, Leave):
            reads, writes = (", ".join(_place(s) for s, _ in x) for x in command[2:])
            found.append(f"{margin}the host computes {command.name}({reads}) -> ({writes})")
        elif isinstance(command, Meet):
            names = ", ".join(map(repr, command.exchange.axes))
            given = "" if command.source is None else _place(command.source)
            what = f"{command.exchange.kind} over {names}"
            found.append(f"{margin}the ranks meet: {what}({given}) -> ({_place(command.target)})")
        elif isinstance(command, Until):
            found.append(f"{margin}again until the {who} reads 0 from {_place(command.flag)}")
            found += _lines(command.condition, depth + 1, who)
            found += [f"{margin}  then", *_lines(command.body, depth + 1, who)]
        else:
            found.append(f"{margin}the {who} reads {_place(command.chosen)} and chooses")
            for k, inner in enumerate(command.bodies):
                found += [f"{margin}{k}:", *_lines(inner, depth + 1, who)]
    return found


def _place(slot: Slot) -> str:
    name = "arena" if slot.region == "arena" else f"{slot.region}{slot.number}"
    steps = "".join(f" + {step} turn{loop}" for loop, step in slot.steps)
    return f"{name}[{slot.offset}{steps}]" if slot.offset or steps else name


class _Writer:
    """Walks through the blocks; `slots` holds where the buffers of those around are."""

    def __init__(self, program: CudaProgram) -> None:
        self.program = program
        self.slots: dict[Buffer, Slot] = {}
        self.arena = program.memory.size
        self.leaves = self.choices = 0
        self.loops = 0
        for k, b in enumerate(all_constants(program.block)):
            self.slots[b] = Slot("constant", k)
        for k, b in enumerate(program.block.inputs):
            self.slots[b] = Slot("input", k)

    def of(self, block: Block, buffer: Buffer) -> Slot:
        """Where a buffer is."""
        root = block.root(buffer)
        found = self.slots.get(root)
        if found is None:
            offset = self.program.memory.offsets.get(root)
            # What only launches for a GPU need between them is in no plan.
            found = self.room(root.bytes) if offset is None else Slot("arena", 0, offset)
            self.slots[root] = found
        return found

    def room(self, size: int) -> Slot:
        """More of the arena."""
        offset = -(-self.arena // _ALIGNMENT) * _ALIGNMENT
        self.arena = offset + size
        return Slot("arena", 0, offset)

    def block(self, block: Block, targets: Sequence[Slot]) -> list[Command]:
        """The steps of a block; its outputs are in the targets in the end."""
        direct = direct_outputs(block)
        for root, k in direct.items():
            self.slots[root] = targets[k]
        found: list[Command] = []
        for step in block.steps:
            found += self.step(block, step)
        for k, b in enumerate(block.outputs):
            if direct.get(block.root(b)) != k:
                found += _copied(targets[k], self.of(block, b), b.bytes)
        return found

    def step(self, block: Block, step: BlockStep) -> list[Command]:
        """One step of a block."""
        if isinstance(step, Scan):
            return self.scan(block, step)
        if isinstance(step, While):
            return self.loop(block, step)
        if isinstance(step, Branch):
            return self.branch(block, step)
        exchange = exchange_of(step)
        if isinstance(step, HostCall) and exchange is not None:
            return [self.meet(block, step, exchange)]
        if isinstance(step, HostCall) and id(step) not in self.program.steps:
            return [self.leave(block, step)]
        if isinstance(step, HostCall):
            return self.custom(block, step)
        found: list[Command] = []
        for kernel in self.program.steps[id(step)]:
            if kernel.launch.blocks:
                found.append(Run(kernel, tuple(self.of(block, b) for b in kernel.params)))
        return found

    def meet(self, block: Block, step: HostCall, exchange: Exchange) -> Meet:
        """A collective of ranks."""
        (write,) = step.writes
        target = self.of(block, write)
        if not step.reads:
            return Meet(exchange, None, target, 1, write.dtype.name, write.bytes)
        (read,) = step.reads
        count, dtype = numbers_of(step) or (read.bytes, "uint8")
        return Meet(exchange, self.of(block, read), target, count, dtype, read.bytes)

    def leave(self, block: Block, step: HostCall) -> Leave:
        """A rule that the host runs."""
        self.leaves += 1
        rule = rule_of(step.eqn, step.reads, step.writes)
        reads, writes = (
            tuple((self.of(block, b), b) for b in side) for side in (step.reads, step.writes)
        )
        return Leave(step.eqn.primitive.name, rule, reads, writes)

    def custom(self, block: Block, step: HostCall) -> list[Command]:
        """A user's kernel, in the loops around it."""
        (kernel,) = self.program.steps[id(step)]
        launch = kernel.launch
        assert isinstance(launch, CustomLaunch)
        sizes = launch.shapes.loops
        loops = [self.loops + k for k in range(len(sizes))]
        self.loops += len(sizes)
        slots: list[Slot] = []
        for b, steps in zip(launch.params, launch.strides(), strict=True):
            slot = self.of(block, b)
            moves = tuple((k, n) for k, n in zip(loops, steps, strict=True) if n)
            slots.append(slot._replace(steps=(*slot.steps, *moves)))
        found: list[Command] = [Run(kernel, tuple(slots))] if launch.blocks else []
        for loop, size in zip(reversed(loops), reversed(sizes), strict=True):
            found = [Repeat(loop, size, False, found)] if found else []
        return found

    # Control flow.

    def scan(self, block: Block, step: Scan) -> list[Command]:
        """Turns over the leading axis of the slices."""
        body, c, n = step.block, step.constants, step.carry
        reads = [self.of(block, b) for b in step.reads]
        writes = [self.of(block, b) for b in step.writes]
        self.slots.update(zip(body.inputs[:c], reads, strict=False))
        found: list[Command] = []
        for k, b in enumerate(body.inputs[c : c + n]):
            self.slots[b] = writes[k]
            found += _copied(writes[k], reads[c + k], b.bytes)
        if step.length == 1 and not n and len(reads) == c:
            return [*found, *self.block(body, writes)]
        loop, self.loops = self.loops, self.loops + 1
        for b, slot in zip(body.inputs[c + n :], reads[c + n :], strict=True):
            self.slots[b] = _moving(slot, loop, b.bytes)
        rows = [
            _moving(slot, loop, b.bytes)
            for slot, b in zip(writes[n:], body.outputs[n:], strict=True)
        ]
        turn = self.turn(step, body, writes[:n], rows)
        return [*found, Repeat(loop, step.length, step.reverse, turn)] if turn else found

    def turn(
        self, step: Scan | While, body: Block, carry: list[Slot], rows: list[Slot]
    ) -> list[Command]:
        """One turn of a loop: what it carries on goes to its room, then replaces the old."""
        rooms = [
            old if updates_in_place(body, *pair) else self.of(body, room)
            for old, pair, room in zip(carry, carried(step), step.rooms, strict=True)
        ]
        found = self.block(body, [*rooms, *rows])
        for room, old, buffer in zip(rooms, carry, step.rooms, strict=True):
            found += _copied(old, room, buffer.bytes)
        return found

    def loop(self, block: Block, step: While) -> list[Command]:
        """Turns while the condition holds."""
        cc, bc = step.condition_constants, step.block_constants
        reads = [self.of(block, b) for b in step.reads]
        writes = [self.of(block, b) for b in step.writes]
        for k, b in enumerate(step.condition.inputs):
            self.slots[b] = reads[k] if k < cc else writes[k - cc]
        for k, b in enumerate(step.block.inputs):
            self.slots[b] = reads[cc + k] if k < bc else writes[k - bc]
        found: list[Command] = []
        for target, source, b in zip(writes, reads[cc + bc :], step.writes, strict=True):
            found += _copied(target, source, b.bytes)
        flag = self.room(1)
        self.choices += 1
        condition = self.block(step.condition, [flag])
        return [*found, Until(condition, flag, self.turn(step, step.block, writes, []))]

    def branch(self, block: Block, step: Branch) -> list[Command]:
        """The chosen block of several."""
        at, *reads = [self.of(block, b) for b in step.reads]
        writes = [self.of(block, b) for b in step.writes]
        self.choices += 1
        bodies: list[list[Command]] = []
        for inner in step.blocks:
            self.slots.update(zip(inner.inputs, reads, strict=True))
            bodies.append(self.block(inner, writes))
        return [Choose(at, step.reads[0].dtype.itemsize, bodies)]


def _copied(target: Slot, source: Slot, size: int) -> list[Command]:
    return [] if target == source or not size else [Copy(target, source, size)]


def _moving(slot: Slot, loop: int, size: int) -> Slot:
    return slot._replace(steps=(*slot.steps, (loop, size)))
