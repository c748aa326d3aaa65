"""Readers: the leaves of trees of one known structure, quicker than flattening any tree.

In: a structure. Out: a Python function, written for it, from a tree to the tuple of its leaves. The
one idea: where the structure is known beforehand, reading the leaves is a row of subscripts and a
few checks of type and length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optree import PyTreeKind

_subscripted = {PyTreeKind.DICT, PyTreeKind.LIST, PyTreeKind.TUPLE, PyTreeKind.NAMEDTUPLE}
_MOST = 2000

Reader = Callable[[Any], tuple[Any, ...]]


class OtherStructure(Exception):
    """A tree is not of the structure that a reader was written for."""


def reader(treedef: Any) -> Reader | None:
    """A function from trees of a structure to their leaves, None if it has nodes of other kinds.

    The function raises an exception for a tree of another structure. It does not look at the
    leaves: whoever calls it finds out whether they are trees themselves.
    """
    if treedef.num_nodes > _MOST:
        return None
    writer = _Writer()
    if not writer.node(treedef, "tree"):
        return None
    lines = ["def leaves(tree):", *(f"    {line}" for line in writer.lines)]
    items = "".join(f"{leaf}, " for leaf in writer.leaves)
    lines.append(f"    return ({items})")
    exec(compile("\n".join(lines), "<leaves>", "exec"), writer.names)
    return writer.names["leaves"]


class _Writer:
    """Writes the checks, and an expression for each leaf."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.leaves: list[str] = []
        self.names: dict[str, Any] = {"Other": OtherStructure}

    def node(self, treedef: Any, expression: str) -> bool:
        """Write down a subtree; False if it is of a kind that has no subscripts."""
        if treedef.is_leaf():
            self.leaves.append(expression)
            return True
        if treedef.kind == PyTreeKind.NONE:
            self.check(f"{expression} is not None")
            return True
        if treedef.kind not in _subscripted:
            return False
        name = f"node{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        kind, size = self.value(treedef.type), treedef.num_children
        self.check(f"type({name}) is not {kind} or len({name}) != {size}")
        for entry, child in zip(treedef.entries(), treedef.children(), strict=True):
            key = repr(entry) if type(entry) in (int, str) else self.value(entry)
            if not self.node(child, f"{name}[{key}]"):
                return False
        return True

    def check(self, condition: str) -> None:
        self.lines += [f"if {condition}:", "    raise Other"]

    def value(self, x: Any) -> str:
        """A name for an object."""
        name = f"value{len(self.names)}"
        self.names[name] = x
        return name
