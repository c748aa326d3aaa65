"""minmax and top_k: beside sorts and folds, compiled, mapped, differentiated; what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

ROWS = np.array([[3, -1, 3, 0, -7], [0, 2, -5, 2, 2]])
FLOATS = np.array([[np.nan, 1, -np.inf, 2, -0.0, 0], [np.inf, 1, 1, -2, np.nan, 1]], np.float32)
DTYPES = ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), (0, True), (-1, False)])
def test_minmax_is_min_and_max(dtype: str, axis: int | None, keepdims: bool) -> None:
    x = fnp.asarray(ROWS).astype(dtype)
    for f in (fnp.minmax, fg.jit(fnp.minmax, static_argnames=("axis", "keepdims"))):
        low, high = f(x, axis=axis, keepdims=keepdims)
        for got, fold in ((low, fnp.min), (high, fnp.max)):
            want = fold(x, axis=axis, keepdims=keepdims)
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


def test_minmax_of_parts() -> None:
    x, where = fnp.arange(5), np.array([False, True, True, False, False])
    assert [int(v) for v in fnp.minmax(x, where=where, initial=3)] == [1, 3]
    assert [int(v) for v in fnp.minmax(x, where=where, initial=(9, -9))] == [1, 2]
    assert [float(v) for v in fnp.minmax(fnp.zeros(0), initial=(1.0, 2.0))] == [1, 2]
    assert np.isnan([float(v) for v in fnp.minmax(FLOATS)]).all()
    low, high = fnp.minmax(np.array([2, 1 + 1j, 1], np.complex64))
    assert complex(low) == 1 and complex(high) == 2


@pytest.mark.parametrize("mode", ["largest", "smallest"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("k", "axis"), [(0, -1), (1, 0), (2, 0), (3, -1), (5, 1)])
def test_top_k_is_the_head_of_a_sort(mode: str, dtype: str, k: int, axis: int) -> None:
    x = fnp.asarray(ROWS).astype(dtype)
    order = fnp.argsort(x, axis, stable=True, descending=mode == "largest")
    want = fnp.take(order, fnp.arange(k), axis)

    def top(x: Any) -> Any:
        return fnp.top_k(x, k, axis=axis, mode=mode)

    for f in (top, fg.jit(top)):
        values, places = f(x)
        assert values.dtype == x.dtype and places.dtype == np.int32
        np.testing.assert_array_equal(np.asarray(places), np.asarray(want))
        picked = fnp.take_along_axis(x, places, axis)
        np.testing.assert_array_equal(np.asarray(values), np.asarray(picked))


def test_top_k_with_nan_and_least_integers() -> None:
    values, places = fnp.top_k(FLOATS, 6, mode="smallest")
    np.testing.assert_array_equal(places, [[2, 4, 5, 1, 3, 0], [3, 1, 2, 5, 0, 4]])
    np.testing.assert_array_equal(values, np.take_along_axis(FLOATS, np.asarray(places), 1))
    np.testing.assert_array_equal(fnp.top_k(FLOATS, 2)[1], [[0, 3], [4, 0]])
    ends = np.array([5, np.iinfo(np.int32).min, np.iinfo(np.int32).max], np.int32)
    np.testing.assert_array_equal(fnp.top_k(ends, 3, mode="smallest")[1], [1, 0, 2])


def test_top_k_mapped_and_differentiated() -> None:
    x = fnp.asarray(ROWS, dtype="float32")
    mapped = fg.vmap(lambda row: fnp.top_k(row, 2, mode="smallest"))(x)
    for got, want in zip(mapped, fnp.top_k(x, 2, mode="smallest"), strict=True):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(want))
    slope = fg.grad(lambda x: fnp.top_k(x, 2, mode="smallest")[0].sum())(x)
    np.testing.assert_array_equal(slope, [[0, 1, 0, 0, 1], [1, 0, 1, 0, 0]])


REFUSED = [
    (lambda: fnp.minmax(fnp.zeros(0)), ValueError, "minmax which has no identity"),
    (lambda: fnp.minmax(fnp.ones(2), where=np.array([True, False])), ValueError, "initial"),
    (lambda: fnp.minmax([1, 2]), TypeError, "asarray"),
    (lambda: fnp.minmax(fnp.ones(2), out=np.ones(2)), NotImplementedError, "out"),
    (lambda: fnp.top_k([1, 2], 1), TypeError, "asarray"),
    (lambda: fnp.top_k(ROWS, 6), ValueError, "6"),
    (lambda: fnp.top_k(ROWS, -1), ValueError, "nonnegative"),
    (lambda: fnp.top_k(ROWS, 1, axis=2), ValueError, "axis 2"),
    (lambda: fnp.top_k(np.float32(1), 1), ValueError, "axis -1"),
    (lambda: fnp.top_k(ROWS, 1, mode="least"), ValueError, "'largest' or 'smallest'"),
    (lambda: fnp.top_k(np.ones(2, np.complex64), 1), ValueError, "complex"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
