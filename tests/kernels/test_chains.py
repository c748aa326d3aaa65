"""Kernels that follow a matrix product block by block."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels import chains, program

RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def chains_of(f, *args):
    """The chains of a program, and those of the blocks within."""
    block = fg.jit(f).lower(*args).stages.block
    return [b.chains for b in (block, *block.inner())]


def compare(f, *args):
    for ours, plain in zip(fg.jit(f)(*args), f(*map(fnp.array, args)), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)


def scores(q, k):
    s = fnp.einsum("bqd,bkd->bqk", q, k)
    e = fnp.exp(s - s.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True),)


def layer(x, w, b):
    return (fnp.tanh(x @ w + b),)


def residual(x, w, b):
    y = x + fnp.maximum(x @ w + b, 0)
    return y, (y * y).sum(-1)


def columns(x, w, b):
    y = fnp.tanh(fnp.exp(fnp.sin(x @ w))) * b
    return y, y.sum(0)


def descent(x, t, w, m):
    m = 0.9 * m + x.T @ t
    return w - 0.1 * m, m


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (scores, [(24, 128, 64), (24, 128, 64)]),
        (scores, [(37, 70, 33), (37, 65, 33)]),
        (layer, [(2048, 256), (256, 16), (16,)]),
        (layer, [(2047, 255), (255, 15), (15,)]),
        (columns, [(4096, 512), (512, 64), (64,)]),
        (descent, [(300, 2048), (300, 24), (2048, 24), (2048, 24)]),
        (layer, [(1024, 784), (784, 512), (512,)]),
        (layer, [(127, 383), (383, 509), (509,)]),
        (residual, [(300, 256), (256, 256), (256,)]),
        (descent, [(300, 784), (300, 512), (784, 512), (784, 512)]),
        (descent, [(127, 783), (127, 511), (783, 511), (783, 511)]),
    ],
)
def test_what_follows_a_product_runs_behind_its_blocks(f, shapes):
    args = [drawn(*s) for s in shapes]
    assert any(chains_of(f, *args))
    compare(f, *args)


def test_explanation_and_stages_say_what_runs_behind():
    q = drawn(24, 128, 64)
    lowered = fg.jit(scores).lower(q, q)
    assert "behind the product above, 128 turns" in lowered.explain()
    assert "; k2 behind each block\n\nk2: " in lowered.explain()
    assert "behind the step before" in str(lowered.schedule)


def test_blocks_that_are_too_large_for_a_cache_are_left_alone():
    args = drawn(1024, 128), drawn(128, 4096), drawn(4096)
    assert not any(chains_of(layer, *args))
    compare(layer, *args)


@pytest.mark.parametrize("columns", [16, 200])
def test_a_kernel_that_reads_across_blocks_waits_for_all(columns):
    x, w = drawn(2048, 256), drawn(256, columns)

    def turned(x, w):
        y = x @ w
        return (y[::-1] + 1,)

    def centred(x, w):
        y = x @ w
        return (y - y[:1],)

    for f in (turned, centred):
        assert not any(chains_of(f, x, w))
        compare(f, x, w)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_that_does_more_than_follow_waits_for_all(dtype):
    x, w = drawn(192, 256).astype(dtype), drawn(256, 64).astype(dtype)

    def below(x, w):
        return (fnp.concatenate([(x @ w) / 16, fnp.abs(w)]),)

    def above(x, w):
        return (fnp.concatenate([fnp.abs(w), (x @ w) / 16]),)

    def around(x, w):
        return (fnp.pad(fnp.exp(-fnp.abs(x @ w)), ((0, 300), (0, 0))),)

    for f in (below, above, around):
        fg.jit(f).lower(x, w).check()
        compare(f, x, w)


def test_a_kernel_that_reads_the_first_blocks_alone_follows_them():
    x, w = drawn(192, 256), drawn(256, 64)

    def first(x, w):
        return (fnp.exp(-fnp.abs((x @ w)[:100])),)

    fg.jit(first).lower(x, w).check()
    compare(first, x, w)


def test_an_operand_of_the_product_is_not_written_over_by_what_follows():
    h, w = drawn(2048, 16), drawn(16, 16)

    def turn(h, _):
        return fnp.tanh(h @ w + h), None

    def f(h):
        return (lax.scan(turn, h, length=5)[0],)

    compare(f, h)
    given = fnp.array(h) + 0
    step = fg.jit(lambda h: fnp.tanh(h @ w + h), donate_argnums=0)
    want = np.tanh(h @ w + h)
    np.testing.assert_allclose(step(given), want, rtol=1e-5, atol=1e-5)


def test_a_donated_weight_is_updated_behind_its_gradient():
    x, t, w, m = drawn(300, 2048), drawn(300, 24), drawn(2048, 24), drawn(2048, 24)
    want = descent(*map(fnp.array, (x, t, w, m)))
    step = fg.jit(descent, donate_argnums=(2, 3))
    found = step(x, t, fnp.array(w) + 0, fnp.array(m) + 0)
    for ours, plain in zip(found, want, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)


def test_the_update_moves_to_its_gradient_but_not_before_the_last_reader_of_the_weight():
    def step(params, x):
        def loss(params):
            h = x
            for w in params:
                h = fnp.tanh(h @ w)
            return (h**2).sum()

        grads = fg.grad(loss)(params)
        return [w - 0.1 * g for w, g in zip(params, grads, strict=True)]

    params = [0.1 * drawn(16, 256), 0.1 * drawn(256, 256), 0.1 * drawn(256, 16)]
    x = drawn(400, 16)
    want = step([fnp.array(w) for w in params], fnp.array(x))
    lowered = fg.jit(step).lower(params, x)
    assert any(lowered.stages.block.chains)
    given = [fnp.array(w) + 0 for w in params]
    for ours, plain in zip(fg.jit(step, donate_argnums=0)(given, x), want, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)


def mlp_step(params, x, t):
    def loss(params):
        h = x
        for w, b in params:
            h = fnp.tanh(h @ w + b)
        return ((h - t) ** 2).mean()

    value, grads = fg.value_and_grad(loss)(params)
    return value, fg.tree.map(lambda p, g: p - 0.1 * g, params, grads)


def attention_gradients(q, k, v):
    def loss(q, k, v):
        return (fnp.einsum("bqk,bkd->bqd", scores(q, k)[0], v) ** 2).sum()

    return fg.grad(loss, argnums=(0, 1, 2))(q, k, v)


def recurrent(h, w, v):
    def turn(h, _):
        a = fnp.tanh(h @ w) + h
        return fnp.exp(-((a @ v) ** 2)), a.sum(1)

    return lax.scan(turn, h, length=4)


LAYERS = [(drawn(64, 90), drawn(90)), (drawn(90, 33), drawn(33))]
LARGE = [(drawn(150, 211), drawn(211)), (drawn(211, 33), drawn(33))]
FORCED = {
    "a training step": (mlp_step, (LAYERS, drawn(513, 64), drawn(513, 33))),
    "attention and its gradients": (attention_gradients, tuple(drawn(5, 97, 40) for _ in range(3))),
    "large layers": (mlp_step, (LARGE, drawn(301, 150), drawn(301, 33))),
    "a residual": (residual, (drawn(300, 256), drawn(256, 256), drawn(256))),
    "a scan": (recurrent, (drawn(700, 48), 0.1 * drawn(48, 48), 0.1 * drawn(48, 48))),
    "columns": (columns, (drawn(1024, 96), drawn(96, 80), drawn(80))),
}


@pytest.mark.parametrize("name", FORCED)
def test_chains_change_no_bits(name, nothing_stored, monkeypatch):
    f, args = FORCED[name]
    monkeypatch.setattr(program, "turns_of", lambda *_: 0)
    apart = fg.tree.leaves(fg.jit(lambda *a: f(*a))(*args))
    monkeypatch.setattr(program, "turns_of", chains.turns_of)
    monkeypatch.setattr(chains, "_LARGEST_BLOCK", 1 << 40)
    monkeypatch.setattr(chains, "_ENOUGH", 0)
    joined = fg.jit(lambda *a: f(*a))
    block = joined.lower(*args).stages.block
    assert any(b.chains for b in (block, *block.inner()))
    for ours, plain in zip(fg.tree.leaves(joined(*args)), apart, strict=True):
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.parametrize("name", ["large layers", "a residual"])
def test_threads_change_no_bits(name):
    f, args = FORCED[name]
    run = fg.jit(f)
    assert any(chains_of(f, *args))
    found = []
    try:
        for threads in (1, 2, 3, 4):
            fg.config.update("num_threads", threads)
            found += [[np.asarray(x) for x in fg.tree.leaves(run(*args))] for _ in range(3)]
    finally:
        fg.config.update("num_threads", None)
    for other in found[1:]:
        for x, y in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("columns", [3, 8, 12, 24, 40])
def test_blocks_that_vectors_do_not_divide(columns):
    """A loop over elements behind products of a batch, of 4 × `columns` elements each."""

    def f(x, w):
        return (fnp.cos(x.transpose(0, 2, 1, 3) @ w),)

    args = drawn(20, 4, 8, 16), drawn(16, columns)
    assert columns < 4 or chains_of(f, *args)[0]
    for _ in range(2):
        compare(f, *args)
