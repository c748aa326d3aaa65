"""Staging: run a function on stand-ins and write its eqns down.

In: a flat function and avals. Out: a ClosedJaxpr. The one idea: a `StagingTracer` is a variable;
every bind becomes an eqn, and every value met from outside becomes a literal or a constant.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from .. import errors
from ..config import config
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, is_value
from ..ir.jaxpr import Atom, ClosedJaxpr, Effects, Eqn, Jaxpr, Literal, Var, no_effects
from ..ir.sources import Source
from .array import Array, to_ndarray
from .context import context, set_trace
from .sources import current_source, describe
from .trace import Trace, Tracer, leaked

# How far back who asks for the maker of a value is interested.
_LAST = 64


class StagingTracer(Tracer):
    """Stands for a variable of the jaxpr being written."""

    __slots__ = ("source", "variable")

    def __init__(self, trace: StagingTrace, var: Var, source: Source | None) -> None:
        self.owner = trace
        self.aval = var.aval
        self.variable = var
        self.source = source

    def origin(self) -> str:
        return describe(self.source)


def maker_of(value: Any) -> Eqn | None:
    """The eqn that made a traced value, if it is among the last that were written."""
    if isinstance(value, StagingTracer):
        for eqn in islice(reversed(value.owner.eqns), _LAST):
            if value.variable in eqn.outvars:
                return eqn
    return None


class StagingTrace(Trace):
    """Writes eqns down."""

    __slots__ = ("_const_ids", "constvars", "consts", "effects", "eqns", "invars")

    def __init__(self, parent: Trace | None) -> None:
        super().__init__(parent)
        self.eqns: list[Eqn] = []
        self.invars: list[Var] = []
        self.constvars: list[Var] = []
        self.consts: list[Any] = []
        self._const_ids: dict[int, Var] = {}
        self.effects: Effects = no_effects

    def new_arg(self, aval: ShapedArray) -> StagingTracer:
        """A tracer for a new input."""
        var = Var(aval)
        self.invars.append(var)
        return StagingTracer(self, var, current_source())

    def owns(self, x: Any) -> bool:
        """Whether x is a tracer of this trace."""
        return type(x) is StagingTracer and x.owner is self

    def to_atom(self, x: Any) -> Atom:
        """The variable or literal for a value; values from outside become constants."""
        if type(x) is StagingTracer and x.owner is self:
            return x.variable
        if isinstance(x, Tracer):
            if not x.owner.live:
                leaked(x)
        elif isinstance(x, (bool, int, float, complex)):
            return Literal(x, aval_of(x)) if type(x).__module__ == "builtins" else self.const(x)
        return self.const(x)

    def const(self, x: Any) -> Atom:
        """A literal for a scalar, else the constvar that stands for x."""
        found = self._const_ids.get(id(x))
        if found is not None:
            return found
        value = x if isinstance(x, (Array, Tracer)) else Array(to_ndarray(x), aval_of(x))
        if type(value) is Array and value.shape == () and not dtypes.is_opaque(value.dtype):
            return Literal(value, value.aval)
        var = Var(aval_of(value))
        self._const_ids[id(x)] = var
        self.constvars.append(var)
        # Keep x itself alive too: its id must stay its own while this trace lives.
        self.consts.append(value if value is x else _Kept(value, x))
        return var

    def to_tracer(self, x: Any) -> StagingTracer:
        """The value as a tracer of this trace, by a constvar if it comes from outside."""
        if self.owns(x):
            return x
        value = x if isinstance(x, (Array, Tracer)) else Array(to_ndarray(x), aval_of(x))
        found = self._const_ids.get(id(value))
        if found is None:
            found = Var(value.aval)
            self._const_ids[id(value)] = found
            self.constvars.append(found)
            self.consts.append(value)
        return StagingTracer(self, found, current_source())

    def const_values(self) -> list[Any]:
        """The values of the constvars."""
        return [c.value if isinstance(c, _Kept) else c for c in self.consts]

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if primitive.stage is not None:
            return primitive.stage(self, args, params)
        return self.emit(primitive, args, params)

    def emit(self, primitive: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Write one eqn; the outputs as tracers."""
        atoms = [
            x.variable if type(x) is StagingTracer and x.owner is self else self.to_atom(x)
            for x in args
        ]
        avals, effects = primitive.infer(tuple([a.aval for a in atoms]), params)
        # This function, `process` and `bind` are above the user's.
        source = context.source or current_source(4)
        if effects:
            self.effects = self.effects | effects
        if not primitive.multiple_results:
            # Nearly all have one: lists for one are much of what writing an eqn costs.
            var = Var(avals[0])
            self.eqns.append(Eqn(atoms, [var], primitive, params, effects, source))
            return StagingTracer(self, var, source)
        outvars = [Var(aval) for aval in avals]
        self.eqns.append(Eqn(atoms, outvars, primitive, params, effects, source))
        return [StagingTracer(self, var, source) for var in outvars]

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.stage(self, args)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.stage(self, args)

    def finish(self, outs: Sequence[Any], name: str = "") -> tuple[Jaxpr, list[Any]]:
        """The open jaxpr with these outputs, and the values of its constvars."""
        outvars = [self.to_atom(x) for x in outs]
        jaxpr = Jaxpr(self.constvars, self.invars, outvars, self.eqns, self.effects, name)
        self.live = False
        return jaxpr, self.const_values()


class _Kept:
    """A constant together with the object its id was taken from."""

    __slots__ = ("original", "value")

    def __init__(self, value: Any, original: Any) -> None:
        self.value = value
        self.original = original


def stage(
    fun: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray], name: str = ""
) -> ClosedJaxpr:
    """Run a flat function on stand-ins; its program.

    Args:
        fun: takes one value for each aval, returns a flat sequence of values.
    Raises:
        UnexpectedTracerError: a tracer was kept, under `checking_leaks`.
    """
    trace = StagingTrace(context.trace)
    try:
        with set_trace(trace):
            outs = list(fun(*[trace.new_arg(aval) for aval in avals]))
            check_outputs(outs, name)
            jaxpr, consts = trace.finish(outs, name)
    finally:
        trace.live = False
    if config.check_tracer_leaks:
        kept, watched = weakref.ref(trace), trace
        del trace, watched, outs
        check_leak(kept, name)
    return ClosedJaxpr(jaxpr, tuple(consts))


def check_outputs(outs: Sequence[Any], name: str) -> None:
    """Raise TypeError for an output that is not an array value."""
    for i, out in enumerate(outs):
        if not is_value(out):
            raise TypeError(
                f"function {name or 'being traced'} returned a value of type "
                f"{type(out).__name__} at output component {i}, which is not a valid array type. "
                "Return arrays, numbers, or pytrees of them."
            )


def check_leak(kept: weakref.ref[Any], name: str) -> None:
    """Raise when a finished trace is still referenced."""
    if kept() is None:
        return
    gc.collect()
    trace = kept()
    if trace is None:
        return
    tracers = [x for x in gc.get_referrers(trace) if isinstance(x, Tracer)]
    made = [f"  {t!r} made at {t.origin()}" for t in tracers]
    raise errors.LeakedTracerError(
        f"Leaked tracers of {name or 'a traced function'}: they are still referenced after "
        "tracing ended.\n" + "\n".join(made)
    )
