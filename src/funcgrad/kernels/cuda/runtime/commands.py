"""What a GPU is told to do, in order, with all addresses but four known.

In: what `writing` makes of a program. Out: a page of it, or a run (`Walk`). The one idea: every
buffer is an offset into an argument, a result, a constant or the arena, which may move with the
turns of loops around; so a run of the program only adds four kinds of addresses, and can be
recorded where nothing is read on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ....ir.loops import Exchange
from ....ir.nests import Buffer
from ...runtime.scripts import words_of
from ..program import CudaKernel


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
    """Commands for each turn of a loop of known length.

    Attributes:
        bodies: those of one turn after the other, again and again: what two places take in turns.
        first, last: those of the first and of the last turn, if they are others.
    """

    loop: int
    length: int
    reverse: bool
    bodies: tuple[list[Command], ...]
    first: list[Command] | None = None
    last: list[Command] | None = None

    def turns(self) -> Iterator[tuple[int, list[Command]]]:
        """Each turn's number and commands, in order."""
        for k in range(self.length):
            body = self.bodies[k % len(self.bodies)]
            if k == self.length - 1 and self.last is not None:
                body = self.last
            if k == 0 and self.first is not None:
                body = self.first
            yield self.length - 1 - k if self.reverse else k, body


class Until(NamedTuple):
    """Commands again and again, until a byte that others make is 0.

    Attributes:
        asked: whether the body makes the byte anew; else the condition does, after each turn.
    """

    condition: list[Command]
    flag: Slot
    body: list[Command]
    asked: bool = False

    @property
    def turn(self) -> list[Command]:
        """What is done while the byte is not 0."""
        return self.body if self.asked else [*self.body, *self.condition]


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
            for turn, body in command.turns():
                self.turns[command.loop] = turn
                self.all(body)
        elif isinstance(command, Choose):
            index = self.read(command.chosen, command.bytes)
            self.all(command.bodies[min(max(index, 0), len(command.bodies) - 1)])
        else:
            self.all(command.condition)
            while self.read(command.flag, 1):
                self.all(command.turn)


def _count(body: Sequence[Command]) -> int:
    return sum(1 + sum(map(_count, inner_commands(c))) for c in body)


def inner_commands(command: Command) -> list[list[Command]]:
    """The commands inside of a loop or of branches."""
    if isinstance(command, Repeat):
        return [*command.bodies, *(b for b in (command.first, command.last) if b is not None)]
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
            inner = [_lines(body, depth + 1, who) for body in command.bodies]
            for k, lines in enumerate(inner):
                heads = (f"{margin}  every other turn, from the first", f"{margin}  the others")
                found += [heads[k], *lines] if len(inner) > 1 else lines
            for which, other in (("first", command.first), ("last", command.last)):
                if other is not None:
                    found += [f"{margin}  the {which} one", *_lines(other, depth + 1, who)]
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
