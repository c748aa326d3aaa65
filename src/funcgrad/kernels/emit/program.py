"""A block of steps as the function `i32 @program(ptr table)`.

In: a `Block` and its memory plan. Out: the text of a module. The one idea: every buffer is a
pointer in a register of this one function, so loops and branches of the user's program are loops
and branches here; a kernel gets the pointers it needs in an array and is called directly, or, if
there is enough to do, through the pool.

The table: 0 call-out function, 1 pool, 2 arena, then constants, inputs, outputs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...ir.loops import Native
from ...ir.nests import Buffer, Kernel
from ..blaming import name_eqns, own_eqns
from ..chunks import SHARED_NANOSECONDS
from ..custom import symbol_of
from ..library import LibraryKernel, Stage
from ..memory import Plan, carried, direct_outputs, stacked_carries, updates_in_place
from ..program import (
    Block,
    BlockStep,
    Branch,
    HostCall,
    Launch,
    LibraryCall,
    Scan,
    While,
    all_constants,
    steps_of,
)
from .alike import alike, numbers_text
from .llvm import KernelEmitter
from .streams import ALIGNMENT, streamed
from .writer import Writer

_INLINE_NANOSECONDS = 400.0
FIRST_SLOT = 3


class ProgramEmitter:
    """Writes the module of a program."""

    def __init__(self, block: Block, plan: Plan, vector_bits: int) -> None:
        self.block = block
        self.plan = plan
        self.vector_bits = vector_bits
        self.w = Writer()
        self.pointers: dict[Buffer, str] = {}
        self.functions: dict[str, str] = {}
        self.known: dict[str, str] = {}
        self.declared: dict[str, str] = {}
        self.alike = alike([s.kernel for s in steps_of(block) if isinstance(s, Launch)])
        self.shared: dict[object, str] = {}
        self.args = 1
        self.failed = False

    def module(self) -> str:
        """The text of the module."""
        self.host, self.pool, self.arena = (self._slot(k) for k in range(FIRST_SLOT))
        slot = FIRST_SLOT
        for b in [*all_constants(self.block), *self.block.inputs]:
            self.pointers[b] = self._slot(slot)
            slot += 1
        targets: list[str] = []
        for _ in self.block.outputs:
            targets.append(self._slot(slot))
            slot += 1
        self.run(self.block, targets)
        entry = f"%argv = alloca [{self.args} x ptr], align 64"
        text = self.w.function("program", "ptr %table", "i32")
        text = text.replace("entry:\n", f"entry:\n  {entry}\n", 1)
        end = "  ret i32 0\n"
        if self.failed:
            end += "failed:\n  ret i32 1\n"
        text = text[: text.rindex("}")] + end + "}\n"
        declarations = {**self.w.declared, **self.declared}
        return "\n".join([*declarations.values(), *self.functions.values(), text, _ATTRIBUTES])

    def _slot(self, k: int) -> str:
        at = self.w.first(f"getelementptr ptr, ptr %table, i64 {k}")
        return self.w.first(f"load ptr, ptr {at}")

    def pointer(self, block: Block, buffer: Buffer) -> str:
        """The address of a buffer, in a register."""
        root = block.root(buffer)
        found = self.pointers.get(root)
        if found is None:
            offset = self.plan.offsets[root]
            found = self.w.first(f"getelementptr i8, ptr {self.arena}, i64 {offset}")
            self.pointers[root] = found
        return found

    def copy(self, target: str, source: str, size: int) -> None:
        """Copy bytes; the two places are different or the same."""
        if target == source:
            return
        at = self.w.declare("llvm.memmove.p0.p0.i64", "void (ptr, ptr, i64, i1)")
        self.w.line(f"call void {at}(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    # Blocks and steps.

    def run(self, block: Block, targets: Sequence[str]) -> None:
        """The steps of a block; its outputs are at the targets in the end."""
        direct = direct_outputs(block)
        for root, k in direct.items():
            self.pointers[root] = targets[k]
        follows = self.follows(block)
        for at, step in enumerate(block.steps):
            if at in follows:
                self.chain(block, step, block.steps[at + 1], follows[at])
            elif at - 1 not in follows:
                self.step(block, step)
        for k, b in enumerate(block.outputs):
            if direct.get(block.root(b)) != k and targets[k] != self.pointer(block, b):
                self.copy(targets[k], self.pointer(block, b), b.bytes)

    def follows(self, block: Block) -> dict[int, int]:
        """The chains of a block; see `Block`."""
        return block.chains

    def step(self, block: Block, step: BlockStep) -> None:
        """One step of a block."""
        if isinstance(step, Launch):
            self.launch(block, step)
        elif isinstance(step, LibraryCall):
            self.library(block, step)
        elif isinstance(step, HostCall):
            self.host_call(block, step)
        elif isinstance(step, Scan):
            self.scan(block, step)
        elif isinstance(step, While):
            self.loop(block, step)
        else:
            self.branch(block, step)

    def arguments(self, pointers: Sequence[str]) -> str:
        """An array of pointers for a kernel."""
        self.args = max(self.args, len(pointers))
        for k, p in enumerate(pointers):
            at = self.w.value(f"getelementptr ptr, ptr %argv, i64 {k}")
            self.w.line(f"store ptr {p}, ptr {at}")
        return "%argv"

    def call(self, name: str, args: str, extent: int, grain: int, cost: float, split: bool) -> None:
        """Run a kernel over its chunks: at once, one after the other, or on all threads.

        Args:
            name: `@name`, or the register that holds the address.
        """
        if extent > grain and cost > SHARED_NANOSECONDS:
            at = self.w.declare("fg_parallel_for", "void (ptr, ptr, ptr, i64, i64)")
            what = f"ptr {self.pool}, ptr {name}, ptr {args}, i64 {extent}, i64 {grain}"
            self.w.line(f"call void {at}({what})")
        elif extent > grain and split:
            self.chunks(self.w, name, args, ("0", str(extent)), grain)
        else:
            self.w.line(f"call void {name}(ptr {args}, i64 0, i64 {extent})")

    def chunks(self, w: Writer, name: str, args: str, over: tuple[str, str], grain: int) -> None:
        """Call a kernel for one chunk after the other."""
        with w.loop(*over, str(grain)) as loop:
            end = w.value(f"add i64 {loop.index}, {grain}")
            late = w.value(f"icmp sgt i64 {end}, {over[1]}")
            stop = w.value(f"select i1 {late}, i64 {over[1]}, i64 {end}")
            w.line(f"call void {name}(ptr {args}, i64 {loop.index}, i64 {stop})")

    def launch(self, block: Block, step: Launch) -> None:
        """A fused kernel."""
        kernel, name = step.kernel, f"@{self.kernel(step)}"
        if kernel.copies is not None and kernel.copies in block.inputs:
            # An argument that was given away is there already.
            pair = [self.pointer(block, b) for b in (kernel.copies, kernel.written[0])]
            with self.w.when(self.w.value(f"icmp ne ptr {pair[0]}, {pair[1]}")):
                self._launch(block, step, kernel, name)
        else:
            self._launch(block, step, kernel, name)

    def _launch(self, block: Block, step: Launch, kernel: Kernel, name: str) -> None:
        past = streamed(kernel)
        if past:
            aligned = self._aligned([self.pointer(block, b) for b in past])
            other = self.kernel(step, past)
            name = self.w.value(f"select i1 {aligned}, ptr @{other}, ptr {name}")
        args = self.arguments(self.kernel_pointers(block, kernel))
        split = kernel.chunk is not None
        self.call(name, args, kernel.extent, kernel.grain, kernel.cost, split)

    def _aligned(self, pointers: list[str]) -> str:
        """Whether memory is as the stores that go past the caches want it."""
        bits = "0"
        for p in pointers:
            bits = self.w.value(f"or i64 {bits}, {self.w.value(f'ptrtoint ptr {p} to i64')}")
        low = self.w.value(f"and i64 {bits}, {ALIGNMENT - 1}")
        return self.w.value(f"icmp eq i64 {low}, 0")

    def kernel(self, step: Launch, past: Collection[Buffer] = ()) -> str:
        """The name of the function of a fused kernel, `past`: what it writes past the caches."""
        kernel = step.kernel
        shared = self.alike.get(kernel)
        key = None if shared is None else (shared.form, tuple(map(kernel.params.index, past)))
        if key in self.shared:
            return self.shared[key]
        numbers = () if shared is None else shared.numbers
        emitter = KernelEmitter(kernel, self.vector_bits, past, numbers)
        try:
            text, declared = emitter.text()
        except Exception as error:
            name_eqns(error, own_eqns(step.group))
            raise
        self.functions.update(emitter.functions)
        self.declared.update(declared)
        apart = shared is not None or kernel.cost >= _INLINE_NANOSECONDS
        name = self.define(kernel.name, text.replace(") #0 {", f") #{0 if apart else 1} {{", 1))
        if key is not None:
            self.shared[key] = name
        return name

    def kernel_pointers(self, block: Block, kernel: Kernel) -> list[str]:
        """What a kernel is called with: its buffers, and the numbers it has for itself."""
        pointers = [self.pointer(block, b) for b in kernel.params]
        shared = self.alike.get(kernel)
        if shared is not None and shared.numbers:
            name = f"{kernel.name}_numbers"
            self.declared[name] = numbers_text(name, shared.numbers)
            pointers.append(f"@{name}")
        return pointers

    def chain(self, block: Block, call: BlockStep, step: BlockStep, turns: int) -> None:
        """A product in blocks, each followed by the turns of a kernel that read it."""
        assert isinstance(call, LibraryCall)
        assert isinstance(step, Launch)
        (*before, stage), kernel = call.kernel.stages, step.kernel
        names, follower = self.library_functions(call), f"@{self.kernel(step)}"
        for earlier in before[call.ready :]:
            self.stage(block, call, earlier, names)
        made = names[stage.function]
        first = self.stage_pointers(block, call, stage)
        args = self.arguments([*first, *self.kernel_pointers(block, kernel)])
        w = Writer()
        rest = w.first(f"getelementptr ptr, ptr %args, i64 {len(first)}")
        with w.loop("%lo", "%hi", 1) as loop:
            next_ = w.value(f"add i64 {loop.index}, 1")
            w.line(f"call void @{made}(ptr %args, i64 {loop.index}, i64 {next_})")
            start, end = (w.value(f"mul i64 {k}, {turns}") for k in (loop.index, next_))
            over = w.value(f"icmp sgt i64 {end}, {kernel.extent}")
            end = w.value(f"select i1 {over}, i64 {kernel.extent}, i64 {end}")
            if kernel.chunk is None:
                w.line(f"call void {follower}(ptr {rest}, i64 {start}, i64 {end})")
            else:
                self.chunks(w, follower, rest, (start, end), kernel.grain)
            loop.next = []
        text = w.function(f"{kernel.name}_behind", "ptr %args, i64 %lo, i64 %hi", "void", "#0")
        name = self.define(f"{kernel.name}_behind", text)
        cost = stage.cost + kernel.cost
        self.call(f"@{name}", args, stage.extent, stage.grain, cost, False)

    def define(self, name: str, text: str) -> str:
        """Add a function, unless one of the same text is there; its name."""
        body = text.replace(f"@{name}(", "@(", 1)
        found = self.known.get(body)
        if found is None:
            found = name
            while found in self.functions:
                found = f"{name}_{len(self.functions)}"
            self.known[body] = found
            self.functions[found] = text.replace(f"@{name}(", f"@{found}(", 1)
        return found

    def library(self, block: Block, step: LibraryCall) -> None:
        """The stages of a kernel written by hand."""
        names = self.library_functions(step)
        for stage in step.kernel.stages[step.ready :]:
            self.stage(block, step, stage, names)

    def stage(self, block: Block, step: LibraryCall, stage: Stage, names: dict[str, str]) -> None:
        """One stage of a kernel written by hand."""
        args = self.arguments(self.stage_pointers(block, step, stage))
        self.call(f"@{names[stage.function]}", args, stage.extent, stage.grain, stage.cost, True)

    def library_functions(self, step: LibraryCall) -> dict[str, str]:
        """The names in this module of the functions of a kernel written by hand."""
        kernel: LibraryKernel = step.kernel
        for line in kernel.declarations:
            self.declared[line.split("@", 1)[1].split("(", 1)[0]] = line
        return {name: self.define(name, text) for name, text in kernel.functions.items()}

    def stage_pointers(self, block: Block, step: LibraryCall, stage: Stage) -> list[str]:
        """The memory that a stage is called with."""
        slots = {
            "in": step.reads,
            "out": step.writes,
            "scratch": step.scratch,
            "table": step.tables,
        }
        return [
            self._from(self.pointer(block, slots[where][k]), step, k)
            if where == "in"
            else self.pointer(block, slots[where][k])
            for where, k in stage.args
        ]

    def _from(self, pointer: str, step: LibraryCall, k: int) -> str:
        """Where a kernel by hand begins to read: a side of a product may be part of a value."""
        start = step.gemm.starts[k] if step.gemm is not None and k < 2 else 0
        if not start:
            return pointer
        return self.w.value(
            f"getelementptr i8, ptr {pointer}, i64 {start * step.reads[k].dtype.itemsize}"
        )

    def host_call(self, block: Block, step: HostCall) -> None:
        """A call-out, or native code and a call-out if it fails; the program ends if that fails."""
        args = self.arguments([self.pointer(block, b) for b in [*step.reads, *step.writes]])
        if step.native is not None:
            with self.w.when(self._native_failed(step, step.native, args)):
                self._call_host(step, args)
        else:
            self._call_host(step, args)

    def _native_failed(self, step: HostCall, native: Native, args: str) -> str:
        symbol, extents = symbol_of(step.number), f"extents{step.number}"
        values = ", ".join(f"i64 {n}" for n in native.extents)
        kind = f"[{len(native.extents)} x i64]"
        self.declared[extents] = f"@{extents} = private constant {kind} [{values}]"
        self.declared[symbol] = f"declare i32 @{symbol}(ptr, ptr)"
        code = self.w.value(f"call i32 @{symbol}(ptr {args}, ptr @{extents})")
        return self.w.value(f"icmp ne i32 {code}, 0")

    def _call_host(self, step: HostCall, args: str) -> None:
        code = self.w.value(f"call i32 {self.host}(ptr {args}, i64 {step.number})")
        bad = self.w.value(f"icmp ne i32 {code}, 0")
        label = self.w.fresh("go")
        self.w.line(f"br i1 {bad}, label %failed, label %{label}")
        self.w.line(f"{label}:")
        self.failed = True

    # Control flow.

    def scan(self, block: Block, step: Scan) -> None:
        """Turns over the leading axis of the slices."""
        body, c, n = step.block, step.constants, step.carry
        reads = [self.pointer(block, b) for b in step.reads]
        writes = [self.pointer(block, b) for b in step.writes]
        self.pointers.update(zip(body.inputs[:c], reads, strict=False))
        for call in body.steps:
            if isinstance(call, LibraryCall):
                names = self.library_functions(call) if call.ready else {}
                for stage in call.kernel.stages[: call.ready]:
                    self.stage(body, call, stage, names)
        kept, places = stacked_carries(step), self._places(step, writes)
        first = str(step.length - 1 if step.reverse else 0)
        for k, b in enumerate(step.rooms):
            row = self._slice(writes[n + kept[k]], first, b.bytes) if k in kept else places[k][0]
            self.copy(row, reads[c + k], b.bytes)
        exchanged = [k for k, (p, q) in enumerate(places) if p != q and k not in kept]
        pairs = [("ptr", p) for k in exchanged for p in places[k]]
        with self.w.loop("0", str(step.length), "1", pairs) as loop:
            at = loop.index
            if step.reverse:
                at = self.w.value(f"sub i64 {step.length - 1}, {at}")
            for k, b in enumerate(body.inputs[c + n :]):
                self.pointers[b] = self._slice(reads[c + n + k], at, b.bytes)
            rows = [
                self._slice(p, at, b.bytes)
                for p, b in zip(writes[n:], body.outputs[n:], strict=True)
            ]
            for k, p, q in zip(exchanged, loop.carried[::2], loop.carried[1::2], strict=True):
                places[k] = p, q
            for k, row in kept.items():
                size = step.rooms[k].bytes
                places[k] = rows[row], self._next_row(step, loop.index, rows[row], size, writes[k])
            for b, (now, _) in zip(body.inputs[c:], places, strict=False):
                self.pointers[b] = now
            self.run(body, [*(then for _, then in places), *rows])
            loop.next = [p for k in exchanged for p in reversed(places[k])]

    def _places(self, step: Scan, writes: Sequence[str]) -> list[tuple[str, str]]:
        """Where a turn finds what it carries and where it puts it, in the first turn.

        The two are exchanged after each turn, so that the last one writes where the value belongs.
        """
        found: list[tuple[str, str]] = []
        for last, pair, room in zip(writes, carried(step), step.rooms, strict=False):
            if updates_in_place(step.block, *pair):
                found.append((last, last))
                continue
            other = self.pointer(step.block, room)
            found.append((other, last) if step.length % 2 else (last, other))
        return found

    def _next_row(self, step: Scan, turn: str, row: str, size: int, last: str) -> str:
        """Where a carried value of which all are kept goes: to the next row, or behind the loop."""
        after = self.w.value(f"getelementptr i8, ptr {row}, i64 {-size if step.reverse else size}")
        done = self.w.value(f"icmp eq i64 {turn}, {step.length - 1}")
        return self.w.value(f"select i1 {done}, ptr {last}, ptr {after}")

    def _slice(self, pointer: str, at: str, size: int) -> str:
        offset = self.w.value(f"mul i64 {at}, {size}")
        return self.w.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def _turn(self, step: While, carry: list[str]) -> None:
        """One turn of a loop: what it carries on goes to its room, then replaces the old."""
        body = step.block
        rooms = [
            old if updates_in_place(body, *pair) else self.pointer(body, room)
            for old, pair, room in zip(carry, carried(step), step.rooms, strict=True)
        ]
        self.run(body, rooms)
        for room, old, b in zip(rooms, carry, step.rooms, strict=True):
            if room != old:
                self.copy(old, room, b.bytes)

    def loop(self, block: Block, step: While) -> None:
        """Turns while the condition holds."""
        cc, bc = step.condition_constants, step.block_constants
        reads = [self.pointer(block, b) for b in step.reads]
        writes = [self.pointer(block, b) for b in step.writes]
        for k, b in enumerate(step.condition.inputs):
            self.pointers[b] = reads[k] if k < cc else writes[k - cc]
        for k, b in enumerate(step.block.inputs):
            self.pointers[b] = reads[cc + k] if k < bc else writes[k - bc]
        for target, source, b in zip(writes, reads[cc + bc :], step.writes, strict=True):
            self.copy(target, source, b.bytes)
        flag = self.w.first("alloca i8")
        with self.w.forever() as leave:
            self.run(step.condition, [flag])
            held = self.w.value(f"load i8, ptr {flag}")
            leave(self.w.value(f"icmp eq i8 {held}, 0"))
            self._turn(step, writes)

    def branch(self, block: Block, step: Branch) -> None:
        """The chosen block of several."""
        at, *reads = [self.pointer(block, b) for b in step.reads]
        writes = [self.pointer(block, b) for b in step.writes]
        index = self.w.value(f"load i32, ptr {at}")
        label = self.w.fresh("branch")
        # Below 0 means the first, above means the last, as everywhere an index is clamped.
        last = len(step.blocks) - 1
        low = self.w.value(f"icmp slt i32 {index}, 0")
        index = self.w.value(f"select i1 {low}, i32 0, i32 {index}")
        cases = " ".join(f"i32 {k}, label %{label}.{k}" for k in range(last))
        self.w.line(f"switch i32 {index}, label %{label}.{last} [ {cases} ]")
        for k, inner in enumerate(step.blocks):
            self.w.line(f"{label}.{k}:")
            self.pointers.update(zip(inner.inputs, reads, strict=True))
            self.run(inner, writes)
            self.w.line(f"br label %{label}.end")
        self.w.line(f"{label}.end:")


_ATTRIBUTES = """
attributes #0 = { nounwind noinline }
attributes #1 = { nounwind alwaysinline }
"""
