"""The order of the axes in memory of values that only kernels see.

In: the items of a `Program`. Out: the same, values and their readers brought into line. The one
idea: who reads a value decides how it lies. Values are gone through from the last to the first, so
that a transposition of a result moves through all that it is made of, up to what must lie as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..ir.loops import Load
from ..ir.nests import Buffer, loads_of, offset_of
from .fuse import roots
from .items import Nest, Program

Reads = dict[Buffer, list[tuple[Nest, Load]]]


def arrange(program: Program) -> None:
    """Let values lie so that their readers go along the last axis."""
    nests = [item for item in program.items if isinstance(item, Nest)]
    reads: Reads = {}
    for nest in nests:
        for load in loads_of(*roots(nest)):
            reads.setdefault(load.source, []).append((nest, load))
    fixed = set(_fixed(program))
    # Parts of one value, and what several nests fill, stay as they are.
    made = Counter(nest.target for nest in nests)
    free = {n.target for n in nests if n.kind == "map" and made[n.target] == 1} - fixed
    for nest in reversed(nests):
        found = reads.get(nest.target, [])
        if nest.target in free and found and all(_follows(n, x) for n, x in found):
            last = _wanted(nest, found, free)
            if last is not None:
                _turn(nest, found, last)


def _fixed(program: Program) -> Iterator[Buffer]:
    """What lies as somebody else expects it."""
    yield from [*program.inputs, *program.outputs, *program.constants]
    yield from [*program.views, *program.views.values()]
    for item in program.items:
        if not isinstance(item, Nest):
            yield from [*item.inputs, *item.outputs]


def _follows(nest: Nest, load: Load) -> bool:
    """Whether a reader goes along its last axis, and reads element by element."""
    return nest.kind == "map" and len(load.index) == len(load.source.shape)


def _wanted(nest: Nest, found: list[tuple[Nest, Load]], free: set[Buffer]) -> int | None:
    """The axis of a value that should be the last in memory; None where all is well."""
    votes: Counter[int] = Counter()
    for reader, load in found:
        last = next((a for a in reversed(reader.kept) if a.extent > 1), None)
        for k, i in enumerate(load.index):
            if last is not None and abs(i.axes.get(last, 0)) == 1:
                votes[k] += reader.target.size
    for load in loads_of(nest.value):
        steps = offset_of(load.source, load.index).axes
        if load.source not in free and len(steps) > 1:
            for k, axis in enumerate(nest.kept):
                votes[k] += nest.target.size * (abs(steps.get(axis, 0)) == 1)
    usual = max((k for k, a in enumerate(nest.kept) if a.extent > 1), default=0)
    best = max(votes, key=lambda k: votes[k], default=usual)
    return best if votes[best] > votes[usual] else None


def _turn(nest: Nest, found: list[tuple[Nest, Load]], last: int) -> None:
    """Make an axis the last one, in the value and wherever it is read."""
    order = [*(k for k in range(len(nest.kept)) if k != last), last]
    nest.target.shape = tuple(nest.target.shape[k] for k in order)
    nest.kept = tuple(nest.kept[k] for k in order)
    # Readers share loads: each is turned once.
    for load in {id(x): x for _, x in found}.values():
        load.index = tuple(load.index[k] for k in order)
