"""Which eqn an error of the compiler is about.

In: an error, and the eqns that were being compiled. Out: a note on the error, which tracebacks show
behind its text: primitive, types and the user's line.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.sources import describe
from ..ir.jaxpr import Eqn
from .fuse import Group

_BEGINNING = "while compiling "


def own_eqns(item: object) -> Iterable[Eqn]:
    """The eqns whose values an item stores."""
    if isinstance(item, Group):
        return [m.nest.eqn for m in item.members]
    eqns: list[Eqn | None] = [getattr(item, name, None) for name in ("eqn", "sum")]
    return [eqn for eqn in eqns if eqn is not None]


def name_eqns(error: Exception, eqns: Iterable[Eqn]) -> None:
    """Add to an error which eqns were being compiled, unless those within them were named."""
    if any(note.startswith(_BEGINNING) for note in getattr(error, "__notes__", ())):
        return
    lines: list[str] = []
    for eqn in eqns:
        given = ", ".join(a.aval.long() for a in eqn.invars)
        made = ", ".join(v.aval.long() for v in eqn.outvars)
        lines.append(f"{eqn.primitive.name} of {given or 'nothing'}, which gives {made}")
        where = describe(eqn.source)
        lines += [f"  {where}"] if where else []
    if lines:
        error.add_note(_BEGINNING + "\n".join(lines))
