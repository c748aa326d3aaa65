"""split_jaxpr: the known part, then the unknown part, is the whole."""

import itertools

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.core.evaluate import eval_closed
from funcgrad.ir.checking import check_jaxpr
from funcgrad.transforms.linearize import split_jaxpr

x, y, z = (np.linspace(a, a + 1, 3, dtype=np.float32) for a in (0, 1, 2))


def f(x, y, z):
    a = fnp.sin(x) * y
    return fnp.cos(x), a + z, y * 2, a.sum()


jitted = fg.jit(f)


def looped(x, y, z):
    def body(c, s):
        return (c[0] * 0.5, c[1] + fnp.sin(c[0]) * s), c[1]

    (a, b), rows = fg.lax.scan(body, (x, y), z)
    return a, b, rows


@pytest.mark.parametrize("fun", [f, lambda *a: jitted(*a), looped], ids=["plain", "jit", "scan"])
@pytest.mark.parametrize("unknown", list(itertools.product([False, True], repeat=3)))
def test_known_then_unknown_is_the_whole(fun, unknown):
    args = (x, y, z)
    closed = fg.make_jaxpr(fun)(*args)
    want = eval_closed(closed, *args)
    split = split_jaxpr(closed, unknown)
    check_jaxpr(split.known.jaxpr)
    check_jaxpr(split.unknown.jaxpr)
    outs = eval_closed(split.known, *[a for a, u in zip(args, unknown, strict=True) if not u])
    cut = len(outs) - split.residual_count
    known, residuals = iter(outs[:cut]), outs[cut:]
    later = iter(
        eval_closed(
            split.unknown, *residuals, *[a for a, u in zip(args, unknown, strict=True) if u]
        )
    )
    found = [next(later) if u else next(known) for u in split.out_unknown]
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert [r.shape for r in residuals] == [a.shape for a in split.residual_avals]
    if not any(unknown):
        assert not any(split.out_unknown)


def test_known_outputs_are_found_and_can_be_forced():
    closed = fg.make_jaxpr(f)(x, y, z)
    assert split_jaxpr(closed, [False, True, True]).out_unknown == [False, True, True, True]
    assert split_jaxpr(closed, [False, False, True]).out_unknown == [False, True, False, False]
    assert split_jaxpr(closed, [False] * 3, True).out_unknown == [True] * 4
    forced = split_jaxpr(closed, [False] * 3, [False, False, True, False])
    assert forced.out_unknown == [False, False, True, False]


def test_work_on_known_inputs_is_done_once_on_the_known_side():
    split = split_jaxpr(fg.make_jaxpr(f)(x, y, z), [False, False, True])
    assert [e.primitive.name for e in split.unknown.eqns] == ["add"]
    assert split.residual_count == 1


def test_splits_are_remembered():
    closed = fg.make_jaxpr(f)(x, y, z)
    assert split_jaxpr(closed, [True, False, False]) is split_jaxpr(closed, (True, False, False))
