"""Groups within a named axis: who meets whom where a collective does not join all elements.

In: `axis_index_groups` as users write it. Out: tuples of places, and along an axis of vmap the
collective of each group as ordinary operations. The one idea: a group is an axis of its own, whose
order is that of the list, so a collective needs no rule for groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.axes import move_axis, to_front
from ..core.context import axis_size_of
from ..core.primitive import AxisData
from ..core.sources import user_line
from ..ir.avals import aval_of
from ..primitives.broadcasting import broadcast_in_dim
from ..primitives.indexing import index_take
from ..primitives.joining import concatenate

if TYPE_CHECKING:
    from .exchanges import Collective

Groups = tuple[tuple[int, ...], ...]


def checked(groups: Any, names: Sequence[Any], what: str, equal: bool) -> Groups | None:
    """The groups as tuples; None where all elements of the axes are one.

    Args:
        equal: whether all groups must have one size.
    Raises:
        ValueError: they are no lists of places, each place once, or of several sizes.
    """
    if groups is None:
        return None
    size = math.prod(axis_size_of(name) for name in names)
    over = " × ".join(map(repr, names))
    try:
        found = tuple(tuple(int(i) for i in group) for group in groups)
    except TypeError:
        found = ()
    if sorted(i for group in found for i in group) != list(range(size)):
        raise ValueError(
            f"{what}: axis_index_groups must cover all indices exactly once, got {groups!r} for "
            f"{over} of {size} elements.\n  {user_line()}\n  Give lists in which each of "
            f"0 to {size - 1} stands once."
        )
    if equal and len({len(group) for group in found}) > 1:
        raise ValueError(
            f"{what}: axis_index_groups must be of one size, got {groups!r}.\n  {user_line()}\n"
            "  psum, pmax and pmin alone take groups of several sizes."
        )
    return found


def given(groups: Groups | None) -> dict[str, Any]:
    """The param of a collective; there is none where all elements meet."""
    return {} if groups is None else {"axis_index_groups": groups}


def within(groups: Groups | None, members: Sequence[int], number: int) -> tuple[int, ...]:
    """Of the ranks over some axes, those that a rank meets, in their order."""
    if groups is None:
        return tuple(members)
    mine = next(group for group in groups if number in [members[i] for i in group])
    return tuple(members[i] for i in mine)


def collected(
    primitive: Collective, axis: AxisData, x: Any, dim: int | None, params: dict[str, Any]
) -> tuple[Any, int]:
    """A collective of each group of an axis of vmap; its results in the order of the axis.

    Raises:
        ValueError: the groups are of several axes.
    """
    if len(primitive.axis_names(params)) > 1:
        raise ValueError(
            f"{primitive.name}: axis_index_groups over several axes, of which {axis.name!r} is "
            f"one of vmap.\n  {user_line()}\n  Name one axis, or use shard_map."
        )
    rest = dict(params)
    groups: Groups = rest.pop("axis_index_groups")
    x = to_front(x, dim, axis.size)
    found: list[Any] = []
    for group in groups:
        rows = index_take(x, (np.array(group, np.int32),), (0,))
        part = AxisData(axis.name, len(group))
        out, at = primitive.collect(part, (rows,), (0,), **rest)
        if at is None:
            shape = aval_of(out).shape
            axes = tuple(range(1, len(shape) + 1))
            found.append(broadcast_in_dim(out, (len(group), *shape), axes))
        else:
            found.append(move_axis(out, at, 0))
    places = np.argsort(np.concatenate(groups)).astype(np.int32)
    return index_take(concatenate(found, 0), (places,), (0,)), 0
