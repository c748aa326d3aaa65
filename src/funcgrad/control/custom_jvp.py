"""custom_jvp: a function with a forward rule of the user's own.

In: a Python function and a rule from (primals, tangents) to (output, tangent). The one idea: the
call travels down the traces as an object. A jvp trace runs the rule on what its tracers hold, a
staging trace writes one eqn that keeps the rule, evaluation runs the function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from .. import tree
from ..core.axes import to_front
from ..core.primitive import add_tangents
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, current_trace
from ..core.zeros import SymbolicZero, Zero, instantiate, zero_tangent
from ..errors import UnexpectedTracerError
from ..ir.avals import ShapedArray, aval_of
from ..primitives.rounding import stop_gradient
from .custom_calls import (
    BatchedCall,
    CustomCallPrimitive,
    Named,
    Program,
    RuleCall,
    TypedFunction,
    at_positions,
    batch_under,
    closing_over,
    element_zero,
    nondiff_positions,
    positional,
    types_of,
)
from .flat import check_leaves, name_of
from .jit import leading_tracers


class JVPRule:
    """The user's rule on leaves; checks what it returns.

    Attributes:
        out_tree: tree of the primal output of the last call.
    """

    def __init__(
        self, rule: Callable[..., Any], static: Sequence[Any], fun: Any, in_tree: Any, zeros: bool
    ) -> None:
        self.rule = rule
        self.static = static
        self.fun = fun
        self.in_tree = in_tree
        self.symbolic_zeros = zeros
        self.out_tree: Any = None
        self.__name__ = name_of(rule)

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        given = [self._given(t) for t in tangents]
        args, _ = tree.unflatten(self.in_tree, primals)
        arg_tangents, _ = tree.unflatten(self.in_tree, given)
        out = self.rule(*self.static, tuple(args), tuple(arg_tangents))
        if not isinstance(out, (tuple, list)) or len(out) != 2:  # pyright: ignore[reportUnknownArgumentType]
            raise TypeError(
                f"Custom JVP rule {self.__name__} for function {self.fun.name} must produce a pair "
                f"(primal output, tangent output), but got {out!r}.\n  {user_line()}"
            )
        outs, self.out_tree = tree.flatten(out[0])
        out_tangents, tangent_tree = tree.flatten(out[1])
        if self.out_tree != tangent_tree:
            raise TypeError(
                f"Custom JVP rule {self.__name__} for function {self.fun.name} must produce primal "
                f"and tangent outputs with equal container (pytree) structures, but got "
                f"{self.out_tree} and {tangent_tree}. "
                f"{tree.structure_difference(self.out_tree, tangent_tree)}\n  {user_line()}"
            )
        check_leaves(out[0], outs, f"the primal output of {self.__name__}")
        self._check_primal(outs)
        return outs, [self._taken(p, t) for p, t in zip(outs, out_tangents, strict=True)]

    def _given(self, t: Any) -> Any:
        if self.symbolic_zeros:
            return SymbolicZero(t.aval) if isinstance(t, Zero) else t
        return instantiate(t)

    def _check_primal(self, outs: Sequence[Any]) -> None:
        """The primal output is like the function's, where that has run before."""
        known = getattr(self.fun, "out_type", None)
        if known is None:
            return
        avals = [aval_of(x) for x in outs]
        same = known[0] == self.out_tree and all(
            (a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(avals, known[1], strict=True)
        )
        if not same:
            raise TypeError(
                f"Custom JVP rule {self.__name__} for function {self.fun.name} must produce a pair "
                "whose first element equals the output of the function, in container (pytree) "
                f"structure, shapes and dtypes. The rule gave\n    "
                f"{types_of(self.out_tree, avals)}\n  and the function gives\n    "
                f"{types_of(*known)}\n  {user_line()}"
            )

    def _taken(self, primal: Any, tangent: Any) -> Any:
        """The tangent of an output, checked; zero for outputs without tangents."""
        want = aval_of(primal).to_tangent()
        if isinstance(tangent, Zero):
            got = tangent.aval
        elif getattr(tangent, "dtype", None) == want.dtype:
            got = ShapedArray(tuple(tangent.shape), want.dtype)
        else:
            check_leaves(tangent, [tangent], f"the tangent output of {self.__name__}")
            got = aval_of(tangent)
        if (got.shape, got.dtype) != (want.shape, want.dtype):
            raise TypeError(
                "Custom JVP rule must produce primal and tangent outputs with corresponding shapes "
                f"and dtypes. Expected {want.short()} (tangent type of {aval_of(primal).short()}) "
                f"but got {got.short()} from {self.__name__}.\n  {user_line()}"
            )
        if isinstance(tangent, Zero) or want != aval_of(primal):
            return Zero(want)
        return tangent


class JVPCall(RuleCall):
    """A call of a custom_jvp function on leaves."""

    kind = "custom_jvp"

    def __init__(self, fun: Any, rule: Any, symbolic_zeros: bool) -> None:
        self.fun = fun
        self.rule = rule
        self.symbolic_zeros = symbolic_zeros

    def call_jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Outputs and tangents (symbolic zeros among them), by the rule."""
        with closing_over("custom_jvp", self.fun.name):
            return self.rule(primals, tangents)

    def batched(self, trace: Any, dims: Sequence[int | None]) -> tuple[JVPCall, Callable[[], Any]]:
        """The call on batches, and the batch axes of its outputs once it has run."""
        call = BatchedJVPCall(self, trace, dims)
        return call, lambda: call.out_dims

    def stage(self, trace: Any, args: Sequence[Any]) -> list[Any]:
        """One eqn that keeps the rule; tracers the function closes over are leading operands."""
        self.force()
        closed = stage(self.call_primal, [aval_of(x) for x in args], self.fun.name)
        closed, captured = leading_tracers(closed)
        params = {
            "name": self.fun.name,
            "call_jaxpr": closed,
            "jvp": self.rule,
            "num_consts": len(captured),
            "symbolic_zeros": self.symbolic_zeros,
        }
        return trace.emit(custom_jvp_call_p, [*captured, *args], params)


class BatchedJVPCall(BatchedCall, JVPCall):
    """A custom_jvp call on batches."""

    inner: JVPCall

    def __init__(self, inner: JVPCall, trace: Any, dims: Sequence[int | None]) -> None:
        self.inner = inner
        self.begin(trace, dims)
        super().__init__(Named(self.primal, inner.fun.name), self._jvp, inner.symbolic_zeros)

    def _jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        count = len(primals)
        nonzero = [not isinstance(t, Zero) for t in tangents]
        out_nonzero: list[bool] = []

        def run(*values: Any) -> list[Any]:
            given = iter(values[count:])
            elements = [
                next(given) if nz else element_zero(p, d)
                for p, d, nz in zip(primals, self.dims, nonzero, strict=True)
            ]
            outs, found = self.inner.call_jvp(values[:count], elements)
            out_nonzero[:] = [not isinstance(t, Zero) for t in found]
            return [*outs, *[t for t in found if not isinstance(t, Zero)]]

        given = [t for t in tangents if not isinstance(t, Zero)]
        given_dims = [d for d, nz in zip(self.dims, nonzero, strict=True) if nz]
        values, dims = batch_under(self.trace, run, [*primals, *given], [*self.dims, *given_dims])
        return self._aligned(values, dims, out_nonzero)

    def _aligned(
        self, values: Sequence[Any], dims: Sequence[int | None], nonzero: Sequence[bool]
    ) -> tuple[list[Any], list[Any]]:
        """Outputs and tangents, both with the batch axis in front where one has it."""
        size, count = self.trace.axis.size, len(nonzero)
        rest = zip(values[count:], dims[count:], strict=True)
        outs: list[Any] = []
        tangents: list[Any] = []
        self.out_dims = []
        for p, d, nz in zip(values[:count], dims[:count], nonzero, strict=True):
            t, t_dim = next(rest) if nz else (None, None)
            batched = self.forced or d is not None or t_dim is not None
            p = to_front(p, d, size) if batched else p
            outs.append(p)
            if t is None:
                tangents.append(zero_tangent(aval_of(p)))
            else:
                tangents.append(to_front(t, t_dim, size) if batched else t)
            self.out_dims.append(0 if batched else None)
        return outs, tangents


class _WithConsts:
    """The rule of a staged call whose function closed over its first operands."""

    def __init__(self, rule: Any, count: int, name: str) -> None:
        self.rule = rule
        self.count = count
        self.name = name

    def __call__(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        if not all(isinstance(t, Zero) for t in tangents[: self.count]):
            raise UnexpectedTracerError(
                f"{self.name} closes over a value it would be differentiated with respect to."
            )
        return self.rule(primals[self.count :], tangents[self.count :])


class CustomJVPCall(CustomCallPrimitive):
    """A staged call of a custom_jvp function."""

    name = "custom_jvp_call"
    tested_in = "tests/control/test_custom_jvp.py"

    def bind_eqn(self, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        count, name = params["num_consts"], params["name"]
        rule = _WithConsts(params["jvp"], count, name) if count else params["jvp"]
        call = JVPCall(Program(params["call_jaxpr"], name), rule, params["symbolic_zeros"])
        return current_trace().process_custom_jvp(call, args)


custom_jvp_call_p = CustomJVPCall()


class custom_jvp:
    """A function whose jvp, and so whose every derivative, is given by a rule.

    Args:
        fun: a function of pytrees of arrays.
        nondiff_argnums: positions of arguments without derivative, which may be any Python value;
            the rule gets them first, before primals and tangents.
        nondiff_argnames: names of such arguments.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: Sequence[int] = (),
        nondiff_argnames: Sequence[str] = (),
    ) -> None:
        update_wrapper(self, fun, updated=())
        self.fun = fun
        self.nondiff_argnums = nondiff_positions(fun, nondiff_argnums, nondiff_argnames)
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else partial(self, instance)

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule.

        Args:
            jvp: takes a tuple of primals and a tuple of tangents (after the arguments without
                derivative), returns the pair of output and its tangent.
            symbolic_zeros: give the rule `SymbolicZero` objects for tangents known to be zero.
        Returns:
            The rule, so that this serves as a decorator.
        """
        self.jvp = jvp
        self.symbolic_zeros = symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set a rule for each argument: `jvp(tangent, output, *primals)`, or None for zero.

        Raises:
            TypeError: there are arguments without derivative.
        """
        if self.nondiff_argnums:
            raise TypeError(
                "defjvps cannot be used with nondiff_argnums. Give one rule by defjvp instead."
            )

        def jvp(primals: Any, tangents: Any) -> Any:
            out = self(*primals)
            terms = [
                rule(t, out, *primals) for t, rule in zip(tangents, jvps, strict=False) if rule
            ]
            zeros = tree.map(lambda x: zero_tangent(aval_of(x)), out)
            return out, tree.map(_sum, zeros, *terms)

        self.defjvp(jvp)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self.fun)
        if self.jvp is None:
            raise AttributeError(f"No JVP defined for custom_jvp function {name} using defjvp.")
        args = positional(self.fun, args, kwargs, "custom_jvp")
        nondiff = tuple(i for i in self.nondiff_argnums if i < len(args))
        args = tuple(_constant(x) if i in nondiff else x for i, x in enumerate(args))
        dynamic = tuple(x for i, x in enumerate(args) if i not in nondiff)
        leaves, in_tree = tree.flatten((dynamic, {}))
        check_leaves(dynamic, leaves, f"the arguments of {name} ")
        fun = TypedFunction(at_positions(self.fun, nondiff, args), in_tree, name=name)
        static = [args[i] for i in nondiff]
        rule = JVPRule(self.jvp, static, fun, in_tree, self.symbolic_zeros)
        outs = current_trace().process_custom_jvp(JVPCall(fun, rule, self.symbolic_zeros), leaves)
        made = rule.out_tree if fun.out_tree is None else fun.out_tree
        return tree.unflatten(made, outs)


def _constant(x: Any) -> Any:
    return tree.map(lambda leaf: stop_gradient(leaf) if isinstance(leaf, Tracer) else leaf, x)


def _sum(zero: Any, *terms: Any) -> Any:
    total = zero
    for term in terms:
        total = add_tangents(total, term)
    return total
