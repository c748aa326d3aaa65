"""Branches outside of loops: they are within kernels, and give what the rules give."""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax
from funcgrad.config import enable_x64
from funcgrad.control.jit import simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels import checking, pipeline
from funcgrad.kernels.emit.arms import branched, ways_through
from funcgrad.kernels.explain import explanation
from funcgrad.kernels.program import Branch, Launch, steps_of

from .drawn import DTYPES, EXACT, SMALL, Drawn, matching, number
from .test_random_programs import assert_same


def stages_of(f, *args):
    closed = simplified(fg.make_jaxpr(f)(*args))
    stages = pipeline.lower(closed, simplified)
    checking.check(stages.block, stages.memory)
    leaves = fg.tree_util.tree_leaves(args)
    return stages, [np.asarray(x, a.dtype) for x, a in zip(leaves, closed.in_avals, strict=True)]


def runs_of(stages, given, lowerings=("fast", "python")):
    """What the rules give, and each lowering."""
    with np.errstate(all="ignore"):
        want = run_numpy(stages.simplified, given)
        found = [
            pipeline.compiled(stages)(given)
            if how == "fast"
            else pipeline.script(stages, how)(given)
            for how in lowerings
        ]
    return want, found


def agree(f, *args, rtol=2e-5):
    """Every lowering gives what the rules do."""
    stages, given = stages_of(f, *args)
    want, found = runs_of(stages, given)
    for outs in found:
        for x, y in zip(outs, want, strict=True):
            assert x.dtype == y.dtype and x.shape == y.shape
            if x.dtype.kind in "biu" or x.dtype.names:
                np.testing.assert_array_equal(x, y)
            else:
                wide = np.complex128 if x.dtype.kind == "c" else np.float64
                np.testing.assert_allclose(x.astype(wide), y.astype(wide), rtol=rtol, atol=rtol)
    return stages


def branches_in(stages):
    return [s for s in steps_of(stages.block) if isinstance(s, Branch)]


def ways_of(stages):
    kernels = [s.kernel for s in steps_of(stages.block) if isinstance(s, Launch)]
    return [ways_through(branched(k.body, k.written)) for k in kernels]


# Programs of an index and other operands; every index is tried.

X, Y = (np.linspace(a, b, 1000).astype(np.float32) for a, b in ((-2, 3), (1, 2)))


def scalars(p, x, y):
    return lax.cond(p > 0, lambda x, y: x * y + 1, lambda x, y: x - y, x + 1, y) * 2


def costly(p, x, y):
    return lax.cond(p > 0, lambda x: fnp.sin(x) * y, lambda x: fnp.tanh(x) + y, x * 2) * 0.5 + x


def kept(p, x, y):
    return lax.cond(p > 0, lambda x, y: (x, y), lambda x, y: (y, y), x * 1.5, y)


def summed(p, x, y):
    return fnp.sum(costly(p, x, y) ** 2), fnp.max(costly(p, x, y))


def clipped(p, x, y):
    norm = fnp.sqrt(fnp.sum(x * x))
    return lax.cond(norm > 10.0 * p, lambda x: x / norm, lambda x: x, x) + y


def skipped(p, x, y):
    """An optimizer's step that is left out if a gradient is not finite."""
    x = fnp.where(p > 0, x, fnp.nan)

    def step(x, m, v):
        m, v = 0.9 * m + 0.1 * x, 0.99 * v + 0.01 * x * x
        return m, v, y - 1e-3 * m / (fnp.sqrt(v) + 1e-8)

    return lax.cond(fnp.all(fnp.isfinite(x)), step, lambda x, m, v: (m, v, y), x, y, y * y)


def switched(p, x, y):
    arms = [fnp.sin, fnp.cos, fnp.tanh, fnp.exp, abs, fnp.square, lambda x: x, lambda x: -x]
    return lax.switch(p, arms, x * 0.5) + 1


def nested(p, x, y):
    def inner(x):
        return lax.cond(p > 1, lambda x: fnp.exp(-x), lambda x: x * x, x)

    return lax.cond(p > 0, inner, lambda x: x + y, x)


def one_behind_another(p, x, y):
    for k in range(7):
        x = lax.cond((p + k) % 3 > 0, lambda x: fnp.sin(x) + 1, lambda x: x * 1.1, x)
    return x


def shared_by_both(p, x, y):
    """A chain in which every value is needed in both arms and behind them."""
    for k in range(12):
        x = lax.cond((p >> (k % 3)) % 2 > 0, lambda x: fnp.sin(x), lambda x: fnp.cos(x), x) + x / 2
    return x


def moved(p, x, y):
    def arm(x):
        return fnp.pad(fnp.flip(x)[3:], (1, 2))

    return fnp.pad(lax.cond(p > 0, arm, lambda x: x, x)[:-4], 2) * 2


def divided(p, x, y):
    """What the arm that is not taken would divide by is 0."""
    n = fnp.arange(100, dtype="int32") * 0 + p
    return lax.cond(p > 0, lambda n: 100 // n + 7 % n, lambda n: n, n)


def gathered(p, x, y):
    return lax.cond(p > 0, lambda x: x[(y * 400).astype("int32")], lambda x: x, x)


def few_folded(p, x, y):
    rows = x[:60].reshape(20, 3)
    return lax.cond(p > 0, lambda r: r / r.sum(1, keepdims=True), lambda r: r, rows)


def captured(p, x, y):
    table = np.arange(1000, dtype=np.float32)
    return lax.cond(p > 0, lambda x: x + table, lambda x: x - table[::-1], x)


def softmax(p, x, y):
    rows = x.reshape(25, 40)
    hot = lax.cond(p > 0, lambda r: r * 2, lambda r: fnp.tanh(r), rows)
    e = fnp.exp(hot - hot.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def complexes(p, x, y):
    z = x + 1j * y
    z = lax.cond(p > 0, lambda z: z * z, lambda z: fnp.conj(z) + 1, z)
    return z, abs(z), lax.cond(p > 1, lambda z: z.real, lambda z: z.imag, z)


def several_shapes(p, x, y):
    def arm(f):
        return lambda x, y: (f(x), f(y[:10]), f(y[0]), y[0] > 0)

    return lax.cond(p > 0, arm(fnp.exp), arm(fnp.sin), x, y)


def empty(p, x, y):
    return lax.cond(p > 0, lambda x: x * 2, lambda x: x, x[:0]), x[0]


def slopes(p, x, y):
    return fg.value_and_grad(lambda x, y: fnp.sum(costly(p, x, y)), (0, 1))(x, y)


def slopes_of_switch(p, x, y):
    return fg.grad(lambda x: fnp.sum(switched(p, x, y) * y))(x)


def slope_at_zero(p, x, y):
    """The arm that is not taken has no finite slope."""
    return fg.grad(lambda x: fnp.sum(lax.cond(p > 0, fnp.sqrt, fnp.square, x)))(fnp.abs(x) * 0 + p)


def curved(p, x, y):
    def value(s):
        return lax.cond(p > 0, lambda s: fnp.sin(s) * s, lambda s: s**3, s)

    return fg.jvp(fg.grad(value), (x[0],), (y[0],))


def in_a_batch(p, x, y):
    return fg.vmap(lambda q, x: lax.cond(q > 0, fnp.exp, fnp.negative, x))(x * 0 + p, x)


def operands_in_a_batch(p, x, y):
    return fg.vmap(lambda x, y: costly(p, x, y))(x, y)


def words(p, x, y):
    key = fg.random.key(p)
    key = lax.cond(p > 0, lambda k: fg.random.fold_in(k, 1), lambda k: k, key)
    return fg.random.key_data(key)


def of_calls(p, x, y):
    @fg.custom_jvp
    def f(x):
        return fnp.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), 2 * tangents[0]))
    inner = fg.jit(lambda x: x * 2 + y)
    return fg.grad(lambda x: fnp.sum(lax.cond(p > 0, f, inner, x)))(x)


WITHIN = {
    f.__name__: (f, X, Y)
    for f in (
        costly, kept, summed, clipped, skipped, switched, nested, one_behind_another,
        shared_by_both, moved, divided, gathered, few_folded, captured, softmax, complexes,
        several_shapes, empty, slopes, slopes_of_switch, slope_at_zero, curved, in_a_batch,
        operands_in_a_batch, words, of_calls,
    )
}  # fmt: skip
WITHIN["scalars"] = scalars, np.float32(2), np.float32(3)
WITHIN["costly scalars"] = costly, np.float32(2), np.float32(3)
WITHIN["slopes of scalars"] = slopes, np.float32(2), np.float32(3)
WITHIN["scalars behind each other"] = shared_by_both, np.float32(2), np.float32(3)
WITHIN["switch of scalars"] = switched, np.float32(2), np.float32(3)


@pytest.mark.parametrize("name", WITHIN)
def test_small_branches_are_within_kernels(name):
    f, *rest = WITHIN[name]
    for p in (-1, 0, 1, 2, 9) if name in ("nested", "switched") else (0, 1):
        stages = agree(f, np.int32(p), *rest)
        assert not branches_in(stages)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["costly", "skipped", "switched", "shared_by_both"])
def test_branches_under_numba(name):
    f, *rest = WITHIN[name]
    for p in (0, 1):
        stages, given = stages_of(f, np.int32(p), *rest)
        want, (found,) = runs_of(stages, given, ["source"])
        for x, y in zip(found, want, strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int8", "uint32", "bool"])
def test_dtypes(dtype):
    def f(p, x):
        y = lax.cond(p > 0, lambda x: x[::-1], lambda x: x == 0 if x.dtype == bool else x + x, x)
        return y, y[0] | True if y.dtype == bool else y[0] * 2

    with enable_x64():
        x = np.arange(100).astype(fnp.asarray(0, dtype).dtype)
        for p in (0, 1):
            assert not branches_in(agree(f, np.int32(p), x))


def nested_under_a_guard(x):
    """A gradient that reads branches under the condition of a padding, then without."""

    def inner(a, b, t):
        a = lax.dynamic_update_slice(a, fnp.cos(b[7:13]), (8,))
        return a, b, t + 0.3 * fnp.sin(b[19])

    def outer(*state):
        return lax.cond(state[2] > 0.5, inner, lambda *state: state, *state)

    def f(x):
        a, b = x * 2, x + 1
        v = fnp.sin(b[7])
        t = 0.3 * (fnp.sin(a[16]) + v)
        state = a, b.at[9].set(v), t
        a, b, t = lax.cond(t > 0.5, outer, lambda *state: state, *state)
        return fnp.sin(a).sum() + b.sum() * 0.5 + t

    return fg.grad(f)(x)


@pytest.mark.parametrize("most", [0.5, 1])
def test_which_program_runs_is_asked_under_no_condition(most):
    x = np.linspace(-0.9, most, 80).astype(np.float32)
    agree(nested_under_a_guard, x)


LARGE = {
    "a product": (lambda x: x @ x, "dot_general is not done element by element"),
    "a sum": (lambda x: x / x.sum(), "900 elements are folded into one"),
    "a loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * 0.5, x), "a scan is inside"),
    "a sort": (lambda x: fnp.sort(x), "sort is not done element by element"),
    "a costly row": (lambda x: x + fnp.exp(x[0]), "more often than it has elements"),
    "stencils": (
        lambda x: [x := fnp.sin(x) + fnp.roll(fnp.tanh(x), 1) for _ in range(8)][-1],
        "read at many places",
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_branches_are_between_kernels_and_say_why(name):
    arm, why = LARGE[name]
    x = X[:900].reshape(30, 30)
    for p in (0, 1):
        stages = agree(lambda p, x: lax.cond(p > 0, arm, lambda x: x, x + 1), np.int32(p), x)
        (step,) = branches_in(stages)
        assert why in step.why
        assert why in explanation(stages.block, stages.memory, "f")


WAYS = {
    "costly": [2],
    "kept": [2],
    "summed": [2],
    "switched": [8],
    "scalars": [1],
    "clipped": [1, 2],
    "nested": [3],
}


@pytest.mark.parametrize("name", WAYS)
def test_a_branch_is_made_before_the_loops(name):
    f, *rest = WITHIN[name]
    stages, _ = stages_of(f, np.int32(1), *rest)
    assert ways_of(stages) == WAYS[name]


def test_many_conditions_do_not_multiply():
    assert max(ways_of(stages_of(shared_by_both, np.int32(1), X, Y)[0])) <= 8
    text = pipeline.lower(
        simplified(fg.make_jaxpr(shared_by_both)(np.int32(1), np.float32(2), np.float32(3))),
        simplified,
    ).llvm
    assert text.count("\n") < 30_000


def test_what_is_chosen_is_printed_as_a_branch():
    stages, _ = stages_of(costly, np.int32(1), X, Y)
    text = stages.python(numba=False)[0]
    assert text.count("    if ") == 2 and text.count("for ") == 2
    assert "2 ways through it" in explanation(stages.block, stages.memory, "f")


def test_a_donated_operand_may_become_the_result():
    x = fnp.asarray(X)
    f = fg.jit(lambda p, x: lax.cond(p > 0, lambda x: x * 2, lambda x: x, x), donate_argnums=1)
    for p, want in ((0, X), (1, X * 2)):
        np.testing.assert_array_equal(f(np.int32(p), fnp.array(x)), want)


def test_only_the_chosen_arm_calls_out():
    seen = []

    def told(x, name):
        fg.debug.callback(partial(seen.append, name))
        return x * 2

    @fg.jit
    def f(p, x):
        return lax.cond(p > 0, lambda x: told(told(x, "a"), "b"), lambda x: told(x, "c"), x)

    f(1, X)
    f(0, X)
    fg.effects_barrier()
    assert seen == ["a", "b", "c"]


def test_debug_nans_does_not_look_at_what_is_not_chosen():
    with fg.debug_nans(True):
        f = fg.jit(lambda p, x: lax.cond(p > 0, lambda x: (x - x) / (x - x), lambda x: x, x))
        np.testing.assert_array_equal(f(0, X), X)
        with pytest.raises(FloatingPointError):
            f(1, X)


# Random ones.


class Branching(Drawn):
    """Every step is one of two, as the first element of its second operand says."""

    def __call__(self, *inputs):
        values = list(inputs)
        for (first, second), i, j in self.steps:
            x, y = values[i % len(values)], values[j % len(values)]
            which = fnp.ravel(number(y))[0] > 0 if y.size else fnp.asarray(False)

            def arm(name, x, y):
                return matching(x, EXACT[name](x, y))

            values.append(lax.cond(which, partial(arm, first), partial(arm, second), x, y))
        return values[len(inputs) :]


def branching():
    names = st.sampled_from(sorted(set(EXACT) - {"pad", "tile"}))
    place, shape, dtype = st.integers(0, 9), st.sampled_from(SMALL), st.sampled_from(DTYPES)
    step = st.tuples(st.tuples(names, names), place, place)
    steps = st.lists(step, min_size=1, max_size=5).map(tuple)
    pair = st.tuples(shape, shape), st.tuples(dtype, dtype)
    return st.builds(Branching, st.just("EXACT"), steps, *pair, st.integers(0, 99))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(branching())
def test_random_branches_give_the_same_bits(program):
    with enable_x64():
        stages, given = stages_of(program, *program.inputs())
        want, found = runs_of(stages, given)
    for outs in found:
        for x, y in zip(outs, want, strict=True):
            assert_same(x, y)
