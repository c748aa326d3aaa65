"""Names that are loaded late are the ones a type checker sees, and each of them is there."""

import ast
import importlib
from pathlib import Path

import pytest

import funcgrad
from funcgrad import lax, nn
from funcgrad import numpy as fnp


def checked(module):
    """Names a module imports for type checkers only, with the module each is from."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    blocks = [n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
    return {
        alias.asname or alias.name: statement.module
        for block in blocks
        for statement in block.body
        for alias in statement.names
    }


def test_lax_lists_agree():
    assert checked(lax) == lax._homes


def test_numpy_lists_agree():
    late = {name: home for name, home in checked(fnp).items() if home is not None}
    assert late == fnp._homes
    assert {*checked(fnp)} - {*late} == {"fft", "linalg"}
    # Importing a module binds its name in the package, where a function's would be looked for.
    modules = {path.stem for path in Path(fnp.__file__).parent.glob("*.py")}
    assert modules.isdisjoint(late)


def test_nn_lists_agree():
    assert checked(nn) == nn._homes | {"initializers": None}


def test_top_level_lists_agree():
    assert checked(funcgrad) == funcgrad._names


@pytest.mark.parametrize("module", [funcgrad, fnp, lax, nn])
def test_every_name_is_there(module):
    for name in dir(module):
        assert getattr(module, name) is not None or name in ("__cached__", "newaxis")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense


def test_nn_names_are_those_of_their_families():
    for name, family in nn._homes.items():
        assert getattr(nn, name) is getattr(importlib.import_module(f"funcgrad.nn.{family}"), name)


def test_numpy_names_are_those_of_their_families():
    for name, family in fnp._homes.items():
        found = getattr(importlib.import_module(f"funcgrad.numpy.{family}"), name)
        assert getattr(fnp, name) is found


def test_lax_names_are_those_of_their_families():
    for name, family in lax._homes.items():
        assert getattr(lax, name) is getattr(importlib.import_module(f"funcgrad.{family}"), name)
