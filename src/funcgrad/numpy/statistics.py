"""Order statistics and moments: median, quantile, percentile, histogram, cov, corrcoef."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.trace import value_of
from ..primitives import sorting as ops
from ..typing import Array, ArrayLike, DTypeLike
from . import reductions
from .contraction import dot
from .creation import array
from .joining import concatenate
from .logic import isnan
from .promotion import (
    check_arraylike,
    promote_dtypes_inexact,
    requested_dtype,
    shape_of,
    to_array,
)
from .ranges import linspace
from .reductions import canonical_axes, refuse_out
from .search import searchsorted
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped

_methods = ("linear", "lower", "higher", "midpoint", "nearest")


def quantiles(
    a: Any, q: Any, axis: Any, method: str, keepdims: bool, skip_nan: bool = False
) -> Any:
    """Values below which the fractions q of the elements over axes lie.

    Source: Hyndman & Fan, Sample quantiles in statistical packages (1996), definition 7.
    """
    if method not in _methods:
        raise ValueError(f"method can only be {', '.join(_methods)}; got {method!r}.")
    (x,) = promote_dtypes_inexact(a)
    x, fraction = map(to_array, promote_dtypes_inexact(x, q))
    if fraction.ndim > 1:
        raise ValueError(f"q must have at most one axis, got shape {fraction.shape}.")
    axes = canonical_axes(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    lead = tuple(x.shape[i] for i in kept)
    rows = x.transpose((*kept, *axes)).reshape((*lead, -1))
    size = rows.shape[-1]
    if skip_nan:
        ordered = ops.sort(rows, rows.ndim - 1)
        count = (~isnan(rows)).sum(axis=-1, keepdims=True).astype(x.dtype)
    else:
        rows = where(isnan(rows).any(axis=-1, keepdims=True), float("nan"), rows)
        ordered, count = ops.sort(rows, rows.ndim - 1), float(size)
    # One column for each fraction, so that all are read from the sorted rows at once.
    place = fraction.reshape(-1) * (count - 1)
    below, above = _floor(place), _ceil(place)
    weight = place - below
    low, high = (_read(ordered, p, size) for p in (below, above))
    result = _between(method, low, high, weight)
    if skip_nan:
        result = where(count == 0, float("nan"), result)
    result = result.transpose((result.ndim - 1, *range(result.ndim - 1)))
    if keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        result = result.reshape((result.shape[0], *shape))
    return result if fraction.ndim else result[0]


def _floor(x: Any) -> Any:
    from .rounding import floor

    return floor(x)


def _ceil(x: Any) -> Any:
    from .rounding import ceil

    return ceil(x)


def _read(ordered: Any, place: Any, size: int) -> Any:
    from .indexing import take_along_axis
    from .manipulation import broadcast_to

    index = place.clip(0, max(size - 1, 0)).astype(np.int32)
    index = broadcast_to(index, (*ordered.shape[:-1], index.shape[-1]))
    return take_along_axis(ordered, index, axis=-1, mode="clip")


def _between(method: str, low: Any, high: Any, weight: Any) -> Any:
    if method == "lower":
        return low + 0 * weight
    if method == "higher":
        return high + 0 * weight
    if method == "midpoint":
        return (low + high) * 0.5 + 0 * weight
    if method == "nearest":
        return where(weight <= 0.5, low, high)
    return low * (1 - weight) + high * weight


def quantile(
    a: Shaped[ArrayLike, "..."],
    q: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    """Values below which the fractions q of the elements over axes lie.

    Args:
        q: fractions in [0, 1], a scalar or a vector; the result has its axis in front.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
    """
    check_arraylike("quantile", a, q)
    refuse_out("quantile", out)
    return quantiles(a, q, axis, method, keepdims)


def percentile(
    a: Shaped[ArrayLike, "..."],
    q: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    """Values below which q percent of the elements over axes lie; arguments as in `quantile`."""
    check_arraylike("percentile", a, q)
    refuse_out("percentile", out)
    (share,) = promote_dtypes_inexact(q)
    return quantiles(a, to_array(share) / 100, axis, method, keepdims)


def median(
    a: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """The middle element over axes, or the mean of the two in the middle; NaN if any is."""
    check_arraylike("median", a)
    refuse_out("median", out)
    return quantiles(a, 0.5, axis, "midpoint", keepdims)


def histogram_bin_edges(
    a: Shaped[ArrayLike, "*shape"],
    bins: Shaped[ArrayLike, ""] | Shaped[ArrayLike, "edges"] = 10,
    range: Sequence[Shaped[ArrayLike, ""]] | None = None,
    weights: Shaped[ArrayLike, "*shape"] | None = None,
) -> Array:
    """The edges of `bins` bins of equal width over the range, or the given edges.

    Raises:
        ValueError: the name of a rule as bins.
    """
    if isinstance(bins, str):
        raise ValueError("histogram does not take the name of a rule as bins. Give their number.")
    check_arraylike("histogram_bin_edges", a, bins)
    (x,) = map(to_array, promote_dtypes_inexact(a))
    if len(shape_of(bins)) == 1:
        return to_array(bins)
    low, high = (x.min(), x.max()) if range is None else map(to_array, range)
    flat = low == high
    low, high = where(flat, low - 0.5, low), where(flat, high + 0.5, high)
    return linspace(low, high, operator.index(value_of(bins)) + 1, dtype=x.dtype)


def histogram(
    a: Shaped[ArrayLike, "*shape"],
    bins: Shaped[ArrayLike, ""] | Shaped[ArrayLike, "edges"] = 10,
    range: Sequence[Shaped[ArrayLike, ""]] | None = None,
    weights: Shaped[ArrayLike, "*shape"] | None = None,
    density: bool | None = None,
) -> tuple[Array, Array]:
    """How many elements fall in each bin, and the edges of the bins.

    Args:
        bins: their number, or their edges.
        range: where the first begins and the last ends; the least and greatest element by default.
        weights: what each element counts for.
        density: divide by the total and by the widths, so that the integral is 1.
    """
    check_arraylike("histogram", a)
    (x,) = map(to_array, promote_dtypes_inexact(a))
    x = x.reshape(-1)
    edges = histogram_bin_edges(x, bins, range)
    count = edges.shape[0] - 1
    # The last bin includes its right edge.
    place = searchsorted(edges, x, side="right") - 1
    place = where(x == edges[-1], count - 1, place)
    inside = (x >= edges[0]) & (x <= edges[-1])
    share: Any = array(1.0).astype(x.dtype) if weights is None else to_array(weights).reshape(-1)
    share = where(inside, share, 0)
    counts = array(np.zeros(count)).astype(share.dtype).at[place.clip(0, count - 1)].add(share)
    if density:
        widths = edges[1:] - edges[:-1]
        counts = counts / widths / counts.sum()
    return counts, edges


def cov(
    m: Shaped[ArrayLike, "..."],
    y: Shaped[ArrayLike, "..."] | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Shaped[ArrayLike, "n"] | None = None,
    aweights: Shaped[ArrayLike, "n"] | None = None,
    dtype: DTypeLike | None = None,
) -> Array:
    """The covariance matrix of variables in rows (or columns, with rowvar=False).

    Args:
        y: more variables.
        bias: divide by N rather than N - 1; ddof says what to subtract instead.
        fweights: how often each observation counts.
        aweights: how much each observation counts.
    """
    from .manipulation import atleast_2d

    given = [m] if y is None else [m, y]
    check_arraylike("cov", *given)
    parts = [atleast_2d(v) for v in promote_dtypes_inexact(*given)]
    wanted = requested_dtype(dtype, "cov")
    if wanted is not None:
        parts = [p.astype(wanted) for p in parts]
    if not rowvar:
        parts = [p.T if len(shape_of(v)) != 1 else p for p, v in zip(parts, given, strict=True)]
    x = concatenate(parts, axis=0)
    if ddof is None:
        ddof = 0 if bias else 1
    weights: Any = None
    for w in (fweights, aweights):
        if w is not None:
            weights = to_array(w) if weights is None else weights * to_array(w)
    mean, total = reductions.average(x, axis=1, weights=weights, returned=True)
    total = total[0]
    if weights is None:
        norm = x.shape[1] - ddof
    elif ddof == 0:
        norm = total
    elif aweights is None:
        norm = total - ddof
    else:
        norm = total - ddof * (weights * to_array(aweights)).sum() / total
    centred = x - mean.reshape((-1, 1))
    scaled = centred if weights is None else centred * weights
    return (dot(scaled, centred.T.conj()) / norm).squeeze()


def corrcoef(
    x: Shaped[ArrayLike, "..."],
    y: Shaped[ArrayLike, "..."] | None = None,
    rowvar: bool = True,
    dtype: DTypeLike | None = None,
) -> Array:
    """The correlation coefficients of variables in rows (or columns, with rowvar=False)."""
    from .arithmetic import sqrt

    matrix = cov(x, y, rowvar, dtype=dtype)
    if not matrix.ndim:
        return matrix / matrix
    deviation = sqrt(matrix.diagonal().real)
    matrix = matrix / deviation.reshape((-1, 1)) / deviation.reshape((1, -1))
    if matrix.dtype.kind == "c":
        from ..primitives.complexes import complex

        return complex(matrix.real.clip(-1, 1), matrix.imag.clip(-1, 1))
    return matrix.clip(-1, 1)
