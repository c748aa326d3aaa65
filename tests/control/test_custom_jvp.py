"""custom_jvp: the rule is used under every derivative, and only there."""

import numpy as np
import pytest

from funcgrad import lax
from funcgrad.api.forward import jvp, linearize
from funcgrad.api.jacobians import hessian
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.api.tracing import make_jaxpr
from funcgrad.control.custom_jvp import custom_jvp
from funcgrad.control.custom_vjp import custom_vjp
from funcgrad.control.jitted import jit
from funcgrad.control.scan import scan
from funcgrad.core.zeros import SymbolicZero
from funcgrad.errors import UnexpectedTracerError


def scaled_sin(scale=10.0):
    """sin with a derivative that is `scale` times too large, so that the rule shows."""

    @custom_jvp
    def f(x):
        return lax.sin(x)

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), lax.mul(lax.mul(lax.cos(x), scale), t)

    return f


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


XS = np.linspace(0.1, 1.0, 4, dtype=np.float32)


def test_the_rule_is_used_under_each_transform():
    f = scaled_sin()
    close(f(0.5), np.sin(0.5))
    close(jvp(f, (0.5,), (2.0,))[1], 20 * np.cos(0.5))
    close(grad(f)(0.5), 10 * np.cos(0.5))
    close(jit(grad(f))(0.5), 10 * np.cos(0.5))
    close(grad(jit(f))(0.5), 10 * np.cos(0.5))
    close(linearize(f, 0.5)[1](2.0), 20 * np.cos(0.5))
    close(vmap(grad(f))(XS), 10 * np.cos(XS))
    close(grad(lambda x: lax.reduce_sum(vmap(f)(x), (0,)))(XS), 10 * np.cos(XS))
    close(grad(lambda x: lax.reduce_sum(jit(vmap(f))(x), (0,)))(XS), 10 * np.cos(XS))
    close(grad(lambda x: lax.reduce_sum(vmap(jit(f))(x), (0,)))(XS), 10 * np.cos(XS))
    close(vmap(vmap(grad(f)))(XS.reshape(2, 2)), 10 * np.cos(XS.reshape(2, 2)))


def test_second_derivatives_use_the_rule_of_the_rule():
    f = scaled_sin()
    close(grad(grad(f))(0.5), -10 * np.sin(0.5))
    close(jit(grad(jit(grad(f))))(0.5), -10 * np.sin(0.5))
    close(jvp(grad(f), (0.5,), (1.0,))[1], -10 * np.sin(0.5))
    close(vmap(grad(grad(jit(f))))(XS), -10 * np.sin(XS))


def test_in_a_scan_body():
    f = scaled_sin()

    def loop(x):
        return scan(lambda c, _: (f(c), None), x, None, length=2)[0]

    want = 100 * np.cos(0.5) * np.cos(np.sin(0.5))
    close(grad(loop)(0.5), want)
    close(jit(grad(loop))(0.5), want)


def test_python_control_flow_on_values():
    @custom_jvp
    def f(x):
        return lax.mul(x, 2.0) if x > 0 else x

    @f.defjvp
    def f_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), lax.mul(t, 5.0) if x > 0 else t

    close(grad(f)(1.0), 5.0)
    close(grad(f)(-1.0), 1.0)


def test_trees_defjvps_and_keywords():
    @custom_jvp
    def f(x, y=3.0):
        return {"a": lax.mul(x["u"], y), "b": y}

    @f.defjvp
    def f_jvp(primals, tangents):
        (x, y), (tx, ty) = primals, tangents
        return f(x, y), {"a": lax.mul(tx["u"], 7.0), "b": ty}

    close(grad(lambda u: f({"u": u})["a"])(2.0), 7.0)
    close(f({"u": 2.0}, y=4.0)["a"], 8.0)

    @custom_jvp
    def g(x, y):
        return lax.mul(x, y)

    g.defjvps(lambda t, out, x, y: lax.mul(lax.mul(t, y), 2.0), None)
    close(grad(g, (0, 1))(3.0, 4.0), (8.0, 0.0))


def test_nondiff_arguments_come_first_in_the_rule():
    def body(fun, x, n):
        for _ in range(n):
            x = fun(x)
        return x

    for options in ({"nondiff_argnums": (0, 2)}, {"nondiff_argnames": ("fun", "n")}):
        f = custom_jvp(body, **options)

        @f.defjvp
        def f_jvp(fun, n, primals, tangents, f=f):
            return f(fun, primals[0], n), lax.mul(tangents[0], float(n))

        close(grad(lambda x, f=f: f(lax.sin, x, 3))(0.5), 3.0)
        close(jit(grad(lambda x, f=f: f(lax.sin, x, 3)))(0.5), 3.0)


def test_symbolic_zeros():
    seen = []

    @custom_jvp
    def f(x, y):
        return lax.mul(x, y)

    def rule(primals, tangents):
        seen.append([type(t) is SymbolicZero for t in tangents])
        return f(*primals), lax.mul(tangents[0], 3.0)

    f.defjvp(rule, symbolic_zeros=True)
    close(grad(f)(1.0, 2.0), 3.0)
    close(grad(jit(f))(1.0, 2.0), 3.0)
    assert seen[0] == [False, True] and seen[-1] == [False, True]


def test_closing_over_a_batch_and_over_a_differentiated_value():
    def outer(x):
        @custom_jvp
        def f(y):
            return lax.mul(x, y)

        f.defjvp(lambda p, t: (f(*p), lax.mul(lax.mul(x, t[0]), 2.0)))
        return f(3.0), grad(f)(3.0)

    out, slope = vmap(outer)(XS)
    close(out, 3 * XS)
    close(slope, 2 * XS)
    for wrap in (lambda f: f, jit):
        with pytest.raises(UnexpectedTracerError, match=r"closed-over|closes over"):
            grad(lambda x, wrap=wrap: wrap(lambda: outer(x)[0])())(1.0)


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_what_no_argument_of_maps_is_not_mapped(wrap):
    f = custom_jvp(lambda y: lax.mul(y, y))
    f.defjvps(lambda t, ans, y: lax.mul(lax.mul(y, t), 2.0))
    g = custom_vjp(lambda y: lax.mul(y, y))
    g.defvjp(lambda y: (lax.mul(y, y), y), lambda y, ct: (lax.mul(lax.mul(y, ct), 2.0),))

    def both(y):
        return vmap(lambda t: (*jvp(f, (y,), (t,)), g(y)), out_axes=(None, 0, None))(XS)

    out, slopes, other = wrap(both)(3.0)
    close(out, 9.0)
    close(other, 9.0)
    close(slopes, 6 * XS)
    close(wrap(vmap(hessian(lambda y: lax.mul(f(y), y))))(XS), 6 * XS)


def test_the_eqn_prints_with_its_rule():
    text = str(make_jaxpr(scaled_sin())(0.5))
    assert "custom_jvp_call[" in text and "jvp=f_jvp" in text and "symbolic_zeros=False" in text
    assert "num_consts" not in text


def test_errors():
    f = custom_jvp(lambda x: x)
    with pytest.raises(AttributeError, match="No JVP defined"):
        f(1.0)
    f.defjvp(lambda p, t: p[0])
    with pytest.raises(TypeError, match="must produce a pair"):
        grad(f)(1.0)
    f.defjvp(lambda p, t: (p[0], (t[0], t[0])))
    with pytest.raises(TypeError, match="equal container"):
        grad(f)(1.0)
    f.defjvp(lambda p, t: (p[0], lax.broadcast(t[0], (2,))))
    with pytest.raises(TypeError, match=r"Expected f32\[\].*got f32\[2\]"):
        grad(f)(1.0)
    f.defjvp(lambda p, t: ((p[0],), (t[0],)))
    with pytest.raises(TypeError, match="equals the output"):
        grad(jit(f))(1.0)
    with pytest.raises(TypeError, match="could not be resolved"):
        f(1.0, 2.0)
    with pytest.raises(TypeError, match="nondiff_argnums"):
        custom_jvp(lambda n, x: x, nondiff_argnums=(0,)).defjvps(None)
