"""A loop nest as an LLVM function with explicit vectors.

In: a `Kernel`. Out: text of `void @name(ptr args, i64 lo, i64 hi)`. The one idea: an expression
is written at the loop depth of the axes it depends on, once for all its uses there; along the
vector axis it is one value for all lanes (uniform) or a vector, and only then costs a vector.
A vector loop is full turns and one masked turn for the rest, so no lane leaves its buffer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...ir.loops import COMPARISONS, Affine, Apply, Axis, Const, Expr, Index, Load, cast
from ...ir.nests import (
    Acc,
    Advance,
    Buffer,
    For,
    Kernel,
    Node,
    Store,
    expr_cost,
    expressions,
    loads_of,
    neighbours,
    offset_of,
)
from .llvm_folds import Folds, Value
from .llvm_ops import constant_text, is_small_float, memory_type, register_type, typed
from .maths import expand
from .writer import Writer


class Bound(NamedTuple):
    """An axis with a value: its name, and the level at which the value is known."""

    name: str
    level: int


class KernelEmitter(Folds):
    """Writes one kernel."""

    def __init__(self, kernel: Kernel, vector_bits: int) -> None:
        super().__init__(Writer())
        self.kernel = kernel
        self.vector_bits = vector_bits
        self.axes: dict[Axis, Bound] = {}
        self.vector: Axis | None = None
        self.pointers: dict[Buffer, str] = {}
        self.written = {*kernel.written, *kernel.scratch}

    def text(self) -> tuple[str, dict[str, str]]:
        """The function, and the declarations it needs."""
        for k, buffer in enumerate(self.kernel.params):
            slot = self.w.value(f"getelementptr ptr, ptr %args, i64 {k}", 0)
            self.pointers[buffer] = self.w.value(f"load ptr, ptr {slot}", 0)
        for buffer in self.kernel.scratch:
            kind, size = memory_type(buffer.dtype), max(buffer.size, 1)
            self.pointers[buffer] = self.w.value(f"alloca [{size} x {kind}], align 64", 0)
        chunk = self.kernel.chunk
        if chunk is not None:
            number = self.w.value(f"udiv i64 %lo, {self.kernel.grain}", 0)
            self.axes[chunk] = Bound(number, 0)
        self.run(self.kernel.body)
        params = "ptr %args, i64 %lo, i64 %hi"
        return self.w.function(self.kernel.name, params, "void", "#0"), self.w.declared

    def run(self, body: list[Node]) -> None:
        """Write statements in order; of neighbouring stores, all values before the first."""
        made = 0
        for k, node in enumerate(body):
            if isinstance(node, Store) and k >= made:
                stores = neighbours(body, k)
                made = k + len(stores)
                for store in stores:
                    self.value(store.value)
            if isinstance(node, For):
                self.loop(node)
            elif isinstance(node, Store):
                self.store(node)
            elif isinstance(node, Advance):
                self.advance(node)
            else:
                self.accumulate(node)

    # Loops.

    def loop(self, node: For) -> None:
        """A loop, with the folds that start at it closed behind it."""
        started = [a for a in node.accs if a not in self.accs]
        for acc in started:
            across = self.vector is None and _vectorised(node, acc)
            lanes = self.lanes_of(node) if across or self.vector is not None else 1
            self.start(acc, lanes, across)
        if node.vector and self.lanes_of(node) > 1:
            self._vector_loop(node)
        else:
            self._scalar_loop(node)
        for acc in started:
            self.finish(acc)

    def _range(self, node: For) -> tuple[str, str]:
        return ("%lo", "%hi") if node.chunked else ("0", str(node.axis.extent))

    def _scalar_loop(self, node: For) -> None:
        start, stop = self._range(node)
        if node.axis.extent == 1:
            self.run(node.body)
            return
        with self.w.loop(start, stop, "1", self.carried(node.accs)) as loop:
            self.push()
            self.enter(node.accs, loop.carried)
            self.axes[node.axis] = Bound(loop.index, len(self.w.open))
            self.run(node.body)
            loop.next = self.leave(node.accs)
        self.enter_results(node.accs, loop.results)

    def _vector_loop(self, node: For) -> None:
        lanes = self.lanes_of(node)
        self.vector, self.lanes = node.axis, lanes
        unroll = self._unroll(node, lanes)
        start, stop = self._range(node)
        extent = node.axis.extent
        at = start
        for turns in (unroll, 1) if unroll > 1 else (1,):
            step = turns * lanes
            if node.chunked:
                size = self.w.value(f"sub i64 {stop}, {at}")
                rest = self.w.value(f"urem i64 {size}, {step}")
                end = self.w.value(f"sub i64 {stop}, {rest}")
            else:
                end = str(extent - (extent - int(at)) % step)
            if node.chunked or int(end) > int(at):
                self._turns(node, at, end, turns)
            at = end
        rest = extent % lanes != 0 if node.chunked else int(at) < extent
        if rest:
            self._last_turn(node, at, stop)
        self.vector, self.lanes, self.mask = None, 1, None

    def _turns(self, node: For, start: str, end: str, turns: int) -> None:
        """Full turns of the vector loop, `turns` of them in each round."""
        copies = [acc for acc in node.accs if turns > 1]
        extra = [self.fresh_copies(acc, turns - 1) for acc in copies]
        own = self.carried(node.accs)
        more = [pair for group in extra for pair in group]
        with self.w.loop(start, end, str(turns * self.lanes), [*own, *more]) as loop:
            self.push()
            names = loop.carried
            sets = self.split_copies(node.accs, names, turns)
            after: list[list[str]] = []
            for u in range(turns):
                self.enter(node.accs, sets[u])
                self._one_turn(node, loop.index, u, turns)
                after.append(self.leave(node.accs))
            loop.next = self.join_copies(node.accs, after)
        self.enter_copies(node.accs, loop.results, turns)

    def _one_turn(self, node: For, index: str, u: int, turns: int) -> None:
        if turns == 1:
            self.axes[node.axis] = Bound(index, len(self.w.open))
            self.run(node.body)
            return
        with self.w.section():
            self.push()
            level = len(self.w.open)
            if u:
                index = self.w.value(f"add nsw i64 {index}, {u * self.lanes}")
            self.axes[node.axis] = Bound(index, level)
            self.run(node.body)
            self.pop()

    def _last_turn(self, node: For, start: str, stop: str) -> None:
        """One masked turn for the elements that fill no vector."""
        with self.w.section():
            self.push()
            level = len(self.w.open)
            if start.isdigit() and stop.isdigit():
                lanes = range(self.lanes)
                count = int(stop) - int(start)
                self.mask = "<" + ", ".join(f"i1 {str(k < count).lower()}" for k in lanes) + ">"
            else:
                rest = self.w.value(f"sub i64 {stop}, {start}")
                self.mask = self.below(rest, level)
            self.axes[node.axis] = Bound(start, level)
            self.run(node.body)
            self.mask = None
            self.pop()

    def lanes_of(self, node: For) -> int:
        """Lanes of the vector loop at or within a loop."""
        if self.vector is not None:
            return self.lanes
        found = node if node.vector else _vector_within(node)
        if found is None:
            return 1
        widest = max([1, *(d.itemsize for d in _dtypes_of(found.body))])
        lanes = self.vector_bits // (8 * widest) * found.times
        extent = found.axis.extent
        while lanes > 1 and lanes > extent:
            lanes //= 2
        return lanes

    def _unroll(self, node: For, lanes: int) -> int:
        if not node.accs or node.axis.extent < 8 * lanes:
            return 1
        if any(acc.positional for acc in node.accs) or any(isinstance(n, For) for n in node.body):
            return 1
        seen: set[int] = set()
        cost = sum(
            expr_cost(x, seen) for n in node.body if not isinstance(n, For) for x in expressions(n)
        )
        return 4 if cost <= 6 and len(node.accs) == 1 else 2 if cost <= 24 else 1

    # Expressions.

    def value(self, x: Expr) -> Value:
        """The value of an expression, written where it has not been already."""
        if isinstance(x, Acc):
            return self.folded(x)
        found = self.find(id(x))
        if found is not None:
            return found
        if isinstance(x, Const):
            return Value(constant_text(x.value, x.dtype), 1, 0)
        if isinstance(x, Index):
            result = self.index(x.affine, True)
        elif isinstance(x, Load):
            result = self.load(x)
        else:
            assert isinstance(x, Apply)
            result = self.apply(x)
        here = isinstance(x, Load) and x.source in self.written
        self.keep(id(x), result, x, len(self.w.open) if here else result.level)
        return result

    def apply(self, x: Apply) -> Value:
        """A scalar operation, on one value or on all lanes."""
        if x.op == "call":
            return self.call(x)
        if x.op in ("cast", "bitcast"):
            arg = self.value(x.args[0])
            how = self.ops.cast if x.op == "cast" else self.ops.bitcast
            name = how(arg.name, x.args[0].dtype, x.dtype, arg.lanes, arg.level)
            return Value(name, arg.lanes, arg.level)
        if x.op == "select" and x.name == "rare":
            return self.rarely(x)
        args = [self.value(a) for a in x.args]
        expanded = expand_widened(x)
        if expanded is not None:
            return self.value(expanded)
        lanes, level = max(a.lanes for a in args), max(a.level for a in args)
        if x.op == "select":
            one = args[0].lanes == 1
            names = [
                self.widen(a, y.dtype, lanes) for a, y in zip(args[1:], x.args[1:], strict=True)
            ]
            name = self.ops.select(args[0].name, *names, x.dtype, lanes, level, one)
            return Value(name, lanes, level)
        names = [self.widen(a, y.dtype, lanes) for a, y in zip(args, x.args, strict=True)]
        return Value(self.ops.apply(x.op, names, x.args[0].dtype, lanes, level), lanes, level)

    def rarely(self, x: Apply) -> Value:
        """A select whose first arm is computed only where some lane asks for it."""
        condition, moderate = self.value(x.args[0]), self.value(x.args[2])
        lanes = max(condition.lanes, moderate.lanes)
        names = [self.widen_kind(condition, "i1") if lanes > 1 else condition.name]
        asked = names[0]
        if lanes > 1:
            at = self.w.declare(f"llvm.vector.reduce.or.v{lanes}i1", f"i1 (<{lanes} x i1>)")
            asked = self.w.value(f"call i1 {at}(<{lanes} x i1> {asked})")
        kind = typed(register_type(x.dtype), lanes)
        usual = self.widen(moderate, x.dtype, lanes)
        with self.w.detour(asked, kind, usual) as arm:
            previous, self.arm = self.arm, len(self.w.open) - 1
            self.push()
            great = self.widen(self.value(x.args[1]), x.dtype, lanes)
            arm.next.append(
                self.ops.select(
                    names[0], great, usual, x.dtype, lanes, len(self.w.open), lanes == 1
                )
            )
            self.pop()
            self.arm = previous
        return Value(arm.results[0], lanes, len(self.w.open))

    def call(self, x: Apply) -> Value:
        """A call of a C function, lane by lane."""
        args = [self.value(a) for a in x.args]
        lanes, level = max(a.lanes for a in args), max(a.level for a in args)
        kinds = [register_type(a.dtype) for a in x.args]
        result = register_type(x.dtype)
        at = self.w.declare(x.name, f"{result} ({', '.join(kinds)})")
        whole = f"{typed(result, lanes)}"
        out = "poison"
        for k in range(lanes):
            parts: list[str] = []
            for a, kind in zip(args, kinds, strict=True):
                name = a.name
                if a.lanes > 1:
                    vector = typed(kind, lanes)
                    name = self.w.value(f"extractelement {vector} {a.name}, i64 {k}", level)
                parts.append(f"{kind} {name}")
            one = self.w.value(f"call {result} {at}({', '.join(parts)})", level)
            if lanes == 1:
                return Value(one, 1, level)
            out = self.w.value(f"insertelement {whole} {out}, {result} {one}, i64 {k}", level)
        return Value(out, lanes, level)

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

    def guard(self, guard: Expr | None) -> Value | None:
        """The lanes on which memory may be touched: the guard and the mask of the last turn."""
        value = None if guard is None else self.value(guard)
        return value

    def _masked(self, guard: Value | None) -> tuple[str, int]:
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
        guard = self.guard(x.guard)
        varying = self._varying(offset)
        stride = offset.axes.get(self.vector, 0) if self.vector is not None else 0
        floor = len(self.w.open) if buffer in self.written else 0
        if not varying and not stride and (guard is None or guard.lanes == 1):
            return self._load_one(buffer, offset, guard, floor)
        if self.mask is not None:
            floor = len(self.w.open)
        if varying or stride != 1:
            return self._gather(buffer, offset, guard, floor)
        at = self.index(offset, False)
        kind = memory_type(buffer.dtype)
        vector = typed(kind, self.lanes)
        level = max(at.level, floor)
        align = buffer.dtype.itemsize
        pointer = self.address(buffer, kind, at.name, level)
        if guard is None and self.mask is None:
            name = self.w.value(f"load {vector}, ptr {pointer}, align {align}", level)
        else:
            mask, mask_level = self._masked(guard)
            level = max(level, mask_level)
            full = self.w.declare(
                f"llvm.masked.load.{self.suffix(kind)}.p0",
                f"{vector} (ptr, i32, <{self.lanes} x i1>, {vector})",
            )
            name = self.w.value(
                f"call {vector} {full}(ptr {pointer}, i32 {align}, <{self.lanes} x i1> {mask}, "
                f"{vector} zeroinitializer)",
                level,
            )
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

    def _gather(self, buffer: Buffer, offset: Affine, guard: Value | None, floor: int) -> Value:
        at = self.index(offset, True)
        at = at if at.lanes > 1 else self.splat_i64(at)
        mask, mask_level = self._masked(guard)
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
        guard = self.guard(node.guard)
        varying = self._varying(offset)
        stride = offset.axes.get(self.vector, 0) if self.vector is not None else 0
        if self.vector is None or (
            not varying and not stride and value.lanes == 1 and (guard is None or guard.lanes == 1)
        ):
            self._store_one(node, offset, value, guard)
            return
        kind, n = memory_type(buffer.dtype), self.lanes
        vector = typed(kind, n)
        name = self.widen(value, node.value.dtype, n)
        align = buffer.dtype.itemsize
        if varying or stride != 1:
            assert not node.combine, "colliding lanes: this loop must be serial"
            at = self.index(offset, True)
            mask, _ = self._masked(guard)
            pointers = self.w.value(
                f"getelementptr {kind}, ptr {self.pointers[buffer]}, <{n} x i64> {at.name}"
            )
            full = self.w.declare(
                f"llvm.masked.scatter.{self.suffix(kind)}.v{n}p0",
                f"void ({vector}, <{n} x ptr>, i32, <{n} x i1>)",
            )
            stored = self.to_memory(name, node.value.dtype, n)
            self.w.line(
                f"call void {full}({vector} {stored}, <{n} x ptr> {pointers}, "
                f"i32 {align}, <{n} x i1> {mask})"
            )
            return
        at = self.index(offset, False)
        pointer = self.address(buffer, kind, at.name, len(self.w.open))
        plain = guard is None and self.mask is None
        mask = "" if plain else self._masked(guard)[0]
        masked = f"i32 {align}, <{n} x i1> {mask}"
        if node.combine:
            if plain:
                old = self.w.value(f"load {vector}, ptr {pointer}, align {align}")
            else:
                full = self.w.declare(
                    f"llvm.masked.load.{self.suffix(kind)}.p0",
                    f"{vector} (ptr, i32, <{n} x i1>, {vector})",
                )
                old = self.w.value(
                    f"call {vector} {full}(ptr {pointer}, {masked}, {vector} zeroinitializer)"
                )
            level = len(self.w.open)
            held = self.from_memory(old, buffer.dtype, n, level)
            name = self.ops.apply(node.combine, [held, name], buffer.dtype, n, level)
        stored = self.to_memory(name, node.value.dtype, n)
        if plain:
            self.w.line(f"store {vector} {stored}, ptr {pointer}, align {align}")
            return
        full = self.w.declare(
            f"llvm.masked.store.{self.suffix(kind)}.p0", f"void ({vector}, ptr, i32, <{n} x i1>)"
        )
        self.w.line(f"call void {full}({vector} {stored}, ptr {pointer}, {masked})")

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


def expand_widened(x: Apply) -> Expr | None:
    """A transcendental operation in basic ones; 16-bit floats pass through float32."""
    if x.op in COMPARISONS:
        return None
    if is_small_float(x.dtype):
        if x.op == "nextafter":
            return expand(x.op, x.args)
        wide = expand(x.op, tuple(cast(a, "float32") for a in x.args))
        return None if wide is None else cast(wide, x.dtype)
    return expand(x.op, x.args) if x.dtype.kind == "f" else None


def _vector_within(node: For) -> For | None:
    for inner in node.body:
        if isinstance(inner, For):
            found = inner if inner.vector else _vector_within(inner)
            if found is not None:
                return found
    return None


def _vectorised(node: For, acc: Acc) -> bool:
    """Whether a vector loop at or within this one carries the fold."""
    if acc in node.accs and node.vector:
        return True
    return any(isinstance(n, For) and _vectorised(n, acc) for n in node.body)


def _dtypes_of(body: list[Node]) -> list[Any]:
    found: list[Any] = []
    for node in body:
        if isinstance(node, For):
            found += _dtypes_of(node.body)
            continue
        values = expressions(node)
        found += [x.dtype for x in [*loads_of(*values), *values]]
        if isinstance(node, Store):
            found.append(node.target.dtype)
        elif not isinstance(node, Advance):
            found.append(node.acc.value_dtype)
    return found
