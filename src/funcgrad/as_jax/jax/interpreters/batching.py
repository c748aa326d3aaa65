"""`jax.interpreters.batching`: the rules of vmap."""

from __future__ import annotations

from functools import partial
from typing import Any

from ....core.axes import move_axis, to_front
from ...primitives import Primitive
from ...primitives import axis_batchers as axis_primitive_batchers
from ...primitives import batchers as primitive_batchers
from ...primitives import fancy_batchers as fancy_primitive_batchers

__all__ = [
    "axis_primitive_batchers",
    "bdim_at_front",
    "broadcast",
    "defbroadcasting",
    "defvectorized",
    "fancy_primitive_batchers",
    "moveaxis",
    "not_mapped",
    "primitive_batchers",
]

# How rules are told that an operand is the same for all elements.
not_mapped = None
moveaxis = move_axis


def bdim_at_front(x: Any, dim: int | None, size: int, *_: Any) -> Any:
    """The operand with its batch axis in front, repeated if it has none."""
    return to_front(x, dim, size)


def broadcast(x: Any, size: int, axis: int, *_: Any) -> Any:
    """The operand repeated along a new axis."""
    return move_axis(to_front(x, None, size), 0, axis)


def defvectorized(primitive: Primitive) -> None:
    """Declare that a primitive of one operand acts on each element alone."""

    def rule(args: Any, dims: Any, **params: Any) -> Any:
        return primitive.bind(*args, **params), dims[0]

    primitive_batchers[primitive] = rule


def defbroadcasting(primitive: Primitive) -> None:
    """Declare that a primitive acts on elements at the same place of its operands."""
    primitive_batchers[primitive] = partial(_elementwise, primitive)


def _elementwise(primitive: Primitive, args: Any, dims: Any, **params: Any) -> Any:
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    fronted = [to_front(x, d, size) for x, d in zip(args, dims, strict=True)]
    return primitive.bind(*fronted, **params), 0
