"""Kernels of one form, which share a function.

In: the kernels of a program. Out: of each that has others like it, its form and the numbers that
it is called with. The one idea: two kernels have one form if their statements are the same with
buffers, axes and expressions numbered in order, whatever their floats are; those that differ come
from memory. So what an unrolled network repeats is compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...ir.loops import COMPARISONS, Affine, Apply, Const, DType, Expr, Index, Load
from ...ir.nests import (
    Acc,
    Accumulate,
    Advance,
    For,
    Kernel,
    Node,
    Store,
    children,
    expressions,
    offset_of,
    statements,
)

# What is repeated so often, and takes so long a call, is worth a function of its own.
TIMES, NANOSECONDS = 4, 40.0
# Operations that are written alike whatever number an operand is.
_OPEN = frozenset("add sub mul div max min".split()) | COMPARISONS


class Alike(NamedTuple):
    """What a kernel shares.

    Attributes:
        form: equal for those that share a function.
        numbers: the constants in which they differ, in order.
    """

    form: object
    numbers: tuple[Const, ...]


class Form:
    """Writes the form of a kernel down.

    Attributes:
        words: the form, hashable.
        floats: the constants that are not a part of it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.numbered: dict[Any, int] = {}
        self.known: dict[int, tuple[int, Expr]] = {}
        self.floats: list[Const] = []
        self.closed: set[int] = set()
        self._close(kernel.body)
        words: list[Any] = [kernel.extent, kernel.grain, kernel.chunk and self.number(kernel.chunk)]
        for b in (*kernel.params, *kernel.scratch):
            words.append(
                (self.number(b), b.size, b.dtype, b in kernel.written, b in kernel.scratch)
            )
        self.list: list[Any] = words
        self.body(kernel.body)
        self.words = tuple(words)

    def number(self, x: object) -> int:
        """The number of a buffer, an axis or a fold, in order of first use."""
        return self.numbered.setdefault(x, len(self.numbered))

    def _close(self, body: Sequence[Node]) -> None:
        """Find the constants that an operation may treat by their value."""
        stack = [x for node in statements(body) for x in expressions(node)]
        seen: set[int] = set()
        while stack:
            x = stack.pop()
            if id(x) not in seen:
                seen.add(id(x))
                inner = children(x)
                stack += inner
                if not (isinstance(x, Apply) and x.op in _OPEN):
                    self.closed.update(id(y) for y in inner if isinstance(y, Const))

    def body(self, body: Sequence[Node]) -> None:
        """Statements."""
        add = self.list.append
        for node in body:
            if isinstance(node, For):
                axis = node.axis
                add(("for", self.number(axis), axis.extent, node.vector, node.chunked, node.times))
                for acc in node.accs:
                    first = None if acc.initial is None else self.expr(acc.initial)
                    add((self.number(acc), acc.op, acc.value_dtype, acc.dtype, first))
                self.body(node.body)
                add("end")
            elif isinstance(node, Store):
                guard = None if node.guard is None else self.expr(node.guard)
                place = self.affine(offset_of(node.target, node.index))
                value = self.expr(node.value)
                add(("store", self.number(node.target), place, value, node.combine, guard))
            elif isinstance(node, Accumulate):
                place = None if node.position is None else self.affine(node.position)
                add(("fold", self.number(node.acc), self.expr(node.value), place))
            elif isinstance(node, Advance):
                add(tuple((self.number(acc), self.expr(x)) for acc, x in node.pairs))
            else:
                add(("leave", self.expr(node.unless)))

    def affine(self, index: Affine) -> Any:
        """An index."""
        axes = tuple((self.number(a), c) for a, c in index.axes.items())
        return index.const, axes, tuple((self.expr(e), c) for e, c in index.dynamic)

    def expr(self, x: Expr) -> int:
        """The number of an expression, which is written down where it is met first."""
        found = self.known.get(id(x))
        if found is None:
            word = self._word(x)
            found = self.known[id(x)] = len(self.known), x
            self.list.append(word)
        return found[0]

    def _word(self, x: Expr) -> Any:
        if isinstance(x, Apply):
            return x.op, x.name, x.dtype, tuple(map(self.expr, x.args))
        if isinstance(x, Load):
            guard = None if x.guard is None else self.expr(x.guard)
            place = self.affine(offset_of(x.source, x.index))
            return "load", self.number(x.source), place, x.dtype, guard
        if isinstance(x, Index):
            return "index", self.affine(x.affine)
        if isinstance(x, Const):
            if id(x) not in self.closed and _is_open(x.dtype):
                self.floats.append(x)
                return "float", x.dtype
            return "const", _bits(x), x.dtype
        assert isinstance(x, Acc)
        return "acc", self.number(x)


def alike(kernels: Sequence[Kernel]) -> dict[Kernel, Alike]:
    """The kernels that share functions."""
    groups: dict[Any, list[tuple[Kernel, list[Const]]]] = {}
    if len(kernels) < TIMES:
        return {}
    for kernel in kernels:
        if kernel.cost >= NANOSECONDS:
            form = Form(kernel)
            groups.setdefault(form.words, []).append((kernel, form.floats))
    found: dict[Kernel, Alike] = {}
    for number, members in enumerate(g for g in groups.values() if len(g) >= TIMES):
        columns = zip(*(floats for _, floats in members), strict=True)
        differ = [len(set(map(_bits, column))) > 1 for column in columns]
        for kernel, floats in members:
            numbers = tuple(x for x, own in zip(floats, differ, strict=True) if own)
            found[kernel] = Alike(number, numbers)
    return found


def numbers_text(name: str, numbers: Sequence[Const]) -> str:
    """The memory of numbers, eight bytes for each."""
    words = [int.from_bytes(_bits(x), "little") for x in numbers]
    values = ", ".join(f"i64 {w}" for w in words)
    return f"@{name} = private constant [{len(words)} x i64] [{values}]"


def _is_open(dtype: DType) -> bool:
    return dtype.name in ("float32", "float64")


def _bits(x: Const) -> bytes:
    return np.asarray(x.value).astype(x.dtype).tobytes()
