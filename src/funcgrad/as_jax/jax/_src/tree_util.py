"""`jax._src.tree_util`: the table of node classes, and the children of one node."""

from __future__ import annotations

from ....tree_util import flatten_one_level as flatten_one_level
from ....tree_util import is_tree_node


class NodeClasses:
    """The classes whose instances are nodes."""

    def __contains__(self, cls: type) -> bool:
        return is_tree_node(cls)


_registry = NodeClasses()
