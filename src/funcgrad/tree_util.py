"""Pytrees under the names of `jax.tree_util`, and the registration of node classes."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import optree

from .tree import PyTreeDef as PyTreeDef
from .tree import all as tree_all
from .tree import broadcast as tree_broadcast
from .tree import flatten as tree_flatten
from .tree import flatten_with_path as tree_flatten_with_path
from .tree import leaves as tree_leaves
from .tree import leaves_with_path as tree_leaves_with_path
from .tree import map as tree_map
from .tree import map_with_path as tree_map_with_path
from .tree import one_level
from .tree import reduce as tree_reduce
from .tree import reduce_associative as tree_reduce_associative
from .tree import structure as tree_structure
from .tree import transpose as tree_transpose
from .tree import unflatten as tree_unflatten
from .tree_keys import DictKey as DictKey
from .tree_keys import FlattenedIndexKey as FlattenedIndexKey
from .tree_keys import GetAttrKey as GetAttrKey
from .tree_keys import KeyEntry as KeyEntry
from .tree_keys import KeyPath as KeyPath
from .tree_keys import SequenceKey as SequenceKey
from .tree_keys import keystr as keystr

_namespace = "funcgrad"
_registry: Any = optree.register_pytree_node  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_Class = TypeVar("_Class", bound=type)


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_with_keys_func: Callable[[Any], Any] | None = None,
) -> None:
    """Make a class a node.

    Args:
        flatten_func: gives the children and hashable static data.
        unflatten_func: takes the static data and the children.
        flatten_with_keys_func: gives pairs of key and child, and the static data.
    Raises:
        ValueError: the class is a node already.
    """
    if flatten_with_keys_func is None:
        _register(nodetype, flatten_func, unflatten_func)
        return

    # optree asks for the keys whenever it flattens, so `flatten_func` would never be called.
    def flatten(node: Any) -> Any:
        pairs, aux = flatten_with_keys_func(node)
        pairs = list(pairs)
        return [child for _, child in pairs], aux, [key for key, _ in pairs]

    _register(nodetype, flatten, unflatten_func)


def _register(nodetype: type, flatten: Callable[[Any], Any], unflatten: Any) -> None:
    with warnings.catch_warnings():
        # A namedtuple class with a rule of its own is a node by that rule, as in JAX.
        warnings.filterwarnings("ignore", ".*subclass of `collections.namedtuple`", UserWarning)
        _registry(
            nodetype,
            flatten,
            unflatten,
            path_entry_type=optree.FlattenedEntry,
            namespace=_namespace,
        )


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], Any],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], Any] | None = None,
) -> None:
    """Make a class a node whose children have keys of its own.

    Args:
        flatten_with_keys: gives pairs of key and child, and hashable static data.
        unflatten_func: takes the static data and the children.
        flatten_func: gives the children and the static data.
    Raises:
        ValueError: the class is a node already.
    """

    def without_keys(node: Any) -> Any:
        pairs, aux = flatten_with_keys(node)
        return [child for _, child in pairs], aux

    register_pytree_node(nodetype, flatten_func or without_keys, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: Any) -> Any:
    """A class decorator: the class has methods `tree_flatten` and `tree_unflatten`."""
    register_pytree_node(cls, lambda node: node.tree_flatten(), cls.tree_unflatten)
    return cls


def register_pytree_with_keys_class(cls: Any) -> Any:
    """A class decorator: the class has `tree_flatten_with_keys` and `tree_unflatten`."""
    register_pytree_with_keys(cls, lambda node: node.tree_flatten_with_keys(), cls.tree_unflatten)
    return cls


def register_dataclass(
    nodetype: Any,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Any:
    """Make a dataclass a node: data fields are children, meta fields static.

    Without lists, fields with `metadata=dict(static=True)` are meta fields and the rest are data.

    Args:
        data_fields: names of the attributes that are children.
        meta_fields: names of the attributes that are hashable static data.
        drop_fields: names of fields of `__init__` that are neither, and have defaults.
    Raises:
        TypeError: one list is given without the other, or none for a class that is no dataclass.
        ValueError: the fields named are not those of `__init__`, or one is both data and meta.
    """
    data, meta = _dataclass_fields(nodetype, data_fields, meta_fields)
    if both := sorted({*data} & {*meta}):
        raise ValueError(f"register_dataclass: {both} are in data_fields and in meta_fields.")
    _check_fields(nodetype, {*data, *meta}, {*drop_fields})
    keys = tuple(GetAttrKey(name) for name in data)

    def flatten(node: Any) -> Any:
        children = [getattr(node, name) for name in data]
        return children, tuple([getattr(node, name) for name in meta]), keys

    def unflatten(aux: Any, children: Any) -> Any:
        values = dict(zip(meta, aux, strict=True)) | dict(zip(data, children, strict=True))
        return nodetype(**values)

    _register(nodetype, flatten, unflatten)
    return nodetype


def _check_fields(nodetype: Any, named: set[str], dropped: set[str]) -> None:
    if not dataclasses.is_dataclass(nodetype):
        return
    init = {f.name for f in dataclasses.fields(nodetype) if f.init} - dropped
    if init != named:
        raise ValueError(
            f"register_dataclass: the fields of {nodetype} are {sorted(init)}, but data_fields "
            f"and meta_fields name {sorted(named)}. Add fields that are neither to drop_fields."
        )


def _dataclass_fields(
    nodetype: Any, data: Sequence[str] | None, meta: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if data is not None and meta is not None:
        return tuple(data), tuple(meta)
    if data is not None or meta is not None:
        raise TypeError("register_dataclass: give both data_fields and meta_fields, or none.")
    if not dataclasses.is_dataclass(nodetype):
        raise TypeError(
            f"register_dataclass: {nodetype} is no dataclass; name data_fields and meta_fields."
        )
    fields = [f for f in dataclasses.fields(nodetype) if f.init]
    return (
        tuple(f.name for f in fields if not f.metadata.get("static", False)),
        tuple(f.name for f in fields if f.metadata.get("static", False)),
    )


def register_static(cls: _Class) -> _Class:
    """A class decorator: instances are nodes without leaves, compared by `==` and `hash`."""
    register_pytree_node(cls, lambda node: ((), node), lambda node, _: node)
    return cls


@dataclasses.dataclass(frozen=True)
class _Opaque:
    """A callable whose own bound arguments stay hidden: equal if what it calls is equal."""

    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


class Partial(functools.partial[Any]):
    """A partial application that is a pytree: its arguments are children, its function static."""

    def __new__(cls, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Partial:
        """Bind arguments to a function.

        The arguments of a `functools.partial` given as the function stay with it, and static;
        Python would merge them into ours.
        """
        if isinstance(func, functools.partial):
            func = _Opaque(func)  # pyright: ignore[reportUnknownArgumentType]
        return super().__new__(cls, func, *args, **kwargs)


def _flatten_partial(node: Partial) -> Any:
    return (node.args, node.keywords), node.func


def _unflatten_partial(func: Any, children: Any) -> Partial:
    args, keywords = children
    return Partial(func, *args, **keywords)


register_pytree_node(Partial, _flatten_partial, _unflatten_partial)


def is_tree_node(typ: type) -> bool:
    """Whether instances of a class are nodes."""
    return _registry.get(typ, namespace=_namespace) is not None


def flatten_one_level(tree: Any) -> tuple[list[Any], Hashable]:
    """The children of a node, and its static data.

    Raises:
        ValueError: a leaf.
    """
    children, _, aux = one_level(tree)
    return children, aux


def flatten_one_level_with_keys(tree: Any) -> tuple[list[tuple[KeyEntry, Any]], Hashable]:
    """Pairs of key and child of a node, and its static data.

    Raises:
        ValueError: a leaf.
    """
    children, keys, aux = one_level(tree)
    return list(zip(keys, children, strict=True)), aux


def all_leaves(iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether every element is a leaf."""
    return optree.all_leaves(iterable, is_leaf, namespace=_namespace)


def treedef_children(treedef: Any) -> list[Any]:
    """The structures of the children of the root."""
    return treedef.children()


def treedef_is_leaf(treedef: Any) -> bool:
    """Whether the structure is a single node: a leaf, or a node without children."""
    return treedef.num_nodes == 1


def treedef_tuple(treedefs: Iterable[Any]) -> Any:
    """The structure of a tuple of trees of these structures."""
    return optree.treespec_tuple(treedefs, namespace=_namespace)


__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]
