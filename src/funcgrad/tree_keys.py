"""Key paths: where a leaf sits in its tree, as a tuple of keys that print like Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optree


@dataclass(frozen=True)
class SequenceKey:
    """An index into a tuple or list."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclass(frozen=True)
class DictKey:
    """A key of a mapping."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True)
class GetAttrKey:
    """The name of an attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True)
class FlattenedIndexKey:
    """The position of a child of a node that names no keys."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


KeyEntry = SequenceKey | DictKey | GetAttrKey | FlattenedIndexKey | Any
KeyPath = tuple[KeyEntry, ...]


def as_key_path(accessor: Any) -> KeyPath:
    """The key path of an optree accessor."""
    return tuple(_key(entry) for entry in accessor)


def _key(entry: Any) -> KeyEntry:
    found: Any = entry.entry
    if isinstance(found, (SequenceKey, DictKey, GetAttrKey, FlattenedIndexKey)):
        return found
    if isinstance(entry, optree.NamedTupleEntry):
        return GetAttrKey(entry.field)
    if isinstance(entry, optree.GetAttrEntry):
        return GetAttrKey(found)
    if isinstance(entry, optree.SequenceEntry):
        return SequenceKey(entry.index)
    if isinstance(entry, optree.MappingEntry):
        return DictKey(found)
    return FlattenedIndexKey(found) if isinstance(found, int) else found


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A key path as text: `['a'][0].b`; with `simple`, the bare keys joined by the separator."""
    if simple:
        return separator.join(_simple(key) for key in keys)
    return separator.join(str(key) for key in keys)


def _simple(key: KeyEntry) -> str:
    for name in ("key", "idx", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)
