"""`jax.extend.core`: jaxprs as values, and primitives that libraries define."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from .....control.callbacks import Effect as _Effect
from .....core import evaluate
from .....core.context import context, set_trace
from .....core.trace import Trace, Tracer, current_trace, eval_trace
from .....errors import ConcretizationTypeError
from .....ir.avals import AnyArray, ShapedArray, is_value
from .....ir.checking import JaxprTypeError as JaxprTypeError
from .....ir.checking import check_jaxpr as check_jaxpr
from .....ir.jaxpr import ClosedJaxpr as ClosedJaxpr
from .....ir.jaxpr import Effects as Effects
from .....ir.jaxpr import Eqn as JaxprEqn
from .....ir.jaxpr import Jaxpr as Jaxpr
from .....ir.jaxpr import Literal as Literal
from .....ir.jaxpr import Var as Var
from .....ir.jaxpr import no_effects as no_effects
from .....ir.jaxpr import subjaxprs as _subjaxprs
from ....primitives import Primitive as Primitive

__all__ = [
    "ClosedJaxpr",
    "DebugInfo",
    "DropVar",
    "Effect",
    "Effects",
    "Jaxpr",
    "JaxprEqn",
    "JaxprTypeError",
    "Literal",
    "Primitive",
    "TraceTag",
    "Var",
    "array_types",
    "check_jaxpr",
    "concrete_or_error",
    "get_opaque_trace_state",
    "jaxpr_as_fun",
    "jaxprs_in_params",
    "mapped_aval",
    "no_effects",
    "nonempty_axis_env_DO_NOT_USE",
    "set_current_trace",
    "subjaxprs",
    "take_current_trace",
    "unmapped_aval",
    "unsafe_am_i_under_a_jit_DO_NOT_USE",
    "unsafe_am_i_under_a_vmap_DO_NOT_USE",
    "unsafe_get_axis_names_DO_NOT_USE",
    "valid_jaxtype",
]
array_types = {AnyArray}


class DropVar(Var):
    """An output that nobody reads; funcgrad has plain variables for these, so none is made."""


class Effect(_Effect):
    """What a program does besides computing; libraries derive theirs from it."""

    def __init__(self) -> None:
        super().__init__(type(self).__name__, ordered=True, harmless_when_batched=False)


class TraceTag:
    """Tells the traces of one transform from those of another; compared by identity."""


class DebugInfo(NamedTuple):
    """What errors say of a traced function."""

    traced_for: str
    func_src_info: str
    arg_names: Any = None
    result_paths: Any = None


class OpaqueTraceState:
    """Which transforms are at work; two states are equal if the same are."""

    def __init__(self) -> None:
        self._trace = current_trace()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpaqueTraceState) and self._trace is other._trace

    def __hash__(self) -> int:
        return id(self._trace)


def get_opaque_trace_state(convention: str = "") -> OpaqueTraceState:
    """The state of the transforms at work now."""
    return OpaqueTraceState()


@contextmanager
def take_current_trace() -> Generator[Trace]:
    """The current trace; inside, operations are evaluated at once."""
    current = current_trace()
    with set_trace(eval_trace):
        yield current


set_current_trace = set_trace


def jaxpr_as_fun(closed_jaxpr: ClosedJaxpr) -> Callable[..., list[Any]]:
    """A closed jaxpr as a function of its inputs."""
    return lambda *args: evaluate.eval_closed(closed_jaxpr, *args)


def jaxprs_in_params(params: dict[str, Any]) -> list[Jaxpr]:
    """The jaxprs among the params of an eqn."""
    return _subjaxprs(params)


def subjaxprs(jaxpr: Jaxpr) -> list[Jaxpr]:
    """The jaxprs among the params of the eqns."""
    return [inner for eqn in jaxpr.eqns for inner in _subjaxprs(eqn.params)]


def mapped_aval(size: int, axis: int | None, aval: ShapedArray) -> ShapedArray:
    """The aval of an element along an axis."""
    if axis is None:
        return aval
    shape = list(aval.shape)
    del shape[axis]
    return aval.update(shape=tuple(shape))


def unmapped_aval(size: int, axis: int | None, aval: ShapedArray, *_: Any) -> ShapedArray:
    """The aval of `size` elements stacked along an axis."""
    if axis is None:
        return aval
    shape = aval.shape
    return aval.update(shape=(*shape[:axis], size, *shape[axis:]))


def concrete_or_error(force: Callable[[Any], Any] | None, val: Any, context: str = "") -> Any:
    """`force(val)`, of a value that is known while a function is traced.

    Raises:
        ConcretizationTypeError: it is not; the text says the context.
    """
    if isinstance(val, Tracer):
        val = val.require_concrete(lambda x: ConcretizationTypeError(x, context))
    return val if force is None else force(val)


def valid_jaxtype(x: Any) -> bool:
    """Whether x is something primitives accept."""
    return is_value(x)


def unsafe_get_axis_names_DO_NOT_USE() -> list[Any]:  # noqa: N802 - JAX's spelling
    """The names of the mapped axes in scope."""
    return [name for name, _ in context.axis_sizes]


def nonempty_axis_env_DO_NOT_USE() -> bool:  # noqa: N802 - JAX's spelling
    """Whether an axis is being mapped over."""
    return bool(context.axis_sizes)


def unsafe_am_i_under_a_vmap_DO_NOT_USE() -> bool:  # noqa: N802 - JAX's spelling
    """Whether a function is being mapped."""
    return "BatchTrace" in _kinds_of_traces()


def unsafe_am_i_under_a_jit_DO_NOT_USE() -> bool:  # noqa: N802 - JAX's spelling
    """Whether a function is being traced to a jaxpr."""
    return "StagingTrace" in _kinds_of_traces()


def _kinds_of_traces() -> set[str]:
    found: set[str] = set()
    trace: Any = current_trace()
    while trace is not None:
        found.add(type(trace).__name__)
        trace = trace.parent
    return found


def call_impl(fun: Any, *args: Any, **params: Any) -> Any:
    """A wrapped function called."""
    return fun.call_wrapped(*args)


def new_jaxpr_eqn(
    invars: Sequence[Any],
    outvars: Sequence[Any],
    primitive: Any,
    params: dict[str, Any],
    effects: Effects = no_effects,
    source_info: Any = None,
    ctx: Any = None,
) -> JaxprEqn:
    """An eqn."""
    return JaxprEqn(list(invars), list(outvars), primitive, params, effects, source_info)
