"""Layers: pairs of pure functions, combined by `serial`.

Arrays are batch-first and channels-last: `f32[n, features]`, `f32[n, height, width, channels]`.
`init` gets the shape without the batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import lax, random
from .. import numpy as fnp
from ..api.tracing import eval_shape
from ..core.shapes import ShapeDtypeStruct
from . import initializers

Shape = tuple[int, ...]
Padding = str | Sequence[tuple[int, int]]


class Layer(NamedTuple):
    """A layer.

    Attributes:
        init: `(key, shape) -> params`, for inputs of this shape (without the batch axis).
        apply: `(params, x) -> y`, for a batch x.
    """

    init: Callable[[Any, Shape], Any]
    apply: Callable[[Any, Any], Any]


def dense(
    features: int,
    *,
    weight_init: initializers.Initializer | None = None,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """x · weight + bias, over the last axis.

    params: `{"weight": f32[inputs, features], "bias": f32[features]}`.
    """
    make = weight_init or initializers.glorot_uniform()

    def init(key: Any, shape: Shape) -> dict[str, Any]:
        weight_key, bias_key = random.split(key)
        return {
            "weight": make(weight_key, (shape[-1], features)),
            "bias": bias_init(bias_key, (features,)),
        }

    def apply(params: dict[str, Any], x: Any) -> Any:
        return x @ params["weight"] + params["bias"]

    return Layer(init, apply)


def conv(
    features: int,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "SAME",
    *,
    weight_init: initializers.Initializer | None = None,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Convolution (correlation, as in the field) over the axes between batch and channels.

    params: `{"weight": f32[*window, channels, features], "bias": f32[features]}`.
    """
    make = weight_init or initializers.he_normal()
    window = tuple(window)
    steps = tuple(strides) if strides is not None else (1,) * len(window)
    axes = "DHW"[3 - len(window) :]
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")

    def init(key: Any, shape: Shape) -> dict[str, Any]:
        if len(shape) != len(window) + 1:
            raise ValueError(
                f"conv with a window of {len(window)} axes takes inputs of {len(window) + 1} axes "
                f"(and the batch axis), got shape {shape}."
            )
        weight_key, bias_key = random.split(key)
        return {
            "weight": make(weight_key, (*window, shape[-1], features)),
            "bias": bias_init(bias_key, (features,)),
        }

    def apply(params: dict[str, Any], x: Any) -> Any:
        y = lax.conv_general_dilated(x, params["weight"], steps, padding, dimension_numbers=numbers)
        return y + params["bias"]

    return Layer(init, apply)


def _pool_sizes(
    window: Sequence[int], strides: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    size = (1, *window, 1)
    return size, (1, *(strides if strides is not None else window), 1)


def max_pool(
    window: Sequence[int], strides: Sequence[int] | None = None, padding: str = "VALID"
) -> Layer:
    """Largest value of each window; strides default to the window. No params."""
    size, steps = _pool_sizes(window, strides)

    def apply(params: Any, x: Any) -> Any:
        return lax.reduce_window(x, -fnp.inf, lax.max, size, steps, padding)

    return Layer(_no_params, apply)


def avg_pool(
    window: Sequence[int], strides: Sequence[int] | None = None, padding: str = "VALID"
) -> Layer:
    """Mean of each window, over the elements inside the image. No params."""
    size, steps = _pool_sizes(window, strides)

    def apply(params: Any, x: Any) -> Any:
        total = lax.reduce_window(x, 0.0, lax.add, size, steps, padding)
        count = lax.reduce_window(fnp.ones_like(x), 0.0, lax.add, size, steps, padding)
        return total / count

    return Layer(_no_params, apply)


def flatten() -> Layer:
    """All axes but the batch axis made one. No params."""

    def apply(params: Any, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)

    return Layer(_no_params, apply)


def activation(function: Callable[[Any], Any]) -> Layer:
    """A function of the input alone, such as `nn.relu`. No params."""

    def apply(params: Any, x: Any) -> Any:
        return function(x)

    return Layer(_no_params, apply)


def _no_params(key: Any, shape: Shape) -> tuple[()]:
    return ()


def serial(*layers: Layer | Callable[[Any], Any]) -> Layer:
    """Layers one after another; plain functions count as activations.

    params: a list with the params of each layer.
    """
    whole = [layer if isinstance(layer, Layer) else activation(layer) for layer in layers]

    def init(key: Any, shape: Shape) -> list[Any]:
        params: list[Any] = []
        for layer_key, layer in zip(random.split(key, max(1, len(whole))), whole, strict=False):
            own = layer.init(layer_key, shape)
            params.append(own)
            batch = ShapeDtypeStruct((1, *shape), fnp.float32)
            shape = eval_shape(layer.apply, own, batch).shape[1:]
        return params

    def apply(params: Sequence[Any], x: Any) -> Any:
        if len(params) != len(whole):
            raise ValueError(
                f"serial of {len(whole)} layers got params for {len(params)}. Give the params that "
                "its init returned."
            )
        for own, layer in zip(params, whole, strict=True):
            x = layer.apply(own, x)
        return x

    return Layer(init, apply)
