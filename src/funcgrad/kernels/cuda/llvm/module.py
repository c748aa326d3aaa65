"""A kernel's text as a module of LLVM's language.

In: the text of a kernel and of the functions it may call, and the types of its pointers. Out: a
module for a target. What is called is written once for each list of types that it is called with,
and what is not called is not even parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from ....errors import CompileError
from .functions import Argument, Function
from .values import KINDS, Kind, Pointer, Value

_OWN_MARKS = 10
_BEGIN = re.compile(r"^@(?:device|kernel)\ndef (\w+)\(", re.MULTILINE)


class Call(Protocol):
    """What writes a call that no text defines."""

    def __call__(self, body: Function, given: list[Argument], /) -> list[Value]: ...


class Place(Protocol):
    """What writes a number that each thread has of its own."""

    def __call__(self, body: Function, /) -> Value: ...


class Target(Protocol):
    """What kernels are compiled for; `hidden` is what functions hand on to those they call."""

    @property
    def hidden(self) -> tuple[str, ...]: ...

    @property
    def places(self) -> dict[str, Place]:
        """By name: where a thread is."""
        ...

    def call(self, name: str) -> Call | None:
        """What writes a call; None if a text defines it."""
        ...

    def pointer(self, kind: str, space: str) -> str:
        """The type of a pointer."""
        ...

    def seen_as(self, body: Function, p: Pointer, kind: str) -> str:
        """A pointer to what lies there as another type."""
        ...

    def first(self, name: str, kinds: str, space: str) -> str:
        """A pointer to the first element of an array of the module's."""
        ...

    def heading(self, symbol: str, result: str, params: list[str]) -> str:
        """The line that begins a function that others call."""
        ...

    def kernel(self, symbol: str, params: list[str]) -> str:
        """The line that begins a kernel."""
        ...

    def shared(self, name: str, kinds: str) -> str:
        """The line of an array that the threads of a block share."""
        ...

    def asked_for(self, name: str, kind: Kind) -> str:
        """The line of what a launch asks for of the memory that the threads of a block share."""
        ...

    def module(self, parts: Sequence[str], kernel: str, params: Sequence[str]) -> str:
        """All of it."""
        ...


class Module:
    """What is compiled for one kernel."""

    def __init__(self, text: str, target: Target) -> None:
        self.target = target
        self.texts = _definitions(text)
        self.written: dict[object, tuple[str, list[Kind], str]] = {}
        self.parts: list[str] = []
        self.declared: dict[str, str] = {}
        self.arrays: list[str] = []
        self.marks: list[str] = []
        self._ranges: dict[int, str] = {}

    def kernel(self, name: str, kinds: Sequence[str], symbol: str) -> str:
        """The module of a kernel.

        Args:
            kinds: types that its pointers point to.
            symbol: what it is called there.
        Raises:
            CompileError: the text has what this compiler does not know.
        """
        given = [Pointer(KINDS[kind], "", "global") for kind in kinds]
        body = _Kernel(self, _parsed(self.texts[name]), symbol)
        self.parts.append(body.write(given))
        types = [self.target.pointer(p.kind.llvm, p.space) for p in given]
        declared = [f"declare {line}\n" for line in self.declared.values()]
        parts = [*self.arrays, *self.parts, *declared, *self.marks]
        return self.target.module(parts, symbol, types)

    def function(self, name: str, given: Sequence[Argument]) -> tuple[str, list[Kind], str]:
        """The symbol of a function for arguments of some types, and what it gives."""
        types = tuple((x.kind, x.space if isinstance(x, Pointer) else "") for x in given)
        found = self.written.get((name, types))
        if found is None:
            if name not in self.texts:
                raise CompileError(f"no text defines {name}")
            body = Function(self, _parsed(self.texts[name]), f"{name}.{len(self.written)}")
            self.parts.append(body.write(given))
            found = body.symbol, body.kinds or [], body.result_type
            self.written[name, types] = found
        return found

    def declare(self, name: str, line: str) -> None:
        """A function that is LLVM's or a library's."""
        self.declared[name] = line

    def shared(self, kinds: str) -> str:
        """An array that the threads of a block share."""
        name = f"shared{len(self.arrays)}"
        self.arrays.append(self.target.shared(name, kinds))
        return f"@{name}"

    def asked_for(self, kind: Kind) -> str:
        """What a launch asks for of the memory that the threads of a block share."""
        name = f"asked_for_{kind.name}"
        line = self.target.asked_for(name, kind)
        if line not in self.arrays:
            self.arrays.append(line)
        return f"@{name}"

    def unrolled(self, turns: int = 0) -> str:
        """What marks a loop that is to be written out, or of which some turns are."""
        at = self._marks()
        how = f'!"llvm.loop.unroll.count", i32 {turns}' if turns else '!"llvm.loop.unroll.full"'
        hint = f"!{at + 1} = !{{{how}}}"
        self.marks += [f"!{at} = distinct !{{!{at}, !{at + 1}}}", hint]
        return f"!{at}"

    def range_of(self, end: int) -> str:
        """What says that a number is from 0 up to before an end."""
        found = self._ranges.get(end)
        if found is None:
            found = self._ranges[end] = f"!{self._marks()}"
            self.marks.append(f"{found} = !{{i32 0, i32 {end}}}")
        return found

    def _marks(self) -> int:
        # The first few are the target's.
        return _OWN_MARKS + len(self.marks)


class _Kernel(Function):
    def heading(self, params: list[str]) -> str:
        return self.target.kernel(self.symbol, params)


def _definitions(text: str) -> dict[str, str]:
    """The text of each function, by name."""
    found = list(_BEGIN.finditer(text))
    ends = [m.start() for m in found[1:]] + [len(text)]
    return {m[1]: text[m.start() : end] for m, end in zip(found, ends, strict=True)}


@lru_cache(256)
def _parsed(text: str) -> ast.FunctionDef:
    """A function as a tree; those that kernels share are parsed once."""
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    return node
