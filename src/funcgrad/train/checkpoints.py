"""A pytree as a safetensors file, and back. In: arrays, keys, numbers, texts. Out: the same bits.

Leaves are stored under their key paths. What safetensors has no word for (dtypes it does not know,
weak types, Python values) stands as JSON in the file's metadata, with a SHA-256 of everything, so
that a flipped bit is noticed. Reading makes numbers of bytes and nothing else: no code is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
from pathlib import Path
from typing import Any, NoReturn, cast

import ml_dtypes
import numpy as np

from .. import random, tree
from ..core.array import Array
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray

StrPath = str | os.PathLike[str]
_format = "funcgrad checkpoint 1"
_native = set(
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64".split()
)


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: damaged, foreign, or of another tree."""


def save(path: StrPath, values: Any) -> None:
    """Write a pytree to a file, all of it or nothing.

    The file is written beside its place, forced to disk and then renamed: whatever happens, the
    place holds the old file or the new one.

    Args:
        values: a pytree of arrays, random keys, Python numbers, booleans and strings.
    Raises:
        TypeError: a leaf of another kind.
        OSError: the file cannot be written; the old one stays.
    """
    place = Path(path)
    content = _encoded(values)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync_folder(place.parent)


def load(path: StrPath, like: Any = None) -> Any:
    """The pytree of a file that `save` wrote.

    Args:
        like: a tree of the same structure, shapes and dtypes: of arrays, or of
            `ShapeDtypeStruct`. Without it, the result is a dict from key paths to leaves.
    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is truncated, damaged, not written by `save`, or of another tree
            than `like`; the text says which. The file stays as it is.
    """
    place = os.fspath(path)
    leaves = _decoded(place, Path(path).read_bytes())
    if like is None:
        return leaves
    wanted, treedef = tree.flatten_with_path(like)
    named = {tree.keystr(key): x for key, x in wanted}
    absent, strange = sorted(named.keys() - leaves.keys()), sorted(leaves.keys() - named.keys())
    if absent or strange:
        _refuse(
            place,
            f"it is of another tree: {_some(absent)} not in it, {_some(strange)} not asked for",
        )
    for name, x in named.items():
        if not _fits(x, leaves[name]):
            _refuse(
                place,
                f"{name or 'the leaf'} is {_words(leaves[name])} in it, and {_words(x)} is needed",
            )
    return tree.unflatten(treedef, [leaves[name] for name in named])


def _refuse(place: str, reason: str) -> NoReturn:
    raise CheckpointError(
        f"checkpoint {place} is refused: {reason}.\n  {user_line()}\n"
        "  It was left as it is. Give another one, or the tree that it was saved from."
    )


def _some(names: list[str]) -> str:
    return (", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")) or "none"


def _fits(wanted: Any, found: Any) -> bool:
    """Whether a leaf is what is needed: shape and dtype; of a Python number the kind alone.

    jit makes arrays of the Python numbers that a state begins with.
    """
    if isinstance(wanted, str) or isinstance(found, str):
        return isinstance(wanted, str) and isinstance(found, str)
    if any(isinstance(x, bool | int | float) for x in (wanted, found)):
        return np.shape(wanted) == np.shape(found) and _letter(wanted) == _letter(found)
    return _words(wanted) == _words(found)


def _letter(x: Any) -> str:
    return (x if hasattr(x, "dtype") else np.asarray(x)).dtype.kind


def _words(x: Any) -> str:
    if isinstance(x, bool | int | float | str):
        return f"a Python {type(x).__name__}"
    name = "key" if dtypes.issubdtype(x.dtype, dtypes.prng_key) else x.dtype.name
    return f"{name}[{','.join(map(str, x.shape))}]"


def _library() -> Any:
    try:
        return importlib.import_module("safetensors")
    except ImportError as error:
        raise ImportError("checkpoints need safetensors: pip install 'funcgrad[train]'") from error


def _encoded(values: Any) -> bytes:
    library = _library()
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    notes: dict[str, Any] = {}
    for path, x in tree.leaves_with_path(values):
        name = tree.keystr(path)
        if name in notes:
            raise TypeError(f"train.save: two leaves have the key path {name}.\n  {user_line()}")
        if isinstance(x, str) or type(x) in (bool, int, float):
            notes[name] = {"value": x}
        else:
            arrays[name], notes[name] = _stored(name, x)
    text = json.dumps(notes, sort_keys=True)
    specs = {
        name: library.TensorSpec(
            dtype=x.dtype.name, shape=x.shape, data_ptr=x.ctypes.data, data_len=x.nbytes
        )
        for name, x in arrays.items()
    }
    metadata = {"format": _format, "leaves": text, "sha256": _digest(text, arrays)}
    return bytes(library.serialize(specs, metadata=metadata))


def _stored(name: str, leaf: Any) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """An array that safetensors has a dtype for, and what tells what it stands for."""
    if not isinstance(leaf, Array | np.ndarray | np.generic):
        raise TypeError(
            f"train.save: the leaf {name or 'given'} is a {type(leaf).__name__}.\n  {user_line()}\n"
            "  Leaves are arrays, random keys, Python numbers, booleans and strings."
        )
    x = cast(Any, leaf)
    note: dict[str, Any] = {"shape": list(x.shape), "dtype": x.dtype.name}
    if isinstance(x, Array):
        note["weak"] = x.aval.weak_type
        if dtypes.issubdtype(x.dtype, dtypes.prng_key):
            return np.ascontiguousarray(random.key_data(x)), {**note, "dtype": "key"}
    # ascontiguousarray gives axes to what has none.
    value: Any = np.ascontiguousarray(x).reshape(x.shape)
    if value.dtype.kind in "biufc":
        value = value.astype(value.dtype.newbyteorder("="), copy=False)
    if value.dtype.name not in _native:
        if not hasattr(ml_dtypes, value.dtype.name) and value.dtype.kind != "c":
            raise TypeError(f"train.save: {name or 'the leaf'} has dtype {value.dtype}.")
        return value.reshape(-1).view(np.uint8), note
    return value, note


def _digest(text: str, arrays: dict[str, np.ndarray[Any, Any]]) -> str:
    state = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        state.update(arrays[name].tobytes())
    return state.hexdigest()


def _decoded(place: str, content: bytes) -> dict[str, Any]:
    library = _library()
    try:
        found = dict(library.deserialize(content))
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (library.SafetensorError, ValueError) as error:
        _refuse(place, f"it is truncated, damaged, or no safetensors file ({error})")
    if metadata.get("format") != _format:
        _refuse(place, "it is a safetensors file that funcgrad.train.save did not write")
    try:
        text = metadata["leaves"]
        notes: dict[str, Any] = json.loads(text)
        arrays = {name: _view(notes[name], bytes(x["data"])) for name, x in found.items()}
        whole = metadata["sha256"] == _digest(text, arrays)
        leaves = {name: _leaf(note, arrays.get(name)) for name, note in notes.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        _refuse(place, f"it is damaged: {type(error).__name__}: {error}")
    if not whole:
        _refuse(place, "it is damaged: its contents are not those of its SHA-256")
    return leaves


def _view(note: dict[str, Any], content: bytes) -> np.ndarray[Any, Any]:
    shape, name = tuple(note["shape"]), str(note["dtype"])
    if name == "key":
        return np.frombuffer(content, np.uint32).reshape(*shape, 2)
    if name not in _native and not name.startswith("complex") and not hasattr(ml_dtypes, name):
        raise ValueError(f"unknown dtype {name}")
    return np.frombuffer(content, np.dtype(name)).reshape(shape)


def _leaf(note: dict[str, Any], value: np.ndarray[Any, Any] | None) -> Any:
    if value is None:
        return note["value"]
    if note["dtype"] == "key":
        return random.wrap_key_data(value.copy())
    # A copy has the alignment of its dtype, and does not keep the whole file in memory.
    value = value.copy()
    if "weak" not in note:
        return value
    return Array(value, ShapedArray(value.shape, value.dtype, bool(note["weak"])))


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk, where the system can."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
