"""A program on several devices: its commands go to all of them in turn, and NCCL joins them.

In: a `CudaProgram`, places, and where each rank is in the mesh. Out: `MeshExecutable`, called with
memory of each place. The one idea: all ranks run one list of commands, so one thread goes through
it once and gives each command to every device; nobody waits but the streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....ir.loops import Exchange
from ..nccl import Amount, Nccl, Side
from ..program import CudaProgram
from ..refusals import Refusal
from .commands import Command, Meet, Repeat, inner_commands
from .executable import CudaExecutable, NoKernelError, Running
from .place import Place, together
from .pool import Memory
from .recordings import Recordings


class MeshExecutable:
    """A program that the devices of a mesh can run.

    Attributes:
        replays: whether it is recorded, by a graph for each device.

    Args:
        places: the devices, row-major; `coordinates`: of each its place along each axis.
        nccl: gives what joins them; not asked where they do not meet.
    Raises:
        NoKernelError: it has a step without a kernel, or ranks meet where data decide whether.
    """

    def __init__(
        self,
        program: CudaProgram,
        places: Sequence[Place],
        coordinates: Sequence[dict[Any, int]],
        name: str,
        nccl: Callable[[], Nccl],
    ) -> None:
        self.parts = [CudaExecutable(program, place, name) for place in places]
        self._coordinates = coordinates
        self._body = self.parts[0].commands.body
        _check(self._body, name)
        self.nccl: Nccl | None = None
        if meets(self._body):
            self.nccl = nccl()
            # Within a process, NCCL reads what others have where it lies.
            places[0].driver.share([place.number for place in places])
        # The first call makes what cannot be made while streams record: communicators, zeros. So
        # nothing is recorded at once, and where data decide, the host reads.
        self.replays = all(part.replays for part in self.parts) and not self.parts[0].decides
        self._recordings = Recordings(places)
        self._zeros: dict[tuple[int, int], Memory] = {}
        self._indices: dict[tuple[int, Any], Memory] = {}

    def __call__(
        self, inputs: Sequence[Sequence[Memory]], reused: Sequence[Sequence[tuple[int, int]]]
    ) -> list[list[Memory]]:
        """Put the program into the streams of its devices; of each rank, its results' memory.

        Args:
            reused: of each rank, pairs out of `reusable` of its part: the result is written into
                the argument's memory.
        """
        with together(part.place for part in self.parts):
            told = zip(self.parts, inputs, reused, strict=True)
            made = [part.begin(given, pairs) for part, given, pairs in told]
            ranks = [running for _, running in made]
            if self.replays:
                addresses = tuple(a for rank in ranks for a in rank.addresses)
                self._recordings.run(addresses, *[lambda: self._all(ranks, self._body)] * 2)
            else:
                self._all(ranks, self._body)
        return [outputs for outputs, _ in made]

    def _all(self, ranks: Sequence[Running], body: Sequence[Command]) -> None:
        for command in body:
            if isinstance(command, Meet):
                self._meet(ranks, command)
            elif isinstance(command, Repeat) and any(map(meets, inner_commands(command))):
                for turn, inner in command.turns():
                    for rank in ranks:
                        rank.turns[command.loop] = turn
                    self._all(ranks, inner)
            else:
                for rank in ranks:
                    rank.place.enter()
                    rank.one(command)

    def _meet(self, ranks: Sequence[Running], command: Meet) -> None:
        exchange = command.exchange
        if exchange.kind == "index":
            for number, rank in enumerate(ranks):
                known = self._index(number, exchange.axes[0])
                rank.place.enter()
                target = rank.address(command.target)
                rank.place.driver.copy(target, known.address, command.bytes, rank.stream)
            return
        assert command.source is not None
        sides = [
            Side(rank.address(command.source), rank.address(command.target), rank.where)
            for rank in ranks
        ]
        groups = self._groups(exchange)
        if exchange.kind == "permute":
            self._clear(ranks, command, groups)
        places = [rank.place.number for rank in ranks]
        told = [(tuple(places[k] for k in group), [sides[k] for k in group]) for group in groups]
        assert self.nccl is not None
        self.nccl.meet(exchange, told, Amount(command.numbers, command.dtype, command.bytes))

    def _groups(self, exchange: Exchange) -> list[tuple[int, ...]]:
        """The ranks that meet, in their order; over several axes the last one is fastest."""
        axes = exchange.axes
        found: dict[tuple[Any, ...], list[int]] = {}
        for k, place in enumerate(self._coordinates):
            found.setdefault(tuple(v for n, v in place.items() if n not in axes), []).append(k)
        for group in found.values():
            group.sort(key=lambda k: [self._coordinates[k][name] for name in axes])
        parts = exchange.groups or [range(len(next(iter(found.values()))))]
        return [tuple(group[i] for i in part) for group in found.values() for part in parts]

    def _clear(
        self, ranks: Sequence[Running], command: Meet, groups: Sequence[tuple[int, ...]]
    ) -> None:
        """Zeros for ranks to which nobody sends."""
        reached = {end for _, end in command.exchange.pairs}
        for group in groups:
            for at, number in enumerate(group):
                if at not in reached:
                    rank = ranks[number]
                    zeros = self._zero(number, command.bytes).address
                    rank.place.enter()
                    target = rank.address(command.target)
                    rank.place.driver.copy(target, zeros, command.bytes, rank.stream)

    def _zero(self, number: int, size: int) -> Memory:
        found = self._zeros.get((number, size))
        if found is None:
            place = self.parts[number].place
            found = self._zeros[number, size] = place.upload(np.zeros(size, np.uint8))
        return found

    def _index(self, number: int, axis: Any) -> Memory:
        found = self._indices.get((number, axis))
        if found is None:
            value = np.array([self._coordinates[number][axis]], np.int32)
            found = self._indices[number, axis] = self.parts[number].place.upload(value)
        return found


def meets(body: Sequence[Command]) -> bool:
    """Whether ranks meet anywhere in these commands."""
    return any(
        isinstance(c, Meet) or any(meets(inner) for inner in inner_commands(c)) for c in body
    )


def _check(body: Sequence[Command], name: str) -> None:
    """Raise NoKernelError if ranks meet where data decide whether they do."""
    for command in body:
        inner = inner_commands(command)
        if isinstance(command, Repeat):
            for body in inner:
                _check(body, name)
        elif any(map(meets, inner)):
            what = "a loop or a branch that data decide has a collective inside"
            why = "each device would decide for itself whether it comes to it"
            raise NoKernelError(name, [Refusal("collective", why, what, "")])
