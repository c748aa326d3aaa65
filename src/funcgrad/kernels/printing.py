"""The compiler's stages as text: groups, loops, schedule, memory.

In: a block and its memory plan. Out: one small value for each stage, which prints itself. The one
idea: loops print with the writer of the Python source, only with plainer operations, so that what
is shared and what stands in front of a loop is the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..ir.loops import DType
from ..ir.nests import Acc, Accumulate, For, Store, offset_of
from ..ir.printing import Names, names_of
from .checking import lifetimes
from .emit.source import LINE, KernelSource, Library, short
from .emit.source_ops import SourceOps, Text
from .fuse import Group
from .memory import Plan
from .notes import eqn_line, eqn_notes, eqns_of
from .program import (
    Block,
    BlockStep,
    Branch,
    HostCall,
    Launch,
    LibraryCall,
    Scan,
    While,
    inner_blocks,
)

_SIGNS = {
    **dict(zip("add sub mul div rem and or xor".split(), "+ - * / % & | ^".split(), strict=True)),
    **dict(zip("eq ne lt le gt ge".split(), "== != < <= > >=".split(), strict=True)),
    "shift_left": "<<",
    "shift_right_logical": ">>>",
    "shift_right_arithmetic": ">>",
}


class PlainOps(SourceOps):
    """Operations by their names, without types."""

    def apply(self, op: str, args: list[Text], dtype: DType) -> Text:
        if op in _SIGNS:
            return Text(f"{args[0].inner} {_SIGNS[op]} {args[1].inner}", False)
        if op in ("neg", "not"):
            return Text(f"{'-' if op == 'neg' else '~'}{args[0].inner}", False)
        return Text(f"{op}({', '.join(a.code for a in args)})")

    def constant(self, value: object, dtype: DType) -> str:
        text = super().constant(value, dtype)
        return text if dtype.kind == "b" else text.partition("(")[2].removesuffix(")")

    def cast(self, x: Text, source: DType, target: DType) -> Text:
        return x if source == target else Text(f"{target.name}({x.code})")

    def bitcast(self, x: Text, source: DType, target: DType) -> Text:
        return Text(f"bits_as_{target.name}({x.code})")

    def loaded(self, code: str, dtype: DType) -> Text:
        return Text(code)

    def stored(self, x: Text, dtype: DType) -> str:
        return x.code


class PlainLibrary(Library):
    """Elementary functions are operations."""

    def __init__(self) -> None:
        super().__init__()
        self.ops = PlainOps()

    def elementary_function(self, op: str, dtype: DType, count: int) -> str | None:
        return None


class LoopText(KernelSource):
    """Writes a kernel as loops for readers."""

    def text_of(self) -> str:
        """The kernel."""
        kernel = self.kernel
        for buffer in [*kernel.params, *kernel.scratch]:
            self.buffers[buffer] = self.names(buffer.name)
        if kernel.chunk is not None:
            self.axes[kernel.chunk] = (self.names("chunk"), 0)
        self.prepare()
        self.run(self.body)
        rows = " ".join(f"{self.buffers[b]}:{short(b)}" for b in kernel.scratch)
        head = self.header(kernel.name) + (f"# on the stack: {rows}\n" if rows else "")
        return head + "\n".join(self.scopes[0].lines)

    def start(self, acc: Acc, name: str) -> None:
        """A fold needs no statement to begin; what a loop carries does."""
        if acc.initial is not None:
            super().start(acc, name)

    def heading(self, node: For, name: str) -> str:
        """The first line of a loop."""
        marks = [m for m in ("vector", "chunked") if getattr(node, m)]
        return f"{' '.join([f'for {name} < {node.axis.extent}', *marks])}:"

    def accumulate(self, node: Accumulate) -> None:
        """A value folded in."""
        place = "" if node.position is None else f" at {self.index(node.position, self.depth)}"
        name = self.accs[node.acc][0]
        self.line(f"{name} {node.acc.op}= {self.text(node.value, None, LINE).code}{place}")

    def store(self, node: Store) -> None:
        """A value stored."""
        if not node.target.size:
            return
        value = self.text(node.value, None, LINE).code
        where = self.index(offset_of(node.target, node.index), self.depth)
        guard = "" if node.guard is None else f"  where {self.text(node.guard).code}"
        how = f"{node.combine}=" if node.combine else "="
        self.line(f"{self.buffers[node.target]}[{where}] {how} {value}{guard}")


@dataclass(frozen=True, eq=False)
class Groups:
    """Which eqns are computed together."""

    block: Block

    def __str__(self) -> str:
        return "\n".join(_group_lines(self.block))

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Loops:
    """The loops of every kernel."""

    block: Block

    def __str__(self) -> str:
        return "\n\n".join(_loop_texts(self.block))

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Schedule:
    """What is run in which order, in how many chunks, and about how long it takes."""

    block: Block

    def __str__(self) -> str:
        return "\n".join(_step_lines(self.block))

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Memory:
    """Where every buffer lives, and from which step to which."""

    block: Block
    plan: Plan

    def __str__(self) -> str:
        rows = [("buffer", "offset", "bytes", "steps"), *_places(self.block, self.plan, "")]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [
            "  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in pairs).rstrip()
            for pairs in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
        ]
        return "\n".join([*lines, f"arena of {self.plan.size} bytes"])

    __repr__ = __str__


def _group_lines(block: Block) -> Iterator[str]:
    names = names_of(block.jaxpr)
    count = 0
    for item in block.items:
        if isinstance(item, Group):
            count += 1
            forms = ", ".join(f"{m.nest.target.name} {m.form}" for m in item.members)
            yield f"group {count}: {forms}; {item.depth} shared loops"
            yield from ("  " + eqn_line(eqn, names) for eqn in eqns_of(block, item))
        else:
            yield f"apart: {eqn_line(item.eqn, names)}"
            if item.sum is not None:
                yield f"  {eqn_line(item.sum, names)}"
    for step in block.steps:
        for what, inner in named_blocks(step):
            assert not isinstance(step, Launch)
            yield f"{what} of {eqn_line(step.eqn, names)}"
            yield from ("  " + line for line in _group_lines(inner))


def _loop_texts(block: Block) -> Iterator[str]:
    names = names_of(block.jaxpr)
    for step in block.steps:
        if isinstance(step, Launch):
            yield LoopText(step.kernel, PlainLibrary(), eqn_notes(block, step, names)).text_of()
        for inner in inner_blocks(step):
            yield from _loop_texts(inner)


def _step_lines(block: Block) -> Iterator[str]:
    names = names_of(block.jaxpr)
    for at, step in enumerate(block.steps):
        behind = "  behind the step before" if at - 1 in block.chains else ""
        yield f"{at}  {step_text(step, names)}{behind}"
        for what, inner in named_blocks(step):
            yield f"   {what}"
            yield from ("   " + line for line in _step_lines(inner))


def step_text(step: BlockStep, names: Names) -> str:
    """One step in a line."""
    if isinstance(step, Launch):
        k = step.kernel
        parts = f"{-(-k.extent // k.grain)} chunks of {k.grain}, " if k.extent > k.grain else ""
        return f"{k.name} -> {' '.join(b.name for b in k.written)}  {parts}{time_text(k.cost)}"
    if isinstance(step, LibraryCall):
        cost = sum(s.cost for s in step.kernel.stages)
        added = f", added to {step.reads[-1]} in its memory" if step.sum is not None else ""
        return f"{eqn_line(step.eqn, names)}  library{added}, {time_text(cost)}"
    if isinstance(step, HostCall):
        how = "called out" if step.native is None else "native code"
        return f"{eqn_line(step.eqn, names)}  {how}"
    if isinstance(step, Scan):
        return f"{eqn_line(step.eqn, names)}  {step.length} turns"
    return eqn_line(step.eqn, names)


def named_blocks(step: BlockStep) -> list[tuple[str, Block]]:
    """The blocks within a step, and what each is."""
    if isinstance(step, While):
        return [("condition", step.condition), ("body", step.block)]
    if isinstance(step, Branch):
        return [(f"branch {k}", b) for k, b in enumerate(step.blocks)]
    return [("body", b) for b in inner_blocks(step)]


def time_text(nanoseconds: float) -> str:
    """A rough time with a unit."""
    for limit, unit in ((1e3, "ns"), (1e6, "us"), (1e9, "ms")):
        if nanoseconds < limit:
            return f"{nanoseconds * 1e3 / limit:.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"


def _places(block: Block, plan: Plan, indent: str) -> Iterator[tuple[str, str, str, str]]:
    alive = lifetimes(block)
    for b in sorted(alive, key=lambda b: (alive[b], plan.offsets[b])):
        first, last = alive[b]
        name = f"{indent}{b.name}:{short(b)}"
        yield name, str(plan.offsets[b]), str(b.bytes), f"{first}..{last}"
    for step in block.steps:
        for inner in inner_blocks(step):
            yield from _places(inner, plan, indent + "  ")
