"""Folds that read memory in several streams at once.

In: a loop over rows, each of which is folded. Out: the body of a few of its turns. The ideas: a
processor fetches ahead within a page, and for each page begins anew; with two rows, or four parts
of a long one, there is always one that it is already ahead of. And where rows meet with one row,
which they are multiplied with or added to, that is read once for all of them.
"""

from __future__ import annotations

from ...ir.loops import Affine, Apply, Axis, Expr, Load
from ...ir.nests import (
    Acc,
    Accumulate,
    Buffer,
    For,
    Node,
    Store,
    body_cost,
    expressions,
    loads_of,
    offset_of,
    rewrite,
    rewrite_index,
    statements,
    substitute,
)

# Bytes of a page, which a row must have, and of the buffer: smaller ones come from a cache.
PAGE, LARGE = 1 << 12, 1 << 22
# Rows that are added to one row at once.
ADDED = 4
# Elements of a row from which on rows share another one, and what an element may cost: of a loop
# that computes more, memory is not the limit.
SHORT, LIGHT = 64, 6.0


def rows_at_once(loop: For, most: int) -> tuple[list[Node], For, For, int] | None:
    """The body that does a few turns of a loop, and their number.

    Between them are the loop in that body over all these rows, and the one over a single row. None
    where there is no such loop, over rows that are folded in registers or into memory, that gains.

    Args:
        most: rows of which the folds fit into registers.
    """
    if not loop.body or loop.accs or loop.vector:
        return None
    inner, *rest = loop.body
    if not isinstance(inner, For) or not inner.vector or inner.times != 1:
        return None
    if not rest and _adds_rows(loop, inner):
        count = min(ADDED, loop.axis.extent)
        rows = _into_memory(loop, inner, count)
        return [rows], rows, inner, count
    stores = [n for n in rest if isinstance(n, Store) and not n.combine]
    if len(stores) < len(rest) or not _is_plain(inner) or _reads_what_it_writes(loop):
        return None
    count = most if _shares(loop, inner) else 2 if _reads_long_rows(loop) else 1
    if count == 1 or count > loop.axis.extent:
        return None
    folds = [n for n in inner.body if isinstance(n, Accumulate)]
    accs, all_folds, all_stores = [*inner.accs], [*folds], [*stores]
    for turn in range(1, count):
        axes, memo = _turn(loop, turn), dict[int, Expr]()
        copies = {a: Acc(a.op, a.value_dtype, f"{a.name}_{turn}", a.dtype) for a in inner.accs}
        accs += copies.values()
        all_folds += (Accumulate(copies[n.acc], substitute(n.value, axes, memo)) for n in folds)
        all_stores += (_moved(s, axes, copies) for s in stores)
    rows = For(inner.axis, [*all_folds], accs, inner.vector)
    return [rows, *all_stores], rows, inner, count


def _turn(loop: For, turn: int) -> dict[Axis, Affine]:
    """What the axis of a loop is in a later turn."""
    return {loop.axis: Affine(turn, {loop.axis: 1})}


def _shares(loop: For, inner: For) -> bool:
    """Whether rows are multiplied, say, with one and the same row, which then is read once."""
    if inner.axis.extent < SHORT or body_cost(inner) > LIGHT or len(inner.accs) > 1:
        return False
    loads = [(x, offset_of(x.source, x.index)) for x in _loads(inner)]
    same = [x for x, at in loads if inner.axis in at.axes and loop.axis not in at.axes]
    return bool(same) and all(not at.dynamic and x.guard is None for x, at in loads)


def _adds_rows(loop: For, inner: For) -> bool:
    """Whether each turn folds a row into one and the same row of memory."""
    if inner.accs or loop.axis.extent < 2 or body_cost(inner) > LIGHT:
        return False
    stores = [n for n in inner.body if isinstance(n, Store) and n.combine and n.guard is None]
    if len(stores) < len(inner.body) or len(stores) > 1:
        return False
    (store,) = stores
    at, dtype = offset_of(store.target, store.index), store.target.dtype
    if loop.axis in at.axes or at.axes.get(inner.axis) != 1 or at.dynamic:
        return False
    plain = dtype == store.value.dtype and dtype.kind in "fiu" and dtype.itemsize >= 4
    return plain and all(x.source is not store.target and x.guard is None for x in _loads(inner))


def _into_memory(loop: For, inner: For, count: int) -> For:
    """The loop that folds so many rows, in order, and reads and writes what they go into once."""
    (store,) = [n for n in inner.body if isinstance(n, Store)]
    total: Expr = Load(store.target, store.index, store.target.dtype, None)
    for turn in range(count):
        value = substitute(store.value, _turn(loop, turn), {})
        total = Apply(store.combine, (total, value), store.target.dtype)
    return For(inner.axis, [Store(store.target, store.index, total)], [], inner.vector)


def parts(loop: For, grain: int, turns: int) -> bool:
    """Whether each chunk of a fold is read as so many parts at once, of some pages each."""
    size = min((load.dtype.itemsize for load in _loads(loop)), default=0)
    return loop.chunked and grain * size >= 4 * turns * PAGE


def _is_plain(inner: For) -> bool:
    folds = all(isinstance(n, Accumulate) for n in inner.body)
    first = all(not acc.positional and acc.initial is None for acc in inner.accs)
    return inner.vector and inner.times == 1 and bool(inner.accs) and folds and first


def _loads(loop: For) -> list[Load]:
    return list(loads_of(*(x for n in statements(loop.body) for x in expressions(n))))


def _reads_long_rows(loop: For) -> bool:
    (inner,) = [n for n in loop.body if isinstance(n, For)]
    for load in _loads(loop):
        step = offset_of(load.source, load.index).axes.get(loop.axis, 0)
        size = load.source.dtype.itemsize
        long = step * size >= PAGE and inner.axis.extent * size >= PAGE
        if long and load.source.bytes >= LARGE:
            return True
    return False


def _reads_what_it_writes(loop: For) -> bool:
    written: set[Buffer] = {n.target for n in loop.body if isinstance(n, Store)}
    return any(load.source in written for load in _loads(loop))


def _moved(store: Store, axes: dict[Axis, Affine], copies: dict[Acc, Acc]) -> Store:
    """The store of a later turn."""
    memo, folded = dict[int, Expr](), dict[int, Expr]()

    def copied(x: Expr, _: object) -> Expr | None:
        return copies.get(x) if isinstance(x, Acc) else None

    def moved(x: Expr) -> Expr:
        return substitute(rewrite(x, copied, folded), axes, memo)

    index = tuple(rewrite_index(i, moved, axes) for i in store.index)
    guard = None if store.guard is None else moved(store.guard)
    return Store(store.target, index, moved(store.value), "", guard, store.apart)
