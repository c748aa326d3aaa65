"""What calls with rules of the user's own share: arguments, batching, and their errors.

A trace meets such a call as an object, not as an eqn: `call_primal(*args)` runs the function,
the rules are its methods, and `stage(trace, args)` writes one eqn down. The one idea: a batched
call runs the user's functions under the batch trace that met it, with the current trace as that
trace's parent, so that values of the batch the functions close over are known there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from .. import tree
from ..core.axes import to_front
from ..core.context import context, extend_axes, set_trace
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import Primitive
from ..core.sources import user_line
from ..core.trace import eval_trace
from ..core.zeros import UndefinedPrimal, Zero
from ..errors import UnexpectedTracerError
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Effects, Eqn
from ..transforms.transpose import backward_pass
from .flat import FlatFunction, name_of, signature_of, wraps
from .jitted import static_arguments
from .tracing import axes_within


def nondiff_positions(fun: Callable[..., Any], argnums: Any, argnames: Any) -> tuple[int, ...]:
    """Positions of the arguments without derivative, given by position or by name."""
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums or ())
    if argnames:
        nums += static_arguments(fun, None, argnames, "nondiff")[0]
    return tuple(sorted(set(nums)))


def positional(
    fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], what: str
) -> tuple[Any, ...]:
    """All arguments by position, defaults included.

    Raises:
        TypeError: the arguments do not fit, or one can only be given by keyword.
    """
    signature = signature_of(fun)
    if signature is None:
        if kwargs:
            raise TypeError(
                f"{what} function {name_of(fun)} has no signature, so keyword arguments cannot "
                f"be given: got {sorted(kwargs)}.\n  {user_line()}\n  Pass them by position."
            )
        return tuple(args)
    try:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"keyword arguments {sorted(bound.kwargs)} have no position")
    except TypeError as error:
        raise TypeError(
            f"The arguments of the {what} function {name_of(fun)} could not be resolved to "
            f"positional ones: {error}.\n  {user_line()}"
        ) from error
    return bound.args


def at_positions(
    fun: Callable[..., Any], fixed: Sequence[int], args: Sequence[Any]
) -> Callable[..., Any]:
    """The function of the other arguments, those at the fixed positions being given."""
    if not fixed:
        return fun

    @wraps(fun)
    def call(*rest: Any) -> Any:
        given = iter(rest)
        return fun(*[x if i in fixed else next(given) for i, x in enumerate(args)])

    return call


def types_of(treedef: Any, avals: Sequence[ShapedArray]) -> str:
    """A tree of avals as text: `{'w': f32[3]}`."""
    return str(tree.unflatten(treedef, [a.short() for a in avals])).replace("'", "")


class ClosedOverError(UnexpectedTracerError):
    """A function with a rule uses a traced value that is none of its arguments."""


@contextmanager
def closing_over(kind: str, name: str) -> Generator[None]:
    """Explains the error of a function that closes over a value being differentiated."""
    try:
        yield
    except ClosedOverError:
        raise
    except UnexpectedTracerError as error:
        raise ClosedOverError(
            f"Detected differentiation of the {kind} function {name} with respect to a closed-over "
            "value, or a tracer leaked into it. Its rule only says how to differentiate with "
            "respect to its arguments.\n  Pass the closed-over value as an argument and extend "
            f"the rule, or stop its gradient (lax.stop_gradient).\n{error}"
        ) from error


def batch_under(
    trace: Any, fun: Callable[..., Sequence[Any]], values: Sequence[Any], dims: Sequence[int | None]
) -> tuple[list[Any], list[int | None]]:
    """Outputs of a flat function and their batch axes, under a batch trace met before.

    The trace itself is used again, above the current one: tracers of its batch that the function
    closes over keep their meaning.
    """
    before = trace.parent, trace.live
    trace.parent, trace.live = context.trace or eval_trace, True
    axis = trace.axis
    names = [(axis.name, axis.size)] if axis.name is not None else []
    try:
        ins = [trace.join(v, d) for v, d in zip(values, dims, strict=True)]
        with extend_axes(*names), set_trace(trace):
            outs = fun(*ins)
        pairs = [trace.split(x) for x in outs]
    finally:
        trace.parent, trace.live = before
    return [v for v, _ in pairs], [d for _, d in pairs]


def front(
    trace: Any, values: Sequence[Any], dims: Sequence[int | None], forced: bool
) -> tuple[list[Any], list[int | None]]:
    """The values with their batch axes in front; all have one when `forced`."""
    size = trace.axis.size
    kept = [d is not None or forced for d in dims]
    moved = [to_front(v, d, size) if b else v for v, d, b in zip(values, dims, kept, strict=True)]
    return moved, [0 if b else None for b in kept]


def element_zero(value: Any, dim: int | None) -> Zero:
    """The zero tangent of one element of a batch."""
    aval = aval_of(value)
    if dim is not None:
        aval = aval.update(shape=aval.shape[:dim] + aval.shape[dim + 1 :])
    return Zero(aval.to_tangent())


class RuleCall:
    """A call, on leaves, of a function with a rule: what custom_jvp and custom_vjp share.

    Attributes:
        kind: "custom_jvp" or "custom_vjp", for errors.
        fun: the flat function.
    """

    kind: ClassVar[str]
    fun: Any

    def call_primal(self, *args: Any) -> list[Any]:
        """The outputs, by the function itself."""
        with closing_over(self.kind, self.fun.name):
            return self.fun(*args)

    def may_close_over(self, axis_name: Any) -> bool:
        """Whether a batch over an axis can come in otherwise than by the arguments.

        A user's function may close over one. A staged program cannot, unless its collectives name
        the axis.
        """
        fun = self.fun
        return not isinstance(fun, Program) or axis_name in axes_within(fun.closed.jaxpr)

    def force(self) -> None:
        """Make function and rule agree on the batch axes of outputs; nothing without a batch."""


class BatchedCall(RuleCall):
    """A call on batches: function and rules run under the batch trace.

    Attributes:
        inner: the call on elements.
        dims: batch axes of its arguments; out_dims, once it has run, those of its outputs.
        forced: whether all outputs are to have a batch axis.
    """

    inner: Any

    def begin(self, trace: Any, dims: Sequence[int | None]) -> None:
        """Set what is known before the call has run."""
        self.trace = trace
        self.dims = list(dims)
        self.staged = False
        self.forced = False
        self.out_dims: list[int | None] = []

    def force(self) -> None:
        # Nothing comes in mapped where no argument is, unless the function closes over it.
        self.staged, self.forced = True, any(d is not None for d in self.dims)
        self.inner.force()

    def primal(self, *args: Any) -> list[Any]:
        """The outputs, their batch axes in front."""
        found = batch_under(self.trace, self.inner.call_primal, args, self.dims)
        self.forced |= self.staged and any(d is not None for d in found[1])
        outs, self.out_dims = front(self.trace, *found, self.forced)
        return outs


class TypedFunction(FlatFunction):
    """A flat function that remembers the type of its result: tree and avals."""

    out_type: tuple[Any, list[ShapedArray]] | None = None

    def __call__(self, *leaves: Any) -> list[Any]:
        outs = super().__call__(*leaves)
        self.out_type = self.out_tree, [aval_of(x) for x in outs]
        return outs


class CustomCallPrimitive(Primitive):
    """A staged call: evaluates its `call_jaxpr`, and is a custom call again when rebound."""

    multiple_results = True
    widens = False
    cache_inference = False
    unprinted = ("num_consts",)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["call_jaxpr"].out_avals

    def effects(self, params: dict[str, Any]) -> Effects:
        return params["call_jaxpr"].effects

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        return run_numpy(params["call_jaxpr"], arrays)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr:
        """The program without the rule, for evaluation."""
        return eqn.params["call_jaxpr"]

    def bind(self, *args: Any, **params: Any) -> Any:
        return self.bind_eqn(args, params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        closed: ClosedJaxpr = params["call_jaxpr"]
        found = backward_pass(closed.jaxpr, closed.consts, args, ct)
        return [
            g if isinstance(x, UndefinedPrimal) else None for g, x in zip(found, args, strict=True)
        ]


class Program:
    """The function of a staged call: its jaxpr, applied under the current trace."""

    def __init__(self, closed: ClosedJaxpr, name: str) -> None:
        self.closed = closed
        self.name = name

    def __call__(self, *args: Any) -> list[Any]:
        return eval_closed(self.closed, *args)


class Named:
    """A flat function with the name of another."""

    def __init__(self, fun: Callable[..., Any], name: str) -> None:
        self.fun = fun
        self.name = name

    def __call__(self, *args: Any) -> Any:
        return self.fun(*args)
