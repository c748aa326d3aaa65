"""Operators of lax that are formulas: values, derivatives, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.test_util import check_grads

X = np.array([-1.5, -1.0, -1e-9, 0.0, 0.25, 0.99999, 2.0], np.float32)


def test_log2() -> None:
    x = np.array([8, 0.3, 0, -1, np.inf], np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(lax.log2(x), np.log2(x), rtol=1e-6)
    np.testing.assert_allclose(lax.log2(np.complex64(1 + 2j)), np.log2(1 + 2j), rtol=1e-6)
    with pytest.raises(TypeError, match="floating"):
        lax.log2(8)


def test_one_minus_square_keeps_what_cancels() -> None:
    exact = 1 - X.astype(np.float64) ** 2
    for f in (lax.one_minus_square, fg.jit(lax.one_minus_square)):
        np.testing.assert_allclose(f(X), exact, rtol=3e-7)
    for derivative in (fg.grad, fg.jacfwd):
        slopes = fg.vmap(derivative(lax.one_minus_square))(X)
        np.testing.assert_array_equal(slopes, -2 * X)
    np.testing.assert_array_equal(fg.vmap(fg.grad(fg.grad(lax.one_minus_square)))(X), -2 + 0 * X)
    assert int(lax.one_minus_square(np.uint8(3))) == 248
    with pytest.raises(TypeError, match="bool"):
        lax.one_minus_square(True)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 20])
@pytest.mark.parametrize("unroll", [None, 1, 30])
def test_polynomial(count: int, unroll: int | None) -> None:
    terms = [float(t) for t in np.random.default_rng(count).normal(size=count)]
    x = X.astype(np.float64) / 2

    def f(x: Any) -> Any:
        return lax.polynomial(x, terms, unroll=unroll)

    with fg.enable_x64():
        np.testing.assert_allclose(f(x), np.polynomial.polynomial.polyval(x, terms), rtol=1e-12)
        np.testing.assert_allclose(fg.jit(f)(x), f(x), rtol=1e-12)
        check_grads(f, (x,), order=2)


def test_polynomial_of_arrays() -> None:
    x, row = np.ones((2, 3), np.float32), np.arange(3, dtype=np.float32)[None]
    np.testing.assert_array_equal(lax.polynomial(x, [row, 2]), x * 2 + row)
    assert lax.polynomial(x, [row] * 12).shape == (2, 3)
    np.testing.assert_array_equal(lax.polynomial(x, []), 0 * x)
    whole = lax.polynomial(np.arange(3), [1.5, 2])
    assert whole.dtype.kind == "i" and [int(v) for v in whole] == [1, 3, 5]
    with pytest.raises(TypeError, match="rank"):
        lax.polynomial(x, [row[0], 2])
    with pytest.raises(ValueError, match="broadcast"):
        lax.polynomial(x, [np.ones((2, 2), np.float32)])
    assert fnp.shape(fg.jit(lambda x: lax.polynomial(x, [1, 2]))(2.0)) == ()
