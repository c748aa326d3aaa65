"""Later methods and projections by what they promise, without a peer."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim
from funcgrad.optim import projections

from .problem import gradient, params, run

SCALES = np.array([1.0, 30.0], np.float32)


def bowl(p):
    """A quadratic with its minimum 0 at 3."""
    return 0.5 * fnp.sum(SCALES * (p - 3.0) ** 2)


def descend(method, noises):
    """The params and the state after one step for each noise, which is added to the gradient."""
    p = fnp.zeros(2)
    state = method.init(p)

    @fg.jit
    def step(p, state, noise):
        updates, state = method.update(fg.grad(bowl)(p) + noise, state, p)
        return optim.apply_updates(p, updates), state

    for noise in noises:
        p, state = step(p, state, noise)
    return p, state


@pytest.mark.parametrize(
    "method",
    [optim.dog(init_step=("distance", 0.1)), optim.dowg(), optim.prodigy(), optim.cocob(alpha=1.0)],
    ids=["dog", "dowg", "prodigy", "cocob"],
)
def test_methods_that_find_their_rate_come_down(method):
    p, _ = descend(method, np.zeros((1000, 2), np.float32))
    assert float(bowl(p)) < 1e-2 * float(bowl(fnp.zeros(2)))


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_a_schedule_free_run_is_better_than_its_steps(seed):
    noises = 10 * np.random.default_rng(seed).normal(size=(1000, 2)).astype(np.float32)
    p, state = descend(optim.schedule_free_sgd(0.03), noises)
    mean = optim.schedule_free_eval_params(state, p)
    assert float(bowl(mean)) < 0.3 * float(bowl(state.z))
    assert float(bowl(mean)) < 0.02 * float(bowl(fnp.zeros(2)))


def test_sam_of_one_step_is_its_optimizer():
    ours, _ = run(optim.sam(optim.sgd(0.1, 0.9), optim.sgd(1.0), 1), steps=10)
    plain, _ = run(optim.sgd(0.1, 0.9), steps=10)
    for a, b in zip(fg.tree.leaves(ours[-1]), fg.tree.leaves(plain[-1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_sam_goes_up_and_back_before_it_goes_down():
    climb = optim.chain(optim.normalize(), optim.sgd(0.5))
    (high, low), _ = run(optim.sam(optim.sgd(0.1), climb), steps=2)
    start = params()
    up = fg.tree.map(gradient, start)
    length = np.sqrt(sum(np.sum(g**2) for g in fg.tree.leaves(up)))
    wanted = fg.tree.map(lambda p, g: p + 0.5 * g / length, start, up)
    down = fg.tree.map(lambda p, h: p - 0.1 * gradient(h), start, wanted)
    for found, exact in ((high, wanted), (low, down)):
        for a, b in zip(fg.tree.leaves(found), fg.tree.leaves(exact), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


SETS = {
    "non_negative": (lambda x: projections.projection_non_negative(x), lambda x: x.min() >= -1e-6),
    "hypercube": (lambda x: projections.projection_hypercube(x, 0.6), lambda x: x.max() <= 0.6001),
    "simplex": (
        lambda x: projections.projection_simplex(x, 2.0),
        lambda x: abs(x.sum() - 2) < 1e-5,
    ),
    "l1_ball": (lambda x: projections.projection_l1_ball(x, 2.0), lambda x: abs(x).sum() < 2.00001),
    "l2_ball": (lambda x: projections.projection_l2_ball(x, 0.9), lambda x: (x @ x) < 0.81001),
    "linf_ball": (
        lambda x: projections.projection_linf_ball(x, 0.4),
        lambda x: abs(x).max() < 0.4001,
    ),
    "halfspace": (
        lambda x: projections.projection_halfspace(x, np.arange(6, dtype="f"), -1.0),
        lambda x: x @ np.arange(6) < -0.999,
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_projections_are_the_nearest_points(name):
    project, inside = SETS[name]
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 6)).astype(np.float32)
    nearest = np.asarray(fg.vmap(project)(points))
    assert all(map(inside, nearest))
    np.testing.assert_allclose(fg.vmap(project)(nearest), nearest, atol=1e-5)
    # Of a convex set, and of no other point in it: no way on from there is a way to the point.
    ways = nearest[None] - nearest[:, None]
    assert np.einsum("ijk,ik->ij", ways, points - nearest).max() < 1e-4


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: optim.schedule_free_eval_params((), params()), "takes a ScheduleFreeState"),
        (lambda: optim.dog(init_step=("guess", 1.0)), "init_step begins with one of"),
        (lambda: optim.sam(optim.sgd(0.1), optim.sgd(0.1), 0), "at least 1, got 0"),
        (lambda: optim.prodigy(betas=(0.9, 1.0)), "beta2 must be in"),
        (lambda: optim.prodigy(estim_lr0=0.0), "estim_lr0 must be greater than 0"),
        (lambda: optim.adopt(0.1, b1=-1.0), "b1 must be in"),
        (lambda: optim.power_iteration(lambda v: v), "needs v0"),
    ],
)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize(
    "method",
    [
        optim.dog(),
        optim.dowg(),
        optim.prodigy(),
        optim.cocob(),
        optim.madgrad(0.1),
        optim.schedule_free_sgd(),
        optim.sam(optim.sgd(0.1), optim.sgd(0.1)),
    ],
)
def test_methods_that_need_the_params_say_so(method):
    p = params()
    with pytest.raises(ValueError, match=r"needs the params"):
        method.update(fg.tree.map(gradient, p), method.init(p))
