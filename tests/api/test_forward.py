"""jvp, linearize, jacobians and hessians, against each other and against formulas."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp

x = np.array([0.3, -0.7, 1.1], np.float32)


def f(x):
    return fnp.stack([x[0] * x[1], fnp.sin(x[2]), x[0] ** 2])


def jacobian(x):
    return np.array([[x[1], x[0], 0], [0, 0, np.cos(x[2])], [2 * x[0], 0, 0]], np.float32)


def test_jvp_and_linearize():
    v = np.array([1.0, 2.0, 3.0], np.float32)
    out, pushed = fg.jvp(f, (x,), (v,))
    np.testing.assert_allclose(pushed, jacobian(x) @ v, rtol=1e-5)
    out2, linear = fg.linearize(f, x)
    np.testing.assert_allclose(out2, out)
    np.testing.assert_allclose(linear(v), pushed, rtol=1e-6)
    np.testing.assert_allclose(linear(2 * v), 2 * pushed, rtol=1e-6)


def test_linearize_runs_the_function_once():
    count = []

    def g(x):
        count.append(1)
        return fnp.sin(x)

    _, linear = fg.linearize(g, 1.0)
    linear(1.0)
    linear(2.0)
    assert len(count) == 1


def test_jvp_has_aux_and_float0():
    out, pushed, aux = fg.jvp(lambda x: (x * 2, {"x": x}), (3.0,), (1.0,), has_aux=True)
    assert (float(out), float(pushed), float(aux["x"])) == (6.0, 2.0, 3.0)
    zero = np.zeros((), fg.float0)
    out, pushed = fg.jvp(lambda n, x: n * x, (3, 2.0), (zero, 1.0))
    assert float(pushed) == 3.0


@pytest.mark.parametrize("jac", [fg.jacfwd, fg.jacrev, fg.jacobian])
def test_jacobians(jac):
    np.testing.assert_allclose(jac(f)(x), jacobian(x), rtol=1e-5)
    np.testing.assert_allclose(fg.jit(jac(f))(x), jacobian(x), rtol=1e-5)


@pytest.mark.parametrize("jac", [fg.jacfwd, fg.jacrev])
def test_jacobians_of_trees(jac):
    def g(p, y):
        return {"s": p["a"] * y, "t": fnp.sum(p["a"])}

    found = jac(g, argnums=(0, 1))({"a": x}, np.float32(2))
    assert found["s"][0]["a"].shape == (3, 3)
    np.testing.assert_allclose(found["s"][0]["a"], 2 * np.eye(3))
    np.testing.assert_allclose(found["s"][1], x)
    np.testing.assert_allclose(found["t"][0]["a"], np.ones(3))
    np.testing.assert_allclose(found["t"][1], 0)


def test_hessian_of_rosenbrock():
    def rosenbrock(x):
        return fnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    found = fg.hessian(rosenbrock)(np.ones(2, np.float32))
    np.testing.assert_allclose(found, [[802, -400], [-400, 200]])
    np.testing.assert_allclose(fg.jacrev(fg.jacfwd(rosenbrock))(np.ones(2, np.float32)), found)


def test_holomorphic_jacobian():
    z = np.array([1 + 2j, 3 - 1j], np.complex64)
    for jac in (fg.jacfwd, fg.jacrev):
        found = jac(lambda z: z**2, holomorphic=True)(z)
        np.testing.assert_allclose(found, np.diag(2 * z), rtol=1e-6)


def test_jacobian_has_aux():
    for jac in (fg.jacfwd, fg.jacrev):
        found, aux = jac(lambda x: (x**2, x.sum()), has_aux=True)(x)
        np.testing.assert_allclose(found, np.diag(2 * x), rtol=1e-6)
        np.testing.assert_allclose(aux, x.sum(), rtol=1e-6)


def test_linear_functions_may_be_returned_by_jitted_and_mapped_ones():
    def f(v):
        return fnp.sin(v) * v

    slope = np.cos(2.0) * 2.0 + np.sin(2.0)
    pushforward = fg.jit(lambda v: fg.linearize(f, v)[1])(2.0)
    np.testing.assert_allclose(pushforward(3.0), 3 * slope, rtol=1e-6)
    pullback = fg.jit(lambda v: fg.vjp(f, v)[1])(2.0)
    np.testing.assert_allclose(pullback(3.0)[0], 3 * slope, rtol=1e-6)
    w = np.arange(3.0, dtype=np.float32)
    transposed = fg.jit(lambda w: fg.linear_transpose(lambda v: v * w, w))(w)
    np.testing.assert_allclose(transposed(2 * w)[0], 2 * w * w)
    many = fg.vmap(lambda v: fg.linearize(f, v)[1])(w)
    np.testing.assert_allclose(fg.vmap(lambda g: g(1.0))(many), np.cos(w) * w + np.sin(w), 1e-6)
    assert len(fg.tree.leaves(pushforward)) >= 1
