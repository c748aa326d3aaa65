"""Products of matrices whose result is only ever read transposed give it so at once.

    transpose(dot_general(a, b)) = dot_general(b, a)    where the free axes change places

The gradient of a weight is such a transpose: what follows it then reads memory in order. A
primitive states the fact used here: `turned(eqn, permutation)` gives the eqn whose result is so
permuted, or None.
"""

from __future__ import annotations

from collections import Counter

from ..ir.jaxpr import Eqn, Jaxpr, Literal, Var


def without_transposes(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with such pairs made one eqn."""
    transposes = [e for e in jaxpr.eqns if e.primitive.name == "transpose"]
    if not transposes:
        return jaxpr
    reads = [a for e in jaxpr.eqns for a in e.invars] + list(jaxpr.outvars)
    uses = Counter(a for a in reads if isinstance(a, Var))
    makers = {e.outvars[0]: e for e in jaxpr.eqns if hasattr(e.primitive, "turned")}
    replaced: dict[Eqn, Eqn | None] = {}
    for eqn in transposes:
        (operand,) = eqn.invars
        if isinstance(operand, Literal) or uses[operand] != 1 or operand not in makers:
            continue
        product = makers[operand]
        turned = product.primitive.turned(product, eqn.params["permutation"])
        if turned is not None:
            replaced[product] = None
            replaced[eqn] = turned.replace(outvars=eqn.outvars)
    if not replaced:
        return jaxpr
    eqns = [replaced.get(e, e) for e in jaxpr.eqns]
    return jaxpr.replace(eqns=[e for e in eqns if e is not None])
