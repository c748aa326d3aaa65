"""Similar matrices of a simpler form: Schur's triangle, Hessenberg's, and a tridiagonal one.

The one idea: LAPACK makes them of reflections and rotations chosen step by step; the steps are no
smooth functions of the matrix, so these have no derivative, as in JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core.primitive import Example, NotDifferentiable
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .kinds import draw, reals
from .matrices import MatrixPrimitive, check_matrices, each_matrix, lapack

_steps = "its reflections are chosen step by step"


class Schur(MatrixPrimitive):
    """t upper triangular with q t qᴴ = x; real matrices have blocks of 2 for complex pairs."""

    name = "schur"
    multiple_results = True
    jvp_term = NotDifferentiable(_steps)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x, square=True)
        return [x.strong()] * (1 + params["compute_schur_vectors"])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        vectors = params["compute_schur_vectors"]
        avals = [aval_of(x)] * (1 + vectors)
        if not x.size:
            return [x] * len(avals)
        solve = lapack("gees", x.dtype)

        def decomposed(i: tuple[int, ...]) -> Sequence[Any]:
            # LAPACK may not return from values that are not finite.
            if not np.isfinite(x[i]).all():
                return [np.nan] * len(avals)
            out = solve(_any_order, x[i], compute_v=vectors, sort_t=0)
            if out[-1]:
                return [np.nan] * len(avals)
            return [out[0], out[-3]][: len(avals)]

        return each_matrix(decomposed, avals, x.ndim - 2)

    def examples(self) -> Iterator[Example]:
        for vectors in (True, False):
            params: dict[str, Any] = {
                "compute_schur_vectors": vectors,
                "select_callable": None,
                "sort_eig_vals": False,
            }
            for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 0)):
                yield Example((draw(reals(-1, 1), shape, 6),), params)
            yield Example((draw(reals(-1, 1), (3, 3), 6) + 1j,), params)


def _any_order(*_: Any) -> None:
    """The eigenvalues are left in the order they are found in."""


class Hessenberg(MatrixPrimitive):
    """h, zero below the first subdiagonal, with q h qᴴ = x; reflections are in place of zeros."""

    name = "hessenberg"
    multiple_results = True
    jvp_term = NotDifferentiable(_steps)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x, square=True)
        return [x.strong(), ShapedArray((*x.shape[:-2], max(x.shape[-1] - 1, 0)), x.dtype)]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        avals = self.abstract_eval(aval_of(x))
        if x.shape[-1] < 2:
            return [x, np.zeros(avals[1].shape, x.dtype)]
        return each_matrix(unless_failed(lapack("gehrd", x.dtype), x), avals, x.ndim - 2)

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 0)):
            yield Example((draw(reals(-1, 1), shape, 6),))
        yield Example((draw(reals(-1, 1), (3, 3), 6) + 1j,))


class Tridiagonal(MatrixPrimitive):
    """Diagonal and subdiagonal of a tridiagonal matrix similar to hermitian x, and reflections."""

    name = "tridiagonal"
    multiple_results = True
    jvp_term = NotDifferentiable(_steps)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x, square=True)
        *lead, n, _ = x.shape
        if not n:
            raise ValueError(
                f"{self.name} takes matrices of at least one row, got {x.long()}.\n  {user_line()}"
            )
        real = dtypes.to_floating_dtype(x.dtype)
        shapes = ((n,), real), ((n - 1,), real), ((n - 1,), x.dtype)
        return [x.strong(), *[ShapedArray((*lead, *shape), dtype) for shape, dtype in shapes]]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        avals = self.abstract_eval(aval_of(x))
        if x.shape[-1] == 1:
            rest = [np.zeros(a.shape, a.dtype) for a in avals[2:]]
            return [x, x[..., 0].real, *rest]
        solve = lapack("hetrd" if x.dtype.kind == "c" else "sytrd", x.dtype)
        reduced = unless_failed(partial(solve, lower=params["lower"]), x)
        return each_matrix(reduced, avals, x.ndim - 2)

    def examples(self) -> Iterator[Example]:
        for lower in (True, False):
            for shape in ((3, 3), (2, 4, 4), (1, 1)):
                yield Example((draw(reals(-1, 1), shape, 6),), {"lower": lower})
            yield Example((draw(reals(-1, 1), (3, 3), 6) + 1j,), {"lower": lower})


def unless_failed(solve: Callable[..., Any], x: Any) -> Callable[[tuple[int, ...]], list[Any]]:
    """What a routine returns for the matrix at an index, NaN where its last value is not 0."""

    def solved(i: tuple[int, ...]) -> list[Any]:
        *outs, info = solve(x[i])
        return [np.nan] * len(outs) if info else outs

    return solved


schur_p, hessenberg_p, tridiagonal_p = Schur(), Hessenberg(), Tridiagonal()


def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Any = None,
) -> Any:
    """Schur decomposition x = q t qᴴ, q unitary, t upper triangular; not differentiable.

    Of real x, t is real and has blocks of 2 × 2 on its diagonal for pairs of complex eigenvalues.

    Args:
        x: floats or complex numbers [..., n, n].
        compute_schur_vectors: also return q.
        sort_eig_vals, select_callable: accepted at their defaults.
    Returns:
        (t, q), or (t,); NaN for matrices that are not finite.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is not square, or an order of the eigenvalues is asked for.
    """
    if sort_eig_vals or select_callable is not None:
        raise ValueError(
            f"schur does not order eigenvalues.\n  {user_line()}\n"
            "  Leave sort_eig_vals and select_callable out."
        )
    params = {"sort_eig_vals": False, "select_callable": None}
    return tuple(schur_p.bind(x, compute_schur_vectors=bool(compute_schur_vectors), **params))


def hessenberg(a: Any) -> tuple[Any, Any]:
    """Reflections to the form that is zero below the first subdiagonal; not differentiable.

    Args:
        a: floats or complex numbers [..., n, n].
    Returns:
        The form [..., n, n], with the reflections where it is zero, and taus [..., n - 1].
        `householder_product(form[..., 1:, :-1], taus)` is q without its first row and column.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: a is not square.
    """
    form, taus = hessenberg_p.bind(a)
    return form, taus


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Any, Any, Any, Any]:
    """Reflections of a hermitian matrix to a real tridiagonal one; not differentiable.

    Args:
        a: floats or complex numbers [..., n, n], n ≥ 1, of which a triangle is read.
        lower: which one.
    Returns:
        The matrix with reflections beside the diagonals; the diagonal [..., n] and the subdiagonal
        [..., n - 1], real; taus [..., n - 1].
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: a is not square, or has no rows.
    """
    form, d, e, taus = tridiagonal_p.bind(a, lower=bool(lower))
    return form, d, e, taus
