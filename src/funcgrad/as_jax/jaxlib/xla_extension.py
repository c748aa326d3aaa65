"""`jaxlib.xla_extension`: the former name of `jaxlib._jax`."""

from __future__ import annotations

from ._jax import PjitFunction as PjitFunction
