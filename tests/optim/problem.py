"""What the tests of optimizers share: a small tree of params, gradients of it, and a run."""

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

SHAPES = {"bias": (5,), "kernel": (3, 3, 2, 4), "scale": (), "weight": (4, 5)}
STEPS = 50


def params(seed=0):
    """A tree of dicts and a tuple with leaves of several ranks, f32."""
    rng = np.random.default_rng(seed)
    leaf = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    leaf = {name: np.asarray(x, np.float32) for name, x in leaf.items()}
    return {
        "conv": (leaf["kernel"], leaf["scale"]),
        "dense": {"b": leaf["bias"], "w": leaf["weight"]},
    }


def gradient(tree):
    """The gradient of `loss`, by NumPy: bounded, and of no simple scale."""
    return np.asarray(2 * np.tanh(tree - 1) + 0.3 * np.sin(7 * tree), np.float32)


def loss(tree):
    """Σ 2·log cosh(p − 1) − 0.3/7 · cos 7p: several minima."""
    return sum(
        fnp.sum(2 * fnp.log(fnp.cosh(p - 1)) - 0.3 / 7 * fnp.cos(7 * p))
        for p in fg.tree.leaves(tree)
    )


def run(method, steps=STEPS, jit=True, keywords=None, start=None):
    """The params after each step."""
    now = params() if start is None else start
    state = method.init(fg.tree.map(fnp.asarray, now))
    update = fg.jit(method.update) if jit else method.update
    history = []
    for _ in range(steps):
        grads = fg.tree.map(gradient, now)
        extra = {} if keywords is None else keywords(now)
        updates, state = update(grads, state, now, **extra)
        now = fg.tree.map(np.asarray, optim.apply_updates(now, updates))
        history.append(now)
    return history, state
