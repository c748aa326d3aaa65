"""Branches outside of loops as choices between expressions, which are fused like all others.

In: an eqn that runs one of several programs, and the definitions of the jaxpr around it. Out: of
each result a `Map`; None where a program does more than work element by element, and why. The one
idea: all programs are inlined, and a select named "branch" chooses, on a condition that is the
same for all elements: `emit.arms` makes it a branch around the loops, so that only what is chosen
is computed and read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..ir.jaxpr import ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from ..ir.loops import Axis, Expr, IndexTuple, Map, Operand, Region, axis_index, both
from ..ir.nests import expr_cost
from .elements import MOST, Carrying, Elements, FewUpdates, NotInPlace, Read, Simplify, Within
from .lowering import Choose, Definitions
from .parts import NoParts
from .rules import Chosen, as_map, rule_shape
from .views import memory_of

# Values of so few elements may be computed at every place they are read at.
_SMALL = 64
# What may be computed more often than it has elements; places of reading that need no reason.
_CHEAP, _PLACES = 4.0, 16
_UNLIMITED = 1 << 62


def chooser(simplify: Simplify) -> Choose:
    """The function that says the results of a branch element by element."""

    def choose(values: Definitions, what: Region, eqn: Eqn) -> list[Any] | None:
        if what.kind != "branch":
            return None
        try:
            return Choices(values, eqn, simplify).rules()
        except NotInPlace as found:
            values.why[id(eqn)] = str(found) or "its values do not come element by element"
            if isinstance(found, FewUpdates):
                values.updating.add(id(eqn))
        except NoParts as found:
            values.why[id(eqn)] = f"{found} is not done by the parts of complex numbers"
        return None

    return choose


class Choices:
    """The results of one branch."""

    def __init__(self, values: Definitions, eqn: Eqn, simplify: Simplify) -> None:
        self.values, self.eqn, self.simplify = values, eqn, simplify
        self.begin()

    def begin(self) -> None:
        """Forget what was read: other values may be in memory now."""
        self.round = self.values.round
        self.within = Within((), self.values.library, self.simplify, _no_loop)
        self.within.most = _UNLIMITED
        eqn = self.eqn
        invars, outvars = ([Var(a.aval) for a in part] for part in (eqn.invars, eqn.outvars))
        alone = eqn.replace(invars=invars, outvars=outvars)
        jaxpr = Jaxpr([], invars, outvars, [alone])
        given = [self._given(self.values.operand(a)) for a in eqn.invars]
        self.program = Elements(ClosedJaxpr(jaxpr, ()), given, self.within)

    def _given(self, operand: Operand) -> Read:
        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            return operand.read(index, both(self.within.guards[-1], guard))

        return read

    def rules(self) -> list[Any]:
        """A rule for each result.

        Raises:
            NotInPlace, NoParts: a program does more than work element by element, or its values
                would be computed more often than they have elements.
        """
        values, within = self.values, self.within
        for k, var in enumerate(self.eqn.outvars):
            within.most = MOST
            value = self.at(k, _anywhere(rule_shape(var.aval)[0]))
            _ = values.parts.pair(value) if var.aval.dtype.kind == "c" else values.parts.real(value)
            self._check(MOST - within.most)
            values.chosen[var] = Chosen(within.deepest, len(within.programs) - 2)
        within.most = _UNLIMITED
        if self.values.in_order:
            self._refuse_updates()
        return [as_map(self._map(k), v.aval) for k, v in enumerate(self.eqn.outvars)]

    def _map(self, k: int) -> Map:
        def at(index: IndexTuple) -> Expr:
            return self.at(k, index)

        return Map(at)

    def at(self, k: int, index: IndexTuple) -> Expr:
        """An element of a result."""
        if self.round != self.values.round:
            self.begin()
        guards = self.within.guards
        depth = len(guards)
        # Which program runs is found out once, for all who ask: not under the condition of one.
        with self.values.unguarded() as guard:
            guards.append(guard)
            try:
                return self.program.out(k)(index, None)
            finally:
                del guards[depth:]
                self.values.constants.update(self.within.constants)

    # What would cost more than programs of their own.

    def _refuse_updates(self) -> None:
        """Raise if a program changes few of many elements of what is in memory.

        What is computed element by element is computed together with the choice: its elements would
        be written for the update's sake alone.
        """
        values = self.values
        held = [memory_of(values, a) for a in self.eqn.invars]
        shapes = {
            a.aval.shape
            for a in held
            if not isinstance(a, Literal) and not isinstance(values.rules.get(a), Map)
        }
        for program in self.within.programs[1:]:
            program.refuse_updates(shapes)

    def _check(self, places: int) -> None:
        """Raise if values are computed at many places, or for more elements than they have."""
        programs = self.within.programs[1:]
        atoms = (v for p in programs for e in p.jaxpr.eqns for v in (*e.invars, *e.outvars))
        if all(a.aval.size <= _SMALL for a in atoms):
            return
        count = sum(len(p.jaxpr.eqns) + len(p.jaxpr.invars) for p in programs)
        if places > 2 * count + _PLACES:
            raise NotInPlace("its values are read at many places")
        for program in programs:
            for var in _stretched(program.jaxpr):
                value = program.read(var, _anywhere(rule_shape(var.aval)[0]), None)
                if expr_cost(value) > _CHEAP:
                    raise NotInPlace("a value is needed more often than it has elements")


def _stretched(jaxpr: Jaxpr) -> Iterator[Var]:
    """The values of a program that are read for more elements than they have."""
    made = {v for eqn in jaxpr.eqns for v in eqn.outvars}
    for eqn in jaxpr.eqns:
        most = max((v.aval.size for v in eqn.outvars), default=0)
        for atom in eqn.invars:
            if not isinstance(atom, Literal) and atom in made and 1 < atom.aval.size < most:
                yield atom


def _anywhere(shape: Sequence[int]) -> IndexTuple:
    return tuple(axis_index(Axis(n)) for n in shape)


def _no_loop(what: Region, given: Sequence[Read], within: Within, only: Expr | None) -> Carrying:
    raise NotInPlace(f"a {what.kind} is inside")
