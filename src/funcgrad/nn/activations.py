"""Activations: elementwise functions, and softmax over an axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import lax
from .. import numpy as fnp

if TYPE_CHECKING:
    from jaxtyping import Integer, Num


def relu(x: Num[Any, "*shape"] | float) -> Num[Any, "*shape"]:
    """max(x, 0), with derivative 0 at 0."""
    x = fnp.asarray(x)
    return fnp.where(x > 0, x, fnp.zeros_like(x))


def leaky_relu(x: Num[Any, "*shape"] | float, negative_slope: float = 0.01) -> Num[Any, "*shape"]:
    """x where x ≥ 0, negative_slope · x elsewhere."""
    x = fnp.asarray(x)
    return fnp.where(x >= 0, x, negative_slope * x)


def elu(x: Num[Any, "*shape"] | float, alpha: float = 1.0) -> Num[Any, "*shape"]:
    """x where x > 0, alpha · (eˣ − 1) elsewhere."""
    x = fnp.asarray(x)
    # The exponential sees no positive values, so that its derivative cannot overflow.
    return fnp.where(x > 0, x, alpha * fnp.expm1(fnp.where(x > 0, fnp.zeros_like(x), x)))


def sigmoid(x: Num[Any, "*shape"] | float) -> Num[Any, "*shape"]:
    """1 / (1 + e⁻ˣ)."""
    return lax.logistic(_inexact(x))


def silu(x: Num[Any, "*shape"] | float) -> Num[Any, "*shape"]:
    """x · sigmoid(x)."""
    return _inexact(x) * sigmoid(x)


swish = silu


def tanh(x: Num[Any, "*shape"] | float) -> Num[Any, "*shape"]:
    """Hyperbolic tangent."""
    return fnp.tanh(x)


def softplus(x: Num[Any, "*shape"] | float) -> Num[Any, "*shape"]:
    """log(1 + eˣ)."""
    return fnp.logaddexp(x, 0)


def log_sigmoid(x: Num[Any, "*shape"] | float) -> Num[Any, "*shape"]:
    """log(sigmoid(x))."""
    return -softplus(-_inexact(x))


def gelu(x: Num[Any, "*shape"] | float, approximate: bool = True) -> Num[Any, "*shape"]:
    """x · Φ(x), Φ the normal distribution function; by tanh when approximate.

    Source: Hendrycks & Gimpel, arXiv:1606.08415.
    """
    x = _inexact(x)
    if approximate:
        return 0.5 * x * (1 + fnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * lax.erfc(-x * math.sqrt(0.5))


def softmax(
    x: Num[Any, "*shape"] | float, axis: int | tuple[int, ...] | None = -1
) -> Num[Any, "*shape"]:
    """e^xᵢ / Σⱼ e^xⱼ over the axis, computed from x − max(x)."""
    shifted = _shifted(x, axis)
    weights = fnp.exp(shifted)
    return weights / fnp.sum(weights, axis=axis, keepdims=True)


def log_softmax(
    x: Num[Any, "*shape"] | float, axis: int | tuple[int, ...] | None = -1
) -> Num[Any, "*shape"]:
    """log(softmax(x)), without the loss of precision of writing it so."""
    shifted = _shifted(x, axis)
    return shifted - fnp.log(fnp.sum(fnp.exp(shifted), axis=axis, keepdims=True))


def _shifted(x: Num[Any, "*shape"] | float, axis: Any) -> Num[Any, "*shape"]:
    x = _inexact(x)
    return x - lax.stop_gradient(fnp.max(x, axis=axis, keepdims=True))


def _inexact(x: Any) -> Any:
    from ..ir import dtypes

    x = fnp.asarray(x)
    return x.astype(dtypes.to_inexact_dtype(x.dtype))


def one_hot(
    x: Integer[Any, "..."] | int, num_classes: int, *, dtype: Any = None, axis: int = -1
) -> Num[Any, "..."]:
    """1 at index x along a new axis of `num_classes`, 0 elsewhere; all 0 for x out of range.

    Args:
        x: integers.
        dtype: of the result; the default float.
    """
    ids: Any = fnp.asarray(x)
    dtype = dtype if dtype is not None else fnp.result_type(float)
    out = fnp.equal(ids[..., None], fnp.arange(num_classes, dtype=ids.dtype)).astype(dtype)
    return fnp.moveaxis(out, -1, axis)
