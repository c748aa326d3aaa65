"""Algebra of matrices in the last two axes: what the rules of decompositions are written in.

In: values of a trace, or NumPy arrays inside `impl`. Out: the same. The one idea: all axes before
the last two are independent problems, so a batch axis is one more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .arithmetic import add, mul, sub
from .broadcasting import broadcast_in_dim, broadcast_to, expand_dims
from .casting import convert_element_type
from .complexes import conj, imag, real
from .contraction import batch_matmul
from .gathering import GatherDimensionNumbers, gather
from .joining import concatenate
from .movement import transpose
from .reduction import reduce_sum
from .selection import select, zeros_of
from .slicing import pad, slice_in_dim

NDArray = np.ndarray[Any, Any]


def check_matrices(
    name: str, x: ShapedArray, square: bool = False, symmetrized: bool = False
) -> None:
    """Raise for what cannot be factored.

    Raises:
        TypeError: the dtype, or no matrix.
        ValueError: not square; where it is added to its adjoint before, no matrix as well.
    """
    check_dtype(name, x)
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        kind = "square matrices [..., n, n]" if square else "matrices [..., m, n]"
        error = TypeError if len(x.shape) < 2 and not symmetrized else ValueError
        raise error(f"{name} takes {kind}, got {x.long()}.\n  {user_line()}")


def check_dtype(name: str, *avals: ShapedArray) -> None:
    """Raise TypeError for dtypes that LAPACK does not have, or several of them."""
    for x in avals:
        if not any(x.dtype == np.dtype(t) for t in ("f4", "f8", "c8", "c16")):
            raise TypeError(
                f"{name} takes float32, float64, complex64 or complex128, got {x.long()}.\n"
                f"  {user_line()}\n  Convert it with astype."
            )
    if len({x.dtype for x in avals}) > 1:
        raise TypeError(
            f"{name} requires arguments of one dtype, got {', '.join(x.long() for x in avals)}.\n"
            f"  {user_line()}\n  Convert one of them with astype."
        )


class MatrixPrimitive(Primitive):
    """Works on the last axes of its operands; leading axes, and so a batch axis, are its own."""

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        moved = [to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True)]
        out = self.bind(*moved, **params)
        return out, [0] * len(out) if self.multiple_results else 0


# NumPy arrays, inside `impl`.


def lapack(name: str, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """The routine of LAPACK for a dtype."""
    import scipy.linalg.lapack as routines  # pyright: ignore[reportMissingTypeStubs]

    module: Any = routines
    return module.get_lapack_funcs((name,), dtype=dtype)[0]


def each_matrix(
    solve: Callable[[tuple[int, ...]], Sequence[Any]], avals: Sequence[ShapedArray], lead: int
) -> list[NDArray]:
    """Outputs filled with `solve(index)` at every index of the `lead` leading axes."""
    outs = [np.empty(a.shape, a.dtype) for a in avals]
    for index in np.ndindex(avals[0].shape[:lead]):
        for out, value in zip(outs, solve(index), strict=True):
            out[index] = value
    return outs


def nan_for_failed(solve: Callable[[NDArray], Sequence[Any]], x: NDArray) -> list[NDArray]:
    """The results of a gufunc of NumPy's on matrices; NaN for those where it gives up.

    Matrices with values that are not finite are not tried: LAPACK may not return from them.
    """
    good: NDArray = np.asarray(np.isfinite(x).all((-1, -2)))
    if good.all():
        try:
            return [np.asarray(part) for part in solve(x)]
        except np.linalg.LinAlgError:
            pass
    outs = [np.full_like(np.asarray(part), np.nan) for part in solve(np.zeros_like(x))]
    for index in np.ndindex(x.shape[:-2]):
        if good[index]:
            try:
                for out, part in zip(outs, solve(x[index]), strict=True):
                    out[index] = part
            except np.linalg.LinAlgError:
                continue
    return outs


# Values of a trace.


def extents(x: Any) -> tuple[int, int]:
    """Rows and columns."""
    m, n = aval_of(x).shape[-2:]
    return m, n


def is_complex(x: Any) -> bool:
    """Whether the dtype of x is complex."""
    return dtypes.issubdtype(aval_of(x).dtype, np.complexfloating)


def swap(x: Any) -> Any:
    """The transpose of the last two axes."""
    rank = len(aval_of(x).shape)
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def adjoint(x: Any) -> Any:
    """The conjugate transpose of the last two axes."""
    swapped = swap(x)
    return conj(swapped) if is_complex(x) else swapped


def product(*factors: Any) -> Any:
    """The product of matrices, from the left."""
    total = factors[0]
    for factor in factors[1:]:
        total = batch_matmul(total, factor)
    return total


def as_floats(x: Any) -> Any:
    """Integers and booleans in the default float dtype; others as they are."""
    dtype = aval_of(x).dtype
    return x if dtype.kind not in "biu" else convert_element_type(x, dtypes.to_inexact_dtype(dtype))


def hermitian_part(x: Any) -> Any:
    """(x + xᴴ) / 2."""
    return mul(add(x, adjoint(x)), np.array(0.5, aval_of(x).dtype))


def constant_like(value: NDArray, x: Any) -> Any:
    """A constant matrix in the dtype and shape of x."""
    aval = aval_of(x)
    return broadcast_to(value.astype(aval.dtype), aval.shape)


def scaled(x: Any, weights: NDArray) -> Any:
    """x with its matrices multiplied by constants, entry by entry."""
    return mul(x, constant_like(weights, x))


def kept(x: Any, mask: NDArray) -> Any:
    """x where the matrix `mask` is true, elsewhere zero, whatever x holds there."""
    return select(broadcast_to(mask, aval_of(x).shape), x, zeros_of(x))


def lower_part(x: Any, k: int = 0) -> Any:
    """The entries on and below the k-th diagonal."""
    return kept(x, np.tri(*extents(x), k, dtype=bool))


def upper_part(x: Any, k: int = 0) -> Any:
    """The entries on and above the k-th diagonal."""
    return kept(x, ~np.tri(*extents(x), k - 1, dtype=bool))


def identity_like(x: Any) -> Any:
    """Identity matrices in the dtype and shape of x, which may be rectangular."""
    return constant_like(np.eye(*extents(x)), x)


def diagonal_of(x: Any) -> Any:
    """The diagonals of square matrices, [..., n]."""
    rank = len(aval_of(x).shape)
    return reduce_sum(kept(x, np.eye(aval_of(x).shape[-1], dtype=bool)), (rank - 1,))


def columns_times(x: Any, s: Any) -> Any:
    """Column j of x multiplied by s[j]; s is taken to the dtype of x."""
    return mul(x, along_columns(s, x))


def rows_times(s: Any, x: Any) -> Any:
    """Row i of x multiplied by s[i]; s is taken to the dtype of x."""
    return mul(x, along_rows(s, x))


def along_columns(s: Any, x: Any) -> Any:
    """s [..., n] repeated to matrices like x: entry (i, j) is s[j]."""
    return _along(s, x, 1)


def along_rows(s: Any, x: Any) -> Any:
    """s [..., m] repeated to matrices like x: entry (i, j) is s[i]."""
    return _along(s, x, 2)


def _along(s: Any, x: Any, back: int) -> Any:
    aval = aval_of(x)
    rank = len(aval.shape)
    s = convert_element_type(s, aval.dtype)
    return broadcast_in_dim(s, aval.shape, (*range(rank - 2), rank - back))


def imaginary_part(x: Any) -> Any:
    """i · Im(x), of the dtype of x."""
    return sub(x, convert_element_type(real(x), aval_of(x).dtype)) if is_complex(x) else sub(x, x)


def real_part(x: Any) -> Any:
    """Re(x), of a real dtype."""
    return real(x) if is_complex(x) else x


def imag_of(x: Any) -> Any:
    """Im(x), of a real dtype; zero for real x."""
    return imag(x) if is_complex(x) else sub(x, x)


def columns(x: Any, start: int, stop: int) -> Any:
    """Columns start to stop."""
    return slice_in_dim(x, start, stop, axis=len(aval_of(x).shape) - 1)


def rows(x: Any, start: int, stop: int) -> Any:
    """Rows start to stop."""
    return slice_in_dim(x, start, stop, axis=len(aval_of(x).shape) - 2)


def padded(x: Any, below: int, right: int) -> Any:
    """x with rows and columns of zeros appended."""
    rank = len(aval_of(x).shape)
    config = [(0, 0, 0)] * (rank - 2) + [(0, below, 0), (0, right, 0)]
    return pad(x, np.zeros((), aval_of(x).dtype), config)


def beside(left: Any, right: Any) -> Any:
    """The columns of both."""
    return concatenate([left, right], len(aval_of(left).shape) - 1)


def taken(x: Any, order: Any, back: int) -> Any:
    """Rows (back=2) or columns (back=1) of x in the order of indices [..., k], all in bounds."""
    shape = aval_of(x).shape
    rank = len(shape)
    batch = tuple(range(rank - 2))
    axis = rank - back
    other = rank - 3 + back
    # The axis that stays whole keeps its place in the output.
    numbers = GatherDimensionNumbers((other,), (axis,), (axis,), batch, batch)
    sizes = [1] * rank
    sizes[other] = shape[other]
    starts = expand_dims(order, (len(aval_of(order).shape),))
    return gather(x, starts, numbers, sizes)


def shifted_block(x: Any, down: int, right: int) -> Any:
    """x as the block at row `down` and column `right` of a matrix of twice its rows and columns."""
    m, n = extents(x)
    config = [(0, 0, 0)] * (len(aval_of(x).shape) - 2)
    config += [(down, m - down, 0), (right, n - right, 0)]
    return pad(x, np.zeros((), aval_of(x).dtype), config)
