"""Pytrees: containers of arrays, flattened to leaves and rebuilt. Names as in `jax.tree`.

Tuples, lists, dicts (keys sorted), namedtuples, OrderedDicts and registered classes are nodes,
`None` is an empty node, everything else is a leaf. The work is done by optree's C++ core under
the namespace "funcgrad".

Three things are optree's and not JAX's: a deque and a struct sequence such as `os.stat_result` are
nodes, keys that do not compare are sorted by type, and a rebuilt dict keeps the order in which its
keys were inserted (the structures of two dicts with the same keys are equal in any order).
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, overload

import optree

from .tree_keys import KeyPath, as_key_path, keystr

namespace = "funcgrad"
_unset: Any = object()
IsLeaf = Callable[[Any], bool] | None

PyTreeDef = optree.PyTreeDef


def flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], Any]:
    """The leaves of a tree, and its structure."""
    return optree.tree_flatten(tree, is_leaf, namespace=namespace)


def unflatten(treedef: Any, leaves: Iterable[Any]) -> Any:
    """The tree of this structure with these leaves.

    Raises:
        ValueError: the number of leaves is wrong.
    """
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree."""
    return optree.tree_leaves(tree, is_leaf, namespace=namespace)


def structure(tree: Any, is_leaf: IsLeaf = None) -> Any:
    """The structure of a tree."""
    return optree.tree_structure(tree, is_leaf, namespace=namespace)


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
    first, treedef = flatten(tree, is_leaf)
    if not rest:
        return unflatten(treedef, [f(x) for x in first])
    columns = [first, *[flatten_up_to(treedef, other) for other in rest]]
    return unflatten(treedef, [f(*xs) for xs in zip(*columns, strict=True)])


def flatten_up_to(treedef: Any, tree: Any) -> list[Any]:
    """The parts of a tree at the leaves of a structure.

    Raises:
        ValueError: the tree does not start with that structure.
    """
    try:
        return treedef.flatten_up_to(tree)
    except (ValueError, TypeError) as error:
        got = structure(tree)
        raise ValueError(
            f"Trees of different structure: expected {treedef}, got {got}. "
            f"{_difference(treedef, got, is_prefix=True)}"
        ) from error


def reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _unset,
    is_leaf: IsLeaf = None,
) -> Any:
    """The leaves folded from the left.

    Raises:
        TypeError: the tree has no leaves, and no initializer is given.
    """
    found = leaves(tree, is_leaf)
    if initializer is _unset:
        return functools.reduce(function, found)
    return functools.reduce(function, found, initializer)


def reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _unset,
    is_leaf: IsLeaf = None,
) -> Any:
    """The leaves joined by an associative operation, in a balanced tree of applications.

    Raises:
        TypeError: the tree has no leaves, and no identity is given.
    """
    found = leaves(tree, is_leaf)
    if not found and identity is _unset:
        raise TypeError("reduce_associative: a tree without leaves needs an identity.")

    def join(start: int, stop: int) -> Any:
        if stop - start == 1:
            return found[start]
        middle = (start + stop) // 2
        return operation(join(start, middle), join(middle, stop))

    return join(0, len(found)) if found else identity


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
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], Any]:
    """Pairs of key path and leaf, and the structure.

    Args:
        is_leaf_takes_path: call `is_leaf(path, node)` in place of `is_leaf(node)`.
    """
    if is_leaf_takes_path and is_leaf is not None:
        return _flatten_by_path(tree, is_leaf)
    accessors, found, treedef = optree.tree_flatten_with_accessor(
        tree, is_leaf, namespace=namespace
    )
    return [(as_key_path(a), x) for a, x in zip(accessors, found, strict=True)], treedef


def _flatten_by_path(
    tree: Any, is_leaf: Callable[..., bool]
) -> tuple[list[tuple[KeyPath, Any]], Any]:
    # optree asks about the nodes depth first, in the order of their leaves: a stack of the paths
    # to come tells where each one is.
    pending: list[KeyPath] = [()]
    paths: list[KeyPath] = []

    def visit(node: Any) -> bool:
        path = pending.pop()
        stop = is_leaf(path, node)
        if stop or optree.tree_is_leaf(node, namespace=namespace):
            paths.append(path)
        else:
            pending.extend([(*path, key) for key in reversed(one_level(node)[1])])
        return stop

    found, treedef = flatten(tree, visit)
    return list(zip(paths, found, strict=True)), treedef


def one_level(node: Any) -> tuple[list[Any], KeyPath, Any]:
    """The children of a node, their keys, and the static data of the node.

    Raises:
        ValueError: a leaf.
    """
    level: Any = optree.tree_flatten_one_level(node, namespace=namespace)
    keys = [level.path_entry_type(entry, level.type, level.kind) for entry in level.entries]
    # The keys of a dict come as a list; as static data they have to be hashable.
    aux: Any = level.metadata
    if issubclass(type(aux), list):
        aux = tuple(aux)
    return level.children, as_key_path(keys), aux


def leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """Pairs of key path and leaf."""
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """f applied to the key path, the leaf, and the parts of the other trees at its place.

    Raises:
        ValueError: another tree does not start with the structure of the first.
    """
    pairs, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
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
        full = structure(full_tree)
        raise ValueError(
            f"{prefix_tree!r} is not a prefix of the tree {full}. "
            f"{_difference(treedef, full, is_prefix=True)}"
        ) from error
    result: list[Any] = []
    for value, part in zip(prefix_leaves, parts, strict=True):
        result += [value] * structure(part).num_leaves
    return result


def structure_difference(a: Any, b: Any) -> str:
    """In words, where two structures first differ."""
    return _difference(a, b, is_prefix=False)


def _difference(a: Any, b: Any, *, is_prefix: bool) -> str:
    """The same; with `is_prefix` a leaf of the first may stand for any part of the second."""
    found = _first_difference(a, b, "", is_prefix)
    return found or "They have the same structure."


def _first_difference(a: Any, b: Any, path: str, is_prefix: bool) -> str:
    if a == b or (is_prefix and _is_leaf(a)):
        return ""
    place = f"At {path or 'the root'}"
    if a.type is not b.type:
        return f"{place} one has {_kind(a)}, the other {_kind(b)}."
    if a.type is not None and issubclass(a.type, dict) and set(a.entries()) != set(b.entries()):
        return f"{place} the keys are {a.entries()} and {b.entries()}."
    if a.num_children != b.num_children:
        return f"{place} one has {a.num_children} children, the other {b.num_children}."
    # An empty tuple or the like has no level of children to compare.
    if a.num_children and a.one_level() != b.one_level():
        return f"{place} the static data differ: {a.one_level()} and {b.one_level()}."
    for step, left, right in zip(_steps(a), a.children(), b.children(), strict=True):
        found = _first_difference(left, right, path + step, is_prefix)
        if found:
            return found
    return "" if a.num_children else f"{place} the static data differ: {a} and {b}."


def _steps(treedef: Any) -> list[str]:
    """How the path goes on to each child of the root."""
    if optree.is_namedtuple_class(treedef.type):
        return [f".{name}" for name in treedef.type._fields]
    if issubclass(treedef.type, (dict, list, tuple)):
        return [f"[{entry!r}]" for entry in treedef.entries()]
    keys = treedef.entries()
    return [f"[<flat index {key}>]" if isinstance(key, int) else str(key) for key in keys]


def _is_leaf(treedef: Any) -> bool:
    return treedef.num_nodes == 1 and treedef.num_leaves == 1


def _kind(treedef: Any) -> str:
    if _is_leaf(treedef):
        return "a leaf"
    return "None" if treedef.type is type(None) else f"a {treedef.type.__name__}"


def static(**options: Any) -> Any:
    """A field of a dataclass that `register_dataclass` takes as static data, not as a child.

    Args:
        options: those of `dataclasses.field`.
    """
    given: dict[Any, Any] = options.pop("metadata", None) or {}
    metadata = {**given, "static": True}
    return dataclasses.field(metadata=metadata, **options)


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
    "one_level",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "structure_difference",
    "transpose",
    "unflatten",
]
