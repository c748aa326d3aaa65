"""Sums in which one side is 0 but for a few elements: these are added to the other side.

    add(x, scatter_add(0, i, u)) = scatter_add(x, i, u)

The gradient with respect to an array of which a loop reads some elements in each turn is such a
sum: each turn adds a few, and need not go over all. Primitives state the facts used here: `sums`
says that a primitive adds cotangents, `onto(eqn)` gives the program of (x, the other operands) that
adds to x what the eqn makes of zeros, or None; `spreads` says that the elements of a result are
those of the operand.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..core.array import to_ndarray
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from .fresh import fresh

# What is few: so many elements of the result for each that is added.
_TIMES = 4


def onto_others(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with such sums done on the other side."""
    if not any(e.primitive.sums for e in jaxpr.eqns):
        return jaxpr
    reads = [a for e in jaxpr.eqns for a in e.invars] + list(jaxpr.outvars)
    uses = Counter(a for a in reads if isinstance(a, Var))
    makers = {e.outvars[0]: e for e in jaxpr.eqns if len(e.outvars) == 1}
    programs: dict[Eqn, tuple[ClosedJaxpr, list[Atom]]] = {}
    gone: set[Eqn] = set()
    for eqn in jaxpr.eqns:
        if not eqn.primitive.sums:
            continue
        x, y = eqn.invars
        for there, few in ((x, y), (y, x)):
            maker = makers.get(few) if isinstance(few, Var) and uses[few] == 1 else None
            program = None if maker is None else _program(maker, makers)
            if maker is not None and program is not None:
                programs[eqn] = program, [there, *maker.invars[1:]]
                gone.add(maker)
                break
    if not programs:
        return jaxpr
    eqns: list[Eqn] = []
    for eqn in jaxpr.eqns:
        if eqn in programs:
            eqns += _inline(*programs[eqn], eqn)
        elif eqn not in gone:
            eqns.append(eqn)
    return jaxpr.replace(eqns=eqns)


def _program(maker: Eqn, makers: dict[Var, Eqn]) -> ClosedJaxpr | None:
    """The program that adds to another array what an eqn puts into zeros."""
    rule = getattr(maker.primitive, "onto", None)
    if rule is None or not _is_zero(maker.invars[0], makers):
        return None
    if _TIMES * sum(a.aval.size for a in maker.invars[1:]) > maker.outvars[0].aval.size:
        return None
    found: ClosedJaxpr | None = rule(maker)
    return found


def _is_zero(atom: Atom, makers: dict[Var, Eqn]) -> bool:
    while isinstance(atom, Var):
        maker = makers.get(atom)
        if maker is None or not maker.primitive.spreads:
            return False
        (atom,) = maker.invars
    return atom.aval.dtype.kind != "V" and not np.any(to_ndarray(atom.val))


def _inline(program: ClosedJaxpr, args: list[Atom], eqn: Eqn) -> list[Eqn]:
    """The eqns of a program without captured values, on these operands."""
    inner = fresh(program.jaxpr)
    env: dict[Var, Atom] = dict(zip(inner.invars, args, strict=True))
    (out,) = inner.outvars
    assert isinstance(out, Var)
    last = dict.fromkeys([out], eqn.outvars[0])
    return [
        e.replace(
            invars=[a if isinstance(a, Literal) else env.get(a, a) for a in e.invars],
            outvars=[last.get(v, v) for v in e.outvars],
            source=eqn.source,
        )
        for e in inner.eqns
    ]
