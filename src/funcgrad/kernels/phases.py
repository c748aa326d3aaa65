"""What a group's loops are made of while `schedule` builds them: values that are made, and phases.

The one idea: a value is made in one phase; whoever reads it elsewhere finds it in memory, or, where
that is cheaper than memory, computes it once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..ir.loops import Apply, Axis, Expr, Index, IndexTuple, Load, axis_index
from ..ir.nests import Acc, Buffer, Node, children, rewrite, rewrite_index


class Made(NamedTuple):
    """What is known of a value made in the group.

    Attributes:
        value: its expression, where it can be used without memory.
        phase: the phase that makes it, `ready`: the first one that may use it from elsewhere.
        place: its buffer or row, and how many leading axes of the value the row lacks.
        again: whether later phases compute it again, and its buffer is not written.
    """

    value: Expr | None
    phase: int
    ready: int
    place: Buffer
    dropped: int
    axes: tuple[Axis, ...]
    again: bool = False

    def at(self, index: IndexTuple, outer: tuple[Axis, ...]) -> Expr | None:
        """The value computed again at an index; None where that is not of this turn."""
        around, inner = index[: len(outer)], index[len(outer) :]
        if not self.again or self.value is None:
            return None
        if not all(i.same(axis_index(a)) for i, a in zip(around, outer, strict=True)):
            return None
        places = dict(zip(self.axes, inner, strict=True))

        def leaf(node: Expr, again: Any) -> Expr | None:
            if isinstance(node, Index):
                return Index(rewrite_index(node.affine, again, places))
            if not isinstance(node, Load):
                return None
            moved = tuple(rewrite_index(i, again, places) for i in node.index)
            guard = None if node.guard is None else again(node.guard)
            return Load(node.source, moved, node.dtype, guard)

        return rewrite(self.value, leaf, {})


def is_short(value: Expr, most: int, size: int) -> bool:
    """Whether an element of a row is made by few operations, of few numbers in memory.

    Args:
        most: how many operations are few; 0: none is computed again.
        size: elements of the row and all that are beside it; what is smaller is read for nothing.
    """
    seen: set[Expr] = set()
    pending = [value]
    while pending and len(seen) <= 4 * most:
        x = pending.pop()
        if x not in seen:
            seen.add(x)
            pending += children(x)
    operations = sum(isinstance(x, Apply) for x in seen)
    read = {x.source for x in seen if isinstance(x, Load) and x.source.size >= size}
    return not pending and 0 < operations <= most and len(read) <= 2


@dataclass(eq=False)
class Phase:
    """Inner loops over `axes` around `body`; then `after`, outside of them."""

    axes: tuple[Axis, ...]
    plain: bool
    body: list[Node] = field(default_factory=lambda: [])
    accs: list[Acc] = field(default_factory=lambda: [])
    after: list[Node] = field(default_factory=lambda: [])
