"""Iterative solvers: the names of `jax.scipy.sparse.linalg`.

Right-hand sides are pytrees, which count as one vector; a matrix is an array or a function from
such a tree to another. A solution is differentiated as what solves the equation, whatever the
iteration did: derivatives are further solves, and as exact as these.
"""

from __future__ import annotations

from .conjugate import bicgstab as bicgstab
from .conjugate import cg as cg
from .gmres import gmres as gmres
