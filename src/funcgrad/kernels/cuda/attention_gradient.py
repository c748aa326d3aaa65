"""The gradient of attention in tiles: weights are made again, and nothing of all pairs is kept.

In: an attention, what its forward pass kept, and the cotangent of its result. Out: launches with
their text: `delta`, then one for queries and one for keys and values, as `attention` says. The one
idea: with p the weights, the slope of a score is p · (⟨cotangent, value⟩ − delta), so a tile of
slopes follows from the tile of scores; who has the queries sums over keys, and who has the keys
over queries, so that nobody adds to what another block has.
"""

from __future__ import annotations

from ...ir.nests import Buffer
from ..emit.source_ops import Text
from .attention import ACROSS, DEPTH, EACH, FLOAT32, PITCH, SIDE, THREADS, Attention, Tiles
from .plan import WARP
from .products import ProductLaunch
from .words import CudaLibrary


def gradient_launches(
    a: Attention, name: str, moved: dict[str, Buffer], library: CudaLibrary, target: str
) -> tuple[list[ProductLaunch], list[Buffer]]:
    """The launches, and the memory they need between.

    Args:
        moved: where the cotangents go, by the name of the operand.
        target: the GPU, for what a block can share.
    """
    if a.by_tensor_cores:
        from .attention_matrices_gradient import matrix_launches

        return matrix_launches(a, name, moved, library, target)
    delta = Buffer((a.batch * a.heads * a.group * a.rows,), FLOAT32, "delta")
    heads = a.batch * a.heads
    given = [b for n, b in a.given.items() if n != "out"]
    found: list[ProductLaunch] = []

    def add(step: str, params: list[Buffer], times: int, extent: int) -> None:
        """A launch whose blocks share the positions of so many heads."""
        own = f"{name}_{step}"
        text = getattr(Gradient(a, library, moved), step)(own)
        blocks = times * -(-extent // SIDE)
        found.append(ProductLaunch(own, "attention", blocks, THREADS, params, text))

    if {"query", "key"} & set(moved):
        params = [a.given["out"], a.given["ct"], delta]
        text = Gradient(a, library, moved).delta(f"{name}_delta", delta.size)
        blocks = -(-delta.size // (THREADS // WARP))
        found.append(ProductLaunch(f"{name}_delta", "attention", blocks, THREADS, params, text))
    if "query" in moved:
        add("queries", [*given, delta, moved["query"]], heads * a.group, a.rows)
    outs = [moved[n] for n in ("key", "value") if n in moved]
    if outs:
        needs = [delta] if "key" in moved else []
        add("keys", [*given, *needs, *outs], heads, a.columns)
    return found, [delta]


class Gradient(Tiles):
    """Writes the kernels of the gradient."""

    def __init__(self, a: Attention, library: CudaLibrary, moved: dict[str, Buffer]) -> None:
        super().__init__(a, library)
        self.moved = moved
        self.given = [n for n in a.given if n != "out"]
        self.sum = library.folded("add", FLOAT32, False)

    def delta(self, name: str, count: int) -> str:
        """Σ cotangent · out of each query."""
        a = self.a
        each = THREADS // WARP
        self.line(f"warp, lane = cuda.threadIdx.x // {WARP}, cuda.threadIdx.x % {WARP}")
        self.line(f"row = cuda.blockIdx.x * {each} + warp")
        self.line(f"if row < {count}:")
        self.line(f"r, at = row % {a.rows}, row // {a.rows}", 2)
        self.line(f"group, at = at % {a.group}, at // {a.group}", 2)
        self.line(f"head, batch = at % {a.heads}, at // {a.heads}", 2)
        self.line(f"found = {self.number(0)}", 2)
        self.delta_of("found", self.sum, 2)
        self.line("if lane == 0:", 2)
        self.line("delta[row] = found", 3)
        return self.text(name, ["out", "ct", "delta"], "a warp has a query")

    def _rooms(self, widths: list[int]) -> None:
        for room in ("left_tile", "right_tile"):
            self.shared(room, DEPTH * PITCH)
        self.shared("weights", SIDE * PITCH)
        self.shared("panel", DEPTH * ACROSS * max(map(self.across, widths)))

    def _of_rows(self, names: list[str], depth: int) -> None:
        """What is known of each of a thread's queries."""
        last = self.a.rows - 1
        for i in range(EACH):
            for n in names:
                place = f"rows_at + min(row + {ACROSS * i} + y, {last})"
                self.line(f"{n}_{i} = {n}[{place}]", depth)

    def _weights(self, depth: int) -> None:
        """`s` becomes the weights; 0 beyond the last query and key."""
        a = self.a
        for i in range(EACH):
            for j in range(EACH):
                code = f"{self.exp}(s_{i}_{j} - top_{i}) / total_{i}"
                self.line(f"s_{i}_{j} = {code}", depth)
        self.ends("s", depth, 0)
        if a.rows % SIDE:
            for i in range(EACH):
                self.line(f"if row + {ACROSS * i} + y >= {a.rows}:", depth)
                for j in range(EACH):
                    self.line(f"s_{i}_{j} = {self.number(0)}", depth + 1)

    def _slopes(self, depth: int) -> None:
        """`s`, the weights, become the slopes of the products of queries and keys."""
        scale = self.number(self.a.computation.pattern.scale)
        counted = bool(self._tests())
        for i in range(EACH):
            for j in range(EACH):
                code = f"s_{i}_{j} * (d_{i}_{j} - delta_{i}) * {scale}"
                if counted:
                    code = f"{code} if counts_{i}_{j} else {self.number(0)}"
                self.line(f"s_{i}_{j} = {code}", depth)

    def _store(self, sums: str, name: str, first: str, extent: int, width: int) -> None:
        row = self.a.strides(f"d_{name}")[3]
        self.bases([f"d_{name}"])
        for i in range(EACH):
            self.line(f"r = {first} + {ACROSS * i} + y")
            self.line(f"if r < {extent}:")
            for j in range(self.across(width)):
                place, depth = f"{ACROSS * j} + x", 2
                if ACROSS * (j + 1) > width:
                    self.line(f"if {place} < {width}:", 2)
                    depth = 3
                code = self.ops.stored(Text(f"{sums}_{i}_{j}"), self.moved[name].dtype)
                self.line(f"d_{name}[d_{name}_at + r * {row} + {place}] = {code}", depth)

    def queries(self, name: str) -> str:
        """The cotangent of the queries."""
        a = self.a
        self._rooms([a.width])
        self.begin("row", a.rows, a.group > 1)
        if a.group == 1:
            self.line("group = 0")
        self.rows_at()
        self.bases(["query", "ct", "key", "value"])
        self._of_rows(["top", "total", "delta"], 1)
        self.clear("found", self.across(a.width), 1)
        begin, end = self.range_of("r", SIDE, SIDE)
        self.line(f"first, end = {begin}, {end}")
        self.line("while first < end:")
        self.scores(2)
        self._weights(2)
        self.pairs("d", "ct", "value", 2)
        self._slopes(2)
        self.keep("s", 2)
        self.weighted("found", "key", True, 2)
        self.line(f"first += {SIDE}", 2)
        self._store("found", "query", "row", a.rows, a.width)
        how = f"a block of {THREADS} threads has {SIDE} queries, and goes through the keys"
        return self.text(name, [*self.given, "delta", "d_query"], how)

    def keys(self, name: str) -> str:
        """The cotangents of the keys and of the values."""
        a = self.a
        of_key, of_value = ("key" in self.moved), ("value" in self.moved)
        self._rooms([a.width, a.values])
        self.begin("first", a.columns, False)
        self.bases(["key", "value"])
        if of_key:
            self.clear("of_key", self.across(a.width), 1)
        if of_value:
            self.clear("of_value", self.across(a.values), 1)
        self.line(f"for group in range({a.group}):")
        self.rows_at(2)
        self.bases(["query", "ct"], 2)
        begin, end = self.range_of("c", SIDE, SIDE)
        self.line(f"row, end = {begin}, {end}", 2)
        self.line("while row < end:", 2)
        self._of_rows(["top", "total", *(["delta"] if of_key else [])], 3)
        self.scores(3)
        self._weights(3)
        if of_value:
            self.keep("s", 3)
            self.weighted("of_value", "ct", False, 3)
        if of_key:
            self.pairs("d", "ct", "value", 3)
            self._slopes(3)
            self.keep("s", 3)
            self.weighted("of_key", "query", False, 3)
        self.line(f"row += {SIDE}", 3)
        widths = {"key": a.width, "value": a.values}
        for n, width in widths.items():
            if n in self.moved:
                self._store(f"of_{n}", n, "first", a.columns, width)
        outs = [f"d_{n}" for n in widths if n in self.moved]
        params = [*self.given, *(["delta"] if of_key else []), *outs]
        how = f"a block of {THREADS} threads has {SIDE} keys, and goes through the queries"
        return self.text(name, params, how)
