"""Bodies of control flow: tracing a function on pytrees, and rearranging the jaxpr it gives.

In: a user's function, the tree and avals of its arguments. Out: a `Body`, whose jaxpr captures
nothing: what the function closed over has become leading operands. The one idea: a control
primitive sees flat jaxprs only, so every rule is a statement about positions.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import tree
from ..core.primitive import Primitive
from ..core.sources import user_line
from ..core.staging import stage
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.jaxpr import (
    ClosedJaxpr,
    Effects,
    Jaxpr,
    Literal,
    Var,
    convert_constvars,
    join_effects,
    subjaxprs,
)
from ..passes.dce import dce
from ..primitives.casting import convert_element_type
from .flat import FlatFunction, check_leaves


class Body(NamedTuple):
    """A traced function.

    Attributes:
        closed: takes what the function captured, then the leaves of its arguments.
        captured: the values of the leading operands.
        out_tree: tree of the result.
    """

    closed: ClosedJaxpr
    captured: list[Any]
    out_tree: Any

    @property
    def out_avals(self) -> list[ShapedArray]:
        return self.closed.out_avals


def trace_body(
    fun: Callable[..., Any], args_tree: Any, avals: Sequence[ShapedArray], name: str = ""
) -> Body:
    """Trace a function on stand-ins for its positional arguments.

    Args:
        args_tree: the tree of the tuple of arguments.
    """
    in_tree = tree.structure((tree.unflatten(args_tree, [0] * len(avals)), {}))
    flat = FlatFunction(fun, in_tree, name=name)
    closed = stage(flat, avals, flat.name)
    open_jaxpr = convert_constvars(closed.jaxpr)
    return Body(ClosedJaxpr(open_jaxpr), list(closed.consts), flat.out_tree)


def avals_of_leaves(what: str, whole: Any, leaves: Sequence[Any]) -> list[ShapedArray]:
    """The avals of leaves; TypeError with the path of a leaf that is not an array value."""
    check_leaves(whole, leaves, what)
    return [aval_of(x) for x in leaves]


def share_captured(bodies: Sequence[Body]) -> tuple[list[ClosedJaxpr], list[Any]]:
    """Jaxprs that all take the same leading operands, and these: each captured value once."""
    found: dict[int, Any] = {}
    for body in bodies:
        for value in body.captured:
            found.setdefault(id(value), value)
    shared: list[ClosedJaxpr] = []
    for body in bodies:
        count = len(body.captured)
        jaxpr = body.closed.jaxpr
        own = {id(v): var for v, var in zip(body.captured, jaxpr.invars[:count], strict=True)}
        leading = [own.get(key) or Var(aval_of(value)) for key, value in found.items()]
        shared.append(ClosedJaxpr(jaxpr.replace(invars=[*leading, *jaxpr.invars[count:]])))
    return shared, list(found.values())


# Rearranging.


def reordered(
    closed: ClosedJaxpr,
    ins: Sequence[int] | None = None,
    outs: Sequence[int] | None = None,
) -> ClosedJaxpr:
    """The jaxpr with its inputs and outputs at the given old positions; `None` leaves them.

    Every input must be listed; an output left out is dropped with the eqns only it needs.
    """
    jaxpr = closed.jaxpr
    if ins is not None:
        jaxpr = jaxpr.replace(invars=[jaxpr.invars[i] for i in ins])
    if outs is not None:
        dropped = len(set(outs)) < len(jaxpr.outvars)
        jaxpr = jaxpr.replace(outvars=[jaxpr.outvars[i] for i in outs])
        if dropped:
            jaxpr, _ = dce(jaxpr)
    return ClosedJaxpr(jaxpr, closed.consts)


def positions(chosen: Sequence[bool]) -> list[int]:
    """Where a mask holds."""
    return [i for i, c in enumerate(chosen) if c]


def pick(values: Sequence[Any], chosen: Sequence[bool]) -> list[Any]:
    """The values where a mask holds."""
    return [v for v, c in zip(values, chosen, strict=True) if c]


def drop(values: Sequence[Any], chosen: Sequence[bool]) -> list[Any]:
    """The values where a mask does not hold."""
    return [v for v, c in zip(values, chosen, strict=True) if not c]


def merge(chosen: Sequence[bool], where: Sequence[Any], elsewhere: Sequence[Any]) -> list[Any]:
    """The inverse of `pick` and `drop`."""
    first, second = iter(where), iter(elsewhere)
    return [next(first if c else second) for c in chosen]


def split_at(values: Sequence[Any], *counts: int) -> list[list[Any]]:
    """Consecutive parts of these lengths, and the rest."""
    parts: list[list[Any]] = []
    start = 0
    for count in counts:
        parts.append(list(values[start : start + count]))
        start += count
    return [*parts, list(values[start:])]


def either(a: Sequence[bool], b: Sequence[bool]) -> list[bool]:
    """Elementwise or."""
    return [x or y for x, y in zip(a, b, strict=True)]


def forwarded(jaxpr: Jaxpr) -> list[int | None]:
    """For each output the position of the input it is, if it is one."""
    where = {v: i for i, v in enumerate(jaxpr.invars)}
    return [None if isinstance(a, Literal) else where.get(a) for a in jaxpr.outvars]


# Checks.


def same_type(a: ShapedArray, b: ShapedArray) -> bool:
    """Whether avals agree but for weak type."""
    return a.shape == b.shape and a.dtype == b.dtype


def leaf_paths(treedef: Any) -> list[str]:
    """The path of each leaf as text: `['w'][0]`; empty for a tree that is a leaf."""
    whole = tree.unflatten(treedef, range(treedef.num_leaves))
    return [tree.keystr(path) for path, _ in tree.leaves_with_path(whole)]


def check_carry(
    what: str, in_tree: Any, ins: Sequence[ShapedArray], out_tree: Any, outs: Sequence[ShapedArray]
) -> None:
    """Check that a loop's body gives back a carry like the one it takes.

    Raises:
        TypeError: trees, shapes or dtypes differ.
    """
    if in_tree != out_tree:
        raise TypeError(
            f"{what}: carry input and carry output must have the same pytree structure, but the "
            f"body takes {in_tree} and returns {out_tree}. "
            f"{tree.structure_difference(in_tree, out_tree)}\n  {user_line()}\n"
            "  Return a carry of the structure of the initial value."
        )
    wrong = [
        f"component {'carry' + path} goes in as {a.long()} and comes out as {b.long()}"
        for path, a, b in zip(leaf_paths(in_tree), ins, outs, strict=True)
        if not same_type(a, b)
    ]
    if wrong:
        raise TypeError(
            f"{what}: carry input and carry output must have equal types, but "
            f"{'; '.join(wrong)}.\n  {user_line()}\n"
            "  Give the initial value that shape and dtype, or convert the result with astype."
        )


def check_branches(what: str, names: Sequence[str], bodies: Sequence[Body]) -> None:
    """Check that all branches give results of one tree and one type.

    Raises:
        TypeError: trees, shapes or dtypes differ.
    """
    first = bodies[0]
    for name, body in zip(names[1:], bodies[1:], strict=True):
        if body.out_tree != first.out_tree:
            raise TypeError(
                f"{what} branch outputs must have the same pytree structure, but {names[0]} "
                f"returns {first.out_tree} and {name} returns {body.out_tree}. "
                f"{tree.structure_difference(first.out_tree, body.out_tree)}\n  {user_line()}\n"
                "  Return the same structure from both."
            )
        paths = leaf_paths(first.out_tree)
        wrong = [
            f"output{path} is {a.long()} in {names[0]} and {b.long()} in {name}"
            for path, a, b in zip(paths, first.out_avals, body.out_avals, strict=True)
            if not same_type(a, b)
        ]
        if wrong:
            raise TypeError(
                f"{what} branches must have equal output types, but {'; '.join(wrong)}.\n"
                f"  {user_line()}\n  Convert one of them with astype, or broadcast it."
            )


def promote_weak(
    values: Sequence[Any], ins: Sequence[ShapedArray], outs: Sequence[ShapedArray]
) -> tuple[list[Any], bool]:
    """Weakly typed initial values in the dtype the body gives, and whether any changed."""
    result: list[Any] = []
    changed = False
    for value, a, b in zip(values, ins, outs, strict=True):
        if a.weak_type and not same_type(a, b):
            value = convert_element_type(value, dtypes.result_type(value, b.dtype))
            changed = True
        result.append(value)
    return result, changed


# Named axes and effects.

_axes_within: weakref.WeakKeyDictionary[Jaxpr, frozenset[Any]] = weakref.WeakKeyDictionary()


def axes_within(jaxpr: Jaxpr) -> frozenset[Any]:
    """The axis names the collectives in a jaxpr name."""
    found = _axes_within.get(jaxpr)
    if found is None:
        names: set[Any] = set()
        for eqn in jaxpr.eqns:
            if eqn.primitive.named_axes:
                names.update(eqn.primitive.axis_names(eqn.params))
            for inner in subjaxprs(eqn.params):
                names |= axes_within(inner)
        found = _axes_within[jaxpr] = frozenset(names)
    return found


class ControlPrimitive(Primitive):
    """A primitive whose params hold jaxprs that take their operands from it."""

    multiple_results = True
    widens = False
    cache_inference = False
    named_axes = True

    def check(self, arrays: Sequence[Any], params: dict[str, Any], outs: Sequence[Any]) -> None:
        """Raise FloatingPointError for the eqn inside that made a value that the options forbid."""
        from .blame import check_eqn

        check_eqn(self, params, arrays, outs)

    def axis_names(self, params: dict[str, Any]) -> frozenset[Any]:
        """The axes named anywhere inside."""
        return join_effects(axes_within(inner) for inner in subjaxprs(params))

    def effects(self, params: dict[str, Any]) -> Effects:
        return join_effects(inner.effects for inner in subjaxprs(params))


def refuse_effects(what: str, effects: Effects) -> None:
    """Refuse effects that would happen for elements they are not meant for.

    Raises:
        TypeError: there are effects.
    """
    kept = [e for e in effects if not getattr(e, "harmless_when_batched", False)]
    if kept:
        names = ", ".join(sorted(map(str, kept)))
        raise TypeError(
            f"{what} whose predicate differs within a batch (vmap) cannot have the effects "
            f"{names}: they would happen for every element of the batch.\n  {user_line()}\n"
            "  Take the callback out of it, or use lax.map instead of vmap."
        )
