"""while_loop and fori_loop: values, forward derivatives, batches that end apart, refusals."""

from functools import partial

import numpy as np
import pytest

from funcgrad.api.forward import jvp, linearize
from funcgrad.api.jacobians import jacfwd
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.api.tracing import make_jaxpr
from funcgrad.config import disable_jit
from funcgrad.control.callbacks import debug_callback
from funcgrad.control.cond import cond
from funcgrad.control.jitted import jit
from funcgrad.control.loops import fori_loop, while_loop
from funcgrad.control.scan import scan
from funcgrad.ir.checking import check_jaxpr
from funcgrad.primitives.arithmetic import add, mul, sub
from funcgrad.primitives.casting import convert_element_type
from funcgrad.primitives.comparison import gt, lt
from funcgrad.primitives.reduction import reduce_sum
from funcgrad.primitives.transcendental import sin
from funcgrad.random.keys import fold_in, key

f32 = np.float32


def grow(x, y):
    """x · y^n for the least n that reaches 100."""
    return while_loop(lambda c: lt(c[0], f32(100)), lambda c: (mul(c[0], c[1]), c[1]), (x, y))[0]


x = np.array([2.0, 3.0, 200.0], f32)
y = np.array([2.0, 3.0, 5.0], f32)
grown = np.array([128.0, 243.0, 200.0], f32)
steps = np.array([6, 4, 0])


def test_values():
    for i in range(3):
        assert float(grow(x[i], y[i])) == grown[i]
        assert float(jit(grow)(x[i], y[i])) == grown[i]


def test_forward_derivatives():
    slope = steps * grown / y
    curvature = steps * (steps - 1) * grown / y**2
    for i in range(3):
        np.testing.assert_allclose(jacfwd(grow, 1)(x[i], y[i]), slope[i], rtol=1e-5)
        np.testing.assert_allclose(jit(jacfwd(grow, 1))(x[i], y[i]), slope[i], rtol=1e-5)
        twice = jacfwd(jacfwd(grow, 1), 1)
        np.testing.assert_allclose(twice(x[i], y[i]), curvature[i], rtol=1e-5)
        out, linear = linearize(partial(grow, x[i]), y[i])
        np.testing.assert_allclose([out, linear(f32(2))], [grown[i], 2 * slope[i]], rtol=1e-5)


def test_batches_end_apart():
    np.testing.assert_allclose(vmap(grow)(x, y), grown)
    np.testing.assert_allclose(jit(vmap(grow))(x, y), grown)
    np.testing.assert_allclose(vmap(grow, (0, None))(x, f32(2)), [128, 192, 200])
    np.testing.assert_allclose(vmap(jacfwd(grow, 1))(x, y), steps * grown / y, rtol=1e-5)
    np.testing.assert_allclose(
        jvp(lambda t: vmap(grow)(x, t), (y,), (np.ones(3, f32),))[1], steps * grown / y
    )
    nested = vmap(vmap(grow, (None, 0)), (0, None))(x, y)
    expected = [[float(grow(a, b)) for b in y] for a in x]
    np.testing.assert_allclose(nested, expected)


def test_batched_body_with_a_common_predicate():
    def f(x):
        return while_loop(
            lambda c: lt(c[0], 4), lambda c: (add(c[0], 1), mul(c[1], x)), (0, f32(1))
        )

    counts, powers = vmap(f, out_axes=(None, 0))(x)
    assert int(counts) == 4
    np.testing.assert_allclose(powers, x**4)


def test_known_part_runs_once_the_rest_is_forward_only():
    def f(x):
        return while_loop(
            lambda c: lt(c[0], 3), lambda c: (add(c[0], 1), mul(c[1], sin(x))), (0, x)
        )[1]

    np.testing.assert_allclose(
        jacfwd(f)(f32(0.7)),
        jacfwd(lambda x: mul(x, mul(sin(x), mul(sin(x), sin(x)))))(f32(0.7)),
        rtol=1e-6,
    )
    with pytest.raises(ValueError, match=r"(?s)Reverse-mode.*test_loops\.py.*lax\.scan"):
        grad(f)(f32(1))
    with pytest.raises(ValueError, match="Reverse-mode"):
        jit(grad(lambda x, n: fori_loop(0, n, lambda i, c: mul(c, x), x)))(f32(1), 3)


def test_reverse_mode_through_what_has_no_tangent():
    def f(x):
        n = while_loop(lambda c: lt(c, 5), lambda c: add(c, 2), 0)
        return mul(x, convert_element_type(n, f32))

    assert float(grad(f)(f32(3))) == 6.0


def test_fori_with_known_bounds_is_a_scan():
    def power(x):
        return fori_loop(0, 3, lambda i, c: mul(c, x), f32(1))

    assert float(grad(power)(f32(2))) == 12.0
    assert float(grad(grad(power))(f32(2))) == 12.0
    assert "scan[" in str(make_jaxpr(power)(f32(2)))
    assert int(fori_loop(2, 6, lambda i, c: add(c, i), 0)) == 14
    assert int(fori_loop(6, 2, lambda i, c: add(c, i), 1)) == 1
    assert int(fori_loop(np.int32(1), 4, lambda i, c: add(c, i), 0, unroll=True)) == 6


def test_fori_with_traced_bounds_is_a_while():
    def triangle(n):
        return fori_loop(0, n, lambda i, c: add(c, i), 0)

    np.testing.assert_array_equal(vmap(triangle)(np.arange(5)), [0, 0, 1, 3, 6])
    assert int(jit(triangle)(5)) == 10
    closed = make_jaxpr(triangle)(5)
    check_jaxpr(closed.jaxpr)
    assert [e.primitive.name for e in closed.eqns] == ["while"]


def test_scan_in_cond_in_while():
    def inner(c):
        return scan(lambda c, a: (add(mul(c, f32(0.5)), a), None), c, np.ones(3, f32))[0]

    def f(x):
        return while_loop(
            lambda c: lt(c[0], 4),
            lambda c: (add(c[0], 1), cond(gt(c[1], f32(1)), inner, lambda c: add(c, f32(1)), c[1])),
            (0, x),
        )[1]

    def plain(x):
        for _ in range(4):
            x = (((x * 0.5 + 1) * 0.5 + 1) * 0.5 + 1) if x > 1 else x + 1
        return x

    at = np.array([-0.5, 0.3, 2.0, 9.0], f32)
    np.testing.assert_allclose(vmap(f)(at), [plain(float(a)) for a in at], rtol=1e-6)
    np.testing.assert_allclose(jit(vmap(jacfwd(f)))(at), [jacfwd(f)(a) for a in at], rtol=1e-6)


def test_keys_in_the_carry():
    def walk(k, n):
        return while_loop(
            lambda c: lt(c[1], n), lambda c: (fold_in(c[0], c[1]), add(c[1], 1)), (k, 0)
        )

    k = key(3)
    out, n = walk(k, 2)
    assert out.dtype == k.dtype and int(n) == 2
    _, counts = vmap(walk, (None, 0))(k, np.arange(4))
    np.testing.assert_array_equal(counts, np.arange(4))


def test_weak_initial_values_take_the_dtype_of_the_body():
    n, total = while_loop(
        lambda c: lt(c[0], 3), lambda c: (add(c[0], 1), add(c[1], f32(2.0))), (0, 0.0)
    )
    assert n.dtype == np.int32 and total.dtype == np.float32
    out = while_loop(
        lambda c: lt(c[1], 2),
        lambda c: (sub(convert_element_type(c[0], f32), f32(0.5)), add(c[1], 1)),
        (3, 0),
    )
    assert out[0].dtype == np.float32 and float(out[0]) == 2.0


def test_disable_jit_is_a_python_loop():
    seen = []
    with disable_jit():
        out = while_loop(lambda c: int(c) < 3, lambda c: seen.append(int(c)) or add(c, 1), 0)
        total = fori_loop(0, 3, lambda i, c: add(c, i), 0)
        assert int(fori_loop(3, 0, lambda i, c: add(c, i), 7)) == 7
        np.testing.assert_array_equal(
            vmap(lambda n: while_loop(lambda c: lt(c, n), lambda c: add(c, 1), 0))(np.arange(3)),
            [0, 1, 2],
        )
    assert (int(out), int(total), seen) == (3, 3, [0, 1, 2])


def step(c):
    return add(c, 1)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: while_loop(3, step, 0), TypeError, "callable"),
        (lambda: while_loop(lambda c: c, step, 0), TypeError, r"boolean scalar, but got int32\[\]"),
        (
            lambda: while_loop(lambda c: (True,), step, 0),
            TypeError,
            "boolean scalar, but got pytree",
        ),
        (
            lambda: while_loop(lambda c: True, lambda c: (c, c), 0),
            TypeError,
            "same pytree structure",
        ),
        (
            lambda: while_loop(lambda c: True, lambda c: {"n": np.ones(2, f32)}, {"n": f32(1)}),
            TypeError,
            r"carry\['n'\] goes in as float32\[\] and comes out as float32\[2\].*test_loops.py",
        ),
        (lambda: fori_loop(0, np.int8(3), step, 0), TypeError, "takes|positional"),
        (lambda: fori_loop(np.int8(0), np.int16(3), lambda i, c: c, 0), TypeError, "equal types"),
        (lambda: fori_loop(0, 3, 5, 0), TypeError, "callable"),
        (
            lambda: jit(lambda n: fori_loop(0, n, lambda i, c: c, 0, unroll=2))(3),
            ValueError,
            "statically known",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match="(?s)" + text):
        call()


def test_gradient_through_a_sum_in_fori():
    w = np.arange(4, dtype=f32)

    def f(w):
        return reduce_sum(fori_loop(0, 2, lambda i, c: mul(c, sin(w)), w), (0,))

    expected = np.sin(w) ** 2 + w * 2 * np.sin(w) * np.cos(w)
    np.testing.assert_allclose(grad(f)(w), expected, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_effects_happen_once_when_linearized(wrap):
    seen = []

    def body(carry):
        i, x = carry
        debug_callback(lambda i, x: seen.append((int(i), float(x))), i, x)
        return i + 1, x * 2.0

    def fun(x):
        return while_loop(lambda carry: carry[0] < 2, body, (0, x))[1]

    out, tangent = linearize(wrap(fun), 1.5)
    assert (float(out), seen) == (6.0, [(0, 1.5), (1, 3.0)])
    assert float(tangent(1.0)) == 4.0
    assert len(seen) == 2
