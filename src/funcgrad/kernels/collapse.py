"""Two loops made one where every access allows it.

In: nodes. Out: the same work with fewer loops. The one idea: where the outer axis moves every
access by the inner axis's extent times as much as the inner one, the pair counts like one axis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..ir.loops import Affine, Axis, Expr, Index, Load
from ..ir.nests import (
    Accumulate,
    Advance,
    Buffer,
    For,
    Leave,
    Node,
    Store,
    children,
    expressions,
    loads_of,
    offset_of,
    rewrite,
)


def buffers_of(roots: Iterable[Expr | None]) -> list[Buffer]:
    """The buffers that expressions load from."""
    return list(dict.fromkeys(load.source for load in loads_of(*roots)))


def collapse(nodes: list[Node]) -> list[Node]:
    """The nodes with nested loops joined."""
    return [_collapsed(n) if isinstance(n, For) else n for n in nodes]


def _collapsed(loop: For) -> For:
    body = collapse(loop.body)
    loop = replace(loop, body=body)
    if len(body) != 1 or not isinstance(body[0], For):
        return loop
    inner = body[0]
    if loop.accs != inner.accs or not _joinable(inner.body, loop.axis, inner.axis):
        return loop
    axis = Axis(loop.axis.extent * inner.axis.extent, loop.axis.name)
    nodes = _joined(inner.body, loop.axis, inner.axis, axis, {})
    return For(axis, nodes, loop.accs, inner.vector, loop.chunked, inner.times)


def _indices(nodes: list[Node]) -> Iterable[Affine]:
    """Every index in the nodes, as a position in its buffer."""
    seen: set[int] = set()
    for node in nodes:
        if isinstance(node, For):
            yield from _indices(node.body)
            continue
        if isinstance(node, Store):
            yield offset_of(node.target, node.index)
        elif isinstance(node, Accumulate) and node.position is not None:
            yield node.position
        stack = expressions(node)
        while stack:
            x = stack.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if isinstance(x, Load):
                yield offset_of(x.source, x.index)
            elif isinstance(x, Index):
                yield x.affine
            stack.extend(children(x))


def _joinable(nodes: list[Node], outer: Axis, inner: Axis) -> bool:
    return all(i.axes.get(outer, 0) == i.axes.get(inner, 0) * inner.extent for i in _indices(nodes))


def _joined(
    nodes: list[Node], outer: Axis, inner: Axis, axis: Axis, memo: dict[int, Expr]
) -> list[Node]:
    def position(index: Affine, again: Any) -> Affine:
        axes = {a: c for a, c in index.axes.items() if a is not outer and a is not inner}
        if inner in index.axes:
            axes[axis] = index.axes[inner]
        dynamic = tuple((again(e), c) for e, c in index.dynamic)
        return Affine(index.const, axes, dynamic)

    def leaf(node: Expr, again: Any) -> Expr | None:
        if isinstance(node, Load):
            flat = position(offset_of(node.source, node.index), again)
            guard = None if node.guard is None else again(node.guard)
            index = (flat,) if node.source.shape else ()
            return Load(node.source, index, node.dtype, guard)
        if isinstance(node, Index):
            return Index(position(node.affine, again))
        return None

    def again(x: Expr) -> Expr:
        return rewrite(x, leaf, memo)

    result: list[Node] = []
    for node in nodes:
        if isinstance(node, For):
            body = _joined(node.body, outer, inner, axis, memo)
            result.append(replace(node, body=body))
        elif isinstance(node, Store):
            flat = position(offset_of(node.target, node.index), again)
            index = (flat,) if node.target.shape else ()
            guard = None if node.guard is None else again(node.guard)
            value = again(node.value)
            result.append(Store(node.target, index, value, node.combine, guard, node.apart))
        elif isinstance(node, Advance):
            for acc, _ in node.pairs:
                acc.initial = None if acc.initial is None else again(acc.initial)
            result.append(Advance([(acc, again(e)) for acc, e in node.pairs]))
        elif isinstance(node, Leave):
            result.append(Leave(again(node.unless)))
        else:
            place = None if node.position is None else position(node.position, again)
            result.append(Accumulate(node.acc, again(node.value), place))
    return result
