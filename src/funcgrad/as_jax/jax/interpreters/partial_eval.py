"""`jax.interpreters.partial_eval`: tracing to jaxprs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....core.staging import StagingTracer as DynamicJaxprTracer
from ....core.staging import stage

__all__ = ["DynamicJaxprTracer", "trace_to_jaxpr_dynamic"]


def trace_to_jaxpr_dynamic(
    fun: Any, in_avals: Sequence[Any], **_: Any
) -> tuple[Any, list[Any], list[Any]]:
    """The jaxpr of a wrapped function, the avals of its outputs, and its constants."""
    closed = stage(fun.call_wrapped, list(in_avals))
    return closed.jaxpr, closed.out_avals, list(closed.consts)
