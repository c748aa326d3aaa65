"""Results that a kernel by hand writes where they are packed, instead of a launch that packs them.

In: a step of a block. Out: `placed`, where a single launch would put its results side by side; that
launch then leaves the block, or only sums what is packed if it does that too. These are the
cotangents of queries, keys and values that are parts of one product. The one idea: along one axis
of what is packed each place takes one of the results, so the launch's expression is worked out with
each place put in, and must be one load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...ir.loops import Affine, Apply, Axis, Const, Expr, Index, Load, cast
from ...ir.nests import Buffer, Node, Store, offset_of, parts_of
from ..contract import even
from ..items import Part
from ..program import Block, Launch, LibraryCall
from .plan import chain_of

# An axis of more places is not looked at: at each of them an expression is worked out.
_MOST_PLACES = 1 << 14
_OPS: dict[str, Any] = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
}


class _Run(NamedTuple):
    """Neighbouring places of an axis that take elements of one buffer.

    Attributes:
        source, target: where an element is read and put at the first of them, and `steps`: how much
            further at each next one.
    """

    buffer: Buffer
    source: Affine
    target: Affine
    steps: tuple[int, int]
    places: int


def place_results(block: Block, step: LibraryCall) -> None:
    """Let a step write its results into what they are packed into, if nobody else reads them."""
    kept = {*map(block.root, block.outputs)}
    readers = [s for s in block.steps if {*step.writes} & {*map(block.root, s.reads)}]
    if len(readers) != 1 or not isinstance(readers[0], Launch) or {*step.writes} & kept:
        return
    launch = readers[0]
    *before, last = launch.kernel.body
    chain = chain_of([last])
    body = chain[-1].body if chain else []
    if not body or not isinstance(body[0], Store) or launch.kernel.scratch:
        return
    store, rest = body[0], [_of_packed(node, body[0]) for node in body[1:]]
    target = store.target
    writers = [s for s in block.steps if block.root(target) in map(block.root, s.writes)]
    packs = None not in rest and {target, *_targets(rest)} == {*launch.kernel.written}
    if not packs or block.root(target) is not target or len(writers) != 1:
        return
    placed = _placed(store, [loop.axis for loop in chain], step.writes, block)
    if placed is None:
        return
    step.placed, step.writes = tuple(placed), [target] * len(placed)
    if not rest:
        block.steps.remove(launch)
        return
    inner: list[Node] = [node for node in rest if node is not None]
    for loop in reversed(chain):
        inner = [replace(loop, body=inner)]
    written = [b for b in launch.kernel.written if b is not target]
    launch.kernel = replace(
        launch.kernel, params=[*written, target], written=written, body=[*before, *inner]
    )


def _of_packed(node: Node, store: Store) -> Store | None:
    """A statement that stores what is packed as well, reading it from where it was packed."""
    if not isinstance(node, Store) or node.guard is not None:
        return None
    value = node.value
    packed: Expr = Load(store.target, store.index, store.target.dtype, None)
    if value is not store.value:
        if not isinstance(value, Apply) or value.op != "cast" or value.args[0] is not store.value:
            return None
        packed = cast(packed, value.dtype)
    return replace(node, value=packed)


def _targets(nodes: Sequence[Store | None]) -> list[Buffer]:
    return [node.target for node in nodes if node is not None]


def _placed(
    store: Store, axes: Sequence[Axis], results: Sequence[Buffer], block: Block
) -> list[Part] | None:
    """Which part of what is stored each result is, if all of it is packed of them."""
    place, size = offset_of(store.target, store.index), store.target.size
    alike = {b.dtype for b in results} == {store.target.dtype}
    if store.combine or store.guard is not None or not alike:
        return None
    loops = [(a.extent, place.axes.get(a, 0), 0) for a in axes]
    if _side_by_side(loops, place, size) is None or size != sum(b.size for b in results):
        return None
    found: dict[Buffer, Part | None] = {}
    for run in _runs(store.value, axes, place, block):
        loops = [(a.extent, c, run.target.axes.get(a, 0)) for a, c in run.source.axes.items()]
        inner = _side_by_side([*loops, (run.places, *run.steps)], run.source, run.buffer.size)
        strides = None if inner is None else _strides(run.buffer.shape, inner)
        part = None if strides is None else Part(run.buffer.shape, run.target.const, strides)
        found[run.buffer] = None if run.buffer in found else part
    parts = [found[b] for b in results if b in found]
    known = [p for p in parts if p is not None]
    return known if len(known) == len(found) == len(results) else None


def _side_by_side(
    loops: Sequence[tuple[int, int, int]], place: Affine, size: int
) -> list[tuple[int, int]] | None:
    """Of loops that go once through elements side by side, extents and last numbers, inner first.

    Args:
        loops: extents, strides, and another number of each.
    """
    found: list[tuple[int, int]] = []
    count = 1
    for extent, stride, other in sorted(loops, key=lambda loop: loop[1]):
        if extent > 1:
            if stride != count:
                return None
            found.append((extent, other))
        count *= extent
    return found if count == size and not place.const and not place.dynamic else None


def _strides(shape: Sequence[int], inner: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    """The strides of a shape whose elements, in order, lie as loops step through them."""
    waiting, found = [*inner], list[int]()
    for axis in reversed(shape):
        parts: list[tuple[int, int]] = []
        while axis > 1:
            extent, step = waiting.pop(0)
            own = min(axis, extent)
            if axis % own or extent % own:
                return None
            if own < extent:
                waiting.insert(0, (extent // own, step * own))
            parts.insert(0, (own, step))
            axis //= own
        step = even([n for n, _ in parts], [s for _, s in parts])
        if step is None:
            return None
        found.insert(0, step)
    return tuple(found) if found[-1:] == [1] else None


def _runs(value: Expr, axes: Sequence[Axis], place: Affine, block: Block) -> list[_Run]:
    """What the places of the packed axis take, one buffer after the other; none if it is more."""
    asked = {a for x in parts_of(value) if isinstance(x, Index) for a in x.affine.axes}
    packed = asked.pop() if len(asked) == 1 else None
    if packed is None or packed not in axes or packed.extent > _MOST_PLACES:
        return []
    runs: list[_Run] = []
    for n in range(packed.extent):
        load = _at(value, packed, n)
        if not isinstance(load, Load):
            return []
        offset, buffer = offset_of(load.source, load.index), block.root(load.source)
        source = _with(offset, packed, n)
        last = runs[-1] if runs else None
        if last is None or last.buffer is not buffer:
            steps = offset.axes.get(packed, 0), place.axes.get(packed, 0)
            runs.append(_Run(buffer, source, _with(place, packed, n), steps, 1))
        elif source.same(last.source + last.steps[0] * last.places):
            runs[-1] = last._replace(places=last.places + 1)
        else:
            return []
    return runs


def _at(x: Expr, axis: Axis, n: int) -> Any:
    """An expression at a place of an axis: a load or a number; None where it is neither."""
    if isinstance(x, Const):
        return x.value
    if isinstance(x, Index):
        there = _with(x.affine, axis, n)
        return None if there.axes or there.dynamic else there.const
    if isinstance(x, Load):
        guard = True if x.guard is None else _at(x.guard, axis, n)
        return None if guard is None else x if guard else 0
    if not isinstance(x, Apply):
        return None
    if x.op == "select":
        chosen = _at(x.args[0], axis, n)
        return None if chosen is None else _at(x.args[1 if chosen else 2], axis, n)
    args = [_at(y, axis, n) for y in x.args]
    loads = [y for y in args if isinstance(y, Load)]
    numbers = [y for y in args if not isinstance(y, Load)]
    if any(y is None for y in numbers):
        return None
    if x.op == "add" and len(loads) < 2 and not any(numbers):
        return loads[0] if loads else 0
    return _OPS[x.op](*args) if x.op in _OPS and not loads else None


def _with(x: Affine, axis: Axis, n: int) -> Affine:
    """An index with the place of an axis put in."""
    rest = {a: c for a, c in x.axes.items() if a is not axis}
    return Affine(x.const + x.axes.get(axis, 0) * n, rest, x.dynamic)
