"""Layers that multiply by a matrix of weights: dense, bilinear, embedding."""

from __future__ import annotations

from typing import Any, cast

from .. import lax, random
from .. import numpy as fnp
from ..core.sources import user_line
from ..ir import dtypes
from . import initializers
from .layer import Layer, check_axes, entries, param_dtype, short, stateless
from .weights import multiply, plain, weight_shape

BiasInit = initializers.Initializer | initializers.FromFanIn


def positive(layer: str, **numbers: int) -> None:
    """Raise ValueError when one of the numbers is below 1."""
    for name, n in numbers.items():
        if n < 1:
            raise ValueError(f"{layer} needs {name} of at least 1, got {n}.\n  {user_line()}")


def make_params(
    key: Any,
    shape: tuple[int, ...],
    dtype: Any,
    weight_init: initializers.Initializer,
    bias_init: BiasInit | None,
    features: int | None = None,
) -> dict[str, Any]:
    """A weight `[*window, inputs, outputs]`, and a bias if it has an initializer.

    Args:
        features: extent of the bias, by default the outputs.
    """
    weight_key, bias_key = random.split(key)
    params = {"weight": weight_init(weight_key, shape, dtype)}
    if bias_init is not None:
        fan_in, _ = initializers.fans(shape)
        params["bias"] = initializers.draw_bias(
            bias_init, bias_key, (features or shape[-1],), dtype, fan_in
        )
    return params


def weight_and_bias(params: Any, has_bias: bool, layer: str) -> tuple[Any, Any]:
    """The weight and the bias, None without one.

    A layer without bias takes one all the same: folding a norm into it makes one.
    """
    entries(params, ("weight", "bias") if has_bias else ("weight",), layer, "params")
    return params["weight"], params.get("bias")


def dense(
    features: int,
    *,
    bias: bool = True,
    weight_init: initializers.Initializer | None = None,
    bias_init: BiasInit = initializers.zeros,
) -> Layer:
    """x · weight + bias, over the last axis.

    params: `{"weight": f32[inputs, features], "bias": f32[features]}`; without `"bias"` if there
    is none.

    Args:
        weight_init: Glorot's uniform one by default.
        bias_init: zeros by default; `initializers.torch_bias()` is PyTorch's default.
    Raises:
        ValueError: no features; in apply, when the last axis is not that which init got.
    """
    positive("dense", features=features)
    make = weight_init or initializers.glorot_uniform()

    def init(key: Any, x: Any) -> dict[str, Any]:
        check_axes(x, 1, "dense", "features on the last axis")
        shape = (x.shape[-1], features)
        return make_params(key, shape, param_dtype(x), make, bias_init if bias else None)

    def apply(params: Any, x: Any) -> Any:
        weight, offset = weight_and_bias(params, bias, "dense")
        shape = weight_shape(weight)
        if not x.shape or x.shape[-1] != shape[-2]:
            raise ValueError(
                f"dense with a weight of shape {shape} got {short(x)}: the last axis of the input "
                f"is not {shape[-2]}.\n  {user_line()}\n"
                "  Give init an input of the size that apply gets."
            )
        y = multiply(_matmul, x, weight)
        return y if offset is None else y + offset

    return stateless(init, apply, "dense")


def _matmul(x: Any, weight: Any, dtype: Any) -> Any:
    return fnp.matmul(x, weight, preferred_element_type=dtype)


def bilinear(
    features: int,
    *,
    bias: bool = True,
    weight_init: initializers.Initializer | None = None,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """x₁ᵀ W_k x₂ + b_k for the k-th feature, of a pair of inputs.

    params: `{"weight": f32[inputs1, inputs2, features], "bias": f32[features]}`.

    Raises:
        ValueError: no features; in apply, when the last axes are not those that init got.
    """
    positive("bilinear", features=features)
    make = weight_init or initializers.lecun_uniform(in_axis=(0, 1))

    def init(key: Any, x: Any) -> dict[str, Any]:
        first, second = _pair(x)
        weight_key, bias_key = random.split(key)
        dtype = param_dtype(first)
        params = {"weight": make(weight_key, (first.shape[-1], second.shape[-1], features), dtype)}
        if bias:
            params["bias"] = bias_init(bias_key, (features,), dtype)
        return params

    def apply(params: Any, x: Any) -> Any:
        first, second = _pair(x)
        weight, offset = weight_and_bias(params, bias, "bilinear")
        weight = plain(weight, "bilinear")
        if (first.shape[-1], second.shape[-1]) != weight.shape[:2]:
            raise ValueError(
                f"bilinear with a weight of {short(weight)} got {short(first)} and {short(second)}."
                f"\n  {user_line()}\n  Their last axes are the first two of the weight."
            )
        y = fnp.einsum("...i,ijk,...j->...k", first, weight, second)
        return y if offset is None else y + offset

    return stateless(init, apply, "bilinear")


def _pair(x: Any) -> tuple[Any, Any]:
    pair = cast("tuple[Any, ...]", x) if isinstance(x, tuple | list) else ()
    if len(pair) != 2:
        raise ValueError(
            f"bilinear takes a pair of arrays, got {short(x)}.\n  {user_line()}\n"
            "  Give a tuple (x1, x2)."
        )
    return pair[0], pair[1]


def embedding(
    count: int,
    features: int,
    *,
    padding: int | None = None,
    dtype: Any = None,
    weight_init: initializers.Initializer | None = None,
) -> Layer:
    """The rows of a table by their numbers; NaN for a number outside of 0 … count − 1.

    params: `{"weight": f32[count, features]}`.

    Args:
        padding: a number whose row is zeros and is not trained.
        dtype: of the table; the default float.
        weight_init: standard normal by default.
    Raises:
        TypeError: the input is not of integers.
    """
    positive("embedding", count=count, features=features)
    make = weight_init or initializers.normal(1.0)

    def check(x: Any) -> None:
        if not dtypes.issubdtype(x.dtype, fnp.integer):
            raise TypeError(
                f"embedding takes integers, the numbers of rows, got {short(x)}.\n  {user_line()}"
            )

    def init(key: Any, x: Any) -> dict[str, Any]:
        check(x)
        return {"weight": make(key, (count, features), dtype or fnp.result_type(float))}

    def apply(params: Any, x: Any) -> Any:
        (table,) = entries(params, ("weight",), "embedding", "params")
        table = plain(table, "embedding")
        check(x)
        x = fnp.asarray(x)
        inside = (x >= 0) & (x < table.shape[0])
        rows = table[fnp.where(inside, x, 0)]
        rows = fnp.where(inside[..., None], rows, fnp.nan)
        if padding is None:
            return rows
        return fnp.where((x == padding)[..., None], lax.stop_gradient(fnp.zeros_like(rows)), rows)

    return stateless(init, apply, "embedding")
