"""Programs of many eqns, and jitted functions of many shapes."""

import gc
import weakref

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.control import jitted
from funcgrad.kernels.runtime import launch, toolchain


@pytest.mark.slow
def test_a_network_of_200_layers():
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(8, 8)).astype("f4") / 3, np.float32(k / 200)) for k in range(200)]
    x = rng.normal(size=(5, 8)).astype("f4")

    @fg.jit
    def network(layers, x):
        for w, b in layers:
            x = fnp.tanh(x @ w + b) + 0.5 * x
        return x

    want = x.astype(np.float64)
    for w, b in layers:
        want = np.tanh(want @ w + b) + 0.5 * want
    np.testing.assert_allclose(network(layers, x), want, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_gradients_of_100_layers():
    scales = [np.linspace(0.5, 1.5, 7, dtype=np.float32) + k / 200 for k in range(100)]
    x = np.linspace(-1, 1, 7, dtype=np.float32)

    def network(scales, x):
        for s in scales:
            x = fnp.sin(x * s) + 0.1
        return x.sum()

    gradients = fg.jit(fg.grad(network))(scales, x)
    values, slopes = [x.astype(np.float64)], []
    for s in scales:
        values.append(np.sin(values[-1] * s) + 0.1)
    ct = np.ones(7)
    for s, v in zip(reversed(scales), values[-2::-1], strict=True):
        ct = ct * np.cos(v * s)
        slopes.append(ct * v)
        ct = ct * s
    for got, slope in zip(reversed(gradients), slopes, strict=True):
        np.testing.assert_allclose(got, slope, rtol=2e-3, atol=1e-5)


@pytest.fixture
def few(monkeypatch):
    """Jitted functions that keep eight signatures."""
    monkeypatch.setattr(jitted, "_limit", 8)


def alive(kind):
    return sum(type(x) is kind for x in gc.get_objects())


def test_programs_of_old_shapes_are_let_go(few, monkeypatch):
    loaded = []
    real = toolchain.load

    def load(*args, **kwargs):
        code = real(*args, **kwargs)
        loaded.append(weakref.ref(code._held))
        return code

    fg.jit(lambda x: x + 1)(fnp.zeros(3))  # loads what all programs share
    monkeypatch.setattr(toolchain, "load", load)
    gc.collect()
    before = alive(launch.Executable)
    f = fg.jit(lambda x: fnp.tanh(x) + 1)
    for n in range(1, 41):
        assert f(fnp.zeros(n)).shape == (n,)
        assert f(fnp.zeros(n)).shape == (n,)
    gc.collect()
    assert f._cache_size() <= 8
    assert alive(launch.Executable) - before <= 9
    assert sum(ref() is not None for ref in loaded) <= 9
    # The last ones are there still, and the first one comes back.
    assert np.array_equal(f(fnp.zeros(40)), np.ones(40))
    assert np.array_equal(f(fnp.zeros(1)), [1])


def test_nothing_is_left_of_a_function_that_is_gone():
    gc.collect()
    before = alive(launch.Executable), alive(toolchain.LoadedCode)
    f = fg.jit(lambda x: fnp.tanh(x) + 1)
    for n in range(1, 11):
        f(fnp.zeros(n))
    assert alive(launch.Executable) > before[0]
    f.clear_cache()
    gc.collect()
    assert (alive(launch.Executable), alive(toolchain.LoadedCode)) <= before


def test_eager_operations_remember_a_bounded_number_of_shapes(monkeypatch):
    from funcgrad.core import primitive

    monkeypatch.setattr(primitive, "_cache_limit", 50)
    for n in range(300):
        fnp.sin(fnp.zeros(n))
    for p in primitive.registry.values():
        assert len(p._inferred) <= 4096
    assert len(primitive.registry["sin"]._inferred) <= 50


def test_a_sum_that_shares_no_loop_is_whole_where_others_read_it():
    """Small programs are one group of loops, also with sums over the leading axes."""
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)

    def f(x, v):
        total = fnp.sum(x * 2, (0, 1, 2))
        return total, fnp.exp(v), total * 3, x * 3

    got = fg.jit(f)(x, x[0, 0, 0])
    total = (x * 2).sum((0, 1, 2))
    for value, expected in zip(got, (total, np.exp(x[0, 0, 0]), total * 3, x * 3), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


PAIRED = {
    "chain": lambda x: fnp.tanh(x) * fg.nn.sigmoid(x) + fnp.exp(-x * x),
    "gradient": fg.vmap(fg.grad(lambda x: fnp.tanh(x) * fg.nn.sigmoid(x) + fnp.sin(x * 1e3))),
    "half": lambda x: fnp.log1p(fnp.exp(x.astype(fnp.float16))),
    "compared": lambda x: fnp.where(fnp.sin(x) > x, fnp.exp(x), -x),
}


@pytest.mark.parametrize("fun", PAIRED.values(), ids=PAIRED)
@pytest.mark.parametrize("size", [127, 128, 255, 256, 257, 511, 6333])
def test_long_rows_give_the_bits_of_short_ones(fun, size):
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32) * 5
    x[::37] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, -100.0][size % 7]
    whole = np.asarray(fg.jit(fun)(x))
    parts = np.concatenate(
        [np.asarray(fg.jit(fun)(part)) for part in np.array_split(x, -(-size // 50))]
    )
    # NaN is NaN, whatever its sign.
    whole, parts = (np.where(np.isnan(y), np.nan, y).view(np.uint8) for y in (whole, parts))
    np.testing.assert_array_equal(whole, parts)


STRIDED = {
    "planes": lambda x: (x[..., 0] * 2 + x[..., 1], x[..., 2]),
    "backwards": lambda x: fnp.flip(x, (0, 1)) + 1,
    "turned": lambda x: fnp.transpose(x, (2, 1, 0)) * 2,
    "every other": lambda x: x[:, ::2].sum(1) - x[::3].max(0)[0],
    "bool": lambda x: fnp.where((x > 0)[..., 1], x[..., 0], 1),
    "half": lambda x: x.astype(fnp.bfloat16)[..., 1] * 2,
}


@pytest.mark.parametrize("fun", STRIDED.values(), ids=STRIDED)
@pytest.mark.parametrize("rows", [1, 7, 8, 40, 67])
def test_elements_at_even_distances(fun, rows):
    x = np.random.default_rng(rows).standard_normal((rows, 33, 3)).astype(np.float32)
    found = fg.jit(fun)(x)
    with fg.disable_jit():
        wanted = fun(fnp.asarray(x))
    for a, b in zip(fg.tree_util.tree_leaves(found), fg.tree_util.tree_leaves(wanted), strict=True):
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=1e-5, atol=1e-5
        )
