"""What a traced call says beside its program: trees, names, donation, where arrays lie.

In: the arguments of a jitted function. Out: a `Call`, which the stages hand on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..ir.avals import ShapedArray
from ..ir.jaxpr import ClosedJaxpr
from .sources import user_line


def no_compiler_options(options: Mapping[str, Any] | None, what: str) -> None:
    """Raise ValueError for options of a compiler."""
    if options:
        raise ValueError(
            f"{what} got compiler_options={dict(options)!r}, and this compiler has none.\n"
            f"  {user_line()}\n  Leave them out."
        )


@dataclass(frozen=True)
class ArgInfo:
    """An argument of a traced function: its aval, and whether it is donated."""

    _aval: ShapedArray
    donated: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self._aval.shape

    @property
    def dtype(self) -> Any:
        return self._aval.dtype


class Layouts(Protocol):
    """Where the arguments and results of a call lie."""

    def placed(self, leaves: Sequence[Any], name: str) -> list[Any]:
        """The arguments where they shall lie."""
        ...

    def laid(self, results: Sequence[Any]) -> list[Any]:
        """The results where they shall lie."""
        ...

    def whole(self, closed: ClosedJaxpr, home: Any) -> tuple[list[Any], list[Any]]:
        """A sharding for each argument and each result of a program that a home runs."""
        ...


class Call(NamedTuple):
    """A call of a jitted function, beside its program; static arguments are no part of it.

    Attributes:
        in_tree, out_tree: trees of `(args, kwargs)` and of the result.
        names: what each argument is called in messages.
        donated: the numbers of those that are donated.
        layouts: where arguments and results lie.
    """

    in_tree: Any
    out_tree: Any
    names: Sequence[str]
    donated: tuple[int, ...]
    layouts: Layouts
