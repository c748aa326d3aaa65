"""Each public name of jax.scipy is there, with parameters of the same names, kinds and defaults."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("jax")
MODULES = (
    "cluster.vq fft integrate interpolate linalg ndimage optimize signal sparse.linalg "
    "spatial.transform special stats"
).split()
# Where JAX has a name only to refuse it, or to serve its own registry of pytrees.
ABSENT = {
    "stats.gaussian_kde": "integrate_box set_bandwidth tree_flatten tree_unflatten".split(),
    "spatial.transform.Rotation": ["count", "index"],
    "spatial.transform.Slerp": ["count", "index"],
}


def public(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def parameters(function: Any) -> list[tuple[str, str, str]]:
    found = inspect.signature(function).parameters.values()
    return [(p.name, str(p.kind), repr(p.default)) for p in found]


def differences(theirs: Any, ours: Any, path: str) -> list[str]:
    """Names below path that are absent, or have other parameters."""
    found: list[str] = []
    for name in public(theirs):
        want, here = getattr(theirs, name), f"{path}.{name}"
        if name in ABSENT.get(path, []):
            continue
        if not hasattr(ours, name):
            # Attributes of instances are set when these are made.
            if inspect.isclass(theirs) and not callable(want):
                continue
            found.append(f"{here} is absent")
            continue
        got = getattr(ours, name)
        inner = isinstance(want, ModuleType) and want.__name__.startswith("jax.scipy")
        if inner or inspect.isclass(want):
            found += differences(want, got, here)
        if callable(want) and parameters(want) != parameters(got):
            found.append(f"{here}{inspect.signature(want)} is {inspect.signature(got)}")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_names_and_parameters_as_in_jax(name: str) -> None:
    theirs = importlib.import_module(f"jax.scipy.{name}")
    ours = importlib.import_module(f"funcgrad.scipy.{name}")
    assert not differences(theirs, ours, name)


def test_a_difference_is_noticed() -> None:
    theirs, ours = ModuleType("theirs"), ModuleType("ours")
    theirs.__dict__.update(f=lambda x, n=1: x, g=len)
    ours.__dict__.update(f=lambda x, n=2: x)
    assert differences(theirs, ours, "m") == ["m.f(x, n=1) is (x, n=2)", "m.g is absent"]
