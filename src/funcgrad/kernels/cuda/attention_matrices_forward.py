"""The values of attention of 16-bit floats by tensor cores.

In: an attention. Out: the text of its kernel. The one idea: keys and values come in turns: the next
values while scores are made, the next keys while values are added up, each over the tile that
nobody reads any more.
"""

from __future__ import annotations

import math

import numpy as np

from .attention import MASKED
from .attention_matrices import Matrices
from .words import ALL_LANES


class ForwardMatrices(Matrices):
    """Writes the kernel of the values."""

    def whole(self, name: str) -> str:
        """The kernel."""
        a, cut = self.a, self.cut
        self.prepare("row", a.group > 1)
        if a.group == 1:
            self.line("group = 0")
        self.rows_at()
        self.bases(["query", "key", "value"])
        own = cut.high * cut.tile // 2
        self.local("s", own)
        self.local("p", own // 2, "uint32")
        self.local("a", 4 * cut.high, "uint32")
        self.local("b", 4, "uint32")
        self.local("pair", 2, "uint16")
        for n in ("best", "total_of"):
            self.local(n, 2 * cut.high)
        self.local("found", self.sums(a.values))
        self.line(f"for k in range({2 * cut.high}):")
        self.line(f"best[k], total_of[k] = {self.number(-np.inf)}, {self.number(0)}", 2)
        self.zeros("found", self.sums(a.values), 1)
        begin, end = self.range_of("r", cut.rows, cut.tile)
        self.line(f"first, end = {begin}, {end}")
        self.fill("query", "row", 1)
        self.fill("key", "first", 1)
        self.line("while first < end:")
        self.there(2)
        self.fill("value", "first", 2)
        self.pairs("s", "query", "key", 2)
        self.there(2)
        self.line(f"if first + {cut.tile} < end:", 2)
        self.line(f"after = first + {cut.tile}", 3)
        self.fill("key", "after", 3)
        self.scores("r", 2)
        self.beyond("r", -np.inf, 2)
        self._softmax()
        self.pack("s", 2)
        self.weighted("found", "value", 2)
        self.line(f"first += {cut.tile}", 2)
        self._store()
        how = f"a block of {cut.threads} threads has {cut.rows} queries, and goes through the keys"
        params = [*a.given, "out", "top", "total"]
        return self.text(name, params, f"{how} by {cut.tile}, by tensor cores")

    def _softmax(self) -> None:
        """Weights in the place of scores, and what was summed before scaled to the new maximum."""
        most = self.ops.helper("maximum_float32")
        tile, width = self.cut.tile, self.columns(self.a.values)
        self.line(f"for i in range({self.cut.high}):", 2)
        self.line("for half in range(2):", 3)
        self.line("new = best[2 * i + half]", 4)
        self.line(f"for j in range({tile // 4}):", 4)
        place = "4 * (j // 2) + 2 * half + j % 2"
        self.line(f"new = {most}(new, s[{tile // 2} * i + {place}])", 5)
        self.folded("new", most, 4)
        # Scores of -inf alone have no largest one to be compared with.
        times = f" * {self.factor}" if self.late else ""
        self.line(f"known = (new if new > {self.number(-np.inf)} else {self.number(0)}){times}", 4)
        self.line(f"before = {self.weight('best[2 * i + half]', 'known')}", 4)
        self.line("best[2 * i + half] = new", 4)
        self.line("sum = total_of[2 * i + half] * before", 4)
        self.line(f"for j in range({tile // 4}):", 4)
        self.line(f"k = {tile // 2} * i + {place}", 5)
        self.line(f"s[k] = {self.weight('s[k]', 'known')}", 5)
        self.line("sum = sum + s[k]", 5)
        self.line("total_of[2 * i + half] = sum", 4)
        self.line(f"for j in range({width // 4}):", 4)
        self.line(f"k = {width // 2} * i + {place}", 5)
        self.line("found[k] = found[k] * before", 5)

    def _store(self) -> None:
        fold = f"cuda.shfl_xor_sync({ALL_LANES}, "
        self.line(f"for k in range({2 * self.cut.high}):")
        for n in (1, 2):
            self.line(f"total_of[k] = total_of[k] + {fold}total_of[k], {n})", 2)
        self.line("r = row + own_row + 8 * k", 2)
        self.line(f"if turn == 0 and r < {self.a.rows}:", 2)
        best = "best[k]"
        if self.late:
            best = f"best[k] * {self.number(self.a.computation.pattern.scale)}"
        elif not self.natural:
            natural = f"best[k] * {self.number(math.log(2))}"
            masked = self.number(MASKED)
            best = f"{masked} if best[k] == {masked} else {natural}"
        self.line(f"top[rows_at + r] = {best}", 3)
        self.line("total[rows_at + r] = total_of[k]", 3)
        share = f"share = {self.number(1)} / total_of[2 * i + half]"
        self.store("found", "value", "out", "r", [share], " * share")
