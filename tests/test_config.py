"""Options: defaults, blocks, threads, the environment, and the signature in cache keys."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from funcgrad.config import config

# `funcgrad.config` is the object, which hides the module of that name from a plain import.
options: Any = importlib.import_module("funcgrad.config")

SWITCHES = "enable_x64 disable_jit debug_nans debug_infs check_tracer_leaks debug_key_reuse".split()
OF_RUNNING = "num_threads cache cache_dir cache_max_bytes".split()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    names = [*SWITCHES, "numpy_rank_promotion", "numpy_dtype_promotion", *OF_RUNNING]
    before = {name: config.read(name) for name in [*names, "default_matmul_precision"]}
    yield
    for name, value in before.items():
        config.update(name, value)


def in_thread(read: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(read()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("name", SWITCHES)
def test_switches(name: str) -> None:
    switch = getattr(options, name)
    assert config.read(name) is False
    with switch():
        assert config.read(name) is True
        with switch(False):
            assert config.read(name) is False
        assert config.read(name) is True
    with switch(True):
        assert config.read("jax_" + name) is True
    assert config.read(name) is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("numpy_rank_promotion", "raise"),
        ("numpy_dtype_promotion", "strict"),
        ("default_matmul_precision", "float32"),
    ],
)
def test_choices(name: str, value: str) -> None:
    before = config.read(name)
    with getattr(options, name)(value):
        assert config.read(name) == value
    assert config.read(name) == before
    with pytest.raises(ValueError, match=f"{name}='bad' is not understood: give one of .*{value}"):
        getattr(options, name)("bad")


def test_precision_can_be_unset_within_a_block() -> None:
    with options.default_matmul_precision("highest"), options.default_matmul_precision(None):
        assert config.default_matmul_precision is None


def test_update_takes_both_names_and_reaches_every_thread() -> None:
    config.update("jax_enable_x64", True)
    assert config.enable_x64 is True
    assert config.jax_enable_x64 is True
    assert in_thread(lambda: config.enable_x64) is True


def test_a_block_concerns_its_thread_only() -> None:
    with options.debug_nans():
        assert in_thread(lambda: config.debug_nans) is False


def test_update_within_a_block_shows_after_it() -> None:
    with options.enable_x64(False):
        config.update("enable_x64", True)
        assert config.enable_x64 is False
    assert config.enable_x64 is True


def test_checking_leaks() -> None:
    with options.checking_leaks():
        assert config.check_tracer_leaks is True


def test_blocks_end_by_exceptions_too() -> None:
    with pytest.raises(KeyError), options.enable_x64():
        raise KeyError
    assert config.enable_x64 is False


def test_one_block_object_can_be_entered_twice() -> None:
    block = options.enable_x64()
    with block:
        with block:
            pass
        assert config.enable_x64 is True
    assert config.enable_x64 is False


def test_decorator() -> None:
    @options.enable_x64()
    def read(depth: int) -> list[bool]:
        """Read the option."""
        return [config.enable_x64, *(read(depth - 1) if depth else [])]

    assert read(2) == [True, True, True]
    assert read.__doc__ == "Read the option."
    assert config.enable_x64 is False


def test_unknown_names_list_the_options() -> None:
    for act in (
        lambda: config.update("enable_x65", True),
        lambda: config.read("enable_x65"),
        lambda: config.enable_x65,
    ):
        with pytest.raises(AttributeError, match=r"enable_x65.*enable_x64, debug_nans"):
            act()


@pytest.mark.parametrize("value", ["yes", 2, None, [True]])
def test_switches_take_bools_only(value: Any) -> None:
    with pytest.raises(ValueError, match="enable_x64 takes a bool, got"):
        config.update("enable_x64", value)
    assert config.enable_x64 is False


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", "", 1 << 64])
def test_counts_are_whole_numbers_from_1_on(value: Any) -> None:
    for name in ("num_threads", "cache_max_bytes"):
        with pytest.raises(ValueError, match=f"{name}=.*give a whole number from 1 to "):
            config.update(name, value)
        config.update(name, 3)
        assert config.read(name) == 3


@pytest.mark.parametrize("name", options._options)
def test_a_variable_that_is_empty_counts_as_not_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("", " "):
        monkeypatch.setenv(f"FUNCGRAD_{name.upper()}", text)
        assert options._initial(name) == options._options[name][0]


@pytest.mark.parametrize("name", [n for n in options._options if n != "cache_dir"])
def test_a_variable_that_is_nonsense_is_named_with_its_value(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"FUNCGRAD_{name.upper()}"
    for text in ("nonsense", "-3", "1e9", "99999999999999999999"):
        monkeypatch.setenv(variable, text)
        with pytest.raises(ValueError, match=rf"^{variable}='{text}' is not understood: give "):
            options._initial(name)


def test_a_directory_is_a_path(tmp_path: Path) -> None:
    config.update("cache_dir", tmp_path)
    assert config.cache_dir == str(tmp_path)
    config.update("cache_dir", "~/programs")
    assert config.cache_dir == str(Path.home() / "programs")
    for value in (3, ""):
        with pytest.raises(ValueError, match="give the path of a directory"):
            config.update("cache_dir", value)
    config.update("cache_dir", None)
    assert config.cache_dir is None


def test_how_programs_run_is_no_part_of_the_signature() -> None:
    before = config.signature()
    config.update("num_threads", 7)
    config.update("cache", False)
    config.update("cache_dir", "here")
    assert config.signature() == before


def test_assignment_names_update() -> None:
    with pytest.raises(AttributeError, match=r"config\.update\('enable_x64', True\)"):
        config.enable_x64 = True


def test_signature_follows_blocks_and_updates_in_every_thread() -> None:
    at_first = config.signature()
    assert hash(config.signature()) == hash(at_first)
    assert config.signature() is at_first
    with options.enable_x64():
        within = config.signature()
        assert within != at_first
        assert in_thread(config.signature) == at_first
        config.update("numpy_rank_promotion", "raise")
        assert config.signature() not in (within, at_first)
    assert config.signature() != at_first
    config.update("numpy_rank_promotion", "allow")
    assert config.signature() == at_first


def test_a_running_thread_sees_an_update_in_its_signature() -> None:
    ready, updated = threading.Event(), threading.Event()
    found: list[Any] = []

    def work() -> None:
        found.append(config.signature())
        ready.set()
        updated.wait(10)
        found.append(config.signature())

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    config.update("debug_infs", True)
    updated.set()
    thread.join()
    assert found[0] != found[1] == config.signature()


def from_environment(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from funcgrad.config import config; {code}"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_environment() -> None:
    run = from_environment(
        "print(config.enable_x64, config.numpy_rank_promotion, config.default_matmul_precision)",
        FUNCGRAD_ENABLE_X64="True",
        FUNCGRAD_NUMPY_RANK_PROMOTION="warn",
        FUNCGRAD_DEFAULT_MATMUL_PRECISION="float32",
    )
    assert run.stdout.split() == ["True", "warn", "float32"], run.stderr


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        ("FUNCGRAD_ENABLE_X64", "maybe", "give 1, true"),
        ("FUNCGRAD_NUMPY_DTYPE_PROMOTION", "lax", "give one of standard, strict"),
    ],
)
def test_bad_environment_is_told_at_import(variable: str, text: str, allowed: str) -> None:
    run = from_environment("", **{variable: text})
    assert run.returncode != 0
    assert f"ValueError: {variable}={text!r} is not understood: {allowed}" in run.stderr
