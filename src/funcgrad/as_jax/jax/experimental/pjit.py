"""`jax.experimental.pjit`: the former name of `jit` with shardings."""

from __future__ import annotations

from .. import jit as pjit

__all__ = ["pjit"]
