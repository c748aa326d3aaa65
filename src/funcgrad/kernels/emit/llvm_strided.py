"""Rows of memory of which every second, third or fourth element is wanted, or all backwards.

In: accesses that step by a small number along the vector axis. Out: whole rows, and shuffles
between them and the lanes. The one idea: between the first and the last element that the lanes
want, all memory is the buffer's, so whole rows that end at these two never leave it; accesses whose
elements lie between each other's, as the parts of complex numbers do, share their rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...ir.loops import Affine, Axis, Load
from ...ir.nests import Buffer, Store, offset_of
from .llvm_folds import Folds
from .llvm_ops import known_lanes, mask_text, memory_type, typed
from .llvm_values import Value
from .writer import Writer

# The widest step: beyond, most of what such rows hold is not wanted.
WIDEST = 4
# Bytes of an element from which on processors have masked loads and stores of rows.
_MASKED = 4

Steps = frozenset[tuple[Axis, int]]


class Window(NamedTuple):
    """The rows that cover what the lanes want.

    Attributes:
        step: of the vector axis; negative for lanes that go backwards.
        wanted: what lanes want in each step, counted from the lowest element.
        starts: where rows start, counted from the lowest element.
    """

    step: int
    lowest: int
    wanted: tuple[int, ...]
    starts: tuple[int, ...]

    def lane(self, lane: int, lanes: int, first: int) -> int:
        """Where a lane's element is, counted from the lowest one."""
        return first + abs(self.step) * (lane if self.step > 0 else lanes - 1 - lane)


def window(step: int, consts: Iterable[int], lanes: int) -> Window:
    """The window of accesses that differ by constants below the step."""
    lowest = min(consts)
    wanted = tuple(sorted({c - lowest for c in consts}))
    last = wanted[-1] + abs(step) * (lanes - 1)
    # The last row ends at the last element; it may overlap the row before it.
    starts = (*range(0, last + 1 - lanes, lanes), last + 1 - lanes)
    back = step * (lanes - 1) if step < 0 else 0
    return Window(step, lowest + back, wanted, starts)


class Strided(Folds):
    """What the emitter of a kernel does with memory between whose elements others lie."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self.between: dict[tuple[Buffer, Steps], set[int]] = {}

    def note_steps(self, loads: Iterable[Load]) -> None:
        """Find out which loads of a vector loop lie between each other."""
        self.between = {}
        for load in loads:
            offset = offset_of(load.source, load.index)
            if load.guard is None and self.step_of(offset) and load.source not in self.written:
                key = (load.source, frozenset(offset.axes.items()))
                self.between.setdefault(key, set()).add(offset.const)

    def step_of(self, offset: Affine) -> int:
        """The step along the vector axis where rows and shuffles serve it, else 0."""
        if offset.dynamic or self.vector is None:
            return 0
        step = offset.axes.get(self.vector, 0)
        return step if step == -1 or 2 <= abs(step) <= WIDEST else 0

    def load_strided(
        self, buffer: Buffer, offset: Affine, guard: Value | None, floor: int
    ) -> Value | None:
        """An element for each lane; None where a gather is better."""
        step, n = self.step_of(offset), self.lanes
        masked = guard is not None or self.mask is not None
        if not step or (masked and buffer.dtype.itemsize < _MASKED):
            return None
        key = (buffer, frozenset(offset.axes.items()))
        alone = guard is not None or buffer in self.written
        known = {offset.const} if alone else self.between.get(key, {offset.const})
        size = abs(step)
        # Of those that lie between each other, the ones in the same period.
        start = offset.const - (offset.const - min(known)) % size
        rows = window(step, [c for c in known if start <= c < start + size], n)
        first = offset.const - (rows.lowest - (step * (n - 1) if step < 0 else 0))
        mask, mask_level = self.masked(guard) if masked else (None, 0)
        places = [rows.lane(k, n, first) for k in range(n)]
        kind, level = memory_type(buffer.dtype), max(floor, mask_level)
        parts: list[tuple[str, list[int]]] = []
        for number, begin in enumerate(rows.starts):
            mine = _holder(places, rows.starts, number, n)
            if any(m >= 0 for m in mine):
                row = self._strided_row(buffer, offset, rows, begin, mask, level, alone)
                level = max(level, row.level)
                parts.append((row.name, mine))
        name = self._merged(kind, parts, level)
        return Value(self.from_memory(name, buffer.dtype, n, level), n, level)

    def _merged(self, kind: str, parts: Sequence[tuple[str, list[int]]], level: int) -> str:
        """A vector of lanes of others.

        Args:
            parts: vectors, and of each for every lane which of its lanes is wanted, or -1.
        """
        vector, n = typed(kind, self.lanes), self.lanes
        (name, mine), *rest = parts
        for other, more in rest or [("poison", [-1] * n)]:
            pairs = zip(mine, more, strict=True)
            order = ", ".join(f"i32 {n + y if y >= 0 else max(x, 0)}" for x, y in pairs)
            name = self.w.value(
                f"shufflevector {vector} {name}, {vector} {other}, <{n} x i32> <{order}>", level
            )
            mine = [*range(n)]
        return name

    def _strided_row(
        self,
        buffer: Buffer,
        offset: Affine,
        rows: Window,
        begin: int,
        mask: str | None,
        level: int,
        alone: bool,
    ) -> Value:
        """One row of a window, loaded once for all that share it."""
        n = self.lanes
        at = self.index(Affine(rows.lowest + begin, offset.axes), False)
        level = max(level, at.level)
        key = ("row", buffer, at.name, mask)
        found = None if alone else self.find(key)
        if found is not None:
            return found
        kind = memory_type(buffer.dtype)
        pointer = self.address(buffer, kind, at.name, level)
        if mask is not None:
            mask = self.shuffled_mask(mask, _owners(rows, begin, n), level)
        row = Value(self.row(pointer, kind, buffer.dtype.itemsize, mask, level), n, level)
        if not alone:
            self.keep(key, row, None, level)
        return row

    def shuffled_mask(self, mask: str, owners: Sequence[int], level: int) -> str:
        """The mask of a row each of whose elements belongs to a lane, or (-1) to none."""
        n, known = self.lanes, known_lanes(mask)
        if known is not None:
            return mask_text(k >= 0 and known[k] for k in owners)
        order = ", ".join(f"i32 {n if k < 0 else k}" for k in owners)
        bits = typed("i1", n)
        return self.w.value(
            f"shufflevector {bits} {mask}, {bits} zeroinitializer, <{n} x i32> <{order}>", level
        )

    def interleaved(self, stores: Sequence[Store]) -> list[list[Store]]:
        """Of neighbouring stores those that fill rows together, in order within a step."""
        found: dict[tuple[Buffer, Steps], list[tuple[int, Store]]] = {}
        targets: dict[Buffer, int] = {}
        for store in stores:
            targets[store.target] = targets.get(store.target, 0) + 1
            offset = offset_of(store.target, store.index)
            if store.guard is None and not store.combine and self.step_of(offset) > 1:
                key = (store.target, frozenset(offset.axes.items()))
                found.setdefault(key, []).append((offset.const, store))
        groups: list[list[Store]] = []
        for (target, steps), group in found.items():
            assert self.vector is not None
            size = dict(steps)[self.vector]
            consts = sorted(c for c, _ in group)
            small = self.mask is not None and target.dtype.itemsize < _MASKED
            whole = consts == list(range(consts[0], consts[0] + size))
            if whole and targets[target] == size and not small:
                groups.append([s for _, s in sorted(group, key=lambda pair: pair[0])])
        return groups

    def store_interleaved(self, group: Sequence[Store]) -> None:
        """Write values that lie between each other as whole rows."""
        n, size, first = self.lanes, len(group), group[0]
        buffer = first.target
        kind = memory_type(buffer.dtype)
        values = [
            self.to_memory(self.widen(self.value(s.value), s.value.dtype, n), s.value.dtype, n)
            for s in group
        ]
        offset = offset_of(buffer, first.index)
        level = len(self.w.open)
        for k in range(size):
            places = [divmod(k * n + e, size) for e in range(n)]
            parts = [
                (value, [lane if part == c else -1 for lane, part in places])
                for c, value in enumerate(values)
            ]
            name = self._merged(kind, parts, level)
            begin = offset + k * n
            at = self.index(begin, False)
            pointer = self.address(buffer, kind, at.name, level)
            mask = None
            if self.mask is not None:
                mask = self.shuffled_mask(self.mask, [lane for lane, _ in places], level)
            self.store_row(buffer, begin, pointer, name, mask)


def _holder(places: Sequence[int], starts: Sequence[int], number: int, lanes: int) -> list[int]:
    """For each lane its element in a row, -1 where another row is to give it."""
    begin = starts[number]
    end = starts[number + 1] if number + 1 < len(starts) else begin + lanes
    return [p - begin if begin <= p < min(end, begin + lanes) else -1 for p in places]


def _owners(rows: Window, begin: int, lanes: int) -> list[int]:
    """The lane that wants each element of a row, -1 for none."""
    owner = {rows.lane(lane, lanes, first): lane for first in rows.wanted for lane in range(lanes)}
    return [owner.get(begin + e, -1) for e in range(lanes)]
