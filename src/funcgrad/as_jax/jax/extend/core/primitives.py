"""`jax.extend.core.primitives`: those whose instances funcgrad keeps outside of `funcgrad.lax`."""

from __future__ import annotations

from .....control.jit import jit_p as jit_p
