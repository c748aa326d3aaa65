"""Programs of other primitives, for primitives that a machine has no kernel of.

In: an eqn. Out: the program in its place, or None. The one idea: whoever writes such programs uses
all that is above the primitives, so they are registered from above, and loaded at the first
program for a GPU, or for a CPU at the first that has a primitive which says it is `composed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..config import enable_x64
from ..ir.jaxpr import ClosedJaxpr, Eqn
from .staging import stage

Composition = Callable[..., Any]
_compositions: dict[str, tuple[Composition, Callable[[Eqn], bool]]] = {}
# Called before each question; they import the modules that register programs.
loaders: list[Callable[[], Any]] = []


def always(eqn: Eqn) -> bool:
    """Whatever the operands are."""
    return True


def compose(
    *names: str, where: Callable[[Eqn], bool] = always
) -> Callable[[Composition], Composition]:
    """Register a program for primitives of these names: of an eqn's operands and params.

    Args:
        where: whether it is for an eqn.
    """

    def register(composition: Composition) -> Composition:
        _compositions.update(dict.fromkeys(names, (composition, where)))
        return composition

    return register


def composition_of(eqn: Eqn) -> ClosedJaxpr | None:
    """The program in the place of an eqn, if there is one."""
    for load in loaders:
        load()
    composition, where = _compositions.get(eqn.primitive.name, (None, always))
    if composition is None or not where(eqn):
        return None
    if eqn.outvars and not any(v.aval.size for v in eqn.outvars):
        return None

    def run(*args: Any) -> Sequence[Any]:
        found = composition(*args, **eqn.params)
        return found if eqn.primitive.multiple_results else [found]

    # Steps between may be wider than the arrays that a program is given.
    with enable_x64():
        closed = stage(run, [a.aval for a in eqn.invars], eqn.primitive.name)
    eqns = [e.replace(source=eqn.source) for e in closed.jaxpr.eqns]
    return ClosedJaxpr(closed.jaxpr.replace(eqns=eqns), closed.consts)
