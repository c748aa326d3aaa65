"""closure_convert, custom_gradient and linear_call."""

import numpy as np
import pytest

from funcgrad import lax
from funcgrad.api.forward import jvp
from funcgrad.api.mapping import vmap
from funcgrad.api.reverse import grad
from funcgrad.control.jitted import jit
from funcgrad.custom_derivatives import closure_convert, custom_gradient, linear_call

XS = np.linspace(0.1, 1.0, 4, dtype=np.float32)


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)


def test_closure_convert_hoists_what_is_differentiated():
    def outer(a):
        def fun(x):
            return lax.add(lax.mul(a, x), 1.0)

        converted, values = closure_convert(fun, 2.0)
        assert len(values) == 1
        with pytest.raises(TypeError, match="was converted for"):
            converted((2.0,), *values)
        return converted(3.0, *values)

    close(grad(outer)(2.0), 3.0)
    converted, values = closure_convert(lambda x: lax.mul(x, XS[:1]), XS[:1])
    assert values == []
    close(converted(XS[:1]), XS[:1] ** 2)


def test_custom_gradient():
    @custom_gradient
    def f(x, y):
        s = lax.sin(x)
        return lax.mul(s, y), lambda ct: (lax.mul(lax.mul(ct, s), 5.0), ct)

    want = (5 * np.sin(0.5), 1.0)
    for g in (grad(f, (0, 1)), jit(grad(f, (0, 1))), grad(jit(f), (0, 1))):
        close(g(0.5, 2.0), want)
    close(vmap(grad(f), (0, None))(XS, 2.0), 5 * np.sin(XS))
    one = custom_gradient(lambda x: (x, lambda ct: lax.mul(ct, 7.0)))
    close(grad(one)(1.0), 7.0)


def test_linear_call():
    def f(x, scale=3.0):
        return linear_call(
            lambda r, x: lax.mul(x, r), lambda r, ct: lax.mul(lax.mul(ct, r), 10.0), scale, x
        )

    close(f(2.0), 6.0)
    close(jvp(f, (2.0,), (1.0,))[1], 3.0)
    close(grad(f)(2.0), 30.0)
    close(jit(grad(f))(2.0), 30.0)
    close(vmap(grad(f))(XS), np.full(4, 30.0))
    close(vmap(grad(f))(XS, XS), 10 * XS)
    close(grad(lambda x: lax.reduce_sum(vmap(f)(x, XS), (0,)))(XS), 10 * XS)
    with pytest.raises(TypeError, match="must give a tree like"):
        linear_call(lambda r, x: x, lambda r, ct: (ct,), 1.0, 2.0)
    with pytest.raises(TypeError, match="residuals"):
        grad(lambda r: f(1.0, r))(2.0)
