"""The loops of a scatter: its base, then the updates one after the other.

In: the nest of a scatter. Out: parts, each a kernel where they are large. The one idea: an element
gets its updates in order from whoever does its column, so the columns of rows can be shared among
threads, and the result does not depend on who does which.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..ir.loops import Axis, Const, Expr, Load, axis_index, flat_index
from ..ir.nests import Buffer, For, Node, Store, expr_cost, identity_of, offset_of
from .chunks import Division, loops_over, mentions
from .collapse import collapse
from .items import Nest
from .unroll import unrolled

# Updates that threads share, and how many there must be for each element of a chunk's table.
_SHARED, _MANY = 1 << 16, 64
# Folds of integers that give the same in any order.
_EXACT = ("add", "mul", "max", "min", "and", "or", "xor")
# Two lines of cache, which some processors fetch in pairs.
_BYTES = 128
_MOST_BLOCKS = 8
# Nanoseconds of an operation: on its own, and as one of the lanes of a vector.
_ALONE, _LANE = 1.0, 0.06


class Part(NamedTuple):
    """Loops of a scatter.

    Attributes:
        cost: rough nanoseconds on one core.
        lead: the loop that can be divided.
        grain: turns of that loop in a chunk; 0 where the cost decides.
        notes: what it does, where that is not what the eqns of the kernel say.
        copies: what it copies, where it does nothing else.
    """

    body: list[Node]
    cost: float
    lead: For | None = None
    grain: int = 0
    notes: tuple[str, ...] = ()
    copies: Buffer | None = None


def parts_of(nest: Nest, division: Division) -> list[Part]:
    """The base and the updates, apart from each other where threads are to share them."""
    base, updates = _base(nest), _updates(nest)
    least = 2 * division.nanoseconds
    column, grain = _columns(updates.body, nest)
    shared = column is not None and updates.cost > least
    copies = _copied(nest) if nest.takes else None
    if copies is not None or (division.in_order and (shared or base.cost > least)):
        base = base._replace(notes=("what a scatter starts as",), copies=copies)
        if division.in_order:
            loops = [n for n in base.body if isinstance(n, For)]
            base = base._replace(lead=loops[0] if loops and base.cost > least else None)
            updates = updates._replace(lead=column, grain=grain) if shared else updates
        return [base, updates]
    return [Part([*base.body, *updates.body], base.cost + updates.cost)]


def divided(nest: Nest) -> tuple[Buffer, float] | None:
    """The tables that chunks of the updates of a scatter fill, to be joined, and the cost of it.

    None where that would not pay, for the table is not much smaller than the updates are many, or
    where it would round otherwise than one update after the other does.
    """
    target, base, kind = nest.target, nest.base, nest.dtype.kind
    count = math.prod(a.extent for a in nest.folded)
    if count < max(_SHARED, _MANY * target.size) or not one_by_one(nest):
        return None
    exact = nest.op in (_EXACT if kind in "iu" else ("max", "min") if kind == "f" else ())
    plain = nest.value.dtype == target.dtype == nest.dtype and len(nest.index) == len(target.shape)
    if not (exact and plain and target.size and isinstance(base, Const)):
        return None
    # What all tables start as is joined as well.
    if base.value != identity_of(nest.op, target.dtype):
        return None
    return Buffer((2, *target.shape), target.dtype, f"{target.name}_part"), count * _ALONE


def by_chunk(nest: Nest, partial: Buffer, chunk: Axis) -> list[Node]:
    """The updates of a scatter into a table for each chunk."""
    number = axis_index(chunk)
    start = Const(identity_of(nest.op, partial.dtype), partial.dtype)
    fresh = [Axis(a.extent, a.name) for a in nest.kept]
    first = Store(partial, (number, *(axis_index(a) for a in fresh)), start)
    update = Store(partial, (number, *nest.index), nest.value, nest.op, nest.guard)
    nodes = loops_over(fresh, [first], [], vector=True)
    return collapse([*nodes, *loops_over(list(nest.folded), [update], [], vector=False)])


def _base(nest: Nest) -> Part:
    assert nest.base is not None
    place = tuple(axis_index(a) for a in nest.kept)
    nodes = loops_over(list(nest.kept), [Store(nest.target, place, nest.base)], [], vector=True)
    cost = nest.target.size * (expr_cost(nest.base) + 1.0) * _LANE
    return Part(unrolled(collapse(nodes), False), cost)


def _copied(nest: Nest) -> Buffer | None:
    """What a scatter starts as, if that is memory, each element in its place."""
    base = nest.base
    if not isinstance(base, Load) or base.guard is not None or base.dtype != nest.target.dtype:
        return None
    place = flat_index(tuple(axis_index(a) for a in nest.kept), nest.target.shape)
    same = base.source.bytes == nest.target.bytes and base.source.dtype == nest.target.dtype
    return base.source if same and offset_of(base.source, base.index).same(place) else None


def _updates(nest: Nest) -> Part:
    combine = "" if nest.op == "set" else nest.op
    update = Store(nest.target, nest.index, nest.value, combine, nest.guard, nest.apart)
    vector = _steps(nest)
    nodes = loops_over(list(nest.folded), [update], [], vector)
    seen: set[int] = set()
    roots: list[Expr | None] = [nest.value, nest.guard]
    roots += [e for i in nest.index for e, _ in i.dynamic]
    cost = sum(expr_cost(x, seen) for x in roots if x is not None) + 1.0
    for axis in nest.folded:
        cost *= axis.extent
    return Part(unrolled(collapse(nodes), False), cost * (_LANE if vector else _ALONE))


def _steps(nest: Nest) -> bool:
    """Whether neighbouring updates go to neighbouring places."""
    if not nest.folded:
        return False
    last, flat = nest.folded[-1], flat_index(nest.index, nest.target.shape)
    varying = [e for e, _ in flat.dynamic] + ([] if nest.guard is None else [nest.guard])
    return flat.axes.get(last) == 1 and not any(mentions(e, last) for e in varying)


def one_by_one(nest: Nest) -> bool:
    """Whether the updates of a scatter are done without vectors."""
    return bool(nest.folded) and not _steps(nest)


def _columns(body: list[Node], nest: Nest) -> tuple[For | None, int]:
    """The innermost loop, if its turns update elements apart from each other, and its grain."""
    loop = None
    nodes = body
    while len(nodes) == 1 and isinstance(nodes[0], For):
        loop = nodes[0]
        nodes = loop.body
    if loop is None or not loop.vector or not isinstance(nodes[0], Store):
        return None, 0
    axis, place = loop.axis, offset_of(nest.target, nodes[0].index)
    least = max(_BYTES // nest.target.dtype.itemsize, 1)
    grain = -(-max(least, -(-axis.extent // _MOST_BLOCKS)) // least) * least
    # All else moves by whole rows: the position within a row tells the turn.
    others = [c for a, c in place.axes.items() if a is not axis] + [c for _, c in place.dynamic]
    apart = place.axes.get(axis) == 1 and all(c % axis.extent == 0 for c in others)
    return (loop, grain) if apart and axis.extent > grain else (None, 0)
