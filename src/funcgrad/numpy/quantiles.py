"""Order statistics: quantile, percentile, median, by every method of NumPy, with weights.

The one idea: a method says at which place among the sorted elements a fraction lies, and how the
value between two neighbours is made.
Source: Hyndman & Fan, Sample quantiles in statistical packages, American Statistician 50 (1996).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..primitives import sorting as ops
from ..typing import Array, ArrayLike
from .cumulation import cumsum
from .indexing import take_along_axis
from .logic import isnan
from .manipulation import broadcast_to
from .promotion import check_arraylike, dtype_of, promote_dtypes_inexact, to_array
from .reductions import canonical_axes, refuse_out
from .rounding import ceil, floor
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped

# A fraction q of n elements lies at n q + a + q (1 - a - b) - 1, counted from 0, for these a, b.
_continuous = {
    "linear": (1.0, 1.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1.0 / 3.0, 1.0 / 3.0),
    "normal_unbiased": (0.375, 0.375),
}
_neighbours = ("lower", "higher", "midpoint", "nearest")
_steps = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation")
_methods = ("linear", *_neighbours, *_steps, *list(_continuous)[1:])


def _place(method: str, fraction: Any, count: Any) -> Any:
    """Where the fractions lie among `count` sorted elements, from 0; not always a whole number."""
    if method in _neighbours:
        return fraction * (count - 1)
    if method in _continuous:
        a, b = _continuous[method]
        if a == b == 1.0:
            return fraction * (count - 1)
        return count * fraction + (a + fraction * (1.0 - a - b)) - 1.0
    return count * fraction - (1.5 if method == "closest_observation" else 1.0)


def _between(method: str, low: Any, high: Any, weight: Any, below: Any) -> Any:
    """The value between two neighbours; `weight` is how far the place is above `below`."""
    if method == "lower":
        return low + 0 * weight
    if method == "higher":
        return high + 0 * weight
    if method == "midpoint":
        return (low + high) * 0.5 + 0 * weight
    if method == "nearest":
        return where(weight <= 0.5, low, high)
    if method == "inverted_cdf":
        return where(weight == 0, low, high)
    if method == "averaged_inverted_cdf":
        return where(weight == 0, (low + high) * 0.5, high)
    if method == "closest_observation":
        return where((weight == 0) & (below % 2 == 1), low, high)
    return low * (1 - weight) + high * weight


def _read(ordered: Any, place: Any) -> Any:
    """The elements at places along the last axis; beyond the ends, those at the ends."""
    size = ordered.shape[-1]
    index = place.clip(0, max(size - 1, 0)).astype(np.int32)
    index = broadcast_to(index, (*ordered.shape[:-1], index.shape[-1]))
    return take_along_axis(ordered, index, axis=-1, mode="clip")


def _rows(x: Any, axes: tuple[int, ...]) -> Any:
    """The array with the axes joined into one at the end."""
    kept = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[i] for i in axes)
    return x.transpose((*kept, *axes)).reshape((*(x.shape[i] for i in kept), count))


def _weights_like(x: Any, weights: Any, axis: Any, axes: tuple[int, ...], method: str) -> Any:
    """The weights in the shape of x."""
    if method != "inverted_cdf":
        raise ValueError(
            f"method {method!r} doesn't support weights. Only method 'inverted_cdf' does."
        )
    if dtype_of(weights).kind == "c":
        raise ValueError("Weights cannot be complex types.")
    w = to_array(weights)
    if w.shape == x.shape:
        return w
    if axis is None or w.shape != tuple(x.shape[i] for i in axes):
        raise ValueError(
            f"Weights of shape {w.shape} must have the shape of the array, {x.shape}, or of its "
            "axes to reduce."
        )
    from ..primitives.broadcasting import broadcast_in_dim

    return broadcast_in_dim(w, x.shape, axes)


def quantiles(
    a: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: bool,
    skip_nan: bool = False,
    weights: Any = None,
) -> Any:
    """Values below which the fractions q of the elements over axes lie."""
    if method not in _methods:
        raise ValueError(f"method can only be {', '.join(_methods)}; got {method!r}.")
    (x,) = promote_dtypes_inexact(a)
    dtype = dtype_of(x)
    if dtype.kind == "c":
        raise ValueError("quantile does not support complex input: it is not ordered.")
    x, fraction = map(to_array, promote_dtypes_inexact(x, q))
    if fraction.ndim > 1:
        raise ValueError(f"q must have at most one axis, got shape {fraction.shape}.")
    axes = canonical_axes(axis, x.ndim)
    if not all(x.shape[i] for i in axes):
        raise TypeError(
            f"A quantile needs an element: shape {x.shape} has none over the axes {axes}.\n"
            f"  {user_line()}"
        )
    rows = _rows(x, axes)
    flat = fraction.reshape(-1)
    if weights is None:
        result = _unweighted(rows, flat, method, skip_nan)
    else:
        w = _weights_like(x, weights, axis, axes, method).astype(x.dtype)
        result = _weighted(rows, _rows(w, axes), flat, skip_nan)
    result = result.transpose((result.ndim - 1, *range(result.ndim - 1))).astype(dtype)
    if keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        result = result.reshape((result.shape[0], *shape))
    return result if fraction.ndim else result[0]


def _unweighted(rows: Any, fraction: Any, method: str, skip_nan: bool) -> Any:
    """One column for each fraction, so that all are read from the sorted rows at once."""
    missing = isnan(rows)
    if skip_nan:
        count = (~missing).sum(axis=-1, keepdims=True).astype(rows.dtype)
    else:
        rows = where(missing.any(axis=-1, keepdims=True), float("nan"), rows)
        count = float(rows.shape[-1])
    ordered = ops.sort(rows, rows.ndim - 1)
    place = _place(method, fraction, count)
    if method not in _steps:
        place = place.clip(0, count - 1 if skip_nan else max(count - 1, 0))
    below = floor(place)
    above = ceil(place) if method in _neighbours else (below + 1).clip(0, count - 1)
    low, high = _read(ordered, below), _read(ordered, above)
    result = _between(method, low, high, place - below, below)
    return where(count == 0, float("nan"), result) if skip_nan else result


def _weighted(rows: Any, weights: Any, fraction: Any, skip_nan: bool) -> Any:
    """The first elements at which the running sums of weights reach the fractions of the total."""
    missing = isnan(rows)
    bad = (weights < 0) | isnan(weights)
    rows, weights = ops.sort_key_val(rows, weights, rows.ndim - 1)
    usable = where(isnan(rows) | (weights < 0) | isnan(weights), 0, weights)
    running = cumsum(usable, axis=-1)
    target = fraction * running[..., -1:]
    place = (running[..., None, :] < target[..., None]).sum(axis=-1)
    result = _read(rows, place.clip(0, (~missing).sum(axis=-1, keepdims=True) - 1))
    undefined = missing.all(axis=-1, keepdims=True) if skip_nan else missing.any(-1, keepdims=True)
    return where(undefined | bad.any(axis=-1, keepdims=True), float("nan"), result)


@planned
def quantile(
    a: Shaped[ArrayLike, "..."],
    q: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """Values below which the fractions q of the elements over axes lie.

    Args:
        q: fractions in [0, 1], a scalar or a vector; the result has its axis in front.
        method: where a fraction lies between two elements: "linear", "lower", "higher",
            "midpoint", "nearest", "inverted_cdf", or another of NumPy's.
        weights: what each element counts for, with method="inverted_cdf" only; of the shape of
            `a`, or of its axes.
    Raises:
        ValueError: another method, complex elements, or weights that do not fit.
    """
    check_arraylike("quantile", a, q, *([] if weights is None else [weights]))
    refuse_out("quantile", out)
    return quantiles(a, q, axis, method, keepdims, weights=weights)


def _shares(name: str, a: Any, q: Any) -> Any:
    """Percentages as fractions."""
    check_arraylike(name, a, q)
    return to_array(promote_dtypes_inexact(q)[0]) / 100


@planned
def percentile(
    a: Shaped[ArrayLike, "..."],
    q: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """Values below which q percent of the elements over axes lie; arguments as in `quantile`."""
    share = _shares("percentile", a, q)
    refuse_out("percentile", out)
    return quantiles(a, share, axis, method, keepdims, weights=weights)


@planned
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


@planned
def nanquantile(
    a: Shaped[ArrayLike, "..."],
    q: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """Quantiles over axes of what is not NaN; arguments as in `quantile`."""
    check_arraylike("nanquantile", a, q, *([] if weights is None else [weights]))
    refuse_out("nanquantile", out)
    return quantiles(a, q, axis, method, keepdims, True, weights)


@planned
def nanpercentile(
    a: Shaped[ArrayLike, "..."],
    q: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """Percentiles over axes of what is not NaN; arguments as in `quantile`, q in [0, 100]."""
    share = _shares("nanpercentile", a, q)
    refuse_out("nanpercentile", out)
    return quantiles(a, share, axis, method, keepdims, True, weights)


@planned
def nanmedian(
    a: Shaped[ArrayLike, "..."],
    axis: int | tuple[int, ...] | None = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """Median over axes of what is not NaN."""
    check_arraylike("nanmedian", a)
    refuse_out("nanmedian", out)
    return quantiles(a, 0.5, axis, "midpoint", keepdims, True)
