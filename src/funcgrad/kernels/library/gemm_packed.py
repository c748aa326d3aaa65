"""Large matrix products whose row blocks share one copy of the right side.

    pack:     the right side, once: panels of V vectors of columns, for each block of the
              contraction, each panel's rows one behind the other
    product:  for each block of rows of the result (a chunk):
                for each block of the contraction:
                  for each panel: for each tile of T rows: a sum of outer products in registers

A BLAS called for blocks of rows copies the right side in each call, so its blocks must be large.
Here they are small: a block is complete while it is in its thread's second cache, and the kernel
that reads it (see `chains`) finds it there. The left side is read where it lies if its rows are
the outer axis, and else copied, a block at a time, into tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from . import LibraryKernel, Stage
from .conv_code import Code, Value
from .conv_micro import Level, Tile, outer_products
from .conv_tiles import registers
from .gemm import SPEED, Cut, Gemm, Outer, share_of

# Bytes of a panel, which comes from the second cache a tile after the other; of a block of results;
# of the left side of such a block, and of one that is copied, for which the stack has room.
PANEL, BLOCK, LEFT, COPY = 100_000, 1 << 18, 1 << 18, 1 << 17
# So many rows of a left side that is copied have room.
COPIED_ROWS = 64
# Steps of the contraction in an item of the packing, and elements in a chunk of items.
STEPS, PACKED = 32, 1 << 16
# Elements packed in a nanosecond of one core, roughly.
PACKING = 5.0
# What it costs to begin a block, in rows.
BEGIN = 3.0


def cut_of(g: Gemm, vector_bits: int) -> Cut:
    """The cut of a product, from sizes alone."""
    size = 4 if g.dtype == "float32" else 8
    lanes = vector_bits // (8 * size)
    high = max(BLOCK // (g.n * size), 1)
    # Three vectors by 4 or 8 rows fill the registers, and such rows divide the blocks of others.
    rows, width = min(registers(vector_bits) // 4, g.m), min(3, -(-g.n // lanes)) * lanes
    deepest = PANEL // (width * size)
    if not g.left[0]:
        deepest = min(deepest, COPY // (COPIED_ROWS * size))
    deepest = deepest // STEPS * STEPS
    depth = -(-g.k // -(-g.k // deepest))
    depth = -(-depth // STEPS) * STEPS
    high = min(high, (LEFT if g.left[0] else COPY) // (depth * size))
    row_block = _rows_of_block(g.m, rows, max(high // rows, 1) * rows)
    return Cut(rows, width, depth, row_block, -(-g.n // width) * width, True, False)


def _rows_of_block(m: int, rows: int, most: int) -> int:
    """Whole tiles of rows, at most `most`, that leave two and four threads the least to do."""

    def cost(block: int) -> float:
        blocks = -(-m // block)
        return sum(-(-blocks // threads) * (block + BEGIN) * threads for threads in (2, 4))

    return min(range(rows, most + 1, rows), key=lambda block: (cost(block), -block))


def build(g: Gemm, name: str, vector_bits: int) -> LibraryKernel:
    """The kernel `name` of (left, right, result) for float32 or float64."""
    cut = cut_of(g, vector_bits)
    packer, product = (kind(g, cut, Code(g.dtype, vector_bits)) for kind in (_Packer, _Product))
    count, sides = prod(b[0] for b in g.batch), prod(b[0] for b in _packed_batch(g))
    items, each = sides * -(-g.k // STEPS), STEPS * g.n
    grain = max(1, PACKED // each)
    blocks, products = -(-g.m // cut.row_block), g.m * g.n * g.k
    stages = (
        Stage(f"{name}_pack", (("in", 1), ("scratch", 0)), items, grain, items * each / PACKING),
        Stage(
            name,
            (("in", 0), ("scratch", 0), ("out", 0)),
            count * blocks,
            1,
            count * products / SPEED,
        ),
    )
    texts = {f"{name}_pack": packer.text(f"{name}_pack"), name: product.text(name)}
    declared = tuple(dict.fromkeys([*packer.code.declarations, *product.code.declarations]))
    share = share_of(g, min(cut.row_block, g.m), 1)
    return LibraryKernel(
        texts, declared, stages, (packed_bytes(g, cut),), 2.0 * count * products, share
    )


def packed_bytes(g: Gemm, cut: Cut) -> int:
    """Bytes of the copies of all right sides."""
    size = 4 if g.dtype == "float32" else 8
    return prod(b[0] for b in _packed_batch(g)) * _per_side(g, cut, size) * size


def _packed_batch(g: Gemm) -> list[tuple[int, int, int, int]]:
    """The batch axes along which right sides differ."""
    return [b for b in g.batch if b[2]]


def _apart(cut: Cut, side: int, size: int) -> int:
    """Elements from a panel or tile to the next: a line more, so that they share no place in cache.

    Args:
        side: columns of a panel, rows of a tile.
    """
    return cut.depth * side + 64 // size


def _per_block(cut: Cut, size: int) -> int:
    """Elements of the panels of a block of the contraction."""
    return cut.column_block // cut.width * _apart(cut, cut.width, size)


def _per_side(g: Gemm, cut: Cut, size: int) -> int:
    """Elements of a packed right side."""
    return -(-g.k // cut.depth) * _per_block(cut, size)


class _Packer(Outer):
    """Text of the function that copies `STEPS` rows of a right side into panels."""

    def text(self, name: str) -> str:
        g, cut, code = self.g, self.cut, self.code
        right, panels = code.argument(0), code.argument(1)
        batch, per_side = _packed_batch(g), -(-g.k // STEPS)
        with code.writer.loop("%lo", "%hi", 1) as item:
            *places, number = code.split(item.index, [*(b[0] for b in batch), per_side])
            start = code.mul(number, STEPS)
            source = [code.mul(start, self.turn)]
            into = [code.mul(code.div(start, cut.depth), _per_block(cut, code.size))]
            into.append(code.mul(code.rem(start, cut.depth), cut.width))
            step = _per_side(g, cut, code.size)
            for place, (extent, _, apart, _) in zip(reversed(places), reversed(batch), strict=True):
                source.append(code.mul(place, apart))
                into.append(code.mul(place, step))
                step *= extent
            self.b = code.at(right, code.add(*source))
            self.room = code.at(panels, code.add(*into))
            self.depth = code.least(code.sub(g.k, start), STEPS) if g.k % STEPS else STEPS
            whole = g.n - self.rest
            self._copy(0, whole, cut.width)
            self._copy(whole, g.n, self.rest)
            if g.n % self.lanes:
                self._pad(self._room(whole))
        return code.function(name)

    def _pad(self, panel: str) -> None:
        """Zeros behind the last column, up to whole vectors."""
        with self.code.loop(0, self.depth) as i:
            row = self.code.at(panel, self.code.mul(i, self.cut.width))
            for column in range(self.rest, -(-self.rest // self.lanes) * self.lanes):
                self.code.store("0.0", row, column)

    def _room(self, column: Value) -> str:
        code, cut = self.code, self.cut
        apart = _apart(cut, cut.width, code.size)
        return code.at(self.room, code.mul(code.div(column, cut.width), apart))


class _Product(Outer):
    """Text of the function that computes blocks of rows from a left side and packed panels."""

    def text(self, name: str) -> str:
        g, cut, code = self.g, self.cut, self.code
        left, panels, out = (code.argument(i) for i in range(3))
        self.copies = not g.left[0]
        if self.copies:
            self.room = code.room(cut.row_block // cut.rows * _apart(cut, cut.rows, code.size))
        blocks = -(-g.m // cut.row_block)
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            *places, i = code.split(chunk.index, [*(b[0] for b in g.batch), blocks])
            row = code.mul(i, cut.row_block)
            starts: list[list[Value]] = [[code.mul(row, self.row)], [], [code.mul(row, g.pitch)]]
            step = _per_side(g, cut, code.size)
            for place, (extent, a, b, c) in zip(reversed(places), reversed(g.batch), strict=True):
                starts[0].append(code.mul(place, a))
                starts[2].append(code.mul(place, c))
                if b:
                    starts[1].append(code.mul(place, step))
                    step *= extent
            self.left, self.right, self.out = (
                code.at(base, code.add(*start))
                for base, start in zip((left, panels, out), starts, strict=True)
            )
            self.rows = code.least(code.sub(g.m, row), cut.row_block) if blocks > 1 else g.m
            self._rows()
        return code.function(name)

    def _rows(self) -> None:
        """A block of rows, over the whole contraction."""
        g, cut, code = self.g, self.cut, self.code
        if self.adds:
            with code.loop(0, self.rows) as i:
                code.fill(code.at(self.out, code.mul(i, g.pitch)), g.n)
        with code.loop(0, g.k, cut.depth) as start:
            self.depth = code.least(code.sub(g.k, start), cut.depth) if self.uneven else cut.depth
            self.a = code.at(self.left, code.mul(start, self.step))
            block = code.mul(code.div(start, cut.depth), _per_block(cut, code.size))
            self.b = code.at(self.right, block)
            if self.copies:
                self._copy_left()
            for column, wide in self._panels(g.n - self.rest, g.n):
                apart = _apart(cut, cut.width, code.size)
                panel = code.at(self.b, code.mul(code.div(column, cut.width), apart))
                for row, rows in self._tiles():
                    self._fetch(panel, row)
                    self._tile(row, rows, column, wide, (panel, cut.width))

    def _fetch(self, panel: str, row: Value) -> None:
        """Bring a tile's share of the next panel into the second cache."""
        cut, code = self.cut, self.code
        share = cut.width * cut.depth * cut.rows // min(cut.row_block, self.g.m)
        first = code.add(
            code.mul(code.div(row, cut.rows), share), _apart(cut, cut.width, code.size)
        )
        place = code.at(panel, first)
        with code.loop(0, share, 64 // code.size) as i:
            code.prefetch(place, i, 0)

    def _tile(
        self, row: Value, rows: int, column: Value, columns: int, panel: tuple[str, int]
    ) -> None:
        """A tile of results, over a block of the contraction."""
        code, g, (right, pitch) = self.code, self.g, panel
        out = code.at(self.out, code.add(code.mul(row, g.pitch), column))
        for t, start in self._lines(rows, columns):
            code.prefetch(out, t * g.pitch + start, 1)
        places, step = tuple(t * self.row for t in range(rows)), self.step
        here = code.at(self.a, code.mul(row, self.row))
        if self.copies:
            places, step = tuple(range(rows)), self.cut.rows
            here = self._copied(row)
        held = Tile(places, tuple(range(0, columns, code.lanes)), code.lanes)
        sums = outer_products(code, held, [Level(self.depth, step, pitch)], here, right)
        self._store(sums, out, columns)

    def _lines(self, rows: int, columns: int) -> Iterator[tuple[int, int]]:
        """Row and column of an element in each line of a tile."""
        for t in range(rows):
            for start in sorted({*range(0, columns, 64 // self.code.size), columns - 1}):
                yield t, start

    def _copy_left(self) -> None:
        """The left side's block as tiles, each one's columns one behind the other."""
        cut, code = self.cut, self.code
        with code.loop(0, self.depth) as i:
            source = code.at(self.a, code.mul(i, self.step))
            for row, rows in self._tiles():
                into = code.at(self._copied(row), code.mul(i, cut.rows))
                code.copy(into, code.at(source, row), rows, 1, 1)

    def _copied(self, row: Value) -> str:
        """Where a tile of the left side is copied to."""
        code, cut = self.code, self.cut
        apart = _apart(cut, cut.rows, code.size)
        return code.at(self.room, code.mul(code.div(row, cut.rows), apart))
