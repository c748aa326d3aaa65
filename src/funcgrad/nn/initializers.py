"""Initial weights: functions `(key, shape, dtype) -> array`.

Names and values for a key are those of `jax.nn.initializers`; `torch_weight` and `torch_bias` are
PyTorch's defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import numpy as fnp
from .. import random
from ..core.sources import user_line
from ..ir import dtypes

Initializer = Callable[..., Any]
Axes = int | Sequence[int]


def zeros(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
    """All zeros; the key is not used."""
    return fnp.zeros(shape, _float(dtype))


def ones(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
    """All ones; the key is not used."""
    return fnp.ones(shape, _float(dtype))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """All equal to a value; the key is not used."""

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        return fnp.full(shape, value, _float(dtype))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Uniform in [0, scale)."""

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _float(dtype)
        return random.uniform(key, shape, dtype) * fnp.asarray(scale, dtype)

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Normal of mean 0."""

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _float(dtype)
        return random.normal(key, shape, dtype) * fnp.asarray(stddev, dtype)

    return init


def truncated_normal(
    stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0
) -> Initializer:
    """Normal of mean 0, cut off at lower and upper deviations.

    Args:
        stddev: the deviation before the cut; after it, that is 0.88 of it for the default bounds.
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _float(dtype)
        drawn = random.truncated_normal(key, lower, upper, shape, dtype)
        return drawn * fnp.asarray(stddev, dtype)

    return init


def fans(
    shape: Sequence[int], in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = ()
) -> tuple[float, float]:
    """Fan-in and fan-out of a weight; axes that are not named are its window.

    Raises:
        ValueError: fewer than two axes.
    """
    if in_axis == -2 and len(shape) < 2:
        raise ValueError(
            f"A scaled initializer needs at least two axes [*window, inputs, outputs], got shape "
            f"{tuple(shape)}.\n  {user_line()}\n  Use zeros or ones for biases, or name in_axis."
        )

    def extent(axes: Axes) -> int:
        return math.prod(shape[i] for i in ((axes,) if isinstance(axes, int) else axes))

    inputs, outputs = extent(in_axis), extent(out_axis)
    window = math.prod(shape) / inputs / outputs / extent(batch_axis)
    return inputs * window, outputs * window


_modes: dict[str, Callable[[float, float], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: (fan_in * fan_out) ** 0.5,
}
_distributions = ("truncated_normal", "normal", "uniform")


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Weights of mean 0 and variance scale / fan; complex ones are spread over a disk.

    Args:
        mode: which fan: `"fan_in"`, `"fan_out"`, `"fan_avg"` or `"fan_geo_avg"`.
        distribution: `"truncated_normal"` (cut off at two deviations), `"normal"` or `"uniform"`.
        in_axis, out_axis, batch_axis: axes of inputs, of outputs, and those that count in neither.
    Raises:
        ValueError: unknown mode or distribution.
    """
    if mode not in _modes or distribution not in _distributions:
        raise ValueError(
            f"variance_scaling takes a mode of {tuple(_modes)} and a distribution of "
            f"{_distributions}, got {mode!r} and {distribution!r}.\n  {user_line()}"
        )

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _float(dtype)
        fan = _modes[mode](*fans(shape, in_axis, out_axis, batch_axis))
        variance = fnp.asarray(scale / fan, dtype)
        is_complex = dtypes.issubdtype(dtype, np.complexfloating)
        if distribution == "normal":
            return random.normal(key, shape, dtype) * fnp.sqrt(variance)
        if distribution == "uniform" and is_complex:
            return _disk(key, shape, dtype, None) * fnp.sqrt(variance)
        if distribution == "uniform":
            return random.uniform(key, shape, dtype, -1) * fnp.sqrt(3 * variance)
        # The deviation of a standard normal variable cut off at 2: on the line, and of its modulus
        # in the plane.
        cut = fnp.asarray(0.95311164380491208 if is_complex else 0.87962566103423978, dtype)
        deviation = fnp.sqrt(variance) / cut
        if is_complex:
            return _disk(key, shape, dtype, 2) * deviation
        return random.truncated_normal(key, -2, 2, shape, dtype) * deviation

    return init


def _disk(key: Any, shape: Sequence[int], dtype: Any, cut: int | None) -> Any:
    """Points of the plane, of variance 1: uniform on a disk, or normal cut off at a modulus."""
    radius_key, angle_key = random.split(key)
    real = np.zeros((), dtype).real.dtype
    drawn = random.uniform(radius_key, shape, real)
    if cut is None:
        radius = fnp.sqrt(2 * drawn).astype(dtype)
    else:
        mass = (1 - fnp.exp(fnp.asarray(-(cut**2), dtype))) * drawn.astype(dtype)
        radius = fnp.sqrt(-fnp.log(1 - mass))
    angle = 2 * np.pi * random.uniform(angle_key, shape, real).astype(dtype)
    return radius * fnp.exp(1j * angle)


def _scaled(scale: float, mode: str, distribution: str, name: str, source: str) -> Initializer:
    """The builder of one named case of `variance_scaling`."""

    def build(
        in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
    ) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    build.__name__ = build.__qualname__ = name
    fan = {"fan_in": "fan-in", "fan_avg": "mean fan"}[mode]
    kind = distribution.replace("_", " ").capitalize()
    build.__doc__ = f"{kind} of variance {scale:g} / {fan}. Source: {source}."
    return build


_glorot = "Glorot & Bengio, AISTATS 2010"
_he = "He et al., arXiv:1502.01852"
_lecun = "LeCun et al., Efficient BackProp, 1998"
glorot_uniform = _scaled(1.0, "fan_avg", "uniform", "glorot_uniform", _glorot)
glorot_normal = _scaled(1.0, "fan_avg", "truncated_normal", "glorot_normal", _glorot)
lecun_uniform = _scaled(1.0, "fan_in", "uniform", "lecun_uniform", _lecun)
lecun_normal = _scaled(1.0, "fan_in", "truncated_normal", "lecun_normal", _lecun)
he_uniform = _scaled(2.0, "fan_in", "uniform", "he_uniform", _he)
he_normal = _scaled(2.0, "fan_in", "truncated_normal", "he_normal", _he)
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Uniform among matrices with orthonormal columns, or rows where these are fewer.

    Args:
        column_axis: the axis of columns; the others together are the rows.
    Source: Saxe et al., arXiv:1312.6120.
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _float(dtype)
        if len(shape) < 2:
            raise ValueError(
                f"orthogonal needs a shape of at least two axes, got {tuple(shape)}.\n"
                f"  {user_line()}"
            )
        if 0 in shape:
            return fnp.zeros(shape, dtype)
        columns = shape[column_axis]
        q = random.orthogonal(key, math.prod(shape) // columns, (), dtype, columns)
        rest = [n for i, n in enumerate(shape) if i != column_axis % len(shape)]
        q = fnp.moveaxis(fnp.reshape(q, (*rest, columns)), -1, column_axis)
        return fnp.asarray(scale, dtype) * q

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """An orthogonal matrix at the middle of the window, zeros elsewhere.

    Source: Xiao et al., arXiv:1806.05393.
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = _float(dtype)
        if not 3 <= len(shape) <= 5 or shape[-1] < shape[-2]:
            raise ValueError(
                f"delta_orthogonal needs a shape [*window, inputs, outputs] of 3 to 5 axes and no "
                f"more inputs than outputs, got {tuple(shape)}.\n  {user_line()}"
            )
        matrix = orthogonal(scale, column_axis, dtype)(key, shape[-2:])
        middle = tuple((n - 1) // 2 for n in shape[:-2])
        return fnp.zeros(shape, dtype).at[middle].set(matrix)

    return init


def torch_weight(a: float = math.sqrt(5)) -> Initializer:
    """PyTorch's default for weights: uniform of variance 2 / ((1 + a²) fan-in).

    With a = √5 the bound is 1 / √fan-in. a is the slope of the leaky relu that follows.
    """
    return variance_scaling(2 / (1 + a**2), "fan_in", "uniform")


@dataclass(frozen=True)
class FromFanIn:
    """An initializer that a layer completes with the fan-in of its weight.

    Attributes:
        build: `fan_in -> initializer`.
    """

    build: Callable[[float], Initializer]


def torch_bias() -> FromFanIn:
    """PyTorch's default for biases: uniform in ±1 / √fan-in of the layer's weight."""

    def build(fan_in: float) -> Initializer:
        def init(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
            bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
            return random.uniform(key, shape, _float(dtype), -bound, bound)

        return init

    return FromFanIn(build)


def draw_bias(
    make: Initializer | FromFanIn, key: Any, shape: Sequence[int], dtype: Any, fan_in: float
) -> Any:
    """The bias of a layer whose weight has this fan-in."""
    return (make.build(fan_in) if isinstance(make, FromFanIn) else make)(key, shape, dtype)


def _float(dtype: Any) -> Any:
    return fnp.result_type(float) if dtype is None else dtype
