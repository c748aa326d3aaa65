"""Updates in place: values written over those that nobody reads any more.

In: the steps of a block, in order. Out: views, of a value on the memory it takes over, and steps
that are not needed then. The one idea: a scatter starts as a copy of its operand, and a loop as a
copy of what it carries; where that was the last to read the operand, the operand is the copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..ir.nests import Buffer
from .memory import updates_in_place, updates_where_it_reads
from .program import Block, Branch, Launch, Scan, Uses, While


def update_in_place(block: Block, carried: Sequence[tuple[int, int]] = ()) -> None:
    """Let values take over memory: adds views to a block and those within, leaves out copies.

    Args:
        carried: for each value that a loop with this body carries, or a branch of which this is an
            arm hands on, the numbers of input and output.
    """
    for step in block.steps:
        if isinstance(step, (Scan, While)):
            first = step.constants if isinstance(step, Scan) else step.block_constants
            update_in_place(step.block, [(first + k, k) for k in range(len(step.rooms))])
    inputs = {block.inputs[i]: k for i, k in carried}
    uses, copies = block.uses, list[tuple[int, Buffer]]()
    for at, target, source in _pairs(block, uses, inputs):
        source = block.root(source)
        if not _may_take(block, uses, inputs, at, target, source):
            continue
        block.views[target] = source
        copies.append((at, target))
        writers = uses.writers.pop(target)
        if isinstance(block.steps[at], Launch):
            writers.remove(at)
        uses.writers.setdefault(source, []).extend(writers)
        uses.writers[source].sort()
        uses.last_read[source] = uses.last_read.pop(target, at)
        if target in uses.outputs:
            uses.outputs.remove(target)
            uses.outputs.add(source)
    for source, k in inputs.items():
        if source in uses.outputs and block.root(block.outputs[k]) is not source:
            # It would not end where the next turn looks for it.
            for at, target in [c for c in copies if block.views[c[1]] is source]:
                copies.remove((at, target))
                del block.views[target]
    gone = {at for at, _ in copies if isinstance(block.steps[at], Launch)}
    places = [at for at in range(len(block.steps)) if at not in gone]
    block.steps[:] = [block.steps[at] for at in places]
    block.chains = {places.index(at): turns for at, turns in block.chains.items()}
    del block.uses


def _pairs(
    block: Block, uses: Uses, inputs: dict[Buffer, int]
) -> Iterator[tuple[int, Buffer, Buffer]]:
    """Steps that copy a whole value and change the copy, in order; the copy and the value."""
    for at, step in enumerate(block.steps):
        if isinstance(step, Launch) and step.kernel.copies is not None:
            if at not in block.chains and at - 1 not in block.chains:
                yield at, step.kernel.written[0], step.kernel.copies
        elif isinstance(step, (Scan, While)):
            once = _read_once(block, step)
            reads = step.reads[first_carried(step) :]
            for target, source in list(zip(step.writes, reads, strict=False))[: len(step.rooms)]:
                if block.root(source) in once:
                    yield at, target, source
        elif isinstance(step, Branch):
            once = {root for root in _read_once(block, step) if _is_left(uses, inputs, root)}

            def may_take(target: Buffer, source: Buffer, at: int = at) -> bool:
                return _may_take(block, uses, inputs, at, target, block.root(source))

            left = [j for j, b in enumerate(step.reads[1:]) if block.root(b) in once]
            for source, target in _arms(step, left, may_take):
                yield at, target, source


def _read_once(block: Block, step: Scan | While | Branch) -> set[Buffer]:
    """The memory that a step is given as one of its operands alone."""
    counts = Counter(map(block.root, step.reads))
    return {root for root, count in counts.items() if count == 1}


def first_carried(step: Scan | While) -> int:
    """Where among what a loop reads the first values of its carry begin."""
    return step.constants if isinstance(step, Scan) else len(step.reads) - len(step.rooms)


def _arms(
    step: Branch, left: Sequence[int], may_take: Callable[[Buffer, Buffer], bool]
) -> list[tuple[Buffer, Buffer]]:
    """Update in place within the arms of a branch; operands, and the results that lie there then.

    Args:
        left: the numbers of the operands in whose place results may lie.
        may_take: whether a result may lie where an operand does, for all that is around the branch.
    """
    operands, found = step.reads[1:], dict[int, int]()
    alike: dict[Any, list[int]] = {}
    for j in left:
        alike.setdefault((operands[j].bytes, operands[j].dtype), []).append(j)
    begun = [
        [_begins_as(arm, arm.outputs[k]) for arm in step.blocks] for k in range(len(step.writes))
    ]
    # First what an arm changes or leaves as it is, then what is merely computed where it was.
    for some in (True, False):
        for k, target in enumerate(step.writes):
            if k in found.values():
                continue
            for j in alike.get((target.bytes, target.dtype), []):
                same = [b is arm.inputs[j] for b, arm in zip(begun[k], step.blocks, strict=True)]
                if any(same) is not some or not may_take(target, operands[j]):
                    continue
                if all(
                    begins or updates_in_place(arm, arm.inputs[j], arm.outputs[k])
                    for begins, arm in zip(same, step.blocks, strict=True)
                ):
                    found[j] = k
                    alike[target.bytes, target.dtype].remove(j)
                    break
    for arm in step.blocks:
        update_in_place(arm, list(found.items()))
    return [
        (operands[j], step.writes[k])
        for j, k in found.items()
        if all(_ends_at(arm, arm.inputs[j], arm.outputs[k]) for arm in step.blocks)
    ]


def _ends_at(arm: Block, source: Buffer, output: Buffer) -> bool:
    """Whether an output of an arm is its input, or may be written over it."""
    return arm.root(output) is source or updates_in_place(arm, source, output)


def _begins_as(block: Block, output: Buffer) -> Buffer:
    """The value that an output is once all updates in place are done."""
    root = block.root(output)
    while root in block.uses.writers:
        at = block.uses.writers[root][0]
        step = block.steps[at]
        place = next((k for k, b in enumerate(step.writes) if block.root(b) is root), 0)
        if isinstance(step, Launch) and step.kernel.copies is not None:
            root = block.root(step.kernel.copies)
        elif isinstance(step, (Scan, While)) and place < len(step.rooms):
            root = block.root(step.reads[first_carried(step) + place])
        elif isinstance(step, Branch):
            ends = {_begins_as(arm, arm.outputs[place]): arm for arm in step.blocks}
            found = {arm.inputs.index(b) for b, arm in ends.items() if b in arm.inputs}
            if not found:
                break
            root = block.root(step.reads[1 + min(found)])
        else:
            break
    return root


def _may_take(
    block: Block,
    uses: Uses,
    inputs: dict[Buffer, int],
    at: int,
    target: Buffer,
    source: Buffer,
) -> bool:
    """Whether a value may lie where the one lies that step `at` copies it from."""
    if not _is_left(uses, inputs, source) or target in block.views or target not in uses.writers:
        return False
    if (source.bytes, source.dtype) != (target.bytes, target.dtype):
        return False
    last = uses.last_read.get(source, -1)
    return last <= at or updates_where_it_reads(block, source, target, at, last)


def _is_left(uses: Uses, inputs: dict[Buffer, int], source: Buffer) -> bool:
    """Whether the memory of a value is the block's to change."""
    if source in uses.outputs:
        return False
    return source in inputs if source in uses.inputs else source in uses.writers
