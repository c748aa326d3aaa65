"""Transposes of products become products with their operands exchanged."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.passes.simplify import simplify


def names(function, *args):
    return [e.primitive.name for e in simplify(fg.make_jaxpr(function)(*args)).jaxpr.eqns]


A = fnp.asarray(np.arange(12.0, dtype=np.float32).reshape(3, 4))
B = fnp.asarray(np.arange(20.0, dtype=np.float32).reshape(4, 5))
BATCHED = (
    fnp.asarray(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)),
    fnp.asarray(np.arange(40.0, dtype=np.float32).reshape(2, 4, 5)),
)


def batched(a, b):
    return lax.dot_general(a, b, (((2,), (1,)), ((0,), (0,))))


@pytest.mark.parametrize(
    ("function", "args", "wanted"),
    [
        (lambda a, b: (a @ b).T, (A, B), ["dot_general"]),
        (lambda a, b: fnp.sin((a @ b).T), (A, B), ["dot_general", "sin"]),
        (
            lambda a, b: fnp.swapaxes(batched(a, b), 1, 2),
            BATCHED,
            ["dot_general"],
        ),
        # Somebody else reads the product, or it is permuted in another way.
        (lambda a, b: ((a @ b).T, a @ b), (A, B), ["dot_general", "transpose"]),
        (
            lambda a, b: fnp.transpose(batched(a, b), (1, 0, 2)),
            BATCHED,
            ["dot_general", "transpose"],
        ),
    ],
)
def test_which_transposes_go(function, args, wanted):
    assert names(function, *args) == wanted
    for ours, plain in zip(
        fg.tree.leaves(fg.jit(function)(*args)), fg.tree.leaves(function(*args)), strict=True
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-6)


def test_the_gradient_of_a_weight_is_no_transpose():
    found = names(fg.grad(lambda w: fnp.sum(fnp.sin(A @ w))), B)
    assert "transpose" not in found
    assert found.count("dot_general") == 2
