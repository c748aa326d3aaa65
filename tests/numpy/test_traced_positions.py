"""Positions that are traced: what insert, delete and put do with them, and frexp's derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

A = np.arange(15, dtype=np.int32).reshape(5, 3)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("index", [0, 1, -1, 3, [2], [1, 1, 0], [-1, 3, 0], []])
def test_insert_at_traced_positions(axis: int | None, index: Any) -> None:
    where = np.asarray(index, np.int32)
    want = np.insert(A, where, 7, axis)
    got = fg.jit(lambda a, i: fnp.insert(a, i, 7, axis))(A, where)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("index", [2, [1, 4], [4, -5]])
def test_insert_of_rows_at_traced_positions(index: Any) -> None:
    rows, where = A[:2] + 100, np.asarray(index, np.int32)
    got = fg.jit(lambda i: fnp.insert(A, i, rows, 0))(where)
    np.testing.assert_array_equal(got, np.insert(A, where, rows, 0))


def test_insert_beyond_the_end_and_mapped() -> None:
    assert fg.jit(lambda i: fnp.insert(fnp.arange(3), i, 9))(77).tolist() == [0, 1, 2, 9]
    mapped = fg.vmap(lambda i: fnp.insert(fnp.arange(2), i, 9))(fnp.arange(3))
    assert mapped.tolist() == [[9, 0, 1], [0, 9, 1], [0, 1, 9]]
    slope = fg.grad(lambda v: fnp.insert(v, 1, v[0]) @ fnp.arange(4.0))(fnp.ones(3))
    assert slope.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("index", [1, [2, 0], [-1, 0], []])
def test_delete_of_traced_unique_positions(axis: int | None, index: Any) -> None:
    where = np.asarray(index, np.int32)
    got = fg.jit(lambda a, i: fnp.delete(a, i, axis, assume_unique_indices=True))(A, where)
    np.testing.assert_array_equal(got, np.delete(A, where, axis))
    with pytest.raises(fg.errors.ConcretizationTypeError, match="delete"):
        fg.jit(lambda i: fnp.delete(A, i, axis))(where)


@pytest.mark.parametrize(
    ("mode", "index", "values", "want"),
    [
        (None, [-9, -2, 5], [7, 6, 8], [7, 0, 6, 8]),
        ("clip", [9, -1], [9, 7], [7, 0, 0, 9]),
        ("wrap", [-7, 6, 7], [6, 8, 9], [0, 6, 8, 9]),
    ],
)
def test_put_out_of_range(mode: Any, index: list[int], values: list[int], want: Any) -> None:
    operands = np.zeros(4, np.int32), np.array(index), np.array(values)
    assert fnp.put(*operands, mode=mode, inplace=False).tolist() == want
    jnp = pytest.importorskip("jax.numpy")
    assert jnp.put(*operands, mode=mode, inplace=False).tolist() == want


def test_put_into_nothing() -> None:
    assert fnp.put(fnp.zeros(0), 0, 1.0, mode="wrap", inplace=False).shape == (0,)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_frexp_is_exact(dtype: str) -> None:
    values = [0.0, -0.0, 1.0, -3.0, 0.1, 6e4, 1e-7, 1e-40, 1.5e-45, np.inf, -np.inf, np.nan]
    x = fnp.array(values).astype(dtype)
    wide = np.asarray(x.astype("float32"))
    for call in (fnp.frexp, fg.jit(fnp.frexp)):
        mantissa, exponent = call(x)
        want = np.frexp(wide)
        np.testing.assert_array_equal(np.asarray(mantissa.astype("float32")), want[0])
        np.testing.assert_array_equal(exponent, np.where(np.isfinite(wide), want[1], 0))


def test_derivative_of_frexp() -> None:
    x = fnp.array([3.0, 0.0, -0.1, 5.0, np.inf])
    slopes = fg.vmap(fg.grad(lambda v: fnp.frexp(v)[0]))(x)
    assert slopes.tolist() == [0.25, 1.0, 8.0, 0.125, 1.0]
