"""`jax.custom_derivatives`: what rules with symbolic zeros use."""

from __future__ import annotations

from typing import Any

from ... import tree
from ...control.custom_vjp import CustomVJPPrimal
from ...core.zeros import SymbolicZero, zero_tangent
from ...core.zeros import instantiate as _instantiate
from ...ir.avals import aval_of

__all__ = ["custom_vjp_primal_tree_values", "zero_from_primal"]


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangents of the values of a tree: arrays, or symbolic."""

    def zero(x: Any) -> Any:
        found = zero_tangent(aval_of(x))
        return SymbolicZero(found.aval) if symbolic_zeros else _instantiate(found)

    return tree.map(zero, val)


def custom_vjp_primal_tree_values(primals: Any) -> Any:
    """The tree of what `fwd` is given under symbolic zeros, as values alone."""
    return tree.map(lambda p: p.value if isinstance(p, CustomVJPPrimal) else p, primals)
