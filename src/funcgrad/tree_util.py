"""Pytrees under the names of `jax.tree_util`, and the registration of node classes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
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
from .tree import reduce as tree_reduce
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
_register: Any = optree.register_pytree_node  # pyright: ignore[reportUnknownMemberType]
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
        _register(nodetype, flatten_func, unflatten_func, namespace=_namespace)
        return

    def flatten(node: Any) -> Any:
        pairs, aux = flatten_with_keys_func(node)
        pairs = list(pairs)
        return [child for _, child in pairs], aux, [key for key, _ in pairs]

    _register(nodetype, flatten, unflatten_func, namespace=_namespace)


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], Any],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], Any] | None = None,
) -> None:
    """Make a class a node whose children have keys of its own."""
    register_pytree_node(nodetype, flatten_func or _keyless, unflatten_func, flatten_with_keys)


def _keyless(node: Any) -> Any:
    raise TypeError(f"{type(node).__name__} is flattened with keys only.")


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

    Raises:
        ValueError: the fields named are not those of `__init__`.
    """
    if data_fields is None or meta_fields is None:
        if (data_fields is None) != (meta_fields is None):
            raise TypeError("register_dataclass: give both data_fields and meta_fields, or none.")
        if not dataclasses.is_dataclass(nodetype):
            raise TypeError(
                f"register_dataclass: {nodetype} is no dataclass; name data_fields and meta_fields."
            )
        fields = [f for f in dataclasses.fields(nodetype) if f.init]
        data_fields = [f.name for f in fields if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
    data, meta = tuple(data_fields), tuple(meta_fields)
    if dataclasses.is_dataclass(nodetype):
        init = {f.name for f in dataclasses.fields(nodetype) if f.init} - set(drop_fields)
        if init != {*data, *meta}:
            raise ValueError(
                f"register_dataclass: the fields of {nodetype.__name__} are {sorted(init)}, but "
                f"data_fields and meta_fields name {sorted({*data, *meta})}."
            )

    def flatten(node: Any) -> Any:
        pairs = [(GetAttrKey(name), getattr(node, name)) for name in data]
        return pairs, tuple(getattr(node, name) for name in meta)

    def unflatten(aux: Any, children: Any) -> Any:
        values = dict(zip(meta, aux, strict=True)) | dict(zip(data, children, strict=True))
        return nodetype(**values)

    register_pytree_with_keys(nodetype, flatten, unflatten)
    return nodetype


def register_static(cls: _Class) -> _Class:
    """A class decorator: instances are nodes without leaves, compared by `==` and `hash`."""
    register_pytree_node(cls, lambda node: ((), node), lambda node, _: node)
    return cls


class Partial(functools.partial[Any]):
    """A partial application that is a pytree: its arguments are children, its function static."""


def _flatten_partial(node: Partial) -> Any:
    pairs = [(GetAttrKey("args"), node.args), (GetAttrKey("keywords"), node.keywords)]
    return pairs, node.func


def _unflatten_partial(func: Any, children: Any) -> Partial:
    args, keywords = children
    return Partial(func, *args, **keywords)


register_pytree_with_keys(Partial, _flatten_partial, _unflatten_partial)


def all_leaves(iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether every element is a leaf."""
    return optree.all_leaves(iterable, is_leaf, namespace=_namespace)


def treedef_children(treedef: Any) -> list[Any]:
    """The structures of the children of the root."""
    return treedef.children()


def treedef_is_leaf(treedef: Any) -> bool:
    """Whether the structure is a single leaf."""
    return treedef.is_leaf()


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
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]
