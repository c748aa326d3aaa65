"""while_loop and fori_loop: loops whose number of steps may depend on values.

In: the jaxprs of a predicate and a body, what they captured, and the carry. Out: the carry for
which the predicate no longer holds. The one idea: nothing of a step is kept, so forward mode
carries tangents along and reverse mode, which needs every step, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import tree
from ..config import config
from ..core.axes import to_front
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, as_array, value_of
from ..core.zeros import Zero, instantiate
from ..errors import ConcretizationTypeError
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Eqn, Var
from ..ir.loops import Operand, Region
from ..passes.dce import dce
from ..primitives.arithmetic import add
from ..primitives.bits import and_
from ..primitives.casting import convert_element_type
from ..primitives.comparison import lt
from ..primitives.reduction import reduce_or
from ..primitives.selection import select, stretch
from ..transforms.batch import batch_jaxpr
from ..transforms.jvp import jvp_jaxpr
from ..transforms.linearize import PartialTrace, split_jaxpr
from .jit import simplified
from .scan import scan
from .scan_parts import fixpoint
from .tracing import (
    Body,
    ControlPrimitive,
    avals_of_leaves,
    check_carry,
    drop,
    forwarded,
    merge,
    pick,
    positions,
    promote_weak,
    refuse_effects,
    reordered,
    split_at,
    trace_body,
)


class While(ControlPrimitive):
    """Apply a body while a predicate holds; operands: what each captured, then the carry."""

    name = "while"
    tested_in = "tests/control/test_loops.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["body_jaxpr"].out_avals

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        cond_consts, body_consts, carry = grouped(arrays, params)
        holds, body = simplified(params["cond_jaxpr"]), simplified(params["body_jaxpr"])
        while bool(run_numpy(holds, [*cond_consts, *carry])[0]):
            carry = run_numpy(body, [*body_consts, *carry])
        return carry

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Region:
        return Region("while", params)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        closed: ClosedJaxpr = params["body_jaxpr"]
        cond_consts, body_consts, carry = grouped(primals, params)
        _, body_dot, carry_dot = grouped(tangents, params)
        body_nz = [not isinstance(t, Zero) for t in body_dot]
        carry_nz = fixpoint(
            [not isinstance(t, Zero) for t in carry_dot],
            lambda flags: jvp_jaxpr(closed, [*body_nz, *flags], flags)[1],
        )
        body, _ = jvp_jaxpr(closed, [*body_nz, *carry_nz], carry_nz)
        # The jvp takes all primals first; here tangents of captured values come before the carry.
        n, total, extra = len(body_consts), len(body_consts) + len(carry), sum(body_nz)
        order = [
            *range(n),
            *range(total, total + extra),
            *range(n, total),
            *range(total + extra, total + extra + sum(carry_nz)),
        ]
        tangent_avals = [a.to_tangent() for a in pick(closed.out_avals, carry_nz)]
        new = {
            "body_jaxpr": reordered(body, order),
            "body_nconsts": n + extra,
            "cond_jaxpr": with_unread(params["cond_jaxpr"], tangent_avals),
            "cond_nconsts": params["cond_nconsts"],
        }
        given = [instantiate(t) for t in pick(carry_dot, carry_nz)]
        outs = self.bind(
            *cond_consts, *body_consts, *pick(body_dot, body_nz), *carry, *given, **new
        )
        zeros = [Zero(a.to_tangent()) for a in drop(closed.out_avals, carry_nz)]
        return outs[: len(carry)], merge(carry_nz, outs[len(carry) :], zeros)

    def partial_eval(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Run the loop on what is known; write the whole loop down for the rest.

        The loop written down repeats the known part, since no step of it is kept, but for effects.
        """
        cond_u, body_u, carry_u = grouped([trace.is_unknown(x) for x in args], params)
        closed: ClosedJaxpr = params["body_jaxpr"]
        carry_u = fixpoint(
            carry_u, lambda flags: split_jaxpr(closed, [*body_u, *flags], flags).out_unknown
        )
        _, used = dce(params["cond_jaxpr"].jaxpr)
        reads_unknown = any(pick([*cond_u, *carry_u], used))
        if reads_unknown or all(carry_u):
            return trace.unknown.emit(self, args, params)
        cond_consts, body_consts, carry = grouped(args, params)
        body = split_jaxpr(closed, [*body_u, *carry_u], carry_u).known
        count = len(carry_u) - sum(carry_u)
        known_cond = params["cond_jaxpr"].jaxpr
        known = {
            "body_jaxpr": reordered(body, outs=range(count)),
            "body_nconsts": len(body_u) - sum(body_u),
            "cond_jaxpr": ClosedJaxpr(
                known_cond.replace(invars=drop(known_cond.invars, [*cond_u, *carry_u])),
                params["cond_jaxpr"].consts,
            ),
            "cond_nconsts": len(cond_u) - sum(cond_u),
        }
        operands = [*drop(cond_consts, cond_u), *drop(body_consts, body_u), *drop(carry, carry_u)]
        outs = trace.bind_known(self, operands, known)
        if not any(carry_u):
            return outs
        again = {
            **params,
            "body_jaxpr": without_done(closed, [*body_u, *carry_u]),
            "cond_jaxpr": without_done(params["cond_jaxpr"], [*cond_u, *carry_u]),
        }
        return merge(carry_u, pick(trace.unknown.emit(self, args, again), carry_u), outs)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> NoReturn:
        raise ValueError(
            "Reverse-mode differentiation does not work for lax.while_loop or lax.fori_loop with "
            "dynamic start/stop values: it needs every step's values, and their number is not "
            f"known in advance.\n  {user_line()}\n"
            "  Use lax.scan, lax.fori_loop with start and stop known when it is traced, or forward "
            "mode (jvp, jacfwd)."
        )

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        closed: ClosedJaxpr = params["body_jaxpr"]
        cond_b, body_b, carry_b = grouped([d is not None for d in dims], params)
        carry_b = fixpoint(
            carry_b, lambda flags: batch_jaxpr(closed, axis, [*body_b, *flags], flags)[1]
        )
        holds, (varies,) = batch_jaxpr(params["cond_jaxpr"], axis, [*cond_b, *carry_b])
        if varies:
            refuse_effects("while_loop", self.effects(params))
            carry_b = [True] * len(carry_b)
            if "lanes" not in params:
                holds, _ = batch_jaxpr(params["cond_jaxpr"], axis, [*cond_b, *carry_b], True)
        body, _ = batch_jaxpr(closed, axis, [*body_b, *carry_b], carry_b)
        moved = [
            to_front(x, d, axis.size) if b else x
            for x, d, b in zip(args, dims, [*cond_b, *body_b, *carry_b], strict=True)
        ]
        new = {**params, "cond_jaxpr": holds, "body_jaxpr": body}
        if varies and "lanes" in params:
            # Elements that are done stay as they are already.
            avals = body.in_avals[params["body_nconsts"] :]
            new |= {"cond_jaxpr": stage(any_going, avals), "lanes": params["lanes"] + 1}
            return self.bind(*moved, **new), [0] * len(carry_b)
        if varies:
            return until_all_done(moved, new), [0] * len(carry_b)
        return self.bind(*moved, **new), [0 if b else None for b in carry_b]


while_p = While()


def grouped(values: Sequence[Any], params: dict[str, Any]) -> list[list[Any]]:
    """Values of operands as those of the predicate, those of the body, and the carry."""
    return split_at(values, params["cond_nconsts"], params["body_nconsts"])


def with_unread(closed: ClosedJaxpr, avals: Sequence[ShapedArray]) -> ClosedJaxpr:
    """The jaxpr with more inputs, which it does not read."""
    jaxpr = closed.jaxpr
    more = [Var(a) for a in avals]
    return ClosedJaxpr(jaxpr.replace(invars=[*jaxpr.invars, *more]), closed.consts)


def without_done(closed: ClosedJaxpr, unknown: Sequence[bool]) -> ClosedJaxpr:
    """The jaxpr without the eqns that are there for an effect, on inputs that are all known."""
    jaxpr = closed.jaxpr
    if not jaxpr.effects:
        return closed
    depends: set[Any] = set(pick(jaxpr.invars, unknown))
    kept: list[Eqn] = []
    for eqn in jaxpr.eqns:
        if any(type(a) is Var and a in depends for a in eqn.invars):
            depends.update(eqn.outvars)
        elif eqn.effects and not eqn.outvars:
            continue
        kept.append(eqn)
    return ClosedJaxpr(jaxpr.replace(eqns=kept, effects=None), closed.consts)


def until_all_done(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """A loop over a batch whose predicates differ: it runs until none holds.

    The carry is (predicates, carry); an element whose predicate no longer holds keeps its value.
    `lanes` is how many leading axes of the predicates are batches.
    """
    holds, body = params["cond_jaxpr"], params["body_jaxpr"]
    cond_consts, body_consts, init = grouped(args, params)
    first = eval_closed(holds, *cond_consts, *init)
    consts = [*cond_consts, *body_consts]

    def step(*operands: Any) -> list[Any]:
        for_cond, for_body, (going, *old) = grouped(operands, params)
        made = eval_closed(body, *for_body, *old)
        new = [
            select(stretch(going, aval_of(x).shape), y, x) for x, y in zip(old, made, strict=True)
        ]
        (still,) = eval_closed(holds, *for_cond, *new)
        return [and_(going, still), *new]

    carry = [*first, *init]
    avals = [aval_of(x) for x in carry]
    outs = while_p.bind(
        *consts,
        *carry,
        cond_jaxpr=stage(any_going, avals),
        cond_nconsts=0,
        body_jaxpr=stage(step, [*[aval_of(x) for x in consts], *avals]),
        body_nconsts=len(consts),
        lanes=1,
    )
    return outs[1:]


def any_going(going: Any, *_: Any) -> list[Any]:
    """Whether any predicate of a batch holds."""
    return [reduce_or(going, tuple(range(aval_of(going).ndim)))]


# The functions users call.


def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """body_fun applied to init_val again and again while cond_fun holds.

    Args:
        cond_fun: takes the carry, returns bool[].
        body_fun: takes the carry, returns one of the same tree, shapes and dtypes.
        init_val: the first carry, a pytree of arrays.
    Returns:
        The first carry for which cond_fun does not hold.
    Raises:
        TypeError: a function is not callable, cond_fun returns no boolean scalar, or body_fun
            changes the type of the carry.
        ValueError: when differentiated in reverse.
    """
    if not (callable(body_fun) and callable(cond_fun)):
        raise TypeError(
            "lax.while_loop: body_fun and cond_fun arguments should be callable, got "
            f"{cond_fun!r} and {body_fun!r}.\n  {user_line()}"
        )
    if config.disable_jit:
        try:
            return python_while(cond_fun, body_fun, init_val)
        except ConcretizationTypeError:
            # The predicate is traced (by vmap, say): only the primitive can do this loop.
            pass
    leaves, treedef = tree.flatten(init_val)
    avals = avals_of_leaves("the initial value of while_loop", init_val, leaves)
    args_tree = tree.structure((init_val,))
    while True:
        holds = trace_body(cond_fun, args_tree, avals)
        check_predicate(holds)
        body = trace_body(body_fun, args_tree, avals)
        if body.out_tree != treedef:
            check_carry("while_loop body", treedef, avals, body.out_tree, body.out_avals)
        leaves, changed = promote_weak(leaves, avals, body.out_avals)
        if not changed:
            break
        avals = [aval_of(x) for x in leaves]
    check_carry("while_loop body", treedef, avals, body.out_tree, body.out_avals)
    return tree.unflatten(treedef, apply_while(holds, body, leaves))


def apply_while(holds: Body, body: Body, init: Sequence[Any]) -> list[Any]:
    """Bind a loop; a carry handed through and not read by the predicate is a constant."""
    count = len(body.captured)
    _, read = dce(holds.closed.jaxpr)
    read = read[len(holds.captured) :]
    constant = [
        s == count + i and not r
        for i, (s, r) in enumerate(zip(forwarded(body.closed.jaxpr), read, strict=True))
    ]
    carries = range(count, count + len(init))
    ins = [*pick(carries, constant), *range(count), *drop(carries, constant)]
    kept = [not c for c in constant]
    jaxpr = holds.closed.jaxpr
    leading = len(holds.captured)
    invars = [*jaxpr.invars[:leading], *pick(jaxpr.invars[leading:], kept)]
    outs = while_p.bind(
        *holds.captured,
        *pick(init, constant),
        *body.captured,
        *pick(init, kept),
        cond_jaxpr=ClosedJaxpr(dce(jaxpr)[0].replace(invars=invars)),
        cond_nconsts=leading,
        body_jaxpr=reordered(body.closed, ins, positions(kept)),
        body_nconsts=count + sum(constant),
    )
    return merge(kept, outs, [as_array(x) for x in pick(init, constant)])


def check_predicate(holds: Body) -> None:
    """Raise TypeError unless the predicate gives one boolean scalar."""
    avals = holds.out_avals
    single = holds.out_tree.is_leaf() and len(avals) == 1
    if not single or avals[0].shape or avals[0].dtype != np.bool_:
        got = ", ".join(a.long() for a in avals) if single else f"pytree {holds.out_tree}"
        raise TypeError(
            f"cond_fun must return a boolean scalar, but got {got}.\n  {user_line()}\n"
            "  Compare with something, or reduce with any or all."
        )


def python_while(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], value: Any) -> Any:
    """The loop in Python, for `disable_jit`."""
    value = tree.map(as_array, value)
    while cond_fun(value):
        value = tree.map(as_array, body_fun(value))
    return value


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """val = body_fun(i, val) for i = lower, ..., upper − 1.

    With bounds known when it is traced this is a scan, which can be differentiated in reverse;
    else a while_loop.

    Args:
        lower: int[], the first index.
        upper: int[], one past the last; no step is done when it is not above lower.
        body_fun: takes index and value, returns a value of the same tree, shapes and dtypes.
        init_val: the first value, a pytree of arrays.
        unroll: as in scan; only with known bounds.
    Returns:
        The last value.
    Raises:
        TypeError: body_fun is not callable, changes the type of the value, or the bounds have
            different dtypes.
        ValueError: unroll is given and a bound is traced.
    """
    if not callable(body_fun):
        raise TypeError(
            f"lax.fori_loop: body_fun argument should be callable, got {body_fun!r}.\n"
            f"  {user_line()}"
        )
    dtype = bounds_dtype(lower, upper)
    known = value_of(lower), value_of(upper)
    if not any(isinstance(x, Tracer) for x in known):
        first, last = int(known[0]), int(known[1])
        length = max(last - first, 0)
        if config.disable_jit and not length:
            return init_val

        def step(carry: Any, _: Any) -> Any:
            i, value = carry
            return (add(i, as_index(1, i)), body_fun(i, value)), None

        outs = scan(step, (first, init_val), None, length=length, unroll=unroll or False)
        return outs[0][1]
    if unroll not in (None, False, 1):
        raise ValueError(
            "Can only use `unroll` in fori_loop if the loop bounds are statically known, got "
            f"unroll={unroll}.\n  {user_line()}\n  Give Python integers as bounds."
        )

    def body(carry: Any) -> Any:
        i, stop, value = carry
        return add(i, as_index(1, i)), stop, body_fun(i, value)

    bounds = [
        x if aval_of(x).dtype == dtype else convert_element_type(x, dtype) for x in (lower, upper)
    ]
    outs = while_loop(lambda carry: lt(carry[0], carry[1]), body, (*bounds, init_val))
    return outs[2]


def as_index(value: int, like: Any) -> Any:
    """A scalar of the dtype and weak type of an index."""
    aval = aval_of(like)
    return value if aval.weak_type else np.asarray(value, aval.dtype)


def bounds_dtype(lower: Any, upper: Any) -> Any:
    """The dtype of the index; a Python integer takes that of the other bound.

    Raises:
        TypeError: the bounds are no integers of one dtype.
    """
    a, b = aval_of(lower), aval_of(upper)
    if a.dtype == b.dtype:
        return a.dtype
    signed = all(dtypes.issubdtype(x.dtype, np.signedinteger) for x in (a, b))
    if signed and a.weak_type != b.weak_type:
        return b.dtype if a.weak_type else a.dtype
    raise TypeError(
        "lower and upper arguments to fori_loop must have equal types, got "
        f"{a.dtype.name} and {b.dtype.name}.\n  {user_line()}\n  Convert one with astype."
    )
