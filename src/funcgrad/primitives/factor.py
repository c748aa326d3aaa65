"""The Cholesky factor, and solving with a triangle.

The one idea: the derivative of a factor is that of its defining equation, solved with the triangle
that the factor is.
Source: Smith, Journal of Computational and Graphical Statistics 4 (1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example
from ..core.sources import user_line
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Library, Operand
from .arithmetic import neg
from .complexes import conj
from .contraction import batch_matmul
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    as_floats,
    check_matrices,
    hermitian_part,
    is_complex,
    scaled,
    swap,
)


def _halved(x: Any) -> Any:
    """The lower triangle, its diagonal halved: what a triangular factor moves by."""
    rows, n = aval_of(x).shape[-2:]
    return scaled(x, np.tril(np.ones((rows, n)), -1) + 0.5 * np.eye(n))


class Cholesky(MatrixPrimitive):
    """L lower triangular with L Lᴴ = x; NaN in its triangle where x is not definite."""

    name = "cholesky"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        check_matrices(self.name, avals[0], square=True)
        return avals[0].update(weak_type=False)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        try:
            return np.linalg.cholesky(x)  # pyright: ignore[reportUnknownVariableType]
        except np.linalg.LinAlgError:
            out = np.tril(np.full_like(x, np.nan))
            for i in np.ndindex(x.shape[:-2]):
                try:
                    out[i] = np.linalg.cholesky(x[i])
                except np.linalg.LinAlgError:
                    continue
            return out

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("cholesky", params)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        # With S = L⁻¹ dx L⁻ᴴ, dL = L (lower triangle of S, its diagonal halved).
        left = triangular_solve(out, t, left_side=True, lower=True)
        inner = triangular_solve(
            out, left, lower=True, transpose_a=True, conjugate_a=is_complex(out)
        )
        return batch_matmul(out, _halved(inner))

    def examples(self) -> Iterator[Example]:
        # Finite differences move each entry alone: the matrices stay definite, the function
        # reads one triangle, so derivatives are checked through the public function.
        for shape in ((3, 3), (2, 4, 4), (0, 0), (1, 1)):
            x = draw(reals(-1, 1), shape, 5)
            x = x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1])
            yield Example((x,), differentiable=())


class TriangularSolve(MatrixPrimitive):
    """x with op(a) x = b, or x op(a) = b, where a is read as a triangle; linear in b."""

    name = "triangular_solve"
    linear_operands = slice(1, 2)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        a, b = avals
        check_matrices(self.name, a, square=True)
        check_matrices(self.name, b)
        side = b.shape[-2] if params["left_side"] else b.shape[-1]
        if a.dtype != b.dtype or a.shape[:-2] != b.shape[:-2] or side != a.shape[-1]:
            raise TypeError(
                f"triangular_solve: {a.long()} does not fit {b.long()} "
                f"(left_side={params['left_side']}).\n  {user_line()}\n"
                "  Both need one dtype, equal leading axes, and a common extent to solve along."
            )
        return b.update(weak_type=False)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        import scipy.linalg.blas as blas  # pyright: ignore[reportMissingTypeStubs]

        module: Any = blas
        a, b = arrays
        out = np.empty(b.shape, b.dtype)
        if not b.size:
            return out
        solve = module.get_blas_funcs("trsm", dtype=a.dtype)
        operation = (2 if params["conjugate_a"] else 1) if params["transpose_a"] else 0
        for i in np.ndindex(b.shape[:-2]):
            out[i] = solve(
                1,
                a[i].conj() if params["conjugate_a"] and not operation else a[i],
                b[i],
                side=0 if params["left_side"] else 1,
                lower=params["lower"],
                trans_a=operation,
                diag=params["unit_diagonal"],
            )
        return out

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("triangular_solve", params)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        a, _ = primals
        if i == 1:
            return self.bind(a, t, **params)
        # op(da) x + op(a) dx = 0, where only the triangle of da counts.
        n = aval_of(a).shape[-1]
        ones = np.ones((n, n))
        if params["lower"]:
            mask = np.tril(ones, -1 if params["unit_diagonal"] else 0)
        else:
            mask = np.triu(ones, 1 if params["unit_diagonal"] else 0)
        moved = scaled(t, mask)
        moved = swap(moved) if params["transpose_a"] else moved
        moved = conj(moved) if params["conjugate_a"] and is_complex(t) else moved
        product = batch_matmul(moved, out) if params["left_side"] else batch_matmul(out, moved)
        return self.bind(a, neg(product), **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        flipped = {**params, "transpose_a": not params["transpose_a"]}
        return [None, self.bind(args[0], ct, **flipped)]

    def examples(self) -> Iterator[Example]:
        a = draw(reals(-0.5, 0.5), (3, 3), 3) + 2 * np.eye(3)
        b, wide = draw(reals(-1, 1), (3, 2), 4), draw(reals(-1, 1), (2, 3), 4)
        for number in range(2**4):
            left, lower, transposed, unit = (bool(number >> i & 1) for i in range(4))
            params = _params(left, lower, transposed, False, unit)
            yield Example((a, b if left else wide), params)
        stacked = np.stack([a, a + 1])
        params = _params(True, True, False, False, False)
        yield Example((stacked, np.stack([b, b])), params)
        yield Example((a[:0, :0], b[:0]), params)
        turned = (a + 1j * np.swapaxes(a, 0, 1), b + 0.5j)
        yield Example(turned, {**params, "conjugate_a": True, "transpose_a": True}, (1,))


def _params(left: bool, lower: bool, transposed: bool, conjugate: bool, unit: bool) -> Any:
    return {
        "conjugate_a": conjugate,
        "left_side": left,
        "lower": lower,
        "transpose_a": transposed,
        "unit_diagonal": unit,
    }


cholesky_p, triangular_solve_p = Cholesky(), TriangularSolve()


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """L lower triangular with L Lᴴ = x, for x hermitian and positive definite.

    Args:
        x: floats or complex numbers [..., n, n].
        symmetrize_input: take the hermitian part of x, which makes derivatives symmetric too, and
            floats of integers.
    Returns:
        [..., n, n]; NaN for matrices that are not positive definite.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those;
            x has less than two axes, or is not square and shall be symmetrized.
        ValueError: x is not square.
    """
    x = as_floats(x) if symmetrize_input else x
    check_matrices("cholesky", aval_of(x), square=True, symmetrized=symmetrize_input)
    if symmetrize_input:
        x = hermitian_part(x)
    return cholesky_p.bind(x)


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """x with op(a) x = b (or x op(a) = b unless left_side), a being triangular.

    Args:
        a: [..., n, n], of which one triangle is read.
        b: [..., n, k], or [..., k, n] unless left_side; a vector [..., n] is one such column.
        lower: which triangle is read.
        transpose_a, conjugate_a: what op does.
        unit_diagonal: take the diagonal for ones.
    Raises:
        TypeError: the dtypes or shapes do not fit.
    """
    from .broadcasting import expand_dims
    from .movement import squeeze

    rank = len(aval_of(b).shape)
    single = rank == len(aval_of(a).shape) - 1
    at = rank if left_side else rank - 1
    params = _params(left_side, lower, transpose_a, conjugate_a, unit_diagonal)
    out = triangular_solve_p.bind(a, expand_dims(b, (at,)) if single else b, **params)
    return squeeze(out, (at,)) if single else out
