"""The parts of a scan's rules: bodies regrouped, split by what is known, and turned around.

In: a scan's params and flags of its operands. Out: other bodies. The one idea: a flag of the
carry holds at every step or at none, so flags are widened until the body keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..core.evaluate import eval_closed
from ..core.primitive import add_tangents
from ..core.staging import stage
from ..ir.jaxpr import ClosedJaxpr
from ..transforms.linearize import Split, split_jaxpr
from ..transforms.transpose import transpose_jaxpr
from .tracing import drop, either, forwarded, merge, pick, positions, reordered, split_at

Flags = list[bool]


def grouped(values: Sequence[Any], params: dict[str, Any]) -> list[list[Any]]:
    """Values of operands as constants, carry and xs."""
    return split_at(values, params["num_consts"], params["num_carry"])


def fixpoint(flags: Sequence[bool], after: Callable[[Flags], Flags]) -> Flags:
    """The least flags of the carry that hold those given and those of the carry given back."""
    known = list(flags)
    while True:
        wider = either(known, after(known))
        if wider == known:
            return known
        known = wider


def interleaved_jvp(
    body: ClosedJaxpr, params: dict[str, Any], nonzero: Flags, carry_count: int
) -> ClosedJaxpr:
    """A body's jvp with each group of tangents behind its group of primals."""
    count, total = params["num_carry"], len(nonzero)
    groups = grouped(list(range(total)), params)
    tangents = iter(range(total, total + sum(nonzero)))
    ins: list[int] = []
    for group in groups:
        ins += group
        ins += [next(tangents) for i in group if nonzero[i]]
    primal_outs = len(params["jaxpr"].out_avals)
    all_outs = len(body.out_avals)
    outs = [
        *range(count),
        *range(primal_outs, primal_outs + carry_count),
        *range(count, primal_outs),
        *range(primal_outs + carry_count, all_outs),
    ]
    return reordered(body, ins, outs)


# Known and unknown.


class Parts(NamedTuple):
    """A scan whose known part has been run.

    Attributes:
        known_outs: the outputs that are known.
        operands, params: the scan of what is unknown.
        out_unknown: which outputs that scan gives.
    """

    known_outs: list[Any]
    operands: list[Any]
    params: dict[str, Any]
    out_unknown: Flags


def split_body(unknown: Flags, params: dict[str, Any]) -> tuple[Split, Flags]:
    """The body split by what is known, and the flags of all its inputs."""
    closed: ClosedJaxpr = params["jaxpr"]
    count = params["num_carry"]
    no_ys = [False] * (len(closed.out_avals) - count)
    consts_u, carry_u, xs_u = grouped(unknown, params)

    def split(carry: Flags) -> Split:
        return split_jaxpr(closed, [*consts_u, *carry, *xs_u], [*carry, *no_ys])

    carry_u = fixpoint(carry_u, lambda carry: split(carry).out_unknown[:count])
    return split(carry_u), [*consts_u, *carry_u, *xs_u]


def linear_carry(linear: Flags, params: dict[str, Any]) -> Flags:
    """Which carries are linear once those the body makes so are."""
    initial = grouped(linear, params)[1]
    return initial if all(initial) else grouped(split_body(linear, params)[1], params)[1]


def separate(
    bind: Callable[..., Any], args: Sequence[Any], unknown: Flags, params: dict[str, Any]
) -> Parts:
    """Run what is known of a scan, by `bind`, under the current trace.

    A residual that is the same at every step is computed once and becomes a constant of the
    unknown scan; one that is a row of xs is handed over as it is; the others are stacked.
    """
    split, flags = split_body(unknown, params)
    consts, init, xs = grouped(drop(args, flags), known_groups(flags, params))
    body, consts, invariant = hoist(split, consts)
    given = len(split.out_unknown) - sum(split.out_unknown)
    first_row = len(consts) + len(init)
    rows = [
        None if at is None or at < first_row else xs[at - first_row]
        for at in forwarded(body.jaxpr)[given:]
    ]
    body = reordered(
        body, outs=[*range(given), *[given + i for i, r in enumerate(rows) if r is None]]
    )
    outs: list[Any] = []
    if body.jaxpr.outvars or body.effects:
        new = {**params, "jaxpr": body, "num_consts": len(consts), "num_carry": len(init)}
        outs = bind(*consts, *init, *xs, **new)
    made = iter(outs[given:])
    stacked = [next(made) if r is None else r for r in rows]
    fixed = [value is not None for value in invariant]
    parts_u = grouped(pick(args, flags), known_groups([not f for f in flags], params))
    residuals = len(fixed)
    order = [
        *positions(fixed),
        *range(residuals, residuals + len(parts_u[0]) + len(parts_u[1]) + len(parts_u[2])),
        *positions([not f for f in fixed]),
    ]
    unknown_params = {
        **params,
        "jaxpr": reordered(split.unknown, order),
        "num_consts": sum(fixed) + len(parts_u[0]),
        "num_carry": len(parts_u[1]),
    }
    operands = [*pick(invariant, fixed), *[x for part in parts_u for x in part], *stacked]
    return Parts(outs[:given], operands, unknown_params, split.out_unknown)


def known_groups(flags: Flags, params: dict[str, Any]) -> dict[str, Any]:
    """The sizes of the groups of the operands whose flag does not hold."""
    consts, carry, _ = grouped(flags, params)
    return {
        "num_consts": len(consts) - sum(consts),
        "num_carry": len(carry) - sum(carry),
    }


def hoist(split: Split, consts: list[Any]) -> tuple[ClosedJaxpr, list[Any], list[Any]]:
    """The known body with what depends on constants alone computed before the loop.

    Returns:
        The body, its constants, and for each residual its value if it is the same at every step,
        else `None`. The body gives the residuals that are not.
    """
    known = split.known
    count = split.residual_count
    if not count or known.effects:
        return known, consts, [None] * count
    outs = len(known.out_avals) - count
    flags = [i >= len(consts) for i in range(len(known.in_avals))]
    again = split_jaxpr(known, flags, [*[True] * outs, *[False] * count])
    computed = eval_closed(again.known, *consts)
    varies = again.out_unknown[outs:]
    fixed_count = count - sum(varies)
    invariant = merge(varies, [None] * sum(varies), computed[:fixed_count])
    return again.unknown, computed[fixed_count:], invariant


# Transposition.


def transposed_body(params: dict[str, Any], linear: Flags, ys_nonzero: Flags) -> ClosedJaxpr:
    """One step backwards: cotangents of the carry and a row of ys to those before the step.

    Takes (values of constants, sums, ct_carry, ct_ys, rows); cotangents of linear constants are
    added to the sums.
    """
    closed: ClosedJaxpr = params["jaxpr"]
    count = params["num_carry"]
    body, _ = transpose_jaxpr(closed, linear, [*[True] * count, *ys_nonzero], True)
    consts_l, _, xs_l = grouped(linear, params)
    const_avals, _, x_avals = grouped(closed.in_avals, params)
    value_avals = drop(const_avals, consts_l)
    sum_avals = [a.to_tangent() for a in pick(const_avals, consts_l)]
    carry_avals = [a.to_tangent() for a in closed.out_avals[:count]]
    y_avals = [a.to_tangent() for a in pick(closed.out_avals[count:], ys_nonzero)]

    def run(*operands: Any) -> list[Any]:
        values, sums, cts, rows = split_at(
            operands, len(value_avals), len(sum_avals), count + len(y_avals)
        )
        outs = eval_closed(body, *values, *rows, *cts)
        added = [add_tangents(s, c) for s, c in zip(sums, outs[: len(sums)], strict=True)]
        return [*added, *outs[len(sums) :]]

    avals = [*value_avals, *sum_avals, *carry_avals, *y_avals, *drop(x_avals, xs_l)]
    return stage(run, avals, closed.jaxpr.debug_name)
