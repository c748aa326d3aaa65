"""`jaxlib._jax`: the class of jitted functions, which libraries dispatch on."""

from __future__ import annotations

from ...control.jitted import JitFunction as PjitFunction

__all__ = ["PjitFunction"]
