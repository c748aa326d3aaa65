"""Convolutions over any number of axes between batch and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import lax, random
from ..core.sources import user_line
from . import initializers
from .layer import Layer, entries, param_dtype, short, stateless

Padding = str | Sequence[tuple[int, int]]


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

    def check(x: Any) -> None:
        if len(x.shape) != len(window) + 2:
            raise ValueError(
                f"conv with a window of {len(window)} axes takes inputs of {len(window) + 2} axes "
                f"[batch, *space, channels], got {short(x)}.\n  {user_line()}"
            )

    def init(key: Any, x: Any) -> dict[str, Any]:
        check(x)
        weight_key, bias_key = random.split(key)
        dtype = param_dtype(x)
        return {
            "weight": make(weight_key, (*window, x.shape[-1], features), dtype),
            "bias": bias_init(bias_key, (features,), dtype),
        }

    def apply(params: Any, x: Any) -> Any:
        weight, bias = entries(params, ("weight", "bias"), "conv", "params")
        check(x)
        y = lax.conv_general_dilated(x, weight, steps, padding, dimension_numbers=numbers)
        return y + bias

    return stateless(init, apply, "conv")
