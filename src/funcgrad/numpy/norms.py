"""Norms of vectors and matrices.

In: arrays, promoted to floats. Out: real arrays without the axes that are measured.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from ..control.plans import planned
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import reduction
from ..typing import Array, ArrayLike
from . import extremes, manipulation, reductions
from .arithmetic import sqrt
from .decompositions import svd
from .promotion import check_arraylike, dtype_of, promote_dtypes_inexact, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped

Order = int | float | str | None


@planned
def norm(
    x: Shaped[ArrayLike, "..."],
    ord: Order = None,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> Array:
    """The norm of vectors along one axis, or of matrices along two.

    Args:
        ord: for vectors: p of (Σ|x|^p)^(1/p), inf, -inf, or 0 (how many are not zero);
            for matrices: "fro", "nuc" (the sum of the singular values), 2 and -2 (the largest
            and the least of them), 1, -1, inf, -inf. None is the root of the sum of squares.
        axis: one axis or two; by default all, for at most two axes if ord is given.
    Raises:
        ValueError: the order is unknown, or the number of axes does not fit it.
    """
    check_arraylike("linalg.norm", x)
    (value,) = map(to_array, promote_dtypes_inexact(x))
    rank = value.ndim
    if axis is None:
        if ord is None:
            return _root_of_squares(value, tuple(range(rank)), keepdims)
        axes = tuple(range(rank))
    elif isinstance(axis, tuple):
        axes = tuple(canonical_axis(a, rank) for a in axis)
    else:
        axes = (canonical_axis(operator.index(axis), rank),)
    if len(axes) == 1:
        return _vector(value, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix(value, ord, axes, keepdims)
    raise ValueError(
        f"Improper number of axes for norm: got {axes} for shape {value.shape}. Name one or two."
    )


def _root_of_squares(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The Euclidean norm; its derivative at zero is NaN, as that of the root is infinite."""
    squares = x * x if dtype_of(x).kind != "c" else x.real * x.real + x.imag * x.imag
    return sqrt(reductions.keep(reduction.reduce_sum(squares, axes), axes, keepdims))


def _vector(x: Any, ord: Order, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return _root_of_squares(x, axes, keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid order {ord!r} for vector norm. Give a number.")
    if ord == math.inf:
        return extremes.max(abs(x), axes, keepdims=keepdims, initial=0)
    if ord == -math.inf:
        return extremes.min(abs(x), axes, keepdims=keepdims)
    if ord == 0:
        real = dtypes.to_floating_dtype(dtype_of(x))
        return reductions.sum(x != 0, axes, dtype=real, keepdims=keepdims)
    if ord == 1:
        return reductions.sum(abs(x), axes, keepdims=keepdims)
    magnitude = abs(x)
    power = magnitude.dtype.type(ord)
    total = reductions.sum(magnitude**power, axes, keepdims=keepdims)
    return total ** magnitude.dtype.type(1.0 / ord)


def _matrix(x: Any, ord: Order, axes: tuple[int, ...], keepdims: bool) -> Any:
    rows, columns = axes
    if rows == columns:
        raise ValueError("Duplicate axes given to norm: name two different ones.")
    if ord is None or ord in ("f", "fro"):
        return _root_of_squares(x, axes, keepdims)
    if ord in (1, -1):
        inner, outer = rows, columns
    elif ord in (math.inf, -math.inf):
        inner, outer = columns, rows
    elif ord in ("nuc", 2, -2):
        return _of_singular_values(x, ord, axes, keepdims)
    else:
        raise ValueError(
            f"Invalid order {ord!r} for matrix norm. Give 'fro', 'nuc', ±1, ±2 or ±inf."
        )
    sums = reductions.sum(abs(x), inner, keepdims=True)
    if ord in (1, math.inf):
        result = extremes.max(sums, outer, keepdims=True, initial=0)
    else:
        result = extremes.min(sums, outer, keepdims=True)
    return result if keepdims else manipulation.squeeze(result, axes)


def _of_singular_values(x: Any, ord: Order, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Of equal extreme singular values, each has its share of the derivative, as in `max`."""
    s = svd(manipulation.moveaxis(x, axes, (-2, -1)), compute_uv=False)
    if ord == 2:
        result = extremes.max(s, -1, initial=0)
    elif ord == -2:
        result = extremes.min(s, -1)
    else:
        result = reductions.sum(s, -1)
    return manipulation.expand_dims(result, axes) if keepdims else result


@planned
def vector_norm(
    x: Shaped[ArrayLike, "..."],
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: Order = 2,
) -> Array:
    """The norm of the elements over axes, all by default, taken as one vector."""
    check_arraylike("linalg.vector_norm", x)
    (value,) = map(to_array, promote_dtypes_inexact(x))
    axes = reductions.canonical_axes(axis, value.ndim)
    return _vector(value, ord, axes, keepdims)


@planned
def matrix_norm(
    x: Shaped[ArrayLike, "*batch n m"], /, *, keepdims: bool = False, ord: Order = "fro"
) -> Array:
    """The norm of the matrices in the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)
