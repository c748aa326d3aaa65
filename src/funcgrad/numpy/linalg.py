"""Linear algebra: the names of `numpy.linalg`, on arrays that can be traced.

Matrices lie in the last two axes, all others are batch axes. Where an algorithm fails, or a matrix
has values that are not finite, the result is NaN, never an exception: programs are traced, and
cannot stop at a value.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..typing import Array, ArrayLike, DTypeLike
from . import contraction, diagonals, manipulation
from .contraction import vecdot as vecdot
from .decompositions import EighResult as EighResult
from .decompositions import EigResult as EigResult
from .decompositions import QRResult as QRResult
from .decompositions import SVDResult as SVDResult
from .decompositions import cholesky as cholesky
from .decompositions import eig as eig
from .decompositions import eigh as eigh
from .decompositions import eigvals as eigvals
from .decompositions import eigvalsh as eigvalsh
from .decompositions import qr as qr
from .decompositions import svd as svd
from .decompositions import svdvals as svdvals
from .determinants import SlogdetResult as SlogdetResult
from .determinants import det as det
from .determinants import slogdet as slogdet
from .norms import matrix_norm as matrix_norm
from .norms import norm as norm
from .norms import vector_norm as vector_norm
from .promotion import check_arraylike, shape_of, to_array
from .solvers import cond as cond
from .solvers import inv as inv
from .solvers import lstsq as lstsq
from .solvers import matrix_rank as matrix_rank
from .solvers import pinv as pinv
from .solvers import solve as solve
from .solvers import tensorinv as tensorinv
from .solvers import tensorsolve as tensorsolve

if TYPE_CHECKING:
    from jaxtyping import Shaped


def cross(
    x1: Shaped[ArrayLike, "..."], x2: Shaped[ArrayLike, "..."], /, *, axis: int = -1
) -> Array:
    """The vector product along an axis of three components.

    Raises:
        ValueError: the axis has another extent.
    """
    check_arraylike("linalg.cross", x1, x2)
    if any(shape_of(x)[axis] != 3 for x in (x1, x2)):
        raise ValueError(
            f"cross needs three components along axis {axis}, got shapes {shape_of(x1)} and "
            f"{shape_of(x2)}."
        )
    return contraction.cross(x1, x2, axis=axis)


def matmul(
    x1: Shaped[ArrayLike, "..."],
    x2: Shaped[ArrayLike, "..."],
    /,
    *,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The product of matrices in the last two axes; see `numpy.matmul`."""
    return contraction.matmul(
        x1, x2, precision=precision, preferred_element_type=preferred_element_type
    )


def tensordot(
    x1: Shaped[ArrayLike, "..."],
    x2: Shaped[ArrayLike, "..."],
    /,
    *,
    axes: int | Sequence[int] | Sequence[Sequence[int]] = 2,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The sum of products over axes of both; see `numpy.tensordot`."""
    return contraction.tensordot(
        x1, x2, axes, precision=precision, preferred_element_type=preferred_element_type
    )


def matrix_transpose(x: Shaped[ArrayLike, "*batch n m"], /) -> Array:
    """The last two axes exchanged."""
    return manipulation.matrix_transpose(x)


def matrix_power(a: Shaped[ArrayLike, "*batch n n"], n: int) -> Array:
    """The n-th power of square matrices; negative powers are those of the inverse.

    Raises:
        TypeError: the matrices are not square, or n is no integer.
    """
    check_arraylike("linalg.matrix_power", a)
    x = to_array(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise TypeError(f"matrix_power needs square matrices, got shape {x.shape}.")
    n = operator.index(n)
    if n < 0:
        x, n = inv(x), -n
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
        ValueError: there are fewer than two, or one that is no matrix.
    """
    from .einsum import einsum

    check_arraylike("linalg.multi_dot", *arrays)
    values = [to_array(x) for x in arrays]
    if len(values) < 2:
        raise ValueError(f"multi_dot requires at least two arrays, got {len(values)}.")
    if any(x.ndim != 2 for x in values[1:-1]) or any(x.ndim not in (1, 2) for x in values):
        raise ValueError(
            "multi_dot takes matrices, and vectors at the ends, got shapes "
            f"{[x.shape for x in values]}."
        )
    letters = [chr(97 + i) for i in range(len(values) + 1)]
    terms = [letters[i] + letters[i + 1] for i in range(len(values))]
    terms[0] = terms[0] if values[0].ndim == 2 else letters[1]
    terms[-1] = terms[-1] if values[-1].ndim == 2 else letters[-2]
    output = (letters[0] if values[0].ndim == 2 else "") + (
        letters[-1] if values[-1].ndim == 2 else ""
    )
    return einsum(",".join(terms) + "->" + output, *values, precision=precision)
