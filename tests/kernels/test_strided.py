"""Elements between which others lie are loaded and stored by whole rows, of any length."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

LENGTHS = (1, 3, 8, 9, 15, 17, 33, 100)
DTYPES = ("float32", "int32", "uint8", "int16", "bool", "float16")


def drawn(shape, dtype):
    values = np.random.default_rng(5).integers(-9, 9, shape)
    return values > 0 if dtype == "bool" else values.astype(dtype)


def compiled_as_numpy(f, *args, rtol=0.0):
    found = fg.jit(lambda *a: f(fnp, *a))(*map(fnp.asarray, args))
    np.testing.assert_allclose(found, f(np, *args), rtol=rtol, atol=rtol)


def complex_numbers(*shape):
    parts = np.random.default_rng(7).standard_normal((2, *shape)).astype(np.float32)
    return parts[0] + np.complex64(1j) * parts[1]


@pytest.mark.parametrize("step", [2, 3, 4, 5, -1, -2, -3, -4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_so_many(step, dtype):
    for n in LENGTHS:
        x = drawn((n,), dtype)
        compiled_as_numpy(
            lambda np, x: np.where(
                x[::step] == 0,
                x[::step],
                x[::step] ^ x[::step] if x.dtype.kind in "biu" else x[::step] * 2,
            ),
            x,
        )


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_and_stacks(count, dtype):
    for n in LENGTHS:
        x = drawn((n, count), dtype)
        compiled_as_numpy(lambda np, x: x[:, 0] * x[:, count - 1], x)
        compiled_as_numpy(lambda np, x: np.stack([x[:, k] * x[:, 0] for k in range(count)], -1), x)
        compiled_as_numpy(lambda np, x: x[::-1, ::-1] * x, x)
        compiled_as_numpy(lambda np, x: x * x[0] + x, x)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_folds_of_narrow_rows(count):
    for n in LENGTHS:
        x = drawn((n, count), "float32")
        compiled_as_numpy(lambda np, x: (x * x).sum(1), x)
        compiled_as_numpy(lambda np, x: x - x.max(1, keepdims=True) + x.argmax(1)[:, None], x)
        compiled_as_numpy(lambda np, x: x / (1 + np.abs(x).sum(1, keepdims=True)), x, rtol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda np, x: x * x + x,
        lambda np, x: np.abs(x),
        lambda np, x: np.exp(x),
        lambda np, x: np.conj(x)[::-1],
        lambda np, x: np.stack([x, x * x]).sum(0) * x,
        lambda np, x: (x * x + x) * (x * x + x).sum(0),
    ],
)
def test_complex_numbers(f):
    for n in LENGTHS:
        compiled_as_numpy(f, complex_numbers(n), rtol=1e-5)
        compiled_as_numpy(f, complex_numbers(n, 5), rtol=1e-5)


def test_complex_numbers_need_no_second_kernel():
    x = fnp.asarray(complex_numbers(100))
    assert str(fg.jit(lambda x: x * x + x).lower(x).loops).count("for ") == 1


@pytest.mark.parametrize("op", ["argmin", "argmax"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 3), (40, 17), (33, 100), (7, 65), (3, 4, 33)])
def test_places_of_extremes(op, dtype, shape):
    """Of equal extremes the first; NaN is more extreme than all; what a fold starts from counts."""
    x = drawn(shape, dtype)
    cases = [x, np.zeros_like(x)]
    if x.dtype.kind == "f":
        nan = x.copy()
        nan[1:] = np.nan
        cases += [nan, np.full_like(x, np.inf), np.full_like(x, -np.inf)]
    elif dtype != "bool":
        cases += [np.full_like(x, limit) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max)]
    for case in cases:
        for axis in (None, *range(x.ndim)):
            compiled_as_numpy(lambda np, x, axis=axis: getattr(np, op)(x, axis), case)
