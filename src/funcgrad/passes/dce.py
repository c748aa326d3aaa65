"""Dead code elimination: drop the eqns nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.jaxpr import Eqn, Jaxpr, Var


def dce(
    jaxpr: Jaxpr, used_outputs: Sequence[bool] | None = None, keep_inputs: bool = True
) -> tuple[Jaxpr, list[bool]]:
    """The jaxpr without eqns whose results are unused, and which inputs it uses.

    Args:
        used_outputs: which outputs are wanted; the others are dropped.
        keep_inputs: leave unused invars in place.
    """
    outs = jaxpr.outvars
    if used_outputs is not None:
        outs = [v for v, used in zip(outs, used_outputs, strict=True) if used]
    live: set[Var] = {v for v in outs if type(v) is Var}
    kept: list[Eqn] = []
    for eqn in reversed(jaxpr.eqns):
        if not eqn.effects and not any(v in live for v in eqn.outvars):
            continue
        rule = getattr(eqn.primitive, "dce", None)
        if rule is not None:
            eqn = rule(eqn, [v in live for v in eqn.outvars])
            if eqn is None:
                continue
        kept.append(eqn)
        live.update(a for a in eqn.invars if type(a) is Var)
    used = [v in live for v in jaxpr.invars]
    invars = jaxpr.invars
    if not keep_inputs:
        invars = [v for v, u in zip(invars, used, strict=True) if u]
    result = jaxpr.replace(invars=invars, outvars=outs, eqns=kept[::-1], effects=None)
    return result, used


def dce_with_consts(jaxpr: Jaxpr, consts: Sequence[Any]) -> tuple[Jaxpr, list[Any]]:
    """The jaxpr without dead eqns and without constvars it does not use."""
    smaller, _ = dce(jaxpr)
    live: set[Any] = {v for v in smaller.outvars if type(v) is Var}
    for eqn in smaller.eqns:
        live.update(a for a in eqn.invars if type(a) is Var)
    pairs = [(v, c) for v, c in zip(jaxpr.constvars, consts, strict=True) if v in live]
    return smaller.replace(constvars=[v for v, _ in pairs]), [c for _, c in pairs]
