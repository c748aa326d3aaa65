"""Copies that turn rows into columns, a square of a vector's lanes at a time.

In: a pair of loops over stores, as tiles are filled. Out: rows of the source loaded whole, turned
in registers, and stored whole. The one idea: of two rows, what a processor lays together in one
instruction are their halves, element by element; where that is done with rows half the square
apart, as often as the number of rows is a power of two, rows have become columns.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.loops import Affine, Load
from ...ir.nests import Buffer, For, Store, offset_of
from .llvm_memory import Memory
from .llvm_values import Bound

# Bytes of a row of a square: wider vectors are laid together in halves of this size.
ROW = 16


class Turned(NamedTuple):
    """One copy: where the first element of the loops' turns is loaded and stored.

    Attributes:
        row: elements between rows of the source, and `column`: between those of the target.
    """

    store: Store
    load: Load
    row: int
    column: int


def turned(outer: For) -> list[Turned]:
    """The copies that a pair of loops consists of, where all turn rows into columns."""
    if len(outer.body) != 1 or not isinstance(inner := outer.body[0], For):
        return []
    loops, found = (outer, inner), list[Turned]()
    if any(loop.vector or loop.chunked or loop.accs for loop in loops):
        return []
    for node in inner.body:
        copy = _copy(outer, inner, node) if isinstance(node, Store) else None
        if copy is None:
            return []
        found.append(copy)
    # All rows of a square are read before the first is written.
    written = {copy.store.target for copy in found}
    return [] if any(copy.load.source in written for copy in found) else found


def _copy(outer: For, inner: For, store: Store) -> Turned | None:
    load, lanes = store.value, ROW // store.target.dtype.itemsize
    if not isinstance(load, Load) or load.guard is not None:
        return None
    if store.combine or store.guard is not None or load.dtype != store.target.dtype or lanes < 2:
        return None
    into, source = offset_of(store.target, store.index), offset_of(load.source, load.index)
    row, column = source.axes.get(outer.axis, 0), into.axes.get(inner.axis, 0)
    along = into.axes.get(outer.axis) == source.axes.get(inner.axis) == 1
    whole = outer.axis.extent % lanes == inner.axis.extent % lanes == 0
    if not along or not whole or into.dynamic or source.dynamic or not row or not column:
        return None
    return Turned(store, load, row, column)


def write_turned(emitter: Memory, outer: For, copies: list[Turned]) -> None:
    """The pair of loops, a square at a time."""
    (inner,) = outer.body
    assert isinstance(inner, For)
    step = max(ROW // copy.load.dtype.itemsize for copy in copies)
    w = emitter.w
    with w.loop("0", str(outer.axis.extent), str(step)) as rows:
        emitter.push()
        emitter.axes[outer.axis] = Bound(rows.index, len(w.open))
        with w.loop("0", str(inner.axis.extent), str(step)) as columns:
            emitter.push()
            emitter.axes[inner.axis] = Bound(columns.index, len(w.open))
            for copy in copies:
                lanes = ROW // copy.load.dtype.itemsize
                for down in range(0, step, lanes):
                    for along in range(0, step, lanes):
                        _square(emitter, copy, down, along)


def _square(emitter: Memory, copy: Turned, down: int, along: int) -> None:
    """A square whose first element is so many rows down and elements along in the source."""
    size = copy.load.dtype.itemsize
    lanes, bits = ROW // size, f"i{8 * size}"
    vector, w = f"<{lanes} x {bits}>", emitter.w
    source = offset_of(copy.load.source, copy.load.index)
    into = offset_of(copy.store.target, copy.store.index)

    def place(buffer: Buffer, offset: Affine) -> str:
        at = emitter.index(offset, False)
        return w.value(f"getelementptr {bits}, ptr {emitter.pointers[buffer]}, i64 {at.name}")

    held: list[str] = []
    for r in range(lanes):
        row = place(copy.load.source, source + (down + r) * copy.row + along)
        held.append(w.value(f"load {vector}, ptr {row}, align {size}"))
    low = [x for k in range(lanes // 2) for x in (k, lanes + k)]
    high = [x + lanes // 2 for x in low]
    for _ in range(lanes.bit_length() - 1):
        pairs = zip(held[: lanes // 2], held[lanes // 2 :], strict=True)
        held = [_together(emitter, vector, a, b, half) for a, b in pairs for half in (low, high)]
    for c, column in enumerate(held):
        target = place(copy.store.target, into + (along + c) * copy.column + down)
        w.line(f"store {vector} {column}, ptr {target}, align {size}")


def _together(emitter: Memory, vector: str, a: str, b: str, lanes: list[int]) -> str:
    mask = ", ".join(f"i32 {x}" for x in lanes)
    return emitter.w.value(
        f"shufflevector {vector} {a}, {vector} {b}, <{len(lanes)} x i32> <{mask}>"
    )
