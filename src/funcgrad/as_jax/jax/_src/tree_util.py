"""`jax._src.tree_util`: the table of node classes, and the children of one node."""

from __future__ import annotations

from typing import Any, NamedTuple

from .... import tree
from ....tree_util import flatten_one_level as flatten_one_level
from ....tree_util import is_tree_node


class NodeClass(NamedTuple):
    """How nodes of one class are taken apart and made again."""

    type: type

    def to_iter(self, node: Any) -> tuple[list[Any], Any]:
        """The children of a node, and what makes a node of others: its structure without them."""
        return tree.flatten(node, is_leaf=lambda x: x is not node)

    def from_iter(self, structure: Any, children: Any) -> Any:
        """The node with these children."""
        return structure.unflatten(children)


class NodeClasses:
    """The classes whose instances are nodes."""

    def __contains__(self, cls: type) -> bool:
        return is_tree_node(cls)

    def __getitem__(self, cls: type) -> NodeClass:
        if cls not in self:
            raise KeyError(cls)
        return NodeClass(cls)


_registry = NodeClasses()
