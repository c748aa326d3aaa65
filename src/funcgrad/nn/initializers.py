"""Initial weights: functions `(key, shape, dtype) -> array`, scaled by fan-in and fan-out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import numpy as fnp
from .. import random

Initializer = Callable[..., Any]


def zeros(key: Any, shape: Sequence[int], dtype: Any = np.float32) -> Any:
    """All zeros; the key is not used."""
    return fnp.zeros(shape, dtype)


def ones(key: Any, shape: Sequence[int], dtype: Any = np.float32) -> Any:
    """All ones; the key is not used."""
    return fnp.ones(shape, dtype)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Fan-in and fan-out of a weight `[*window, inputs, outputs]`.

    Raises:
        ValueError: fewer than two axes.
    """
    if len(shape) < 2:
        raise ValueError(
            f"A scaled initializer needs at least two axes [*window, inputs, outputs], got shape "
            f"{tuple(shape)}. Use zeros or ones for biases."
        )
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def variance_scaling(scale: float, mode: str, distribution: str) -> Initializer:
    """Weights of variance scale / fan.

    Args:
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"normal"`, `"uniform"` or `"truncated_normal"`.
    Raises:
        ValueError: unknown mode or distribution.
    """
    modes = ("fan_in", "fan_out", "fan_avg")
    kinds = ("normal", "uniform", "truncated_normal")
    if mode not in modes or distribution not in kinds:
        raise ValueError(
            f"variance_scaling takes a mode of {modes} and a distribution of {kinds}, got "
            f"{mode!r} and {distribution!r}."
        )

    def init(key: Any, shape: Sequence[int], dtype: Any = np.float32) -> Any:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        variance = scale / max(1.0, fan)
        if distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return random.uniform(key, shape, dtype, -limit, limit)
        if distribution == "normal":
            return random.normal(key, shape, dtype) * np.asarray(math.sqrt(variance), dtype)
        # 0.8796… is the deviation of a normal variable cut off at two deviations.
        deviation = np.asarray(math.sqrt(variance) / 0.87962566103423978, dtype)
        return random.truncated_normal(key, -2, 2, shape, dtype) * deviation

    return init


def glorot_uniform() -> Initializer:
    """Uniform of variance 1 / mean fan. Source: Glorot & Bengio, AISTATS 2010."""
    return variance_scaling(1.0, "fan_avg", "uniform")


def glorot_normal() -> Initializer:
    """Truncated normal of variance 1 / mean fan. Source: Glorot & Bengio, AISTATS 2010."""
    return variance_scaling(1.0, "fan_avg", "truncated_normal")


def he_normal() -> Initializer:
    """Truncated normal of variance 2 / fan-in. Source: He et al., arXiv:1502.01852."""
    return variance_scaling(2.0, "fan_in", "truncated_normal")


def he_uniform() -> Initializer:
    """Uniform of variance 2 / fan-in. Source: He et al., arXiv:1502.01852."""
    return variance_scaling(2.0, "fan_in", "uniform")


def lecun_normal() -> Initializer:
    """Truncated normal of variance 1 / fan-in. Source: LeCun et al., Efficient BackProp."""
    return variance_scaling(1.0, "fan_in", "truncated_normal")


def lecun_uniform() -> Initializer:
    """Uniform of variance 1 / fan-in. Source: LeCun et al., Efficient BackProp."""
    return variance_scaling(1.0, "fan_in", "uniform")
