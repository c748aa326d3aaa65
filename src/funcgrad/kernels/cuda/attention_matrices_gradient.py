"""The gradient of attention of 16-bit floats by tensor cores.

    known      of each query, by a warp: the logarithm of what its weights are divided by, and
               Σ cotangent · out
    queries    as `attention_gradient` has it
    keys       likewise, with keys · queriesᵀ, so that weights and slopes are the left side of the
               next product there too

In: an attention, what its forward pass kept, and the cotangent of its result. Out: the text of the
kernels. The one idea: the next tiles come while these are multiplied, and with them what is known
of their queries. Where warps share rows, each makes a part of the weights and leaves it for others.
"""

from __future__ import annotations

import math

from ...ir.nests import Buffer
from .attention import FLOAT32, MASKED, Attention, Tiles
from .attention_cuts import KNOWN, Cut, cut_of, padded, plus
from .attention_matrices import LOG2_E, Matrices
from .plan import WARP
from .products import ProductLaunch
from .words import CudaLibrary

THREADS = 256


def known_of(a: Attention, moved: dict[str, Buffer]) -> tuple[str, ...]:
    """What is known of each query, in the order in which it lies.

    Where a query sees no key at all, its weights are no function of one number: a score that does
    not count is so large that the logarithm of a sum would be lost beside it.
    """
    scale = a.computation.pattern.scale
    level = ("level",) if a.is_band and scale > 0 else ("top", "share")
    return (*level, *(("delta",) if {"query", "key"} & set(moved) else ()))


def matrix_launches(
    a: Attention, name: str, moved: dict[str, Buffer], library: CudaLibrary, target: str
) -> tuple[list[ProductLaunch], list[Buffer]]:
    """The launches of the gradient, and the memory they need between.

    Args:
        moved: where the cotangents go, by the name of the operand.
    """
    stats = known_of(a, moved)
    heads = a.batch * a.heads
    rows = heads * a.group * padded(a.rows, KNOWN)
    known = Buffer((rows * len(stats),), FLOAT32, "known")
    given = [b for n, b in a.given.items() if n not in ("out", "top", "total")]
    found: list[ProductLaunch] = []

    def add(step: str, params: list[Buffer], times: int, extent: int) -> None:
        """A launch whose blocks share the positions of so many heads."""
        own, each = f"{name}_{step}", len(stats) if step == "keys" else 0
        cut = cut_of(a, step, target, each)
        written = GradientMatrices(a, library, cut, moved, step)
        blocks = times * -(-extent // cut.rows)
        launch = ProductLaunch(own, "attention", blocks, cut.threads, params, "")
        launch.text, launch.shared = getattr(written, step)(own), written.room.asked_for
        found.append(launch)

    first = KnownText(a, library, stats)
    params = [a.given[n] for n in first.operands] + [known]
    blocks, text = -(-rows // (THREADS // WARP)), first.whole(f"{name}_known", rows)
    found.append(ProductLaunch(f"{name}_known", "attention", blocks, THREADS, params, text))
    if "query" in moved:
        add("queries", [*given, known, moved["query"]], heads * a.group, a.rows)
    outs = [moved[n] for n in ("key", "value") if n in moved]
    if outs:
        add("keys", [*given, known, *outs], heads, a.columns)
    return found, [known]


class KnownText(Tiles):
    """Writes the kernel of what is known of each query; those beyond the last one see no key."""

    def __init__(self, a: Attention, library: CudaLibrary, stats: tuple[str, ...]) -> None:
        super().__init__(a, library)
        self.stats = stats
        self.sum = library.folded("add", FLOAT32, False)
        sums = ["out", "ct"] if "delta" in stats else []
        self.operands = [*sums, "top", "total"]

    def whole(self, name: str, count: int) -> str:
        """The kernel, of so many queries with those beyond."""
        a, each = self.a, THREADS // WARP
        extent = padded(a.rows, KNOWN)
        self.line(f"warp, lane = cuda.threadIdx.x // {WARP}, cuda.threadIdx.x % {WARP}")
        self.line(f"row = cuda.blockIdx.x * {each} + warp")
        self.line(f"if row < {count}:")
        self.line(f"r, head = row % {extent}, row // {extent}", 2)
        self.line(f"known_at = {len(self.stats) * extent} * head + r", 2)
        self.line(f"rows_at = {a.rows} * head", 2)
        for n in self.stats:
            self.line(f"own_{n} = {self.number(math.inf if n == 'level' else 0)}", 2)
        self.line(f"if r < {a.rows}:", 2)
        if "delta" in self.stats:
            self.line(f"group, at = head % {a.group}, head // {a.group}", 3)
            self.line(f"head, batch = at % {a.heads}, at // {a.heads}", 3)
            self.delta_of("own_delta", self.sum, 3)
        self.line("largest, sum = top[rows_at + r], total[rows_at + r]", 3)
        score = f"largest * {self.number(LOG2_E)}"
        if "level" in self.stats:
            self.line(f"own_level = {score} + log2_quick(sum)", 3)
        else:
            masked = f"largest == {self.number(MASKED)}"
            score = "largest" if "bias" in a.given else f"largest if {masked} else {score}"
            self.line(f"own_top = {score}", 3)
            self.line(f"own_share = {self.number(1)} / sum", 3)
        self.line("if lane == 0:", 2)
        for k, n in enumerate(self.stats):
            self.line(f"known[known_at + {k * extent}] = own_{n}", 3)
        return self.text(name, [*self.operands, "known"], "a warp has a query")


class GradientMatrices(Matrices):
    """Writes the kernels for queries, and for keys and values."""

    def __init__(
        self, a: Attention, library: CudaLibrary, cut: Cut, moved: dict[str, Buffer], step: str
    ) -> None:
        self.stats = known_of(a, moved)
        super().__init__(a, library, cut, step, len(self.stats) if step == "keys" else 0)
        self.late = "level" in self.stats
        self.moved = moved
        self.given = [n for n in a.given if n not in ("out", "top", "total")]

    def _locals(self, sums: dict[str, int], products: bool) -> None:
        own = self.cut.high * self.cut.part // 2
        for n in ("s", "d") if products else ("s",):
            self.local(n, own)
        self.local("p", own // 2, "uint32")
        self.local("a", 4 * self.cut.high, "uint32")
        self.local("b", 4, "uint32")
        self.local("pair", 2, "uint16")
        for n, size in sums.items():
            self.local(n, size)
            self.zeros(n, size, 1)

    def _known_at(self, depth: int) -> None:
        """Where what is known of the queries of a head begins."""
        a = self.a
        head = f"((batch * {a.heads} + head) * {a.group} + group)"
        self.line(f"known_at = {head} * {len(self.stats) * padded(a.rows, KNOWN)}", depth)

    def _known(self, n: str) -> int:
        """From which number on one of the numbers of queries lies."""
        return self.stats.index(n) * padded(self.a.rows, KNOWN)

    def _weights(self, top: str, share: str, depth: int) -> None:
        """`s[k]`, a score, becomes a weight."""
        scaled = "" if self.late else f" * {share}"
        self.line(f"s[k] = {self.weight('s[k]', top)}{scaled}", depth)

    def _slopes(self, own: str, depth: int) -> None:
        """`s`, the slopes as if all pairs counted, is 0 for those that do not."""
        tests = self._tests()
        if tests and not self.a.is_band:
            inner = self.each(own, "c" if own == "r" else "r", depth)
            self.line(f"if not ({' and '.join(tests)}):", inner)
            self.line(f"s[k] = {self.number(0)}", inner + 1)

    @property
    def _scale(self) -> str:
        """What is done at last to sums of slopes, which are those of the scores as they are."""
        return f" * {self.number(self.a.computation.pattern.scale)}"

    # What goes by.

    def _begin(self, others: list[str], at: str, depth: int) -> None:
        """The first tiles come, if there are any."""
        if self.cut.twice:
            self.line(f"if {at} < end:", depth)
            self._bring(others, at, "now", depth + 1)

    def _bring(self, others: list[str], at: str, into: str, depth: int) -> None:
        """Tiles begin to come, and what is known of their queries."""
        for name in others:
            self.fill(name, at, depth, into)
        if self.step == "keys":
            self.line(f"if lane < {self.cut.tile}:", depth)
            for n in self.stats:
                self.line(
                    f"tiles[{self._stat(n, into)} + lane] = {self._of_query(n, at)}", depth + 1
                )

    def _stat(self, n: str, into: str) -> str:
        """Where one of the numbers of the queries of a tile lies."""
        return plus(into, str(self.room.stats + self.stats.index(n) * self.cut.tile))

    def _of_query(self, n: str, at: str) -> str:
        return f"as_uint32(known[{plus(f'known_at + {at} + lane', str(self._known(n)))}])"

    def _move(self, others: list[str], at: str, depth: int) -> None:
        """The tiles are there; the next ones come meanwhile, or they came after the last ones."""
        cut = self.cut
        self.again(depth)
        if not cut.twice:
            self.line("cuda.syncthreads()", depth)
            self._bring(others, at, "0", depth)
            self.there(depth)
            return
        self.there(depth)
        self.line(f"if {at} + {cut.tile} < end:", depth)
        self.line(f"after = {at} + {cut.tile}", depth + 1)
        self.line(f"into = {self.room.span} - now", depth + 1)
        self._bring(others, "after", "into", depth + 1)

    def _next(self, at: str, depth: int) -> None:
        self.line(f"{at} += {self.cut.tile}", depth)
        if self.cut.twice:
            self.line(f"now = {self.room.span} - now", depth)

    # Kernels.

    def queries(self, name: str) -> str:
        """The cotangent of the queries."""
        a, cut = self.a, self.cut
        self.prepare("row", a.group > 1)
        if a.group == 1:
            self.line("group = 0")
        self._known_at(1)
        self.bases(["query", "ct", "key", "value"])
        self._locals({"found": self.sums(a.width)}, True)
        for n in self.stats:
            self.local(f"{n}s", 2 * cut.high)
        self.fill("query", "row", 1)
        self.fill("ct", "row", 1)
        begin, end = self.range_of("r", cut.rows, cut.tile)
        self.line(f"first, end = {begin}, {end}")
        self._begin(["key", "value"], "first", 1)
        self.line(f"for k in range({2 * cut.high}):")
        self.line(f"own = known_at + min(row + own_row + 8 * k, {a.rows - 1})", 2)
        for n in self.stats:
            self.line(f"{n}s[k] = known[{plus('own', str(self._known(n)))}]", 2)
        self.line("while first < end:")
        self._move(["key", "value"], "first", 2)
        self.pairs("s", "query", "key", 2)
        self.pairs("d", "ct", "value", 2)
        self.scores("r", 2)
        inner = self.each("r", "c", 2)
        place = "2 * i + half"
        self._weights(f"{self.stats[0]}s[{place}]", f"shares[{place}]", inner)
        self.line(f"s[k] = s[k] * (d[k] - deltas[{place}])", inner)
        self._slopes("r", 2)
        self.beyond("r", 0, 2)
        self.pack("s", 2)
        self.weighted("found", "key", 2)
        self._next("first", 2)
        # Who has seen no keys has not waited for its own rows.
        self.line("wait_copies()")
        self.store("found", "query", "d_query", "r", [], self._scale)
        how = f"a block of {cut.threads} threads has {cut.rows} queries, and goes through the keys"
        params = [*self.given, "known", "d_query"]
        return self.text(name, params, f"{how} by {cut.tile}, by tensor cores")

    def keys(self, name: str) -> str:
        """The cotangents of the keys and of the values."""
        a, cut = self.a, self.cut
        outs = [n for n in ("key", "value") if n in self.moved]
        of_key = "key" in outs
        self.prepare("first", False)
        self.bases(["key", "value"])
        self._locals({f"of_{n}": self.sums(a.width_of(n)) for n in outs}, of_key)
        self.fill("key", "first", 1)
        self.fill("value", "first", 1)
        self.line(f"for group in range({a.group}):")
        self._known_at(2)
        self.bases(["query", "ct"], 2)
        begin, end = self.range_of("c", cut.rows, cut.tile)
        self.line(f"row, end = {begin}, {end}", 2)
        self._begin(["query", "ct"], "row", 2)
        self.line("while row < end:", 2)
        self._move(["query", "ct"], "row", 3)
        self._turn(outs)
        self._next("row", 3)
        self.line("wait_copies()")
        for n in outs:
            scale = self._scale if n == "key" else ""
            self.store(f"of_{n}", n, f"d_{n}", "c", [], scale)
        params = [*self.given, "known", *(f"d_{n}" for n in outs)]
        how = f"a block of {cut.threads} threads has {cut.rows} keys, and goes through the queries"
        return self.text(name, params, f"{how} by {cut.tile}, by tensor cores")

    def _turn(self, outs: list[str]) -> None:
        """What a tile of queries adds to the sums of keys and values."""
        shared = self.cut.across > 1
        now = "now" if self.cut.twice else "0"
        places = {f"own_{n}": self._stat(n, now) for n in self.stats}
        delta = places.pop("own_delta", "")
        self.pairs("s", "key", "query", 3)
        self.scores("c", 3)
        inner = self.each("c", "r", 3, of_row=places)
        self._weights(f"own_{self.stats[0]}", "own_share", inner)
        if not self.late:
            self.beyond("c", 0, 3)
        weights, slopes = ("weights", "slopes") if shared else ("", "")
        if "value" in outs:
            self.pack("s", 3)
            if shared:
                self.share("weights", 3)
            else:
                self.weighted("of_value", "ct", 3)
        if "key" in outs:
            self.pairs("d", "value", "ct", 3)
            inner = self.each("c", "r", 3, of_row={"own_delta": delta})
            self.line("s[k] = s[k] * (d[k] - own_delta)", inner)
            self._slopes("c", 3)
            self.pack("s", 3)
            if shared:
                self.share("slopes", 3)
            else:
                self.weighted("of_key", "query", 3)
        if not shared:
            return
        self.line("cuda.syncthreads()", 3)
        if "value" in outs:
            self.weighted("of_value", "ct", 3, weights)
        if "key" in outs:
            self.weighted("of_key", "query", 3, slopes)
