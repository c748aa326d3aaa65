"""Evaluating a jaxpr: under the current trace, or straight on NumPy arrays.

`eval_jaxpr` binds every eqn, so any transform can be applied to it. `run_numpy` calls the NumPy
rules in order, on plain arrays.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal
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


ndarray = np.ndarray
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


def make_runner(jaxpr: Jaxpr, rule_of: Callable[[Eqn], Any] = Eqn.rule) -> Runner:
    """A function of constants and arguments that runs the eqns in order.

    Values live in numbered slots; a slot is let go after its last use, so that memory is freed
    as the program proceeds.

    Args:
        rule_of: the rule of an eqn on NumPy arrays.
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
    ends = [([slot(a) for a in e.invars], [slot(v) for v in e.outvars]) for e in jaxpr.eqns]
    outputs = [slot(a) for a in jaxpr.outvars]
    literals = {i for i, value in enumerate(initial) if value is not None}
    dying = last_uses(ends, {*outputs, *literals})
    steps = [
        (*_step(eqn, rule_of(eqn), read, write), write, dead)
        for eqn, (read, write), dead in zip(jaxpr.eqns, ends, dying, strict=True)
    ]
    in_order = inputs == list(range(len(inputs)))
    rest = initial[len(inputs) :]

    def run(args: Sequence[Any]) -> list[Any]:
        if in_order:
            env = [*args, *rest]
        else:
            env = initial.copy()
            for i, value in zip(inputs, args, strict=True):
                env[i] = value
        for rule, one, read, sole, write, dead in steps:
            result = rule(env[one]) if read is None else rule(*read(env))
            if sole >= 0:
                env[sole] = result if type(result) is ndarray else np.asarray(result)
            else:
                for i, value in zip(write, result, strict=True):
                    env[i] = value if type(value) is ndarray else np.asarray(value)
            for i in dead:
                env[i] = None
        return [env[i] for i in outputs]

    return run


def _step(
    eqn: Eqn, rule: Callable[..., Any], read: list[int], write: list[int]
) -> tuple[Callable[..., Any], int, Any, int]:
    """A step: its rule, the slot of its one operand or a reader of all, the slot of its one result.

    One operand or result has no sequence around it, for steps on small arrays take hardly longer
    than building that.
    """
    whole = partial(rule, **eqn.params) if eqn.params else rule
    sole = -1 if eqn.primitive.multiple_results else write[0]
    if len(read) == 1:
        return whole, read[0], None, sole
    return whole, -1, itemgetter(*read) if read else _no_operands, sole


def _no_operands(_: Sequence[Any]) -> tuple[Any, ...]:
    return ()


def last_uses(steps: Sequence[tuple[list[int], list[int]]], kept: set[int]) -> list[list[int]]:
    """For each step, the slots nobody reads after it."""
    seen = set(kept)
    dying: list[list[int]] = []
    for read, write in reversed(steps):
        dead = [i for i in dict.fromkeys([*read, *write]) if i not in seen]
        seen.update(dead)
        dying.append(dead)
    return dying[::-1]
