"""Jaxprs written out as Python functions: what they give, and what they let go of."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.core.evaluate import make_runner
from funcgrad.core.straight import straight

PROGRAMS = {
    "one": (lambda x: x * 2, 1),
    "two of them": (lambda x: (x + 1, x.sum()), 2),
    "none": (lambda x: (), 0),
    "arguments": (lambda x: (x, x), 2),
    "numbers": (lambda x: (x * 0 + 3.0, 4.0 + x[0]), 2),
    "several results of one step": (lambda x: lax.sort((x, x * 2), num_keys=1), 2),
    "a number of NumPy's on the way": (lambda x: fnp.exp(x - x.max()) / x.sum(), 1),
    "a constant": (lambda x: x + np.arange(5, dtype=np.float32), 1),
}


def rule(eqn: Any) -> Any:
    return partial(eqn.rule(), **eqn.params)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_what_its_steps_give(name: str) -> None:
    fun, count = PROGRAMS[name]
    x = np.array([2.0, -1.0, 0.5, 7.0, 3.0], np.float32)
    closed = fg.make_jaxpr(fun)(x)
    values = [*(np.asarray(c) for c in closed.consts), x]
    found, wanted = straight(closed.jaxpr, rule)(*values), make_runner(closed.jaxpr)(values)
    found = [found] if count == 1 else found
    assert len(found) == len(wanted) == count
    for a, b in zip(found, wanted, strict=True):
        assert type(a) is np.ndarray
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_large_values_are_let_go_of_after_their_last_reader() -> None:
    closed = fg.make_jaxpr(lambda x: fnp.cos(fnp.sin(x) + 1) * 2)(np.ones(10_000, np.float32))
    alive: list[int] = []
    made: list[weakref.ref[Any]] = []

    def noted(eqn: Any) -> Any:
        step = rule(eqn)

        def call(*arrays: Any) -> Any:
            alive.append(sum(m() is not None for m in made))
            out = step(*arrays)
            made.append(weakref.ref(out))
            return out

        return call

    straight(closed.jaxpr, noted)(np.ones(10_000, np.float32))
    assert len(alive) == 4
    assert max(alive) == 1
