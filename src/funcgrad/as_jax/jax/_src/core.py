"""`jax._src.core`: primitives, and whether a transform is at work."""

from __future__ import annotations

from ....core.trace import current_trace, eval_trace
from ...primitives import Primitive as Primitive


def trace_state_clean() -> bool:
    """Whether operations are evaluated at once."""
    return current_trace() is eval_trace
