"""A program as text that equal programs share, whatever process wrote it.

In: a jaxpr. Out: text, and the arrays it captures and the native functions it calls, in
the order in which the text meets them; or nothing, where a part of it (a Python function of a
call-out, a rule of a primitive from elsewhere) has no text of its own. The one idea: everything
that the compiler reads is in it, floats as their bits, and nothing else is. Of captured arrays it
reads which of them are one array, and not what they hold.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..core.array import to_ndarray
from ..core.primitive import Primitive
from ..ir.avals import ShapedArray
from ..ir.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var
from ..ir.sources import describe
from .custom import NumbaKernel
from .runtime.cache import COMPILER

_COMPILER = tuple(f"{__name__.split('.', 1)[0]}.{folder}." for folder in COMPILER)


class NoText(Exception):
    """A part of the program has no text that another process would write."""


class Canonical:
    """Writes one program.

    Args:
        evaluated: for evaluation alone: calls are written as what simplification puts in their
            place, whatever rules of differentiation they have.

    Attributes:
        captured: the arrays, each once.
        functions: native functions, each with the user's line of its first call.
    """

    def __init__(self, closed: ClosedJaxpr, evaluated: bool = False) -> None:
        self.lines: list[str] = []
        self.captured: list[np.ndarray[Any, Any]] = []
        self.functions: dict[NumbaKernel, str] = {}
        self._evaluated = evaluated
        self._called: dict[int, tuple[int, ClosedJaxpr]] = {}
        self._places: dict[int, int] = {}
        self._names: dict[Var, str] = {}
        self.closed(closed)

    @property
    def text(self) -> str:
        """The whole program."""
        return "\n".join(self.lines)

    def closed(self, closed: ClosedJaxpr) -> None:
        """A jaxpr and what it captures."""
        for array in map(to_ndarray, closed.consts):
            place = self._places.setdefault(id(array), len(self.captured))
            if place == len(self.captured):
                self.captured.append(array)
            # A scalar is kept with the program by its value, so it is a part of the text.
            self.lines.append(f"array {place}" if array.ndim else f"scalar {array.tobytes().hex()}")
        self.jaxpr(closed.jaxpr)

    def jaxpr(self, jaxpr: Jaxpr) -> None:
        """Inputs, eqns and outputs, each a line."""
        self.lines.append(f"in {len(jaxpr.constvars)} {self.new(jaxpr.constvars + jaxpr.invars)}")
        for eqn in jaxpr.eqns:
            self.eqn(eqn)
        self.lines.append(f"out {self.atoms(jaxpr.outvars)}")

    def eqn(self, eqn: Eqn) -> None:
        """An eqn; the programs in its params follow it."""
        if eqn.effects:
            raise NoText
        body = self._body(eqn) if self._evaluated else None
        if body is not None:
            call = f"call {self._number(body)} {self.atoms(eqn.invars)}"
            self.lines.append(f"{self.new(eqn.outvars)} = {call}")
            return
        if not _is_ours(eqn.primitive):
            raise NoText
        at = len(self.lines)
        self.lines.append("")
        params, ins = self._params(eqn) if eqn.params else "", self.atoms(eqn.invars)
        self.lines[at] = f"{self.new(eqn.outvars)} = {eqn.primitive.name}[{params}] {ins}"

    def _body(self, eqn: Eqn) -> ClosedJaxpr | None:
        """The program that simplification puts in the place of an eqn."""
        inlined = getattr(eqn.primitive, "inlined", None)
        return None if inlined is None else inlined(eqn)

    def _number(self, body: ClosedJaxpr) -> int:
        """The number of a program that is called, which is written where it is met first."""
        if id(body) not in self._called:
            self.lines.append("program {")
            self.closed(body)
            self.lines.append("}")
            # It is kept alive, so that its id stays its own.
            self._called[id(body)] = len(self._called), body
        return self._called[id(body)][0]

    def _params(self, eqn: Eqn) -> str:
        for x in eqn.params.values():
            if isinstance(x, NumbaKernel):
                self.functions.setdefault(x, describe(eqn.source))
        return ",".join([f"{k}={self.value(eqn.params[k])}" for k in sorted(eqn.params)])

    def new(self, variables: Sequence[Var]) -> str:
        """The numbers that variables get, in order of their definition, and their avals."""
        names = self._names
        words: list[str] = []
        for var in variables:
            name = names.setdefault(var, str(len(names)))
            words.append(name + aval(var.aval))
        return " ".join(words)

    def atoms(self, atoms: Sequence[Atom]) -> str:
        """The numbers of variables, and the bytes of literals."""
        names = self._names
        return " ".join([_literal(a) if isinstance(a, Literal) else names[a] for a in atoms])

    def value(self, x: Any) -> str:
        """A param."""
        if type(x) in _PLAIN:  # pyright: ignore[reportUnknownArgumentType]
            return repr(x)
        if isinstance(x, (tuple, list)):
            items: list[Any] = [*x]
            return f"({','.join([self.value(y) for y in items])})"
        if isinstance(x, ClosedJaxpr):
            self.lines.append("{")
            self.closed(x)
            self.lines.append("}")
            return "{}"
        if isinstance(x, Jaxpr):
            self.lines.append("{")
            self.jaxpr(x)
            self.lines.append("}")
            return "{}"
        if isinstance(x, Primitive) and _is_ours(x):
            return f"primitive {x.name}"
        if isinstance(x, (bool, int, str)):
            return repr(x)
        if isinstance(x, NumbaKernel):
            # Each process compiles it anew, so that which one it is does not matter here.
            return f"function {list(self.functions).index(x)}"
        if isinstance(x, (np.dtype, enum.Enum)):
            return str(x)  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(x, ShapedArray):
            return aval(x)
        if isinstance(x, (float, complex, np.generic)):
            scalar: np.ndarray[Any, Any] = np.asarray(x)  # pyright: ignore[reportUnknownArgumentType]
            return f"{scalar.dtype}'{scalar.tobytes().hex()}"
        raise NoText


_PLAIN = frozenset((bool, int, str, type(None)))


def _literal(literal: Literal) -> str:
    value = np.asarray(to_ndarray(literal.val), literal.aval.dtype)
    return f"'{value.tobytes().hex()}{aval(literal.aval)}"


@cache
def _is_ours(primitive: Primitive) -> bool:
    """Whether its rules are in the files that the store's keys depend on."""
    return type(primitive).__module__.startswith(_COMPILER)


@lru_cache(maxsize=4096)
def aval(a: ShapedArray) -> str:
    """Dtype and shape."""
    return f":{a.dtype}{list(a.shape)}"
