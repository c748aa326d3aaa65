"""Padding: an array made larger at its borders, by NumPy's modes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.trace import value_of
from ..primitives import slicing
from ..typing import Array, ArrayLike
from .joining import concatenate
from .promotion import check_arraylike, convert, counting, dtype_of, is_sequence, shape_of, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped

Widths = tuple[tuple[int, int], ...]


def _pairs(value: Any, ndim: int, convert_one: Callable[[Any], Any]) -> tuple[Any, ...]:
    """(before, after) of each axis, from one value, one pair, or one of them per axis."""
    if is_sequence(value):
        entries: list[Any] = [
            tuple(map(convert_one, v)) if is_sequence(v) else convert_one(v) for v in value
        ]
        if entries and all(isinstance(v, tuple) for v in entries):
            pairs = [(v[0], v[-1]) for v in entries]
            if len(pairs) == 1:
                return tuple(pairs * ndim)
            if len(pairs) == ndim:
                return tuple(pairs)
        elif len(entries) == 1:
            return ((entries[0], entries[0]),) * ndim
        elif len(entries) == 2:
            return ((entries[0], entries[1]),) * ndim
        raise ValueError(
            f"pad got {value!r} for an array of {ndim} axes: give one value, a pair, or a pair "
            "for each axis."
        )
    known = value_of(value)
    if np.ndim(known):
        return _pairs(np.asarray(known).tolist(), ndim, convert_one)
    return ((convert_one(value), convert_one(value)),) * ndim


def _items(table: Any) -> Any:
    return table.items()


def pad(
    array: Shaped[ArrayLike, "..."],
    pad_width: Any,
    mode: str | Callable[..., Any] = "constant",
    **kwargs: Any,
) -> Array:
    """The array with more elements before and after each axis.

    Args:
        pad_width: how many: one number, (before, after), or such a pair for each axis; or a
            dictionary from axes to these.
        mode: "constant" (constant_values=0), "edge", "linear_ramp" (end_values=0), "maximum",
            "mean", "median", "minimum" (stat_length=None), "reflect", "symmetric"
            (reflect_type="even"), "wrap", "empty", or a function as in NumPy.
    Raises:
        ValueError: unknown mode or option, or widths that do not fit.
    """
    if callable(mode):
        return _pad_by_function(*_operands(array, pad_width), mode, kwargs)
    return _pad_in_mode(array, pad_width, mode, **kwargs)


def _operands(array: Any, pad_width: Any) -> tuple[Any, Widths]:
    """The array, and how much to add before and after each axis."""
    check_arraylike("pad", array)
    x = to_array(array)
    if isinstance(pad_width, dict):
        spread: list[Any] = [(0, 0)] * x.ndim
        for axis, width in _items(pad_width):
            spread[axis] = width if isinstance(width, tuple) else (width, width)
        pad_width = spread
    widths: Widths = _pairs(pad_width, x.ndim, operator.index)
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError(f"index can't contain negative values: pad_width is {pad_width}.")
    return x, widths


@planned
def _pad_in_mode(array: Any, pad_width: Any, mode: str, **kwargs: Any) -> Any:
    x, widths = _operands(array, pad_width)
    options = {
        "constant": {"constant_values"},
        "linear_ramp": {"end_values"},
        "reflect": {"reflect_type"},
        "symmetric": {"reflect_type"},
        **{name: {"stat_length"} for name in ("maximum", "mean", "median", "minimum")},
        **{name: set[str]() for name in ("edge", "wrap", "empty")},
    }
    if mode not in options:
        raise ValueError(f"pad got mode {mode!r}; the modes are {', '.join(options)}.")
    extra = set(kwargs) - options[mode]
    if extra:
        raise ValueError(f"unsupported keyword arguments for mode {mode!r}: {sorted(extra)}.")
    if mode in ("constant", "empty"):
        return _pad_constant(x, widths, kwargs.get("constant_values", 0))
    if mode == "linear_ramp":
        return _pad_ramp(x, widths, kwargs.get("end_values", 0))
    if mode in ("reflect", "symmetric") and kwargs.get("reflect_type", "even") == "odd":
        return _pad_odd(x, widths, mode)
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        return _pad_by_index(x, widths, mode)
    return _pad_statistic(x, widths, mode, kwargs.get("stat_length"))


def _pad_constant(x: Any, widths: Widths, values: Any) -> Any:
    dtype = dtype_of(x)
    if not is_sequence(values) and not shape_of(values):
        config = tuple((low, high, 0) for low, high in widths)
        return slicing.pad(x, convert(values, dtype, x.weak_type), config)
    pairs = _pairs(values, x.ndim, lambda v: v)
    for axis, ((low, high), (before, after)) in enumerate(zip(widths, pairs, strict=True)):
        for width, value in (((low, 0, 0), before), ((0, high, 0), after)):
            config = tuple(width if i == axis else (0, 0, 0) for i in range(x.ndim))
            x = slicing.pad(x, convert(value, dtype, x.weak_type), config)
    return x


def _pad_by_index(x: Any, widths: Widths, mode: str) -> Any:
    """Modes whose new elements are copies: parts of the array beside it.

    Where an axis is repeated more than once it is read at indices that NumPy gives.
    """
    for axis, (low, high) in enumerate(widths):
        if not low and not high:
            continue
        if x.shape[axis] == 0:
            raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant'.")
        if mode == "edge" or max(low, high) <= x.shape[axis] - (mode == "reflect"):
            x = _beside(x, axis, low, high, mode)
            continue
        kind: Any = mode
        order: Any = np.pad(counting(x.shape[axis]), (low, high), mode=kind)
        index: list[Any] = [slice(None)] * x.ndim
        index[axis] = order.astype(np.int32)
        x = x[tuple(index)]
    return x


def _beside(x: Any, axis: int, low: int, high: int, mode: str) -> Any:
    """An axis with copies of its first and last elements before and behind it."""
    size, shift = x.shape[axis], int(mode == "reflect")
    if mode == "edge":
        before, after = (
            _repeated(_along(x, axis, slice(at, at + 1)), axis, count)
            for at, count in ((0, low), (size - 1, high))
        )
    elif mode == "wrap":
        before, after = (_along(x, axis, p) for p in (slice(size - low, size), slice(0, high)))
    else:
        first, last = slice(shift, shift + low), slice(size - shift - high, size - shift)
        before, after = (_flip(_along(x, axis, part), axis) for part in (first, last))
    parts = [part for part, count in ((before, low), (x, size), (after, high)) if count]
    return concatenate(parts, axis)


def _repeated(x: Any, axis: int, count: int) -> Any:
    from .manipulation import broadcast_to

    return broadcast_to(x, tuple(count if a == axis else n for a, n in enumerate(x.shape)))


def _along(x: Any, axis: int, part: slice) -> Any:
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = part
    return x[tuple(index)]


def _pad_odd(x: Any, widths: Widths, mode: str) -> Any:
    """Reflection in the points at the borders: 2 · edge - mirrored."""
    for axis, (low, high) in enumerate(widths):
        while low or high:
            size = x.shape[axis]
            shift = 1 if mode == "reflect" and size > 1 else 0
            before, after = min(low, size - shift), min(high, size - shift)
            first, last = _along(x, axis, slice(0, 1)), _along(x, axis, slice(size - 1, size))
            left = 2 * first - _flip(_along(x, axis, slice(shift, shift + before)), axis)
            right = 2 * last - _flip(
                _along(x, axis, slice(size - shift - after, size - shift)), axis
            )
            x = concatenate([left, x, right], axis)
            low, high = low - before, high - after
    return x


def _flip(x: Any, axis: int) -> Any:
    from .manipulation import flip

    return flip(x, axis)


def _pad_ramp(x: Any, widths: Widths, values: Any) -> Any:
    from .ranges import linspace

    dtype = dtype_of(x)
    for axis, ((low, high), (start, stop)) in enumerate(
        zip(widths, _pairs(values, x.ndim, lambda v: v), strict=True)
    ):
        size = x.shape[axis]
        first = _along(x, axis, slice(0, 1)).squeeze(axis)
        last = _along(x, axis, slice(size - 1, size)).squeeze(axis)
        left = linspace(start, first, low, endpoint=False, dtype=dtype, axis=axis)
        right = _flip(linspace(stop, last, high, endpoint=False, dtype=dtype, axis=axis), axis)
        x = concatenate([left, x, right], axis)
    return x


def _pad_statistic(x: Any, widths: Widths, mode: str, lengths: Any) -> Any:
    from . import extremes, quantiles, reductions

    fold: Callable[..., Any] = {
        "maximum": extremes.max,
        "minimum": extremes.min,
        "mean": reductions.mean,
        "median": quantiles.median,
    }[mode]
    counts: Sequence[Any] = (
        [(None, None)] * x.ndim if lengths is None else _pairs(lengths, x.ndim, operator.index)
    )
    dtype = dtype_of(x)
    for axis, ((low, high), (before, after)) in enumerate(zip(widths, counts, strict=True)):
        size = x.shape[axis]
        parts = slice(0, before), slice(size - after if after else None, None)
        left, right = (fold(_along(x, axis, part), axis=axis, keepdims=True) for part in parts)
        if dtype.kind in "iu" and mode in ("mean", "median"):
            from .rounding import round

            left, right = round(left), round(right)
        from .joining import repeat

        ends = repeat(left.astype(dtype), low, axis), repeat(right.astype(dtype), high, axis)
        x = concatenate([ends[0], x, ends[1]], axis)
    return x


def _pad_by_function(
    x: Any, widths: Widths, function: Callable[..., Any], kwargs: dict[str, Any]
) -> Any:
    from .mapping import apply_along_axis

    padded = _pad_constant(x, widths, 0)
    for axis in range(x.ndim):
        padded = apply_along_axis(function, axis, padded, widths[axis], axis, kwargs)
    return padded
