"""Attention in one kernel: tiles of scores in registers, a running softmax, nothing of all pairs.

    forward    a block has SIDE queries of a head; for each SIDE keys: scores, the new largest score
               of each query, what was summed before scaled to it, weights · values
    delta      Σ cotangent · out of each query, by a warp
    queries    a block has SIDE queries; for each SIDE keys: weights again, from the largest score
               and the sum that the forward pass kept; slopes of the scores · keys
    keys       a block has SIDE keys; for each SIDE queries of its heads: weightsᵀ · cotangents,
               slopesᵀ · queries

In: an attention and its buffers, as `nn/attention_scores.py` describes them. Out: launches with
their text. The one idea: 16 × 16 threads have EACH × EACH scores each, 16 apart; the lanes of one
query are neighbours, so its maximum and sum are shuffles, and what a thread has of the result
belongs to the same queries. Sums are float32, in an order that sizes alone decide.

Source: Milakov & Gimelshein, arXiv:1805.02867; Dao, arXiv:2307.08691.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ir.nests import Buffer
from ..emit.llvm_ops import is_small_float
from ..emit.source_ops import Text
from ..items import Part
from ..program import LibraryCall
from .plan import WARP
from .products import ProductLaunch
from .words import ALL_LANES, CudaLibrary, memory_type

SIDE = 64
ACROSS = 16
EACH = SIDE // ACROSS
THREADS = ACROSS * ACROSS
DEPTH = 16
PITCH = SIDE + 1
FLOAT32 = np.dtype(np.float32)
# The score of a pair that does not count: finite, so that a row of them is a mean.
MASKED = -0.7 * float(np.finfo(np.float32).max)


@dataclass(eq=False)
class Attention:
    """An attention with its buffers.

    Attributes:
        computation: what is static in it.
        given: buffers by name: operands, then `out`, `top`, `total` and `ct` where they are read.
        parts: of which part of a buffer an operand is, or the cotangent of one (`d_…`); the others
            are all of theirs.
    """

    computation: Any
    given: dict[str, Buffer]
    parts: dict[str, Part] = field(default_factory=lambda: {})

    def __post_init__(self) -> None:
        query, value = (
            self.parts[n].shape if n in self.parts else self.given[n].shape
            for n in ("query", "value")
        )
        self.batch, self.rows, self.heads, self.group, self.width = query
        self.columns, self.values = value[1], value[3]

    @property
    def by_tensor_cores(self) -> bool:
        """Whether operands are 16-bit floats."""
        return is_small_float(self.given["query"].dtype)

    @property
    def reach(self) -> tuple[int | None, int | None]:
        """How far a query sees to the left and to the right; None: to the end."""
        pattern = self.computation.pattern
        left, right = pattern.window or (None, None)
        if not pattern.causal:
            return left, right
        return left, 0 if right is None else min(right, 0)

    @property
    def is_band(self) -> bool:
        """Whether positions alone say which pairs count, and every query sees some key.

        A query that sees none has the mean of all values, so that nothing can be left out.
        """
        left, _ = self.reach
        others = {"bias", "mask", "query_lengths", "key_lengths"} & set(self.given)
        return not others and (left is None or self.rows <= self.columns + left)

    def width_of(self, name: str) -> int:
        """Numbers of a row of an operand, or of its cotangent."""
        return self.width if name.removeprefix("d_") in ("query", "key") else self.values

    def strides(self, name: str) -> tuple[int, int, int, int, int]:
        """Elements from one to the next batch, head, member of a group, row and number."""
        if name in self.parts:
            batch, row, head, *group, number = self.parts[name].strides
            return batch, head, sum(group), row, number
        name = name.removeprefix("d_")
        width = self.width_of(name)
        if name in ("key", "value"):
            row = self.heads * width
            return self.columns * row, width, 0, row, 1
        row = self.heads * self.group * width
        return self.rows * row, self.group * width, width, row, 1

    def start(self, name: str) -> int:
        """Elements of the buffer before the first of an operand."""
        return self.parts[name].start if name in self.parts else 0


def operands_of(computation: Any) -> list[str]:
    """The names of what an attention or its gradient reads, in order."""
    kept = [] if computation.kernel == "attention" else ["out", "top", "total", "ct"]
    return [*computation.names, *kept]


def parts_of(computation: Any) -> tuple[int, ...]:
    """Which of its operands may be parts of what is read."""
    names = operands_of(computation)
    return tuple(names.index(n) for n in ("query", "key", "value", "ct") if n in names)


def attention_launches(
    computation: Any, name: str, step: LibraryCall, library: CudaLibrary, target: str
) -> tuple[list[ProductLaunch], list[Buffer]]:
    """The launches of an attention or of its gradient, and the memory they need between.

    Args:
        target: the GPU, for what a block can share.
    """
    names = operands_of(computation)
    given = dict(zip(names, step.reads, strict=True))
    parts = {n: p for n, p in zip(names, step.parts, strict=False) if p is not None}
    if computation.kernel == "attention":
        a = Attention(computation, given, parts)
        return [_forward(a, name, [*step.reads, *step.writes], library, target)], []
    from .attention_gradient import gradient_launches

    moved = dict(zip(computation.moving, step.writes, strict=True))
    placed = zip(moved, step.placed, strict=False)
    parts |= {f"d_{n}": p for n, p in placed if p is not None}
    a = Attention(computation, given, parts)
    return gradient_launches(a, name, moved, library, target)


def _forward(
    a: Attention, name: str, params: list[Buffer], library: CudaLibrary, target: str
) -> ProductLaunch:
    """The launch of the values."""
    rows, threads, out, shared = SIDE, THREADS, params[-3], 0
    if a.by_tensor_cores:
        from .attention_cuts import cut_of
        from .attention_matrices_forward import ForwardMatrices

        cut = cut_of(a, "forward", target)
        rows, threads = cut.rows, cut.threads
        written = ForwardMatrices(a, library, cut, "forward")
        text, shared = written.whole(name), written.room.asked_for
    else:
        text = Forward(a, library, out.dtype).whole(name)
    blocks = a.batch * a.heads * a.group * -(-a.rows // rows)
    return ProductLaunch(name, "attention", blocks, threads, params, text, shared=shared)


class Tiles:
    """Writes what all kernels of attention do with tiles of scores."""

    def __init__(self, a: Attention, library: CudaLibrary) -> None:
        self.a = a
        self.ops = library.ops
        # Sixteen times in a kernel: the instructions of a library, for Numba is slow with ours.
        self.exp = "libdevice.expf"
        self.lines: list[str] = []

    def line(self, text: str, depth: int = 1) -> None:
        self.lines.append("    " * depth + text)

    def number(self, value: float) -> str:
        """A float32."""
        return self.ops.constant(value, FLOAT32)

    def text(self, name: str, params: list[str], what: str) -> str:
        """The kernel of the lines so far."""
        a, pattern = self.a, self.a.computation.pattern
        which = ", causal" * pattern.causal
        which += "" if pattern.window is None else f", window {pattern.window}"
        which += "".join(f", {n}" for n in a.given if n in ("bias", "mask"))
        heading = [
            f"# {name}: {a.batch} × {a.heads * a.group} heads, {a.rows} queries of {a.width}, "
            f"{a.columns} keys, values of {a.values}{which}",
            f"# {what}",
            "@kernel",
            f"def {name}({', '.join(params)}):",
        ]
        return "\n".join([*heading, *self.lines]) + "\n"

    def shared(self, name: str, size: int) -> None:
        self.line(f"{name} = cuda.shared.array({size}, {memory_type(FLOAT32)})")

    def begin(self, first: str, extent: int, grouped: bool) -> None:
        """Which lane of which block, and where the block's positions and head begin."""
        a = self.a
        self.line("lane = cuda.threadIdx.x")
        self.line(f"x, y = lane % {ACROSS}, lane // {ACROSS}")
        self.line("at = cuda.blockIdx.x")
        tiles = -(-extent // SIDE)
        self.line(f"{first}, at = {SIDE} * (at % {tiles}), at // {tiles}")
        if grouped:
            self.line(f"group, at = at % {a.group}, at // {a.group}")
        self.line(f"head, batch = at % {a.heads}, at // {a.heads}")

    def bases(self, names: list[str], depth: int = 1) -> None:
        """Where the matrices of operands begin."""
        for name in names:
            batch, head, group, _, _ = self.a.strides(name)
            terms = [f"batch * {batch}", f"head * {head}"]
            terms += [f"group * {group}"] if group and self.a.group > 1 else []
            terms += [str(self.a.start(name))] if self.a.start(name) else []
            self.line(f"{name}_at = {' + '.join(terms)}", depth)

    def delta_of(self, into: str, fold: str, depth: int) -> None:
        """Add Σ cotangent · out of query `r` to a number, by a warp whose lanes `fold` adds up."""
        self.bases(["ct", "out"], depth)
        self.line("place = lane", depth)
        self.line(f"while place < {self.a.values}:", depth)
        ct, out = (
            self.ops.loaded(self.at(n, "r", "place"), self.a.given[n].dtype).inner
            for n in ("ct", "out")
        )
        self.line(f"{into} = cuda.fma({ct}, {out}, {into})", depth + 1)
        self.line(f"place += {WARP}", depth + 1)
        self.line(f"{into} = {fold}({into})", depth)

    def rows_at(self, depth: int = 1) -> None:
        """Where what there is one of for each query begins, such as sums."""
        a = self.a
        head = f"((batch * {a.heads} + head) * {a.group} + group)"
        self.line(f"rows_at = {head} * {a.rows}", depth)

    def element(self, name: str, position: str, place: str) -> str:
        """An element of an operand that has rows of numbers, as a float32."""
        return self.ops.loaded(self.at(name, position, place), self.a.given[name].dtype).code

    def at(self, name: str, position: str, place: str) -> str:
        """An element of an operand, as it lies in memory."""
        return f"{name}[{name}_at + ({position}) * {self.a.strides(name)[3]} + {place}]"

    # Products of tiles.

    def clear(self, name: str, across: int, depth: int) -> None:
        for i in range(EACH):
            for j in range(across):
                self.line(f"{name}_{i}_{j} = {self.number(0)}", depth)

    def pairs(self, sums: str, left: str, right: str, depth: int) -> None:
        """`sums` of each query `row + …` and key `first + …`: ⟨left, right⟩."""
        a = self.a
        width = a.width if left == "query" else a.values
        self.clear(sums, EACH, depth)
        self.line("start = 0", depth)
        self.line(f"while start < {width}:", depth)
        for room, name, first, extent in (
            ("left_tile", left, "row", a.rows),
            ("right_tile", right, "first", a.columns),
        ):
            self.line(f"for k in range({SIDE * DEPTH // THREADS}):", depth + 1)
            self.line(f"step = (lane + {THREADS} * k) % {DEPTH}", depth + 2)
            self.line(f"place = (lane + {THREADS} * k) // {DEPTH}", depth + 2)
            self.line(f"item = {self.number(0)}", depth + 2)
            self.line(f"if start + step < {width} and {first} + place < {extent}:", depth + 2)
            code = self.element(name, f"{first} + place", "start + step")
            self.line(f"item = {code}", depth + 3)
            self.line(f"{room}[step * {PITCH} + place] = item", depth + 2)
        self.line("cuda.syncthreads()", depth + 1)
        self.line(f"for step in range({DEPTH}):", depth + 1)
        self.outer(
            sums,
            [f"left_tile[step * {PITCH} + {ACROSS * i} + y]" for i in range(EACH)],
            [f"right_tile[step * {PITCH} + {ACROSS * j} + x]" for j in range(EACH)],
            depth + 2,
        )
        self.line("cuda.syncthreads()", depth + 1)
        self.line(f"start += {DEPTH}", depth + 1)

    def outer(self, sums: str, left: list[str], right: list[str], depth: int) -> None:
        """A thread's sums get the products of its part of a column and of a row."""
        for letter, codes in (("a", left), ("b", right)):
            for k, code in enumerate(codes):
                self.line(f"{letter}_{k} = {code}", depth)
        for i in range(len(left)):
            for j in range(len(right)):
                s = f"{sums}_{i}_{j}"
                self.line(f"{s} = cuda.fma(a_{i}, b_{j}, {s})", depth)

    def across(self, width: int) -> int:
        """How many numbers of a row of a result a thread has."""
        return -(-width // ACROSS)

    def weighted(self, sums: str, name: str, by_key: bool, depth: int) -> None:
        """`sums` += the tile of weights · rows of keys, or its transpose · rows of queries."""
        a = self.a
        width = a.width if name in ("query", "key") else a.values
        across = self.across(width)
        first, extent = ("first", a.columns) if by_key else ("row", a.rows)
        pitch = ACROSS * across
        self.line("start = 0", depth)
        self.line(f"while start < {SIDE}:", depth)
        self.line(f"for k in range({-(-DEPTH * pitch // THREADS)}):", depth + 1)
        self.line(f"step = (lane + {THREADS} * k) // {pitch}", depth + 2)
        self.line(f"place = (lane + {THREADS} * k) % {pitch}", depth + 2)
        self.line(f"item = {self.number(0)}", depth + 2)
        there = f"{first} + start + step < {extent}"
        self.line(f"if {there}{f' and place < {width}' if pitch > width else ''}:", depth + 2)
        self.line(f"item = {self.element(name, f'{first} + start + step', 'place')}", depth + 3)
        self.line(f"panel[step * {pitch} + place] = item", depth + 2)
        self.line("cuda.syncthreads()", depth + 1)
        self.line(f"for step in range({DEPTH}):", depth + 1)
        own = [f"({ACROSS * i} + y) * {PITCH} + start + step" for i in range(EACH)]
        if not by_key:
            own = [f"(start + step) * {PITCH} + {ACROSS * i} + y" for i in range(EACH)]
        self.outer(
            sums,
            [f"weights[{place}]" for place in own],
            [f"panel[step * {pitch} + {ACROSS * j} + x]" for j in range(across)],
            depth + 2,
        )
        self.line("cuda.syncthreads()", depth + 1)
        self.line(f"start += {DEPTH}", depth + 1)

    def keep(self, name: str, depth: int) -> None:
        """A thread's part of a tile goes to where all of the block read it."""
        for i in range(EACH):
            for j in range(EACH):
                place = f"({ACROSS * i} + y) * {PITCH} + {ACROSS * j} + x"
                self.line(f"weights[{place}] = {name}_{i}_{j}", depth)
        self.line("cuda.syncthreads()", depth)

    # Scores.

    def scores(self, depth: int) -> None:
        """`s_i_j`, and `counts_i_j` where not all pairs count."""
        a, scale = self.a, self.number(self.a.computation.pattern.scale)
        self.pairs("s", "query", "key", depth)
        for name, extent in (("query_lengths", a.rows), ("key_lengths", a.columns)):
            if name in a.given:
                self.line(f"{name}_here = min(int64({name}[batch]), {extent})", depth)
        for i in range(EACH):
            self.line(f"r = row + {ACROSS * i} + y", depth)
            for j in range(EACH):
                s = f"s_{i}_{j}"
                self.line(f"c = first + {ACROSS * j} + x", depth)
                value = f"{s} * {scale}"
                if "bias" in a.given:
                    value += f" + {self._extra('bias')}"
                tests = self._tests()
                if tests:
                    self.line(f"counts_{i}_{j} = {' and '.join(tests)}", depth)
                    value = f"{value} if counts_{i}_{j} else {self.number(MASKED)}"
                self.line(f"{s} = {value}", depth)

    def range_of(self, own: str, rows: int, tile: int) -> tuple[str, str]:
        """Where the tiles that count begin and end, for a block that has queries or keys.

        Args:
            own: "r" or "c", which of them; `rows`: how many.
        """
        a, (left, right) = self.a, self.a.reach if self.a.is_band else (None, None)
        extent, first = (a.columns, "row") if own == "r" else (a.rows, "first")
        # A key is seen by queries as far to the right as they see to the left.
        left, right = (left, right) if own == "r" else (right, left)
        begin, end = "0", str(extent)
        if left is not None:
            begin = f"max(0, {first} - {left}) // {tile} * {tile}" if left else first
        if right is not None:
            end = f"min({extent}, {first} + {rows + right})"
        return begin, end

    def _tests(self) -> list[str]:
        """When the pair of query `r` and key `c` counts."""
        pattern, given = self.a.computation.pattern, self.a.given
        tests = ["c <= r"] if pattern.causal else []
        if pattern.window is not None:
            left, right = pattern.window
            tests += [f"r <= c + {left}", f"r >= c - {right}"]
        for name, position in (("query_lengths", "r"), ("key_lengths", "c")):
            tests += [f"{position} < {name}_here"] if name in given else []
        return [*tests, self._extra("mask")] if "mask" in given else tests

    def _extra(self, name: str) -> str:
        """The bias or mask of query `r` and key `c`, clamped to those that are there."""
        buffer, a = self.a.given[name], self.a
        index: list[str] = []
        stride = 1
        head = "head" if a.group == 1 else f"(head * {a.group} + group)"
        places = ("batch", head, f"min(r, {a.rows - 1})", f"min(c, {a.columns - 1})")
        for place, extent in zip(reversed(places), reversed(buffer.shape), strict=True):
            if extent > 1:
                index.append(place if stride == 1 else f"{stride} * {place}")
            stride *= extent
        return self.ops.loaded(f"{name}[{' + '.join(index) or '0'}]", buffer.dtype).inner

    def ends(self, name: str, depth: int, otherwise: float) -> None:
        """What is beyond the last key."""
        extent = self.a.columns
        if extent % SIDE == 0:
            return
        for j in range(EACH):
            self.line(f"if first + {ACROSS * j} + x >= {extent}:", depth)
            for i in range(EACH):
                self.line(f"{name}_{i}_{j} = {self.number(otherwise)}", depth + 1)

    def folded(self, name: str, how: str, depth: int) -> None:
        """A value of the lanes of one query, folded: all of them get it."""
        for n in (8, 4, 2, 1):
            other = f"cuda.shfl_xor_sync({ALL_LANES}, {name}, {n})"
            code = f"{name} + {other}" if how == "add" else f"{how}({name}, {other})"
            self.line(f"{name} = {code}", depth)


class Forward(Tiles):
    """Writes the kernel of the values."""

    def __init__(self, a: Attention, library: CudaLibrary, dtype: np.dtype[Any]) -> None:
        super().__init__(a, library)
        self.dtype = dtype

    def whole(self, name: str) -> str:
        a = self.a
        across = self.across(a.values)
        for room in ("left_tile", "right_tile"):
            self.shared(room, DEPTH * PITCH)
        self.shared("weights", SIDE * PITCH)
        self.shared("panel", DEPTH * ACROSS * across)
        self.begin("row", a.rows, a.group > 1)
        if a.group == 1:
            self.line("group = 0")
        self.rows_at()
        self.bases(["query", "key", "value", "out"])
        for i in range(EACH):
            self.line(f"best_{i} = {self.number(-np.inf)}")
            self.line(f"sum_{i} = {self.number(0)}")
        self.clear("found", across, 1)
        begin, end = self.range_of("r", SIDE, SIDE)
        self.line(f"first, end = {begin}, {end}")
        self.line("while first < end:")
        self.scores(2)
        self.ends("s", 2, -np.inf)
        self._softmax(across)
        self.keep("s", 2)
        self.weighted("found", "value", True, 2)
        self.line(f"first += {SIDE}", 2)
        self._store(across)
        how = f"a block of {THREADS} threads has {SIDE} queries, and goes through the keys"
        return self.text(name, [*a.given, "out", "top", "total"], how)

    def _softmax(self, across: int) -> None:
        """Weights in the place of scores, and what was summed before scaled to the new maximum."""
        most = self.ops.helper("maximum_float32")
        for i in range(EACH):
            self.line(f"new = s_{i}_0", 2)
            for j in range(1, EACH):
                self.line(f"new = {most}(new, s_{i}_{j})", 2)
            self.folded("new", most, 2)
            self.line(f"new = {most}(new, best_{i})", 2)
            # Scores of -inf alone have no largest one to be compared with.
            self.line(f"known = new if new > {self.number(-np.inf)} else {self.number(0)}", 2)
            self.line(f"before = {self.exp}(best_{i} - known)", 2)
            self.line(f"best_{i} = new", 2)
            self.line(f"sum_{i} = sum_{i} * before", 2)
            for j in range(EACH):
                self.line(f"s_{i}_{j} = {self.exp}(s_{i}_{j} - known)", 2)
                self.line(f"sum_{i} = sum_{i} + s_{i}_{j}", 2)
            for j in range(across):
                self.line(f"found_{i}_{j} = found_{i}_{j} * before", 2)

    def _store(self, across: int) -> None:
        a = self.a
        row = a.strides("out")[3]
        for i in range(EACH):
            self.folded(f"sum_{i}", "add", 1)
            self.line(f"r = row + {ACROSS * i} + y")
            self.line(f"if r < {a.rows}:")
            self.line("if x == 0:", 2)
            self.line(f"top[rows_at + r] = best_{i}", 3)
            self.line(f"total[rows_at + r] = sum_{i}", 3)
            for j in range(across):
                place, depth = f"{ACROSS * j} + x", 2
                if ACROSS * (j + 1) > a.values:
                    self.line(f"if {place} < {a.values}:", 2)
                    depth = 3
                code = self.ops.stored(Text(f"found_{i}_{j} / sum_{i}", False), self.dtype)
                self.line(f"out[out_at + r * {row} + {place}] = {code}", depth)
