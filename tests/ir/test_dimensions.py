"""Extents that depend on sizes unknown: their arithmetic, and shapes of functions of them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.errors import InconclusiveDimensionOperation
from funcgrad.ir.dimensions import SymbolicScope, symbolic_shape

Struct = fg.ShapeDtypeStruct


def shape_of(f: Any, *shapes: Any) -> tuple[str, ...]:
    return tuple(map(str, fg.eval_shape(f, *(Struct(s, "float32") for s in shapes)).shape))


def test_arithmetic_is_known_by_its_values() -> None:
    b, twice = symbolic_shape("b, 2 * b + 1")
    assert str(twice) == "(2 * b) + 1"
    assert b + b + 1 == twice
    assert (b - b, b * 0, b // b, b % 1) == (0, 0, 1, 0)
    assert b + 0 is b
    assert b * 1 is b
    assert 2 * b == b * 2
    assert (b != twice, b != 211, hash(b + 1) == hash(1 + b)) == (True, True, True)
    assert {b: 1}[twice - b - 1] == 1
    assert -b + b == 0
    assert 7 - b == -(b - 7)
    assert (b + 1) ** 2 == b * b + 2 * b + 1


@pytest.mark.parametrize("text", ["max(b, 3)", "min(b, 3)", "b % 2", "b // 7", "mod(b, 211)"])
def test_what_is_not_linear_is_neither_a_number_nor_the_size(text: str) -> None:
    b, other = symbolic_shape(f"b, {text}")
    assert not isinstance(other, int)
    assert other != b


def test_comparisons_answer_where_all_sizes_agree() -> None:
    b, twice = symbolic_shape("b, 2 * b")
    assert b >= 1
    assert b <= b
    assert twice >= b
    assert not b < 1
    for ask in (lambda: b > 1, lambda: b > 5, lambda: b < 5, lambda: twice > 3, lambda: b <= 2):
        with pytest.raises(InconclusiveDimensionOperation, match="depends on sizes unknown"):
            ask()
    (large,) = symbolic_shape("b", constraints=["b >= 7"])
    assert large > 5
    assert 2 * large >= 14


def test_extents_are_no_integers() -> None:
    (b,) = symbolic_shape("b")
    for use in (int, range, lambda d: [0][d], lambda d: fnp.zeros((d,))):
        with pytest.raises((InconclusiveDimensionOperation, TypeError)):
            use(b)
    struct = Struct((b, 3), "float32")
    assert (struct.ndim, struct.dtype, struct.shape) == (2, "float32", (b, 3))
    assert struct == Struct((b, 3), "float32")
    assert struct != Struct((3, b), "float32")
    with pytest.raises(InconclusiveDimensionOperation, match=r"shape=\(b, 3\).*eval_shape takes"):
        fg.jit(fnp.sin).lower(struct)


def test_shapes_of_functions() -> None:
    scope = SymbolicScope()
    b, c = symbolic_shape("b, c", scope=scope)
    assert shape_of(lambda x: fnp.concatenate([x, x]), (b, 3)) == ("2 * b", "3")
    assert shape_of(lambda x: x.reshape(-1), (b, 3)) == ("3 * b",)
    assert shape_of(lambda x: x.sum(0), (b, 3)) == ("3",)
    assert shape_of(lambda x: fnp.pad(x, (1, 1)), (b,)) == ("b + 2",)
    assert shape_of(fnp.matmul, (b, 4), (4, c)) == ("b", "c")
    assert shape_of(lambda x, y: x[:, None] * y, (b,), (c,)) == ("b", "c")
    (half,) = fg.eval_shape(lambda x: x[::2], Struct((b,), "float32")).shape
    assert half == (b + 1) // 2
    again = fg.eval_shape(lambda x: fnp.stack([x, x]), Struct((half, 1), "int32"))
    assert again.shape == (2, half, 1)
    tree = fg.eval_shape(lambda x: {"a": x, "n": (1.0, x.T)}, Struct((b, 2), "float16"))
    assert tree["n"][1] == Struct((2, b), "float16")
    assert tree["n"][0].weak_type


def test_functions_must_fit_every_size() -> None:
    (b,) = symbolic_shape("b")
    with pytest.raises(TypeError, match="incompatible|shapes"):
        shape_of(lambda x: x + fnp.ones(211), (b,))
    with pytest.raises(InconclusiveDimensionOperation, match="depends on sizes unknown"):
        fg.eval_shape(lambda x: [x] * (x.shape[0] % 5), Struct((b,), "float32"))


def test_texts_of_shapes() -> None:
    scope = SymbolicScope(["b >= 2", "b <= 4000"])
    assert symbolic_shape("(b, 3)", scope=scope) == (scope.size("b"), 3)
    assert symbolic_shape("b,", scope=scope) == (scope.size("b"),)
    assert symbolic_shape("") == ()
    assert symbolic_shape(None, like=(1, 2)) == (1, 2)
    assert symbolic_shape("4, _, ...", like=(1, 2, 3, 5)) == (4, 2, 3, 5)
    wrong = {
        "b +": "invalid syntax",
        "b, 'x'": "is no extent",
        "b / 2": "is no extent",
        "b, _": "give `like`",
        "f(b)": "is no extent",
    }
    for text, message in wrong.items():
        with pytest.raises(ValueError, match=message):
            symbolic_shape(text)
    with pytest.raises(ValueError, match="do not hold for the sizes"):
        symbolic_shape("b", constraints=["b <= 8"])
    with pytest.raises(ValueError, match="is no comparison"):
        symbolic_shape("b", constraints=["b + 1"])
    with pytest.raises(ValueError, match="where the scope is made"):
        symbolic_shape("b", scope=scope, constraints=["b >= 3"])
    with pytest.raises(ValueError, match="of different scopes"):
        symbolic_shape("b")[0] + symbolic_shape("b")[0]


SAME = """
import jax, jax.numpy as jnp
from jax.export import symbolic_shape, is_symbolic_dim
S = jax.ShapeDtypeStruct
b, c = symbolic_shape("b, c")
functions = [
    lambda x: x.sum(0), lambda x: x[:, 1:], lambda x: jnp.stack([x] * 4, 1), lambda x: x * 2.0,
    lambda x: x @ x.T, lambda x: x.reshape(-1, 2), lambda x: x[::3], lambda x: jnp.tril(x.T @ x),
]
known = []
for f in functions:
    shape = jax.eval_shape(f, S((b, 6), "int32")).shape
    known.append([None if is_symbolic_dim(d) else d for d in shape])
def ask(f):
    try:
        return f()
    except jax.errors.InconclusiveDimensionOperation:
        return "inconclusive"
questions = [
    lambda: b > 5, lambda: b >= 1, lambda: b == c, lambda: b + c == c + b, lambda: b - b,
    lambda: 2 * b >= b, lambda: int(b), lambda: b * c - c * b, lambda: (b + 1) * 2 == 2 * b + 2,
    lambda: symbolic_shape("b", constraints=["b >= 7"])[0] > 5, lambda: hash(b) == hash(b + 0),
    lambda: [jax.core.is_constant_dim(d) for d in (b, 3)],
]
print(known, [ask(f) for f in questions])
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed here")
def test_answers_are_those_of_jax() -> None:
    def printed(*command: str) -> str:
        run = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        return run.stdout

    assert printed("-m", "funcgrad.as_jax", "-c", SAME) == printed("-c", SAME)
