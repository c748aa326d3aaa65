"""What an operand is a view of: the memory that is read instead of a copy of it.

In: the definitions of a jaxpr and one of its values. Out: another value, and how it is read. The
one idea: a rule is asked for its expression at a general index; where that is one plain load, the
index of the load says how the value lies in what it loads from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ir.jaxpr import Atom, Literal, Var
from ..ir.loops import Apply, Axis, DType, Load, Map, View, axis_index, flat_index
from ..ir.nests import offset_of

if TYPE_CHECKING:
    from .lowering import Definitions


def backwards(values: Definitions, atom: Atom) -> tuple[Atom, tuple[int, ...]]:
    """What an operand is with some axes backwards, and these axes; itself where it is not."""
    rule = None if isinstance(atom, Literal) else values.rules.get(atom)
    if isinstance(rule, Map):
        index = tuple(axis_index(Axis(n)) for n in atom.aval.shape)
        value = rule.at(index)
        if isinstance(value, Load) and value.guard is None and value.dtype == atom.aval.dtype:
            source, shape = values.owner.get(value.source), value.source.shape
            ends = zip(value.index, index, shape, strict=False)
            back = [i.same(n - 1 - k) and not i.same(k) for i, k, n in ends]
            pairs = zip(value.index, index, back, strict=False)
            same = shape == atom.aval.shape and all(b or i.same(k) for i, k, b in pairs)
            if source is not None and same:
                return source, tuple(a for a, b in enumerate(back) if b)
    return atom, ()


def strided(
    values: Definitions, atom: Atom, converted: bool = False
) -> tuple[Var, tuple[int, ...]] | None:
    """What an operand is a view of: a variable, and the strides of the operand's axes in it.

    Args:
        converted: also where the operand is the variable's values in another dtype, as integers
            that are equal in their last 32 bits.
    """
    shape = atom.aval.shape
    if isinstance(atom, Literal):
        return None
    rule = values.rules.get(atom)
    axes = tuple(Axis(n, "i") for n in shape)
    index = tuple(axis_index(a) for a in axes)
    if isinstance(rule, Map):
        trial = rule.at(index)
        if converted and isinstance(trial, Apply) and trial.op == "cast":
            (trial,) = trial.args
            if not _keeps_words(trial.dtype, atom.aval.dtype):
                return None
        if not isinstance(trial, Load) or trial.guard is not None:
            return None
        source = values.owner.get(trial.source)
        offset = offset_of(trial.source, trial.index)
    else:
        source, offset = atom, flat_index(index, shape)
    if source is None or offset.const or offset.dynamic:
        return None
    if converted and source is not atom:
        # A conversion may be behind a transposition.
        deeper = strided(values, source, True)
        if deeper is not None and deeper[1] == _in_order(source):
            source = deeper[0]
    if source.aval.dtype != atom.aval.dtype and not converted:
        return None
    return source, tuple(offset.axes.get(a, 0) for a in axes)


def _keeps_words(given: DType, dtype: DType) -> bool:
    """Whether integers of a dtype are in another one what they were, in their last 32 bits."""
    wide = dtype.kind in "iu" and dtype.itemsize >= 4 and given.kind in "iu"
    return wide or np.can_cast(given, dtype, "safe")


def _in_order(var: Var) -> tuple[int, ...]:
    """The strides of a value's memory."""
    shape, index = var.aval.shape, [Axis(n, "i") for n in var.aval.shape]
    offset = flat_index(tuple(axis_index(a) for a in index), shape)
    return tuple(offset.axes.get(a, 0) for a in index)


def unmoved(values: Definitions) -> None:
    """Make views of what would be copied to memory of its own in the order in which it lies.

    Such a map is inlined where loops read it; what is left is read as memory, by a kernel of the
    library or by a product, or is a result. A result is the memory of what was computed for it
    alone; what is given, or is another result, would have to be copied after all.
    """
    kept = {a for a in values.jaxpr.outvars if not isinstance(a, Literal)}
    # What has to stay as it is: arguments, and whose memory is a result's already.
    taken: set[Atom] = {*kept, *values.jaxpr.invars, *values.jaxpr.constvars}
    # Expressions that read what an eqn is given, and no further.
    inlined, values.inlined = values.inlined, set()
    for var in values.rules:
        if var in inlined:
            continue
        steps, source = _unmoved_steps(values, var, inlined if var in kept else set())
        if not steps or source in inlined or (var in kept and source in taken):
            continue
        values.rules.update((step, View(0)) for step in steps)
        # Where it is read by a result alone, what was inlined there is memory now too.
        inlined.difference_update(steps)
        taken |= {source} if var in kept else set()
    values.inlined = inlined


def _unmoved_steps(values: Definitions, var: Var, through: set[Var]) -> tuple[list[Var], Atom]:
    """The maps between a value and the memory that it is in order, and that memory's value.

    Args:
        through: maps that may be between.
    """
    steps: list[Var] = []
    atom: Atom = var
    while not isinstance(atom, Literal) and (atom is var or atom in through):
        given = values.made_by[atom].invars if isinstance(values.rules.get(atom), Map) else ()
        if len(given) != 1:
            break
        source = memory_of(values, given[0])
        if not _same_memory(values, atom, source):
            break
        steps.append(atom)
        atom = source
    return steps, atom


def _same_memory(values: Definitions, var: Var, source: Atom) -> bool:
    """Whether a value is another one, element after element in memory."""
    if (var.aval.size, var.aval.dtype) != (source.aval.size, source.aval.dtype):
        return False
    if var.aval.dtype.kind == "c":
        return False
    (nest,) = values.nests(var)
    load, index = nest.value, tuple(axis_index(a) for a in nest.kept)
    if not isinstance(load, Load) or load.guard is not None:
        return False
    whole = offset_of(load.source, load.index).same(flat_index(index, nest.target.shape))
    return whole and values.owner.get(load.source) is source


def memory_of(values: Definitions, atom: Atom) -> Atom:
    """The value whose memory an atom is."""
    while not isinstance(atom, Literal) and isinstance(rule := values.rules.get(atom), View):
        atom = values.made_by[atom].invars[rule.operand]
    return atom
