"""Layers that move, join and combine values. No params, but for `scale_and_shift` and `prelu`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import lax
from .. import numpy as fnp
from ..core.sources import user_line
from . import initializers
from .layer import Layer, activation, check_axes, entries, param_dtype, short, stateless
from .linear import positive


def flatten() -> Layer:
    """All axes but the batch axis made one. No params."""

    def apply(x: Any) -> Any:
        check_axes(x, 1, "flatten", "a batch")
        return x.reshape(x.shape[0], -1)

    return activation(apply, "flatten")


def reshape(*shape: int) -> Layer:
    """Each example in another shape; one extent may be −1. No params."""
    return activation(lambda x: x.reshape((x.shape[0], *shape)), "reshape")


def concat(axis: int = -1) -> Layer:
    """The arrays of a tuple joined along an axis. No params.

    Raises:
        ValueError: in apply, when they differ in another axis.
    """

    def apply(x: Any) -> Any:
        _several("concat", x)
        for other in x[1:]:
            rest = [list(v.shape) for v in (x[0], other)]
            for shape in rest:
                del shape[axis]
            if rest[0] != rest[1]:
                raise ValueError(
                    f"concat along axis {axis} got {short(x)}.\n  {user_line()}\n"
                    "  Give arrays that agree in all other axes."
                )
        return fnp.concatenate(x, axis=axis)

    return activation(apply, "concat")


def slice_along(axis: int, start: int, stop: int | None = None, step: int = 1) -> Layer:
    """The elements from start to stop along an axis. No params."""

    def apply(x: Any) -> Any:
        index = [slice(None)] * len(x.shape)
        index[axis] = slice(start, stop, step)
        return x[tuple(index)]

    return activation(apply, "slice_along")


def split(points: int | Sequence[int], axis: int = -1) -> Layer:
    """A tuple of parts along an axis: so many equal ones, or cut at these points. No params."""
    return activation(lambda x: tuple(fnp.split(x, points, axis)), "split")


def elementwise_sum(coefficients: Sequence[float] | None = None) -> Layer:
    """Σ coefficient · array of a tuple, elementwise. No params.

    Raises:
        ValueError: shapes or the number of coefficients differ.
    """

    def apply(x: Any) -> Any:
        _same("elementwise_sum", x)
        factors = (1,) * len(x) if coefficients is None else tuple(coefficients)
        if len(factors) != len(x):
            raise ValueError(
                f"elementwise_sum with {len(factors)} coefficients got {short(x)}.\n"
                f"  {user_line()}\n  Give a coefficient for each array."
            )
        terms = [v if c == 1 else c * v for c, v in zip(factors, x, strict=True)]
        return sum(terms[1:], terms[0])

    return activation(apply, "elementwise_sum")


def elementwise_product() -> Layer:
    """The product of the arrays of a tuple, elementwise. No params."""
    return _fold("elementwise_product", fnp.multiply)


def elementwise_max() -> Layer:
    """The largest of the arrays of a tuple, elementwise. No params."""
    return _fold("elementwise_max", fnp.maximum)


def _fold(name: str, function: Any) -> Layer:
    def apply(x: Any) -> Any:
        _same(name, x)
        out = x[0]
        for other in x[1:]:
            out = function(out, other)
        return out

    return activation(apply, name)


def _several(name: str, x: Any) -> None:
    if not isinstance(x, tuple | list) or not x:
        raise ValueError(
            f"{name} takes a tuple of arrays, got {short(x)}.\n  {user_line()}\n"
            "  Put it after a branch or a parallel."
        )


def _same(name: str, x: Any) -> None:
    _several(name, x)
    if len({v.shape for v in x}) > 1:
        raise ValueError(f"{name} got {short(x)}.\n  {user_line()}\n  Give arrays of one shape.")


def scale_and_shift(
    *,
    axis: int | Sequence[int] = -1,
    scale: bool = True,
    shift: bool = True,
) -> Layer:
    """x · scale + shift, with a number for each place of the given axes.

    params: `{"scale": f32[axes], "shift": f32[axes]}`, ones and zeros at first.
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    make = {"scale": initializers.ones, "shift": initializers.zeros}
    names = [name for name, wanted in (("scale", scale), ("shift", shift)) if wanted]

    def init(key: Any, x: Any) -> dict[str, Any]:
        shape = tuple(x.shape[a] for a in sorted(a % len(x.shape) for a in axes))
        return {name: make[name](key, shape, param_dtype(x)) for name in names}

    def apply(params: Any, x: Any) -> Any:
        own = dict(zip(names, entries(params, names, "scale_and_shift", "params"), strict=True))
        if "scale" in own:
            x = x * along(own["scale"], x, axes, "scale_and_shift")
        return x + along(own["shift"], x, axes, "scale_and_shift") if "shift" in own else x

    return stateless(init, apply, "scale_and_shift")


def prelu(*, axis: int | Sequence[int] = -1, initial: float = 0.25) -> Layer:
    """x where x ≥ 0, slope · x elsewhere, with a trained slope for each place of the given axes.

    params: `{"slope": f32[axes]}`; with no axes, `axis=()`, one slope for all.

    Args:
        initial: the slopes at first.
    Source: He et al., arXiv:1502.01852, section 2.1.
    """
    axes = (axis,) if isinstance(axis, int) else tuple(axis)

    def init(key: Any, x: Any) -> dict[str, Any]:
        shape = tuple(x.shape[a] for a in sorted(a % len(x.shape) for a in axes))
        return {"slope": fnp.full(shape, initial, param_dtype(x))}

    def apply(params: Any, x: Any) -> Any:
        (slope,) = entries(params, ["slope"], "prelu", "params")
        return fnp.where(x >= 0, x, along(slope, x, axes, "prelu") * x)

    return stateless(init, apply, "prelu")


def along(param: Any, x: Any, axes: Sequence[int], layer: str) -> Any:
    """A param for the given axes of x, with axes of size 1 for the others.

    Raises:
        ValueError: their extents differ.
    """
    places = sorted(a % len(x.shape) for a in axes)
    wanted = tuple(x.shape[a] for a in places)
    if param.shape != wanted:
        raise ValueError(
            f"{layer} with params of {short(param)} got {short(x)}: they are for the axes "
            f"{tuple(places)}, of extents {wanted}.\n  {user_line()}\n"
            "  Give init an input of the size that apply gets."
        )
    return lax.expand_dims(param, [i for i in range(len(x.shape)) if i not in places])


def _split_channels(name: str, x: Any, n: int) -> None:
    check_axes(x, 2, name, "channels on the last axis")
    if x.shape[-1] % n:
        raise ValueError(
            f"{name} got {short(x)}: {x.shape[-1]} channels are not divided by {n}.\n"
            f"  {user_line()}"
        )


def channel_shuffle(groups: int) -> Layer:
    """Channels dealt out anew: the first of each group, then the second of each. No params.

    Source: Zhang et al., arXiv:1707.01083.
    """
    positive("channel_shuffle", groups=groups)

    def apply(x: Any) -> Any:
        _split_channels("channel_shuffle", x, groups)
        parts = x.reshape((*x.shape[:-1], groups, x.shape[-1] // groups))
        return fnp.swapaxes(parts, -1, -2).reshape(x.shape)

    return activation(apply, "channel_shuffle")


def pixel_shuffle(factor: int) -> Layer:
    """Channels moved to space: `[n, h, w, c · factor²]` to `[n, h · factor, w · factor, c]`.

    Channel (c · factor + i) · factor + j goes to row i and column j, as in PyTorch. Any number of
    axes of space. No params.
    Source: Shi et al., arXiv:1609.05158.
    """
    positive("pixel_shuffle", factor=factor)

    def apply(x: Any) -> Any:
        check_axes(x, 3, "pixel_shuffle", "[batch, *space, channels]")
        batch, *space, channels = x.shape
        rank = len(space)
        _split_channels("pixel_shuffle", x, factor**rank)
        parts = x.reshape((batch, *space, channels // factor**rank, *(factor,) * rank))
        pairs = [axis for i in range(rank) for axis in (1 + i, rank + 2 + i)]
        grown = [n * factor for n in space]
        return parts.transpose((0, *pairs, rank + 1)).reshape((batch, *grown, -1))

    return activation(apply, "pixel_shuffle")


def pixel_unshuffle(factor: int) -> Layer:
    """Space moved to channels: the inverse of `pixel_shuffle`. No params.

    Raises:
        ValueError: the factor does not divide an extent.
    """
    positive("pixel_unshuffle", factor=factor)

    def apply(x: Any) -> Any:
        check_axes(x, 3, "pixel_unshuffle", "[batch, *space, channels]")
        batch, *space, channels = x.shape
        rank = len(space)
        if any(n % factor for n in space):
            raise ValueError(
                f"pixel_unshuffle by {factor} got {short(x)}, whose extents it does not divide.\n"
                f"  {user_line()}"
            )
        parts = x.reshape((batch, *(k for n in space for k in (n // factor, factor)), channels))
        kept, moved = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
        turned = parts.transpose((0, *kept, 2 * rank + 1, *moved))
        return turned.reshape((batch, *(n // factor for n in space), channels * factor**rank))

    return activation(apply, "pixel_unshuffle")
