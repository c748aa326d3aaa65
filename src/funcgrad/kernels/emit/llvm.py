"""A loop nest as an LLVM function with explicit vectors.

In: a `Kernel`. Out: text of `void @name(ptr args, i64 lo, i64 hi)`. The one idea: an expression
is written at the loop depth of the axes it depends on, once for all its uses there; along the
vector axis it is one value for all lanes (uniform) or a vector, and only then costs a vector.
A vector loop is full turns and one masked turn for the rest, so no lane leaves its buffer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...ir.loops import COMPARISONS, Apply, Const, Expr, Index, Load, cast
from ...ir.nests import (
    Acc,
    Accumulate,
    Advance,
    Buffer,
    For,
    Kernel,
    Leave,
    Node,
    Store,
    body_cost,
    expr_cost,
    expressions,
    loads_of,
    neighbours,
    statements,
)
from .arms import COSTLY, branched, constants_of, uses_of
from .llvm_arms import Arms
from .llvm_lines import Across, across_lines, alike, first_line, keep_rows, write_rows
from .llvm_ops import (
    constant_text,
    is_small_float,
    mask_text,
    memory_type,
    register_type,
    typed,
)
from .llvm_squares import turned, write_turned
from .llvm_streams import parts, rows_at_once
from .llvm_values import Bound, Value
from .maths import expand
from .maths_powers import remainder
from .maths_values import Value as Wrapped
from .streams import FENCE
from .widths import HEAVY, vector_within, vectorised, waits_for_itself, widest
from .writer import Writer

# Rows whose folds, four sums each, fit into the registers of a vector length at once.
ROWS = {512: 4}


class KernelEmitter(Arms):
    """Writes one kernel.

    Args:
        streamed: buffers, aligned to `ALIGNMENT`, that are written past the caches.
        numbers: constants that are in memory, behind the last parameter.
    """

    def __init__(
        self,
        kernel: Kernel,
        vector_bits: int,
        streamed: Collection[Buffer] = (),
        numbers: Sequence[Const] = (),
    ) -> None:
        super().__init__(Writer())
        self.numbers = numbers
        self.kernel = kernel
        self.vector_bits = vector_bits
        self.streamed = streamed
        self.written = {*kernel.written, *kernel.scratch}
        self.chooses = False  # whether there are branches before its loops
        self.alone: dict[For, For] = {}  # of a loop over several rows, the loop over one

    def apart(self) -> KernelEmitter:
        """An emitter of the same kernel with a function of its own."""
        return KernelEmitter(self.kernel, self.vector_bits)

    def text(self) -> tuple[str, dict[str, str]]:
        """The function, and the declarations it needs."""
        for k, buffer in enumerate(self.kernel.params):
            slot = self.w.value(f"getelementptr ptr, ptr %args, i64 {k}", 0)
            self.pointers[buffer] = self.w.value(f"load ptr, ptr {slot}", 0)
        for buffer in self.kernel.scratch:
            kind, size = memory_type(buffer.dtype), max(buffer.size, 1)
            self.pointers[buffer] = self.w.value(f"alloca [{size} x {kind}], align 64", 0)
        self._load_numbers()
        chunk = self.kernel.chunk
        if chunk is not None:
            number = self.w.value(f"udiv i64 %lo, {self.kernel.grain}", 0)
            self.axes[chunk] = Bound(number, 0)
        body = branched(self.kernel.body, self.written)
        self.uses, self.chooses = uses_of(body), body is not self.kernel.body
        self.run(body)
        if self.streamed:
            self.w.line(f"call void {self.w.declare(*FENCE)}()")
        params = "ptr %args, i64 %lo, i64 %hi"
        return self.w.function(self.kernel.name, params, "void", "#0"), self.w.declared

    def _load_numbers(self) -> None:
        if not self.numbers:
            return
        slot = self.w.value(f"getelementptr ptr, ptr %args, i64 {len(self.kernel.params)}", 0)
        memory = self.w.value(f"load ptr, ptr {slot}", 0)
        for k, x in enumerate(self.numbers):
            at = self.w.value(f"getelementptr i64, ptr {memory}, i64 {k}", 0)
            value = self.w.value(f"load {register_type(x.dtype)}, ptr {at}", 0)
            self.keep(id(x), Value(value, 1, 0), x, 0)

    def run(self, body: list[Node]) -> None:
        """Write statements in order; of neighbouring stores, all values before the first."""
        made = 0
        together: dict[Store, list[Store]] = {}
        for k, node in enumerate(body):
            if isinstance(node, Store) and k >= made:
                stores = neighbours(body, k)
                made = k + len(stores)
                for store in stores:
                    self.value(store.value)
                if self.vector is not None:
                    groups = self.interleaved(stores)
                    together = {s: group for group in groups for s in group}
            if isinstance(node, For):
                copies = turned(node) if self.vector is None else []
                if copies:
                    write_turned(self, node, copies)
                else:
                    self.loop(node)
            elif isinstance(node, Store):
                group = together.get(node)
                if group is None:
                    self.store(node)
                elif node is group[0]:
                    self.store_interleaved(group)
            elif isinstance(node, Advance):
                self.advance(node)
            elif isinstance(node, Accumulate):
                self.accumulate(node)

    # Loops.

    def loop(self, node: For) -> None:
        """A loop, with the folds that start at it closed behind it."""
        if self.chooses and self.vector is None and node.axis.extent > 1:
            for x in constants_of([node], self.written):
                self.value(x)
        started = [a for a in node.accs if a not in self.accs]
        for acc in started:
            across = self.vector is None and vectorised(node, acc)
            lanes = self.lanes_of(node) if across or self.vector is not None else 1
            self.start(acc, lanes, across)
        if node.body and isinstance(node.body[0], Leave):
            if node.axis.extent == 1:
                self._once(node, node.body[0])
            else:
                self._loop_while(node, node.body[0])
        elif node.vector and self.lanes_of(node) > 1:
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
        if not self.chooses and self.vector is None:
            start = self._rows_at_once(node, start, stop)
        with self.w.loop(start, stop, "1", self.carried(node.accs)) as loop:
            self.push()
            self.enter(node.accs, loop.carried)
            self.axes[node.axis] = Bound(loop.index, len(self.w.open))
            self.run(node.body)
            loop.next = self.leave(node.accs)
        self.enter_results(node.accs, loop.results)

    def _rows_at_once(self, node: For, start: str, stop: str) -> str:
        """A few turns of a loop at once, where that is quicker; the first turn that is left."""
        found = rows_at_once(node, ROWS.get(self.vector_bits, 2))
        if found is None:
            return start
        body, rows, one, count = found
        self.alone[rows] = one
        size = self.w.value(f"sub i64 {stop}, {start}")
        rest = self.w.value(f"urem i64 {size}, {count}")
        end = self.w.value(f"sub i64 {stop}, {rest}")
        with self.w.loop(start, end, str(count)) as loop:
            self.push()
            self.axes[node.axis] = Bound(loop.index, len(self.w.open))
            self.run(body)
        return end

    def _loop_while(self, node: For, first: Leave) -> None:
        """A loop that a condition ends: of several lanes, when it holds on none of them."""
        accs, outer = node.accs, self.going
        with self.w.loop_while(self.carried(accs)) as loop:
            self.push()
            self.enter(accs, loop.carried)
            held = self.value(first.unless)
            asked = held.name
            if self.vector is not None:
                self.going = self._still_going(held)
                at = self.w.declare(
                    f"llvm.vector.reduce.or.v{self.lanes}i1", f"i1 (<{self.lanes} x i1>)"
                )
                asked = self.w.value(f"call i1 {at}(<{self.lanes} x i1> {self.going})")
            loop.leave_unless(asked)
            self.run(node.body[1:])
            loop.next = self.leave(accs)
        self.going = outer
        self.enter_results(accs, loop.carried)

    def _once(self, node: For, first: Leave) -> None:
        """One turn where a condition holds, with all that only it needs."""
        held, floor = self.value(first.unless), self.w.floor
        with self.w.detour(held.name, self.carried(node.accs)) as arm:
            self.push()
            self.w.floor = len(self.w.open)
            self.run(node.body[1:])
            arm.next = self.leave(node.accs)
            self.w.floor = floor
        self.enter_results(node.accs, arm.results)

    def _still_going(self, held: Value) -> str:
        """The lanes on which a condition holds, of those that are there and go on around it."""
        going, around = self.widen_kind(held, "i1"), self.going or self.mask
        if around is not None:
            going = self.w.value(f"and <{self.lanes} x i1> {going}, {around}")
        return going

    def _vector_loop(self, node: For) -> None:
        lanes = self.lanes_of(node)
        self.vector, self.lanes = node.axis, lanes
        inside = [x for s in statements(node.body) for x in expressions(s)]
        self.note_steps(loads_of(*inside))
        unroll = self._unroll(node, lanes)
        start, stop = self._range(node)
        extent = node.axis.extent
        if extent % lanes and self._is_heavy(node):
            self._masked_turns(node, start, stop)
            self.vector, self.lanes, self.mask = None, 1, None
            return
        self.in_step = not node.chunked or self.kernel.grain % lanes == 0
        across = across_lines(self, node)
        if across is not None and not node.accs and alike(across):
            self._by_lines(node, start, stop, across)
        else:
            self.kept = {} if across is None or node.chunked else keep_rows(self, node, across)
            self._all_turns(node, start, stop, unroll)
            write_rows(self, node, self.kept)
            self.kept = {}
        self.vector, self.lanes, self.mask = None, 1, None

    def _by_lines(self, node: For, start: str, stop: str, across: Across) -> None:
        """Full turns over the whole lines of what is written, masked ones before and behind."""
        first = first_line(self, node, across, start, stop)
        self._masked_turns(node, start, first)
        size = self.w.value(f"sub i64 {stop}, {first}")
        rest = self.w.value(f"urem i64 {size}, {max(across.line, self.lanes)}")
        end = self.w.value(f"sub i64 {stop}, {rest}")
        self.in_lines = across.offsets
        self._turns(node, first, end, 1)
        self.in_lines = ()
        self._masked_turns(node, end, stop)

    def _all_turns(self, node: For, start: str, stop: str, unroll: int) -> None:
        """Full turns, several in a round while there are enough, and a masked one for the rest."""
        extent, lanes, at = node.axis.extent, self.lanes, start
        for turns in (unroll, 1) if unroll > 1 else (1,):
            step = turns * lanes
            if node.chunked:
                size = self.w.value(f"sub i64 {stop}, {at}", 0)
                rest = self.w.value(f"urem i64 {size}, {step}", 0)
                end = self.w.value(f"sub i64 {stop}, {rest}", 0)
            else:
                end = str(extent - (extent - int(at)) % step)
            if node.chunked or int(end) > int(at):
                self._turns(node, at, end, turns)
            at = end
        ends = (extent, self.kernel.grain)
        rest = any(n % lanes for n in ends) if node.chunked else int(at) < extent
        if rest and node.chunked and not node.accs:
            with self.w.when(self.w.value(f"icmp slt i64 {at}, {stop}")):
                self._last_turn(node, at, stop)
        elif rest:
            self._last_turn(node, at, stop)

    def _is_heavy(self, node: For) -> bool:
        """Whether a body is so long that a mask costs less than to write it twice."""
        return not node.accs and body_cost(node) > HEAVY

    def _masked_turns(self, node: For, start: str, stop: str) -> None:
        """All turns under a mask, which only the last one needs."""
        with self.w.loop(start, stop, str(self.lanes)) as loop:
            self.push()
            level = len(self.w.open)
            rest = self.w.value(f"sub i64 {stop}, {loop.index}")
            self.mask = self.below(rest, level)
            self.axes[node.axis] = Bound(loop.index, level)
            self.run(node.body)
            self.mask = None

    def _turns(self, node: For, start: str, end: str, turns: int) -> None:
        """Full turns of the vector loop, `turns` of them in a round: neighbours, or far apart."""
        copies = [acc for acc in node.accs if turns > 1]
        extra = [self.fresh_copies(acc, turns - 1) for acc in copies]
        own = self.carried(node.accs)
        more = [pair for group in extra for pair in group]
        step, apart = turns * self.lanes, str(self.lanes)
        if turns > 1 and parts(node, self.kernel.grain, turns):
            size = self.w.value(f"sub i64 {end}, {start}", 0)
            apart = self.w.value(f"udiv i64 {size}, {turns}", 0)
            step, end = self.lanes, self.w.value(f"add i64 {start}, {apart}", 0)
        with self.w.loop(start, end, str(step), [*own, *more]) as loop:
            self.push()
            names = loop.carried
            sets = self.split_copies(node.accs, names, turns)
            after: list[list[str]] = []
            for u in range(turns):
                self.enter(node.accs, sets[u])
                if turns > 1:
                    self._one_turn(node, loop.index, self.scaled(apart, u, 0) if u else "")
                else:
                    self.axes[node.axis] = Bound(loop.index, len(self.w.open))
                    self.run(node.body)
                after.append(self.leave(node.accs))
            loop.next = self.join_copies(node.accs, after)
        self.enter_copies(node.accs, loop.results, turns)

    def _one_turn(self, node: For, index: str, apart: str) -> None:
        with self.w.section():
            self.push()
            level = len(self.w.open)
            if apart:
                index = self.w.value(f"add nsw i64 {index}, {apart}")
            self.axes[node.axis] = Bound(index, level)
            self.run(node.body)
            self.pop()

    def _last_turn(self, node: For, start: str, stop: str) -> None:
        """One masked turn for the elements that fill no vector."""
        with self.w.section():
            self.push()
            level = len(self.w.open)
            if start.isdigit() and stop.isdigit():
                self.mask = mask_text(k < int(stop) - int(start) for k in range(self.lanes))
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
        found = node if node.vector else vector_within(node)
        if found is None:
            return 1
        lanes = self.vector_bits // (8 * widest(found.body, found.axis)) * found.times
        extent = found.axis.extent
        if found is node and extent >= 16 * lanes and waits_for_itself(node):
            lanes *= 4 if extent >= 64 * lanes else 2
        most = min(extent, self.kernel.grain) if found.chunked else extent
        while lanes > 1 and lanes > most:
            lanes //= 2
        return lanes

    def _unroll(self, node: For, lanes: int) -> int:
        if not node.accs or node.axis.extent < 8 * lanes:
            return 1
        if any(acc.positional for acc in node.accs) or any(isinstance(n, For) for n in node.body):
            return 1
        one = self.alone.get(node, node)  # what a row gives must not depend on its neighbours
        cost, count = body_cost(one), len(one.accs)
        return 4 if cost <= 6 and count == 1 else 2 if cost <= 24 else 1

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
        if x.op == "select" and x.name == "branch" and expr_cost(x) >= COSTLY:
            found = self.either(x)
            if found is not None:
                return found
        args = [self.value(a) for a in x.args]
        expanded = expand_widened(x)
        if expanded is not None:
            return self.value(expanded)
        lanes, level = max(a.lanes for a in args), max(a.level for a in args)
        if x.op == "select":
            one = args[0].lanes == 1
            first, second = (
                self.widen(a, y.dtype, lanes) for a, y in zip(args[1:], x.args[1:], strict=True)
            )
            name = self.ops.select(args[0].name, first, second, x.dtype, lanes, level, one)
            return Value(name, lanes, level)
        names = [self.widen(a, y.dtype, lanes) for a, y in zip(args, x.args, strict=True)]
        return Value(self.ops.apply(x.op, names, x.args[0].dtype, lanes, level), lanes, level)

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


def expand_widened(x: Apply) -> Expr | None:
    """A transcendental operation in basic ones; 16-bit floats pass through float32."""
    if x.op in COMPARISONS:
        return None
    if is_small_float(x.dtype):
        if x.op == "nextafter":
            return expand(x.op, x.args)
        wide = formula(x, tuple(cast(a, "float32") for a in x.args))
        return None if wide is None else cast(wide, x.dtype)
    return formula(x, x.args) if x.dtype.kind == "f" else None


def formula(x: Apply, args: tuple[Expr, ...]) -> Expr | None:
    """An operation on floats in basic ones.

    For remainders, which other emitters leave to a library, x86 has no instruction, so that one
    would be a call for each lane.
    """
    if x.op == "rem":
        return None if x.name == "far" else remainder(*map(Wrapped, args)).expr
    return expand(x.op, args)
