"""Which loops of a kernel's text LLVM shall write out.

In: a loop and the arrays that are known. Out: how many turns. The one idea: an array of a thread's
own lies in registers only if every place in it is known, so a loop that a place follows from, at
whatever remove, is written out whole.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from .values import Pointer

# Turns of a loop over what a launch asks for that are written out: where it only moves numbers,
# many are on their way at once; where it computes, two keep the machine busy.
_MOVING, _COMPUTING = 8, 2


def turns_written(node: ast.For, arrays: Mapping[str, Pointer]) -> int | None:
    """How many turns of a loop are written out: 0 for all, None for what LLVM likes."""
    assert isinstance(node.target, ast.Name)
    places = [
        (p, x.slice)
        for x in ast.walk(node)
        if isinstance(x, ast.Subscript) and isinstance(x.value, ast.Name)
        if (p := arrays.get(x.value.id)) is not None
    ]
    following = _following(node, node.target.id)
    if any(p.space == "local" and _names(at) & following for p, at in places):
        return 0
    # One over what a launch asks for is long: a few turns of it are.
    if any("asked_for" in p.code and node.target.id in _names(at) for p, at in places):
        return _MOVING if _only_moves(node) else _COMPUTING
    return None


def _following(node: ast.For, name: str) -> set[str]:
    """The names whose values follow from that of the loop."""
    given = [
        (x.targets[0].id, _names(x.value))
        for x in ast.walk(node)
        if isinstance(x, ast.Assign) and isinstance(x.targets[0], ast.Name)
    ]
    found, before = {name}, 0
    while len(found) > before:
        before = len(found)
        found |= {target for target, names in given if names & found}
    return found


def _only_moves(node: ast.For) -> bool:
    calls = [ast.unparse(x.func) for x in ast.walk(node) if isinstance(x, ast.Call)]
    return all(n == "range" or n.startswith("load_") for n in calls)


def _names(node: ast.expr) -> set[str]:
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name)}
