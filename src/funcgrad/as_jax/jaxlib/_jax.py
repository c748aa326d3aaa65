"""`jaxlib._jax`: classes that libraries dispatch on, and by whose home they know arrays."""

from __future__ import annotations

from ...control.jitted import JitFunction as PjitFunction
from ...core.array import Array as Array

__all__ = ["Array", "ArrayImpl", "PjitFunction"]
ArrayImpl = Array
