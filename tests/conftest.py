"""Settings for all tests: how Hypothesis searches, and shapes checked at run time."""

from __future__ import annotations

import builtins
import inspect
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import beartype
import hypothesis
import jaxtyping
import pytest

# Programs compiled by tests are kept apart from the user's. Workers inherit the directory.
STORE = None
if "FUNCGRAD_CACHE_DIR" not in os.environ:
    STORE = os.environ["FUNCGRAD_CACHE_DIR"] = tempfile.mkdtemp(prefix="funcgrad-tests-")


def pytest_unconfigure() -> None:
    """Whoever made the directory removes it, after the last test."""
    if STORE is not None:
        shutil.rmtree(STORE, ignore_errors=True)


class Key(jaxtyping.AbstractDtype):
    """Arrays of keys; the scalar class of their dtype bears the name of the generator."""

    dtypes = ["fry"]


def check_what_was_accepted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The check of a call's types, put off until the call has returned.

    jaxtyping checks twice: arguments before the call, and arguments together with the result after
    it. Here the first check passes everything, so that bad arguments reach the library's own
    errors, which tests are about; what is accepted against the annotations, the second finds.
    """
    # Only the second check has a parameter for the result.
    results = [p for p in inspect.signature(function).parameters if re.fullmatch(r"ret\d+", p)]
    return beartype.beartype(function) if results else function


# The library names these in annotations only, and imports them for type checkers alone; here they
# are there at run time too, so that annotations can be evaluated.
for _name in ("Float", "Integer", "Num", "Real", "Shaped", "UInt32"):
    setattr(builtins, _name, getattr(jaxtyping, _name))
for _own in (Key, check_what_was_accepted):
    setattr(builtins, _own.__name__, _own)

# Before funcgrad is imported: in these packages the shapes in annotations are checked at each call.
jaxtyping.install_import_hook(["funcgrad.optim"], "beartype.beartype")
jaxtyping.install_import_hook(
    [f"funcgrad.{name}" for name in ("image", "nn", "numpy", "ops", "random", "scipy")],
    "builtins.check_what_was_accepted",
)

# The time of one example says more about the machine than about the code: no deadline. In CI the
# examples are the same each time, so that a change is blamed only for what it did.
hypothesis.settings.register_profile("local", deadline=None, max_examples=30)
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=30, derandomize=True, database=None
)
# For a night: pytest --hypothesis-profile=long tests/kernels/test_fuzz.py
hypothesis.settings.register_profile("long", deadline=None, max_examples=3000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure() -> None:
    """Whatever a test compiles, the compiler's stages are checked."""
    from funcgrad.kernels import checking, pipeline

    pipeline.watchers.append(lambda stages: checking.check(stages.block, stages.memory))


def pytest_addoption(parser: object) -> None:
    """`--golden=update` rewrites the golden files from what the code does now."""
    parser.addoption("--golden", choices=["check", "update"], default="check")


@pytest.fixture
def cpus():
    """Gives a function that makes the CPU count as so many devices."""
    from funcgrad.config import config

    yield lambda count: config.update("num_cpu_devices", count)
    config.update("num_cpu_devices", None)
