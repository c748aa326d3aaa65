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
_Registered = dict[str, tuple[Composition, Callable[[Eqn], bool]]]
_compositions: _Registered = {}
# Those that are better than the others on a CPU.
_for_cpus: _Registered = {}
# Called before each question; they import the modules that register programs.
loaders: list[Callable[[], Any]] = []


def always(eqn: Eqn) -> bool:
    """Whatever the operands are."""
    return True


def compose(
    *names: str, where: Callable[[Eqn], bool] = always, cpu: bool = False
) -> Callable[[Composition], Composition]:
    """Register a program for primitives of these names: of an eqn's operands and params.

    Args:
        where: whether it is for an eqn.
        cpu: whether it is for CPUs alone; these prefer it to one for all machines.
    """

    def register(composition: Composition) -> Composition:
        (_for_cpus if cpu else _compositions).update(dict.fromkeys(names, (composition, where)))
        return composition

    return register


def composition_of(eqn: Eqn, cpu: bool) -> ClosedJaxpr | None:
    """The program in the place of an eqn on a CPU or on other machines, if there is one."""
    for load in loaders:
        load()
    name = eqn.primitive.name
    composition, where = _compositions.get(name, (None, always))
    if cpu:
        composition, where = _for_cpus.get(name, (composition, where))
    if composition is None or not where(eqn):
        return None
    if eqn.outvars and not any(v.aval.size for v in eqn.outvars):
        return None

    def run(*args: Any) -> Sequence[Any]:
        found = composition(*args, **eqn.params)
        return found if eqn.primitive.multiple_results else [found]

    # Steps between may be wider than the arrays that a program is given.
    with enable_x64():
        closed = stage(run, [a.aval for a in eqn.invars], name)
    eqns = [e.replace(source=eqn.source) for e in closed.jaxpr.eqns]
    return ClosedJaxpr(closed.jaxpr.replace(eqns=eqns), closed.consts)
