"""Products of matrices whose result is only ever read transposed give it so at once.

    transpose(dot_general(a, b)) = dot_general(b, a)    where the free axes change places
    transpose(f(p, q)) = f(transpose(p), transpose(q))  of a function f of single elements

The gradient of a weight is such a transpose, and its tangent one of a sum of two products: what
follows it then reads memory in order. Primitives state the facts used here: `turned(eqn,
permutation)` gives the eqn whose result is so permuted, or None; `pointwise` says that an element
of the result depends on the same elements of the operands alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..ir.jaxpr import Eqn, Jaxpr, Literal, Var


def without_transposes(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with transposes of products, and of functions of products, left out."""
    transposes = [e for e in jaxpr.eqns if e.primitive.name == "transpose"]
    if not transposes:
        return jaxpr
    reads = [a for e in jaxpr.eqns for a in e.invars] + list(jaxpr.outvars)
    uses = Counter(a for a in reads if isinstance(a, Var))
    makers = {e.outvars[0]: e for e in jaxpr.eqns if len(e.outvars) == 1}
    once = {var: maker for var, maker in makers.items() if uses[var] == 1}
    replaced: dict[Eqn, Eqn | None] = {}
    for eqn in transposes:
        (operand,) = eqn.invars
        if isinstance(operand, Literal):
            continue
        turned = _turned(operand, eqn.params["permutation"], once)
        if turned is not None:
            last = turned[once[operand]].replace(outvars=eqn.outvars)
            replaced |= {**turned, once[operand]: None, eqn: last}
    if not replaced:
        return jaxpr
    eqns = [replaced.get(e, e) for e in jaxpr.eqns]
    return jaxpr.replace(eqns=[e for e in eqns if e is not None])


def _turned(
    root: Var, permutation: Sequence[int], makers: Mapping[Var, Eqn]
) -> dict[Eqn, Eqn] | None:
    """What takes the place of the eqns behind a variable for it to be permuted.

    Args:
        makers: the eqns of the variables that are read once.
    Returns:
        None where it is not a function of products alone.
    """
    shape = root.aval.shape
    permuted = tuple(shape[axis] for axis in permutation)
    made: dict[Eqn, Eqn] = {}
    fresh: dict[Var, Var] = {}
    rest = [root]
    while rest:
        var = rest.pop()
        maker = makers.get(var)
        if maker is None or var.aval.shape != shape:
            return None
        if maker.primitive.pointwise:
            turned = maker
            rest += [a for a in maker.invars if isinstance(a, Var) and a.aval.shape]
        elif hasattr(maker.primitive, "turned"):
            turned = maker.primitive.turned(maker, permutation)
        else:
            return None
        if turned is None:
            return None
        made[maker] = turned
        fresh[var] = Var(var.aval.update(shape=permuted))
    return {
        old: new.replace(
            invars=[fresh.get(a, a) if isinstance(a, Var) else a for a in new.invars],
            outvars=[fresh[old.outvars[0]]],
        )
        for old, new in made.items()
    }
