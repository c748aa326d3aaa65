"""Loops whose turns go different ways, cut where the way changes.

In: nodes. Out: the same work, where a vector loop asks of its index on which side of a number it
lies, as that of a concatenation or of a padding does: a loop for each stretch on which all answers
are known. The one idea: a vector on which only some lanes hold costs a mask and a choice for each
way there is; within a stretch there is one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..ir.loops import Affine, Apply, Axis, Const, Expr, Index, axis_index, boolean, int64
from ..ir.nests import For, Node, Store
from .unroll import COMPARED, inside, moved

# Stretches of a loop at most, the expressions of all of them, and turns of the longest at least.
_MANY, _LARGEST, _LONG = 32, 600, 16


def in_stretches(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with the loops within them cut; the outermost are left, for threads share them."""
    return [replace(n, body=_cut(n.body)) if isinstance(n, For) else n for n in nodes]


def _cut(nodes: Sequence[Node]) -> list[Node]:
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, For):
            found += stretches(node) or [replace(node, body=_cut(node.body))]
        else:
            found.append(node)
    return found


def stretches(loop: For) -> list[For]:
    """A loop as several, one behind the other; none where it is not worth it."""
    stores = [n for n in loop.body if isinstance(n, Store)]
    if not loop.vector or loop.accs or loop.axis.extent < 2 * _LONG or len(stores) < len(loop.body):
        return []
    conditions = [x for x in inside(stores) if _is_of(x, loop.axis)]
    starts = sorted({0}.union(*(_changes(x, loop.axis) for x in conditions)))
    ends = [*starts[1:], loop.axis.extent]
    longest = max(end - start for start, end in zip(starts, ends, strict=True))
    if len(starts) == 1 or len(starts) > _MANY or longest < _LONG:
        return []
    found: list[For] = []
    size = 0
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = Axis(end - start, f"{loop.axis.name}{chr(97 + k % 26)}{k // 26 or ''}")
        known = {x: Const(_holds(x, start), boolean) for x in conditions}
        body = moved(stores, {loop.axis: axis_index(axis) + Affine(start)}, known)
        size += len(inside(body))
        found.append(replace(loop, axis=axis, body=[*body]))
    return found if size <= _LARGEST else []


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
