"""Attention as a function of queries, keys and values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import lax, random
from .. import numpy as fnp
from ..control.fused import fused
from ..core.sources import user_line
from ..ir import dtypes
from .attention_fused import Attention
from .attention_scores import Pattern
from .attention_tiles import TILE, divided
from .regularization import checked_rate

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num, Shaped


def dot_product_attention(
    query: Float[Any, "..."],
    key: Float[Any, "..."],
    value: Float[Any, "..."],
    bias: Num[Any, "..."] | None = None,
    mask: Shaped[Any, "..."] | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Integer[Any, "..."] | None = None,
    key_value_seq_lengths: Integer[Any, "..."] | None = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
    dropout_rate: float = 0.0,
    dropout_key: Any = None,
) -> Any:
    """softmax(scale · query keyᵀ + bias) value, for each head.

    Long sequences go tile by tile: the scores of all pairs are never in memory, neither for the
    value nor for derivatives. Scores are in float32, or float64 for such operands.

    Args:
        query: f32[B, T, N, H] or f32[T, N, H].
        key: f32[B, S, K, H]; N is a multiple of K, and query head n has key head n // (N / K).
        value: f32[B, S, K, V].
        bias: added to the scores, broadcasts to [B, N, T, S].
        mask: bool, broadcasts to [B, N, T, S]: True for pairs that count. A query none of whose
            pairs counts gets the mean of all values.
        scale: 1 / √H by default.
        is_causal: query t sees keys up to t.
        query_seq_lengths: i32[B]; queries from there on give 0.
        key_value_seq_lengths: i32[B]; keys from there on do not count.
        local_window_size: how far a query sees to the left and to the right; one number for both.
        implementation: None, or "xla" as JAX calls the one that is not for a GPU.
        return_residual: give log Σ exp(scores) too, f32[B, T, N], without derivative.
        dropout_rate: each weight is 0 with this probability, else divided by 1 − dropout_rate.
        dropout_key: the random key for it; without one nothing is dropped.
    Returns:
        f32[B, T, N, V].
    Raises:
        ValueError: the shapes or dtypes do not fit; N is no multiple of K; negative window.
    Source: Vaswani et al., arXiv:1706.03762; Ainslie et al., arXiv:2305.13245 (groups).
    """
    batched, arrays = _four_axes(query=query, key=key, value=value, bias=bias, mask=mask)
    _check(arrays, implementation)
    query, key = arrays["query"], arrays["key"]
    batch, *_, width = query.shape
    operands = _grouped(arrays)
    lengths = {"query_lengths": query_seq_lengths, "key_lengths": key_value_seq_lengths}
    operands |= {n: _lengths(n, x, batch) for n, x in lengths.items() if x is not None}
    given = 1 / math.sqrt(width) if scale is None else float(scale)
    rate, words = _dropping(dropout_rate, dropout_key)
    pattern = Pattern(given, bool(is_causal), _window(local_window_size), rate)
    out, residual = _attend(pattern, operands | words)
    out = _without_padding(_joined(out).astype(query.dtype), operands.get("query_lengths"))
    residual = _joined(fnp.transpose(residual[..., None], (0, 3, 1, 2, 4)))[..., 0]
    residual = lax.stop_gradient(residual.astype(key.dtype))
    found = (out, residual) if batched else (out[0], residual[0])
    return found if return_residual else found[0]


def _dropping(rate: float, key: Any) -> tuple[float, dict[str, Any]]:
    """The share that is dropped, and the operand that it needs."""
    if key is None or not checked_rate("dot_product_attention", rate):
        return 0.0, {}
    return float(rate), {"dropout": random.key_data(key)}


def _without_padding(out: Any, lengths: Any) -> Any:
    """f32[B, T, N, V] with zeros for queries from their lengths on."""
    if lengths is None:
        return out
    there = fnp.arange(out.shape[1])[:, None, None] < lengths[:, None, None, None]
    return fnp.where(there, out, fnp.zeros_like(out))


def _joined(x: Any) -> Any:
    """[batch, T, heads, group, n] as [batch, T, heads · group, n]."""
    return x.reshape(*x.shape[:2], x.shape[2] * x.shape[3], x.shape[4])


def _attend(pattern: Pattern, operands: dict[str, Any]) -> tuple[Any, Any]:
    batch, rows, heads, group, _ = operands["query"].shape
    few = batch * heads * group * rows * operands["key"].shape[1] <= TILE
    blocks = None if few else divided(operands)
    out, top, total = fused(Attention(pattern, tuple(operands), blocks), *operands.values())
    return out, top + fnp.log(total)


def _four_axes(**given: Any) -> tuple[bool, dict[str, Any]]:
    arrays = {name: fnp.asarray(x) for name, x in given.items() if x is not None}
    for name, x in arrays.items():
        least = 3 if name in ("query", "key", "value") else 0
        if not least <= x.ndim <= 4:
            raise ValueError(
                f"dot_product_attention got {name} of shape {x.shape}.\n  {user_line()}\n"
                "  Give query, key and value as [batch, length, heads, features] or without the "
                "batch, bias and mask as [batch, heads, queries, keys]."
            )
    batched = arrays["query"].ndim == 4
    return batched, {name: x.reshape((1,) * (4 - x.ndim) + x.shape) for name, x in arrays.items()}


def _check(arrays: dict[str, Any], implementation: str | None) -> None:
    query, key, value = (arrays[name] for name in ("query", "key", "value"))
    shapes = f"query {query.shape}, key {key.shape} and value {value.shape}"
    where = f"\n  {user_line()}\n  "
    if implementation not in (None, "xla"):
        raise ValueError(
            f"dot_product_attention got implementation={implementation!r}.{where}"
            "There is one here: leave it out."
        )
    if (query.shape[0], query.shape[3]) != (key.shape[0], key.shape[3]):
        raise ValueError(
            f"dot_product_attention got {shapes}.{where}"
            "Give query and key one batch size and one number of features."
        )
    if key.shape[:3] != value.shape[:3]:
        raise ValueError(
            f"dot_product_attention got {shapes}.{where}"
            "Give each key a value: the same batch, length and heads."
        )
    if query.shape[2] % key.shape[2]:
        raise ValueError(
            f"dot_product_attention got {query.shape[2]} query heads for {key.shape[2]} key heads."
            f"{where}Give a number of query heads that is a multiple of the key heads."
        )
    if not query.dtype == key.dtype == value.dtype:
        raise ValueError(
            f"dot_product_attention got query, key and value of dtypes {query.dtype.name}, "
            f"{key.dtype.name} and {value.dtype.name}.{where}Give them one dtype: x.astype(...)."
        )
    full = (query.shape[0], query.shape[2], query.shape[1], key.shape[1])
    for name in ("bias", "mask"):
        if name in arrays and any(
            n not in (1, whole) for n, whole in zip(arrays[name].shape, full, strict=True)
        ):
            raise ValueError(
                f"dot_product_attention got {name} of shape {arrays[name].shape}.{where}"
                f"Give a shape that broadcasts to [batch, heads, queries, keys], {full}."
            )
    if "mask" in arrays and arrays["mask"].dtype != np.bool_:
        raise ValueError(
            f"dot_product_attention got a mask of dtype {arrays['mask'].dtype.name}.{where}"
            "Give booleans, True for pairs that count; what is to be added is the bias."
        )


def _grouped(arrays: dict[str, Any]) -> dict[str, Any]:
    """Operands in the form of `attention_fused`."""
    batch, rows, heads, width = arrays["query"].shape
    shared = arrays["key"].shape[2]
    group = heads // shared
    operands = {"query": arrays["query"].reshape(batch, rows, shared, group, width)}
    names = ("key", "value", "bias", "mask")
    return operands | {name: arrays[name] for name in names if name in arrays}


def _lengths(name: str, lengths: Any, batch: int) -> Any:
    lengths = fnp.asarray(lengths)
    if lengths.shape != (batch,) or not dtypes.issubdtype(lengths.dtype, np.integer):
        raise ValueError(
            f"dot_product_attention got {name} of shape {lengths.shape} and dtype "
            f"{lengths.dtype.name}.\n  {user_line()}\n  Give integers of shape ({batch},)."
        )
    return lengths


def _window(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    left, right = (size, size) if isinstance(size, int) else size
    if left < 0 or right < 0:
        raise ValueError(
            f"dot_product_attention got local_window_size={size}.\n  {user_line()}\n"
            "  Give how many positions a query sees to the left and to the right, from 0."
        )
    return int(left), int(right)
