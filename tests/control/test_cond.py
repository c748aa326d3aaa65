"""cond and switch: values, transforms against the chosen branch, residuals, vmap, errors."""

from typing import ClassVar

import numpy as np
import pytest

from funcgrad.api.forward import jvp, linearize
from funcgrad.api.jacobians import jacfwd
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad, linear_transpose
from funcgrad.api.tracing import make_jaxpr
from funcgrad.config import disable_jit
from funcgrad.control.cond import cond, switch
from funcgrad.control.jitted import jit
from funcgrad.control.loops import while_loop
from funcgrad.control.scan import scan
from funcgrad.core.primitive import Primitive, registry
from funcgrad.ir.checking import check_jaxpr
from funcgrad.passes.dce import dce
from funcgrad.primitives.arithmetic import add, mul
from funcgrad.primitives.comparison import gt
from funcgrad.primitives.reduction import reduce_sum
from funcgrad.primitives.rounding import stop_gradient
from funcgrad.primitives.transcendental import exp, log, sin
from funcgrad.random.keys import fold_in, key

f32 = np.float32
two = f32(2.0)
branches = (
    lambda x: mul(x, f32(3)),
    lambda x: mul(x, mul(x, x)),
    sin,
    log,
    lambda x: stop_gradient(x),
    lambda x: f32(7),
)
values = (6.0, 8.0, np.sin(2.0), np.log(2.0), 2.0, 7.0)
slopes = (3.0, 12.0, np.cos(2.0), 0.5, 0.0, 0.0)
curvatures = (0.0, 12.0, -np.sin(2.0), -0.25, 0.0, 0.0)


def choose(i, x):
    return switch(i, branches, x)


def total(x):
    return reduce_sum(x, tuple(range(np.ndim(x))))


@pytest.mark.parametrize("i", range(6))
def test_values_and_derivatives_are_those_of_the_branch(i):
    np.testing.assert_allclose(choose(i, two), values[i], rtol=1e-6)
    for slope in (grad(choose, 1), jit(grad(choose, 1)), grad(jit(choose), 1), jacfwd(choose, 1)):
        np.testing.assert_allclose(slope(i, two), slopes[i], rtol=1e-6)
    np.testing.assert_allclose(grad(grad(choose, 1), 1)(i, two), curvatures[i], rtol=1e-6)
    np.testing.assert_allclose(jacfwd(grad(choose, 1), 1)(i, two), curvatures[i], rtol=1e-6)
    out, tangent = jvp(lambda x: choose(i, x), (two,), (f32(2),))
    np.testing.assert_allclose([out, tangent], [values[i], 2 * slopes[i]], rtol=1e-6)
    np.testing.assert_allclose(
        linearize(lambda x: choose(i, x), two)[1](two), 2 * slopes[i], rtol=1e-6
    )


def test_index_out_of_range_takes_the_nearest():
    assert float(choose(-5, two)) == 6.0
    assert float(choose(99, two)) == 7.0


def test_vmap_over_the_index_selects():
    at = np.arange(6)
    x = np.full(6, 2.0, f32)
    np.testing.assert_allclose(vmap(choose)(at, x), values, rtol=1e-6)
    np.testing.assert_allclose(vmap(choose, (0, None))(at, two), values, rtol=1e-6)
    np.testing.assert_allclose(vmap(grad(choose, 1))(at, x), slopes, rtol=1e-6)
    np.testing.assert_allclose(grad(lambda x: total(vmap(choose)(at, x)))(x), slopes, rtol=1e-6)
    np.testing.assert_allclose(jit(vmap(choose))(at, x), values, rtol=1e-6)


def test_vmap_over_the_operand_keeps_the_cond():
    x = np.array([1.0, 2.0, 4.0], f32)
    text = str(make_jaxpr(vmap(choose, (None, 0)))(1, x))
    assert "cond[" in text and "select_n" not in text
    np.testing.assert_allclose(vmap(grad(choose, 1), (None, 0))(1, x), 3 * x**2, rtol=1e-6)


def test_branch_not_taken_does_not_poison_the_gradient():
    def safe(x):
        return cond(gt(x, f32(0)), log, lambda x: mul(x, f32(2)), x)

    x = np.array([0.0, 2.0], f32)
    np.testing.assert_allclose(grad(lambda x: total(vmap(safe)(x)))(x), [2.0, 0.5])


def test_captured_values_are_operands_and_have_gradients():
    def f(w, x):
        return cond(gt(x, f32(0)), lambda x: mul(w, sin(x)), lambda x: add(w, exp(x)), x)

    np.testing.assert_allclose(grad(f, (0, 1))(two, f32(1)), (np.sin(1), 2 * np.cos(1)), rtol=1e-6)
    np.testing.assert_allclose(grad(f, (0, 1))(two, f32(-1)), (1, np.exp(-1)), rtol=1e-6)
    closed = make_jaxpr(grad(f, (0, 1)))(two, two)
    check_jaxpr(closed.jaxpr)
    assert not [
        e for e in closed.eqns if e.primitive.name == "cond" and e.params["branches"][0].consts
    ]


def test_prints_as_jax():
    w = np.ones(3, f32)
    text = str(
        make_jaxpr(lambda p, x: cond(gt(p, f32(0)), lambda x: add(x, w), lambda x: mul(x, x), x))(
            two, w
        )
    )
    assert "convert_element_type[new_dtype=int32 weak_type=False] d" in text
    assert text.index("mul") < text.index("add")


def test_outputs_handed_through_are_not_outputs_of_the_eqn():
    closed = make_jaxpr(lambda p, x, y: cond(p, lambda x, y: (x, y), lambda x, y: (y, y), x, y))(
        True, two, two
    )
    (eqn,) = [e for e in closed.eqns if e.primitive.name == "cond"]
    assert len(eqn.outvars) == 1
    assert closed.jaxpr.outvars[1] is closed.jaxpr.invars[2]


def test_operand_forms():
    assert float(cond(1, lambda x: add(x, x), lambda x: x, operand=two)) == 4.0
    assert float(cond(0.0, lambda: two, lambda: f32(5))) == 5.0
    assert float(cond(True, two, lambda x: add(x, x), f32(1), lambda x: x)) == 4.0
    assert float(switch(1, [lambda x: x, lambda x: add(x, x)], operand=two)) == 4.0
    assert float(switch(9, [lambda x: add(x, x)], two)) == 4.0
    tree_out = cond(False, lambda d: d, lambda d: {"a": d["b"], "b": d["a"]}, {"a": 1, "b": 2})
    assert (int(tree_out["a"]), int(tree_out["b"])) == (2, 1)


def test_nested_and_linear():
    def f(p, q, x):
        return cond(p, lambda x: cond(q, sin, exp, x), lambda x: mul(x, x), x)

    slopes_of = [(True, True, np.cos(2)), (True, False, np.exp(2)), (False, True, 4.0)]
    for p, q, slope in slopes_of:
        np.testing.assert_allclose(jit(grad(f, 2))(p, q, two), slope, rtol=1e-6)
    p, q = np.array([c[0] for c in slopes_of]), np.array([c[1] for c in slopes_of])
    np.testing.assert_allclose(
        vmap(grad(f, 2), (0, 0, None))(p, q, two), [c[2] for c in slopes_of], rtol=1e-6
    )
    (back,) = linear_transpose(lambda x: cond(False, lambda x: x, branches[0], x), two)(two)
    assert float(back) == 6.0


def test_keys_integers_and_unused_outputs():
    k = key(0)
    out = cond(True, lambda k: (fold_in(k, 1), 1), lambda k: (k, 2), k)
    assert out[0].dtype == k.dtype and int(out[1]) == 1
    out, n = vmap(lambda p: cond(p, lambda: (fold_in(k, 1), 1), lambda: (k, 2)))(
        np.array([True, False])
    )
    np.testing.assert_array_equal(n, [1, 2])
    # A key among the residuals of one branch only.
    g = grad(lambda x: cond(True, lambda x: (mul(x, x), k)[0], lambda x: x, x))
    assert float(g(two)) == 4.0


def test_disable_jit_runs_one_branch():
    ran = []
    with disable_jit():
        assert (
            float(cond(True, lambda x: ran.append(1) or x, lambda x: ran.append(2) or x, two)) == 2
        )
        switch(2, [lambda n=n: ran.append(n) or two for n in (3, 4, 5)])
    assert ran[0] == 1 and len(ran) == 2


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: cond(None, sin, sin, two), TypeError, "predicate is None"),
        (lambda: cond(np.ones(3), sin, sin, two), TypeError, "must be a scalar.*any, all"),
        (lambda: cond([True], sin, sin, two), TypeError, "must be a scalar"),
        (lambda: cond(1j, sin, sin, two), TypeError, "boolean or number"),
        (lambda: cond("x", sin, sin, two), TypeError, "boolean or number"),
        (lambda: cond(True, two, sin), TypeError, "callable"),
        (lambda: cond(True, sin, sin, two, operand=two), TypeError, "operand"),
        (lambda: switch(0.5, [sin, sin], two), TypeError, "integer"),
        (lambda: switch(np.ones(2, int), [sin, sin], two), TypeError, "scalar"),
        (lambda: switch(0, [], two), ValueError, "Empty"),
        (lambda: switch(0, [sin, 3], two), TypeError, "callables"),
        (
            lambda: cond(True, lambda x: {"a": x}, lambda x: [x], two),
            TypeError,
            "same pytree structure(.|\n)*test_cond.py",
        ),
        (
            lambda: cond(True, lambda x: {"a": x}, lambda x: {"a": 1}, two),
            TypeError,
            r"output\['a'\] is int32\[\] in false_fun and float32\[\] in true_fun",
        ),
        (lambda: cond(True, sin, lambda x: np.ones(3, f32), two), TypeError, r"float32\[3\]"),
        (lambda: cond(True, lambda x: "s", sin, two), TypeError, "not a valid array type"),
        (lambda: cond(True, sin, sin, "s"), TypeError, "operands of cond"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match="(?s)" + text):
        call()


class Note(Primitive):
    """Hands its operand on and writes it down."""

    name = "note_of_control_flow_tests"
    linear = "joint"
    seen: ClassVar[list[float]] = []

    def abstract_eval(self, *avals, **params):
        return avals[0]

    def effects(self, params):
        return frozenset({"note"})

    def impl(self, *arrays, **params):
        self.seen.append(float(arrays[0]))
        return arrays[0]


@pytest.fixture
def note():
    Note.seen.clear()
    yield Note()
    registry.pop(Note.name)


def test_effects_are_those_of_the_branch_that_runs(note):
    def f(p, x):
        return cond(p, note.bind, sin, x)

    closed = make_jaxpr(f)(True, two)
    assert closed.effects == {"note"}
    assert [e.primitive.name for e in dce(closed.jaxpr, [False])[0].eqns][-1] == "cond"
    f(False, two)
    assert Note.seen == []
    jit(f)(True, two)
    assert Note.seen == [2.0]


def test_effects_happen_once_a_step_also_when_differentiated(note):
    def product(x):
        return scan(lambda c, _: (mul(c, note.bind(f32(5))), None), x, None, length=3)[0]

    assert float(grad(product)(two)) == 125.0
    assert Note.seen == [5.0, 5.0, 5.0]


def test_effects_are_refused_where_the_batch_disagrees(note):
    with pytest.raises(TypeError, match=r"(?s)cond whose predicate differs.*note.*lax\.map"):
        vmap(lambda p: cond(p, note.bind, sin, two))(np.array([True, False]))
    with pytest.raises(TypeError, match="while_loop whose predicate differs"):
        vmap(lambda n: while_loop(lambda c: gt(n, c), lambda c: add(note.bind(c), f32(1)), f32(0)))(
            np.arange(3, dtype=f32)
        )
