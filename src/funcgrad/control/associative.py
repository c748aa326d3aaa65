"""associative_scan: all prefixes of an associative operation, in logarithmic depth.

In: a binary function on whole arrays, and elements along an axis. Out: the prefixes. The one
idea: combine neighbours, scan those half as many by recursion, and fill in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir.avals import aval_of, canonical_axis
from ..primitives.arithmetic import add
from ..primitives.bits import or_
from ..primitives.creation import scalar_of
from ..primitives.joining import concatenate
from ..primitives.movement import rev
from ..primitives.slicing import pad, slice_in_dim

Combine = Callable[[list[Any], list[Any]], list[Any]]


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Every prefix of elems under an associative function: a, a∘b, a∘b∘c, ...

    fn is called O(log n) times, each time on slices along the axis.

    Args:
        fn: takes two trees like elems, of any extent along the axis, and combines them element by
            element; fn(a, fn(b, c)) = fn(fn(a, b), c).
        elems: a pytree of arrays with one extent along the axis.
        reverse: give suffixes instead: ..., f(f(z, y), x), f(z, y), z.
        axis: the axis to scan along.
    Returns:
        A tree like elems.
    Raises:
        TypeError: fn is not callable, or gives another tree.
        ValueError: the extents along the axis differ, or there is no such axis.
    Source: Blelloch, Prefix Sums and Their Applications, CMU-CS-90-190, 1990.
    """
    if not callable(fn):
        raise TypeError(
            f"lax.associative_scan: fn argument should be callable, got {fn!r}.\n  {user_line()}"
        )
    leaves, treedef = tree.flatten(elems)
    leaves = [as_array(x) for x in leaves]
    if not leaves:
        raise ValueError(f"associative_scan got no arrays to scan over.\n  {user_line()}")
    axis = canonical_axis(axis, aval_of(leaves[0]).ndim)
    check_extents(leaves, axis)

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        out = fn(tree.unflatten(treedef, a), tree.unflatten(treedef, b))
        outs, out_tree = tree.flatten(out)
        if out_tree != treedef:
            raise TypeError(
                f"associative_scan: fn must return a tree like its arguments, {treedef}, got "
                f"{out_tree}. {tree.structure_difference(treedef, out_tree)}\n  {user_line()}"
            )
        return outs

    if reverse:
        leaves = [rev(x, (axis,)) for x in leaves]
    scanned = prefixes(combine, leaves, axis)
    if reverse:
        scanned = [rev(x, (axis,)) for x in scanned]
    return tree.unflatten(treedef, scanned)


def check_extents(leaves: Sequence[Any], axis: int) -> None:
    """Raise ValueError unless all arrays have one extent along the axis."""
    shapes = [aval_of(x).shape for x in leaves]
    if any(len(s) <= axis or s[axis] != shapes[0][axis] for s in shapes):
        raise ValueError(
            "Array inputs to associative_scan must have the same extent along axis "
            f"{axis}, got shapes {shapes}.\n  {user_line()}"
        )


def prefixes(combine: Combine, elems: list[Any], axis: int) -> list[Any]:
    """Prefixes of flat elements along an axis."""
    count = aval_of(elems[0]).shape[axis]
    if count < 2:
        return elems
    paired = combine(every_other(elems, 0, count - 1, axis), every_other(elems, 1, count, axis))
    odd = prefixes(combine, paired, axis)
    # Position 2k holds everything up to 2k − 1, which is odd[k − 1], and its own element.
    before = odd if count % 2 else [slice_in_dim(x, 0, count // 2 - 1, 1, axis) for x in odd]
    later = combine(before, every_other(elems, 2, count, axis))
    first = [slice_in_dim(x, 0, 1, 1, axis) for x in elems]
    even = [concatenate(pair, axis) for pair in zip(first, later, strict=True)]
    return [interleave(a, b, axis) for a, b in zip(even, odd, strict=True)]


def every_other(elems: Sequence[Any], start: int, stop: int, axis: int) -> list[Any]:
    """Elements start, start + 2, ... below stop."""
    return [slice_in_dim(x, min(start, stop), stop, 2, axis) for x in elems]


def interleave(a: Any, b: Any, axis: int) -> Any:
    """a[0], b[0], a[1], b[1], ...; a may have one element more.

    Both are spread out with zeros between their elements and added, or joined by `or` for
    booleans, so that the derivative is a pair of slices.
    """
    x, y = aval_of(a), aval_of(b)
    longer = x.shape[axis] - y.shape[axis]
    zero = scalar_of(0, x.dtype, False) if x.dtype.kind != "b" else scalar_of(False, x.dtype, False)
    for_a = tuple((0, 1 - longer, 1) if i == axis else (0, 0, 0) for i in range(x.ndim))
    for_b = tuple((1, longer, 1) if i == axis else (0, 0, 0) for i in range(x.ndim))
    join = or_ if x.dtype.kind == "b" else add
    return join(pad(a, zero, for_a), pad(b, zero, for_b))
