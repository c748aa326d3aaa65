"""Running folds, as sums of prefixes: one turn of them, and a long one in chunks.

In: how values are folded, and along which axis. Out: loops. The one idea of the chunks: all that a
chunk needs to know of the others is what is folded before it. So first every chunk is folded, all
at once; then these folds are added up, and every chunk runs on from its start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.loops import (
    Affine,
    Axis,
    Const,
    DType,
    Expr,
    Index,
    IndexTuple,
    Load,
    apply,
    axis_index,
    cast,
    const,
    select,
)
from ..ir.nests import (
    Acc,
    Accumulate,
    Advance,
    Buffer,
    For,
    Node,
    Store,
    constant,
    identity_of,
    rewrite,
    rewrite_index,
)
from .items import Nest


def running_turn(
    op: str, dtype: DType, value: Expr, keep: Callable[[Expr], list[Node]]
) -> tuple[list[Acc], list[Node]]:
    """The carried values of a running fold and its body; `keep` stores what it has come to."""
    if op == "logaddexp":
        return _log_of_sums(dtype, value, keep)
    acc = Acc(op, dtype, "acc1")
    return [acc], [Accumulate(acc, value), *keep(acc)]


def stored(
    nests: Sequence[Nest], index: IndexTuple, total: Expr, visible: Callable[[Buffer], bool]
) -> list[Node]:
    """The stores of a running fold in one turn, and of what is made of it at the same place.

    Args:
        nests: the fold, then maps of it; `index`: where this turn is, `total`: what it has come to.
        visible: whether somebody else reads a buffer.
    """
    fold, *maps = nests
    values: dict[Buffer, Expr] = {fold.target: cast(total, fold.target.dtype)}
    for nest in maps:
        places = dict(zip(nest.kept, index, strict=True))

        def leaf(node: Expr, again: Any, places: dict[Axis, Affine] = places) -> Expr | None:
            if isinstance(node, Index):
                return Index(rewrite_index(node.affine, again, places))
            if not isinstance(node, Load):
                return None
            guard = None if node.guard is None else again(node.guard)
            value = values.get(node.source)
            if value is not None:
                zero = Const(0, node.dtype)
                return value if guard is None else select(guard, value, zero)
            moved = tuple(rewrite_index(i, again, places) for i in node.index)
            return Load(node.source, moved, node.dtype, guard)

        values[nest.target] = rewrite(nest.value, leaf, {})
    return [Store(b, index, value) for b, value in values.items() if visible(b)]


def divides(op: str, dtype: DType) -> bool:
    """Whether chunks may be folded apart.

    Of a product of floats that is 0 already a later part may overflow, and 0 · ∞ is no number.
    """
    return op != "logaddexp" and not (op == "mul" and dtype.kind not in "iu")


def costly(op: str) -> bool:
    """Whether a turn costs so much that several rows go on at once, an element of each a lane.

    Along rows a vector is then gathered from as many lines of memory.
    """
    return op == "logaddexp"


def in_chunks(
    nest: Nest, along: Axis, index: IndexTuple, value: Expr, chunk: Axis, chunks: int
) -> tuple[list[Node], list[Node], list[Node]]:
    """A running fold of one row by chunks: folds of the chunks, where each starts, the runs.

    Args:
        along: the axis of the row, of which `index` and `value` speak.
        chunk: the number of a chunk.
    Returns:
        The bodies of three kernels; the first and the last begin with the loop that is divided.
    """
    op, dtype, name = nest.op, nest.dtype, nest.target.name
    folds, starts = (Buffer((chunks,), dtype, f"{name}_{k}") for k in ("part", "start"))
    mine = (Affine(0, {chunk: 1}),)
    fold = Acc(op, dtype, "acc1")
    first = For(along, [Accumulate(fold, value)], [fold], vector=True)
    number = Axis(chunks, "c")
    place = (axis_index(number),)
    before = Acc("set", dtype, "before", None, constant(identity_of(op, dtype), dtype))
    after = apply(op, before, Load(folds, place, dtype, None))
    between: list[Node] = [
        For(number, [Store(starts, place, before), Advance([(before, after)])], [before])
    ]
    total = Acc(op, dtype, "total", None, Load(starts, mine, dtype, None))
    keep = Store(nest.target, index, cast(total, nest.target.dtype))
    last = For(along, [Accumulate(total, value), keep], [total])
    return [first, Store(folds, mine, fold)], between, [last]


def _log_of_sums(
    dtype: DType, value: Expr, keep: Callable[[Expr], list[Node]]
) -> tuple[list[Acc], list[Node]]:
    """log Σ exp as a pair: the greatest element m, and r = Σ exp(x - m) over all others.

        m' = max(m, x),  t = exp(-|x - m|),  r' = (r + 1) t if x > m else r + t

    The result m + log1p(r) is no part of what is carried, so that turns overlap.
    """
    minus_infinity, zero = const(-np.inf, dtype), const(0.0, dtype)
    most = Acc("set", dtype, "greatest", None, minus_infinity)
    rest = Acc("set", dtype, "others", None, zero)
    # Equal infinities are at no distance.
    apart = apply("neg", apply("abs", apply("sub", value, most)))
    apart = select(apply("eq", value, most), zero, apart)
    share = apply("exp", apart)
    scaled = apply("mul", apply("add", rest, const(1.0, dtype)), share)
    after = apply("max", most, value)
    others = select(apply("gt", value, most), scaled, apply("add", rest, share))
    total = apply("add", after, apply("log1p", others))
    return [most, rest], [*keep(total), Advance([(most, after), (rest, others)])]
