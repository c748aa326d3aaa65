"""Optimizers against plain NumPy, step by step."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

STEPS = 20
start = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
grads = np.random.default_rng(1).normal(size=(STEPS, 2, 3)).astype(np.float32)


def run(method):
    params = {"w": fnp.asarray(start), "b": fnp.asarray(start[0])}
    state = method.init(params)
    update = fg.jit(method.update)
    for g in grads:
        updates, state = update({"w": g, "b": g[0]}, state, params)
        params = optim.apply_updates(params, updates)
    return params


def test_adam():
    p, m, v = start.astype(float), 0.0, 0.0
    for t, g in enumerate(grads, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        p = p - 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-6)
    found = run(optim.adam(0.05, b2=0.99, eps=1e-6))
    np.testing.assert_allclose(found["w"], p, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["b"], p[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [None, 0.9])
def test_sgd(momentum, nesterov):
    p, m = start.astype(float), 0.0
    for g in grads:
        m = g + (momentum or 0.0) * m
        p = p - 0.1 * (g + (momentum or 0.0) * m if nesterov else m)
    found = run(optim.sgd(0.1, momentum, nesterov))
    np.testing.assert_allclose(found["w"], p, rtol=1e-4, atol=1e-5)


def test_schedules_decay_and_clipping():
    found = run(optim.sgd(lambda step: 0.1 / (1 + step)))
    want = start - sum(0.1 / (1 + t) * g for t, g in enumerate(grads))
    np.testing.assert_allclose(found["w"], want, rtol=1e-4, atol=1e-5)
    clip = optim.clip_by_global_norm(1.0)
    big, small = {"a": fnp.array([3.0, 4.0])}, {"a": fnp.array([0.3, 0.4])}
    np.testing.assert_allclose(clip.update(big, ())[0]["a"], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(clip.update(small, ())[0]["a"], [0.3, 0.4], rtol=1e-6)
    decay = optim.add_decayed_weights(0.1)
    np.testing.assert_allclose(decay.update(small, (), big)[0]["a"], [0.6, 0.8], rtol=1e-6)


def test_apply_updates_keeps_dtypes():
    half = fnp.ones(2, fnp.bfloat16)
    assert optim.apply_updates(half, fnp.ones(2)).dtype == fnp.bfloat16
    assert float(optim.global_norm({"a": fnp.array([3.0]), "b": fnp.array([4.0])})) == 5.0


def test_errors():
    method = optim.adam(0.1)
    state = method.init({"a": fnp.ones(2)})
    with pytest.raises(ValueError, match="different structure"):
        method.update({"b": fnp.ones(2)}, state)
    with pytest.raises(ValueError, match="chain of 2 transformations"):
        method.update({"a": fnp.ones(2)}, state[:1])
    with pytest.raises(ValueError, match="needs the params"):
        optim.add_decayed_weights(0.1).update({"a": fnp.ones(2)}, ())
