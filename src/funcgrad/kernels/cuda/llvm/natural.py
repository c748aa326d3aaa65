"""Which names of a function are places and sizes: never negative, and far from overflow.

In: the syntax tree. Out: names. The one idea: all are, until one of their values is found that is
not made of such alone. Numbers from memory are none, nor is what a text gives a type of its own.
"""

from __future__ import annotations

import ast

_KEEP = (
    ast.Add | ast.Mult | ast.FloorDiv | ast.Mod | ast.BitAnd | ast.BitOr | ast.BitXor | ast.RShift
)
_SIZES = {"cuda.grid", "cuda.gridsize", "min", "max"}


def naturals(function: ast.FunctionDef) -> frozenset[str]:
    """The names whose every value is a place or a size."""
    given = _assigned(function)
    found = set(given) - {a.arg for a in function.args.args}
    while True:
        kept = {n for n in found if all(_is_natural(x, found) for x in given[n])}
        if kept == found:
            return frozenset(found)
        found = kept


def _assigned(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """What each name gets."""
    given: dict[str, list[ast.expr]] = {}

    def note(target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            given.setdefault(target.id, []).append(value)
        elif isinstance(target, ast.Tuple):
            parts = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
            # What a call gives is no place, unless it says so of one result.
            unknown = not isinstance(value, ast.Tuple)
            for one, part in zip(target.elts, parts, strict=True):
                note(one, ast.Constant(-1) if unknown else part)

    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            note(node.targets[0], node.value)
        elif isinstance(node, ast.AugAssign):
            note(node.target, ast.BinOp(node.target, node.op, node.value))
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
            first = node.iter.args[0] if len(node.iter.args) == 2 else ast.Constant(0)
            note(node.target, first)
    return given


def _is_natural(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Attribute):
        return ast.unparse(node).endswith((".x", ".y", ".z"))
    if isinstance(node, ast.BinOp) and isinstance(node.op, _KEEP):
        return _is_natural(node.left, names) and _is_natural(node.right, names)
    if isinstance(node, ast.IfExp):
        return _is_natural(node.body, names) and _is_natural(node.orelse, names)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in _SIZES:
        return all(_is_natural(a, names) for a in node.args)
    return False
