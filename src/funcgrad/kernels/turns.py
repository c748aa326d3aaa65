"""Loops in registers: what they carry, found out element by element as it is asked for.

In: a scan or a while, and what its operands are at one place. Out: a loop of statements. The one
idea: an element of the carry that somebody asks for is a register; how it goes on asks for others,
until no new ones come up.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..ir.jaxpr import ClosedJaxpr, Literal
from ..ir.loops import (
    Affine,
    Apply,
    Axis,
    Const,
    Expr,
    Fold,
    IndexTuple,
    Region,
    apply,
    axis_index,
    boolean,
    const,
    int64,
    select,
    value_of,
)
from ..ir.nests import UNBOUNDED, Acc, Advance, For, Leave, Node, Store, expr_depth
from .dying import rarely
from .elements import FEW, LONGEST, Elements, NotInPlace, Place, Read, Simplify, Within
from .storage import storage_shape
from .unroll import settled


class Parts(NamedTuple):
    """A loop's operands: how many belong to its condition, to its body; what it carries."""

    condition: int
    body: int
    carry: int
    closed: ClosedJaxpr
    holds: ClosedJaxpr | None
    length: int
    reverse: bool

    @classmethod
    def of(cls, what: Region, simplify: Simplify) -> Parts:
        """Those of a scan or a while."""
        p = what.parts
        if what.kind == "scan":
            closed = simplify(p["jaxpr"])
            return cls(0, p["num_consts"], p["num_carry"], closed, None, p["length"], p["reverse"])
        holds, closed = simplify(p["cond_jaxpr"]), simplify(p["body_jaxpr"])
        count = len(closed.jaxpr.outvars)
        counts = p["cond_nconsts"], p["body_nconsts"], count
        return cls(*counts, closed, holds, UNBOUNDED, False)


class Turns:
    """A loop that carries registers: those elements that somebody asks for.

    Attributes:
        loop: the statements; what it carries is added as it is asked for.
        at: the number of the turn.
        count: how many values it carries.
    """

    def __init__(
        self, what: Region, given: Sequence[Read], within: Within, only: Expr | None = None
    ) -> None:
        self.within = within
        within.loops.append(self)
        self.parts = parts = Parts.of(what, within.simplify)
        self.count = parts.carry
        self.name = "carry" if len(within.loops) == 1 else f"carry{len(within.loops)}_"
        axis = Axis(parts.length, "t" if parts.holds is None else "turn")
        turn = axis_index(axis)
        self.at = Affine(parts.length - 1) - turn if parts.reverse else turn
        self.advance = Advance([])
        self.loop = For(axis, [self.advance], [])
        self.accs: dict[tuple[int, Place], Acc] = {}
        self._waiting: list[tuple[Acc, int, IndexTuple]] = []
        self._inside: list[tuple[Place, int, For]] = []
        self._going: Acc | None = None
        first = parts.condition + parts.body
        self.first = given[first : first + parts.carry]
        avals = self.avals = [v.aval for v in parts.closed.jaxpr.outvars[: self.count]]
        self.shapes, self.dtypes = (
            zip(*map(storage_shape, avals), strict=True) if avals else ((), ())
        )
        carried = [self.carry(k) for k in range(self.count)]
        constants = given[parts.condition : first]
        slices = [self._slice(x) for x in given[first + parts.carry :]]
        self.body: Elements | None = None
        self.body = Elements(parts.closed, [*constants, *carried, *slices], within, self._put)
        own = {*parts.closed.jaxpr.invars[parts.body : parts.body + parts.carry]}
        if any(rarely(self.body.body, e, own) for e in parts.closed.jaxpr.eqns):
            raise NotInPlace("few elements of an array are changed in a turn")
        if parts.holds is not None:
            held = self._condition(
                Elements(parts.holds, [*given[: parts.condition], *carried], within)
            )
            self.loop.body.insert(0, Leave(held if only is None else apply("and", only, held)))
        self.work()

    def _put(self, position: Place, loop: For) -> None:
        """A loop within this one, in its place among the others."""
        insort(self._inside, (position, len(self._inside), loop))
        loops = [loop for _, _, loop in self._inside]
        rest = [n for n in self.loop.body if n not in loops]
        start = isinstance(rest[0], Leave)
        self.loop.body[:] = [*rest[:start], *loops, *rest[start:]]

    def _slice(self, stacked: Read) -> Read:
        return lambda index, guard: stacked((self.at, *index), guard)

    def _condition(self, holds: Elements) -> Expr:
        """Whether there is another turn; of a batch, whether there is one for this element."""
        try:
            return self.within.parts.real(holds.out(0)((), None))
        except NotInPlace:
            out = holds.jaxpr.outvars[0]
            rule = None if isinstance(out, Literal) else holds.body.rules.get(out)
            if not isinstance(rule, Fold) or rule.op != "or" or rule.extents != self.within.shape:
                raise
            going = rule.at((), self.within.index)
            if not isinstance(going, Acc):
                raise
            self._going = going
            return going

    def carry(self, k: int) -> Read:
        """A carried value: within the loop so far, behind it what it ends as."""
        dtype = self.avals[k].dtype

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            if dtype.kind == "c":
                parts = tuple(self._element(k, (*index, Affine(n))) for n in range(2))
                value: Expr = Apply("complex", parts, dtype)
            else:
                value = self._element(k, index)
            return value if guard is None else select(guard, value, Const(0, value.dtype))

        return read

    def _element(self, k: int, index: IndexTuple) -> Expr:
        shape, within = self.shapes[k], self.within
        leading = within.leads(shape)
        if not all(i.same(p) for i, p in zip(index[:leading], within.index, strict=False)):
            raise NotInPlace
        rest = index[leading:]
        for d, i in enumerate(rest):
            if i.dynamic or i.axes:
                return self._chosen(k, index, leading + d)
        place = tuple(i.const for i in rest)
        if any(not 0 <= p < n for p, n in zip(place, shape[leading:], strict=True)):
            return Const(0, self.dtypes[k])  # a guard says that nobody needs it
        return self.acc(k, place)

    def _chosen(self, k: int, index: IndexTuple, d: int) -> Expr:
        """The element at an index that is known only when the program runs."""
        count, at = self.shapes[k][d], value_of(index[d])
        if count > FEW or set(index[d].axes) & set(self.within.axes):
            raise NotInPlace
        found = [self._element(k, (*index[:d], Affine(n), *index[d + 1 :])) for n in range(count)]
        value = found[-1]
        for n in reversed(range(count - 1)):
            value = select(apply("eq", at, const(n, int64)), found[n], value)
        return value

    def output(self, k: int, index: IndexTuple) -> Expr:
        """An element of what a turn gives beside its carry."""
        assert self.body is not None
        atom = self.body.jaxpr.outvars[k]
        return self.within.part(self.body.out(k), index, atom.aval.dtype)

    def acc(self, k: int, place: Place) -> Acc:
        """The register of an element of a carried value."""
        found = self.accs.get((k, place))
        if found is None:
            name = "_".join([f"{self.name}{k}", *map(str, place)])
            found = self.accs[k, place] = Acc("set", self.dtypes[k], name)
            self._waiting.append((found, k, self.within.at(self.shapes[k], place)))
            self.work()
        return found

    def work(self) -> None:
        """Find out how the registers that were asked for begin and go on."""
        guards = self.within.guards
        while self.body is not None and self._waiting:
            body, self.body = self.body, None
            acc, k, index = self._waiting.pop(0)
            guards.append(None)
            part, dtype = self.within.part, self.avals[k].dtype
            acc.initial = part(self.first[k], index, dtype)
            self.loop.accs.append(acc)
            self.advance.pairs.append((acc, part(body.out(k), index, dtype)))
            guards.pop()
            self.body = body

    def finish(self) -> None:
        """Bring the expressions into their last form, when nobody asks for more.

        Raises:
            NotInPlace: an element of a batch would change while only others go on.
        """
        going, pairs = self._going, self.advance.pairs
        if going is not None:
            memo: dict[int, Expr] = {}
            for acc, value in pairs:
                still = settled(value, memo, {going: Const(False, boolean)})
                if still is not acc and not (acc is going and isinstance(still, Const)):
                    raise NotInPlace
            rewrite_all(self.loop.body, {going: Const(True, boolean)})
        rewrite_all([self.loop], {})
        depths: dict[int, int] = {}
        if any(expr_depth(value, depths) > LONGEST for _, value in pairs):
            raise NotInPlace

    def unchanged(self) -> dict[Expr, Expr]:
        """What is handed on as it is, and so need not be carried: registers, and what they hold."""
        pairs = self.advance.pairs
        same = {acc: acc.initial for acc, value in pairs if value is acc}
        if len(same) == len(pairs):
            return {}
        pairs[:] = [pair for pair in pairs if pair[0] not in same]
        self.loop.accs[:] = [acc for acc in self.loop.accs if acc not in same]
        return {acc: first for acc, first in same.items() if first is not None}


def rewrite_all(body: list[Node], known: Mapping[Expr, Expr]) -> None:
    """Replace the expressions of statements by simpler ones."""
    memo: dict[int, Expr] = {}

    def again(x: Expr) -> Expr:
        return settled(x, memo, known)

    for node in body:
        if isinstance(node, For):
            for acc in node.accs:
                acc.initial = None if acc.initial is None else again(acc.initial)
            rewrite_all(node.body, known)
        elif isinstance(node, Advance):
            node.pairs[:] = [(acc, again(value)) for acc, value in node.pairs]
        elif isinstance(node, Leave) and node.unless not in known:
            node.unless = again(node.unless)
        elif isinstance(node, Store):
            node.value = again(node.value)
