"""Objects that make arrays by being indexed: mgrid, ogrid, r_, c_; and s_, which gives the index.

In a slice given to them, an imaginary step is a number of points: 0:1:5j is linspace(0, 1, 5).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import numpy_dtype_promotion
from ..core.trace import value_of
from .creation import array
from .joining import concatenate, stack
from .manipulation import expand_dims, transpose
from .promotion import is_sequence, promote_dtypes
from .ranges import arange, linspace, meshgrid


def _points(s: slice) -> Any:
    """The points along one axis that a slice names."""
    start, stop, step = map(value_of, (s.start or 0, s.stop, s.step or 1))
    if isinstance(step, complex):
        return linspace(start, stop, int(abs(step)))
    return arange(start, stop, step)


def _same_dtype(key: tuple[slice, ...]) -> list[Any]:
    with numpy_dtype_promotion("standard"):
        return promote_dtypes(*map(_points, key)) if key else []


class Mgrid:
    """Coordinates of a grid from slices: one array of all axes for each, stacked."""

    def __getitem__(self, key: slice | tuple[slice, ...]) -> Any:
        if isinstance(key, slice):
            return _points(key)
        lines = meshgrid(*_same_dtype(key), indexing="ij")
        return stack(lines) if lines else arange(0)


class Ogrid:
    """Coordinates of a grid from slices: a list of arrays that broadcast together."""

    def __getitem__(self, key: slice | tuple[slice, ...]) -> Any:
        if isinstance(key, slice):
            return _points(key)
        return meshgrid(*_same_dtype(key), indexing="ij", sparse=True)


class AxisConcatenator:
    """Arrays, numbers and slices joined along an axis.

    The first item may be a text "axis,rank,place": join along the axis, items of at least this
    rank, with their own axes starting at the place.

    Attributes:
        axis: along which items are joined.
        rank: the least number of axes of an item.
        place: where the axes of an item go when axes are added to it; -1 is at the end.
    """

    def __init__(self, axis: int, rank: int, place: int) -> None:
        self.axis = axis
        self.rank = rank
        self.place = place

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> Any:
        items: list[Any] = list(key) if is_sequence(key) else [key]
        axis, rank, place, extra = self.axis, self.rank, self.place, None
        if isinstance(items[0], str):
            directive, items = items[0], items[1:]
            if directive in ("r", "c"):
                extra = ("r", "c").index(directive)
            else:
                axis, rank, place = self._parse(directive)
        parts = [_item(item, rank, place) for item in items]
        out = concatenate(parts, axis)
        return expand_dims(out, extra) if extra is not None and out.ndim == 1 else out

    def _parse(self, directive: str) -> tuple[int, int, int]:
        try:
            given: list[int] = [int(word) for word in directive.split(",")[:3]]
        except ValueError as error:
            raise ValueError(
                f"could not understand directive {directive!r}: give 'axis,rank,place', 'r' or 'c'."
            ) from error
        axis, rank, place = given + [self.axis, self.rank, self.place][len(given) :]
        return axis, rank, place


def _is_slice(x: Any) -> bool:
    """Whether x is a slice; a type checker learns nothing from the answer."""
    return isinstance(x, slice)


def _item(item: Any, rank: int, place: int) -> Any:
    """An item with at least `rank` axes, its own ones from `place` on."""
    if isinstance(item, str):
        raise ValueError(f"string directive must be placed at the beginning, got {item!r} later.")
    whole = _is_slice(item)
    value = array(_points(item) if whole else item, copy=False)
    own: int = 0 if whole else value.ndim
    out = array(value, copy=False, ndmin=rank)
    if place == -1 or own >= rank:
        return out
    shift = rank - abs(rank + place + 1) % rank
    axes = tuple(range(rank))
    return transpose(out, axes[shift:] + axes[:shift])


mgrid = Mgrid()
ogrid = Ogrid()
r_ = AxisConcatenator(0, 1, -1)
c_ = AxisConcatenator(-1, 2, 0)
s_: Any = np.s_
index_exp: Any = np.index_exp
