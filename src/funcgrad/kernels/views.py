"""What an operand is a view of: the memory that is read instead of a copy of it.

In: the definitions of a jaxpr and one of its values. Out: another value, and how it is read. The
one idea: a rule is asked for its expression at a general index; where that is one plain load, the
index of the load says how the value lies in what it loads from, and so on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..ir.jaxpr import Atom, Literal, Var
from ..ir.loops import (
    Affine,
    Apply,
    Axis,
    DType,
    IndexTuple,
    Load,
    Map,
    View,
    axis_index,
    flat_index,
    split_index,
)
from ..ir.nests import offset_of
from .items import Part

if TYPE_CHECKING:
    from .lowering import Definitions

# Bytes of what lies side by side in a part of a value, below which it is copied: products read a
# side several times, and of what lies between they would bring a part each time.
_SIDE_BY_SIDE = 128
# A GPU brings so many bytes at least.
_SECTOR = 32


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


class Strided(NamedTuple):
    """How an operand lies in the memory of a value.

    Attributes:
        source: the value.
        start: elements of it before the operand's first.
        strides: of the operand's axes, in elements.
    """

    source: Var
    start: int
    strides: tuple[int, ...]


def strided(values: Definitions, atom: Atom, converted: bool = False) -> Strided | None:
    """What an operand is a view of: the value at the end of eqns that only choose or turn axes.

    Args:
        converted: also where the operand is the value's elements in another dtype, as integers
            that are equal in their last 32 bits.
    """
    if isinstance(atom, Literal):
        return None
    axes = tuple(Axis(n, "i") for n in atom.aval.shape)
    index: IndexTuple = tuple(axis_index(a) for a in axes)
    source, offset = atom, flat_index(index, atom.aval.shape)
    found = None if isinstance(values.rules.get(atom), Map) else (source, offset)
    if isinstance(rule := values.rules.get(atom), View):
        # The same memory under another shape; what it is a view of in turn may be a part.
        below = memory_of(values, atom)
        if not isinstance(below, Literal) and below.aval.dtype == atom.aval.dtype:
            source, index = below, split_index(offset, below.aval.shape)
    while isinstance(rule := values.rules.get(source), Map):
        trial = rule.at(index)
        if converted and isinstance(trial, Apply) and trial.op == "cast":
            (trial,) = trial.args
            if not _keeps_words(trial.dtype, source.aval.dtype):
                break
        if not isinstance(trial, Load) or trial.guard is not None:
            break
        below, offset = values.owner.get(trial.source), offset_of(trial.source, trial.index)
        if below is None or len(trial.index) != len(below.aval.shape):
            break
        if offset.dynamic or below.aval.dtype != trial.dtype:
            break
        source, index = below, trial.index
        if min(offset.axes.values(), default=0) >= 0:
            scattered = _is_scattered(values, atom, source, offset)
            fits = _is_whole(values, source, atom) and not scattered
            found = (source, offset) if fits else found
    if found is None:
        return None
    source, offset = found
    return Strided(source, offset.const, tuple(offset.axes.get(a, 0) for a in axes))


def parts(
    values: Definitions, operands: Sequence[Atom], which: Sequence[int]
) -> tuple[tuple[Atom, ...], tuple[Part | None, ...]]:
    """What a kernel reads for its operands, and which part of it each of them is.

    Args:
        which: operands that may be parts of what is read, with a last axis side by side.
    """
    sources: list[Atom] = []
    found: list[Part | None] = []
    for k, atom in enumerate(operands):
        shape, view = atom.aval.shape, strided(values, atom) if k in which else None
        beside = view is not None and (view.strides[-1] == 1 or shape[-1] == 1)
        if view is None or not beside or view.source.aval.size == atom.aval.size:
            sources.append(atom)
            found.append(None)
        else:
            sources.append(view.source)
            found.append(Part(shape, view.start, (*view.strides[:-1], 1)))
    return tuple(sources), tuple(found)


def _is_scattered(values: Definitions, atom: Atom, source: Var, offset: Affine) -> bool:
    """Whether a part of a value lies there in short pieces."""
    if atom.aval.size >= source.aval.size:
        return False
    run = 1
    for axis, step in sorted(offset.axes.items(), key=lambda item: item[1]):
        if step != run:
            break
        run *= axis.extent
    least = _SECTOR if values.halves else _SIDE_BY_SIDE
    return run * source.aval.dtype.itemsize < least


def _is_whole(values: Definitions, source: Var, reader: Var) -> bool:
    """Whether all of a value is computed, and in memory, if a product reads parts of it there.

    What is computed element by element may be wanted for its parts alone, of which each is a
    kernel of its own: then all of them together must be the value.
    """
    if not isinstance(values.rules.get(source), Map) or reader.aval.size >= source.aval.size:
        return True
    parts = 0
    for eqn in values.jaxpr.eqns:
        if any(memory_of(values, a) is source for a in eqn.invars):
            size = sum(v.aval.size for v in eqn.outvars)
            parts += size if all(v.aval.size < source.aval.size for v in eqn.outvars) else 0
    return parts >= source.aval.size


def _keeps_words(given: DType, dtype: DType) -> bool:
    """Whether integers of a dtype are in another one what they were, in their last 32 bits."""
    wide = dtype.kind in "iu" and dtype.itemsize >= 4 and given.kind in "iu"
    return wide or np.can_cast(given, dtype, "safe")


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
