"""Stable text of jaxprs, in the field's notation.

`{ lambda a:f32[3]; b:f32[3]. let c:f32[3] = add b a in (c,) }`. Variables are named in order of
appearance; an output nobody reads is `_`. Params print sorted by name; inner jaxprs are indented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import dtypes
from .jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var, subjaxprs
from .sources import describe

_width = 80


class Names:
    """Letters for variables: a..z, ba..zz, and so on."""

    def __init__(self) -> None:
        self.known: dict[Var, str] = {}
        self.unread: set[Var] = set()

    def __call__(self, var: Var) -> str:
        if var in self.unread:
            return "_"
        if var not in self.known:
            self.known[var] = letters(len(self.known))
        return self.known[var]


def letters(number: int) -> str:
    """The number written with letters: 0 is a, 25 is z, 26 is ba."""
    text = ""
    while True:
        number, digit = divmod(number, 26)
        text = chr(ord("a") + digit) + text
        if not number:
            return text


def jaxpr_text(jaxpr: Jaxpr, *, source_info: bool = False, name_stack: bool = False) -> str:
    """The jaxpr as text.

    Args:
        source_info: add the user's file and line to each eqn.
        name_stack: add the `named_scope` names to each eqn.
    """
    return "\n".join(_lines(jaxpr, Names(), (source_info, name_stack), _width))


def eqn_text(eqn: Eqn, names: Names | None = None) -> str:
    """One eqn as text; with `names`, under those its jaxpr is printed with."""
    return "\n".join(_eqn_lines(eqn, names or Names(), (False, False), _width))


def names_of(jaxpr: Jaxpr, names: Names | None = None) -> Names:
    """The names under which a jaxpr prints its variables, without printing it."""
    names = names or Names()
    _open(jaxpr, names)
    for v in (*jaxpr.constvars, *jaxpr.invars):
        names(v)
    for eqn in jaxpr.eqns:
        for v in eqn.outvars:
            names(v)
        if subjaxprs(eqn.params):
            for inner in subjaxprs(eqn.primitive.printed(eqn.params)):
                names_of(inner, names)
    return names


def _read_vars(jaxpr: Jaxpr) -> set[Var]:
    read: set[Var] = {v for v in jaxpr.outvars if type(v) is Var}
    for eqn in jaxpr.eqns:
        read.update(a for a in eqn.invars if type(a) is Var)
    return read


def _open(jaxpr: Jaxpr, names: Names) -> None:
    """Tell the names which variables of a jaxpr nobody reads."""
    read = _read_vars(jaxpr)
    for eqn in jaxpr.eqns:
        names.unread.update(v for v in eqn.outvars if v not in read)


def _lines(jaxpr: Jaxpr, names: Names, options: tuple[bool, bool], width: int) -> list[str]:
    _open(jaxpr, names)
    consts = _binders(jaxpr.constvars, names)
    args = _binders(jaxpr.invars, names)
    head = f"{{ lambda {consts}; {args}. let" if consts else f"{{ lambda ; {args}. let"
    body = [_eqn_lines(eqn, names, options, width - 4) for eqn in jaxpr.eqns]
    outs = ", ".join(_atom(a, names) for a in jaxpr.outvars)
    tail = f"in ({outs}{',' if len(jaxpr.outvars) == 1 else ''}) }}"
    if all(len(lines) == 1 for lines in body):
        flat = f"{head} {'; '.join(lines[0] for lines in body)} {tail}"
        if len(flat) <= width:
            return [flat]
    return [head, *["    " + line for lines in body for line in lines], "  " + tail]


def _binders(variables: Sequence[Var], names: Names) -> str:
    return " ".join(f"{names(v)}:{v.aval.short()}" for v in variables)


def _atom(atom: Atom, names: Names) -> str:
    if isinstance(atom, Literal):
        return f"{_scalar(atom.val)}:{atom.aval.short()}"
    return names(atom)


def _scalar(value: Any) -> str:
    if hasattr(value, "item"):
        value = value.item()
    return str(value)


def _eqn_lines(eqn: Eqn, names: Names, options: tuple[bool, bool], width: int) -> list[str]:
    outs = _binders(eqn.outvars, names)
    params = list(eqn.primitive.printed(eqn.params).items())
    nested = [_param_lines(v, names, options, width - 3 - len(k)) for k, v in params]
    ins = " ".join(_atom(a, names) for a in eqn.invars)
    start = f"{outs} = {eqn.primitive.name}" if outs else eqn.primitive.name
    comment = _comment(eqn, options)
    texts = [f"{name}={lines[0]}" for (name, _), lines in zip(params, nested, strict=True)]
    one = f"{start}[{' '.join(texts)}] {ins}" if params else f"{start} {ins}"
    simple = all(len(lines) == 1 for lines in nested)
    if simple and (len(one) <= width or not any(_has_jaxpr(v) for _, v in params)):
        return [one.rstrip() + comment]
    result = [f"{start}["]
    for (name, _), lines in zip(params, nested, strict=True):
        result.append(f"  {name}={lines[0]}")
        result += ["  " + line for line in lines[1:]]
    return [*result, f"] {ins}".rstrip() + comment]


def _comment(eqn: Eqn, options: tuple[bool, bool]) -> str:
    if eqn.source is None:
        return ""
    parts = [describe(eqn.source)] if options[0] else []
    if options[1] and eqn.source.name_stack:
        parts.append(eqn.source.name_stack)
    return f"  # {'  '.join(parts)}" if any(parts) else ""


def _has_jaxpr(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_has_jaxpr(v) for v in value)  # pyright: ignore[reportUnknownVariableType]
    return isinstance(value, (Jaxpr, ClosedJaxpr))


def _param_lines(value: Any, names: Names, options: tuple[bool, bool], width: int) -> list[str]:
    if isinstance(value, ClosedJaxpr):
        return _lines(value.jaxpr, names, options, width)
    if isinstance(value, Jaxpr):
        return _lines(value, names, options, width)
    if isinstance(value, tuple) and _has_jaxpr(value):  # pyright: ignore[reportUnknownArgumentType]
        result = ["("]
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            result += ["  " + line for line in _param_lines(item, names, options, width - 2)]
        return [*result, ")"]
    if isinstance(value, np.dtype):
        kind: Any = value  # pyright: ignore[reportUnknownVariableType]
        return [dtypes.long_name(kind)]
    other: Any = value  # pyright: ignore[reportUnknownVariableType]
    if callable(other):
        return [getattr(other, "__name__", type(other).__name__)]
    return [str(other)]
