"""Folds of narrow numbers over axes in the middle, in the forms that loops over them take."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

DTYPES = ("bfloat16", "float16", "int8", "uint8", "bool", "float8_e4m3fn")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((8, 200, 64), (1,)),
        ((3, 130, 5), (1,)),
        ((2, 90, 2, 33), (1,)),
        ((2, 90, 2, 33), (1, 2)),
        ((4, 3, 300, 7), (2,)),
        ((4, 3, 300, 7), (0, 2)),
        ((70, 33), (0,)),
    ],
)
@pytest.mark.parametrize("fold", ["sum", "max", "any"])
def test_folds_over_axes_in_the_middle(fold, shape, axes, dtype):
    x = np.random.default_rng(0).integers(0, 2, shape).astype("float32")
    x = fnp.asarray(x * np.arange(1, shape[-1] + 1) % 3).astype(dtype)

    def f(x):
        return getattr(fnp, fold)(x, axes)

    found, want = fg.jit(f)(x), getattr(np, fold)(np.asarray(x).astype("float32"), axes)
    assert found.dtype == f(x).dtype
    # Sums are rounded once: they are small whole numbers before that.
    want = np.asarray(want).astype(found.dtype).astype("float32")
    np.testing.assert_array_equal(np.asarray(found).astype("float32"), want)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("rows", [2, 66, 300, 5000])
@pytest.mark.parametrize("columns", [1, 3, 17, 200])
def test_means_of_columns(columns, rows, dtype):
    x = fnp.asarray(np.random.default_rng(2).integers(0, 3, (rows, columns)), dtype)

    def f(x):
        return x.mean(0), x - x.mean(0, keepdims=True), x.sum(0)

    for found, want in zip(fg.jit(f)(x), f(x), strict=True):
        eps = float(fnp.finfo(dtype).eps)
        found, want = (np.asarray(y).astype("float32") for y in (found, want))
        np.testing.assert_allclose(found, want, rtol=eps, atol=eps)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sums_of_what_is_put_together(dtype):
    def f(x):
        pads = [(1, 2)] * 3, [(2, 1)] * 3
        return fnp.concatenate([fnp.pad(x, p) for p in pads], 1).sum(1)

    x = fnp.asarray(np.random.default_rng(1).integers(0, 3, (8, 33, 1)), dtype)
    np.testing.assert_array_equal(np.asarray(fg.jit(f)(x)), np.asarray(f(x)))
