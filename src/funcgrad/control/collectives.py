"""Collectives over named axes as users call them: on trees, over one or several axes.

In: trees of arrays, names of axes that vmap, shard_map or pmap brought into scope. Out: trees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import tree
from ..core.context import axis_size_of
from ..core.sources import user_line
from ..core.trace import as_array
from ..ir.avals import aval_of, canonical_axis
from ..primitives.arithmetic import div
from ..primitives.casting import convert_element_type
from ..primitives.creation import full
from ..primitives.movement import reshape, transpose
from .exchanges import (
    AxisName,
    all_gather_p,
    all_to_all_p,
    axis_index_p,
    names_of,
    pmax_p,
    pmin_p,
    ppermute_p,
    psum_p,
    pvary_p,
    reduce_scatter_p,
)
from .groups import checked, given


def _each(fun: Callable[[Any], Any], x: Any) -> Any:
    def apply(leaf: Any) -> Any:
        return fun(as_array(leaf))

    return tree.map(apply, x)


def _one(axis_name: AxisName, name: str) -> Any:
    """The one axis that is named.

    Raises:
        ValueError: there are several.
    """
    names = names_of(axis_name)
    if len(names) != 1:
        raise ValueError(f"{name} goes over one named axis, got {axis_name!r}.\n  {user_line()}")
    return names[0]


def psum(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Sum of a tree of arrays over one or several named axes.

    Args:
        axis_index_groups: lists of places along the axes: each is added up by itself. All
            collectives but `ppermute` take them.
    Raises:
        NameError: an axis is not in scope.
        ValueError: the groups do not have each place once.
    """
    names = names_of(axis_name)
    size, groups = _met(names, axis_index_groups, "psum", equal=False)
    alike = groups is None or len({len(group) for group in groups}) == 1
    if isinstance(x, (int, float)) and not isinstance(x, bool) and alike:
        return x * size
    return _each(lambda leaf: psum_p.bind(_numeric(leaf), axes=names, **given(groups)), x)


def _met(names: tuple[Any, ...], groups: Any, what: str, equal: bool = True) -> tuple[int, Any]:
    """How many elements of the axes meet, and in which groups."""
    found = checked(groups, names, what, equal)
    whole = math.prod(axis_size_of(name) for name in names)
    return whole if found is None else len(found[0]), found


def _numeric(x: Any) -> Any:
    return convert_element_type(x, "int32") if aval_of(x).dtype == bool else x


def pmean(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Mean of a tree of arrays over named axes."""
    count, groups = _met(names_of(axis_name), axis_index_groups, "pmean")
    total = psum(x, axis_name, axis_index_groups=groups)
    return _each(lambda leaf: div(leaf, full((), count, aval_of(leaf).dtype)), total)


def pmax(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Maximum of a tree of arrays over named axes."""
    names = names_of(axis_name)
    _, groups = _met(names, axis_index_groups, "pmax", equal=False)
    return _each(lambda leaf: pmax_p.bind(leaf, axes=names, **given(groups)), x)


def pmin(x: Any, axis_name: AxisName, *, axis_index_groups: Any = None) -> Any:
    """Minimum of a tree of arrays over named axes."""
    names = names_of(axis_name)
    _, groups = _met(names, axis_index_groups, "pmin", equal=False)
    return _each(lambda leaf: pmin_p.bind(leaf, axes=names, **given(groups)), x)


def all_gather(
    x: Any,
    axis_name: AxisName,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
) -> Any:
    """The values of all elements of a named axis, stacked along `axis` (joined when tiled)."""
    names = names_of(axis_name)
    groups: Any = None
    if axis_index_groups is not None:
        _one(axis_name, "all_gather of groups")
        groups = checked(axis_index_groups, names, "all_gather", equal=True)

    def gather_leaf(leaf: Any) -> Any:
        at = canonical_axis(axis, aval_of(leaf).ndim + (not tiled))
        for k, name in enumerate(reversed(names)):
            leaf = all_gather_p.bind(
                leaf,
                axis_name=name,
                all_gather_dimension=at,
                axis_size=axis_size_of(name) if groups is None else len(groups[0]),
                tiled=tiled,
                **given(groups),
            )
            if k and not tiled:
                shape = aval_of(leaf).shape
                leaf = reshape(leaf, (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]))
        return leaf

    return _each(gather_leaf, x)


def psum_scatter(
    x: Any,
    axis_name: AxisName,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Sum over a named axis, of which each element keeps its own part."""
    axis_name = _one(axis_name, "psum_scatter")
    size, groups = _met((axis_name,), axis_index_groups, "psum_scatter")

    def scatter_leaf(leaf: Any) -> Any:
        at = canonical_axis(scatter_dimension, aval_of(leaf).ndim)
        return reduce_scatter_p.bind(
            leaf,
            axis_name=axis_name,
            scatter_dimension=at,
            axis_size=size,
            tiled=tiled,
            **given(groups),
        )

    return _each(scatter_leaf, x)


def ppermute(x: Any, axis_name: AxisName, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values along a named axis by pairs (source, destination).

    Raises:
        ValueError: a source or destination stands twice or is out of range.
    """
    axis_name = _one(axis_name, "ppermute")
    size = axis_size_of(axis_name)
    pairs = tuple((int(a), int(b)) for a, b in perm)
    sources, targets = [a for a, _ in pairs], [b for _, b in pairs]
    if len(set(sources)) != len(pairs) or len(set(targets)) != len(pairs):
        raise ValueError(f"ppermute sources and destinations must be unique, got {perm!r}.")
    if not all(0 <= i < size for i in [*sources, *targets]):
        raise ValueError(f"ppermute pairs {perm!r} are out of range for an axis of size {size}.")
    return _each(lambda leaf: ppermute_p.bind(leaf, axis_name=axis_name, perm=pairs), x)


def pshuffle(x: Any, axis_name: AxisName, perm: Sequence[int]) -> Any:
    """Element i of a named axis gets the value of element `perm[i]`.

    Raises:
        ValueError: perm is no permutation of 0 .. n - 1.
    """
    if sorted(perm) != list(range(len(perm))):
        raise ValueError(f"pshuffle: perm must be a permutation of 0..n-1, got {perm!r}.")
    return ppermute(x, axis_name, [(source, i) for i, source in enumerate(perm)])


def pswapaxes(x: Any, axis_name: AxisName, axis: int, *, axis_index_groups: Any = None) -> Any:
    """Swap a named axis with an array axis of the same size."""
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def all_to_all(
    x: Any,
    axis_name: AxisName,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Split along one array axis over a named axis, and join along another.

    Raises:
        ValueError: the split axis has another size than the named axis (untiled).
    """
    axis_name = _one(axis_name, "all_to_all")
    size, groups = _met((axis_name,), axis_index_groups, "all_to_all")

    def exchange(leaf: Any) -> Any:
        split = canonical_axis(split_axis, aval_of(leaf).ndim)
        concat = canonical_axis(concat_axis, aval_of(leaf).ndim)
        shape = aval_of(leaf).shape
        if not tiled:
            if shape[split] != size:
                raise ValueError(
                    f"all_to_all requires the size of the mapped axis ({size}) to equal the size "
                    f"of axis split_axis={split} of {aval_of(leaf).long()}.\n  {user_line()}"
                )
            # Untiled: the split axis goes away and a new one appears at `concat`.
            order = [i for i in range(len(shape)) if i != split]
            order.insert(concat, split)
            leaf = transpose(leaf, tuple(order))
            split = concat
        return all_to_all_p.bind(
            leaf,
            axis_name=axis_name,
            split_axis=split,
            concat_axis=concat,
            axis_size=size,
            **given(groups),
        )

    return _each(exchange, x)


def pvary(x: Any, axis_name: AxisName) -> Any:
    """A tree of arrays, the same on all ranks, as each rank's own along named axes.

    The value stays; a cotangent of it is added over the axes.
    """
    names = names_of(axis_name)
    for name in names:
        axis_size_of(name)
    return _each(lambda leaf: pvary_p.bind(leaf, axes=names), x) if names else x


def pcast(x: Any, axis_name: AxisName, *, to: str) -> Any:
    """`pvary` for `to="varying"`.

    Raises:
        ValueError: another `to`.
    """
    if to != "varying":
        raise ValueError(f'pcast: to={to!r} is not known; it is "varying".\n  {user_line()}')
    return pvary(x, axis_name)


def axis_index(axis_name: AxisName) -> Any:
    """The position along a named axis, i32[]; row-major over several names."""
    names = names_of(axis_name)
    index: Any = None
    for name in names:
        here = axis_index_p.bind(axis_name=name)
        size = axis_size_of(name)
        index = here if index is None else index * size + here
    return index


def axis_size(axis_name: AxisName) -> int:
    """Number of elements of the named axes."""
    return math.prod(axis_size_of(name) for name in names_of(axis_name))
