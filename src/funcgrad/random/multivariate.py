"""Random vectors and matrices made of normal numbers and a factor of a matrix."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir import dtypes
from ..ir.avals import aval_of, canonical_shape
from ..numpy.arithmetic import maximum
from ..numpy.contraction import matvec
from ..numpy.promotion import promote_dtypes_inexact
from ..primitives.arithmetic import mul, sqrt
from ..primitives.broadcasting import broadcast_shapes, broadcast_to, expand_dims
from ..primitives.decompositions_qr import qr
from ..primitives.decompositions_spectral import eigh
from ..primitives.decompositions_svd import svd
from ..primitives.factor import cholesky
from ..primitives.matrices import columns_times, swap
from ..primitives.reduction import reduce_sum
from ..primitives.rounding import sign
from ..typing import Array, ArrayLike
from .keys import KeyLike, check_key
from .uniform import check_shape, draw_normal, float_dtype

if TYPE_CHECKING:
    from jaxtyping import Shaped

Shape = Sequence[int]


@planned
def multivariate_normal(
    key: KeyLike,
    mean: Shaped[ArrayLike, "*#batch n"],
    cov: Shaped[ArrayLike, "*#batch n n"],
    shape: Shape | None = None,
    dtype: Any = None,
    method: str = "cholesky",
) -> Shaped[Array, "*shape n"]:
    """Normal vectors of a mean and covariance: mean + F z, F Fᵀ = cov, of z normal.

    Args:
        key: a single key.
        mean: [..., n].
        cov: symmetric and positive definite, [..., n, n]; semidefinite for "svd" and "eigh".
        shape: of the result without its last axis; that of mean and cov when None.
        dtype: floating; that of mean and cov when None.
        method: how F is found: "cholesky", "svd" or "eigh".
    Returns:
        [*shape, n].
    Raises:
        ValueError: dtype is not floating, the shapes do not fit, or another method.
    """
    typed, _ = check_key("multivariate_normal", key)
    if method not in ("cholesky", "svd", "eigh"):
        raise ValueError(
            f"multivariate_normal: method must be 'cholesky', 'svd' or 'eigh', got {method!r}."
            f"\n  {user_line()}"
        )
    mean, cov = map(as_array, promote_dtypes_inexact(mean, cov))
    canonical = float_dtype("multivariate_normal", aval_of(mean).dtype if dtype is None else dtype)
    centers, matrices = aval_of(mean).shape, aval_of(cov).shape
    if not centers or len(matrices) < 2 or matrices[-2:] != (centers[-1], centers[-1]):
        raise ValueError(
            f"multivariate_normal takes mean [..., n] and cov [..., n, n], got shapes {centers} "
            f"and {matrices}.\n  {user_line()}"
        )
    if shape is None:
        whole = broadcast_shapes(centers[:-1], matrices[:-2])
    else:
        whole = canonical_shape(shape, "multivariate_normal")
        check_shape("multivariate_normal", whole, centers[:-1], matrices[:-2])
    drawn = draw_normal(typed, whole + centers[-1:], canonical)
    return mean + matvec(_factor(cov, method), drawn)


def _factor(cov: Any, method: str) -> Any:
    """F with F Fᵀ = cov."""
    if method == "cholesky":
        return cholesky(cov)
    if method == "svd":
        vectors, squares, _ = svd(cov)
    else:
        vectors, squares = eigh(cov)
        # Rounding leaves eigenvalues of singular matrices below zero.
        squares = maximum(squares, 0)
    return columns_times(vectors, sqrt(squares))


@planned
def orthogonal(
    key: KeyLike, n: int, shape: Shape = (), dtype: Any = None, m: int | None = None
) -> Shaped[Array, "*shape rows columns"]:
    """Orthogonal (or, for complex dtypes, unitary) matrices, uniform by Haar's measure.

    Args:
        key: a single key.
        n, m: rows and columns; m is n when None. The shorter axis has orthonormal vectors.
        shape: of the result without its last two axes.
    Returns:
        [*shape, n, m].
    Raises:
        ValueError: dtype is neither floating nor complex.
    Source: Mezzadri, Notices of the AMS 54 (2007).
    """
    typed, _ = check_key("orthogonal", key)
    canonical = dtypes.canonicalize_dtype(float if dtype is None else dtype)
    if not dtypes.issubdtype(canonical, np.inexact):
        raise ValueError(
            f"dtype argument to `orthogonal` must be a float or complex dtype, got {canonical}."
            f"\n  {user_line()}"
        )
    rows = operator.index(n)
    columns = rows if m is None else operator.index(m)
    long, short = max(rows, columns), min(rows, columns)
    lead = canonical_shape(shape, "orthogonal")
    q, r = qr(draw_normal(typed, (*lead, long, short), canonical), full_matrices=False)
    # The diagonal of r without its phases makes the factors unique, and q uniform.
    diagonal = reduce_sum(
        mul(r, broadcast_to(np.eye(short, dtype=canonical), aval_of(r).shape)), (len(lead),)
    )
    out = q * expand_dims(sign(diagonal), (len(lead),))
    return swap(out) if rows < columns else out
