"""Factors of matrices: Cholesky and QR, and solving with a triangle.

Matrices lie in the last two axes; all axes before them are independent problems, so a batch axis
is one more of them. The one idea: derivatives of a factor are those of its defining equation,
solved with the triangle that the factor is.
Source: Smith, Journal of Computational and Graphical Statistics 4 (1995); Walter & Lehmann,
arXiv:1009.6112, for the derivative of QR.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .arithmetic import add, mul, neg, sub
from .complexes import conj
from .contraction import batch_matmul
from .kinds import draw, reals


def _is_complex(x: Any) -> bool:
    return dtypes.issubdtype(aval_of(x).dtype, np.complexfloating)


def adjoint(x: Any) -> Any:
    """The conjugate transpose of the last two axes."""
    swapped = swap(x)
    return conj(swapped) if _is_complex(x) else swapped


def swap(x: Any) -> Any:
    """The transpose of the last two axes."""
    from .movement import transpose

    rank = len(aval_of(x).shape)
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _triangle(x: Any, diagonal: float) -> Any:
    """The lower triangle, its diagonal scaled."""
    n = aval_of(x).shape[-1]
    weights = np.tril(np.ones((aval_of(x).shape[-2], n)), -1) + diagonal * np.eye(n)
    return _scaled(x, weights)


def _scaled(x: Any, weights: np.ndarray[Any, Any]) -> Any:
    from .movement import broadcast_to

    aval = aval_of(x)
    return mul(x, broadcast_to(weights.astype(aval.dtype), aval.shape))


def check_matrices(name: str, x: ShapedArray, square: bool = False) -> None:
    """Raise TypeError for dtypes, ValueError for shapes, that cannot be factored."""
    if not any(x.dtype == np.dtype(t) for t in ("f4", "f8", "c8", "c16")):
        raise TypeError(
            f"{name} takes float32, float64, complex64 or complex128, got {x.long()}.\n"
            f"  {user_line()}\n  Convert it with astype."
        )
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        kind = "square matrices [..., n, n]" if square else "matrices [..., m, n]"
        raise ValueError(f"{name} takes {kind}, got {x.long()}.\n  {user_line()}")


class Cholesky(Primitive):
    """L lower triangular with L Lᴴ = x; NaN where x is not positive definite."""

    name = "cholesky"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        check_matrices(self.name, avals[0], square=True)
        return avals[0].update(weak_type=False)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        try:
            return np.linalg.cholesky(x)  # pyright: ignore[reportUnknownVariableType]
        except np.linalg.LinAlgError:
            out = np.full_like(x, np.nan)
            for i in np.ndindex(x.shape[:-2]):
                try:
                    out[i] = np.linalg.cholesky(x[i])
                except np.linalg.LinAlgError:
                    continue
            return out

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        # With S = L⁻¹ dx L⁻ᴴ, dL = L (lower triangle of S, its diagonal halved).
        left = triangular_solve(out, t, left_side=True, lower=True)
        inner = triangular_solve(
            out, left, lower=True, transpose_a=True, conjugate_a=_is_complex(out)
        )
        return batch_matmul(out, _triangle(inner, 0.5))

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(to_front(args[0], dims[0], axis.size)), 0

    def examples(self) -> Iterator[Example]:
        # Finite differences move each entry alone: the matrices stay definite, the function
        # reads one triangle, so derivatives are checked through the public function.
        for shape in ((3, 3), (2, 4, 4), (0, 0), (1, 1)):
            x = draw(reals(-1, 1), shape, 5)
            x = x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1])
            yield Example((x,), differentiable=())


class Qr(Primitive):
    """q with orthonormal columns and r upper triangular, q r = x."""

    name = "qr"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x)
        *lead, m, n = x.shape
        inner = m if params["full_matrices"] else min(m, n)
        return [ShapedArray((*lead, *s), x.dtype) for s in ((m, inner), (inner, n))]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        out = np.linalg.qr(arrays[0], "complete" if params["full_matrices"] else "reduced")
        return [out.Q, out.R]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (dx,) = primals, tangents
        q, r = self.bind(x, **params)
        if isinstance(dx, Zero):
            return [q, r], [zero_tangent(aval_of(q)), zero_tangent(aval_of(r))]
        m, n = aval_of(x).shape[-2:]
        if m < n or (params["full_matrices"] and m != n):
            raise ValueError(
                f"qr of {aval_of(x).long()} with full_matrices={params['full_matrices']} has no "
                f"derivative: its factors are not unique.\n  {user_line()}\n"
                "  Use full_matrices=False on matrices with as many rows as columns, or more."
            )
        # dx r⁻¹ = dq + q (dr r⁻¹), where qᴴ dq is antihermitian and dr r⁻¹ upper triangular.
        scaled = triangular_solve(r, instantiate(dx))
        inner = batch_matmul(adjoint(q), scaled)
        lower = _triangle(inner, 0.0)
        turn = sub(lower, adjoint(lower))
        if _is_complex(x):
            phases = _scaled(inner, np.eye(n))
            turn = add(turn, mul(sub(phases, conj(phases)), np.array(0.5, aval_of(x).dtype)))
        dq = add(batch_matmul(q, sub(turn, inner)), scaled)
        return [q, r], [dq, batch_matmul(sub(inner, turn), r)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        return self.bind(to_front(args[0], dims[0], axis.size), **params), [0, 0]

    def examples(self) -> Iterator[Example]:
        for shape, full in (((3, 3), True), ((4, 2), False), ((2, 3, 2), False)):
            yield Example((draw(reals(-1, 1), shape, 6),), {"full_matrices": full}, tolerance=1e-5)
        for shape, full in (((4, 2), True), ((2, 3), False)):
            x = draw(reals(-1, 1), shape, 6)
            yield Example((x,), {"full_matrices": full}, differentiable=())


class TriangularSolve(Primitive):
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
        moved = _scaled(t, mask)
        moved = swap(moved) if params["transpose_a"] else moved
        moved = conj(moved) if params["conjugate_a"] and _is_complex(t) else moved
        product = batch_matmul(moved, out) if params["left_side"] else batch_matmul(out, moved)
        return self.bind(a, neg(product), **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        flipped = {**params, "transpose_a": not params["transpose_a"]}
        return [None, self.bind(args[0], ct, **flipped)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        a, b = (to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True))
        return self.bind(a, b, **params), 0

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


cholesky_p, qr_p, triangular_solve_p = Cholesky(), Qr(), TriangularSolve()


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """L lower triangular with L Lᴴ = x, for x hermitian and positive definite.

    Args:
        x: floats or complex numbers [..., n, n].
        symmetrize_input: take the hermitian part of x, which makes derivatives symmetric too.
    Returns:
        [..., n, n]; NaN for matrices that are not positive definite.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is not square.
    """
    check_matrices("cholesky", aval_of(x), square=True)
    if symmetrize_input:
        x = mul(add(x, adjoint(x)), np.array(0.5, aval_of(x).dtype))
    return cholesky_p.bind(x)


def qr(x: Any, *, full_matrices: bool = True) -> tuple[Any, Any]:
    """Factors q [..., m, k] and r [..., k, n] of x [..., m, n]; k is m, or min(m, n) when not full.

    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is no matrix.
    """
    q, r = qr_p.bind(x, full_matrices=bool(full_matrices))
    return q, r


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
    from .movement import expand_dims, squeeze

    rank = len(aval_of(b).shape)
    single = rank == len(aval_of(a).shape) - 1
    at = rank if left_side else rank - 1
    params = _params(left_side, lower, transpose_a, conjugate_a, unit_diagonal)
    out = triangular_solve_p.bind(a, expand_dims(b, (at,)) if single else b, **params)
    return squeeze(out, (at,)) if single else out
