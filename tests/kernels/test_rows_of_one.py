"""Values of one element a turn stay in registers; rows that turns share are not done by lanes."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(2, 2), (2, 33, 5)])
def test_two_quantiles_of_one_array(shape, dtype):
    x = fnp.asarray(np.random.default_rng(0).normal(size=shape).astype(np.float32)).astype(dtype)

    for axis in range(len(shape)):

        def both(a, axis=axis):
            upper = fnp.nanquantile(a, 0.3, axis=axis, method="higher")
            return fnp.nanmedian(a, axis=axis), upper

        for got, wanted in zip(fg.jit(both)(x), both(x), strict=True):
            np.testing.assert_array_equal(
                np.asarray(got, np.float32), np.asarray(wanted, np.float32)
            )


def test_a_joined_array_is_read_beyond_its_ends_under_a_guard():
    def rolled(x):
        return fnp.roll(x, 1) * x

    def solved(x):
        return lax.custom_linear_solve(
            lambda y: y * (2 + x * x), rolled(x), lambda _, b: b / (2 + x * x), symmetric=True
        )

    def root(x):
        found = lax.custom_root(
            lambda y: y * 3 - x, x * 0, lambda f, g: x / 3, lambda g, y: y / g(fnp.ones_like(y))
        )
        return found + solved(x)

    def descend(x):
        slope = fg.grad(lambda y: fnp.sum(fg.jit(root)(y) ** 2))
        return lax.scan(lambda c, _: (slope(c) * 0.5 + c * 0.2, None), x, None, length=2)[0]

    x = fnp.asarray([0.3, -1.2, 0.7], np.float32)
    np.testing.assert_allclose(fg.jit(descend)(x), descend(x), rtol=1e-6)
