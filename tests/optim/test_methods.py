"""Optimizers against formulas in plain NumPy: what holds whether or not a peer is installed."""

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

from .cases import METHODS, PARTS, SEARCHES
from .problem import gradient, loss, params

STEPS = 20
start = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
grads = np.random.default_rng(1).normal(size=(STEPS, 2, 3)).astype(np.float32)
one = np.array([3.0, -0.5, 0.25], np.float32)


def run(method):
    params = {"w": fnp.asarray(start), "b": fnp.asarray(start[0])}
    state = method.init(params)
    update = fg.jit(method.update)
    for g in grads:
        updates, state = update({"w": g, "b": g[0]}, state, params)
        params = optim.apply_updates(params, updates)
    return params


def test_adam():
    p, m, v = start.astype(float), 0.0, 0.0
    for t, g in enumerate(grads, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        p = p - 0.05 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-6)
    found = run(optim.adam(0.05, b2=0.99, eps=1e-6))
    np.testing.assert_allclose(found["w"], p, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["b"], p[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [None, 0.9])
def test_sgd(momentum, nesterov):
    p, m = start.astype(float), 0.0
    for g in grads:
        m = g + (momentum or 0.0) * m
        p = p - 0.1 * (g + (momentum or 0.0) * m if nesterov else m)
    found = run(optim.sgd(0.1, momentum, nesterov))
    np.testing.assert_allclose(found["w"], p, rtol=1e-4, atol=1e-5)


# The first step of each method from params of ones, for gradient g.
FIRST = {
    "sgd": (optim.sgd(0.1), lambda g: -0.1 * g),
    "sgd momentum": (optim.sgd(0.1, 0.9), lambda g: -0.1 * g),
    "sgd nesterov": (optim.sgd(0.1, 0.9, True), lambda g: -0.1 * 1.9 * g),
    "momentum": (optim.momentum(0.1), lambda g: -0.1 * g),
    "momentum biased": (optim.momentum(0.1, 0.8, False), lambda g: -0.1 * 0.2 * g),
    "adagrad": (optim.adagrad(0.1), lambda g: -0.1 * g / np.sqrt(g**2 + 0.1 + 1e-7)),
    "rmsprop": (optim.rmsprop(0.1), lambda g: -0.1 * g / np.sqrt(0.1 * g**2 + 1e-8)),
    "adadelta": (optim.adadelta(1.0), lambda g: -g * np.sqrt(1e-6 / (0.1 * g**2 + 1e-6))),
    "adam": (optim.adam(0.1), lambda g: -0.1 * np.sign(g)),
    "adamw": (optim.adamw(0.1, weight_decay=0.2), lambda g: -0.1 * (np.sign(g) + 0.2)),
    "nadam": (
        optim.nadam(0.1),
        lambda g: -0.1 * (0.9 * 0.1 * g / (1 - 0.9**2) + 0.1 * g / 0.1) / np.abs(g),
    ),
    "amsgrad": (optim.amsgrad(0.1), lambda g: -0.1 * np.sign(g)),
    "adamax": (optim.adamax(0.1), lambda g: -0.1 * np.sign(g)),
    "adamaxw": (optim.adamaxw(0.1, weight_decay=0.2), lambda g: -0.1 * (np.sign(g) + 0.2)),
    "adabelief": (optim.adabelief(0.1), lambda g: -0.1 * g / np.abs(0.9 * g)),
    "adan": (optim.adan(0.1), lambda g: -0.1 * g / np.sqrt(g**2 + 1e-8)),
    "yogi": (optim.yogi(0.1), None),
    "radam": (optim.radam(0.1), lambda g: -0.1 * g),
    "lion": (optim.lion(0.1, weight_decay=0.2), lambda g: -0.1 * (np.sign(g) + 0.2)),
    "lamb": (optim.lamb(0.1), lambda g: -0.1 * np.sign(g)),
    "lars": (optim.lars(0.1), lambda g: -0.1 * 1e-3 * g * np.sqrt(3) / np.linalg.norm(g)),
    "novograd": (optim.novograd(0.1), lambda g: -0.1 * g / np.linalg.norm(g)),
    "sm3": (optim.sm3(0.1), lambda g: -0.1 * 0.1 * np.sign(g)),
    "adafactor": (optim.adafactor(0.1), lambda g: -0.1 * np.sign(g)),
    "fromage": (
        optim.fromage(0.1),
        lambda g: (1 - 0.1 * np.sqrt(3) / np.linalg.norm(g) * g) / np.sqrt(1.01) - 1,
    ),
    "rprop": (optim.rprop(0.1), lambda g: -0.1 * np.sign(g)),
    "sign_sgd": (optim.sign_sgd(0.1), lambda g: -0.1 * np.sign(g)),
    "signum": (optim.signum(0.1), lambda g: -0.1 * np.sign(g)),
    "optimistic": (optim.optimistic_gradient_descent(0.1), lambda g: -0.1 * g),
    "shampoo": (optim.shampoo(0.1, eps=1e-3), lambda g: -0.1 * g / np.sqrt(g @ g + 1e-3)),
    "L1 decay": (
        optim.chain(optim.add_decayed_signs(0.2), optim.sgd(0.1)),
        lambda g: -0.1 * (g + 0.2),
    ),
    "L2 decay": (
        optim.chain(optim.add_decayed_weights(0.2), optim.sgd(0.1)),
        lambda g: -0.1 * (g + 0.2),
    ),
    "clip": (optim.clip(0.3), lambda g: np.clip(g, -0.3, 0.3)),
    "clip_by_norm": (optim.clip_by_norm(0.3), lambda g: 0.3 * g / np.linalg.norm(g)),
}


@pytest.mark.parametrize("name", FIRST)
def test_first_step(name):
    method, formula = FIRST[name]
    p = fnp.ones(3)
    found = method.update(one, method.init(p), p)[0]
    if name == "yogi":
        v = 1e-6 + 0.001 * one**2
        want = -0.1 * (0.9e-6 / 0.1 + one) / (np.sqrt(v / 0.001) + 1e-3)
    else:
        want = formula(one)
    np.testing.assert_allclose(found, want, rtol=2e-4)


@pytest.mark.parametrize("name", ["adam", "lamb", "adafactor factored", "rprop", "lbfgs"])
def test_jit_changes_nothing(name):
    methods = {**METHODS, "rprop": lambda o: o.rprop(0.1), "lbfgs": SEARCHES["lbfgs"]}
    method, now = methods[name](optim), params()

    def update(g, state, p):
        extra = {"value": loss(p), "grad": g, "value_fn": loss} if name == "lbfgs" else {}
        return method.update(g, state, p, **extra)

    eager, compiled = method.init(now), method.init(now)
    jitted = fg.jit(update)
    for _ in range(3):
        g = fg.tree.map(gradient, now)
        out, eager = update(g, eager, now)
        again, compiled = jitted(g, compiled, now)
        for a, b in zip(
            fg.tree.leaves((out, eager)), fg.tree.leaves((again, compiled)), strict=True
        ):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
        now = fg.tree.map(lambda p, u: np.asarray(p + u), now, out)


# What needs the norm of a leaf, or of all of them, before it can begin.
BY_NORMS = {"lamb", "lars", "novograd", "adafactor", "fromage", "noisy_sgd"}
ONE_PASS = {
    **{name: make for name, make in METHODS.items() if name.split()[0] not in BY_NORMS},
    "adamw clipped": lambda o: o.chain(o.clip(1.0), o.adamw(0.1)),
    "momentum": lambda o: o.momentum(0.1),
    "caffe": lambda o: o.chain(
        o.add_decayed_weights(5e-4), o.sgd(o.caffe_schedule("inv", 0.01, gamma=1e-4, power=0.75))
    ),
    "multiplied": lambda o: o.chain(
        o.scale_leaves({"conv": (1.0, 2.0), "dense": {"b": 2.0, "w": 1.0}}), o.sgd(0.1, 0.9)
    ),
    "partition": PARTS["partition"],
    "inject": PARTS["inject"],
}


@pytest.mark.parametrize("name", ONE_PASS)
def test_an_update_reads_each_leaf_once(name):
    """One loop over each leaf; what a step computes once for all leaves, and a scalar, has none."""
    tree, method = params(), ONE_PASS[name](optim)
    lowered = fg.jit(method.update).lower(tree, method.init(tree), tree)
    loops = [line for line in str(lowered.loops).splitlines() if line.startswith("for ")]
    assert len(loops) == len([leaf for leaf in fg.tree.leaves(tree) if leaf.ndim])


@pytest.mark.parametrize("name", ["trust ratio", "block norm"])
def test_a_norm_takes_one_pass_more(name):
    tree, method = {"w": fnp.ones((30, 40))}, PARTS[name](optim)
    lowered = fg.jit(method.update).lower(tree, method.init(tree), tree)
    norms = 2 if name == "trust ratio" else 1
    loops = [line for line in str(lowered.loops).splitlines() if line.startswith("for ")]
    assert len(loops) == norms + 1


def test_multi_steps_make_the_step_of_the_large_batch():
    whole, parts = optim.adam(0.1), optim.MultiSteps(optim.adam(0.1), 4)
    p = fnp.asarray(start)
    small, large = parts.init(p), whole.init(p)
    for i in range(0, 8, 4):
        for g in grads[i : i + 4]:
            out, small = parts.update(g, small, p)
        want, large = whole.update(grads[i : i + 4].mean(0), large, p)
        np.testing.assert_allclose(out, want, rtol=1e-4)
        assert bool(parts.has_updated(small))


def test_leaves_have_their_own_rates_and_decays():
    """Caffe's lr_mult and decay_mult: 1 and 1 for weights, 2 and 0 for biases."""
    method = optim.chain(
        optim.add_decayed_weights(0.5, mask={"w": True, "b": False}),
        optim.scale_leaves({"w": 1.0, "b": 2.0}),
        optim.sgd(0.1),
    )
    p = {"w": fnp.ones((2, 2)), "b": fnp.ones(2)}
    out, _ = method.update(p, method.init(p), p)
    np.testing.assert_allclose(out["w"], -0.15 * np.ones((2, 2)), rtol=1e-6)
    np.testing.assert_allclose(out["b"], -0.2 * np.ones(2), rtol=1e-6)


def test_shampoo_on_a_matrix_is_its_polar_factor():
    """(GGᵀ)^-¼ G (GᵀG)^-¼ = U Vᵀ at the first step; roots are kept between two computations."""
    g = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    u, _, v = np.linalg.svd(g)
    method = optim.scale_by_shampoo(eps=1e-9, update_period=2)
    out, state = method.update(g, method.init(g), g)
    np.testing.assert_allclose(out, u @ v, atol=2e-3)
    _, later = method.update(2 * g, state, g)
    np.testing.assert_allclose(later.roots[0], state.roots[0])
    np.testing.assert_allclose(later.statistics[0], 5 * g @ g.T, rtol=1e-4)


def test_muon_makes_singular_values_near_one():
    g = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    found = optim.orthogonalize_via_newton_schulz(g, (3.4445, -4.7750, 2.0315))
    values = np.linalg.svd(found)[1]
    assert ((values > 0.6) & (values < 1.3)).all()


def test_private_steps_bound_what_one_example_does():
    big = {"w": np.ones((4, 3), np.float32) * np.array([1e4, 0, 0, 0], np.float32)[:, None]}
    method = optim.dpsgd(1.0, l2_norm_clip=2.0, noise_multiplier=0.0, seed=0)
    out, _ = method.update(big, method.init({"w": fnp.zeros(3)}))
    np.testing.assert_allclose(np.linalg.norm(out["w"]), 2.0 / 4, rtol=1e-5)


def test_clipping_keeps_small_updates_and_nan():
    clip = optim.clip_by_global_norm(1.0)
    big, small = {"a": fnp.array([3.0, 4.0])}, {"a": fnp.array([0.3, 0.4])}
    np.testing.assert_allclose(clip.update(big, ())[0]["a"], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(clip.update(small, ())[0]["a"], [0.3, 0.4], rtol=1e-6)
    assert np.isnan(clip.update({"a": fnp.array([np.nan, 1.0])}, ())[0]["a"]).all()
    found = fg.grad(lambda x: clip.update(x, ())[0][0])(fnp.zeros(2))
    np.testing.assert_allclose(found, [1.0, 0.0])


def test_dtypes_and_missing_gradients():
    half = fnp.ones(2, fnp.bfloat16)
    assert optim.apply_updates(half, fnp.ones(2)).dtype == fnp.bfloat16
    method = optim.adam(0.1)
    p = {"a": half, "b": fnp.ones(3)}
    out, state = method.update({"a": half, "b": None}, method.init(p), p)
    assert out["a"].dtype == fnp.bfloat16 and out["b"] is None
    assert optim.apply_updates(p, out)["b"] is p["b"]
    assert state[0].mu["b"] is None


def test_states_are_searched_and_changed():
    method = optim.inject_hyperparams(optim.adam)(0.1)
    p = {"a": fnp.ones(2)}
    state = method.init(p)
    assert float(optim.tree.get(state, "learning_rate")) == pytest.approx(0.1)
    state = optim.tree.set(state, learning_rate=0.5)
    np.testing.assert_allclose(method.update(p, state, p)[0]["a"], -0.5 * np.ones(2), rtol=1e-5)
    assert [str(path[-1]) for path, _ in optim.tree.get_all_with_path(state, "mu")] == [
        "ScaleByAdamState.mu"
    ]
    doubled = optim.tree.map_params(method, lambda x: x + 1, state)
    np.testing.assert_allclose(optim.tree.get(doubled, "nu")["a"], np.ones(2))
    assert int(optim.tree.get(doubled, "ScaleByAdamState").count) == 0
    with pytest.raises(KeyError, match="2 places"):
        optim.tree.get(state, "count")
    with pytest.raises(KeyError, match="nowhere"):
        optim.tree.set(state, missing=1)


CAFFE = {
    "fixed": ({}, lambda t: 0.1),
    "step": ({"gamma": 0.5, "stepsize": 10}, lambda t: 0.1 * 0.5 ** (t // 10)),
    "exp": ({"gamma": 0.99}, lambda t: 0.1 * 0.99**t),
    "inv": ({"gamma": 1e-2, "power": 0.75}, lambda t: 0.1 * (1 + 1e-2 * t) ** -0.75),
    "multistep": (
        {"gamma": 0.1, "stepvalue": [10, 50]},
        lambda t: 0.1 * 0.1 ** ((t >= 10) + (t >= 50)),
    ),
    "poly": ({"power": 2.0, "max_iter": 100}, lambda t: 0.1 * (1 - min(t, 100) / 100) ** 2),
    "sigmoid": (
        {"gamma": -0.1, "stepsize": 50},
        lambda t: 0.1 / (1 + np.exp(0.1 * (t - 50))),
    ),
}


@pytest.mark.parametrize("policy", CAFFE)
def test_caffe_policies(policy):
    settings, formula = CAFFE[policy]
    schedule = optim.caffe_schedule(policy, 0.1, **settings)
    for t in [0, 1, 9, 10, 49, 50, 51, 100, 200]:
        assert float(schedule(t)) == pytest.approx(formula(t), rel=1e-5, abs=1e-9)
        assert float(fg.jit(schedule)(t)) == pytest.approx(formula(t), rel=1e-5, abs=1e-9)
    for name in settings:
        rest = {k: v for k, v in settings.items() if k != name}
        with pytest.raises(ValueError, match=f"needs {name}"):
            optim.caffe_schedule(policy, 0.1, **rest)
