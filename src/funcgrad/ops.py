"""Folds over segments: rows with one number are added, multiplied, or compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import numpy as fnp
from .core.sources import user_line
from .core.trace import Tracer, value_of
from .errors import ConcretizationTypeError
from .numpy.promotion import check_arraylike, dtype_of, to_array
from .primitives.reduction import highest, lowest
from .typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Integer, Shaped

_updates = {"sum": "add", "prod": "multiply", "min": "min", "max": "max"}


def _count(name: str, segment_ids: Any, num_segments: Any) -> int:
    """The number of segments; by default one more than the greatest number."""
    known: Any = value_of(segment_ids if num_segments is None else num_segments)
    if isinstance(known, Tracer):
        raise ConcretizationTypeError(known, f"segment_{name} needs a static num_segments.")
    if num_segments is None:
        return int(np.max(np.asarray(known), initial=-1)) + 1
    if int(known) < 0:
        raise ValueError(f"num_segments must be non-negative, got {num_segments}.\n  {user_line()}")
    return int(known)


def _start(name: str, dtype: np.dtype[Any]) -> Any:
    """What a segment without rows gives."""
    if name in ("sum", "prod"):
        return 0 if name == "sum" else 1
    return highest(dtype) if name == "min" else lowest(dtype)


def _fold(
    name: str, data: Any, segment_ids: Any, num_segments: Any, bucket_size: int | None, options: Any
) -> Any:
    check_arraylike(f"segment_{name}", data, segment_ids)
    rows, ids = to_array(data), to_array(segment_ids)
    count = _count(name, ids, num_segments)
    dtype = dtype_of(rows)
    shape: tuple[int, ...] = (count, *rows.shape[ids.ndim :])
    index: Any = ids
    if bucket_size is not None:
        # Sums of short sums lose less to rounding than one long sum.
        buckets = -(-ids.shape[0] // bucket_size)
        shape = (buckets, *shape)
        index = (fnp.arange(ids.shape[0]) // bucket_size, ids)
    out = fnp.full(shape, _start(name, dtype), dtype)
    out = getattr(out.at[index], _updates[name])(rows, wrap_negative_indices=False, **options)
    return out if bucket_size is None else getattr(fnp, name)(out, axis=0).astype(dtype)


def segment_sum(
    data: Shaped[ArrayLike, "..."],
    segment_ids: Integer[ArrayLike, "..."],
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """The sums of the rows of each segment; 0 where there are none.

    Args:
        data: rows along the first axis (or the axes of segment_ids).
        segment_ids: the number of each row's segment; those out of range are dropped.
        num_segments: extent of the result, needed when segment_ids is traced.
        indices_are_sorted: promises that the numbers ascend.
        unique_indices: promises that no number occurs twice.
        bucket_size: fold so many rows at a time first, which loses less to rounding.
        mode: of numbers out of range, as in `x.at`.
    Returns:
        [num_segments, ...] in the dtype of data.
    Raises:
        ValueError: num_segments is negative.
        ConcretizationTypeError: segment_ids is traced and num_segments is not given.
    """
    options = _options(indices_are_sorted, unique_indices, mode)
    return _fold("sum", data, segment_ids, num_segments, bucket_size, options)


def segment_prod(
    data: Shaped[ArrayLike, "..."],
    segment_ids: Integer[ArrayLike, "..."],
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """The products of the rows of each segment, 1 where there are none; as `segment_sum`."""
    options = _options(indices_are_sorted, unique_indices, mode)
    return _fold("prod", data, segment_ids, num_segments, bucket_size, options)


def segment_max(
    data: Shaped[ArrayLike, "..."],
    segment_ids: Integer[ArrayLike, "..."],
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """The greatest of the rows of each segment, -∞ where there are none; as `segment_sum`."""
    options = _options(indices_are_sorted, unique_indices, mode)
    return _fold("max", data, segment_ids, num_segments, bucket_size, options)


def segment_min(
    data: Shaped[ArrayLike, "..."],
    segment_ids: Integer[ArrayLike, "..."],
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """The least of the rows of each segment, ∞ where there are none; as `segment_sum`."""
    options = _options(indices_are_sorted, unique_indices, mode)
    return _fold("min", data, segment_ids, num_segments, bucket_size, options)


def _options(indices_are_sorted: bool, unique_indices: bool, mode: Any) -> dict[str, Any]:
    return {
        "indices_are_sorted": indices_are_sorted,
        "unique_indices": unique_indices,
        "mode": mode,
    }
