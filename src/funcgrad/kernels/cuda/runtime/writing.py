"""A program as commands for a GPU: where every buffer is in every turn.

In: a `CudaProgram`. Out: `Commands`. The one idea: what a loop carries has two places, which its
turns take one after the other, so that nothing is copied between them; one that is also stacked
lives in its row, and one that is updated where it lies needs one place only.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....ir.loops import Exchange
from ....ir.nests import Buffer
from ...memory import carried, direct_outputs, stacked_carries, updates_in_place
from ...program import (
    Block,
    BlockStep,
    Branch,
    HostCall,
    Launch,
    Scan,
    While,
    all_constants,
    steps_of,
)
from ...runtime.scripts import rule_of
from ..custom import CustomLaunch
from ..program import CudaProgram
from ..refusals import exchange_of, numbers_of
from .commands import Choose, Command, Commands, Copy, Leave, Meet, Repeat, Run, Slot, Until

_ALIGNMENT = 256
# Turns of a while loop go by twos from so many copied bytes on: fewer take less time than another
# choice of the device, by its rate of memory and what a launch takes.
_EXCHANGED = 4 << 20


def commands_of(program: CudaProgram) -> Commands:
    """The commands of a program that has a kernel for every step."""
    writer = _Writer(program)
    targets = [Slot("output", k) for k in range(len(program.block.outputs))]
    body = writer.block(program.block, targets)
    constants = list(all_constants(program.block))
    counts = writer.leaves, writer.choices
    return Commands(body, constants, writer.arena, *counts, program.kernels)


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
        if isinstance(step, Launch) and step.kernel.copies is not None:
            (target,) = step.writes
            places = self.of(block, target), self.of(block, step.kernel.copies)
            return _copied(*places, target.bytes)
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
            found = [Repeat(loop, size, False, (found,))] if found else []
        return found

    # Control flow.

    def scan(self, block: Block, step: Scan) -> list[Command]:
        """Turns over the leading axis of the slices."""
        body, c, n = step.block, step.constants, step.carry
        reads = [self.of(block, b) for b in step.reads]
        writes = [self.of(block, b) for b in step.writes]
        self.slots.update(zip(body.inputs[:c], reads, strict=False))
        if step.length == 1 and not n and len(reads) == c:
            return self.block(body, writes)
        loop, self.loops = self.loops, self.loops + 1
        for b, slot in zip(body.inputs[c + n :], reads[c + n :], strict=True):
            self.slots[b] = _moving(slot, loop, b.bytes)
        rows = [
            _moving(slot, loop, b.bytes)
            for slot, b in zip(writes[n:], body.outputs[n:], strict=True)
        ]
        sizes = [room.bytes for room in step.rooms]
        # Loops within would be written anew for each kind of turn.
        if any(isinstance(s, Scan | While) for s in steps_of(body)):
            found = self.begin(step, writes, reads[c : c + n])
            turn = self.turn(step, body, writes[:n], rows)
            return [*found, Repeat(loop, step.length, step.reverse, (turn,))] if turn else found
        kept, places = stacked_carries(step), self.places(step, body, writes)
        made = _stacked_results(step, kept) if step.length else {}
        starts = [here for here, _ in places]
        for k, row in kept.items():
            starts[k] = _further(writes[n + row], (step.length - 1) * step.reverse * sizes[k])
        for k in made:
            starts[k] = reads[c + k]
        found = self.begin(step, starts, reads[c : c + n])
        if not step.length:
            return found

        def turns(number: int, first: bool = False, last: bool = False) -> list[Command]:
            pairs = [pair[:: -1 if number % 2 else 1] for pair in places]
            for k, row in kept.items():
                there = _further(rows[row], -sizes[k] if step.reverse else sizes[k])
                pairs[k] = rows[row], writes[k] if last else there
            for k, row in made.items():
                here = _further(rows[row], sizes[k] if step.reverse else -sizes[k])
                pairs[k] = starts[k] if first else here, rows[row]
            self.slots.update(zip(body.inputs[c:], (here for here, _ in pairs), strict=False))
            return self.block(body, [*(there for _, there in pairs), *rows])

        still = {*kept, *made, *(k for k, (here, there) in enumerate(places) if here == there)}
        exchanged = len(still) < n
        bodies = tuple(turns(k) for k in range(2 if exchanged else 1))
        first = turns(0, True, step.length == 1) if made else None
        last = turns(step.length - 1, False, True) if kept else None
        if any(bodies):
            found.append(Repeat(loop, step.length, step.reverse, bodies, first, last))
        for k, row in made.items():
            end = _further(writes[n + row], (step.length - 1) * (not step.reverse) * sizes[k])
            found += _copied(writes[k], end, sizes[k])
        return found

    def begin(self, step: Scan, places: Sequence[Slot], reads: Sequence[Slot]) -> list[Command]:
        """What a loop carries is where its first turn looks for it."""
        found: list[Command] = []
        first = step.constants
        for b, place, read in zip(step.block.inputs[first:], places, reads, strict=False):
            self.slots[b] = place
            found += _copied(place, read, b.bytes)
        return found

    def places(self, step: Scan, body: Block, writes: Sequence[Slot]) -> list[tuple[Slot, Slot]]:
        """Where the first turn finds what it carries, and where it puts it.

        The next one has the two exchanged, and the last one writes where the value belongs.
        """
        found: list[tuple[Slot, Slot]] = []
        for last, pair, room in zip(writes, carried(step), step.rooms, strict=False):
            if updates_in_place(body, *pair):
                found.append((last, last))
                continue
            other = self.of(body, room)
            found.append((other, last) if step.length % 2 else (last, other))
        return found

    def turn(
        self, step: Scan | While, body: Block, carry: list[Slot], rows: list[Slot]
    ) -> list[Command]:
        """One turn of a loop: what it carries on goes to its room, then replaces the old."""
        rooms = self.rooms(step, carry)
        found = self.block(body, [*rooms, *rows])
        for room, old, buffer in zip(rooms, carry, step.rooms, strict=True):
            found += _copied(old, room, buffer.bytes)
        return found

    def rooms(self, step: Scan | While, carry: Sequence[Slot]) -> list[Slot]:
        """Where a turn puts what it carries on: where it was, if it updates that in place."""
        return [
            old if updates_in_place(step.block, *pair) else self.of(step.block, room)
            for old, pair, room in zip(carry, carried(step), step.rooms, strict=True)
        ]

    def loop(self, block: Block, step: While) -> list[Command]:
        """Turns while the condition holds.

        What is large has two places, as in `scan`: a turn from the first to the second, then, if
        the condition holds there, one back.
        """
        cc, bc = step.condition_constants, step.block_constants
        reads = [self.of(block, b) for b in step.reads]
        writes = [self.of(block, b) for b in step.writes]

        def at(places: Sequence[Slot]) -> None:
            """What is carried is in these places now."""
            self.slots.update(zip(step.condition.inputs, [*reads[:cc], *places], strict=True))
            self.slots.update(zip(step.block.inputs, [*reads[cc : cc + bc], *places], strict=True))

        at(writes)
        found: list[Command] = []
        for target, source, b in zip(writes, reads[cc + bc :], step.writes, strict=True):
            found += _copied(target, source, b.bytes)
        flag = self.room(1)
        self.choices += 1
        condition = self.block(step.condition, [flag])
        if not _exchanges(step):
            return [*found, Until(condition, flag, self.turn(step, step.block, writes, []))]
        others = self.rooms(step, writes)
        turn = self.block(step.block, others)
        at(others)
        again = self.room(1)
        self.choices += 1
        turn += self.block(step.condition, [again])
        # The values of the last turn belong where the loop's results are.
        end = _copied(flag, again, 1)
        for target, source, room in zip(writes, others, step.rooms, strict=True):
            end += _copied(target, source, room.bytes)
        turn.append(Choose(again, 1, [end, [*self.block(step.block, writes), *condition]]))
        return [*found, Until(condition, flag, turn, asked=True)]

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


def _exchanges(step: While) -> bool:
    """Whether a loop's turns had better go by twos than copy what they carry."""
    inner = [*steps_of(step.block), *steps_of(step.condition)]
    if any(isinstance(s, Scan | While) for s in inner):
        return False  # they would be written anew for each kind of turn
    pairs = zip(carried(step), step.rooms, strict=True)
    copied = sum(r.bytes for pair, r in pairs if not updates_in_place(step.block, *pair))
    return copied >= _EXCHANGED


def _copied(target: Slot, source: Slot, size: int) -> list[Command]:
    return [] if target == source or not size else [Copy(target, source, size)]


def _moving(slot: Slot, loop: int, size: int) -> Slot:
    return slot._replace(steps=(*slot.steps, (loop, size)))


def _further(slot: Slot, offset: int) -> Slot:
    return slot._replace(offset=slot.offset + offset)


def _stacked_results(step: Scan, kept: dict[int, int]) -> dict[int, int]:
    """The carried values of which a turn stacks what it carries on, which then is that row."""
    body, found = step.block, dict[int, int]()
    ends = [body.root(b) for b in body.outputs]
    for k, b in enumerate(body.outputs[: step.carry]):
        rows = [row for row, end in enumerate(ends[step.carry :]) if end is ends[k]]
        own = ends[k] not in body.inputs and ends.index(ends[k]) == k
        if rows and own and k not in kept and ends[k].bytes == b.bytes:
            found[k] = rows[0]
    return found
