"""Solving with tridiagonal matrices, updating a Cholesky factor, and symmetric products.

In: diagonals, factors, matrices. Out: solutions and new factors. The one idea: each is defined by
an equation that is cheap to differentiate with what was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example, add_tangents
from ..core.sources import user_line
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir.avals import ShapedArray, aval_of
from .arithmetic import add, mul, neg
from .factor import triangular_solve
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    NDArray,
    along_columns,
    along_rows,
    check_dtype,
    check_matrices,
    each_matrix,
    lapack,
    product,
    rows_times,
    scaled,
    swap,
    upper_part,
)
from .slicing import pad


def shifted(x: Any, by: int, axis: int) -> Any:
    """Entry i of an axis counted from the back is entry i − by; zeros come in."""
    config = [(0, 0, 0)] * len(aval_of(x).shape)
    config[axis] = (by, -by, 0)
    return pad(x, np.zeros((), aval_of(x).dtype), config)


class TridiagonalSolve(MatrixPrimitive):
    """x with A x = b for tridiagonal A; NaN where A is singular. Linear in b."""

    name = "tridiagonal_solve"
    composed = True
    linear_operands = slice(3, 4)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        *diagonals, b = avals
        check_matrices(self.name, b)
        check_dtype(self.name, *avals)
        if any(d.shape != b.shape[:-1] for d in diagonals):
            raise TypeError(
                f"{self.name}: diagonals {', '.join(d.long() for d in diagonals)} do not fit "
                f"b {b.long()}.\n  {user_line()}\n  Give three diagonals [..., m], as long as A "
                "has rows, and b [..., m, k]."
            )
        return b.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        dl, d, du, b = arrays
        if not b.size:
            return b
        solve = _perturbed if params["perturb_singular"] else _solved
        missing = 3 - b.shape[-2]
        if missing > 0:
            # The wrappers of LAPACK want three rows: the others are equations of their own.
            wide = [(0, 0)] * (d.ndim - 1) + [(0, missing)]
            dl, du = (np.pad(x, wide) for x in (dl * _inner(dl, 0), du * _inner(du, -1)))
            d = np.pad(d, wide, constant_values=1)
            b = np.pad(b, [*wide, (0, 0)])
            return self.impl(dl, d, du, b, **params)[..., :-missing, :]

        def one(i: tuple[int, ...]) -> list[Any]:
            return [solve(dl[i][1:], d[i], du[i][:-1], b[i])]

        return each_matrix(one, [aval_of(b)], b.ndim - 2)[0]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        dl, d, du, _ = primals
        x = self.bind(*primals, **params)
        # A dx = db − dA x.
        right: Any = tangents[3]
        for t, by in zip(tangents[:3], (1, 0, -1), strict=True):
            if not isinstance(t, Zero):
                right = add_tangents(right, neg(rows_times(t, shifted(x, by, -2) if by else x)))
        if isinstance(right, Zero):
            return x, zero_tangent(aval_of(x))
        return x, self.bind(dl, d, du, instantiate(right), **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        dl, d, du, _ = args
        turned = self.bind(shifted(du, 1, -1), d, shifted(dl, -1, -1), ct, **params)
        return [None, None, None, turned]

    def examples(self) -> Iterator[Example]:
        for shape, k in (((4,), 2), ((2, 3), 1), ((1,), 2), ((0,), 1), ((3,), 0)):
            off = [draw(reals(-0.5, 0.5), shape, 3 + i) for i in range(2)]
            args = off[0], draw(reals(2, 3), shape, 6), off[1], draw(reals(-1, 1), (*shape, k), 7)
            yield Example(args, {"perturb_singular": False})
            yield Example(args, {"perturb_singular": True})
            turned = tuple(x * np.exp(0.2j * i) for i, x in enumerate(args))
            yield Example(turned, {"perturb_singular": False})


def _inner(x: NDArray, outside: int) -> NDArray:
    """Ones along the last axis, and zero at the entry that belongs to no equation."""
    ones = np.ones(x.shape[-1], x.dtype)
    ones[outside] = 0
    return ones


def _solved(dl: NDArray, d: NDArray, du: NDArray, b: NDArray) -> Any:
    *_, x, info = lapack("gtsv", b.dtype)(dl, d, du, b)
    return np.nan if info else x


def _perturbed(dl: NDArray, d: NDArray, du: NDArray, b: NDArray) -> Any:
    """The solution with tiny pivots of U made as large as rounding of its largest entry."""
    factors: Any = lapack("gttrf", b.dtype)(dl, d, du)
    lower, pivot, upper, second, pivots, _ = factors
    largest = max(np.abs(x).max(initial=0) for x in (pivot, upper, second))
    least = max(np.finfo(b.dtype).eps * largest, np.finfo(b.dtype).tiny)
    sizes: NDArray = np.abs(pivot)
    signs = np.where(sizes == 0, 1, pivot / np.where(sizes == 0, 1, sizes))
    pivot = pivot.copy()
    pivot[sizes < least] = (signs * least)[sizes < least]
    x, _ = lapack("gttrs", b.dtype)(lower, pivot, upper, second, pivots, b)
    return x


class CholeskyUpdate(MatrixPrimitive):
    """The upper triangular s with sᵀ s = rᵀ r + w wᵀ; the upper triangle of r is read."""

    name = "cholesky_update"
    composed = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        r, w = avals
        check_reals(self.name, r, w)
        check_matrices(self.name, r, square=True)
        if w.shape != r.shape[:-1]:
            raise ValueError(
                f"{self.name}: a vector {w.long()} does not fit {r.long()}.\n  {user_line()}\n"
                "  Give r [..., n, n] and w [..., n]."
            )
        return r.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        r, w = np.triu(arrays[0]), arrays[1].copy()
        for k in range(w.shape[-1]):
            # A rotation of row k against w makes entry k of w zero.
            x, y = r[..., k, k], w[..., k]
            size = np.hypot(x, y)
            still = y == 0
            safe = np.where(still, 1, size)
            c, s = np.where(still, 1, x / safe)[..., None], np.where(still, 0, y / safe)[..., None]
            row = r[..., k, :].copy()
            r[..., k, :] = c * row + s * w
            w = c * w - s * row
        return r

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        r, w = primals
        if i == 0:
            half = product(swap(upper_part(t)), upper_part(r))
        else:
            half = mul(along_rows(t, r), along_columns(w, r))
        moved = add(half, swap(half))
        # With S = s⁻ᵀ d(rᵀ r + w wᵀ) s⁻¹, ds = (upper triangle of S, its diagonal halved) s.
        moved = triangular_solve(out, moved, left_side=True, transpose_a=True)
        moved = triangular_solve(out, moved)
        n = aval_of(r).shape[-1]
        return product(scaled(moved, np.triu(np.ones((n, n)), 1) + 0.5 * np.eye(n)), out)

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            r = np.triu(draw(reals(0.2, 0.6), shape, 6)) + np.eye(shape[-1])
            yield Example((r, draw(reals(-1, 1), shape[:-1], 7)))


def check_reals(name: str, *avals: ShapedArray) -> None:
    """Raise TypeError unless all are float32, or all float64."""
    check_dtype(name, *avals)
    if any(x.dtype.kind != "f" for x in avals):
        raise TypeError(
            f"{name} takes float32 or float64, got {', '.join(x.long() for x in avals)}.\n"
            f"  {user_line()}"
        )


class SymmetricProduct(MatrixPrimitive):
    """alpha · a aᵀ + beta · c."""

    name = "symmetric_product"
    composed = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        a, c = avals
        check_reals(self.name, a, c)
        check_matrices(self.name, a)
        check_matrices(self.name, c, square=True)
        if c.shape[:-1] != a.shape[:-1]:
            raise ValueError(
                f"{self.name}: {c.long()} does not fit {a.long()}.\n  {user_line()}\n"
                "  Give a [..., m, n] and c [..., m, m]."
            )
        return c.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        a, c = arrays
        alpha, beta = (c.dtype.type(params[name]) for name in ("alpha", "beta"))
        return alpha * (a @ np.swapaxes(a, -1, -2)) + beta * c

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        dtype = aval_of(out).dtype
        if i == 1:
            return mul(t, np.array(params["beta"], dtype))
        half = product(t, swap(primals[0]))
        return mul(add(half, swap(half)), np.array(params["alpha"], dtype))

    def examples(self) -> Iterator[Example]:
        for shape, alpha, beta in (((3, 2), 1.0, 0.0), ((2, 2, 3), 0.5, 2.0), ((0, 2), 1.0, 1.0)):
            a = draw(reals(-1, 1), shape, 6)
            c = draw(reals(-1, 1), (*shape[:-1], shape[-2]), 7)
            yield Example((a, c), {"alpha": alpha, "beta": beta})


tridiagonal_solve_p = TridiagonalSolve()
cholesky_update_p, symmetric_product_p = CholeskyUpdate(), SymmetricProduct()


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """x with A x = b, where A has three diagonals.

    Args:
        dl: the lower diagonal [..., m], dl[i] = A[i, i−1]; its first entry belongs to none.
        d: the diagonal [..., m].
        du: the upper diagonal [..., m], du[i] = A[i, i+1]; its last entry belongs to none.
        b: right-hand sides [..., m, k].
        perturb_singular: let tiny pivots be as large as rounding, so that x is finite.
    Returns:
        [..., m, k]; NaN where A is singular.
    Raises:
        TypeError: dtypes or shapes do not fit.
    """
    return tridiagonal_solve_p.bind(dl, d, du, b, perturb_singular=bool(perturb_singular))


def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """The Cholesky factor after a change of rank 1: sᵀ s = rᵀ r + w wᵀ, in O(n²).

    Args:
        r_matrix: upper triangular, floats [..., n, n].
        w_vector: [..., n].
    Returns:
        s, upper triangular, [..., n, n].
    Raises:
        TypeError: the dtypes differ or are not real.
        ValueError: the shapes do not fit.
    """
    return cholesky_update_p.bind(r_matrix, w_vector)


def symmetric_product(
    a_matrix: Any,
    c_matrix: Any,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Any:
    """alpha · a aᵀ + beta · c for symmetric c.

    Args:
        a_matrix: floats [..., m, n].
        c_matrix: [..., m, m].
        symmetrize_output: take the upper triangle of the result from the lower one.
    Returns:
        [..., m, m].
    Raises:
        TypeError: the dtypes differ or are not real.
        ValueError: the shapes do not fit.
    """
    out = symmetric_product_p.bind(a_matrix, c_matrix, alpha=float(alpha), beta=float(beta))
    if not symmetrize_output:
        return out
    n = aval_of(out).shape[-1]
    below = scaled(out, np.tril(np.ones((n, n)), -1))
    return add(scaled(out, np.tril(np.ones((n, n)))), swap(below))
