"""Scatters whose updates are rows: columns are apart from each other, so threads can share them.

In: the nest of a scatter. Out: its loops, in blocks of columns. The one idea: what lies in one
block is set up and updated in order by whoever does that block, so the result does not depend on
who does which.
"""

from __future__ import annotations

from ..ir.loops import Affine, Axis, Expr, IndexTuple, axis_index
from ..ir.nests import For, Node, Store, rewrite_index, substitute
from .chunks import loops_over, mentions
from .items import Nest

# Two lines of cache, which some processors fetch in pairs.
_BYTES = 128
_MOST_BLOCKS = 8
COLUMNS = "columns"


def column_block(nest: Nest) -> int:
    """How many columns a block has; 0 where columns are not apart, or too few."""
    if len(nest.kept) < 2 or not nest.folded:
        return 0
    last, width = nest.folded[-1], nest.kept[-1].extent
    *others, column = nest.index
    if last.extent != width or not column.is_axis(last):
        return 0
    dynamic = [e for i in others for e, _ in i.dynamic]
    if any(last in i.axes for i in others) or any(mentions(e, last) for e in dynamic):
        return 0
    least = max(_BYTES // nest.target.dtype.itemsize, -(-width // _MOST_BLOCKS))
    sizes = [n for n in range(least, width // 2 + 1) if width % n == 0]
    return sizes[0] if sizes else 0


def scatter_in_columns(nest: Nest, block: int) -> list[Node]:
    """The loops of a scatter: block by block the base, then the updates in order."""
    assert nest.base is not None
    blocks = Axis(nest.kept[-1].extent // block, COLUMNS)
    first, second = Axis(block, nest.kept[-1].name), Axis(block, nest.folded[-1].name)
    kept = {nest.kept[-1]: Affine(0, {blocks: block, first: 1})}
    folded = {nest.folded[-1]: Affine(0, {blocks: block, second: 1})}
    place = tuple(kept.get(a, axis_index(a)) for a in nest.kept)
    base = Store(nest.target, place, substitute(nest.base, kept, {}))
    memo: dict[int, Expr] = {}

    def moved(x: Expr) -> Expr:
        return substitute(x, folded, memo)

    index: IndexTuple = tuple(rewrite_index(i, moved, folded) for i in nest.index)
    guard = None if nest.guard is None else moved(nest.guard)
    combine = "" if nest.op == "set" else nest.op
    update = Store(nest.target, index, moved(nest.value), combine, guard)
    steps = guard is None or not mentions(guard, second)
    nodes = loops_over([*nest.kept[:-1], first], [base], [], vector=True)
    nodes += loops_over([*nest.folded[:-1], second], [update], [], vector=steps)
    return [For(blocks, nodes)]
