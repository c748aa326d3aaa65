"""Blocks: a jaxpr as steps over buffers, with the blocks of loops and branches inside.

In: a closed jaxpr. Out: `Block`. The one idea: a body of a loop is a block like the whole program,
whose inputs are memory of the block around it; so loops nest, and nothing is called back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr
from ..ir.loops import Native, Region
from ..ir.nests import Buffer, Kernel
from .blaming import name_eqns, own_eqns
from .chains import earliest, first_reader, shares_well, turns_of
from .choices import chooser
from .chunks import CPU, Division
from .contract import gemm_kernel, gemm_outline, looped_kernel
from .counters import counted
from .fuse import Fuser, Group, reads_of
from .items import Backwards, ByHand, LibraryBuilder, Nest, Part, Program, Step
from .layouts import arrange
from .library import LibraryKernel
from .library.fft_tables import Table
from .library.gemm import Gemm
from .lowering import Definitions
from .recurrence import recurrence
from .schedule import Scheduler
from .storage import captured

Simplify = Callable[[ClosedJaxpr], ClosedJaxpr]


@dataclass(eq=False)
class Launch:
    """Run a fused kernel, one of those of a group; a loop in registers has none.

    Attributes:
        scratch: memory that is needed while it runs.
    """

    kernel: Kernel
    group: Group | None
    scratch: list[Buffer] = field(default_factory=lambda: [])

    @property
    def reads(self) -> list[Buffer]:
        """What it reads."""
        return [b for b in self.kernel.params if b not in self.kernel.written]

    @property
    def writes(self) -> list[Buffer]:
        """What it writes."""
        return self.kernel.written


@dataclass(eq=False)
class LibraryCall:
    """Run the stages of a kernel written by hand.

    Attributes:
        gemm: what a matrix product does.
        sum: the eqn that adds products to the last of what is read, whose memory the result is.
        backwards: of each operand of the eqn, the axes along which what is read lies backwards.
        parts: of each operand, which part of what is read it is, and `placed`: of each result,
            which part of what is written; None, or none at all: all of it, in order.
        tables: constants of the kernel itself.
        ready: how many of its stages a loop around it does once, before its first turn; what they
            leave in scratch is kept for all turns.
    """

    kernel: LibraryKernel
    reads: list[Buffer]
    writes: list[Buffer]
    scratch: list[Buffer]
    eqn: Eqn
    gemm: Gemm | None = None
    backwards: Backwards = ()
    tables: list[Buffer] = field(default_factory=lambda: [])
    ready: int = 0
    sum: Eqn | None = None
    parts: tuple[Part | None, ...] = ()
    placed: tuple[Part | None, ...] = ()


@dataclass(eq=False)
class HostCall:
    """Leave the program: an eqn's NumPy rule runs in Python.

    Attributes:
        native: machine code from elsewhere that is called first; Python only where it fails.
    """

    number: int
    eqn: Eqn
    reads: list[Buffer]
    writes: list[Buffer]
    native: Native | None = None


@dataclass(eq=False)
class Scan:
    """`length` turns of a block of (constants, carry, slices) to (carry, slices).

    Attributes:
        reads: constants, first carry, stacked slices; writes: last carry, stacked slices.
        rooms: where a turn puts what it carries on, before it replaces the old.
    """

    block: Block
    length: int
    reverse: bool
    constants: int
    carry: int
    reads: list[Buffer]
    writes: list[Buffer]
    rooms: list[Buffer]
    eqn: Eqn


@dataclass(eq=False)
class While:
    """A block again and again while another block gives true; reads: constants of both, carry."""

    condition: Block
    block: Block
    condition_constants: int
    block_constants: int
    reads: list[Buffer]
    writes: list[Buffer]
    rooms: list[Buffer]
    eqn: Eqn


@dataclass(eq=False)
class Branch:
    """The block that the index (the first of `reads`, clamped) chooses.

    Attributes:
        why: why it is no branch within a kernel.
    """

    blocks: list[Block]
    reads: list[Buffer]
    writes: list[Buffer]
    eqn: Eqn
    why: str


BlockStep = Launch | LibraryCall | HostCall | Scan | While | Branch


@dataclass(eq=False)
class Block:
    """Steps in order.

    Attributes:
        constants: values that must be in memory: captured arrays, literals; see `captured`.
        views: buffers that are the memory of another one.
        chains: of some steps that make a product in blocks, how many turns of the kernel that
            comes next read one block; the two run as one step. See `chains`.
    """

    jaxpr: Jaxpr
    inputs: list[Buffer]
    outputs: list[Buffer]
    steps: list[BlockStep]
    constants: dict[Buffer, Any]
    views: dict[Buffer, Buffer]
    items: list[Group | Step] = field(default_factory=lambda: [])
    chains: dict[int, int] = field(default_factory=lambda: {})

    @cached_property
    def uses(self) -> Uses:
        """Who reads and writes what; asked for when all steps are there."""
        return Uses.of(self)

    def root(self, buffer: Buffer) -> Buffer:
        """The buffer whose memory a view is."""
        while buffer in self.views:
            buffer = self.views[buffer]
        return buffer

    def span(self, at: int) -> tuple[int, int]:
        """The first and the last of the steps that run as one with a step."""
        return at - (at - 1 in self.chains), at + (at in self.chains)

    def inner(self) -> list[Block]:
        """The blocks of its loops and branches."""
        return [block for step in self.steps for block in inner_blocks(step)]


def inner_blocks(step: BlockStep) -> list[Block]:
    """The blocks that run within a step."""
    if isinstance(step, Scan):
        return [step.block]
    if isinstance(step, While):
        return [step.condition, step.block]
    return step.blocks if isinstance(step, Branch) else []


class Uses(NamedTuple):
    """Who reads and writes the buffers of a block, views counting as what they are views of.

    Attributes:
        writers: the steps that write a buffer.
        last_read: the last step that reads a buffer.
        inputs: and constants.
    """

    writers: dict[Buffer, list[int]]
    last_read: dict[Buffer, int]
    inputs: set[Buffer]
    outputs: set[Buffer]

    @classmethod
    def of(cls, block: Block) -> Uses:
        """Those of a block."""
        writers: dict[Buffer, list[int]] = {}
        last_read: dict[Buffer, int] = {}
        for at, step in enumerate(block.steps):
            for b in dict.fromkeys(map(block.root, step.writes)):
                writers.setdefault(b, []).append(at)
            last_read.update((block.root(b), at) for b in step.reads)
        inputs, outputs = {*block.inputs, *block.constants}, set(map(block.root, block.outputs))
        return cls(writers, last_read, inputs, outputs)


def _without_unread(block: Block) -> None:
    """Leave kernels out of whose results nobody reads any.

    That readers need no element of what they read is seen when they are lowered: a largest element
    of one is the first.
    """
    read, left = {*map(block.root, block.outputs)}, list[BlockStep]()
    for step in reversed(block.steps):
        if not isinstance(step, Launch) or read & {*map(block.root, step.writes)}:
            read.update(map(block.root, step.reads))
            left.append(step)
    block.steps[:] = reversed(left)


class Builder:
    """Builds the blocks of one program, and numbers what they contain."""

    def __init__(
        self, simplify: Simplify, library: LibraryBuilder, division: Division = CPU
    ) -> None:
        self.simplify = simplify
        self.library = library
        self.division = division
        self.host_calls: list[HostCall] = []
        self.kernels = 0

    def block(self, closed: ClosedJaxpr, kept: int = 0, turns: int = 1) -> Block:
        """A closed jaxpr as a block; its captured values become constants.

        Args:
            kept: how many of its first inputs are the same in all turns of the loop it is the
                body of.
            turns: of that loop, where their number is known.
        """
        halves, choose = self.division.outlines, chooser(self.simplify)
        in_order = self.division.in_order
        program = Definitions(closed.jaxpr, self.library, halves, choose, in_order, kept).program()
        count = len(closed.consts)
        constants = dict(program.constants)
        for buffer, value in zip(program.inputs[:count], closed.consts, strict=True):
            constants[buffer] = captured(value, buffer.dtype)
        arrange(program)
        items = Fuser(program, follows=not in_order).run()
        inputs = program.inputs[count:]
        views = program.views
        block = Block(closed.jaxpr, inputs, program.outputs, [], constants, views, items)
        visible = self._visible(block, items)
        wanted = read_of(program, items)
        for item in items:
            try:
                block.steps += self._steps(item, visible, wanted, block)
            except Exception as error:
                name_eqns(error, own_eqns(item))
                raise
        _without_unread(block)
        if kept and turns > 1:
            self._prepare(block, {*block.inputs[:kept]})
        self._chain(block)
        return block

    def _prepare(self, block: Block, kept: set[Buffer]) -> None:
        """Let products by matrices that are the same in all turns pack these once."""
        for call in block.steps:
            if not isinstance(call, LibraryCall) or call.gemm is None or self.division.outlines:
                continue
            if block.root(call.reads[1]) in kept:
                kernel = looped_kernel(call.gemm, call.kernel.stages[-1].function)
                if kernel is not None:
                    call.kernel, call.scratch = kernel, scratch_of(kernel)
                    call.ready = len(kernel.stages) - 1

    def _chain(self, block: Block) -> None:
        """Bring kernels behind the products they can follow block by block."""
        steps, inputs = block.steps, {*block.inputs}
        found: dict[int, int] = {}
        for call in [s for s in steps if isinstance(s, LibraryCall) and s.kernel.share]:
            at = steps.index(call)
            reader, sources = first_reader(steps, at, block.root)
            launch = steps[reader]
            if reader < 0 or not isinstance(launch, Launch) or id(steps[reader - 1]) in found:
                continue
            turns = turns_of(launch.kernel, sources, call.kernel.share)
            if turns and shares_well(call.kernel.stages[-1], launch.kernel):
                place = earliest(steps, reader, inputs, block.root)
                place += id(steps[place - 1]) in found
                steps.insert(place, steps.pop(reader))
                steps.insert(place - 1, steps.pop(at))
                found[id(call)] = turns
                if launch.kernel.chunk is None:
                    # Vectors end with such a chunk too, not only with those of the kernel alone.
                    launch.kernel.grain = turns
        block.chains = {k: found[id(step)] for k, step in enumerate(steps) if id(step) in found}

    def _visible(self, block: Block, items: list[Group | Step]) -> dict[int, set[Buffer]]:
        """For each group, which of its buffers somebody else reads."""
        readers: dict[Buffer, set[int]] = {}
        for item in items:
            if isinstance(item, Group):
                read = {b for m in item.members for b in reads_of(m.nest)}
                for b in read:
                    # Through a view the place of an element is not seen: that counts as outside.
                    who = id(item) if b not in block.views else -1
                    readers.setdefault(block.root(b), set()).add(who)
            else:
                for b in item.inputs:
                    readers.setdefault(block.root(b), set()).add(-1)
        for b in block.outputs:
            readers.setdefault(block.root(b), set()).add(-1)
        return {
            id(item): {b for b in item.targets if readers.get(b, set()) - {id(item)}}
            for item in items
            if isinstance(item, Group)
        }

    # Steps that are no nests.

    def _steps(
        self,
        item: Group | Step,
        visible: dict[int, set[Buffer]],
        wanted: set[Buffer],
        block: Block,
    ) -> list[BlockStep]:
        """The steps of an item."""
        if not isinstance(item, Group):
            made = self._turns(item, wanted, block)
            if not made and self.division.outlines:
                item = counted(item, wanted, lambda values: self._kept(values, block))
            return made or [self.step(item, block)]
        self.kernels += 1
        seen, name = visible[id(item)].__contains__, f"k{self.kernels}"
        made = Scheduler(item, seen, name, self.division).kernels()
        return [Launch(kernel, item) for kernel in made]

    def step(self, item: Step, block: Block) -> BlockStep:
        """A contraction, a library kernel, control flow or a call-out."""
        what = item.what
        if isinstance(what, Gemm):
            make = gemm_outline if self.division.outlines else gemm_kernel
            return self._library_call(make(what, self._fresh()), item, block, what)
        if isinstance(what, ByHand):
            return self._library_call(what.kernel, item, block, None, what)
        if isinstance(what, Region):
            return getattr(self, f"_{what.kind}")(item, what.parts)
        return self._host(item)

    def _host(self, item: Step) -> HostCall:
        native = item.what if isinstance(item.what, Native) else None
        call = HostCall(len(self.host_calls), item.eqn, item.inputs, item.outputs, native)
        self.host_calls.append(call)
        return call

    def _library_call(
        self,
        kernel: LibraryKernel,
        item: Step,
        block: Block,
        gemm: Gemm | None = None,
        by_hand: ByHand | None = None,
    ) -> LibraryCall:
        tables = [self._table(table, block) for table in kernel.tables]
        scratch, reads, writes = scratch_of(kernel), item.inputs, item.outputs
        call = LibraryCall(kernel, reads, writes, scratch, item.eqn, gemm, (), tables, sum=item.sum)
        if by_hand is not None:
            call.backwards, call.parts = by_hand.backwards, by_hand.parts
        return call

    def _table(self, table: Table, block: Block) -> Buffer:
        return self._kept(table.values(), block)

    def _kept(self, values: np.ndarray[Any, Any], block: Block) -> Buffer:
        """The constant that holds these values."""
        for buffer, held in block.constants.items():
            if held is values:
                return buffer
        made = Buffer(values.shape, values.dtype, f"table{len(block.constants)}")
        block.constants[made] = values
        return made

    def _turns(self, item: Step, wanted: set[Buffer], block: Block) -> list[BlockStep]:
        """A loop as kernels that keep its carry in registers, where they can."""
        made = recurrence(
            item, wanted, self.library, self.simplify, self._fresh, self.division.in_order
        )
        if made is None:
            return []
        kernels, constants = made
        block.constants.update(constants)
        return [Launch(kernel, None) for kernel in kernels]

    def _fresh(self) -> str:
        self.kernels += 1
        return f"k{self.kernels}"

    def _scan(self, item: Step, parts: dict[str, Any]) -> BlockStep:
        block = self.block(self.simplify(parts["jaxpr"]), parts["num_consts"], parts["length"])
        return Scan(
            block,
            parts["length"],
            parts["reverse"],
            parts["num_consts"],
            parts["num_carry"],
            item.inputs,
            item.outputs,
            rooms_for(item.outputs[: parts["num_carry"]]),
            item.eqn,
        )

    def _while(self, item: Step, parts: dict[str, Any]) -> BlockStep:
        condition = self.block(self.simplify(parts["cond_jaxpr"]))
        counts = parts["cond_nconsts"], parts["body_nconsts"]
        block = self.block(self.simplify(parts["body_jaxpr"]), counts[1])
        rooms = rooms_for(item.outputs)
        return While(condition, block, *counts, item.inputs, item.outputs, rooms, item.eqn)

    def _branch(self, item: Step, parts: dict[str, Any]) -> BlockStep:
        blocks = [self.block(self.simplify(b)) for b in parts["branches"]]
        why = item.why or "its values are of dtypes that kernels do not have"
        return Branch(blocks, item.inputs, item.outputs, item.eqn, why)

    def _call(self, item: Step, parts: dict[str, Any]) -> BlockStep:
        block = self.block(self.simplify(parts["jaxpr"]))
        return Scan(block, 1, False, len(item.inputs), 0, item.inputs, item.outputs, [], item.eqn)


def read_of(program: Program, items: list[Group | Step]) -> set[Buffer]:
    """The buffers that somebody reads, and what they are views of."""
    found = {b for item in items if isinstance(item, Step) for b in item.inputs}
    found |= {b for item in items if isinstance(item, Group) for m in item.members for b in m.reads}
    found |= {*program.outputs}
    for b in list(found):
        while b in program.views:
            b = program.views[b]
            found.add(b)
    return found


def scratch_of(kernel: LibraryKernel) -> list[Buffer]:
    """Memory that a kernel written by hand needs."""
    byte = np.dtype(np.uint8)
    return [Buffer((n,), byte, f"scratch{k}") for k, n in enumerate(kernel.scratch)]


def rooms_for(carried: list[Buffer]) -> list[Buffer]:
    """Memory for the next values of what a loop carries."""
    return [Buffer(b.shape, b.dtype, f"{b.name}_next") for b in carried]


def steps_of(block: Block) -> list[BlockStep]:
    """The steps of a block and of all blocks within."""
    return [*block.steps, *(step for inner in block.inner() for step in steps_of(inner))]


def all_constants(block: Block) -> dict[Buffer, Any]:
    """The constants of a block and of all blocks within, as `captured` gives them."""
    found = dict(block.constants)
    for inner in block.inner():
        found.update(all_constants(inner))
    return found


__all__ = ["Block", "Builder", "Nest"]
