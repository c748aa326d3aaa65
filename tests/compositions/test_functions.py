"""Exponentials of matrices as GPUs compute them."""

import numpy as np
import pytest

from .running import both


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_exponentials(scale, dtype):
    draw = np.random.default_rng(3)
    x = draw.normal(size=(2, 4, 4)) * scale
    x[1] = 0.01 * x[1] - scale * np.eye(4)
    x = (x + (0.3j * x if dtype == "complex128" else 0)).astype(dtype)
    for name, args in (("expm", (x,)), ("expm_frechet", (x, x[::-1].copy()))):
        (found,), (wanted,) = both(name, *args)
        # Squares add up roundings of the size of the norm.
        rate = 1e-3 if dtype == "float32" else 1e-11
        for f, w in zip(found, wanted, strict=True):
            np.testing.assert_allclose(f, w, 0, rate * abs(w).max())


def test_the_exponential_of_what_is_not_finite():
    x = np.zeros((2, 3, 3))
    x[0, 1, 2] = np.inf
    np.testing.assert_array_equal(*both("expm", x))
