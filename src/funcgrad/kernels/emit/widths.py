"""How wide the vectors of a loop are: what its statements need.

The one idea: as many lanes as the widest element fills a register with, and several registers at
once where an operation would wait for the one before.
"""

from __future__ import annotations

from ...ir.loops import Axis, Expr
from ...ir.nests import Acc, Accumulate, For, Node, Store, body_cost, expressions, loads_of
from ..chunks import mentions

# Costs of bodies: several vectors at once from one elementary function on, and up to where it is
# heavy.
_CHAINED, HEAVY = 8.0, 150.0


def waits_for_itself(node: For) -> bool:
    """Whether several vectors at once are quicker: one waits for itself, and loads every constant.

    Elementary functions are long chains of operations, each with a constant. Very long bodies have
    chains enough, and more values than registers.
    """
    if node.accs or node.times > 1 or not all(isinstance(n, Store) for n in node.body):
        return False
    return _CHAINED <= body_cost(node) <= HEAVY


def vector_within(node: For) -> For | None:
    """The vector loop within a loop, if there is one."""
    for inner in node.body:
        if isinstance(inner, For):
            found = inner if inner.vector else vector_within(inner)
            if found is not None:
                return found
    return None


def vectorised(node: For, acc: Acc) -> bool:
    """Whether a vector loop at or within this one carries the fold."""
    if acc in node.accs and node.vector:
        return True
    return any(isinstance(n, For) and vectorised(n, acc) for n in node.body)


def widest(body: list[Node], axis: Axis) -> int:
    """Bytes of the widest element that is folded or stored, or another one on each lane."""
    found = 1
    values: list[Expr] = []
    for node in body:
        if isinstance(node, For):
            found = max(found, widest(node.body, axis))
            continue
        values += expressions(node)
        if isinstance(node, Store):
            found = max(found, node.target.dtype.itemsize)
        elif isinstance(node, Accumulate):
            found = max(found, node.acc.value_dtype.itemsize)
    for x in [*loads_of(*values), *values]:
        if x.dtype.itemsize > found and mentions(x, axis):
            found = x.dtype.itemsize
    return found
