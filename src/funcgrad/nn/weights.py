"""The forms a weight takes: an array, or what compression made of it.

An array `f32[..., inputs, features]`; a product `{"left": ..., "right": f32[rank, features]}`; or
integers `{"int8": i8[..., features], "scale": f32[features]}` with an optional `"input_scale"`. The
layers that multiply by a weight take each of them, so that a compressed network is the same network
with other params.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line

Operation = Callable[[Any, Any, Any], Any]


def form_of(weight: Any) -> dict[str, Any] | None:
    """The parts of a compressed weight; None for an array."""
    return cast("dict[str, Any]", weight) if isinstance(weight, dict) else None


def weight_shape(weight: Any) -> tuple[int, ...]:
    """The shape of the array that the weight stands for."""
    form = form_of(weight)
    if form is None:
        return weight.shape
    if "int8" in form:
        return form["int8"].shape
    return (*form["left"].shape[:-1], form["right"].shape[-1])


def plain(weight: Any, layer: str) -> Any:
    """The weight itself.

    Raises:
        ValueError: it is compressed.
    """
    form = form_of(weight)
    if form is None:
        return weight
    raise ValueError(
        f"{layer} takes a weight that is an array, got one with the parts {sorted(form)}.\n"
        f"  {user_line()}\n  Give the params from before compression, or decompress them."
    )


def multiply(operation: Operation, x: Any, weight: Any) -> Any:
    """operation(x, weight, dtype), linear in both, for a weight of any form.

    Args:
        operation: its third argument is the dtype of sums, None for that of the operands.
    """
    form = form_of(weight)
    if form is None:
        return operation(x, weight, None)
    if "int8" not in form:
        return operation(x, form["left"], None) @ form["right"]
    step = form.get("input_scale")
    if step is None:
        # Each example has a scale of its own, so that no result depends on its neighbours.
        axes = tuple(range(1, x.ndim))
        step = fnp.maximum(fnp.max(fnp.abs(x), axis=axes, keepdims=True) / 127, 1e-30)
    sums = operation(to_int8(x, step), form["int8"], np.int32)
    return sums.astype(x.dtype) * (step * form["scale"])


def to_int8(x: Any, step: Any) -> Any:
    """x / step rounded to integers from −127 to 127."""
    return fnp.clip(fnp.round(x / step), -127, 127).astype(np.int8)
