"""Evaluating a jaxpr: under the current trace, or straight on NumPy arrays.

`eval_jaxpr` binds every eqn, so any transform can be applied to it. `run_numpy` calls the NumPy
rules in order, on plain arrays.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.jaxpr import Atom, ClosedJaxpr, Jaxpr, Literal
from .array import to_ndarray
from .context import context


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any) -> list[Any]:
    """The outputs of the jaxpr, every eqn bound under the current trace."""
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    previous = context.source
    try:
        for eqn in jaxpr.eqns:
            values = [a.val if type(a) is Literal else env[a] for a in eqn.invars]
            context.source = eqn.source or previous
            out = eqn.primitive.bind_eqn(values, eqn.params)
            if eqn.primitive.multiple_results:
                env.update(zip(eqn.outvars, out, strict=True))
            else:
                env[eqn.outvars[0]] = out
    finally:
        context.source = previous
    return [a.val if type(a) is Literal else env[a] for a in jaxpr.outvars]


def eval_closed(closed: ClosedJaxpr, *args: Any) -> list[Any]:
    """The outputs of a closed jaxpr under the current trace."""
    return eval_jaxpr(closed.jaxpr, closed.consts, *args)


Runner = Callable[[Sequence[np.ndarray[Any, Any]]], list[np.ndarray[Any, Any]]]
_runners: weakref.WeakKeyDictionary[Jaxpr, Runner] = weakref.WeakKeyDictionary()


def run_numpy(closed: ClosedJaxpr, args: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The outputs of a closed jaxpr on NumPy arrays, by the primitives' NumPy rules."""
    runner = _runners.get(closed.jaxpr)
    if runner is None:
        runner = _runners[closed.jaxpr] = make_runner(closed.jaxpr)
    consts = [to_ndarray(c) for c in closed.consts]
    with np.errstate(all="ignore"):
        return runner([*consts, *args])


def make_runner(jaxpr: Jaxpr) -> Runner:
    """A function of constants and arguments that runs the eqns in order.

    Values live in numbered slots; a slot is let go after its last use, so that memory is freed
    as the program proceeds.
    """
    slots: dict[Any, int] = {}
    initial: list[Any] = []

    def slot(atom: Atom) -> int:
        key = id(atom) if type(atom) is Literal else atom
        if key not in slots:
            slots[key] = len(initial)
            is_literal = type(atom) is Literal
            initial.append(
                np.asarray(to_ndarray(atom.val), atom.aval.dtype) if is_literal else None
            )
        return slots[key]

    inputs = [slot(v) for v in [*jaxpr.constvars, *jaxpr.invars]]
    steps: list[tuple[Any, list[int], list[int], dict[str, Any], bool]] = []
    for eqn in jaxpr.eqns:
        read = [slot(a) for a in eqn.invars]
        write = [slot(v) for v in eqn.outvars]
        prim = eqn.primitive
        rule = eqn.rule()
        steps.append((rule, read, write, eqn.params, prim.multiple_results))
    outputs = [slot(a) for a in jaxpr.outvars]
    literals = {i for i, value in enumerate(initial) if value is not None}
    dying = last_uses([(read, write) for _, read, write, *_ in steps], {*outputs, *literals})

    def run(args: Sequence[Any]) -> list[Any]:
        env = initial.copy()
        for i, value in zip(inputs, args, strict=True):
            env[i] = value
        for (rule, read, write, params, multiple), dead in zip(steps, dying, strict=True):
            result = rule(*[env[i] for i in read], **params)
            results = result if multiple else (result,)
            for i, value in zip(write, results, strict=True):
                env[i] = value if type(value) is np.ndarray else np.asarray(value)
            for i in dead:
                env[i] = None
        return [env[i] for i in outputs]

    return run


def last_uses(steps: Sequence[tuple[list[int], list[int]]], kept: set[int]) -> list[list[int]]:
    """For each step, the slots nobody reads after it."""
    seen = set(kept)
    dying: list[list[int]] = []
    for read, write in reversed(steps):
        dead = [i for i in dict.fromkeys([*read, *write]) if i not in seen]
        seen.update(dead)
        dying.append(dead)
    return dying[::-1]
