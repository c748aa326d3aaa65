"""`jax.tree_util`: the registry as an object, beside funcgrad's functions."""

from __future__ import annotations

from typing import Any

from ... import tree as _tree
from ... import tree_util as _tree_util


class PyTreeRegistry:
    """Which classes are nodes, and the functions on trees as methods."""

    def flatten(self, tree: Any, leaf_predicate: Any = None) -> tuple[list[Any], Any]:
        """The leaves of a tree, and its structure."""
        return _tree.flatten(tree, leaf_predicate)

    def flatten_one_level(self, tree: Any) -> tuple[list[Any], Any] | None:
        """The children of a node and its static data; None for a leaf."""
        if _tree_util.all_leaves([tree]):
            return None
        return _tree_util.flatten_one_level(tree)

    def register_node(self, nodetype: type, to_iterable: Any, from_iterable: Any) -> None:
        """Make a class a node."""
        _tree_util.register_pytree_node(nodetype, to_iterable, from_iterable)


default_registry = PyTreeRegistry()
