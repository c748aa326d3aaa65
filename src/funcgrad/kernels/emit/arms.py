"""Kernels that do one of several things: a branch around loops instead of a choice within them.

In: the statements of a kernel, with selects named "branch" whose conditions are the same for all
elements. Out: statements that run once, where a condition holds, and others where it does not. The
one idea: a condition that does not depend on the loops is asked for before them; with the answer
known, of all choices it makes only what is chosen remains to be computed and read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ...ir.loops import Affine, Apply, Axis, Const, Expr, Index, Load, apply, boolean
from ...ir.nests import (
    Acc,
    Accumulate,
    Advance,
    Buffer,
    For,
    Leave,
    Node,
    Store,
    children,
    conditions_of,
    expr_cost,
    expressions,
    own_cost,
    parts_of,
    rewrite_index,
    statements,
)
from ..unroll import settled

# Ways through a kernel that are written out, and expressions of all of them.
MOST, LONGEST = 8, 4000
# What a way must save, in operations and as a part of all: else choosing costs less than a branch.
_GAIN, _PART = 2.0, 0.1
# Without loops a branch must save more; so must one that is made for each vector.
COSTLY = 8.0
# How an index is asked whether it names a branch; each names one only.
_NUMBERED = ("le", "eq", "ge")


def branched(body: list[Node], written: Collection[Buffer]) -> list[Node]:
    """The statements with the branches that pay for themselves.

    Args:
        written: the memory that the kernel writes.
    """
    if conditions_of(*_roots(body)):
        return _Ways(written).of(body)
    return body


def ways_through(body: Sequence[Node]) -> int:
    """How many ways there are through statements with branches; 1 without."""
    ways = [n for n in body if isinstance(n, For) and n.body and isinstance(n.body[0], Leave)]
    once = [n for n in ways if n.axis.extent == 1]
    return sum(ways_through(n.body[1:]) for n in once) or 1


class _Ways:
    """The ways through a kernel, of which there is a limited number."""

    def __init__(self, written: Collection[Buffer]) -> None:
        self.written = written
        self.ways = 1

    def of(self, body: list[Node]) -> list[Node]:
        """The statements, those that depend on a condition once for each answer."""
        for condition in conditions_of(*_roots(body)):
            start = self._start(body, condition)
            if start is None or self.ways >= MOST or not _pays(body[start:], condition):
                continue
            self.ways += 1
            ways: list[Node] = []
            for answer in (True, False):
                held = condition if answer else apply("not", condition)
                way = self.of(copied(body[start:], _known(body, condition, answer)))
                ways.append(For(Axis(1, "once"), [Leave(held), *way]))
            return [*body[:start], *ways]
        return body

    def _start(self, body: Sequence[Node], condition: Expr) -> int | None:
        """From which statement on a condition is known, and not asked for before; None if never."""
        parts = list(parts_of(condition))
        if any(isinstance(x, Load) and x.source in self.written for x in parts):
            return None
        if any(index.axes for x in parts for index in _indices(x)):
            return None
        wanted, start = {x for x in parts if isinstance(x, Acc)}, 0
        for k, node in enumerate(body):
            if not wanted:
                break
            if isinstance(node, For):
                wanted -= {*node.accs}
            start = k + 1
        asked = any(condition in parts_of(*expressions(n)) for n in statements(body[:start]))
        return None if wanted or asked else start


def _indices(x: Expr) -> Sequence[Affine]:
    return x.index if isinstance(x, Load) else [x.affine] if isinstance(x, Index) else []


def _roots(body: Sequence[Node]) -> list[Expr]:
    return [x for n in statements(body) for x in expressions(n)]


def constants_of(body: Sequence[Node], written: Collection[Buffer]) -> list[Expr]:
    """The costly expressions that are the same in all turns of all loops.

    A program of its own would make them before its loops; here they are within the choice.
    """
    same: dict[int, bool] = {}

    def is_same(x: Expr) -> bool:
        found = same.get(id(x))
        if found is None:
            found = not isinstance(x, Acc) and not any(i.axes for i in _indices(x))
            found &= not isinstance(x, Load) or x.source not in written
            found = same[id(x)] = all([found, *map(is_same, children(x))])
        return found

    parts = list(parts_of(*_roots(body)))
    costly = [x for x in parts if is_same(x) and expr_cost(x) >= COSTLY]
    return costly[::-1]


def uses_of(body: Sequence[Node]) -> dict[int, int]:
    """How many statements and expressions need an expression, where there are branches."""
    if not conditions_of(*_roots(body)):
        return {}
    roots = _roots(body)
    found = Counter(map(id, roots))
    found.update(id(y) for x in parts_of(*roots) for y in children(x))
    return found


def _known(body: list[Node], condition: Expr, answer: bool) -> dict[Expr, Expr]:
    """What follows from an answer: an index that is one number is no other."""
    known: dict[Expr, Expr] = {condition: Const(answer, boolean)}
    if answer and isinstance(condition, Apply) and condition.op in _NUMBERED:
        for other in conditions_of(*_roots(body)):
            if other is condition or not isinstance(other, Apply) or other.op not in _NUMBERED:
                continue
            if other.args[0] is condition.args[0]:
                known[other] = Const(False, boolean)
    return known


def _pays(body: list[Node], condition: Expr) -> bool:
    """Whether a branch saves enough."""
    sides = [copied(body, _known(body, condition, answer)) for answer in (True, False)]
    now, *then = (_cost(side) for side in (body, *sides))
    gain = now - sum(then) / 2
    loops = any(isinstance(n, For) and n.axis.extent > 1 for n in body)
    least = _GAIN if loops else COSTLY
    short = sum(1 for _ in parts_of(*_roots(body))) <= LONGEST // MOST
    return short and gain >= max(least, _PART * now)


def _cost(body: Sequence[Node]) -> float:
    return sum(map(own_cost, parts_of(*_roots(body))))


def copied(body: Sequence[Node], known: Mapping[Expr, Expr]) -> list[Node]:
    """The statements with some expressions known, and folds of their own."""
    memo: dict[int, Expr] = {}
    own: dict[Expr, Expr] = dict(known)

    def again(x: Expr) -> Expr:
        return settled(x, memo, own)

    def fold(acc: Acc) -> Acc:
        found = own.get(acc)
        if found is None:
            first = None if acc.initial is None else again(acc.initial)
            dtype = acc.dtype if acc.positional else None
            found = own[acc] = Acc(acc.op, acc.value_dtype, acc.name, dtype, first)
        assert isinstance(found, Acc)
        return found

    def copy(node: Node) -> Node:
        if isinstance(node, For):
            accs = [fold(acc) for acc in node.accs]
            return replace(node, accs=accs, body=[copy(n) for n in node.body])
        if isinstance(node, Store):
            index = tuple(rewrite_index(i, again) for i in node.index)
            guard = None if node.guard is None else again(node.guard)
            return replace(node, index=index, value=again(node.value), guard=guard)
        if isinstance(node, Leave):
            return Leave(again(node.unless))
        if isinstance(node, Advance):
            return Advance([(fold(acc), again(x)) for acc, x in node.pairs])
        return Accumulate(fold(node.acc), again(node.value), node.position)

    return [copy(node) for node in body]
