"""Functions take the arguments that JAX's take: by the same places, by the same names."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

pytest.importorskip("jax")
MODULES = (
    "numpy numpy.linalg numpy.fft lax lax.linalg nn nn.initializers random tree tree_util image "
    "ops flatten_util example_libraries.optimizers experimental.layout experimental.mesh_utils "
    "experimental.multihost_utils sharding debug"
).split()
# How operations lay out results is said by jit(out_shardings=) (docs/from-jax.md).
LEFT_OUT = {"out_sharding", "to", "_dot_general"}
# JAX's are objects whose methods have `out` and `where` only to refuse them.
REFUSED = {"out", "where"}
# ufuncs here, whose operands have places only, as NumPy's.
UFUNCS = {"gcd", "lcm"}
# Classes of NumPy's or of JAX's own, which are no functions.
CLASSES = {"iinfo", "ConvGeneralDilatedDimensionNumbers", "PrecisionLike", "Initializer", "Shard"}


def parameters(function: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def differences(theirs: Any, ours: Any) -> list[str]:
    """What a call of JAX's function could say, and one of ours could not."""
    want, got = parameters(theirs), parameters(ours)
    if want is None:
        return []
    if got is None:
        return ["no signature"]
    P = inspect.Parameter
    places = [p for p in got if p.kind in (P.POSITIONAL_ONLY, P.POSITIONAL_OR_KEYWORD)]
    names = {p.name for p in got if p.kind is not P.POSITIONAL_ONLY}
    any_place, any_name = (
        any(p.kind is kind for p in got) for kind in (P.VAR_POSITIONAL, P.VAR_KEYWORD)
    )
    variadic = any(p.kind is P.VAR_POSITIONAL for p in want)
    found: list[str] = []
    for place, p in enumerate(want):
        if p.name in LEFT_OUT or (variadic and p.name in REFUSED):
            continue
        if p.kind in (P.POSITIONAL_ONLY, P.POSITIONAL_OR_KEYWORD) and not any_place:
            there = places[place].name if place < len(places) else None
            if there is None or (p.kind is P.POSITIONAL_OR_KEYWORD and there != p.name):
                found.append(f"{p.name} is at place {place}, ours has {there}")
        nameable = p.kind in (P.KEYWORD_ONLY, P.POSITIONAL_OR_KEYWORD)
        if nameable and p.name not in names and not any_name and not any_place:
            found.append(f"{p.name} can be named")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_arguments_as_in_jax(name: str) -> None:
    theirs = importlib.import_module(f"jax.{name}")
    ours = importlib.import_module(f"funcgrad.{name}")
    for each in dir(theirs):
        function = getattr(theirs, each)
        known = hasattr(ours, each) and each not in CLASSES | UFUNCS and not each.startswith("_")
        if known and callable(function) and not inspect.isclass(function):
            assert not differences(function, getattr(ours, each)), each
