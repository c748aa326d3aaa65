"""Solving equations in SciPy's form: general, definite, triangular, and Sylvester's."""

from __future__ import annotations

from typing import Any

from ... import numpy as fnp
from ...control.solves import custom_linear_solve
from ...primitives.broadcasting import broadcast_shapes
from ...primitives.factor import triangular_solve
from ...primitives.matrix_functions import sylvester_p
from ...primitives.rounding import stop_gradient
from ...typing import Array
from .factorizations import cho_factor, cho_solve
from .operands import arrays, columns_like, spread


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinant of square matrices; see `numpy.linalg.det`."""
    return fnp.linalg.det(arrays(a)[0])


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverse of square matrices; see `numpy.linalg.inv`."""
    return fnp.linalg.inv(arrays(a)[0])


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Array:
    """The x with a x = b.

    Args:
        a: [..., n, n].
        b: a vector [n], or [..., n, k].
        lower: the triangle of a that is read when it is definite.
        assume_a: "pos", a is hermitian and positive definite; "gen", "sym", "her".
    Raises:
        ValueError: the shapes do not fit, or assume_a is none of these.
    """
    known = ["gen", "sym", "her", "pos"]
    if assume_a not in known:
        raise ValueError(f"Expected assume_a to be one of {known}; got {assume_a!r}.")
    if assume_a != "pos":
        return fnp.linalg.solve(*arrays(a, b))
    matrix, right, vector = columns_like("solve", *arrays(a, b))
    factors = cho_factor(stop_gradient(matrix), lower)

    def matvec(x: Any) -> Any:
        return fnp.matmul(matrix, x)

    def by_factor(_: Any, y: Any) -> Any:
        return cho_solve(factors, y)

    def by_transpose(_: Any, y: Any) -> Any:
        # aᵀ is the conjugate of hermitian a.
        return fnp.conj(cho_solve(factors, fnp.conj(y)))

    x = custom_linear_solve(matvec, right, solve=by_factor, transpose_solve=by_transpose)
    return x[..., 0] if vector else x


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Array:
    """The x with a x = b, of which one triangle of a is read.

    Args:
        a: [..., n, n].
        b: a vector [n], or [..., n, k].
        trans: 0 or "N" for a, 1 or "T" for aᵀ, 2 or "C" for aᴴ.
        lower: read the lower triangle.
        unit_diagonal: take the diagonal for ones.
    Raises:
        ValueError: the shapes do not fit, or trans is none of these.
    """
    kinds = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}
    if trans not in kinds:
        raise ValueError(f"Invalid 'trans' value {trans!r}. Give 0, 1, 2, 'N', 'T' or 'C'.")
    matrix, right, vector = columns_like("solve_triangular", *arrays(a, b))
    x = triangular_solve(
        matrix,
        right,
        left_side=True,
        lower=lower,
        transpose_a=kinds[trans] > 0,
        conjugate_a=kinds[trans] == 2,
        unit_diagonal=unit_diagonal,
    )
    return x[..., 0] if vector else x


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Array:
    """The X with A X + X B = C.

    Args:
        A: [..., m, m]; B: [..., n, n]; C: [..., m, n].
        method: "schur" or "eigen"; both are solved by Schur's form.
        tol: X is NaN where the sum of an eigenvalue of A and one of B is smaller.
    Raises:
        ValueError: the shapes do not fit, or the method is unknown.
    """
    if method not in ("schur", "eigen"):
        raise ValueError(f"Unrecognized method {method!r}. Give 'schur' or 'eigen'.")
    a, b, c = arrays(A, B, C)
    m, n = c.shape[-2:]
    if a.shape[-2:] != (m, m) or b.shape[-2:] != (n, n):
        raise ValueError(
            f"Incompatible shapes for Sylvester equation: A {a.shape}, B {b.shape}, C {c.shape}."
        )
    lead = broadcast_shapes(*(x.shape[:-2] for x in (a, b, c)))
    a, b, c = (spread(x, lead) for x in (a, b, c))
    of_a, of_b = (fnp.linalg.eigvals(stop_gradient(x)) for x in (a, b))
    near = abs(of_a[..., :, None] + of_b[..., None, :]) < tol
    x = sylvester_p.bind(a, b, c)
    return fnp.where(near.any((-1, -2))[..., None, None], fnp.asarray(fnp.nan, x.dtype), x)
