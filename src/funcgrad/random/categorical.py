"""Choosing among categories: Gumbel noise, categorical numbers, choices from an array.

The one idea: the index of the largest of logits plus independent Gumbel noise is distributed as
the logits say, and the k largest are k draws without replacement.
Source: Gumbel, Statistical Theory of Extreme Values, 1954; Kool et al., arXiv:1903.06059.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_axis, canonical_shape
from ..numpy.indexing import take
from ..numpy.promotion import check_arraylike, promote_dtypes_inexact
from ..numpy.search import searchsorted
from ..numpy.selection import where
from ..primitives.arithmetic import neg
from ..primitives.bits import bitwise_not, clz
from ..primitives.broadcasting import expand_dims
from ..primitives.casting import bitcast_convert_type, convert_element_type
from ..primitives.creation import full, iota
from ..primitives.cumulative import cumsum
from ..primitives.indexing import index_in_dim
from ..primitives.movement import moveaxis, reshape
from ..primitives.reduction import argmax
from ..primitives.slicing import slice_in_dim
from ..primitives.sorting import top_k
from ..primitives.transcendental import log, log1p
from ..typing import Array, ArrayLike
from .keys import KeyLike, check_key
from .uniform import (
    check_shape,
    draw_bits,
    draw_integers,
    draw_uniform,
    float_dtype,
    shuffle,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

Shape = Sequence[int]


@planned
def gumbel(key: KeyLike, shape: Shape = (), dtype: Any = None, mode: str | None = None) -> Array:
    """Standard Gumbel numbers: -log(-log(u)) of u uniform in (0, 1).

    Args:
        key: a single key.
        shape: of the result.
        dtype: a floating dtype; the default float when None.
        mode: "low" (the default), or "high" and "highest", which resolve the right tail finer.
    Raises:
        ValueError: dtype is not floating, or unknown mode.
    """
    typed, _ = check_key("gumbel", key)
    return draw_gumbel(typed, canonical_shape(shape), float_dtype("gumbel", dtype), mode)


def draw_gumbel(
    key: Any, shape: tuple[int, ...], dtype: np.dtype[Any], mode: str | None = None
) -> Any:
    """Gumbel numbers from a typed key."""
    if mode not in (None, "low", "high", "highest"):
        raise ValueError(
            f"gumbel: unknown mode {mode!r}.\n  {user_line()}\n  Give 'low', 'high' or 'highest'."
        )
    info: Any = dtypes.finfo(dtype)
    tiny = np.array(info.tiny, dtype)
    if mode == "highest" and dtype == np.float32:
        return _finest_gumbel(key, shape)
    if mode in ("high", "highest"):
        both = draw_uniform(key, (2, *shape), dtype)
        coarse, fine = (index_in_dim(both, i, keepdims=False) for i in (0, 1))
        x = where(coarse >= 0.5, coarse, coarse + 2.0**-info.nmant * fine + tiny)
        return neg(log(neg(log1p(neg(x)))))
    return neg(log(neg(log(draw_uniform(key, shape, dtype, tiny, np.array(1.0, dtype))))))


def _finest_gumbel(key: Any, shape: tuple[int, ...]) -> Any:
    """f32 Gumbel numbers of 64 random bits; the half nearer to 1 counts its distance from 1."""
    both = draw_bits(key, 32, (2, *shape))
    high, low = (index_in_dim(both, i, keepdims=False) for i in (0, 1))
    lower_half = high < np.uint32(1 << 31)
    # The 64-bit negative: complement plus one, carried over when the low word overflows.
    other_low = bitwise_not(low)
    carry = convert_element_type(other_low == np.uint32(0xFFFFFFFF), np.uint32)
    other_high = bitwise_not(high) + carry
    other_low = other_low + np.uint32(1)
    x = _fraction(where(lower_half, high, other_high), where(lower_half, low, other_low))
    return where(lower_half, neg(log(neg(log1p(neg(x))))), neg(log(neg(log(x)))))


def _fraction(high: Any, low: Any) -> Any:
    """(high · 2³² + low) · 2⁻⁶⁴ as f32 rounded towards zero, from u32 words."""
    zeros_high, zeros_low = clz(high), clz(low)
    only_low = zeros_high == np.uint32(32)
    filler = where(only_low, low << zeros_low, low >> (np.uint32(32) - zeros_high))
    mantissa = (((high << zeros_high) | filler) >> np.uint32(8)) & np.uint32((1 << 23) - 1)
    zeros = where(only_low, np.uint32(32) + zeros_low, zeros_high)
    exponent = (np.uint32(126) - zeros) << np.uint32(23)
    # Zero itself would need a smaller exponent than there is; the mask keeps it representable.
    exponent = exponent & np.uint32((1 << 30) - (1 << 22))
    return bitcast_convert_type(exponent | mantissa, np.float32)


@planned
def categorical(
    key: KeyLike,
    logits: Float[ArrayLike, "..."],
    axis: int = -1,
    shape: Shape | None = None,
    replace: bool = True,
    mode: str | None = None,
) -> Array:
    """Indices drawn with probabilities softmax(logits) along an axis.

    Args:
        key: a single key.
        logits: unnormalized log probabilities, floating.
        axis: of the categories.
        shape: of the result; ends in (what broadcasts with) the shape of logits without the axis.
        replace: False draws the leading axes of `shape` without replacement.
        mode: of the Gumbel noise.
    Returns:
        i32[*shape] (i64 with 64-bit types).
    Raises:
        ValueError: the shape does not fit, or more draws without replacement than categories.
    """
    typed, _ = check_key("categorical", key)
    check_arraylike("categorical", logits)
    logits = as_array(logits)
    extents = list(aval_of(logits).shape)
    axis = canonical_axis(axis, len(extents))
    count = extents.pop(axis)
    batch = tuple(extents)
    whole = batch if shape is None else canonical_shape(shape, "categorical")
    check_shape("categorical", whole, batch)
    lead = whole[: len(whole) - len(batch)]
    if not replace:
        return _largest(typed, logits, axis, lead, batch, mode)
    dtype = float_dtype("categorical", aval_of(logits).dtype)
    inner = list(whole[len(lead) :])
    inner.insert(axis, count)
    noise = draw_gumbel(typed, (*lead, *inner), dtype, mode)
    noisy = noise + expand_dims(logits, tuple(range(len(lead))))
    return argmax(noisy, axis + len(lead), dtypes.canonicalize_dtype(int))


def _largest(
    key: Any,
    logits: Any,
    axis: int,
    lead: tuple[int, ...],
    batch: tuple[int, ...],
    mode: str | None,
) -> Any:
    """Categories without replacement: the largest noisy logits in order."""
    aval = aval_of(logits)
    draws = math.prod(lead)
    if draws > aval.shape[axis]:
        raise ValueError(
            f"categorical: cannot draw {draws} of {aval.shape[axis]} categories without "
            f"replacement.\n  {user_line()}\n  Draw fewer, or set replace=True."
        )
    noisy = logits + draw_gumbel(key, aval.shape, float_dtype("categorical", aval.dtype), mode)
    _, indices = top_k(moveaxis(noisy, axis, len(batch)), draws)
    return reshape(moveaxis(indices, len(batch), 0), (*lead, *batch))


@planned
def choice(
    key: KeyLike,
    a: Shaped[ArrayLike, "..."],
    shape: Any = (),
    replace: bool = True,
    p: Shaped[ArrayLike, "n"] | None = None,
    axis: int = 0,
    mode: str | None = None,
) -> Array:
    """Elements drawn from an array, or integers below a number.

    Args:
        key: a single key.
        a: an array, or an integer n standing for arange(n).
        shape: of the draws.
        replace: whether an element may be drawn twice.
        p: floats of shape (a.shape[axis],): probabilities; equal ones when None.
        axis: of `a` along which to draw.
        mode: of the Gumbel noise for draws with p and without replacement.
    Returns:
        a.shape[:axis] + shape + a.shape[axis + 1:], of the dtype of a.
    Raises:
        TypeError: shape is no sequence.
        ValueError: nothing to draw from, too many draws without replacement, or p of another shape.
    """
    typed, _ = check_key("choice", key)
    if not isinstance(shape, Sequence):
        raise TypeError(
            f"shape argument of random.choice must be a sequence, got {shape!r}.\n  {user_line()}"
        )
    check_arraylike("choice", a)
    whole = canonical_shape(shape, "choice")
    aval = aval_of(a)
    pool = None if not aval.shape else as_array(a)
    axis = canonical_axis(axis, len(aval.shape)) if aval.shape else 0
    population = int(a) if pool is None else aval.shape[axis]
    draws = math.prod(whole)
    if draws == 0:
        return full(whole, 0, aval.dtype)
    _check_population(population, draws, replace)
    if p is None and not replace:
        items = iota(dtypes.canonicalize_dtype(int), population) if pool is None else pool
        chosen = slice_in_dim(_permuted(typed, items, axis), 0, draws, axis=axis)
    else:
        chosen = _indices(typed, population, whole, replace, p, mode)
        chosen = chosen if pool is None else take(pool, chosen, axis)
    return reshape(chosen, (*aval.shape[:axis], *whole, *aval.shape[axis + 1 :]))


def _check_population(population: int, draws: int, replace: bool) -> None:
    if population <= 0:
        raise ValueError(
            f"choice: a must be greater than 0 unless no samples are taken, got {population}."
            f"\n  {user_line()}"
        )
    if not replace and draws > population:
        raise ValueError(
            f"choice: cannot take {draws} samples of a population of {population} without "
            f"replacement.\n  {user_line()}\n  Take fewer, or set replace=True."
        )


def _permuted(key: Any, x: Any, axis: int) -> Any:
    if aval_of(x).ndim == 1:
        return shuffle(key, x, 0)
    return take(x, shuffle(key, iota(np.int32, aval_of(x).shape[axis]), 0), axis)


def _indices(
    key: Any, population: int, shape: tuple[int, ...], replace: bool, p: Any, mode: str | None
) -> Any:
    """Positions drawn from the population."""
    integer = dtypes.canonicalize_dtype(int)
    if p is None:
        return draw_integers(key, shape, 0, population, integer)
    check_arraylike("choice", p)
    (weights,) = map(as_array, promote_dtypes_inexact(p))
    aval = aval_of(weights)
    if aval.shape != (population,):
        raise ValueError(
            f"choice: p must be None or have one probability for each of the {population} "
            f"elements, got shape {aval.shape}.\n  {user_line()}"
        )
    if not replace:
        noisy = draw_gumbel(key, aval.shape, aval.dtype, mode) + log(weights)
        return convert_element_type(top_k(noisy, math.prod(shape))[1], integer)
    heights = cumsum(weights)
    total = index_in_dim(heights, population - 1, keepdims=False)
    level = total * (1 - draw_uniform(key, shape, aval.dtype))
    return convert_element_type(searchsorted(heights, level), integer)
