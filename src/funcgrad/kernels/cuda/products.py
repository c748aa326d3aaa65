"""Matrix products of our own: tiles in shared memory, smaller ones in the registers of threads.

    block:   a tile of the result, SIDE × SIDE, and a part of the contraction
             for each DEPTH of the contraction:
                 both operands' parts go to shared memory, side by side as they lie
                 for each step: a thread adds the outer product of a column and a row of its own;
                 of 16-bit floats and TF32, tensor cores multiply (`tensor_cores`)
    parts:   where the result has few tiles, several blocks share the contraction of one;
             a second launch adds up what they found, in order

In: a `Gemm` on operands as they lie. Out: launches with their text. Every element that a block
reads from memory is used SIDE times, and every one that a thread reads from shared memory SIDE / 16
times. What a thread has lies 16 apart, so that neighbours read neighbours, and write them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ...ir.nests import Buffer
from ..emit.llvm_ops import is_small_float
from ..emit.source_ops import Text
from ..library.gemm import Gemm
from . import tensor_cores
from .tensor_cores import RoundedTiles, TensorTiles
from .words import CudaLibrary, memory_type

# Threads of a block stand in a square.
ACROSS = 16
THREADS = ACROSS * ACROSS
# The largest tile that gives this many blocks is taken.
SIDES = (128, 64, 32)
WANTED_BLOCKS = 132
# A part of a contraction is at least so long.
LEAST_PART = 256
MOST_PARTS = 32


@dataclass(eq=False)
class ProductLaunch:
    """A launch of a matrix product, or of the sum of its parts.

    Attributes:
        kind: "product" or "parts".
        params: the buffers it is given.
        text: its source.
        shared: bytes of shared memory that it asks for, beside the arrays that its text sizes.
        again: bytes that it moves beside its buffers, each gone over once.
    """

    name: str
    kind: str
    blocks: int
    threads: int
    params: list[Buffer]
    text: str
    note: str = ""
    shared: int = field(default=0, kw_only=True)
    again: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class Cut:
    """How a product is cut: the side of a tile, the steps held at once, parts and steps of each."""

    side: int
    depth: int
    parts: int
    steps: int


def cut_of(g: Gemm, depth: int = 0) -> Cut:
    """The cut of a product, from sizes alone; tensor cores say how deep its parts are."""
    count = prod(b[0] for b in g.batch)

    def tiles(side: int) -> int:
        return count * -(-g.m // side) * -(-g.n // side)

    side = next((s for s in SIDES if tiles(s) >= WANTED_BLOCKS), SIDES[-1])
    parts = min(WANTED_BLOCKS // max(tiles(side), 1), g.k // LEAST_PART, MOST_PARTS)
    depth = depth or (8 if side == SIDES[0] else 16)
    parts = max(parts, 1)
    steps = -(-g.k // (parts * depth)) * depth
    return Cut(side, depth, max(-(-g.k // steps), 1) if steps else 1, steps)


def product_launches(
    g: Gemm,
    name: str,
    buffers: tuple[Buffer, Buffer, Buffer],
    library: CudaLibrary,
    rounded: bool,
) -> tuple[list[ProductLaunch], list[Buffer]]:
    """The launches of (left, right, result), and the memory they need between.

    Args:
        rounded: float32 may be rounded to TF32 before it is multiplied.
    """
    return ProductText(g, name, buffers, library, rounded).launches()


def sums_of(buffer: Buffer) -> np.dtype[Any]:
    """In what products of a dtype are added up."""
    return buffer.dtype if buffer.dtype.itemsize > 2 else np.dtype(np.float32)


class ProductText:
    """Writes the launches of a product; `buffers` are those of left, right and result."""

    def __init__(
        self,
        g: Gemm,
        name: str,
        buffers: tuple[Buffer, Buffer, Buffer],
        library: CudaLibrary,
        rounded: bool,
    ) -> None:
        self.g = g
        self.halves = is_small_float(buffers[0].dtype)
        self.rounded = rounded and {b.dtype.name for b in buffers} == {"float32"}
        depth = tensor_cores.WORDS if self.rounded else tensor_cores.DEPTH if self.halves else 0
        self.cut = cut_of(g, depth)
        self.name = name
        self.buffers = buffers
        self.ops = library.ops
        self.sums = sums_of(buffers[2])
        self.lines: list[str] = []
        self.count = prod(b[0] for b in g.batch)
        self.parts: Buffer | None = None
        if self.cut.parts > 1:
            shape = (self.cut.parts, self.count, g.m, g.n)
            self.parts = Buffer(shape, self.sums, f"{name}_parts")

    def launches(self) -> tuple[list[ProductLaunch], list[Buffer]]:
        """The launches, and the memory they need between."""
        g, cut, name, out = self.g, self.cut, self.name, self.buffers[2]
        blocks = self.count * -(-g.m // cut.side) * -(-g.n // cut.side) * cut.parts
        target = out if self.parts is None else self.parts
        params = [*self.buffers[:2], target]
        found = [ProductLaunch(name, "product", blocks, THREADS, params, self.text())]
        if self.parts is None:
            return found, []
        total, text = -(-self.count * g.m * g.n // THREADS), self.total()
        found.append(ProductLaunch(f"{name}_sum", "parts", total, THREADS, [self.parts, out], text))
        return found, [self.parts]

    def heading(self, name: str) -> str:
        """What is computed, as a comment."""
        g = self.g
        times = "".join(f"{b[0]} × " for b in g.batch)
        return f"# {name}: {times}({g.m} × {g.k}) · ({g.k} × {g.n})"

    def line(self, text: str, depth: int = 1) -> None:
        self.lines.append("    " * depth + text)

    def text(self) -> str:
        """The kernel."""
        g, cut = self.g, self.cut
        kind = RoundedTiles if self.rounded else TensorTiles if self.halves else PlainTiles
        tiles = kind(self)
        self.line("lane = cuda.threadIdx.x")
        tiles.begin()
        self.place()
        for _, columns in tiles.cells():
            for _, s in columns:
                self.line(f"{s} = {self.ops.constant(0, self.sums)}")
        self.line("start = begin")
        self.line("while start < end:")
        tiles.fill("left", g.m, g.left[0])
        tiles.fill("right", g.n, g.right[0])
        self.line("cuda.syncthreads()", 2)
        tiles.multiply()
        self.line("cuda.syncthreads()", 2)
        self.line(f"start += {cut.depth}", 2)
        self._store(tiles.cells())
        how = f"a block of {THREADS} threads has a tile of {cut.side} × {cut.side}{tiles.how}"
        if cut.parts > 1:
            how += f" and {cut.steps} of {g.k} steps"
        heading, body = f"{self.heading(self.name)}\n# {how}", "\n".join(self.lines)
        return f"{heading}\n@kernel\ndef {self.name}(left, right, out):\n{body}\n"

    def place(self) -> None:
        """Where the block's tile is, and where its matrices begin."""
        g, cut = self.g, self.cut
        across, down = -(-g.n // cut.side), -(-g.m // cut.side)
        self.line("at = cuda.blockIdx.x")
        self.line(f"column, at = {cut.side} * (at % {across}), at // {across}")
        self.line(f"row, at = {cut.side} * (at % {down}), at // {down}")
        if cut.parts > 1:
            self.line(f"part, at = at % {cut.parts}, at // {cut.parts}")
            self.line(f"begin, end = part * {cut.steps}, min((part + 1) * {cut.steps}, {g.k})")
        else:
            self.line(f"begin, end = 0, {g.k}")
        self.line(f"left_at, right_at, out_at = {g.starts[0]}, {g.starts[1]}, 0")
        rest = "at"
        for extent, *strides in reversed(g.batch):
            index = f"({rest} % {extent})"
            for name, stride in zip(("left_at", "right_at", "out_at"), strides, strict=True):
                # What parts find lies in memory of its own, matrix after matrix.
                if stride and not (cut.parts > 1 and name == "out_at"):
                    self.line(f"{name} += {stride} * {index}")
            rest = f"{rest} // {extent}"
        if cut.parts > 1:
            self.line(f"out_at = {g.m * g.n} * (part * {self.count} + at)")

    def item(self, code: str, dtype: np.dtype[Any]) -> str:
        """An element of memory as it goes to shared memory: 16-bit floats as their bits."""
        return code if self.halves else self.ops.loaded(code, dtype).code

    def load(self, side: str, place: str, outside: bool) -> None:
        """Lines that give `value` the element of a row or column in a step of the contraction."""
        lead, dtype = {
            "left": (self.g.left[1], self.buffers[0].dtype),
            "right": (self.g.right[1], self.buffers[1].dtype),
        }[side]
        index = f"({place}) * {lead} + start + step"
        if not outside:
            index = f"(start + step) * {lead} + {place}"
        self.line(f"value = {self.item(f'{side}[{side}_at + {index}]', dtype)}", 4)

    def row_at(self, row: str, depth: int) -> str:
        """Where a row of the result begins; lines that work it out may come before."""
        return f"out_at + ({row}) * {self.g.pitch}"

    def column_at(self, column: str) -> str:
        """Where a column is in a row."""
        return column

    def _store(self, cells: list[tuple[str, list[tuple[str, str]]]]) -> None:
        g = self.g
        target = self.sums if self.parts is not None else self.buffers[2].dtype
        for row, columns in cells:
            begin = f"out_at + ({row}) * {g.n}"
            if self.parts is None:
                begin = self.row_at(row, 1)
            for column, s in columns:
                self.line(f"if {row} < {g.m} and {column} < {g.n}:")
                place = column if self.parts is not None else self.column_at(column)
                code = self.ops.stored(Text(s), target)
                self.line(f"out[{begin} + {place}] = {code}", 2)

    def total(self) -> str:
        """The kernel that adds up what parts of a contraction gave, in order."""
        g, name = self.g, f"{self.name}_sum"
        total = self.count * g.m * g.n
        self.lines = []
        self.line("at = cuda.grid(1)")
        self.line(f"if at < {total}:")
        self.line(f"total = {self.ops.constant(0, self.sums)}", 2)
        self.line(f"for part in range({self.cut.parts}):", 2)
        self.line(f"total += parts[part * {total} + at]", 3)
        self.line(f"matrix, row, column = at // {g.m * g.n}, at // {g.n} % {g.m}, at % {g.n}", 2)
        self.matrix("matrix")
        place = f"{self.row_at('row', 2)} + {self.column_at('column')}"
        code = self.ops.stored(Text("total"), self.buffers[2].dtype)
        self.line(f"out[{place}] = {code}", 2)
        heading = f"{self.heading(name)}\n# the sum of {self.cut.parts} parts of each element"
        body = "\n".join(self.lines)
        return f"{heading}\n@kernel\ndef {name}(parts, out):\n{body}\n"

    def matrix(self, number: str) -> None:
        """Lines that say where a matrix of the batch begins in the result."""
        self.line("out_at = 0", 2)
        for extent, _, _, stride in reversed(self.g.batch):
            self.line(f"out_at += {stride} * ({number} % {extent})", 2)
            number = f"{number} // {extent}"


class PlainTiles:
    """Tiles whose products a thread adds up in registers, 16 apart."""

    how = ""

    def __init__(self, text: ProductText) -> None:
        self.text = text
        self.cut = text.cut
        self.line = text.line
        self.each = text.cut.side // ACROSS

    def begin(self) -> None:
        """What a lane is, and the room of the tiles."""
        self.line(f"x, y = lane % {ACROSS}, lane // {ACROSS}")
        room, kind = self.cut.depth * (self.cut.side + 1), memory_type(self.text.sums)
        for side in ("left", "right"):
            self.line(f"{side}_tile = cuda.shared.array({room}, {kind})")

    def cells(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Rows that a thread has parts of, and the columns and sums of each."""
        across = range(self.each)
        return [
            (
                f"row + {ACROSS * i} + y",
                [(f"column + {ACROSS * j} + x", f"sum_{i}_{j}") for j in across],
            )
            for i in across
        ]

    def fill(self, side: str, extent: int, outside: bool) -> None:
        """Bring an operand's part to shared memory, neighbours by neighbours.

        Args:
            outside: whether neighbours in memory are steps of the contraction.
        """
        cut = self.cut
        pitch, first = cut.side + 1, {"left": "row", "right": "column"}[side]
        self.line(f"for k in range({-(-cut.side * cut.depth // THREADS)}):", 2)
        fast = cut.depth if outside else cut.side
        names = ("step", "place") if outside else ("place", "step")
        self.line(f"{names[0]} = (lane + {THREADS} * k) % {fast}", 3)
        self.line(f"{names[1]} = (lane + {THREADS} * k) // {fast}", 3)
        zero = self.text.ops.constant(0, self.text.sums)
        self.line(f"value = {zero}", 3)
        self.line(f"if start + step < end and {first} + place < {extent}:", 3)
        self.text.load(side, f"{first} + place", outside)
        self.line(f"{side}_tile[step * {pitch} + place] = value", 3)

    def multiply(self) -> None:
        """A thread's sums get the products of its part of a column and of a row."""
        pitch = self.cut.side + 1
        self.line(f"for step in range({self.cut.depth}):", 2)
        for i in range(self.each):
            self.line(f"a_{i} = left_tile[step * {pitch} + {ACROSS * i} + y]", 3)
        for j in range(self.each):
            self.line(f"b_{j} = right_tile[step * {pitch} + {ACROSS * j} + x]", 3)
        for i in range(self.each):
            for j in range(self.each):
                s = f"sum_{i}_{j}"
                self.line(f"{s} = cuda.fma(a_{i}, b_{j}, {s})", 3)
