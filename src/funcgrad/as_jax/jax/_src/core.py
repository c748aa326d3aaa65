"""`jax._src.core`: the names of `jax.core`, primitives, and whether a transform is at work."""

from __future__ import annotations

from typing import Any

from ....core.trace import current_trace, eval_trace
from ...primitives import Primitive as Primitive
from .. import core as public


def trace_state_clean() -> bool:
    """Whether operations are evaluated at once."""
    return current_trace() is eval_trace


def __getattr__(name: str) -> Any:
    return getattr(public, name)
