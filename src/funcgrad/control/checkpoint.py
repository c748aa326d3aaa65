"""checkpoint: derivatives that recompute intermediate values instead of keeping them.

In: a function, and a policy saying which values may be kept. The one idea: under partial
evaluation the unknown part becomes one eqn that takes the known inputs and the kept values, and
recomputes the rest when it is transposed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..config import config
from ..core.axes import move_axis
from ..core.context import context, set_trace
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData
from ..core.staging import stage
from ..core.trace import Tracer
from ..core.zeros import UndefinedPrimal, Zero
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Eqn
from ..ir.loops import Operand, Region
from ..passes.dce import dce
from ..transforms.batch import batch_jaxpr
from ..transforms.jvp import jvp_jaxpr
from ..transforms.linearize import PartialTrace, split_jaxpr
from ..transforms.transpose import backward_pass
from .flat import check_leaves, name_of, wraps
from .jit import simplified
from .jitted import static_arguments, with_static
from .policies import Policy, with_savings
from .tracing import Body, ControlPrimitive, drop, merge, pick, trace_body


class Remat(ControlPrimitive):
    """A program whose intermediate values are recomputed for derivatives."""

    name = "remat2"
    tested_in = "tests/control/test_checkpoint.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["jaxpr"].out_avals

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        return run_numpy(simplified(params["jaxpr"]), arrays)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr | None:
        """The program itself, unless sharing eqns with the forward pass would keep their values."""
        kept = eqn.params["differentiated"] and eqn.params["prevent_cse"]
        return None if kept else eqn.params["jaxpr"]

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Region:
        return Region("call", params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        nonzero = [not isinstance(t, Zero) for t in tangents]
        closed, nonzero_outs = jvp_jaxpr(params["jaxpr"], nonzero)
        given = [t for t in tangents if not isinstance(t, Zero)]
        outs = bind_closed(closed, [*primals, *given], params)
        count = len(nonzero_outs)
        rest = iter(outs[count:])
        zeros = [Zero(a.to_tangent()) for a in params["jaxpr"].out_avals]
        return outs[:count], [
            next(rest) if nz else z for z, nz in zip(zeros, nonzero_outs, strict=True)
        ]

    def partial_eval(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Run the known part now, keep what the policy allows; the rest becomes one eqn."""
        unknown = [trace.is_unknown(x) for x in args]
        split = split_jaxpr(params["jaxpr"], unknown)
        known, recompute, used = with_savings(split, params["policy"])
        known_args = drop(args, unknown)
        with set_trace(trace.parent):
            found = eval_closed(known, *known_args)
        count = len(split.out_unknown) - sum(split.out_unknown)
        outs: list[Any] = []
        if any(split.out_unknown) or split.unknown.effects:
            operands = [*found[count:], *pick(known_args, used), *pick(args, unknown)]
            new = {**params, "jaxpr": recompute, "differentiated": True}
            outs = trace.unknown.emit(self, operands, new)
        return merge(split.out_unknown, outs, found[:count])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        linear = [isinstance(x, UndefinedPrimal) for x in args]
        given = [not isinstance(c, Zero) for c in ct]
        closed, nonzero = transposed(params["jaxpr"], linear, given)
        outs = iter(bind_closed(closed, [*drop(args, linear), *pick(ct, given)], params))
        zeros = [x.aval for x in args if isinstance(x, UndefinedPrimal)]
        cts = [next(outs) if nz else Zero(a) for a, nz in zip(zeros, nonzero, strict=True)]
        return merge(linear, cts, [None] * (len(args) - len(cts)))

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        closed, batched = batch_jaxpr(params["jaxpr"], axis, [d is not None for d in dims])
        moved = [x if d is None else move_axis(x, d, 0) for x, d in zip(args, dims, strict=True)]
        return bind_closed(closed, moved, params), [0 if b else None for b in batched]

    def dce(self, eqn: Eqn, used_outputs: Sequence[bool]) -> Eqn | None:
        """The eqn giving only the outputs that are used, from the inputs they need."""
        closed: ClosedJaxpr = eqn.params["jaxpr"]
        if not any(used_outputs) and not eqn.effects:
            return None
        jaxpr, used = dce(closed.jaxpr, used_outputs, keep_inputs=False)
        if all(used) and all(used_outputs) and len(jaxpr.eqns) == len(closed.eqns):
            return eqn
        params = {**eqn.params, "jaxpr": ClosedJaxpr(jaxpr, closed.consts)}
        invars, outvars = pick(eqn.invars, used), pick(eqn.outvars, used_outputs)
        return eqn.replace(invars=invars, outvars=outvars, params=params)


remat_p = Remat()


def bind_closed(closed: ClosedJaxpr, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Bind a remat of another program with the same options."""
    return remat_p.bind(*args, **{**params, "jaxpr": closed})


_transposed: weakref.WeakKeyDictionary[ClosedJaxpr, dict[Any, Any]] = weakref.WeakKeyDictionary()


def transposed(
    closed: ClosedJaxpr, linear: Sequence[bool], ct_given: Sequence[bool]
) -> tuple[ClosedJaxpr, list[bool]]:
    """The program that recomputes from the values and then runs the linear part backwards.

    Returns:
        A jaxpr from values and given cotangents to nonzero cotangents, and which are nonzero.
    """
    known = _transposed.setdefault(closed, {})
    key = (tuple(linear), tuple(ct_given))
    if key not in known:
        known[key] = _transpose(closed, *key)
    return known[key]


def _transpose(
    closed: ClosedJaxpr, linear: Sequence[bool], ct_given: Sequence[bool]
) -> tuple[ClosedJaxpr, list[bool]]:
    split = split_jaxpr(closed, linear)
    count = len(linear) - sum(linear)
    nonzero: list[bool] = []

    def run(*values: Any) -> list[Any]:
        known = eval_closed(split.known, *values[:count])
        residuals = known[len(known) - split.residual_count :]
        given = iter(values[count:])
        cts = [
            next(given) if g else Zero(a.to_tangent())
            for a, g in zip(closed.out_avals, ct_given, strict=True)
        ]
        inner = split.unknown
        args = [*residuals, *[UndefinedPrimal(a) for a in inner.in_avals[len(residuals) :]]]
        found = backward_pass(inner.jaxpr, inner.consts, args, pick(cts, split.out_unknown))
        wanted = found[len(residuals) :]
        nonzero[:] = [not isinstance(g, Zero) for g in wanted]
        return pick(wanted, nonzero)

    avals = [*drop(closed.in_avals, linear)]
    avals += [a.to_tangent() for a in pick(closed.out_avals, ct_given)]
    return stage(run, avals, closed.jaxpr.debug_name), list(nonzero)


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool | Sequence[bool] = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
    concrete: bool = False,
) -> Any:
    """The function, whose derivatives recompute its intermediate values instead of keeping them.

    Reverse mode then keeps the arguments and what the policy allows; it costs one more forward
    evaluation. Also known as `remat`. Used as a decorator, with or without options.

    Args:
        fun: a pure function of pytrees of arrays.
        prevent_cse: keep recomputed eqns apart from equal ones of the forward pass; False where
            they are apart anyway, as in a scan.
        policy: `policy(primitive, *avals, **params)` says whether the outputs of an eqn may be
            kept; see `checkpoint_policies`. None keeps nothing.
        static_argnums: positions of arguments that are Python values.
        static_argnames: names of such arguments.
        concrete: accepted for compatibility; use static_argnums.
    Raises:
        TypeError: fun cannot be called, or an argument is no array value.
    """
    if fun is None:
        options = {"prevent_cse": prevent_cse, "policy": policy}
        static = {"static_argnums": static_argnums, "static_argnames": static_argnames}
        return partial(checkpoint, **options, **static)
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}. checkpoint takes a function.")
    nums, names = static_arguments(
        fun, None if static_argnums == () else static_argnums, static_argnames or None, "static"
    )
    params = {"prevent_cse": bool(np.any(prevent_cse)), "policy": policy, "differentiated": False}
    traced = Traced(fun, nums, names)

    @wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, body = traced(args, kwargs)
        outs = remat_p.bind(*body.captured, *leaves, jaxpr=body.closed, **params)
        return tree.unflatten(body.out_tree, outs)

    return checkpointed


class _Held:
    """A static argument: known again by value where it can be hashed, else by being itself."""

    __slots__ = ("_by_value", "_hash", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            self._hash, self._by_value = hash((value.__class__, value)), True
        except TypeError:
            self._hash, self._by_value = id(value), False

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Held) or type(self.value) is not type(other.value):
            return False
        return self.value is other.value or (self._by_value and bool(self.value == other.value))


class Traced:
    """Traces a function once for each signature, static arguments put in place."""

    def __init__(self, fun: Callable[..., Any], nums: Sequence[int], names: Sequence[str]) -> None:
        self.fun = fun
        self.name = name_of(fun)
        self.nums = nums
        self.names = names
        self.known: dict[Any, Body] = {}

    def __call__(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], Body]:
        """The leaves of the dynamic arguments, and the program that takes them."""
        nums = {i % len(args) for i in self.nums if -len(args) <= i < len(args)}
        dynamic = tuple(x for i, x in enumerate(args) if i not in nums)
        dynamic_kwargs = {k: v for k, v in kwargs.items() if k not in self.names}
        named = [k for k in sorted(kwargs) if k in self.names]
        static = (
            tuple((i, _Held(args[i])) for i in sorted(nums)),
            tuple((k, _Held(kwargs[k])) for k in named),
        )
        leaves, in_tree = tree.flatten((dynamic, dynamic_kwargs))
        check_leaves((dynamic, dynamic_kwargs), leaves, f"the arguments of {self.name} ")
        avals = tuple(aval_of(x) for x in leaves)
        key = (in_tree, avals, static, config.signature(), context.axis_sizes)
        body = self.known.get(key)
        if body is None:
            call = with_static(self.fun, static if any(static) else ())

            def run(a: tuple[Any, ...], k: dict[str, Any]) -> Any:
                return call(*a, **k)

            body = trace_body(run, in_tree, avals, self.name)
            if not any(isinstance(c, Tracer) for c in body.captured):
                self.known[key] = body
        return leaves, body


remat = checkpoint
