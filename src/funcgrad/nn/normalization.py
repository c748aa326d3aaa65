"""Norms: batch, layer, group, instance, RMS, local response, and the spectral norm of a weight.

Means and variances of 16-bit inputs are computed in float32; what comes out has the dtype of x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import lax, random
from .. import numpy as fnp
from ..core.sources import user_line
from . import initializers
from .layer import (
    Layer,
    Network,
    as_layer,
    check_axes,
    entries,
    param_dtype,
    part,
    short,
    stateless,
)
from .linear import positive
from .shaping import along


def batch_norm(
    *,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    scale: bool = True,
    shift: bool = True,
    use_global_stats: bool | None = None,
    axis_name: Any = None,
) -> Layer:
    """(x − mean) / √(variance + epsilon) · scale + shift for each channel.

    In training, mean and variance are those of the batch, over all axes but the last, and the
    running ones follow them: running ← momentum · running + (1 − momentum) · batch, with the
    unbiased variance. Otherwise they are the running ones.

    params: `{"scale": f32[channels], "shift": f32[channels]}`;
    state: `{"mean": f32[channels], "variance": f32[channels]}`.

    Args:
        momentum: how much of the running averages a call keeps; 1 − PyTorch's.
        use_global_stats: True: use the running averages in training too, and leave them; False: use
            those of the batch always. By default `train` decides.
        axis_name: a mapped axis, or several, over which the batch is spread.
    Source: Ioffe & Szegedy, arXiv:1502.03167.
    """
    _fraction("batch_norm", "momentum", momentum)
    names = _names(scale, shift)

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        check_axes(x, 2, "batch_norm", "[batch, ..., channels]")
        shape, dtype = x.shape[-1:], fnp.promote_types(param_dtype(x), fnp.float32)
        state = {"mean": fnp.zeros(shape, dtype), "variance": fnp.ones(shape, dtype)}
        return _affine_params(names, shape, param_dtype(x)), state

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        averages = entries(state, ("mean", "variance"), "batch_norm", "state")
        check_axes(x, 2, "batch_norm", "[batch, ..., channels]")
        along(averages[0], x, (-1,), "batch_norm")
        wide = _wide(x)
        of_batch = not use_global_stats if use_global_stats is not None else train
        mean, variance = averages
        if of_batch:
            mean, variance, count = _batch_moments(wide, axis_name)
            if train:
                unbiased = variance * (count / max(count - 1, 1))
                both = zip(averages, (mean, unbiased), strict=True)
                kept = [momentum * old + (1 - momentum) * new for old, new in both]
                state = dict(zip(("mean", "variance"), map(lax.stop_gradient, kept), strict=True))
        y = (wide - mean) * lax.rsqrt(variance + epsilon)
        return _affine(y, params, names, (-1,), "batch_norm").astype(x.dtype), state

    return Layer(init, apply, "batch_norm")


def _batch_moments(x: Any, axis_name: Any) -> tuple[Any, Any, int]:
    """Mean and variance of each channel, and of how many values they are."""
    axes = tuple(range(x.ndim - 1))
    count = math.prod(x.shape[:-1])
    mean = fnp.mean(x, axis=axes)
    if axis_name is None:
        return mean, fnp.var(x, axis=axes), count
    mean = lax.pmean(mean, axis_name)
    variance = lax.pmean(fnp.mean(fnp.square(x - mean), axis=axes), axis_name)
    return mean, variance, count * lax.axis_size(axis_name)


def layer_norm(
    axis: int | Sequence[int] = -1,
    *,
    epsilon: float = 1e-5,
    scale: bool = True,
    shift: bool = True,
) -> Layer:
    """(x − mean) / √(variance + epsilon) · scale + shift over the given axes of each example.

    params: `{"scale": f32[axes], "shift": f32[axes]}`.
    Source: Ba et al., arXiv:1607.06450.
    """
    return _over_axes("layer_norm", axis, epsilon, _names(scale, shift), centred=True)


def rms_norm(axis: int | Sequence[int] = -1, *, epsilon: float = 1e-6, scale: bool = True) -> Layer:
    """x / √(mean of x² + epsilon) · scale over the given axes of each example.

    params: `{"scale": f32[axes]}`.
    Source: Zhang & Sennrich, arXiv:1910.07467.
    """
    return _over_axes("rms_norm", axis, epsilon, _names(scale, False), centred=False)


def _over_axes(
    layer: str, axis: int | Sequence[int], epsilon: float, names: list[str], *, centred: bool
) -> Layer:
    axes = (axis,) if isinstance(axis, int) else tuple(axis)

    def init(key: Any, x: Any) -> Any:
        check_axes(x, 1, layer, "features on the last axis")
        places = sorted(a % len(x.shape) for a in axes)
        return _affine_params(names, tuple(x.shape[a] for a in places), param_dtype(x))

    def apply(params: Any, x: Any) -> Any:
        check_axes(x, 1, layer, "features on the last axis")
        y = _standard(_wide(x), axes, epsilon, centred)
        return _affine(y, params, names, axes, layer).astype(x.dtype)

    return stateless(init, apply, layer)


def group_norm(
    groups: int, *, epsilon: float = 1e-5, scale: bool = True, shift: bool = True
) -> Layer:
    """Each example's channels in groups, each group standardised over itself and space.

    params: `{"scale": f32[channels], "shift": f32[channels]}`.
    Raises:
        ValueError: the groups do not divide the channels.
    Source: Wu & He, arXiv:1803.08494.
    """
    positive("group_norm", groups=groups)
    return _grouped("group_norm", groups, epsilon, _names(scale, shift))


def instance_norm(*, epsilon: float = 1e-5, scale: bool = True, shift: bool = True) -> Layer:
    """Each channel of each example standardised over space.

    params: `{"scale": f32[channels], "shift": f32[channels]}`.
    Source: Ulyanov et al., arXiv:1607.08022.
    """
    return _grouped("instance_norm", None, epsilon, _names(scale, shift))


def _grouped(layer: str, groups: int | None, epsilon: float, names: list[str]) -> Layer:
    def check(x: Any) -> int:
        check_axes(x, 2, layer, "[batch, *space, channels]")
        n = x.shape[-1] if groups is None else groups
        if x.shape[-1] % n:
            raise ValueError(
                f"{layer} of {n} groups got {short(x)}: they do not divide {x.shape[-1]} channels."
                f"\n  {user_line()}"
            )
        return n

    def init(key: Any, x: Any) -> Any:
        check(x)
        return _affine_params(names, x.shape[-1:], param_dtype(x))

    def apply(params: Any, x: Any) -> Any:
        n = check(x)
        parts = _wide(x).reshape((*x.shape[:-1], n, x.shape[-1] // n))
        axes = (*range(1, len(x.shape) - 1), len(x.shape))
        y = _standard(parts, axes, epsilon, centred=True).reshape(x.shape)
        return _affine(y, params, names, (-1,), layer).astype(x.dtype)

    return stateless(init, apply, layer)


def local_response_norm(
    size: int = 5,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    within_channel: bool = False,
) -> Layer:
    """x / (k + alpha · mean of x² over `size` neighbouring channels)^beta; zeros beyond. No params.

    Args:
        within_channel: the neighbours are those in space, `size` along each of its axes, and each
            channel is by itself.
    Source: Krizhevsky et al., NIPS 2012, section 3.3, alpha divided by size as in Caffe.
    """
    positive("local_response_norm", size=size)

    def apply(params: Any, x: Any) -> Any:
        least = 3 if within_channel else 2
        check_axes(x, least, "local_response_norm", "channels on the last axis")
        last = len(x.shape) - 1
        window = [size if 0 < i < last and within_channel else 1 for i in range(last)]
        window.append(1 if within_channel else size)
        pads = [(n // 2, (n - 1) // 2) for n in window]
        steps = (1,) * len(window)
        total = lax.reduce_window(fnp.square(x), 0.0, lax.add, window, steps, pads)
        return x / (k + alpha / math.prod(window) * total) ** beta

    return stateless(lambda key, x: (), apply, "local_response_norm")


def spectral_norm(
    layer: Layer, *, weight: str = "weight", steps: int = 1, epsilon: float = 1e-12
) -> Layer:
    """A layer whose weight is divided by its largest singular value σ.

    σ = uᵀ W v, W the weight as a matrix [features, rest], u and v kept in the state and improved by
    power iteration in each training call; they are constants to derivatives.

    params: those of the layer; state: `{"layer": ..., "u": f32[features], "v": f32[rest]}`.

    Args:
        weight: the name of the weight among the layer's params.
        steps: power iterations of a call.
    Source: Miyato et al., arXiv:1802.05957.
    """
    inner = as_layer(layer)
    positive("spectral_norm", steps=steps)

    def matrix(w: Any) -> Any:
        return w.reshape(-1, w.shape[-1]).T

    def improve(w: Any, v: Any, times: int) -> tuple[Any, Any]:
        w = lax.stop_gradient(matrix(w))
        u = v
        for _ in range(times):
            u = _unit(w @ v, epsilon)
            v = _unit(u @ w, epsilon)
        return u, v

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        own, drawn = random.split(key)
        with part("spectral_norm", inner):
            params, state = inner.init(own, x)
        (w,) = entries(params, (weight,), "spectral_norm", "params")
        first = _unit(random.normal(drawn, (w.size // w.shape[-1],), w.dtype), epsilon)
        u, v = improve(w, first, 15)
        return params, {"layer": state, "u": u, "v": v}

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        (w,) = entries(params, (weight,), "spectral_norm", "params")
        old, u, v = entries(state, ("layer", "u", "v"), "spectral_norm", "state")
        if train:
            u, v = improve(w, v, steps)
        largest = u @ (matrix(w) @ v)
        with part("spectral_norm", inner):
            y, new = inner.apply({**params, weight: w / largest}, old, x, train=train)
        return y, {"layer": new, "u": u, "v": v}

    return Network(init, apply, "spectral_norm")


def _unit(vector: Any, epsilon: float) -> Any:
    return vector / fnp.maximum(fnp.sqrt(fnp.sum(fnp.square(vector))), epsilon)


def _wide(x: Any) -> Any:
    """X in a dtype wide enough for sums: at least float32."""
    return fnp.asarray(x).astype(fnp.promote_types(param_dtype(x), fnp.float32))


def _standard(x: Any, axes: tuple[int, ...], epsilon: float, centred: bool) -> Any:
    if centred:
        x = x - fnp.mean(x, axis=axes, keepdims=True)
    return x * lax.rsqrt(fnp.mean(fnp.square(x), axis=axes, keepdims=True) + epsilon)


def _names(scale: bool, shift: bool) -> list[str]:
    return [name for name, wanted in (("scale", scale), ("shift", shift)) if wanted]


def _affine_params(names: Sequence[str], shape: tuple[int, ...], dtype: Any) -> dict[str, Any]:
    make = {"scale": initializers.ones, "shift": initializers.zeros}
    return {name: make[name](None, shape, dtype) for name in names}


def _affine(y: Any, params: Any, names: Sequence[str], axes: tuple[int, ...], layer: str) -> Any:
    own = dict(zip(names, entries(params or {}, names, layer, "params"), strict=True))
    if "scale" in own:
        y = y * along(own["scale"], y, axes, layer)
    return y + along(own["shift"], y, axes, layer) if "shift" in own else y


def _fraction(layer: str, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{layer} needs a {name} from 0 to 1, got {value}.\n  {user_line()}")
