"""A loop nest as readable Python, which runs as it stands and under Numba.

In: a `Kernel`. Out: the text of a function of flat arrays. The one idea: the text has one
statement for each value that is used more than once or that an inner loop does not change, and the
rest in place; so a person reads what is computed, and the same operations in the same order give
the same bits as the machine code, except that sums there go by lanes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.loops import Affine, Apply, Axis, Const, DType, Expr, Index, IndexTuple, Load
from ...ir.nests import (
    UNBOUNDED,
    Acc,
    Accumulate,
    Advance,
    Buffer,
    For,
    Kernel,
    Leave,
    Node,
    Store,
    children,
    expressions,
    identity_of,
    loads_of,
    neighbours,
    offset_of,
    statements,
)
from .arms import branched
from .llvm_ops import is_small_float
from .maths import expand
from .source_helpers import C_FUNCTIONS, HELPERS, called, saturating
from .source_names import Namer
from .source_ops import SourceOps, Text, memory_name, register_name

LONG = 48
LINE = 72


class Argument(Expr):
    """A parameter of a generated function."""

    __slots__ = ("name",)

    def __init__(self, name: str, dtype: DType) -> None:
        self.name = name
        self.dtype = dtype


class Scope:
    """The body of a loop while it is written: its lines, and the values that have names in it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[int, tuple[str, Expr]] = {}
        self.condition = ""  # while it holds the loop goes on, if that can be said at its head


class Library:
    """The functions that kernels call: of `HELPERS`, and elementary ones of a dtype."""

    def __init__(self) -> None:
        self.ops = SourceOps()
        self.elementary: dict[str, str] = {}
        self.externals: dict[str, tuple[str, int]] = {}

    def elementary_function(self, op: str, dtype: DType, count: int) -> str | None:
        """The name of the function for an operation; None where it is a basic one."""
        arguments = tuple(Argument(name, dtype) for name in ("x", "y", "z")[:count])
        name = f"{op}_{dtype.name}"
        if name in self.elementary:
            return name
        formula = expand(op, arguments)
        if formula is None:
            return None
        self.elementary[name] = ""
        body = Writer(self, Namer())
        for argument in arguments:
            body.names.taken.add(argument.name)
        body.count([formula])
        result = body.text(formula).code
        params = ", ".join(a.name for a in arguments)
        lines = [*body.scopes[0].lines, f"return {result}"]
        text = "".join(f"    {line}\n" for line in lines)
        self.elementary[name] = f'def {name}({params}):\n    """{op} of {dtype.name}."""\n{text}'
        return name

    def definitions(self) -> list[str]:
        """The text of every function needed, in an order that does not depend on the kernels'."""
        found: dict[str, str] = {}
        wanted = list(self.ops.needed)
        while wanted:
            name = wanted.pop()
            if name in found:
                continue
            kind = self.ops.needed.get(name)
            text = HELPERS[name] if kind is None else saturating(kind)
            found[name] = f"@kernel\n{text.strip()}\n"
            wanted += [w for w in called(text) if w in HELPERS]
        mentioned = called(" ".join(found.values()))
        external = {w: C_FUNCTIONS[w] for w in C_FUNCTIONS if w in mentioned}
        calls = [f'{w} = c_function("{n}", "{t}", {k})' for w, (n, t, k) in external.items()]
        calls += [
            f'{w} = c_function("{w}", "{t}", {k})' for w, (t, k) in sorted(self.externals.items())
        ]
        head = ["\n".join(calls) + "\n"] if calls else []
        own = [f"@kernel\n{text}" for _, text in sorted(self.elementary.items())]
        return [*head, *(found[name] for name in sorted(found)), *own]


class Writer:
    """Writes expressions into the scopes that are open."""

    def __init__(self, library: Library, names: Namer) -> None:
        self.library = library
        self.ops = library.ops
        self.names = names
        self.scopes: list[Scope] = [Scope()]
        self.axes: dict[Axis, tuple[str, int]] = {}
        self.buffers: dict[Buffer, str] = {}
        self.written: set[Buffer] = set()
        self.accs: dict[Acc, tuple[str, int]] = {}
        self.uses: dict[int, int] = {}
        self.hints: dict[int, str] = {}
        self.floor = 0  # values do not move out of this many scopes
        self._levels: dict[int, int] = {}
        self._alive: list[Expr] = []

    @property
    def depth(self) -> int:
        """How many loops are open."""
        return len(self.scopes) - 1

    def line(self, text: str) -> None:
        """Write a line into the innermost loop."""
        self.scopes[-1].lines.append(text)

    def count(self, roots: list[Expr]) -> None:
        """Count how often every expression is used."""
        stack = list(roots)
        while stack:
            x = stack.pop()
            self.uses[id(x)] = self.uses.get(id(x), 0) + 1
            if self.uses[id(x)] == 1:
                self._alive.append(x)
                stack.extend(children(x))

    # Where a value may be written.

    def level(self, x: Expr) -> int:
        """How many of the open loops a value depends on."""
        found = self._levels.get(id(x))
        if found is None:
            found = self._levels[id(x)] = self._level(x)
        return found

    def _level(self, x: Expr) -> int:
        if isinstance(x, Acc):
            return self.accs[x][1]
        levels = [self.level(e) for e in children(x)]
        if isinstance(x, Load):
            levels += [self.axes[a][1] for i in x.index for a in i.axes]
            if x.source in self.written:
                return self.depth
        elif isinstance(x, Index):
            levels += [self.axes[a][1] for a in x.affine.axes]
        return max(levels, default=0)

    def forget_levels(self) -> None:
        """After a loop was entered or left: what is written to memory may be read at new places."""
        self._levels.clear()

    # Expressions.

    def text(self, x: Expr, at: int | None = None, longest: int = LONG) -> Text:
        """An expression as it is written at a depth, with what it shares in front."""
        at = self.depth if at is None else at
        for scope in self.scopes:
            found = scope.names.get(id(x))
            if found is not None:
                return Text(found[0])
        if isinstance(x, Argument):
            return Text(x.name)
        if isinstance(x, Const):
            return Text(self.ops.constant(x.value, x.dtype))
        if isinstance(x, Acc):
            return self._folded(x)
        if isinstance(x, Index) and not x.affine.dynamic:
            return Text(f"int64({self.index(x.affine, at)})")
        level = min(max(self.level(x), self.floor), at)
        made = self._made(x, level)
        plain = self.uses.get(id(x), 1) == 1 and level == at and len(made.code) <= longest
        return made if plain or made.code.isidentifier() else Text(self.name(x, made, level))

    def name(self, x: Expr, made: Text, level: int) -> str:
        """Give a value a name, in a loop as far outside as it can be."""
        hint = x.source.name if isinstance(x, Load) else self.hints.get(id(x))
        name = self.names(f"{hint}_at" if hint else self._fresh())
        self.scopes[level].lines.append(f"{name} = {made.code}")
        self.scopes[level].names[id(x)] = (name, x)
        return name

    def _fresh(self) -> str:
        count = 1
        while f"t{count}" in self.names.taken:
            count += 1
        return f"t{count}"

    def _folded(self, acc: Acc) -> Text:
        name = self.accs[acc][0]
        if not acc.positional:
            return Text(name)
        return self.ops.cast(Text(f"{name}_place"), np.dtype(np.int64), acc.dtype)

    def _made(self, x: Expr, at: int) -> Text:
        if isinstance(x, Load):
            return self._load(x, at)
        if isinstance(x, Index):
            return Text(f"int64({self.index(x.affine, at)})")
        assert isinstance(x, Apply)
        if x.op == "select":
            condition, a, b = (self.text(e, at) for e in x.args)
            held = condition.inner if " if " in condition.code else condition.code
            return Text(f"{a.inner} if {held} else {b.inner}", False)
        args = [self.text(e, at) for e in x.args]
        source = x.args[0].dtype
        if x.op == "cast":
            return self.ops.cast(args[0], source, x.dtype)
        if x.op == "bitcast":
            return self.ops.bitcast(args[0], source, x.dtype)
        codes = ", ".join(a.code for a in args)
        if x.op == "call":
            self.library.externals[x.name] = (x.dtype.name, len(args))
            return Text(f"{x.dtype.name}({x.name}({codes}))")
        if x.dtype.kind == "f" or is_small_float(x.dtype):
            # The next 16-bit float is not the next float32.
            own = x.op == "nextafter"
            kind = source if own else np.dtype(register_name(source))
            name = self.library.elementary_function(x.op, kind, len(args))
            if name is not None:
                value = Text(f"{name}({codes})")
                small = is_small_float(x.dtype) and not own
                return self.ops.rounded(value, x.dtype) if small else value
        return self.ops.apply(x.op, args, source)

    def index(self, affine: Affine, at: int) -> str:
        """An index as an expression of loop variables and integers."""
        parts: list[tuple[int, str]] = []
        for axis, c in sorted(affine.axes.items(), key=lambda pair: self.axes[pair[0]][1]):
            parts.append((c, self.axes[axis][0]))
        for e, c in affine.dynamic:
            parts.append((c, self.text(e, at).inner))
        text = ""
        for c, name in parts:
            if name == "0" or not c:
                continue
            term = name if abs(c) == 1 else f"{abs(c)} * {name}"
            text += (f" + {term}" if c > 0 else f" - {term}") if text else term
            if c < 0 and text == term:
                text = f"-{term}"
        if not text:
            return str(affine.const)
        if affine.const and text.startswith("-"):
            return f"{affine.const} - {text[1:]}"
        return (
            text
            + (f" + {affine.const}" if affine.const > 0 else "")
            + (f" - {-affine.const}" if affine.const < 0 else "")
        )

    def element(self, buffer: Buffer, index: IndexTuple, at: int) -> str:
        """An element of memory."""
        return f"{self.buffers[buffer]}[{self.index(offset_of(buffer, index), at)}]"

    def _load(self, x: Load, at: int) -> Text:
        buffer: Buffer = x.source
        if not buffer.size:
            return Text(self.ops.constant(0, x.dtype))
        guard = None if x.guard is None else self.text(x.guard, at)
        element = self.ops.loaded(self.element(buffer, x.index, at), x.dtype)
        if guard is None:
            return element
        return Text(f"{element.code} if {guard.inner} else {self.ops.constant(0, x.dtype)}", False)


class KernelSource(Writer):
    """Writes one kernel; `notes` are the eqns it computes."""

    first_place = 2**63 - 1  # of an extreme, before any is found

    def __init__(self, kernel: Kernel, library: Library, notes: Sequence[str]) -> None:
        super().__init__(library, Namer())
        self.kernel = kernel
        self.notes = notes
        self.written = {*kernel.written, *kernel.scratch}
        self.body = branched(kernel.body, self.written)

    def function(self, name: str) -> str:
        """The function, with a comment in front that says what it computes."""
        kernel = self.kernel
        for buffer in [*kernel.params, *kernel.scratch]:
            self.buffers[buffer] = self.names(buffer.name)
        self.prepare()
        for buffer in kernel.scratch:
            made = f"np.empty({max(buffer.size, 1)}, {memory_name(buffer.dtype)})"
            self.line(f"{self.buffers[buffer]} = {made}")
        params = [self.buffers[b] for b in kernel.params]
        if kernel.chunk is not None:
            params += ["lo", "hi"]
            chunk = self.names("chunk")
            self.line(f"{chunk} = lo // {kernel.grain}")
            self.axes[kernel.chunk] = (chunk, 0)
        self.run(self.body)
        body = "".join(f"    {line}\n" for line in self.scopes[0].lines) or "    return\n"
        return f"{self.header(name)}@kernel\ndef {name}({', '.join(params)}):\n{body}"

    def prepare(self) -> None:
        """Look through the kernel: what is used how often, and what is stored where."""
        self.count([x for n in statements(self.body) for x in expressions(n)])
        self._hint(self.body)

    def header(self, name: str) -> str:
        """Types of the buffers, and the eqns."""
        kernel = self.kernel
        reads = [b for b in kernel.params if b not in kernel.written]
        types = [
            " ".join(f"{self.buffers[b]}:{short(b)}" for b in part)
            for part in (reads, kernel.written)
        ]
        lines = [f"{name}: {types[0]} -> {types[1]}", *self.notes]
        return "".join(f"# {line}\n" for line in lines)

    def _hint(self, body: list[Node]) -> None:
        for node in body:
            if isinstance(node, For):
                self._hint(node.body)
            elif isinstance(node, Store) and isinstance(node.value, Apply):
                self.hints.setdefault(id(node.value), node.target.name.removesuffix("_row"))

    def run(self, body: list[Node]) -> None:
        """Write statements in order; of neighbouring stores, the values come before the first."""
        made = 0
        for k, node in enumerate(body):
            if isinstance(node, Store) and k >= made:
                stores = neighbours(body, k)
                made = k + len(stores)
                if len(stores) > 1:
                    self._values(stores)
            if isinstance(node, For):
                self.loop(node)
            elif isinstance(node, Store):
                self.store(node)
            elif isinstance(node, Advance):
                self.advance(node)
            elif isinstance(node, Leave):
                self.leave(node)
            else:
                self.accumulate(node)

    def leave(self, node: Leave) -> None:
        """The end of a loop, at its head unless its condition needs statements before it."""
        scope = self.scopes[-1]
        condition = self.text(node.unless, None, LINE)
        if scope.lines:
            self.line(f"if not {condition.inner}:")
            self.line("    break")
        scope.condition = scope.condition or ("True" if scope.lines else condition.code)

    def _values(self, stores: list[Store]) -> None:
        """Name the values of stores: one may replace what another reads."""
        for node in stores:
            value = self.text(node.value)
            if loads_of(node.value) and not value.code.isidentifier():
                self.name(node.value, value, self.depth)

    def loop(self, node: For) -> None:
        """A loop, with the folds that start at it."""
        started = [acc for acc in node.accs if acc not in self.accs]
        for acc in started:
            name = self.names(acc.name)
            self.start(acc, name)
            self.accs[acc] = (name, self.depth)
        part = node.chunked and self.kernel.chunk is not None
        if node.body and isinstance(node.body[0], Leave) and node.axis.extent == 1:
            self.once(node, node.body[0])
        elif node.axis.extent == 1 and not part:
            self.axes[node.axis] = ("0", self.depth)
            self.within(node, started)
        else:
            name = self.names(node.axis.name)
            self.scopes.append(Scope())
            self.forget_levels()
            self.axes[node.axis] = (name, self.depth)
            self.within(node, started)
            scope = self.scopes.pop()
            inner = scope.lines or ["pass"]
            self.forget_levels()
            unbounded = node.axis.extent == UNBOUNDED
            self.line(f"while {scope.condition}:" if unbounded else self.heading(node, name))
            self.scopes[-1].lines += ["    " + line for line in inner]
            self.names.taken.discard(name)
        for acc in started:
            self.accs[acc] = (self.accs[acc][0], self.depth)

    def once(self, node: For, first: Leave) -> None:
        """One turn where a condition holds."""
        self.line(f"if {self.text(first.unless, None, LINE).code}:")
        self.scopes.append(Scope())
        self.forget_levels()
        floor, self.floor = self.floor, self.depth
        self.run(node.body[1:])
        self.floor = floor
        inner = self.scopes.pop().lines
        self.forget_levels()
        self.scopes[-1].lines += ["    " + line for line in inner]

    def start(self, acc: Acc, name: str) -> None:
        """Begin a fold."""
        if acc.initial is not None:
            self.line(f"{name} = {self.text(acc.initial).code}")
            return
        first = identity_of(acc.op, acc.value_dtype)
        self.line(f"{name} = {self.ops.constant(first, acc.value_dtype)}")
        if acc.positional:
            self.line(f"{name}_place = int64({self.first_place})")
            self.names.taken.add(f"{name}_place")

    def heading(self, node: For, name: str) -> str:
        """The first line of a loop."""
        part = node.chunked and self.kernel.chunk is not None
        return f"for {name} in range({'lo, hi' if part else node.axis.extent}):"

    def within(self, node: For, started: list[Acc]) -> None:
        """What is inside of a loop."""
        for acc in node.accs:
            self.accs[acc] = (self.accs[acc][0], self.depth)
        self.run(node.body)

    def store(self, node: Store) -> None:
        """An assignment to an element, in an `if` where it is guarded."""
        buffer = node.target
        if not buffer.size:
            return
        value = self.text(node.value, None, LINE)
        guard = None if node.guard is None else self.text(node.guard)
        place = self.element(buffer, node.index, self.depth)
        if node.combine:
            old = self.ops.loaded(place, buffer.dtype)
            value = self.ops.apply(node.combine, [old, value], buffer.dtype)
        statement = f"{place} = {self.ops.stored(value, buffer.dtype)}"
        self.assign([statement] if guard is None else [f"if {guard.code}:", f"    {statement}"])

    def assign(self, lines: list[str]) -> None:
        """Write the lines that change an element of memory."""
        self.scopes[-1].lines += lines

    def advance(self, node: Advance) -> None:
        """What a loop carries, replaced at once."""
        if not node.pairs:
            return
        names = ", ".join(self.accs[acc][0] for acc, _ in node.pairs)
        values = [self.text(e) for _, e in node.pairs]
        if len(names) + sum(len(v.code) for v in values) > LINE:
            pairs = zip(node.pairs, values, strict=True)
            values = [
                v if v.code.isidentifier() else Text(self.name(e, v, self.depth))
                for (_, e), v in pairs
            ]
        self.line(f"{names} = {', '.join(v.code for v in values)}")

    def accumulate(self, node: Accumulate) -> None:
        """A value folded in."""
        acc, (name, _) = node.acc, self.accs[node.acc]
        value = self.text(node.value, None, LINE)
        if node.position is None:
            folded = self.ops.apply(acc.op, [Text(name), value], acc.value_dtype)
            self.line(f"{name} = {folded.code}")
            return
        helper = self.ops.helper("larger" if acc.op == "argmax" else "smaller")
        place = self.index(node.position, self.depth)
        code = value.code
        if not code.isidentifier():
            code = self.name(node.value, value, self.depth)
        self.line(f"if {helper}({code}, {place}, {name}, {name}_place):")
        self.line(f"    {name}, {name}_place = {code}, int64({place})")


def short(buffer: Buffer) -> str:
    """Type of a buffer: f32[2,3]."""
    from ...ir.avals import ShapedArray

    return ShapedArray(buffer.shape, buffer.dtype).short()
