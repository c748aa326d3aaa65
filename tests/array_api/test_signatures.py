"""Every name of the array API standard exists and can be called in each way the standard allows."""

from __future__ import annotations

import importlib.util
import inspect
import math
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

_spec = importlib.util.spec_from_file_location("standard", Path(__file__).parent / "standard.py")
assert _spec is not None and _spec.loader is not None
standard = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(standard)

EMPTY = inspect.Parameter.empty

# JAX's signatures, kept: None stands for the default of the standard, and arrays that cannot be
# changed need no copy.
OTHER_DEFAULTS = {
    "arange": {"step": None},
    "argmax": {"keepdims": None},
    "argmin": {"keepdims": None},
    "astype": {"copy": False},
    "std": {"correction": None},
    "var": {"correction": None},
    **{line.partition("(")[0]: {"norm": None} for line in standard.SIGNATURES if "norm=" in line},
}


def faults(
    function: Any, wanted: inspect.Signature, others: dict[str, Any] | None = None
) -> list[str]:
    """What a caller who follows the standard would stumble on."""
    others = others or {}
    ours = inspect.signature(function).parameters
    by_place = [p for p in ours.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    starred = any(p.kind is p.VAR_POSITIONAL for p in ours.values())
    options = any(p.kind is p.VAR_KEYWORD for p in ours.values())
    found = []
    for place, p in enumerate(wanted.parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            found += [] if starred else [f"takes no *{p.name}"]
            continue
        own = ours.get(p.name)
        if p.kind is not p.POSITIONAL_ONLY:
            if own is None or own.kind is own.POSITIONAL_ONLY:
                found += [] if options else [f"has no keyword {p.name}"]
                continue
            default = others.get(p.name, p.default)
            if own.default != default and p.default is not EMPTY:
                found.append(f"{p.name}={own.default!r}, not {default!r}")
        if p.kind is not p.KEYWORD_ONLY and not starred:
            if place >= len(by_place):
                found.append(f"takes no {p.name} at place {place}")
            elif p.kind is p.POSITIONAL_OR_KEYWORD and by_place[place].name != p.name:
                found.append(f"has {by_place[place].name} where {p.name} belongs")
    needed = [n for n, p in wanted.parameters.items() if p.default is EMPTY]
    asked = [
        p.name
        for place, p in enumerate(ours.values())
        if p.default is EMPTY
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and p.name not in needed
        and (place >= len(needed) or p.kind is p.KEYWORD_ONLY)
    ]
    return found + [f"asks for {name}" for name in asked]


@pytest.mark.parametrize("line", standard.SIGNATURES)
def test_functions_are_called_as_the_standard_says(line: str) -> None:
    name, wanted = standard.parsed(line)
    function = reduce(getattr, name.split("."), fnp)
    assert not faults(function, wanted, OTHER_DEFAULTS.get(name))


@pytest.mark.parametrize("line", standard.METHODS)
@pytest.mark.parametrize("traced", [False, True], ids=["array", "tracer"])
def test_arrays_have_the_methods(line: str, traced: bool) -> None:
    name, wanted = standard.parsed(line)
    if traced and "dlpack" in name:
        return  # there is no memory to give away
    found: list[Any] = []

    def look(x: Any) -> Any:
        found.extend(faults(getattr(x, name), wanted))
        return x

    (fg.make_jaxpr(look) if traced else look)(fnp.ones((2, 2)))
    assert not found


@pytest.mark.parametrize("line", standard.INSPECTION)
def test_the_namespace_answers(line: str) -> None:
    name, wanted = standard.parsed(line)
    assert not faults(getattr(fnp.__array_namespace_info__(), name), wanted)


def test_attributes_and_constants() -> None:
    for x in (fnp.ones((2, 3)), fnp.int32(3), fnp.zeros(0, bool)):
        assert not [name for name in standard.ATTRIBUTES if name != "mT" and not hasattr(x, name)]
    assert fnp.ones((2, 3)).mT.shape == (3, 2)
    assert [getattr(fnp, name) for name in ("e", "inf", "pi")] == [math.e, math.inf, math.pi]
    assert math.isnan(fnp.nan) and fnp.newaxis is None
    for name in ("e", "inf", "nan", "pi"):
        assert type(getattr(fnp, name)) is float


def test_the_faults_that_this_test_sees() -> None:
    def missing(x: Any) -> None: ...

    def renamed(x: Any, *, along: int = 0) -> None: ...

    def other(x: Any, *, axis: int = 1) -> None: ...

    def asking(x: Any, more: Any, *, axis: int = 0) -> None: ...

    _, wanted = standard.parsed("f(x, /, *, axis=0)")
    assert faults(missing, wanted) == ["has no keyword axis"]
    assert faults(renamed, wanted) == ["has no keyword axis"]
    assert faults(other, wanted) == ["axis=1, not 0"]
    assert faults(asking, wanted) == ["asks for more"]
