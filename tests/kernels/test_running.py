"""Compiled running folds against their NumPy rules, with infinities and NaN."""

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.ir import dtypes
from funcgrad.kernels.pipeline import script
from funcgrad.primitives.cumulative import cumlogsumexp_p

SHAPES = [((17,), 0), ((5, 40), 0), ((5, 40), 1), ((3, 4, 33), 1), ((1,), 0), ((2, 0), 1)]


def values(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=shape) * 20).astype(dtype)
    chance = rng.random(shape)
    x[chance < 0.2] = -np.inf
    if seed:
        x[(chance > 0.2) & (chance < 0.25)] = np.inf
        x[chance > 0.97] = np.nan
    return x


def close(found, want):
    eps = float(dtypes.finfo(want.dtype).eps)
    assert found.dtype == want.dtype
    found, want = np.asarray(found).astype(np.float64), want.astype(np.float64)
    np.testing.assert_allclose(found, want, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_logarithms_of_running_sums(shape, axis, dtype):
    with enable_x64():
        for seed, reverse in ((0, False), (1, True)):
            x = values(shape, getattr(dtypes, dtype, dtype), seed)
            program = fg.jit(lambda x, reverse=reverse: lax.cumlogsumexp(x, axis, reverse))
            with np.errstate(all="ignore"):
                want = cumlogsumexp_p.impl(x, axis=axis, reverse=reverse)
            close(program(x), want)
            with np.errstate(all="ignore"):
                (found,) = script(program.lower(x).stages, "python")([x])
            close(found, want)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_rows_side_by_side_are_as_rows_alone(dtype):
    """One in each lane, and each with infinities and NaN of its own."""
    with enable_x64():
        f = fg.jit(lambda x: lax.cumlogsumexp(x, 1))
        for shape in ((37, 50), (8, 33), (3, 9)):
            x = values(shape, getattr(dtypes, dtype, dtype), 1)
            alone = np.concatenate([np.asarray(f(row[None])) for row in x])
            found, alone = (np.asarray(v).astype(np.float64) for v in (f(x), alone))
            np.testing.assert_array_equal(found, alone)


def test_small_shares_are_not_lost():
    """Beside 1 an e-20 is nothing, beside 0 it is all."""
    x = np.float32([0.0, -20.0, -20.0])
    found = fg.jit(lambda x: lax.cumlogsumexp(x))(x)
    np.testing.assert_allclose(found, [0.0, np.exp(-20.0), 2 * np.exp(-20.0)], rtol=1e-6)


def test_complex_ones_are_called_out():
    z = np.array([1 + 2j, 0.5 - 1j], np.complex64)
    found = fg.jit(lambda z: lax.cumlogsumexp(z))(z)
    np.testing.assert_allclose(np.exp(np.asarray(found)), np.cumsum(np.exp(z)), rtol=1e-5)


@pytest.mark.parametrize("count", [60_000, 99_991])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
@pytest.mark.parametrize("op", [lax.cumsum, lax.cummax, lax.cummin])
def test_long_rows_are_run_over_by_chunks(op, dtype, reverse, count):
    rng = np.random.default_rng(count)
    x = (rng.normal(size=count) * 9).astype(dtype)
    if dtype == "float32" and op is not lax.cumsum:
        x[count // 2] = np.nan
    program = fg.jit(lambda x: op(x * 1, 0, reverse))
    kernels = [s.kernel for s in program.lower(x).stages.block.steps]
    assert [k.extent > k.grain for k in kernels] == [True, False, True]
    threads, found = fg.config.num_threads, []
    try:
        for workers in (1, 2, 4):
            fg.config.update("num_threads", workers)
            found.append(np.asarray(program(x)))
    finally:
        fg.config.update("num_threads", threads)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    (plain,) = script(program.lower(x).stages, "python")([x])
    y = (x[::-1] if reverse else x).astype(np.float64)
    names = {"cumsum": np.cumsum, "cummax": np.maximum.accumulate, "cummin": np.minimum.accumulate}
    want = names[op.__name__](y)
    want = want[::-1] if reverse else want
    scale = max(1.0, float(np.nanmax(np.abs(want))))
    for one in (found[0], plain):
        np.testing.assert_allclose(one, want, rtol=1e-3, atol=2e-3 * scale)


def test_products_that_are_0_stay_0():
    x = np.full(100_000, 2, np.float32)
    x[0] = 0
    np.testing.assert_array_equal(fg.jit(lambda x: lax.cumprod(x))(x), np.zeros_like(x))
