"""Programs of other primitives, for primitives that a machine has no kernel of.

In: an eqn. Out: the program in its place, or None. The one idea: whoever writes such programs uses
all that is above the primitives, so they are registered from above, and loaded at the first
program for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..config import enable_x64
from ..ir.jaxpr import ClosedJaxpr, Eqn
from .staging import stage

Composition = Callable[..., Any]
_compositions: dict[str, Composition] = {}
# Called before the first question; they import the modules that register programs.
loaders: list[Callable[[], Any]] = []


def compose(*names: str) -> Callable[[Composition], Composition]:
    """Register a program for primitives of these names.

    It takes an eqn's operands and params, and gives the results; NotImplemented where it has none.
    """

    def register(composition: Composition) -> Composition:
        _compositions.update(dict.fromkeys(names, composition))
        return composition

    return register


def composition_of(eqn: Eqn) -> ClosedJaxpr | None:
    """The program in the place of an eqn, if there is one."""
    while loaders:
        loaders.pop()()
    composition = _compositions.get(eqn.primitive.name)
    if composition is None or (eqn.outvars and not any(v.aval.size for v in eqn.outvars)):
        return None
    there = True

    def run(*args: Any) -> Sequence[Any]:
        nonlocal there
        found = composition(*args, **eqn.params)
        there = found is not NotImplemented
        if not there:
            return []
        return found if eqn.primitive.multiple_results else [found]

    # Steps between may be wider than the arrays that a program is given.
    with enable_x64():
        closed = stage(run, [a.aval for a in eqn.invars], eqn.primitive.name)
    return closed if there else None
