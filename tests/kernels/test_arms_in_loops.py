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


def test_what_an_arm_within_an_arm_read_first_is_read_again_behind_it():
    def read(b, total):
        return b, total + b[3] * b[4] + 0.3 * fnp.sin(b[7])

    def added(b, total):
        value = fnp.sin(b[22])
        return b.at[2].add(value), total + 0.3 * value

    def stays(*state):
        return state

    def outer(a, b, total):
        total = total + 0.3 * fnp.sin(a[22])
        b, total = lax.cond(total > 0.5, read, stays, b, total)
        b, total = lax.cond(total > 0.5, added, stays, b, total)
        return fnp.tanh(a * 1.1) + 0.1, b, total

    def f(x):
        a, b = x + 1, x * 2
        new = fnp.sin(b[19])
        b, total = b.at[5].set(new), fnp.zeros((), x.dtype) + 0.3 * new
        return lax.cond(total > 0.5, outer, stays, a, b, total)

    with fg.enable_x64():
        x = fnp.linspace(-1.0, 1.0, 80)
        along = x * 0.3 + 1
        found = fg.jit(lambda x: fg.jvp(f, (x,), (along,)))(x)
        wanted = fg.jvp(f, (x,), (along,))
    for got, want in zip(fg.tree.leaves(found), fg.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(got, want, 1e-9, 1e-12)
