"""Counters of loops as rows of a table.

In: a scan as a step, what is read of it. Out: the same scan, which reads in each turn the number
that it would have carried. The one idea: what starts as a number and grows by a number is known
before the loop runs, so on a GPU no launch of a turn has to make the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from ..ir.loops import Apply, Const, Expr, IndexTuple, Load, Map, Operand, Region
from ..ir.nests import Buffer
from .items import Step

Table = np.ndarray[Any, Any]


def counted(step: Step, wanted: Set[Buffer], place: Callable[[Table], Buffer]) -> Step:
    """The step, without the counters that a scan carries.

    Args:
        wanted: what is read of its outputs.
        place: gives a table memory.
    """
    what = step.what
    if not isinstance(what, Region) or what.kind != "scan" or not what.parts["length"]:
        return step
    parts: dict[str, Any] = what.parts
    closed: ClosedJaxpr = parts["jaxpr"]
    first: int = parts["num_consts"]
    tables: dict[int, Table] = {}
    for k in range(parts["num_carry"]):
        start = step.eqn.invars[first + k]
        grows = _growth(closed.jaxpr, first + k, k)
        if grows is not None and isinstance(start, Literal) and step.outputs[k] not in wanted:
            dtype = start.aval.dtype
            turns: Table = np.arange(parts["length"], dtype=np.int64)
            begin = np.asarray(to_ndarray(start.val), dtype)
            rows: Table = turns.astype(dtype) * np.asarray(grows, dtype) + begin
            tables[k] = np.ascontiguousarray(rows[::-1]) if parts["reverse"] else rows
    if not tables:
        return step
    jaxpr, moved = closed.jaxpr, [first + k for k in tables]
    invars = [v for n, v in enumerate(jaxpr.invars) if n not in moved]
    body = jaxpr.replace(
        invars=[*invars, *(jaxpr.invars[n] for n in moved)],
        outvars=[v for k, v in enumerate(jaxpr.outvars) if k not in tables],
    )
    changed = {
        **parts,
        "jaxpr": ClosedJaxpr(body, closed.consts),
        "num_carry": parts["num_carry"] - len(tables),
    }
    inputs = [b for n, b in enumerate(step.inputs) if n not in moved]
    return replace(
        step,
        what=Region("scan", changed),
        inputs=[*inputs, *map(place, tables.values())],
        outputs=[b for k, b in enumerate(step.outputs) if k not in tables],
    )


def _growth(jaxpr: Jaxpr, at: int, k: int) -> int | None:
    """By how much a turn makes a carried integer greater, if that is a number."""
    var, out = jaxpr.invars[at], jaxpr.outvars[k]
    if var.aval.shape or var.aval.dtype.kind not in "iu":
        return None
    if out is var:
        return 0
    maker = next((e for e in jaxpr.eqns if e.outvars == [out]), None)
    if maker is None or maker.effects or not all(_is_number(a, var) for a in maker.invars):
        return None
    value = _value(maker, var)
    if not isinstance(value, Apply) or value.op != "add" or value.dtype != var.aval.dtype:
        return None
    numbers = [x for x in value.args if isinstance(x, Const)]
    loads = [x for x in value.args if isinstance(x, Load)]
    return int(numbers[0].value) if len(numbers) == len(loads) == 1 else None


def _is_number(atom: Any, var: Var) -> bool:
    return atom is var or (isinstance(atom, Literal) and not atom.aval.shape)


def _value(eqn: Eqn, var: Var) -> Expr | None:
    """What an eqn of a variable and numbers computes."""

    def operand(atom: Any) -> Operand:
        dtype = atom.aval.dtype

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            if atom is var:
                return Load(var, index, dtype, guard)
            return Const(np.asarray(to_ndarray(atom.val), dtype)[()], dtype)

        return Operand((), dtype, read)

    avals = [v.aval for v in eqn.outvars]
    rule: Any = eqn.primitive.lower([operand(a) for a in eqn.invars], avals, **eqn.params)
    return rule.at(()) if isinstance(rule, Map) else None
