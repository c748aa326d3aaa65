"""Copies of jaxprs with variables of their own, so that one can stand twice in a program."""

from __future__ import annotations

from ..ir.jaxpr import Atom, Jaxpr, Literal, Var


def fresh(jaxpr: Jaxpr) -> Jaxpr:
    """The jaxpr with variables of its own, so that it can stand twice in one program."""
    new: dict[Var, Var] = {}

    def var(v: Var) -> Var:
        if v not in new:
            new[v] = Var(v.aval)
        return new[v]

    def atom(a: Atom) -> Atom:
        return a if isinstance(a, Literal) else var(a)

    eqns = [
        e.replace(invars=[atom(a) for a in e.invars], outvars=[var(v) for v in e.outvars])
        for e in jaxpr.eqns
    ]
    return jaxpr.replace(
        constvars=[var(v) for v in jaxpr.constvars],
        invars=[var(v) for v in jaxpr.invars],
        outvars=[atom(a) for a in jaxpr.outvars],
        eqns=eqns,
    )
