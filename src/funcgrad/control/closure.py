"""Functions around custom rules: closure_convert, custom_gradient, linear_call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..core.axes import to_front
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData, Primitive
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Effects
from ..transforms.batch import batch_jaxpr
from .custom_vjp import custom_vjp
from .flat import FlatFunction, check_leaves, name_of, wraps
from .tracing import trace_body


def closure_convert(
    fun: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Any]]:
    """A function without hidden inputs, and the values it closed over.

    Only values a derivative may be taken of are hoisted (traced, of floating or complex dtype).

    Args:
        fun: a pure function of pytrees of arrays.
        example_args: arguments of the types it will be called with.
    Returns:
        `(converted, values)`, where `converted(*args, *values)` equals `fun(*args)`.
    Raises:
        TypeError: converted is called with arguments of another tree.
    """
    leaves, in_tree = tree.flatten((example_args, {}))
    check_leaves(example_args, leaves, f"the example arguments of {name_of(fun)} ")
    flat = FlatFunction(fun, in_tree)
    closed = stage(flat, [aval_of(x) for x in leaves], flat.name)
    out_tree = flat.out_tree
    hoisted = [
        isinstance(c, Tracer) and dtypes.issubdtype(c.dtype, np.inexact) for c in closed.consts
    ]
    values = [c for c, h in zip(closed.consts, hoisted, strict=True) if h]

    def converted(*args: Any) -> Any:
        count = len(args) - len(values)
        given, found_tree = tree.flatten((args[:count], {}))
        if found_tree != in_tree:
            raise TypeError(
                f"{flat.name} was converted for arguments {in_tree}, but got {found_tree}. "
                f"{tree.structure_difference(in_tree, found_tree)}\n  {user_line()}"
            )
        rest = iter(args[count:])
        consts = [next(rest) if h else c for c, h in zip(closed.consts, hoisted, strict=True)]
        outs = eval_closed(ClosedJaxpr(closed.jaxpr, tuple(consts)), *given)
        return tree.unflatten(out_tree, outs)

    return converted, values


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose reverse rule is returned beside its value.

    Args:
        fun: returns the pair of output and a function from the cotangent of the output to the
            cotangents of the arguments: a tuple, or one value for one argument.
    Returns:
        A function of the same arguments giving the output.
    """

    @wraps(fun)
    def value(*args: Any, **kwargs: Any) -> Any:
        return fun(*args, **kwargs)[0]

    wrapped = custom_vjp(value)

    def fwd(*args: Any, **kwargs: Any) -> Any:
        out, rule = fun(*args, **kwargs)
        leaves, treedef = tree.flatten((out,))
        # The rule is traced now, so that what it closes over becomes residuals.
        body = trace_body(rule, treedef, [aval_of(x).to_tangent() for x in leaves])
        return out, Residuals(body.captured, body.closed, body.out_tree)

    def bwd(res: Residuals, ct: Any) -> Any:
        outs = eval_closed(res.closed, *res.values, *tree.leaves(ct))
        cts = tree.unflatten(res.out_tree, outs)
        return cts if isinstance(cts, tuple) else (cts,)  # pyright: ignore[reportUnknownVariableType]

    wrapped.defvjp(fwd, bwd)
    return wrapped


class Residuals:
    """A traced rule: the values it closed over are the leaves."""

    def __init__(self, values: list[Any], closed: ClosedJaxpr, out_tree: Any) -> None:
        self.values = values
        self.closed = closed
        self.out_tree = out_tree


def _register() -> None:
    from ..tree_util import register_pytree_node

    register_pytree_node(
        Residuals,
        lambda r: (r.values, (r.closed, r.out_tree)),
        lambda static, values: Residuals(list(values), *static),
    )


_register()


class LinearCall(Primitive):
    """A linear function with a transpose of the user's own; operands are residuals, then x."""

    name = "linear_call"
    multiple_results = True
    widens = False
    cache_inference = False
    unprinted = ("num_res",)
    tested_in = "tests/control/test_closure.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["callee"].out_avals

    def effects(self, params: dict[str, Any]) -> Effects:
        return params["callee"].effects

    def impl(self, *arrays: Any, **params: Any) -> list[Any]:
        return run_numpy(params["callee"], arrays)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        count = params["num_res"]
        if not all(isinstance(t, Zero) for t in tangents[:count]):
            raise TypeError(
                "linear_call cannot be differentiated with respect to its residuals.\n"
                f"  {user_line()}\n  Apply lax.stop_gradient to them."
            )
        outs = self.bind(*primals, **params)
        given = [instantiate(t) for t in tangents[count:]]
        return outs, self.bind(*primals[:count], *given, **params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        count = params["num_res"]
        given = [instantiate(c) for c in ct]
        swapped = {**params, "callee": params["transpose"], "transpose": params["callee"]}
        outs = self.bind(*args[:count], *given, **swapped)
        return [
            *[None] * count,
            *[
                o if isinstance(x, UndefinedPrimal) else None
                for o, x in zip(outs, args[count:], strict=True)
            ],
        ]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        count = params["num_res"]
        batched = [d is not None for d in dims[:count]]
        values = [
            to_front(x, d, axis.size) if d is not None or i >= count else x
            for i, (x, d) in enumerate(zip(args, dims, strict=True))
        ]
        # All of x and of the output gets the batch axis, so that the two programs still fit.
        new = dict(params)
        for key in ("callee", "transpose"):
            closed = params[key]
            marks = [*batched, *[True] * (len(closed.in_avals) - count)]
            new[key] = batch_jaxpr(closed, axis, marks, force=True)[0]
        outs = self.bind(*values, **new)
        return outs, [0] * len(outs)


linear_call_p = LinearCall()


def linear_call(
    fun: Callable[..., Any],
    fun_transpose: Callable[..., Any],
    residual_args: Any,
    linear_args: Any,
) -> Any:
    """Call a linear function and state its transpose.

    Args:
        fun: `fun(residuals, x)`, linear in x.
        fun_transpose: `fun_transpose(residuals, y)`, linear in y: the transpose.
        residual_args: tree of arrays without derivative.
        linear_args: tree of arrays.
    Returns:
        `fun(residual_args, linear_args)`.
    Raises:
        TypeError: the transpose does not give a tree like linear_args.
    """
    res = tree.leaves(residual_args)
    xs, x_tree = tree.flatten(linear_args)
    check_leaves((residual_args, linear_args), [*res, *xs], "the arguments of linear_call ")
    both = tree.structure((residual_args, linear_args))
    body = trace_body(fun, both, [aval_of(x) for x in [*res, *xs]], name_of(fun))
    back_in = tree.structure((residual_args, tree.unflatten(body.out_tree, body.out_avals)))
    back_avals = [*[aval_of(x) for x in res], *body.out_avals]
    back = trace_body(fun_transpose, back_in, back_avals, name_of(fun_transpose))
    want = [(aval_of(x).shape, aval_of(x).dtype) for x in xs]
    if back.out_tree != x_tree or [(a.shape, a.dtype) for a in back.out_avals] != want:
        raise TypeError(
            f"linear_call: the transpose {name_of(fun_transpose)} must give a tree like "
            f"linear_args, {x_tree} of {[aval_of(x).short() for x in xs]}, but gave "
            f"{back.out_tree} of {[a.short() for a in back.out_avals]}.\n  {user_line()}"
        )
    captured = [*body.captured, *back.captured]
    callee = _with_leading(body.closed, 0, len(body.captured), captured)
    reverse = _with_leading(back.closed, len(body.captured), len(back.captured), captured)
    outs = linear_call_p.bind(
        *captured,
        *res,
        *xs,
        callee=callee,
        transpose=reverse,
        num_res=len(captured) + len(res),
    )
    return tree.unflatten(body.out_tree, outs)


def _with_leading(
    closed: ClosedJaxpr, start: int, count: int, captured: Sequence[Any]
) -> ClosedJaxpr:
    """The program taking all captured values first, of which it uses `count` from `start`."""

    def run(*args: Any) -> list[Any]:
        own = args[start : start + count]
        return eval_closed(closed, *own, *args[len(captured) :])

    avals = [*[aval_of(c) for c in captured], *closed.in_avals[count:]]
    return stage(run, avals, closed.jaxpr.debug_name)
