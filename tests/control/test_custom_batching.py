"""custom_vmap: vmap uses the rule, everything else the function."""

import numpy as np
import pytest

from funcgrad import debug, lax
from funcgrad.api.forward import jvp
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.api.tracing import make_jaxpr
from funcgrad.control.custom_vjp import custom_vjp
from funcgrad.control.jitted import jit
from funcgrad.custom_batching import custom_vmap, sequential_vmap

XS = np.linspace(0.1, 1.0, 3, dtype=np.float32)


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


def scaled(seen=None):
    """sin(x) * y, ten times too large under vmap."""

    @custom_vmap
    def f(x, y):
        return lax.mul(lax.sin(x), y)

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        assert axis_size == 3
        if seen is not None:
            seen.append(list(in_batched))
        y = y if in_batched[1] else lax.broadcast(y, (3,))
        x = x if in_batched[0] else lax.broadcast(x, (3,))
        return lax.mul(lax.mul(lax.sin(x), y), 10.0), True

    return f


def test_the_rule_is_used_by_vmap():
    seen = []
    f = scaled(seen)
    close(f(0.5, 2.0), 2 * np.sin(0.5))
    close(vmap(f)(XS, XS), 10 * np.sin(XS) * XS)
    close(vmap(f, (0, None))(XS, 2.0), 20 * np.sin(XS))
    assert seen == [[True, True], [True, False]]
    close(jit(vmap(f))(XS, XS), 10 * np.sin(XS) * XS)
    close(vmap(jit(f))(XS, y=XS), 10 * np.sin(XS) * XS)


def test_forward_mode_keeps_the_rule():
    f = scaled()
    close(jvp(f, (0.5, 2.0), (1.0, 0.0))[1], 2 * np.cos(0.5))

    def push(x, y):
        return jvp(f, (x, y), (1.0, 0.0))[1]

    close(vmap(push)(XS, XS), 10 * np.cos(XS) * XS)
    close(jit(vmap(push))(XS, XS), 10 * np.cos(XS) * XS)
    close(jvp(vmap(f), (XS, XS), (XS, 0 * XS))[1], 10 * np.cos(XS) * XS * XS)


def test_reverse_mode_needs_a_custom_vjp():
    f = scaled()
    with pytest.raises(TypeError, match="reverse-mode"):
        grad(f)(0.5, 2.0)
    g = custom_vjp(f)
    g.defvjp(lambda x, y: (f(x, y), (x, y)), lambda r, ct: (lax.mul(ct, r[1]), None))
    close(grad(g)(0.5, 2.0), 2.0)
    close(vmap(g)(XS, XS), 10 * np.sin(XS) * XS)
    close(vmap(grad(g))(XS, XS), XS)


def test_sequential_vmap(capsys):
    @sequential_vmap
    def f(x, y):
        debug.print("{}", x["a"])
        return {"out": lax.mul(x["a"], y)}

    got = vmap(f, (0, None))({"a": XS}, np.float32(2))["out"]
    close(got, 2 * XS)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_printing_and_errors():
    assert "custom_vmap_call[" in str(make_jaxpr(scaled())(1.0, 2.0))
    f = custom_vmap(lambda x: x)
    with pytest.raises(AttributeError, match="No batching rule defined"):
        f(1.0)
    cases = [
        (lambda n, b, x: x, TypeError, "must return a pair"),
        (lambda n, b, x: (x, [True]), ValueError, "do not match"),
        (lambda n, b, x: ((x,), (True,)), ValueError, "does not match that of the original"),
    ]
    for rule, error, text in cases:
        f.def_vmap(rule)
        with pytest.raises(error, match=text):
            vmap(f)(XS)

    def outer(x):
        g = custom_vmap(lambda y: lax.mul(x, y))
        g.def_vmap(lambda n, b, y: (y, True))
        return g(1.0)

    with pytest.raises(ValueError, match="closes over a batched value"):
        vmap(outer)(XS)
