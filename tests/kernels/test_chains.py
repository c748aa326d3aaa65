"""Kernels that follow a matrix product block by block."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax

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
    assert "behind the step before" in str(lowered.schedule)


def test_blocks_that_are_too_large_for_a_cache_are_left_alone():
    args = drawn(1024, 784), drawn(784, 512), drawn(512)
    assert not any(chains_of(layer, *args))
    compare(layer, *args)


def test_a_kernel_that_reads_across_blocks_waits_for_all():
    x, w = drawn(2048, 256), drawn(256, 16)

    def turned(x, w):
        y = x @ w
        return (y[::-1] + 1,)

    def centred(x, w):
        y = x @ w
        return (y - y[:1],)

    for f in (turned, centred):
        assert not any(chains_of(f, x, w))
        compare(f, x, w)


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
