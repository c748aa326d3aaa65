"""Contractions against einsum, by hand, and against JAX where it is installed."""

import numpy as np
import pytest

from funcgrad.config import config
from funcgrad.ir import dtypes
from funcgrad.primitives.contraction import (
    Precision,
    batch_matmul,
    canonicalize_precision,
    dot,
    dot_general,
)


def test_axes_come_in_order():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 2, 5, 3)), rng.normal(size=(5, 6, 2, 4))
    x, y = x.astype(np.float32), y.astype(np.float32)
    got = dot_general(x, y, (((2, 0), (0, 3)), ((1,), (2,))))
    np.testing.assert_allclose(np.asarray(got), np.einsum("abcd,cfba->bdf", x, y), rtol=1e-5)


def test_an_empty_contraction_is_zero():
    out = np.asarray(dot(np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)))
    np.testing.assert_array_equal(out, np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("dtype", [np.float16, dtypes.bfloat16])
def test_half_precisions_add_in_float32(dtype):
    x = np.ones(4096, dtype)
    assert np.asarray(dot(x, x)) == np.asarray(4096).astype(dtype)
    assert dot(x, x, preferred_element_type=np.float32).dtype == np.float32


def test_integers_wrap_around_or_widen():
    x = np.full(4, 100, np.int8)
    assert np.asarray(dot(x, x)) == np.int8(64)
    assert np.asarray(dot(x, x, preferred_element_type=np.int32)) == 40000


def test_the_wider_dtype_wins():
    assert dot(np.ones(2, np.float32), np.ones(2, np.int32)).dtype == np.float32


@pytest.mark.parametrize("given", ["highest", Precision.HIGHEST, ("float32", "highest")])
def test_precision_has_many_names(given):
    assert canonicalize_precision(given) == (Precision.HIGHEST, Precision.HIGHEST)


def test_precision_none_asks_the_config():
    assert config.default_matmul_precision is None
    assert canonicalize_precision(None) is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x, y: dot(x, y), ValueError, r"float32\[2,3\] and float32\[2,4\]"),
        (
            lambda x, y: dot_general(x, y, (((1,), (0,)), ((), ()))),
            TypeError,
            r"float32\[2,3\].*float32\[2,4\].*\(3,\) against \(2,\)",
        ),
        (lambda x, y: dot_general(x, y, (((2,), (0,)), ((), ()))), TypeError, "out of range"),
        (lambda x, y: dot_general(x, y, (((0,), (0,)), ((0,), (0,)))), TypeError, "disjoint"),
        (lambda x, y: dot_general(x, y, (((0,), (0,)), ((), ())), "best"), ValueError, "best"),
        (lambda x, y: batch_matmul(x[0], y[0]), ValueError, "one rank"),
        (
            lambda x, y: dot(
                x.astype(np.int32), x.T.astype(np.int32), preferred_element_type=np.int8
            ),
            TypeError,
            "narrower",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.complex64, np.bool_, np.uint8])
def test_against_jax(dtype):
    lax = pytest.importorskip("jax").lax
    rng = np.random.default_rng(1)
    x, y = (rng.integers(0, 9, s).astype(dtype) for s in ((3, 2, 4), (2, 4, 5)))
    numbers = (((2,), (1,)), ((1,), (0,)))
    want = np.asarray(lax.dot_general(x, y, numbers))
    got = np.asarray(dot_general(x, y, numbers))
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6)
    want = np.asarray(lax.batch_matmul(y, y.transpose(0, 2, 1)))
    np.testing.assert_allclose(np.asarray(batch_matmul(y, y.transpose(0, 2, 1))), want, rtol=1e-6)
