"""Short loops whose turns differ are written out, and compute the same."""

from __future__ import annotations

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.config import enable_x64
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


def turned(x, m):
    return x @ m


def moved_and_bent(x, m):
    return fnp.tanh(x @ m + m[0])


def turned_back(x, m):
    return x @ m.T * 2 - x[:, :1]


def shortest_ways(x, m):
    return fnp.min(x[:, :, None] + m[None], axis=1)


def both_ends(x, m):
    both = x[:, None, :] * m[None]
    return both.max(axis=2) - both.min(axis=2), both.sum(axis=2)


POINTS = [turned, moved_and_bent, turned_back, shortest_ways, both_ends]


@pytest.mark.parametrize("function", POINTS)
@pytest.mark.parametrize("shape", [(1000, 3), (33, 2), (17, 4), (70, 3), (16, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int16])
def test_points_of_few_numbers(function, shape, dtype):
    count, size = shape
    rng = np.random.default_rng(5)
    with enable_x64():
        x, m = (
            fnp.asarray((rng.standard_normal(s) * 9).astype(dtype))
            for s in ((count, size), (size, size))
        )
        wanted, found = function(x, m), fg.jit(function)(x, m)
    for w, g in zip(fg.tree.leaves(wanted), fg.tree.leaves(found), strict=True):
        np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("sizes", [(3, 4), (3, 2), (2, 3), (3, 5), (8, 3), (1, 4)])
def test_points_with_more_numbers_or_fewer(sizes):
    rng = np.random.default_rng(7)
    x, m = (rng.standard_normal(s).astype(np.float32) for s in ((101, sizes[0]), sizes))
    np.testing.assert_allclose(fg.jit(turned)(x, m), x @ m, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0])
def test_points_with_special_numbers(special):
    rng = np.random.default_rng(6)
    x, m = (rng.standard_normal(s).astype(np.float32) for s in ((100, 3), (3, 3)))
    x[::7, 1] = special
    with np.errstate(invalid="ignore"):
        for function in POINTS:
            wanted, found = function(fnp.asarray(x), fnp.asarray(m)), fg.jit(function)(x, m)
            for w, g in zip(fg.tree.leaves(wanted), fg.tree.leaves(found), strict=True):
                np.testing.assert_allclose(g, w, rtol=2e-5, atol=2e-5)


def test_points_fill_vectors():
    """Their loop does several of them at once, and no loop over the few numbers is left."""
    x, m = fnp.ones((1000, 3)), fnp.ones((3, 3))
    for function in (turned, moved_and_bent, shortest_ways):
        (loop,) = loops_of(function, x, m)
        assert loop.vector
        assert all(n.axis.extent == 1 for n in loop.body if isinstance(n, For))
    (loop,) = loops_of(turned, fnp.ones((1000, 3, 3)), fnp.ones((1000, 3, 3)))
    assert not loop.vector  # matrices of nine numbers lie too far apart


FOLDS = ["sum", "prod", "max", "min", "any", "all", "var", "argmax"]


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((1000, 3), 0),
        ((50_001, 3), 0),
        ((20_000, 2), 0),
        ((37, 4), 0),
        ((16, 1), 0),
        ((5, 40, 31, 3), (1, 2)),
        ((70, 3, 33, 2), (0, 2)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8])
def test_folds_of_few_columns(fold, shape, axis, dtype):
    if fold == "argmax" and isinstance(axis, tuple):
        pytest.skip("argmax goes along one axis")
    rng = np.random.default_rng(8)
    x = (rng.standard_normal(shape) * 4).astype(dtype)
    x = 1 + x * dtype(1e-4) if fold == "prod" and np.dtype(dtype).kind == "f" else x
    with enable_x64():
        wanted = getattr(np, fold)(x.astype(np.float64) if fold in ("var", "sum") else x, axis=axis)
        found = np.asarray(fg.jit(lambda x: getattr(fnp, fold)(x, axis=axis))(x))
    if np.dtype(dtype).kind in "iu" and fold == "prod":
        wanted = wanted.astype(found.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-2 if fold == "sum" else 1e-4)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_folds_of_few_columns_with_special_numbers(special):
    x = np.random.default_rng(9).standard_normal((40_001, 3)).astype(np.float32)
    x[77, 1] = x[40_000, 0] = special
    for fold in ("sum", "max", "min"):
        found = fg.jit(lambda x, f=fold: getattr(fnp, f)(x, axis=0))(x)
        np.testing.assert_allclose(found, getattr(np, fold)(x, axis=0), rtol=1e-4, atol=1e-2)


def test_folds_of_few_columns_beside_each_other():
    """Several of one pass over points, and what is made of them."""
    x = np.random.default_rng(10).standard_normal((5000, 3)).astype(np.float32)

    def box(x):
        low, high = x.min(0), x.max(0)
        return low, high, (x - low) / (high - low), (x * x).sum(0)

    for f, w in zip(fg.jit(box)(x), box(x), strict=True):
        np.testing.assert_allclose(f, w, rtol=1e-4, atol=1e-5)


def test_few_columns_are_folds_of_their_own():
    for fold in (fnp.sum, fnp.max):
        (lead,) = loops_of(lambda x, f=fold: f(x, axis=0), fnp.ones((1000, 3)))[-1:]
        assert lead.vector
        assert len(lead.accs) == 3
