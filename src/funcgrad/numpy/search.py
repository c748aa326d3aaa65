"""Finding elements: nonzero, argwhere, unique, searchsorted, digitize, bincount, interp.

Results whose size depends on values need concrete arrays, or a `size`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.trace import Tracer, value_of
from ..errors import ConcretizationTypeError
from ..ir import dtypes
from ..primitives.rounding import stop_gradient
from ..typing import Array, ArrayLike, DTypeLike
from .creation import array, full
from .cumulation import cumsum
from .indexing import take
from .promotion import (
    check_arraylike,
    dtype_of,
    promote_dtypes,
    promote_dtypes_inexact,
    requested_dtype,
    shape_of,
    to_array,
)
from .ranges import arange
from .reductions import any as any_of
from .selection import as_mask, where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def concrete(name: str, x: Any, remedy: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The NumPy array of a concrete value.

    Raises:
        ConcretizationTypeError: the value is traced.
    """
    known = value_of(x)
    if isinstance(known, Tracer):
        raise ConcretizationTypeError(known, f"The result of {name} depends on values: {remedy}")
    return np.asarray(known)


def nonzero(
    a: Shaped[ArrayLike, "..."], *, size: int | None = None, fill_value: Any = None
) -> tuple[Array, ...]:
    """The indices of the elements that are not zero, one array for each axis.

    Args:
        size: how many to return, needed when `a` is traced; what is over is left out.
        fill_value: what stands where there are fewer; 0 by default, or one for each axis.
    Raises:
        ConcretizationTypeError: `a` is traced and size is not given.
        ValueError: `a` has no axis.
    """
    check_arraylike("nonzero", a)
    x = to_array(a)
    if not x.ndim:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use atleast_1d first.")
    if size is None:
        mask = concrete("nonzero", x, "give size.")
        return tuple(array(found, dtype=int) for found in np.nonzero(mask))
    given: Any = fill_value
    fills: Any = given if type(fill_value) is tuple else (fill_value,) * x.ndim
    if len(fills) != x.ndim:
        raise ValueError(f"fill_value has {len(fills)} entries for an array of {x.ndim} axes.")
    fills = tuple(0 if f is None else f for f in fills)
    mask = as_mask(x).reshape(-1)
    if not mask.size or not size:
        return tuple(full((size,), f, int) for f in fills)
    # The n-th index is the number of positions with at most n true elements up to them.
    so_far, count = cumsum(mask.astype(int)), operator.index(size)
    if 0 < count * mask.size.bit_length() < mask.size:
        # Few are sooner looked for.
        positions = searchsorted(so_far, arange(1, count + 1)).astype(so_far.dtype)
    else:
        positions = cumsum(bincount(so_far, length=count))
    exists = arange(size) < so_far[-1]
    result: list[Any] = []
    for axis, fill in enumerate(fills):
        stride = math.prod(x.shape[axis + 1 :])
        index = (positions // stride) % x.shape[axis]
        result.append(where(exists, index, fill).astype(index.dtype))
    return tuple(result)


def argwhere(
    a: Shaped[ArrayLike, "..."], *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The indices of the elements that are not zero, one in each row."""
    from .joining import stack
    from .manipulation import atleast_1d

    check_arraylike("argwhere", a)
    found = nonzero(atleast_1d(a), size=size, fill_value=fill_value)
    rank = len(shape_of(a))
    return stack(found, axis=1) if rank else full((found[0].shape[0], 0), 0, int)


def flatnonzero(
    a: Shaped[ArrayLike, "..."], *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The indices into the raveled array of the elements that are not zero."""
    check_arraylike("flatnonzero", a)
    return nonzero(to_array(a).reshape(-1), size=size, fill_value=fill_value)[0]


@planned
def bincount(
    x: Shaped[ArrayLike, "n"],
    weights: Shaped[ArrayLike, "n"] | None = None,
    minlength: int = 0,
    *,
    length: int | None = None,
) -> Array:
    """How often each of 0, 1, ... occurs, or the sum of its weights; negative values count as 0.

    Args:
        length: extent of the result, needed when x is traced; greater values are left out.
    Raises:
        TypeError: x is not made of integers.
        ValueError: x is not one-dimensional.
    """
    check_arraylike("bincount", x)
    value = to_array(x)
    if value.dtype.kind not in "biu":
        raise TypeError(f"x argument to bincount must have an integer type; got {value.dtype}.")
    if value.ndim != 1:
        raise ValueError(f"only 1-dimensional input supported, got shape {value.shape}.")
    if length is None:
        known = concrete("bincount", value, "give length.")
        needed = max(0, int(known.max())) + 1 if known.size else 0
        length = max(operator.index(minlength), needed)
    count: Any = 1 if weights is None else to_array(weights)
    dtype = np.int64 if weights is None else dtype_of(count)
    zeros = full((length,), 0, dtypes.canonicalize_dtype(dtype))
    return zeros.at[value.clip(0, None)].add(count, mode="drop")


@planned
def searchsorted(
    a: Shaped[ArrayLike, "n"],
    v: Shaped[ArrayLike, "..."],
    side: str = "left",
    sorter: Shaped[ArrayLike, "n"] | None = None,
    *,
    method: str = "scan",
) -> Array:
    """Where to insert values into an ascending vector to keep it ascending.

    Args:
        side: "left" puts equal values after, "right" before the insertion point.
        sorter: indices that sort `a`.
        method: accepted for compatibility; the search is by halving.
    Raises:
        ValueError: another side or method, or `a` is not one-dimensional.
    """
    check_arraylike("searchsorted", a, v)
    if side not in ("left", "right"):
        raise ValueError(f"{side!r} is an invalid value for keyword 'side'. Give left or right.")
    if method not in ("scan", "scan_unrolled", "sort", "compare_all"):
        raise ValueError(f"{method!r} is an invalid value for keyword 'method'.")
    line, values = map(to_array, promote_dtypes(a, v))
    if line.ndim != 1:
        raise ValueError(f"a should be 1-dimensional, got shape {line.shape}.")
    if sorter is not None:
        line = line[to_array(sorter)]
    size = line.shape[0]
    low = full(values.shape, 0, int)
    if not size:
        return low
    # Invariant: elements before low go before the value, elements from high on after it.
    high = full(values.shape, size, int)
    line, values = stop_gradient(line), stop_gradient(values)

    def halve(_: Any, bounds: tuple[Any, Any]) -> tuple[Any, Any]:
        lower, upper = bounds
        middle = lower + ((upper - lower) >> 1)
        probe = take(line, middle, mode="clip")
        before = _sorts_before(probe, values, side == "right") & (lower < upper)
        return where(before, middle + 1, lower), where(before, upper, middle)

    from ..control.loops import fori_loop

    return fori_loop(0, size.bit_length(), halve, (low, high))[0]


def ascends(line: Any) -> bool:
    """Whether each of the numbers of a vector, which are not traced, exceeds the one before."""
    known: Any = np.asarray(line)
    return bool((known[1:] > known[:-1]).all())


def _sorts_before(x: Any, y: Any, or_equal: bool) -> Any:
    """Whether x stands before y in an ascending array, NaN being last."""
    from .logic import greater, isnan, less

    if not dtypes.issubdtype(dtype_of(x), np.inexact):
        return ~greater(x, y) if or_equal else less(x, y)
    if or_equal:
        return isnan(y) | ~(greater(x, y) | isnan(x))
    return less(x, y) | (isnan(y) & ~isnan(x))


@planned
def digitize(
    x: Shaped[ArrayLike, "..."],
    bins: Shaped[ArrayLike, "edges"],
    right: bool = False,
    *,
    method: str | None = None,
) -> Array:
    """The bin each value falls in, for ascending or descending edges.

    Args:
        right: whether an edge belongs to the bin on its left.
        method: accepted for compatibility; the search is by halving.
    Returns:
        Integers of the shape of x: 0 before the first edge, len(bins) behind the last.
    Raises:
        ValueError: the bins are no vector.
    """
    check_arraylike("digitize", x, bins)
    edges = to_array(bins)
    if edges.ndim != 1:
        raise ValueError(f"digitize: bins must be a 1-dimensional array; got shape {edges.shape}.")
    side = "left" if right else "right"
    if edges.shape[0] < 2:
        return searchsorted(edges, x, side)
    other = "right" if right else "left"
    ascending = searchsorted(edges, x, side)
    descending = edges.shape[0] - searchsorted(edges[::-1], x, other)
    return where(edges[-1] >= edges[0], ascending, descending)


@planned
def interp(
    x: Shaped[ArrayLike, "..."],
    xp: Shaped[ArrayLike, "n"],
    fp: Shaped[ArrayLike, "n"],
    left: Shaped[ArrayLike, ""] | str | None = None,
    right: Shaped[ArrayLike, ""] | str | None = None,
    period: Shaped[ArrayLike, ""] | None = None,
) -> Array:
    """Values of the piecewise linear function through the points (xp, fp), xp ascending.

    Args:
        left, right: values beyond the ends; by default those of the ends, "extrapolate" goes on.
        period: period of x; then left and right are not used.
    Raises:
        ValueError: xp and fp are not vectors of one length.
    """
    check_arraylike("interp", x, xp, fp)
    if len(shape_of(xp)) != 1 or shape_of(xp) != shape_of(fp):
        raise ValueError(
            f"xp and fp must be one-dimensional arrays of equal size, got {shape_of(xp)} and "
            f"{shape_of(fp)}."
        )
    at, nodes = map(to_array, promote_dtypes_inexact(x, xp))
    (values,) = map(to_array, promote_dtypes_inexact(fp))
    if period is not None:
        at, nodes, values = _unrolled(at, nodes, values, to_array(period))
    size = nodes.shape[0]
    upper = searchsorted(nodes, at, side="right").clip(1, max(size - 1, 1))
    f_low, f_high = values[upper - 1], values[upper]
    x_low, x_high = nodes[upper - 1], nodes[upper]
    gap = x_high - x_low
    empty = gap == 0
    slope_safe = where(empty, 1, gap)
    result = where(empty, f_low, f_low + (at - x_low) / slope_safe * (f_high - f_low))
    if period is not None:
        return result
    for side in (left, right):
        if isinstance(side, str) and side != "extrapolate":
            raise ValueError(f"interp takes 'extrapolate' as the only text, got {side!r}.")
    if not isinstance(left, str):
        result = where(at < nodes[0], values[0] if left is None else left, result)
    if not isinstance(right, str):
        result = where(at > nodes[-1], values[-1] if right is None else right, result)
    return result


def _unrolled(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """One period of the nodes in ascending order, with a neighbour at either end."""
    from .joining import concatenate
    from .sorting import argsort

    period = abs(period)
    x, xp = x % period, xp % period
    order = argsort(xp)
    xp, fp = xp[order], fp[order]
    xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, concatenate([fp[-1:], fp, fp[:1]])


def unravel_index(indices: Shaped[ArrayLike, "..."], shape: Any) -> tuple[Array, ...]:
    """The index into a shape that goes with each index into the raveled array."""
    check_arraylike("unravel_index", indices)
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    rest = to_array(indices)
    total = math.prod(extents)
    rest = where(rest < 0, rest + total, rest).clip(0, max(total - 1, 0))
    result: list[Any] = []
    for n in reversed(extents):
        result.append(rest % n)
        rest = rest // n
    return tuple(reversed(result))


def ravel_multi_index(
    multi_index: Sequence[Shaped[ArrayLike, "*#shape"]] | Shaped[ArrayLike, "axes ..."],
    dims: Any,
    mode: str = "raise",
    order: str = "C",
    *,
    dtype: DTypeLike | None = None,
) -> Array:
    """The index into the raveled array that goes with an index into a shape.

    Args:
        mode: of an index out of range: "raise", "clip", "wrap", or "ignore", which computes on.
        dtype: of the result; one that can hold the default int by default.
    Raises:
        ValueError: mode="raise" and an index is out of range, another order, or a dtype that is
            too narrow.
        TypeError: an index is not an integer.
    """
    if len(multi_index) != len(dims):
        raise ValueError(f"len(multi_index)={len(multi_index)} != len(dims)={len(dims)}.")
    parts = [to_array(i) for i in multi_index]
    if any(dtype_of(p).kind not in "iu" for p in parts):
        raise TypeError("only int indices permitted in ravel_multi_index.")
    wanted = requested_dtype(dtype, "ravel_multi_index")
    if wanted is None:
        wanted = dtypes.result_type(int, *parts)
    if wanted.kind not in "iu" or math.prod(dims) - 1 > dtypes.iinfo(wanted).max:
        raise ValueError(
            f"ravel_multi_index: {wanted.name} cannot hold the indices of {tuple(dims)}. "
            "Give a wider integer dtype."
        )
    if mode == "raise":
        for part, n in zip(parts, dims, strict=True):
            known = concrete("ravel_multi_index", part, "use mode='clip' or 'wrap'.")
            if known.size and (known.min() < 0 or known.max() >= n):
                raise ValueError("invalid entry in coordinates array.")
    elif mode == "clip":
        parts = [p.clip(0, n - 1) for p, n in zip(parts, dims, strict=True)]
    elif mode == "wrap":
        parts = [p % n for p, n in zip(parts, dims, strict=True)]
    elif mode != "ignore":
        raise ValueError(f"invalid mode={mode!r}. Expected 'raise', 'wrap', 'clip', or 'ignore'.")
    pairs = list(zip(parts, dims, strict=True))
    if order not in ("C", "F"):
        raise ValueError(f"invalid order={order!r}. Expected 'C' or 'F'.")
    result: Any = array(0, dtype=wanted)
    for part, n in pairs if order == "C" else reversed(pairs):
        result = result * n + part.astype(wanted)
    return result


@planned
def isin(
    element: Shaped[ArrayLike, "..."],
    test_elements: Shaped[ArrayLike, "..."],
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Whether each element occurs among the test elements; NaN does not.

    Args:
        method: "compare_all" compares each pair, "binary_search" and "sort" sort the test elements
            and search; "auto" compares where there are few pairs.
    Raises:
        ValueError: another method.
    """
    check_arraylike("isin", element, test_elements)
    x, tests = map(to_array, promote_dtypes(element, test_elements))
    tests = tests.reshape(-1)
    if method not in ("auto", "compare_all", "binary_search", "sort"):
        raise ValueError(
            f"isin got method={method!r}. Give auto, compare_all, binary_search or sort."
        )
    compares = method == "auto" and (tests.size < 16 or x.size * tests.size < 4096)
    if compares or method == "compare_all" or not tests.size:
        found = any_of(x.reshape((*x.shape, 1)) == tests, axis=-1)
    else:
        from .sorting import sort

        ordered = sort(tests)
        found = x == take(ordered, searchsorted(ordered, x), mode="clip")
    return ~found if invert else found
