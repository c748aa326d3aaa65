"""Functions of square matrices: the exponential, the square root, and Sylvester's equation.

The one idea: the derivative of f at x along e is a block of f([[x, e], [0, x]]), so it is a
function of the same kind, and so are its derivatives.
Source: Higham, Functions of Matrices, 2008, theorem 3.6, sections 6.2 and 10.6; Bartels & Stewart,
Communications of the ACM 15 (1972).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example, add_tangents
from ..core.sources import user_line
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Eqn
from .arithmetic import add, neg
from .decompositions_reduced import schur_p
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    NDArray,
    check_dtype,
    check_matrices,
    columns,
    each_matrix,
    lapack,
    padded,
    product,
    rows,
    shifted_block,
    swap,
)


class Expm(MatrixPrimitive):
    """The exponential of matrices; smooth everywhere."""

    name = "expm"
    composed = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        check_matrices(self.name, avals[0], square=True)
        return avals[0].strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return exponential(arrays[0])

    def is_composed(self, eqn: Eqn) -> bool:
        return _has_kernels(eqn)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return expm_frechet_p.bind(primals[0], t)

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            yield Example((draw(reals(-1, 1), shape, 6),))
        yield Example((draw(reals(-1, 1), (2, 2), 6) + 1j * draw(reals(-1, 1), (2, 2), 7),))


def exponential(x: NDArray) -> NDArray:
    """The exponentials of matrices; NaN for those that are not finite."""
    import scipy.linalg  # pyright: ignore[reportMissingTypeStubs]

    module: Any = scipy.linalg
    if not x.size:
        return x
    good: NDArray = np.asarray(np.isfinite(x).all((-1, -2)))
    out = module.expm(np.where(good[..., None, None], x, 0)).astype(x.dtype)
    return np.where(good[..., None, None], out, np.asarray(np.nan, x.dtype))


def _has_kernels(eqn: Eqn) -> bool:
    """Whether the solve of the composed program has kernels on a CPU: that of reals has."""
    return dtypes.issubdtype(eqn.invars[0].aval.dtype, np.floating)


class ExpmFrechet(MatrixPrimitive):
    """The derivative of the exponential at x along e; linear in e."""

    name = "expm_frechet"
    composed = True
    linear_operands = slice(1, 2)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        x, e = avals
        check_matrices(self.name, x, square=True)
        check_dtype(self.name, x, e)
        if x.shape != e.shape:
            raise ValueError(
                f"{self.name} takes two arrays of one shape, got {x.long()} and {e.long()}.\n"
                f"  {user_line()}"
            )
        return e.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        x, e = arrays
        n = x.shape[-1]
        zero = np.zeros_like(x)
        return exponential(np.block([[x, e], [zero, x]]))[..., :n, n:]

    def is_composed(self, eqn: Eqn) -> bool:
        return _has_kernels(eqn)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        x, e = primals
        if i == 1:
            return self.bind(x, t)
        n = aval_of(x).shape[-1]
        wide = add(add(padded(x, n, n), shifted_block(x, n, n)), shifted_block(e, 0, n))
        moved = add(padded(t, n, n), shifted_block(t, n, n))
        return columns(rows(self.bind(wide, moved), 0, n), n, 2 * n)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [None, self.bind(swap(args[0]), ct)]

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            yield Example((draw(reals(-1, 1), shape, 6), draw(reals(-1, 1), shape, 7)))
        x = draw(reals(-1, 1), (2, 2), 6) + 1j * draw(reals(-1, 1), (2, 2), 7)
        yield Example((x, x * 1j + 1))


class Sylvester(MatrixPrimitive):
    """The x with a x + x b = c; linear in c.

    Degenerate where an eigenvalue of a is minus one of b: there is no single x, and what comes is
    very large, infinite or NaN, as is its derivative.
    """

    name = "sylvester"
    linear_operands = slice(2, 3)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        a, b, c = avals
        check_matrices(self.name, a, square=True)
        check_matrices(self.name, b, square=True)
        check_dtype(self.name, *avals)
        shape = (*a.shape[:-2], a.shape[-1], b.shape[-1])
        if c.shape != shape or a.shape[:-2] != b.shape[:-2]:
            raise ValueError(
                f"{self.name}: {a.long()} and {b.long()} do not fit {c.long()}.\n  {user_line()}\n"
                "  Give a [..., m, m], b [..., n, n] and c [..., m, n]."
            )
        return c.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        a, b, c = arrays
        if not c.size:
            return c
        (r, u), (s, v) = (schur_p.impl(x, compute_schur_vectors=True) for x in (a, b))
        solve = lapack("trsyl", c.dtype)

        def one(i: tuple[int, ...]) -> Sequence[Any]:
            if not (np.isfinite(r[i]).all() and np.isfinite(s[i]).all()):
                return [np.nan]
            x, scale, _ = solve(r[i], s[i], u[i].conj().T @ c[i] @ v[i])
            return [(u[i] @ x @ v[i].conj().T) / scale]

        return each_matrix(one, [aval_of(c)], c.ndim - 2)[0]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        a, b, _ = primals
        da, db, right = tangents
        x = self.bind(*primals)
        # a dx + dx b = dc − da x − x db.
        if not isinstance(da, Zero):
            right = add_tangents(right, neg(product(da, x)))
        if not isinstance(db, Zero):
            right = add_tangents(right, neg(product(x, db)))
        if isinstance(right, Zero):
            return x, zero_tangent(aval_of(x))
        return x, self.bind(a, b, instantiate(right))

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        a, b, _ = args
        return [None, None, self.bind(swap(a), swap(b), ct)]

    def examples(self) -> Iterator[Example]:
        for lead, m, n in (((), 3, 2), ((2,), 2, 2), ((), 1, 3), ((), 0, 2)):
            a = draw(reals(-0.5, 0.5), (*lead, m, m), 5) + 2 * np.eye(m)
            b = draw(reals(-0.5, 0.5), (*lead, n, n), 6) + 2 * np.eye(n)
            c = draw(reals(-1, 1), (*lead, m, n), 7)
            yield Example((a, b, c))
            yield Example((a + 0.2j, b + 0.3j * np.eye(n), c * 1j))


class Sqrtm(MatrixPrimitive):
    """The principal square root of complex matrices.

    Degenerate where an eigenvalue is zero: the root may not exist, and its derivative is infinite
    or NaN. Across the negative real axis the root jumps.
    """

    name = "sqrtm"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        (x,) = avals
        check_matrices(self.name, x, square=True)
        if not dtypes.issubdtype(x.dtype, np.complexfloating):
            raise TypeError(
                f"{self.name} takes complex matrices, got {x.long()}.\n  {user_line()}\n"
                "  Convert them with astype."
            )
        return x.strong()

    def impl(self, *arrays: Any, **params: Any) -> Any:
        t, q = schur_p.impl(arrays[0], compute_schur_vectors=True)
        return q @ root_of_triangle(t) @ np.swapaxes(q.conj(), -1, -2)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        return sylvester_p.bind(out, out, t)

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            x = draw(reals(-0.5, 0.5), shape, 6) + 1j * draw(reals(-0.5, 0.5), shape, 7)
            yield Example((x + 2 * np.eye(shape[-1]),))


def root_of_triangle(t: NDArray) -> NDArray:
    """The upper triangular square root of upper triangles, diagonal after diagonal."""
    n = int(t.shape[-1])
    root = np.zeros_like(t)
    places = np.arange(n)
    root[..., places, places] = np.sqrt(t[..., places, places])
    for k in range(1, n):
        for i in range(n - k):
            j = i + k
            inner = (root[..., i, i + 1 : j] * root[..., i + 1 : j, j]).sum(-1)
            rest = t[..., i, j] - inner
            both = root[..., i, i] + root[..., j, j]
            # Two zeros on the diagonal leave the entry free where nothing has to be met.
            root[..., i, j] = np.where(rest == 0, 0, rest / both)
    return root


expm_p, expm_frechet_p = Expm(), ExpmFrechet()
sylvester_p, sqrtm_p = Sylvester(), Sqrtm()
