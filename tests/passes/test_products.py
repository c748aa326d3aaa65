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

ROWS = np.ones((3, 5), np.float32)
SUM = ["dot_general", "dot_general", "add"]


def twice(x):
    return (x + x).T


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
        # Functions of single elements of products.
        (lambda a, b: (a @ b + (2 * a) @ b).T, (A, B), ["dot_general", "mul", *SUM[1:]]),
        (lambda a, b: (0.5 * fnp.sin(a @ b)).T, (A, B), ["dot_general", "sin", "mul"]),
        (
            lambda a, b: fnp.swapaxes(batched(a, b) * batched(a + 1, b), 1, 2),
            BATCHED,
            ["dot_general", "add", "dot_general", "mul"],
        ),
        # What is no product, or stretched, or read by somebody else, would have to be permuted.
        (lambda a, b: (a @ b + A[:, :1]).T, (A, B), ["dot_general", "slice", "add", "transpose"]),
        (lambda a, b: (a @ b + ROWS).T, (A, B), [*SUM[1:], "transpose"]),
        (lambda a, b: twice(fnp.sin(a @ b)), (A, B), ["dot_general", "sin", "add", "transpose"]),
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


def test_neither_is_its_tangent():
    """It is a sum of two products, for both factors change."""

    def loss(w, v):
        return fnp.sum(fnp.sin(fnp.sin(A @ w) @ v))

    weights = (B, fnp.ones((5, 2)))
    found = names(lambda w: fg.jvp(fg.grad(loss, (0, 1)), w, w)[1], weights)
    assert "transpose" not in found


def test_long_sums_are_followed_to_their_ends():
    def total(*arrays):
        return sum((a @ B for a in arrays[1:]), arrays[0] @ B).T

    found = names(total, *[A + k for k in range(1500)])
    assert "transpose" not in found and found.count("dot_general") == 1500
