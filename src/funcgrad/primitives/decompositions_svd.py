"""Singular values and vectors.

x = u diag(s) vᴴ. The one idea: with P = uᴴ dx v, the singular values move by the real diagonal of
P, and the vectors turn towards each other by amounts divided by differences of squares of singular
values; what of dx leaves their span is divided by the singular values themselves.
Source: Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation, 2008, section 3.2; Wan & Zhang, arXiv:1909.02659, for complex matrices.
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
from ..ir.loops import Library, Operand
from .arithmetic import add, div, mul, sub
from .comparison import eq
from .decompositions_spectral import check_subset
from .kinds import draw, reals
from .matrices import (
    MatrixPrimitive,
    NDArray,
    adjoint,
    along_columns,
    along_rows,
    check_matrices,
    columns,
    columns_times,
    constant_like,
    diagonal_of,
    each_matrix,
    imaginary_part,
    kept,
    lapack,
    nan_for_failed,
    product,
    real_part,
    rows,
)
from .selection import select, zeros_of
from .slicing import slice_in_dim


class SvdAlgorithm(enum.Enum):
    """Algorithms for singular values; LAPACK has QR iteration and divide and conquer."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


class Svd(MatrixPrimitive):
    """Singular values s, descending; also u and vᴴ with compute_uv.

    Degenerate where singular values coincide: the derivative of the vectors is infinite or NaN
    there. That of the values is finite everywhere. A singular value of zero makes the derivative
    of the vectors of the longer side infinite or NaN. Of complex matrices the phases of the
    vectors are LAPACK's, and derivatives are right for functions that do not depend on them.
    """

    name = "svd"
    multiple_results = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        (x,) = avals
        check_matrices(self.name, x)
        *lead, m, n = x.shape
        start, stop = self._range(x.shape, params)
        count = stop - start
        s = ShapedArray((*lead, count), dtypes.to_floating_dtype(x.dtype))
        if not params["compute_uv"]:
            return [s]
        full = params["full_matrices"]
        u = ShapedArray((*lead, m, m if full else count), x.dtype)
        return [s, u, ShapedArray((*lead, n if full else count, n), x.dtype)]

    def _range(self, shape: Sequence[int], params: dict[str, Any]) -> tuple[int, int]:
        rank = min(shape[-2:])
        subset = check_subset(self.name, params["subset_by_index"], rank) or (0, rank)
        if params["full_matrices"] and subset != (0, rank):
            raise ValueError(
                f"svd: full_matrices and subset_by_index={subset} exclude each other.\n"
                f"  {user_line()}\n  Leave one of them out."
            )
        return subset

    def impl(self, *arrays: Any, **params: Any) -> Any:
        (x,) = arrays
        start, stop = self._range(x.shape, params)
        outs = decomposed(x, params)
        outs[0] = outs[0][..., start:stop]
        if params["compute_uv"] and not params["full_matrices"]:
            outs[1:] = [outs[1][..., start:stop], outs[2][..., start:stop, :]]
        return outs

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Library:
        return Library("svd", params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (dx,) = primals, tangents
        shape = aval_of(x).shape
        if isinstance(dx, Zero):
            outs = self.bind(x, **params)
            return outs, [zero_tangent(aval_of(out)) for out in outs]
        with_vectors = params["compute_uv"]
        if with_vectors and params["full_matrices"] and shape[-1] != shape[-2]:
            raise ValueError(
                f"svd of {aval_of(x).long()} with full_matrices=True has no derivative: the "
                f"columns that complete its factors are not unique.\n  {user_line()}\n"
                "  Use full_matrices=False, or compute_uv=False."
            )
        whole = {"full_matrices": False, "compute_uv": True, "subset_by_index": None}
        outs = self.bind(x, **{**params, **whole})
        found = tangents_of(outs, instantiate(dx), with_vectors)
        start, stop = self._range(shape, params)
        if (start, stop) != (0, min(shape[-2:])):
            outs, found = self._part(outs, start, stop), self._part(found, start, stop)
        return outs[: len(found)], found

    def _part(self, parts: Sequence[Any], start: int, stop: int) -> list[Any]:
        s, *vectors = parts
        s = slice_in_dim(s, start, stop, axis=len(aval_of(s).shape) - 1)
        if not vectors:
            return [s]
        return [s, columns(vectors[0], start, stop), rows(vectors[1], start, stop)]

    def examples(self) -> Iterator[Example]:
        for shape in ((3, 3), (2, 4, 2), (2, 3), (1, 1)):
            x = draw(reals(-1, 1), shape, 6)
            for vectors in (True, False):
                full = shape[-1] == shape[-2]
                yield Example((x,), _params(full, vectors, None), tolerance=1e-5)
            yield Example((x * np.exp(0.3j),), _params(False, False, None), tolerance=1e-5)
        x = draw(reals(-1, 1), (4, 3), 6)
        yield Example((x,), _params(False, True, (1, 3)), tolerance=1e-5)
        yield Example((x,), _params(False, False, (0, 1)), tolerance=1e-5)
        yield Example((x,), _params(True, True, None), differentiable=())
        yield Example((x + 1j,), _params(True, True, None), differentiable=())
        params = {**_params(False, True, None), "algorithm": SvdAlgorithm.QR}
        yield Example((x,), params, tolerance=1e-5)
        for shape in ((0, 2), (2, 0), (0, 2, 2)):
            for full in (True, False):
                yield Example((np.zeros(shape),), _params(full, True, None), differentiable=())


def _params(full: bool, vectors: bool, subset: Any) -> dict[str, Any]:
    return {
        "algorithm": None,
        "compute_uv": vectors,
        "full_matrices": full,
        "subset_by_index": subset,
    }


def decomposed(x: NDArray, params: dict[str, Any]) -> list[NDArray]:
    """s, or s, u and vᴴ, of all singular values."""
    full, vectors = params["full_matrices"], params["compute_uv"]
    whole = {**params, "subset_by_index": None}
    avals = svd_p.abstract_eval(aval_of(x), **whole)
    if not x.size:
        # Nothing but the columns that complete the factors, which may be any orthonormal ones.
        empty = [np.zeros(avals[0].shape, avals[0].dtype)]
        return empty + [
            np.broadcast_to(np.eye(a.shape[-2], a.shape[-1], dtype=a.dtype), a.shape)
            for a in avals[1:]
        ]
    if params["algorithm"] is SvdAlgorithm.QR:
        solve = lapack("gesvd", x.dtype)

        def by_qr(i: tuple[int, ...]) -> list[Any]:
            if not np.isfinite(x[i]).all():
                return [np.nan] * len(avals)
            u, s, vh, _ = solve(x[i], compute_uv=vectors, full_matrices=full)
            return [s, u, vh] if vectors else [s]

        return each_matrix(by_qr, avals, x.ndim - 2)
    if not vectors:
        return nan_for_failed(lambda a: [np.linalg.svd(a, compute_uv=False)], x)
    u, s, vh = nan_for_failed(lambda a: np.linalg.svd(a, full_matrices=full), x)
    return [s, u, vh]


def tangents_of(factors: Sequence[Any], dx: Any, with_vectors: bool) -> list[Any]:
    """ds, or ds, du and dvᴴ, of reduced factors s, u, vᴴ."""
    s, u, vh = factors
    v = adjoint(vh)
    inner = product(adjoint(u), dx, v)
    ds = diagonal_of(real_part(inner))
    if not with_vectors:
        return [ds]
    right, left = columns_times(inner, s), mul(inner, along_rows(s, inner))
    gaps = _inverse_gaps(s, inner)
    du = mul(gaps, add(right, adjoint(right)))
    dv = mul(gaps, add(left, adjoint(left)))
    # A phase common to both vectors is free; that of u against v is what makes s stay real.
    eye = np.eye(aval_of(inner).shape[-1], dtype=bool)
    phase = kept(imaginary_part(inner), eye)
    du = product(u, add(du, columns_times(phase, _inverse(s))))
    dv = product(v, dv)
    m, n = aval_of(dx).shape[-2:]
    if m > n:
        du = add(du, _leaving(u, product(dx, v), s))
    if n > m:
        dv = add(dv, _leaving(v, product(adjoint(dx), u), s))
    return [ds, du, adjoint(dv)]


def _leaving(basis: Any, moved: Any, s: Any) -> Any:
    """What leaves the span of an orthonormal basis, each column divided by its singular value."""
    outside = sub(moved, product(basis, product(adjoint(basis), moved)))
    return div(outside, along_columns(s, outside))


def _inverse(s: Any) -> Any:
    """1 / s, and zero where s is."""
    zero = eq(s, zeros_of(s))
    one = np.ones(aval_of(s).shape, aval_of(s).dtype)
    return select(zero, zeros_of(s), div(one, select(zero, one, s)))


def _inverse_gaps(s: Any, like: Any) -> Any:
    """1 / (s[j]² − s[i]²) at (i, j), zero on the diagonal."""
    eye = constant_like(np.eye(aval_of(like).shape[-1]), like)
    across, down = along_columns(s, like), along_rows(s, like)
    # A difference of squares as a product, which does not cancel.
    gaps = mul(add(across, down), sub(across, down))
    one = constant_like(np.ones(aval_of(like).shape[-2:]), like)
    return sub(div(one, add(eye, gaps)), eye)


svd_p = Svd()


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """Singular value decomposition: x = u diag(s) vᴴ, with s ≥ 0 descending.

    Derivatives of u and vᴴ are infinite or NaN where singular values coincide or (of matrices that
    are not square) are zero; those of s are finite.

    Args:
        x: floats or complex numbers [..., m, n].
        full_matrices: u [..., m, m] and vᴴ [..., n, n]; else [..., m, k] and [..., k, n] with
            k = min(m, n).
        compute_uv: False for s alone.
        subset_by_index: (start, stop), a range of the singular values; not with full_matrices.
        algorithm: None, DEFAULT, DIVIDE_AND_CONQUER, or QR.
    Returns:
        (u, s, vᴴ), or s alone; NaN where x is not finite.
    Raises:
        TypeError: the dtype is not that of floats of 32 or 64 bits, or complex ones of those.
        ValueError: x is no matrix, the range is none, or there is no such algorithm.
    """
    if algorithm in (SvdAlgorithm.JACOBI, SvdAlgorithm.POLAR):
        raise ValueError(
            f"svd: {algorithm} is not there on the CPU.\n  {user_line()}\n"
            "  Leave algorithm out, or give SvdAlgorithm.QR."
        )
    params = _params(bool(full_matrices), bool(compute_uv), None)
    check_matrices("svd", aval_of(x))
    subset = check_subset("svd", subset_by_index, min(aval_of(x).shape[-2:]))
    outs = svd_p.bind(x, **{**params, "algorithm": algorithm, "subset_by_index": subset})
    return (outs[1], outs[0], outs[2]) if compute_uv else outs[0]
