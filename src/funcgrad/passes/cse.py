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
            key: Any = (eqn.primitive.name, atoms, _params_key(eqn.params))
            found = self.known.get(key)
        except TypeError:
            return None
        if found is None:
            self.known[key] = list(eqn.outvars)
        return found


def _params_key(params: dict[str, Any]) -> Any:
    # 1, 1.0 and True are equal but not the same param.
    kinds: list[Any] = [type(v) for v in params.values()]
    return tuple(params.items()), tuple(kinds)


def _key(atom: Atom) -> Any:
    if not isinstance(atom, Literal):
        return atom
    value = atom.val
    raw: Any = value.tobytes() if hasattr(value, "tobytes") else (type(value), repr(value))
    return atom.aval, raw
