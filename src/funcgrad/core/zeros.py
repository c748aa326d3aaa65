"""Symbolic zeros of tangents and cotangents, and the marker of a linear operand.

`Zero(aval)` says that a tangent is zero without making an array of zeros; rules test for it by
type. `instantiate` makes the array when somebody needs one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import numpy as np

from ..ir import dtypes
from ..ir.avals import ShapedArray


class Zero:
    """The zero of a (tangent) aval."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.aval.dtype

    def __repr__(self) -> str:
        return f"Zero({self.aval.short()})"


class SymbolicZero(Zero):
    """The zero handed to user rules that asked for symbolic zeros."""

    __slots__ = ()


class UndefinedPrimal:
    """A linear operand of a primitive under transposition: known by its aval only."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"UndefinedPrimal({self.aval.short()})"


def is_zero(x: Any) -> TypeGuard[Zero]:
    """Whether a tangent is a symbolic zero."""
    return isinstance(x, Zero)


def is_undefined(x: Any) -> TypeGuard[UndefinedPrimal]:
    """Whether an operand is linear, known by its aval only."""
    return type(x) is UndefinedPrimal


def zero_tangent(aval: ShapedArray) -> Zero:
    """The zero tangent of a primal of this aval."""
    return Zero(aval.to_tangent())


_make_full: list[Callable[[ShapedArray], Any]] = []


def provide_zeros(make: Callable[[ShapedArray], Any]) -> Callable[[ShapedArray], Any]:
    """Register how an array of zeros is made; called once, by the creation primitives."""
    _make_full[:] = [make]
    return make


def instantiate(x: Any) -> Any:
    """The value itself, or the array of zeros that a symbolic zero stands for."""
    if not isinstance(x, Zero):
        return x
    if x.aval.dtype == dtypes.float0:
        return np.zeros(x.aval.shape, dtypes.float0)
    return _make_full[0](x.aval)
