"""Values that would wait as more bytes than they are.

In: the values that are to be inlined, and who reads what. Out: those of them that have memory after
all. The one idea: a value that is also read behind later products, as a residual is, would be
computed there once more, from arrays that have to be kept until then. Where what waits for its sake
alone is twice its size, two arrays or one of floats for a mask, it is computed where they are and
they die: less is kept, and no more is written and read.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import TYPE_CHECKING

from ..ir.jaxpr import Var
from ..ir.loops import Fold, Map, Running, Scatter, View

if TYPE_CHECKING:
    from .inlining import Readers
    from .lowering import Definitions

# Smaller arrays may wait.
_ELEMENTS = 1 << 12
_FUSED = (Map, Fold, Running, Scatter, View)


class Waiting:
    """The arrays that wait in one jaxpr.

    Attributes:
        users: who reads a value; itself, if it is a result.
        stage: of each value, how many products and the like come one behind the other before it,
            its own included. What is of one stage may be one kernel.
        arrays: what has memory among what a value is made of, as far as it is computed with it.
    """

    def __init__(self, values: Definitions, inlined: Collection[Var], readers: Readers) -> None:
        self.values, self.inlined = values, set(inlined)
        self.users = {v: [out for out, _, _ in found] for v, found in readers.items()}
        made_of: dict[Var, list[Var]] = {}
        for var, users in self.users.items():
            for user in users:
                made_of.setdefault(user, []).append(var)
        self.stage: dict[Var, int] = {}
        self.arrays: dict[Var, frozenset[Var]] = {}
        for var, rule in values.rules.items():
            sources = made_of.get(var, [])
            before = max((self.stage.get(v, 0) for v in sources), default=0)
            self.stage[var] = before + (not isinstance(rule, _FUSED))
            parts = (self.arrays.get(v, frozenset((v,))) for v in sources)
            self.arrays[var] = (
                frozenset[Var]().union(*parts) if self.passes(var) else frozenset((var,))
            )

    def passes(self, var: Var) -> bool:
        """Whether who reads a value reads what it is made of."""
        return var in self.inlined or isinstance(self.values.rules.get(var), View)

    def early(self) -> set[Var]:
        """The values to be computed early; the last one takes in what it is made of."""
        found: set[Var] = set()
        last: dict[Var, float] = {}
        for var in reversed(self.stage):
            users = self.users.get(var, [])
            last[var] = max((self.read_at(u, var, last) for u in users), default=0)
            if var in self.inlined and last[var] > self.stage[var] and self.pays(var):
                found.add(var)
                self.inlined.discard(var)
        return found

    def read_at(self, user: Var, var: Var, known: dict[Var, float]) -> float:
        """The stage at which a user of a value, or who reads that in its place, reads it."""
        if user is var:
            return inf
        return known[user] if self.passes(user) else self.stage[user]

    def pays(self, var: Var) -> bool:
        """Whether arrays of twice a value's size die if it is computed where they are."""
        if var.aval.size < _ELEMENTS:
            return False
        size = _bytes(var)
        large = [a for a in self.arrays[var] if _bytes(a) >= size and a in self.stage]
        if sum(map(_bytes, large)) < 2 * size:
            return False
        return sum(_bytes(a) for a in large if self.dies(a, var)) >= 2 * size

    def dies(self, array: Var, var: Var) -> bool:
        """Whether nobody reads an array at a later stage than a value's, but for its sake."""
        stack, seen = [array], {var}
        while stack:
            read = stack.pop()
            for user in self.users.get(read, []):
                if user is read:
                    return False
                if user in seen:
                    continue
                seen.add(user)
                if self.passes(user):
                    stack.append(user)
                elif self.stage[user] > self.stage[var]:
                    return False
        return True


def _bytes(var: Var) -> int:
    return var.aval.size * var.aval.dtype.itemsize
