"""Matrices made of a few numbers: Toeplitz's, Hilbert's, companions, blocks.

In: vectors [..., n], whose leading axes are batch axes, or sizes. Out: matrices. The one idea: the
entries of a matrix made of a vector are those of the vector at indices known beforehand.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ... import numpy as fnp
from ...ir import dtypes
from ...numpy.promotion import check_arraylike, promote_dtypes, promote_dtypes_inexact, to_array
from ...primitives.broadcasting import broadcast_shapes
from ...primitives.slicing import pad
from ...typing import Array
from .operands import spread


def _vectors(name: str, *args: Any) -> list[Any]:
    """Operands as arrays with at least one axis, and common leading axes."""
    check_arraylike(name, *args)
    found = [fnp.atleast_1d(to_array(x)) for x in args]
    lead = broadcast_shapes(*(x.shape[:-1] for x in found))
    return [spread(x, lead, 1) for x in found]


def block_diag(*arrs: Any) -> Array:
    """The matrix with the arrays on its diagonal, and zeros elsewhere.

    Args:
        arrs: matrices; vectors and scalars are matrices of one row.
    Raises:
        ValueError: an array has more than two axes.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.linalg import block_diag
    >>> block_diag(fnp.ones((1, 2)), 3.0)
    Array([[1., 1., 0.],
           [0., 0., 3.]], dtype=float32)
    """
    check_arraylike("block_diag", *arrs)
    blocks = [fnp.atleast_2d(x) for x in promote_dtypes(*(arrs or (fnp.zeros((1, 0)),)))]
    for i, block in enumerate(blocks):
        if block.ndim > 2:
            raise ValueError(
                f"block_diag takes arrays of at most 2 dimensions, got {block.shape} at {i}."
            )
    total, before = sum(x.shape[1] for x in blocks), 0
    rows: list[Any] = []
    for x in blocks:
        after = total - before - x.shape[1]
        rows.append(pad(x, np.zeros((), x.dtype), [(0, 0, 0), (before, after, 0)]))
        before += x.shape[1]
    return fnp.concatenate(rows)


def toeplitz(c: Any, r: Any = None) -> Array:
    """The matrix with constant diagonals: c in its first column, r in its first row.

    Args:
        c: [..., m].
        r: [..., n], of which the first entry is not used; conj(c) by default.
    Returns:
        [..., m, n].
    """
    column, row = _vectors("toeplitz", c, fnp.conj(to_array(c)) if r is None else r)
    m, n = column.shape[-1], row.shape[-1]
    if not m or not n:
        return fnp.zeros((*column.shape[:-1], m, n), dtypes.promote_types(column.dtype, row.dtype))
    line = fnp.concatenate([fnp.flip(column, -1), row[..., 1:]], -1)
    return line[..., np.arange(m)[::-1, None] + np.arange(n)]


def hankel(c: Any, r: Any = None) -> Array:
    """The matrix with constant antidiagonals: c in its first column, r in its last row.

    Args:
        c: [..., m].
        r: [..., n], of which the first entry is not used; zeros like c by default.
    Returns:
        [..., m, n].
    Raises:
        ValueError: c or r is a scalar.
    """
    check_arraylike("hankel", c)
    given = [to_array(c), fnp.zeros_like(to_array(c)) if r is None else to_array(r)]
    if any(x.ndim == 0 for x in given):
        raise ValueError("hankel: c and r must be at least 1-dimensional, got a scalar.")
    column, row = _vectors("hankel", *given)
    m, n = column.shape[-1], row.shape[-1]
    if not m or not n:
        return fnp.zeros((*column.shape[:-1], m, n), dtypes.promote_types(column.dtype, row.dtype))
    line = fnp.concatenate([column, row[..., 1:]], -1)
    return line[..., np.arange(m)[:, None] + np.arange(n)]


def circulant(c: Any) -> Array:
    """The matrix whose columns are c moved round: entry (i, j) is c[(i − j) mod n]."""
    (x,) = _vectors("circulant", c)
    n = int(x.shape[-1])
    places = np.arange(n)
    return x[..., (places[:, None] - places) % max(n, 1)]


def leslie(f: Any, s: Any) -> Array:
    """The matrix of a population: births f in its first row, survivors s below the diagonal.

    Args:
        f: [..., n], n ≥ 2; s: [..., n − 1].
    Raises:
        ValueError: the lengths do not fit.
    """
    births, stay = (to_array(x) for x in promote_dtypes(*_vectors("leslie", f, s)))
    n = births.shape[-1]
    if n < 2 or stay.shape[-1] != n - 1:
        raise ValueError(
            f"leslie takes f [..., n] with n >= 2 and s [..., n - 1], got {births.shape} and "
            f"{stay.shape}."
        )
    below = fnp.eye(n - 1, n, dtype=stay.dtype) * stay[..., :, None]
    return fnp.concatenate([births[..., None, :], below], -2)


def companion(a: Any) -> Array:
    """The matrix whose characteristic polynomial has the coefficients a, highest first.

    Args:
        a: [..., n], n ≥ 2, a[0] ≠ 0.
    Returns:
        [..., n − 1, n − 1].
    Raises:
        ValueError: there are fewer than two coefficients.
    """
    x = _coefficients("companion", a, 2)
    first = -x[..., 1:] / x[..., :1]
    n = first.shape[-1]
    below = fnp.broadcast_to(fnp.eye(n - 1, n, dtype=x.dtype), (*x.shape[:-1], n - 1, n))
    return fnp.concatenate([first[..., None, :], below], -2)


def _coefficients(name: str, a: Any, least: int) -> Any:
    check_arraylike(name, a)
    x = fnp.atleast_1d(to_array(*promote_dtypes_inexact(a)))
    if x.shape[-1] < least:
        raise ValueError(f"{name} takes at least {least} coefficients, got shape {x.shape}.")
    return x


def fiedler(a: Any) -> Array:
    """The matrix of distances |a[i] − a[j]|."""
    (x,) = _vectors("fiedler", a)
    return abs(x[..., :, None] - x[..., None, :])


def fiedler_companion(a: Any) -> Array:
    """As `companion`, with five diagonals.

    Args:
        a: [..., n], n ≥ 1, a[0] ≠ 0.
    Raises:
        ValueError: there are no coefficients.
    Source: Fiedler, Linear Algebra and its Applications 372 (2003).
    """
    x = _coefficients("fiedler_companion", a, 1)
    n = x.shape[-1] - 1
    # The numbers 0 and 1 stand behind the coefficients, for the constant entries.
    ends = fnp.broadcast_to(fnp.asarray([0, 1], x.dtype), (*x.shape[:-1], 2))
    line = fnp.concatenate([-x / x[..., :1], ends], -1)
    zero, one = n + 1, n + 2
    places = np.full((n, n), zero)
    for i in range(0, n, 2):
        places[i, i - 1 : i] = i + 1
        places[i, i + 1 : i + 2] = i + 2
        places[i, i + 2 : i + 3] = one
        places[i + 1 : i + 2, max(i - 1, 0)] = one
    places[:1, :1] = 1
    return line[..., places]


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """The matrix that convolves a with vectors [n]: m @ v is convolve(a, v, mode).

    Args:
        a: [..., k].
        mode: "full", "valid" or "same".
    Raises:
        ValueError: n is not positive, a is empty or a scalar, or the mode is unknown.
    """
    n = operator.index(n)
    check_arraylike("convolution_matrix", a)
    x = to_array(a)
    if n <= 0 or x.ndim == 0 or x.shape[-1] < 1:
        raise ValueError(
            f"convolution_matrix takes a [..., k] with k >= 1 and n >= 1, got {x.shape} and {n}."
        )
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"mode must be one of 'full', 'valid', 'same'; got {mode!r}.")
    k = int(x.shape[-1])
    trim = 0 if mode == "full" else min(n, k) - 1
    start, end = (trim, trim) if mode == "valid" else (trim // 2, trim - trim // 2)
    # Entry (i, j) is a[i + start − j], zero where there is none.
    places = np.arange(start, k + n - 1 - end)[:, None] - np.arange(n)
    inside = (places >= 0) & (places < k)
    return fnp.where(inside, x[..., np.clip(places, 0, k - 1)], fnp.zeros((), x.dtype))


def _floats(n: int) -> Any:
    return np.arange(operator.index(n), dtype=np.float64)


def _default(values: Any) -> Array:
    """Values in the default dtype of floats."""
    return fnp.asarray(values, dtypes.canonicalize_dtype(float))


def hilbert(n: int) -> Array:
    """The matrix with entries 1 / (i + j + 1)."""
    i = _floats(n)
    return _default(1 / (i[:, None] + i + 1))


def invhilbert(n: int) -> Array:
    """The inverse of Hilbert's matrix, whose entries are integers."""
    n = operator.index(n)
    rows = [
        [
            (-1) ** (i + j)
            * (i + j + 1)
            * math.comb(n + i, n - j - 1)
            * math.comb(n + j, n - i - 1)
            * math.comb(i + j, i) ** 2
            for j in range(n)
        ]
        for i in range(n)
    ]
    return _default(np.array(rows, np.float64).reshape(n, n))


def _binomials(n: int) -> Any:
    """Pascal's triangle, as a lower triangle."""
    rows = [[math.comb(i, j) for j in range(n)] for i in range(n)]
    return np.array(rows, np.float64).reshape(n, n)


def _of_kind(kind: str | None, lower: Any, symmetric: Any) -> Any:
    if kind not in (None, "symmetric", "lower", "upper"):
        raise ValueError(f"Expected kind to be 'symmetric', 'lower' or 'upper'; got {kind!r}.")
    return {"lower": lower, "upper": lower.T}.get(kind or "", symmetric)


def pascal(n: int, kind: str | None = None) -> Array:
    """The matrix of binomial coefficients: (i + j choose i), or a triangle of (i choose j).

    Args:
        kind: "symmetric", by default, "lower" or "upper".
    Raises:
        ValueError: another kind.
    """
    lower = _binomials(operator.index(n))
    return fnp.asarray(_of_kind(kind, lower, lower @ lower.T), np.float32)


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of Pascal's matrix; see `pascal`."""
    lower = _binomials(operator.index(n))
    signs = (-1.0) ** (_floats(n)[:, None] - _floats(n))
    return _default(_of_kind(kind, signs * lower, (signs * lower).T @ (signs * lower)))


def helmert(n: int, full: bool = False) -> Array:
    """Contrasts: each row is orthogonal to ones, and to the other rows, and of norm 1.

    Args:
        full: with a first row of equal entries, which makes the matrix orthogonal.
    Returns:
        [n − 1, n], or [n, n].
    Raises:
        ValueError: n is not positive.
    """
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"n must be a positive integer; got {n}.")
    k = np.arange(1, n)[:, None]
    j = np.arange(n)
    rows = np.where(j < k, 1.0, np.where(j == k, -k, 0.0)) / np.sqrt(k * (k + 1))
    return _default(np.concatenate([np.full((1, n), n**-0.5), rows]) if full else rows)


def hadamard(n: int, dtype: Any = int) -> Array:
    """The orthogonal matrix of ones and minus ones whose rows are Sylvester's.

    Raises:
        ValueError: n is no power of 2.
    """
    n = operator.index(n)
    if n < 1 or n & (n - 1):
        raise ValueError(f"n must be a positive power of 2; got {n}.")
    matrix = np.ones((1, 1), np.int64)
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return fnp.asarray(matrix).astype(dtypes.canonicalize_dtype(dtype))


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Array:
    """The matrix of the discrete Fourier transform: entries exp(−2πi j k / n).

    Args:
        scale: "sqrtn" or "n": divide by √n or n.
        dtype: complex; the default one for complex numbers by default.
    Raises:
        ValueError: another scale, or a dtype that is not complex.
    """
    if scale not in (None, "sqrtn", "n"):
        raise ValueError(f"scale must be None, 'sqrtn', or 'n'; got {scale!r}.")
    canonical = dtypes.canonicalize_dtype(complex if dtype is None else dtype)
    if not dtypes.issubdtype(canonical, np.complexfloating):
        raise ValueError(f"dtype must be a complex floating-point type; got {canonical}.")
    places = np.arange(operator.index(n))
    # Reduced modulo n, the angle is exact to rounding however large j k is.
    values = np.exp(-2j * np.pi * (np.outer(places, places) % max(n, 1)) / max(n, 1))
    divisor = {"sqrtn": math.sqrt(n), "n": n}.get(scale or "", 1)
    return fnp.asarray(values / divisor, canonical)
