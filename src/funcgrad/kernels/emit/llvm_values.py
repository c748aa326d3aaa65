"""Values in registers, and what is remembered of them, in the LLVM emitter.

In: expressions. Out: names of values. The one idea: what is written once serves all its uses for as
long as the loops it depends on are open, so what is known is kept in a scope for each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, NamedTuple

from ...ir.loops import Affine, Axis, DType, Expr
from ...ir.nests import Buffer
from .llvm_ops import Ops, register_type, suffix, typed
from .writer import Writer, splat


class Value(NamedTuple):
    """A value in registers: name, lanes, and how many open loops it depends on."""

    name: str
    lanes: int
    level: int


class Bound(NamedTuple):
    """An axis with a value: its name, and the level at which the value is known."""

    name: str
    level: int


class Kept(NamedTuple):
    """A row of results on the stack, which lies in lines as it does in its buffer.

    Attributes:
        memory: where its first line begins.
        place: how many elements from there the row begins.
        start: where that line begins in the buffer, in elements.
    """

    memory: str
    place: str
    start: str


class Values(ABC):
    """What the emitter of a kernel stands on: its state, and what it has written already."""

    def __init__(self, writer: Writer) -> None:
        self.w = writer
        self.ops = Ops(writer)
        self.lanes = 1
        self.pointers: dict[Buffer, str] = {}
        self.written: set[Buffer] = set()
        self.streamed: Collection[Buffer] = ()
        self.in_step = False  # whether full turns of the vector loop begin at multiples of lanes
        self.in_lines: Collection[Buffer] = ()  # of those, what full turns write in whole lines
        self.kept: dict[Buffer, Kept] = {}  # of those, what is written to the stack first
        self.vector: Axis | None = None
        self.axes: dict[Axis, Bound] = {}
        self.mask: str | None = None
        self.going: str | None = None  # the lanes on which the loop around has not ended
        self.arm: int | None = None  # the level of the code that runs rarely, while in it
        self._scopes: list[dict[Any, tuple[Value, Any]]] = [{}]

    @abstractmethod
    def value(self, x: Expr) -> Value:
        """The value of an expression."""
        ...

    # What has been written already.

    def find(self, key: Any) -> Value | None:
        """The value kept under a key in a loop that is still open."""
        depth = len(self.w.open) + 1
        del self._scopes[depth:]
        while len(self._scopes) < depth:
            self._scopes.append({})
        for scope in reversed(self._scopes):
            found = scope.get(key)
            if found is not None:
                return found[0]
        return None

    def keep(self, key: Any, value: Value, alive: Any, level: int) -> None:
        """Remember a value for as long as the loops it depends on are open."""
        level = max(level, self.w.floor)
        if self.arm is not None and level >= self.arm:
            level = len(self.w.open)
        self._scopes[level][key] = (value, alive)

    def push(self) -> None:
        """Enter a section: what was kept at this depth before does not count in it."""
        depth = len(self.w.open)
        del self._scopes[depth:]
        while len(self._scopes) <= depth:
            self._scopes.append({})

    def pop(self) -> None:
        """Leave a section."""
        del self._scopes[len(self.w.open) :]

    def i64(self, op: str, a: str, b: str, level: int, lanes: int = 1) -> str:
        """Arithmetic on indices, each result written once."""
        key = (op, a, b, lanes)
        found = self.find(key)
        if found is None:
            flag = "nsw " if op in ("add", "mul") else ""
            name = self.w.value(f"{op} {flag}{typed('i64', lanes)} {a}, {b}", level)
            found = Value(name, lanes, level)
            self.keep(key, found, None, level)
        return found.name

    def scaled(self, name: str, factor: int, level: int) -> str:
        """A multiple of an index."""
        if factor == 1:
            return name
        if name.lstrip("-").isdigit():
            return str(int(name) * factor)
        return self.i64("mul", name, str(factor), level)

    def splat_i64(self, v: Value) -> Value:
        """An index on all lanes."""
        return Value(self._splat(v, "i64"), self.lanes, v.level)

    def _splat(self, v: Value, kind: str) -> str:
        if not v.name.startswith("%"):
            return f"splat ({kind} {v.name})"
        key = ("splat", v.name, self.lanes)
        found = self.find(key)
        if found is None:
            found = Value(splat(kind, v.name, self.lanes, self.w, v.level), self.lanes, v.level)
            self.keep(key, found, None, v.level)
        return found.name

    def widen_kind(self, v: Value, kind: str) -> str:
        """A value of a register type on all lanes."""
        return v.name if v.lanes > 1 else self._splat(v, kind)

    @abstractmethod
    def row(self, pointer: str, kind: str, align: int, mask: str | None, level: int) -> str:
        """Neighbouring elements in memory, 0 on masked lanes."""
        ...

    @abstractmethod
    def store_row(
        self, buffer: Buffer, offset: Affine, pointer: str, stored: str, mask: str | None
    ) -> None:
        """Write lanes side by side in memory, as they are stored."""
        ...

    @abstractmethod
    def masked(self, guard: Value | None) -> tuple[str, int]:
        """The mask as a vector of i1, and its level."""
        ...

    def widen(self, v: Value, dtype: DType, lanes: int) -> str:
        """A value on `lanes` lanes."""
        if lanes == 1 or v.lanes == lanes:
            return v.name
        return self._splat(v, register_type(dtype))

    def below(self, count: str, level: int) -> str:
        """The mask of the lanes whose number is below `count`.

        It does not become known when code is put in the place of a call: see `Memory.store_row`.
        """
        n = self.lanes
        count = self.w.value(f'call i64 asm "", "=r,0"(i64 {count})', level)
        wide = splat("i64", count, n, self.w, level)
        lanes = ", ".join(f"i64 {k}" for k in range(n))
        return self.w.value(f"icmp slt <{n} x i64> <{lanes}>, {wide}", level)

    # Memory.

    def suffix(self, kind: str) -> str:
        """How an intrinsic names a vector of all lanes."""
        return suffix(kind, self.lanes)

    def address(self, buffer: Buffer, kind: str, at: str, level: int) -> str:
        """The address of an element."""
        key = ("address", buffer, at)
        found = self.find(key)
        if found is None:
            base = self.pointers[buffer]
            name = self.w.value(f"getelementptr {kind}, ptr {base}, i64 {at}", level)
            found = Value(name, 1, level)
            self.keep(key, found, None, level)
        return found.name

    def from_memory(self, name: str, dtype: DType, lanes: int, level: int) -> str:
        """A loaded value in registers: bytes of bools become bits."""
        if dtype.kind != "b":
            return name
        zero = "0" if lanes == 1 else "zeroinitializer"
        return self.w.value(f"icmp ne {typed('i8', lanes)} {name}, {zero}", level)

    def to_memory(self, name: str, dtype: DType, lanes: int) -> str:
        """A value as it is stored."""
        if dtype.kind != "b":
            return name
        return self.w.value(f"zext {typed('i1', lanes)} {name} to {typed('i8', lanes)}")
