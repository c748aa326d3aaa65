"""Jaxpr to definitions: what each eqn computes, and which values are kept in memory.

In: a simplified jaxpr. Out: `Program`, a list of items in the order of the eqns: nests (values
computed by loops), contractions, kernels of the library, regions and call-outs. The one idea: a
value is a rule that says its element at an index, so it is inlined by asking for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..ir import narrow
from ..ir.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from ..ir.loops import (
    Affine,
    Apply,
    Axis,
    Const,
    Contract,
    Expr,
    Fold,
    IndexTuple,
    Library,
    Load,
    Map,
    Native,
    Operand,
    Region,
    Running,
    Scatter,
    View,
    apply,
    axis_index,
    both,
    const,
    flat_index,
    select,
    split_index,
    value_of,
)
from ..ir.nests import Buffer
from ..ir.printing import letters, names_of
from .blaming import name_eqns
from .contract import as_fold, wants_fold
from .dying import takers
from .emit.llvm_ops import supported
from .inlining import Inlining
from .items import ByHand, LibraryBuilder, Nest, Program, Step
from .parts import NoParts, Parts, part_dtype
from .products import Added, Products, products
from .rules import Chosen, TooManyPlaces, as_map, index_key, rule_shape
from .storage import storage_shape
from .sums import add_in_place
from .views import backwards, parts, strided, unmoved

# Places at which one inlined value may be read: what reads its own parts doubles at every step.
_MOST_PLACES = 128
_LOOPED = (Map, Fold, Running, Scatter)
# What is done to the parts of complex numbers is done to the numbers.
_OF_PARTS = {"add", "set"}


# What the results of a branch are, element by element; None where that cannot be said.
Choose = Callable[["Definitions", Region, Eqn], list[Any] | None]


class Definitions:
    """The values of one jaxpr while it is lowered."""

    def __init__(
        self,
        jaxpr: Jaxpr,
        library: LibraryBuilder,
        halves: bool = False,
        choose: Choose | None = None,
        in_order: bool = True,
        kept: int = 0,
    ) -> None:
        self.jaxpr = jaxpr
        self.in_order = in_order  # the updates of a scatter are done one after the other
        self.kept = kept  # inputs that are the same in all turns of the loop it is the body of
        # Of updated values the operand whose memory they may take: see `dying`.
        self.takes: dict[Var, Var] = {}
        self.choose = choose
        self.library = library
        self.halves = halves  # 16-bit floats have kernels of products
        self.buffers: dict[Var, Buffer] = {}
        self.constants: dict[Buffer, np.ndarray[Any, Any]] = {}
        self.views: dict[Buffer, Buffer] = {}
        # Complex values that loops compute lie in two buffers, one for each part; who needs them as
        # one piece of memory is `wanted`.
        self.planes: dict[Var, tuple[Buffer, Buffer]] = {}
        self.wanted: set[Var] = set()
        self.owner: dict[Buffer, Var] = {}
        self.parts = Parts()
        self.rules: dict[Var, Any] = {}
        self.made_by: dict[Var, Eqn] = {}
        self.inlined: set[Var] = set()
        # Values that are one number everywhere, which nobody has to read.
        self.uniform: dict[Var, Const] = {}
        # What was read before may be another expression now: see `choices`.
        self.round = 0
        # Of results of branches, what they are made of; of other branches, why they are steps.
        self.chosen: dict[Var, Chosen] = {}
        self.why: dict[int, str] = {}
        # Branches that change few of many elements of an operand.
        self.updating: set[int] = set()
        self._guards: list[Expr | None] = [None]
        self._places: Counter[Var] = Counter()
        self._memo: dict[Any, tuple[Expr, Any]] = {}
        # Buffers bear the names under which the jaxpr is printed.
        self._names = names_of(jaxpr)
        self._count = len(self._names.known)

    # Buffers and operands.

    def buffer(self, var: Var) -> Buffer:
        """The memory of a variable."""
        found = self.buffers.get(var)
        if found is None:
            shape, dtype = storage_shape(var.aval)
            found = self.buffers[var] = Buffer(shape, dtype, self._names(var))
            self.owner[found] = var
        return found

    def planes_of(self, var: Var) -> tuple[Buffer, Buffer]:
        """The memory of the parts of a complex variable."""
        found = self.planes.get(var)
        if found is None:
            shape, dtype = var.aval.shape, part_dtype(var.aval.dtype)
            names = (f"{self._names(var)}_re", f"{self._names(var)}_im")
            found = self.planes[var] = (
                Buffer(shape, dtype, names[0]),
                Buffer(shape, dtype, names[1]),
            )
            self.owner.update(dict.fromkeys(found, var))
        return found

    def buffer_of(self, atom: Atom) -> Buffer:
        """The memory of an atom; a literal gets memory of its own."""
        if not isinstance(atom, Literal):
            self.wanted.add(atom)
            return self.buffer(atom)
        value = np.asarray(to_ndarray(atom.val), atom.aval.dtype)
        self._count += 1
        shape, dtype = storage_shape(atom.aval)
        made = Buffer(shape, dtype, letters(self._count - 1))
        self.constants[made] = value if value.dtype == dtype else value[..., None].view(dtype)
        return made

    def operand(self, atom: Atom) -> Operand:
        """An atom as lowering rules see it."""
        shape, dtype = rule_shape(atom.aval)
        if isinstance(atom, Literal):
            value = np.asarray(to_ndarray(atom.val), atom.aval.dtype)[()]
            constant = Const(value, dtype)

            def same(index: IndexTuple, guard: Expr | None) -> Expr:
                return constant

            return Operand(shape, dtype, same)

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            return self.read(atom, index, guard)

        return Operand(shape, dtype, read)

    @property
    def guard(self) -> Expr | None:
        """The condition under which values are asked for."""
        return self._guards[-1]

    @contextmanager
    def unguarded(self) -> Generator[Expr | None]:
        """Ask for values under no condition; what is given is the one that held before."""
        depth = len(self._guards)
        self._guards.append(None)
        try:
            yield self._guards[depth - 1]
        finally:
            del self._guards[depth:]

    def read(self, var: Var, index: IndexTuple, guard: Expr | None) -> Expr:
        """The element of a variable: a load, or the expression of its definition."""
        rule = self.rules.get(var)
        outer = self._guards[-1]
        whole = both(outer, guard)
        shape = rule_shape(var.aval)[0]
        if isinstance(rule, View):
            source = self.made_by[var].invars[rule.operand]
            inner = rule_shape(source.aval)[0]
            through = split_index(flat_index(index, shape), inner)
            if not isinstance(source, Literal) and not any(i.dynamic for i in through):
                return self.read(source, through, guard)
        uniform = self.uniform.get(var)
        if uniform is not None:
            return uniform if guard is None else select(guard, uniform, Const(0, uniform.dtype))
        if var not in self.inlined:
            if var.aval.dtype.kind == "c":
                return self._load_complex(var, index, whole)
            return self._load(self.buffer(var), index, whole)
        key = (var, tuple(index_key(i) for i in index), id(whole))
        found = self._memo.get(key)
        if found is not None:
            return found[0]
        assert isinstance(rule, Map)
        self._places[var] += 1
        if self._places[var] > _MOST_PLACES:
            raise TooManyPlaces(var)
        self._guards.append(whole)
        value = rule.at(index)
        self._guards.pop()
        if guard is not None and not (isinstance(value, Load) and value.guard is not None):
            value = select(guard, value, Const(0, value.dtype))
        # What the key was made of must outlive it, for ids are reused.
        self._memo[key] = (value, (index, whole))
        return value

    def _load(self, buffer: Buffer, index: IndexTuple, guard: Expr | None) -> Expr:
        key = (buffer, tuple(index_key(i) for i in index), id(guard))
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = (Load(buffer, index, buffer.dtype, guard), guard)
        return found[0]

    def _load_complex(self, var: Var, index: IndexTuple, guard: Expr | None) -> Expr:
        if isinstance(self.rules.get(var), _LOOPED):
            parts = tuple(self._load(b, index, guard) for b in self.planes_of(var))
        else:
            self.wanted.add(var)
            whole = self.buffer(var)
            parts = tuple(self._load(whole, (*index, Affine(k)), guard) for k in range(2))
        key = (id(parts[0]), id(parts[1]))
        if key not in self._memo:
            self._memo[key] = Apply("complex", parts, var.aval.dtype), parts
        return self._memo[key][0]

    # Rules.

    def define(self) -> None:
        """Ask every eqn's primitive for its lowering."""
        for eqn in self.jaxpr.eqns:
            rules = self.rules_of(eqn)
            for var, rule in zip(eqn.outvars, rules, strict=False):
                self.rules[var] = rule
                self.made_by[var] = eqn
            if any(a.aval.dtype.kind == "c" for a in (*eqn.invars, *eqn.outvars)):
                self._without_parts(eqn)

    def _without_parts(self, eqn: Eqn) -> None:
        """Take back rules whose values cannot be computed by parts."""
        try:
            for var in eqn.outvars:
                rule = self.rules[var]
                if isinstance(rule, _LOOPED):
                    self.nests(var)
        except NoParts:
            self.rules.update(dict.fromkeys(eqn.outvars))

    def rules_of(self, eqn: Eqn) -> list[Any]:
        """What each output of an eqn is."""
        try:
            return self._rules_of(eqn)
        except Exception as error:
            name_eqns(error, [eqn])
            raise

    def _rules_of(self, eqn: Eqn) -> list[Any]:
        count = max(len(eqn.outvars), 1)
        avals = [*(a.aval for a in eqn.invars), *(v.aval for v in eqn.outvars)]
        held = all(supported(storage_shape(a)[1]) for a in avals)
        complexes = any(a.dtype.kind == "c" for a in avals)
        if eqn.primitive.widens and any(narrow.is_narrow(a.dtype) for a in avals):
            return [None] * count
        operands = [self.operand(a) for a in eqn.invars]
        if held and eqn.outvars and not (eqn.effects or any(v.aval.size for v in eqn.outvars)):
            return [as_map(None, v.aval) for v in eqn.outvars]
        lowered: Any = eqn.primitive.lower(operands, [v.aval for v in eqn.outvars], **eqn.params)
        if isinstance(lowered, Region):
            found = self.choose(self, lowered, eqn) if self.choose is not None and held else None
            return found or [lowered] * count
        if eqn.effects or not held or lowered is None:
            return [None] * count
        if isinstance(lowered, Native):
            return [lowered] * count
        if isinstance(lowered, Library):
            taken = lowered.of_complex or not complexes
            lowered = self._by_hand(lowered, eqn) if taken else lowered.otherwise
            if lowered is None:
                return [None] * count
        if isinstance(lowered, Contract):
            left, right = operands
            if wants_fold(lowered, left, right, eqn.outvars[0].aval.dtype, self.halves):
                lowered = as_fold(lowered, left, right)
            else:
                views = partial(strided, self)
                lowered = products(lowered, eqn.invars, views, 16 if self.halves else 0)
        several: Any = lowered if lowered.__class__ is list else [lowered] * count
        return [as_map(rule, v.aval) for rule, v in zip(several, eqn.outvars, strict=False)]

    def _by_hand(self, what: Library, eqn: Eqn) -> Any:
        """The kernel of the library, reading through reversals if it can, or what stands in."""
        plain = [(a, ()) for a in eqn.invars]
        for sides in ([backwards(self, a) for a in eqn.invars], plain):
            sources, back = zip(*sides, strict=True)
            kernel = self.library(what, eqn, back)
            if kernel is not None:
                read, lie = parts(self, sources, kernel.parts)
                return ByHand(kernel, read, back, lie)
        return what.otherwise

    # Nests.

    def nests(self, var: Var) -> list[Nest]:
        """The nests that compute a variable: one, or one for each part of a complex number."""
        if var.aval.dtype.kind == "c":
            return [self._nest(var, b, k) for k, b in enumerate(self.planes_of(var))]
        return [self._nest(var, self.buffer(var), None)]

    def _nest(self, var: Var, target: Buffer, part: int | None) -> Nest:
        rule, eqn = self.rules[var], self.made_by[var]
        kept = tuple(Axis(n, f"i{k}") for k, n in enumerate(target.shape))
        index = tuple(axis_index(a) for a in kept)

        def value(x: Expr) -> Expr:
            return self.parts.real(x) if part is None else self.parts.pair(x)[part]

        if isinstance(rule, Map):
            return Nest("map", target, kept, (), value(rule.at(index)), "", eqn, target.dtype)
        whole = rule.op in _OF_PARTS
        if part is not None and not whole:
            raise NoParts(rule.op)
        if isinstance(rule, Fold):
            folded = tuple(Axis(n, f"r{k}") for k, n in enumerate(rule.extents))
            inner = value(rule.at(index, tuple(axis_index(a) for a in folded)))
            dtype = part_dtype(rule.dtype)
            return Nest("fold", target, kept, folded, inner, rule.op, eqn, dtype)
        if isinstance(rule, Running):
            inner, dtype = value(rule.at(index)), part_dtype(rule.dtype)
            nest = Nest("running", target, kept, (), inner, rule.op, eqn, dtype)
            nest.axis, nest.reverse = rule.axis, rule.reverse
            return nest
        folded = tuple(Axis(n, f"u{k}") for k, n in enumerate(rule.extents))
        place = tuple(axis_index(a) for a in folded)
        inner = value(rule.update(place))
        nest = Nest("scatter", target, kept, folded, inner, rule.op, eqn, target.dtype)
        nest.index, nest.guard = rule.target(place), rule.guard(place)
        nest.base, nest.apart, nest.takes = value(rule.base(index)), rule.apart, var in self.takes
        return nest

    def _joined(self, var: Var) -> Nest:
        """The nest that brings the parts of a complex variable into one piece of memory."""
        target, planes = self.buffer(var), self.planes_of(var)
        kept = tuple(Axis(n, f"i{k}") for k, n in enumerate(target.shape))
        index = tuple(axis_index(a) for a in kept)
        parts = [Load(b, index[:-1], b.dtype, None) for b in planes]
        first = apply("eq", value_of(index[-1]), const(0, np.int64))
        value = select(first, *parts)
        eqn, op = self.made_by[var], "side by side"
        return Nest("map", target, kept, (), value, op, eqn, target.dtype)

    def _copied(self, source: Buffer, order: tuple[int, ...], eqn: Eqn) -> Nest:
        """The nest that copies a buffer with its axes in this order."""
        self._count += 1
        shape = tuple(source.shape[a] for a in order)
        target = Buffer(shape, source.dtype, letters(self._count - 1))
        kept = tuple(Axis(n, f"i{k}") for k, n in enumerate(shape))
        places = dict(zip(order, map(axis_index, kept), strict=True))
        index = tuple(places[a] for a in range(len(shape)))
        value = Load(source, index, source.dtype, None)
        return Nest("map", target, kept, (), value, "", eqn, source.dtype)

    def program(self) -> Program:
        """The items of the whole jaxpr."""
        self.define()
        if not self.halves:
            add_in_place(self)
        self.takes = takers(self, self.kept)
        self.inlined = Inlining(self.jaxpr, self).chosen()
        unmoved(self)
        while (items := self._all_items()) is None:
            pass
        for eqn in reversed(self.jaxpr.eqns):
            rule = self.rules[eqn.outvars[0]] if eqn.outvars else None
            if isinstance(rule, View) and eqn.outvars[0] in self.wanted:
                self.buffer_of(eqn.invars[rule.operand])
        whole = [self._joined(x) if isinstance(x, Var) else x for x in items if self._is_needed(x)]
        inputs = [self.buffer(v) for v in [*self.jaxpr.constvars, *self.jaxpr.invars]]
        outputs = [self.buffer_of(a) for a in self.jaxpr.outvars]
        return Program(inputs, outputs, whole, self.constants, self.views)

    def _all_items(self) -> list[Nest | Step | Var] | None:
        """The items of all eqns; None if a value had to be given memory first."""
        self._memo.clear()
        self.round += 1
        self._places.clear()
        self._guards[1:] = []
        self.views.clear()
        self.constants.clear()
        self.wanted = {a for a in self.jaxpr.outvars if not isinstance(a, Literal)}
        try:
            return [item for eqn in self.jaxpr.eqns for item in self._items(eqn)]
        except TooManyPlaces as found:
            self.inlined.discard(found.var)
            return None

    def _is_needed(self, item: Nest | Step | Var) -> bool:
        return not isinstance(item, Var) or item in self.wanted

    def _items(self, eqn: Eqn) -> list[Nest | Step | Var]:
        """What an eqn becomes; a variable where its parts may have to be joined."""
        items: list[Nest | Step | Var] = []
        rules = [self.rules[v] for v in eqn.outvars]
        looped = [v for v, r in zip(eqn.outvars, rules, strict=True) if isinstance(r, _LOOPED)]
        if looped:
            for v in looped:
                if v not in self.inlined:
                    items += self.nests(v)
                    items += [v] if v in self.planes else []
            return items
        rule = rules[0] if rules else self.rules_of(eqn)[0]
        if isinstance(rule, View):
            atom = eqn.invars[rule.operand]
            if atom in self.inlined:
                return items
            source = self.buffer_of(atom) if isinstance(atom, Literal) else self.buffer(atom)
            self.views[self.buffer(eqn.outvars[0])] = source
            return items
        outputs = [self.buffer(v) for v in eqn.outvars]
        if isinstance(rule, Products):
            inputs = [self.buffer_of(s.source) for s in rule.sides]
            for k, side in enumerate(rule.sides):
                if side.order is not None:
                    copy = self._copied(inputs[k], side.order, eqn)
                    items.append(copy)
                    inputs[k] = copy.target
            if rule.into is None:
                return [*items, Step(rule.gemm, eqn, inputs, outputs)]
            there = self.views[outputs[0]] = self.buffer_of(rule.into.there)
            return [*items, Step(rule.gemm, rule.into.eqn, [*inputs, there], outputs, sum=eqn)]
        if isinstance(rule, Added):
            return items
        sources = rule.sources if isinstance(rule, ByHand) else eqn.invars
        inputs = [self.buffer_of(a) for a in sources]
        return [*items, Step(rule, eqn, inputs, outputs, self.why.get(id(eqn), ""))]
