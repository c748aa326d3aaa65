"""Products whose sides are parts of other values, read where they lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.kernels.explain import every_step
from funcgrad.kernels.program import Launch, LibraryCall

ARRAYS = np.random.default_rng(0)


def floats(*shape):
    return ARRAYS.standard_normal(shape).astype(np.float32)


def integers(*shape):
    return ARRAYS.integers(-100, 100, shape).astype(np.int8)


def int8(a, b):
    return lax.dot_general(a, b, (((1,), (0,)), ((), ())), preferred_element_type=np.int32)


def heads(x):
    return x.reshape(2, 33, 3, 32).transpose(0, 2, 1, 3)


def attention(x, w):
    q, k, v = fnp.split(x @ w, 3, -1)
    scores = heads(q) @ heads(k).swapaxes(-1, -2)
    return fg.nn.softmax(scores / 9, -1) @ heads(v)


def attention_of_sums(x, w):
    q, k, v = fnp.split(x @ w + x.sum(), 3, -1)
    scores = heads(q) @ heads(k).swapaxes(-1, -2)
    return fg.nn.softmax(scores / 9, -1) @ heads(v)


def gradient(x, w):
    return fg.grad(lambda w: (attention(x, w) ** 2).sum())(w)


def in_turns(a, b):
    def turn(c, _):
        return fnp.tanh(fnp.pad(c[:, 8:56] @ b[4:52], ((0, 0), (0, 0)))), None

    return lax.scan(turn, a, None, length=5)[0]


A, B = floats(200, 97), floats(97, 120)
CASES = {
    "rows": (lambda a, b: a[10:91] @ b, A, B),
    "columns": (lambda a, b: a[:, 20:85] @ b[32:], A, B),
    "columns of the right side": (lambda a, b: a @ b[:, 7:60], A, B),
    "every second row": (lambda a, b: a[3::2] @ b, A, B),
    "a part of a part": (lambda a, b: a[10:][5:, :40][3:90] @ b[1:][:40], A, B),
    "transposed": (lambda a, b: a[5:90, 10:60].T @ a[5:90, 40:97], A, B),
    "a corner": (lambda a, b: a[:, 57:] @ b[57:, 80:], A, B),
    "large": (lambda a, b: a[100:, :512] @ b[88:, 64:], floats(700, 520), floats(600, 700)),
    "float64": (lambda a, b: a[7:] @ b[:, 3:], A.astype(np.float64), B.astype(np.float64)),
    "a batch": (lambda a, b: a[1:3] @ b[2:], floats(4, 40, 50), floats(4, 50, 33)),
    "int8": (lambda a, b: int8(a[8:], b), integers(80, 65), integers(65, 50)),
    "int8 as words": (
        lambda a, b: a[8:].astype(np.int32) @ b.astype(np.int32)[3:],
        integers(80, 62),
        integers(65, 50),
    ),
    "attention": (attention, floats(2, 33, 50), floats(50, 288)),
    "attention of sums": (attention_of_sums, floats(2, 33, 50), floats(50, 288)),
    "a loop": (in_turns, floats(60, 64), floats(60, 64)),
    "the gradient of attention": (gradient, floats(2, 33, 50), floats(50, 288)),
}
# What is copied: elements backwards, and parts of what need not be computed whole or lie in
# pieces of less than two lines.
COPIED = {
    "backwards": (lambda a, b: a[::-1] @ b, A, B),
    "a part of a sum": (lambda a, b: (a + 1)[10:90] @ b, A, B),
    "short rows": (lambda a, b: a[:, 3:30] @ b[3:30], A, B),
}


def steps(f, *args):
    return list(every_step(fg.jit(f).lower(*args).stages.block))


@pytest.mark.parametrize("name", list(CASES)[:13])
def test_nothing_is_copied(name):
    products = [s for s in steps(*CASES[name]) if isinstance(s, LibraryCall)]
    assert any(any(s.gemm.starts) for s in products)
    if "attention" not in name:
        assert len(products) == len(steps(*CASES[name]))


@pytest.mark.parametrize("name", COPIED)
def test_a_copy_is_made(name):
    found = steps(*COPIED[name])
    assert [type(s) for s in found] == [Launch, LibraryCall]
    assert found[1].gemm.starts == (0, 0) or name == "short rows"


def test_a_sum_is_computed_once_for_its_parts():
    f, *args = CASES["attention of sums"]
    written = [b.size for s in steps(f, *args) if isinstance(s, Launch) for b in s.kernel.written]
    assert written.count(2 * 33 * 288) == 1
    assert 2 * 33 * 96 not in written[:3]


@pytest.mark.parametrize("how", ["fast", "source", "python"])
@pytest.mark.parametrize("name", [*CASES, *COPIED])
def test_products_of_parts(name, how):
    f, *args = {**CASES, **COPIED}[name]
    with fg.enable_x64():
        with fg.disable_jit():
            want = np.asarray(f(*map(fnp.asarray, args)))
        fg.config.update("lowering", how)
        try:
            found = np.asarray(fg.jit(f)(*args))
        finally:
            fg.config.update("lowering", "fast")
    assert found.dtype == want.dtype
    np.testing.assert_allclose(found, want, 1e-4, 1e-4 * max(np.abs(want).max(), 1))


_cuts = st.tuples(st.integers(0, 20), st.integers(40, 70), st.sampled_from([1, 1, 1, 2, -1]))


@settings(max_examples=25, deadline=None)
@given(cuts=st.tuples(*[_cuts] * 4), turned=st.tuples(st.booleans(), st.booleans()))
def test_random_parts(cuts, turned):
    x, y = floats(71, 72), floats(72, 73)

    def f(x, y):
        rows, inner, columns, again = (slice(a, b) for a, b, _ in cuts)
        steps = [c[2] for c in cuts]
        left = (x + 0)[rows, :][:: steps[0], inner][:, :: steps[1]]
        right = y[:, columns][:, :: steps[2]][again]
        left, right = (v.T if t else v for v, t in zip((left, right), turned, strict=True))
        n = min(left.shape[1], right.shape[0])
        return left[:, :n] @ right[-n:]

    with fg.disable_jit():
        want = np.asarray(f(fnp.asarray(x), fnp.asarray(y)))
    np.testing.assert_allclose(np.asarray(fg.jit(f)(x, y)), want, 1e-4, 1e-3)
