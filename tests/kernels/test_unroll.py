"""Short loops whose turns differ are written out, and compute the same."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.ir.nests import For
from funcgrad.kernels import pipeline
from funcgrad.kernels.program import Launch


def stacked(x, y):
    return fnp.stack([x[0] - y[1], x[1] * y[0] + 1, fnp.sin(x[2])])


def shifted(x, y):
    return fnp.concatenate([x[1:], y[:1]]) * fnp.roll(x, 1)


def padded(x, y):
    return fnp.pad(x[:2] * y[1:], (1, 0)) + y


def step_by_step(x, y):
    return fg.lax.fori_loop(0, 7, lambda i, s: s + 0.1 * stacked(s, y), x)


@pytest.mark.parametrize("function", [stacked, shifted, padded, step_by_step])
@pytest.mark.parametrize("transform", [lambda f: f, lambda f: fg.grad(lambda *a: f(*a).sum())])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_gradients(function, transform, dtype):
    rng = np.random.default_rng(3)
    x, y = (fnp.asarray(rng.standard_normal(3).astype(dtype)) for _ in range(2))
    wanted = transform(function)(x, y)
    np.testing.assert_allclose(fg.jit(transform(function))(x, y), wanted, rtol=2e-6, atol=2e-6)


def test_rows_of_short_loops():
    x = fnp.asarray(np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32))
    f = fg.vmap(stacked)
    np.testing.assert_allclose(fg.jit(f)(x, x + 1), f(x, x + 1), rtol=2e-6, atol=2e-6)


def loops_of(f, *args):
    found = []
    pipeline.watchers.append(found.append)
    try:
        fg.jit(f).lower(*args).compile()
    finally:
        pipeline.watchers.pop()
    launches = [s for stages in found for s in stages.block.steps if isinstance(s, Launch)]
    return [n for s in launches for n in s.kernel.body if isinstance(n, For)]


def test_only_loops_whose_turns_differ_are_written_out():
    x = fnp.arange(3.0)
    assert not loops_of(stacked, x, x)
    assert loops_of(lambda x, y: x * y + 1, x, x)
    long = fnp.arange(30.0)
    assert loops_of(lambda x, y: fnp.concatenate([x, y]) * 2, long, long)
