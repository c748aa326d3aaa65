"""Which eqns a kernel computes, as text for readers of generated code.

In: a `Block` and one of its steps. Out: the eqns under the names of the block's jaxpr. The one
idea: nothing is kept for this while compiling; what was inlined into a nest is found again by
walking from the nest's eqn back to the eqns that nobody else computes.
"""

from __future__ import annotations

from ..ir.jaxpr import Eqn, Literal, Var
from ..ir.printing import Names, eqn_text
from .blaming import own_eqns
from .fuse import Group
from .program import Block, Launch


def eqn_line(eqn: Eqn, names: Names) -> str:
    """The eqn in one line, without inner jaxprs."""
    first, *rest = eqn_text(eqn, names).split("\n")
    return f"{first} … {rest[-1].strip()}" if rest else first


def eqn_notes(block: Block, step: Launch, names: Names) -> list[str]:
    """The eqns that a kernel computes, in order; what else it does where it computes none."""
    if step.kernel.notes or step.group is None:
        return step.kernel.notes
    return [eqn_line(eqn, names) for eqn in eqns_of(block, step.group)]


def eqns_of(block: Block, group: Group) -> list[Eqn]:
    """The eqns of a group, those inlined into its nests too, in the order of the jaxpr."""
    made_by: dict[Var, Eqn] = {v: eqn for eqn in block.jaxpr.eqns for v in eqn.outvars}
    apart = {id(eqn) for item in block.items for eqn in own_eqns(item)}
    own = {id(m.nest.eqn): m.nest.eqn for m in group.members}
    found: dict[int, Eqn] = {}
    stack = list(own.values())
    while stack:
        eqn = stack.pop()
        if id(eqn) in found:
            continue
        found[id(eqn)] = eqn
        for atom in eqn.invars:
            source = None if isinstance(atom, Literal) else made_by.get(atom)
            if source is not None and id(source) not in apart:
                stack.append(source)
    return [eqn for eqn in block.jaxpr.eqns if id(eqn) in found]
