"""Loops whose carry lives in registers.

In: a scan whose body computes element by element. Out: kernels with the turns inside: for each
element (or vector of elements) its carry goes through all turns before the next one begins. The
one idea: where an element of the next carry depends on that element of the last carry alone, the
loop over turns and the loops over elements may change places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..ir.jaxpr import Atom, ClosedJaxpr, Literal, Var
from ..ir.loops import (
    Affine,
    Axis,
    Const,
    Expr,
    IndexTuple,
    Load,
    Map,
    Operand,
    axis_index,
    both,
    select,
)
from ..ir.nests import Acc, Advance, Buffer, For, Kernel, Node, Store, expr_cost
from .chunks import buffers_of_body, chunks_of, written_in
from .collapse import collapse
from .items import LibraryBuilder, Step
from .linking import storage_shape
from .lowering import Definitions

_NANOSECONDS = 0.06
_SCALAR_NANOSECONDS = 0.5


class NotPointwise(Exception):
    """The body reads carried values at other places than it writes them."""


class Turn:
    """The expressions of one turn of a body, at one place."""

    def __init__(
        self,
        step: Step,
        closed: ClosedJaxpr,
        parts: dict[str, Any],
        library: LibraryBuilder,
        shape: tuple[int, ...],
    ) -> None:
        self.step, self.closed = step, closed
        self.length: int = parts["length"]
        self.body = Definitions(closed.jaxpr, library)
        self.body.operand = self._operand  # the body's reads are answered here
        self.time = Axis(self.length, "t")
        self.axes = tuple(Axis(n, f"i{k}") for k, n in enumerate(shape))
        self.place = tuple(axis_index(a) for a in self.axes)
        at = axis_index(self.time)
        self.at = Affine(self.length - 1) - at if parts["reverse"] else at
        counts = parts["num_consts"], parts["num_carry"]
        self.carried = closed.jaxpr.invars[counts[0] :][: counts[1]]
        self.count = counts[1]
        self.constants: dict[Buffer, np.ndarray[Any, Any]] = {}
        self.outside: dict[Var, tuple[Buffer, bool]] = {}
        first_slice = counts[0] + counts[1]
        for k, var in enumerate(closed.jaxpr.invars):
            self.outside[var] = step.inputs[k], k >= first_slice
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            array = np.asarray(to_ndarray(value))
            buffer = Buffer(array.shape, array.dtype, "const")
            self.constants[buffer] = array
            self.outside[var] = buffer, False
        self.accs = {v: self._acc(k, v) for k, v in enumerate(self.carried)}
        self.values: dict[Var, Expr] = {}
        self.depends: set[Var] = set(self.carried)
        self.body.define()
        for eqn in closed.jaxpr.eqns:
            if any(a in self.depends for a in eqn.invars if not isinstance(a, Literal)):
                self.depends.update(eqn.outvars)

    def _acc(self, k: int, var: Var) -> Acc:
        buffer, _ = self.outside[var]
        index = self.place if var.aval.shape else ()
        initial = Load(buffer, index, buffer.dtype, None)
        return Acc("set", buffer.dtype, f"carry{k}", None, initial)

    def _operand(self, atom: Atom) -> Operand:
        shape, dtype = storage_shape(atom.aval)
        if isinstance(atom, Literal):
            constant = Const(np.asarray(to_ndarray(atom.val), atom.aval.dtype)[()], dtype)

            def same(index: IndexTuple, guard: Expr | None) -> Expr:
                return constant

            return Operand(shape, dtype, same)

        def read(index: IndexTuple, guard: Expr | None) -> Expr:
            return self.read(atom, index, guard)

        return Operand(shape, dtype, read)

    def read(self, var: Var, index: IndexTuple, guard: Expr | None) -> Expr:
        """The element of a value of the body in this turn."""
        if var in self.depends:
            same = all(i.same(p) for i, p in zip(index, self.place, strict=False))
            if var.aval.shape and not (same and len(index) == len(self.place)):
                raise NotPointwise
            value = self.element(var)
            return value if guard is None else select(guard, value, Const(0, value.dtype))
        if var in self.outside:
            buffer, sliced = self.outside[var]
            place = (self.at, *index) if sliced else index
            return Load(buffer, place, buffer.dtype, both(None, guard))
        rule = self.body.rules[var]
        if not isinstance(rule, Map):
            raise NotPointwise
        value = rule.at(index)
        return value if guard is None else select(guard, value, Const(0, value.dtype))

    def element(self, atom: Atom) -> Expr:
        """The element at this place of a value that depends on the carry, or of any output."""
        if isinstance(atom, Literal):
            return self._operand(atom).at(())
        if atom in self.accs:
            return self.accs[atom]
        found = self.values.get(atom)
        if found is None:
            if atom.aval.shape and len(atom.aval.shape) != len(self.place):
                raise NotPointwise
            index = self.place if atom.aval.shape else ()
            if atom not in self.depends:
                found = self.read(atom, index, None)
            else:
                rule = self.body.rules[atom]
                if not isinstance(rule, Map):
                    raise NotPointwise
                found = rule.at(index)
            self.values[atom] = found
        return found


def recurrence(
    step: Step,
    closed: ClosedJaxpr,
    parts: dict[str, Any],
    library: LibraryBuilder,
    fresh: Callable[[], str],
) -> tuple[list[Kernel], dict[Buffer, np.ndarray[Any, Any]]] | None:
    """The kernels of a scan, and constants they read; None where its body is not pointwise."""
    jaxpr, count = closed.jaxpr, parts["num_carry"]
    outs = [*(a.aval.shape for a in jaxpr.outvars)]
    shapes = {*outs, *(v.aval.shape for v in jaxpr.invars[parts["num_consts"] :][:count])} - {()}
    if len(shapes) > 1 or closed.effects or any(e.effects for e in jaxpr.eqns):
        return None
    if any(storage_shape(a.aval)[1] != a.aval.dtype for a in jaxpr.outvars) or any(
        v.aval.dtype.kind == "c" for eqn in jaxpr.eqns for v in (*eqn.invars, *eqn.outvars)
    ):
        return None
    groups = [()] if not shapes else [(), *shapes]
    kernels: list[Kernel] = []
    constants: dict[Buffer, np.ndarray[Any, Any]] = {}
    try:
        for shape in groups:
            if shape in outs:
                turn = Turn(step, closed, parts, library, shape)
                kernels.append(_kernel(turn, shape, fresh()))
                constants.update(turn.constants)
    except NotPointwise:
        return None
    return kernels, constants


def _kernel(turn: Turn, shape: tuple[int, ...], name: str) -> Kernel:
    """The loops over elements, and within them the turns."""
    jaxpr, step, count = turn.closed.jaxpr, turn.step, turn.count
    needed = _needed(turn, shape)
    pairs = [
        (turn.accs[v], turn.element(a))
        for v, a in zip(turn.carried, jaxpr.outvars, strict=False)
        if v in needed
    ]
    accs = [acc for acc, _ in pairs]
    body: list[Node] = []
    for atom, target in zip(jaxpr.outvars[count:], step.outputs[count:], strict=True):
        if atom.aval.shape == shape:
            body.append(Store(target, (turn.at, *turn.place), turn.element(atom)))
    body.append(Advance(pairs))
    nodes: list[Node] = [For(turn.time, body, accs)]
    for v, target in zip(turn.carried, step.outputs, strict=False):
        if v.aval.shape == shape:
            nodes.append(Store(target, turn.place, turn.accs[v]))
    for k, axis in enumerate(reversed(turn.axes)):
        nodes = [For(axis, nodes, [], vector=not k, times=2 if not k else 1)]
    nodes = collapse(nodes)
    seen: set[int] = set()
    work = sum(expr_cost(e, seen) for _, e in pairs) + 2.0
    size = int(np.prod(shape, dtype=np.int64)) if shape else 1
    cost = work * turn.length * size * (_NANOSECONDS if shape else _SCALAR_NANOSECONDS)
    extent, grain = chunks_of(nodes, cost) if shape else (1, 1)
    params, written = buffers_of_body(nodes), written_in(nodes)
    notes = [f"{turn.length} turns of a scan of {len(jaxpr.eqns)} eqns"]
    return Kernel(name, params, written, [], nodes, extent, grain, None, cost, notes)


def _needed(turn: Turn, shape: tuple[int, ...]) -> set[Var]:
    """The carried values that the outputs of a shape depend on."""
    jaxpr = turn.closed.jaxpr
    needs: dict[Var, set[Var]] = {v: {v} for v in turn.carried}
    for eqn in jaxpr.eqns:
        found = set[Var]().union(*(needs.get(a, set()) for a in _variables(eqn.invars)))
        needs.update(dict.fromkeys(eqn.outvars, found))
    wanted = {v for v in turn.carried if v.aval.shape == shape}
    for atom in _variables(jaxpr.outvars[turn.count :]):
        if atom.aval.shape == shape:
            wanted |= needs.get(atom, set())
    while True:
        more = set(wanted)
        for v, atom in zip(turn.carried, jaxpr.outvars, strict=False):
            if v in wanted and not isinstance(atom, Literal):
                more |= needs.get(atom, set())
        if more == wanted:
            return wanted
        wanted = more


def _variables(atoms: Sequence[Atom]) -> list[Var]:
    return [a for a in atoms if not isinstance(a, Literal)]
