"""Layers as pairs of functions: the numbers of JAX's, shapes of any batch, refusals."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import random
from funcgrad.example_libraries import stax

LAYERS = {
    "Dense(5)": (4, 3, 6),
    "Conv(4, (3, 2), padding='SAME')": (2, 7, 6, 3),
    "Conv(4, (3, 3), (2, 2))": (2, 7, 7, 3),
    "GeneralConv(('NCHW', 'OIHW', 'NCHW'), 4, (2, 3), (1, 2), 'SAME')": (2, 3, 5, 6),
    "Conv1DTranspose(4, (3,), (2,))": (2, 5, 3),
    "ConvTranspose(4, (3, 2), (2, 2), 'SAME')": (2, 4, 5, 3),
    "BatchNorm()": (2, 5, 4, 3),
    "BatchNorm(0, center=False)": (7, 3),
    "BatchNorm((0, 2), scale=False)": (3, 4, 5),
    "MaxPool((2, 2))": (2, 5, 6, 3),
    "SumPool((3, 2), (2, 1), 'SAME')": (2, 5, 6, 3),
    "AvgPool((3, 2), (2, 1), 'SAME')": (2, 5, 6, 3),
    "AvgPool((2, 2), spec='NCHW')": (2, 3, 5, 6),
    "Flatten": (3, 4, 5),
    "serial(FanOut(3), parallel(Dense(4), Identity, Tanh), FanInConcat())": (3, 4),
    "serial(FanOut(2), parallel(Relu, Gelu), FanInSum)": (3, 4),
    "serial(Dense(8), Dropout(0.7), LeakyRelu, Dense(3), LogSoftmax)": (5, 4),
    "serial(Dropout(0.7, mode='test'), Exp, Softmax, Softplus)": (5, 4),
    "serial(Sigmoid, Elu, Selu)": (5, 4),
    "shape_dependent(lambda shape: Dense(2 * shape[-1]))": (3, 4),
}


def made(module, keys, package, text, shape):
    init, apply = eval(text, dict(vars(module)))
    out_shape, params = init(keys.key(3), (-1, *shape[1:]))
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    out = package.jit(lambda p, v: apply(p, v, rng=keys.key(4)))(params, x)
    return tuple(out_shape), package.tree.leaves(params), out


@pytest.mark.parametrize(("text", "shape"), LAYERS.items())
def test_layers_are_those_of_jax(text, shape):
    jax = pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    peer = importlib.import_module("jax.example_libraries.stax")
    ours = made(stax, random, fg, text, shape)
    theirs = made(peer, jax.random, jax, text, shape)
    assert ours[0] == theirs[0]
    assert len(ours[1]) == len(theirs[1])
    for got, wanted in zip([*ours[1], ours[2]], [*theirs[1], theirs[2]], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("text", "shape"), LAYERS.items())
def test_the_shape_promised_is_the_shape_given(text, shape):
    promised, _, out = made(stax, random, fg, text, shape)
    assert promised[1:] == out.shape[1:]


def test_names_are_those_of_jax():
    pytest.importorskip("jax", reason="a differential test needs the peer: funcgrad[bench]")
    peer = importlib.import_module("jax.example_libraries.stax")
    wanted = {n for n, v in vars(peer).items() if n[0] != "_" and not hasattr(v, "__path__")}
    assert wanted - {"functools", "math", "jnp", "lax", "random"} <= set(dir(stax))


def test_a_network_learns():
    init, apply = stax.serial(stax.Dense(16), stax.Tanh, stax.Dense(1))
    _, params = init(random.key(0), (-1, 2))
    x = random.normal(random.key(1), (64, 2))
    y = x[:, :1] * x[:, 1:]

    def loss(params):
        return fnp.mean((apply(params, x) - y) ** 2)

    def step(_, params):
        return fg.tree.map(lambda p, g: p - 0.1 * g, params, fg.grad(loss)(params))

    trained = fg.jit(lambda p: fg.lax.fori_loop(0, 300, step, p))(params)
    assert loss(trained) < 0.2 * loss(params)


def test_dropout_wants_a_key():
    _, apply = stax.serial(stax.Dropout(0.5))
    with pytest.raises(ValueError, match=r"without a key[\s\S]*rng=key"):
        apply([()], fnp.ones(3))
