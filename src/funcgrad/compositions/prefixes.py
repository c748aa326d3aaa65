"""Running folds of several numbers along few long rows, which one thread each would go through.

In: rows. Out: the same prefixes, to rounding. The one idea: neighbours are folded, then the folds
of neighbours, and back: a row of n takes 2 log n launches of many threads, not n turns of one.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import numpy as fnp
from ..control.associative import associative_scan
from ..core.composed import compose
from ..ir.jaxpr import Eqn

# Of shorter rows, or of so many, each has a thread that goes through it.
LONG = 256
MANY = 16384


def has_few_long_rows(eqn: Eqn) -> bool:
    """Whether threads that go through a row each would be few, and long on their way."""
    shape: tuple[int, ...] = eqn.invars[0].aval.shape
    axis: int = eqn.params["axis"]
    extent = shape[axis]
    is_complex: bool = eqn.invars[0].aval.dtype.kind == "c"
    return not is_complex and extent >= LONG and prod(shape) // extent < MANY


@compose("cumlogsumexp", where=has_few_long_rows)
def cumlogsumexp(x: Any, *, axis: int, reverse: bool) -> Any:
    """log Σ exp over the elements up to each one; 16-bit floats are folded as float32."""
    wide = x.astype(np.float32) if x.dtype.itemsize < 4 else x
    return associative_scan(fnp.logaddexp, wide, reverse, axis).astype(x.dtype)
