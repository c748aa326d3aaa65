"""Loops and branches whose values stay in registers: what they give, and that they do."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels import pipeline
from funcgrad.kernels.program import Branch, Launch, Scan, While

DTYPES = ["float32", "float64", "float16", "bfloat16", "int32", "int8", "uint16"]


def stages_of(f, *args):
    closed = simplified(fg.make_jaxpr(f)(*args))
    stages = pipeline.lower(closed, simplified)
    leaves = fg.tree_util.tree_leaves(args)
    given = [np.asarray(x, a.dtype) for x, a in zip(leaves, closed.in_avals, strict=True)]
    return stages, given


def check(f, *args, registers=True, rtol=2e-5):
    """Machine code and Python give what the rules do; no loop or branch is left in memory."""
    stages, given = stages_of(f, *args)
    apart = [s for s in stages.block.steps if isinstance(s, (Scan, While, Branch))]
    assert bool(apart) != registers, apart
    with np.errstate(all="ignore"):
        want = run_numpy(stages.simplified, given)
        runs = [pipeline.compiled(stages)(given), pipeline.script(stages, "python")(given)]
    for found in runs:
        for x, y in zip(found, want, strict=True):
            assert x.dtype == y.dtype and x.shape == y.shape
            if x.dtype.kind in "biu":
                np.testing.assert_array_equal(x, y)
            else:
                x, y = (
                    np.asarray(v, np.complex128 if v.dtype.kind == "c" else float) for v in (x, y)
                )
                np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol)
    return runs[0]


def linspace(low, high, n):
    return np.linspace(low, high, n, dtype=np.float32)


# Programs.


def newton(a):
    def going(s):
        return abs(s[0] * s[0] - a) > 1e-6 * a

    return lax.while_loop(going, lambda s: (0.5 * (s[0] + a / s[0]), s[1] + 1), (a, 0))


def collatz(n):
    def turn(s):
        n, count = s
        return lax.cond(n % 2 == 0, lambda n: n // 2, lambda n: 3 * n + 1, n), count + 1

    return lax.while_loop(lambda s: s[0] != 1, turn, (n, 0))[1]


def bisection(a):
    def turn(s):
        middle = 0.5 * (s[0] + s[1])
        up = middle**3 < a
        return fnp.where(up, middle, s[0]), fnp.where(up, s[1], middle)

    return lax.while_loop(lambda s: s[1] - s[0] > 1e-4, turn, (0.0 * a, a + 1.0))[0]


def counted(n, x):
    return lax.fori_loop(0, n, lambda i, s: s + x * i, 0 * x)


def halved(x, times):
    """An array whose every element goes through turns that a number counts."""
    return lax.while_loop(lambda s: s[1] < times, lambda s: (s[0] / 2 + 1, s[1] + 1), (x, 0))


def iterated(x):
    matrix = fnp.asarray([[0.4, 0.2, 0.1], [0.1, 0.5, 0.2], [0.2, 0.1, 0.6]])

    def going(s):
        return fnp.sum(abs(s[0] - s[1])) > 1e-3

    return lax.while_loop(going, lambda s: (matrix @ s[0] + 1.0, s[0]), (x, x + 1))[0]


def chosen(x, xs):
    def turn(c, x):
        c = lax.cond(x > 0, lambda c: c * 0.5 + x, lambda c: fnp.sin(c) - x, c)
        return c, c

    return lax.scan(turn, x, xs)


def switched(x, which):
    def turn(c, k):
        arms = [lambda c: c + 1, lambda c: c * 0.5, lambda c: -c]
        c = lax.switch(k, arms, c)
        return c, c

    return lax.scan(turn, x, which)


def loop_in_scan(xs):
    def turn(c, x):
        y = lax.while_loop(lambda y: y < 100.0, lambda y: y * 1.5, x)
        return c + y, y

    return lax.scan(turn, 0.0, xs)


def loop_in_branch(xs):
    """The loop of the branch that is not taken would never end."""

    def doubled(x):
        return lax.while_loop(lambda y: y < 100.0, lambda y: y * 2, x)

    def turn(c, x):
        return c + lax.cond(x > 0, doubled, lambda x: x, x), None

    return lax.scan(turn, 0.0, xs)[0]


def scan_in_loop(x):
    def turn(s):
        inner, _ = lax.scan(lambda c, _: (c * 1.1 + 0.1, None), s[0], None, length=5)
        return inner, s[1] + 1

    return lax.while_loop(lambda s: s[0] < 50, turn, (x, 0))


def walked(x, xs):
    """A state of three numbers, read at places that the data say."""

    def turn(s, k):
        return s.at[k % 3].add(0.5 * s[(k + 1) % 3]), s[k % 3]

    return lax.scan(turn, x, xs)


def rotated(x):
    def turn(i, s):
        return fnp.stack([s[0] * 0.8 - s[1] * 0.6, s[0] * 0.6 + s[1] * 0.8]).reshape(2)

    return lax.fori_loop(0, 40, turn, x)


def slope_of_chosen(x, xs):
    return fg.grad(lambda x, xs: fnp.sum(chosen(x, xs)[1]), (0, 1))(x, xs)


def drawn(key):
    def turn(s):
        key, x, count = s
        key, sub = fg.random.split(key)
        return key, x + fg.random.uniform(sub), count + 1

    return lax.while_loop(lambda s: s[1] < 3, turn, (key, 0.0, 0))[1:]


def complex_mandelbrot(c):
    def turn(s):
        return s[0] * s[0] + c, s[1] + 1

    return lax.while_loop(lambda s: (abs(s[0]) <= 2) & (s[1] < 40), turn, (0 * c, 0))


def turned(z, w):
    def turn(z, w):
        z = lax.cond(w.real > 0, lambda z: z * w, lambda z: fnp.exp(z * 1j) + w, z)
        return z, (z, abs(z))

    return lax.scan(turn, z, w)


WAVES = np.sin(np.arange(33)).astype(np.float32)
PROGRAMS = {
    "newton": (newton, np.float32(1e8)),
    "collatz": (collatz, np.int32(27)),
    "bisection": (fg.vmap(bisection), linspace(1, 50, 67)),
    "counted": (counted, np.int32(100), np.float32(1.5)),
    "halved": (halved, linspace(1, 9, 70), np.int32(7)),
    "halved in a batch": (fg.vmap(halved, (0, 0)), linspace(1, 9, 70), np.arange(70) % 9),
    "three numbers": (iterated, np.float32([1, 2, 3])),
    "three numbers in a batch": (fg.vmap(iterated), linspace(0, 3, 60).reshape(20, 3)),
    "cond in scan": (chosen, np.float32(1), WAVES),
    "cond in scan in a batch": (fg.vmap(chosen), WAVES, linspace(-1, 1, 33 * 5).reshape(33, 5)),
    "slope of cond in scan": (slope_of_chosen, np.float32(1), WAVES),
    "switch in scan": (switched, np.float32(1), np.arange(33, dtype=np.int32) * 7 % 5 - 1),
    "while in scan": (loop_in_scan, linspace(1, 50, 40)),
    "while in scan in a batch": (fg.vmap(loop_in_scan), linspace(1, 50, 80).reshape(20, 4)),
    "while in branch": (loop_in_branch, linspace(-5, 50, 40)),
    "scan in while": (scan_in_loop, np.float32(1)),
    "places from data": (walked, np.float32([1, 2, 3]), np.arange(12, dtype=np.int32) * 5),
    "complex numbers": (complex_mandelbrot, np.complex64(0.3 + 0.1j)),
    "complex numbers in a batch": (fg.vmap(complex_mandelbrot), linspace(-2, 0.6, 37) * (1 + 0.5j)),
    "complex numbers in a scan": (turned, np.complex64(1 + 2j), np.exp(2j * WAVES)),
    "two complex numbers": (fg.vmap(turned, (0, None)), np.complex64([1, 2j]), np.exp(2j * WAVES)),
    "rotations": (rotated, np.float32([1, 2])),
    "two batches": (fg.vmap(fg.vmap(bisection)), linspace(1, 50, 66).reshape(6, 11)),
    "tangents": (lambda a: fg.jvp(lambda a: newton(a)[0], (a,), (a * 0 + 1,)), np.float32(2)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_stay_in_registers(name):
    check(*PROGRAMS[name])


def test_random_keys_are_carried():
    check(lambda seed: drawn(fg.random.key(seed)), np.uint32(3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    with enable_x64():
        kind = getattr(fnp, dtype)
        x = fnp.asarray([1, 2, 3, 5, 8], kind)
        n = fnp.asarray([0, 1, 2, 3, 4], kind)

        def one(x, n):
            return lax.while_loop(lambda s: s[1] < n, lambda s: (s[0] + x, s[1] + 1), (x, 0 * n))

        check(fg.vmap(one), x, n, rtol=1e-2 if dtype.endswith("16") else 1e-6)
        check(one, x[3], n[3], rtol=1e-2 if dtype.endswith("16") else 1e-6)


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf, 200.0])
def test_no_turn_and_strange_numbers(x):
    """A comparison with NaN does not hold: then there is no turn."""

    def f(x):
        return lax.while_loop(lambda y: y < 100.0, lambda y: y * 1.5 + 1, x)

    if x != -np.inf:
        check(f, np.float32(x))
        check(fg.vmap(f), np.full(19, x, np.float32))


def test_lanes_beyond_the_end_of_an_array_do_not_go_on():
    """What masked lanes read is 0, of which this loop would never come to an end."""

    def f(x):
        return lax.while_loop(lambda y: y < 100.0, lambda y: y * 2, x)

    for n in (1, 3, 17, 31):
        check(fg.vmap(f), linspace(1, 9, n))


def test_many_turns():
    (found,) = check(lambda n: lax.fori_loop(0, n, lambda i, s: s + i % 3, 0), np.int32(30_000))
    assert found == 10_000 * 3


def test_an_element_that_goes_on_while_others_do_is_no_loop_of_its_own():
    """Here all elements move as long as one of them is small."""

    def f(x):
        return lax.while_loop(lambda x: fnp.any(x < 9), lambda x: x + 1, x)

    check(f, linspace(0, 5, 40), registers=False)

    def g(x):
        return lax.while_loop(lambda s: fnp.any(s[0]), lambda s: (s[1] < 3, s[1] + 1), (x > 0, x))

    check(g, linspace(1, 5, 40), registers=False)


def test_large_states_stay_in_memory():
    check(lambda x: lax.while_loop(lambda x: x.sum() > 1, lambda x: x / 2, x), linspace(1, 5, 40),
          registers=False)  # fmt: skip


@pytest.mark.parametrize("shape", [(), (5,), (64,)])
def test_long_bodies_stay_in_memory(shape):
    """Expressions are gone through by recursion, so there is an end to how deep they may be."""

    def turn(c, _):
        for k in range(150):
            c = fnp.tanh(c * 1.01 + k * 1e-3)
        return c, None

    check(lambda x: lax.scan(turn, x, None, length=3)[0], np.full(shape, 0.5, np.float32),
          registers=False)  # fmt: skip


def test_loops_of_a_batch_run_as_long_as_each_needs():
    """One kernel for the loop, after that which makes the first predicates."""
    stages, _ = stages_of(fg.vmap(fg.vmap(bisection)), linspace(1, 50, 66).reshape(6, 11))
    assert all(isinstance(s, Launch) for s in stages.block.steps)
    assert "while carry0:" in str(fg.jit(fg.vmap(bisection)).lower(linspace(1, 5, 9)).loops)


def test_results_do_not_depend_on_chunks(monkeypatch):
    x = linspace(1, 50, 20_000)
    stages, given = stages_of(fg.vmap(bisection), x)
    assert max(s.kernel.extent // s.kernel.grain for s in stages.block.steps) > 1
    (whole,) = pipeline.compiled(stages)(given)
    parts = [pipeline.compiled(stages_of(fg.vmap(bisection), x[k:][:100])[0])([x[k:][:100]])[0]
             for k in (0, 9_900, 19_900)]  # fmt: skip
    np.testing.assert_array_equal(np.concatenate(parts), np.concatenate(
        [whole[:100], whole[9_900:10_000], whole[19_900:]]))  # fmt: skip


def test_a_result_may_be_written_over_an_argument():
    f = fg.jit(lambda x, n: halved(x, n)[0], donate_argnums=0)
    x = fnp.asarray(linspace(1, 9, 70))
    want = np.asarray(fg.jit(lambda x, n: halved(x, n)[0])(x, 7))
    np.testing.assert_array_equal(f(x, 7), want)


def test_what_has_no_elements_has_a_place():
    """A loop in registers stores nothing into such results, and a loop in memory reads them."""

    def loops(few, none, xs, w):
        def turn(c, x):
            a, b = c
            return (a * 0.5 + x, fnp.tanh(b) + x), (a, fnp.sin(b))

        c, ys = lax.scan(turn, (few, none), xs)
        return lax.scan(lambda m, y: (fnp.tanh(m @ w + y[0].sum()), y[1] * m.sum()), w, ys), c

    args = np.ones(2, np.float32), np.zeros((2, 0, 3), np.float32), linspace(0, 2, 3)
    check(loops, *args, np.eye(40, dtype=np.float32), registers=False)
