"""Checking a jaxpr: every variable is bound once before it is read, and every eqn's types agree.

Run after each stage in tests; a failure names the eqn and the rule it breaks.
"""

from __future__ import annotations

from .avals import ShapedArray
from .jaxpr import Atom, Jaxpr, Literal, Var, subjaxprs


class JaxprTypeError(TypeError):
    """A jaxpr breaks its own rules: a bug in a transform or a rule, not in user code."""


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Check a jaxpr and those inside it.

    Raises:
        JaxprTypeError: a variable is unbound or bound twice, or an eqn's outputs have other avals
            than its primitive infers.
    """
    bound: set[Var] = set()

    def bind(var: Var, where: object) -> None:
        if var in bound:
            raise JaxprTypeError(f"variable {var} is bound twice, again by: {where}")
        bound.add(var)

    def read(atom: Atom, where: object) -> ShapedArray:
        if not isinstance(atom, Literal) and atom not in bound:
            raise JaxprTypeError(f"variable {atom} is read before it is bound, by: {where}")
        return atom.aval

    for var in [*jaxpr.constvars, *jaxpr.invars]:
        bind(var, "the jaxpr's inputs")
    for eqn in jaxpr.eqns:
        avals = tuple(read(atom, eqn) for atom in eqn.invars)
        inferred, effects = eqn.primitive.infer(avals, eqn.params)
        if len(inferred) != len(eqn.outvars):
            raise JaxprTypeError(
                f"{len(eqn.outvars)} outputs are bound but {len(inferred)} are made, by: {eqn}"
            )
        for var, aval in zip(eqn.outvars, inferred, strict=True):
            if (var.aval.shape, var.aval.dtype) != (aval.shape, aval.dtype):
                raise JaxprTypeError(f"{var} is bound to {aval.short()} by: {eqn}")
            bind(var, eqn)
        if not effects <= jaxpr.effects:
            raise JaxprTypeError(f"effects {set(effects)} are missing from the jaxpr of: {eqn}")
        for inner in subjaxprs(eqn.params):
            check_jaxpr(inner)
    for atom in jaxpr.outvars:
        read(atom, "the jaxpr's outputs")
