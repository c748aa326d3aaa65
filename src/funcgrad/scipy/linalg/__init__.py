"""Linear algebra: the names of `scipy.linalg` that `jax.scipy.linalg` has.

Matrices lie in the last two axes, all others are batch axes. Arguments that tell SciPy to reuse
memory or to check values (`overwrite_a`, `check_finite`, ...) are accepted and of no effect:
arrays are immutable, and values that are not finite give NaN.
"""

from __future__ import annotations

from .eigen import eigh as eigh
from .eigen import eigh_tridiagonal as eigh_tridiagonal
from .eigen import hessenberg as hessenberg
from .eigen import rsf2csf as rsf2csf
from .eigen import schur as schur
from .factorizations import cho_factor as cho_factor
from .factorizations import cho_solve as cho_solve
from .factorizations import cholesky as cholesky
from .factorizations import lu as lu
from .factorizations import lu_factor as lu_factor
from .factorizations import lu_solve as lu_solve
from .factorizations import qr as qr
from .factorizations import qr_multiply as qr_multiply
from .factorizations import svd as svd
from .functions import expm as expm
from .functions import expm_frechet as expm_frechet
from .functions import funm as funm
from .functions import polar as polar
from .functions import sqrtm as sqrtm
from .solving import det as det
from .solving import inv as inv
from .solving import solve as solve
from .solving import solve_sylvester as solve_sylvester
from .solving import solve_triangular as solve_triangular
from .special_matrices import block_diag as block_diag
from .special_matrices import circulant as circulant
from .special_matrices import companion as companion
from .special_matrices import convolution_matrix as convolution_matrix
from .special_matrices import dft as dft
from .special_matrices import fiedler as fiedler
from .special_matrices import fiedler_companion as fiedler_companion
from .special_matrices import hadamard as hadamard
from .special_matrices import hankel as hankel
from .special_matrices import helmert as helmert
from .special_matrices import hilbert as hilbert
from .special_matrices import invhilbert as invhilbert
from .special_matrices import invpascal as invpascal
from .special_matrices import leslie as leslie
from .special_matrices import pascal as pascal
from .special_matrices import toeplitz as toeplitz
