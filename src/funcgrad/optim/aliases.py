"""Whole methods outside of the Adam family; names and defaults are optax's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .accumulation import ema, trace
from .adaptive import (
    scale_by_adadelta,
    scale_by_novograd,
    scale_by_rms,
    scale_by_rprop,
    scale_by_rss,
    scale_by_sm3,
    scale_by_stddev,
)
from .adding import add_decayed_weights, add_multiple, add_noise
from .base import GradientTransformationExtraArgs, MaskOrFn, ScalarOrSchedule, identity
from .checks import check_not_negative, check_rate
from .clipping import clip_by_block_rms
from .combining import chain, masked
from .factorized import scale_by_factored_rms
from .scaling import (
    scale,
    scale_by_learning_rate,
    scale_by_optimistic_gradient,
    scale_by_param_block_rms,
    scale_by_polyak,
    scale_by_sign,
    scale_by_trust_ratio,
)


def sgd(
    learning_rate: ScalarOrSchedule,
    momentum: Any = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> GradientTransformationExtraArgs:
    """Steps of −learning_rate · gradient, with momentum if given; see `trace`.

    Args:
        learning_rate: a number, or a schedule from step number i32[] to f32[].
        accumulator_dtype: dtype of the momentum; that of the params by default.
    Raises:
        ValueError: a negative rate, or momentum outside [0, 1].
    """
    return chain(
        identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype),
        scale_by_learning_rate(learning_rate),
    )


def momentum(
    learning_rate: ScalarOrSchedule, decay: Any = 0.9, debias: bool = True
) -> GradientTransformationExtraArgs:
    """Steps of −learning_rate · m̂, the running average of the gradient; see `ema`.

    Args:
        debias: whether to make up for the average's start at zero. `sgd(momentum=...)` takes the
            sum in place of the average, with or without Nesterov's correction.
    Raises:
        ValueError: a negative rate, or a decay that is no share.
    """
    return chain(ema(decay, debias), scale_by_learning_rate(learning_rate))


def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: Any = 0.1, eps: Any = 1e-7
) -> GradientTransformationExtraArgs:
    """Steps divided by the root of the sum of squares so far; see `scale_by_rss`.

    Source: Duchi et al., JMLR 12, 2011.
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate)
    )


def adadelta(
    learning_rate: ScalarOrSchedule = None,
    rho: Any = 0.9,
    eps: Any = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Steps in the units of the params; see `scale_by_adadelta`.

    Args:
        learning_rate: as in optax, None leaves even the sign as it is; 1.0 is the paper's method.
    Source: Zeiler, arXiv:1212.5701.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Any = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> GradientTransformationExtraArgs:
    """Steps divided by the root of the average square; see `scale_by_rms`, `scale_by_stddev`.

    Args:
        centered: whether the variance is taken in place of the square.
        momentum: of the steps, the rate included.
    Source: Tieleman & Hinton, 2012; Graves, arXiv:1308.0850.
    """
    scaling = scale_by_stddev if centered else scale_by_rms
    return chain(
        scaling(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
        identity() if momentum is None else trace(momentum, nesterov),
    )


def rprop(
    learning_rate: Any,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> GradientTransformationExtraArgs:
    """A step size for each element, by the signs of its gradient alone; see `scale_by_rprop`.

    Source: Riedmiller & Braun, IEEE ICNN 1993.
    """
    return chain(
        scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size),
        scale(-1.0),
    )


def adafactor(
    learning_rate: ScalarOrSchedule = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Any = 0.8,
    decay_offset: Any = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Any = 1.0,
    momentum: Any = None,
    dtype_momentum: Any = np.float32,
    weight_decay_rate: ScalarOrSchedule = None,
    eps: Any = 1e-30,
    factored: bool = True,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Adam's scaling with second moments kept as rows and columns; see `scale_by_factored_rms`.

    Args:
        multiply_by_parameter_scale: whether steps are relative to the size of each leaf.
        clipping_threshold: bound on the root mean square of a leaf's step, or None.
        momentum: an average of steps, or None.
        weight_decay_rate: decay that the rate does not scale, or None.
    Source: Shazeer & Stern, arXiv:1804.04235.
    """
    parts: list[Any] = [
        scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps)
    ]
    if clipping_threshold is not None:
        parts.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        parts.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        parts.append(scale_by_param_block_rms())
    if momentum is not None:
        parts.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        parts.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return chain(*parts, scale(-1))


def fromage(
    learning_rate: ScalarOrSchedule, min_norm: Any = 1e-6
) -> GradientTransformationExtraArgs:
    """Steps relative to the norm of each leaf, and weights kept from growing by them.

    p ← (p − learning_rate · ‖p‖/‖g‖ · g) / √(1 + learning_rate²)

    Source: Bernstein et al., arXiv:2002.03432.
    """
    check_rate("fromage", learning_rate)
    if callable(learning_rate):
        rate: Callable[[Any], Any] = learning_rate

        def shrink(count: Any) -> Any:
            return 1 / (1 + rate(count) ** 2) ** 0.5

        def step(count: Any) -> Any:
            return shrink(count) * rate(count)

        def change(count: Any) -> Any:
            return shrink(count) - 1

        return chain(
            scale_by_trust_ratio(min_norm),
            scale_by_learning_rate(step),
            add_multiple("fromage", lambda p: p, change),
        )
    factor = 1 / (1 + learning_rate**2) ** 0.5
    return chain(
        scale_by_trust_ratio(min_norm),
        scale_by_learning_rate(learning_rate * factor),
        add_multiple("fromage", lambda p: p, factor - 1),
    )


def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = True,
    trust_coefficient: Any = 0.001,
    eps: Any = 0.0,
    trust_ratio_mask: MaskOrFn = True,
    momentum: Any = 0.9,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Momentum with steps as long as each leaf's weights: for large batches.

    Args:
        trust_ratio_mask: which leaves are scaled by their norms; biases and norms often are not.
    Source: You et al., arXiv:1708.03888.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(
            scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask
        ),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )


def noisy_sgd(
    learning_rate: ScalarOrSchedule,
    eta: Any = 0.01,
    gamma: Any = 0.55,
    key: Any = None,
    *,
    seed: int | None = None,
) -> GradientTransformationExtraArgs:
    """SGD on gradients with fading noise; see `add_noise`.

    Args:
        key: a key, or a number to make one of; one of key and seed must be given.
    Source: Neelakantan et al., arXiv:1511.06807.
    """
    return chain(add_noise(eta, gamma, key, seed=seed), scale_by_learning_rate(learning_rate))


def sign_sgd(learning_rate: ScalarOrSchedule) -> GradientTransformationExtraArgs:
    """Steps of −learning_rate · sign(gradient).

    Source: Bernstein et al., arXiv:1802.04434.
    """
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


def signum(
    learning_rate: ScalarOrSchedule, beta: Any = 0.9, accumulator_dtype: Any = None
) -> GradientTransformationExtraArgs:
    """Steps of −learning_rate · sign(average gradient).

    Source: Bernstein et al., arXiv:1802.04434.
    """
    return chain(
        ema(beta, debias=False, accumulator_dtype=accumulator_dtype),
        scale_by_sign(),
        scale_by_learning_rate(learning_rate),
    )


def novograd(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.25,
    eps: Any = 1e-6,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
) -> GradientTransformationExtraArgs:
    """Momentum of gradients divided by the norm of their leaf; see `scale_by_novograd`.

    Source: Ginsburg et al., arXiv:1905.11286.
    """
    check_not_negative("novograd", weight_decay=weight_decay)
    return chain(
        scale_by_novograd(b1, b2, eps, eps_root, weight_decay),
        scale_by_learning_rate(learning_rate),
    )


def optimistic_gradient_descent(
    learning_rate: ScalarOrSchedule, alpha: Any = 1.0, beta: Any = 1.0
) -> GradientTransformationExtraArgs:
    """SGD on a guess at the next gradient; see `scale_by_optimistic_gradient`.

    Source: Mokhtari et al., arXiv:1901.08511.
    """
    return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


def sm3(learning_rate: Any, momentum: Any = 0.9) -> GradientTransformationExtraArgs:
    """Adagrad with one accumulator per row and column; see `scale_by_sm3`.

    Source: Anil et al., arXiv:1901.11150.
    """
    check_rate("sm3", learning_rate)
    return chain(scale_by_sm3(momentum), scale(-learning_rate))


def polyak_sgd(
    max_learning_rate: Any = 1.0,
    scaling: ScalarOrSchedule = 1.0,
    f_min: Any = 0.0,
    eps: Any = 0.0,
    variant: str = "sps",
) -> GradientTransformationExtraArgs:
    """SGD with Polyak's step size; its update takes the keyword `value`, the loss.

    Source: Loizou et al., arXiv:2002.10542.
    """
    check_rate("polyak_sgd", max_learning_rate, "max_learning_rate")
    return chain(sgd(scaling), scale_by_polyak(f_min, max_learning_rate, eps, variant))
