"""Pooling over windows of any extent and stride, over all of space, over a given number of parts.

Inputs are `[batch, *space, channels]`. No params; only `stochastic_pool` has state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import image, lax, random
from .. import numpy as fnp
from ..api.mapping import vmap
from ..core.sources import user_line
from ..ir import dtypes
from .layer import Layer, activation, check_axes, entries
from .linear import positive
from .window import Padding, Window, window_of


def _pool(
    layer: str, window: Sequence[int], strides: Sequence[int] | None, padding: Padding, rest: Any
) -> Window:
    """The window of a pool: strides default to its extents."""
    return window_of(layer, window, window if strides is None else strides, padding, rest)


def _lowest(x: Any) -> Any:
    if dtypes.issubdtype(x.dtype, fnp.inexact):
        return -fnp.inf
    return fnp.iinfo(x.dtype).min


def max_pool(
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: Sequence[int] | None = None,
) -> Layer:
    """Largest value of each window; strides default to the window. No params.

    Raises:
        ValueError: unknown padding, or lengths that differ.
    """
    how = _pool("max_pool", window, strides, padding, dilation)

    def apply(x: Any) -> Any:
        how.slides(x)
        return lax.reduce_window(x, _lowest(x), lax.max, **how.around())

    return activation(apply, "max_pool")


def avg_pool(
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    count_padding: bool = False,
) -> Layer:
    """Mean of each window. No params.

    Args:
        count_padding: count padded elements as zeros; else the mean is over those inside.
    """
    how = _pool("avg_pool", window, strides, padding, None)

    def apply(x: Any) -> Any:
        how.slides(x)
        total = lax.reduce_window(x, 0.0, lax.add, **how.around())
        if count_padding:
            return total / math.prod(how.size)
        inside = fnp.ones((1, *x.shape[1:-1], 1), x.dtype)
        return total / lax.reduce_window(inside, 0.0, lax.add, **how.around())

    return activation(apply, "avg_pool")


def lp_pool(
    p: float,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> Layer:
    """(Σ |x|ᵖ)^(1/p) of each window, with derivative 0 where all of it is 0. No params.

    Raises:
        ValueError: p is not positive.
    """
    if not p > 0:
        raise ValueError(f"lp_pool needs a positive p, got {p}.\n  {user_line()}")
    how = _pool("lp_pool", window, strides, padding, None)

    def apply(x: Any) -> Any:
        how.slides(x)
        # Zeros are kept from the powers, whose slope there may be infinite.
        none = x == 0
        powers = fnp.where(none, 0.0, fnp.abs(fnp.where(none, 1.0, x)) ** p).astype(x.dtype)
        total = lax.reduce_window(powers, 0.0, lax.add, **how.around())
        empty = total == 0
        return fnp.where(empty, 0.0, fnp.where(empty, 1.0, total) ** (1 / p)).astype(x.dtype)

    return activation(apply, "lp_pool")


def stochastic_pool(
    window: Sequence[int], strides: Sequence[int] | None = None, padding: Padding = "VALID"
) -> Layer:
    """An element of each window, drawn with a probability in proportion to it.

    Otherwise than in training, the mean under that probability: Σ x² / Σ x. Inputs are not
    negative, as after a relu; negative ones count as 0. A window of zeros gives 0.

    state: `{"key": key}`, the random key for the next call.
    Source: Zeiler & Fergus, arXiv:1301.3557.
    """
    how = _pool("stochastic_pool", window, strides, padding, None)

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        how.slides(x)
        return (), {"key": random.split(key, 1)[0]}

    def apply(params: Any, state: Any, x: Any, *, train: bool = False) -> tuple[Any, Any]:
        (key,) = entries(state, ("key",), "stochastic_pool", "state")
        how.slides(x)
        parts = fnp.maximum(elements(how, x, 0), 0)
        total = fnp.sum(parts, axis=-1)
        if not train:
            safe = fnp.where(total > 0, total, 1.0)
            return fnp.sum(fnp.square(parts), axis=-1) / safe, state
        key, own = random.split(key)
        mark = random.uniform(own, total.shape, total.dtype) * total
        # The first element whose running sum passes the mark; never one of probability 0.
        before = lax.stop_gradient(fnp.cumsum(parts, axis=-1) <= mark[..., None])
        index = fnp.minimum(fnp.sum(before, axis=-1), parts.shape[-1] - 1)
        drawn = fnp.take_along_axis(parts, index[..., None], axis=-1)[..., 0]
        return drawn, {"key": key}

    return Layer(init, apply, "stochastic_pool")


def elements(how: Window, x: Any, fill: Any) -> Any:
    """The elements of each window along a new last axis: `[batch, *space, channels, window]`."""
    space = x.shape[1:-1]
    pads = how.pads(space)
    x = fnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    every = zip(x.shape[1:-1], how.reach(), how.strides, strict=True)
    counts = [(extent - reach) // stride + 1 for extent, reach, stride in every]
    parts: list[Any] = []
    for offset in itertools.product(*map(range, how.size)):
        starts = [o * d for o, d in zip(offset, how.dilation, strict=True)]
        cuts = tuple(
            slice(start, start + (n - 1) * stride + 1, stride)
            for start, n, stride in zip(starts, counts, how.strides, strict=True)
        )
        parts.append(x[(slice(None), *cuts)])
    return fnp.stack(parts, axis=-1)


def max_pool_indices(
    window: Sequence[int], strides: Sequence[int] | None = None, padding: Padding = "VALID"
) -> Layer:
    """Largest value of each window and where it was: what `max_unpool` takes. No params.

    Gives `(values, indices)`; indices are i32 into the flattened axes of space of the input, of the
    first of equal values.
    """
    how = _pool("max_pool_indices", window, strides, padding, None)

    def apply(x: Any) -> Any:
        how.slides(x)
        space = x.shape[1:-1]
        parts = elements(how, x, _lowest(x))
        chosen = fnp.argmax(parts, axis=-1)[..., None]
        places = fnp.arange(math.prod(space), dtype=fnp.int32).reshape((1, *space, 1))
        at = fnp.broadcast_to(elements(how, places, -1), parts.shape)
        pick = [fnp.take_along_axis(v, chosen, axis=-1)[..., 0] for v in (parts, at)]
        return pick[0], pick[1]

    return activation(apply, "max_pool_indices")


def max_unpool(
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    space: Sequence[int] | None = None,
) -> Layer:
    """Values put back to where `max_pool_indices` found them, zeros elsewhere. No params.

    Takes `(values, indices)`.

    Args:
        space: extents of the result; by default the smallest that the windows cover.
    Source: Zeiler & Fergus, arXiv:1311.2901.
    """
    how = _pool("max_unpool", window, strides, "VALID", None)

    def apply(x: Any) -> Any:
        values, indices = x
        how.check(values)
        every = zip(values.shape[1:-1], how.strides, how.size, strict=True)
        extents = tuple(space or ((n - 1) * stride + reach for n, stride, reach in every))
        batch, channels = values.shape[0], values.shape[-1]

        def scatter(values: Any, indices: Any) -> Any:
            flat = fnp.zeros((math.prod(extents), channels), values.dtype)
            columns = fnp.arange(channels)
            return flat.at[indices.reshape(-1, channels), columns].set(values.reshape(-1, channels))

        return vmap(scatter)(values, indices).reshape((batch, *extents, channels))

    return activation(apply, "max_unpool")


def upsample(factors: Sequence[int], method: str = "nearest") -> Layer:
    """Each extent times its factor: repeated values, or interpolated ones. No params.

    Args:
        method: `"nearest"`, `"linear"` or `"cubic"`, as in `image.resize`.
    """
    positive("upsample", **{f"factor {i}": f for i, f in enumerate(factors)})

    def apply(x: Any) -> Any:
        window_of("upsample", factors, None, "VALID").check(x)
        if method == "nearest":
            for axis, factor in enumerate(factors, 1):
                x = fnp.repeat(x, factor, axis=axis)
            return x
        grown = (n * f for n, f in zip(x.shape[1:-1], factors, strict=True))
        return image.resize(x, (x.shape[0], *grown, x.shape[-1]), method)

    return activation(apply, "upsample")


def global_avg_pool() -> Layer:
    """Mean over all axes of space: `[batch, channels]`. No params."""
    return _over_space("global_avg_pool", fnp.mean)


def global_max_pool() -> Layer:
    """Largest value over all axes of space: `[batch, channels]`. No params."""
    return _over_space("global_max_pool", fnp.max)


def _over_space(name: str, fold: Callable[..., Any]) -> Layer:
    def apply(x: Any) -> Any:
        check_axes(x, 3, name, "[batch, *space, channels]")
        return fold(x, axis=tuple(range(1, len(x.shape) - 1)))

    return activation(apply, name)


def adaptive_avg_pool(parts: Sequence[int]) -> Layer:
    """Means over a given number of parts of each axis of space. No params.

    Part i of n covers the elements from ⌊i · extent / n⌋ to ⌈(i + 1) · extent / n⌉, so that
    neighbours may share elements.
    """
    return activation(_adaptive("adaptive_avg_pool", parts, fnp.mean), "adaptive_avg_pool")


def adaptive_max_pool(parts: Sequence[int]) -> Layer:
    """Largest values over a given number of parts of each axis of space. No params."""
    return activation(_adaptive("adaptive_max_pool", parts, fnp.max), "adaptive_max_pool")


def _adaptive(name: str, parts: Sequence[int], fold: Callable[..., Any]) -> Callable[[Any], Any]:
    how = window_of(name, parts, None, "VALID")

    def apply(x: Any) -> Any:
        how.check(x)
        for axis, n in enumerate(how.size, 1):
            extent = x.shape[axis]
            x = fnp.concatenate(
                [
                    fold(
                        _cut(x, axis, i * extent // n, -(-(i + 1) * extent // n)),
                        axis=axis,
                        keepdims=True,
                    )
                    for i in range(n)
                ],
                axis=axis,
            )
        return x

    return apply


def _cut(x: Any, axis: int, start: int, stop: int) -> Any:
    return lax.slice_in_dim(x, start, stop, axis=axis)


def spatial_pyramid_pool(levels: Sequence[int], method: str = "max") -> Layer:
    """Pools to 1, 2, 4, … parts of each axis, flattened and joined: one length for any extent.

    Gives `[batch, channels · Σ levels^axes]`. No params.

    Args:
        levels: parts of each axis, level by level.
        method: `"max"` or `"avg"`.
    Raises:
        ValueError: unknown method, or a level below 1.
    Source: He et al., arXiv:1406.4729.
    """
    folds = {"max": fnp.max, "avg": fnp.mean}
    if method not in folds:
        raise ValueError(
            f"spatial_pyramid_pool has the methods {tuple(folds)}, got {method!r}.\n  {user_line()}"
        )
    positive("spatial_pyramid_pool", **{f"level {i}": n for i, n in enumerate(levels)})

    def apply(x: Any) -> Any:
        check_axes(x, 3, "spatial_pyramid_pool", "[batch, *space, channels]")
        rank = len(x.shape) - 2
        pooled = [_adaptive("spatial_pyramid_pool", (n,) * rank, folds[method])(x) for n in levels]
        return fnp.concatenate([p.reshape(x.shape[0], -1) for p in pooled], axis=1)

    return activation(apply, "spatial_pyramid_pool")
