"""Programs that say where their time went.

In: the stages of a program. Out: `Profiled`, called with arrays as the usual program is, which
gives a `Record` beside the results; and for each of its steps a `Line` that says what the step is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ir.avals import ShapedArray
from ..ir.jaxpr import Eqn, subjaxprs
from ..ir.sources import describe
from . import executables, pipeline
from .blaming import own_eqns
from .costs import Cost, step_cost
from .emit.profiled import EVENTS, HEAD, ProfiledEmitter, record_size
from .lowering import Step
from .notes import eqns_of
from .program import Block, BlockStep, Launch, inner_blocks
from .runtime import cache, toolchain

NDArray = np.ndarray[Any, Any]


class Line(NamedTuple):
    """A step of a program.

    Attributes:
        name: of a kernel: k1; of any other step: its primitive.
        operations: the primitives it computes, in order.
        scopes: the named scopes that these are in.
        source: the user's line of the last of them.
        around: the number of the loop or branch it is in, or -1.
        cost: of one run; of a loop or branch nothing, for its steps have theirs.
    """

    name: str
    operations: tuple[str, ...]
    scopes: tuple[str, ...]
    source: str
    around: int
    cost: Cost


class Record(NamedTuple):
    """What a run took, in nanoseconds of `time.perf_counter_ns`.

    Attributes:
        runs: of each step, how often it ran.
        spent: of each step, how long in all.
        events: (step, beginning, duration) in the order in which they ended.
        lost: how many more events there were than the record had room for.
    """

    begin: int
    end: int
    runs: NDArray
    spent: NDArray
    events: NDArray
    lost: int


class Profiled:
    """A program whose steps are timed."""

    def __init__(self, stages: pipeline.Stages) -> None:
        bits = toolchain.machine().vector_bits
        emitter = ProfiledEmitter(stages.block, stages.memory, bits)
        text = emitter.module()
        self.name = stages.block.jaxpr.debug_name or "program"
        self.lines = [line_of(*timed) for timed in emitter.timed]
        record = ShapedArray((record_size(len(self.lines)),), np.dtype(np.int64))
        self._run = executables.executable_of_text(stages, text, cache.compiled(text), [record])

    def __call__(self, arrays: Sequence[NDArray]) -> tuple[list[NDArray], Record]:
        """The results, and what the run took."""
        *outs, record = self._run(arrays)
        steps = len(self.lines)
        totals = record[HEAD : HEAD + 2 * steps].reshape(steps, 2)
        count, begin, end = (int(n) for n in record[:HEAD])
        events = record[HEAD + 2 * steps :].reshape(EVENTS, 3)[: min(count, EVENTS)]
        spent = totals[:, 0].copy(), totals[:, 1].copy()
        return outs, Record(begin, end, *spent, events.copy(), max(0, count - EVENTS))


def line_of(step: BlockStep, block: Block, around: int) -> Line:
    """What a step is."""
    eqns = step_eqns(step, block)
    name = step.kernel.name if isinstance(step, Launch) else step.eqn.primitive.name
    sources = [e.source for e in eqns if e.source is not None]
    scopes = dict.fromkeys(s.name_stack for s in sources if s.name_stack)
    operations = tuple(op for e in eqns for op in _operations(e))
    line = next((text for text in map(describe, reversed(sources)) if text), "")
    cost = Cost() if inner_blocks(step) else step_cost(step)
    return Line(name, operations, tuple(scopes), line, around, cost)


def step_eqns(step: BlockStep, block: Block) -> list[Eqn]:
    """The eqns that a step computes, in order."""
    if not isinstance(step, Launch):
        return list(own_eqns(step))
    if step.group is not None:
        return eqns_of(block, step.group)
    # A loop whose carry is kept in registers.
    written = {block.root(b) for b in step.kernel.written}
    loops = [item for item in block.items if isinstance(item, Step)]
    return [i.eqn for i in loops if written & {block.root(b) for b in i.outputs}]


def _operations(eqn: Eqn) -> list[str]:
    within = [e.primitive.name for inner in subjaxprs(eqn.params) for e in inner.eqns]
    return [eqn.primitive.name, *within]
