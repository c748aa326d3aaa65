"""Chains of products in the order that costs least.

In: a jaxpr. Out: one in which a product that only another product reads is computed in another
order where that saves work. A primitive states the fact used here: `associated(first, eqn, at)`
gives the eqns in the place of both, or None, where `first` makes the operand of `eqn` there.
"""

from __future__ import annotations

from collections import Counter

from ..ir.jaxpr import Eqn, Jaxpr, Var


def associated(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with chains of products in a cheaper order."""
    if sum(hasattr(e.primitive, "associated") for e in jaxpr.eqns) < 2:
        return jaxpr
    reads = [a for e in jaxpr.eqns for a in e.invars] + list(jaxpr.outvars)
    uses = Counter(a for a in reads if isinstance(a, Var))
    # Eqns by their results: those that were replaced are not there any more.
    made: dict[Var, Eqn] = {}
    eqns: dict[Eqn, None] = {}
    rest = [*reversed(jaxpr.eqns)]
    while rest:
        eqn = rest.pop()
        found = _other_order(eqn, made, uses)
        if found is None:
            eqns[eqn] = None
            made.update(dict.fromkeys(eqn.outvars, eqn))
            continue
        first, instead = found
        del eqns[first], made[first.outvars[0]]
        for new in instead:
            uses.setdefault(new.outvars[0], 1)
        rest += reversed(instead)
    return jaxpr.replace(eqns=list(eqns))


def _other_order(
    eqn: Eqn, made: dict[Var, Eqn], uses: Counter[Var]
) -> tuple[Eqn, list[Eqn]] | None:
    """The eqn that makes an operand, and what takes the place of both."""
    if not hasattr(eqn.primitive, "associated"):
        return None
    for at, atom in enumerate(eqn.invars):
        first = made.get(atom) if isinstance(atom, Var) and uses[atom] == 1 else None
        if first is not None and first.primitive is eqn.primitive:
            instead: list[Eqn] | None = eqn.primitive.associated(first, eqn, at)  # pyright: ignore[reportAttributeAccessIssue]
            if instead is not None:
                return first, instead
    return None
