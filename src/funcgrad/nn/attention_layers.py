"""Multi-head attention as a layer: projections, rotations, and a cache of keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from .. import lax, random
from .. import numpy as fnp
from ..core.sources import user_line
from ..core.trace import Tracer
from . import initializers
from .attention import dot_product_attention
from .layer import Layer, Network, entries, output_spec, param_dtype, part, short, spec
from .linear import dense
from .positions import rotary as rotated
from .regularization import checked_rate


class _Form(NamedTuple):
    """What is static in a layer of attention; see `multi_head_attention`."""

    heads: int
    key_heads: int
    causal: bool
    rotary: float | None
    window: Any
    cache: int | None
    head_features: int | None
    bias: bool
    dropout: float
    weight_init: initializers.Initializer | None

    def linear(self, features: int) -> Layer:
        return dense(features, bias=self.bias, weight_init=self.weight_init)


def padding_mask(lengths: Any, time: int) -> Any:
    """Which keys are no padding: bool[batch, 1, 1, time], True before each length.

    Args:
        lengths: i32[batch]; above `time` it counts as `time`, below 0 as 0.
    """
    return (fnp.arange(time) < fnp.asarray(lengths)[:, None])[:, None, None]


def multi_head_attention(
    heads: int,
    *,
    key_heads: int | None = None,
    head_features: int | None = None,
    causal: bool = False,
    rotary: float | None = None,
    window: int | tuple[int, int] | None = None,
    cache: int | None = None,
    bias: bool = True,
    attention_dropout: float = 0.0,
    weight_init: initializers.Initializer | None = None,
) -> Layer:
    """Several attentions side by side, between linear maps.

    x: f32[batch, T, n], attention to itself; `(x, memory)` with f32[batch, S, m], attention to the
    memory; `(x, memory, mask)` with bool that broadcasts to [batch, heads, T, S], True for pairs
    that count, and None as memory for attention to itself. y: f32[batch, T, n].

    params: `{"query": ..., "key": ..., "value": ..., "out": ...}`, each those of a `dense`.
    state: `()`; with `cache` `{"key": f32[batch, cache, key heads, head_features], "value": the
    same, "length": i32[]}`. The vectors of x come after those of the calls before and see them; the
    mask then is one for [batch, heads, T, cache]. A call that does not fit in the cache is an
    error, under jit NaN. With `attention_dropout` an entry "dropout", a random key that is split
    at each training call.

    Args:
        key_heads: how many heads keys and values have; divides `heads`. By default as many.
        head_features: by default n / heads.
        causal: vectors see no later ones; with a cache always.
        rotary: base of `rotary` positions for queries and keys, such as 10000.0.
        window: how far a vector sees to the left and to the right.
        cache: how many vectors a sequence has at most, for decoding part by part.
        bias: whether the linear maps have one.
        attention_dropout: share of the weights of the softmax that are dropped in training.
    Raises:
        ValueError: heads that do not divide; shapes that do not fit; a cache or rotations with a
            memory.
    Source: Vaswani et al., arXiv:1706.03762, section 3.2.2; Ainslie et al., arXiv:2305.13245.
    """
    shared = heads if key_heads is None else key_heads
    if heads < 1 or shared < 1 or heads % shared:
        raise ValueError(
            f"multi_head_attention got {heads} heads and {shared} key heads.\n  {user_line()}\n"
            "  Give a number of heads that is a multiple of the key heads."
        )
    later = causal or cache is not None
    rate = checked_rate("multi_head_attention", attention_dropout)
    form = _Form(
        heads, shared, later, rotary, window, cache, head_features, bias, rate, weight_init
    )
    return _layer(form)


def _layer(form: _Form) -> Layer:
    name = "multi_head_attention"
    counts = {"query": form.heads, "key": form.key_heads, "value": form.key_heads}

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        x, memory, _ = _inputs(form, spec(x))
        width = form.head_features or _divided(x, form.heads)
        params: dict[str, Any] = {}
        *keys, last, drawing = random.split(key, 5)
        for own, (step, count) in zip(keys, counts.items(), strict=True):
            layer = form.linear(count * width)
            with part(f"{name}.{step}", layer):
                params[step], _ = layer.init(own, x if step == "query" else memory)
        inner = output_spec(form.linear(1), params["query"], (), x)
        params["out"], _ = form.linear(x.shape[2]).init(last, inner)
        return params, _empty(form, x, width, drawing)

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        x, memory, mask = _inputs(form, x)
        maps = dict(zip(_steps, entries(params, _steps, name, "params"), strict=True))
        # The number of features is that of the params.
        linear = form.linear(1)
        found: dict[str, Any] = {}
        for step, count in counts.items():
            with part(f"{name}.{step}", linear):
                y, _ = linear.apply(maps[step], (), x if step == "query" else memory)
            found[step] = y.reshape(*y.shape[:2], count, y.shape[2] // count)
        drawing, state = _drawing(form, state, train)
        y, state = _attend(form, found, state, mask, drawing)
        with part(f"{name}.out", linear):
            y, _ = linear.apply(maps["out"], (), y.reshape(*y.shape[:2], -1))
        return y, state

    return Network(init, apply, name)


_steps: Sequence[str] = ("query", "key", "value", "out")
_cached: Sequence[str] = ("key", "value", "length")


def _inputs(form: _Form, x: Any) -> tuple[Any, Any, Any]:
    """x, what it attends to, and the mask."""
    given = cast("tuple[Any, ...]", x) if isinstance(x, tuple) else (x,)
    x, memory, mask = (*given, None, None)[:3]
    for array in (x, memory):
        if len(given) > 3 or (array is not None and len(array.shape) != 3):
            raise ValueError(
                f"multi_head_attention takes x or (x, memory, mask) with x [batch, time, "
                f"features], got {short(given)}.\n  {user_line()}\n"
                "  Add the axes that are missing: x[None] for one sequence."
            )
    if memory is not None and (form.cache is not None or form.rotary is not None):
        raise ValueError(
            f"multi_head_attention with a cache or rotary positions got a memory {short(memory)}."
            f"\n  {user_line()}\n  Give None as memory: these are for attention to itself."
        )
    return x, x if memory is None else memory, mask


def _divided(x: Any, heads: int) -> int:
    if x.shape[2] % heads:
        raise ValueError(
            f"multi_head_attention of {heads} heads got {short(x)}: {heads} does not divide "
            f"{x.shape[2]}.\n  {user_line()}\n  Give another number of heads, or head_features."
        )
    return x.shape[2] // heads


def _empty(form: _Form, x: Any, width: int, drawing: Any) -> Any:
    state: dict[str, Any] = {"dropout": drawing} if form.dropout else {}
    if form.cache is not None:
        zeros = fnp.zeros((x.shape[0], form.cache, form.key_heads, width), param_dtype(x))
        state |= {"key": zeros, "value": zeros, "length": fnp.zeros((), fnp.int32)}
    return state or ()


def _drawing(form: _Form, state: Any, train: bool) -> tuple[Any, Any]:
    """The random key of this call, None where nothing is dropped, and the state after it."""
    if not (train and form.dropout):
        return None, state
    (key,) = entries(state, ("dropout",), "multi_head_attention", "state")
    key, own = random.split(key)
    return own, {**state, "dropout": key}


def _attend(
    form: _Form, found: dict[str, Any], state: Any, mask: Any, drawing: Any
) -> tuple[Any, Any]:
    query, key, value = (found[step] for step in ("query", "key", "value"))
    cached: list[Any] = []
    before: Any = 0
    if form.cache is not None:
        *cached, before = entries(state, _cached, "multi_head_attention", "state")
        _check_room(query, cached[0], before)
    positions = before + fnp.arange(query.shape[1], dtype=fnp.int32)
    if form.rotary is not None:
        query, key = (rotated(a, positions, base=form.rotary) for a in (query, key))
    options: dict[str, Any] = {"dropout_rate": form.dropout, "dropout_key": drawing}
    if form.cache is None:
        options |= {"is_causal": form.causal, "local_window_size": form.window}
        return dot_product_attention(query, key, value, mask=mask, **options), state
    keys, values = (
        lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), before, 1)
        for old, new in zip(cached, (key, value), strict=True)
    )
    seen = _seen(form, positions, keys.shape[1], mask)
    y = dot_product_attention(query.astype(keys.dtype), keys, values, mask=seen, **options)
    fits = before + query.shape[1] <= keys.shape[1]
    y = fnp.where(fits, y, fnp.nan).astype(query.dtype)
    return y, {**state, "key": keys, "value": values, "length": before + query.shape[1]}


def _seen(form: _Form, positions: Any, size: int, mask: Any) -> Any:
    """Which places of the cache count: bool that broadcasts to [batch, heads, T, cache]."""
    rows, columns = positions[:, None], fnp.arange(size)
    seen = columns <= rows
    if form.window is not None:
        left = form.window if isinstance(form.window, int) else form.window[0]
        seen &= rows <= columns + left
    return seen[None, None] if mask is None else seen & mask


def _check_room(query: Any, keys: Any, before: Any) -> None:
    if query.shape[0] != keys.shape[0]:
        raise ValueError(
            f"multi_head_attention got a cache {short(keys)} for a batch of {query.shape[0]}.\n"
            f"  {user_line()}\n  Init with the batch that is decoded, or take rows of the state."
        )
    known = 0 if isinstance(before, Tracer) else int(np.asarray(before))
    if known + query.shape[1] > keys.shape[1]:
        raise ValueError(
            f"multi_head_attention with a cache of {keys.shape[1]} vectors, {known} of them "
            f"there, got {query.shape[1]} more.\n  {user_line()}\n  Make the cache longer."
        )
