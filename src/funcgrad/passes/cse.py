"""Common subexpressions: equal eqns on equal atoms are done once."""

from __future__ import annotations

from typing import Any

from ..ir.jaxpr import Atom, Eqn, Literal


class SharedEqns:
    """The eqns seen so far, by what they compute."""

    def __init__(self) -> None:
        self.known: dict[Any, list[Atom]] = {}

    def find(self, eqn: Eqn) -> list[Atom] | None:
        """The outputs of an earlier equal eqn; else remember this one."""
        if eqn.effects or not getattr(eqn.primitive, "can_share", True):
            return None
        atoms = tuple(_key(a) for a in eqn.invars)
        try:
            key = (eqn.primitive.name, atoms, tuple((k, type(v), v) for k, v in eqn.params.items()))
            found = self.known.get(key)
        except TypeError:
            return None
        if found is None:
            self.known[key] = list(eqn.outvars)
        return found


def _key(atom: Atom) -> Any:
    if not isinstance(atom, Literal):
        return atom
    value = atom.val
    raw = value.tobytes() if hasattr(value, "tobytes") else (type(value), repr(value))
    return atom.aval, raw
