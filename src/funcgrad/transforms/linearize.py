"""Partial evaluation: do what is known now, write down what depends on the unknown.

A `PartialTrace` has a parent, which handles known binds, and a `StagingTrace`, which records the
rest; the values recorded eqns need from the known side become its constants: the residuals.
Linearize is a `JVPTrace` on top of it, with known primals and unknown tangents.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..core.context import context, set_trace
from ..core.evaluate import eval_closed
from ..core.staging import StagingTrace, stage
from ..core.trace import Trace, eval_trace
from ..core.zeros import Zero
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Jaxpr, convert_constvars
from ..passes.dce import dce_with_consts
from .jvp import JVPTrace, JVPTracer, is_tangent


class PartialTrace(Trace):
    """Separates known from unknown."""

    __slots__ = ("unknown",)

    def __init__(self, parent: Trace | None) -> None:
        super().__init__(parent or eval_trace)
        self.unknown = StagingTrace(self)

    def is_unknown(self, x: Any) -> bool:
        return self.unknown.owns(x)

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        owns = self.unknown.owns
        for x in args:
            if owns(x):
                break
        else:
            with set_trace(self.parent):
                return self.parent.process(primitive, args, params)
        if primitive.partial_eval is not None:
            return primitive.partial_eval(self, args, params)
        return self.unknown.emit(primitive, args, params)

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        if any(self.unknown.owns(x) for x in args):
            return self._inline(call, args)
        return super().process_custom_jvp(call, args)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        if any(self.unknown.owns(x) for x in args):
            return self._inline(call, args)
        return super().process_custom_vjp(call, args)

    def _inline(self, call: Any, args: Sequence[Any]) -> list[Any]:
        """Run the function itself: what is unknown is transposed next, its rule has been used."""
        with set_trace(self):
            return call.call_primal(*args)

    def bind_known(self, primitive: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Bind under the parent; for the partial_eval rules."""
        with set_trace(self.parent):
            return self.parent.process(primitive, tuple(args), params)

    def close(self) -> None:
        """End both traces."""
        self.live = self.unknown.live = False


class Linearized:
    """A linear program with its residuals: from input tangents to output tangents.

    Attributes:
        jaxpr: residuals are its constvars, the input tangents its invars.
        residuals: values of the constvars.
        in_avals: tangent avals of the inputs.
        out_avals: avals of the primal outputs.
        nonzero_outs: which outputs depend on the inputs; the jaxpr gives only those.
    """

    def __init__(
        self,
        jaxpr: Jaxpr,
        residuals: list[Any],
        in_avals: list[ShapedArray],
        out_avals: list[ShapedArray],
        nonzero_outs: list[bool],
    ) -> None:
        self.jaxpr = jaxpr
        self.residuals = residuals
        self.in_avals = in_avals
        self.out_avals = out_avals
        self.nonzero_outs = nonzero_outs


def linearize_flat(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any]
) -> tuple[list[Any], Linearized]:
    """Outputs of a flat function, and its linear program at these primals.

    Inputs without tangents (integers, keys) take part with zero tangents: their invars are there
    but unused.
    """
    parent = context.trace
    partial = PartialTrace(parent)
    forward = JVPTrace(partial)
    avals = [aval_of(p) for p in primals]
    try:
        ins: list[Any] = []
        for p, aval in zip(primals, avals, strict=True):
            tangent = partial.unknown.new_arg(aval.to_tangent())
            ins.append(JVPTracer(forward, p, tangent) if is_tangent(aval) else p)
        with set_trace(forward):
            outs = fun(*ins)
        pairs = [forward.split(out) for out in outs]
        kept = [t for _, t in pairs if not isinstance(t, Zero)]
        with set_trace(partial):
            jaxpr, residuals = partial.unknown.finish(kept)
    finally:
        forward.live = False
        partial.close()
    jaxpr, residuals = dce_with_consts(jaxpr, residuals)
    nonzero = [not isinstance(t, Zero) for _, t in pairs]
    outs_primal = [p for p, _ in pairs]
    in_avals = [a.to_tangent() for a in avals]
    return outs_primal, Linearized(
        jaxpr, residuals, in_avals, [aval_of(p) for p in outs_primal], nonzero
    )


class Split:
    """A jaxpr split in two by what is known.

    Attributes:
        known: takes the known inputs; gives the known outputs, then the residuals.
        unknown: takes the residuals, then the unknown inputs; gives the unknown outputs.
        out_unknown: which outputs are unknown.
        residual_avals: avals of the residuals.
    """

    def __init__(
        self, known: ClosedJaxpr, unknown: ClosedJaxpr, out_unknown: list[bool], count: int
    ) -> None:
        self.known = known
        self.unknown = unknown
        self.out_unknown = out_unknown
        self.residual_count = count

    @property
    def residual_avals(self) -> list[ShapedArray]:
        outs = self.known.out_avals
        return outs[len(outs) - self.residual_count :]


_split_cache: weakref.WeakKeyDictionary[Any, dict[Any, Split]] = weakref.WeakKeyDictionary()


def split_jaxpr(
    closed: ClosedJaxpr,
    unknown: Sequence[bool],
    force_unknown: bool | Sequence[bool] = False,
) -> Split:
    """Split a jaxpr into what can be computed from the known inputs, and the rest.

    Args:
        unknown: which inputs are unknown.
        force_unknown: which outputs shall count as unknown even when they are known.
    """
    count = len(closed.jaxpr.outvars)
    forced = (force_unknown,) * count if isinstance(force_unknown, bool) else tuple(force_unknown)
    key = (tuple(unknown), forced)
    known = _split_cache.setdefault(closed, {})
    if key not in known:
        known[key] = _split_jaxpr(closed, key[0], forced)
    return known[key]


def _split_jaxpr(closed: ClosedJaxpr, unknown: Sequence[bool], forced: Sequence[bool]) -> Split:
    avals = closed.in_avals
    found: list[tuple[Jaxpr, list[bool], int]] = []

    def run(*known_values: Any) -> list[Any]:
        partial = PartialTrace(context.trace)
        given = iter(known_values)
        try:
            ins = [
                partial.unknown.new_arg(a) if u else next(given)
                for a, u in zip(avals, unknown, strict=True)
            ]
            with set_trace(partial):
                outs = eval_closed(closed, *ins)
            is_unknown = [f or partial.is_unknown(x) for x, f in zip(outs, forced, strict=True)]
            jaxpr, residuals = partial.unknown.finish(
                [x for x, u in zip(outs, is_unknown, strict=True) if u]
            )
        finally:
            partial.close()
        jaxpr, residuals = dce_with_consts(jaxpr, residuals)
        found.append((convert_constvars(jaxpr), is_unknown, len(residuals)))
        return [*[x for x, u in zip(outs, is_unknown, strict=True) if not u], *residuals]

    known_avals = [a for a, u in zip(avals, unknown, strict=True) if not u]
    staged = stage(run, known_avals, closed.jaxpr.debug_name)
    ((linear, is_unknown, count),) = found
    return Split(staged, ClosedJaxpr(linear), is_unknown, count)
