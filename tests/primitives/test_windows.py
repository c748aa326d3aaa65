"""Reductions over windows by hand, and against JAX where it is installed."""

import numpy as np
import pytest

from funcgrad.control.folds import reduce_window, select_and_scatter
from funcgrad.core.staging import stage
from funcgrad.ir.avals import ShapedArray
from funcgrad.primitives import arithmetic, comparison, windows
from funcgrad.transforms.jvp import jvp_flat


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_named_functions_become_named_windows():
    def run(x):
        return [
            reduce_window(x, 0.0, arithmetic.add, (2,)),
            reduce_window(x, -np.inf, arithmetic.max, (2,)),
            reduce_window(x, np.inf, arithmetic.min, (2,)),
            reduce_window(x, 1.0, arithmetic.mul, (2,)),
        ]

    closed = stage(run, [ShapedArray((4,), np.float32)])
    names = [e.primitive.name for e in closed.eqns]
    folds = [name for name in names if name.startswith("reduce_window")]
    assert folds == [f"reduce_window{n}" for n in ("_sum", "_max", "_min", "")]


def test_the_first_of_tied_elements_has_the_tangent():
    x = np.array([3.0, 3.0, 1.0], np.float32)
    t = np.array([1.0, 10.0, 100.0], np.float32)
    _, (found,) = jvp_flat(lambda v: [windows.reduce_window_max(v, (2,))], [x], [t])
    assert np.asarray(found).tolist() == [1.0, 10.0]


def test_nan_wins_a_window():
    x = np.array([1.0, np.nan, 2.0, 3.0], np.float32)
    out = np.asarray(windows.reduce_window_max(x, (2,)))
    np.testing.assert_array_equal(out, [np.nan, np.nan, 3.0])


@pytest.mark.parametrize(
    ("window", "options", "words"),
    [
        ((2,), {}, r"window_dimensions=\(2,\) must have 2 entries"),
        ((2, 0), {}, "must be positive"),
        ((2, 2), {"window_strides": (1, 0)}, "must be positive"),
    ],
)
def test_errors(window, options, words):
    with pytest.raises(TypeError, match=words):
        windows.reduce_window_sum(random(3, 4), window, **options)


CASES = [
    ((6, 7), (2, 3), {"window_strides": (2, 2), "padding": "SAME"}),
    ((6, 7), (2, 3), {"padding": "VALID", "window_dilation": (3, 1)}),
    ((5, 4), (2, 2), {"padding": ((1, 0), (-1, 2)), "base_dilation": (2, 1)}),
    ((9,), (4,), {"window_strides": (3,), "padding": "SAME_LOWER"}),
]
FUNCTIONS = [("add", 0.0), ("max", -np.inf), ("min", np.inf), ("mul", 1.0), ("add", 2.0)]


@pytest.mark.parametrize(("name", "start"), FUNCTIONS)
@pytest.mark.parametrize(("shape", "window", "options"), CASES)
def test_against_jax(shape, window, options, name, start):
    lax = pytest.importorskip("jax").lax
    x, start = random(*shape), np.float32(start)
    want = np.asarray(lax.reduce_window(x, start, getattr(lax, name), window, **options))
    got = np.asarray(reduce_window(x, start, getattr(arithmetic, name), window, **options))
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_max_pooling_against_jax():
    jax = pytest.importorskip("jax")
    x, source = random(1, 6, 6, 2), random(1, 3, 3, 2, seed=1)
    window, strides = (1, 3, 3, 1), (1, 2, 2, 1)

    def pool(v):
        return jax.lax.reduce_window(v, -np.inf, jax.lax.max, window, strides, "SAME")

    want = np.asarray(jax.vjp(pool, x)[1](source)[0])
    params = windows.window_params(x.shape, window, strides, "SAME")
    got = windows.select_and_scatter_add_p.bind(source, x, select_prim=comparison.ge_p, **params)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-6)
    general = select_and_scatter(
        x, comparison.ge, window, strides, "SAME", source, 0.0, arithmetic.add
    )
    np.testing.assert_allclose(np.asarray(general), want, rtol=1e-6)


def test_select_and_scatter_combines_with_its_function():
    x = np.array([1.0, 5.0, 2.0, 3.0], np.float32)
    out = select_and_scatter(
        x,
        comparison.ge,
        (2,),
        None,
        "VALID",
        np.array([1.0, 2.0, 4.0], np.float32),
        np.float32(10.0),
        arithmetic.add,
    )
    assert np.asarray(out).tolist() == [10.0, 13.0, 10.0, 14.0]
