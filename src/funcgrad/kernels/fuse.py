"""Nests to groups: which values are computed by one kernel, around shared loops.

In: the items of a `Program`. Out: the same in order, nests joined into `Group`s. The one idea:
nests may share their outer loops when every value one of them reads of another is written in the
same turn of those loops. A row of a matrix is then reduced, divided and stored while it is in the
first cache, whatever number of loops over the row that takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir.loops import Axis, Expr, Index, Load
from ..ir.nests import Buffer, children, conditions_of, expr_cost, expr_depth, loads_of, offset_of
from .chunks import mentions
from .items import Nest, Program, Step
from .rules import FEW_WAYS
from .sharing import Shared

_SMALL = 256
_MANY = 48
_LONGEST = 160
_WINDOW = 12
_REGISTER_FOLD = 64
# Rows that lie side by side, of which the places of extremes are found together.
_ABREAST = 16


class Member(NamedTuple):
    """A nest with its loops in order.

    Attributes:
        form: map; row (the folded axes are innermost), register (folded within the vector loop),
            column (folded outside of the kept axes: partial results in memory); running, scatter.
        order: all axes, outermost first.
        natural: how many outer loops it wants to share, and `most`: how many it can.
        loads: what it reads, and `reads`: the buffers; `levels`: the longest chain of operations.
        conditions: of its branches, equal ones of a program as one expression.
    """

    nest: Nest
    form: str
    order: tuple[Axis, ...]
    natural: int
    most: int
    loads: tuple[Load, ...]
    reads: frozenset[Buffer]
    levels: int
    conditions: frozenset[Expr] = frozenset()

    @property
    def iterations(self) -> int:
        """How often the innermost statement runs."""
        total = 1
        for axis in self.order:
            total *= axis.extent
        return total


@dataclass(eq=False)
class Group:
    """Nests computed by one kernel; the outermost `depth` loops are shared.

    Attributes:
        why: why its first nest is in no earlier group, for `explain`.
        chains: the longest chain of operations behind each value.
    """

    members: list[Member]
    depth: int
    why: list[str] = field(default_factory=lambda: [])
    chains: dict[Buffer, int] = field(default_factory=lambda: {})

    def chain_with(self, member: Member) -> int:
        """The longest chain of operations in the group that ends in a member."""
        return member.levels + max((self.chains.get(b, 0) for b in member.reads), default=0)

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents of the first member's loops."""
        return tuple(a.extent for a in self.members[0].order)

    @property
    def conditions(self) -> frozenset[Expr]:
        """Those of the branches of all members."""
        return frozenset(x for m in self.members for x in m.conditions)

    @property
    def targets(self) -> set[Buffer]:
        """The buffers it writes."""
        return {m.nest.target for m in self.members}


def roots(nest: Nest) -> list[Expr | None]:
    """Every expression of a nest."""
    inner: list[Expr | None] = [nest.value, nest.guard, nest.base]
    return inner + [e for i in nest.index for e, _ in i.dynamic]


def reads_of(nest: Nest) -> set[Buffer]:
    """The buffers a nest reads."""
    return {load.source for load in loads_of(*roots(nest))}


def contiguous_axis(nest: Nest) -> Axis | None:
    """The axis along which most of what a fold reads lies side by side.

    What is the same for all folded elements is not read along any axis.
    """
    score: dict[Axis, float] = {}
    for load in loads_of(nest.value):
        offset = offset_of(load.source, load.index)
        if not any(mentions(load, a) for a in nest.folded):
            continue
        for axis, c in offset.axes.items():
            if abs(c) == 1:
                score[axis] = score.get(axis, 0) + load.source.size
    return max(score, key=lambda a: score[a]) if score else None


def member_of(nest: Nest, shared: Shared, apart: bool = False) -> Member:
    """The nest with the order of its loops.

    Args:
        apart: whether columns are folded by threads of their own, as on a GPU.
    """
    memo: dict[int, int] = {}
    conditions = frozenset(map(shared, conditions_of(*(x for x in roots(nest) if x is not None))))
    levels = max((expr_depth(r, memo) for r in roots(nest) if r is not None), default=1)
    loads = tuple(loads_of(*roots(nest)))
    return Member(
        nest, *form_of(nest, apart), loads, frozenset(x.source for x in loads), levels, conditions
    )


def form_of(nest: Nest, apart: bool) -> tuple[str, tuple[Axis, ...], int, int]:
    """Form, order, natural and greatest number of shared loops of a nest; see `Member`."""
    kept, folded = nest.kept, nest.folded
    if nest.kind == "map":
        return "map", kept, max(len(kept) - 1, 0), len(kept)
    if nest.kind != "fold":
        return nest.kind, kept, 0, 0
    near = contiguous_axis(nest)
    if nest.op.startswith("arg") and near in kept and near.extent >= _ABREAST:
        rest = tuple(a for a in kept if a is not near)
        return "register", (*rest, near, *folded), len(rest), len(rest)
    if near is None or near in folded or not kept or nest.op.startswith("arg"):
        order = (*(a for a in folded if a is not near), *(a for a in folded if a is near))
        if nest.op.startswith("arg"):
            order = folded
        return "row", (*kept, *order), len(kept), len(kept)
    count = 1
    for axis in folded:
        count *= axis.extent
    rest = tuple(a for a in kept if a is not near)
    if count <= _REGISTER_FOLD or nest.target.size >= 1 << 22:
        return "register", (*rest, near, *folded), len(rest), len(rest)
    # Columns that have threads of their own are divided, wherever the folded axes lie.
    before = () if apart else outer_kept(nest, folded)
    if before and nest.target.dtype.name in ("bfloat16", "float16"):
        # Their sums have no place in the memory of results, and extremes would be rounded there.
        return "register", (*rest, near, *folded), len(rest), len(rest)
    order = (*before, *folded, *(a for a in kept if a not in before))
    if before:
        return "column", order, len(before), len(before)
    return "column", order, len(folded), len(folded)


def outer_kept(nest: Nest, folded: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The kept axes, from the first, that lie outside of all folded ones in what is read."""
    loads = [load for load in loads_of(nest.value) if load.source.size > 1]
    if not loads:
        return ()
    largest = max(loads, key=lambda load: load.source.size)
    strides = offset_of(largest.source, largest.index).axes
    widest = max((abs(strides.get(a, 0)) for a in folded), default=0)
    before: list[Axis] = []
    for axis in nest.kept[:-1]:
        if abs(strides.get(axis, 0)) <= widest:
            break
        before.append(axis)
    return tuple(before)


def aligned(producer: Member, consumer: Member, depth: int) -> bool:
    """Whether the consumer reads in a turn of the shared loops only what that turn wrote."""
    shared = producer.order[:depth]
    kept = producer.nest.kept
    for load in consumer.loads:
        if load.source is not producer.nest.target:
            continue
        if any(a not in kept for a in shared):
            return False
        for level, axis in enumerate(shared):
            place = load.index[kept.index(axis)]
            mine = consumer.order[level]
            if not (place.is_axis(mine) or (axis.extent == 1 and not place.axes)):
                return False
    return True


class Fuser:
    """Joins the nests of a program."""

    def __init__(self, program: Program, follows: bool = False) -> None:
        self.program = program
        # For a GPU: what is made of a running fold may be made in its turns, columns are apart.
        self.follows = follows
        self.shared = Shared(())
        self.items: list[Group | Step] = []
        self.position: dict[Buffer, int] = {}
        self.results = set(map(self.root, program.outputs))
        self.touching: dict[Buffer, list[Group]] = {}

    def root(self, buffer: Buffer) -> Buffer:
        """The buffer whose memory a view is."""
        while buffer in self.program.views:
            buffer = self.program.views[buffer]
        return buffer

    def run(self) -> list[Group | Step]:
        """The items in order."""
        for item in self.program.items:
            if isinstance(item, Step):
                at = len(self.items)
                self.items.append(item)
                self.position.update(dict.fromkeys(map(self.root, item.outputs), at))
            else:
                self.place(member_of(item, self.shared, self.follows))
        at = 1
        while at < len(self.items):
            at += not self.merge(at)
        return self.items

    def merge(self, at: int) -> bool:
        """Join a group and an earlier one that reads or makes the same, if they fit.

        One nest goes where it fits when it comes; only later ones may show that two groups go
        over the same memory. The two become one where the earlier is, or, if what the later reads
        is not there yet, where the later is.
        """
        group = self.items[at]
        if not isinstance(group, Group) or not group.depth:
            return False
        earliest = max(
            (self.position.get(b, -1) for b in self._read(at) - group.targets), default=-1
        )
        for k in range(at - 1, max(at - _WINDOW, 0) - 1, -1):
            other = self.items[k]
            if not isinstance(other, Group) or not other.depth:
                continue
            if not any(self._linked(other, m) for m in group.members):
                continue
            waits = k < earliest
            if waits and any(other.targets & self._read(i) for i in range(k + 1, at)):
                continue
            joined = Group(list(other.members), other.depth, other.why, dict(other.chains))
            if not any(self.join(joined, m) for m in group.members):
                kept, gone = (at, k) if waits else (k, at)
                self.items[kept] = joined
                del self.items[gone]
                self.position.update(dict.fromkeys(joined.targets, kept))
                self.position.update((b, i - 1) for b, i in self.position.items() if i > gone)
                return True
        return False

    def _read(self, at: int) -> set[Buffer]:
        """What an item reads."""
        item = self.items[at]
        if isinstance(item, Step):
            return {self.root(b) for b in item.inputs}
        return {self.root(b) for m in item.members for b in m.reads}

    def place(self, member: Member) -> None:
        """Put a nest into an earlier group, or start one."""
        reads = {self.root(b) for b in member.reads}
        earliest = max((self.position.get(b, -1) for b in reads), default=-1)
        start = max(earliest, len(self.items) - _WINDOW, 0)
        candidates = range(len(self.items) - 1, start - 1, -1)
        if member.iterations == 1:
            # Many may wait for a number: it is made as early as it can be.
            candidates = range(max(earliest, 0), len(self.items))
        far = self._far(member, range(max(earliest, 0), start))
        why: list[str] = []
        for at in (*candidates, *far):
            group = self.items[at]
            if not isinstance(group, Group):
                continue
            small = member.iterations <= _SMALL and _is_small(group)
            if not (small or self._linked(group, member)):
                continue
            against = self.join(group, member)
            if not against:
                self.position[member.nest.target] = at
                self._touch(group, member)
                return
            why.append(f"not with {group.members[0].nest.target}: {against}")
        at = len(self.items)
        if member.iterations == 1 and earliest + 1 < at:
            at = earliest + 1
            self.position.update((b, k + 1) for b, k in self.position.items() if k >= at)
        self.position[member.nest.target] = at
        chains = {member.nest.target: member.levels}
        group = Group([member], member.natural, why, chains)
        self.items.insert(at, group)
        self._touch(group, member)

    def _touch(self, group: Group, member: Member) -> None:
        """Note which buffers a nest of a group goes over."""
        for b in {member.nest.target, *member.reads}:
            if b.size > _SMALL:
                groups = self.touching.setdefault(b, [])
                if group not in groups:
                    groups.append(group)

    def _far(self, member: Member, places: range) -> list[int]:
        """Where among the places a group goes over what a result of the program is made of.

        A result has memory of its own whenever it is made, so it may be made much earlier: the
        moments and the weight of an optimizer's step, each of which comes behind those of all other
        weights. What is no result would only be kept longer.
        """
        if not places or self.root(member.nest.target) not in self.results:
            return []
        groups = {id(g): g for b in member.reads for g in self.touching.get(b, ())}
        found = [self.items.index(g) for g in groups.values()]
        return sorted((at for at in found if at in places), reverse=True)

    def join(self, group: Group, member: Member) -> str:
        """Add a nest to a group if they can share loops; else say why not."""
        serial = [m for m in (member, *group.members) if m.form in ("running", "scatter")]
        if serial and self.follows and self._is_of_turns(group, member):
            group.chains[member.nest.target] = group.chain_with(member)
            group.members.append(member)
            return ""
        if serial:
            return f"{serial[0].nest.target} goes one step after the other"
        if len(group.members) >= _MANY:
            return f"it has {_MANY} values already"
        if group.chain_with(member) > _LONGEST:
            return f"its chain of operations is {_LONGEST} long already"
        viewed = {self.root(b) for b in member.reads} & group.targets - member.reads
        if viewed:
            return "it reads one of its values under another shape"
        conditions = group.conditions
        if conditions and len(conditions | member.conditions) > max(FEW_WAYS, len(conditions)):
            return f"it has {len(conditions)} conditions of branches already"
        small = member.iterations <= _SMALL and _is_small(group)
        depth = self._common_depth(group, member)
        if depth == 0 and not small and not self._same_loops(group, member):
            return "the loops differ, or it reads what another turn of them writes"
        group.chains[member.nest.target] = group.chain_with(member)
        group.members.append(member)
        group.depth = depth
        return ""

    def _is_of_turns(self, group: Group, member: Member) -> bool:
        """Whether a map reads a running fold, and what else its turns make, where they make it."""
        first, loops = group.members[0], tuple(a.extent for a in member.order)
        if first.form != "running" or member.form != "map" or loops != group.extents:
            return False
        if member.conditions or not member.reads & group.targets:
            return False
        if {self.root(b) for b in member.reads} & group.targets - member.reads:
            return False
        if len(group.members) >= _MANY or group.chain_with(member) > _LONGEST:
            return False
        return all(aligned(m, member, len(loops)) for m in group.members)

    def _linked(self, group: Group, member: Member) -> bool:
        """Whether a nest reads what the group makes, or much of what the group reads."""
        mine = {b for b in member.reads if b.size > _SMALL}
        theirs = {b for m in group.members for b in m.reads}
        made = {self.root(b) for b in member.reads} & group.targets
        return bool(made or mine & theirs)

    def _common_depth(self, group: Group, member: Member) -> int:
        everyone = [*group.members, member]
        limit = min(*(m.most for m in everyone), max(m.natural for m in everyone))
        if len(group.members) > 1 and not self._joins(group, member):
            # What shares fewer loops already cannot share more.
            limit = min(limit, group.depth)
        extents = tuple(a.extent for a in member.order)
        common = 0
        while common < limit and extents[common] == group.extents[common]:
            common += 1
        column = [m for m in everyone if m.form == "column" and m.order[0] in m.nest.folded]
        for depth in range(common, 0, -1):
            if column and any(depth != len(m.nest.folded) for m in column):
                continue
            if all(aligned(m, member, depth) for m in group.members):
                return depth
        return 0

    def _joins(self, group: Group, member: Member) -> bool:
        """Whether a nest lays side by side what the group makes at one place in all its loops.

        Then all share all loops but the last, which is short: nobody needs memory in between.
        """
        extents = tuple(a.extent for a in member.order[:-1])
        return member.nest.op == "side by side" and all(
            m.form == "map"
            and tuple(a.extent for a in m.order) == extents
            and all(aligned(n, m, len(extents)) for n in group.members)
            for m in group.members
        )

    def _same_loops(self, group: Group, member: Member) -> bool:
        """Whether all have the same loops, and read each other only at the same place.

        On a GPU also what the folds of all loops give may be read, for no block goes on before all
        have folded, and numbers may be made of it.
        """
        if group.depth != 0 or member.form not in ("map", "row"):
            return False
        folds = {m.nest.target for m in group.members if m.form == "row"}
        numbers = {m.nest.target for m in group.members if m.iterations == 1}
        made = folds | numbers if folds and self.follows else set[Buffer]()
        number = member.iterations == 1 and bool(made & member.reads)
        extents = tuple(a.extent for a in member.order)
        for m in group.members:
            if m.form not in ("map", "row"):
                return False
            if made and m.iterations == 1:
                continue
            if not number and tuple(a.extent for a in m.order) != extents:
                return False
            if m.form == "row" and m.nest.target in member.reads:
                if not self.follows:
                    return False
            elif not aligned(m, member, len(m.order)):
                return False
        return all(m.nest.kind == "map" or not m.nest.kept for m in (*group.members, member))


def _is_small(group: Group) -> bool:
    return all(m.iterations <= _SMALL for m in group.members)


def cost_of(member: Member) -> float:
    """Rough nanoseconds on one core."""
    seen = uniform(member.nest) if member.conditions else set[int]()
    cost = sum(expr_cost(r, seen) for r in roots(member.nest) if r is not None) + 1.0
    serial = member.form in ("running", "scatter")
    return member.iterations * cost * (1.0 if serial else 0.06)


def uniform(nest: Nest) -> set[int]:
    """The expressions of a nest that are the same for all elements, and computed once."""
    varies: dict[int, bool] = {}

    def go(x: Expr) -> bool:
        found = varies.get(id(x))
        if found is None:
            index = x.index if isinstance(x, Load) else [x.affine] if isinstance(x, Index) else []
            inner = [go(y) for y in children(x)]
            found = varies[id(x)] = any(inner) or any(i.axes for i in index)
        return found

    for root in roots(nest):
        if root is not None:
            go(root)
    return {k for k, found in varies.items() if not found}
