"""cond and switch: run one of several branches, chosen by a scalar.

In: an index (a predicate is index 0 or 1), branches, operands. Out: what the chosen branch
returns. The one idea: all branches take the same operands and give the same avals, so a rule does
to every branch what it does to one, and makes the results agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..config import config
from ..core.array import to_ndarray
from ..core.axes import move_axis, to_front
from ..core.evaluate import eval_closed, run_numpy
from ..core.primitive import AxisData
from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer, as_array, value_of
from ..core.zeros import UndefinedPrimal, Zero
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Eqn, Literal, Var
from ..ir.loops import Operand, Region
from ..passes.dce import dce
from ..primitives.casting import convert_element_type
from ..primitives.comparison import eq, ne
from ..primitives.creation import zeros_like_aval
from ..primitives.rounding import stop_gradient
from ..primitives.selection import clamp, select, select_n, stretch
from ..transforms.batch import batch_jaxpr
from ..transforms.jvp import jvp_jaxpr
from ..transforms.linearize import PartialTrace, Split, split_jaxpr
from ..transforms.transpose import transpose_jaxpr
from .jit import simplified
from .tracing import (
    Body,
    ControlPrimitive,
    avals_of_leaves,
    check_branches,
    drop,
    either,
    forwarded,
    merge,
    pick,
    positions,
    refuse_effects,
    reordered,
    same_type,
    share_captured,
    trace_body,
)

Branches = tuple[ClosedJaxpr, ...]


class Cond(ControlPrimitive):
    """branches[index](*operands); the index is an int32 scalar within range."""

    name = "cond"
    tested_in = "tests/control/test_cond.py"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> list[ShapedArray]:
        return params["branches"][0].out_avals

    def impl(self, *arrays: Any, **params: Any) -> list[np.ndarray[Any, Any]]:
        branches: Branches = params["branches"]
        index = min(max(int(arrays[0]), 0), len(branches) - 1)
        return run_numpy(simplified(branches[index]), arrays[1:])

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Region:
        return Region("branch", params)

    def inlined(self, eqn: Eqn) -> ClosedJaxpr | None:
        """The branch, where the index is known."""
        index = eqn.invars[0]
        if not isinstance(index, Literal):
            return None
        branches: Branches = eqn.params["branches"]
        number = min(max(int(to_ndarray(index.val)), 0), len(branches) - 1)
        jaxpr = branches[number].jaxpr
        new = jaxpr.replace(invars=[Var(index.aval), *jaxpr.invars])
        return ClosedJaxpr(new, branches[number].consts)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        branches: Branches = params["branches"]
        index, *operands = primals
        nonzero = [not isinstance(t, Zero) for t in tangents[1:]]
        nonzero_outs = union(jvp_jaxpr(b, nonzero)[1] for b in branches)
        new = tuple(jvp_jaxpr(b, nonzero, nonzero_outs)[0] for b in branches)
        given = [t for t in tangents[1:] if not isinstance(t, Zero)]
        outs = self.bind(index, *operands, *given, branches=new)
        avals = branches[0].out_avals
        zeros = [Zero(a.to_tangent()) for a in drop(avals, nonzero_outs)]
        return outs[: len(avals)], merge(nonzero_outs, outs[len(avals) :], zeros)

    def partial_eval(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Run the known part of the chosen branch now; write the rest down as a cond."""
        unknown = [trace.is_unknown(x) for x in args]
        if unknown[0]:
            return trace.unknown.emit(self, args, params)
        index, *operands = args
        branches: Branches = params["branches"]
        out_unknown = union(split_jaxpr(b, unknown[1:]).out_unknown for b in branches)
        splits = [split_jaxpr(b, unknown[1:], out_unknown) for b in branches]
        known, rest = unify_residuals(splits)
        given = drop(operands, unknown[1:])
        outs: list[Any] = []
        if known[0].jaxpr.outvars or any(b.effects for b in known):
            outs = trace.bind_known(self, [index, *given], {"branches": known})
        count = len(out_unknown) - sum(out_unknown)
        unknown_outs: list[Any] = []
        if any(out_unknown) or any(b.effects for b in rest):
            staged = [index, *outs[count:], *pick(operands, unknown[1:])]
            unknown_outs = trace.unknown.emit(self, staged, {"branches": rest})
        return merge(out_unknown, unknown_outs, outs[:count])

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        branches: Branches = params["branches"]
        index, *operands = args
        linear = [isinstance(x, UndefinedPrimal) for x in operands]
        given = [not isinstance(c, Zero) for c in ct]
        nonzero = union(transpose_jaxpr(b, linear, given)[1] for b in branches)
        new = tuple(
            reordered(transpose_jaxpr(b, linear, given, True)[0], outs=positions(nonzero))
            for b in branches
        )
        outs: list[Any] = []
        if any(nonzero):
            outs = self.bind(index, *drop(operands, linear), *pick(ct, given), branches=new)
        zeros = [Zero(x.aval) for x in drop(pick(operands, linear), nonzero)]
        values = [None] * (len(linear) - sum(linear))
        return [None, *merge(linear, merge(nonzero, outs, zeros), values)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        branches: Branches = params["branches"]
        if dims[0] is not None:
            return select_branches(axis, args, dims, branches)
        batched = [d is not None for d in dims[1:]]
        out_batched = union(batch_jaxpr(b, axis, batched)[1] for b in branches)
        new = tuple(batch_jaxpr(b, axis, batched, out_batched)[0] for b in branches)
        moved = [
            x if d is None else move_axis(x, d, 0) for x, d in zip(args[1:], dims[1:], strict=True)
        ]
        outs = self.bind(args[0], *moved, branches=new)
        return outs, [0 if b else None for b in out_batched]

    def dce(self, eqn: Eqn, used_outputs: Sequence[bool]) -> Eqn | None:
        """The eqn giving only the outputs that are used."""
        if not any(used_outputs) and not eqn.effects:
            return None
        if all(used_outputs):
            return eqn
        branches = tuple(
            ClosedJaxpr(dce(b.jaxpr, used_outputs)[0], b.consts) for b in eqn.params["branches"]
        )
        outvars = pick(eqn.outvars, used_outputs)
        return eqn.replace(outvars=outvars, params={**eqn.params, "branches": branches})


cond_p = Cond()


def union(masks: Any) -> list[bool]:
    """Where any of the masks holds."""
    result: list[bool] | None = None
    for mask in masks:
        result = list(mask) if result is None else either(result, mask)
    return result or []


def unify_residuals(splits: Sequence[Split]) -> tuple[Branches, Branches]:
    """Known and unknown branches that hand over the same residuals.

    Residuals of different branches share a slot when their avals agree; a branch fills the slots
    it does not use with zeros.
    """
    slots: list[ShapedArray] = []
    places: list[list[int]] = []
    for split in splits:
        taken: list[int] = []
        for aval in split.residual_avals:
            free = (i for i, a in enumerate(slots) if i not in taken and same_type(a, aval))
            place = next(free, len(slots))
            if place == len(slots):
                slots.append(aval)
            taken.append(place)
        places.append(taken)
    pairs = list(zip(splits, places, strict=True))
    return (
        tuple(with_filled_slots(split, taken, slots) for split, taken in pairs),
        tuple(with_unread_slots(split, taken, slots) for split, taken in pairs),
    )


def with_filled_slots(
    split: Split, taken: Sequence[int], slots: Sequence[ShapedArray]
) -> ClosedJaxpr:
    """The known part of a branch giving every residual slot."""
    count = len(split.known.out_avals) - split.residual_count

    def run(*values: Any) -> list[Any]:
        outs = eval_closed(split.known, *values)
        own = dict(zip(taken, outs[count:], strict=True))
        filled = [own[i] if i in own else zeros_like_aval(a) for i, a in enumerate(slots)]
        return [*outs[:count], *filled]

    if list(taken) == list(range(len(slots))):
        return split.known
    return stage(run, split.known.in_avals, split.known.jaxpr.debug_name)


def with_unread_slots(
    split: Split, taken: Sequence[int], slots: Sequence[ShapedArray]
) -> ClosedJaxpr:
    """The unknown part of a branch taking every residual slot."""
    jaxpr = split.unknown.jaxpr
    own = dict(zip(taken, jaxpr.invars[: split.residual_count], strict=True))
    leading = [own.get(i) or Var(a) for i, a in enumerate(slots)]
    invars = [*leading, *jaxpr.invars[split.residual_count :]]
    return ClosedJaxpr(jaxpr.replace(invars=invars), split.unknown.consts)


def select_branches(
    axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], branches: Branches
) -> tuple[list[Any], list[int]]:
    """All branches on the whole batch, and for each element the result of its own.

    An operand is held constant where a branch is not the chosen one: a derivative that is not
    finite there would otherwise meet a zero cotangent and give NaN.
    """
    refuse_effects("cond", cond_p.effects({"branches": branches}))
    index, *operands = [to_front(x, d, axis.size) for x, d in zip(args, dims, strict=True)]
    results: list[list[Any]] = []
    for i, branch in enumerate(branches):
        chosen = eq(index, np.asarray(i, np.int32))
        guarded = [
            select(stretched(chosen, x), x, stop_gradient(x))
            if dtypes.issubdtype(aval_of(x).dtype, np.inexact)
            else x
            for x in operands
        ]
        batched, _ = batch_jaxpr(branch, axis, [True] * len(operands), True)
        results.append(eval_closed(batched, *guarded))
    return [choose(index, cases) for cases in zip(*results, strict=True)], [0] * len(results[0])


def stretched(which: Any, x: Any) -> Any:
    """A vector over the leading axis repeated to the shape of x."""
    return stretch(which, aval_of(x).shape)


def choose(index: Any, cases: Sequence[Any]) -> Any:
    """For each element along the leading axis, the case its index names."""
    which = ne(index, np.asarray(0, np.int32)) if len(cases) == 2 else index
    return select_n(stretched(which, cases[0]), *cases)


# The functions users call.

_no_operand: Any = object()


def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _no_operand,
) -> Any:
    """true_fun(*operands) if pred, else false_fun(*operands).

    Both branches are traced, one is run. Under vmap with predicates that differ within the batch
    both are run and each element selects.

    Args:
        pred: bool[] or a real number, true where it is not zero.
        true_fun: a function of the operands.
        false_fun: another one, with a result of the same tree, shapes and dtypes.
        operands: pytrees of arrays.
    Returns:
        The result of the chosen branch.
    Raises:
        TypeError: pred is no scalar, a branch is not callable, or their results differ in tree,
            shape or dtype.
    """
    if not (callable(true_fun) and callable(false_fun)):
        if callable(false_fun) and len(operands) == 2 and callable(operands[1]):
            branches = partial(_first, false_fun), partial(_second, operands[1])
            return cond(pred, *branches, true_fun, operands[0])
        raise TypeError(
            f"lax.cond: true_fun and false_fun arguments should be callable, got {true_fun!r} and "
            f"{false_fun!r}.\n  {user_line()}\n  Pass functions, not their results."
        )
    operands = given_operands(operands, operand)
    index = predicate(pred)
    if config.disable_jit and not isinstance(value_of(index), Tracer):
        return (true_fun if int(value_of(index)) else false_fun)(*operands)
    names = ("false_fun", "true_fun")
    return _apply("cond", index, names, (false_fun, true_fun), operands)


def _first(fun: Callable[..., Any], x: Any, _: Any) -> Any:
    return fun(x)


def _second(fun: Callable[..., Any], _: Any, x: Any) -> Any:
    return fun(x)


def given_operands(operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    """The operands, one of which may come by keyword instead."""
    if operand is _no_operand:
        return operands
    if operands:
        raise TypeError(
            "if the 'operand' keyword is passed then no positional operands can be passed, got "
            f"{operand=} and {len(operands)} positional ones.\n  {user_line()}"
        )
    return (operand,)


def predicate(pred: Any) -> Any:
    """The predicate as an int32 index, 0 or 1.

    Raises:
        TypeError: pred is not a scalar boolean or real number.
    """
    remedy = f"\n  {user_line()}\n  Reduce it to one truth value (any, all), or use select."
    if pred is None:
        raise TypeError(f"cond predicate is None.\n  {user_line()}")
    if isinstance(pred, (list, tuple)):
        kind = type(pred).__name__  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        raise TypeError(f"Pred must be a scalar, got {pred} of type {kind}.{remedy}")
    try:
        aval = aval_of(pred)
    except TypeError as error:
        raise TypeError(f"Pred type must be either boolean or number, got {pred!r}.") from error
    if aval.shape:
        raise TypeError(f"Pred must be a scalar, got {aval.long()} of shape {aval.shape}.{remedy}")
    if aval.dtype.kind != "b":
        real = any(dtypes.issubdtype(aval.dtype, k) for k in (np.integer, np.floating))
        if not real:
            raise TypeError(
                f"Pred type must be either boolean or number, got {aval.long()}.{remedy}"
            )
        pred = ne(pred, np.zeros((), aval.dtype))
    return convert_element_type(pred, np.dtype(np.int32))


def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = _no_operand,
) -> Any:
    """branches[index](*operands); an index out of range takes the nearest branch.

    Args:
        index: an integer scalar.
        branches: functions of the operands, with results of one tree, shapes and dtypes.
        operands: pytrees of arrays.
    Returns:
        The result of the chosen branch.
    Raises:
        TypeError: the index is no integer scalar, a branch is not callable, or results differ.
        ValueError: there are no branches.
    """
    branches = tuple(branches)
    if not all(callable(branch) for branch in branches):
        raise TypeError(
            f"lax.switch: branches argument should be a sequence of callables.\n  {user_line()}"
        )
    operands = given_operands(operands, operand)
    try:
        aval = aval_of(index)
    except TypeError as error:
        raise TypeError(f"Index type must be an integer, got {index!r}.") from error
    if aval.shape:
        raise TypeError(f"Branch index must be scalar, got {aval.long()}.\n  {user_line()}")
    if aval.dtype.kind not in "iu":
        raise TypeError(
            f"Index type must be an integer, got {aval.long()}.\n  {user_line()}\n"
            "  Convert it with astype; for a boolean use lax.cond."
        )
    if not branches:
        raise ValueError(f"Empty branch sequence: switch needs a branch.\n  {user_line()}")
    if len(branches) == 1:
        return branches[0](*operands)
    bounds = np.asarray(0, np.int32), np.asarray(len(branches) - 1, np.int32)
    index = clamp(bounds[0], convert_element_type(index, np.dtype(np.int32)), bounds[1])
    if config.disable_jit and not isinstance(value_of(index), Tracer):
        return branches[int(value_of(index))](*operands)
    names = [f"branch {i}" for i in range(len(branches))]
    return _apply("switch", index, names, branches, operands)


def _apply(
    what: str,
    index: Any,
    names: Sequence[str],
    branches: Sequence[Callable[..., Any]],
    operands: tuple[Any, ...],
) -> Any:
    leaves, treedef = tree.flatten(operands)
    avals = avals_of_leaves(f"the operands of {what}", operands, leaves)
    bodies: list[Body] = [trace_body(branch, treedef, avals) for branch in branches]
    check_branches(what, names, bodies)
    closed, captured = share_captured(bodies)
    arguments = [*captured, *leaves]
    # An output that every branch hands through from one operand is that operand.
    sources = [set(column) for column in zip(*[forwarded(c.jaxpr) for c in closed], strict=True)]
    passed = [next(iter(s)) if len(s) == 1 else None for s in sources]
    kept = [p is None for p in passed]
    new = tuple(reordered(c, outs=positions(kept)) for c in closed)
    outs = iter(cond_p.bind(index, *arguments, branches=new))
    whole = [next(outs) if p is None else as_array(arguments[p]) for p in passed]
    return tree.unflatten(bodies[0].out_tree, whole)
