"""Forward mode: a trace whose tracers carry a tangent beside the primal.

In: a flat function, primals, tangents. Out: primal outputs and tangents. The one idea: a
primitive's `jvp` rule runs under the parent trace, on what the tracers hold. `jvp_jaxpr` is the
same mechanism, staged.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..core.context import context, set_trace
from ..core.evaluate import eval_closed
from ..core.staging import stage
from ..core.trace import Trace, Tracer, as_array, eval_trace
from ..core.zeros import Zero, instantiate, zero_tangent
from ..ir import dtypes
from ..ir.avals import aval_of
from ..ir.jaxpr import ClosedJaxpr


class JVPTracer(Tracer):
    """A primal with its tangent."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: JVPTrace, primal: Any, tangent: Any) -> None:
        self.owner = trace
        self.aval = aval_of(primal)
        self.primal = primal
        self.tangent = tangent

    def concrete(self) -> Any:
        return as_array(self.primal)

    def origin(self) -> str:
        return self.primal.origin() if isinstance(self.primal, Tracer) else ""


class JVPTrace(Trace):
    """Pushes tangents forward."""

    __slots__ = ()

    def split(self, x: Any) -> tuple[Any, Any]:
        """Primal and tangent of a value."""
        if type(x) is JVPTracer and x.owner is self:
            return x.primal, x.tangent
        return x, zero_tangent(aval_of(x))

    def owns(self, x: Any) -> bool:
        """Whether x is a tracer of this trace."""
        return type(x) is JVPTracer and x.owner is self

    def join(self, primal: Any, tangent: Any) -> Any:
        """A tracer, or the primal alone when its tangent is zero."""
        return primal if isinstance(tangent, Zero) else JVPTracer(self, primal, tangent)

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        for x in args:
            if type(x) is JVPTracer and x.owner is self:
                break
        else:
            with set_trace(self.parent):
                return self.parent.process(primitive, args, params)
        pairs = [self.split(x) for x in args]
        primals, tangents = [p for p, _ in pairs], [t for _, t in pairs]
        with set_trace(self.parent):
            if all(isinstance(t, Zero) for t in tangents):
                return primitive.bind(*primals, **params)
            out, tangent = primitive.jvp(primals, tangents, **params)
        if primitive.multiple_results:
            return [self.join(p, t) for p, t in zip(out, tangent, strict=True)]
        return self.join(out, tangent)

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        if not any(self.owns(x) for x in args):
            return super().process_custom_jvp(call, args)
        pairs = [self.split(x) for x in args]
        with set_trace(self.parent):
            outs, tangents = call.call_jvp([p for p, _ in pairs], [t for _, t in pairs])
        return [self.join(p, t) for p, t in zip(outs, tangents, strict=True)]

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        if not any(self.owns(x) for x in args):
            return super().process_custom_vjp(call, args)
        pairs = [self.split(x) for x in args]
        with set_trace(self.parent):
            outs, tangents = call.call_fwd([p for p, _ in pairs], [t for _, t in pairs])
        return [self.join(p, t) for p, t in zip(outs, tangents, strict=True)]


def jvp_flat(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """Outputs of a flat function and their tangents (symbolic zeros stay so)."""
    parent = context.trace
    trace = JVPTrace(parent or eval_trace)
    try:
        ins = [trace.join(p, t) for p, t in zip(primals, tangents, strict=True)]
        with set_trace(trace):
            outs = fun(*ins)
        context.trace = parent
        pairs = [trace.split(out) for out in outs]
    finally:
        trace.live = False
        context.trace = parent
    return [p for p, _ in pairs], [t for _, t in pairs]


_jvp_cache: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def jvp_jaxpr(
    closed: ClosedJaxpr, nonzeros: Sequence[bool], instantiate_outs: bool | Sequence[bool] = False
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr of the jvp: takes primals then the nonzero tangents, gives outs then tangents.

    Args:
        nonzeros: which inputs have a tangent.
        instantiate_outs: which outputs must have a tangent even when it is zero.
    Returns:
        The jaxpr, and which outputs have a tangent.
    """
    if isinstance(instantiate_outs, bool):
        instantiate_outs = [instantiate_outs] * len(closed.jaxpr.outvars)
    key = (tuple(nonzeros), tuple(instantiate_outs))
    known = _jvp_cache.setdefault(closed, {})
    if key not in known:
        known[key] = _jvp_jaxpr(closed, key[0], key[1])
    return known[key]


def _jvp_jaxpr(
    closed: ClosedJaxpr, nonzeros: Sequence[bool], instantiate_outs: Sequence[bool]
) -> tuple[ClosedJaxpr, list[bool]]:
    avals = closed.in_avals
    count = len(avals)
    nonzero_outs: list[bool] = []

    def run(*values: Any) -> list[Any]:
        primals, given = values[:count], iter(values[count:])
        tangents = [
            next(given) if nonzero else zero_tangent(a)
            for a, nonzero in zip(avals, nonzeros, strict=True)
        ]
        outs, out_tangents = jvp_flat(lambda *xs: eval_closed(closed, *xs), primals, tangents)
        out_tangents = [
            instantiate(t) if wanted and is_tangent(aval_of(p)) else t
            for p, t, wanted in zip(outs, out_tangents, instantiate_outs, strict=True)
        ]
        nonzero_outs[:] = [not isinstance(t, Zero) for t in out_tangents]
        return [*outs, *[t for t in out_tangents if not isinstance(t, Zero)]]

    given_avals = [a.to_tangent() for a, nz in zip(avals, nonzeros, strict=True) if nz]
    staged = stage(run, [*avals, *given_avals], closed.jaxpr.debug_name)
    return staged, list(nonzero_outs)


def is_tangent(aval: Any) -> bool:
    """Whether values of this aval have tangents other than float0."""
    return dtypes.tangent_dtype(aval.dtype) != dtypes.float0
