"""Which values of a jaxpr stay in memory, and which are part of their readers' expressions.

In: the values as their rules say them. Out: the set of those that are inlined. The one idea: a
value is inlined unless something else reads it from memory, it is costly and read twice, it would
be computed more often than it has elements, it is work for vectors that a scatter does singly, or
it would wait as two arrays (`waiting`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir.jaxpr import Eqn, Jaxpr, Literal, Var
from ..ir.loops import Const, Expr, Fold, Map, Running, Scatter, View
from ..ir.nests import expr_cost, loads_of
from .items import ByHand, Nest
from .products import Added, Products
from .rules import FEW_WAYS, PLAIN, domain_of
from .scattering import one_by_one
from .waiting import Waiting

if TYPE_CHECKING:
    from .lowering import Definitions

_CHEAP = 4.0
# On a GPU a launch takes longer than all threads do for so many operations on a number each.
_MANY = 24.0
_DEEPEST = 40
# What it pays to compute in vectors before a scatter goes through it: an elementary function does.
_VECTORS = 9.0
_LOOPED = (Map, Fold, Running, Scatter)

# Who reads a variable, how often an element (None: as memory), over how many.
Readers = dict[Var, list[tuple[Var, int | None, int]]]


class Inlining:
    """The choice for one jaxpr."""

    def __init__(self, jaxpr: Jaxpr, values: Definitions) -> None:
        self.jaxpr = jaxpr
        self.values = values
        # Of each value its cost, and how many as large as itself it is made of.
        self.trial: dict[Var, tuple[float, int]] = {}
        # Its cost with all that it may be made of.
        self.total: dict[Var, float] = {}
        # What a scatter reads for one element after the other.
        self.alone: set[Var] = set()

    def chosen(self) -> set[Var]:
        """The values that are inlined, readers before what they read."""
        readers = self._readers()
        inlined: set[Var] = set()
        domain: dict[Var, int] = {}
        depth: dict[Var, int] = {}
        ways: dict[Var, int] = {}
        branches = self.values.chosen
        for eqn in reversed(self.jaxpr.eqns):
            for var in eqn.outvars:
                found = readers.get(var)
                if not isinstance(self.values.rules[var], Map):
                    continue
                if found is None:
                    # Nobody reads it: what it is a view of is read instead.
                    inlined.add(var)
                    continue
                if any(how is None for _, how, _ in found):
                    continue
                most = max(
                    domain.get(out, size) if out in inlined else size for out, _, size in found
                )
                times = sum(how or 0 for _, how, _ in found)
                own = branches.get(var, PLAIN)
                deep = own.levels + max(depth.get(out, 0) for out, _, _ in found)
                around = max(ways.get(out, branches.get(out, PLAIN).ways) for out, _, _ in found)
                few = not (own.ways and around) or own.ways + around <= FEW_WAYS
                if few and deep <= _DEEPEST and self._worth_inlining(var, times, most):
                    inlined.add(var)
                    domain[var], depth[var] = max(most, 1), deep
                    ways[var] = own.ways + around
        inlined = inlined - self._read_before(readers, inlined)
        if self.values.halves:
            # cuBLASLt's epilogues keep what an activation is of, and make its slope of that.
            return inlined
        return inlined - Waiting(self.values, inlined, readers).early()

    def _read_before(self, readers: Readers, inlined: set[Var]) -> set[Var]:
        """What is made of values that are updated in place, and read behind their update."""
        place = {v: n for n, eqn in enumerate(self.jaxpr.eqns) for v in eqn.outvars}
        found: set[Var] = set()
        for target, source in self.values.takes.items():
            at, waiting = place[target], [source]
            # An update that sets one element reads before it writes.
            rule = self.values.rules[target]
            one = isinstance(rule, Scatter) and rule.op == "set" and domain_of_updates(rule) <= 1
            while waiting:
                for var in {v for v, _, _ in readers.get(waiting.pop(), ()) if v in inlined}:
                    later = [
                        place.get(v, at) for v, how, _ in readers.get(var, ()) if how is not None
                    ]
                    if any(n > at or (not one and n == at) for n in later):
                        found.add(var)
                    elif var not in found:
                        waiting.append(var)
        return found

    def _readers(self) -> Readers:
        readers: Readers = {}
        for eqn in self.jaxpr.eqns:
            if not eqn.outvars:
                for atom in eqn.invars:
                    if not isinstance(atom, Literal):
                        readers.setdefault(atom, []).append((atom, None, 0))
            for var in eqn.outvars:
                rule = self.values.rules[var]
                for source, times in self._reads(eqn, var, rule).items():
                    size = domain_of(rule, var)
                    readers.setdefault(source, []).append((var, times, size))
        for atom in self.jaxpr.outvars:
            if not isinstance(atom, Literal):
                readers.setdefault(atom, []).append((atom, None, 0))
        self._without_unread(readers)
        if self.values.halves:
            self._through_views(readers)
        return readers

    def _through_views(self, readers: Readers) -> None:
        """Who reads a number under another shape reads the number."""
        for eqn in reversed(self.jaxpr.eqns):
            for var in eqn.outvars:
                rule = self.values.rules[var]
                source = eqn.invars[rule.operand] if isinstance(rule, View) else None
                if isinstance(source, Var) and var.aval.size == 1 == source.aval.size:
                    others = [r for r in readers.get(source, []) if r[0] is not var]
                    readers[source] = [*others, *readers.get(var, [])]

    def _without_unread(self, readers: Readers) -> None:
        """Take back who reads for a view that nobody reads: products found what is below it.

        What is computed from the elements of a view may yet load them where they lie under its
        shape, so that only a view that kernels of products alone are given can be unread.
        """
        loaded: set[Var] = {a for a in self.jaxpr.outvars if not isinstance(a, Literal)}
        for eqn in reversed(self.jaxpr.eqns):
            rule = self.values.rules[eqn.outvars[0]] if eqn.outvars else None
            view = isinstance(rule, View)
            if view and eqn.outvars[0] not in readers and eqn.outvars[0] not in loaded:
                source = eqn.invars[rule.operand]
                if not isinstance(source, Literal) and source in readers:
                    rest = [r for r in readers.pop(source) if r[0] is not eqn.outvars[0]]
                    readers.update({source: rest} if rest else {})
            elif not isinstance(rule, Products | ByHand):
                loaded.update(a for a in eqn.invars if not isinstance(a, Literal))

    def _reads(self, eqn: Eqn, var: Var, rule: Any) -> dict[Var, int | None]:
        sources = [a for a in eqn.invars if not isinstance(a, Literal)]
        if isinstance(rule, Products):
            return dict.fromkeys(a for a in rule.sources if not isinstance(a, Literal))
        if isinstance(rule, Added):
            return {}  # the sum reads what it is made of
        if isinstance(rule, ByHand):
            return dict.fromkeys(a for a in rule.sources if not isinstance(a, Literal))
        if not isinstance(rule, _LOOPED):
            return dict.fromkeys(sources)
        nests = self.values.nests(var)
        roots = [x for nest in nests for x in (*_updates(nest), nest.base)]
        value = nests[0].value
        if isinstance(rule, Map) and len(nests) == 1 and isinstance(value, Const):
            self.values.uniform[var] = value
        result: dict[Var, int | None] = {}
        for load in loads_of(*roots):
            source = self.values.owner.get(load.source)
            if source is not None:
                result[source] = (result.get(source) or 0) + 1
        large = sum(v.aval.size >= var.aval.size > 1 for v in result)
        cost = sum(expr_cost(r) for r in roots if r is not None)
        self.trial[var] = (cost, large)
        if isinstance(rule, Map):
            # What is inlined is not loaded.
            self.total[var] = cost + sum(self.total[v] - 1.0 for v in result if v in self.total)
        for nest in nests:
            if self.values.in_order and nest.kind == "scatter" and one_by_one(nest):
                owners = {self.values.owner.get(x.source) for x in loads_of(*_updates(nest))}
                self.alone |= {v for v in owners if v is not None}
        return result

    def _worth_inlining(self, var: Var, times: int, domain: int) -> bool:
        cost, large = self.trial[var]
        if var in self.alone and self.total[var] >= _VECTORS:
            return False
        if self.values.halves and var.aval.size == 1 and self.total.get(var, _MANY) < _MANY:
            return True
        cheap = cost <= _CHEAP and large <= 1
        return cheap or (times <= 1 and domain <= max(var.aval.size, 1))


def domain_of_updates(rule: Scatter) -> int:
    """How many elements a scatter updates."""
    count = 1
    for n in rule.extents:
        count *= n
    return count


def _updates(nest: Nest) -> list[Expr | None]:
    """What a nest computes in its innermost loop; the base of a scatter has loops of its own."""
    dynamic = [e for i in nest.index for e, _ in i.dynamic]
    return [nest.value, nest.guard, *dynamic]
