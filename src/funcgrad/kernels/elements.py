"""The values of a program at one place, as expressions: loops and branches of it included.

In: a jaxpr, and what its inputs are at an index. Out: any element of its values. The one idea: a
value is asked for by index, and its definition asks for what it is made of; so a fold of few is
written out, a branch is a choice between expressions, and a loop whose carry is asked for only
here keeps that in registers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence, Set
from typing import Any, Protocol

import numpy as np

from ..core.array import to_ndarray
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Literal, Var
from ..ir.loops import (
    Affine,
    Apply,
    Axis,
    Const,
    DType,
    Expr,
    Fold,
    IndexTuple,
    Load,
    Map,
    Operand,
    Region,
    Scatter,
    View,
    apply,
    axis_index,
    boolean,
    both,
    cast,
    const,
    flat_index,
    select,
    split_index,
    value_of,
)
from ..ir.nests import Acc, Advance, Buffer, For, Leave, expr_cost
from .dying import rarely
from .items import LibraryBuilder
from .lowering import Definitions
from .parts import Parts
from .rules import index_key, rule_shape
from .storage import captured, storage_shape

Simplify = Callable[[ClosedJaxpr], ClosedJaxpr]
Read = Callable[[IndexTuple, Expr | None], Expr]
Place = tuple[int, ...]
# Elements of an array that are each a register, terms of a fold that are written out, and elements
# of arrays in all: beyond, loops in memory, which do several at once, take less time.
FEW, TERMS, MOST = 8, 16, 1500
# Definitions behind each other, and operations: both are gone through by recursion.
DEEPEST, LONGEST = 60, 160
# From this cost on an arm is computed only if it is chosen. And a position behind all others.
COSTLY, LAST = 8.0, 1 << 30


class NotInPlace(Exception):
    """A value needs what cannot be had in registers at this place; the text says what."""


class FewUpdates(NotInPlace):
    """A program changes few of many elements of an array, which should stay where they are."""


class Carrying(Protocol):
    """A loop in registers.

    Attributes:
        loop: the statements.
        count: how many values it carries.
    """

    loop: For
    count: int

    def carry(self, k: int) -> Read:
        """What a carried value ends as."""
        ...

    def finish(self) -> None:
        """Bring the expressions into their last form, when nobody asks for more."""
        ...

    def unchanged(self) -> dict[Expr, Expr]:
        """Registers that need not be carried, and what they hold."""
        ...


class Within:
    """What all programs at one place share.

    Attributes:
        axes: the loops around, one for each leading axis of the values that have all of them.
        make: makes a loop of its operands, that runs only under a condition.
        guards: the conditions under which values are asked for, innermost last.
        in_order: whether few updates of many elements are better done in memory, in a branch too.
        constants: memory of what the programs capture.
        most: places at which elements of arrays may still be asked for.
        deepest: how many values behind each other were asked for.
    """

    def __init__(
        self,
        axes: tuple[Axis, ...],
        library: LibraryBuilder,
        simplify: Simplify,
        make: Callable[[Region, Sequence[Read], Within, Expr | None], Carrying],
        in_order: bool = True,
    ) -> None:
        self.axes = axes
        self.make = make
        self.in_order = in_order
        self.index = tuple(axis_index(a) for a in axes)
        self.shape = tuple(a.extent for a in axes)
        self.library = library
        self.simplify = simplify
        self.guards: list[Expr | None] = [None]
        self.constants: dict[Buffer, Any] = {}
        self.most = MOST
        self.deepest = 0
        self.parts = Parts()
        self.loops: list[Carrying] = []
        self.programs: list[Elements] = []

    def reader(self, buffer: Buffer, dtype: DType) -> Read:
        """What is in memory; the parts of a complex number lie side by side."""

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            whole = both(self.guards[-1], guard)
            if dtype.kind != "c":
                return Load(buffer, index, buffer.dtype, whole)
            parts = (Load(buffer, (*index, Affine(k)), buffer.dtype, whole) for k in range(2))
            return Apply("complex", tuple(parts), dtype)

        return read

    def part(self, value: Read, index: IndexTuple, dtype: DType) -> Expr:
        """An element as it is held in registers, of a complex value the part that comes last."""
        if dtype.kind != "c":
            return self.parts.real(value(index, None))
        *whole, last = index
        if last.axes or last.dynamic:
            raise NotInPlace
        return self.parts.pair(value(tuple(whole), None))[last.const]

    def leads(self, shape: tuple[int, ...]) -> int:
        """How many leading axes of a value of a shape are loops."""
        return len(self.axes) if shape[: len(self.axes)] == self.shape else 0

    def places(self, shape: tuple[int, ...]) -> list[Place]:
        """The elements of a value of a shape, by their index along the axes that are no loops."""
        rest = shape[self.leads(shape) :]
        if np.prod(rest, dtype=np.int64) > FEW:
            raise NotInPlace
        return list(itertools.product(*map(range, rest)))

    def at(self, shape: tuple[int, ...], place: Place) -> IndexTuple:
        """The index of an element of a value of a shape."""
        return (*self.index[: self.leads(shape)], *map(Affine, place))


class Arm:
    """One program of a branch.

    Attributes:
        chosen: whether it is the one.
        once: the statements that run only then, where there are any.
    """

    def __init__(self, chosen: Expr, outs: list[Read], position: Place) -> None:
        self.chosen, self.outs, self.position = chosen, outs, position
        self.advance = Advance([])
        self.once: For | None = None

    def put(self, value: Expr, otherwise: Expr, add: Callable[[Place, For], None]) -> Expr:
        """A value that is computed only if the arm is chosen."""
        if self.once is None:
            self.once = For(Axis(1, "once"), [Leave(self.chosen), self.advance], [])
            # Behind the loops of all arms, for `otherwise` is what others give, and in their order.
            *branch, number = self.position
            add((*branch, LAST, number), self.once)
        name = "_".join(map(str, ("arm", *self.position, len(self.advance.pairs))))
        acc = Acc("set", value.dtype, name, None, otherwise)
        self.once.accs.append(acc)
        self.advance.pairs.append((acc, value))
        return acc


class Elements:
    """The values of one program.

    Attributes:
        given: what the inputs are.
        only: the condition under which the program is run at all.
        add: puts a loop in front of what reads it, given its position in the program.
    """

    def __init__(
        self,
        closed: ClosedJaxpr,
        given: Sequence[Read],
        within: Within,
        add: Callable[[Place, For], None] | None = None,
        only: Expr | None = None,
        position: Place = (),
    ) -> None:
        self.jaxpr = closed.jaxpr
        if closed.effects or any(e.effects for e in self.jaxpr.eqns):
            raise NotInPlace("it has effects")
        self.within, self.add, self.only, self.position = within, add, only, position
        within.programs.append(self)
        self.given: dict[Var, Read] = dict(zip(self.jaxpr.invars, given, strict=True))
        for var, value in zip(self.jaxpr.constvars, closed.consts, strict=True):
            shape, dtype = storage_shape(var.aval)
            buffer = Buffer(shape, dtype, "const")
            within.constants[buffer] = captured(value, dtype)
            self.given[var] = within.reader(buffer, var.aval.dtype)
        self.body = Definitions(self.jaxpr, within.library)
        self.body.operand = self.operand  # the rules' reads are answered here
        self.places: dict[int, Place] = {}
        self.regions: dict[Var, Read] = {}
        self.memo: dict[Any, tuple[Expr, Any]] = {}
        for number, eqn in enumerate(self.jaxpr.eqns):
            for var, rule in zip(eqn.outvars, self.body.rules_of(eqn), strict=False):
                self.body.rules[var], self.body.made_by[var] = rule, eqn
            rule = self.body.rules[eqn.outvars[0]] if eqn.outvars else None
            if isinstance(rule, Region):
                self.places[id(eqn)] = (*position, number)

    def operand(self, atom: Atom) -> Operand:
        """A value as rules see it."""
        shape, dtype = rule_shape(atom.aval)
        if not isinstance(atom, Literal):
            return Operand(shape, dtype, self._reader(atom))
        if shape:
            raise NotInPlace
        constant = Const(np.asarray(to_ndarray(atom.val), atom.aval.dtype)[()], dtype)

        def same(index: IndexTuple, guard: Expr | None) -> Expr:
            return constant

        return Operand(shape, dtype, same)

    def _reader(self, var: Var) -> Read:
        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            return self.read(var, index, guard)

        return read

    def out(self, k: int) -> Read:
        """An output."""
        return self.operand(self.jaxpr.outvars[k]).read

    def read(self, var: Var, index: IndexTuple, guard: Expr | None) -> Expr:
        """An element of a value, 0 where the guard does not hold."""
        guards = self.within.guards
        whole = both(guards[-1], guard)
        key = var, tuple(map(index_key, index)), id(whole)
        found = self.memo.get(key)
        if found is not None:
            return found[0]
        within = self.within
        within.most -= len(index) > len(within.axes)
        within.deepest = max(within.deepest, len(guards))
        if within.most < 0 or len(guards) > DEEPEST:
            raise NotInPlace("its values are read at many places")
        given = self.given.get(var)
        if given is not None:
            value = given(index, guard)
        else:
            guards.append(whole)
            result = self.regions.get(var) or self.region(var)
            value = self.made(var, index) if result is None else result(index, None)
            guards.pop()
            if guard is not None:
                value = select(guard, value, Const(0, value.dtype))
        # What the key was made of must outlive it, for ids are reused.
        self.memo[key] = value, (index, whole)
        return value

    def made(self, var: Var, index: IndexTuple) -> Expr:
        """An element, by the definition of its value."""
        rule = self.body.rules[var]
        shape, dtype = rule_shape(var.aval)
        if isinstance(rule, Map):
            return rule.at(index)
        if isinstance(rule, View):
            source = self.operand(self.body.made_by[var].invars[rule.operand])
            return source.at(split_index(flat_index(index, shape), source.shape))
        if isinstance(rule, Fold):
            return self._folded(rule, index, dtype)
        if isinstance(rule, Scatter):
            return self._scattered(rule, index)
        raise NotInPlace(f"{self.body.made_by[var].primitive.name} is not done element by element")

    def _folded(self, rule: Fold, index: IndexTuple, dtype: np.dtype[Any]) -> Expr:
        count = np.prod(rule.extents, dtype=np.int64)
        if rule.op.startswith("arg") or count > TERMS:
            raise NotInPlace(f"{count} elements are folded into one")
        total: Expr | None = None
        for place in itertools.product(*map(range, rule.extents)):
            value = rule.at(index, tuple(map(Affine, place)))
            total = value if total is None else apply(rule.op, total, value)
        if total is None:
            raise NotInPlace
        return cast(total, dtype)

    def _scattered(self, rule: Scatter, index: IndexTuple) -> Expr:
        if np.prod(rule.extents, dtype=np.int64) > FEW:
            raise NotInPlace("many elements are scattered")
        value = rule.base(index)
        for number in itertools.product(*map(range, rule.extents)):
            place = tuple(map(Affine, number))
            here = rule.guard(place)
            for mine, other in zip(index, rule.target(place), strict=True):
                if not mine.same(other):
                    here = both(here, apply("eq", value_of(mine), value_of(other)))
            new = rule.update(place)
            new = new if rule.op == "set" else apply(rule.op, value, new)
            value = new if here is None else select(here, new, value)
        return value

    def refuse_updates(self, shapes: Set[tuple[int, ...]]) -> None:
        """Raise if few of many elements of an input are changed, of one of these shapes.

        Raises:
            FewUpdates: it should be done where they lie, in memory.
        """
        given = {v for v in self.jaxpr.invars if v.aval.shape in shapes}
        if any(rarely(self.body, eqn, given) for eqn in self.jaxpr.eqns):
            raise FewUpdates("few elements of an array are changed")

    # Control flow.

    def region(self, var: Var) -> Read | None:
        """What a result of a loop, a branch or a call is; None of other eqns."""
        what, eqn = self.body.rules[var], self.body.made_by[var]
        if not isinstance(what, Region):
            return None
        self.within.guards.append(None)
        found = self._results(what, eqn, self.places[id(eqn)])
        self.within.guards.pop()
        self.regions.update(zip(eqn.outvars, found, strict=True))
        return self.regions[var]

    def _results(self, what: Region, eqn: Eqn, position: Place) -> list[Read]:
        given = [self.operand(a).read for a in eqn.invars]
        if what.kind == "branch":
            return self._branch(what.parts["branches"], given, position)
        if what.kind == "call":
            closed = self.within.simplify(what.parts["jaxpr"])
            return outputs_of(Elements(closed, given, self.within, self.add, self.only, position))
        if self.add is None:
            raise NotInPlace(f"a {what.kind} is inside")
        turns = self.within.make(what, given, self.within, self.only)
        self.add(position, turns.loop)
        return [turns.carry(k) for k in range(turns.count)] + [_stacked] * (
            len(eqn.outvars) - turns.count
        )

    def _branch(
        self, branches: Sequence[ClosedJaxpr], given: Sequence[Read], position: Place
    ) -> list[Read]:
        index, last = self.within.parts.real(given[0]((), None)), len(branches) - 1
        arms: list[Arm] = []
        for k, branch in enumerate(branches):
            chosen = _chosen(index, k, last)
            closed, only = self.within.simplify(branch), both(self.only, chosen)
            where = (*position, k)
            arm = Elements(closed, given[1:], self.within, self.add, only, where)
            if self.add is not None and self.within.in_order:
                arm.refuse_updates({v.aval.shape for v in arm.jaxpr.invars})
            arms.append(Arm(chosen, outputs_of(arm), where))
        return [self._choice(arms, k) for k in range(len(arms[0].outs))]

    def _choice(self, arms: Sequence[Arm], k: int) -> Read:
        """A result of a branch: what the arm that is chosen gives."""

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            found = [(arm, arm.outs[k](index, None)) for arm in arms]
            # Only one arm is chosen, so that any may be the one that stands for all others.
            first = min(found, key=lambda pair: expr_cost(pair[1]))
            value = first[1]
            for arm, own in (pair for pair in found if pair is not first):
                apart = _is_costly(own) and not self.within.axes and own.dtype.kind != "c"
                if self.add is None or not apart:
                    value = Apply("select", (arm.chosen, own, value), value.dtype, "branch")
                else:
                    real = self.within.parts.real
                    value = arm.put(real(own), real(value), self.add)
            return value if guard is None else select(guard, value, Const(0, value.dtype))

        return read


def _chosen(index: Expr, k: int, last: int) -> Expr:
    """Whether an index names a branch: below 0 the first, above the last."""
    if last == 1 and isinstance(index, Apply) and index.op == "cast":
        (given,) = index.args
        if given.dtype == boolean:
            return given if k else apply("not", given)
    how = "le" if not k else "ge" if k == last else "eq"
    return apply(how, index, const(k, index.dtype))


def _stacked(index: IndexTuple, guard: Expr | None) -> Expr:
    raise NotInPlace


def _is_costly(x: Expr) -> bool:
    return expr_cost(x) >= COSTLY


def outputs_of(program: Elements) -> list[Read]:
    """The outputs of a program."""
    return [program.out(k) for k in range(len(program.jaxpr.outvars))]
