"""Groups to loop nests: which loops, in which order, what stays in registers.

In: a `Group`. Out: `Kernel`s to be run one after the other. The one idea: under the shared outer
loops a group is a list of phases, each one set of inner loops. A value made in a phase is a
register for what reads it in the same phase at the same place, a row on the stack for later
phases, and memory only where somebody outside of the group reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..ir.loops import (
    Affine,
    Axis,
    Const,
    Expr,
    Index,
    IndexTuple,
    Load,
    axis_index,
    cast,
    flat_index,
    select,
)
from ..ir.nests import (
    Acc,
    Accumulate,
    Buffer,
    For,
    Kernel,
    Node,
    Store,
    identity_of,
    loads_of,
    rewrite,
    rewrite_index,
)
from .chunks import (
    CPU,
    Division,
    chunk_count,
    loops_over,
)
from .collapse import buffers_of, collapse
from .cutting import Cutter
from .fuse import Group, Member, cost_of
from .items import Nest
from .phases import Made, Phase, is_short
from .running import costly, divides, in_chunks, running_turn, stored
from .scattering import by_chunk, divided, parts_of
from .stretches import in_stretches
from .tiles import tiled
from .unroll import unrolled


class Scheduler:
    """Builds the loops of one group."""

    def __init__(
        self,
        group: Group,
        visible: Callable[[Buffer], bool],
        name: str,
        division: Division = CPU,
    ) -> None:
        self.group = group
        self.division = division
        self.visible = visible
        self.name = name
        lead = group.members[0].order[: group.depth]
        self.outer = tuple(Axis(a.extent, f"i{k}") for k, a in enumerate(lead))
        self.before: list[Node] = []
        self.first: list[Node] = []
        self.phases: list[Phase] = []
        self.made: dict[Buffer, Made] = {}
        self.loaded: set[Buffer] = set()
        self.rows: list[Buffer] = []
        self.partials: list[tuple[Buffer, Buffer, str]] = []
        self.chunk = Axis(2, "chunk")
        self.accs = 0

    def kernels(self) -> list[Kernel]:
        """The kernels of the group, in order."""
        nest = self.group.members[0].nest
        found = divided(nest) if nest.kind == "scatter" and self.division.in_order else None
        if found is not None:
            partial, cost = found
            self.partials.append((partial, nest.target, nest.op))
            cutter = replace(self._cutter(), shared=True, cost=cost)
            return cutter.chunked(by_chunk(nest, partial, self.chunk))
        if nest.kind == "scatter":
            parts = parts_of(nest, self.division)
            names = [f"{self.name}_base", self.name][-len(parts) :]
            cutter = self._cutter()
            return [
                cutter.kernel(name, *part[:5], copies=part.copies)
                for name, part in zip(names, parts, strict=True)
            ]
        if nest.kind == "running":
            return self._running(nest)
        for member in self.group.members:
            self.add(member)
        body = unrolled(collapse(self._body()), self.division.in_order)
        cutter = self._cutter()
        if not self.division.in_order:
            return cutter.chunked(body)
        body = in_stretches(body)
        return cutter.in_stretches(body) or cutter.chunked(tiled(body, self.rows))

    def _cutter(self) -> Cutter:
        """What makes kernels of the loops that there are now."""
        cost = sum(cost_of(m) for m in self.group.members)
        shared = any(a.extent != 1 for a in self.outer)
        return Cutter(self.name, self.division, cost, shared, self.rows, self.partials, self.chunk)

    # Phases.

    def add(self, member: Member) -> None:
        """Give a member its place in the phases."""
        nest = member.nest
        if nest.kind == "map":
            self._map(member)
        # Where no loop is shared, the sum has all its loops to itself, and others may read it.
        elif member.form == "column" and self.group.depth and member.order[0] in nest.folded:
            self._outer_column(member)
        elif member.form == "row" and self.group.depth == len(nest.kept):
            self._row_fold(member)
        else:
            self._inner_fold(member)

    def _shared(self, member: Member) -> dict[Axis, Affine]:
        pairs = zip(member.order, self.outer, strict=False)
        return {a: axis_index(b) for a, b in pairs}

    def _needed(self, roots: list[Expr | None]) -> int:
        """The first phase in which the expressions may stand, if they share no loop."""
        return max((m.ready for m in self._used(roots)), default=0)

    def _used(self, roots: list[Expr | None]) -> list[Made]:
        return [self.made[b] for b in buffers_of(roots) if b in self.made]

    def _phase(self, member: Member, inner: tuple[Axis, ...]) -> tuple[int, dict[Axis, Affine]]:
        """A phase with these inner loops that comes late enough, and the axes in its terms."""
        extents = tuple(a.extent for a in inner)
        roots: list[Expr | None] = [member.nest.value]
        shared = self._shared(member)
        for k, phase in enumerate(self.phases):
            if not phase.plain or tuple(a.extent for a in phase.axes) != extents:
                continue
            axes = {**shared, **{a: axis_index(b) for a, b in zip(inner, phase.axes, strict=True)}}
            if all(self._usable(m, k, member, axes) for m in self._used(roots)):
                return k, axes
        own = tuple(Axis(a.extent, f"j{len(self.phases)}{n}") for n, a in enumerate(inner))
        self.phases.append(Phase(own, True))
        axes = {**shared, **{a: axis_index(b) for a, b in zip(inner, own, strict=True)}}
        return len(self.phases) - 1, axes

    def _usable(self, made: Made, phase: int, member: Member, axes: dict[Axis, Affine]) -> bool:
        if phase >= made.ready:
            return True
        if phase != made.phase or made.value is None:
            return False
        loads = [x for x in loads_of(member.nest.value) if x.source in self.made]
        mine = [x for x in loads if self.made[x.source] is made]
        return all(self._in_place(x.index, made, axes) for x in mine)

    def _in_place(self, index: IndexTuple, made: Made, axes: dict[Axis, Affine]) -> bool:
        """Whether an index, in the terms of a phase, is where the phase makes the value."""
        for i, axis in zip(index, (*self.outer, *made.axes), strict=True):
            if not rewrite_index(i, _same, axes).same(axis_index(axis)):
                return False
        return True

    def rewritten(self, x: Expr, axes: dict[Axis, Affine], phase: int) -> Expr:
        """The expression in the group's axes, with registers and rows for what the group made."""

        def leaf(node: Expr, again: Any) -> Expr | None:
            if isinstance(node, Index):
                return Index(rewrite_index(node.affine, again, axes))
            if not isinstance(node, Load):
                return None
            index = tuple(rewrite_index(i, again, axes) for i in node.index)
            guard = None if node.guard is None else again(node.guard)
            made = self.made.get(node.source)
            if made is None:
                return Load(node.source, index, node.dtype, guard)
            near = made.phase == phase or all(a.extent == 1 for a in made.axes)
            if made.value is not None and near and self._in_place(index, made, {}):
                value = made.value
                return value if guard is None else select(guard, value, Const(0, value.dtype))
            if guard is None and (fresh := made.at(index, self.outer)) is not None:
                return fresh
            self.loaded.add(made.place)
            return Load(made.place, index[made.dropped :], node.dtype, guard)

        return rewrite(x, leaf, {})

    def _place(self, nest: Nest, inner: int) -> tuple[Buffer, int]:
        """Where a value is kept: its buffer, or a row of its own if nobody else reads it."""
        target = nest.target
        shape = target.shape[len(target.shape) - inner :] if inner else ()
        row = Buffer(shape, target.dtype, f"{target.name}_row")
        kept = row.bytes + sum(r.bytes for r in self.rows)
        if self.visible(target) or row.size > self.division.row or kept > self.division.kept:
            return target, 0
        self.rows.append(row)
        return row, len(target.shape) - inner

    def _map(self, member: Member) -> None:
        nest = member.nest
        inner = member.order[self.group.depth :]
        if not inner:
            ready = self._needed([nest.value])
            value = self.rewritten(nest.value, self._shared(member), -1)
            self._keep_scalar(nest, value, ready)
            return
        at, axes = self._phase(member, inner)
        value = self.rewritten(nest.value, axes, at)
        place, dropped = self._place(nest, len(inner))
        phase = self.phases[at]
        index = tuple(axis_index(a) for a in (*self.outer, *phase.axes))
        phase.body.append(Store(place, index[dropped:], value))
        long = place is nest.target and not self.visible(place)
        long = long and bool(self.outer or not self.division.in_order)
        again = long and is_short(value, self.division.again, place.size)
        self.made[nest.target] = Made(value, at, at + 1, place, dropped, phase.axes, again)

    def _keep_scalar(self, nest: Nest, value: Expr, ready: int) -> None:
        """A value with one element a turn of the shared loops."""
        index = tuple(axis_index(a) for a in self.outer)
        self.made[nest.target] = Made(value, -1, ready, nest.target, 0, ())
        if self.visible(nest.target):
            after = self.phases[ready - 1].after if ready else self.first
            after.append(Store(nest.target, index, value))

    def _fold_value(self, nest: Nest, acc: Acc) -> Expr:
        return acc if acc.positional else cast(acc, nest.target.dtype)

    def _new_acc(self, nest: Nest) -> tuple[Acc, Expr]:
        self.accs += 1
        positional = nest.op.startswith("arg")
        dtype = nest.target.dtype if positional else None
        acc = Acc(nest.op, nest.dtype, f"acc{self.accs}", dtype)
        return acc, self._fold_value(nest, acc)

    def _row_fold(self, member: Member) -> None:
        nest = member.nest
        inner = member.order[self.group.depth :]
        at, axes = self._phase(member, inner)
        phase = self.phases[at]
        acc, result = self._new_acc(nest)
        value = self.rewritten(nest.value, axes, at)
        phase.accs.append(acc)
        phase.body.append(Accumulate(acc, value, self._position(nest, phase.axes)))
        if not self.outer and self._splits(member):
            self._partial_scalar(nest, phase, acc)
            return
        self._keep_scalar(nest, result, at + 1)

    def _position(self, nest: Nest, axes: tuple[Axis, ...]) -> Affine | None:
        if not nest.op.startswith("arg"):
            return None
        return flat_index(tuple(axis_index(a) for a in axes), [a.extent for a in axes])

    def _splits(self, member: Member) -> bool:
        """Whether a fold of everything is worth partial results.

        All members must then go through one loop, and none may wait for what is folded.
        """
        members = self.group.members
        if sum(map(cost_of, members)) <= 2 * self.division.nanoseconds:
            return False
        extents = [a.extent for a in member.order]
        folds = {m.nest.target for m in members if m.nest.kind == "fold"}
        return not any(
            [a.extent for a in m.order] != extents
            or m.nest.op.startswith("arg")
            or m.nest.kind not in ("map", "fold")
            or (m.nest.kind == "fold" and m.nest.kept)
            or folds & set(buffers_of([m.nest.value]))
            for m in members
        )

    def _partial_scalar(self, nest: Nest, phase: Phase, acc: Acc) -> None:
        partial = Buffer((2,), nest.dtype, f"{nest.target.name}_part")
        self.partials.append((partial, nest.target, nest.op))
        phase.after.append(Store(partial, (Affine(0, {self.chunk: 1}),), acc))
        self.made[nest.target] = Made(None, 0, 1 << 30, nest.target, 0, ())

    def _inner_fold(self, member: Member) -> None:
        """A fold with kept axes of its own: loops that no other member shares."""
        nest = member.nest
        inner = member.order[self.group.depth :]
        own = {a: Axis(a.extent, a.name) for a in inner}
        axes = self._shared(member) | {a: axis_index(b) for a, b in own.items()}
        missing = max(self._needed([nest.value]) - len(self.phases), 0) + 1
        self.phases += [Phase((), False) for _ in range(missing)]
        at = len(self.phases) - 1
        value = self.rewritten(nest.value, axes, at)
        kept = tuple(a for a in inner if a not in nest.folded)
        # A row lacks the leading axes of the value: only if those are the shared ones.
        depth = self.group.depth
        leading = member.order[:depth] == nest.kept[:depth]
        place, dropped = self._place(nest, len(kept) if leading else len(nest.kept))
        index = tuple(rewrite_index(axis_index(a), _same, axes) for a in nest.kept)[dropped:]
        order = tuple(own[a] for a in inner)
        folded = [own[a] for a in inner if a in nest.folded]
        # Sums of 16-bit floats have no place in the memory of their results.
        narrow = nest.dtype != nest.target.dtype and not nest.op.startswith("arg")
        form = "register" if member.form == "column" and narrow else member.form
        if form == "column":
            nodes = self._column_loops(nest, place, index, value, order, folded)
        else:
            acc, result = self._new_acc(nest)
            body: list[Node] = [Accumulate(acc, value, self._position(nest, tuple(folded)))]
            nodes = loops_over(folded, body, [acc], vector=form == "row")
            nodes.append(Store(place, index, result))
            # Extremes and their places, and sums of 16-bit floats, are kept of as many columns as
            # fill lines of memory.
            beside, times = form == "register", 4 if acc.positional or narrow else 1
            nodes = loops_over([own[a] for a in kept], nodes, [], vector=beside, times=times)
        self.phases[at].after += nodes
        self.loaded.add(place)
        self.made[nest.target] = Made(None, at, at + 1, place, dropped, tuple(own[a] for a in kept))

    def _column_loops(
        self,
        nest: Nest,
        place: Buffer,
        index: IndexTuple,
        value: Expr,
        order: tuple[Axis, ...],
        folded: list[Axis],
    ) -> list[Node]:
        first = order.index(folded[0])
        before, rest = order[:first], [a for a in order[first:] if a not in folded]
        start = Const(identity_of(nest.op, nest.dtype), nest.target.dtype)
        fresh = [Axis(a.extent, a.name) for a in rest]
        again = {a: axis_index(b) for a, b in zip(rest, fresh, strict=True)}
        zero_index = tuple(rewrite_index(i, _same, again) for i in index)
        nodes = loops_over(fresh, [Store(place, zero_index, start)], [], vector=True)
        step: list[Node] = [Store(place, index, value, nest.op)]
        nodes += loops_over([*folded, *rest], step, [], vector=True)
        return loops_over(list(before), nodes, [], vector=False)

    def _outer_column(self, member: Member) -> None:
        """A fold over the shared loops: partial results in memory, one set for each chunk."""
        nest = member.nest
        inner = member.order[self.group.depth :]
        partial = Buffer((2, *nest.target.shape), nest.dtype, f"{nest.target.name}_part")
        self.partials.append((partial, nest.target, nest.op))
        number = Affine(0, {self.chunk: 1})
        start = Const(identity_of(nest.op, nest.dtype), nest.dtype)
        fresh = [Axis(a.extent, a.name) for a in inner]
        zero = Store(partial, (number, *(axis_index(a) for a in fresh)), start)
        self.before += loops_over(fresh, [zero], [], vector=True)
        at, axes = self._phase(member, inner)
        phase = self.phases[at]
        value = self.rewritten(nest.value, axes, at)
        index = (number, *(axis_index(a) for a in phase.axes))
        phase.body.append(Store(partial, index, value, nest.op))
        self.made[nest.target] = Made(None, at, 1 << 30, nest.target, 0, ())

    def _running(self, nest: Nest) -> list[Kernel]:
        """Folded values along an axis: the loop over it is inside, in order."""
        along = nest.kept[nest.axis]
        others = [a for a in nest.kept if a is not along]
        turn = Affine(along.extent - 1, {along: -1}) if nest.reverse else axis_index(along)
        place = {along: turn}
        index = tuple(rewrite_index(axis_index(a), _same, place) for a in nest.kept)
        value = self.rewritten(nest.value, place, -1)
        cost = cost_of(self.group.members[0])
        chunks = chunk_count(cost, along.extent, self.division)
        row = all(a.extent == 1 for a in others)
        if row and chunks > 1 and self.division.in_order and divides(nest.op, nest.dtype):
            grain = -(-along.extent // (64 * chunks)) * 64
            count = -(-along.extent // grain)
            bodies = in_chunks(nest, along, index, value, self.chunk, count)
            return self._cutter().running(bodies, grain, cost / 2)

        nests = [m.nest for m in self.group.members]

        def keep(total: Expr) -> list[Node]:
            return stored(nests, index, total, self.visible)

        accs, body = running_turn(nest.op, nest.dtype, value, keep)
        nodes = loops_over([along], body, accs, vector=False)
        vector = nest.axis != len(nest.kept) - 1 or (self.division.in_order and costly(nest.op))
        whole = collapse(loops_over(others, nodes, [], vector=vector))
        return self._cutter().chunked(unrolled(whole, self.division.in_order))

    # Loops.

    def _body(self) -> list[Node]:
        nodes: list[Node] = list(self.first)
        for phase in self.phases:
            body = [n for n in phase.body if not self._unread(n)]
            if body and phase.axes:
                nodes += loops_over(list(phase.axes), body, phase.accs, vector=True)
            else:
                nodes += body
            nodes += phase.after
        self.rows = [r for r in self.rows if r in self.loaded]
        if self.outer:
            # A row is there once: turns that write one are not done side by side.
            rows = [n for n in nodes if isinstance(n, Store) and n.target in self.rows]
            flat = not rows and not any(isinstance(n, For) for n in nodes)
            nodes = loops_over(list(self.outer), nodes, [], vector=flat)
        return [*self.before, *nodes]

    def _unread(self, node: Node) -> bool:
        """Whether a store is of no use: the value went on in registers."""
        return (
            isinstance(node, Store)
            and not node.combine
            and node.target not in self.loaded
            and not self.visible(node.target)
        )


def _same(x: Expr) -> Expr:
    return x
