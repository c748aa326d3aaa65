"""`jax.experimental.hijax`: what definitions of its types ask for; there are no such types."""

from __future__ import annotations

from typing import Any

from ....core.zeros import Zero as Zero
from ....core.zeros import instantiate as instantiate_zeros
from ....core.zeros import is_undefined as is_undefined_primal
from ....ir.avals import ShapedArray as ShapedArray

__all__ = [
    "AbstractValue",
    "ShapedArray",
    "Zero",
    "aval_method",
    "aval_property",
    "control_flow_allowed_effects",
    "instantiate_zeros",
    "is_undefined_primal",
    "register_hitype",
]
AbstractValue = ShapedArray
aval_property = property


def aval_method(method: Any) -> Any:
    """A method that tracers of a type have; there are no such tracers."""
    return method


def register_hitype(cls: type, to_aval: Any) -> None:
    """A class of values of a type of its own; primitives refuse its instances, as any object."""


class EffectTypes:
    """Which effects may stand in the bodies of loops and branches: all may."""

    def __init__(self) -> None:
        self._types: set[type] = set()

    def add_type(self, cls: type) -> None:
        """Name a class of effects that may."""
        self._types.add(cls)

    def contains(self, effect: Any) -> bool:
        """Whether an effect may: yes."""
        return True


control_flow_allowed_effects = EffectTypes()
