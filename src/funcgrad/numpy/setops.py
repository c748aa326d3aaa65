"""Sets of values: unique, and unions, intersections and differences of arrays.

The size of a result depends on values: without `size`, arrays must be concrete.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.sources import user_line
from ..ir.avals import canonical_axis
from ..typing import Array, ArrayLike
from .creation import array, asarray, full, zeros
from .cumulation import cumsum
from .joining import concatenate
from .logic import isnan
from .promotion import check_arraylike, dtype_of, promote_dtypes, to_array
from .ranges import arange
from .search import concrete, isin, nonzero, searchsorted
from .selection import where
from .sorting import argsort, lexsort

if TYPE_CHECKING:
    from jaxtyping import Shaped


class UniqueAll(NamedTuple):
    """Unique values, their first indices, where each element went, and how often each occurs."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """Unique values and how often each occurs."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """Unique values and where each element went."""

    values: Any
    inverse_indices: Any


def unique(
    ar: Shaped[ArrayLike, "..."],
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """The different elements in ascending order, or the different slices along an axis.

    Args:
        return_index: also return the index where each first occurs.
        return_inverse: also return which of them each element is.
        return_counts: also return how often each occurs.
        equal_nan: whether NaNs count as one.
        size: how many to return, needed when `ar` is traced.
        fill_value: what stands where there are fewer; the least one by default.
        sorted: accepted for compatibility; the result is sorted in any case.
    Returns:
        The elements, or a tuple with what else was asked for.
    Raises:
        ConcretizationTypeError: `ar` is traced and size is not given.
    """
    check_arraylike("unique", ar)
    x = to_array(ar)
    flat = axis is None
    along = 0 if axis is None else canonical_axis(operator.index(axis), x.ndim)
    if size is None:
        known = concrete("unique", x, "give size.")
        found: Any = np.unique(known, True, True, True, axis=axis, equal_nan=equal_nan)
        values, index, inverse, counts = found
        inverse = inverse.reshape(x.shape) if flat else inverse.reshape(-1)
        outs = [array(values), *(array(v, dtype=int) for v in (index, inverse, counts))]
    else:
        outs = _unique_padded(x, flat, along, equal_nan, operator.index(size), fill_value)
    wanted = [True, return_index, return_inverse, return_counts]
    chosen = tuple(v for v, w in zip(outs, wanted, strict=True) if w)
    return chosen[0] if len(chosen) == 1 else chosen


def _unique_padded(
    x: Any, flat: bool, axis: int, equal_nan: bool, size: int, fill_value: Any
) -> list[Any]:
    """Values, first indices, inverse and counts, with `size` values."""
    from .manipulation import moveaxis

    rows = x.reshape((-1, 1)) if flat else moveaxis(x, axis, 0).reshape((x.shape[axis], -1))
    count = rows.shape[0]
    if not count and size and fill_value is None:
        raise ValueError(
            f"unique of an array of shape {x.shape} has no values for size={size}.\n"
            f"  {user_line()}\n  Give fill_value."
        )
    if rows.shape[1] < 2:
        # Rows without elements are all equal: any order of them will do.
        order = argsort(rows[:, 0]) if rows.shape[1] else arange(count)
    else:
        order = lexsort(list(rows.T[::-1]))
    ordered = rows[order]
    differs = ordered[1:] != ordered[:-1]
    if equal_nan and dtype_of(x).kind not in "biu":
        differs = differs & ~(isnan(ordered[1:]) & isnan(ordered[:-1]))
    first = full((min(1, count),), True, bool)
    starts = concatenate([first, differs.any(axis=1)]) if count else first
    # One more than is returned: where the last one ends.
    (bounds,) = nonzero(starts, size=size + 1, fill_value=count)
    at = bounds[:-1]
    exists = at < count
    if count:
        values = ordered[at.clip(0, count - 1)]
        filler = ordered[:1] if fill_value is None else asarray(fill_value).astype(x.dtype)
        values = where(exists.reshape((-1, 1)), values, filler)
        index = order[where(exists, at, 0)]
    else:
        values = full((size, rows.shape[1]), 0 if fill_value is None else fill_value, x.dtype)
        index = full((size,), 0, int)
    group = cumsum(starts.astype(int)) - 1
    inverse = full((count,), 0, int).at[order].set(group, unique_indices=True)
    counts = where(exists, bounds[1:] - at, 0)
    if flat:
        return [values.reshape(-1), index, inverse.reshape(x.shape), counts]
    moved = (size, *x.shape[:axis], *x.shape[axis + 1 :])
    return [moveaxis(values.reshape(moved), 0, axis), index, inverse, counts]


def unique_all(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    size: int | None = None,
    fill_value: Shaped[ArrayLike, ""] | None = None,
) -> UniqueAll:
    """Unique values with indices, inverse and counts; arguments as in `unique`."""
    return UniqueAll(
        *unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_counts(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    size: int | None = None,
    fill_value: Shaped[ArrayLike, ""] | None = None,
) -> UniqueCounts:
    """Unique values with counts; arguments as in `unique`."""
    found = unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueCounts(*found)


def unique_inverse(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    size: int | None = None,
    fill_value: Shaped[ArrayLike, ""] | None = None,
) -> UniqueInverse:
    """Unique values with the inverse; arguments as in `unique`."""
    found = unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueInverse(*found)


def unique_values(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    size: int | None = None,
    fill_value: Shaped[ArrayLike, ""] | None = None,
) -> Array:
    """Unique values; arguments as in `unique`."""
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def union1d(
    ar1: Shaped[ArrayLike, "..."],
    ar2: Shaped[ArrayLike, "..."],
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Array:
    """The values that occur in either array, ascending."""
    check_arraylike("union1d", ar1, ar2)
    both = concatenate([to_array(ar1).reshape(-1), to_array(ar2).reshape(-1)])
    return unique(both, size=size, fill_value=fill_value)


def _pair(name: str, ar1: Any, ar2: Any, size: int | None) -> tuple[Any, Any]:
    """Two arrays as vectors of one dtype; without a size they have to be concrete."""
    check_arraylike(name, ar1, ar2)
    a, b = (to_array(v).reshape(-1) for v in promote_dtypes(ar1, ar2))
    if size is None:
        for v in (a, b):
            concrete(name, v, "give size.")
    return a, b


def _marked(values: Any, chosen: Any, size: int | None, fill: Any) -> tuple[Any, Any]:
    """The chosen values, then the filler up to the size; and the places they were at."""
    if size is None:
        (at,) = nonzero(chosen)
        return values[at], at
    (at,) = nonzero(chosen, size=size, fill_value=0)
    exists = arange(operator.index(size)) < chosen.sum()
    return where(exists, values[at] if values.shape[0] else zeros(size, values.dtype), fill), at


def _filler(fill_value: Any, default: Any, dtype: Any) -> Any:
    return (default if fill_value is None else asarray(fill_value)).astype(dtype)


def _firsts(x: Any, assume_unique: bool) -> tuple[Any, Any]:
    """The indices that sort, and whether each sorted element is the first of its equals."""
    order = argsort(x)
    ordered = x[order]
    if assume_unique or not x.shape[0]:
        return order, full(x.shape, True)
    return order, concatenate([full((1,), True, bool), ordered[1:] != ordered[:-1]])


def intersect1d(
    ar1: Shaped[ArrayLike, "..."],
    ar2: Shaped[ArrayLike, "..."],
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The values that occur in both arrays, ascending.

    Args:
        assume_unique: no array has a value twice.
        return_indices: return (values, where they first occur in ar1, the same in ar2).
        size: how many to return, needed when an array is traced.
        fill_value: what stands where there are fewer; the least one by default.
    """
    a, b = _pair("intersect1d", ar1, ar2, size)
    order, first = _firsts(a, assume_unique)
    ordered = a[order]
    chosen = first & isin(ordered, b)
    values, at = _marked(ordered, chosen, size, 0)
    exists = arange(values.shape[0]) < chosen.sum()
    if size is not None and values.shape[0]:
        values = where(exists, values, _filler(fill_value, values[0], values.dtype))
    if not return_indices:
        return values
    inverse = argsort(b)
    there = searchsorted(b[inverse], values).clip(0, max(b.shape[0] - 1, 0))
    if not b.shape[0] or not a.shape[0]:
        return values, full(values.shape, a.shape[0], int), full(values.shape, b.shape[0], int)
    left, right = order[at], inverse[there]
    if size is not None:
        left, right = where(exists, left, a.shape[0]), where(exists, right, b.shape[0])
    return values, left, right


def setdiff1d(
    ar1: Shaped[ArrayLike, "..."],
    ar2: Shaped[ArrayLike, "..."],
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Array:
    """The values of the first array that the second has not, ascending.

    Args:
        assume_unique: no array has a value twice; the order of the first is kept then.
        size: how many to return, needed when an array is traced.
        fill_value: what stands where there are fewer; 0 by default.
    """
    a, b = _pair("setdiff1d", ar1, ar2, size)
    a = a.astype(dtype_of(ar1))
    first = full(a.shape, True)
    if not assume_unique:
        order, first = _firsts(a, False)
        a = a[order]
    chosen = first & ~isin(a, b)
    return _marked(a, chosen, size, _filler(fill_value, array(0), a.dtype))[0]


def setxor1d(
    ar1: Shaped[ArrayLike, "..."],
    ar2: Shaped[ArrayLike, "..."],
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Array:
    """The values that occur in just one of the arrays, ascending; arguments as in `intersect1d`."""
    a, b = _pair("setxor1d", ar1, ar2, size)
    both = concatenate([a, b])
    ordered = both[argsort(both)]
    _, first = _firsts(ordered, False)
    chosen = first & ~(isin(ordered, a) & isin(ordered, b))
    values, _ = _marked(ordered, chosen, size, 0)
    if size is None or not values.shape[0]:
        return values
    exists = arange(values.shape[0]) < chosen.sum()
    return where(exists, values, _filler(fill_value, values[0], values.dtype))
