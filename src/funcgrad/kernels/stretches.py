"""Loops whose turns go different ways, cut where the way changes.

In: nodes. Out: the same work, where a loop asks of its index on which side of a number it lies, as
that of a concatenation or of a padding does, or divides it, as that of a tiling does: a loop for
each stretch on which all answers are known. The one idea: a vector on which only some lanes hold
costs a mask and a choice for each way there is; within a stretch there is one way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..ir.loops import Affine, Apply, Axis, Const, Expr, Index, axis_index, boolean, int64
from ..ir.nests import For, Node, Store, statements
from .unroll import COMPARED, inside, moved

# Stretches of a vector loop and of another one at most, the expressions of all of them, and turns
# of the longest at least.
_MANY, _FEW, _LARGEST, _LONG = 32, 4, 600, 16


def in_stretches(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with the loops within them cut; the outermost are left, for threads share them."""
    return [replace(n, body=_cut(n.body)) if isinstance(n, For) else n for n in nodes]


def _cut(nodes: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, For):
            inner = replace(node, body=_cut(node.body))
            found += stretches(inner) or [inner]
        else:
            found.append(node)
    return found


def stretches(loop: For) -> list[For]:
    """A loop as several, one behind the other; none where it is not worth it."""
    stores = [n for n in statements(loop.body) if isinstance(n, Store)]
    if not _is_plain(loop) or loop.axis.extent < 2 * _LONG:
        return []
    parts = inside(stores)
    conditions = [x for x in parts if _is_of(x, loop.axis)]
    changes = {0}.union(*(_changes(x, loop.axis) for x in conditions))
    divided = [x for x in parts if loop.vector and _divides(x, loop.axis)]
    borders = changes.union(*(_borders(x, loop.axis) for x in divided))
    if len(borders) > _MANY:
        borders, divided = changes, []
    starts = sorted(borders)
    ends = [*starts[1:], loop.axis.extent]
    longest = max(end - start for start, end in zip(starts, ends, strict=True))
    if len(starts) == 1 or len(starts) > (_MANY if loop.vector else _FEW) or longest < _LONG:
        return []
    found: list[For] = []
    size = 0
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = Axis(end - start, f"{loop.axis.name}{chr(97 + k % 26)}{k // 26 or ''}")
        index = axis_index(axis) + Affine(start)
        known: dict[Expr, Expr] = {x: Const(_holds(x, start), boolean) for x in conditions}
        known.update((x, _part(x, index, start)) for x in divided)
        body = _moved(loop.body, {loop.axis: index}, known)
        size += len(inside([*statements(body)]))
        found.append(replace(loop, axis=axis, body=body))
    return found if size <= _LARGEST else []


def _is_plain(loop: For) -> bool:
    """Whether there is nothing but stores in a loop and those within."""
    inner = all(_is_plain(n) for n in loop.body if isinstance(n, For))
    plain = all(isinstance(n, For | Store) for n in loop.body)
    return inner and plain and not loop.accs


def _moved(
    nodes: Sequence[Node], axes: dict[Axis, Affine], known: Mapping[Expr, Expr]
) -> list[Node]:
    """Nodes within a loop in the terms of a stretch of it."""
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, For):
            found.append(replace(node, body=_moved(node.body, axes, known)))
        elif isinstance(node, Store):
            found += moved([node], axes, known)
    return found


def _divides(x: Expr, axis: Axis) -> bool:
    """Whether an expression is the quotient or remainder of an index along this axis alone."""
    if not isinstance(x, Apply) or x.op not in ("div", "rem") or x.dtype != int64:
        return False
    value, divisor = x.args
    if not isinstance(value, Index) or not isinstance(divisor, Const) or divisor.value < 1:
        return False
    place = value.affine
    return not place.dynamic and place.axes == {axis: 1} and place.const >= 0


def _borders(x: Expr, axis: Axis) -> set[int]:
    """The turns in which a quotient is not what it was in the turn before."""
    first, divisor = _division(x)
    return {*range(-first % divisor or divisor, axis.extent, divisor)}


def _part(x: Expr, index: Affine, start: int) -> Expr:
    """A quotient or remainder on a stretch, by the index of its loop."""
    assert isinstance(x, Apply)
    first, divisor = _division(x)
    quotient = (first + start) // divisor
    if x.op == "div":
        return Const(quotient, int64)
    place = index + (first - quotient * divisor)
    return Index(place) if place.axes else Const(place.const, int64)


def _division(x: Expr) -> tuple[int, int]:
    """What is added to the index before it is divided, and by what."""
    assert isinstance(x, Apply)
    value, divisor = x.args
    assert isinstance(value, Index)
    assert isinstance(divisor, Const)
    return value.affine.const, int(divisor.value)


def _is_of(x: Expr, axis: Axis) -> bool:
    """Whether an expression compares an index along this axis alone with a number."""
    if not isinstance(x, Apply) or x.op not in COMPARED or x.args[0].dtype != int64:
        return False
    sides = [*x.args]
    numbers = [a for a in sides if isinstance(a, Const)]
    places = [a.affine for a in sides if isinstance(a, Index)]
    return (
        len(numbers) == len(places) == 1 and not places[0].dynamic and {*places[0].axes} == {axis}
    )


def _holds(x: Expr, turn: int) -> bool:
    """Whether such a comparison holds in a turn."""
    assert isinstance(x, Apply)
    values: list[int] = []
    for a in x.args:
        if isinstance(a, Const):
            values.append(int(a.value))
        else:
            assert isinstance(a, Index)
            (step,) = a.affine.axes.values()
            values.append(a.affine.const + step * turn)
    return bool(COMPARED[x.op](*values))


def _changes(x: Expr, axis: Axis) -> set[int]:
    """The turns in which a comparison is not what it was in the turn before."""
    assert isinstance(x, Apply)
    if x.op in ("eq", "ne"):
        (place,) = (a.affine for a in x.args if isinstance(a, Index))
        (number,) = (int(a.value) for a in x.args if isinstance(a, Const))
        turn, rest = divmod(number - place.const, place.axes[axis])
        return set() if rest else {t for t in (turn, turn + 1) if 0 < t < axis.extent}
    low, high = 0, axis.extent - 1
    if _holds(x, low) == _holds(x, high):
        return set()
    while high - low > 1:
        middle = (low + high) // 2
        if _holds(x, middle) == _holds(x, 0):
            low = middle
        else:
            high = middle
    return {high}
