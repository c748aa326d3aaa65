"""Values that are updated where they lie, and those that must not be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax, nn
from funcgrad.config import enable_x64
from funcgrad.kernels import explain
from funcgrad.kernels.memory import carried, updates_in_place
from funcgrad.kernels.program import Branch, Launch, Scan, While, inner_blocks

# Arrays of so many elements are updated in place, and go through memory.
N = 1500


def stages(f, *args):
    """The block of a program."""
    return fg.jit(f).lower(*args).stages.block


def bases(block):
    """How many kernels of a program do nothing but copy what an update starts as."""
    launches = [s for s in explain.every_step(block) if isinstance(s, Launch)]
    return sum(s.kernel.copies is not None for s in launches)


def copied(block):
    """How many large values are copied for the turns of loops."""
    found = 0
    for step in explain.every_step(block):
        if isinstance(step, (Scan, While)):
            pairs = [p for p in carried(step) if p[0].size >= N]
            found += sum(not updates_in_place(step.block, *p) for p in pairs)
    return found


def blocks_of(block):
    """A block and all within."""
    return [block, *(b for step in block.steps for i in inner_blocks(step) for b in blocks_of(i))]


def apart(block):
    """How many large results of branches lie elsewhere than where their operands do."""
    found = 0
    for around in blocks_of(block):
        for step in around.steps:
            if isinstance(step, Branch):
                given = {around.root(b) for b in step.reads}
                large = [around.root(b) for b in step.writes if b.size >= N]
                found += sum(b not in given for b in large)
    return found


def fibonacci(x):
    return lax.fori_loop(0, 40, lambda i, x: x.at[i + 2].set((x[i] + x[i + 1]) % 7), x)


def windows(x):
    def turn(i, x):
        window = lax.dynamic_slice(x, (i,), (9,))
        return lax.dynamic_update_slice(x, window * 2 % 5, (3 * i,))

    return lax.fori_loop(0, 30, turn, x)


def rows(x):
    def turn(i, m):
        return m.at[i + 1].set(m[i] % 3 + 1)

    return lax.fori_loop(0, 14, turn, x.reshape(15, -1))


def several(x):
    def turn(i, x):
        return x.at[fnp.arange(5) * i].add(1.0).at[i].multiply(2.0).at[::500].min(3.0)

    return lax.fori_loop(0, 20, turn, x)


def read_before(x):
    def turn(state):
        i, x, total = state
        old = x[i]
        new = x.at[i + 1].set(old + 1)
        return i + 1, new, total + old + new[i // 2]

    return lax.while_loop(lambda s: s[0] < 40, turn, (0, x, fnp.zeros((), x.dtype)))


def nested(x):
    def turn(x, i):
        inner = lax.fori_loop(0, 5, lambda k, x: x.at[i * 5 + k].add(x[k] + 1), x)
        return inner, inner[3]

    return lax.scan(turn, x, fnp.arange(9))


def made_here(x):
    x = fnp.sin(x)
    x = x.at[3].set(1.0)
    return lax.dynamic_update_slice(x, fnp.ones(4, x.dtype), (x[3].astype(int),))


def read_behind(x):
    def turn(x, i):
        new = x.at[i + 1].add(x[i] + 1)
        return new, x[fnp.array([0, 3])] + x[i + 1]

    return lax.scan(turn, x, fnp.arange(20))


def gradient(x):
    def turn(i, x):
        return lax.dynamic_update_slice(x, x[i] * fnp.ones(3), (2 * i,))

    def f(x):
        return fnp.sum(lax.fori_loop(0, 9, turn, x) ** 2)

    return fg.grad(f)(x)


def chosen(x):
    def turn(i, x):
        return lax.cond(x[i] > 4, lambda x: x.at[i + 1].add(x[i]), lambda x: x, x)

    return lax.fori_loop(0, 40, turn, x)


def closed_over(x):
    return lax.fori_loop(
        0, 40, lambda i, x: lax.cond(x[i] > 4, lambda: x.at[i].set(1), lambda: x), x
    )


def switched(x):
    def turn(i, state):
        x, total = state
        old = x[i]
        arms = [
            lambda x: lax.dynamic_update_slice(x, fnp.full(3, old), (2 * i,)),
            lambda x: x.at[i].multiply(3),
            lambda x: x,
            lambda x: fnp.zeros_like(x).at[i].set(old),
        ]
        return lax.switch(x[i + 1].astype(int) % 4, arms, x), total + old

    return lax.fori_loop(0, 40, turn, (x, fnp.zeros((), x.dtype)))


def one_of_two(x):
    def turn(state, i):
        a, b = lax.cond(
            i % 2 == 0,
            lambda a, b: (a.at[i].add(b[i + 1]), b),
            lambda a, b: (a, b.at[i].add(a[i + 1])),
            *state,
        )
        return (a, b), a[i] + b[i]

    return lax.scan(turn, (x, x * 2), fnp.arange(30))


def a_queue(x):
    def push(i, queue, first, last):
        return queue.at[last].set(fnp.float32(i)), first, last + 1

    def pop(i, queue, first, last):
        return queue, first + 1, last

    def turn(state):
        i, total, *rest = state
        queue, first, last = lax.cond(i % 3 < 2, push, pop, i, *rest)
        return i + 1, total + queue[first], queue, first, last

    return lax.while_loop(lambda s: s[0] < 40, turn, (0, fnp.float32(0), x, 0, 0))


def branch_in_branch(x):
    def inner(i, x):
        return lax.cond(x[i] > 5, lambda x: x.at[i].set(0), lambda x: x.at[0].add(x[i]), x)

    def turn(i, x):
        return lax.cond(i % 2 == 0, lambda x: inner(i, x), lambda x: x, x)

    return lax.fori_loop(0, 40, turn, x)


def loop_in_branch(x):
    def turns(i, x):
        return lax.fori_loop(0, 3, lambda k, x: x.at[i + k].add(x[k] + 1), x)

    def turn(i, x):
        return lax.cond(i % 3 > 0, lambda x: turns(i, x), lambda x: x, x)

    return lax.fori_loop(0, 30, turn, x)


def read_before_a_branch(x):
    def turn(i, state):
        x, total = state
        old = x[i]
        new = lax.cond(old > 3, lambda x: x.at[i].set(0), lambda x: x, x)
        return new, total + old * new[i + 1]

    return lax.fori_loop(0, 40, turn, (x, fnp.zeros((), x.dtype)))


# On GPUs a branch that works element by element stays within its kernel.
IN_BRANCHES = [
    chosen,
    closed_over,
    switched,
    one_of_two,
    a_queue,
    branch_in_branch,
    loop_in_branch,
    read_before_a_branch,
]
IN_PLACE = [
    fibonacci,
    windows,
    rows,
    several,
    read_before,
    nested,
    made_here,
    read_behind,
    gradient,
]


@pytest.mark.parametrize("f", [*IN_PLACE, *IN_BRANCHES])
def test_nothing_is_copied(f):
    x = np.arange(N, dtype=np.float32) % 11
    block = stages(f, x)
    assert bases(block) == 0
    assert copied(block) == 0
    assert apart(block) == 0
    with fg.disable_jit():
        wanted = f(fnp.asarray(x))
    for found, want in zip(fg.tree.leaves(fg.jit(f)(x)), fg.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(want), 1e-6)


def kept_old(x):
    y = x * 2
    return y, y.at[3].set(0.0)


def both_of_a_loop(x):
    return lax.fori_loop(0, 9, lambda i, s: (s[0].at[i].set(1.0), s[0]), (x, x))


def exchanged(x):
    def turn(i, s):
        return s[1].at[i].add(s[0][0]), s[0].at[i + 1].add(s[1][1])

    return lax.fori_loop(0, 9, turn, (x, x * 2))


def rows_of_old(x):
    return lax.scan(lambda x, i: (x.at[i].add(x[i + 1]), x), x, fnp.arange(9))


def read_by_position(x):
    # The second update meets what the first one changed, were it done where the old values lie.
    y = x + 1
    return y.at[fnp.array([1, 2, 3, 1])].set(y[fnp.array([0, 1, 2, 1])] * 2)


def argument(x):
    return x.at[3].set(1.0)


def through_views(x):
    m = (x + 1).reshape(30, -1)
    return m.at[2, 3].set(5.0).reshape(-1), m[2] * 2


def constant_of_a_loop(x):
    y = x * 3
    return lax.fori_loop(0, 5, lambda i, t: t + y.at[i].set(0.0).sum(), fnp.zeros((), x.dtype))


def reversed_first(x):
    y = fnp.cumsum(x)[::-1]
    return y.at[3].set(1.0)


def of_another_dtype(x):
    y = fnp.cumsum(x.astype(int)).astype(fnp.float32)
    return y.at[3].set(1.0)


def filled(x):
    return fnp.zeros(N).at[x.astype(int)].add(x), lax.dynamic_update_slice(x * 2, x[:9], (5,))


def read_behind_a_loop(x):
    y = x * 3 % 5
    z = lax.fori_loop(0, 9, lambda i, y: y.at[i].add(y[i + 1]), y)
    return z.at[2].set(y[3]), fnp.cumsum(y)


def branch_kept_old(x):
    def turn(i, state):
        x, _ = state
        return lax.cond(x[i] > 4, lambda x: x.at[i].add(1), lambda x: x, x), x

    return lax.fori_loop(0, 20, turn, (x, x))


def branch_read_behind(x):
    def turn(x, i):
        new = lax.cond(x[i] > 4, lambda x: x.at[i].set(0), lambda x: x, x)
        return new, fnp.cumsum(x)[i] + x[new[i + 1].astype(int)]

    return lax.scan(turn, x, fnp.arange(20))


def both_of_a_branch(x):
    def turn(i, state):
        x, y = state
        return lax.cond(i % 2 == 0, lambda x, y: (x.at[i].add(y[i]), x), lambda x, y: (y, x), x, y)

    return lax.fori_loop(0, 9, turn, (x, x * 2))


def one_for_both(x):
    def turn(i, state):
        x, _ = state
        return lax.cond(x[i] > 4, lambda x: (x.at[i].set(0), x), lambda x: (x, x + 1), x)

    return lax.fori_loop(0, 9, turn, (x, x * 2))


def twice_given(x):
    def arm(i, x, y):
        new = x.at[i].set(0)
        return new.at[3].add(y[i + new[i + 2].astype(int) % 3 - 1])

    def turn(i, x):
        return lax.cond(x[i] > 4, lambda x, y: arm(i, x, y), lambda x, y: x, x, x)

    return lax.fori_loop(1, 40, turn, x)


def arm_reads_behind(x):
    def twice(i, x):
        new = x.at[i].set(0)
        return new.at[i + 1].add(x[i + new[i + 2].astype(int) % 3 - 1])

    return lax.fori_loop(1, 40, lambda i, x: lax.cond(x[i] > 4, lambda: twice(i, x), lambda: x), x)


def turned_in_an_arm(x):
    def turn(i, x):
        return lax.cond(i % 5 == 4, lambda x: x[::-1], lambda x: x.at[i].add(x[i + 1]), x)

    return lax.fori_loop(0, 20, turn, x)


def argument_of_a_branch(x):
    return lax.cond(x[1] > 0, lambda x: x.at[3].set(1), lambda x: x, x), x[3]


def constant_of_a_branch(x):
    y = fnp.cumsum(x)

    def turn(i, total):
        z = lax.cond(i % 2 == 0, lambda: y.at[i].set(0), lambda: y)
        return total + z[i] + z[i + 1]

    return lax.fori_loop(0, 9, turn, fnp.zeros((), x.dtype))


OTHERS = [
    branch_kept_old,
    branch_read_behind,
    both_of_a_branch,
    one_for_both,
    twice_given,
    arm_reads_behind,
    turned_in_an_arm,
    argument_of_a_branch,
    constant_of_a_branch,
    reversed_first,
    of_another_dtype,
    filled,
    read_behind_a_loop,
    kept_old,
    both_of_a_loop,
    exchanged,
    rows_of_old,
    read_by_position,
    argument,
    through_views,
    constant_of_a_loop,
]


@pytest.mark.parametrize("how", ["fast", "source", "python"])
@pytest.mark.parametrize("f", [*IN_PLACE, *IN_BRANCHES, *OTHERS])
def test_old_values_are_there_for_all_who_read_them(f, how):
    x = np.arange(N, dtype=np.float32) % 11
    before = x.copy()
    with fg.disable_jit():
        wanted = f(fnp.asarray(x))
    fg.config.update("lowering", how)
    try:
        given = fg.jit(f)(x)
    finally:
        fg.config.update("lowering", "fast")
    for found, want in zip(fg.tree.leaves(given), fg.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(want), 1e-6)
    np.testing.assert_array_equal(x, before)


def test_an_update_of_what_products_read_under_another_shape():
    """Nobody but the products reads the reshaped array, which is no kernel."""

    def f(x):
        y = nn.softmax(x @ x.swapaxes(1, 2) / 11, -1) @ x
        return x.at[0:5, 0:33, 0:128].add(y)

    x = np.random.default_rng(0).normal(size=(5, 33, 128)).astype(np.float32)
    with fg.disable_jit():
        want = f(fnp.asarray(x))
    np.testing.assert_allclose(fg.jit(f)(x), want, 2e-5, 2e-5)


def test_a_donated_argument_is_updated_where_it_lies():
    step = fg.jit(lambda cache, i: cache.at[i].set(1.0), donate_argnums=0)
    cache = fnp.zeros((512, 512))
    places = set()
    for i in range(5):
        cache = step(cache, i)
        places.add(np.asarray(cache).ctypes.data)
    assert len(places) == 1
    np.testing.assert_array_equal(np.asarray(cache).sum(1)[:6], [512] * 5 + [0])


# Random programs: two arrays, and statements that update, exchange and read them.

_arrays = st.sampled_from([0, 1])
_places = st.integers(0, 7)
_statements = st.one_of(
    st.tuples(st.just("set"), _arrays, _places, _arrays, _places),
    st.tuples(st.just("add"), _arrays, _places, _arrays, _places),
    st.tuples(st.just("window"), _arrays, _places, _arrays, _places),
    st.tuples(st.just("gathered"), _arrays, _places, _arrays, _places),
    st.tuples(st.just("exchange")),
    st.tuples(st.just("whole"), _arrays),
    st.tuples(st.just("same"), _arrays),
    st.tuples(st.just("keep"), _arrays),
    st.tuples(st.just("kept"), _arrays, _places),
)
_bodies = st.lists(_statements, min_size=1, max_size=5)
_nested = st.one_of(
    _statements, st.tuples(st.sampled_from(["fori", "cond", "switch", "closed"]), _bodies)
)
_regions = st.sampled_from(["fori", "scan", "while", "cond", "switch", "closed"])
_programs = st.lists(
    st.one_of(_statements, st.tuples(_regions, st.lists(_nested, min_size=1, max_size=4))),
    min_size=1,
    max_size=4,
)


def run(program, state, i):
    """The arrays and the total after the statements, in turn i of a loop."""
    arrays, total = list(state[:2]), state[2]
    old = arrays[0]
    for statement in program:
        what, *rest = statement
        if what in ("fori", "scan", "while"):
            arrays, total = loop(what, rest[0], (*arrays, total))
        elif what in ("cond", "switch", "closed"):
            arrays, total = branch(what, rest[0], (*arrays, total), i)
        elif what == "exchange":
            arrays.reverse()
        elif what == "whole":
            arrays[rest[0]] = (arrays[rest[0]] * 3 + 1) % 17
        elif what == "same":
            arrays[1 - rest[0]] = arrays[rest[0]]
        elif what == "keep":
            old = arrays[rest[0]]
        elif what == "kept":
            total = (total + old[rest[1] + i]) % 97
        else:
            a, p, b, q = rest
            x, value = arrays[a], arrays[b][q * 3 + i]
            if what == "set":
                arrays[a] = x.at[p * 2 + i].set(value + 1)
            elif what == "add":
                arrays[a] = x.at[p + 2 * i].add(value % 5)
            elif what == "window":
                window = lax.dynamic_slice(arrays[b], (q + i,), (6,))
                arrays[a] = lax.dynamic_update_slice(x, window + 1, (p + 2 * i,))
            else:
                here = fnp.array([p, q, p + 1, 2 * q]) + i
                arrays[a] = x.at[here].set(arrays[b][here - p + 1] * 2 % 13)
            total = (total + value) % 97
    return arrays, total


def loop(what, body, state):
    """Four turns of a body."""

    def turn(state, i):
        (a, b), total = run(body, state, i)
        return (a, b, total), a[i] + b[2]

    if what == "scan":
        (a, b, total), rows = lax.scan(turn, state, fnp.arange(4))
        total = (total + rows.sum()) % 97
    elif what == "fori":
        a, b, total = lax.fori_loop(0, 4, lambda i, s: turn(s, i)[0], state)
    else:
        _, (a, b, total) = lax.while_loop(
            lambda s: s[0] < 4, lambda s: (s[0] + 1, turn(s[1], s[0])[0]), (0, state)
        )
    return [a, b], total


def branch(what, body, state, i):
    """A body, parts of it or nothing."""

    def arm(body):
        def run_it(state):
            (a, b), total = run(body, state, i)
            return a, b, total

        return run_it

    *_, total = state
    if what == "cond":
        a, b, total = lax.cond(total % 2 == 0, arm(body), lambda s: s, state)
    elif what == "switch":
        arms = [arm(body), arm(body[:1]), arm(body[1:])]
        a, b, total = lax.switch(total.astype(int) % 3, arms, state)
    else:
        kept = state[1]
        a, total = lax.cond(total % 2 == 0, lambda: arm(body)(state)[::2], lambda: state[::2])
        b = kept
    return [a, b], total


@settings(max_examples=60, deadline=None)
@given(program=_programs, small=st.booleans())
def test_random_programs(program, small):
    n = 80 if small else N

    def f(x):
        arrays, total = run(program, (x + 1, x * 2, fnp.zeros((), x.dtype)), 1)
        return *arrays, total

    with enable_x64():
        x = np.arange(n, dtype=np.int64) % 11
        with fg.disable_jit():
            wanted = f(fnp.asarray(x))
        for found, want in zip(fg.jit(f)(x), wanted, strict=True):
            np.testing.assert_array_equal(np.asarray(found), np.asarray(want))
