"""Norms with finite derivatives at zero, squares of moduli, counters that do not overflow."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy as fnp
from ..ir import dtypes


def abs_sq(x: Any) -> Any:
    """|x|², real also for complex x."""
    x = fnp.asarray(x)
    if dtypes.issubdtype(x.dtype, np.complexfloating):
        return fnp.square(x.real) + fnp.square(x.imag)
    return fnp.square(x)


def safe_norm(
    x: Any, min_norm: Any, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """max(‖x‖, min_norm), with derivative 0 where the norm is at most min_norm."""
    x = fnp.asarray(x)
    if ord is None:
        return _safe_root(fnp.sum(abs_sq(x), axis=axis, keepdims=keepdims), min_norm)
    norm = fnp.linalg.norm(x, ord=ord, axis=axis, keepdims=True)
    # Where the norm is small the derivative is taken at ones: 0 · inf must not arise.
    x = fnp.where(norm <= min_norm, fnp.ones_like(x), x)
    norm = norm if keepdims else fnp.squeeze(norm, axis=axis)
    away = fnp.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)
    return fnp.where(norm <= min_norm, min_norm, away)


def safe_root_mean_squares(x: Any, min_rms: Any) -> Any:
    """max(√mean |x|², min_rms), with derivative 0 where it is at most min_rms."""
    return _safe_root(fnp.mean(abs_sq(x)), min_rms)


def _safe_root(square: Any, least: Any) -> Any:
    """max(√square, least), with derivative 0 where it is least: the root is then one of 1."""
    small = fnp.sqrt(square) <= least
    return fnp.where(small, least, fnp.sqrt(fnp.where(small, 1, square)))


def safe_increment(count: Any) -> Any:
    """count + 1, but the largest value of the dtype stays as it is.

    Raises:
        ValueError: count is neither integer nor real.
    """
    count = fnp.asarray(count)
    if dtypes.issubdtype(count.dtype, np.integer):
        largest: Any = np.iinfo(count.dtype).max
    elif dtypes.issubdtype(count.dtype, np.floating):
        largest = fnp.finfo(count.dtype).max
    else:
        raise ValueError(f"safe_increment got a count of dtype {count.dtype}: give an integer.")
    largest = fnp.array(largest, count.dtype)
    return fnp.where(count < largest, count + fnp.array(1, count.dtype), largest)


def zero_count() -> Any:
    """The step number before the first step, i32[]."""
    return fnp.zeros((), np.int32)
