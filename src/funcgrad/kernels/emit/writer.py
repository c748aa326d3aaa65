"""Writing one LLVM function as text: names, loops, branches, and code moved out of loops.

Every loop that is open has a place in front of it (`Loop.before`), so a value that does not
depend on the loop is written there. LLVM's own hoisting is not needed, and its passes stay cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

Lines = list["str | Lines"]


class Loop:
    """An open loop: its counter, the values it carries, and the place in front of it.

    Attributes:
        index: name of the counter (i64).
        carried: names of the carried values inside the body.
        next: set by the body: the carried values of the next iteration.
        results: names of the carried values after the loop.
        leave_unless: of a loop that a condition ends, to be called with it, an i1.
    """

    __slots__ = ("before", "carried", "index", "leave_unless", "next", "results")

    def __init__(self, index: str, carried: list[str], before: Lines) -> None:
        self.leave_unless: Callable[[str], None] = lambda _: None
        self.index = index
        self.carried = carried
        self.next: list[str] = []
        self.results: list[str] = []
        self.before = before


class Writer:
    """The body of a function as lines of LLVM IR."""

    def __init__(self) -> None:
        self.entry: Lines = []
        self._root: Lines = [self.entry]
        self.here: Lines = self._root
        self.open: list[Loop] = []
        self._count = 0
        self.floor = 0  # no code moves out of this many loops
        self.declared: dict[str, str] = {}

    def fresh(self, prefix: str = "v") -> str:
        """A name nobody has used, without the percent sign."""
        self._count += 1
        return f"{prefix}{self._count}"

    def line(self, text: str, level: int | None = None) -> None:
        """Add an instruction without a result, in front of open loop number `level`."""
        self._place(level).append(text)

    def value(self, text: str, level: int | None = None) -> str:
        """Add an instruction with a result, in front of open loop `level`; the result's name."""
        name = "%" + self.fresh()
        self._place(level).append(f"{name} = {text}")
        return name

    def first(self, text: str) -> str:
        """Add an instruction at the very beginning, where it serves every place; its name."""
        name = "%" + self.fresh()
        self.entry.append(f"{name} = {text}")
        return name

    def _place(self, level: int | None) -> Lines:
        if level is None or max(level, self.floor) >= len(self.open):
            return self.here
        return self.open[max(level, self.floor)].before

    def declare(self, name: str, signature: str) -> str:
        """`@name`, declared once for the module; signature is `result (arguments)`."""
        result, arguments = signature.split(" (", 1)
        self.declared[name] = f"declare {result} @{name}({arguments}"
        return f"@{name}"

    @contextmanager
    def loop(
        self, start: str, stop: str, step: str | int, carried: Sequence[tuple[str, str]] = ()
    ) -> Generator[Loop]:
        """A loop over `start, start + step, … < stop`; `carried` are (type, first value)."""
        label = self.fresh("loop")
        before: Lines = []
        self.here.append(before)
        outer = self.here
        index = f"%{label}.i"
        names = [f"%{label}.c{k}" for k in range(len(carried))]
        body: Lines = []
        opened = Loop(index, names, before)
        self.open.append(opened)
        self.here = body
        yield opened
        self.here = outer
        self.open.pop()
        assert len(opened.next) == len(carried)
        outer.append(f"br label %{label}.pre")
        outer.append(f"{label}.pre:")
        outer.append(f"%{label}.enter = icmp slt i64 {start}, {stop}")
        outer.append(f"br i1 %{label}.enter, label %{label}, label %{label}.end")
        outer.append(f"{label}:")
        outer.append(f"{index} = phi i64 [ {start}, %{label}.pre ], [ {index}n, %{label}.latch ]")
        for name, (kind, first), last in zip(names, carried, opened.next, strict=True):
            outer.append(
                f"{name} = phi {kind} [ {first}, %{label}.pre ], [ {last}, %{label}.latch ]"
            )
        outer.append(body)
        outer.append(f"br label %{label}.latch")
        outer.append(f"{label}.latch:")
        outer.append(f"{index}n = add nsw i64 {index}, {step}")
        outer.append(f"%{label}.more = icmp slt i64 {index}n, {stop}")
        outer.append(f"br i1 %{label}.more, label %{label}, label %{label}.end")
        outer.append(f"{label}.end:")
        for name, (kind, first), last in zip(names, carried, opened.next, strict=True):
            result = f"{name}r"
            outer.append(
                f"{result} = phi {kind} [ {first}, %{label}.pre ], [ {last}, %{label}.latch ]"
            )
            opened.results.append(result)

    @contextmanager
    def loop_while(self, carried: Sequence[tuple[str, str]]) -> Generator[Loop]:
        """A loop that ends where its body says so; what it carries then stays as it is."""
        label = self.fresh("while")
        names = [f"%{label}.c{k}" for k in range(len(carried))]
        before: Lines = []
        self.here.append(before)
        outer = self.here
        opened = Loop("", names, before)
        self.open.append(opened)
        self.here = []

        def leave_unless(condition: str) -> None:
            self.here.append(f"br i1 {condition}, label %{label}.on, label %{label}.end")
            self.here.append(f"{label}.on:")

        opened.leave_unless = leave_unless
        yield opened
        outer += [f"br label %{label}.pre", f"{label}.pre:", f"br label %{label}", f"{label}:"]
        for name, (kind, first), last in zip(names, carried, opened.next, strict=True):
            outer.append(
                f"{name} = phi {kind} [ {first}, %{label}.pre ], [ {last}, %{label}.latch ]"
            )
        outer += [self.here, f"br label %{label}.latch", f"{label}.latch:"]
        outer += [f"br label %{label}", f"{label}.end:"]
        self.here = outer
        self.open.pop()

    @contextmanager
    def section(self) -> Generator[Loop]:
        """Code that runs once, with a level of its own: the last, shorter turn of a loop."""
        before: Lines = []
        self.here.append(before)
        outer = self.here
        opened = Loop("", [], before)
        self.open.append(opened)
        self.here = []
        yield opened
        outer.append(self.here)
        self.here = outer
        self.open.pop()

    @contextmanager
    def detour(self, condition: str, usual: Sequence[tuple[str, str]]) -> Generator[Loop]:
        """Code that runs where the i1 `condition` holds; its results replace `usual`."""
        label = self.fresh("detour")
        self.here += [f"br label %{label}.pre", f"{label}.pre:"]
        self.here += [f"br i1 {condition}, label %{label}, label %{label}.end", f"{label}:"]
        with self.section() as opened:
            yield opened
        self.here += [f"br label %{label}.last", f"{label}.last:", f"br label %{label}.end"]
        self.here.append(f"{label}.end:")
        for k, ((kind, name), last) in enumerate(zip(usual, opened.next, strict=True)):
            ways = f"[ {name}, %{label}.pre ], [ {last}, %{label}.last ]"
            self.here.append(f"%{label}.r{k} = phi {kind} {ways}")
            opened.results.append(f"%{label}.r{k}")

    @contextmanager
    def forever(self) -> Generator[Callable[[str], None]]:
        """A loop that ends where the function it gives is called with an i1 that is true."""
        label = self.fresh("again")
        before: Lines = []
        self.here.append(before)
        outer = self.here
        self.open.append(Loop("", [], before))
        self.here = []

        def leave(condition: str) -> None:
            rest = self.fresh("on")
            self.here.append(f"br i1 {condition}, label %{label}.end, label %{rest}")
            self.here.append(f"{rest}:")

        yield leave
        outer += [f"br label %{label}", f"{label}:", self.here]
        outer += [f"br label %{label}", f"{label}.end:"]
        self.here = outer
        self.open.pop()

    @contextmanager
    def when(self, condition: str) -> Generator[None]:
        """Code that runs only where the i1 `condition` holds; it gives no values."""
        label = self.fresh("when")
        self.here.append(f"br i1 {condition}, label %{label}, label %{label}.end")
        self.here.append(f"{label}:")
        yield
        self.here.append(f"br label %{label}.end")
        self.here.append(f"{label}.end:")

    def function(self, name: str, params: str, result: str = "void", attributes: str = "") -> str:
        """The text of the whole function."""
        lines = [f"define {result} @{name}({params}) {attributes} {{", "entry:"]
        _flatten(self._root, lines)
        if result == "void":
            lines.append("  ret void")
        lines.append("}")
        return "\n".join(lines) + "\n"


def _flatten(block: Lines, out: list[str]) -> None:
    for item in block:
        if isinstance(item, list):
            _flatten(item, out)
        else:
            out.append(item if item.endswith(":") else "  " + item)


def splat(kind: str, scalar: str, lanes: int, writer: Writer, level: int | None = None) -> str:
    """A vector whose lanes are all `scalar` (a name or a constant of type `kind`)."""
    if lanes == 1:
        return scalar
    if not scalar.startswith("%"):
        return f"splat ({kind} {scalar})"
    vector = f"<{lanes} x {kind}>"
    one = writer.value(f"insertelement {vector} poison, {kind} {scalar}, i64 0", level)
    return writer.value(
        f"shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer", level
    )
