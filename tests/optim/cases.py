"""Transformations by name, each made from a module with optax's names: ours or optax itself."""

from __future__ import annotations


def _schedule(count):
    return 0.1 / (1.0 + count)


def kernels_only(tree):
    """A mask: true at the leaves of two axes or more."""
    return {
        "conv": tuple(x.ndim > 1 for x in tree["conv"]),
        "dense": {k: x.ndim > 1 for k, x in tree["dense"].items()},
    }


METHODS = {
    "sgd": lambda o: o.sgd(0.1),
    "sgd momentum": lambda o: o.sgd(0.1, momentum=0.9),
    "sgd nesterov": lambda o: o.sgd(_schedule, momentum=0.9, nesterov=True),
    "momentum bias-corrected": lambda o: o.chain(o.ema(0.9), o.scale_by_learning_rate(0.1)),
    "adagrad": lambda o: o.adagrad(0.1),
    "adagrad from 0": lambda o: o.adagrad(0.1, initial_accumulator_value=0.0, eps=1e-10),
    "rmsprop": lambda o: o.rmsprop(0.01),
    "rmsprop all": lambda o: o.rmsprop(
        0.01,
        0.8,
        initial_scale=0.5,
        centered=True,
        momentum=0.5,
        nesterov=True,
        bias_correction=True,
    ),
    "rmsprop outside": lambda o: o.rmsprop(0.01, eps_in_sqrt=False, bias_correction=True),
    "adadelta": lambda o: o.adadelta(1.0, weight_decay=0.01),
    "adadelta mask": lambda o: o.adadelta(1.0, weight_decay=0.1, weight_decay_mask=kernels_only),
    "adam": lambda o: o.adam(0.05),
    "adam schedule": lambda o: o.adam(_schedule, b1=0.8, b2=0.95, eps=1e-6, eps_root=1e-6),
    "nadam": lambda o: o.nadam(0.05),
    "adamw": lambda o: o.adamw(0.05, weight_decay=0.1, mask=kernels_only),
    "adamw schedules": lambda o: o.adamw(_schedule, weight_decay=_schedule),
    "nadamw": lambda o: o.nadamw(0.05),
    "amsgrad": lambda o: o.amsgrad(0.05),
    "amsgrad uncorrected": lambda o: o.amsgrad(
        0.05, bias_correction_mu=False, bias_correction_nu=False
    ),
    "adamax": lambda o: o.adamax(0.05),
    "adamaxw": lambda o: o.adamaxw(0.05, weight_decay=0.1),
    "adan": lambda o: o.adan(0.05, weight_decay=0.02),
    "adabelief": lambda o: o.adabelief(0.05),
    "adabelief nesterov": lambda o: o.adabelief(0.05, nesterov=True),
    "lamb": lambda o: o.lamb(0.05, weight_decay=0.01),
    "lars": lambda o: o.lars(0.5, weight_decay=0.01, weight_decay_mask=kernels_only),
    "lars nesterov": lambda o: o.lars(0.5, trust_ratio_mask=kernels_only, nesterov=True),
    "lion": lambda o: o.lion(0.01),
    "novograd": lambda o: o.novograd(0.05, weight_decay=0.01),
    "radam": lambda o: o.radam(0.05),
    "radam nesterov": lambda o: o.radam(0.05, b2=0.9, nesterov=True),
    "yogi": lambda o: o.yogi(0.05),
    "adafactor": lambda o: o.adafactor(0.05),
    "adafactor factored": lambda o: o.adafactor(
        0.05, min_dim_size_to_factor=3, momentum=0.9, weight_decay_rate=1e-3
    ),
    "adafactor bare": lambda o: o.adafactor(
        min_dim_size_to_factor=2, multiply_by_parameter_scale=False, clipping_threshold=None
    ),
    "fromage": lambda o: o.fromage(0.05),
    "fromage schedule": lambda o: o.fromage(_schedule),
    "noisy_sgd": lambda o: o.noisy_sgd(0.05, key=3),
    "sign_sgd": lambda o: o.sign_sgd(0.01),
    "signum": lambda o: o.signum(0.01),
    "optimistic": lambda o: o.optimistic_gradient_descent(0.05, alpha=0.7, beta=0.4),
    "optimistic adam": lambda o: o.optimistic_adam_v2(0.05),
}

LATER = {
    "schedule_free": lambda o: o.schedule_free(o.sgd(0.1), 0.1, b1=0.8, weight_lr_power=1.0),
    "schedule_free_sgd": lambda o: o.schedule_free_sgd(0.1, 5, weight_decay=0.01),
    "schedule_free_adamw": lambda o: o.schedule_free_adamw(0.05, 4, weight_decay=0.01),
    "sam": lambda o: o.sam(o.sgd(0.1, 0.9), o.chain(o.normalize(), o.sgd(0.05))),
    "sam of 3": lambda o: o.sam(o.adam(0.1), o.sgd(0.05, 0.9), 3, reset_state=True),
    "dog": lambda o: o.dog(init_step=("heuristic", 1e-2), weight_decay=0.01),
    "dog distance": lambda o: o.dog(_schedule, ("distance", 0.1), eps=1e-6),
    "dog rate": lambda o: o.dog(init_step=("learning_rate", 0.05)),
    "dowg": lambda o: o.dowg(init_estim_sq_dist=1e-2, weight_decay=0.01),
    "prodigy": lambda o: o.prodigy(0.5, estim_lr0=1e-2, weight_decay=0.01),
    "prodigy warm": lambda o: o.prodigy(_schedule, (0.8, 0.99), 0.9, safeguard_warmup=True),
    "cocob": lambda o: o.cocob(alpha=10.0, weight_decay=0.01, mask=kernels_only),
    "ademamix": lambda o: o.ademamix(0.05, b3=0.99, weight_decay=0.01),
    "ademamix schedules": lambda o: o.ademamix(_schedule, alpha=_schedule, eps_root=1e-6),
    "simplified_ademamix": lambda o: o.simplified_ademamix(0.01, 0.9, alpha=2.0),
    "adopt": lambda o: o.adopt(0.05),
    "adopt nesterov": lambda o: o.adopt(0.05, b2=0.99, nesterov=True, use_clipping=False),
    "acprop": lambda o: o.acprop(0.01, eps=1e-4, weight_decay=0.01),
    "madgrad": lambda o: o.madgrad(0.05, weight_decay=0.01),
    "madgrad schedule": lambda o: o.madgrad(_schedule, momentum=0.0),
}

PARTS = {
    "identity": lambda o: o.identity(),
    "set_to_zero": lambda o: o.set_to_zero(),
    "stateless": lambda o: o.stateless_with_tree_map(lambda u, p: u * 2 + p),
    "trace dtype": lambda o: o.trace(0.9, nesterov=True, accumulator_dtype="bfloat16"),
    "ema": lambda o: o.ema(0.7, debias=False, accumulator_dtype="bfloat16"),
    "apply_every": lambda o: o.apply_every(3),
    "clip": lambda o: o.clip(0.3),
    "clip_by_block_rms": lambda o: o.clip_by_block_rms(0.3),
    "clip_by_global_norm": lambda o: o.clip_by_global_norm(0.3),
    "adaptive_grad_clip": lambda o: o.adaptive_grad_clip(0.1),
    "adaptive_grad_clip axis": lambda o: o.masked(o.adaptive_grad_clip(0.1, axis=-1), kernels_only),
    "keep_params_nonnegative": lambda o: o.chain(o.sgd(0.5), o.keep_params_nonnegative()),
    "zero_nans": lambda o: o.chain(o.stateless(_some_nans), o.zero_nans()),
    "centralize": lambda o: o.centralize(),
    "normalize": lambda o: o.normalize_by_update_norm(3.0),
    "trust ratio": lambda o: o.scale_by_trust_ratio(0.1, 0.5, 1e-3),
    "block norm": lambda o: o.chain(o.scale_by_param_block_norm(0.5), o.scale(-0.02)),
    "block rms": lambda o: o.chain(o.scale_by_param_block_rms(0.5), o.scale(-0.05)),
    "dog": lambda o: o.masked(o.scale_by_distance_over_gradients(), kernels_only),
    "lion smooth": lambda o: o.scale_by_lion(mode="smooth", smooth_beta=2.0),
    "lion refined": lambda o: o.scale_by_lion(mode="refined"),
    "sm3": lambda o: o.masked(o.scale_by_sm3(b2=0.9), kernels_only),
    "adam bfloat16": lambda o: o.scale_by_adam(mu_dtype="bfloat16"),
    "add_noise": lambda o: o.add_noise(0.1, 0.5, 7),
    "named_chain": lambda o: o.named_chain(("clip", o.clip(0.2)), ("step", o.adam(0.1))),
    "partition": lambda o: o.partition(
        {"a": o.adam(0.1), "b": o.sgd(0.1, 0.9)}, {"conv": "a", "dense": {"b": "b", "w": "a"}}
    ),
    "freeze": lambda o: o.chain(o.adam(0.1), o.freeze({"conv": True, "dense": False})),
    "selective": lambda o: o.selective_transform(
        o.adam(0.1), freeze_mask={"conv": (True, False), "dense": {"b": False, "w": True}}
    ),
    "flatten": lambda o: o.flatten(o.lamb(0.1)),
    "multi steps": lambda o: o.MultiSteps(o.adam(0.1), 3).gradient_transformation(),
    "multi steps sum": lambda o: o.MultiSteps(
        o.adam(0.1),
        lambda n: 1 + n % 3,
        use_grad_mean=False,
        should_skip_update_fn=o.skip_not_finite,
    ).gradient_transformation(),
    "if finite": lambda o: o.apply_if_finite(o.chain(o.stateless(_some_nans), o.adam(0.1)), 3),
    "if finite nans": lambda o: o.chain(o.stateless(_some_nans), o.apply_if_finite(o.adam(0.1), 2)),
    "conditionally_transform": lambda o: o.conditionally_transform(
        o.adam(0.1), lambda n: n % 3 == 1
    ),
    "conditionally_mask": lambda o: o.conditionally_mask(o.adam(0.1), lambda n: n % 3 == 1),
    "inject": lambda o: o.inject_hyperparams(o.adamw)(_schedule, b1=0.8, weight_decay=0.1),
    "inject static": lambda o: o.inject_hyperparams(o.adam, static_args=("b1", "eps_root"))(0.1),
    "inject radam": lambda o: o.inject_hyperparams(o.radam)(_schedule, b2=0.9),
    "snapshot": lambda o: o.chain(o.snapshot("norm", o.global_norm), o.sgd(0.1)),
    "monitor": lambda o: o.monitor(
        {"norm": o.global_norm, "mean": o.measure_with_ema(o.global_norm, 0.9)}
    ),
    "distance": lambda o: o.chain(o.clip_by_global_norm(1.0), o.scale_by_schedule(_schedule)),
}


def _some_nans(updates, params):
    """NaN in place of one element where it is negative."""
    kernel, scale = updates["conv"]
    bad = kernel.at[0, 0, 0, 0].set((kernel[0, 0, 0, 0] ** 0.5) ** 2)
    return {**updates, "conv": (bad, scale)}


SEARCHES = {
    "lbfgs": lambda o: o.lbfgs(),
    "lbfgs backtracking": lambda o: o.lbfgs(
        0.5, linesearch=o.scale_by_backtracking_linesearch(15, store_grad=True)
    ),
    "zoom strict": lambda o: o.chain(
        o.sgd(0.02), o.scale_by_zoom_linesearch(25, curv_rtol=0.1, approx_dec_rtol=None)
    ),
    "zoom bounded": lambda o: o.chain(
        o.sgd(0.01), o.scale_by_zoom_linesearch(4, max_learning_rate=2.0, increase_factor=3.0)
    ),
    "backtracking few": lambda o: o.chain(
        o.sgd(40.0), o.scale_by_backtracking_linesearch(2, rtol=0.01, store_grad=True)
    ),
}

VALUES = {
    "polyak": lambda o: o.polyak_sgd(0.3, f_min=-3.0),
    "polyak plus": lambda o: o.polyak_sgd(0.3, f_min=40.0, eps=0.1, variant="sps+"),
    "plateau": lambda o: o.chain(
        o.sgd(0.3), o.reduce_on_plateau(0.5, patience=2, rtol=0.05, cooldown=1, min_scale=0.05)
    ),
    "plateau means": lambda o: o.chain(
        o.sgd(0.3), o.reduce_on_plateau(0.5, patience=1, rtol=0.1, accumulation_size=3)
    ),
}

MATRICES = {
    "muon": lambda o: o.muon(0.05, weight_decay=0.01),
    "muon dion": lambda o: o.muon(
        0.05, "dion", nesterov=False, adaptive=True, adam_learning_rate=0.1
    ),
    "muon aol": lambda o: o.muon(0.05, preconditioning="aol", consistent_rms=0.2),
    "muon schatten": lambda o: o.muon(0.05, preconditioning="schatten"),
    "muon spectral": lambda o: o.muon(0.05, preconditioning="spectral"),
    "muon axes": lambda o: o.muon(
        0.05,
        muon_weight_dimension_numbers={
            "conv": _numbers(o, (2,), (3,)),
            "dense": {"b": None, "w": _numbers(o, 1, 0)[0]},
        },
    ),
}


def _numbers(o, inputs, outputs):
    return (o.MuonDimensionNumbers(inputs, outputs), None)
