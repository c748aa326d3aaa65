"""Rows that begin within a line of memory, written past the caches all the same.

In: a vector loop whose stores go past the caches, into rows that are no multiple of a line long.
Such stores must be of whole lines. Out: a loop over the whole lines of what it writes, with masked
turns before and behind it; or, where the loop also folds, a row on the stack, whose whole lines are
copied out when it is full. The one idea: the lanes of a fold never depend on where a row begins, so
equal rows have equal sums; stores may go as memory lies.
"""

from __future__ import annotations

from typing import NamedTuple

from ...ir.loops import Affine
from ...ir.nests import Buffer, For, Store, offset_of
from .llvm_memory import Memory
from .llvm_ops import memory_type
from .llvm_values import Bound, Kept
from .streams import ALIGNMENT, in_rows_of, line_of

# Lines of a row from which on it is worth it, and for a row on the stack; bytes of such rows, which
# stay in the first cache.
LINES, KEPT_LINES, KEPT = 12, 28, 1 << 15


class Across(NamedTuple):
    """What a vector loop writes past the caches, and the elements that are whole lines of it all.

    Attributes:
        offsets: where each buffer is written.
        line: the elements.
    """

    offsets: dict[Buffer, Affine]
    line: int


def across_lines(emitter: Memory, loop: For) -> Across | None:
    """The stores of a vector loop that begin anywhere in a line; None where there are none."""
    assert emitter.vector is loop.axis
    offsets: dict[Buffer, Affine] = {}
    for node in loop.body:
        if not isinstance(node, Store) or node.target not in emitter.streamed:
            continue
        offset = offset_of(node.target, node.index)
        plain = node.guard is None and not node.combine and not offset.dynamic
        if not plain or offset.axes.get(loop.axis) != 1 or node.target in offsets:
            return None
        offsets[node.target] = offset
    line = max((line_of(b, emitter.lanes) for b in offsets), default=1)
    if all(emitter.in_step and in_rows_of(x, loop.axis, line) for x in offsets.values()):
        return None
    line = max(ALIGNMENT // b.dtype.itemsize for b in offsets)
    return Across(offsets, line) if loop.axis.extent >= LINES * line else None


def alike(found: Across) -> bool:
    """Whether all rows begin at the same place within a line."""
    first, *others = found.offsets.values()
    apart = [other - first for other in others]
    return all(c % found.line == 0 for x in apart for c in [x.const, *x.axes.values()])


def first_line(emitter: Memory, loop: For, found: Across, start: str, stop: str) -> str:
    """The turn that begins the first whole line of what is written, or the end."""
    w, offset = emitter.w, next(iter(found.offsets.values()))
    emitter.axes[loop.axis] = Bound(start, len(w.open))
    at = emitter.index(offset, False).name
    head = w.value(f"and i64 {w.value(f'sub i64 0, {at}')}, {found.line - 1}")
    first = w.value(f"add i64 {start}, {head}")
    late = w.value(f"icmp sgt i64 {first}, {stop}")
    return w.value(f"select i1 {late}, i64 {stop}, i64 {first}")


def keep_rows(emitter: Memory, loop: For, found: Across) -> dict[Buffer, Kept]:
    """Rows on the stack for what a loop writes, which stands in lines as in memory."""
    w, kept = emitter.w, dict[Buffer, Kept]()
    extent = loop.axis.extent
    if extent < KEPT_LINES * found.line:
        return kept
    if sum(extent * b.dtype.itemsize for b in found.offsets) > KEPT:
        return kept
    for buffer, offset in found.offsets.items():
        kind, line = memory_type(buffer.dtype), ALIGNMENT // buffer.dtype.itemsize
        size = extent + line + emitter.lanes
        memory = w.first(f"alloca [{size} x {kind}], align {ALIGNMENT}")
        emitter.axes[loop.axis] = Bound("0", 0)
        at = emitter.index(offset, False).name
        place = w.value(f"and i64 {at}, {line - 1}")
        kept[buffer] = Kept(memory, place, w.value(f"sub i64 {at}, {place}"))
    return kept


def write_rows(emitter: Memory, loop: For, kept: dict[Buffer, Kept]) -> None:
    """Copy rows from the stack to where they belong: whole lines past the caches."""
    for buffer, row in kept.items():
        _write_row(emitter, buffer, row, loop.axis.extent)


def _write_row(emitter: Memory, buffer: Buffer, row: Kept, extent: int) -> None:
    w, kind, size = emitter.w, memory_type(buffer.dtype), buffer.dtype.itemsize
    line = ALIGNMENT // size
    vector, lanes = f"<{line} x {kind}>", emitter.lanes
    target = w.value(f"getelementptr {kind}, ptr {emitter.pointers[buffer]}, i64 {row.start}")
    past = w.value(f"add i64 {row.place}, {extent}")
    first = w.value(f"and i64 {w.value(f'add i64 {row.place}, {line - 1}')}, {-line}")
    last = w.value(f"and i64 {past}, {-line}")

    def copied(at: str, mask: str | None) -> None:
        source = w.value(f"getelementptr {kind}, ptr {row.memory}, i64 {at}")
        into = w.value(f"getelementptr {kind}, ptr {target}, i64 {at}")
        held = w.value(f"load {vector}, ptr {source}, align {ALIGNMENT}")
        if mask is None:
            how = f"align {ALIGNMENT}, !nontemporal !{{i32 1}}"
            w.line(f"store {vector} {held}, ptr {into}, {how}")
        else:
            emitter.store_masked(buffer, into, held, mask)

    emitter.lanes = line
    with w.loop(first, last, line) as lines:
        copied(lines.index, None)
    with w.when(w.value(f"icmp sgt i64 {row.place}, 0")):
        before = emitter.below(row.place, len(w.open))
        copied("0", w.value(f"xor <{line} x i1> {before}, splat (i1 true)"))
    with w.when(w.value(f"icmp slt i64 {last}, {past}")):
        rest = w.value(f"sub i64 {past}, {last}")
        copied(last, emitter.below(rest, len(w.open)))
    emitter.lanes = lanes
