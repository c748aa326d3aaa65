"""Compiled programs on disk, found by what they were compiled from.

An entry is one file, named by its key: a line that says what it is, the hash of all that follows,
then the length of the metadata, the metadata as JSON, and the object code. It is written beside its
place and moved there, so that a reader sees all of it or nothing; the hash is over the key too, so
that an entry is believed under its own name only. Nothing here fails: where the disk is full, the
directory read-only or an entry damaged, programs are compiled as if there were no store. A warning
says once that they cannot be kept, and `info` tells what is the matter.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from ...config import config
from ...ir.cautions import caution
from ...locks import lock
from . import machine, symbols, toolchain

FORMAT = b"funcgrad-1\n"
SUFFIX = ".fgo"
ENTRY = r"[0-9a-f]{64}\.fgo"
UNFINISHED = r"[0-9a-f]{64}\.[0-9a-f]+\.tmp"

# What makes code of a jaxpr: nothing above these layers has a say in it.
COMPILER = ("control", "core", "ir", "kernels", "passes", "primitives", "transforms")

# A temporary file that old was left by a process that died while it wrote.
ABANDONED_SECONDS = 3600
# Making room leaves some, so that it is not made anew for every entry.
FILLED = 0.9


class Entry(NamedTuple):
    """A compiled program: its object code, and what has to be known to call it."""

    object_bytes: bytes
    meta: dict[str, Any]


class Info(NamedTuple):
    """What the store holds, and how it is.

    Attributes:
        directory: where it is; empty where the system has no place for caches.
        state: "on", or why it is not.
        entries: how many programs it holds.
        bytes: how much room they take.
        limit: how much they may take.
    """

    directory: str
    state: str
    entries: int
    bytes: int
    limit: int


_lock = lock()
_problems: dict[str, str] = {}  # by directory: why it could not be written
_told: set[str] = set()  # directories of whose problem the user was warned
_room: dict[str, int] = {}  # by directory: bytes that may be added before looking again


def directory() -> str | None:
    """The directory of the store; None where the system has no place for one."""
    if config.cache_dir:
        return os.path.dirname(os.path.join(config.cache_dir, ""))
    try:
        return _user_directory()
    except (OSError, RuntimeError):
        return None


@cache
def _user_directory() -> str:
    if sys.platform == "linux":
        # What platformdirs says, without the time in which it is imported: each process asks.
        caches = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(caches):
            caches = os.path.expanduser("~/.cache")
        if not os.path.isabs(caches):
            raise RuntimeError("This user has no directory.")
        return os.path.join(caches, "funcgrad")
    # funcgrad's own folder; on Windows there would be one of the author around it.
    return importlib.import_module("platformdirs").user_cache_dir("funcgrad", False)


def get(key: str) -> Entry | None:
    """The program of a key; None where it is not there, or not sound."""
    path = _path(key)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            if not _is_trusted(os.fstat(file.fileno())):
                return None
            content = file.read()
    except (OSError, ValueError):
        return None
    entry = _unpacked(key, content)
    try:
        if entry is None:
            os.unlink(path)
        else:
            os.utime(path)  # it was used last now
    except OSError:
        pass  # a store that cannot be written can be read
    return entry


def put(key: str, object_bytes: bytes, meta: dict[str, Any]) -> None:
    """Keep a program.

    Args:
        key: from `key_of`.
        meta: what JSON can hold.
    Warns:
        UserWarning: it cannot be written; once for a directory.
    """
    path, content = _path(key), _packed(key, object_bytes, meta)
    if path is None or len(content) > config.cache_max_bytes:
        return
    place = os.path.dirname(path)
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        _write(path, content)
        _problems.pop(place, None)
    except (OSError, ValueError) as error:
        _problems[place] = str(error)
        if place not in _told:
            _told.add(place)
            caution(_not_kept(place, error))
        return
    _make_room(place, len(content))


def _not_kept(place: str, error: Exception) -> str:
    return (
        f"Compiled programs cannot be kept in {place!r}: {error}. Every process will compile them "
        "again. Set FUNCGRAD_CACHE_DIR, or config.cache_dir, to a directory that can be written, "
        "or FUNCGRAD_CACHE=0, or config.cache to False, to keep none."
    )


def compiled(text: str, level: int = 1) -> bytes:
    """The object code of a module: from the store, or compiled and kept there."""
    key = key_of("text", text, level)
    entry = get(key)
    if entry is not None:
        return entry.object_bytes
    object_bytes = toolchain.compile_text(text, level)
    put(key, object_bytes, {})
    return object_bytes


def info() -> Info:
    """What the store holds, and whether it works."""
    place = directory()
    if place is None:
        return Info("", "off: the system names no directory for caches", 0, 0, 0)
    files = _entries(place)
    limit = config.cache_max_bytes
    return Info(place, _state(place), len(files), sum(size for _, size, _ in files), limit)


def clear() -> int:
    """Delete all programs, and nothing else; returns how many there were."""
    place = directory()
    if place is None:
        return 0
    removed = sum(_remove(path) for _, _, path in _entries(place))
    for path in _files(place, UNFINISHED):
        _remove(path)
    _room.clear()
    return removed


def key_of(*parts: Any) -> str:
    """The key of what is compiled from some parts, on this machine with these versions.

    Args:
        parts: strings, bytes, numbers, bools, None, dtypes, and tuples, lists and dicts of them.
    Raises:
        TypeError: a part is none of these.
    """
    text: list[str] = [_surroundings()]
    _spell(parts, text)
    return hashlib.sha256("".join(text).encode("utf-8", "surrogatepass")).hexdigest()


def _spell(part: Any, text: list[str]) -> None:
    """Append a part to a text from which it could be read back: no two parts have one spelling."""
    if isinstance(part, str):
        text.append(f"s{len(part)}:{part}")
    elif isinstance(part, bytes):
        text.append(f"b{len(part)}:{part.hex()}")
    elif isinstance(part, bool | int | float | complex) or part is None:
        text.append(f"{type(part).__name__}:{part!r};")
    elif isinstance(part, np.dtype):
        _spell(f"{part.str} {part!r}", text)
    elif isinstance(part, tuple | list):
        items = cast("Sequence[Any]", part)
        text.append(f"({len(items)}:")
        for item in items:
            _spell(item, text)
    elif isinstance(part, dict):
        _spell(sorted(cast("dict[str, Any]", part).items()), text)
    else:
        raise TypeError(f"A {type(part).__name__} cannot be a part of a key: {part!r}.")


@cache
def _surroundings() -> str:
    """What object code depends on besides its source."""
    here = machine.hardware()
    if here is None:
        known = toolchain.machine()
        here = f"{known.cpu} {known.features} {known.triple}"
    text: list[str] = []
    _spell((here, machine.generator()), text)
    _spell((np.__version__, symbols.blas_identity(), _own_identity()), text)
    return "".join(text)


def _own_identity() -> str:
    """The version of this package and, since checkouts change between versions, its files."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found: list[str] = [getattr(sys.modules[__name__.partition(".")[0]], "__version__", "")]
    folders = [root, *(os.path.join(root, name) for name in COMPILER)]
    for folder in folders:  # it grows
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    path = entry.path[len(root) :]
                    found.append(f"{path} {status.st_size} {status.st_mtime_ns}")
                elif folder != root and entry.is_dir() and entry.name != "__pycache__":
                    folders.append(entry.path)
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _path(key: str) -> str | None:
    place = directory() if config.cache else None
    return None if place is None else os.path.join(place, f"{key}{SUFFIX}")


def _packed(key: str, object_bytes: bytes, meta: dict[str, Any]) -> bytes:
    told = json.dumps(meta, sort_keys=True).encode()
    body = len(told).to_bytes(8, "little") + told + object_bytes
    return FORMAT + _hash(key, body) + body


def _unpacked(key: str, content: bytes) -> Entry | None:
    start = len(FORMAT) + 32
    head, body = content[:start], content[start:]
    if head != FORMAT + _hash(key, body):
        return None
    end = 8 + int.from_bytes(body[:8], "little")
    return Entry(body[end:], json.loads(body[8:end]))


def _hash(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + body).digest()


def _is_trusted(status: os.stat_result) -> bool:
    """Whether a file is this user's or the administrator's, and no one else may write it.

    What is in it will be run.
    """
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _write(path: str, content: bytes) -> None:
    beside = f"{path.removesuffix(SUFFIX)}.{os.urandom(8).hex()}.tmp"
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except BaseException:
        _remove(beside)
        raise


def _make_room(place: str, added: int) -> None:
    """Delete what was not used for longest, once the store is fuller than it may be."""
    # Whoever is at it already, makes room for all.
    if not _lock.acquire(blocking=False):
        return
    try:
        room = _room.get(place, 0) - added
        if room < 0:
            room = _cleaned(place)
        _room[place] = room
    finally:
        _lock.release()


def _cleaned(place: str) -> int:
    old = time.time() - ABANDONED_SECONDS
    for path in _files(place, UNFINISHED):
        try:
            if os.stat(path).st_mtime < old:
                os.unlink(path)
        except OSError:
            continue
    limit, files = config.cache_max_bytes, sorted(_entries(place))
    total = sum(size for _, size, _ in files)
    if total > limit:
        for _, size, path in files:
            if total <= FILLED * limit:
                break
            total -= size * _remove(path)
    # Other processes add entries as well: a look from time to time.
    return max(limit - total, 0) // 8


def _entries(place: str) -> list[tuple[float, int, str]]:
    """The entries there: time of last use, size and path."""
    found: list[tuple[float, int, str]] = []
    for path in _files(place, ENTRY):
        try:
            status = os.stat(path)
        except OSError:
            continue  # another process deleted it
        found.append((status.st_mtime, status.st_size, path))
    return found


def _files(place: str, pattern: str) -> list[str]:
    try:
        found = [name for name in os.listdir(place) if re.fullmatch(pattern, name)]
        return [os.path.join(place, name) for name in found]
    except (OSError, ValueError):
        return []


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def _state(place: str) -> str:
    if not config.cache:
        return "off: config.cache is False"
    if place in _problems:
        return f"not written: {_problems[place]}"
    existing = os.path.abspath(place)
    while not os.path.exists(existing) and existing != os.path.dirname(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
        return f"not written: {existing} cannot be written to"
    return "on"
