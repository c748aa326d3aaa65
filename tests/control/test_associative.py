"""associative_scan: against the sequential prefixes, for all parities of length, and its depth."""

import numpy as np
import pytest

from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.control.associative import associative_scan
from funcgrad.control.jitted import jit
from funcgrad.primitives.arithmetic import add, mul
from funcgrad.primitives.bits import or_
from funcgrad.primitives.reduction import reduce_sum

lengths = [0, 1, 2, 3, 4, 5, 8, 13]


def recurrence(p, q):
    """The composition of h → a·h + b with another such map."""
    return {"a": mul(p["a"], q["a"]), "b": add(mul(p["b"], q["a"]), q["b"])}


@pytest.mark.parametrize("n", lengths)
def test_sums_both_ways(n):
    x = np.arange(1, n + 1, dtype=np.float32)
    np.testing.assert_allclose(associative_scan(add, x), np.cumsum(x))
    np.testing.assert_allclose(associative_scan(add, x, reverse=True), np.cumsum(x[::-1])[::-1])
    np.testing.assert_allclose(jit(lambda x: associative_scan(add, x))(x), np.cumsum(x))


@pytest.mark.parametrize("axis", [1, -1])
def test_a_linear_recurrence_along_an_axis(axis):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 7)).astype(np.float32)
    found = associative_scan(recurrence, {"a": a, "b": b}, axis=axis)
    h, rows = np.zeros(3, np.float32), []
    for k in range(7):
        h = a[:, k] * h + b[:, k]
        rows.append(h)
    np.testing.assert_allclose(found["b"], np.stack(rows, 1), rtol=1e-4, atol=1e-5)


def test_not_commutative_order_is_kept():
    x = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(associative_scan(lambda a, b: a, x), np.zeros(5))
    np.testing.assert_array_equal(associative_scan(lambda a, b: b, x), x)
    np.testing.assert_array_equal(associative_scan(lambda a, b: a, x, reverse=True), np.full(5, 4))


def test_booleans():
    x = np.array([False, True, False, False])
    np.testing.assert_array_equal(associative_scan(or_, x), [False, True, True, True])


def test_gradient_and_batch():
    x = np.arange(1, 5, dtype=np.float32)
    gradient = grad(lambda x: reduce_sum(associative_scan(mul, x), (0,)))
    np.testing.assert_allclose(gradient(x), [33, 16, 10, 6])
    np.testing.assert_allclose(vmap(gradient)(np.stack([x, x])), [[33, 16, 10, 6]] * 2)


def test_depth_is_logarithmic():
    calls = []

    def counted(a, b):
        calls.append(1)
        return add(a, b)

    associative_scan(counted, np.ones(1024, np.float32))
    assert len(calls) <= 2 * 10


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: associative_scan(3, np.ones(2)), TypeError, "callable"),
        (lambda: associative_scan(add, np.ones(2), axis=1), ValueError, "out of bounds"),
        (lambda: associative_scan(add, ()), ValueError, "no arrays"),
        (lambda: associative_scan(recurrence, (np.ones(2), np.ones(3))), ValueError, "same extent"),
        (lambda: associative_scan(lambda a, b: (a, b), np.ones(4)), TypeError, "tree like"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
