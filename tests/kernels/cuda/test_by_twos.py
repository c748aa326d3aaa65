"""While loops of large states: what they carry has two places, and is not copied between turns."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels import warm
from funcgrad.kernels.cuda.runtime import writing


def f32(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def exchanged(x, limit):
    """A loop that carries an array and a number anew, and updates another array in place."""

    def body(s):
        a, b, n = s
        return fnp.cumsum(a, 1)[::-1] * 0.5, b.at[n].set(a[0, 0]), n + 1

    start = x, fnp.zeros(20_000), 0
    return lax.while_loop(lambda s: (s[2] < limit) & (s[0].sum() < 1e6), body, start)


@pytest.mark.parametrize("decides", [True, False])
@pytest.mark.parametrize("limit", [0, 1, 2, 5])
def test_while_loops_go_by_twos_rather_than_copy(gpus, monkeypatch, limit, decides):
    monkeypatch.setattr(warm, "_key", lambda closed: (None, None))
    f, x = fg.jit(exchanged), abs(f32(6, 9))
    want = f(x, limit)
    copied = {}
    for least in (0, 1 << 40):
        monkeypatch.setattr(writing, "_EXCHANGED", least)
        gpu = gpus(decides=decides)
        f = fg.jit(lambda x, n: exchanged(x, n))
        for _ in range(3):
            got = f(fg.device_put(x, "gpu"), limit)
            for g, w in zip(got, want, strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)
        gpu.log.clear()
        fg.block_until_ready(f(fg.device_put(x, "gpu"), limit))
        copied[least] = sum(entry == ("copy", x.nbytes) for entry in gpu.log)
    if not decides:  # else the copies are in a graph, and in no log
        assert copied == {0: 1 + limit % 2, 1 << 40: 1 + limit}


@pytest.mark.parametrize("decides", [True, False])
def test_values_may_change_places(gpus, monkeypatch, decides):
    monkeypatch.setattr(writing, "_EXCHANGED", 0)
    monkeypatch.setattr(warm, "_key", lambda closed: (None, None))
    gpus(decides=decides)
    x, y = f32(6, 9), f32(6, 9) + 1

    def loop(x, y, n):
        def body(s):
            a, b, k = s
            return b, a[::-1] + 1, k + 1

        return lax.while_loop(lambda s: s[2] < n, body, (x, y, 0))

    f = fg.jit(loop)
    for turns in (3, 0, 1, 4):
        want = x, y
        for _ in range(turns):
            want = want[1], want[0][::-1] + 1
        got = f(*fg.device_put((x, y), "gpu"), turns)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        assert int(got[2]) == turns


@pytest.mark.parametrize("decides", [True, False])
def test_conditions_that_tell_the_host_are_asked_as_often_as_before(gpus, monkeypatch, decides):
    monkeypatch.setattr(writing, "_EXCHANGED", 0)
    monkeypatch.setattr(warm, "_key", lambda closed: (None, None))
    gpus(decides=decides)
    seen = []

    def holds(s):
        fg.debug.callback(lambda n: seen.append(int(n)), s[1], ordered=True)
        return s[1] < 3

    f = fg.jit(lambda x: lax.while_loop(holds, lambda s: (fnp.cumsum(s[0]), s[1] + 1), (x, 0)))
    got = f(fg.device_put(f32(9), "gpu"))[0]
    np.testing.assert_allclose(got, np.cumsum(np.cumsum(np.cumsum(f32(9)))), rtol=1e-4)
    fg.effects_barrier()
    assert seen == [0, 1, 2, 3]
