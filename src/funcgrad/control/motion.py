"""Products moved out of scans, where one large product does the work of many small ones.

In: a simplified program. Out: the same, with scans that do less a turn. Two moves:

* what a turn computes by a contraction from its slices and captured values alone, and not from
  the carry, is computed for all turns at once, before the loop;
* a sum carried through all turns, of contractions or of sums, is formed behind the loop from the
  stacked operands: `Σ_t a_t·b_t` is one contraction over t too.

A recurrent cell's weight gradient is such a sum, its input projection such a product.

What is moved is in memory for all turns together. A scan is often written so that this is not the
case (attention by tiles): so a move takes no more than the slices and results of the scan, a few
times that where one matrix serves all turns, or a size that does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.primitive import AxisData, add_any_p
from ..ir.avals import ShapedArray
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from ..passes.dce import dce
from ..primitives.arithmetic import add_p
from ..primitives.contraction import dot_general_p
from ..primitives.reduction import reduce_sum_p
from ..transforms.batch import batch_jaxpr
from .scan import scan_p

# A turn with more work than this keeps the processor busy by itself.
_FLOPS = 2e8
# What the moves of one scan may have in memory: this much anyway, and this much at most.
_LEAST_BYTES, _MOST_BYTES = 1 << 24, 1 << 28
# Times its slices and results, where one matrix serves all turns: the four gates of a cell.
_SHARED = 4


def moved(
    closed: ClosedJaxpr, jit_primitive: Any, simplify: Callable[[ClosedJaxpr], ClosedJaxpr]
) -> ClosedJaxpr | None:
    """The program with products moved out of its scans; None where there are none to move."""
    eqns: list[Eqn] = []
    changed = False
    for eqn in closed.jaxpr.eqns:
        made: list[Eqn] | None = None
        if eqn.primitive is scan_p and not eqn.effects and eqn.params["length"] > 1:
            body = simplify(eqn.params["jaxpr"])
            params = {**eqn.params, "jaxpr": body}
            made = _moved_scan(eqn.replace(params=params), jit_primitive)
        changed = changed or made is not None
        eqns += [eqn] if made is None else made
    return ClosedJaxpr(closed.jaxpr.replace(eqns=eqns), closed.consts) if changed else None


def _moved_scan(eqn: Eqn, jit_primitive: Any) -> list[Eqn] | None:
    before = _hoisted(eqn, jit_primitive)
    head, scan = before if before is not None else ([], eqn)
    after = _summed_behind(scan)
    if before is None and after is None:
        return None
    return [*head, *(after if after is not None else [scan])]


# Before the loop.


def _hoisted(eqn: Eqn, jit_primitive: Any) -> tuple[list[Eqn], Eqn] | None:
    params = eqn.params
    body: ClosedJaxpr = params["jaxpr"]
    consts, carry, length = params["num_consts"], params["num_carry"], params["length"]
    jaxpr = body.jaxpr
    slices = set(jaxpr.invars[consts + carry :])
    free = {*jaxpr.constvars, *jaxpr.invars[:consts], *slices}
    varies = set(slices)
    targets: list[Var] = []
    ready: dict[Var, Eqn] = {}
    room = Room(eqn)
    for e in jaxpr.eqns:
        inputs = variables(e.invars)
        if e.effects or not all(v in free for v in inputs):
            continue
        free.update(e.outvars)
        if not any(v in varies for v in inputs):
            continue
        varies.update(e.outvars)
        ready.update((v, e) for v in e.outvars)
        if e.primitive is dot_general_p and _flops(e) <= _FLOPS:
            steps = _steps_to(e.outvars[0], ready)
            shared = not all(v in varies for v in inputs) and not _batched(e)
            if room.takes([v.aval for v in steps], shared):
                targets.append(e.outvars[0])
                ready = {v: e for v, e in ready.items() if v not in steps}
    if not targets:
        return None
    inner = [*jaxpr.invars[:consts], *jaxpr.invars[consts + carry :]]
    ahead = jaxpr.replace(invars=inner, outvars=list(targets))
    ahead = dce(ahead, [True] * len(targets))[0]
    flags = [v in slices for v in inner]
    axis = AxisData(None, length)
    batched, _ = batch_jaxpr(ClosedJaxpr(ahead, body.consts), axis, flags, True)
    outer = [*eqn.invars[:consts], *eqn.invars[consts + carry :]]
    made = [Var(a) for a in batched.out_avals]
    call = {"name": "before_scan", "jaxpr": batched, "donated": (), "inline": False}
    head = Eqn(outer, list(made), jit_primitive, call, source=eqn.source)
    # The body reads them as further slices.
    rest = jaxpr.replace(
        invars=[*jaxpr.invars, *targets],
        eqns=[e for e in jaxpr.eqns if e.outvars[:1] not in [[t] for t in targets]],
    )
    new = {**params, "jaxpr": ClosedJaxpr(rest, body.consts)}
    return [head], eqn.replace(invars=[*eqn.invars, *made], params=new)


class Room:
    """What the moves of one scan may still have in memory."""

    def __init__(self, eqn: Eqn) -> None:
        self.length: int = eqn.params["length"]
        turned = variables(eqn.invars[eqn.params["num_consts"] :])
        self.around = _bytes([v.aval for v in (*turned, *eqn.outvars)])
        self.taken = 0

    def takes(self, avals: Sequence[ShapedArray], shared: bool = False) -> bool:
        """Whether there is room for these values of all turns; if so it is taken."""
        wanted = self.taken + self.length * _bytes(avals)
        limit = max(self.around * (_SHARED if shared else 1), _LEAST_BYTES)
        if wanted > min(limit, _MOST_BYTES):
            return False
        self.taken = wanted
        return True


def _bytes(avals: Sequence[ShapedArray]) -> int:
    return sum(a.size * a.dtype.itemsize for a in avals)


def _batched(eqn: Eqn) -> bool:
    """Whether a contraction is many products, and not one of two matrices."""
    return eqn.primitive is dot_general_p and bool(eqn.params["dimension_numbers"][1][0])


def _steps_to(target: Var, made_by: dict[Var, Eqn]) -> set[Var]:
    """The values that have to be made for a target, itself too."""
    found = {target}
    todo = [target]
    while todo:
        for v in variables(made_by[todo.pop()].invars):
            if v in made_by and v not in found:
                found.add(v)
                todo.append(v)
    return found


def _flops(eqn: Eqn) -> float:
    contract: tuple[int, ...] = eqn.params["dimension_numbers"][0][0]
    left = eqn.invars[0].aval.shape
    inner = 1.0
    for a in contract:
        inner *= left[a]
    return 2.0 * inner * eqn.outvars[0].aval.size


def variables(atoms: Sequence[Atom]) -> list[Var]:
    """The atoms that are variables."""
    return [a for a in atoms if not isinstance(a, Literal)]


# Behind the loop.


class Sum(NamedTuple):
    """A carried value that only adds up what an eqn of the body gives.

    Attributes:
        position: which carried value.
        term: the eqn, and `linear`: what is done to its result before it is added.
    """

    position: int
    addition: Eqn
    term: Eqn
    linear: list[Eqn]


def _summed_behind(eqn: Eqn) -> list[Eqn] | None:
    body: ClosedJaxpr = eqn.params["jaxpr"]
    sums = _sums(eqn, body.jaxpr)
    if not sums:
        return None
    params, jaxpr = eqn.params, body.jaxpr
    consts, carry, length = params["num_consts"], params["num_carry"], params["length"]
    gone = {s.position for s in sums}
    # Slices and results are in memory for all turns as it is.
    ys = zip(jaxpr.outvars[carry:], eqn.outvars[carry:], strict=True)
    xs = zip(jaxpr.invars[consts + carry :], eqn.invars[consts + carry :], strict=True)
    stacked: dict[Var, Atom] = {v: y for v, y in ys if isinstance(v, Var)} | dict(xs)
    extra: list[Var] = []
    for s in sums:
        for v in variables(s.term.invars):
            if v not in stacked:
                stacked[v] = Var(v.aval.update(shape=(length, *v.aval.shape)))
                extra.append(v)
    kept = [k for k in range(carry) if k not in gone]
    dropped = {id(e) for s in sums for e in (s.addition, s.term, *s.linear)}
    inner = jaxpr.replace(
        invars=[v for k, v in enumerate(jaxpr.invars) if k - consts not in gone or k < consts],
        outvars=[
            *(jaxpr.outvars[k] for k in kept),
            *jaxpr.outvars[carry:],
            *extra,
        ],
        eqns=[e for e in jaxpr.eqns if id(e) not in dropped],
    )
    new = {**params, "jaxpr": ClosedJaxpr(inner, body.consts), "num_carry": len(kept)}
    outer = [a for k, a in enumerate(eqn.invars) if k - consts not in gone or k < consts]
    outs = [
        *(eqn.outvars[k] for k in kept),
        *eqn.outvars[carry:],
        *(stacked[v] for v in extra),
    ]
    result = [eqn.replace(invars=outer, outvars=outs, params=new)]
    for s in sums:
        result.append(_total(s.term, stacked))
        for e in s.linear:
            total = result[-1].outvars[0]
            ins: list[Atom] = [a if isinstance(a, Literal) else total for a in e.invars]
            result.append(e.replace(invars=ins, outvars=[Var(e.outvars[0].aval)]))
        ins = [eqn.invars[consts + s.position], result[-1].outvars[0]]
        result.append(s.addition.replace(invars=ins, outvars=[eqn.outvars[s.position]]))
    return result


def _sums(eqn: Eqn, jaxpr: Jaxpr) -> list[Sum]:
    consts, carry = eqn.params["num_consts"], eqn.params["num_carry"]
    made_by = {v: e for e in jaxpr.eqns for v in e.outvars}
    uses: dict[Var, int] = {}
    for atom in [a for e in jaxpr.eqns for a in e.invars] + list(jaxpr.outvars):
        if not isinstance(atom, Literal):
            uses[atom] = uses.get(atom, 0) + 1
    slices = set(jaxpr.invars[consts + carry :])
    inside = {*made_by, *slices}
    there = slices | set(variables(jaxpr.outvars[carry:]))
    found: list[Sum] = []
    room = Room(eqn)
    for k, (var, out) in enumerate(zip(jaxpr.invars[consts:], jaxpr.outvars[:carry], strict=False)):
        if isinstance(out, Literal):
            continue
        addition = made_by.get(out)
        if addition is None or addition.primitive not in (add_p, add_any_p):
            continue
        if uses.get(var, 0) != 1 or uses.get(out, 0) != 1 or var not in addition.invars:
            continue
        others = [a for a in variables(addition.invars) if a is not var]
        linear: list[Eqn] = []
        term = made_by.get(others[0]) if len(others) == 1 else None
        while term is not None and uses.get(term.outvars[0], 0) == 1:
            if _sums_up(term, inside):
                stacked = [v.aval for v in {*variables(term.invars)} - there]
                if room.takes(stacked, not _batched(term)):
                    found.append(Sum(k, addition, term, linear))
                break
            # What is linear may wait until the sum is there, but a number would be added each turn.
            numbers = [a.val for a in term.invars if isinstance(a, Literal)]
            if term.primitive.linear != "joint" or len(variables(term.invars)) != 1:
                break
            if any(map(np.any, numbers)):
                break
            linear.insert(0, term)
            term = made_by.get(variables(term.invars)[0])
    return found


def _sums_up(term: Eqn, inside: set[Var]) -> bool:
    """Whether the terms of all turns can be formed by one eqn over the stacked operands."""
    if term.primitive not in (dot_general_p, reduce_sum_p):
        return False
    if any(isinstance(a, Literal) or a not in inside for a in term.invars):
        return False
    return term.primitive is reduce_sum_p or _flops(term) <= _FLOPS


def _total(term: Eqn, stacked: dict[Var, Atom]) -> Eqn:
    invars = [stacked[v] for v in variables(term.invars)]
    if term.primitive is reduce_sum_p:
        axes = (0, *(a + 1 for a in term.params["axes"]))
        params = {**term.params, "axes": axes}
    else:
        (lc, rc), (lb, rb) = term.params["dimension_numbers"]
        contract = ((0, *(a + 1 for a in lc)), (0, *(a + 1 for a in rc)))
        batch = (tuple(a + 1 for a in lb), tuple(a + 1 for a in rb))
        params = {**term.params, "dimension_numbers": (contract, batch)}
    return term.replace(invars=invars, outvars=[Var(term.outvars[0].aval)], params=params)
