"""Reductions that leave NaN out: nansum, nanmean, nanmax and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..control.plans import planned
from ..primitives.reduction import highest, lowest
from ..typing import Array, ArrayLike, Axis, DTypeLike
from . import extremes, reductions
from .creation import array
from .cumulation import cumprod, cumsum
from .logic import isnan
from .promotion import check_arraylike, dtype_of, refuse_key, to_array
from .selection import where as choose_where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _filled(a: Any, value: Any) -> Any:
    return a if dtype_of(a).kind in "biu" else choose_where(isnan(a), value, a)


@planned
def nansum(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Sum over axes, NaN counting as 0; arguments as in `sum`."""
    check_arraylike("nansum", a)
    return reductions.sum(_filled(a, 0), axis, dtype, out, keepdims, initial, where)


@planned
def nanprod(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Product over axes, NaN counting as 1; arguments as in `prod`."""
    check_arraylike("nanprod", a)
    return reductions.prod(_filled(a, 1), axis, dtype, out, keepdims, initial, where)


def _nan_extremum(
    name: str,
    fold: Callable[..., Any],
    replacement: Callable[[Any], Any],
    a: Any,
    axis: Any,
    out: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Any:
    check_arraylike(name, a)
    x = to_array(a)
    refuse_key(name, x)
    if dtype_of(x).kind in "biu":
        return fold(x, axis, out, keepdims, initial, where)
    filled = _filled(x, array(replacement(dtype_of(x)), dtype_of(x)))
    result = fold(filled, axis, out, keepdims, initial, where)
    if initial is not None:
        return result
    return choose_where(reductions.all(isnan(x), axis, keepdims=keepdims), float("nan"), result)


@planned
def nanmax(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """The greatest element over axes that is not NaN; NaN where all are."""
    return _nan_extremum("nanmax", extremes.max, lowest, a, axis, out, keepdims, initial, where)


@planned
def nanmin(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """The least element over axes that is not NaN; NaN where all are."""
    return _nan_extremum("nanmin", extremes.min, highest, a, axis, out, keepdims, initial, where)


@planned
def nanargmax(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """Index of the greatest element that is not NaN; -1 where all are."""
    return _nan_index("nanargmax", extremes.argmax, float("-inf"), a, axis, out, keepdims)


@planned
def nanargmin(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """Index of the least element that is not NaN; -1 where all are."""
    return _nan_index("nanargmin", extremes.argmin, float("inf"), a, axis, out, keepdims)


def _nan_index(
    name: str,
    find: Callable[..., Any],
    value: float,
    a: Any,
    axis: Any,
    out: Any,
    keepdims: bool | None,
) -> Any:
    check_arraylike(name, a)
    x = to_array(a)
    if dtype_of(x).kind in "biu":
        return find(x, axis, out, keepdims)
    mask = isnan(x)
    found = find(choose_where(mask, value, x), axis, out, keepdims)
    return choose_where(reductions.all(mask, axis, keepdims=bool(keepdims)), -1, found)


def _finite_count(x: Any, axis: Any, keepdims: bool, where: Any, dtype: Any) -> Any:
    return reductions.sum(~isnan(x), axis, dtype=dtype, keepdims=keepdims, where=where)


@planned
def nanmean(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    keepdims: bool = False,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Arithmetic mean over axes of what is not NaN; NaN where nothing is left."""
    check_arraylike("nanmean", a)
    x = to_array(a)
    if dtype_of(x).kind in "biu":
        return reductions.mean(x, axis, dtype, out, keepdims, where=where)
    total = nansum(x, axis, dtype, out, keepdims, where=where)
    return total / _finite_count(x, axis, keepdims, where, dtype_of(total))


@planned
def nanvar(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
    mean: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Variance over axes of what is not NaN; arguments as in `var`."""
    check_arraylike("nanvar", a)
    mask = ~isnan(a)
    if where is not None:
        mask = mask & to_array(where)
    return reductions.var(_filled(a, 0), axis, dtype, out, ddof, keepdims, where=mask, mean=mean)


@planned
def nanstd(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
    mean: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Standard deviation over axes of what is not NaN; arguments as in `var`."""
    from .arithmetic import sqrt

    return sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, where, mean))


@planned
def nancumsum(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """Running sum along an axis, NaN counting as 0."""
    check_arraylike("nancumsum", a)
    return cumsum(_filled(a, 0), axis, dtype, out)


@planned
def nancumprod(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """Running product along an axis, NaN counting as 1."""
    check_arraylike("nancumprod", a)
    return cumprod(_filled(a, 1), axis, dtype, out)
