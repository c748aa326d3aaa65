"""Which loops may be shared among threads: those whose turns touch no element in common.

In: loops. Out: yes or no. The one idea: two turns are apart if every access to a buffer that the
loop writes moves with the axis, all by the same stride, further than the loops inside reach; or if
all else moves it by whole rows, whatever data say, and the axis goes along a row; or if a scatter
is promised to meet no element twice. What cannot be shown this way is done in order.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.loops import Affine, Axis, Expr, IndexTuple
from ...ir.nests import (
    Acc,
    Accumulate,
    Advance,
    Buffer,
    For,
    Node,
    Store,
    children,
    expressions,
    loads_of,
    offset_of,
    statements,
)


class Access(NamedTuple):
    """An element that a statement touches, and whether it changes it."""

    buffer: Buffer
    place: IndexTuple
    writes: bool


def accesses(body: list[Node]) -> list[Access]:
    """Every access of the statements, in order."""
    found: list[Access] = []
    for node in statements(body):
        found += [Access(x.source, x.index, False) for x in loads_of(*expressions(node))]
        if isinstance(node, Store):
            found.append(Access(node.target, node.index, True))
    return found


def loops_in(body: list[Node]) -> list[For]:
    """Every loop of the statements, outer ones first."""
    found: list[For] = []
    for node in body:
        if isinstance(node, For):
            found += [node, *loops_in(node.body)]
    return found


def accs_read(body: list[Node]) -> set[Acc]:
    """The folds whose value the statements use."""
    found: set[Acc] = set()
    seen: set[int] = set()
    stack: list[Expr] = [x for node in statements(body) for x in expressions(node)]
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Acc):
            found.add(x)
        stack.extend(children(x))
    return found


def independent(loop: For, private: frozenset[Buffer] = frozenset()) -> bool:
    """Whether the turns of a loop may be done by different threads, its folds joined after.

    Args:
        private: buffers of which every thread has its own.
    """
    started = {acc for inner in loops_in(loop.body) for acc in inner.accs} - set(loop.accs)
    advanced = [n for n in statements(loop.body) if isinstance(n, Advance)]
    if any(acc not in started for n in advanced for acc, _ in n.pairs):
        return False
    folded = {n.acc for n in statements(loop.body) if isinstance(n, Accumulate)}
    if folded - started - set(loop.accs) or set(loop.accs) & accs_read(loop.body):
        return False
    return _apart(loop, private)


def _apart(loop: For, private: frozenset[Buffer]) -> bool:
    inner = {f.axis for f in loops_in(loop.body)}
    touched: dict[Buffer, list[Access]] = {}
    written: set[Buffer] = set()
    for access in accesses(loop.body):
        touched.setdefault(access.buffer, []).append(access)
        if access.writes:
            written.add(access.buffer)
    return all(
        _by_component(touched[b], loop.axis, inner)
        or _by_window(touched[b], loop.axis, inner)
        or _by_column(touched[b], loop.axis)
        for b in written - private - _promised(loop)
    )


def _promised(loop: For) -> set[Buffer]:
    """The buffers of which a loop touches no element twice, by promise."""
    stores = [n for n in statements(loop.body) if isinstance(n, Store)]
    read = {a.buffer for a in accesses(loop.body) if not a.writes}
    others = {n.target for n in stores if not n.apart}
    return {n.target for n in stores if n.apart} - others - read


def _by_component(found: list[Access], axis: Axis, inner: set[Axis]) -> bool:
    """Whether one component of the index tells the turns apart, whatever the others are."""
    first = found[0].place
    if any(len(a.place) != len(first) for a in found):
        return False
    for k, index in enumerate(first):
        alone = axis in index.axes and not index.dynamic and not inner & set(index.axes)
        if alone and all(a.place[k].same(index) for a in found):
            return True
    return False


def _by_window(found: list[Access], axis: Axis, inner: set[Axis]) -> bool:
    """Whether each turn stays within a window of memory that no other turn enters."""
    steps: set[int] = set()
    around: list[dict[Axis, int]] = []
    low, high = 0, 0
    for k, access in enumerate(found):
        offset = offset_of(access.buffer, access.place)
        if offset.dynamic:
            return False
        steps.add(offset.axes.get(axis, 0))
        around.append({a: c for a, c in offset.axes.items() if a is not axis and a not in inner})
        rest = Affine(offset.const, {a: c for a, c in offset.axes.items() if a in inner})
        bounds = rest.bounds()
        assert bounds is not None
        low, high = (min(low, bounds[0]), max(high, bounds[1])) if k else (bounds[0], bounds[1])
    same = all(a == around[0] for a in around)
    return len(steps) == 1 and same and high - low < abs(next(iter(steps)))


def _by_column(found: list[Access], axis: Axis) -> bool:
    """Whether each turn has a column of a matrix: all else moves an access by whole rows.

    The position within a row is then that of the axis. A loop's own place may be data's choice.
    """
    offsets = [offset_of(a.buffer, a.place) for a in found]
    step, const = offsets[0].axes.get(axis, 0), offsets[0].const
    row = step * axis.extent
    if row <= 0 or any(o.axes.get(axis) != step for o in offsets):
        return False
    moves = [c for o in offsets for a, c in o.axes.items() if a is not axis]
    moves += [c for o in offsets for _, c in o.dynamic] + [o.const - const for o in offsets]
    return all(c % row == 0 for c in moves)


def touches(access: Access, axes: list[Axis]) -> tuple[object, ...] | None:
    """Where an access goes, in terms of the position of axes in a list; None where data decides."""
    offset = offset_of(access.buffer, access.place)
    if offset.dynamic:
        return None
    place = {a: k for k, a in enumerate(axes)}
    known = {place.get(a, id(a)): c for a, c in offset.axes.items()}
    return (offset.const, tuple(sorted(known.items())))
