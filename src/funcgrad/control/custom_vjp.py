"""custom_vjp: a function with a reverse rule of the user's own.

In: a Python function, `fwd` giving output and residuals, `bwd` giving cotangents. The one idea:
under a jvp trace `fwd` runs at once, and the tangents come from `custom_lin`, a primitive that is
linear in tangents and can only be transposed; its transpose runs `bwd`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any, NamedTuple

from .. import tree
from ..core.primitive import AxisData, Primitive
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, current_trace
from ..core.zeros import SymbolicZero, UndefinedPrimal, Zero, instantiate
from ..errors import UnexpectedTracerError
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from .custom_batched import batched_pullback
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
    front,
    nondiff_positions,
    positional,
    types_of,
)
from .flat import check_leaves, name_of
from .jit import leading_tracers

Pullback = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class CustomVJPPrimal:
    """What `fwd` gets for each leaf with symbolic_zeros: a value, and whether it is perturbed."""

    value: Any
    perturbed: bool


class Forward(NamedTuple):
    """What the forward rule gave: outputs, residuals, and what pulls cotangents back."""

    outs: list[Any]
    residuals: list[Any]
    pullback: Pullback


class VJPRule:
    """The user's fwd and bwd on leaves; checks what they return.

    Attributes:
        out_tree: tree of the primal output of the last call.
    """

    def __init__(self, owner: Any, fwd: Any, bwd: Any, fun: Any, in_tree: Any) -> None:
        self.fwd = fwd
        self.bwd = bwd
        self.fun = fun
        self.in_tree = in_tree
        self.symbolic_zeros = owner.symbolic_zeros
        self.out_tree: Any = None
        self.__name__ = name_of(owner.fwd)
        self.bwd_name = name_of(owner.bwd)

    def __call__(self, primals: Sequence[Any], perturbed: Sequence[bool]) -> Forward:
        given = list(primals)
        if self.symbolic_zeros:
            given = [CustomVJPPrimal(p, b) for p, b in zip(primals, perturbed, strict=True)]
        args, _ = tree.unflatten(self.in_tree, given)
        pair = self.fwd(*args)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:  # pyright: ignore[reportUnknownArgumentType]
            raise TypeError(
                f"Custom VJP fwd rule {self.__name__} for function {self.fun.name} must produce a "
                f"pair (primal output, residuals), but got {pair!r}.\n  {user_line()}"
            )
        out, res = pair  # pyright: ignore[reportUnknownVariableType]
        outs, out_tree = tree.flatten(out)
        residuals, res_tree = tree.flatten(res)
        check_leaves(out, outs, f"the primal output of {self.__name__}")
        check_leaves(res, residuals, f"the residuals of {self.__name__}")
        self.out_tree = out_tree
        self._check_primal(outs)
        avals = [aval_of(x) for x in primals]
        pull = partial(self._pull, avals, [aval_of(x) for x in outs], out_tree, res_tree)
        return Forward(outs, residuals, pull)

    def _check_primal(self, outs: Sequence[Any]) -> None:
        known = getattr(self.fun, "out_type", None)
        if known is None:
            return
        avals = [aval_of(x) for x in outs]
        same = known[0] == self.out_tree and all(
            (a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(avals, known[1], strict=True)
        )
        if not same:
            raise TypeError(
                f"Custom VJP fwd rule {self.__name__} for function {self.fun.name} must produce a "
                "pair whose first element equals the output of the function, in container (pytree) "
                f"structure, shapes and dtypes. The rule gave\n    "
                f"{types_of(self.out_tree, avals)}\n  and the function gives\n    "
                f"{types_of(*known)}\n  {user_line()}"
            )

    def _pull(
        self,
        avals: Sequence[ShapedArray],
        out_avals: Sequence[ShapedArray],
        out_tree: Any,
        res_tree: Any,
        residuals: Sequence[Any],
        cts: Sequence[Any],
    ) -> list[Any]:
        """Cotangents of the inputs, by bwd."""
        given = [self._ct(ct, aval) for ct, aval in zip(cts, out_avals, strict=True)]
        res = tree.unflatten(res_tree, residuals)
        with closing_over("custom_vjp", self.fun.name):
            out = self.bwd(res, tree.unflatten(out_tree, given))
        return self._cts_of(out, avals)

    def _ct(self, ct: Any, aval: ShapedArray) -> Any:
        if not isinstance(ct, Zero):
            return ct
        return SymbolicZero(aval.to_tangent()) if self.symbolic_zeros else instantiate(ct)

    def _cts_of(self, out: Any, avals: Sequence[ShapedArray]) -> list[Any]:
        """The leaves of what bwd gave; `None` stands for zeros of a whole argument.

        Raises:
            TypeError: the structure is not that of the arguments.
            ValueError: a leaf has another shape or dtype than its argument.
        """
        whole, _ = tree.unflatten(self.in_tree, range(len(avals)))
        count = len(whole)
        if isinstance(out, list) and len(out) == count:  # pyright: ignore[reportUnknownArgumentType]
            out = tuple(out)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        try:
            if not isinstance(out, tuple):
                raise ValueError("no tuple")
            found = spread(out, whole)
        except ValueError as error:
            got, want = tree.structure(out), tree.structure(tuple(whole))
            raise TypeError(
                "Custom VJP bwd rule must produce an output with the same container (pytree) "
                "structure as the args tuple of the primal function, a tuple with one element for "
                f"each argument, but {self.bwd_name} gave {got} for arguments {want}. "
                f"{tree.structure_difference(want, got)}\n  Return a tuple, `(ct,)` for one "
                "argument; None stands for zeros."
            ) from error
        paths = [tree.keystr(path) for path, _ in tree.leaves_with_path(tuple(whole))]
        return [self._checked(*x) for x in zip(found, avals, paths, strict=True)]

    def _checked(self, ct: Any, aval: ShapedArray, path: str) -> Any:
        want = aval.to_tangent()
        if ct is None or want.dtype == dtypes.float0:
            return Zero(want)
        if isinstance(ct, Zero):
            got = ct.aval
        else:
            check_leaves(ct, [ct], f"the output{path} of {self.bwd_name}")
            got = aval_of(ct)
        if (got.shape, got.dtype) != (want.shape, want.dtype):
            raise ValueError(
                "Custom VJP bwd rule must produce an output with the same type as the args tuple "
                f"of the primal function, but at output{path} {self.bwd_name} gave "
                f"{got.short()} for an input of type {aval.short()}."
            )
        return ct


def spread(cts: Any, whole: Any) -> list[Any]:
    """A cotangent or `None` for each leaf of the arguments; `None` covers a whole subtree.

    Raises:
        ValueError: the structures differ.
    """
    if cts is None:
        return [None] * tree.structure(whole).num_leaves
    kind = tree.structure(whole)
    if kind.is_leaf():
        if not tree.structure(cts).is_leaf():
            raise ValueError("a tree where an array is expected")
        return [cts]
    # One level at a time: below a node, `None` may stand for any of its children.
    children, shallow = tree.flatten(whole, lambda x: x is not whole)
    parts, found = tree.flatten(cts, lambda x: x is not cts)
    if shallow != found:
        raise ValueError("different structures")
    return [
        leaf for part, child in zip(parts, children, strict=True) for leaf in spread(part, child)
    ]


class VJPCall(RuleCall):
    """A call of a custom_vjp function on leaves."""

    kind = "custom_vjp"

    def __init__(self, fun: Any, rule: Any, params: dict[str, Any]) -> None:
        self.fun = fun
        self.rule = rule
        self.params = params

    def forward(self, primals: Sequence[Any], perturbed: Sequence[bool]) -> Forward:
        """Outputs and residuals by the forward rule."""
        with closing_over("custom_vjp", self.fun.name):
            return self.rule(primals, perturbed)

    def call_fwd(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Outputs by the forward rule, and tangents that can only be transposed."""
        perturbed = [not isinstance(t, Zero) for t in tangents]
        outs, residuals, pullback = self.forward(primals, perturbed)
        out_avals = tuple(aval_of(x).to_tangent().strong() for x in outs)
        out_tangents = custom_lin_p.bind(
            *residuals,
            *[t for t in tangents if not isinstance(t, Zero)],
            num_res=len(residuals),
            pullback=pullback,
            perturbed=tuple(perturbed),
            out_avals=out_avals,
            fun_name=self.fun.name,
        )
        return outs, [
            Zero(a) if a.dtype == dtypes.float0 else t
            for t, a in zip(out_tangents, out_avals, strict=True)
        ]

    def batched(self, trace: Any, dims: Sequence[int | None]) -> tuple[VJPCall, Callable[[], Any]]:
        """The call on batches, and the batch axes of its outputs once it has run."""
        call = BatchedVJPCall(self, trace, dims)
        return call, lambda: call.out_dims

    def stage(self, trace: Any, args: Sequence[Any]) -> list[Any]:
        """One eqn that keeps the rules; tracers the function closes over are leading operands."""
        self.force()
        closed = stage(self.call_primal, [aval_of(x) for x in args], self.fun.name)
        closed, captured = leading_tracers(closed)
        params = {
            **self.params,
            "name": self.fun.name,
            "call_jaxpr": closed,
            "fwd": self.rule,
            "num_consts": len(captured),
        }
        return trace.emit(custom_vjp_call_p, [*captured, *args], params)


class BatchedVJPCall(BatchedCall, VJPCall):
    """A custom_vjp call on batches."""

    inner: VJPCall

    def __init__(self, inner: VJPCall, trace: Any, dims: Sequence[int | None]) -> None:
        self.inner = inner
        self.begin(trace, dims)
        super().__init__(Named(self.primal, inner.fun.name), self._forward, inner.params)

    def _forward(self, primals: Sequence[Any], perturbed: Sequence[bool]) -> Forward:
        kept: list[Forward] = []

        def run(*values: Any) -> list[Any]:
            kept.append(self.inner.forward(values, perturbed))
            return [*kept[0].outs, *kept[0].residuals]

        values, dims = batch_under(self.trace, run, primals, self.dims)
        count = len(kept[0].outs)
        outs, self.out_dims = front(self.trace, values[:count], dims[:count], self.forced)
        pull = batched_pullback(
            self.trace, kept[0].pullback, dims[count:], self.out_dims, primals, self.dims
        )
        return Forward(outs, values[count:], pull)


class _WithConsts:
    """The rule of a staged call whose function closed over its first operands."""

    def __init__(self, rule: Any, count: int, name: str) -> None:
        self.rule = rule
        self.count = count
        self.name = name

    def __call__(self, primals: Sequence[Any], perturbed: Sequence[bool]) -> Forward:
        count = self.count
        if any(perturbed[:count]):
            raise UnexpectedTracerError(
                f"{self.name} closes over a value it would be differentiated with respect to."
            )
        outs, residuals, pull = self.rule(primals[count:], perturbed[count:])
        zeros = [Zero(aval_of(x).to_tangent()) for x in primals[:count]]

        def pull_all(res: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            return [*zeros, *pull(res, cts)]

        return Forward(outs, residuals, pull_all)


class CustomVJPCall(CustomCallPrimitive):
    """A staged call of a custom_vjp function."""

    name = "custom_vjp_call"
    tested_in = "tests/control/test_custom_vjp.py"

    def bind_eqn(self, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        count, name = params["num_consts"], params["name"]
        rule = _WithConsts(params["fwd"], count, name) if count else params["fwd"]
        kept = {k: params[k] for k in ("bwd", "symbolic_zeros")}
        call = VJPCall(Program(params["call_jaxpr"], name), rule, kept)
        return current_trace().process_custom_vjp(call, args)


class CustomLin(Primitive):
    """The tangents of a custom_vjp function: known only by their transpose."""

    name = "custom_lin"
    multiple_results = True
    widens = False
    cache_inference = False
    unprinted = ("fun_name", "pullback")
    tested_in = "tests/control/test_custom_vjp.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return list(params["out_avals"])

    def impl(self, *arrays: Any, **params: Any) -> Any:
        raise self.forward_error(params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        raise self.forward_error(params)

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        raise self.forward_error(params)

    def forward_error(self, params: dict[str, Any]) -> TypeError:
        """The error of asking for the tangents themselves."""
        return TypeError(
            "can't apply forward-mode differentiation (jvp) to a custom_vjp function: "
            f"{params['fun_name']} has a reverse rule only.\n  {user_line()}\n"
            "  Use reverse mode (grad, vjp, jacrev), or give the function a custom_jvp."
        )

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        count = params["num_res"]
        found = params["pullback"](args[:count], ct)
        kept = [g for g, b in zip(found, params["perturbed"], strict=True) if b]
        return [
            *[None] * count,
            *[
                g if isinstance(x, UndefinedPrimal) else None
                for g, x in zip(kept, args[count:], strict=True)
            ],
        ]


custom_vjp_call_p, custom_lin_p = CustomVJPCall(), CustomLin()


class custom_vjp:
    """A function whose reverse derivative is given by a pair of rules.

    Args:
        fun: a function of pytrees of arrays.
        nondiff_argnums: positions of arguments without derivative that are Python values, such as
            functions; `bwd` gets them first.
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
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.symbolic_zeros = False
        self.optimize_remat = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else partial(self, instance)

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set the rules.

        Args:
            fwd: takes the arguments of the function, returns the pair of output and residuals.
            bwd: takes (after the arguments without derivative) residuals and the cotangent of the
                output, returns a tuple of cotangents, one for each argument; None for zeros.
            symbolic_zeros: give fwd `CustomVJPPrimal` leaves and bwd `SymbolicZero` leaves.
            optimize_remat: accepted; a checkpoint recomputes fwd only where its residuals are used.
        """
        self.fwd = fwd
        self.bwd = bwd
        self.symbolic_zeros = symbolic_zeros
        self.optimize_remat = optimize_remat

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self.fun)
        if self.fwd is None or self.bwd is None:
            raise AttributeError(f"No VJP defined for custom_vjp function {name} using defvjp.")
        args = positional(self.fun, args, kwargs, "custom_vjp")
        nondiff = tuple(i for i in self.nondiff_argnums if i < len(args))
        for i in nondiff:
            _refuse_tracers(args[i], i, name)
        dynamic = tuple(x for i, x in enumerate(args) if i not in nondiff)
        leaves, in_tree = tree.flatten((dynamic, {}))
        check_leaves(dynamic, leaves, f"the arguments of {name} ")
        fun = TypedFunction(at_positions(self.fun, nondiff, args), in_tree, name=name)
        fwd = at_positions(self.fwd, nondiff, args)
        bwd = partial(self.bwd, *[args[i] for i in nondiff])
        rule = VJPRule(self, fwd, bwd, fun, in_tree)
        params = {"bwd": self.bwd, "symbolic_zeros": self.symbolic_zeros}
        outs = current_trace().process_custom_vjp(VJPCall(fun, rule, params), leaves)
        made = rule.out_tree if fun.out_tree is None else fun.out_tree
        return tree.unflatten(made, outs)


def _refuse_tracers(x: Any, position: int, name: str) -> None:
    """Raise UnexpectedTracerError for a traced value where a Python value is expected."""
    if any(isinstance(leaf, Tracer) for leaf in tree.leaves(x)):
        raise UnexpectedTracerError(
            f"Found a traced value in argument {position} of the custom_vjp function {name}, which "
            "nondiff_argnums marks as non-differentiable. Such arguments must be Python values, "
            f"such as functions.\n  {user_line()}\n  Take {position} out of nondiff_argnums and "
            "return None for it from bwd."
        )
