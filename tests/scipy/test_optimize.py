"""Minimizers: where they end, why they end, and that each step satisfies Wolfe's conditions."""

import numpy as np
import pytest
import scipy.optimize

import funcgrad as fg
from funcgrad import numpy as fnp
from funcgrad.scipy.optimize import OptimizeResults, minimize
from funcgrad.scipy.optimize.line_search import CURVATURE, SUFFICIENT_DECREASE, line_search

METHODS = ("BFGS", "L-BFGS")
# That of L-BFGS bounds what a step brings down as well.
TOLERANCE = {"BFGS": 1e-8, "L-BFGS": 1e-10}


def rosenbrock(x):
    return fnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def steep(x):
    return 1e4 * fnp.sum(fnp.arange(1.0, 4.0) * (x - 1) ** 2)


def walled(x):
    """Infinite at 0 and NaN beyond: steps that are too long must be taken back."""
    return fnp.sum(x - fnp.log(x))


PROBLEMS = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
    "himmelblau": (himmelblau, [1.0, 1.0], [3.0, 2.0]),
    "steep": (steep, [2.0, -2.0, 3.0], [1.0, 1.0, 1.0]),
    "walled": (walled, [8.0, 0.1], [1.0, 1.0]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_minimum_is_found(name, method):
    fun, start, expected = PROBLEMS[name]
    with fg.enable_x64(True):
        found = minimize(fun, np.array(start), method=method, tol=TOLERANCE[method])
        assert isinstance(found, OptimizeResults)
        np.testing.assert_allclose(found.x, expected, atol=1e-5)
        np.testing.assert_allclose(found.fun, fun(found.x), rtol=1e-12, atol=1e-20)
        np.testing.assert_allclose(found.jac, fg.grad(fun)(found.x), rtol=1e-9, atol=1e-12)
        assert found.nfev == found.njev >= found.nit > 0
        again = fg.jit(lambda x: minimize(fun, x, method=method, tol=TOLERANCE[method]))(
            np.array(start)
        )
        np.testing.assert_allclose(again.x, expected, atol=1e-5)
        if method == "BFGS":
            assert found.success and found.status == 0
            assert np.abs(found.jac).max() < TOLERANCE[method]


def test_bfgs_takes_the_steps_of_scipy():
    """Both follow Nocedal and Wright; only the first evaluations are counted otherwise."""
    fun, start, _ = PROBLEMS["himmelblau"]
    with fg.enable_x64(True):
        ours = minimize(fun, np.array(start), method="BFGS")
    theirs = scipy.optimize.minimize(
        lambda x: float(himmelblau(np.asarray(x))), start, method="BFGS", options={"gtol": 1e-5}
    )
    assert abs(int(ours.nit) - theirs.nit) <= 3
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)


def test_inverse_hessian_is_learnt():
    A = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 4.0]])
    with fg.enable_x64(True):
        found = minimize(lambda x: x @ A @ x / 2, np.ones(3), method="BFGS", tol=1e-10)
        np.testing.assert_allclose(found.hess_inv, np.linalg.inv(A), rtol=1e-3, atol=1e-4)
    assert minimize(rosenbrock, np.ones(2, np.float32), method="L-BFGS").hess_inv is None


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("first", [1e-3, 1.0, 30.0])
def test_steps_satisfy_the_strong_wolfe_conditions(name, first):
    fun, start, _ = PROBLEMS[name]
    with fg.enable_x64(True):
        x = fnp.array(start)
        value, gradient = fg.value_and_grad(fun)(x)
        p = -gradient
        slope = gradient @ p
        found = line_search(fun, x, p, value, gradient, fnp.asarray(first), 30)
        assert not found.failed and found.status == 0 and found.step > 0
        assert found.value <= value + SUFFICIENT_DECREASE * found.step * slope
        there, gradient_there = fg.value_and_grad(fun)(x + found.step * p)
        assert abs(gradient_there @ p) <= -CURVATURE * slope
        np.testing.assert_allclose(found.value, there)
        np.testing.assert_allclose(found.gradient, gradient_there)


def test_a_function_without_a_minimum_stops_the_search():
    with fg.enable_x64(True):
        x, p = fnp.zeros(2), fnp.ones(2)
        found = line_search(lambda x: -x.sum(), x, p, x.sum(), -fnp.ones(2), fnp.asarray(1.0), 6)
        assert found.failed and found.status == 3 and found.evaluations == 6
        end = minimize(lambda x: -x.sum(), np.ones(2), method="BFGS")
        assert not end.success and end.status == 5
        assert np.isfinite(end.x).all() and end.fun == -end.x.sum()


@pytest.mark.parametrize(
    ("method", "options", "status"),
    [
        ("BFGS", {"maxiter": 3}, 1),
        ("L-BFGS", {"maxiter": 3}, 1),
        ("L-BFGS", {"maxfun": 5}, 2),
        ("L-BFGS", {"maxgrad": 5}, 3),
        ("L-BFGS", {"ftol": 1e3}, 4),
    ],
)
def test_limits(method, options, status):
    found = minimize(rosenbrock, np.array([-1.2, 1.0]), method=method, options=options)
    assert found.status == status and not found.success
    assert found.fun < rosenbrock(np.array([-1.2, 1.0]))


def test_start_at_the_minimum_is_the_end():
    for method in METHODS:
        found = minimize(rosenbrock, np.ones(3, np.float32), method=method)
        assert found.success and found.nit == 0 and found.nfev == 1


def test_vmap_runs_each_search_to_its_own_end():
    starts = np.array([[1.0, 1.0], [-1.0, 1.0], [-4.0, -4.0], [3.0, 2.0]])
    with fg.enable_x64(True):
        for method in METHODS:

            def search(x, method=method):
                return minimize(himmelblau, x, method=method)

            found = fg.vmap(search)(starts)
            for i, start in enumerate(starts):
                alone = search(start)
                np.testing.assert_allclose(found.x[i], alone.x, atol=1e-6)
                assert found.nit[i] == alone.nit and found.status[i] == alone.status


def test_args_and_integers():
    found = minimize(
        lambda x, a, b: ((x - a) ** 2).sum() + b, np.arange(2), (2.0, 1.0), method="BFGS"
    )
    np.testing.assert_allclose(found.x, [2, 2], atol=1e-5)
    np.testing.assert_allclose(found.fun, 1, atol=1e-6)


def test_complex_variables():
    target = np.array([1 + 2j, -0.5j], np.complex128)
    with fg.enable_x64(True):
        found = minimize(
            lambda z: fnp.sum(fnp.abs(z - target) ** 2 * fnp.array([1.0, 5.0])),
            np.zeros(2, np.complex128),
            method="l-bfgs-experimental-do-not-rely-on-this",
            tol=1e-9,
        )
        np.testing.assert_allclose(found.x, target, atol=1e-6)


def test_misuse():
    x = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="Method nonsense"):
        minimize(rosenbrock, x, method="nonsense")
    with pytest.raises(TypeError, match="tuple"):
        minimize(rosenbrock, x, 3.0, method="BFGS")
    with pytest.raises(ValueError, match=r"ravel_pytree"):
        minimize(rosenbrock, np.ones((2, 2), np.float32), method="BFGS")
    with pytest.raises(TypeError, match="maxcor"):
        minimize(rosenbrock, x, method="BFGS", options={"maxcor": 3})


def test_agrees_with_jax():
    reference = pytest.importorskip("jax.scipy.optimize", reason="JAX is the reference")
    start = np.array([1.0, 1.0], np.float32)
    for method in ("BFGS", "l-bfgs-experimental-do-not-rely-on-this"):
        ours = minimize(himmelblau, start, method=method)
        theirs = reference.minimize(himmelblau, start, method=method)
        np.testing.assert_allclose(ours.x, theirs.x, atol=1e-4)
        assert bool(ours.success) == bool(theirs.success)
