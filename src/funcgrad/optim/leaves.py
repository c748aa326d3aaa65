"""One function over the leaves of several trees that must fit, with errors that say where not.

All per-leaf arithmetic of the optimizers goes through `map_leaves`: the function sees everything
that belongs to one leaf at once, so that the compiler reads each gradient a single time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import numpy as fnp
from .. import tree
from ..core.sources import user_line

# Spelled out by the number of arguments: a type checker then knows those of a lambda.
LeafFunction = (
    Callable[[Any, Any], Any]
    | Callable[[Any], Any]
    | Callable[[Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any, Any], Any]
)


def map_leaves(
    what: str,
    f: LeafFunction,
    updates: Any,
    /,
    *,
    outputs: int = 0,
    unlike: Sequence[str] = (),
    optional: Sequence[str] = (),
    **others: Any,
) -> Any:
    """f at each leaf of `updates`, with what stands at its place in the other trees.

    A leaf of `updates` that is None gives None in every output: no gradient, nothing to do.

    Args:
        what: who asks, for errors.
        outputs: 0 for one tree of results; n when f gives tuples of n, for a tuple of n trees.
        unlike: names of trees whose parts have other shapes than the leaves.
        optional: names of trees that may hold None where updates have a leaf; f gets the None.
        others: the trees, in the order of the arguments of f.
    Raises:
        ValueError: trees of other structure, or leaves of other shape.
    """
    treedef = tree.structure(updates)
    alike = [other for name, other in others.items() if name not in unlike]
    none_is_leaf = any(tree.structure(other) != treedef for other in alike)
    if none_is_leaf:
        treedef = tree.structure(updates, _is_none)
    leaves = _arrays(tree.flatten_up_to(treedef, updates))
    columns: list[list[Any]] = []
    for name, other in others.items():
        column = _parts(what, name, treedef, other)
        if name not in unlike:
            _check_leaves(what, name, treedef, other, [] if name in optional else leaves, column)
            column = _arrays(column)
            _check_shapes(what, name, updates, leaves, column)
        columns.append(column)
    width = max(outputs, 1)
    function: Any = f
    results: list[Any] = []
    for x, *parts in zip(leaves, *columns, strict=True):
        result = (None,) * width if x is None else function(x, *parts)
        results.append(result if outputs or x is None else (result,))
    trees = tuple(tree.unflatten(treedef, [r[i] for r in results]) for i in range(width))
    return trees if outputs else trees[0]


def _is_none(x: Any) -> bool:
    return x is None


def _arrays(leaves: Sequence[Any]) -> list[Any]:
    return [x if x is None else fnp.asarray(x) for x in leaves]


def _parts(what: str, name: str, treedef: Any, other: Any) -> list[Any]:
    try:
        return tree.flatten_up_to(treedef, other)
    except ValueError as error:
        raise ValueError(_other_structure(what, name, treedef, tree.structure(other))) from error


def _check_leaves(
    what: str, name: str, treedef: Any, other: Any, leaves: list[Any], column: list[Any]
) -> None:
    """Each part is a leaf, not a subtree, and not None where there is a leaf to go with it."""
    held = sum(x is not None for x in column)
    missing = any(x is not None and y is None for x, y in zip(leaves, column, strict=False))
    if missing or held != tree.structure(other).num_leaves:
        raise ValueError(_other_structure(what, name, treedef, tree.structure(other)))


def _other_structure(what: str, name: str, wanted: Any, got: Any) -> str:
    return (
        f"{what} got updates and {name} of different structure: {wanted} and {got}. "
        f"{tree.structure_difference(wanted, got)}\n  {user_line()}\n"
        "  Give the gradients of the params, and the state that init made for these params."
    )


def _check_shapes(what: str, name: str, updates: Any, leaves: list[Any], column: list[Any]) -> None:
    for i, (x, other) in enumerate(zip(leaves, column, strict=True)):
        if x is None or other is None or fnp.shape(x) == fnp.shape(other):
            continue
        path = tree.keystr(tree.leaves_with_path(updates, is_leaf=_is_none)[i][0])
        raise ValueError(
            f"{what} got updates and {name} that differ at {path or 'the root'}: shape "
            f"{fnp.shape(x)} against {fnp.shape(other)}.\n  {user_line()}\n"
            "  Give the gradients of the params, and the state that init made for these params."
        )
