"""A jaxpr as a Python function on NumPy arrays, written out: one line for each eqn.

In: a jaxpr, and the NumPy rule of each eqn with its params bound. Out: a function of the values of
its constants and inputs. The one idea: rules on small arrays take hardly longer than a loop over
steps and slots does, and Python's own local variables are quicker than both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from ..ir.jaxpr import Eqn, Jaxpr, Literal
from .array import to_ndarray
from .evaluate import last_uses

# Values of so many bytes are let go of after their last reader, not at the end.
_LARGE = 1 << 14


def straight(jaxpr: Jaxpr, rule_of: Callable[[Eqn], Callable[..., Any]]) -> Callable[..., Any]:
    """A function of the constants and inputs, as arguments, that runs the eqns in order.

    It gives the one output, as an ndarray, or a list of several or none.

    Args:
        rule_of: the rule of an eqn on NumPy arrays, whose params are bound.
    """
    names: dict[Any, str] = {}
    scope: dict[str, Any] = {"ndarray": np.ndarray, "asarray": np.asarray}

    def name(atom: Any) -> str:
        key = id(atom) if type(atom) is Literal else atom
        if key not in names:
            names[key] = f"{'k' if type(atom) is Literal else 'v'}{len(names)}"
            if type(atom) is Literal:
                scope[names[key]] = np.asarray(to_ndarray(atom.val), atom.aval.dtype)
        return names[key]

    given = [name(v) for v in (*jaxpr.constvars, *jaxpr.invars)]
    ends = [([*map(name, e.invars)], [*map(name, e.outvars)]) for e in jaxpr.eqns]
    outs = [name(a) for a in jaxpr.outvars]
    sizes = {name(v): v.aval.size * v.aval.dtype.itemsize for e in jaxpr.eqns for v in e.outvars}
    numbers = {n: i for i, n in enumerate(names.values())}
    slots = [([numbers[n] for n in read], [numbers[n] for n in write]) for read, write in ends]
    in_order = list(names.values())
    dying = last_uses(slots, {numbers[n] for n in outs})
    lines = [f"def run({', '.join(given)}):"]
    for k, (eqn, (read, write), dead) in enumerate(zip(jaxpr.eqns, ends, dying, strict=True)):
        scope[f"r{k}"] = rule_of(eqn)
        target = f"[{', '.join(write)}]" if eqn.primitive.multiple_results else write[0]
        lines.append(f"    {target} = r{k}({', '.join(read)})")
        lines += (f"    if type({n}) is not ndarray: {n} = asarray({n})" for n in write)
        gone = [in_order[i] for i in dead if sizes.get(in_order[i], 0) >= _LARGE]
        lines += [f"    del {', '.join(gone)}"] if gone else []
    listed = ", ".join(outs)
    lines.append(f"    return {listed}" if len(outs) == 1 else f"    return [{listed}]")
    exec(_code("\n".join(lines)), scope)
    return scope["run"]


@functools.lru_cache(maxsize=1024)
def _code(text: str) -> CodeType:
    """Of programs that differ in their shapes alone the text is the same."""
    return compile(text, "<straight>", "exec")
