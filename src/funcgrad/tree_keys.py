"""Key paths: where a leaf sits in its tree, as a tuple of keys that print like Python."""

from __future__ import annotations

from typing import Any, ClassVar

import optree


class _Key:
    """A key with one field, compared by its class and field."""

    __slots__ = ("_field",)
    _label: ClassVar[str]

    def __init__(self, field: Any) -> None:
        self._field = field

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._field == self._field

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._field))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._label}={self._field!r})"


class SequenceKey(_Key):
    """An index into a tuple or list."""

    __slots__ = ()
    _label = "idx"

    def __init__(self, idx: int) -> None:
        super().__init__(idx)

    @property
    def idx(self) -> int:
        return self._field

    def __str__(self) -> str:
        return f"[{self._field!r}]"


class DictKey(_Key):
    """A key of a mapping."""

    __slots__ = ()
    _label = "key"

    def __init__(self, key: Any) -> None:
        super().__init__(key)

    @property
    def key(self) -> Any:
        return self._field

    def __str__(self) -> str:
        return f"[{self._field!r}]"


class GetAttrKey(_Key):
    """The name of an attribute."""

    __slots__ = ()
    _label = "name"

    def __init__(self, name: str) -> None:
        super().__init__(name)

    @property
    def name(self) -> str:
        return self._field

    def __str__(self) -> str:
        return f".{self._field}"


class FlattenedIndexKey(_Key):
    """The position of a child of a node that names no keys."""

    __slots__ = ()
    _label = "key"

    def __init__(self, key: int) -> None:
        super().__init__(key)

    @property
    def key(self) -> int:
        return self._field

    def __str__(self) -> str:
        return f"[<flat index {self._field}>]"


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
