"""Functions with rules of their own inside loops, under every transform around the loop."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import lax


@fg.custom_jvp
def with_jvp(x):
    return fnp.sin(x)


with_jvp.defjvp(lambda xs, ts: (with_jvp(*xs), fnp.cos(*xs) * ts[0]))


@fg.custom_vjp
def with_vjp(x):
    return fnp.sin(x)


with_vjp.defvjp(lambda x: (fnp.sin(x), x), lambda x, ct: (fnp.cos(x) * ct,))

INNER = {
    "plain": fnp.sin,
    "custom_jvp": with_jvp,
    "custom_vjp": with_vjp,
    "checkpoint": fg.checkpoint(fnp.sin),
    "checkpoint of custom_jvp": fg.checkpoint(with_jvp),
    "jit": fg.jit(fnp.sin),
    "jit of custom_jvp": fg.jit(with_jvp),
    "jit of custom_vjp": fg.jit(with_vjp),
}


def loop(f):
    """sin four times over, by scan."""
    return lambda x: lax.scan(lambda c, _: (f(c), c), x, None, 4)[0]


def pair(x):
    return fnp.stack([x, -x])


OUTER = {
    "grad": fg.grad,
    "jacrev": fg.jacrev,
    "jacfwd": fg.jacfwd,
    "jit of grad": lambda f: fg.jit(fg.grad(f)),
    "grad of checkpoint": lambda f: fg.grad(fg.checkpoint(f)),
    "vmap of grad": lambda f: lambda x: fg.vmap(fg.grad(f))(pair(x))[1],
    "grad of vmap": lambda f: lambda x: fg.grad(lambda x: fg.vmap(f)(pair(x))[0])(x),
    "grad in fori_loop": lambda f: fg.grad(lambda x: lax.fori_loop(0, 1, lambda i, y: f(y), x)),
    "grad of cond": lambda f: fg.grad(lambda x: lax.cond(x > 0, f, fnp.cos, x)),
    "vmap of grad of cond": lambda f: (
        lambda x: fg.vmap(fg.grad(lambda x: lax.cond(x > 0, f, fnp.cos, x)))(pair(x))[0]
    ),
}


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_derivative_of_a_loop(inner, outer):
    if "custom_vjp" in inner and outer == "jacfwd":
        with pytest.raises(TypeError, match="forward-mode"):
            fg.jvp(loop(INNER[inner]), (np.float32(0.7),), (np.float32(1),))
        return
    x, want = np.float32(0.7), 1.0
    for _ in range(4):
        want, x = want * np.cos(x), np.sin(x)
    np.testing.assert_allclose(OUTER[outer](loop(INNER[inner]))(np.float32(0.7)), want, rtol=1e-5)


@pytest.mark.parametrize("inner", [name for name in INNER if "vjp" not in name])
def test_second_derivative_of_a_loop(inner):
    want = fg.hessian(loop(fnp.sin))(0.7)
    np.testing.assert_allclose(fg.hessian(loop(INNER[inner]))(0.7), want, rtol=1e-5)


def test_batched_while_under_forward_mode():
    def power(x, n):
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * x), (0, 1.0))[1]

    found = fg.jit(fg.vmap(fg.jacfwd(power)))(np.array([2, 3], np.float32), np.array([3, 2]))
    np.testing.assert_allclose(found, [12, 6])
