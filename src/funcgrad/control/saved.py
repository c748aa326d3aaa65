"""What reverse mode keeps of a function: `saved_residuals` and its printing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .. import tree
from ..core.staging import stage
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import ClosedJaxpr, Eqn, Literal, Var
from ..ir.sources import line_of
from ..transforms.linearize import linearize_flat
from .flat import FlatFunction, argument_names, check_leaves, name_of
from .policies import name_p


def saved_residuals(
    f: Callable[..., Any], *args: Any, **kwargs: Any
) -> list[tuple[ShapedArray, str]]:
    """The values kept between the forward and the backward pass of f at these arguments.

    Returns:
        Pairs of aval and, in words, where the value comes from.
    """
    leaves, in_tree = tree.flatten((args, kwargs))
    check_leaves((args, kwargs), leaves, f"the arguments of {name_of(f)} ")
    flat = FlatFunction(f, in_tree)
    counts: list[int] = []

    def run(*values: Any) -> list[Any]:
        outs, linear = linearize_flat(flat, values)
        counts.append(len(outs))
        return [*outs, *linear.residuals]

    closed = stage(run, [aval_of(x) for x in leaves], flat.name)
    return _origins(closed, counts[0], argument_names(f, args, kwargs))


def _origins(closed: ClosedJaxpr, count: int, names: list[str]) -> list[tuple[ShapedArray, str]]:
    jaxpr = closed.jaxpr
    arguments = dict(zip(jaxpr.invars, names, strict=True))
    makers = {v: eqn for eqn in jaxpr.eqns for v in eqn.outvars}
    found: dict[Any, tuple[int, ShapedArray, str]] = {}
    for atom in jaxpr.outvars[count:]:
        if isinstance(atom, Literal):
            found[id(atom)] = 0, atom.aval, "from a literal"
        elif atom in arguments:
            found[atom] = 1, atom.aval, f"from the argument {arguments[atom]}"
        elif atom in makers:
            found[atom] = 3, atom.aval, _made_by(makers[atom], atom)
        else:
            found[atom] = 2, atom.aval, "from a constant"
    return [(aval, text) for _, aval, text in sorted(found.values(), key=lambda x: x[0])]


def _made_by(eqn: Eqn, var: Var) -> str:
    source = eqn.source
    where = ""
    if source is not None and source.code is not None:
        code = source.code
        where = f" from {code.co_filename}:{line_of(source)} ({code.co_name})"
    if eqn.primitive is name_p:
        return f"named '{eqn.params['name']}'{where}"
    if eqn.primitive.name == "jit":
        return f"output of jitted function '{eqn.params['name']}'{where}"
    return f"output of {eqn.primitive.name}{where}"


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print the values kept between the forward and the backward pass of f, one a line."""
    for aval, text in saved_residuals(f, *args, **kwargs):
        sys.stdout.write(f"{aval.short()} {text}\n")
