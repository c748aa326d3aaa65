"""Simplify: the program a jaxpr says, with less to do.

In order, over each eqn: inline calls (for GPUs not those that `is_whole(eqn)` keeps for a kernel
of the whole), put programs in the place of primitives that the machine has no kernel of, fold eqns
of literals, forward eqns that give back an operand, share equal eqns; then drop the dead ones, add
few elements where they are wanted, order chains of products, and transpose none. A primitive states
the facts used here: `inlined(eqn)` gives the program of a call, `forwards(eqn)` the atom an eqn
equals, `composed` that CPUs have no kernel of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.array import Array, to_ndarray
from ..core.composed import composition_of
from ..ir import dtypes
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from .association import associated
from .cse import SharedEqns
from .dce import dce_with_consts
from .fresh import fresh
from .onto import onto_others
from .products import without_transposes


def simplify(closed: ClosedJaxpr, whole: bool = False, programs: bool = False) -> ClosedJaxpr:
    """An equivalent program with the same inputs and outputs.

    Args:
        whole: for a GPU: calls for which it has a kernel of the whole are left as they are, and
            primitives that it has none of become programs of others.
        programs: for a CPU: so do primitives that it has no kernel of.
    """
    smaller = inlined(closed, whole, programs)
    jaxpr = onto_others(associated(smaller.jaxpr))
    return ClosedJaxpr(without_transposes(jaxpr), smaller.consts)


def inlined(closed: ClosedJaxpr, whole: bool = False, programs: bool = False) -> ClosedJaxpr:
    """The same, but for the products: what is left is computed as before, to the last bit."""
    builder = _Builder(whole, programs)
    jaxpr = closed.jaxpr
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
        builder.new_const(var, value)
    outs = builder.run(jaxpr)
    smaller = Jaxpr(builder.constvars, jaxpr.invars, outs, builder.eqns, None, jaxpr.debug_name)
    smaller, consts = dce_with_consts(smaller, builder.consts)
    return ClosedJaxpr(smaller, tuple(consts))


def with_programs(closed: ClosedJaxpr) -> ClosedJaxpr:
    """A simplified program, with programs for the primitives that a CPU has no kernel of."""
    if any(e.primitive.composed and e.primitive.is_composed(e) for e in closed.jaxpr.eqns):
        return simplify(closed, programs=True)
    return closed


class _Builder:
    """Rewrites eqns into a new list; `env` maps old variables to new atoms."""

    def __init__(self, whole: bool, programs: bool) -> None:
        self.whole, self.programs = whole, programs
        self.eqns: list[Eqn] = []
        self.constvars: list[Var] = []
        self.consts: list[Any] = []
        self.env: dict[Var, Atom] = {}
        self.shared = SharedEqns()

    def new_const(self, var: Var, value: Any) -> None:
        self.constvars.append(var)
        self.consts.append(value)

    def read(self, atom: Atom) -> Atom:
        return atom if isinstance(atom, Literal) else self.env.get(atom, atom)

    def run(self, jaxpr: Jaxpr) -> list[Atom]:
        for eqn in jaxpr.eqns:
            self.add(eqn)
        return [self.read(a) for a in jaxpr.outvars]

    def add(self, eqn: Eqn) -> None:
        eqn = eqn.replace(invars=[self.read(a) for a in eqn.invars])
        inlined = getattr(eqn.primitive, "inlined", None)
        stays = self.whole and getattr(eqn.primitive, "is_whole", _never)(eqn)
        body: ClosedJaxpr | None = inlined(eqn) if inlined is not None and not stays else None
        missing = self.whole or (self.programs and eqn.primitive.is_composed(eqn))
        if missing and body is None and fold(eqn) is None:
            body = composition_of(eqn, cpu=not self.whole)
        if body is not None:
            self.inline(body, eqn.invars, eqn.outvars)
            return
        replaced = fold(eqn) or forward(eqn) or self.shared.find(eqn)
        if replaced is not None:
            self.env.update(zip(eqn.outvars, replaced, strict=True))
            return
        self.eqns.append(eqn)

    def inline(self, body: ClosedJaxpr, args: Sequence[Atom], outvars: Sequence[Var]) -> None:
        """Add the eqns of a called program; its variables are made new."""
        inner = fresh(body.jaxpr)
        for var, value in zip(inner.constvars, body.consts, strict=True):
            self.new_const(var, value)
        self.env.update(zip(inner.invars, args, strict=True))
        self.env.update(zip(outvars, self.run(inner), strict=True))


def _never(eqn: Eqn) -> bool:
    return False


def fold(eqn: Eqn) -> list[Atom] | None:
    """Literals for an eqn of scalar literals with scalar results."""
    if eqn.effects or not eqn.invars or any(v.aval.shape for v in eqn.outvars):
        return None
    # A function of the host runs where it stands: a branch that is not taken does not call it.
    if eqn.primitive.of_host:
        return None
    if not all(isinstance(a, Literal) for a in eqn.invars):
        return None
    if any(dtypes.is_opaque(v.aval.dtype) for v in eqn.outvars):
        return None
    # A collective over the ranks of a mesh is done where they are: its operand is one of several.
    if eqn.primitive.named_axes and eqn.primitive.axis_names(eqn.params):
        return None
    values = [to_ndarray(a.val) for a in eqn.invars if isinstance(a, Literal)]
    with np.errstate(all="ignore"):
        result = eqn.rule()(*values, **eqn.params)
    results: Sequence[Any] = result if eqn.primitive.multiple_results else [result]
    return [
        Literal(Array(np.array(r, v.aval.dtype), v.aval), v.aval)
        for r, v in zip(results, eqn.outvars, strict=True)
    ]


def forward(eqn: Eqn) -> list[Atom] | None:
    """The atoms an eqn equals, where its primitive says so."""
    rule = getattr(eqn.primitive, "forwards", None)
    found: Atom | None = rule(eqn) if rule is not None else None
    if found is None or found.aval != eqn.outvars[0].aval:
        return None
    return [found]
