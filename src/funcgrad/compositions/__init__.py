"""What GPUs compute in the place of C functions, LAPACK and FFTs: programs of other primitives.

In: operands of a primitive whose rule calls a library. Out: the same values, by loops and products
that have kernels. The one idea: a program is simplified, fused and compiled like a user's, so
nothing of it is written for a GPU: programs for CPUs hold those of primitives that are `composed`.
"""

from __future__ import annotations

from . import banded as banded
from . import choices as choices
from . import complex_folds as complex_folds
from . import factors as factors
from . import fourier as fourier
from . import functions as functions
from . import gammas as gammas
from . import integrals as integrals
from . import parameters as parameters
from . import plane as plane
from . import prefixes as prefixes
from . import ragged as ragged
from . import reflections as reflections
from . import rotations as rotations
from . import sampling as sampling
from . import waves as waves
