"""simplify: less to do, the same results, and every effect kept."""

import numpy as np

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.core.evaluate import eval_closed
from funcgrad.experimental import io_callback
from funcgrad.ir.checking import check_jaxpr
from funcgrad.passes.dce import dce
from funcgrad.passes.simplify import simplify

x = np.linspace(0.1, 1, 3, dtype=np.float32)


def simplified(f, *args):
    """The names of the eqns after simplify; the value is checked on the way."""
    before = fg.make_jaxpr(f)(*args)
    after = simplify(before)
    check_jaxpr(after.jaxpr)
    assert after.out_avals == before.out_avals
    for found, want in zip(eval_closed(after, *args), eval_closed(before, *args), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-6)
    return after, [e.primitive.name for e in after.eqns]


def test_scalars_are_folded():
    one, two = np.float32(1), np.float32(2)
    after, names = simplified(lambda x: x * fg.lax.sin(fg.lax.add(one, two)), x)
    assert names == ["mul"]
    assert not after.consts


def test_folded_overflow_and_nan_stay_quiet():
    _, names = simplified(lambda x: x + fg.lax.log(fg.lax.convert_element_type(-1, np.float32)), x)
    assert names == ["add"]


def test_eqns_that_change_nothing_are_forwarded():
    def f(x):
        return fnp.sin(fg.lax.convert_element_type(x, np.float32))

    assert simplified(f, x)[1] == ["sin"]


def test_equal_eqns_are_shared_but_not_across_params():
    _, names = simplified(lambda x: fnp.sin(x) * fnp.sin(x), x)
    assert names == ["sin", "mul"]
    y = np.ones((2, 2), np.float32)
    _, names = simplified(lambda y: y.sum(0) + y.sum(1), y)
    assert names.count("reduce_sum") == 2


def test_dead_eqns_and_constants_are_dropped():
    def f(y):
        fnp.cos(y) + x
        return fnp.sin(y)

    after, names = simplified(f, x)
    assert names == ["sin"]
    assert not after.jaxpr.constvars


def test_calls_are_inlined_each_with_variables_of_its_own():
    inner = fg.jit(lambda x: fnp.sin(x) * 2)
    _, names = simplified(lambda x: inner(inner(x)) + inner(x), x)
    assert "jit" not in names
    assert names.count("sin") == 2


def test_effects_are_kept_in_order_and_in_number():
    calls = []

    def f(x):
        for tag in "aba":
            io_callback(lambda _, tag=tag: calls.append(tag), None, x, ordered=True)
        return x

    closed = simplify(fg.make_jaxpr(f)(x))
    assert len(closed.eqns) == 3
    assert closed.effects
    eval_closed(closed, x)
    assert calls == ["a", "b", "a"]
    assert len(dce(closed.jaxpr, [False])[0].eqns) == 3


def test_dce_of_outputs_and_inputs():
    closed = fg.make_jaxpr(lambda x, y: (fnp.sin(x), fnp.cos(y)))(x, x)
    smaller, used = dce(closed.jaxpr, [True, False])
    assert used == [True, False]
    assert [e.primitive.name for e in smaller.eqns] == ["sin"]
    assert len(smaller.invars) == 2
    smaller, _ = dce(closed.jaxpr, [True, False], keep_inputs=False)
    assert len(smaller.invars) == 1
    check_jaxpr(smaller)


def test_unused_parts_of_a_loop_are_dropped():
    def f(x):
        def body(c, _):
            return (fnp.sin(c[0]), fnp.cos(c[1])), c[1]

        return fg.lax.scan(body, (x, x), None, length=3)[0][0]

    after, _ = simplified(f, x)
    assert "cos" not in str(after)
