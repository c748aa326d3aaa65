"""A program as text that equal programs share, whatever process wrote it.

In: a simplified jaxpr. Out: text, and the arrays it captures and the native functions it calls, in
the order in which the text meets them; or nothing, where a part of it (a Python function of a
call-out, a rule of a primitive from elsewhere) has no text of its own. The one idea: everything
that the compiler reads is in it, floats as their bits, and nothing else is. Of captured arrays it
reads which of them are one array, and not what they hold.
"""

from __future__ import annotations

import enum
from functools import lru_cache
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

    Attributes:
        captured: the arrays, each once.
        functions: native functions, each with the user's line of its first call.
    """

    def __init__(self, closed: ClosedJaxpr) -> None:
        self.lines: list[str] = []
        self.captured: list[np.ndarray[Any, Any]] = []
        self.functions: dict[NumbaKernel, str] = {}
        self._places: dict[int, int] = {}
        self._names: dict[Var, int] = {}
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
        inputs = [*jaxpr.constvars, *jaxpr.invars]
        named = " ".join(f"{self.name(v)}{aval(v.aval)}" for v in inputs)
        self.lines.append(f"in {len(jaxpr.constvars)} {named}")
        for eqn in jaxpr.eqns:
            self.eqn(eqn)
        self.lines.append("out " + " ".join(map(self.atom, jaxpr.outvars)))

    def eqn(self, eqn: Eqn) -> None:
        """An eqn; the programs in its params follow it."""
        if eqn.effects or not _is_ours(eqn.primitive):
            raise NoText
        outs = " ".join(f"{self.name(v)}{aval(v.aval)}" for v in eqn.outvars)
        ins = " ".join(map(self.atom, eqn.invars))
        at = len(self.lines)
        self.lines.append("")
        for x in eqn.params.values():
            if isinstance(x, NumbaKernel):
                self.functions.setdefault(x, describe(eqn.source))
        params = ",".join(f"{k}={self.value(eqn.params[k])}" for k in sorted(eqn.params))
        self.lines[at] = f"{outs} = {eqn.primitive.name}[{params}] {ins}"

    def name(self, var: Var) -> int:
        """The number of a variable, in order of first use."""
        return self._names.setdefault(var, len(self._names))

    def atom(self, atom: Atom) -> str:
        """A variable's number, or a literal's bytes."""
        if isinstance(atom, Literal):
            value = np.asarray(to_ndarray(atom.val), atom.aval.dtype)
            return f"'{value.tobytes().hex()}{aval(atom.aval)}"
        return str(self.name(atom))

    def value(self, x: Any) -> str:
        """A param."""
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
        if isinstance(x, (bool, int, str, type(None))):
            return repr(x)
        if isinstance(x, (tuple, list)):
            items: list[Any] = [*x]
            return f"({','.join(self.value(y) for y in items)})"
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


def _is_ours(primitive: Primitive) -> bool:
    """Whether its rules are in the files that the store's keys depend on."""
    return type(primitive).__module__.startswith(_COMPILER)


@lru_cache(maxsize=4096)
def aval(a: ShapedArray) -> str:
    """Dtype and shape."""
    return f":{a.dtype}{list(a.shape)}"
