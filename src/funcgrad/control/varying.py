"""Over which axes of a mesh the results of a body may differ from device to device.

In: a jaxpr and the axes that its inputs vary over. Out: those of its outputs. The one idea: what an
eqn gives varies as its operands do, but for collectives that give all ranks the same, and for the
position of a rank; loops go on until nothing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal
from .exchanges import Fold, axis_index_p, pvary_p
from .tracing import split_at

Axes = frozenset[Any]
_none: Axes = frozenset()


def varying(closed: ClosedJaxpr, ins: Sequence[Axes]) -> list[Axes]:
    """The axes that the outputs of a simplified jaxpr may vary over."""
    return _of(closed.jaxpr, [*[_none] * len(closed.consts), *ins])


def own(jaxpr: Jaxpr, names: Axes) -> Jaxpr:
    """A jaxpr without `pvary` over some axes: each value is taken as the rank's own.

    Derivatives inside of a body have been taken when it is traced. Those of the whole are taken
    rank by rank, where a copy of what all have alike is one more value of each.
    """
    env: dict[Any, Atom] = {}

    def read(atom: Atom) -> Atom:
        return atom if isinstance(atom, Literal) else env.get(atom, atom)

    def inner(value: Any) -> Any:
        if isinstance(value, ClosedJaxpr):
            made = own(value.jaxpr, names)
            return value if made is value.jaxpr else ClosedJaxpr(made, value.consts)
        if isinstance(value, Jaxpr):
            return own(value, names)
        if type(value) in (tuple, list):
            items: list[Any] = list(value)
            found = [inner(x) for x in items]
            same = all(a is b for a, b in zip(found, items, strict=True))
            return value if same else type(value)(found)
        return value

    eqns: list[Eqn] = []
    for eqn in jaxpr.eqns:
        params = eqn.params
        if eqn.primitive is pvary_p:
            params = {"axes": tuple(n for n in params["axes"] if n not in names)}
            if not params["axes"]:
                env[eqn.outvars[0]] = read(eqn.invars[0])
                continue
        else:
            made = {k: inner(v) for k, v in params.items()}
            params = params if all(made[k] is v for k, v in params.items()) else made
        ins = [read(a) for a in eqn.invars]
        same = params is eqn.params and all(a is b for a, b in zip(ins, eqn.invars, strict=True))
        eqns.append(eqn if same else eqn.replace(invars=ins, params=params))
    if len(eqns) == len(jaxpr.eqns) and all(a is b for a, b in zip(eqns, jaxpr.eqns, strict=True)):
        return jaxpr
    return jaxpr.replace(eqns=eqns, outvars=[read(a) for a in jaxpr.outvars])


def _of(jaxpr: Jaxpr, ins: Sequence[Axes]) -> list[Axes]:
    env: dict[Any, Axes] = dict(zip([*jaxpr.constvars, *jaxpr.invars], ins, strict=True))

    def read(atom: Atom) -> Axes:
        return _none if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        env.update(zip(eqn.outvars, _eqn(eqn, [read(a) for a in eqn.invars]), strict=True))
    return [read(a) for a in jaxpr.outvars]


def _eqn(eqn: Eqn, ins: list[Axes]) -> list[Axes]:
    params = eqn.params
    if isinstance(eqn.primitive, Fold) and params.get("axis_index_groups") is None:
        return [ins[0] - set(params["axes"])]
    if eqn.primitive is axis_index_p:
        return [frozenset([params["axis_name"]])]
    if eqn.primitive.name in _control:
        return _control[eqn.primitive.name](params, ins)
    named = eqn.primitive.axis_names(params) if eqn.primitive.named_axes else ()
    return [_none.union(*ins, named)] * len(eqn.outvars)


def _call(params: dict[str, Any], ins: list[Axes]) -> list[Axes]:
    return varying(params["jaxpr"], ins)


def _branches(params: dict[str, Any], ins: list[Axes]) -> list[Axes]:
    index, *rest = ins
    outs = [varying(branch, rest) for branch in params["branches"]]
    return [index.union(*each) for each in zip(*outs, strict=True)]


def _scan(params: dict[str, Any], ins: list[Axes]) -> list[Axes]:
    consts, carry, slices = split_at(ins, params["num_consts"], params["num_carry"])

    def turn(now: list[Axes]) -> list[Axes]:
        return varying(params["jaxpr"], [*consts, *now, *slices])

    carry = _settled(lambda now: turn(now)[: len(now)], carry)
    return [*carry, *turn(carry)[len(carry) :]]


def _while(params: dict[str, Any], ins: list[Axes]) -> list[Axes]:
    of_condition, of_body, carry = split_at(ins, params["cond_nconsts"], params["body_nconsts"])

    def turn(now: list[Axes]) -> list[Axes]:
        (ends,) = varying(params["cond_jaxpr"], [*of_condition, *now])
        return [axes | ends for axes in varying(params["body_jaxpr"], [*of_body, *now])]

    return _settled(turn, carry)


def _settled(turn: Callable[[list[Axes]], list[Axes]], carry: list[Axes]) -> list[Axes]:
    """What a carry varies over once another turn adds nothing."""
    while True:
        after = [a | b for a, b in zip(carry, turn(carry), strict=True)]
        if after == carry:
            return carry
        carry = after


_control: dict[str, Callable[[dict[str, Any], list[Axes]], list[Axes]]] = {
    "jit": _call,
    "cond": _branches,
    "scan": _scan,
    "while": _while,
}
