"""Summaries of samples: the most frequent value, ranks, the standard error of the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir import dtypes
from ...ir.avals import canonical_axis
from ...numpy.promotion import check_arraylike, to_array
from ...primitives.sorting import sort_key_val
from ...typing import Array, ArrayLike
from ..special.operands import floats

if TYPE_CHECKING:
    from jaxtyping import Shaped


class ModeResult(NamedTuple):
    """The most frequent values, and how often they occur."""

    mode: Any
    count: Any


def _check_policy(name: str, nan_policy: str) -> None:
    if nan_policy != "propagate":
        raise ValueError(
            f"{name} takes nan_policy='propagate', got {nan_policy!r}: whether there are NaNs "
            f"depends on values.\n  {user_line()}\n  Handle them outside."
        )


def mode(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = 0,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> ModeResult:
    """The most frequent value along an axis (None: of all), and its count; the least of equals.

    Raises:
        ValueError: another nan_policy than "propagate".
    """
    check_arraylike("mode", a)
    _check_policy("mode", nan_policy)
    x = fnp.atleast_1d(a)
    rank = x.ndim
    if axis is None:
        x, along = x.reshape(-1), 0
    else:
        along = canonical_axis(axis, rank)
    rows = fnp.moveaxis(x, along, -1)
    lead = rows.shape[:-1]
    if not rows.shape[-1]:
        values = fnp.full(lead, fnp.nan)
        counts = fnp.zeros(lead)
    else:
        rows = fnp.sort(rows)
        size = rows.shape[-1]
        same = fnp.isnan(rows[..., 1:]) & fnp.isnan(rows[..., :-1])
        starts = (rows[..., 1:] != rows[..., :-1]) & ~same
        starts = fnp.concatenate([fnp.ones((*lead, 1), bool), starts], axis=-1)
        place = fnp.arange(size)
        # How many elements lie between each and the start of its run.
        from ...primitives.cumulative import cummax

        begun = cummax(fnp.where(starts, place, 0), rows.ndim - 1)
        run = place - begun + 1
        at = fnp.argmax(run, axis=-1, keepdims=True)
        values = fnp.take_along_axis(rows, at, axis=-1)[..., 0]
        counts = run.max(axis=-1)
    if keepdims:
        shape = (1,) * rank if axis is None else (*lead[:along], 1, *lead[along:])
        values, counts = values.reshape(shape), counts.reshape(shape)
    return ModeResult(values, counts)


def rankdata(
    a: Shaped[ArrayLike, "..."],
    method: str = "average",
    *,
    axis: int | None = None,
    nan_policy: str = "propagate",
) -> Array:
    """The ranks of the elements from 1, along an axis or of the raveled array.

    Args:
        method: of equal elements: "average", "min", "max" of their ranks, "dense" (without gaps),
            "ordinal" (in order of occurrence).
    Returns:
        Floats; NaN where a NaN is among the elements.
    Raises:
        ValueError: another method, or another nan_policy than "propagate".
    """
    check_arraylike("rankdata", a)
    _check_policy("rankdata", nan_policy)
    if method not in ("average", "min", "max", "dense", "ordinal"):
        raise ValueError(f"unknown method {method!r}. Give average, min, max, dense or ordinal.")
    if axis is not None:
        return fnp.apply_along_axis(_ranks, axis, a, method)
    return _ranks(to_array(a).reshape(-1), method)


def _ranks(x: Any, method: str) -> Any:
    size = x.shape[0]
    dtype = dtypes.canonicalize_dtype(float)
    ordered, sorter = sort_key_val(x, fnp.arange(size))
    inverse = fnp.zeros_like(sorter).at[sorter].set(fnp.arange(size), unique_indices=True)
    if method == "ordinal":
        ranks = inverse + 1
    else:
        first = fnp.concatenate([fnp.ones(min(size, 1), bool), ordered[1:] != ordered[:-1]])
        dense = fnp.cumsum(first)[inverse]
        # Where each group of equals begins, and after the last one the end.
        (begins,) = fnp.nonzero(first, size=size + 1, fill_value=size)
        after, before = begins[dense], begins[dense - 1]
        ranks = {
            "dense": dense,
            "max": after,
            "min": before + 1,
            "average": 0.5 * (after + before + 1),
        }[method]
    return fnp.where(fnp.isnan(x).any(), fnp.nan, ranks.astype(dtype))


def sem(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Array:
    """The standard error of the mean: the standard deviation over √n.

    Args:
        nan_policy: "propagate", or "omit" to leave NaN out.
    Raises:
        ValueError: another nan_policy.
    """
    (x,) = floats("sem", a)
    if nan_policy == "propagate":
        size = x.size if axis is None else x.shape[axis]
        return fnp.std(x, axis, ddof=ddof, keepdims=keepdims) / size**0.5
    if nan_policy == "omit":
        count = (~fnp.isnan(x)).sum(axis, keepdims=keepdims)
        deviation = fnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims)
        return deviation / fnp.sqrt(count.astype(x.dtype))
    raise ValueError(f"sem takes nan_policy 'propagate' or 'omit'; {nan_policy!r} is not known.")
