"""Newton, Gauss-Newton, natural gradient and L-BFGS: where one step is known, and directions."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

rng = np.random.default_rng(0)
root = rng.normal(size=(4, 4)).astype(np.float32)
H = root @ root.T + np.eye(4, dtype=np.float32)
b = rng.normal(size=4).astype(np.float32)


def quadratic(p):
    x = fnp.concatenate([p["a"], p["b"]])
    return 0.5 * x @ H @ x - b @ x


p0 = {"a": fnp.zeros(1), "b": fnp.ones(3)}


@pytest.mark.parametrize("wrap", [fg.jit, lambda f: f])
def test_newton_solves_a_quadratic_in_one_step(wrap):
    method = optim.newton(tol=1e-7)
    step = wrap(
        lambda p: method.update(fg.grad(quadratic)(p), method.init(p), p, value_fn=quadratic)[0]
    )
    p = optim.apply_updates(p0, step(p0))
    np.testing.assert_allclose(
        np.concatenate([p["a"], p["b"]]), np.linalg.solve(H, b), rtol=1e-3, atol=1e-4
    )


def test_newton_goes_down_where_curvature_is_negative():
    def saddle(p):
        return p[0] ** 2 - p[1] ** 2

    p = fnp.array([0.1, 1.0])
    method = optim.newton()
    step, _ = method.update(fg.grad(saddle)(p), method.init(p), p, value_fn=saddle)
    assert float(saddle(p + step)) < float(saddle(p))
    assert np.isfinite(np.asarray(step)).all()


def test_damping_shortens_steps_towards_the_gradient():
    grads = fg.grad(quadratic)(p0)
    method = optim.scale_by_newton(damping=1e4, tol=1e-6)
    out, _ = method.update(grads, method.init(p0), p0, value_fn=quadratic)
    np.testing.assert_allclose(out["b"], grads["b"] / 1e4, rtol=1e-2)


x = rng.normal(size=(20, 3)).astype(np.float32)
y = rng.normal(size=20).astype(np.float32)


def test_gauss_newton_solves_least_squares_in_one_step():
    def predict(w):
        return x @ w

    def half_squares(outputs):
        return 0.5 * fnp.sum((outputs - y) ** 2)

    w = fnp.zeros(3)
    method = optim.gauss_newton(tol=1e-7)
    grads = fg.grad(lambda w: half_squares(predict(w)))(w)
    step, _ = method.update(grads, method.init(w), w, predict_fn=predict, loss_fn=half_squares)
    np.testing.assert_allclose(w + step, np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-3, atol=1e-4)


def test_products_with_curvature():
    w = fnp.asarray(rng.normal(size=3).astype(np.float32))
    v = rng.normal(size=3).astype(np.float32)

    def predict(w):
        return fnp.tanh(x @ w)

    def cost(outputs):
        return fnp.sum(outputs**4)

    hessian = fg.hessian(lambda w: cost(predict(w)))(w)
    np.testing.assert_allclose(optim.hvp(lambda w: cost(predict(w)), w, v), hessian @ v, rtol=1e-3)
    jacobian = fg.jacobian(predict)(w)
    inner = fg.hessian(cost)(predict(w))
    np.testing.assert_allclose(
        optim.ggn_vp(predict, cost, w, v), jacobian.T @ inner @ jacobian @ v, rtol=1e-3, atol=1e-4
    )


def test_natural_gradient_of_a_normal_distribution():
    """Fisher matrix of N(m, e^s) in (m, s): diag(e^-2s, 2)."""

    def divergence(outputs, fixed):
        (m, s), (m0, s0) = outputs, fixed
        return s - s0 + (fnp.exp(2 * s0) + (m0 - m) ** 2) / (2 * fnp.exp(2 * s)) - 0.5

    p = fnp.array([0.3, 0.7])
    g = fnp.array([1.0, -2.0])
    method = optim.natural_gradient(0.5, tol=1e-6)
    step, _ = method.update(g, method.init(p), p, predict_fn=lambda p: p, divergence_fn=divergence)
    np.testing.assert_allclose(step, [-0.5 * np.exp(1.4), 0.5], rtol=1e-3)


def test_lbfgs_direction_is_that_of_bfgs():
    """With memory for all steps, the product with the inverse Hessian that BFGS updates."""
    method = optim.scale_by_lbfgs(memory_size=8, scale_init_precond=False)
    p = rng.normal(size=4).astype(np.float32)
    state = method.init(p)
    inverse = np.eye(4)
    before = None
    for _ in range(5):
        g = H @ p - b
        out, state = method.update(g, state, p)
        if before is not None:
            s, d = (p - before[0]).astype(float), (g - before[1]).astype(float)
            rho = 1 / (d @ s)
            left = np.eye(4) - rho * np.outer(s, d)
            inverse = left @ inverse @ left.T + rho * np.outer(s, s)
        np.testing.assert_allclose(out, inverse @ g, rtol=2e-3, atol=2e-3)
        before = p, g
        p = (p - 0.1 * np.asarray(out)).astype(np.float32)


def rosenbrock(p):
    return fnp.sum(100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        optim.lbfgs(),
        optim.chain(
            optim.scale_by_newton(),
            optim.scale(-1.0),
            optim.scale_by_backtracking_linesearch(30, decrease_factor=0.5, store_grad=True),
        ),
    ],
    ids=["lbfgs", "newton"],
)
def test_line_searches_find_the_valley(method):
    p = fnp.array([-1.2, 1.0, 0.5])
    value_and_grad = optim.value_and_grad_from_state(rosenbrock)

    @fg.jit
    def step(p, state):
        value, grad = value_and_grad(p, state=state)
        updates, state = method.update(grad, state, p, value=value, grad=grad, value_fn=rosenbrock)
        return optim.apply_updates(p, updates), state

    state = method.init(p)
    for _ in range(60):
        p, state = step(p, state)
    np.testing.assert_allclose(p, np.ones(3), atol=1e-2)
    assert float(optim.tree.get(state, "value")) == pytest.approx(float(rosenbrock(p)), abs=1e-6)
