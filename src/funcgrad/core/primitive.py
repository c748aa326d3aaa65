"""The base class of primitives, and the registry of all of them.

A primitive is a class with one instance; its rules are its methods, described in
`docs/design/0001-architecture.md`. The one idea: the class says what is true of one operation,
the traces say what to do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ..config import config
from ..ir import narrow
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import Effects, Eqn, no_effects
from ..ir.loops import Exchange, Expr, IndexTuple, Lowered, Map, Operand, apply
from ..ir.sources import Source
from . import remote
from .array import Array, to_ndarray
from .axes import to_front
from .context import context
from .sources import current_source, describe, user_line
from .trace import eval_trace
from .zeros import UndefinedPrimal, Zero, instantiate, zero_tangent

registry: dict[str, Primitive] = {}

Inferred = tuple[tuple[ShapedArray, ...], Effects]
_cache_limit = 4096


class AxisData(NamedTuple):
    """The axis a batch trace maps over."""

    name: Any
    size: int


@dataclass(frozen=True)
class Example:
    """Arguments and params a primitive is tested with.

    `differentiable` names the operands derivatives are checked for (all inexact ones by default);
    `order` is how often the function can be differentiated at these arguments.
    """

    args: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=lambda: {})
    differentiable: tuple[int, ...] | None = None
    tolerance: float = 1e-6
    order: int = 2


class NotDifferentiable:
    """States that a primitive has no derivative, and why.

    With `zero=True` the derivative is defined and zero (step functions, integer results).
    """

    def __init__(self, reason: str, zero: bool = False) -> None:
        self.reason = reason
        self.zero = zero


class Primitive:
    """One operation with its rules; see the table in the design note."""

    name: ClassVar[str]
    multiple_results: ClassVar[bool] = False
    linear: ClassVar[Literal["joint", "each"] | None] = None
    linear_operands: ClassVar[slice] = slice(None)
    # Whether each element of the result is a function of the operands' elements in its place.
    pointwise: ClassVar[bool] = False
    # Whether it adds two cotangents; and whether a result has the elements of its only operand.
    sums: ClassVar[bool] = False
    spreads: ClassVar[bool] = False
    cache_inference: ClassVar[bool] = True
    partial_eval: ClassVar[Any] = None
    stage: ClassVar[Any] = None
    named_axes: ClassVar[bool] = False
    # Whether it is Python's by its nature: programs for a GPU go to the host for it, and wait.
    of_host: ClassVar[bool] = False
    # Whether compiled programs hold a program of other primitives for it, on a CPU as on a GPU.
    composed: ClassVar[bool] = False
    # Whether `impl` is given narrow dtypes as the wide ones they are computed in.
    widens: ClassVar[bool] = True
    # A quicker rule than `impl` for evaluation without jit, with the same bits; set from above.
    quick: Callable[..., Any] | None = None
    # Set by the first operand or output of a narrow dtype, so that others do not pay for them.
    _met_narrow = False
    # Params left out of printed jaxprs: they say nothing that the avals do not.
    unprinted: ClassVar[tuple[str, ...]] = ()
    # A file of tests of its own, for primitives that the generated tests cannot call alone.
    tested_in: ClassVar[str] = ""
    jvp_term: Any = None

    def __init__(self) -> None:
        registry[self.name] = self
        self._inferred: dict[Any, Inferred] = {}

    def __repr__(self) -> str:
        return self.name

    def is_composed(self, eqn: Eqn) -> bool:
        """Whether a CPU has a program of others for this eqn, of a primitive that is `composed`."""
        return self.composed

    def axis_names(self, params: dict[str, Any]) -> Collection[Any]:
        """The named axes that a call of one with `named_axes` is about."""
        return ()

    def printed(self, params: dict[str, Any]) -> dict[str, Any]:
        """The params a printed jaxpr shows, in order."""
        names = sorted(params, key=lambda name: (name != "name", name))
        return {name: params[name] for name in names if name not in self.unprinted}

    # Binding and evaluation.

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply the primitive under the current trace."""
        return (context.trace or eval_trace).process(self, args, params)

    def bind_eqn(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply the primitive as an eqn of a jaxpr says; higher-order ones may override."""
        return self.bind(*args, **params)

    def infer(self, avals: tuple[ShapedArray, ...], params: dict[str, Any]) -> Inferred:
        """Avals of the outputs, and effects; remembered by avals and params."""
        key = None
        if self.cache_inference:
            try:
                key = (avals, tuple(params.items()))
                found = self._inferred.get(key)
            except TypeError:
                key, found = None, None
            if found is not None:
                return found
        out = self.abstract_eval(*avals, **params)
        result: Inferred = (tuple(out) if self.multiple_results else (out,)), self.effects(params)
        if self.widens and any(narrow.is_narrow(a.dtype) for a in (*avals, *result[0])):
            self._met_narrow = True
        if key is not None:
            if len(self._inferred) >= _cache_limit:
                self._inferred.clear()
            self._inferred[key] = result
        return result

    def forget(self) -> None:
        """Drop the remembered inferences."""
        self._inferred.clear()

    def evaluate(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run `impl` on values that are not tracers, or let the device do it that has them."""
        if remote.known:
            home = remote.home_of(args, self.held(params))
            if home is not None:
                return home.evaluate(self, args, params)
        return self.evaluate_here(args, params)

    def held(self, params: dict[str, Any]) -> Sequence[Any]:
        """Arrays that a call has beside its operands: those that its program captured."""
        return ()

    def evaluate_here(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Run `impl` on values that are not tracers."""
        avals = tuple([x.aval if type(x) is Array else aval_of(x) for x in args])
        arrays = [
            x.numpy() if type(x) is Array else to_ndarray(x, aval)
            for x, aval in zip(args, avals, strict=True)
        ]
        out_avals, _ = self.infer(avals, params)
        rule = self.rule(avals, out_avals) if self._met_narrow else self.quick or self.impl
        with np.errstate(all="ignore"):
            result = rule(*arrays, **params)
        if self.multiple_results:
            outs = [wrap(r, a) for r, a in zip(result, out_avals, strict=True)]
        else:
            outs = [wrap(result, out_avals[0])]
        if config.debug_nans or config.debug_infs:
            self.check(arrays, params, outs)
        return outs if self.multiple_results else outs[0]

    def rule(self, avals: Sequence[ShapedArray], outs: Sequence[ShapedArray]) -> Any:
        """`impl` for these operands and outputs; those of narrow dtypes pass through wide ones."""
        if self.widens and any(narrow.is_narrow(a.dtype) for a in (*avals, *outs)):
            return widened(self, [a.dtype for a in outs])
        return self.impl

    def check(self, arrays: Sequence[Any], params: dict[str, Any], outs: Sequence[Array]) -> None:
        """Raise FloatingPointError if an output has a value that the options forbid."""
        check_finite(self, outs)

    # Rules.

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> Any:
        """Aval of the output (a list of them when `multiple_results`)."""
        raise TypeError(f"{self.name} has no abstract_eval rule.")

    def effects(self, params: dict[str, Any]) -> Effects:
        """The effects of applying the primitive."""
        return no_effects

    def impl(self, *arrays: Any, **params: Any) -> Any:
        """Evaluate on NumPy arrays."""
        raise TypeError(f"{self.name} has no impl rule.")

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        """A function with the bits of `impl` for operands of these avals, which asks them nothing.

        What a class says holds for those derived from it that leave its `impl` as it is. None where
        `impl` is as quick; what it gives may be a number of NumPy's.
        """
        return None

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        """Output and its tangent, by the terms of the operands."""
        out = self.bind(*primals, **params)
        if self.linear == "joint":
            return out, self._joint_tangent(primals, tangents, out, params)
        if isinstance(self.jvp_term, NotDifferentiable):
            return out, self._no_tangent(tangents, out)
        terms = [
            self._each_term(i, t, out, primals, params)
            for i, t in enumerate(tangents)
            if not isinstance(t, Zero)
        ]
        return out, sum_tangents(terms, aval_of(out))

    def _each_term(
        self, i: int, t: Any, out: Any, primals: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        if self.linear == "each":
            return self.bind(*primals[:i], t, *primals[i + 1 :], **params)
        if self.jvp_term is None:
            raise TypeError(f"{self.name} has no jvp rule.\n  {user_line()}")
        return self.jvp_term(i, t, out, *primals, **params)

    def _joint_tangent(
        self, primals: Sequence[Any], tangents: Sequence[Any], out: Any, params: dict[str, Any]
    ) -> Any:
        if all(isinstance(t, Zero) for t in tangents):
            return self._zeros_like(out)
        mixed = list(primals)
        mixed[self.linear_operands] = [instantiate(t) for t in tangents[self.linear_operands]]
        return self.bind(*mixed, **params)

    def _zeros_like(self, out: Any) -> Any:
        if self.multiple_results:
            return [zero_tangent(aval_of(o)) for o in out]
        return zero_tangent(aval_of(out))

    def _no_tangent(self, tangents: Sequence[Any], out: Any) -> Any:
        rule = self.jvp_term
        if rule.zero or all(isinstance(t, Zero) for t in tangents):
            return self._zeros_like(out)
        raise TypeError(
            f"{self.name} cannot be differentiated: {rule.reason}.\n  {user_line()}\n"
            "  Use lax.stop_gradient on its operands, or give a custom_jvp."
        )

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        """Cotangents of the linear operands."""
        where = [i for i, x in enumerate(args) if isinstance(x, UndefinedPrimal)]
        raise TypeError(
            f"{self.name} has no transpose rule for operands {where}: it is not linear in them.\n"
            f"  {user_line()}\n  Use forward mode (jvp, jacfwd), or give a custom_vjp."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        """Output and its batch axis, for operands with batch axes `dims`."""
        raise TypeError(f"{self.name} has no batching rule.\n  {user_line()}")

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        """What the output is, element by element; a list when `multiple_results`.

        None: the compiled program calls the host, which runs `impl`, unless it is `composed`. One
        `Library` may stand for all outputs.
        """
        return None

    def exchange(self, params: dict[str, Any]) -> Exchange | None:
        """What a collective does with the memory of the ranks; None for all else."""
        return None

    def examples(self) -> Iterator[Example]:
        """Arguments and params for the generated tests."""
        return iter(())


def widened(primitive: Primitive, out_dtypes: Sequence[np.dtype[Any]]) -> Callable[..., Any]:
    """The NumPy rule of a primitive on wide dtypes, as a rule on the narrow ones."""

    def rule(*arrays: Any, **params: Any) -> Any:
        given = [a.astype(narrow.wide_of(a.dtype)) for a in arrays]
        wide = {k: narrow.wide_of(v) if isinstance(v, np.dtype) else v for k, v in params.items()}
        result = primitive.impl(*given, **wide)
        outs = result if primitive.multiple_results else [result]
        cast = [np.asarray(x).astype(d) for x, d in zip(outs, out_dtypes, strict=True)]
        return cast if primitive.multiple_results else cast[0]

    return rule


def wrap(value: Any, aval: ShapedArray) -> Array:
    """An Array from what an impl returned."""
    if type(value) is not np.ndarray:
        value = np.asarray(value)
    return Array(value, aval)


class AddAny(Primitive):
    """Sum of two tangents or cotangents of one aval."""

    name = "add_any"
    sums = True
    linear = "joint"
    pointwise = True

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        x, y = avals
        return x.update(weak_type=x.weak_type and y.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        return np.add(arrays[0], arrays[1])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        return [ct if isinstance(x, UndefinedPrimal) else None for x in args]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], /, **params: Any
    ) -> tuple[Any, Any]:
        x, y = (to_front(a, d, axis.size) for a, d in zip(args, dims, strict=True))
        return self.bind(x, y), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        x, y = operands

        def at(index: IndexTuple) -> Expr:
            return apply("add", x.at(index), y.at(index))

        return Map(at)

    def examples(self) -> Iterator[Example]:
        yield Example((np.ones((2, 3)), np.full((2, 3), 2.0)))


add_any_p = AddAny()


def add_tangents(x: Any, y: Any) -> Any:
    """x + y, where either may be a symbolic zero."""
    if isinstance(x, Zero):
        return y
    if isinstance(y, Zero):
        return x
    return add_any_p.bind(x, y)


def sum_tangents(terms: Sequence[Any], out: ShapedArray) -> Any:
    """The sum of terms; the symbolic zero of `out` when there are none."""
    if not terms:
        return zero_tangent(out)
    total = terms[0]
    for term in terms[1:]:
        total = add_tangents(total, term)
    return total


def check_finite(primitive: Primitive, outs: Sequence[Array]) -> None:
    """Raise FloatingPointError when debug_nans or debug_infs forbids a value among the outputs."""
    for out in outs:
        if forbidden(out.numpy()):
            raise FloatingPointError(invalid_text(primitive.name, out.numpy(), current_source()))


def forbidden(value: np.ndarray[Any, Any]) -> str:
    """What an array has that the options say is not to be: `nan`, `inf`, or nothing."""
    if value.dtype.kind not in "fc" and value.dtype.name != "bfloat16":
        return ""
    if config.debug_nans and bool(np.isnan(value).any()):
        return "nan"
    return "inf" if config.debug_infs and bool(np.isinf(value).any()) else ""


def invalid_text(
    name: str, value: np.ndarray[Any, Any], source: Source | None, what: str = "its output"
) -> str:
    """Words on a forbidden value: who made it, how many there are, the user's line, the scope."""
    word = forbidden(value)
    count = int((np.isnan(value) if word == "nan" else np.isinf(value)).sum())
    scope = f"\n  in the scope {source.name_stack}" if source and source.name_stack else ""
    return (
        f"invalid value ({word}) encountered in {name}: {what} "
        f"{ShapedArray(value.shape, value.dtype).long()} has {count} of them.\n"
        f"  {describe(source)}{scope}"
    )
