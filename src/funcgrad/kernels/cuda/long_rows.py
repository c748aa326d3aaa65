"""Rows that are long and too few to fill a GPU: several blocks share each, in several launches.

In: a block of a program. Out: the same, where a kernel that goes through such rows is one kernel a
phase, each of which needs folds only that earlier ones made. The one idea: a block goes through a
part of a row and leaves its folds in memory; who needs them joins those of all parts, in order of
the parts, where it needs them, for that takes less time than a launch.

The plan is a comparison of two estimates. Each is in nanoseconds the longer of what memory takes
and what operations take, where one block moves ALONE bytes and does OPERATIONS, all of them as many
times more as there are, but for ALL bytes at most:

    alone   a block for each row; of what loops read again it moves what lies beyond KEPT bytes
    parted  every loop moves all of its row; and LAUNCH for each launch more
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ...ir.loops import Affine, Axis, Expr, Index, Load, apply, axis_index, cast, const, int64
from ...ir.nests import (
    Acc,
    Accumulate,
    Buffer,
    For,
    Kernel,
    Node,
    Statement,
    Store,
    body_cost,
    offset_of,
    rewrite,
    rewrite_index,
    statements,
    substitute,
)
from ..chunks import WHOLE, buffers_of_body, loops_over, written_in
from ..program import Block, BlockStep, Launch
from .apart import accesses, accs_read, independent, loops_in
from .hazards import shared_chain
from .plan import SMALL, chain_of
from .row_plan import key_in_row

# Of one block in a nanosecond on an H200 bytes and operations, bytes of all; what a launch takes.
ALONE, OPERATIONS, ALL, LAUNCH = 48.0, 100.0, 4000.0, 4000.0
# Bytes of a row that a block keeps for later loops.
KEPT = 256 << 10
# Parts are worth it if they take so much less time.
GAIN = 0.8
# Blocks that fill a GPU: 8 of 256 threads on each of 132 multiprocessors. Elements of a part.
BLOCKS, PROCESSORS, LEAST = 1056, 132, 4096


def divide_long_rows(block: Block) -> None:
    """Let several blocks share each of few long rows, in a block and in those of its loops."""
    for inner in block.inner():
        divide_long_rows(inner)
    if not block.chains:
        block.steps[:] = [part for step in block.steps for part in _divided(step)]


def _divided(step: BlockStep) -> list[BlockStep]:
    if not isinstance(step, Launch):
        return [step]
    return [Launch(kernel, step.group) for kernel in in_parts(step.kernel)]


@dataclass(frozen=True)
class _Cut:
    """How a loop along a row is cut: `lead` in parts of `grain` turns; loops before it are rows."""

    before: tuple[Axis, ...]
    lead: For
    grain: int

    @property
    def parts(self) -> int:
        return -(-self.lead.axis.extent // self.grain)

    @property
    def blocks(self) -> int:
        """Of each row."""
        return self.parts * prod(a.extent for a in self.before)


@dataclass
class _Phase:
    """Statements between which no block waits for another one.

    Attributes:
        loops: those of the statements that go along a row; `cuts`: where they are cut.
    """

    nodes: list[Node]
    loops: list[For]
    cuts: list[_Cut]

    @property
    def made(self) -> list[Acc]:
        """The folds of its loops."""
        return [acc for loop in self.loops for acc in loop.accs]


def in_parts(kernel: Kernel) -> list[Kernel]:
    """The kernels, one a phase, that do what a kernel does; itself where a block a row is quicker.

    Args:
        kernel: one of a GPU's division.
    """
    outer = chain_of(kernel.body)
    body = outer[-1].body if outer else kernel.body
    rows = prod(loop.axis.extent for loop in outer)
    if kernel.chunk is not None or not rows or not all(map(independent, outer)):
        return [kernel]
    if any(loop.accs for loop in outer) or {*kernel.scratch} & {a.buffer for a in accesses(body)}:
        return [kernel]
    loops = _long(body)
    if not loops or not _are_plain(body, loops):
        return [kernel]
    phases = _phases(body, loops, rows)
    if not _pays(rows, loops, phases):
        return [kernel]
    return _Parts(kernel, [loop.axis for loop in outer], phases).kernels()


def _turns(loop: For) -> int:
    return prod(f.axis.extent for f in shared_chain(loop))


def _long(body: list[Node]) -> list[For]:
    """The loops along rows, if one folds, and what the others do is not worth blocks."""
    loops = [n for n in body if isinstance(n, For)]
    found = [n for n in loops if _turns(n) > SMALL]
    others = sum(prod(f.axis.extent for f in loops_in([n])) for n in loops if n not in found)
    return found if others <= SMALL and any(n.accs for n in found) else []


def _are_plain(body: list[Node], loops: list[For]) -> bool:
    """Whether statements are such as parts of a row can be done by themselves."""
    for loop in loops:
        inner = shared_chain(loop)[-1].body
        own = {acc for f in loops_in(loop.body) for acc in f.accs} <= {*loop.accs}
        if not independent(loop) or loops_in(inner) or not own:
            return False
    plain = all(
        isinstance(n, Accumulate) or (isinstance(n, Store) and not n.combine and not n.apart)
        for n in statements(body)
    )
    return plain and all(acc.initial is None for loop in loops_in(body) for acc in loop.accs)


def _cut(loop: For, rows: int) -> _Cut:
    """Where a loop is cut: at the first of its chain that gives blocks enough."""
    chain, before = shared_chain(loop), list[Axis]()
    for lead in chain[:-1]:
        if rows * prod(a.extent for a in before) * lead.axis.extent >= BLOCKS // 4:
            break
        before.append(lead.axis)
    lead, *others = chain[len(before) :]
    inside, rows = prod(f.axis.extent for f in others), rows * prod(a.extent for a in before)
    elements = max(-(-lead.axis.extent * inside * rows // BLOCKS), LEAST)
    grain = min(-(-elements // inside), lead.axis.extent)
    whole = -(-grain // WHOLE) * WHOLE
    return _Cut((*before,), lead, grain if others or whole > lead.axis.extent else whole)


def _phases(body: list[Node], loops: list[For], rows: int) -> list[_Phase]:
    """The statements in order, a phase as soon as one needs what other parts of a row made."""
    found = [_Phase([], [], [])]
    for node in body:
        now, cuts = found[-1], [_cut(loop, rows) for loop in loops if loop is node]
        needs = accs_read([node]) & {*now.made} or any(_meet(n, node, loops) for n in now.nodes)
        if needs or not all(_beside(a, b) for a in now.cuts for b in cuts):
            found.append(now := _Phase([], [], []))
        now.nodes.append(node)
        now.loops += [loop for loop in loops if loop is node]
        now.cuts += cuts
    return found


def _beside(first: _Cut, second: _Cut) -> bool:
    """Whether one block can do parts of two loops."""
    alike = (first.lead.axis.extent, first.grain) == (second.lead.axis.extent, second.grain)
    return alike and not first.before and not second.before


def _meet(first: Node, second: Node, loops: list[For]) -> bool:
    """Whether one statement changes what another block may touch by the other one."""
    along = [n.axis for n in (first, second) for loop in loops if loop is n and isinstance(n, For)]
    mine, theirs = accesses([first]), accesses([second])
    for buffer in {a.buffer for a in mine} & {a.buffer for a in theirs}:
        here = [[a for a in some if a.buffer is buffer] for some in (mine, theirs)]
        if not any(a.writes for some in here for a in some):
            continue
        if len(along) < 2:
            return True
        # Parts of the same turns touch the same elements.
        keys = {
            key_in_row(buffer, a.place, axis)
            for some, axis in zip(here, along, strict=True)
            for a in some
        }
        if len(keys) > 1 or None in keys:
            return True
    return False


def _pays(rows: int, loops: list[For], phases: list[_Phase]) -> bool:
    """Whether several launches are estimated to be quicker than one with a block for each row."""
    kept, alone, work = dict[object, int](), 0, 0.0
    parted = LAUNCH * (len(phases) - 1)
    for phase in phases:
        for loop, cut in zip(phase.loops, phase.cuts, strict=True):
            turns, cost = _turns(loop), body_cost(shared_chain(loop)[-1])
            read, written = _moved(loop)
            blocks = rows * cut.blocks
            moved = turns * (sum(read.values()) + written)
            took = OPERATIONS * min(blocks, PROCESSORS)
            parted += max(rows * moved / min(ALL, ALONE * blocks), rows * turns * cost / took)
            room = KEPT // max(sum(read.values()), 1)
            again = sum(size for key, size in read.items() if key in kept)
            alone += moved - min(turns, room) * again
            work += turns * cost
            kept |= read
    return parted < GAIN * max(alone / min(ALONE, ALL / rows), work / OPERATIONS)


def _moved(loop: For) -> tuple[dict[object, int], int]:
    """Bytes of each place that a loop reads in a turn, and those that it writes."""
    axes, read, written = {f.axis for f in shared_chain(loop)}, dict[object, int](), 0
    for access in accesses([loop]):
        offset, size = offset_of(access.buffer, access.place), access.buffer.dtype.itemsize
        if access.writes:
            written += size
        elif offset.dynamic or axes & {*offset.axes}:
            read[key_in_row(access.buffer, access.place, loop.axis) or access.buffer] = size
    return read, written


class _Parts:
    """Writes the kernels of the phases.

    Args:
        outer: the axes of the rows.
    """

    def __init__(self, kernel: Kernel, outer: list[Axis], phases: list[_Phase]) -> None:
        self.kernel, self.outer, self.phases = kernel, outer, phases
        self.row = tuple(map(axis_index, outer))
        # Where folds of parts are, and what made them.
        self.kept: dict[Acc, Buffer] = {}
        self.folds: dict[Acc, tuple[For, Accumulate]] = {}
        # What earlier phases folded in short loops.
        self.whole: dict[Acc, Expr] = {}
        # Of the phase at hand: what stands for folds of earlier ones, and what was written anew.
        self.new: dict[Acc, Expr] = {}
        self.memo: dict[int, Expr] = {}

    def kernels(self) -> list[Kernel]:
        """One for each phase."""
        return [self._kernel(at, phase) for at, phase in enumerate(self.phases)]

    def _kernel(self, at: int, phase: _Phase) -> Kernel:
        kernel, last = self.kernel, at == len(self.phases) - 1
        cut = phase.cuts[0] if phase.cuts else None
        chunk, before = (None, ()) if cut is None else (Axis(cut.parts, "chunk"), cut.before)
        self.new, self.memo = {**self.whole}, {}
        nodes = self._joins(at)
        alone = [] if chunk is None else [chunk, *before]
        nodes += [self._node(n, phase, alone) for n in phase.nodes]
        later = {acc for p in self.phases[at + 1 :] for acc in accs_read(p.nodes)}
        if cut is not None and chunk is not None:
            nodes += self._keep(phase, later, (*self.outer, *cut.before, chunk))
        nodes += self._keep_whole(phase, later, alone)
        body = loops_over([*self.outer, *before], nodes, [], vector=False)
        name = kernel.name if last else f"{kernel.name}_parts{at or ''}"
        loops = (1, 1, None) if cut is None else (cut.lead.axis.extent, cut.grain, chunk)
        notes = kernel.notes if last else ["folds of parts of rows"]
        written, cost = written_in(body), kernel.cost / len(self.phases)
        return Kernel(name, buffers_of_body(body), written, [], body, *loops, cost, [*notes])

    def _keep(self, phase: _Phase, later: set[Acc], axes: tuple[Axis, ...]) -> list[Node]:
        """Stores of the folds of a part that later phases need."""
        stores = list[Node]()
        for loop in phase.loops:
            for acc in [acc for acc in loop.accs if acc in later]:
                kept = Buffer(tuple(a.extent for a in axes), acc.dtype, f"{acc.name}_part")
                stores.append(Store(kept, tuple(map(axis_index, axes)), acc))
                folds = (n for n in statements([loop]) if isinstance(n, Accumulate))
                self.kept[acc] = kept
                self.folds[acc] = loop, next(n for n in folds if n.acc is acc)
        return stores

    def _keep_whole(self, phase: _Phase, later: set[Acc], alone: list[Axis]) -> list[Node]:
        """Stores of what short loops fold, which each block does whole."""
        loops = [n for n in phase.nodes if isinstance(n, For) and n not in phase.loops]
        stores = list[Node]()
        for acc in [acc for loop in loops for acc in loop.accs if acc in later]:
            kept = Buffer(tuple(a.extent for a in self.outer), acc.dtype, f"{acc.name}_whole")
            stores.append(self._statement(Store(kept, self.row, acc), alone))
            self.whole[acc] = Load(kept, self.row, acc.dtype, None)
        return stores

    # Joining.

    def _joins(self, at: int) -> list[Node]:
        """Loops that join the folds of all parts which a phase needs."""
        needed = accs_read(self.phases[at].nodes)
        for acc in [a for a in reversed(self.kept) if a in needed and a.positional]:
            needed |= accs_read([self.folds[acc][1]])
        nodes = list[Node]()
        made = [a for phase in self.phases[:at] for a in phase.made if a in needed]
        together: dict[object, list[Acc]] = {}
        for acc in made:
            # Places are joined by values made again, for which the folds before must be there.
            key = acc if acc.positional else self.kept[acc].shape
            together.setdefault(key, []).append(acc)
        for accs in sorted(together.values(), key=lambda accs: accs[0].positional):
            *before, parts = self.kept[accs[0]].shape[len(self.outer) :]
            axes = [Axis(n, f"p{k}") for k, n in enumerate((*before, parts))]
            joined = [Acc(a.op, a.value_dtype, a.name, a.dtype) for a in accs]
            body: list[Node] = [
                self._join(a, new, axes) for a, new in zip(accs, joined, strict=True)
            ]
            nodes += loops_over(axes, body, joined, vector=True)
            self.new.update(zip(accs, joined, strict=True))
            self.memo = {}
        return nodes

    def _join(self, acc: Acc, joined: Acc, axes: list[Axis]) -> Accumulate:
        kept = self.kept[acc]
        value = Load(kept, (*self.row, *map(axis_index, axes)), kept.dtype, None)
        if not acc.positional:
            return Accumulate(joined, value)
        # Of an extreme its place is kept, where its value is made again.
        loop, fold = self.folds[acc]
        assert fold.position is not None
        place = cast(value, int64)
        places = [f.axis for f in shared_chain(loop)]
        again = substitute(fold.value, _axes_at(place, places, fold.position), {})
        return Accumulate(joined, self._expr(again), Affine(0, None, ((place, 1),)))

    # Statements anew.

    def _expr(self, x: Expr) -> Expr:
        return rewrite(x, self._joined, self.memo)

    def _joined(self, x: Expr, again: object) -> Expr | None:
        return self.new.get(x) if isinstance(x, Acc) else None

    def _node(self, node: Node, phase: _Phase, alone: list[Axis]) -> Node:
        """A statement with the joined folds; what is beside loops the first block alone does."""
        if node in phase.loops:
            assert isinstance(node, For)
            lead = phase.cuts[phase.loops.index(node)].lead
            body = [self._node(n, phase, []) for n in lead.body]
            return For(lead.axis, body, node.accs, lead.vector, True, lead.times)
        if isinstance(node, For):
            body = [self._node(n, phase, alone) for n in node.body]
            return For(node.axis, body, node.accs, node.vector, False, node.times)
        return self._statement(node, alone)

    def _statement(self, node: Statement, alone: list[Axis]) -> Node:
        if isinstance(node, Accumulate):
            return Accumulate(node.acc, self._expr(node.value), node.position)
        assert isinstance(node, Store)
        guard = None if node.guard is None else self._expr(node.guard)
        for axis in alone:
            first = apply("eq", Index(axis_index(axis)), const(0, int64))
            guard = first if guard is None else apply("and", guard, first)
        index = tuple(rewrite_index(i, self._expr) for i in node.index)
        return Store(node.target, index, self._expr(node.value), "", guard)


def _axes_at(place: Expr, axes: Sequence[Axis], position: Affine) -> dict[Axis, Affine]:
    """What the axes of folded loops are at a place among all their turns."""
    found: dict[Axis, Affine] = {}
    for axis in axes:
        step, at = position.axes[axis], place
        at = apply("div", at, const(step, int64)) if step != 1 else at
        if step * axis.extent < prod(a.extent for a in axes):
            at = apply("rem", at, const(axis.extent, int64))
        found[axis] = Affine(0, None, ((at, 1),))
    return found
