"""Jaxprs: a program as a list of equations in single assignment form.

`{ lambda consts ; args. let eqns in outs }`. A `ClosedJaxpr` also carries the values of its
constants. The one idea: an `Eqn` is one primitive applied to atoms (variables or literals).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .avals import ShapedArray
from .sources import Source

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Effects = frozenset[Any]
no_effects: Effects = frozenset()


class Var:
    """A variable: an identity with an aval."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval.short()})"


class Literal:
    """A scalar constant written in place."""

    __slots__ = ("aval", "val")

    def __init__(self, val: Any, aval: ShapedArray) -> None:
        self.val = val
        self.aval = aval

    def __repr__(self) -> str:
        return f"{self.val}:{self.aval.short()}"


Atom = Var | Literal


def is_literal(atom: Atom) -> TypeIs[Literal]:
    """Whether an atom is a constant written in place."""
    return type(atom) is Literal


class Eqn:
    """`outvars = primitive[params] invars`."""

    __slots__ = ("effects", "invars", "outvars", "params", "primitive", "source")

    def __init__(
        self,
        invars: list[Atom],
        outvars: list[Var],
        primitive: Any,
        params: dict[str, Any],
        effects: Effects = no_effects,
        source: Source | None = None,
    ) -> None:
        self.invars = invars
        self.outvars = outvars
        self.primitive = primitive
        self.params = params
        self.effects = effects
        self.source = source

    def replace(self, **changes: Any) -> Eqn:
        """A copy with the given fields replaced."""
        fields = {name: getattr(self, name) for name in Eqn.__slots__}
        return Eqn(**{**fields, **changes})

    def rule(self) -> Any:
        """The NumPy rule of its primitive for its operands and outputs."""
        ends = [a.aval for a in self.invars], [v.aval for v in self.outvars]
        return self.primitive.rule(*ends)

    def __repr__(self) -> str:
        from .printing import eqn_text

        return eqn_text(self)


class Jaxpr:
    """An open jaxpr: constvars and invars are bound by whoever evaluates it."""

    __slots__ = ("__weakref__", "constvars", "debug_name", "effects", "eqns", "invars", "outvars")

    def __init__(
        self,
        constvars: Sequence[Var],
        invars: Sequence[Var],
        outvars: Sequence[Atom],
        eqns: Sequence[Eqn],
        effects: Effects | None = None,
        debug_name: str = "",
    ) -> None:
        self.constvars = list(constvars)
        self.invars = list(invars)
        self.outvars = list(outvars)
        self.eqns = list(eqns)
        if effects is None:
            effects = join_effects(e.effects for e in eqns)
        self.effects = effects
        self.debug_name = debug_name

    def replace(self, **changes: Any) -> Jaxpr:
        """A copy with the given fields replaced."""
        names = ("constvars", "invars", "outvars", "eqns", "effects", "debug_name")
        return Jaxpr(**{**{name: getattr(self, name) for name in names}, **changes})

    @property
    def in_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.outvars]

    def __repr__(self) -> str:
        from .printing import jaxpr_text

        return jaxpr_text(self)

    def pretty_print(self, **options: Any) -> str:
        """The jaxpr as text; options as in `printing.jaxpr_text`."""
        from .printing import jaxpr_text

        return jaxpr_text(self, **options)


@dataclass(frozen=True, eq=False, repr=False)
class ClosedJaxpr:
    """A jaxpr with the values of its constvars. Compared by identity, so it can be a cache key."""

    jaxpr: Jaxpr
    consts: tuple[Any, ...] = ()

    @property
    def in_avals(self) -> list[ShapedArray]:
        return self.jaxpr.in_avals

    @property
    def out_avals(self) -> list[ShapedArray]:
        return self.jaxpr.out_avals

    @property
    def eqns(self) -> list[Eqn]:
        return self.jaxpr.eqns

    @property
    def effects(self) -> Effects:
        return self.jaxpr.effects

    @property
    def literals(self) -> tuple[Any, ...]:
        return self.consts

    def __repr__(self) -> str:
        return repr(self.jaxpr)

    def pretty_print(self, **options: Any) -> str:
        """The jaxpr as text; options as in `printing.jaxpr_text`."""
        return self.jaxpr.pretty_print(**options)


def join_effects(parts: Iterable[Effects]) -> Effects:
    """The union of sets of effects."""
    found = [part for part in parts if part]
    joined: Effects = frozenset[Any]().union(*found)
    return joined if found else no_effects


def subjaxprs(params: dict[str, Any]) -> list[Jaxpr]:
    """The jaxprs among an eqn's params, in order, those inside tuples too."""
    found: list[Jaxpr] = []
    for value in params.values():
        whole: Any = value
        items: tuple[Any, ...] = tuple(whole) if isinstance(value, (tuple, list)) else (whole,)
        for item in items:
            if isinstance(item, ClosedJaxpr):
                found.append(item.jaxpr)
            elif isinstance(item, Jaxpr):
                found.append(item)
    return found


def all_consts(closed: ClosedJaxpr) -> list[Any]:
    """What a program has captured, and what the programs inside of it have."""
    found = list(closed.consts)
    for eqn in closed.jaxpr.eqns:
        for value in eqn.params.values():
            whole: Any = value
            items: tuple[Any, ...] = tuple(whole) if isinstance(value, (tuple, list)) else (whole,)
            for item in items:
                if isinstance(item, ClosedJaxpr):
                    found += all_consts(item)
    return found


def convert_constvars(jaxpr: Jaxpr) -> Jaxpr:
    """The jaxpr with its constvars turned into leading invars."""
    return jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])
