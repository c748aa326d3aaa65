"""Looking into states: values found and replaced by name, and the parts that mirror the params."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from .. import tree as pytree
from .. import tree_util

Filter = Callable[[Any, Any], bool] | None


@dataclasses.dataclass(frozen=True)
class NamedTupleKey:
    """The field of a namedtuple in a path, with the name of its class.

    Attributes:
        tuple_name: name of the class.
        name: name of the field.
    """

    tuple_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.tuple_name}.{self.name}"


class ParamsNode:
    """A stand-in for the params: a node without leaves, found again where a state mirrors them."""


tree_util.register_pytree_node(ParamsNode, lambda node: ((), None), lambda aux, parts: ParamsNode())


def _is_named_tuple(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields")  # pyright: ignore[reportUnknownArgumentType]


def _level(node: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """Pairs of key and child of a node, and its structure; no pairs for a leaf."""

    def is_child(x: Any) -> bool:
        return x is not node

    pairs, treedef = pytree.flatten_with_path(node, is_leaf=is_child)
    found = [(path[0], x) for path, x in pairs if path]
    if _is_named_tuple(node):
        name = type(node).__name__
        found = [(NamedTupleKey(name, str(key)[1:]), x) for key, x in found]
    return found, treedef


def _names(path: Any, node: Any) -> frozenset[Any]:
    """What a place in a state is called: its field or key, and the class of its namedtuple."""
    found: frozenset[Any] = frozenset([type(node).__name__] if _is_named_tuple(node) else [])
    if path and isinstance(path[-1], NamedTupleKey):
        return found | {path[-1].name}
    if path and isinstance(path[-1], tree_util.DictKey):
        return found | {path[-1].key}
    return found


def _walk(path: Any, node: Any) -> Iterator[tuple[Any, Any]]:
    yield path, node
    for key, child in _level(node)[0]:
        yield from _walk((*path, key), child)


def get_all_with_path(tree: Any, key: Any, filtering: Filter = None) -> list[tuple[Any, Any]]:
    """Pairs of path and value for every field, dict key or namedtuple class of this name.

    Args:
        filtering: `(path, value) -> bool`, which of them to keep.
    """
    return [
        (path, node)
        for path, node in _walk((), tree)
        if key in _names(path, node) and (filtering is None or filtering(path, node))
    ]


def get(tree: Any, key: Any, default: Any = None, filtering: Filter = None) -> Any:
    """The value of this name in a state, or the default where there is none.

    Raises:
        KeyError: there are several.
    """
    found = get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        places = ", ".join("".join(f"/{step}" for step in path) for path, _ in found)
        raise KeyError(f"{key!r} stands at {len(found)} places: {places}. Choose by `filtering`.")
    return found[0][1] if found else default


def set(tree: Any, filtering: Filter = None, /, **kwargs: Any) -> Any:
    """The state with new values under these names.

    Args:
        filtering: `(path, value) -> bool`, which places to change.
    Raises:
        KeyError: a name stands nowhere.
    """
    for name in kwargs:
        if not get_all_with_path(tree, name, filtering):
            raise KeyError(f"{name!r} stands nowhere in the state, or nowhere that is asked for.")

    def replace(path: Any, node: Any) -> Any:
        wanted = [name for name in kwargs if name in _names(path, node)]
        if wanted and (filtering is None or filtering(path, node)):
            return kwargs[wanted[0]]
        pairs, treedef = _level(node)
        if not pairs:
            return node
        return pytree.unflatten(treedef, [replace((*path, key), child) for key, child in pairs])

    return replace((), tree)


def map_params(
    initable: Any,
    f: Callable[..., Any],
    state: Any,
    /,
    *rest: Any,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """f at the leaves of each part of a state that has the structure of the params.

    Args:
        initable: the transformation that made the state, or its init.
        f: takes a leaf, and the leaves of `rest` at the same place of the params.
        transform_non_params: what to do with everything else; nothing by default.
    """
    init = getattr(initable, "init", initable)

    def visit(mark: Any, part: Any) -> Any:
        if isinstance(mark, ParamsNode):
            return pytree.map(f, part, *rest, is_leaf=is_leaf)
        return part if transform_non_params is None else transform_non_params(part)

    marks = init(ParamsNode())
    return pytree.map(visit, marks, state, is_leaf=lambda x: isinstance(x, ParamsNode))


tree_map_params = map_params
