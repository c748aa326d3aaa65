"""`jax.export`: shapes with sizes unknown, for `eval_shape`; there are no exported programs."""

from __future__ import annotations

from ...ir.dimensions import Dimension
from ...ir.dimensions import SymbolicScope as SymbolicScope
from ...ir.dimensions import symbolic_shape as symbolic_shape

__all__ = ["SymbolicScope", "is_symbolic_dim", "symbolic_shape"]


def is_symbolic_dim(p: object) -> bool:
    """Whether an extent depends on sizes unknown."""
    return isinstance(p, Dimension)
