"""How values are spread: histograms of one or more variables, covariance, correlation."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.trace import value_of
from ..typing import Array, ArrayLike, DTypeLike
from . import reductions
from .contraction import dot
from .creation import array, full
from .joining import concatenate, stack
from .promotion import (
    check_arraylike,
    is_sequence,
    promote_dtypes_inexact,
    requested_dtype,
    shape_of,
    to_array,
)
from .ranges import ix_, linspace
from .search import bincount, searchsorted
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


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
        return to_array(bins).astype(x.dtype)
    low, high = (x.min(), x.max()) if range is None else map(to_array, range)
    flat = low == high
    low, high = where(flat, low - 0.5, low), where(flat, high + 0.5, high)
    return linspace(low, high, operator.index(value_of(bins)) + 1, dtype=x.dtype)


@planned
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


def _samples(sample: Any, weights: Any) -> tuple[Any, Any]:
    """Points in rows, as floats, with their weights."""
    given = [sample] if weights is None else [sample, weights]
    check_arraylike("histogramdd", *given)
    values = [to_array(v) for v in promote_dtypes_inexact(*given)]
    if values[0].ndim != 2:
        raise ValueError(f"sample must have a row for each point, got shape {values[0].shape}.")
    if weights is not None and values[1].shape != values[0].shape[:1]:
        raise ValueError(
            f"should have one weight for each sample: got {values[1].shape} for {values[0].shape}."
        )
    return values[0], None if weights is None else values[1]


def histogramdd(
    sample: Shaped[ArrayLike, "n d"],
    bins: Any = 10,
    range: Sequence[Any] | None = None,
    weights: Shaped[ArrayLike, "n"] | None = None,
    density: bool | None = None,
) -> tuple[Array, list[Array]]:
    """How many points fall in each bin of a grid, and the edges of the bins along each axis.

    Args:
        bins: their number along all axes, or for each axis the number or the edges.
        range: for each axis where the first bin begins and the last ends, or None.
        weights: what each point counts for.
        density: divide by the total and by the volumes, so that the integral is 1.
    Raises:
        ValueError: the numbers of bins, ranges or weights do not fit the sample.
    """
    points, share = _samples(sample, weights)
    rank = points.shape[1]
    if range is not None and (
        len(range) != rank or any(r is not None and len(r) != 2 for r in range)
    ):
        raise ValueError(f"range must be a sequence of {rank} pairs or Nones, got {range!r}.")
    per_axis: list[Any] = list(bins) if is_sequence(bins) or shape_of(bins) else [bins] * rank
    if len(per_axis) != rank:
        raise ValueError(f"should be a bin for each dimension: got {len(per_axis)} for {rank}.")
    edges: list[Any] = []
    place, inside = full((points.shape[0],), 0, int), full((points.shape[0],), True)
    for i, given in enumerate(per_axis):
        column = points[:, i]
        line = histogram_bin_edges(column, given, None if range is None else range[i])
        # The last bin includes its right edge.
        at = searchsorted(line, column, side="right") - 1
        at = where(column == line[-1], line.shape[0] - 2, at)
        inside = inside & (column >= line[0]) & (column <= line[-1])
        place = place * (line.shape[0] - 1) + at
        edges.append(line)
    shape = tuple(line.shape[0] - 1 for line in edges)
    size = math.prod(shape)
    counts = bincount(where(inside, place, size), share, length=size).reshape(shape)
    if density:
        counts = counts.astype(points.dtype)
        counts = counts / counts.sum()
        for widths in ix_(*[line[1:] - line[:-1] for line in edges]):
            counts = counts / widths
    return counts, edges


def histogram2d(
    x: Shaped[ArrayLike, "n"],
    y: Shaped[ArrayLike, "n"],
    bins: Any = 10,
    range: Sequence[Any] | None = None,
    weights: Shaped[ArrayLike, "n"] | None = None,
    density: bool | None = None,
) -> tuple[Array, Array, Array]:
    """How many points (x, y) fall in each bin of a grid, and its edges along either axis.

    Args:
        bins: a number, the edges for both axes, or two of either; else as in `histogramdd`.
    """
    check_arraylike("histogram2d", x, y)
    if is_sequence(bins) or shape_of(bins):
        # Two entries are one for each axis; more are edges for both.
        bins = bins if len(bins) <= 2 else [array(bins)] * 2
    counts, edges = histogramdd(stack([to_array(x), to_array(y)], 1), bins, range, weights, density)
    return counts, edges[0], edges[1]


@planned
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
    if not parts[0].shape[0]:
        return full((0, 0), 0, parts[0].dtype)
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
        norm = x.shape[1] - ddof if x.shape[1] else math.nan
    elif ddof == 0:
        norm = total
    elif aweights is None:
        norm = total - ddof
    else:
        norm = total - ddof * (weights * to_array(aweights)).sum() / total
    centred = x - mean.reshape((-1, 1))
    scaled = centred if weights is None else centred * weights
    return (dot(scaled, centred.T.conj()) / norm).squeeze()


@planned
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
