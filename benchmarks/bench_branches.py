"""Branches outside of loops: a step that may be skipped, clipping, a switch, a small one."""

from __future__ import annotations

import numpy
from works import Work, normal


def costly(fw):
    """One of two functions, with work before and behind."""

    def call(p, x, y):
        np, cond = fw.numpy, fw.lax.cond
        arms = lambda x, y: np.sin(x) * y, lambda x, y: np.tanh(x) + y
        return cond(p > 0, *arms, x * 2 + 1, y) * 0.5 + x

    return call


def cheap(fw):
    """One of two operations, with work before and behind."""

    def call(p, x, y):
        arms = lambda x, y: x * y, lambda x, y: x + y
        return fw.lax.cond(p > 0, *arms, x * 2 + 1, y) * 0.5 + x

    return call


def slope(fw):
    """The gradient through a branch."""

    def call(p, x, y):
        return fw.grad(lambda x: fw.numpy.sum(costly(fw)(p, x, y)))(x)

    return call


def clipped(fw):
    """A vector of norm 1 at most."""

    def call(x):
        norm = fw.numpy.sqrt(fw.numpy.sum(x * x))
        return fw.lax.cond(norm > 1, lambda x: x / norm, lambda x: x, x)

    return call


def skipped(fw):
    """A step of Adam's kind that is left out where a gradient is not finite."""

    def call(g, m, v, x):
        np = fw.numpy

        def step(m, v, x):
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
            return m, v, x - 1e-3 * m / (np.sqrt(v) + 1e-8)

        return fw.lax.cond(np.all(np.isfinite(g)), step, lambda *state: state, m, v, x)

    return call


def switched(fw):
    """One of eight functions."""

    def call(k, x):
        np = fw.numpy
        arms = [np.sin, np.cos, np.tanh, np.exp, np.abs, np.square, lambda x: x, lambda x: -x]
        return fw.lax.switch(k, arms, x * 0.5) + 1

    return call


def several(fw):
    """Eight branches one behind the other, each with a predicate of its own."""

    def call(p, x):
        for k in range(8):
            x = fw.lax.cond(p[k] > 0, lambda x: x * 1.1 + 1, fw.numpy.sin, x)
        return x

    return call


def one_of_two(n):
    return lambda rng: (numpy.float32(1), normal(rng, n), normal(rng, n))


def state(poisoned):
    def inputs(rng):
        g, m, v, x = (normal(rng, 1_000_000) for _ in range(4))
        if poisoned:
            g[3] = numpy.nan
        return g, m, v * v, x

    return inputs


def of_scalars(rng):
    return numpy.float32(1), numpy.float32(0.3), numpy.float32(0.7)


SIGNS = numpy.float32([1, -1, 1, 1, -1, -1, 1, -1])
WORKS = [
    Work("cond of scalars", of_scalars, costly, waits=False),
    Work("cond, costly arms, 1e3", one_of_two(1000), costly, waits=False),
    Work("cond, costly arms, 1e6", one_of_two(1_000_000), costly),
    Work("cond, cheap arms, 1e6", one_of_two(1_000_000), cheap),
    Work("gradient of cond, 1e6", one_of_two(1_000_000), slope),
    Work("clip by norm, 1e6", lambda rng: (normal(rng, 1_000_000),), clipped),
    Work("step if finite, 1e6, taken", state(False), skipped),
    Work("step if finite, 1e6, skipped", state(True), skipped),
    Work("switch of 8, 1e5", lambda rng: (numpy.int32(2), normal(rng, 100_000)), switched),
    Work("8 conds, 1e5", lambda rng: (SIGNS, normal(rng, 100_000)), several),
]
