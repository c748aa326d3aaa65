"""What a loop makes of a row, kept in place of the row where later loops need nothing else of it.

In: a launch and what its lanes keep of rows. Out: the same, with what takes whose place. The one
idea: a lane that keeps an element for itself may as well keep what it computed of it: softmax's
exponentials are made once, though there is no room for them beside the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...ir.loops import Expr, Load, axis_index
from ...ir.nests import (
    Accumulate,
    For,
    Store,
    children,
    expr_cost,
    expressions,
    parts_of,
    substitute,
)
from ..sharing import Shared
from .plan import CudaLaunch
from .row_plan import Key, Row, key_in_row

# What costs less is made again.
_WORTH = 8.0
Form = Callable[[Expr], Expr]


def with_what_is_made(launch: CudaLaunch) -> CudaLaunch:
    """A launch by rows with what takes the place of elements that are kept; others as they are."""
    row = launch.row
    if row is None or not row.registers + row.shared:
        return launch
    shared, left, instead = Shared({*launch.written}), row.left, row.instead
    forms = [_form(loop, row, shared) for loop in row.loops]
    for key in row.values:
        found = _making(row, key, forms) if key[0] in launch.params else None
        if found is not None:
            at, made, later = found
            left = {**left, id(row.loops[at]): (*left.get(id(row.loops[at]), ()), (made, key))}
            instead = {**instead, **dict.fromkeys(map(id, later), key)}
    launch.row = replace(row, left=left, instead=instead)
    return launch


def _form(loop: For, row: Row, shared: Shared) -> Form:
    """Of an expression of a loop one that stands for all equal ones, of other loops too."""
    axes, memo = {loop.axis: axis_index(row.loops[0].axis)}, dict[int, Expr]()
    return lambda x: shared(substitute(x, axes, memo))


def _making(row: Row, key: Key, forms: list[Form]) -> tuple[int, Expr, list[Expr]] | None:
    """The first loop that makes all that later ones need of an element, that, and where they do."""
    reads = [_with(_roots(loop), key, loop) for loop in row.loops]
    for at in range(len(row.loops) - 1):
        later = [k for k in range(at + 1, len(row.loops)) if reads[k]]
        if not later or not reads[at]:
            continue
        here = {id(forms[at](x)): x for x in reads[at]}
        for x in sorted(reads[later[0]], key=expr_cost, reverse=True):
            made, form = here.get(id(forms[later[0]](x))), forms[later[0]](x)
            if made is None or made.dtype != key[0].dtype or expr_cost(made) < _WORTH:
                continue
            equal = [[y for y in reads[k] if forms[k](y) is form] for k in later]
            if all(
                not _reaches(row.loops[k], key, {*map(id, some)})
                for k, some in zip(later, equal, strict=True)
            ):
                return at, made, [y for some in equal for y in some]
    return None


def _roots(loop: For) -> list[Expr]:
    nodes = [n for n in loop.body if isinstance(n, Store | Accumulate)]
    return [x for n in nodes for x in expressions(n)]


def _is_of(x: Expr, key: Key, loop: For) -> bool:
    return isinstance(x, Load) and key_in_row(x.source, x.index, loop.axis) == key


def _with(roots: list[Expr], key: Key, loop: For) -> list[Expr]:
    """The expressions that an element is part of, where all of them may be made at any time."""
    found: list[Expr] = []
    for x in parts_of(*roots):
        inside = list(parts_of(x))
        loads = [y for y in inside if isinstance(y, Load)]
        if any(_is_of(y, key, loop) for y in loads) and not any(y.guard for y in loads):
            found.append(x)
    return found


def _reaches(loop: For, key: Key, without: set[int]) -> bool:
    """Whether a loop reads an element other than as a part of some expressions."""
    stack, seen = _roots(loop), set[int]()
    while stack:
        x = stack.pop()
        if id(x) in without or id(x) in seen:
            continue
        seen.add(id(x))
        if _is_of(x, key, loop):
            return True
        stack += children(x)
    return False
