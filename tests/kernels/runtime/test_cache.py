"""What was kept is found again, whole or not at all; what goes wrong is told, and no error."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import platformdirs
import pytest

from funcgrad.__main__ import main
from funcgrad.config import config
from funcgrad.core.primitive import Primitive
from funcgrad.kernels.runtime import cache, toolchain

from ...primitives.rules import load_all

KEY = "0123456789abcdef" * 4
OTHER = "f" * 64
META = {"outputs": [["float32", [2, 3]]], "arena": 64}


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Iterator[Path]:
    before = {name: config.read(name) for name in ("cache", "cache_dir", "cache_max_bytes")}
    config.update("cache_dir", tmp_path / "store")
    yield tmp_path / "store"
    for name, value in before.items():
        config.update(name, value)


def file_of(place: Path, key: str = KEY) -> Path:
    return place / f"{key}.fgo"


def test_what_is_put_is_got(place: Path) -> None:
    assert cache.get(KEY) is None
    for content in (b"", b"\x00\xff" * 1000):
        cache.put(KEY, content, META)
        assert cache.get(KEY) == cache.Entry(content, META)
    assert cache.get(OTHER) is None
    assert [path.name for path in place.iterdir()] == [f"{KEY}.fgo"]
    if os.name == "posix":
        assert place.stat().st_mode & 0o777 == 0o700


def test_info_and_clear(place: Path) -> None:
    assert cache.info() == cache.Info(str(place), "on", 0, 0, 2**30)
    cache.put(KEY, b"one", {})
    cache.put(OTHER, b"another", {})
    foreign = place / "notes.txt"
    foreign.write_text("not ours")
    told = cache.info()
    assert told.entries == 2
    assert told.bytes == sum(file_of(place, key).stat().st_size for key in (KEY, OTHER))
    assert cache.clear() == 2
    assert cache.get(KEY) is None
    assert foreign.exists()


def test_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.put(KEY, b"one", {})
    size = file_of(place).stat().st_size
    assert main(["cache", "info"]) == 0
    told = capsys.readouterr().out
    assert told.splitlines() == [
        f"directory  {place}",
        "state      on",
        "entries    1",
        f"bytes      {size} of {2**30}",
    ]
    assert main(["cache", "clear"]) == 0
    assert "deleted    1 entries" in capsys.readouterr().out
    assert cache.get(KEY) is None
    with pytest.raises(SystemExit):
        main(["cache", "burn"])


def test_command_line_and_environment(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "funcgrad", "cache", "info"],
        env=os.environ | {"FUNCGRAD_CACHE_DIR": str(tmp_path), "FUNCGRAD_CACHE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"directory  {tmp_path}\n" in run.stdout
    assert "state      off: config.cache is False\n" in run.stdout


def test_switched_off(place: Path) -> None:
    config.update("cache", False)
    cache.put(KEY, b"code", {})
    assert not place.exists()
    assert cache.get(KEY) is None


def damage_content(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[-1] ^= 1
    length = bytearray(content)
    length[len(cache.FORMAT) + 32] ^= 1
    return [
        b"",
        content[:5],
        content[:50],
        content[:-1],
        content + b"x",
        bytes(flipped),
        bytes(length),
    ]


@pytest.mark.parametrize("which", range(7))
def test_damaged_entries_are_not_there_and_go(place: Path, which: int) -> None:
    cache.put(KEY, b"code" * 50, META)
    path = file_of(place)
    path.write_bytes(damage_content(path.read_bytes())[which])
    assert cache.get(KEY) is None
    assert not path.exists()
    cache.put(KEY, b"code", META)
    assert cache.get(KEY) == cache.Entry(b"code", META)


def test_an_entry_under_another_name_is_not_believed(place: Path) -> None:
    cache.put(KEY, b"code", {})
    file_of(place).rename(file_of(place, OTHER))
    assert cache.get(OTHER) is None


# The rule is about owners and write bits, which Windows does not have: there is nothing to test.
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners like these")
def test_files_that_others_may_write_are_not_run(place: Path) -> None:
    cache.put(KEY, b"code", {})
    file_of(place).chmod(0o666)
    assert cache.get(KEY) is None
    file_of(place).chmod(0o644)
    assert cache.get(KEY) is not None
    if os.geteuid() == 0:
        os.chown(file_of(place), 12345, 12345)
        assert cache.get(KEY) is None


def test_a_directory_in_the_place_of_an_entry(place: Path) -> None:
    file_of(place).mkdir(parents=True)
    with pytest.warns(UserWarning, match="cannot be kept"):
        cache.put(KEY, b"code", {})
    assert cache.get(KEY) is None
    assert cache.info().state.startswith("not written: ")


def test_a_file_in_the_place_of_the_directory(place: Path) -> None:
    place.write_text("in the way")
    assert cache.get(KEY) is None
    assert cache.info().state.startswith("not written: ")
    with pytest.warns(UserWarning, match="cannot be kept"):
        cache.put(KEY, b"code", {})
    assert cache.get(KEY) is None
    assert cache.info().entries == 0
    assert cache.clear() == 0


def test_an_impossible_directory() -> None:
    config.update("cache_dir", "/\0")
    cache._told.discard("/\0")
    with pytest.warns(UserWarning, match="embedded null"):
        cache.put(KEY, b"code", {})
    assert cache.get(KEY) is None
    assert cache.info().entries == 0


def test_a_directory_that_cannot_be_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(KEY, b"code", {})

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.warns(UserWarning, match=f"{re.escape(str(place))}.*Permission denied"):
        cache.put(OTHER, b"code", {})
    cache.put(OTHER, b"code", {})  # of one directory there is one warning
    assert cache.get(OTHER) is None
    assert cache.get(KEY) == cache.Entry(b"code", {})
    assert "Permission denied" in cache.info().state
    monkeypatch.undo()
    config.update("cache_dir", place)
    cache.put(OTHER, b"code", {})
    assert cache.info().state == "on"


# A disk that is full for every write, without filling one: a device of Linux.
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk to offer")
def test_a_full_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.open

    def full(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if str(path).endswith(".tmp"):
            os.close(really(path, flags, *rest, **named))
            return really("/dev/full", os.O_WRONLY)
        return really(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", full)
    with pytest.warns(UserWarning, match="No space left"):
        cache.put(KEY, b"code", {})
    assert cache.get(KEY) is None
    assert list(place.iterdir()) == []
    assert "No space left" in cache.info().state


ADDED = """
import funcgrad as fg

print("imported", flush=True)
f = fg.jit(lambda x: x * 2 + 1)
print(f(1.0), f(2))
"""


def test_a_directory_that_cannot_be_made_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "program.py").write_text(ADDED)
    store = tmp_path / "file" / "store"

    def run(**variables: str) -> Any:
        given = os.environ | {"FUNCGRAD_CACHE_DIR": str(store), **variables}
        command = [sys.executable, "-W", "always", "program.py"]
        return subprocess.run(
            command, env=given, cwd=tmp_path, capture_output=True, text=True, check=True
        )

    told = run()
    assert told.stdout == "imported\n3.0 5\n"
    (warning,) = [line for line in told.stderr.splitlines() if "Warning" in line]
    assert warning.startswith(f"{tmp_path / 'program.py'}:6: UserWarning: Compiled programs")
    assert f"{str(store)!r}: [Errno {errno.ENOTDIR}] {os.strerror(errno.ENOTDIR)}" in warning
    # Who keeps nothing, or compiles nothing, is told nothing.
    assert not run(FUNCGRAD_CACHE="0").stderr
    assert not run(FUNCGRAD_LOWERING="numpy").stderr


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    config.update("cache_dir", None)
    monkeypatch.setattr(cache, "_user_directory", homeless)
    cache.put(KEY, b"code", {})
    assert cache.get(KEY) is None
    assert cache.info().state.startswith("off: ")
    assert cache.clear() == 0


def test_the_user_directory_by_default() -> None:
    config.update("cache_dir", None)
    assert "funcgrad" in cache.info().directory


@pytest.mark.parametrize("caches", [None, "", "/var/tmp/caches", "/odd //place/"])
def test_the_user_directory_is_what_platformdirs_says(
    caches: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if caches is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", caches)
    known = platformdirs.user_cache_dir("funcgrad", False)
    assert cache._user_directory.__wrapped__() == known


def test_those_unused_for_longest_go_first(place: Path) -> None:
    config.update("cache_max_bytes", 10_000)
    keys = [f"{i:064x}" for i in range(12)]
    for i, key in enumerate(keys):
        cache.put(key, bytes(1000), {})
        os.utime(file_of(place, key), (i, i))
        assert cache.get(keys[0]) is not None  # always the last one used
    assert cache.info().bytes <= 10_000
    assert cache.get(keys[0]) is not None
    assert cache.get(keys[1]) is None
    assert cache.get(keys[-1]) is not None
    cache.put(OTHER, bytes(20_000), {})
    assert cache.get(OTHER) is None  # larger than all of the store


def test_remains_of_writers_that_died(place: Path) -> None:
    cache.put(KEY, b"code", {})
    old, fresh = place / f"{KEY}.{'0' * 16}.tmp", place / f"{KEY}.{'1' * 16}.tmp"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache._room.clear()  # as in a process that begins
    cache.put(OTHER, b"code", {})
    assert not old.exists()
    assert fresh.exists()
    cache.clear()
    assert not fresh.exists()


def test_several_writers_at_once(place: Path) -> None:
    config.update("cache_max_bytes", 20_000)
    keys, problems = [f"{i:064x}" for i in range(30)], list[BaseException]()

    def work(number: int) -> None:
        try:
            for key in keys:
                cache.put(key, key.encode() * 20, {"key": key})
                entry = cache.get(keys[(number * 7) % 30])
                assert entry is None or entry.meta["key"].encode() * 20 == entry.object_bytes
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert cache.info().bytes <= 30_000
    assert not [path for path in place.iterdir() if path.suffix == ".tmp"]


def test_two_processes(place: Path) -> None:
    code = (
        "from funcgrad.kernels.runtime import cache\n"
        "for i in range(60):\n"
        "    key = f'{i % 10:064x}'\n"
        "    cache.put(key, key.encode() * 500, {'i': i})\n"
        "    found = cache.get(key)\n"
        "    assert found is None or found.object_bytes == key.encode() * 500\n"
    )
    variables = {"FUNCGRAD_CACHE_DIR": str(place), "FUNCGRAD_CACHE_MAX_BYTES": "200000"}
    command = [sys.executable, "-W", "error", "-c", code]
    runs = [subprocess.Popen(command, env=os.environ | variables) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]


def test_texts_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "define i64 @program(i64 %i) {\n  ret i64 %i\n}"
    first = cache.compiled(text)
    monkeypatch.delattr(toolchain, "compile_text")
    assert cache.compiled(text) == first


def test_keys_tell_parts_apart() -> None:
    structured = np.dtype([("a", np.uint32), ("b", np.uint32)])
    parts: list[tuple[Any, ...]] = [
        (),
        ((),),
        ("a", "b"),
        ("ab",),
        (("a", "b"),),
        (["a"], "b"),
        ("1",),
        (1,),
        (1.0,),
        (True,),
        (None,),
        ("None",),
        (b"a",),
        (0.0,),
        (-0.0,),
        (1j,),
        ({"a": 1, "b": 2},),
        ({"a": 2, "b": 1},),
        (np.dtype(np.float16),),
        (np.dtype(ml_dtypes.bfloat16),),
        (structured,),
        (np.dtype("V8"),),
        ("\ud800",),
    ]
    keys = [cache.key_of(*part) for part in parts]
    assert len(set(keys)) == len(parts)
    assert all(re.fullmatch(cache.ENTRY, f"{key}.fgo") for key in keys)
    assert cache.key_of({"b": 2, "a": 1}) == cache.key_of({"a": 1, "b": 2})
    with pytest.raises(TypeError, match="A object cannot be a part of a key"):
        cache.key_of(object())


def test_keys_are_the_same_in_every_process() -> None:
    code = (
        "from funcgrad.kernels.runtime import cache\n"
        "print(cache.key_of('text', {'b': (1, 2.5), 'a': None}))"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


def test_the_keys_depend_on_all_files_that_define_primitives() -> None:
    def below(kind: type) -> Iterator[type]:
        for found in kind.__subclasses__():
            yield found
            yield from below(found)

    load_all()
    modules = {kind.__module__ for kind in below(Primitive)}
    ours = {name for name in modules if name.startswith("funcgrad.")}
    assert len(ours) > 30
    # Programs with primitives of `as_jax`, whose rules are its users', are not kept.
    assert {name.split(".")[1] for name in ours} - {"as_jax"} <= {*cache.COMPILER}


def test_an_edited_file_of_the_compiler_changes_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = cache._own_identity(), []

    class Edited:
        def __init__(self, entry: Any) -> None:
            self.name, self.path, self.is_dir = entry.name, entry.path, entry.is_dir
            self._stat = entry.stat

        def stat(self) -> Any:
            status = self._stat()
            seen.append(self.path)
            longer = self.path.endswith(os.path.join("emit", "maths.py"))
            size, when = status.st_size + longer, status.st_mtime_ns
            return SimpleNamespace(st_size=size, st_mtime_ns=when)

    scan = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda folder: contextlib.nullcontext(map(Edited, scan(folder)))
    )
    assert cache._own_identity() != before
    root = Path(cache.__file__).parents[2]
    assert {str(root / "config.py"), str(root / "primitives" / "arithmetic.py")} <= {*seen}
