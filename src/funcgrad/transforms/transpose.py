"""Transposition: walk a linear jaxpr backwards, from output to input cotangents.

Eqns that depend on no linear input are evaluated forward first; for every other, in reverse
order, its primitive's `transpose` rule gives cotangents of its linear operands, which are added.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from ..core.context import context
from ..core.primitive import add_tangents
from ..core.staging import stage
from ..core.zeros import UndefinedPrimal, Zero, instantiate
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Var, is_literal


def backward_pass(
    jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], cts: Sequence[Any]
) -> list[Any]:
    """Cotangents of the linear arguments.

    Args:
        args: a value for each invar; `UndefinedPrimal` marks those the jaxpr is linear in.
        cts: cotangents of the outputs, or symbolic zeros.
    Returns:
        A cotangent or symbolic zero for each argument; `None` for those that are values.
    """
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    linear: set[Var] = set()
    for var, arg in zip(jaxpr.invars, args, strict=True):
        if isinstance(arg, UndefinedPrimal):
            linear.add(var)
        else:
            env[var] = arg
    previous = context.source
    try:
        todo = _forward(jaxpr, env, linear)
        return _backward(jaxpr, todo, env, linear, cts)
    finally:
        context.source = previous


def _forward(jaxpr: Jaxpr, env: dict[Var, Any], linear: set[Var]) -> list[Eqn]:
    todo: list[Eqn] = []
    for eqn in jaxpr.eqns:
        if any(type(a) is Var and a in linear for a in eqn.invars):
            linear.update(eqn.outvars)
            todo.append(eqn)
            continue
        values = [a.val if is_literal(a) else env[a] for a in eqn.invars]
        context.source = eqn.source
        out = eqn.primitive.bind_eqn(values, eqn.params)
        outs = out if eqn.primitive.multiple_results else [out]
        env.update(zip(eqn.outvars, outs, strict=True))
    return todo


def _backward(
    jaxpr: Jaxpr,
    todo: Sequence[Eqn],
    env: dict[Var, Any],
    linear: set[Var],
    cts: Sequence[Any],
) -> list[Any]:
    ct_env: dict[Var, Any] = {}

    def add(atom: Atom, ct: Any) -> None:
        if ct is None or isinstance(ct, Zero) or type(atom) is not Var or atom not in linear:
            return
        found = ct_env.get(atom)
        ct_env[atom] = ct if found is None else add_tangents(found, ct)

    for atom, ct in zip(jaxpr.outvars, cts, strict=True):
        add(atom, ct)
    for eqn in reversed(todo):
        found = [ct_env.pop(v, None) for v in eqn.outvars]
        if all(ct is None for ct in found):
            continue
        outs = [
            Zero(v.aval) if ct is None else ct for v, ct in zip(eqn.outvars, found, strict=True)
        ]
        operands = [
            a.val if is_literal(a) else UndefinedPrimal(a.aval) if a in linear else env[a]
            for a in eqn.invars
        ]
        context.source = eqn.source
        given = outs if eqn.primitive.multiple_results else outs[0]
        results = eqn.primitive.transpose(given, *operands, **eqn.params)
        for atom, ct in zip(eqn.invars, results, strict=True):
            add(atom, ct)
    return [ct_env.get(v, Zero(v.aval)) if v in linear else None for v in jaxpr.invars]


_transpose_cache: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def transpose_jaxpr(
    closed: ClosedJaxpr,
    linear: Sequence[bool],
    ct_nonzero: Sequence[bool],
    instantiate_outs: bool = False,
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr of the transpose: takes the values, then nonzero cotangents of the outputs.

    Args:
        linear: which inputs the jaxpr is linear in.
        ct_nonzero: which outputs have a cotangent.
        instantiate_outs: give arrays of zeros rather than leave zero cotangents out.
    Returns:
        A jaxpr that gives the nonzero cotangents of the linear inputs, and which those are.
    """
    key = (tuple(linear), tuple(ct_nonzero), instantiate_outs)
    known = _transpose_cache.setdefault(closed, {})
    if key not in known:
        known[key] = _transpose_jaxpr(closed, *key)
    return known[key]


def _transpose_jaxpr(
    closed: ClosedJaxpr, linear: Sequence[bool], ct_nonzero: Sequence[bool], instantiate_outs: bool
) -> tuple[ClosedJaxpr, list[bool]]:
    avals, out_avals = closed.in_avals, closed.out_avals
    value_count = len(avals) - sum(linear)
    nonzero: list[bool] = []

    def run(*values: Any) -> list[Any]:
        given, cts_given = iter(values[:value_count]), iter(values[value_count:])
        args = [
            UndefinedPrimal(a) if is_linear else next(given)
            for a, is_linear in zip(avals, linear, strict=True)
        ]
        cts = [
            next(cts_given) if nz else Zero(a.to_tangent())
            for a, nz in zip(out_avals, ct_nonzero, strict=True)
        ]
        results = backward_pass(closed.jaxpr, closed.consts, args, cts)
        wanted = [ct for ct, is_linear in zip(results, linear, strict=True) if is_linear]
        if instantiate_outs:
            wanted = [instantiate(ct) for ct in wanted]
        nonzero[:] = [not isinstance(ct, Zero) for ct in wanted]
        return [ct for ct in wanted if not isinstance(ct, Zero)]

    value_avals = [a for a, is_linear in zip(avals, linear, strict=True) if not is_linear]
    ct_avals = [a.to_tangent() for a, nz in zip(out_avals, ct_nonzero, strict=True) if nz]
    return stage(run, [*value_avals, *ct_avals], closed.jaxpr.debug_name), list(nonzero)
