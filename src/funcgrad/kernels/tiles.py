"""Loads that go across memory, through tiles.

In: nodes. Out: the same work, where a vector loop would step through an array by rows while the
loop around it goes along them: both are cut into tiles, and what a tile needs of that array is
copied into a small buffer first. The one idea: each line of memory is then read by one turn and
whole; rows whose distance is a power of two, which share few places of a cache, do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..ir.loops import Affine, Axis, Expr, Load, axis_index
from ..ir.nests import (
    Buffer,
    For,
    Node,
    Store,
    expressions,
    loads_of,
    offset_of,
    rewrite,
    substitute,
)

# Bytes of a line of memory; smaller arrays are in a cache anyway.
LINE, LEAST = 64, 1 << 18


def tiled(nodes: Sequence[Node], rows: list[Buffer]) -> list[Node]:
    """The nodes with such loops cut into tiles; their buffers are added to `rows`."""
    return [_tiled(n, rows) if isinstance(n, For) else n for n in nodes]


def _tiled(loop: For, rows: list[Buffer]) -> For:
    inner = loop.body[0] if loop.body else None
    if len(loop.body) != 1 or not isinstance(inner, For) or loop.accs:
        return loop
    across = _across(loop, inner)
    if not across:
        return replace(loop, body=tiled(loop.body, rows))
    size = _width(across)
    ways = [Axis(axis.extent // size, axis.name) for axis in (loop.axis, inner.axis)]
    within = [Axis(size, f"{axis.name}t") for axis in (loop.axis, inner.axis)]
    pairs = zip((loop.axis, inner.axis), ways, within, strict=True)
    axes = {a: axis_index(way) * size + axis_index(own) for a, way, own in pairs}
    places: dict[int, Load] = {}
    fills: list[Node] = []
    place = axis_index(within[0]) * size + axis_index(within[1])
    for load in across:
        tile = Buffer((size * size,), load.dtype, f"tile{len(rows)}")
        rows.append(tile)
        fills.append(Store(tile, (place,), substitute(load, axes, {})))
        places[id(load)] = Load(tile, (place,), load.dtype, None)
    memo: dict[int, Expr] = {}
    stores = [_moved(n, places, axes, memo) for n in inner.body if isinstance(n, Store)]
    fill = For(within[1], [For(within[0], fills)])
    work = For(within[0], [For(within[1], [*stores], vector=True)])
    return For(ways[0], [For(ways[1], [fill, work])])


def _width(across: Sequence[Load]) -> int:
    """Elements of a line of memory, of the narrowest of the arrays."""
    return LINE // min(load.dtype.itemsize for load in across)


def _moved(
    store: Store, places: dict[int, Load], axes: dict[Axis, Affine], memo: dict[int, Expr]
) -> Store:
    """A store with loads from the tiles, at its place in the tile."""

    def place(x: Expr, again: Any) -> Expr | None:
        return places.get(id(x))

    value = rewrite(store.value, place, memo)
    index = offset_of(store.target, store.index)
    moved = Affine(index.const)
    for axis, c in index.axes.items():
        moved = moved + axes.get(axis, axis_index(axis)) * c
    return Store(store.target, (moved,), substitute(value, axes, {}))


def _across(outer: For, inner: For) -> list[Load]:
    """The loads of a vector loop that go across memory, where it consists of whole tiles."""
    stores = [n for n in inner.body if isinstance(n, Store) and not n.combine and n.guard is None]
    if not inner.vector or inner.accs or len(stores) < len(inner.body):
        return []
    offsets = [offset_of(s.target, s.index) for s in stores]
    if any(i.dynamic or i.axes.get(inner.axis) != 1 for i in offsets):
        return []
    written = {s.target for s in stores}
    found: list[Load] = []
    for load in loads_of(*(x for s in stores for x in expressions(s))):
        offset = offset_of(load.source, load.index)
        steps = offset.axes.get(outer.axis, 0), abs(offset.axes.get(inner.axis, 0))
        if load.source in written:
            return []
        far = steps[0] == 1 and steps[1] * load.dtype.itemsize >= LINE
        if far and load.guard is None and not offset.dynamic and load.source.bytes >= LEAST:
            found.append(load)
    if found:
        size = _width(found)
        if outer.axis.extent % size or inner.axis.extent % size:
            return []
    return found
