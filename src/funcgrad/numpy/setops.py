"""Sets of values: unique, and unions, intersections and differences of arrays.

The size of a result depends on values: without `size`, arrays must be concrete.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ir.avals import canonical_axis
from ..typing import Array, ArrayLike
from .creation import array, asarray, full
from .cumulation import cumsum
from .joining import concatenate
from .logic import isnan
from .promotion import check_arraylike, dtype_of, promote_dtypes, to_array
from .search import concrete, nonzero
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
    order = argsort(rows[:, 0]) if rows.shape[1] == 1 else lexsort(list(rows.T[::-1]))
    ordered = rows[order]
    differs = ordered[1:] != ordered[:-1]
    if equal_nan and dtype_of(x).kind not in "biu":
        differs = differs & ~(isnan(ordered[1:]) & isnan(ordered[:-1]))
    first = full((min(1, count),), True, bool)
    starts = concatenate([first, differs.any(axis=1)]) if count else first
    (at,) = nonzero(starts, size=size, fill_value=count)
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
    ends = concatenate([at[1:], full((1,), count, int)]) if size else at
    counts = where(exists, ends - at, 0)
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


def _concrete_pair(name: str, ar1: Any, ar2: Any) -> tuple[Any, Any]:
    check_arraylike(name, ar1, ar2)
    a, b = promote_dtypes(ar1, ar2)
    remedy = "use isin with where."
    return concrete(name, a, remedy), concrete(name, b, remedy)


def intersect1d(
    ar1: Shaped[ArrayLike, "..."], ar2: Shaped[ArrayLike, "..."], assume_unique: bool = False
) -> Array:
    """The values that occur in both arrays, ascending; concrete arrays only."""
    a, b = _concrete_pair("intersect1d", ar1, ar2)
    return array(np.intersect1d(a, b, assume_unique))


def setdiff1d(
    ar1: Shaped[ArrayLike, "..."], ar2: Shaped[ArrayLike, "..."], assume_unique: bool = False
) -> Array:
    """The values of the first array that the second has not, ascending; concrete arrays only."""
    a, b = _concrete_pair("setdiff1d", ar1, ar2)
    return array(np.setdiff1d(a, b, assume_unique))


def setxor1d(
    ar1: Shaped[ArrayLike, "..."], ar2: Shaped[ArrayLike, "..."], assume_unique: bool = False
) -> Array:
    """The values that occur in just one of the arrays, ascending; concrete arrays only."""
    a, b = _concrete_pair("setxor1d", ar1, ar2)
    return array(np.setxor1d(a, b, assume_unique))
