"""A whole program as a Python module: its kernels, and a function that runs them in order.

In: a `Block` and its memory plan. Out: text. The one idea: the function does what the machine code
does, in the same memory: every array is flat, either one that it was given or a part of `memory`;
loops and branches of the user's program are loops and branches here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from ...ir.jaxpr import Eqn
from ...ir.nests import Buffer
from ...ir.printing import Names, names_of
from ..items import Backwards
from ..memory import Plan, carried, direct_outputs, updates_in_place
from ..notes import eqn_line, eqn_notes
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
)
from .source import KernelSource, Library, short
from .source_helpers import words
from .source_names import Namer
from .source_ops import memory_name

Rule = tuple[Eqn, list[Buffer], list[Buffer], Backwards]
_TYPES = "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
_SCRIPTS = "funcgrad.kernels.runtime.scripts"


class ProgramSource:
    """Writes the module of a program.

    Attributes:
        rules: eqns that run by their NumPy rule, with the buffers they read and write.
    """

    def __init__(self, block: Block, plan: Plan) -> None:
        self.block = block
        self.plan = plan
        self.library = Library()
        self.kernels: dict[str, str] = {}
        self.known: dict[str, str] = {}
        self.rules: list[Rule] = []
        self.names = Namer()
        self.variables: dict[int, Names] = {}
        self.arrays: dict[Buffer, str] = {}
        self.places: list[str] = []
        self.lines: list[str] = []
        self.indent = 1

    def module(self, numba: bool) -> str:
        """The text of the module; with `numba`, its kernels are compiled when they first run."""
        constants = list(all_constants(self.block))
        for k, b in enumerate(constants):
            self.arrays[b] = self.names(f"constant{k}")
        for b in self.block.inputs:
            self.arrays[b] = self.names(b.name)
        targets = [self.names(f"out{k}") for k in range(len(self.block.outputs))]
        given = [self.arrays[b] for b in [*constants, *self.block.inputs]]
        self.run(self.block, targets)
        params = ", ".join(["rules", "memory", *given, *targets])
        body = "\n".join(["    " + p for p in self.places] + self.lines) or "    return"
        types = [short(b) for b in self.block.outputs]
        comment = f"# {' '.join(f'{self.arrays[b]}:{short(b)}' for b in self.block.inputs)} -> "
        driver = f"{comment}{' '.join(types)}\ndef program({params}):\n{body}\n"
        functions = [*self.library.definitions(), *self.kernels.values(), driver]
        return "\n\n".join([self._imports(functions, numba), *functions])

    def _imports(self, functions: Sequence[str], numba: bool) -> str:
        used = words("\n".join(functions))
        types = ", ".join(t for t in _TYPES if t in used)
        own = [n for n in ("c_function", "matmul", "strided", "view") if n in used]
        names = [f"{'compiled' if numba else 'plain'} as kernel", *own]
        lines = ["import numpy as np", f"from numpy import {types}" if types else ""]
        lines.append(f"\nfrom {_SCRIPTS} import {', '.join(names)}")
        return "\n".join(line for line in lines if line) + "\n"

    def line(self, text: str) -> None:
        """Write a line of the driver."""
        self.lines.append("    " * self.indent + text)

    @contextmanager
    def indented(self, head: str) -> Generator[None]:
        """A compound statement; the lines written inside are its body."""
        self.line(head)
        self.indent += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.indent -= 1

    def array(self, block: Block, buffer: Buffer) -> str:
        """The name of the array of a buffer."""
        root = block.root(buffer)
        found = self.arrays.get(root)
        if found is None:
            found = self.arrays[root] = self.names(root.name)
            what = f"{self.plan.offsets[root]}, {root.size}, {memory_name(root.dtype)}"
            self.places.append(f"{found} = view(memory, {what})  # {short(root)}")
        return found

    def arrays_of(self, block: Block, buffers: Sequence[Buffer]) -> list[str]:
        """The names of the arrays of some buffers."""
        return [self.array(block, b) for b in buffers]

    def copy(self, target: str, source: str) -> None:
        """Copy an array into another one."""
        if target != source:
            self.line(f"{target}[:] = {source}")

    def eqn_names(self, block: Block) -> Names:
        """The names of a block's variables."""
        found = self.variables.get(id(block))
        if found is None:
            found = self.variables[id(block)] = names_of(block.jaxpr)
        return found

    # Blocks and steps.

    def run(self, block: Block, targets: Sequence[str]) -> None:
        """The steps of a block; its outputs are in the targets in the end."""
        direct = direct_outputs(block)
        for root, k in direct.items():
            self.arrays[root] = targets[k]
        for step in block.steps:
            self.step(block, step)
        for k, b in enumerate(block.outputs):
            if direct.get(block.root(b)) != k:
                self.copy(targets[k], self.array(block, b))

    def step(self, block: Block, step: BlockStep) -> None:
        """One step of a block."""
        if isinstance(step, Launch):
            self.launch(block, step)
        elif isinstance(step, LibraryCall):
            self.library_call(block, step)
        elif isinstance(step, HostCall):
            self.rule(block, step)
        elif isinstance(step, Scan):
            self.scan(block, step)
        elif isinstance(step, While):
            self.loop(block, step)
        else:
            self.branch(block, step)

    def launch(self, block: Block, step: Launch) -> None:
        """A fused kernel."""
        kernel = step.kernel
        notes = eqn_notes(block, step, self.eqn_names(block))
        text = KernelSource(kernel, self.library, notes).function(kernel.name)
        body = text.partition("@kernel\n")[2].replace(f"def {kernel.name}(", "def (", 1)
        name = self.known.setdefault(body, kernel.name)
        self.kernels.setdefault(name, text)
        arrays = self.arrays_of(block, kernel.params)
        if kernel.chunk is None:
            self.line(f"{name}({', '.join(arrays)})")
            return
        with self.indented(f"for lo in range(0, {kernel.extent}, {kernel.grain}):"):
            bounds = ["lo", f"min(lo + {kernel.grain}, {kernel.extent})"]
            self.line(f"{name}({', '.join([*arrays, *bounds])})")

    def library_call(self, block: Block, step: LibraryCall) -> None:
        """A matrix product of NumPy, or the NumPy rule of an eqn."""
        if step.gemm is None:
            self.rule(block, step)
            return
        g = step.gemm
        left, right = self.arrays_of(block, step.reads[:2])
        (out,) = self.arrays_of(block, step.writes)
        shape = tuple(b[0] for b in g.batch)
        sides: list[str] = []
        for k, (name, extents, (outside, lead)) in enumerate(
            ((left, (g.m, g.k), g.left), (right, (g.k, g.n), (not g.right[0], g.right[1])))
        ):
            steps = (lead, 1) if outside else (1, lead)
            strides = (*(b[1 + k] for b in g.batch), *steps)
            begin = f"{name}[{g.starts[k]}:]" if g.starts[k] else name
            sides.append(f"strided({begin}, {(*shape, *extents)}, {strides})")
        strides = (*(b[3] for b in g.batch), g.pitch, 1)
        self.line(f"# {eqn_line(step.eqn, self.eqn_names(block))}")
        target = f"strided({out}, {(*shape, g.m, g.n)}, {strides})"
        if step.sum is None:
            self.line(f"matmul({', '.join([*sides, target])})")
        else:
            self.line(f"# {eqn_line(step.sum, self.eqn_names(block))}")
            self.line(f"matmul({', '.join([*sides, target])}, adds=True)")

    def rule(self, block: Block, step: HostCall | LibraryCall) -> None:
        """The NumPy rule of an eqn."""
        reads = ", ".join(self.arrays_of(block, step.reads))
        writes = ", ".join(self.arrays_of(block, step.writes))
        self.line(f"# {eqn_line(step.eqn, self.eqn_names(block))}")
        self.line(f"rules[{len(self.rules)}]([{reads}], [{writes}])")
        backwards = step.backwards if isinstance(step, LibraryCall) else ()
        self.rules.append((step.eqn, step.reads, step.writes, backwards))

    # Control flow.

    def scan(self, block: Block, step: Scan) -> None:
        """Turns over the leading axis of the slices."""
        body, c, n = step.block, step.constants, step.carry
        reads = self.arrays_of(block, step.reads)
        writes = self.arrays_of(block, step.writes)
        for k, b in enumerate(body.inputs[:c]):
            self.arrays[b] = reads[k]
        for k, b in enumerate(body.inputs[c : c + n]):
            self.arrays[b] = writes[k]
            self.copy(writes[k], reads[c + k])
        if step.length == 1 and not n and len(reads) == c:
            self.run(body, writes)
            return
        at = self.names("turn")
        turns = f"range({step.length})"
        with self.indented(f"for {at} in {f'reversed({turns})' if step.reverse else turns}:"):
            for k, b in enumerate(body.inputs[c + n :]):
                self.arrays[b] = self._slice(b.name, reads[c + n + k], at, b.size)
            pairs = zip(writes[n:], body.outputs[n:], strict=True)
            rows = [self._slice(f"{p}_row", p, at, b.size) for p, b in pairs]
            self._turn(step, body, writes[:n], rows)

    def _slice(self, wish: str, array: str, at: str, size: int) -> str:
        name = self.names(wish)
        self.line(f"{name} = {array}[{at} * {size}:({at} + 1) * {size}]")
        return name

    def _turn(self, step: Scan | While, body: Block, carry: list[str], rows: list[str]) -> None:
        """One turn of a loop: what it carries on goes to its room, then replaces the old."""
        rooms = [
            old if updates_in_place(body, *pair) else self.array(body, room)
            for old, pair, room in zip(carry, carried(step), step.rooms, strict=True)
        ]
        self.run(body, [*rooms, *rows])
        for room, old in zip(rooms, carry, strict=True):
            self.copy(old, room)

    def loop(self, block: Block, step: While) -> None:
        """Turns while the condition holds."""
        cc, bc = step.condition_constants, step.block_constants
        reads = self.arrays_of(block, step.reads)
        writes = self.arrays_of(block, step.writes)
        for k, b in enumerate(step.condition.inputs):
            self.arrays[b] = reads[k] if k < cc else writes[k - cc]
        for k, b in enumerate(step.block.inputs):
            self.arrays[b] = reads[cc + k] if k < bc else writes[k - bc]
        for target, source in zip(writes, reads[cc + bc :], strict=True):
            self.copy(target, source)
        flag = self.names("goes_on")
        self.places.append(f"{flag} = np.empty(1, np.bool_)")
        with self.indented("while True:"):
            self.run(step.condition, [flag])
            with self.indented(f"if not {flag}[0]:"):
                self.line("break")
            self._turn(step, step.block, writes, [])

    def branch(self, block: Block, step: Branch) -> None:
        """The chosen block of several."""
        at, *reads = self.arrays_of(block, step.reads)
        writes = self.arrays_of(block, step.writes)
        index = self.names("chosen")
        self.line(f"{index} = min(max(int({at}[0]), 0), {len(step.blocks) - 1})")
        for k, inner in enumerate(step.blocks):
            with self.indented(f"{'elif' if k else 'if'} {index} == {k}:"):
                self.arrays.update(zip(inner.inputs, reads, strict=True))
                self.run(inner, writes)
