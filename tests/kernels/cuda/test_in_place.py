"""Values that a GPU updates where they lie, and where the turns of loops find what they carry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import config, enable_x64
from funcgrad.kernels.cuda.runtime.commands import Copy, inner_commands
from funcgrad.kernels.cuda.runtime.writing import commands_of

from .. import test_in_place as host
from .running import both_ways, program_of, traced


def copies(f, *args, least=host.N):
    """How many commands of a program copy so many bytes or more, and are within loops."""

    def within(body):
        inner = [c for command in body for part in inner_commands(command) for c in part]
        return [*inner, *(within(inner) if inner else [])]

    body = commands_of(program_of(f, *args)).body
    return sum(isinstance(c, Copy) and c.bytes >= least for c in within(body))


def same(f, *args, rtol=1e-6):
    """The emulator's results are those of NumPy's rules; the program."""
    program, want, found = both_ways(*traced(f, *args))
    for given_ in found:
        for g, w in zip(given_, want, strict=True):
            np.testing.assert_allclose(g, w, rtol, 0.1 * rtol)
    return program


@pytest.mark.parametrize("f", host.IN_PLACE)
def test_nothing_is_copied_in_turns(f):
    x = np.arange(12 * host.N, dtype=np.float32) % 11
    program = same(f, x)
    assert host.bases(program.block) == 0
    assert host.copied(program.block) == 0
    assert copies(f, x) == 0


@pytest.mark.parametrize("f", host.OTHERS)
def test_old_values_are_there_for_all_who_read_them(f):
    same(f, np.arange(host.N, dtype=np.float32) % 11)


def places(*numbers):
    return fnp.asarray(np.array(numbers, np.int32))


N = 20_000
PLACES = np.random.default_rng(0).integers(0, N, 300).astype(np.int32)


def added(x):
    return lax.fori_loop(0, 3, lambda i, x: x.at[PLACES + i].add(x[i] + 1, mode="drop"), x + 1)


def rows_added(x):
    def turn(m, i):
        return m.at[PLACES % 100 + i].add(0.5, mode="drop"), m[i, 3]

    return lax.scan(turn, (x * 2).reshape(100, 200), fnp.arange(3))


def window(x):
    return lax.dynamic_update_slice(x + 1, x[:500] * 2, (fnp.asarray(777),))


@pytest.mark.parametrize("f", [added, rows_added, window])
@pytest.mark.parametrize("atomics", [False, True])
def test_updates_of_all_kinds_write_what_they_change(f, atomics):
    x = (np.arange(N) % 11).astype(np.float32)
    try:
        config.update("gpu_scatter_atomics", atomics)
        program = same(f, x)
        assert host.bases(program.block) == 0
        assert copies(f, x) == 0
    finally:
        config.update("gpu_scatter_atomics", False)
    kinds = {k.launch.kind for k in program.kernels}
    if f is not window:
        assert ("atomics" in kinds, "segments" in kinds) == (atomics, not atomics)


def test_small_arrays_are_not_worth_a_launch_of_their_own():
    def f(x, y):
        return lax.dynamic_update_slice(x, y, (3,))

    x, y = np.ones(500, np.float32), np.ones(7, np.float32)
    (whole,) = same(f, x, y).kernels
    assert [b.size for b in whole.params] == [500, 7, 500]
    (update,) = same(f, np.resize(x, 50_000), y).kernels
    assert [b.size for b in update.params] == [7, 50_000]


def test_a_donated_argument_is_updated_where_it_lies(gpu):
    step = fg.jit(lambda cache, i: cache.at[i].set(1.0), donate_argnums=0)
    cache = fg.device_put(np.zeros((512, 64), np.float32), "gpu")
    found = set()
    for i in range(5):
        cache = step(cache, i)
        found.add(cache.unsafe_buffer_pointer())
    assert len(found) == 1
    np.testing.assert_array_equal(np.asarray(cache).sum(1)[:6], [64] * 5 + [0])


UPDATES = {
    "set": lambda x, i, j: x.at[i].set(x[j]),
    "add": lambda x, i, j: x.at[i].add(2 * x[j]),
    "two": lambda x, i, j: x.at[i].set(x[j] + x[j + 1]),
    "out of range": lambda x, i, j: x.at[i + 90_000].set(x[j]),
    "read again": lambda x, i, j: (x.at[i].set(x[j]), x[i]),
    "a value for each": lambda x, i, j: x.at[i].set(x[j] * x[0]).at[j].set(x[i]),
    "row": lambda x, i, j: x.reshape(-1, 4).at[i].set(x.reshape(-1, 4)[j]).reshape(-1),
}


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize(("i", "j"), [(3, 9), (5, 5), (-1, 0)])
def test_an_update_may_read_what_it_changes(gpu, name, i, j):
    """In a donated argument, whose old value it reads before it writes."""
    x = np.arange(40_000, dtype=np.float32)
    f = UPDATES[name]
    want = fg.tree.leaves(f(fnp.asarray(x), i, j))
    step = fg.jit(lambda x, i, j: f(x, i, j), donate_argnums=0)
    for _ in range(3):
        given = fg.device_put(x, "gpu")
        place = given.unsafe_buffer_pointer()
        got = fg.tree.leaves(step(given, i, j))
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_equal(g, w)
        if name in ("set", "add", "two", "out of range", "row"):
            assert got[0].unsafe_buffer_pointer() == place
    # An argument that is kept is as it was.
    given = fg.device_put(x, "gpu")
    np.testing.assert_array_equal(fg.tree.leaves(fg.jit(f)(given, i, j))[0], want[0])
    np.testing.assert_array_equal(given, x)


def test_an_argument_that_is_kept_is_copied(gpu):
    cache = fg.device_put(np.zeros((64, 64), np.float32), "gpu")
    step = fg.jit(lambda cache, i: cache.at[i].set(1.0))
    for i in range(3):
        assert np.asarray(step(cache, i)).sum() == 64
    assert np.asarray(cache).sum() == 0


@pytest.mark.parametrize("kind", ["while", "cond"])
def test_updates_within_what_the_device_decides(gpu, kind):
    def f(x, n):
        if kind == "while":
            return lax.while_loop(
                lambda s: s[0] < n, lambda s: (s[0] + 1, s[1].at[s[0]].add(s[1][s[0] + 1])), (0, x)
            )[1]
        return lax.cond(n > 2, lambda x: x.at[n].set(0.0).at[n + 1].add(x[n]), lambda x: x, x)

    x = np.arange(3000, dtype=np.float32)
    g = fg.jit(f)
    there = fg.device_put(x, "gpu")
    for n in (0, 5, 2, 5):
        with fg.disable_jit():
            want = np.asarray(f(fnp.asarray(x), n))
        np.testing.assert_array_equal(np.asarray(g(there, n)), want)
        np.testing.assert_array_equal(np.asarray(there), x)


# What loops carry, in turns of every number and order.

SIZE = 70


def cell(c, x):
    """What a turn makes; the fold keeps loops from becoming one kernel with all turns."""
    return fnp.tanh(c + x) + fnp.mean(c) * 0.5


def plain(c, xs, **how):
    return lax.scan(lambda c, x: (cell(c, x), None), c, xs, **how)[0]


def stacks_what_it_gets(c, xs, **how):
    return lax.scan(lambda c, x: (cell(c, x), c), c, xs, **how)


def stacks_what_it_makes(c, xs, **how):
    def turn(c, x):
        c = cell(c, x)
        return c, c

    return lax.scan(turn, c, xs, **how)


def stacks_both(c, xs, **how):
    def turn(c, x):
        new = cell(c, x)
        return new, (new, c, new, c)

    return lax.scan(turn, c, xs, **how)


def two_of_one(c, xs, **how):
    def turn(state, x):
        h, c = state
        c = cell(c, x)
        return (c, h + c), (c, h)

    return lax.scan(turn, (c, c), xs, **how)


def exchanged(c, xs, **how):
    def turn(state, x):
        a, b, t = state
        return (b, cell(a, x), t), a

    return lax.scan(turn, (c, c * 2, c + 1), xs, **how)


def gradient(c, xs, **how):
    return fg.grad(lambda c, xs: fnp.sum(plain(c, xs, **how) ** 2), argnums=(0, 1))(c, xs)


def within_a_loop(c, xs, **how):
    def turn(c, x):
        c, rows = stacks_both(c, xs * x[0], **how)
        return c, rows

    return lax.scan(turn, c, xs[:2])


CARRIED = [
    plain,
    stacks_what_it_gets,
    stacks_what_it_makes,
    stacks_both,
    two_of_one,
    exchanged,
    gradient,
    within_a_loop,
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("f", CARRIED)
def test_what_loops_carry_is_where_the_next_turn_looks(f, reverse):
    for length in range(6):
        c, xs = np.linspace(-1, 1, SIZE), np.random.default_rng(1).normal(size=(length, SIZE))
        given = c.astype(np.float32), xs.astype(np.float32)
        same(lambda c, xs: f(c, xs, reverse=reverse), *given, rtol=2e-4)


@pytest.mark.parametrize("f", [plain, stacks_what_it_gets, stacks_what_it_makes, gradient])
def test_turns_copy_nothing(f):
    c, xs = np.ones(SIZE, np.float32), np.ones((5, SIZE), np.float32)
    assert copies(f, c, xs, least=1) == 0


def test_no_launch_makes_a_counter():
    def f(x):
        return lax.fori_loop(3, 9, lambda i, x: x.at[2 * i].set(x[i] + x[i + 9] * i), x)

    def kept(x):
        return lax.scan(lambda s, _: ((s[0] - 2, s[1].at[s[0]].set(1.0)), s[0]), (9, x), None, 4)

    x = np.zeros(2000, np.float32)
    program = same(f, x)
    assert len(program.kernels) == 1
    same(lambda x: fg.grad(lambda x: (f(x * 2) ** 2).sum())(x), x)
    # One that somebody reads in the end is carried.
    program = same(kept, x)
    assert any(b.dtype.kind == "i" for k in program.kernels for b in k.launch.written)


def test_turns_of_a_recording(gpu):
    c, xs = np.linspace(-1, 1, SIZE).astype(np.float32), np.ones((5, SIZE), np.float32)
    f = fg.jit(stacks_both)
    want = fg.tree.leaves(f(c, xs))
    there = fg.device_put((c, xs), "gpu")
    for _ in range(4):
        for g, w in zip(fg.tree.leaves(f(*there)), want, strict=True):
            np.testing.assert_allclose(np.asarray(g), np.asarray(w), 1e-4, 1e-6)
    assert gpu.graphs


@settings(max_examples=40, deadline=None)
@given(program=host._programs, small=st.booleans())
def test_random_programs(program, small):
    n = 80 if small else host.N

    def f(x):
        arrays, total = host.run(program, (x + 1, x * 2, fnp.zeros((), x.dtype)), 1)
        return *arrays, total

    with enable_x64():
        same(f, np.arange(n, dtype=np.int64) % 11, rtol=0)
