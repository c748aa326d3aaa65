"""The gradient of attention of 16-bit floats by tensor cores.

In: an attention, what its forward pass kept, and the cotangent of its result. Out: the text of the
two kernels that `attention_gradient` speaks of. The one idea: who has keys makes the transpose of
the scores, keys · queriesᵀ, so that weights and slopes are the left side of the next product there
too.
"""

from __future__ import annotations

from ...ir.nests import Buffer
from .attention import Attention
from .attention_matrices import Cut, Matrices
from .words import CudaLibrary


class GradientMatrices(Matrices):
    """Writes the kernels for queries, and for keys and values."""

    def __init__(
        self, a: Attention, library: CudaLibrary, cut: Cut, moved: dict[str, Buffer]
    ) -> None:
        super().__init__(a, library, cut)
        self.moved = moved
        self.given = [n for n in a.given if n != "out"]

    def _locals(self, sums: dict[str, int], products: bool) -> None:
        own = self.cut.high * self.cut.tile // 2
        for n in ("s", "d") if products else ("s",):
            self.local(n, own)
        self.local("p", own // 2, "uint32")
        self.local("a", 4 * self.cut.high, "uint32")
        self.local("b", 4, "uint32")
        self.local("pair", 2, "uint16")
        for n, size in sums.items():
            self.local(n, size)
            self.zeros(n, size, 1)

    def _slopes(self, own: str, depth: int) -> None:
        """`s`, the slopes as if all pairs counted, is 0 for those that do not."""
        tests = self._tests()
        if tests and not self.a.is_band:
            inner = self.each(own, "c" if own == "r" else "r", depth)
            self.line(f"if not ({' and '.join(tests)}):", inner)
            self.line(f"s[k] = {self.number(0)}", inner + 1)

    def _slope(self, delta: str) -> str:
        scale = self.number(self.a.computation.pattern.scale)
        return f"s[k] * (d[k] - {delta}) * {scale}"

    def _move(self, others: list[str], first: str, depth: int) -> None:
        """The next tiles come in the place of the last ones, which nobody reads any more."""
        self.line("cuda.syncthreads()", depth)
        for name in others:
            self.fill(name, first, depth)
        self.there(depth)

    def queries(self, name: str) -> str:
        """The cotangent of the queries."""
        a, cut = self.a, self.cut
        self.prepare(["query", "ct"], ["key", "value"], "row", a.group > 1)
        if a.group == 1:
            self.line("group = 0")
        self.rows_at()
        self.bases(["query", "ct", "key", "value"])
        self._locals({"found": self.sums(a.width)}, True)
        known = {"tops": "top", "shares": "total", "deltas": "delta"}
        for n in known:
            self.local(n, 2 * cut.high)
        self.line(f"for k in range({2 * cut.high}):")
        self.line("r = row + own_row + 8 * k", 2)
        self.known({f"{n}[k]": of for n, of in known.items()}, 2)
        self.fill("query", "row", 1)
        self.fill("ct", "row", 1)
        self.line("wait_copies()")
        begin, end = self.range_of("r", cut.rows, cut.tile)
        self.line(f"first, end = {begin}, {end}")
        self.line("while first < end:")
        self._move(["key", "value"], "first", 2)
        self.pairs("s", "query", "key", 2)
        self.pairs("d", "ct", "value", 2)
        self.scores("r", 2)
        inner = self.each("r", "c", 2)
        place = "2 * i + half"
        weight = self.weight("s[k]", f"tops[{place}]")
        self.line(f"s[k] = {weight} * shares[{place}]", inner)
        self.line(f"s[k] = {self._slope(f'deltas[{place}]')}", inner)
        self._slopes("r", 2)
        self.beyond("r", 0, 2)
        self.pack("s", 2)
        self.weighted("found", "key", 2)
        self.line(f"first += {cut.tile}", 2)
        self.store("found", "query", "d_query", "r", [])
        how = f"a block of {cut.threads} threads has {cut.rows} queries, and goes through the keys"
        params = [*self.given, "delta", "d_query"]
        return self.text(name, params, f"{how} by {cut.tile}, by tensor cores")

    def keys(self, name: str) -> str:
        """The cotangents of the keys and of the values."""
        a, cut = self.a, self.cut
        outs = [n for n in ("key", "value") if n in self.moved]
        of_key = "key" in outs
        self.prepare(["key", "value"], ["query", "ct"], "first", False)
        self.bases(["key", "value"])
        self._locals({f"of_{n}": self.sums(self.width(n)) for n in outs}, of_key)
        self.fill("key", "first", 1)
        self.fill("value", "first", 1)
        self.line("wait_copies()")
        self.line(f"for group in range({a.group}):")
        self.rows_at(2)
        self.bases(["query", "ct"], 2)
        begin, end = self.range_of("c", cut.rows, cut.tile)
        self.line(f"row, end = {begin}, {end}", 2)
        self.line("while row < end:", 2)
        self._move(["query", "ct"], "row", 3)
        self.pairs("s", "key", "query", 3)
        self.scores("c", 3)
        inner = self.each("c", "r", 3, of_row={"largest_one": "top", "share": "total"})
        self.line(f"s[k] = {self.weight('s[k]', 'largest_one')} * share", inner)
        self.beyond("c", 0, 3)
        if "value" in outs:
            self.pack("s", 3)
            self.weighted("of_value", "ct", 3)
        if of_key:
            self.pairs("d", "value", "ct", 3)
            inner = self.each("c", "r", 3, of_row={"less": "delta"})
            self.line(f"s[k] = {self._slope('less')}", inner)
            self._slopes("c", 3)
            self.pack("s", 3)
            self.weighted("of_key", "query", 3)
        self.line(f"row += {cut.tile}", 3)
        for n in outs:
            self.store(f"of_{n}", n, f"d_{n}", "c", [])
        params = [*self.given, *(["delta"] if of_key else []), *(f"d_{n}" for n in outs)]
        how = f"a block of {cut.threads} threads has {cut.rows} keys, and goes through the queries"
        return self.text(name, params, f"{how} by {cut.tile}, by tensor cores")
