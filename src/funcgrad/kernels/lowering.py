"""Jaxpr to definitions: what each eqn computes, and which values are kept in memory.

In: a simplified jaxpr. Out: `Program`, a list of items in the order of the eqns: nests (values
computed by loops), contractions, kernels of the library, regions and call-outs. The one idea: a
value is inlined into the expressions of its readers unless it is read from memory by something
else, is costly and read twice, or would be computed more often than it has elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..core.array import to_ndarray
from ..ir.avals import ShapedArray
from ..ir.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from ..ir.loops import (
    Affine,
    Axis,
    Const,
    Contract,
    DType,
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
    axis_index,
    both,
    cast,
    flat_index,
    select,
    split_index,
)
from ..ir.nests import Buffer, expr_cost, loads_of, offset_of
from ..ir.printing import letters, names_of
from .contract import as_fold, wants_fold
from .emit.llvm_ops import supported
from .library import LibraryKernel
from .library.gemm import Gemm
from .linking import storage_shape
from .products import Products, products

_CHEAP = 4.0
_DEEPEST = 40


# Of each operand, the axes along which it is read backwards.
Backwards = tuple[tuple[int, ...], ...]
LibraryBuilder = Callable[[Library, Eqn, Backwards], LibraryKernel | None]


class ByHand(NamedTuple):
    """A kernel of the library, and what it reads for each operand of the eqn."""

    kernel: LibraryKernel
    sources: tuple[Atom, ...]
    backwards: Backwards


@dataclass(eq=False)
class Nest:
    """One value computed by loops over `kept` axes, with `folded` axes inside for a fold.

    Attributes:
        kind: map, fold, running or scatter.
        target: the buffer of the value.
        kept: an axis for each axis of the target.
        folded: axes of a fold, or of the updates of a scatter.
        value: the element, or what is folded, run over or combined.
        op: how values are folded.
    """

    kind: str
    target: Buffer
    kept: tuple[Axis, ...]
    folded: tuple[Axis, ...]
    value: Expr
    op: str
    eqn: Eqn
    dtype: DType
    index: IndexTuple = ()
    guard: Expr | None = None
    base: Expr | None = None
    axis: int = 0
    reverse: bool = False


@dataclass(eq=False)
class Step:
    """An eqn that is no nest: products, a kernel by hand or of the user, a region, a call-out."""

    what: Gemm | ByHand | Native | Region | None
    eqn: Eqn
    inputs: list[Buffer]
    outputs: list[Buffer]


@dataclass(eq=False)
class Program:
    """A jaxpr as items in order, over buffers.

    Attributes:
        constants: values of literals that must be in memory.
        views: buffers that are the memory of another buffer under another shape.
    """

    inputs: list[Buffer]
    outputs: list[Buffer]
    items: list[Nest | Step]
    constants: dict[Buffer, np.ndarray[Any, Any]]
    views: dict[Buffer, Buffer]


class Definitions:
    """The values of one jaxpr while it is lowered."""

    def __init__(self, jaxpr: Jaxpr, library: LibraryBuilder) -> None:
        self.jaxpr = jaxpr
        self.library = library
        self.buffers: dict[Var, Buffer] = {}
        self.constants: dict[Buffer, np.ndarray[Any, Any]] = {}
        self.views: dict[Buffer, Buffer] = {}
        self.rules: dict[Var, Any] = {}
        self.made_by: dict[Var, Eqn] = {}
        self.inlined: set[Var] = set()
        self._guards: list[Expr | None] = [None]
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
        return found

    def buffer_of(self, atom: Atom) -> Buffer:
        """The memory of an atom; a literal gets memory of its own."""
        if not isinstance(atom, Literal):
            return self.buffer(atom)
        value = np.asarray(to_ndarray(atom.val), atom.aval.dtype)
        self._count += 1
        made = Buffer(value.shape, value.dtype, letters(self._count - 1))
        self.constants[made] = value
        return made

    def operand(self, atom: Atom) -> Operand:
        """An atom as lowering rules see it."""
        shape, dtype = storage_shape(atom.aval)
        if isinstance(atom, Literal):
            value = np.asarray(to_ndarray(atom.val), atom.aval.dtype)[()]
            constant = Const(value, dtype)

            def same(index: IndexTuple, guard: Expr | None) -> Expr:
                return constant

            return Operand(shape, dtype, same)

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            return self.read(atom, index, guard)

        return Operand(shape, dtype, read)

    def read(self, var: Var, index: IndexTuple, guard: Expr | None) -> Expr:
        """The element of a variable: a load, or the expression of its definition."""
        rule = self.rules.get(var)
        outer = self._guards[-1]
        whole = both(outer, guard)
        shape = storage_shape(var.aval)[0]
        if isinstance(rule, View):
            source = self.made_by[var].invars[rule.operand]
            inner = storage_shape(source.aval)[0]
            through = split_index(flat_index(index, shape), inner)
            if not isinstance(source, Literal) and not any(i.dynamic for i in through):
                return self.read(source, through, guard)
        if var not in self.inlined:
            return self._load(self.buffer(var), index, whole)
        key = (var, tuple(_index_key(i) for i in index), id(whole))
        found = self._memo.get(key)
        if found is not None:
            return found[0]
        assert isinstance(rule, Map)
        self._guards.append(whole)
        value = rule.at(index)
        self._guards.pop()
        if guard is not None and not (isinstance(value, Load) and value.guard is not None):
            value = select(guard, value, Const(0, value.dtype))
        # What the key was made of must outlive it, for ids are reused.
        self._memo[key] = (value, (index, whole))
        return value

    def _load(self, buffer: Buffer, index: IndexTuple, guard: Expr | None) -> Expr:
        key = (buffer, tuple(_index_key(i) for i in index), id(guard))
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = (Load(buffer, index, buffer.dtype, guard), guard)
        return found[0]

    # Rules.

    def define(self) -> None:
        """Ask every eqn's primitive for its lowering."""
        for eqn in self.jaxpr.eqns:
            rules = self._rules_of(eqn)
            for var, rule in zip(eqn.outvars, rules, strict=False):
                self.rules[var] = rule
                self.made_by[var] = eqn

    def _rules_of(self, eqn: Eqn) -> list[Any]:
        count = max(len(eqn.outvars), 1)
        avals = [*(a.aval for a in eqn.invars), *(v.aval for v in eqn.outvars)]
        held = all(supported(storage_shape(a)[1]) for a in avals)
        operands = [self.operand(a) for a in eqn.invars]
        if held and eqn.outvars and not (eqn.effects or any(v.aval.size for v in eqn.outvars)):
            return [as_map(None, v.aval) for v in eqn.outvars]
        lowered: Any = eqn.primitive.lower(operands, [v.aval for v in eqn.outvars], **eqn.params)
        if isinstance(lowered, Region):
            return [lowered] * count
        if eqn.effects or not held or lowered is None:
            return [None] * count
        if isinstance(lowered, Native):
            return [lowered] * count
        if isinstance(lowered, Library):
            lowered = self._by_hand(lowered, eqn)
        if isinstance(lowered, Contract):
            left, right = operands
            if wants_fold(lowered, left, right, eqn.outvars[0].aval.dtype):
                lowered = as_fold(lowered, left, right)
            else:
                lowered = products(lowered, eqn.invars, self.strided)
        several: Any = lowered if lowered.__class__ is list else [lowered] * count
        return [as_map(rule, v.aval) for rule, v in zip(several, eqn.outvars, strict=False)]

    def _by_hand(self, what: Library, eqn: Eqn) -> Any:
        """The kernel of the library, reading through reversals if it can, or what stands in."""
        plain = [(a, ()) for a in eqn.invars]
        for sides in ([self._reversed(a) for a in eqn.invars], plain):
            sources, backwards = zip(*sides, strict=True)
            kernel = self.library(what, eqn, backwards)
            if kernel is not None:
                return ByHand(kernel, sources, backwards)
        return what.otherwise

    def _reversed(self, atom: Atom) -> tuple[Atom, tuple[int, ...]]:
        """What an operand is with some axes backwards, and these axes; itself where it is not."""
        rule = None if isinstance(atom, Literal) else self.rules.get(atom)
        if isinstance(rule, Map):
            index = tuple(axis_index(Axis(n)) for n in atom.aval.shape)
            value = rule.at(index)
            if isinstance(value, Load) and value.guard is None and value.dtype == atom.aval.dtype:
                source, shape = self._source_of_view(value.source), value.source.shape
                ends = zip(value.index, index, shape, strict=False)
                back = [i.same(n - 1 - k) and not i.same(k) for i, k, n in ends]
                pairs = zip(value.index, index, back, strict=False)
                same = shape == atom.aval.shape and all(b or i.same(k) for i, k, b in pairs)
                if source is not None and same:
                    return source, tuple(a for a, b in enumerate(back) if b)
        return atom, ()

    def strided(self, atom: Atom) -> tuple[Atom, tuple[int, ...]] | None:
        """What an operand is a view of: a variable, and the strides of the operand's axes in it."""
        shape = atom.aval.shape
        if isinstance(atom, Literal):
            return None
        rule = self.rules.get(atom)
        axes = tuple(Axis(n, "i") for n in shape)
        index = tuple(axis_index(a) for a in axes)
        if isinstance(rule, Map):
            trial = rule.at(index)
            if not isinstance(trial, Load) or trial.guard is not None:
                return None
            source = next((v for v, b in self.buffers.items() if b is trial.source), None)
            offset = offset_of(trial.source, trial.index)
        else:
            source, offset = atom, flat_index(index, shape)
        if source is None or offset.const or offset.dynamic or source.aval.dtype != atom.aval.dtype:
            return None
        return source, tuple(offset.axes.get(a, 0) for a in axes)

    # What stays in memory.

    def decide(self) -> None:
        """Choose the values that are inlined, readers before what they read."""
        readers = self._readers()
        domain: dict[Var, int] = {}
        depth: dict[Var, int] = {}
        for eqn in reversed(self.jaxpr.eqns):
            for var in eqn.outvars:
                found = readers.get(var)
                if not isinstance(self.rules[var], Map):
                    continue
                if found is None:
                    # Nobody reads it: what it is a view of is read instead.
                    self.inlined.add(var)
                    continue
                if any(how is None for _, how, _ in found):
                    continue
                most = max(
                    domain.get(out, size) if out in self.inlined else size for out, _, size in found
                )
                times = sum(how or 0 for _, how, _ in found)
                deep = 1 + max(depth.get(out, 0) for out, _, _ in found)
                if deep <= _DEEPEST and self._worth_inlining(var, times, most):
                    self.inlined.add(var)
                    domain[var], depth[var] = max(most, 1), deep

    def _readers(self) -> dict[Var, list[tuple[Var, int | None, int]]]:
        """Who reads each variable, how often an element (None: as memory), over how many."""
        readers: dict[Var, list[tuple[Var, int | None, int]]] = {}
        self.trial: dict[Var, tuple[float, int]] = {}
        for eqn in self.jaxpr.eqns:
            if not eqn.outvars:
                for atom in eqn.invars:
                    if not isinstance(atom, Literal):
                        readers.setdefault(atom, []).append((atom, None, 0))
            for var in eqn.outvars:
                rule = self.rules[var]
                for source, times in self._reads(eqn, var, rule).items():
                    size = _domain(rule, var)
                    readers.setdefault(source, []).append((var, times, size))
        for atom in self.jaxpr.outvars:
            if not isinstance(atom, Literal):
                readers.setdefault(atom, []).append((atom, None, 0))
        return readers

    def _reads(self, eqn: Eqn, var: Var, rule: Any) -> dict[Var, int | None]:
        sources = [a for a in eqn.invars if not isinstance(a, Literal)]
        if isinstance(rule, Products):
            return dict.fromkeys(s.source for s in rule.sides if not isinstance(s.source, Literal))
        if isinstance(rule, ByHand):
            return dict.fromkeys(a for a in rule.sources if not isinstance(a, Literal))
        if not isinstance(rule, (Map, Fold, Running, Scatter)):
            return dict.fromkeys(sources)
        nest = self.nest(var)
        roots = [nest.value, nest.guard, nest.base, *(e for i in nest.index for e, _ in i.dynamic)]
        loads = loads_of(*roots)
        self.trial[var] = (sum(expr_cost(r) for r in roots if r is not None), len(loads))
        back = {self.buffers[s]: s for s in sources if s in self.buffers}
        result: dict[Var, int | None] = {}
        for load in loads:
            source = back.get(load.source) or self._source_of_view(load.source)
            if source is not None:
                result[source] = (result.get(source) or 0) + 1
        return result

    def _source_of_view(self, buffer: Buffer) -> Var | None:
        return next((v for v, b in self.buffers.items() if b is buffer), None)

    def _worth_inlining(self, var: Var, times: int, domain: int) -> bool:
        cost, _ = self.trial[var]
        size = max(var.aval.size, 1)
        cheap = cost <= _CHEAP and self._big_loads(var) <= 1
        return cheap or (times <= 1 and domain <= size)

    def _big_loads(self, var: Var) -> int:
        """How many operands are as large as the value."""
        eqn, size = self.made_by[var], var.aval.size
        return sum(
            not isinstance(a, Literal) and a.aval.size >= size and size > 1 for a in eqn.invars
        )

    # Nests.

    def nest(self, var: Var) -> Nest:
        """The nest that computes a variable into its buffer."""
        target, rule, eqn = self.buffer(var), self.rules[var], self.made_by[var]
        kept = tuple(Axis(n, f"i{k}") for k, n in enumerate(target.shape))
        index = tuple(axis_index(a) for a in kept)
        if isinstance(rule, Map):
            return Nest("map", target, kept, (), rule.at(index), "", eqn, target.dtype)
        if isinstance(rule, Fold):
            folded = tuple(Axis(n, f"r{k}") for k, n in enumerate(rule.extents))
            value = rule.at(index, tuple(axis_index(a) for a in folded))
            return Nest("fold", target, kept, folded, value, rule.op, eqn, rule.dtype)
        if isinstance(rule, Running):
            nest = Nest("running", target, kept, (), rule.at(index), rule.op, eqn, rule.dtype)
            nest.axis, nest.reverse = rule.axis, rule.reverse
            return nest
        folded = tuple(Axis(n, f"u{k}") for k, n in enumerate(rule.extents))
        place = tuple(axis_index(a) for a in folded)
        nest = Nest("scatter", target, kept, folded, rule.update(place), rule.op, eqn, target.dtype)
        nest.index, nest.guard = rule.target(place), rule.guard(place)
        nest.base = rule.base(index)
        return nest

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
        self.decide()
        self._memo.clear()
        items: list[Nest | Step] = []
        for eqn in self.jaxpr.eqns:
            rules = [self.rules[v] for v in eqn.outvars]
            looped = [
                v for v in eqn.outvars if isinstance(self.rules[v], (Map, Fold, Running, Scatter))
            ]
            if looped:
                items += [self.nest(v) for v in looped if v not in self.inlined]
                continue
            rule = rules[0] if rules else self._rules_of(eqn)[0]
            if isinstance(rule, View):
                source = self.buffer_of(eqn.invars[rule.operand])
                self.views[self.buffer(eqn.outvars[0])] = source
                continue
            outputs = [self.buffer(v) for v in eqn.outvars]
            if isinstance(rule, Products):
                inputs = [self.buffer_of(s.source) for s in rule.sides]
                for k, side in enumerate(rule.sides):
                    if side.order is not None:
                        copy = self._copied(inputs[k], side.order, eqn)
                        items.append(copy)
                        inputs[k] = copy.target
                items.append(Step(rule.gemm, eqn, inputs, outputs))
                continue
            sources = rule.sources if isinstance(rule, ByHand) else eqn.invars
            items.append(Step(rule, eqn, [self.buffer_of(a) for a in sources], outputs))
        inputs = [self.buffer(v) for v in [*self.jaxpr.constvars, *self.jaxpr.invars]]
        outputs = [self.buffer_of(a) for a in self.jaxpr.outvars]
        return Program(inputs, outputs, items, self.constants, self.views)


def as_map(rule: Any, aval: ShapedArray) -> Any:
    """A fold of one value each is that value; of no elements there is nothing to say."""
    if not aval.size:
        return constant_map(storage_shape(aval)[1])
    if not isinstance(rule, Fold) or any(n != 1 for n in rule.extents):
        return rule
    inner = tuple(Affine() for _ in rule.extents)
    dtype = storage_shape(aval)[1]
    if rule.op.startswith("arg"):
        return constant_map(dtype)

    def at(index: IndexTuple) -> Expr:
        return cast(rule.at(index, inner), dtype)

    return Map(at)


def constant_map(dtype: DType) -> Map:
    """0 everywhere."""

    def at(index: IndexTuple) -> Expr:
        return Const(0, dtype)

    return Map(at)


def _domain(rule: Any, var: Var) -> int:
    """How many times the expression of a rule is evaluated."""
    size = max(var.aval.size, 1)
    if isinstance(rule, (Fold, Scatter)):
        extents = 1
        for n in rule.extents:
            extents *= n
        return size * extents if isinstance(rule, Fold) else max(size, extents)
    return size


def _index_key(index: Affine) -> Any:
    dynamic = tuple((id(e), c) for e, c in index.dynamic)
    return index.const, frozenset(index.axes.items()), dynamic
