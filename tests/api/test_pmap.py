"""pmap on CPU devices, beside what is compared with JAX."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import lax

X = np.arange(12.0, dtype=np.float32).reshape(4, 3)


def test_keywords_trees_and_axes(cpus):
    cpus(4)

    def f(d, scale=None):
        return {"sum": lax.psum(d["x"], "i"), "own": d["x"] * scale}, lax.axis_index("i")

    out, index = fg.pmap(f, axis_name="i", out_axes=({"sum": None, "own": 1}, 0))({"x": X}, scale=X)
    np.testing.assert_array_equal(out["sum"], X.sum(0))
    np.testing.assert_array_equal(out["own"], (X * X).T)
    np.testing.assert_array_equal(index, np.arange(4))


def test_it_is_jitted_and_donates(cpus):
    cpus(2)
    calls = []

    @fg.pmap
    def f(x):
        calls.append(1)
        return x + 1

    assert f(X[:2]).shape == (2, 3) and f(X[:2]).shape == (2, 3) and len(calls) == 1
    given = fg.numpy.asarray(X[:2])
    fg.pmap(lambda x: x + 1, donate_argnums=0)(given)
    assert given.is_deleted()


def test_under_vmap_and_inside_jit(cpus):
    cpus(2)
    f = fg.pmap(lambda x: x / lax.psum(x, "i"), axis_name="i")
    rows = X.reshape(2, 2, 3) + 1
    want = rows / rows.sum(0)
    np.testing.assert_allclose(fg.jit(f)(rows), want)
    batch = np.stack([rows, rows * 3])
    np.testing.assert_allclose(fg.vmap(f)(batch), np.stack([want, want]), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fg.pmap(3), TypeError, "pmap takes a function"),
        (lambda: fg.pmap(fg.numpy.sin)(X), ValueError, r"(?s)of 4 elements needs 4 devices.*are 2"),
        (lambda: fg.pmap(fg.numpy.add)(X, X[:2]), ValueError, "pmap got inconsistent sizes"),
        (lambda: fg.pmap(fg.numpy.sin, in_axes=2)(X), ValueError, "pmap was requested to map"),
        (lambda: fg.pmap(fg.numpy.sin, in_axes=None)(X), ValueError, "pmap must have at least one"),
        (
            lambda: fg.pmap(fg.numpy.sin, devices=fg.devices()[:1])(X[:2]),
            ValueError,
            "there are 1: CPU:0",
        ),
    ],
)
def test_errors(cpus, call, error, text):
    cpus(2)
    with pytest.raises(error, match=text):
        call()
