"""Matrices by their diagonals: eye, tri, tril, triu, diag, diagonal, trace, and their indices."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..ir.avals import canonical_axis
from ..primitives import comparison
from ..primitives.creation import broadcasted_iota
from ..typing import Array, ArrayLike, DTypeLike
from .creation import full, zeros_like
from .promotion import check_arraylike, requested_dtype, shape_of, to_array
from .selection import where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _within(offset: Any, rows: int, columns: int) -> Any:
    """A known offset, kept where it still means the same: far outside it would leave int32."""
    known: Any = offset
    if isinstance(offset, int | np.integer):
        known = max(-operator.index(rows), min(operator.index(known), operator.index(columns)))
    return known


def _grid(rows: int, columns: int, offset: Any) -> tuple[Any, Any]:
    """Row index plus offset, and column index, of every element of a matrix."""
    i, j = (broadcasted_iota(np.int32, (rows, columns), axis) for axis in (0, 1))
    return i + _within(offset, rows, columns), j


def _rows_first(rows: int, columns: int, offset: Any) -> tuple[Any, Any]:
    """The same, with the eqns in the order they have in JAX for triangles."""
    i = broadcasted_iota(np.int32, (rows, columns), 0) + _within(offset, rows, columns)
    return i, broadcasted_iota(np.int32, (rows, columns), 1)


@planned
def eye(
    N: int,
    M: int | None = None,
    k: Shaped[ArrayLike, ""] = 0,
    dtype: DTypeLike | None = None,
    *,
    device: Any = None,
) -> Array:
    """A matrix with ones on its k-th diagonal and zeros elsewhere.

    Args:
        N, M: numbers of rows and columns; M = N by default.
        k: how far above the main diagonal; may be traced.
    Raises:
        ValueError: N or M is negative.
    """
    rows = operator.index(N)
    columns = rows if M is None else operator.index(M)
    if rows < 0 or columns < 0:
        raise ValueError(f"negative dimensions are not allowed, got {rows} and {columns}.")
    wanted = requested_dtype(float if dtype is None else dtype, "eye")
    i, j = _grid(rows, columns, k)
    return comparison.eq(i, j).astype(wanted, device=device)


@planned
def identity(n: int, dtype: DTypeLike | None = None) -> Array:
    """The identity matrix of n rows."""
    return eye(n, dtype=dtype)


@planned
def tri(N: int, M: int | None = None, k: int = 0, dtype: DTypeLike | None = None) -> Array:
    """A matrix with ones at and below its k-th diagonal, zeros above."""
    wanted = requested_dtype(float if dtype is None else dtype, "tri")
    i, j = _rows_first(operator.index(N), operator.index(N if M is None else M), k)
    return comparison.ge(i, j).astype(wanted)


def _matrix(name: str, m: Any) -> Any:
    check_arraylike(name, m)
    x = to_array(m)
    if x.ndim < 2:
        raise ValueError(f"Argument to {name} must have at least two axes, got shape {x.shape}.")
    return x


@planned
def tril(m: Shaped[ArrayLike, "*batch n m"], k: int = 0) -> Array:
    """The matrices in the last two axes, with zeros above the k-th diagonal."""
    x = _matrix("tril", m)
    rows, columns = x.shape[-2:]
    i, j = _rows_first(rows, columns, k)
    return where(comparison.ge(i, j), x, zeros_like(x))


@planned
def triu(m: Shaped[ArrayLike, "*batch n m"], k: int = 0) -> Array:
    """The matrices in the last two axes, with zeros below the k-th diagonal."""
    x = _matrix("triu", m)
    rows, columns = x.shape[-2:]
    i, j = _rows_first(rows, columns, k - 1)
    return where(comparison.ge(i, j), zeros_like(x), x)


@planned
def diag(v: Shaped[ArrayLike, "..."], k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or the matrix with that k-th diagonal.

    Raises:
        ValueError: v has neither one nor two axes.
    """
    check_arraylike("diag", v)
    x = to_array(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag input must be 1d or 2d, got shape {x.shape}.")
    from .padding import pad

    k = operator.index(k)
    size = x.shape[0] + abs(k)
    i, j = _grid(size, size, k)
    column = pad(x, (max(0, -k), max(0, k))).reshape((size, 1))
    return where(comparison.eq(i, j), column, zeros_like(x, shape=(size, size)))


@planned
def diagflat(v: Shaped[ArrayLike, "..."], k: int = 0) -> Array:
    """The matrix with the raveled elements on its k-th diagonal."""
    check_arraylike("diagflat", v)
    return diag(to_array(v).reshape(-1), k)


@planned
def diagonal(a: Shaped[ArrayLike, "..."], offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of two axes, along a new last axis.

    Raises:
        ValueError: there are fewer than two axes.
    """
    from .manipulation import moveaxis

    check_arraylike("diagonal", a)
    x = to_array(a)
    if x.ndim < 2:
        raise ValueError(f"diagonal requires an array of at least two dimensions, got {x.shape}.")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    offset = _within(operator.index(offset), rows, columns)
    size = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    steps = np.arange(size, dtype=np.int32)
    return x[..., steps + max(0, -offset), steps + max(0, offset)]


@planned
def trace(
    a: Shaped[ArrayLike, "..."],
    offset: Shaped[ArrayLike, ""] = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """The sum of the diagonal of two axes.

    Args:
        offset: how far above the main diagonal; may be traced.
    """
    from .manipulation import moveaxis
    from .reductions import refuse_out, sum

    check_arraylike("trace", a)
    refuse_out("trace", out)
    x = to_array(a)
    ends = canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim)
    x = moveaxis(x, ends, (-2, -1))
    rows, columns = x.shape[-2:]
    i, j = _grid(rows, columns, offset)
    return sum(where(comparison.eq(i, j), x, zeros_like(x)), axis=(-2, -1), dtype=dtype)


def _constant(*arrays: Any) -> tuple[Any, ...]:
    from .creation import array

    return tuple(array(x) for x in arrays)


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array with `ndim` axes of extent n."""
    from .ranges import arange

    return (arange(operator.index(n)),) * operator.index(ndim)


def diag_indices_from(arr: Shaped[ArrayLike, "..."]) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array with equal extents.

    Raises:
        ValueError: extents differ, or there are fewer than two.
    """
    check_arraylike("diag_indices_from", arr)
    shape = shape_of(arr)
    if len(shape) < 2 or len(set(shape)) > 1:
        raise ValueError(f"diag_indices_from needs at least two equal extents, got {shape}.")
    return diag_indices(shape[0], len(shape))


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices at and below the k-th diagonal."""
    k = _within(k, n, n if m is None else m)
    rows, columns = _constant(*np.tril_indices(n, k, m))
    return rows, columns


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices at and above the k-th diagonal."""
    k = _within(k, n, n if m is None else m)
    rows, columns = _constant(*np.triu_indices(n, k, m))
    return rows, columns


def tril_indices_from(arr: Shaped[ArrayLike, "n m"], k: int = 0) -> tuple[Array, Array]:
    """The indices at and below the k-th diagonal of a matrix."""
    rows, columns = shape_of(_matrix("tril_indices_from", arr))
    return tril_indices(rows, k, columns)


def triu_indices_from(arr: Shaped[ArrayLike, "n m"], k: int = 0) -> tuple[Array, Array]:
    """The indices at and above the k-th diagonal of a matrix."""
    rows, columns = shape_of(_matrix("triu_indices_from", arr))
    return triu_indices(rows, k, columns)


def mask_indices(
    n: int, mask_func: Callable[[Any, int], Any], k: int = 0, *, size: int | None = None
) -> tuple[Array, Array]:
    """The indices at which mask_func(ones((n, n)), k) is not zero: `mask_indices(3, triu)`.

    Args:
        size: how many to return, needed under jit when the mask is traced.
    """
    from .search import nonzero

    rows, columns = nonzero(mask_func(full((n, n), 1.0), k), size=size)
    return rows, columns


def fill_diagonal(
    a: Shaped[ArrayLike, "..."],
    val: Shaped[ArrayLike, "..."],
    wrap: bool = False,
    *,
    inplace: bool = True,
) -> Array:
    """The array with its main diagonal set to values.

    Raises:
        ValueError: inplace is left True, since arrays are immutable.
    """
    check_arraylike("fill_diagonal", a, val)
    if inplace:
        raise ValueError(
            "fill_diagonal cannot work in place: arrays are immutable. "
            "Give inplace=False and use the result."
        )
    x = to_array(a)
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise ValueError(f"fill_diagonal needs at least two axes, equal if more: {x.shape}.")
    if wrap:
        raise ValueError("fill_diagonal does not take wrap=True.")
    size = min(x.shape)
    line = np.arange(size, dtype=np.int32)
    values = to_array(val).reshape(-1)
    from .manipulation import resize

    return x.at[(line,) * x.ndim].set(resize(values, (size,)))


@planned
def vander(x: Shaped[ArrayLike, "n"], N: int | None = None, increasing: bool = False) -> Array:
    """The matrix of powers of a vector: columns x^(N-1), ..., x, 1, or in rising order.

    Args:
        N: number of columns; as many as rows by default.
        increasing: columns 1, x, x², ... instead.
    Raises:
        ValueError: x is no vector.
    """
    check_arraylike("vander", x)
    value = to_array(x)
    if value.ndim != 1:
        raise ValueError(f"x must be a one-dimensional array, got shape {value.shape}.")
    count = value.shape[0] if N is None else operator.index(N)
    from .joining import stack

    if count == 0:
        return full((value.shape[0], 0), 0, value.dtype)
    powers = range(count) if increasing else range(count - 1, -1, -1)
    return stack([value**n for n in powers], axis=1)
