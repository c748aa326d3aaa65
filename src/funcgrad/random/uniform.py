"""Bits, uniform and normal numbers, integers, permutations: what other samplers are made of.

The ways from bits to numbers are JAX's documented ones, so that keys give the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.jitted import jit
from ..control.plans import planned
from ..core.array import Array as ArrayValue
from ..core.context import context
from ..core.sources import user_line
from ..core.trace import as_array, eval_trace
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_axis, canonical_shape
from ..primitives.arithmetic import add, div, max, min, mul, rem, sub
from ..primitives.bits import bitwise_or, nextafter, shift_right_logical
from ..primitives.broadcasting import broadcast_in_dim, broadcast_to_rank
from ..primitives.casting import bitcast_convert_type, convert_element_type
from ..primitives.comparison import gt, le, lt
from ..primitives.complexes import complex as make_complex
from ..primitives.creation import full, iota
from ..primitives.movement import reshape
from ..primitives.random_bits import random_bits_p, random_split_p
from ..primitives.selection import select
from ..primitives.special import erf, erf_inv
from ..typing import Array, ArrayLike
from . import words as words  # gives the primitives their quick rules
from .keys import KeyLike, check_key

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

Shape = Sequence[int]
_MANY = 1 << 18


def unsigned_of(width: int) -> np.dtype[Any]:
    """The unsigned dtype of a width in bits."""
    return np.dtype(f"u{width // 8}")


def draw_bits(key: Any, width: int, shape: tuple[int, ...]) -> Any:
    """Random bits from a typed key."""
    return random_bits_p.bind(key, bit_width=width, shape=shape)


def drawn_by(draw: Callable[..., Any], key: Any, *form: Any, parameters: Sequence[Any] = ()) -> Any:
    """What `draw` gives, by its compiled program where that is many numbers.

    One operation after the other, a million numbers take many times as long; for few, a
    program would have to be compiled for each shape. Which way is taken hangs on the shape alone.

    Args:
        draw: takes the key, the form and the parameters.
        form: of the result, a shape and a dtype.
    """
    traced = context.trace is not None and context.trace is not eval_trace
    if traced or type(key) is not ArrayValue or math.prod(form[0]) < _MANY:
        return draw(key, *form, *parameters)
    return _compiled(draw)(key, *form, *parameters)


@cache
def _compiled(draw: Callable[..., Any]) -> Callable[..., Any]:
    return jit(draw, static_argnums=(1, 2))


def _draw_words(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return draw_bits(key, dtype.itemsize * 8, shape)


def split_key(key: Any, count: int = 2) -> list[Any]:
    """New typed keys from a typed key."""
    from ..primitives.indexing import index_in_dim

    keys = random_split_p.bind(key, shape=(count,))
    return [index_in_dim(keys, i, keepdims=False) for i in range(count)]


def float_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """The canonical floating dtype.

    Raises:
        ValueError: another kind of dtype.
    """
    canonical = dtypes.canonicalize_dtype(dtype if dtype is not None else float)
    if not dtypes.issubdtype(canonical, np.floating):
        raise ValueError(
            f"dtype argument to `{name}` must be a float dtype, got {canonical}.\n  {user_line()}"
        )
    return canonical


def check_shape(name: str, shape: tuple[int, ...], *parameters: tuple[int, ...]) -> None:
    """Raise ValueError unless the parameters broadcast to the shape."""
    try:
        broadcast = np.broadcast_shapes(shape, *parameters)
    except ValueError:
        broadcast = None
    if broadcast != shape:
        raise ValueError(
            f"{name} requires parameters of shapes {parameters} that broadcast to shape {shape}.\n"
            f"  {user_line()}"
        )


@planned
def bits(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Uniform random bits as unsigned integers.

    Args:
        dtype: an unsigned dtype; default uint32 (uint64 with 64-bit types).
    Raises:
        ValueError: dtype is not unsigned.
    """
    typed, _ = check_key("bits", key)
    canonical = dtypes.canonicalize_dtype(np.uint64 if dtype is None else dtype)
    if not dtypes.issubdtype(canonical, np.unsignedinteger):
        raise ValueError(
            f"dtype argument to `bits` must be an unsigned int dtype, got {canonical}.\n"
            f"  {user_line()}"
        )
    return drawn_by(_draw_words, typed, canonical_shape(shape), canonical)


@planned
def uniform(
    key: KeyLike,
    shape: Shape = (),
    dtype: Any = None,
    minval: Shaped[ArrayLike, "*#shape"] = 0.0,
    maxval: Shaped[ArrayLike, "*#shape"] = 1.0,
) -> Array:
    """Uniform numbers in [minval, maxval).

    Args:
        key: a single key.
        shape: of the result.
        dtype: a floating dtype; the default float when None.
        minval, maxval: floats or arrays that broadcast to the shape. For the shape () they may also
            be arrays of one element: the result has the shape of minval.
    Raises:
        ValueError: dtype is not floating, or the bounds do not broadcast.
    """
    typed, _ = check_key("uniform", key)
    form = canonical_shape(shape), float_dtype("uniform", dtype)
    return drawn_by(draw_uniform, typed, *form, parameters=(minval, maxval))


def draw_uniform(
    key: Any, shape: tuple[int, ...], dtype: np.dtype[Any], minval: Any = 0.0, maxval: Any = 1.0
) -> Any:
    """Uniform numbers from a typed key: random mantissas with the exponent of 1, minus 1."""
    lower, upper = aval_of(minval).shape, aval_of(maxval).shape
    if not shape and {*lower, *upper} == {1}:
        # Of bounds with axes of one element comes, as in JAX, a number with those of the lower one.
        low, high = reshape(minval, ()), reshape(maxval, ())
        return reshape(draw_uniform(key, shape, dtype, low, high), lower)
    check_shape("uniform", shape, lower, upper)
    low = broadcast_to_rank(convert_element_type(minval, dtype), len(shape))
    high = broadcast_to_rank(convert_element_type(maxval, dtype), len(shape))
    info: Any = dtypes.finfo(dtype)
    width, mantissa = info.bits, info.nmant
    drawn = 8 if mantissa < 8 else width
    word = unsigned_of(width)
    raw = draw_bits(key, drawn, shape)
    if drawn != width:
        raw = convert_element_type(raw, word)
    one = np.array(1.0, dtype).view(word)
    mantissas = shift_right_logical(raw, np.array(drawn - mantissa, word))
    floats = bitcast_convert_type(bitwise_or(mantissas, one), dtype)
    unit = sub(floats, np.array(1.0, dtype))
    return max(low, add(mul(unit, sub(high, low)), low))


@planned
def normal(key: KeyLike, shape: Shape = (), dtype: Any = None) -> Array:
    """Standard normal numbers; complex dtypes give independent parts of variance 1/2.

    Raises:
        ValueError: dtype is neither floating nor complex.
    """
    typed, _ = check_key("normal", key)
    canonical = dtypes.canonicalize_dtype(float if dtype is None else dtype)
    if not dtypes.issubdtype(canonical, np.inexact):
        raise ValueError(
            f"dtype argument to `normal` must be a float or complex dtype, got {canonical}.\n"
            f"  {user_line()}"
        )
    return drawn_by(draw_normal, typed, canonical_shape(shape), canonical)


def draw_normal(key: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Standard normal numbers from a typed key: √2 · erf⁻¹ of uniform ones in (−1, 1)."""
    if dtypes.issubdtype(dtype, np.complexfloating):
        part = np.dtype(f"f{dtype.itemsize // 2}")
        real_key, imag_key = split_key(key)
        scale = np.array(math.sqrt(2), part)
        real = div(draw_normal(real_key, shape, part), scale)
        return make_complex(real, div(draw_normal(imag_key, shape, part), scale))
    low = np.nextafter(np.array(-1.0, dtype), np.array(0.0, dtype), dtype=dtype)
    drawn = draw_uniform(key, shape, dtype, low, np.array(1.0, dtype))
    return mul(np.array(math.sqrt(2), dtype), erf_inv(drawn))


@planned
def truncated_normal(
    key: KeyLike,
    lower: Shaped[ArrayLike, "*#shape"],
    upper: Shaped[ArrayLike, "*#shape"],
    shape: Shape | None = None,
    dtype: Any = None,
) -> Array:
    """Standard normal numbers between lower and upper.

    Args:
        lower, upper: floats or arrays that broadcast to the shape.
        shape: of the result; by default that of lower and upper.
    Raises:
        ValueError: dtype is not floating, or the bounds do not broadcast.
    """
    from ..primitives.rounding import stop_gradient

    typed, _ = check_key("truncated_normal", key)
    dtype = float_dtype("truncated_normal", dtype)
    bounds = aval_of(lower).shape, aval_of(upper).shape
    whole = np.broadcast_shapes(*bounds) if shape is None else canonical_shape(shape)
    check_shape("truncated_normal", whole, *bounds)
    root = np.array(math.sqrt(2), dtype)
    lower = broadcast_to_rank(convert_element_type(lower, dtype), len(whole))
    upper = broadcast_to_rank(convert_element_type(upper, dtype), len(whole))
    drawn = draw_uniform(typed, whole, dtype, erf(div(lower, root)), erf(div(upper, root)))
    out = mul(root, erf_inv(drawn))
    # Rounding must not reach the bounds themselves.
    inner = nextafter(stop_gradient(lower), np.array(np.inf, dtype))
    outer = nextafter(stop_gradient(upper), np.array(-np.inf, dtype))
    return min(max(out, inner), outer)


@planned
def bernoulli(
    key: KeyLike, p: Float[ArrayLike, "..."] = 0.5, shape: Shape | None = None, mode: str = "low"
) -> Array:
    """True with probability p.

    Args:
        p: floats that broadcast to the shape.
        shape: of the result; by default that of p.
        mode: "low", or "high" for probabilities below the resolution of the dtype.
    Raises:
        TypeError: p is not floating.
        ValueError: unknown mode.
    """
    typed, _ = check_key("bernoulli", key)
    p = as_array(p)
    if not dtypes.issubdtype(p.dtype, np.floating):
        raise TypeError(f"bernoulli probability `p` must have a float dtype, got {p.dtype}.")
    if mode not in ("low", "high"):
        raise ValueError(f"bernoulli: mode must be 'low' or 'high', got {mode!r}.")
    p = convert_element_type(p, p.dtype)
    whole = p.shape if shape is None else canonical_shape(shape)
    check_shape("bernoulli", whole, p.shape)
    p = broadcast_to_rank(p, len(whole))
    if mode == "low":
        return lt(draw_uniform(typed, whole, p.dtype), _spread(p, whole))
    from ..primitives.indexing import index_in_dim

    info: Any = dtypes.finfo(p.dtype)
    both = draw_uniform(typed, (2, *whole), p.dtype)
    coarse, fine = (index_in_dim(both, i, keepdims=False) for i in (0, 1))
    fine = mul(fine, np.array(2.0**-info.nmant, p.dtype))
    return lt(fine, sub(_spread(p, whole), coarse))


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    """The array stretched to the shape."""
    own = aval_of(x).shape
    if own == shape:
        return x
    offset = len(shape) - len(own)
    return broadcast_in_dim(x, shape, tuple(range(offset, len(shape))))


@planned
def randint(
    key: KeyLike,
    shape: Shape,
    minval: Shaped[ArrayLike, "*#shape"],
    maxval: Shaped[ArrayLike, "*#shape"],
    dtype: Any = None,
) -> Array:
    """Uniform integers in [minval, maxval).

    Args:
        minval, maxval: integers or integer arrays that broadcast to the shape.
        dtype: an integer dtype; the default int when None.
    Raises:
        TypeError: dtype or bounds are not integers.
    """
    typed, _ = check_key("randint", key)
    dtype = dtypes.canonicalize_dtype(int if dtype is None else dtype)
    if not dtypes.issubdtype(dtype, np.integer):
        raise TypeError(f"randint only accepts integer dtypes, got {dtype}.\n  {user_line()}")
    whole = canonical_shape(shape)
    low, high = as_array(minval), as_array(maxval)
    check_shape("randint", whole, low.shape, high.shape)
    low, high = (
        x if dtypes.issubdtype(x.dtype, np.integer) else convert_element_type(x, np.int32)
        for x in (low, high)
    )
    return draw_integers(typed, whole, low, high, dtype)


def draw_integers(
    key: Any, shape: tuple[int, ...], low: Any, high: Any, dtype: np.dtype[Any]
) -> Any:
    """Integers from a typed key; narrow ones are drawn in 32 bits, with less bias."""
    info: Any = dtypes.iinfo(dtype)
    if info.bits >= 32:
        return _draw_wide(key, shape, as_array(low), as_array(high), dtype)
    wide = np.dtype(np.int32)
    least, most = np.array(info.min, wide), np.array(info.max, wide)
    beyond = np.array(int(info.max) + 1, wide)
    low = min(max(convert_element_type(low, wide), least), most)
    high = min(max(convert_element_type(high, wide), least), beyond)
    return convert_element_type(_draw_wide(key, shape, low, high, wide), dtype)


def _draw_wide(key: Any, shape: tuple[int, ...], low: Any, high: Any, dtype: np.dtype[Any]) -> Any:
    """Twice the bits, reduced modulo the span: (h · 2ⁿ + l) mod span without overflow."""
    info: Any = dtypes.iinfo(dtype)
    most = _clip_integer(np.array(info.max, dtype), aval_of(high).dtype)
    beyond = gt(high, full(aval_of(high).shape, most, aval_of(high).dtype))
    low = broadcast_to_rank(_clip_integer(low, dtype), len(shape))
    high = broadcast_to_rank(_clip_integer(high, dtype), len(shape))
    beyond = broadcast_to_rank(beyond, len(shape))
    word = unsigned_of(info.bits)
    first, second = split_key(key)
    upper_bits, lower_bits = draw_bits(first, info.bits, shape), draw_bits(second, info.bits, shape)
    low, high, beyond = _same_shape(low, high, beyond)
    span = convert_element_type(sub(high, low), word)
    ones = full(aval_of(span).shape, 1, word)
    empty = le(high, low)
    span = select(empty, ones, span)
    # A bound one past the largest integer: the span is one larger, and wraps to 0 when it is all.
    wider = select(empty, full(aval_of(span).shape, False, bool), beyond)
    span = select(wider, add(span, ones), span)
    half = np.array(2 ** (info.bits // 2), word)
    factor = rem(full(aval_of(span).shape, half, word), span)
    factor = rem(mul(factor, factor), span)
    offset = add(mul(rem(upper_bits, span), factor), rem(lower_bits, span))
    offset = rem(offset, span)
    return _add_stretched(low, convert_element_type(offset, dtype))


def _same_shape(*xs: Any) -> list[Any]:
    shape = np.broadcast_shapes(*[aval_of(x).shape for x in xs])
    return [_spread(x, shape) for x in xs]


def _add_stretched(x: Any, y: Any) -> Any:
    return add(_spread(x, aval_of(y).shape), y)


def _clip_integer(x: Any, dtype: np.dtype[Any]) -> Any:
    """x in another integer dtype, values out of range moved to its ends."""
    source = aval_of(x).dtype
    info: Any = dtypes.iinfo(dtype)
    own: Any = dtypes.iinfo(source)
    low = int(info.min) if int(info.min) > int(own.min) else int(own.min)
    high = int(info.max) if int(info.max) < int(own.max) else int(own.max)
    clipped = min(max(as_array(x), np.array(low, source)), np.array(high, source))
    return convert_element_type(clipped, dtype)


@planned
def permutation(
    key: KeyLike, x: Shaped[ArrayLike, "..."], axis: int = 0, independent: bool = False
) -> Array:
    """The array (or the integers below x) in random order along an axis.

    Args:
        x: an integer, or an array.
        independent: permute each vector along the axis on its own.
    Raises:
        TypeError: x is a scalar but no integer.
        ValueError: the axis is out of range.
    """
    typed, _ = check_key("permutation", key)
    aval = aval_of(x)
    axis = canonical_axis(axis, len(aval.shape) or 1)
    if not aval.shape:
        if not dtypes.issubdtype(aval.dtype, np.integer):
            raise TypeError("x must be an integer or at least 1-dimensional.")
        return shuffle(typed, iota(dtypes.canonicalize_dtype(int), int(x)), axis)
    x = as_array(x)
    if independent or len(aval.shape) == 1:
        return shuffle(typed, x, axis)
    from ..primitives.indexing import index_take

    order = shuffle(typed, iota(np.int32, aval.shape[axis]), 0)
    return _take_along(index_take, x, order, axis)


def _take_along(index_take: Any, x: Any, order: Any, axis: int) -> Any:
    from ..core.axes import move_axis

    return move_axis(index_take(move_axis(x, axis, 0), (order,), (0,)), 0, axis)


def shuffle(key: Any, x: Any, axis: int) -> Any:
    """x sorted by random 32-bit numbers, as often as makes equal ones harmless."""
    from ..primitives.sorting import sort_key_val

    size = aval_of(x).size
    rounds = math.ceil(3 * math.log(size if size > 1 else 1) / math.log(2**32 - 1))
    for _ in range(rounds):
        key, sub_key = split_key(key)
        order = draw_bits(sub_key, 32, aval_of(x).shape)
        _, x = sort_key_val(order, x, axis)
    return x
