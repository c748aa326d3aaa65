"""Where every buffer lives: arguments, results, and one arena for all between.

In: a `Block`. Out: `Plan`. The one idea: a buffer's life is the span of steps from the one that
writes it to the last that reads it; two buffers share bytes of the arena only if their lives are
apart. What a step's inner blocks need lives exactly as long as that step.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..ir.loops import Load
from ..ir.nests import (
    Buffer,
    For,
    Kernel,
    Node,
    Statement,
    Store,
    expressions,
    loads_of,
    neighbours,
    offset_of,
)
from .program import Block, BlockStep, Launch, LibraryCall, Scan, While, inner_blocks

ALIGNMENT = 64
# Inputs that are kept in mind for an output.
_CANDIDATES = 8


@dataclass(eq=False)
class Plan:
    """Offsets in the arena.

    Attributes:
        offsets: of each buffer that lives there.
        size: bytes of the arena.
    """

    offsets: dict[Buffer, int] = field(default_factory=lambda: {})
    size: int = 0


class Place:
    """First fit among the spans that live at the same time."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int, int, int]] = []  # first, last step, offset, end
        self.size = 0

    def put(self, first: int, last: int, size: int) -> int:
        """An offset that is free from the first to the last step."""
        size = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        busy = sorted((o, e) for f, t, o, e in self.taken if f <= last and first <= t)
        offset = 0
        for start, end in busy:
            if offset + size <= start:
                break
            offset = max(offset, end)
        self.taken.append((first, last, offset, offset + size))
        self.size = max(self.size, offset + size)
        return offset


def plan(block: Block) -> Plan:
    """The arena of a program."""
    result = Plan()
    result.size = _plan(block, 0, result)
    return result


def _plan(block: Block, base: int, out: Plan) -> int:
    """Place what a block needs at `base` and above; how many bytes that is."""
    place = Place()
    outputs = direct_outputs(block)
    last: dict[Buffer, int] = {}
    first: dict[Buffer, int] = {}
    for at, step in enumerate(block.steps):
        begin, end = block.span(at)
        for b in step.reads:
            last[block.root(b)] = end
        for b in step.writes:
            first.setdefault(block.root(b), begin)
            last[block.root(b)] = max(last.get(block.root(b), end), end)
    for b in block.outputs:
        last[block.root(b)] = len(block.steps)
    outside = {*block.inputs, *block.constants, *outputs}
    # Scratch comes first, so that it is at the same place for all steps, which stays in cache.
    for at, step in enumerate(block.steps):
        if isinstance(step, LibraryCall):
            # What is made before a loop stays as it is in all turns.
            life = (0, len(block.steps)) if step.ready else block.span(at)
            for b in step.scratch:
                out.offsets[b] = base + place.put(*life, b.bytes)
    for at, step in enumerate(block.steps):
        for b in step.writes:
            root = block.root(b)
            if root in outside or root in out.offsets:
                continue
            out.offsets[root] = base + place.put(first[root], last[root], root.bytes)
        if isinstance(step, Launch):
            for b in step.scratch:
                out.offsets[b] = base + place.put(*block.span(at), b.bytes)
        _inner(step, at, base, place, out)
    return place.size


def _inner(step: BlockStep, at: int, base: int, place: Place, out: Plan) -> None:
    """The arenas of inner blocks, each within a span that lives during the step."""
    if isinstance(step, (Scan, While)):
        for b, room in zip(carried(step), step.rooms, strict=True):
            if not updates_in_place(step.block, *b):
                out.offsets[room] = base + place.put(at, at, room.bytes)
    for block in inner_blocks(step):
        trial = Plan()
        size = _plan(block, 0, trial)
        offset = base + place.put(at, at, size)
        for b, where in trial.offsets.items():
            out.offsets[b] = offset + where


def carried(step: Scan | While) -> list[tuple[Buffer, Buffer]]:
    """For each value a loop carries: the body's input and its output."""
    first = step.constants if isinstance(step, Scan) else step.block_constants
    return list(zip(step.block.inputs[first:], step.block.outputs, strict=False))[: len(step.rooms)]


def stacked_carries(step: Scan) -> dict[int, int]:
    """The carried values of which all are kept: the stack where each turn's value is a row.

    Such a value lives in that row while its turn runs, for the turn before puts it there.
    """
    body = step.block
    inputs = body.inputs[step.constants : step.constants + step.carry]
    found: dict[int, int] = {}
    for row, b in enumerate(body.outputs[step.carry :] if step.length else ()):
        root = body.root(b)
        if root in inputs and root.bytes == b.bytes and root not in body.uses.writers:
            found.setdefault(inputs.index(root), row)
    return found


def updates_in_place(block: Block, source: Buffer, output: Buffer) -> bool:
    """Whether a block may write an output where an input lies, of the same size.

    The first kernel that writes it must read the input at the place it writes and no later, and
    nobody may read the input after that kernel. Or the output is the input, with updates in place.
    """
    root, uses = block.root(output), block.uses
    if root is source:
        return source in uses.writers
    if root in uses.inputs or root.bytes != source.bytes or source in uses.outputs:
        return False
    writers = uses.writers.get(root, [])
    if not writers:
        return False
    at = writers[0]
    step = block.steps[at]
    if not isinstance(step, Launch):
        return False
    last = uses.last_read.get(source, -1)
    if last > at and not _is_copy(block, step, source):
        return False
    if last > at and not updates_where_it_reads(block, source, root, at, last):
        return False
    if at - 1 in block.chains and source in map(block.root, block.steps[at - 1].reads):
        # The product still reads it for its later blocks.
        return False
    views = [b for b in step.reads if block.root(b) is source]
    return not views or (views == [source] and reads_where_it_writes(step.kernel, source, root))


def _is_copy(block: Block, step: Launch, source: Buffer) -> bool:
    copies = step.kernel.copies
    return copies is not None and block.root(copies) is source


def updates_where_it_reads(
    block: Block, source: Buffer, target: Buffer, at: int, last: int
) -> bool:
    """Whether the step that changes a copy, made by step `at`, may read what was copied.

    It is the last to read that, and does so before it writes for the only time.
    """
    step = block.steps[last]
    if not isinstance(step, Launch) or block.uses.writers[target] != [at, last]:
        return False
    loops = any(isinstance(node, For) for node in step.kernel.body)
    views = [b for b in step.reads if block.root(b) is source]
    return not loops and all(reads_where_it_writes(step.kernel, b, target) for b in views)


def reusable(block: Block) -> list[tuple[int, int]]:
    """Pairs of an output and an input of a program in whose memory it may be written.

    Of each output a few: those that its kernel reads, then those from its own place among the
    inputs and outputs of its type on, so that as many outputs find one each.
    """
    alike: dict[Any, list[int]] = {}
    for i, source in enumerate(block.inputs):
        alike.setdefault((source.shape, source.dtype), []).append(i)
    pairs: list[tuple[int, int]] = []
    before: dict[Any, int] = {}
    for root, k in direct_outputs(block).items():
        kind = block.outputs[k].shape, root.dtype
        inputs, place = alike.get(kind, []), before.get(kind, 0)
        before[kind] = place + 1
        read = {b for at in block.uses.writers.get(root, []) for b in block.steps[at].reads}
        start = place % max(len(inputs), 1)
        order = sorted(
            [*inputs[start:], *inputs[:start]], key=lambda i: block.inputs[i] not in read
        )
        fit = (i for i in order if updates_in_place(block, block.inputs[i], block.outputs[k]))
        pairs += [(k, i) for i in islice(fit, _CANDIDATES)]
    return pairs


def reads_where_it_writes(kernel: Kernel, source: Buffer, target: Buffer) -> bool:
    """Whether a kernel reads `source` only at the place in `target` that it writes next.

    Or, where it has no loops, before it writes at all.
    """
    runs = _accesses(kernel)
    if not any(isinstance(node, For) for node in kernel.body):
        made = [k for k, (stores, _) in enumerate(runs) if any(s.target is target for s in stores)]
        read = [k for k, (_, loads) in enumerate(runs) if any(x.source is source for x in loads)]
        joins = any(s.combine for stores, _ in runs for s in stores if s.target is target)
        return bool(made) and not joins and (not read or read[-1] <= made[0])
    writes = [(k, s) for k, (stores, _) in enumerate(runs) for s in stores if s.target is target]
    if len(writes) != 1 or writes[0][1].combine:
        return False
    ((at, store),) = writes
    if kernel.chunk is not None and store.guard is not None:
        return False  # one part alone writes what the others may still read
    place = offset_of(target, store.index)
    return all(
        k <= at and offset_of(source, load.index).same(place)
        for k, (_, loads) in enumerate(runs)
        for load in loads
        if load.source is source
    )


Accesses = list[tuple[list[Store], list[Load]]]
_known: weakref.WeakKeyDictionary[Kernel, Accesses] = weakref.WeakKeyDictionary()


def _accesses(kernel: Kernel) -> Accesses:
    """The stores and loads of each run of statements; asked for once for each pair of buffers."""
    found = _known.get(kernel)
    if found is None:
        found = _known[kernel] = [
            (
                [node for node in run if isinstance(node, Store)],
                loads_of(*(x for node in run for x in expressions(node))),
            )
            for run in _statements(kernel.body)
        ]
    return found


def _statements(body: list[Node]) -> Iterator[Sequence[Statement]]:
    """Statements in order; those stores together whose values are made first."""
    made = 0
    for k, node in enumerate(body):
        if isinstance(node, For):
            yield from _statements(node.body)
        elif not isinstance(node, Store):
            yield [node]
        elif k >= made:
            stores = neighbours(body, k)
            made = k + len(stores)
            yield stores


def direct_outputs(block: Block) -> dict[Buffer, int]:
    """The outputs that a step can write where they belong, by position; the rest are copied."""
    outside = {*block.inputs, *block.constants}
    found: dict[Buffer, int] = {}
    for k, b in enumerate(block.outputs):
        root = block.root(b)
        if root not in outside and root not in found and root.bytes == b.bytes:
            found[root] = k
    return found
