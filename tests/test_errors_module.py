"""The classes of the exceptions, and what their texts say."""

from __future__ import annotations

from typing import Any

import pytest

import funcgrad.numpy as fnp
from funcgrad import errors
from funcgrad.control.jitted import jit

NAMES = [
    "ConcretizationTypeError",
    "KeyReuseError",
    "NonConcreteBooleanIndexError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
    "UnexpectedTracerError",
]
OWN_NAMES = {"JAXTypeError": "FuncgradTypeError", "JAXIndexError": "FuncgradIndexError"}


@pytest.mark.parametrize("name", NAMES)
def test_bases_are_those_of_jax(name: str) -> None:
    ours = [base.__name__ for base in getattr(errors, name).__mro__]
    jax_errors = pytest.importorskip("jax.errors", reason="compares with the peer")
    theirs = [base.__name__ for base in getattr(jax_errors, name).__mro__]
    assert ours == [OWN_NAMES.get(base, base) for base in theirs if base != "_JAXErrorMixin"]


def test_a_leak_is_an_unexpected_tracer() -> None:
    assert issubclass(errors.LeakedTracerError, errors.UnexpectedTracerError)


def test_the_tree_in_the_docstring_names_every_class() -> None:
    classes = [name for name, value in vars(errors).items() if isinstance(value, type)]
    for name in classes:
        assert name == "Any" or name in str(errors.__doc__)


def branch(x: Any) -> Any:
    return x if x else -x


def convert(x: Any) -> Any:
    return float(x)


def index_list(x: Any) -> Any:
    return [1, 2][fnp.int32(x)]


def to_numpy(x: Any) -> Any:
    import numpy as np

    return np.asarray(x)


def mask(x: Any) -> Any:
    return fnp.ones(3)[fnp.ones(3) > x]


@pytest.mark.parametrize(
    ("function", "error", "advice"),
    [
        (branch, errors.TracerBoolConversionError, "lax.cond"),
        (convert, errors.ConcretizationTypeError, "static_argnums"),
        (index_list, errors.TracerIntegerConversionError, "static_argnums"),
        (to_numpy, errors.TracerArrayConversionError, "funcgrad.numpy"),
        (mask, errors.NonConcreteBooleanIndexError, r"where\(mask, x, 0\)"),
    ],
)
def test_texts_name_the_value_and_say_what_to_do(
    function: Any, error: type[Exception], advice: str
) -> None:
    with pytest.raises(error, match=advice) as caught:
        jit(function)(1.0)
    assert type(caught.value) is error
    assert "Tracer<" in str(caught.value)
    assert "test_errors_module.py" in str(caught.value)


def test_context_of_a_concretization_error() -> None:
    error = errors.ConcretizationTypeError("The length is traced.", "scan needs it.")
    assert str(error).startswith("The length is traced.\n  scan needs it.\n")
