"""odeint: closed forms, SciPy's solver, and gradients of the adjoint against differences."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import funcgrad as fg
from funcgrad import numpy as fnp
from funcgrad.experimental.ode import odeint

times = np.array([0.0, 0.1, 0.7, 1.5, 4.0])


def prey(y, t, rates):
    """Lotka and Volterra's, with a season so that time matters."""
    a, b, c, d = rates
    return fnp.stack([a * y[0] - b * y[0] * y[1] + 0.1 * fnp.sin(t), c * y[0] * y[1] - d * y[1]])


start, rates = np.array([1.0, 0.5]), np.array([1.1, 0.4, 0.2, 0.9])


def differences(f, x, h=1e-5):
    """The gradient of a scalar function, by central differences."""
    slopes = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (float(f(x + step)) - float(f(x - step))) / (2 * h)
    return slopes


CLOSED = {
    "decay": (lambda y, t: -2 * y, [1.0, 3.0], lambda t: np.exp(-2 * t)[:, None] * [1, 3]),
    "rotation": (
        lambda y, t: fnp.stack([y[1], -y[0]]),
        [0.0, 1.0],
        lambda t: np.stack([np.sin(t), np.cos(t)], 1),
    ),
    "quadrature": (lambda y, t: t**3 + 0 * y, [2.0], lambda t: (2 + t**4 / 4)[:, None]),
    "logistic": (lambda y, t: y * (1 - y), [0.1], lambda t: 1 / (1 + 9 * np.exp(-t))[:, None]),
    "standstill": (lambda y, t: 0 * y, [0.0, 7.0], lambda t: np.ones_like(t)[:, None] * [0, 7]),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    f, y0, exact = CLOSED[name]
    with fg.enable_x64(True):
        ys = odeint(f, np.array(y0), times)
        assert ys.shape == (5, len(y0)) and ys.dtype == np.float64
        np.testing.assert_allclose(ys, exact(times), rtol=2e-7, atol=1e-9)
        tight = fg.jit(lambda y: odeint(f, y, times, rtol=1e-11, atol=1e-11))(np.array(y0))
        np.testing.assert_allclose(tight, exact(times), rtol=1e-9, atol=1e-10)
    single = odeint(f, np.array(y0, np.float32), times.astype(np.float32), rtol=1e-5, atol=1e-5)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact(times), rtol=1e-4, atol=1e-4)


def test_agrees_with_scipy():
    with fg.enable_x64(True):
        ours = odeint(prey, start, times, rates)
        theirs = scipy.integrate.solve_ivp(
            lambda t, y: np.asarray(prey(y, t, rates)),
            (0, 4),
            start,
            "DOP853",
            times,
            rtol=1e-11,
            atol=1e-11,
        )
        np.testing.assert_allclose(ours, theirs.y.T, rtol=1e-7)
        many = np.linspace(0, 4, 200)
        dense = scipy.integrate.solve_ivp(
            lambda t, y: np.asarray(prey(y, t, rates)),
            (0, 4),
            start,
            "DOP853",
            many,
            rtol=1e-11,
            atol=1e-11,
        )
        # Most of these lie inside steps: the polynomial is as exact as the ends.
        np.testing.assert_allclose(odeint(prey, start, many, rates), dense.y.T, rtol=1e-6)


def test_gradients_of_every_input():
    weights = np.linspace(-1, 2, 10).reshape(5, 2)
    with fg.enable_x64(True):

        def loss(y0, t, rates):
            return (weights * odeint(prey, y0, t, rates, rtol=1e-10, atol=1e-10)).sum()

        found = fg.grad(loss, (0, 1, 2))(start, times, rates)
        jitted = fg.jit(fg.grad(loss, (0, 1, 2)))(start, times, rates)
        fast = fg.jit(loss)
        exact = (
            differences(lambda y: fast(y, times, rates), start),
            differences(lambda t: fast(start, t, rates), times),
            differences(lambda r: fast(start, times, r), rates),
        )
        for a, b, c in zip(found, jitted, exact, strict=True):
            np.testing.assert_allclose(a, c, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-9)


def test_linear_equations_and_what_func_closes_over():
    A = np.array([[-0.5, 1.0], [-1.0, -0.2]])
    ends = np.array([0.0, 1.3])
    with fg.enable_x64(True):

        def end(A, y0):
            return odeint(lambda y, t: A @ y, y0, ends, rtol=1e-10, atol=1e-10)[-1]

        np.testing.assert_allclose(end(A, start), scipy.linalg.expm(1.3 * A) @ start, rtol=1e-8)
        of_start = fg.jacrev(end, 1)(A, start)
        np.testing.assert_allclose(of_start, scipy.linalg.expm(1.3 * A), rtol=1e-7)
        of_A = fg.grad(lambda A: end(A, start).sum())(A)
        np.testing.assert_allclose(of_A, differences(lambda A: end(A, start).sum(), A), rtol=1e-5)


def test_second_derivative():
    ends = np.array([0.0, 1.0])
    with fg.enable_x64(True):

        def end(k):
            return odeint(lambda y, t, k: -k * y, np.array(2.0), ends, k, rtol=1e-10)[-1]

        np.testing.assert_allclose(fg.grad(end)(0.7), -2 * np.exp(-0.7), rtol=1e-7)
        np.testing.assert_allclose(fg.grad(fg.grad(end))(0.7), 2 * np.exp(-0.7), rtol=1e-6)


def test_trees_and_integer_arguments():
    def f(y, t, p):
        return {"a": -p["k"][0] * y["a"], "b": [y["a"].sum() * p["n"], p["k"][1] * y["b"][1]]}

    y0 = {"a": np.array([[1.0, 2.0]]), "b": [np.array(0.0), np.array(1.0)]}
    p = {"k": (0.5, -0.25), "n": np.int32(3)}
    with fg.enable_x64(True):
        ys = odeint(f, y0, times, p)
        assert ys["a"].shape == (5, 1, 2) and ys["b"][0].shape == (5,)
        np.testing.assert_allclose(ys["a"][:, 0, 1], 2 * np.exp(-0.5 * times), rtol=1e-6)
        np.testing.assert_allclose(ys["b"][0], 18 * (1 - np.exp(-0.5 * times)), rtol=1e-6)
        slopes = fg.grad(lambda k: odeint(f, y0, times, {"k": k, "n": p["n"]})["a"][-1].sum())
        np.testing.assert_allclose(slopes((0.5, -0.25))[0], -12 * np.exp(-2), rtol=1e-6)
        jitted = fg.jit(fg.grad(lambda p: odeint(f, y0, times, p)["b"][0][-1], allow_int=True))
        found = jitted({"k": (0.5, -0.25), "n": np.int32(3)})["k"][0]
        slope = 18 * (4 * np.exp(-2) - 2 * (1 - np.exp(-2)))
        np.testing.assert_allclose(found, slope, rtol=1e-5)


def test_complex_states():
    ends = np.array([0.0, 1.0])
    with fg.enable_x64(True):

        def end(w, z0):
            return odeint(lambda z, t: 1j * w * z, z0, ends, rtol=1e-10, atol=1e-10)[-1]

        z0 = np.array([1 + 1j, 2 - 1j])
        np.testing.assert_allclose(end(1.5, z0), np.exp(1.5j) * z0, rtol=1e-8)
        found = fg.grad(lambda w: fnp.real(end(w, z0)).sum())(1.5)
        np.testing.assert_allclose(found, (1j * np.exp(1.5j) * z0).sum().real, rtol=1e-6)
        of_start = fg.grad(lambda z: fnp.real(end(1.5, z)).sum())(z0)
        np.testing.assert_allclose(of_start, np.full(2, np.exp(1.5j)), rtol=1e-6)


def test_batches():
    starts, scales = np.stack([start, 2 * start]), np.array([0.5, 1.5])
    with fg.enable_x64(True):

        def loss(y0, scale):
            return odeint(prey, y0, times[:3], scale * rates, rtol=1e-5)[-1].sum()

        for f in (fg.jit(loss), fg.jit(fg.grad(loss))):
            alone = [f(y, s) for y, s in zip(starts, scales, strict=True)]
            np.testing.assert_allclose(fg.jit(fg.vmap(f))(starts, scales), alone, rtol=1e-6)


def test_limits():
    with fg.enable_x64(True):
        ys = odeint(prey, start, times, rates, mxstep=3)
        assert np.isfinite(ys[0]).all() and np.isnan(ys[-1]).all()
        blown = odeint(lambda y, t: y**2, np.array(1.0), np.array([0.0, 0.5, 2.0]), mxstep=50)
        np.testing.assert_allclose(blown, [1, 2, np.nan], rtol=1e-6)
        # A pulse that steps of one sort miss, and shorter ones do not.
        pulse = fg.jit(
            lambda hmax: odeint(
                lambda y, t: fnp.exp(-(((t - 5) / 0.05) ** 2)),
                0.0,
                np.array([0.0, 10.0]),
                hmax=hmax,
            )[-1],
            static_argnums=0,
        )
        area = 0.05 * np.sqrt(np.pi)
        assert abs(pulse(np.inf) - area) > 0.05
        np.testing.assert_allclose(pulse(0.05), area, rtol=1e-4)


def test_steps_out_of_the_domain_are_taken_back():
    """From 1, √(y) meets 0 with a slope of 0; a long step would end below it."""
    with fg.enable_x64(True):
        ys = odeint(lambda y, t: -fnp.sqrt(y), np.array(1.0), np.array([0.0, 1.0, 1.9]))
        np.testing.assert_allclose(ys, [1, 0.25, 0.05**2], rtol=1e-5)


def test_one_time_and_equal_times():
    with fg.enable_x64(True):
        only = odeint(prey, start, times[:1], rates)
        np.testing.assert_array_equal(only, start[None])
        twice = odeint(prey, start, np.array([0.0, 0.0, 1.0, 1.0]), rates)
        np.testing.assert_array_equal(twice[1], start)
        np.testing.assert_array_equal(twice[2], twice[3])


def test_misuse():
    with pytest.raises(TypeError, match="array of floats"):
        odeint(prey, start, np.arange(3), rates)
    with pytest.raises(ValueError, match="vector of one time"):
        odeint(prey, start, np.zeros((2, 2), np.float32), rates)
    with pytest.raises(TypeError, match="arrays or scalars"):
        odeint(prey, start, times, "nonsense")
    with pytest.raises(TypeError, match="a tree like y0"):
        odeint(lambda y, t: (y, y), start, times)
    with pytest.raises(ValueError, match="shapes of y0"):
        odeint(lambda y, t: y[:1], start, times)
    with pytest.raises(TypeError):
        fg.jvp(lambda y: odeint(prey, y, times, rates), (start,), (start,))


def test_agrees_with_jax():
    theirs = pytest.importorskip("jax.experimental.ode", reason="JAX is the reference")
    y0, t, r = (x.astype(np.float32) for x in (start, times, rates))

    def of_jax(y, t, r):
        import jax.numpy as jnp

        a, b, c, d = r
        slopes = [a * y[0] - b * y[0] * y[1] + 0.1 * jnp.sin(t), c * y[0] * y[1] - d * y[1]]
        return jnp.stack(slopes)

    ours = odeint(prey, y0, t, r, rtol=1e-4, atol=1e-4)
    # The same steps: what is left of the error is the same as well.
    np.testing.assert_allclose(
        ours, theirs.odeint(of_jax, y0, t, r, rtol=1e-4, atol=1e-4), rtol=1e-5
    )
