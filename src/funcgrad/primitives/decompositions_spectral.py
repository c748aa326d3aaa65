"""Eigenvalues and eigenvectors, of hermitian and of general matrices.

The one idea: to first order an eigenvector moves towards the others, by amounts divided by the
distances of the eigenvalues; where two coincide that has no limit.
Source: Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, 2008, section 3.1.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Example
from ..core.sources import user_line
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Eqn
from ..ir.loops import Library, Operand
from .arithmetic import abs, add, div, mul, neg, sub
from .broadcasting import broadcast_to, expand_dims
from .casting import convert_element_type
from .comparison import eq
from .complexes import complex, conj
from .creation import broadcasted_iota
from .decompositions_lu import solve_square
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    adjoint,
    along_columns,
    along_rows,
    as_floats,
    check_matrices,
    columns,
    columns_times,
    constant_like,
    diagonal_of,
    each_matrix,
    hermitian_part,
    imag_of,
    nan_for_failed,
    product,
    real_part,
)
from .reduction import argmax, reduce_sum
from .selection import select, zeros_of
from .slicing import slice_in_dim


class EighImplementation(enum.Enum):
    """Algorithms for hermitian eigenproblems; on the CPU there is LAPACK's, by QR."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class EigImplementation(enum.Enum):
    """Libraries for general eigenproblems; on the CPU there is LAPACK."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


def check_subset(name: str, subset: tuple[int, int] | None, count: int) -> tuple[int, int] | None:
    """Indices start and stop in range, as a tuple of ints; None for all."""
    if subset is None:
        return None
    start, stop = map(int, subset)
    if not 0 <= start <= stop <= count:
        raise ValueError(
            f"{name}: subset_by_index={subset} is out of range for {count} values.\n"
            f"  {user_line()}\n  Give (start, stop) with 0 <= start <= stop <= {count}."
        )
    return start, stop


def inverse_gaps(w: Any, like: Any) -> Any:
    """1 / (w[j] − w[i]) at (i, j), zero on the diagonal, in the dtype and shape of `like`."""
    eye = constant_like(np.eye(aval_of(like).shape[-1]), like)
    gaps = sub(along_columns(w, like), along_rows(w, like))
    one = constant_like(np.ones(aval_of(like).shape[-2:]), like)
    return sub(div(one, add(eye, gaps)), eye)


class Eigh(MatrixPrimitive):
    """Eigenvectors v and eigenvalues w, ascending, of hermitian x, of which a triangle is read.

    The derivative takes the hermitian part of the tangent. Degenerate where eigenvalues coincide:
    the derivative of the eigenvectors is infinite or NaN there, that of the eigenvalues finite: it
    is the one in the basis of eigenvectors that was found. Of complex matrices the phases of
    eigenvectors are LAPACK's; derivatives leave each vector orthogonal to its change, and so are
    right for functions that do not depend on phases.
    """

    name = "eigh"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x, square=True)
        n = x.shape[-1]
        start, stop = check_subset(self.name, params["subset_by_index"], n) or (0, n)
        real = dtypes.to_floating_dtype(x.dtype)
        shape = (*x.shape[:-1], stop - start)
        return [ShapedArray(shape, x.dtype), ShapedArray((*x.shape[:-2], stop - start), real)]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        lower = params["lower"]
        # The triangle that is not read may hold anything.
        read = np.tril(x) if lower else np.triu(x)
        w, v = nan_for_failed(lambda a: np.linalg.eigh(a, "L" if lower else "U"), read)
        return [part[..., slice(*params["subset_by_index"] or (None,))] for part in (v, w)]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("eigh", params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (dx,) = primals, tangents
        subset = params["subset_by_index"]
        if isinstance(dx, Zero):
            outs = self.bind(x, **params)
            return outs, [zero_tangent(aval_of(out)) for out in outs]
        v, w = self.bind(x, **{**params, "subset_by_index": None})
        inner = product(adjoint(v), hermitian_part(instantiate(dx)), v)
        dv = product(v, mul(inverse_gaps(w, inner), inner))
        dw = diagonal_of(real_part(inner))
        if subset is None:
            return [v, w], [dv, dw]
        v, dv = (columns(part, *subset) for part in (v, dv))
        w, dw = (slice_in_dim(part, *subset, axis=len(aval_of(w).shape) - 1) for part in (w, dw))
        return [v, w], [dv, dw]

    def dce(self, eqn: Eqn, used_outputs: Sequence[bool]) -> Eqn | None:
        """The eqn of the eigenvalues alone where nobody reads the eigenvectors."""
        if all(used_outputs) or not any(used_outputs):
            return eqn if any(used_outputs) else None
        if used_outputs[0]:
            return eqn
        return eqn.replace(primitive=eigh_values_p, outvars=eqn.outvars[1:])

    def examples(self) -> Iterator[Example]:
        # The function reads one triangle, the derivative the hermitian part: derivatives are
        # checked through the public functions.
        params = _eigh_params(True, True, None, None)
        for shape in ((3, 3), (2, 4, 4), (0, 0), (1, 1), (0, 2, 2)):
            x = draw(reals(-1, 1), shape, 5)
            yield Example((x,), params, differentiable=())
            yield Example((x + 0.5j,), {**params, "lower": False}, differentiable=())
        x = draw(reals(-1, 1), (4, 4), 5)
        yield Example((x,), {**params, "subset_by_index": (1, 3)}, differentiable=())


class EighValues(MatrixPrimitive):
    """The eigenvalues that `eigh` gives, which take less than half of its time without vectors.

    Programs have it in the place of an `eigh` whose eigenvectors nobody reads.
    """

    name = "eigh_values"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        return eigh_p.abstract_eval(*avals, **params)[1]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        lower = params["lower"]
        read = np.tril(x) if lower else np.triu(x)
        (w,) = nan_for_failed(lambda a: [np.linalg.eigvalsh(a, "L" if lower else "U")], read)
        return w[..., slice(*params["subset_by_index"] or (None,))]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("eigh_values", params)

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        v, _ = eigh_p.bind(*primals, **params)
        return diagonal_of(real_part(product(adjoint(v), hermitian_part(t), v)))

    def examples(self) -> Iterator[Example]:
        # As those of `eigh`.
        yield from eigh_p.examples()


def _eigh_params(lower: bool, ascending: bool, subset: Any, implementation: Any) -> dict[str, Any]:
    return {
        "algorithm": implementation,
        "lower": lower,
        "sort_eigenvalues": ascending,
        "subset_by_index": subset,
    }


class Eig(MatrixPrimitive):
    """Eigenvalues w of a general matrix, and its left and right eigenvectors where asked for.

    Degenerate where eigenvalues coincide: eigenvectors have an infinite or NaN derivative there,
    and eigenvalues too where the eigenvectors do not span the space.
    """

    name = "eig"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x, square=True)
        dtype = dtypes.to_complex_dtype(x.dtype)
        kinds = ("compute_left_eigenvectors", "compute_right_eigenvectors")
        count = sum(bool(params[kind]) for kind in kinds)
        vectors = [ShapedArray(x.shape, dtype)] * count
        return [ShapedArray(x.shape[:-1], dtype), *vectors]

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        left, right = params["compute_left_eigenvectors"], params["compute_right_eigenvectors"]
        avals = self.abstract_eval(aval_of(x), **params)
        if left:
            outs = each_matrix(lambda i: _all_vectors(x[i], right), avals, x.ndim - 2)
        elif right:
            outs = nan_for_failed(np.linalg.eig, x)
        else:
            outs = nan_for_failed(lambda a: [np.linalg.eigvals(a)], x)
        return [out.astype(a.dtype) for out, a in zip(outs, avals, strict=True)]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (dx,) = primals, tangents
        left, right = params["compute_left_eigenvectors"], params["compute_right_eigenvectors"]
        if isinstance(dx, Zero):
            outs = self.bind(x, **params)
            return outs, [zero_tangent(aval_of(out)) for out in outs]
        if (left or right) and not params["enable_eigvec_derivs"]:
            raise TypeError(
                "Derivatives of eigenvectors of general matrices are right only where eigenvalues "
                f"are distinct, which is not checked.\n  {user_line()}\n"
                "  Say lax.linalg.eig(..., enable_eigvec_derivs=True) where they are, or use "
                "eigvals or eigh."
            )
        # Eigenvalues have derivatives of every order, so the vectors they need must have them.
        needed = {"compute_right_eigenvectors": True, "enable_eigvec_derivs": True}
        outs = self.bind(x, **{**params, **needed})
        w, vr = outs[0], outs[-1]
        dx = convert_element_type(instantiate(dx), aval_of(vr).dtype)
        inner = solve_square(vr, product(dx, vr))
        found = [diagonal_of(inner)]
        if left:
            found.append(_vectors_tangent(conj(w), outs[1], adjoint(dx)))
        if right:
            found.append(_vectors_tangent(w, vr, dx))
        return outs[: len(found)], found

    def examples(self) -> Iterator[Example]:
        for number, shape in enumerate([(3, 3), (2, 3, 3), (1, 1), (2, 2)]):
            params = _eig_params(bool(number & 1), bool(number & 2), True)
            x = draw(reals(-1, 1), shape, 5 + number)
            yield Example((x,), params, tolerance=1e-5)
            # Far apart, so that a small step does not exchange them.
            apart = np.diag(np.arange(shape[-1]) * 2j)
            yield Example((x + apart,), params, tolerance=1e-5)
        yield Example((draw(reals(-1, 1), (3, 3), 5),), _eig_params(True, True, True), (), 1e-5)
        yield Example((np.zeros((0, 0)),), _eig_params(True, True, True), differentiable=())


def _eig_params(left: bool, right: bool, derivatives: bool) -> dict[str, Any]:
    return {
        "compute_left_eigenvectors": left,
        "compute_right_eigenvectors": right,
        "enable_eigvec_derivs": derivatives,
        "implementation": None,
    }


def _all_vectors(x: Any, right: bool) -> list[Any]:
    """Eigenvalues, left and perhaps right eigenvectors of one matrix; NaN where LAPACK fails."""
    import scipy.linalg  # pyright: ignore[reportMissingTypeStubs]

    module: Any = scipy.linalg
    if x.size and np.isfinite(x).all():
        try:
            return list(module.eig(x, left=True, right=right, check_finite=False))
        except np.linalg.LinAlgError:
            pass
    return [np.nan] * (2 + right)


def _vectors_tangent(w: Any, v: Any, dx: Any) -> Any:
    """dv of x v = v diag(w), with columns of unit norm whose largest entry is real."""
    inner = solve_square(v, product(dx, v))
    u = product(v, mul(inverse_gaps(w, inner), inner))
    rank = len(aval_of(v).shape)
    # u + c v for any c solves the equation. The norm gives Re c, the largest entry Im c.
    largest = expand_dims(argmax(abs(v), rank - 2, np.int32), (rank - 2,))
    shape = aval_of(v).shape
    chosen = eq(broadcasted_iota(np.int32, shape, rank - 2), broadcast_to(largest, shape))

    def at_largest(x: Any) -> Any:
        return reduce_sum(select(chosen, x, zeros_of(x)), (rank - 2,))

    along = real_part(reduce_sum(mul(conj(v), u), (rank - 2,)))
    turn = div(at_largest(imag_of(u)), at_largest(real_part(v)))
    return add(u, columns_times(v, complex(neg(along), neg(turn))))


eigh_p, eigh_values_p, eig_p = Eigh(), EighValues(), Eig()


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Any, Any]:
    """Eigenvectors v and eigenvalues w of hermitian matrices: x v = v diag(w), vᴴ v = 1.

    Derivatives of v are infinite or NaN where eigenvalues coincide, those of w are finite.

    Args:
        x: floats or complex numbers [..., n, n].
        lower: which triangle is read where the input is not symmetrized.
        symmetrize_input: take the hermitian part of x, and floats of integers.
        sort_eigenvalues: accepted; the eigenvalues ascend in any case.
        subset_by_index: (start, stop), a range of the ascending eigenvalues; all by default.
        implementation: None or `EighImplementation.QR`.
    Returns:
        v [..., n, k] of the dtype of x, and w [..., k], real and ascending.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those; x
            has less than two axes, or is not square and shall be symmetrized.
        ValueError: x is not square, the range is none, or there is no such implementation.
    """
    x = as_floats(x) if symmetrize_input else x
    check_matrices("eigh", aval_of(x), square=True, symmetrized=symmetrize_input)
    if implementation not in (None, EighImplementation.QR):
        raise ValueError(
            f"eigh: {implementation} is not there on the CPU.\n  {user_line()}\n"
            "  Leave implementation out, or give EighImplementation.QR."
        )
    subset = check_subset("eigh", subset_by_index, aval_of(x).shape[-1])
    value = hermitian_part(x) if symmetrize_input else x
    params = _eigh_params(bool(lower), bool(sort_eigenvalues), subset, implementation)
    v, w = eigh_p.bind(value, **params)
    return v, w


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Any]:
    """Eigenvalues of general matrices, with left and right eigenvectors.

    x vr = vr diag(w) and vlᴴ x = diag(w) vlᴴ, with columns of norm 1 whose largest entry is real.

    Args:
        x: floats or complex numbers [..., n, n].
        enable_eigvec_derivs: let eigenvectors be differentiated, which is right where the
            eigenvalues are distinct and the largest entry of each eigenvector is the only one.
        implementation: None or `EigImplementation.LAPACK`.
        use_magma: accepted; True asks for what is not there.
    Returns:
        [w, vl, vr], complex, without those that are not computed; NaN where LAPACK fails.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those; or
            eigenvectors are differentiated without leave.
        ValueError: x is not square, or there is no such implementation.
    """
    if implementation not in (None, EigImplementation.LAPACK) or use_magma:
        raise ValueError(
            f"eig: {EigImplementation.MAGMA if use_magma else implementation} is not there on the "
            f"CPU.\n  {user_line()}\n  Leave it out, or give EigImplementation.LAPACK."
        )
    return eig_p.bind(
        x,
        compute_left_eigenvectors=bool(compute_left_eigenvectors),
        compute_right_eigenvectors=bool(compute_right_eigenvectors),
        enable_eigvec_derivs=bool(enable_eigvec_derivs),
        implementation=implementation,
    )
