"""Branches within loops in registers: what an arm falls back on is there before it is asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax


def looped(x):
    return lax.fori_loop(0, 4, lambda i, c: lax.logistic(c) * x[i % 3], x)


def padded(x):
    return lax.pad(x[::2], 0.0, ((0, 0, 1),)) + lax.pad(x[1:2], 0.0, ((1, 1, 0),))


def uneven(x):
    """The first element costs more than the others, and the last one nothing."""
    return fnp.stack([fnp.sin(fnp.exp(x[0])) * fnp.tanh(x[1]), x[1] * 0.5, x[2]])


def even(x):
    """The last element costs more than the others."""
    return fnp.stack([x[0], fnp.cos(x[1]), fnp.sin(fnp.exp(x[2])) * fnp.tanh(x[0])])


ORDERS = [*itertools.permutations([looped, padded, uneven, even], 3)]


@pytest.mark.parametrize("arms", ORDERS)
def test_any_arm_may_cost_least_in_any_element(arms):
    def step(c, r):
        new = lax.switch(fnp.int32(r), arms, c)
        return new * 0.5 + c * 0.2, lax.cond(c.sum() > 0.1, arms[0], arms[1], c)

    def run(x):
        return lax.scan(step, x, fnp.arange(-1.0, 4.0))

    x = fnp.asarray([0.3, -0.5, 1.0], np.float32)
    for got, wanted in zip(fg.jit(run)(x), run(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_arms_of_arms():
    def outer(i, x):
        # Conditions on the number of the turn: on the values, nearly equal ones would decide.
        inner = lax.cond(i % 2 == 0, looped, padded, x)
        return lax.cond(i % 3 == 0, uneven, lambda x: inner * x[0], x)

    def nested(i, x):
        return lax.cond(i % 3 > 0, lambda x: lax.cond(i > 3, padded, looped, x), uneven, x)

    def run(x):
        return lax.fori_loop(0, 7, lambda i, c: outer(i, c) + nested(i, c) * x, x)

    x = fnp.asarray([0.3, -0.5, 1.0], np.float32)
    np.testing.assert_allclose(fg.jit(run)(x), run(x), rtol=1e-5, atol=1e-6)
