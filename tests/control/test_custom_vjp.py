"""custom_vjp: fwd and bwd are used in reverse mode; forward mode is refused."""

import numpy as np
import pytest

from funcgrad import lax
from funcgrad.api.forward import jvp
from funcgrad.api.jacobians import jacrev
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad, vjp
from funcgrad.api.tracing import make_jaxpr
from funcgrad.control.custom_vjp import CustomVJPPrimal, custom_vjp
from funcgrad.control.jitted import jit
from funcgrad.control.scan import scan
from funcgrad.core.zeros import SymbolicZero
from funcgrad.errors import UnexpectedTracerError


def scaled_product(scale=10.0):
    """sin(x) * y whose cotangents are `scale` times too large, so that the rule shows."""

    @custom_vjp
    def f(x, y):
        return lax.mul(lax.sin(x), y)

    def fwd(x, y):
        return f(x, y), (lax.cos(x), lax.sin(x), y)

    def bwd(res, ct):
        cos, sin, y = res
        ct = lax.mul(ct, scale)
        return lax.mul(lax.mul(cos, ct), y), lax.mul(sin, ct)

    f.defvjp(fwd, bwd)
    return f


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


def total(x):
    return lax.reduce_sum(x, tuple(range(np.ndim(x))))


XS = np.linspace(0.1, 1.0, 4, dtype=np.float32)


def test_the_rule_is_used_under_each_transform():
    f = scaled_product()
    want = 20 * np.cos(0.5)
    close(f(0.5, 2.0), 2 * np.sin(0.5))
    for g in (grad(f), jit(grad(f)), grad(jit(f)), jit(grad(jit(f)))):
        close(g(0.5, 2.0), want)
    close(vmap(grad(f), (0, None))(XS, 2.0), 20 * np.cos(XS))
    for g in (vmap(f, (0, None)), jit(vmap(f, (0, None))), vmap(jit(f), (0, None))):
        gx, gy = grad(lambda x, y, g=g: total(g(x, y)), (0, 1))(XS, np.float32(2))
        close(gx, 20 * np.cos(XS))
        close(gy, 10 * np.sin(XS).sum())
    close(jacrev(lambda x: vmap(f, (0, None))(x, 2.0))(XS), np.diag(20 * np.cos(XS)))


def test_second_derivatives_differentiate_bwd():
    f = scaled_product()
    for g in (grad(grad(f)), jit(grad(grad(f))), grad(jit(grad(f))), grad(grad(jit(f)))):
        close(g(0.5, 2.0), -20 * np.sin(0.5))
    close(vmap(grad(grad(f)), (0, None))(XS, 2.0), -20 * np.sin(XS))
    # Forward over reverse works where fwd itself can be pushed forward.
    g = custom_vjp(lambda x: lax.sin(x))
    g.defvjp(lambda x: (lax.sin(x), x), lambda x, ct: (lax.mul(lax.cos(x), ct),))
    close(jvp(grad(g), (0.5,), (1.0,))[1], -np.sin(0.5))


def test_in_a_scan_body():
    f = scaled_product()

    def loop(x):
        return scan(lambda c, _: (f(c, 1.0), None), x, None, length=2)[0]

    want = 100 * np.cos(0.5) * np.cos(np.sin(0.5))
    close(grad(loop)(0.5), want)
    close(jit(grad(loop))(0.5), want)
    close(vmap(grad(loop))(XS), 100 * np.cos(XS) * np.cos(np.sin(XS)))


def test_forward_mode_is_refused():
    f = scaled_product()
    for g in (f, jit(f), vmap(f)):
        x = XS if g is not f and not hasattr(g, "lower") else np.float32(1)
        with pytest.raises(TypeError, match=r"can't apply forward-mode differentiation \(jvp\)"):
            jvp(g, (x, x), (x, x))


def test_python_control_flow_on_values():
    @custom_vjp
    def f(x):
        return lax.mul(x, 2.0) if x > 0 else x

    f.defvjp(lambda x: (f(x), x), lambda x, ct: (lax.mul(ct, 5.0) if x > 0 else ct,))
    close(grad(f)(1.0), 5.0)
    close(grad(f)(-1.0), 1.0)


def test_trees_none_and_integers():
    @custom_vjp
    def f(p, n):
        return {"out": lax.mul(p["w"], p["b"][0]), "n": n}

    def fwd(p, n):
        return f(p, n), p

    def bwd(p, ct):
        assert set(ct) == {"out", "n"}
        return {"w": lax.mul(ct["out"], 3.0), "b": None}, None

    f.defvjp(fwd, bwd)
    got = grad(lambda p: f(p, 3)["out"])({"w": 1.0, "b": (2.0, 4.0)})
    close(got["w"], 3.0)
    close(got["b"], (0.0, 0.0))
    out, _ = vjp(lambda w: f({"w": w, "b": (2.0, 4.0)}, 3), 1.0)
    assert int(out["n"]) == 3


def test_nondiff_arguments():
    def body(fun, x):
        return fun(x)

    for options in ({"nondiff_argnums": (0,)}, {"nondiff_argnames": ("fun",)}):
        f = custom_vjp(body, **options)

        def bwd(fun, x, ct):
            assert fun is lax.sin
            return (lax.mul(ct, x),)

        f.defvjp(lambda fun, x: (fun(x), x), bwd)
        close(grad(lambda x, f=f: f(lax.sin, x))(3.0), 3.0)
        close(jit(grad(lambda x, f=f: f(fun=lax.sin, x=x)))(3.0), 3.0)
    with pytest.raises(UnexpectedTracerError, match="nondiff_argnums"):
        grad(lambda x: f(x, x))(1.0)


def test_symbolic_zeros():
    seen = []

    @custom_vjp
    def f(x, y):
        return lax.mul(x, y), lax.add(x, y)

    def fwd(x, y):
        assert isinstance(x, CustomVJPPrimal)
        seen.append((x.perturbed, y.perturbed))
        return f(x.value, y.value), (x.value, y.value)

    def bwd(res, cts):
        seen.append(tuple(type(ct) is SymbolicZero for ct in cts))
        return cts[0], None

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    close(grad(lambda x: f(x, 2.0)[0])(1.0), 1.0)
    assert seen == [(True, False), (False, True)]


def test_closing_over_a_batch_and_over_a_differentiated_value():
    def outer(x):
        @custom_vjp
        def f(y):
            return lax.mul(x, y)

        f.defvjp(lambda y: (f(y), None), lambda res, ct: (lax.mul(lax.mul(x, ct), 2.0),))
        return f(3.0), grad(f)(3.0)

    out, slope = vmap(outer)(XS)
    close(out, 3 * XS)
    close(slope, 2 * XS)
    for wrap in (lambda f: f, jit):
        with pytest.raises(UnexpectedTracerError, match=r"closed-over|closes over"):
            grad(lambda x, wrap=wrap: wrap(lambda: outer(x)[0])())(1.0)


def test_the_eqn_prints_with_its_rules():
    text = str(make_jaxpr(scaled_product())(0.5, 2.0))
    assert "custom_vjp_call[" in text and "bwd=bwd" in text and "fwd=fwd" in text


def test_errors():
    f = custom_vjp(lambda x: x)
    with pytest.raises(AttributeError, match="No VJP defined"):
        f({"a": 1.0})
    cases = [
        (lambda res, ct: ct["a"], TypeError, "same container"),
        (lambda res, ct: (ct["a"],), TypeError, r"At \[0\]|same container"),
        (lambda res, ct: ({"a": lax.broadcast(ct["a"], (2,))},), ValueError, r"output\[0\]\['a'\]"),
    ]
    for bwd, error, text in cases:
        f.defvjp(lambda x: (x, None), bwd)
        with pytest.raises(error, match=text):
            grad(lambda x: f({"a": x})["a"])(1.0)
    f.defvjp(lambda x: x["a"], lambda res, ct: (ct,))
    with pytest.raises(TypeError, match="must produce a pair"):
        grad(lambda x: f({"a": x})["a"])(1.0)
    f.defvjp(lambda x: (x["a"], None), lambda res, ct: (ct,))
    with pytest.raises(TypeError, match="equals the output"):
        grad(lambda x: jit(f)({"a": x})["a"])(1.0)
