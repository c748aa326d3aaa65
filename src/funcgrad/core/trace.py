"""Traces and tracers: who handles a bind, and what stands for a value meanwhile.

The current trace (one a thread) receives every bind. A trace that finds no tracer of its own
among the arguments passes the call to its parent; the last parent evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import errors
from ..ir import dtypes
from ..ir.avals import AnyArray, aval_of
from .array import Array, to_ndarray
from .context import context, set_trace
from .sources import current_source, describe


class Trace:
    """Handles binds. `parent` handles what does not concern this trace."""

    __slots__ = ("__weakref__", "live", "parent")

    parent: Any
    live: bool

    def __init__(self, parent: Trace | None) -> None:
        self.parent = parent
        self.live = True

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        raise TypeError(f"{type(self).__name__} defines no process")

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        """Handle a function with a jvp rule of the user's own; see `control.custom_calls`."""
        return self.parent_handles(lambda trace: trace.process_custom_jvp(call, args))

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        """Handle a function with a vjp rule of the user's own; see `control.custom_calls`."""
        return self.parent_handles(lambda trace: trace.process_custom_vjp(call, args))

    def parent_handles(self, handle: Callable[[Trace], Any]) -> Any:
        """Let the parent, made current, handle something."""
        with set_trace(self.parent):
            return handle(self.parent)


class EvalTrace(Trace):
    """The bottom: evaluates on NumPy arrays."""

    __slots__ = ()

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        for x in args:
            if isinstance(x, Tracer):
                leaked(x)
        return primitive.evaluate(args, params)

    def process_custom_jvp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.call_primal(*args)

    def process_custom_vjp(self, call: Any, args: Sequence[Any]) -> list[Any]:
        return call.call_primal(*args)


eval_trace = EvalTrace(None)


class FoldingTrace(Trace):
    """Evaluates what has no tracer among its operands; its parent handles the rest."""

    __slots__ = ()

    def process(self, primitive: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if any(isinstance(x, Tracer) for x in args):
            return self.parent_handles(lambda trace: trace.process(primitive, args, params))
        return eval_trace.process(primitive, args, params)


def current_trace() -> Trace:
    """The trace that handles binds in this thread now."""
    return context.trace or eval_trace


class Tracer(AnyArray):
    """A stand-in for a value under a trace. The operators are installed by `funcgrad.numpy`."""

    __slots__ = ("__weakref__", "aval", "owner")
    __array_priority__ = 1000

    owner: Any

    def concrete(self) -> Any:
        """The value behind the tracer where this trace computes with one, else `None`."""
        return None

    def origin(self) -> str:
        """Where the value came from, as text for errors."""
        return ""

    def require_concrete(self, error: Callable[[Any], Exception]) -> Any:
        """The Array behind this tracer, or raise the error."""
        if not self.owner.live:
            leaked(self)
        value: Any = self
        while isinstance(value, Tracer):
            value = value.concrete()
            if value is None:
                raise error(self)
        return value

    def __bool__(self) -> bool:
        check_scalar(self)
        return bool(self.require_concrete(errors.TracerBoolConversionError))

    def __int__(self) -> int:
        return int(self.require_concrete(errors.ConcretizationTypeError))

    def __float__(self) -> float:
        return float(self.require_concrete(errors.ConcretizationTypeError))

    def __complex__(self) -> complex:
        return complex(self.require_concrete(errors.ConcretizationTypeError))

    def __index__(self) -> int:
        if self.ndim or not dtypes.issubdtype(self.dtype, np.integer):
            raise TypeError(f"only integer scalars can be an index, got {self.aval.long()}.")
        return int(self.require_concrete(errors.TracerIntegerConversionError))

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        if not self.owner.live:
            leaked(self)
        raise errors.TracerArrayConversionError(self)

    def __len__(self) -> int:
        if not self.aval.shape:
            raise TypeError("len() of unsized object: the array has no axis.")
        return self.aval.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.aval.shape:
            raise TypeError("iteration over a 0-d array: index or ravel it first.")
        item: Any = getattr(self, "__getitem__")  # noqa: B009 - installed by funcgrad.numpy
        return (item(i) for i in range(self.aval.shape[0]))

    def __hash__(self) -> NoReturn:
        raise TypeError(
            f"unhashable type: {type(self).__name__}. A traced value cannot be a dictionary key "
            "or a static argument."
        )

    def tolist(self) -> Any:
        return self.require_concrete(errors.ConcretizationTypeError).tolist()

    def item(self, *args: int) -> Any:
        return self.require_concrete(errors.ConcretizationTypeError).item(*args)

    def __deepcopy__(self, _: Any) -> Tracer:
        return self

    def __copy__(self) -> Tracer:
        return self

    def addressable_data(self, _: int) -> Tracer:
        return self

    def block_until_ready(self) -> Tracer:
        """The tracer itself: there is nothing to wait for while tracing."""
        return self

    def __repr__(self) -> str:
        inner = self.concrete()
        value = f" with value {inner!r}" if inner is not None else ""
        return f"{type(self).__name__}<{self.aval.short()}>{value}"


def check_scalar(x: Any) -> None:
    """Raise unless the truth of x is defined."""
    if x.aval.size != 1:
        raise ValueError(
            f"The truth value of an array with {x.aval.size} elements is ambiguous: "
            f"got shape {x.aval.shape}. Use .any() or .all()."
        )


def leaked(tracer: Tracer) -> NoReturn:
    """Raise the error for a tracer used outside of its transform."""
    raise errors.UnexpectedTracerError(
        f"Encountered an unexpected tracer: {type(tracer).__name__}<{tracer.aval.short()}> was "
        "used after or outside of the transformed function that made it.\n"
        + (f"  It was made at {tracer.origin()}\n" if tracer.origin() else "")
        + (f"  It was used at {describe(current_source())}\n" if current_source() else "")
        + "  Return the value from the transformed function instead of storing it in a global, "
        "an attribute or a list; funcgrad.checking_leaks() finds the place."
    )


def value_of(x: Any) -> Any:
    """The Array of a value, looking through tracers that know theirs; else the tracer."""
    while isinstance(x, Tracer):
        inner = x.concrete()
        if inner is None:
            return x
        x = inner
    return x


def as_array(x: Any) -> Any:
    """The value as an Array or Tracer; Python scalars become weak Arrays."""
    if isinstance(x, (Array, Tracer)):
        return x
    aval = aval_of(x)
    return Array(to_ndarray(x), aval)
