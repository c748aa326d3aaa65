"""Folds that read memory in several streams at once.

In: a loop over rows, each of which is folded. Out: the body of two of its turns. The one idea: a
processor fetches ahead within a page, and for each page begins anew; with two rows, or four parts
of a long one, there is always one that it is already ahead of.
"""

from __future__ import annotations

from ...ir.loops import Affine, Axis, Expr, Load
from ...ir.nests import (
    Acc,
    Accumulate,
    Buffer,
    For,
    Node,
    Store,
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


def two_rows(loop: For) -> tuple[list[Node], For] | None:
    """The body that does turn i and turn i + 1 of a loop, and the loop in it over both rows.

    None where that is not one fold of long rows and stores of what is folded.
    """
    if not loop.body or loop.accs or loop.vector:
        return None
    inner, *rest = loop.body
    stores = [n for n in rest if isinstance(n, Store) and not n.combine]
    if not isinstance(inner, For) or len(stores) < len(rest) or not _is_plain(inner):
        return None
    if not _reads_long_rows(loop) or _reads_what_it_writes(loop):
        return None
    axes, memo = {loop.axis: Affine(1, {loop.axis: 1})}, dict[int, Expr]()
    copies = {a: Acc(a.op, a.value_dtype, f"{a.name}_next", a.dtype) for a in inner.accs}
    folds = [n for n in inner.body if isinstance(n, Accumulate)]
    both = [*folds, *(Accumulate(copies[n.acc], substitute(n.value, axes, memo)) for n in folds)]
    rows = For(inner.axis, [*both], [*inner.accs, *copies.values()], inner.vector)
    return [rows, *stores, *(_next(s, axes, copies) for s in stores)], rows


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


def _next(store: Store, axes: dict[Axis, Affine], copies: dict[Acc, Acc]) -> Store:
    """The store of the next turn."""
    memo, folded = dict[int, Expr](), dict[int, Expr]()

    def copied(x: Expr, _: object) -> Expr | None:
        return copies.get(x) if isinstance(x, Acc) else None

    def moved(x: Expr) -> Expr:
        return substitute(rewrite(x, copied, folded), axes, memo)

    index = tuple(rewrite_index(i, moved, axes) for i in store.index)
    guard = None if store.guard is None else moved(store.guard)
    return Store(store.target, index, moved(store.value), "", guard, store.apart)
