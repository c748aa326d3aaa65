"""Operands that nobody reads after the eqn that changes a few of their elements.

In: the definitions of a jaxpr. Out: for the value of such an eqn the operand whose memory it may
take. The one idea: an update of few elements is no work for the others only if these stay where
they are; so it is written as a scatter, and who reads the old value does so before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ir.jaxpr import Eqn, Literal, Var
from ..ir.loops import Axis, Load, Map, Scatter, View, axis_index, flat_index
from ..ir.nests import offset_of
from .products import Products

if TYPE_CHECKING:
    from .lowering import Definitions

# Of smaller arrays a copy takes no time; and so many elements have to stay for each that is new.
_LEAST, _TIMES = 64, 8
# On a GPU a launch takes as long as a copy of so many, and an update by itself is a launch.
_LAUNCHED = 1 << 14
# Loops in registers go over all elements in vectors, in every turn.
_LARGE, _RARE = 1024, 32


def takers(values: Definitions, kept: int) -> dict[Var, Var]:
    """The values that may take over the memory of another one.

    Args:
        kept: how many of the jaxpr's first inputs are the same in all turns of a loop.
    """
    jaxpr = values.jaxpr
    found: dict[Var, Var] = {}
    candidates = [eqn for eqn in jaxpr.eqns if updates(values, eqn) is not None]
    branches = [eqn for eqn in jaxpr.eqns if id(eqn) in values.updating]
    if not candidates and not branches:
        return found
    outside = {*jaxpr.constvars, *jaxpr.invars[:kept]}
    outside |= {_root(values, a) for a in jaxpr.outvars if not isinstance(a, Literal)}
    eqns = list(jaxpr.eqns)
    for eqn in candidates:
        rule, (var,) = updates(values, eqn), eqn.outvars
        assert rule is not None
        source = _operand(values, var, rule)
        if source is None or source in outside or var.aval.size < _LEAST:
            continue
        if isinstance(values.rules[var], Map):
            if isinstance(values.rules.get(source), Map) and source not in found:
                # The two are computed together, element by element.
                continue
            least = 0 if values.in_order else _LAUNCHED
            if var.aval.size < max(_TIMES * np.prod(rule.extents, dtype=np.int64), least):
                continue
        if _comes_last(values, eqns, eqn, source):
            values.rules[var] = rule
            found[var] = source
    for eqn in branches:
        free = [a for a in eqn.invars if not isinstance(a, Literal)]
        for var in eqn.outvars:
            kind = var.aval.size, var.aval.dtype
            alike = [a for a in free if (a.aval.size, a.aval.dtype) == kind]
            if var.aval.size < _LEAST or not alike:
                continue
            free.remove(alike[0])
            source = _root(values, alike[0])
            if source not in outside and _comes_last(values, eqns, eqn, source):
                found[var] = source
    values.jaxpr = jaxpr.replace(eqns=eqns)
    return found


def _comes_last(values: Definitions, eqns: list[Eqn], eqn: Eqn, source: Var) -> bool:
    """Bring an eqn behind all others that read its operand, if nobody waits for its result."""
    at, made = eqns.index(eqn), {*eqn.outvars}
    for n in range(at + 1, len(eqns)):
        read = _read(values, eqns[n])
        if not made.isdisjoint(read):
            # From here on nobody may read the old value.
            rest = [a for e in eqns[n:] for a in _read(values, e)]
            if any(_root(values, a) is source for a in rest):
                return False
            eqns.insert(n - 1, eqns.pop(at))
            return True
    eqns.append(eqns.pop(at))
    return True


def _read(values: Definitions, eqn: Eqn) -> list[Var]:
    """What an eqn reads: its operands, and what products read in their place."""
    rule = values.rules.get(eqn.outvars[0]) if eqn.outvars else None
    more = rule.sources if isinstance(rule, Products) else []
    return [a for a in (*eqn.invars, *more) if not isinstance(a, Literal)]


def updates(values: Definitions, eqn: Eqn) -> Scatter | None:
    """What an eqn is as a scatter, if it changes elements of an operand."""
    if len(eqn.outvars) != 1 or eqn.outvars[0].aval.dtype.kind == "c":
        return None
    rule = values.rules[eqn.outvars[0]]
    if isinstance(rule, Map):
        return rule.instead
    return rule if isinstance(rule, Scatter) else None


def rarely(values: Definitions, eqn: Eqn, carried: set[Var]) -> bool:
    """Whether an eqn changes few of many elements of what a loop carries."""
    rule = updates(values, eqn)
    if rule is None:
        return False
    size = eqn.outvars[0].aval.size
    few = size >= max(_LARGE, _RARE * int(np.prod(rule.extents, dtype=np.int64)))
    return few and any(
        a in carried and a.aval.shape == eqn.outvars[0].aval.shape
        for a in eqn.invars
        if not isinstance(a, Literal)
    )


def _root(values: Definitions, var: Var) -> Var:
    """What a value is a view of."""
    while isinstance(rule := values.rules.get(var), View):
        source = values.made_by[var].invars[rule.operand]
        if isinstance(source, Literal):
            break
        var = source
    return var


def _operand(values: Definitions, var: Var, rule: Scatter) -> Var | None:
    """The value that a scatter starts as, element by element where it lies."""
    index = tuple(axis_index(Axis(n)) for n in var.aval.shape)
    base = rule.base(index)
    if not isinstance(base, Load) or base.guard is not None or base.dtype != var.aval.dtype:
        return None
    source = values.owner.get(base.source)
    if source is None or base.source.size != var.aval.size:
        return None
    same = offset_of(base.source, base.index).same(flat_index(index, var.aval.shape))
    return _root(values, source) if same else None
