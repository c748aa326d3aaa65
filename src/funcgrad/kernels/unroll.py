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
from ..ir.nests import (
    Acc,
    Accumulate,
    For,
    Node,
    Statement,
    Store,
    children,
    expressions,
    loads_of,
    offset_of,
    rewrite,
    rewrite_index,
)

# Turns that are written out, and how many expressions they may have in all.
FEW, MOST = 4, 400
# The same where the loop around them then fills vectors: a long expression gains the most.
MOST_IN_LANES = 8000
# Turns of a loop around narrow ones that are worth vectors of their own.
WIDE = 16

COMPARED = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def unrolled(nodes: Sequence[Node], lanes: bool) -> list[Node]:
    """The nodes with such loops written out.

    Args:
        lanes: whether also loops are whose turns are alike, where the loop around them can then
            do several of its turns at once: of three columns, a column fills a vector.
    """
    found: list[Node] = []
    for node in nodes:
        if not isinstance(node, For):
            found.append(node)
            continue
        body = unrolled(node.body, lanes)
        columns = _in_few_columns(node, body) if lanes else []
        if columns:
            found += columns
            continue
        small = _of_small_sums(node, body) if lanes else None
        if small is not None:
            found.append(small)
            continue
        if lanes and _is_outer(node) and any(_is_narrow(n) for n in body):
            body = [m for n in body for m in (_written_out(n) if _is_narrow(n) else [n])]
        stores = [n for n in body if isinstance(n, Store) and not n.combine]
        if len(stores) == len(body) and _is_short(node) and _differs(stores, node.axis):
            found += _turns(stores, node.axis)
        else:
            inner = any(isinstance(n, For) and n.vector for n in node.body)
            vector = node.vector or (lanes and inner and _apart(node, body))
            found.append(replace(node, body=body, vector=vector))
    return found


def _is_outer(loop: For) -> bool:
    """Whether a loop has turns enough for vectors, and nothing inside but narrow loops."""
    loops = [n for n in loop.body if isinstance(n, For)]
    return loop.axis.extent >= WIDE and not loop.accs and all(map(_is_narrow, loops))


def _is_narrow(node: Node) -> bool:
    """Whether a node is a vector loop that would fill few lanes, over stores or folds alone."""
    if not isinstance(node, For) or not node.vector or node.axis.extent > FEW or node.times > 1:
        return False
    kinds = {type(n) for n in node.body}
    size = _size(node.body) * node.axis.extent
    apart = all(not n.combine for n in node.body if isinstance(n, Store))
    folds = kinds == {Accumulate} and all(not acc.positional for acc in node.accs)
    return (folds or (kinds == {Store} and not node.accs and apart)) and 0 < size <= MOST_IN_LANES


def _written_out(loop: Node) -> list[Node]:
    assert isinstance(loop, For)
    if not loop.accs:
        return [*_turns([n for n in loop.body if isinstance(n, Store)], loop.axis)]
    folds = [n for n in loop.body if isinstance(n, Accumulate)]
    body: list[Node] = []
    for number in range(loop.axis.extent):
        axes, memo = {loop.axis: Affine(number)}, dict[int, Expr]()
        body += [Accumulate(n.acc, _settled(n.value, memo, axes, {})) for n in folds]
    return [For(Axis(1, loop.axis.name), body, loop.accs)]


def _in_few_columns(loop: For, body: Sequence[Node]) -> list[Node]:
    """A loop that folds rows of few numbers into memory: a fold for each of its columns.

    Returns:
        The loop, whose turns then fill vectors, and stores behind it; nothing for other loops.
    """
    if loop.accs or loop.axis.extent < WIDE or not all(map(_adds_up, body)):
        return []
    stores = _turns_of(body)
    flat = [x for s in stores for x in expressions(s)]
    indices = [offset_of(s.target, s.index) for s in stores]
    read = loads_of(*flat)
    alone = not {s.target for s in stores} & {load.source for load in read}
    still = not any(i.dynamic or loop.axis in i.axes for i in indices)
    near = [offset_of(load.source, load.index) for load in read]
    if not stores or not alone or not still or not all(_is_near(i, loop.axis) for i in near):
        return []
    accs = [Acc(s.combine, s.value.dtype, f"column{k}") for k, s in enumerate(stores)]
    folds: list[Node] = [Accumulate(a, s.value) for a, s in zip(accs, stores, strict=True)]
    results = [replace(s, value=a) for a, s in zip(accs, stores, strict=True)]
    return [replace(loop, body=folds, accs=accs, vector=True), *results]


def _adds_up(node: Node) -> bool:
    """Whether a node is a narrow loop that folds into memory and does nothing else."""
    if not isinstance(node, For) or not node.vector or node.axis.extent > FEW or node.accs:
        return False
    return node.times == 1 and all(
        isinstance(n, Store)
        and bool(n.combine)
        and n.guard is None
        and n.value.dtype == n.target.dtype
        for n in node.body
    )


def _turns_of(nodes: Sequence[Node]) -> list[Store]:
    """The stores of all turns of narrow loops."""
    loops = [n for n in nodes if isinstance(n, For)]
    return [
        s
        for n in loops
        for s in _turns([store for store in n.body if isinstance(store, Store)], n.axis)
    ]


def _is_near(index: Affine, axis: Axis) -> bool:
    """Whether the turns of a loop read what lies so close that rows and shuffles serve it."""
    return not index.dynamic and 0 <= index.axes.get(axis, 0) <= FEW


def _of_small_sums(loop: For, body: Sequence[Node]) -> For | None:
    """A loop over points of few numbers, each number a fold of few, with its turns in the lanes.

    Returns:
        None where it is none, or its turns lie so far apart that rows and shuffles do not serve.
    """
    if loop.accs or loop.axis.extent < WIDE or len(body) != 1 or not _is_small(body[0]):
        return None
    written = _all_turns(body, {}, {})
    folds = [n for n in written if isinstance(n, For)]
    stores = [n for n in written if isinstance(n, Store)]
    flat = [*stores, *(n for f in folds for n in f.body if isinstance(n, Accumulate))]
    indices = [offset_of(s.target, s.index) for s in stores]
    for load in loads_of(*(x for n in flat for x in expressions(n))):
        indices.append(offset_of(load.source, load.index))
    near = all(_is_near(i, loop.axis) for i in indices)
    # Folds come first: stores that stand side by side fill rows together.
    nodes = [*folds, *stores]
    if not near or not folds or not _apart(loop, nodes):
        return None
    return replace(loop, body=nodes, vector=True)


def _is_small(node: Node, within: int = 0) -> bool:
    """Whether a node is a loop of few turns over others, over stores and over folds."""
    if not isinstance(node, For) or node.axis.extent > FEW or node.times > 1 or node.chunked:
        return False
    if node.accs:
        plain = all(isinstance(n, Accumulate) for n in node.body)
        return plain and all(not acc.positional and acc.initial is None for acc in node.accs)
    stores = [n for n in node.body if isinstance(n, Store)]
    rest = [n for n in node.body if not isinstance(n, Store)]
    return (
        within < 2
        and all(not s.combine for s in stores)
        and all(_is_small(n, within + 1) for n in rest)
    )


def _all_turns(
    nodes: Sequence[Node], axes: dict[Axis, Affine], known: dict[Any, Expr]
) -> list[Node]:
    """Small loops written out, each turn of a fold's loop around it with an accumulator of its own.

    Args:
        axes: the turns that this is of; `known`: the accumulators of folds in them.
    """
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, Store):
            found += moved([node], axes, known)
        if not isinstance(node, For):
            continue
        turns = [axes | {node.axis: Affine(k)} for k in range(node.axis.extent)]
        if not node.accs:
            found += [n for turn in turns for n in _all_turns(node.body, turn, dict(known))]
            continue
        name = "".join(f"_{turn.const}" for turn in axes.values())
        mine = {a: Acc(a.op, a.value_dtype, a.name + name, a.dtype) for a in node.accs}
        folds = [n for n in node.body if isinstance(n, Accumulate)]
        sums: list[Node] = [
            Accumulate(mine[n.acc], _settled(n.value, {}, turn, known))
            for turn in turns
            for n in folds
        ]
        found.append(For(Axis(1, node.axis.name), sums, [*mine.values()]))
        known.update(mine)
    return found


def _apart(loop: For, body: Sequence[Node]) -> bool:
    """Whether neighbouring turns may be done at once, when the vector loops within are gone.

    The turns of those were apart from each other, so those around them are, unless they meet in
    a row that each of them has for itself.
    """
    stores = [n for n in body if isinstance(n, Store) and not n.combine]
    folds = [n for n in body if isinstance(n, For) and n.axis.extent == 1 and n.accs]
    flat = [*stores, *(n for f in folds for n in f.body)]
    if loop.accs or not stores or len(stores) + len(folds) < len(body):
        return False
    written = {s.target for s in stores}
    statements = [n for n in flat if not isinstance(n, For)]
    read = {load.source for s in statements for load in loads_of(*expressions(s))}
    offsets = [offset_of(s.target, s.index) for s in stores]
    here = len(statements) == len(flat) and not written & read
    return here and all(loop.axis in i.axes and not i.dynamic for i in offsets)


def _is_short(loop: For) -> bool:
    return loop.axis.extent <= FEW and not loop.accs and not loop.chunked and loop.times == 1


def _differs(stores: Sequence[Store], axis: Axis) -> bool:
    """Whether what is computed depends on conditions on the axis."""
    parts = inside(stores)
    differs = any(
        isinstance(a, Index) and axis in a.affine.axes
        for x in parts
        if isinstance(x, Apply) and x.op in COMPARED
        for a in x.args
    )
    return differs and len(parts) * axis.extent <= MOST


def _size(nodes: Sequence[Node]) -> int:
    """How many expressions statements have, 0 where there is a loop among them."""
    found = [n for n in nodes if not isinstance(n, For)]
    return len(inside(found)) if len(found) == len(nodes) else 0


def inside(nodes: Sequence[Statement]) -> list[Expr]:
    """Every expression of statements, each once."""
    seen: dict[int, Expr] = {}
    stack = [x for n in nodes for x in expressions(n)]
    while stack:
        x = stack.pop()
        if id(x) not in seen:
            seen[id(x)] = x
            stack += children(x)
    return [*seen.values()]


def _turns(stores: Sequence[Store], axis: Axis) -> list[Store]:
    """The stores of all turns."""
    return [s for number in range(axis.extent) for s in _turn(stores, axis, number)]


def _turn(stores: Sequence[Store], axis: Axis, number: int) -> list[Store]:
    """The stores of one turn."""
    return moved(stores, {axis: Affine(number)}, {})


def moved(
    stores: Sequence[Store], axes: dict[Axis, Affine], known: Mapping[Any, Expr]
) -> list[Store]:
    """Stores with other indices in the place of axes, and what follows of what is known."""
    memo: dict[int, Expr] = {}

    def again(x: Expr) -> Expr:
        return _settled(x, memo, axes, known)

    def place(index: IndexTuple) -> IndexTuple:
        return tuple(_plain(rewrite_index(i, again, axes)) for i in index)

    return [
        replace(
            s,
            index=place(s.index),
            value=again(s.value),
            guard=None if s.guard is None else again(s.guard),
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
            index = tuple(_plain(rewrite_index(i, again, axes)) for i in x.index)
            return Load(x.source, index, x.dtype, guard)
        return _folded(x, again) if isinstance(x, Apply) else None

    return rewrite(x, leaf, memo)


def _plain(index: Affine) -> Affine:
    """An index with what has become known of its quotients and remainders."""
    known = [x for x, _ in index.dynamic if isinstance(x, (Index, Const))]
    if not known:
        return index
    plain = Affine(index.const, index.axes)
    for x, c in index.dynamic:
        if isinstance(x, Index):
            plain = plain + _plain(x.affine) * c
        elif isinstance(x, Const):
            plain = plain + int(x.value) * c
        else:
            plain = plain + Affine(0, None, ((x, c),))
    return plain


def _known(index: Affine) -> Expr:
    return Index(index) if index.axes or index.dynamic else Const(index.const, int64)


def _folded(x: Apply, again: Any) -> Expr | None:
    """A condition whose sides are known, or what is chosen by one; None for all else."""
    if x.op == "select":
        condition = again(x.args[0])
        if isinstance(condition, Const):
            return again(x.args[1] if condition.value else x.args[2])
        return None
    if x.op in COMPARED and x.args[0].dtype == int64:
        left, right = (again(a) for a in x.args)
        if isinstance(left, Const) and isinstance(right, Const):
            return Const(bool(COMPARED[x.op](left.value, right.value)), boolean)
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
