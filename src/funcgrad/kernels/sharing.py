"""Equal expressions of a kernel made one.

In: the statements of a kernel. Out: the same ones, in which expressions of one form are one object.
The one idea: an emitter writes an object once for all its uses; definitions that several readers
inline make equal objects, of which only the first remains. What reads memory that the kernel
writes stays apart, for it may be read before and after.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..ir.loops import Affine, Apply, Const, Expr, Index, IndexTuple, Load
from ..ir.nests import Acc, Accumulate, Advance, Buffer, For, Leave, Node, Store
from .rules import index_key


class Shared:
    """The expressions of one kernel.

    Args:
        written: the memory that the kernel writes.
    """

    def __init__(self, written: Collection[Buffer]) -> None:
        self.written = written
        self.made: dict[Any, Expr] = {}
        self.memo: dict[int, tuple[Expr, Expr]] = {}

    def run(self, body: Sequence[Node]) -> None:
        """Replace the expressions of statements."""
        for node in body:
            if isinstance(node, For):
                for acc in node.accs:
                    acc.initial = None if acc.initial is None else self(acc.initial)
                self.run(node.body)
            elif isinstance(node, Advance):
                node.pairs[:] = [(acc, self(x)) for acc, x in node.pairs]
            elif isinstance(node, Leave):
                node.unless = self(node.unless)
            elif isinstance(node, Accumulate):
                node.value = self(node.value)
                node.position = None if node.position is None else self.index(node.position)
            else:
                self._store(node)

    def _store(self, node: Store) -> None:
        node.value, node.index = self(node.value), self.place(node.index)
        node.guard = None if node.guard is None else self(node.guard)

    def __call__(self, x: Expr) -> Expr:
        """The expression that stands for all equal ones."""
        found = self.memo.get(id(x))
        if found is None:
            # The expression must outlive its entry, for ids are reused.
            found = self.memo[id(x)] = self._one(x), x
        return found[0]

    def _one(self, x: Expr) -> Expr:
        if isinstance(x, Apply):
            args = tuple(map(self, x.args))
            same = all(a is b for a, b in zip(args, x.args, strict=True))
            new = x if same else Apply(x.op, args, x.dtype, x.name)
            return self.made.setdefault((x.op, tuple(map(id, args)), x.dtype, x.name), new)
        if isinstance(x, Load):
            guard = None if x.guard is None else self(x.guard)
            new = Load(x.source, self.place(x.index), x.dtype, guard)
            if x.source in self.written:
                return new
            key = x.source, tuple(map(index_key, new.index)), x.dtype, id(guard)
            return self.made.setdefault(key, new)
        if isinstance(x, Index):
            new = Index(self.index(x.affine))
            return self.made.setdefault(("index", index_key(new.affine)), new)
        if isinstance(x, Const):
            bits = np.asarray(x.value).astype(x.dtype).tobytes()
            return self.made.setdefault((bits, x.dtype), x)
        assert isinstance(x, Acc)
        return x

    def place(self, index: IndexTuple) -> IndexTuple:
        """An index of several axes."""
        return tuple(map(self.index, index))

    def index(self, index: Affine) -> Affine:
        """An index."""
        if not index.dynamic:
            return index
        return Affine(index.const, index.axes, tuple((self(e), c) for e, c in index.dynamic))
