"""Pytrees: containers of arrays, flattened to leaves and rebuilt. Names as in `jax.tree`.

Tuples, lists, dicts (keys sorted), namedtuples, OrderedDicts and registered classes are nodes,
`None` is an empty node, everything else is a leaf. The work is done by optree's C++ core under
the namespace "funcgrad".
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterable
from typing import Any, overload

import optree

from .tree_keys import KeyPath, as_key_path, keystr

_namespace = "funcgrad"
IsLeaf = Callable[[Any], bool] | None

PyTreeDef = optree.PyTreeDef


def flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], Any]:
    """The leaves of a tree, and its structure."""
    return optree.tree_flatten(tree, is_leaf, namespace=_namespace)


def unflatten(treedef: Any, leaves: Iterable[Any]) -> Any:
    """The tree of this structure with these leaves.

    Raises:
        ValueError: the number of leaves is wrong.
    """
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree."""
    return optree.tree_leaves(tree, is_leaf, namespace=_namespace)


def structure(tree: Any, is_leaf: IsLeaf = None) -> Any:
    """The structure of a tree."""
    return optree.tree_structure(tree, is_leaf, namespace=_namespace)


@overload
def map(f: Callable[[Any], Any], tree: Any, /, *, is_leaf: IsLeaf = None) -> Any: ...
@overload
def map(f: Callable[[Any, Any], Any], tree: Any, b: Any, /, *, is_leaf: IsLeaf = None) -> Any: ...
@overload
def map(
    f: Callable[[Any, Any, Any], Any], tree: Any, b: Any, c: Any, /, *, is_leaf: IsLeaf = None
) -> Any: ...
@overload
def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any: ...
def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """f applied to the leaves of a tree, and to the parts of the other trees at the same place.

    Raises:
        ValueError: another tree does not start with the structure of the first.
    """
    if not rest:
        first, treedef = flatten(tree, is_leaf)
        return unflatten(treedef, [f(x) for x in first])
    first, treedef = flatten(tree, is_leaf)
    columns = [first, *[flatten_up_to(treedef, other, tree) for other in rest]]
    return unflatten(treedef, [f(*xs) for xs in zip(*columns, strict=True)])


def flatten_up_to(treedef: Any, tree: Any, reference: Any = None) -> list[Any]:
    """The parts of a tree at the leaves of a structure.

    Raises:
        ValueError: the tree does not start with that structure.
    """
    try:
        return treedef.flatten_up_to(tree)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Trees of different structure: expected {treedef}, got {structure(tree)}. "
            f"{structure_difference(treedef, structure(tree))}"
        ) from error


def reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = functools.reduce,
    is_leaf: IsLeaf = None,
) -> Any:
    """The leaves folded from the left."""
    found = leaves(tree, is_leaf)
    if initializer is functools.reduce:
        return functools.reduce(function, found)
    return functools.reduce(function, found, initializer)


def all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf is true."""
    return builtins.all(leaves(tree, is_leaf))


def transpose(outer_treedef: Any, inner_treedef: Any, pytree_to_transpose: Any) -> Any:
    """A tree of trees turned inside out.

    Raises:
        TypeError: the tree is not an outer tree of inner trees.
    """
    rows, treedef = flatten(pytree_to_transpose)
    if inner_treedef is None:
        first = outer_treedef.flatten_up_to(pytree_to_transpose)[0]
        inner_treedef = structure(first)
    width, count = inner_treedef.num_leaves, outer_treedef.num_leaves
    if treedef.num_leaves != width * count:
        raise TypeError(
            f"Mismatch: {treedef} is not a tree of structure {outer_treedef} with trees of "
            f"structure {inner_treedef} as its leaves."
        )
    columns = [[rows[i * width + j] for i in range(count)] for j in range(width)]
    return unflatten(inner_treedef, [unflatten(outer_treedef, column) for column in columns])


def flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], Any]:
    """Pairs of key path and leaf, and the structure."""
    if is_leaf_takes_path and is_leaf is not None:
        raise ValueError("is_leaf_takes_path is not offered: test the leaf itself in is_leaf.")
    accessors, found, treedef = optree.tree_flatten_with_accessor(
        tree, is_leaf, namespace=_namespace
    )
    return [(as_key_path(a), x) for a, x in zip(accessors, found, strict=True)], treedef


def leaves_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """Pairs of key path and leaf."""
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """f applied to the key path, the leaf, and the parts of the other trees at its place."""
    pairs, treedef = flatten_with_path(tree, is_leaf)
    columns = [flatten_up_to(treedef, other) for other in rest]
    results = [f(path, x, *[c[i] for c in columns]) for i, (path, x) in enumerate(pairs)]
    return unflatten(treedef, results)


def broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """The prefix with each of its leaves repeated over the part of the full tree at its place."""
    return unflatten(structure(full_tree), flatten_prefix(prefix_tree, full_tree, is_leaf))


def flatten_prefix(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """One leaf of a prefix tree for every leaf of the full tree; `None` counts as a leaf.

    Raises:
        ValueError: the prefix tree is no prefix of the full tree.
    """

    def leaf(x: Any) -> bool:
        return x is None or (is_leaf is not None and is_leaf(x))

    prefix_leaves, treedef = flatten(prefix_tree, leaf)
    try:
        parts = treedef.flatten_up_to(full_tree)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{prefix_tree!r} is not a prefix of the tree {structure(full_tree)}. "
            f"{structure_difference(treedef, structure(full_tree))}"
        ) from error
    result: list[Any] = []
    for value, part in zip(prefix_leaves, parts, strict=True):
        result += [value] * structure(part).num_leaves
    return result


def structure_difference(a: Any, b: Any) -> str:
    """In words, where two structures first differ."""
    if a == b:
        return "They have the same structure."

    def compare(x: Any, y: Any, path: str) -> str:
        if x.type is not y.type:
            return f"At {path or 'the root'} one has {_kind(x)}, the other {_kind(y)}."
        if x.type in (dict,) and list(x.entries()) != list(y.entries()):
            return f"At {path or 'the root'} the keys are {x.entries()} and {y.entries()}."
        if x.num_children != y.num_children:
            return (
                f"At {path or 'the root'} one has {x.num_children} children, "
                f"the other {y.num_children}."
            )
        for key, left, right in zip(x.entries(), x.children(), y.children(), strict=True):
            if left != right:
                return compare(left, right, f"{path}[{key!r}]")
        return f"At {path or 'the root'} their static data differ."

    return compare(a, b, "")


def _kind(treedef: Any) -> str:
    return "a leaf" if treedef.is_leaf() else f"a {getattr(treedef.type, '__name__', 'None')}"


def static(obj: Any) -> Any:
    """A class decorator: its instances are nodes without leaves; see `register_static`."""
    from .tree_util import register_static

    return register_static(obj)


__all__ = [
    "KeyPath",
    "PyTreeDef",
    "all",
    "broadcast",
    "flatten",
    "flatten_prefix",
    "flatten_up_to",
    "flatten_with_path",
    "keystr",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "static",
    "structure",
    "structure_difference",
    "transpose",
    "unflatten",
]
