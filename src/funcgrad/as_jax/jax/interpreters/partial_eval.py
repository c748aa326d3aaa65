"""`jax.interpreters.partial_eval`: tracing to jaxprs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ....core.context import context, set_trace
from ....core.staging import StagingTrace, stage
from ....core.staging import StagingTracer as DynamicJaxprTracer
from ....core.trace import FoldingTrace, as_array
from ....passes.dce import dce

__all__ = [
    "DynamicJaxprTracer",
    "PartialVal",
    "dce_jaxpr",
    "trace_to_jaxpr_dynamic",
    "trace_to_jaxpr_nounits",
]


class PartialVal(NamedTuple):
    """A value that is known, or of which only the aval is.

    Attributes:
        aval: None for a known value.
        const: the value; None where it is not known.
    """

    aval: Any
    const: Any

    @classmethod
    def known(cls, const: Any) -> PartialVal:
        """A known value."""
        return cls(None, const)

    @classmethod
    def unknown(cls, aval: Any) -> PartialVal:
        """A value known by its aval."""
        return cls(aval, None)

    def is_known(self) -> bool:
        """Whether the value is known."""
        return self.aval is None


def trace_to_jaxpr_nounits(
    fun: Any, pvals: Sequence[PartialVal], instantiate: bool = False
) -> tuple[Any, list[PartialVal], list[Any]]:
    """The jaxpr of what depends on unknown values, the outputs, and the jaxpr's constants.

    Args:
        instantiate: make all outputs outputs of the jaxpr.
    """
    trace = StagingTrace(context.trace)
    with set_trace(FoldingTrace(trace)):
        args = [p.const if p.is_known() else trace.new_arg(p.aval) for p in pvals]
        outs = [as_array(x) for x in fun.call_wrapped(*args)]
        unknown = [x for x in outs if instantiate or trace.owns(x)]
        jaxpr, consts = trace.finish(unknown)
    return jaxpr, [_partial(x, instantiate or trace.owns(x)) for x in outs], consts


def _partial(x: Any, is_unknown: bool) -> PartialVal:
    return PartialVal.unknown(x.aval) if is_unknown else PartialVal.known(x)


def trace_to_jaxpr_dynamic(
    fun: Any, in_avals: Sequence[Any], **_: Any
) -> tuple[Any, list[Any], list[Any]]:
    """The jaxpr of a wrapped function, the avals of its outputs, and its constants."""
    closed = stage(fun.call_wrapped, list(in_avals))
    return closed.jaxpr, closed.out_avals, list(closed.consts)


def dce_jaxpr(
    jaxpr: Any, used_outputs: bool | Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Any, list[bool]]:
    """The jaxpr of the outputs that are used and the inputs they need, and which these are.

    Args:
        instantiate: which inputs stay though nothing needs them.
    """
    every = isinstance(used_outputs, bool)
    outputs = [used_outputs] * len(jaxpr.outvars) if every else used_outputs
    stay = [instantiate] * len(jaxpr.invars) if isinstance(instantiate, bool) else instantiate
    smaller, used = dce(jaxpr, outputs)
    kept = [u or s for u, s in zip(used, stay, strict=True)]
    return smaller.replace(invars=[v for v, k in zip(jaxpr.invars, kept, strict=True) if k]), kept
