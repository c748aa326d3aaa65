"""Linear algebra that needs no decomposition: norms of vectors and matrices, products, powers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import reduction
from ..typing import Array, ArrayLike
from . import contraction, diagonals, manipulation, reductions
from .arithmetic import sqrt
from .contraction import cross as cross
from .contraction import matmul as matmul
from .contraction import tensordot as tensordot
from .contraction import vecdot as vecdot
from .promotion import check_arraylike, dtype_of, promote_dtypes_inexact, shape_of, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped

Order = int | float | str | None


def norm(
    x: Shaped[ArrayLike, "..."],
    ord: Order = None,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> Array:
    """The norm of vectors along one axis, or of matrices along two.

    Args:
        ord: for vectors: p of (Σ|x|^p)^(1/p), inf, -inf, or 0 (how many are not zero);
            for matrices: "fro", 1, -1, inf, -inf. None is the root of the sum of squares.
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
        return reductions.max(abs(x), axes, keepdims=keepdims)
    if ord == -math.inf:
        return reductions.min(abs(x), axes, keepdims=keepdims)
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
    else:
        raise ValueError(f"Invalid order {ord!r} for matrix norm. Give 'fro', ±1 or ±inf.")
    sums = reductions.sum(abs(x), inner, keepdims=True)
    fold = reductions.max if ord in (1, math.inf) else reductions.min
    result = fold(sums, outer, keepdims=True)
    return result if keepdims else manipulation.squeeze(result, axes)


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


def matrix_norm(
    x: Shaped[ArrayLike, "*batch n m"], /, *, keepdims: bool = False, ord: Order = "fro"
) -> Array:
    """The norm of the matrices in the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


def matrix_transpose(x: Shaped[ArrayLike, "*batch n m"], /) -> Array:
    """The last two axes exchanged."""
    return manipulation.matrix_transpose(x)


def matrix_power(a: Shaped[ArrayLike, "*batch n n"], n: int) -> Array:
    """The n-th power of square matrices, for n ≥ 0.

    Raises:
        ValueError: the matrices are not square, or n is negative.
    """
    check_arraylike("linalg.matrix_power", a)
    x = to_array(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"matrix_power needs square matrices, got shape {x.shape}.")
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"matrix_power takes n >= 0, got {n}. Invert the matrix first.")
    result: Any = manipulation.broadcast_to(diagonals.eye(x.shape[-1], dtype=x.dtype), x.shape)
    while n:
        if n % 2:
            result = contraction.matmul(result, x)
        n //= 2
        if n:
            x = contraction.matmul(x, x)
    return result


def outer(x1: Shaped[ArrayLike, "n"], x2: Shaped[ArrayLike, "m"], /) -> Array:
    """The product of every element of one vector with every element of another.

    Raises:
        ValueError: an operand is not a vector.
    """
    check_arraylike("linalg.outer", x1, x2)
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ValueError(f"outer needs vectors, got shapes {shape_of(x1)} and {shape_of(x2)}.")
    return contraction.outer(x1, x2)


def diagonal(x: Shaped[ArrayLike, "*batch n m"], /, *, offset: int = 0) -> Array:
    """The diagonal of the matrices in the last two axes."""
    return diagonals.diagonal(x, offset, -2, -1)


def trace(x: Shaped[ArrayLike, "*batch n m"], /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sums of the diagonals of the matrices in the last two axes."""
    return diagonals.trace(x, offset, -2, -1, dtype)


def multi_dot(arrays: Sequence[Shaped[ArrayLike, "..."]], *, precision: Any = None) -> Array:
    """The product of matrices in the order that costs least; the ends may be vectors.

    Raises:
        ValueError: there are fewer than two.
    """
    from .einsum import einsum

    check_arraylike("linalg.multi_dot", *arrays)
    values = [to_array(x) for x in arrays]
    if len(values) < 2:
        raise ValueError(f"multi_dot requires at least two arrays, got {len(values)}.")
    letters = [chr(97 + i) for i in range(len(values) + 1)]
    terms = [letters[i] + letters[i + 1] for i in range(len(values))]
    terms[0] = terms[0] if values[0].ndim == 2 else letters[1]
    terms[-1] = terms[-1] if values[-1].ndim == 2 else letters[-2]
    output = (letters[0] if values[0].ndim == 2 else "") + (
        letters[-1] if values[-1].ndim == 2 else ""
    )
    return einsum(",".join(terms) + "->" + output, *values, precision=precision)
