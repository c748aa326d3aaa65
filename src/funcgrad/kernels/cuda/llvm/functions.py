"""Functions of a kernel's text as functions of LLVM's language.

In: the syntax tree of a function and the types of its arguments. Out: lines. The one idea: one
pass forward, for whatever is read was written before, and has its type by then. Names are memory
of the thread, which LLVM makes registers of.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import partial
from math import inf, nan
from typing import TYPE_CHECKING, Any

from ....errors import CompileError
from .arithmetic import Arithmetic
from .natural import naturals
from .unrolling import turns_written
from .values import BOOL, INT64, KINDS, UINT64, Kind, Pointer, Value, constant, literal

if TYPE_CHECKING:
    from .module import Module

Argument = Value | Pointer
_NUMBERS = {"np.inf": inf, "np.nan": nan}
# Calls that are cheap and read no memory: both sides of a choice may make them.
_QUICK = {*KINDS, "bool", "abs", "min", "max"}


class Function(Arithmetic):
    """One function while it is written; `kinds` are those of what it returns."""

    def __init__(self, module: Module, node: ast.FunctionDef, symbol: str) -> None:
        super().__init__()
        self.module = module
        self.target = module.target
        self.node = node
        self.symbol = symbol
        self.names: dict[str, Pointer] = {}
        # In which of the bodies that are open a name got its place.
        self.homes: dict[str, tuple[int, ...]] = {}
        self.open: tuple[int, ...] = ()
        self.again: set[str] = set()
        self._bodies = 0
        self.arrays: dict[str, Pointer] = {}
        self.naturals = naturals(node)
        self.rooms: list[str] = []
        self.block = "begin"
        self.done = False
        self.kinds: list[Kind] | None = None
        self.ends: list[str] = []

    # The whole.

    def write(self, arguments: Sequence[Argument]) -> str:
        """The function, for arguments of these types."""
        params: list[str] = []
        for name, x in zip((a.arg for a in self.node.args.args), arguments, strict=True):
            given = f"%a{len(params)}"
            if isinstance(x, Pointer):
                self.arrays[name] = x._replace(code=given)
                params.append(f"{self.target.pointer(x.kind.llvm, x.space)} {given}")
            else:
                params.append(f"{x.kind.llvm} {given}")
                self.keep(name, Value(x.kind, given))
        self.run(self.node.body)
        if not self.done:
            self.kinds = self.kinds or []
            self.put("ret void")
        assert self.kinds is not None
        head = self.heading(params)
        body = "\n".join(["entry:", *self.rooms, "  br label %begin", "begin:", *self.lines])
        return f"{head} {{\n{body}\n}}\n"

    def heading(self, params: list[str]) -> str:
        """The line that begins the function."""
        return self.target.heading(self.symbol, self.result_type, params)

    @property
    def result_type(self) -> str:
        """What the function gives, as LLVM writes it."""
        kinds = [k.llvm for k in self.kinds or []]
        return "void" if not kinds else kinds[0] if len(kinds) == 1 else f"{{{', '.join(kinds)}}}"

    def intrinsic(self, name: str, result: str, arguments: list[str]) -> str:
        """The name of a function of LLVM's or of a library, which the module will declare."""
        self.module.declare(name, f"{result} @{name}({', '.join(arguments)})")
        return f"@{name}"

    # Blocks.

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block, self.done = label, False

    def go(self, label: str, more: str = "") -> None:
        """Go on at a block, unless the function has ended here."""
        if not self.done:
            self.put(f"br label %{label}{more}")
        self.done = True

    def fork(self, condition: Value, then: str, other: str) -> None:
        """Go on at one of two blocks."""
        self.put(f"br {self.cast(condition, BOOL).typed}, label %{then}, label %{other}")
        self.done = True

    # Names and memory.

    def keep(self, name: str, x: Value) -> None:
        """Give a name its value; where bodies are closed, their names may get other types."""
        place = self.names.get(name)
        closed = place is not None and not self._is_home(name)
        if place is not None and place.kind != x.kind:
            if closed:
                self.again.add(name)
                place = None
            else:
                _meet(name, place.kind, x.kind)
        if place is None:
            place = self.names[name] = self.room(x.kind, self.fresh("%n"))
            closed = True
        if closed:
            # A body of its own, even where it keeps the place of one before.
            self.homes[name] = self.open
        self.store(place, x)

    def _is_home(self, name: str) -> bool:
        """Whether the body in which a name got its place is still open."""
        home = self.homes[name]
        return self.open[: len(home)] == home

    def within(self, body: Sequence[ast.stmt], first: Callable[[], None] | None = None) -> None:
        """The statements of a loop or a branch, after what comes first there."""
        outside = self.open
        self._bodies += 1
        self.open = (*outside, self._bodies)
        if first is not None:
            first()
        self.run(body)
        self.open = outside

    def room(self, kind: Kind, code: str) -> Pointer:
        """Memory of the thread for a number."""
        self.rooms.append(f"  {code} = alloca {kind.llvm}")
        return Pointer(kind, code, "local")

    def address(self, p: Pointer) -> str:
        """A pointer with its type."""
        return f"{self.target.pointer(p.kind.llvm, p.space)} {p.code}"

    def element(self, p: Pointer, index: Value) -> Pointer:
        """Where an element lies."""
        index = self.cast(index, INT64)
        code = f"getelementptr inbounds {p.kind.llvm}, {self.address(p)}, {index.typed}"
        return p._replace(code=self.made(code))

    def load(self, p: Pointer, natural: bool = False) -> Value:
        """What lies there."""
        return self.result(p.kind, f"load {p.kind.llvm}, {self.address(p)}", natural)

    def store(self, p: Pointer, x: Value) -> None:
        """Write a number there."""
        self.put(f"store {self.cast(x, p.kind).typed}, {self.address(p)}")

    def array(self, name: str, node: ast.Call, shared: bool) -> None:
        """An array of the block or of the thread."""
        size = self.number(node.args[0]).constant
        kind = KINDS[dotted(node.args[1])]
        kinds = f"[{size} x {kind.llvm}]"
        if shared and not size:
            # As many as the launch asks for; all such arrays begin at the same place.
            whole, kinds = self.module.asked_for(kind), f"[0 x {kind.llvm}]"
            start, space = self.target.first(whole, kinds, "shared"), "shared"
        elif shared:
            whole = self.module.shared(kinds)
            start, space = self.target.first(whole, kinds, "shared"), "shared"
        else:
            room, start, space = self.fresh("%room"), self.fresh("%first"), "local"
            self.rooms.append(f"  {room} = alloca {kinds}, align 16")
            whole = f"{self.target.pointer(kinds, space)} {room}"
            self.rooms.append(f"  {start} = getelementptr inbounds {kinds}, {whole}, i64 0, i64 0")
        self.arrays[name] = Pointer(kind, start, space)

    # Statements.

    def run(self, body: Sequence[ast.stmt]) -> None:
        """Statements in order, up to where the function or a loop is left."""
        for node in body:
            if self.done:
                return
            do = getattr(self, f"_{type(node).__name__.lower()}", None)
            if do is None:
                raise CompileError(f"{ast.unparse(node)!r} is no statement of a kernel's text")
            do(node)

    def _expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.called(node.value)

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _return(self, node: ast.Return) -> None:
        given = [] if node.value is None else self.several(node.value)
        if self.kinds is None:
            self.kinds = [v.kind for v in given]
        for v, kind in zip(given, self.kinds, strict=True):
            _meet(f"what {self.node.name} gives", kind, v.kind)
        given = [self.cast(v, k) for v, k in zip(given, self.kinds, strict=True)]
        if not given:
            self.put("ret void")
        elif len(given) == 1:
            self.put(f"ret {given[0].typed}")
        else:
            whole = "undef"
            for k, v in enumerate(given):
                whole = self.made(f"insertvalue {self.result_type} {whole}, {v.typed}, {k}")
            self.put(f"ret {self.result_type} {whole}")
        self.done = True

    def _assign(self, node: ast.Assign) -> None:
        (target,), value = node.targets, node.value
        if isinstance(target, ast.Name):
            if isinstance(value, ast.Call) and dotted(value.func).endswith(".array"):
                self.array(target.id, value, dotted(value.func) == "cuda.shared.array")
            else:
                self.keep(target.id, self.number(value))
        elif isinstance(target, ast.Tuple):
            # All are computed before any is replaced.
            for one, x in zip(target.elts, self.several(value), strict=True):
                if isinstance(one, ast.Name):
                    self.keep(one.id, x)
                else:
                    self._replace(one, x)
        else:
            self._replace(target, self.number(value))

    def _replace(self, target: ast.expr, x: Value) -> None:
        """Give an element its value."""
        assert isinstance(target, ast.Subscript)
        self.store(self._place(target), x)

    def _augassign(self, node: ast.AugAssign) -> None:
        assert isinstance(node.target, ast.Name)
        old = self._name(ast.Name(node.target.id))
        self.keep(node.target.id, self.binary(node.op, old, self.number(node.value)))

    def _if(self, node: ast.If) -> None:
        then, other, end = (self.fresh(stem) for stem in ("then", "else", "end"))
        self.fork(self.number(node.test), then, other if node.orelse else end)
        self.start(then)
        self.within(node.body)
        left = self.done
        self.go(end)
        if node.orelse:
            self.start(other)
            self.within(node.orelse)
            left = left and self.done
            self.go(end)
        if not (left and node.orelse):
            self.start(end)

    def _while(self, node: ast.While) -> None:
        head, body, end = (self.fresh(stem) for stem in ("while", "do", "end"))
        self.go(head)
        self.start(head)
        self.fork(self.number(node.test), body, end)
        self.start(body)
        self._turn(node.body, head, end)
        self.start(end)

    def _turn(
        self,
        body: Sequence[ast.stmt],
        then: str,
        end: str,
        first: Callable[[], None] | None = None,
    ) -> None:
        self.ends.append(end)
        self.within(body, first)
        self.ends.pop()
        self.go(then)

    def _break(self, node: ast.Break) -> None:
        self.go(self.ends[-1])

    def _for(self, node: ast.For) -> None:
        assert isinstance(node.iter, ast.Call) and isinstance(node.target, ast.Name)
        bounds = [self.cast(self.number(a), INT64) for a in node.iter.args]
        start, stop = bounds if len(bounds) == 2 else (constant(0, INT64), bounds[0])
        head, body, again, end = (self.fresh(stem) for stem in ("for", "do", "next", "end"))
        turn = self.room(INT64, self.fresh("%turn"))
        self.store(turn, start)
        self.go(head)
        self.start(head)
        at = self.load(turn, start.natural)
        self.fork(self.compare(ast.Lt(), at, stop), body, end)
        self.start(body)
        self._turn(node.body, again, end, partial(self.keep, node.target.id, at))
        self.start(again)
        further = self.made(f"add nsw {self.load(turn).typed}, 1")
        self.put(f"store i64 {further}, {self.address(turn)}")
        self.go(head, self._written_out(node))
        self.start(end)

    def _written_out(self, node: ast.For) -> str:
        """What makes LLVM write out a loop."""
        turns = turns_written(node, self.arrays)
        return "" if turns is None else f", !llvm.loop {self.module.unrolled(turns)}"

    # Expressions.

    def number(self, node: ast.expr) -> Value:
        """The value of an expression."""
        do = getattr(self, f"_{type(node).__name__.lower()}", None)
        if do is None:
            raise CompileError(f"{ast.unparse(node)!r} is no expression of a kernel's text")
        return do(node)

    def several(self, node: ast.expr) -> list[Value]:
        """The values of an expression that may have many."""
        if isinstance(node, ast.Tuple):
            return [self.number(x) for x in node.elts]
        if isinstance(node, ast.Call):
            return self.called(node)
        return [self.number(node)]

    def _constant(self, node: ast.Constant) -> Value:
        assert isinstance(node.value, bool | int | float)
        return literal(node.value)

    def _name(self, node: ast.Name) -> Value:
        place = self.names.get(node.id)
        if place is None or (node.id in self.again and not self._is_home(node.id)):
            raise CompileError(f"{node.id} is read before it is written")
        return self.load(place, node.id in self.naturals)

    def _attribute(self, node: ast.Attribute) -> Value:
        name = dotted(node)
        if name in _NUMBERS:
            return literal(_NUMBERS[name])
        return self.target.places[name](self)

    def _binop(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, self.number(node.left), self.number(node.right))

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        return self.unary(node.op, self.number(node.operand))

    def _compare(self, node: ast.Compare) -> Value:
        (op,), (right,) = node.ops, node.comparators
        return self.compare(op, self.number(node.left), self.number(right))

    def _subscript(self, node: ast.Subscript) -> Value:
        return self.load(self._place(node))

    def _place(self, node: ast.Subscript) -> Pointer:
        return self.element(self.pointer(node.value), self.number(node.slice))

    def pointer(self, node: ast.expr) -> Pointer:
        """The array that a name stands for."""
        assert isinstance(node, ast.Name)
        return self.arrays[node.id]

    def _boolop(self, node: ast.BoolOp) -> Value:
        either = isinstance(node.op, ast.Or)
        found = self.cast(self.number(node.values[0]), BOOL)
        for part in node.values[1:]:
            if _is_quick(part):
                x = self.cast(self.number(part), BOOL)
                found = self.result(BOOL, f"{'or' if either else 'and'} {found.typed}, {x.code}")
                continue
            more, end, first = self.fresh("more"), self.fresh("end"), self.block
            self.fork(found, *((end, more) if either else (more, end)))
            self.start(more)
            x = self.cast(self.number(part), BOOL)
            last = self.block
            self.go(end)
            self.start(end)
            known = "true" if either else "false"
            found = self.result(BOOL, f"phi i1 [ {known}, %{first} ], [ {x.code}, %{last} ]")
        return found

    def _ifexp(self, node: ast.IfExp) -> Value:
        condition = self.cast(self.number(node.test), BOOL)
        if _is_quick(node.body) and _is_quick(node.orelse):
            return self.chosen(condition, self.number(node.body), self.number(node.orelse))
        then, other, end = (self.fresh(stem) for stem in ("then", "else", "end"))
        self.fork(condition, then, other)
        found: list[tuple[Value, str, list[str]]] = []
        kept = self.lines
        for label, part in ((then, node.body), (other, node.orelse)):
            self.lines = []
            self.start(label)
            found.append((self.number(part), self.block, self.lines))
        x, y = found[0][0], found[1][0]
        kind = self.together(x, y) if x.kind != y.kind else x.kind
        ways: list[str] = []
        for value, block, lines in found:
            self.lines = lines
            ways.append(f"[ {self.cast(value, kind).code}, %{block} ]")
            kept += [*self.lines, f"  br label %{end}"]
        self.lines = kept
        self.start(end)
        return self.result(kind, f"phi {kind.llvm} {', '.join(ways)}", x.natural and y.natural)

    # Calls.

    def _call(self, node: ast.Call) -> Value:
        (found,) = self.called(node)
        return found

    def called(self, node: ast.Call) -> list[Value]:
        """What a call gives."""
        name = dotted(node.func)
        given = [self._argument(a) for a in node.args]
        numbers: list[Any] = given
        if name in KINDS or name == "bool":
            # What the user computes with may be any number, even where it began as a place.
            return [self.cast(numbers[0], KINDS.get(name, BOOL))._replace(natural=False)]
        if name in ("min", "max"):
            return [self.extreme(name == "max", *numbers)]
        own = self.target.call(name)
        if own is not None:
            return own(self, given)
        return self._own(name, given)

    def _argument(self, node: ast.expr) -> Argument:
        if isinstance(node, ast.Name) and node.id in self.arrays:
            return self.arrays[node.id]
        return self.number(node)

    def _own(self, name: str, given: list[Argument]) -> list[Value]:
        """A call of another function of the text."""
        symbol, kinds, result = self.module.function(name, given)
        codes = [self.address(x) if isinstance(x, Pointer) else x.typed for x in given]
        args = ", ".join([*codes, *self.target.hidden])
        if not kinds:
            self.put(f"call void @{symbol}({args})")
            return []
        whole = self.made(f"call {result} @{symbol}({args})")
        return self.parts(whole, kinds)

    def parts(self, whole: str, kinds: Sequence[Kind]) -> list[Value]:
        """The numbers of what a call gave."""
        if len(kinds) == 1:
            return [Value(kinds[0], whole)]
        result = f"{{{', '.join(k.llvm for k in kinds)}}}"
        return [
            self.result(kind, f"extractvalue {result} {whole}, {k}") for k, kind in enumerate(kinds)
        ]


def dotted(node: ast.expr) -> str:
    """A name, with what it belongs to."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    assert isinstance(node, ast.Name), ast.unparse(node)
    return node.id


def _meet(what: str, first: Kind, then: Kind) -> None:
    """What was of one type gets a value of another one; places hold all integers but large ones."""
    if first != then and (first != INT64 or not then.is_integer or then == UINT64):
        raise CompileError(f"{what} is {first.name}, then {then.name}")


def _is_quick(node: ast.expr) -> bool:
    """Whether an expression may be computed where it is not asked for."""
    return all(
        not isinstance(x, ast.Subscript)
        and not (isinstance(x, ast.Call) and dotted(x.func) not in _QUICK)
        for x in ast.walk(node)
    )
