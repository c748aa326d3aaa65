"""What cannot be meant is refused, with the place, the values, and what to do."""

import functools

import numpy as np
import pytest

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad import optim

p = {"a": fnp.ones(2), "b": (fnp.ones((2, 3)), fnp.ones(()))}


def test_trees_that_differ():
    method = optim.adam(0.1)
    state = method.init(p)
    with pytest.raises(
        ValueError, match=r"scale_by_adam.*different structure[\s\S]*keys[\s\S]*test_bad_input"
    ):
        method.update({"a": fnp.ones(2)}, state)
    wrong = {"a": fnp.ones(2), "b": (fnp.ones((3, 2)), fnp.ones(()))}
    with pytest.raises(
        ValueError, match=r"differ at \['b'\]\[0\]: shape \(3, 2\) against \(2, 3\)"
    ):
        method.update(wrong, state)
    with pytest.raises(ValueError, match=r"apply_updates.*differ at \['b'\]\[0\]"):
        fg.jit(optim.apply_updates)(p, wrong)
    with pytest.raises(ValueError, match="chain of 2 transformations"):
        method.update(p, state[:1])
    with pytest.raises(ValueError, match="different structure"):
        optim.tree.vdot(p, {"a": fnp.ones(2), "b": fnp.ones(2)})
    with pytest.raises(TypeError, match=r"optim\.adam\(0\.1\)"):
        optim.chain(optim.adam)


NEEDS = {
    "add_decayed_weights": optim.add_decayed_weights(0.1),
    "add_decayed_signs": optim.add_decayed_signs(0.1),
    "scale_by_trust_ratio": optim.scale_by_trust_ratio(),
    "scale_by_factored_rms": optim.adafactor(0.1),
    "scale_by_novograd": optim.novograd(0.1),
    "scale_by_param_block_rms": optim.scale_by_param_block_rms(),
    "adaptive_grad_clip": optim.adaptive_grad_clip(0.1),
    "keep_params_nonnegative": optim.keep_params_nonnegative(),
    "scale_by_lbfgs": optim.lbfgs(),
    "scale_by_zoom_linesearch": optim.scale_by_zoom_linesearch(5),
    "scale_by_backtracking_linesearch": optim.scale_by_backtracking_linesearch(5),
    "scale_by_newton": optim.newton(),
    "scale_by_gauss_newton": optim.gauss_newton(),
    "scale_by_natural_gradient": optim.natural_gradient(),
    "scale_by_distance_over_gradients": optim.scale_by_distance_over_gradients(),
}


@pytest.mark.parametrize("name", NEEDS)
def test_missing_params(name):
    method = NEEDS[name]
    with pytest.raises(ValueError, match=f"{name} needs the params: update"):
        method.update(p, method.init(p))


@pytest.mark.parametrize(
    ("method", "names"),
    [
        (optim.polyak_sgd(), "value"),
        (optim.reduce_on_plateau(), "value"),
        (optim.scale_by_zoom_linesearch(5), "value, grad, value_fn"),
        (optim.newton(), "value_fn"),
        (optim.gauss_newton(), "predict_fn, loss_fn"),
    ],
)
def test_missing_keywords(method, names):
    with pytest.raises(ValueError, match=f"needs {names}: update"):
        method.update(p, method.init(p), p)


def test_unknown_keywords_of_a_search():
    method = optim.scale_by_backtracking_linesearch(5)
    with pytest.raises(TypeError, match=r"keywords \['batch'\].*value_fn takes \['p'\]"):
        method.update(p, method.init(p), p, value=0.0, grad=p, value_fn=lambda p: 0.0, batch=1)


WRONG = {
    "negative rate": (lambda: optim.adam(-0.1), "at least 0, got -0.1"),
    "NaN": (lambda: optim.sgd(float("nan")), "at least 0"),
    "rate of sm3": (lambda: optim.sm3(-1), "sm3: learning_rate"),
    "rate of rprop": (lambda: optim.rprop(-1), "learning_rate"),
    "b1": (lambda: optim.adam(0.1, b1=1.0), r"b1 must be in \[0, 1\), got 1.0"),
    "b2": (lambda: optim.adamw(0.1, b2=-0.5), r"b2 must be in \[0, 1\)"),
    "momentum": (lambda: optim.sgd(0.1, 1.5), r"decay must be in \[0, 1\], got 1.5"),
    "injected": (
        lambda: optim.inject_hyperparams(optim.adam)(0.1, b1=3.0).init(p),
        r"b1 must be in \[0, 1\)",
    ),
    "weight decay": (
        lambda: optim.adamw(0.1, weight_decay=-1.0),
        "weight_decay must be at least 0",
    ),
    "clip": (lambda: optim.clip_by_global_norm(-1.0), "max_norm"),
    "multiplier": (lambda: optim.scale_leaves({"a": -1.0}), "multiplier"),
    "names": (
        lambda: optim.named_chain(("a", optim.sgd(0.1)), ("a", optim.sgd(0.1))),
        r"\['a'\] stand more than once",
    ),
    "labels": (
        lambda: optim.partition({"x": optim.sgd(0.1)}, {"a": "x", "b": "y"}).init(p),
        "labels.*'y'.*transformations for.*'x'",
    ),
    "every k": (lambda: optim.MultiSteps(optim.sgd(0.1), 0), "1 or more, got 0"),
    "sync": (lambda: optim.lookahead(optim.sgd(0.1), 0, 0.5), "at least 1, got 0"),
    "lookahead params": (
        lambda: optim.lookahead(optim.sgd(0.1), 2, 0.5).update(
            p, optim.lookahead(optim.sgd(0.1), 2, 0.5).init(p), p
        ),
        "wants LookaheadParams, got dict",
    ),
    "memory": (lambda: optim.scale_by_lbfgs(0), "memory_size"),
    "strategy": (
        lambda: optim.scale_by_zoom_linesearch(5, initial_guess_strategy="two"),
        "'one' or 'keep', got 'two'",
    ),
    "variant": (lambda: optim.polyak_sgd(variant="x"), "'sps'"),
    "lion": (lambda: optim.scale_by_lion(mode="x"), "modes"),
    "plateau": (lambda: optim.reduce_on_plateau(2.0), r"factor in \(0, 1\)"),
    "no key": (lambda: optim.noisy_sgd(0.1), "a key or a seed, got neither"),
    "two keys": (lambda: optim.add_noise(0.1, 0.5, 1, seed=2), "got both"),
    "examples": (lambda: optim.per_example_global_norm_clip(p, 1.0), "vmap"),
    "static": (lambda: optim.inject_hyperparams(optim.sgd, "b1"), r"\['b1'\], and sgd takes"),
    "units": (lambda: optim.unitwise_norm(np.ones((2,) * 6)), "up to five axes"),
    "coefficients": (lambda: optim.muon(0.1, "fast"), "got 'fast'"),
    "shape of coefficients": (
        lambda: optim.scale_by_muon((1.0, 2.0)).init(p),
        r"\(3,\) or \(n, 3\)",
    ),
    "boundaries": (
        lambda: optim.join_schedules([optim.constant_schedule(1.0)] * 3, [10]),
        r"3 schedules and the boundaries \[10\]",
    ),
    "falling boundaries": (
        lambda: optim.join_schedules([optim.constant_schedule(1.0)] * 3, [10, 5]),
        "rising order",
    ),
    "steps": (lambda: optim.linear_schedule(0.0, 1.0, -5), "transition_steps must be at least 0"),
    "decay steps": (lambda: optim.cosine_decay_schedule(1.0, 0), "must be positive, got 0"),
    "warmup": (
        lambda: optim.warmup_cosine_decay_schedule(0.0, 1.0, 10, 10),
        r"above warmup_steps \(10\)",
    ),
    "scales": (lambda: optim.piecewise_constant_schedule(1.0, {5: -1.0}), "at least 0"),
    "interpolation": (lambda: optim.piecewise_interpolate_schedule("x", 1.0), "'linear'"),
    "policy": (lambda: optim.caffe_schedule("x", 1.0), "knows the policies"),
    "shares": (lambda: optim.linear_onecycle_schedule(10, 1.0, 0.9, 0.5), "rise"),
    "dtypes": (
        lambda: optim.tree.dtype({"a": fnp.ones(1), "b": fnp.ones(1, fnp.bfloat16)}),
        "float32 and bfloat16",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_refusals(name):
    make, text = WRONG[name]
    with pytest.raises(ValueError, match=text):
        make()


def test_skip_functions_are_checked():
    def wrong(updates, step, params):
        return fnp.array(1.0), ()

    method = optim.MultiSteps(optim.sgd(0.1), 2, should_skip_update_fn=wrong)
    with pytest.raises(ValueError, match=r"bool\[\], state"):
        method.update(p, method.init(p))
    skip = functools.partial(optim.skip_large_updates, max_squared_norm=1.0)
    method = optim.MultiSteps(optim.sgd(0.1), 1, should_skip_update_fn=skip)
    out, state = method.update(p, method.init(p))
    assert not np.asarray(out["a"]).any() and bool(state.skip_state["should_skip"])
