"""Large products of narrow numbers are widened once, and rounded once."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax


def normal(shape, dtype, seed):
    x = np.random.default_rng(seed).normal(size=shape)
    return fnp.asarray(x.astype("f4")).astype(dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("ij,jk->ik", (33, 70), (70, 45)),
        ("bij,bjk->bik", (5, 20, 31), (5, 31, 17)),
        ("ij,kj->ki", (64, 40), (30, 40)),
        ("bhqd,bhkd->bhqk", (2, 3, 16, 24), (2, 3, 20, 24)),
    ],
)
@pytest.mark.parametrize("preferred", [None, "float32"])
def test_sums_are_float32s_and_rounded_once(dtype, text, left, right, preferred):
    x, y = normal(left, dtype, 1), normal(right, dtype, 2)

    def product(x, y):
        return fnp.einsum(text, x, y, preferred_element_type=preferred)

    found = fg.jit(product)(x, y)
    assert found.dtype == (preferred or dtype)
    exact = np.einsum(text, np.asarray(x).astype("f8"), np.asarray(y).astype("f8"))
    epsilon = float(fnp.finfo(found.dtype).eps)
    np.testing.assert_allclose(
        np.asarray(found).astype("f8"), exact, rtol=epsilon, atol=1e-5 * abs(exact).max()
    )
    assert "float32" in str(fg.jit(product).lower(x, y).simplified)


def test_gradients_keep_their_dtype():
    w, x = normal((40, 50), "bfloat16", 3), normal((60, 40), "bfloat16", 4)

    def loss(w):
        return fnp.sum(fnp.tanh(x @ w).astype("float32") ** 2)

    found, wanted = fg.jit(fg.grad(loss))(w), fg.grad(loss)(w)
    assert found.dtype == wanted.dtype == "bfloat16"
    scale = np.abs(np.asarray(wanted).astype("f4")).max()
    np.testing.assert_allclose(
        np.asarray(found).astype("f4"), np.asarray(wanted).astype("f4"), atol=0.02 * scale
    )


def test_small_products_matrices_times_vectors_and_integers_stay_as_they_are():
    square, column = normal((300, 300), "bfloat16", 5), normal((300,), "bfloat16", 6)
    whole = np.arange(90_000, dtype=np.int8).reshape(300, 300)
    for f, args in (
        (fnp.dot, (square[:9, :9], square[:9, :9])),
        (fnp.dot, (square, column)),
        (fnp.matmul, (whole, whole)),
    ):
        simplified = str(fg.jit(f).lower(*args).simplified)
        assert simplified.count("dot_general") == 1 and "convert_element_type" not in simplified


def test_integers_with_float_sums_are_widened():
    x = np.arange(-64, 64, dtype=np.int8).repeat(40).reshape(128, 40)
    numbers = (((1,), (1,)), ((), ()))
    f = fg.jit(lambda x: lax.dot_general(x, x, numbers, preferred_element_type="float32"))
    wanted = x.astype("f8") @ x.T.astype("f8")
    np.testing.assert_array_equal(np.asarray(f(x)), wanted)
