"""Code that runs only where it is asked for, in the LLVM emitter.

In: selects named "rare" and "branch". Out: values. The one idea: an arm is a detour, within which
stands what nobody else needs; what others need too is computed in front of it, once.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from ...ir.loops import Apply, Const, Expr
from ...ir.nests import children
from .llvm_memory import Memory
from .llvm_ops import register_type, typed
from .llvm_values import Value
from .writer import Loop, Writer


class Arms(Memory):
    """What the emitter of a kernel does with choices.

    Attributes:
        functions: what is needed rarely, by name.
        uses: how many expressions need one, counted when the first branch asks for it.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self.functions: dict[str, str] = {}
        self.uses: dict[int, int] = {}

    @abstractmethod
    def apart(self) -> Arms:
        """An emitter of the same kernel with a function of its own."""
        ...

    @contextmanager
    def detour(self, condition: str, kind: str, usual: str) -> Generator[Loop]:
        """A detour with one result, in which nothing is kept for what comes behind it."""
        with self.w.detour(condition, [(kind, usual)]) as way:
            previous = self.arm
            self.arm = len(self.w.open) - 1 if previous is None else previous
            self.push()
            yield way
            self.pop()
            self.arm = previous

    def rarely(self, x: Apply) -> Value:
        """A select whose first arm is computed only where some lane asks for it."""
        condition, moderate = self.value(x.args[0]), self.value(x.args[2])
        lanes = max(condition.lanes, moderate.lanes)
        name = self.widen_kind(condition, "i1") if lanes > 1 else condition.name
        asked = name
        if lanes > 1:
            at = self.w.declare(f"llvm.vector.reduce.or.v{lanes}i1", f"i1 (<{lanes} x i1>)")
            asked = self.w.value(f"call i1 {at}(<{lanes} x i1> {asked})")
        kind = typed(register_type(x.dtype), lanes)
        usual = self.widen(moderate, x.dtype, lanes)
        with self.detour(asked, kind, usual) as way:
            great = self.outlined(x.args[1], lanes)
            if great is None:
                great = self.widen(self.value(x.args[1]), x.dtype, lanes)
            level = len(self.w.open)
            way.next.append(self.ops.select(name, great, usual, x.dtype, lanes, level, lanes == 1))
        return Value(way.results[0], lanes, len(self.w.open))

    def either(self, x: Apply) -> Value | None:
        """A choice that is the same on all lanes, by a branch; None where lanes differ."""
        condition, lanes = self.value(x.args[0]), self.lanes
        if condition.lanes > 1:
            return None
        for y in self.wanted_elsewhere(x.args[1:]):
            self.value(y)
        result, asked = "poison", condition.name
        kind = typed(register_type(x.dtype), lanes)
        for arm in x.args[1:]:
            with self.detour(asked, kind, result) as way:
                way.next.append(self.widen(self.value(arm), x.dtype, lanes))
            (result,), asked = way.results, self.w.value(f"xor i1 {condition.name}, true")
        return Value(result, lanes, len(self.w.open))

    def wanted_elsewhere(self, arms: Sequence[Expr]) -> list[Expr]:
        """What an arm needs and something outside of it as well."""
        found: dict[int, Expr] = {}
        for arm in arms:
            met: dict[int, int] = {id(arm): 1}
            outside: dict[int, Expr] = {id(arm): arm}
            stack = [arm]
            while stack:
                x = stack.pop()
                known = id(x) not in outside or self.find(id(x)) is not None
                if known or met[id(x)] < self.uses.get(id(x), 1):
                    continue
                # All that need it are within the arm.
                del outside[id(x)]
                for y in children(x):
                    met[id(y)] = met.get(id(y), 0) + 1
                    outside[id(y)] = y
                    stack.append(y)
            found.update(outside)
        return [x for x in found.values() if not isinstance(x, Const)]

    def outlined(self, x: Expr, lanes: int) -> str | None:
        """A call of a function of its own for an expression of values that are there already.

        What is needed rarely stands once in a program, however often the sine does.
        """
        given: list[tuple[Expr, Value]] = []
        seen: set[int] = set()
        stack = [x]
        while stack:
            y = stack.pop()
            if id(y) in seen or isinstance(y, Const):
                continue
            seen.add(id(y))
            known = self.find(id(y))
            if known is not None:
                given.append((y, known))
            elif isinstance(y, Apply):
                stack += y.args
            else:
                return None
        body = self.apart()
        body.lanes = lanes
        kinds = [typed(register_type(y.dtype), lanes) for y, _ in given]
        for k, (y, _) in enumerate(given):
            body.keep(id(y), Value(f"%p{k}", lanes, 0), y, 0)
        result = typed(register_type(x.dtype), lanes)
        body.w.line(f"ret {result} {body.widen(body.value(x), x.dtype, lanes)}")
        params = ", ".join(f"{kind} %p{k}" for k, kind in enumerate(kinds))
        text = body.w.function("RARE", params, result, "#0")
        name = f"rare_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self.functions.update(body.functions)
        self.functions[name] = text.replace("@RARE(", f"@{name}(", 1)
        self.w.declared.update(body.w.declared)
        values = [self.widen(v, y.dtype, lanes) for y, v in given]
        args = ", ".join(f"{kind} {v}" for kind, v in zip(kinds, values, strict=True))
        return self.w.value(f"call {result} @{name}({args})")
