"""`jax.interpreters.batching`: the rules of vmap."""

from __future__ import annotations

from functools import partial
from typing import Any

from .... import tree
from ....core.axes import move_axis, to_front
from ...absent import AbsentError
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
    "refuse_vmappables",
    "register_vmappable",
    "unregister_vmappable",
    "vmappables",
]

# How rules are told that an operand is the same for all elements.
not_mapped = None
moveaxis = move_axis
# Classes that libraries would have batched in their own way, each with the class of its axes.
vmappables: dict[type, tuple[type, type]] = {}


def register_vmappable(
    data_type: type, spec_type: type, axis_size_type: type, to_elt: Any, from_elt: Any, _: Any
) -> None:
    """Note a class that a library would batch in its own way; vmap refuses its objects."""
    vmappables[data_type] = (spec_type, axis_size_type)


def unregister_vmappable(data_type: type) -> None:
    """Accepted; JAX keeps the class, too."""


def refuse_vmappables(values: Any) -> None:
    """Raise for objects of noted classes among what is to be mapped.

    Raises:
        AbsentError: there is one; it would be batched otherwise than its library says.
    """
    for leaf in tree.leaves(values, is_leaf=lambda x: type(x) in vmappables):
        if type(leaf) in vmappables:
            name = type(leaf).__name__
            raise AbsentError(f"vmap by the rule that register_vmappable has for {name}", "asked")


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
