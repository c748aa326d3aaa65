"""Layers that multiply by a matrix of weights."""

from __future__ import annotations

from typing import Any

from .. import random
from ..core.sources import user_line
from . import initializers
from .layer import Layer, check_axes, entries, param_dtype, short, stateless


def dense(
    features: int,
    *,
    bias: bool = True,
    weight_init: initializers.Initializer | None = None,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """x · weight + bias, over the last axis.

    params: `{"weight": f32[inputs, features], "bias": f32[features]}`, without `"bias"` if there
    is none.
    """
    make = weight_init or initializers.glorot_uniform()
    names = ("weight", "bias") if bias else ("weight",)

    def init(key: Any, x: Any) -> dict[str, Any]:
        check_axes(x, 1, "dense", "features on the last axis")
        keys = random.split(key)
        shapes = ((x.shape[-1], features), (features,))
        makers = (make, bias_init)
        dtype = param_dtype(x)
        every = zip(names, keys, makers, shapes, strict=False)
        return {name: maker(own, shape, dtype) for name, own, maker, shape in every}

    def apply(params: Any, x: Any) -> Any:
        weight, *rest = entries(params, names, "dense", "params")
        if not x.shape or x.shape[-1] != weight.shape[0]:
            raise ValueError(
                f"dense with a weight of {short(weight)} got {short(x)}: the last axis of the "
                f"input is not {weight.shape[0]}.\n  {user_line()}\n"
                "  Give init an input of the size that apply gets."
            )
        y = x @ weight
        return y + rest[0] if rest else y

    return stateless(init, apply, "dense")
