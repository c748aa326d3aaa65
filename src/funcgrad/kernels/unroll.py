"""Short loops whose turns differ, written out.

In: nodes. Out: the same work without loops over few elements each of which is computed in another
way, as those of a stack of three numbers are. The one idea: with the loop's index a number, the
conditions on it are known, and of all ways only the one that is taken remains.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..ir.loops import Affine, Apply, Axis, Const, Expr, Index, IndexTuple, Load, boolean, int64
from ..ir.nests import For, Node, Store, children, expressions, rewrite, rewrite_index

# Turns that are written out, and how many expressions they may have in all.
FEW, MOST = 4, 400

_COMPARED = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def unrolled(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with such loops written out."""
    found: list[Node] = []
    for node in nodes:
        if not isinstance(node, For):
            found.append(node)
            continue
        body = unrolled(node.body)
        stores = [n for n in body if isinstance(n, Store) and not n.combine]
        if len(stores) == len(body) and _is_short(node) and _differs(stores, node.axis):
            for number in range(node.axis.extent):
                found += _turn(stores, node.axis, number)
        else:
            found.append(replace(node, body=body))
    return found


def _is_short(loop: For) -> bool:
    return loop.axis.extent <= FEW and not loop.accs and not loop.chunked and loop.times == 1


def _differs(stores: Sequence[Store], axis: Axis) -> bool:
    """Whether what is computed depends on conditions on the axis."""
    seen: set[int] = set()
    stack = [x for s in stores for x in expressions(s)]
    differs = False
    while stack:
        x = stack.pop()
        if id(x) not in seen:
            seen.add(id(x))
            stack += children(x)
            if isinstance(x, Apply) and x.op in _COMPARED:
                differs |= any(isinstance(a, Index) and axis in a.affine.axes for a in x.args)
    return differs and len(seen) * axis.extent <= MOST


def _turn(stores: Sequence[Store], axis: Axis, number: int) -> list[Store]:
    """The stores of one turn."""
    axes, memo = {axis: Affine(number)}, dict[int, Expr]()

    def again(x: Expr) -> Expr:
        return _settled(x, memo, axes, {})

    def place(index: IndexTuple) -> IndexTuple:
        return tuple(rewrite_index(i, again, axes) for i in index)

    return [
        Store(
            s.target,
            place(s.index),
            again(s.value),
            "",
            None if s.guard is None else again(s.guard),
        )
        for s in stores
    ]


def settled(x: Expr, memo: dict[int, Expr], known: Mapping[Any, Expr]) -> Expr:
    """The expression with some expressions known, and what follows of conditions."""
    return _settled(x, memo, {}, known)


def _settled(
    x: Expr, memo: dict[int, Expr], axes: dict[Axis, Affine], known: Mapping[Any, Expr]
) -> Expr:
    def leaf(x: Expr, again: Any) -> Expr | None:
        if x in known:
            return known[x]
        if isinstance(x, Index):
            return _known(rewrite_index(x.affine, again, axes))
        if isinstance(x, Load):
            guard = None if x.guard is None else again(x.guard)
            if isinstance(guard, Const):
                if not guard.value:
                    return Const(x.dtype.type(0).item(), x.dtype)
                guard = None
            index = tuple(rewrite_index(i, again, axes) for i in x.index)
            return Load(x.source, index, x.dtype, guard)
        return _folded(x, again) if isinstance(x, Apply) else None

    return rewrite(x, leaf, memo)


def _known(index: Affine) -> Expr:
    return Index(index) if index.axes or index.dynamic else Const(index.const, int64)


def _folded(x: Apply, again: Any) -> Expr | None:
    """A condition whose sides are known, or what is chosen by one; None for all else."""
    if x.op == "select":
        condition = again(x.args[0])
        if isinstance(condition, Const):
            return again(x.args[1] if condition.value else x.args[2])
        return None
    if x.op in _COMPARED and x.args[0].dtype == int64:
        left, right = (again(a) for a in x.args)
        if isinstance(left, Const) and isinstance(right, Const):
            return Const(bool(_COMPARED[x.op](left.value, right.value)), boolean)
        return None
    if x.op in ("and", "or") and x.dtype == boolean:
        left, right = (again(a) for a in x.args)
        for known, other in ((left, right), (right, left)):
            if isinstance(known, Const):
                return other if bool(known.value) == (x.op == "and") else known
    if x.op == "not" and x.dtype == boolean:
        (value,) = (again(a) for a in x.args)
        if isinstance(value, Const):
            return Const(not value.value, boolean)
    return None
