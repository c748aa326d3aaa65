"""dce_sink keeps eqns; rng_uniform draws anew at each run; tokens hold nothing."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

X = np.arange(3.0, dtype=np.float32)


def names(closed):
    return [eqn.primitive.name for eqn in closed.jaxpr.eqns]


def test_sink_keeps_what_its_value_needs():
    def fun(x):
        lax.dce_sink({"a": fnp.sin(x)})
        fnp.cos(x)
        return x

    assert names(fg.jit(fun).trace(X).lower().simplified) == ["sin", "dce_sink"]
    np.testing.assert_array_equal(fg.jit(fun)(X), X)
    np.testing.assert_array_equal(fg.grad(lambda x: fun(x).sum())(X), np.ones(3))
    np.testing.assert_array_equal(fg.vmap(fun)(X), X)
    assert lax.dce_sink(X) is None


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "uint8", "int8"])
def test_draws_lie_between_the_bounds(dtype):
    low, high = (fnp.asarray(v, dtype) for v in (3, 7))
    got = lax.rng_uniform(low, high, (5, 400))
    assert (got.shape, got.dtype) == ((5, 400), low.dtype)
    values = np.asarray(got).astype(np.float64)
    assert values.min() >= 3
    assert values.max() < 7
    assert abs(values.mean() - (5 if "f" in dtype else 4.5)) < 0.2


def test_each_run_draws_anew():
    draw = fg.jit(lambda: (lax.rng_uniform(0.0, 1.0, ()), lax.rng_uniform(0.0, 1.0, ())))
    drawn = {float(x) for _ in range(4) for x in draw()}
    assert len(drawn) == 8


def test_batched_bounds_draw_for_each_element():
    low = np.array([0.0, 10.0, 20.0], np.float32)
    got = np.asarray(fg.vmap(lambda a: lax.rng_uniform(a, a + 1, (4,)))(low))
    assert got.shape == (3, 4)
    assert np.array_equal(np.floor(got), np.repeat(low[:, None], 4, 1))


def test_draws_have_no_derivative():
    with pytest.raises(TypeError, match="rng_uniform cannot be differentiated"):
        fg.grad(lambda a: lax.rng_uniform(a, 1.0, ()))(0.0)
    with pytest.raises(TypeError, match="draws integers or real numbers"):
        lax.rng_uniform(0j, 1j, ())


def test_tokens_pass_through_programs():
    def fun(x):
        token = lax.after_all(lax.create_token(x), lax.create_token())
        return token, x

    token, _ = fg.jit(fun)(X)
    lax.after_all(token, *fun(X)[:1])
    np.testing.assert_array_equal(fg.vmap(lambda x: fun(x)[1])(X), X)
    np.testing.assert_array_equal(fg.grad(lambda x: fun(x)[1].sum())(X), np.ones(3))
    with pytest.raises(TypeError, match=r"takes tokens, got float32\[3\].*\n.*\n.*create_token"):
        lax.after_all(X)
