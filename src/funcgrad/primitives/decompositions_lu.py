"""LU with pivoting of rows, and solving with its factors.

x[permutation] = L U, with L unit lower triangular and U upper triangular in one matrix. The one
idea: L⁻¹ dx U⁻¹ is the sum of L⁻¹ dL, strictly lower, and dU U⁻¹, upper triangular.
Source: de Hoog, Anderssen & Lukas, Mathematics of Computation 80 (2011).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..core.sources import user_line
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Library, Operand
from .arithmetic import add
from .creation import broadcasted_iota
from .factor import triangular_solve
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    NDArray,
    check_matrices,
    columns,
    constant_like,
    each_matrix,
    identity_like,
    is_complex,
    lapack,
    lower_part,
    padded,
    product,
    rows,
    taken,
    upper_part,
)
from .sorting import sort_key_val

_index = np.dtype(np.int32)


class Lu(MatrixPrimitive):
    """L and U in one matrix, the rows exchanged in turn, and the permutation they make.

    Degenerate where a leading block of x[permutation] is singular: U has a zero on its diagonal
    there, by which the derivative divides, so that it is infinite or NaN.
    """

    name = "lu"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x)
        *lead, m, n = x.shape
        indices = [ShapedArray((*lead, k), _index) for k in (min(m, n), m)]
        return [x.strong(), *indices]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        avals = self.abstract_eval(aval_of(x))[:2]
        if x.size:
            solve = lapack("getrf", x.dtype)
            factor, pivots = each_matrix(lambda i: solve(x[i])[:2], avals, x.ndim - 2)
        else:
            factor, pivots = x, np.zeros(avals[1].shape, _index)
        return [factor, pivots, permutation_of(pivots, x.shape[-2])]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("lu", params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (dx,) = primals, tangents
        outs = self.bind(x)
        factor, _, order = outs
        still = [zero_tangent(aval_of(p)) for p in outs[1:]]
        if isinstance(dx, Zero):
            return outs, [zero_tangent(aval_of(factor)), *still]
        m, n = aval_of(x).shape[-2:]
        k = min(m, n)
        lower = padded(lower_part(columns(factor, 0, k), -1), 0, m - k)
        lower = add(lower, identity_like(lower))
        upper = padded(upper_part(rows(factor, 0, k)), n - k, 0)
        # Columns beyond the rows are free: ones on the diagonal below U leave them as they are.
        upper = add(upper, constant_like(np.diag(np.arange(n) >= k), upper))
        moved = taken(instantiate(dx), order, 2)
        moved = triangular_solve(lower, moved, left_side=True, lower=True, unit_diagonal=True)
        moved = triangular_solve(upper, moved)
        tangent = add(
            product(lower, lower_part(moved, -1)),
            product(upper_part(moved), upper),
        )
        return outs, [tangent, *still]

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (4, 2), (2, 2, 3), (1, 1)):
            yield Example((draw(reals(-1, 1), shape, 6),), tolerance=1e-5)
        x = draw(reals(-1, 1), (3, 3), 6) + 1j * draw(reals(-1, 1), (3, 3), 7)
        yield Example((x,), tolerance=1e-5)
        for shape in ((0, 0), (0, 2), (2, 0), (0, 2, 2)):
            yield Example((np.zeros(shape),), differentiable=())


class LuPivotsToPermutation(MatrixPrimitive):
    """The permutation that exchanging row i with row pivots[i], for each i in turn, makes."""

    name = "lu_pivots_to_permutation"
    composed = True
    jvp_term = NotDifferentiable("integer result", zero=True)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (pivots,) = avals
        size = params["permutation_size"]
        if pivots.dtype != _index:
            raise TypeError(
                f"{self.name} takes pivots i32[..., k], got {pivots.long()}.\n  {user_line()}\n"
                "  Convert them with astype."
            )
        if not pivots.shape or size < pivots.shape[-1]:
            raise ValueError(
                f"{self.name}: a permutation of {size} rows cannot come of pivots "
                f"{pivots.long()}.\n  {user_line()}\n  Give pivots [..., k] with k <= size."
            )
        return ShapedArray((*pivots.shape[:-1], size), _index)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return permutation_of(arrays[0], params["permutation_size"])

    def examples(self) -> Iterator[Example]:
        pivots = np.array([[2, 2, 2], [0, 3, 3]], np.int32)
        yield Example((pivots[0],), {"permutation_size": 3})
        yield Example((pivots,), {"permutation_size": 5})
        yield Example((pivots[:, :0],), {"permutation_size": 2})


def permutation_of(pivots: NDArray, size: int) -> NDArray:
    """The order of rows after the exchanges; pivots out of range are taken for the last row."""
    lead, steps = pivots.shape[:-1], pivots.shape[-1]
    exchanged = np.clip(pivots, 0, size - 1).reshape(math.prod(lead), steps)
    order = np.empty((len(exchanged), size), _index)
    order[...] = np.arange(size, dtype=_index)
    each = np.arange(len(exchanged))
    for i, j in enumerate(exchanged.T):
        mine = order[:, i].copy()
        order[:, i] = order[each, j]
        order[each, j] = mine
    return order.reshape(*lead, size)


lu_p, lu_pivots_to_permutation_p = Lu(), LuPivotsToPermutation()


def lu(x: Any) -> tuple[Any, Any, Any]:
    """Triangular factors of x with its rows reordered: x[permutation] = L U.

    Args:
        x: floats or complex numbers [..., m, n].
    Returns:
        L, without its unit diagonal, and U in one matrix [..., m, n]; the pivots
        i32[..., min(m, n)]: row i was exchanged with row pivots[i]; the permutation i32[..., m].
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is no matrix.
    """
    factor, pivots, permutation = lu_p.bind(x)
    return factor, pivots, permutation


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation of rows that the exchanges of an LU decomposition make.

    Args:
        pivots: i32[..., k].
        permutation_size: how many rows there are, k or more.
    Returns:
        i32[..., permutation_size].
    Raises:
        TypeError: the pivots are not int32.
        ValueError: there are more pivots than rows.
    """
    return lu_pivots_to_permutation_p.bind(pivots, permutation_size=int(permutation_size))


def lu_solve(factor: Any, permutation: Any, b: Any, trans: int = 0) -> Any:
    """x with op(a) x = b, from the LU factors of a and their permutation.

    Args:
        factor: [..., n, n]; permutation: [..., n]; b: [..., n, k], with the same leading axes.
        trans: 0 for a, 1 for aᵀ, 2 for aᴴ.
    """
    turned = {"left_side": True, "conjugate_a": trans == 2 and is_complex(factor)}
    if trans == 0:
        x = triangular_solve(
            factor, taken(b, permutation, 2), left_side=True, lower=True, unit_diagonal=True
        )
        return triangular_solve(factor, x, left_side=True)
    x = triangular_solve(factor, b, transpose_a=True, **turned)
    x = triangular_solve(factor, x, lower=True, unit_diagonal=True, transpose_a=True, **turned)
    shape = aval_of(permutation).shape
    positions = broadcasted_iota(_index, shape, len(shape) - 1)
    _, inverse = sort_key_val(permutation, positions)
    return taken(x, inverse, 2)


def solve_square(a: Any, b: Any) -> Any:
    """a⁻¹ b for square matrices with the same leading axes; by LU, also differentiated by it."""
    factor, _, permutation = lu_p.bind(a)
    return lu_solve(factor, permutation, b)
