"""Trends of signals, taken away.

The one idea: the trend of a piece is its projection on the constants and the straight lines; two
orthonormal vectors that depend on the length alone span these, so the result is linear in the data.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ... import numpy as fnp
from ...core.sources import user_line
from ...ir.avals import canonical_axis
from ...numpy.promotion import promote_dtypes_inexact, to_array
from ...typing import Array


def _lines(count: int, dtype: Any) -> Any:
    """Orthonormal columns that span the straight lines through count samples: [count, 1 or 2]."""
    places = np.stack([np.ones(count), np.arange(count) - 0.5 * (count - 1)], 1)[:, : min(count, 2)]
    return fnp.asarray(places / np.linalg.norm(places, axis=0), dtype)


def detrend(
    data: Any,
    axis: int = -1,
    type: str = "linear",
    bp: Any = 0,
    overwrite_data: None = None,
) -> Array:
    """The data less their trend along an axis: the line of least squares, or the mean.

    Args:
        data: an array, or what asarray makes one of; integers become floats.
        type: "linear" or "constant".
        bp: where the line may break: indices between 0 and the extent; not used for "constant".
        overwrite_data: not supported.
    Raises:
        ValueError: another type, breaks outside the axis, or overwrite_data is given.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.signal import detrend
    >>> detrend(fnp.array([1.0, 2.0, 3.0, 7.0]), type="constant")
    Array([-2.25, -1.25, -0.25,  3.75], dtype=float32)
    """
    if overwrite_data is not None:
        raise ValueError(f"detrend never writes: leave overwrite_data out.\n  {user_line()}")
    if type not in ("constant", "linear"):
        raise ValueError(
            f"Trend type must be 'linear' or 'constant', got {type!r}.\n  {user_line()}"
        )
    (x,) = map(to_array, promote_dtypes_inexact(fnp.asarray(data)))
    axis = canonical_axis(axis, x.ndim)
    if type == "constant":
        return x - x.mean(axis, keepdims=True)
    size = x.shape[axis]
    ends: Any = np.unique(np.append(np.asarray(bp, dtype=int).ravel(), [0, size]))
    if ends[0] < 0 or ends[-1] > size:
        raise ValueError(
            "Breakpoints must be non-negative and less than length of data along given axis: got "
            f"{bp!r} for {size} samples.\n  {user_line()}"
        )
    rows = fnp.moveaxis(x, axis, -1)
    pieces: list[Any] = []
    for start, stop in itertools.pairwise(ends):
        piece, basis = rows[..., start:stop], _lines(int(stop - start), x.dtype)
        pieces.append(piece - (piece @ basis) @ basis.T)
    return fnp.moveaxis(fnp.concatenate(pieces, -1) if pieces else rows, -1, axis)
