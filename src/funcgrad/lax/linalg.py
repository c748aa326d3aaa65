"""Decompositions of matrices and solvers, under the names of `jax.lax.linalg`.

Matrices lie in the last two axes, all others are batch axes. The functions take arrays of
float32, float64, complex64 and complex128 and call LAPACK. Where an algorithm fails, or the matrix
has values that are not finite, the result is NaN. Each function says where its derivative is
degenerate, and what it is there.
"""

from __future__ import annotations

from ..primitives.banded import cholesky_update as cholesky_update
from ..primitives.banded import cholesky_update_p as cholesky_update_p
from ..primitives.banded import symmetric_product as symmetric_product
from ..primitives.banded import symmetric_product_p as symmetric_product_p
from ..primitives.banded import tridiagonal_solve as tridiagonal_solve
from ..primitives.banded import tridiagonal_solve_p as tridiagonal_solve_p
from ..primitives.decompositions_lu import lu as lu
from ..primitives.decompositions_lu import lu_p as lu_p
from ..primitives.decompositions_lu import lu_pivots_to_permutation as lu_pivots_to_permutation
from ..primitives.decompositions_lu import lu_pivots_to_permutation_p as lu_pivots_to_permutation_p
from ..primitives.decompositions_qr import householder_product as householder_product
from ..primitives.decompositions_qr import householder_product_p as householder_product_p
from ..primitives.decompositions_qr import ormqr as ormqr
from ..primitives.decompositions_qr import ormqr_p as ormqr_p
from ..primitives.decompositions_qr import qr as qr
from ..primitives.decompositions_qr import qr_p as qr_p
from ..primitives.decompositions_reduced import hessenberg as hessenberg
from ..primitives.decompositions_reduced import hessenberg_p as hessenberg_p
from ..primitives.decompositions_reduced import schur as schur
from ..primitives.decompositions_reduced import schur_p as schur_p
from ..primitives.decompositions_reduced import tridiagonal as tridiagonal
from ..primitives.decompositions_reduced import tridiagonal_p as tridiagonal_p
from ..primitives.decompositions_spectral import EighImplementation as EighImplementation
from ..primitives.decompositions_spectral import EigImplementation as EigImplementation
from ..primitives.decompositions_spectral import eig as eig
from ..primitives.decompositions_spectral import eig_p as eig_p
from ..primitives.decompositions_spectral import eigh as eigh
from ..primitives.decompositions_spectral import eigh_p as eigh_p
from ..primitives.decompositions_svd import SvdAlgorithm as SvdAlgorithm
from ..primitives.decompositions_svd import svd as svd
from ..primitives.decompositions_svd import svd_p as svd_p
from ..primitives.factor import cholesky as cholesky
from ..primitives.factor import cholesky_p as cholesky_p
from ..primitives.factor import triangular_solve as triangular_solve
from ..primitives.factor import triangular_solve_p as triangular_solve_p
from .qdwh import qdwh as qdwh
