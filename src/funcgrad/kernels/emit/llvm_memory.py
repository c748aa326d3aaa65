"""Indices, loads and stores in the LLVM emitter.

The one idea: along the vector axis an access either stays (one load for all lanes), steps by one
(a row of memory, masked in the last turn) or does something else (gathered lane by lane).
"""

from __future__ import annotations

from ...ir.loops import Affine, Load
from ...ir.nests import Buffer, Store, offset_of
from .llvm_ops import constant_text, known_lanes, memory_type, typed
from .llvm_strided import Strided
from .llvm_values import Value
from .streams import ALIGNMENT, in_rows_of, line_of


class Memory(Strided):
    """What the emitter of a kernel does with memory."""

    def index(self, affine: Affine, as_vector: bool) -> Value:
        """The int64 value of an index; without the lanes' own part unless `as_vector`."""
        terms = [(self.axes[axis], c) for axis, c in affine.axes.items()]
        parts = [Value(self.scaled(b.name, c, b.level), 1, b.level) for b, c in terms]
        vectors: list[Value] = []
        for e, c in affine.dynamic:
            v = self.value(e)
            if v.lanes > 1:
                scale = f"splat (i64 {c})"
                name = v.name if c == 1 else self.i64("mul", v.name, scale, v.level, v.lanes)
                vectors.append(Value(name, v.lanes, v.level))
            else:
                parts.append(Value(self.scaled(v.name, c, v.level), 1, v.level))
        total = Value(str(affine.const), 1, 0)
        for part in sorted(parts, key=lambda p: p.level):
            if total.name == "0":
                total = part
                continue
            name = self.i64("add", part.name, total.name, part.level)
            total = Value(name, 1, part.level)
        coefficient = affine.axes.get(self.vector, 0) if self.vector is not None else 0
        if as_vector and coefficient:
            steps = ", ".join(f"i64 {coefficient * k}" for k in range(self.lanes))
            vectors.append(Value(f"<{steps}>", self.lanes, 0))
        if vectors and as_vector:
            wide = self.splat_i64(total)
            for v in vectors:
                level = max(wide.level, v.level)
                wide = Value(
                    self.i64("add", wide.name, v.name, level, self.lanes), self.lanes, level
                )
            return wide
        assert not vectors
        return total

    def _varying(self, affine: Affine) -> bool:
        return any(self.value(e).lanes > 1 for e, _ in affine.dynamic)

    # Memory.

    def masked(self, guard: Value | None) -> tuple[str, int]:
        """The mask as a vector of i1, and its level."""
        lanes = typed("i1", self.lanes)
        if guard is None:
            return self.mask or "splat (i1 true)", 0
        name = self.widen_kind(guard, "i1")
        if self.mask is None:
            return name, guard.level
        level = len(self.w.open)
        return self.w.value(f"and {lanes} {name}, {self.mask}", level), level

    def load(self, x: Load) -> Value:
        """An element, or one for each lane."""
        buffer: Buffer = x.source
        if not buffer.size:
            return Value(constant_text(0, x.dtype), 1, 0)
        offset = offset_of(buffer, x.index)
        guard = None if x.guard is None else self.value(x.guard)
        varying = self._varying(offset)
        stride = offset.axes.get(self.vector, 0) if self.vector is not None else 0
        floor = len(self.w.open) if buffer in self.written else 0
        if not varying and not stride and (guard is None or guard.lanes == 1):
            return self._load_one(buffer, offset, guard, floor)
        if self.mask is not None:
            floor = len(self.w.open)
        if varying or stride != 1:
            rows = self.load_strided(buffer, offset, guard, floor)
            if rows is not None:
                return rows
            if not varying and guard is None and self.mask is None:
                return self._load_apart(buffer, offset, stride, floor)
            return self._gather(buffer, offset, guard, floor)
        at = self.index(offset, False)
        kind = memory_type(buffer.dtype)
        level = max(at.level, floor)
        mask: str | None = None
        if guard is not None or self.mask is not None:
            mask, mask_level = self.masked(guard)
            level = max(level, mask_level)
        pointer = self.address(buffer, kind, at.name, max(at.level, floor))
        name = self.row(pointer, kind, buffer.dtype.itemsize, mask, level)
        return Value(self.from_memory(name, x.dtype, self.lanes, level), self.lanes, level)

    def _load_one(self, buffer: Buffer, offset: Affine, guard: Value | None, floor: int) -> Value:
        at = self.index(offset, False)
        level = max(at.level, floor, guard.level if guard is not None else 0)
        kind = memory_type(buffer.dtype)
        name = at.name
        if guard is not None:
            name = self.w.value(f"select i1 {guard.name}, i64 {name}, i64 0", level)
        pointer = self.address(buffer, kind, name, level)
        loaded = self.w.value(f"load {kind}, ptr {pointer}, align {buffer.dtype.itemsize}", level)
        if guard is not None:
            zero = constant_text(0, buffer.dtype) if buffer.dtype.kind != "b" else "0"
            loaded = self.w.value(f"select i1 {guard.name}, {kind} {loaded}, {kind} {zero}", level)
        return Value(self.from_memory(loaded, buffer.dtype, 1, level), 1, level)

    def _load_apart(self, buffer: Buffer, offset: Affine, stride: int, floor: int) -> Value:
        """Lanes at even distances, which are known: no vector of addresses is taken apart again."""
        at = self.index(offset, False)
        level, kind = max(at.level, floor), memory_type(buffer.dtype)
        first, lanes = self.address(buffer, kind, at.name, level), typed(kind, self.lanes)
        align, name = buffer.dtype.itemsize, "poison"
        for k in range(self.lanes):
            place = self.w.value(f"getelementptr {kind}, ptr {first}, i64 {k * stride}", level)
            item = self.w.value(f"load {kind}, ptr {place}, align {align}", level)
            name = self.w.value(f"insertelement {lanes} {name}, {kind} {item}, i64 {k}", level)
        return Value(self.from_memory(name, buffer.dtype, self.lanes, level), self.lanes, level)

    def _gather(self, buffer: Buffer, offset: Affine, guard: Value | None, floor: int) -> Value:
        at = self.index(offset, True)
        at = at if at.lanes > 1 else self.splat_i64(at)
        mask, mask_level = self.masked(guard)
        level = max(at.level, floor, mask_level)
        kind = memory_type(buffer.dtype)
        n, vector = self.lanes, typed(kind, self.lanes)
        base = self.pointers[buffer]
        pointers = self.w.value(f"getelementptr {kind}, ptr {base}, <{n} x i64> {at.name}", level)
        full = self.w.declare(
            f"llvm.masked.gather.{self.suffix(kind)}.v{n}p0",
            f"{vector} (<{n} x ptr>, i32, <{n} x i1>, {vector})",
        )
        name = self.w.value(
            f"call {vector} {full}(<{n} x ptr> {pointers}, i32 {buffer.dtype.itemsize}, "
            f"<{n} x i1> {mask}, {vector} zeroinitializer)",
            level,
        )
        return Value(self.from_memory(name, buffer.dtype, n, level), n, level)

    def store(self, node: Store) -> None:
        """Write an element, or one for each lane."""
        buffer = node.target
        if not buffer.size:
            return
        offset = offset_of(buffer, node.index)
        value = self.value(node.value)
        guard = None if node.guard is None else self.value(node.guard)
        varying = self._varying(offset)
        stride = offset.axes.get(self.vector, 0) if self.vector is not None else 0
        one = value.lanes == 1 and (guard is None or guard.lanes == 1)
        if self.vector is None or (not varying and not stride and one):
            self._store_one(node, offset, value, guard)
        elif varying or stride != 1:
            self._store_apart(node, offset, value, guard)
        else:
            self._store_together(node, offset, value, guard)

    def _store_apart(self, node: Store, offset: Affine, value: Value, guard: Value | None) -> None:
        """Lanes that are not neighbours in memory."""
        assert not node.combine, "colliding lanes: this loop must be serial"
        buffer, n = node.target, self.lanes
        kind = memory_type(buffer.dtype)
        vector = typed(kind, n)
        at = self.index(offset, True)
        mask, _ = self.masked(guard)
        base = self.pointers[buffer]
        pointers = self.w.value(f"getelementptr {kind}, ptr {base}, <{n} x i64> {at.name}")
        full = self.w.declare(
            f"llvm.masked.scatter.{self.suffix(kind)}.v{n}p0",
            f"void ({vector}, <{n} x ptr>, i32, <{n} x i1>)",
        )
        stored = self.to_memory(self.widen(value, node.value.dtype, n), node.value.dtype, n)
        self.w.line(
            f"call void {full}({vector} {stored}, <{n} x ptr> {pointers}, "
            f"i32 {buffer.dtype.itemsize}, <{n} x i1> {mask})"
        )

    def _store_together(
        self, node: Store, offset: Affine, value: Value, guard: Value | None
    ) -> None:
        """Lanes side by side in memory."""
        buffer, n = node.target, self.lanes
        kind = memory_type(buffer.dtype)
        name = self.widen(value, node.value.dtype, n)
        at = self.index(offset, False)
        pointer = self.address(buffer, kind, at.name, len(self.w.open))
        known = known_lanes(self.mask) if self.mask else None
        if guard is not None and guard.lanes > 1 and known and known.count(True) == 1:
            bits, level = self.widen_kind(guard, "i1"), len(self.w.open)
            lane = f"extractelement {typed('i1', n)} {bits}, i64 {known.index(True)}"
            guard = Value(self.w.value(lane, level), 1, level)
        if guard is not None and guard.lanes == 1:
            # All lanes or none: a branch costs less than a mask.
            with self.w.when(guard.name):
                self._write_row(node, pointer, name, offset, self.mask)
            return
        plain = guard is None and self.mask is None
        self._write_row(node, pointer, name, offset, None if plain else self.masked(guard)[0])

    def _write_row(
        self, node: Store, pointer: str, name: str, offset: Affine, mask: str | None
    ) -> None:
        buffer, n = node.target, self.lanes
        kind, align = memory_type(buffer.dtype), buffer.dtype.itemsize
        level = len(self.w.open)
        if node.combine:
            old = self.row(pointer, kind, align, mask, level)
            held = self.from_memory(old, buffer.dtype, n, level)
            name = self.ops.apply(node.combine, [held, name], buffer.dtype, n, level)
        self.store_row(buffer, offset, pointer, self.to_memory(name, node.value.dtype, n), mask)

    def store_row(
        self, buffer: Buffer, offset: Affine, pointer: str, stored: str, mask: str | None
    ) -> None:
        """Write lanes side by side in memory, as they are stored."""
        n, kind, align = self.lanes, memory_type(buffer.dtype), buffer.dtype.itemsize
        row = self.kept.get(buffer)
        if row is not None:
            assert self.vector is not None
            at = self.w.value(f"add i64 {row.place}, {self.axes[self.vector].name}")
            pointer = self.w.value(f"getelementptr {kind}, ptr {row.memory}, i64 {at}")
        if mask is not None:
            self.store_masked(buffer, pointer, stored, mask)
            return
        how = f"align {align}"
        if row is None and buffer in self.streamed and self._begins_lines(buffer, offset):
            how = f"align {min(n * align, ALIGNMENT)}, !nontemporal !{{i32 1}}"
        self.w.line(f"store {typed(kind, n)} {stored}, ptr {pointer}, {how}")

    def _begins_lines(self, buffer: Buffer, offset: Affine) -> bool:
        line = line_of(buffer, self.lanes)
        return buffer in self.in_lines or (self.in_step and in_rows_of(offset, self.vector, line))

    def store_masked(self, buffer: Buffer, pointer: str, stored: str, mask: str) -> None:
        """Write some of the lanes side by side in memory."""
        n, kind, align = self.lanes, memory_type(buffer.dtype), buffer.dtype.itemsize
        vector = typed(kind, n)
        known = known_lanes(mask)
        if known and known.count(True) == 1:
            # LLVM 22 makes of a masked store of one lane and a truncation before it one store of as
            # many bytes as there were before the truncation (x86-64 with AVX-512).
            lane = known.index(True)
            one = self.w.value(f"extractelement {vector} {stored}, i64 {lane}")
            place = self.w.value(f"getelementptr {kind}, ptr {pointer}, i64 {lane}")
            self.w.line(f"store {kind} {one}, ptr {place}, align {align}")
            return
        full = self.w.declare(
            f"llvm.masked.store.{self.suffix(kind)}.p0", f"void ({vector}, ptr, i32, <{n} x i1>)"
        )
        self.w.line(
            f"call void {full}({vector} {stored}, ptr {pointer}, i32 {align}, <{n} x i1> {mask})"
        )

    def row(self, pointer: str, kind: str, align: int, mask: str | None, level: int) -> str:
        """Neighbouring elements in memory, 0 on masked lanes."""
        n, vector = self.lanes, typed(kind, self.lanes)
        if mask is None:
            return self.w.value(f"load {vector}, ptr {pointer}, align {align}", level)
        full = self.w.declare(
            f"llvm.masked.load.{self.suffix(kind)}.p0",
            f"{vector} (ptr, i32, <{n} x i1>, {vector})",
        )
        return self.w.value(
            f"call {vector} {full}(ptr {pointer}, i32 {align}, <{n} x i1> {mask}, "
            f"{vector} zeroinitializer)",
            level,
        )

    def _store_one(self, node: Store, offset: Affine, value: Value, guard: Value | None) -> None:
        buffer = node.target
        kind, align = memory_type(buffer.dtype), buffer.dtype.itemsize
        at = self.index(offset, False)
        if guard is None:
            self._write(node, kind, align, at, value)
            return
        with self.w.when(guard.name):
            self._write(node, kind, align, at, value)

    def _write(self, node: Store, kind: str, align: int, at: Value, value: Value) -> None:
        pointer = self.w.value(
            f"getelementptr {kind}, ptr {self.pointers[node.target]}, i64 {at.name}"
        )
        name = value.name
        if node.combine:
            old = self.w.value(f"load {kind}, ptr {pointer}, align {align}")
            level = len(self.w.open)
            held = self.from_memory(old, node.target.dtype, 1, level)
            name = self.ops.apply(node.combine, [held, name], node.target.dtype, 1, level)
        self.w.line(
            f"store {kind} {self.to_memory(name, node.value.dtype, 1)}, "
            f"ptr {pointer}, align {align}"
        )
