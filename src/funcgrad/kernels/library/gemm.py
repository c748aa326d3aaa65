"""Small, skinny and batched matrix products, where a BLAS is mostly busy with its preparations.

    chunk:  some products of the batch, or a block of rows and columns of one
            for each block of the contraction: for each panel of V vectors of columns:
                the right side's panel is copied into the first cache, or read where it lies
                for each tile of T rows: one sum of outer products held in registers

The left side is read where it lies in either order, element by element. The right side is copied
where its columns are not neighbours (it is transposed on the way), where a vector would reach
beyond it, and where many tiles read a panel whose rows would drive each other out of cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod
from typing import NamedTuple

from . import LibraryKernel, Stage
from .conv_code import KINDS, Code, Value
from .conv_micro import Ahead, Level, Tile, outer_products
from .conv_tiles import registers

# A chunk has so many products at least, if there are as many, and there are at most so many chunks
# of a product.
CHUNK_PRODUCTS, MOST_PARTS = 1 << 20, 32
# Two fused multiply-adds start every cycle, and each waits 4 cycles for the last on its sum, and a
# little more: eight sums leave a gap wherever one is late.
LATENCY = 4.5
# More rows at once may drive each other out of a cache of eight ways.
MOST_ROWS = 8
# Sums of so many steps may have lanes along them.
LONG = 256
# Bytes of all ways of a small first cache, and of pages in the first table of such.
WAYS, PAGES = 1 << 15, 1 << 18
# From so many tiles on that read a panel, a copy of it pays.
READERS = 3
# Of parts of one contraction the next one is fetched early where a number is in so many products:
# with fewer, the first cache has too much to do as it is.
FETCHED = 32
# Products in a nanosecond of one core, roughly: decides only whether threads are worth it.
SPEED = 20.0


class Gemm(NamedTuple):
    """A batch of matrix products C = A·B on operands as they lie in memory.

    Attributes:
        batch: extents and strides (left, right, out) of the batch axes.
        left, right: (free axis outside, leading stride).
        pitch: elements between the rows of a result.
        given: dtypes of the sides where they are narrower than `dtype`, that of sums and results.
        adds: whether the products are added to what is there, a block of the contraction after the
            other: C = C + A·B.
        starts: elements of each side's memory before the first that is read.
    """

    dtype: str
    batch: tuple[tuple[int, int, int, int], ...]
    m: int
    n: int
    k: int
    left: tuple[bool, int]
    right: tuple[bool, int]
    pitch: int
    given: tuple[str, str] | None = None
    adds: bool = False
    starts: tuple[int, int] = (0, 0)

    @property
    def flops(self) -> float:
        """Multiplications and additions."""
        return prod(b[0] for b in self.batch) * float(self.m * self.n) * (2 * self.k + self.adds)


class Caches(NamedTuple):
    """What caches hold and bring.

    Attributes:
        panel: bytes of a panel, and `copy`: of a copy of panels, part of the second cache.
        few: rows or columns of a result that lanes along the contraction are best for.
    """

    panel: int
    copy: int
    few: int


class Cut(NamedTuple):
    """How a product is cut.

    Attributes:
        rows, width: rows and columns of a tile.
        depth: steps of the contraction for which a panel is held.
        row_block, column_block: of a chunk, whole tiles each.
        copied: whether all panels are copied, or only one that is not whole vectors.
        by_rows: whether all panels of a block meet a tile of rows before the next tile.
    """

    rows: int
    width: int
    depth: int
    row_block: int
    column_block: int
    copied: bool
    by_rows: bool


def caches(vector_bits: int) -> Caches:
    """What a processor with such vectors has at least.

    A panel is half of a small first cache. Where vectors have 512 bits, second caches hold a
    megabyte, and bring a panel's row in the time of a tile's products with the row before. Long
    vectors take longer to be added up, lane by lane.
    """
    return Caches(1 << 16, 1 << 18, 16) if vector_bits == 512 else Caches(1 << 14, 1 << 17, 64)


def tile_of(
    m: int, vectors: int, steps: int, limit: int, panel: int, parts: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """Rows and vectors of the tile of least cost.

    Args:
        limit: registers.
        panel: vectors that a panel holds; with more there are more blocks of steps, and all but
            the first add to what is there.
        parts: into how many parts rows and columns are cut.
    """
    best: tuple[float, int, int] | None = None
    for width in range(1, min(4, vectors) + 1):
        blocks = -(-steps * width // panel)
        for high in range(1, min(m, (limit - width - 1) // width, MOST_ROWS) + 1):
            cost = 0.0
            for rows, times in ((high, m // high), (m % high, 1)):
                for wide, panels in ((width, vectors // width), (vectors % width, 1)):
                    if rows and wide:
                        work = rows * wide
                        finish = work * blocks + 12 + (30 if rows < high else 0)
                        cycles = max(work / 2, rows / 2 + wide, LATENCY)
                        cost += times * panels * (cycles * steps + finish)
            cost *= unevenness(-(-m // high), parts[0]) * unevenness(-(-vectors // width), parts[1])
            if best is None or (cost, -high * width) < (best[0], -best[1] * best[2]):
                best = cost, high, width
    assert best is not None
    return best[1:]


def unevenness(tiles: int, parts: int) -> float:
    """What the larger of two threads' shares of the parts is, over half of it all."""
    each = -(-tiles // parts)
    return each * 2 * -(-tiles // (2 * each)) / tiles if parts > 1 else 1.0


def cut_of(g: Gemm, vector_bits: int) -> Cut:
    """The cut of a product, from sizes alone."""
    limit, (_, size) = registers(vector_bits), KINDS[g.dtype]
    lanes, there = vector_bits // (8 * size), caches(vector_bits)
    parts = (1, parts_of(g, lanes)) if g.n >= g.m else (parts_of(g, lanes), 1)
    if is_inner(g, vector_bits):
        steps = -(-g.k // lanes)
        rows, width = tile_of(g.m, g.n, steps, limit, g.n * steps, parts)
        blocks = -(-g.k * width * size // there.panel)
        depth = -(-g.k // (blocks * lanes)) * lanes
        by_rows, copied, column_block = g.m > g.n, False, -(-g.n // width) * width
    else:
        per_panel = there.panel // (lanes * size)
        rows, vectors = tile_of(g.m, -(-g.n // lanes), g.k, limit, per_panel, parts)
        width = vectors * lanes
        depth = -(-g.k // -(-g.k // (there.panel // (width * size))))
        column_block = min(-(-g.n // width), there.copy // (depth * width * size)) * width
        by_rows = depth * column_block * size <= there.panel
        crowded = g.m > (READERS - 1) * rows and is_crowded(g, depth, width, by_rows, vector_bits)
        copied = g.right[0] or crowded
    row_block = -(-g.m // (rows * parts[0])) * rows
    column_block = min(column_block, -(-g.n // (width * parts[1])) * width)
    return Cut(rows, width, depth, row_block, column_block, copied, by_rows)


def parts_of(g: Gemm, lanes: int) -> int:
    """Into how many parts a product's rows or columns are cut, whichever there are more of.

    An even number, which two threads share, unless there are enough products to share. Parts have
    two vectors of columns at least, for tiles of one wait for the left side.
    """
    count = prod(b[0] for b in g.batch)
    parts = max(1, 2 * round(g.m * g.n * g.k / (2 * CHUNK_PRODUCTS)))
    parts = -(-min(MOST_PARTS, parts * count) // max(count, 1))
    return min(parts, max(2, g.n // (2 * lanes))) if g.n >= g.m else parts


def is_crowded(g: Gemm, depth: int, width: int, by_rows: bool, vector_bits: int) -> bool:
    """Whether a panel's rows where they lie drive each other out of caches.

    First caches have 8 ways of 4 KiB at least. Where panels come from the second, which has more
    places, it is the table of pages that has too few, and the first cache only for panels that stay
    there while tiles of rows go by.
    """
    size = KINDS[g.dtype][1]
    apart = g.right[1] * size
    if caches(vector_bits).panel <= WAYS:
        return depth * (apart % 4096 or 4096) > WAYS or g.k > depth
    lines = -(-width * size // 64)
    places = min(64, 4096 // max(64, gcd(apart, 4096)) * lines)
    return depth * apart > PAGES or (by_rows and depth * lines > 8 * places)


def is_inner(g: Gemm, vector_bits: int) -> bool:
    """Whether lanes run along the contraction, where few rows or columns meet long sums."""
    few = min(g.m, g.n) <= caches(vector_bits).few
    return g.left[0] and g.right[0] and g.k >= LONG and few


def build(g: Gemm, name: str, vector_bits: int) -> LibraryKernel:
    """The kernel `name` of (left, right, result), of what `KINDS` knows."""
    code = Code(g.dtype, vector_bits)
    cut = cut_of(g, vector_bits)
    text = text_of(g, cut, code, name)
    count = prod(b[0] for b in g.batch)
    each = -(-g.m // cut.row_block) * -(-g.n // cut.column_block)
    products = g.m * g.n * g.k
    grain = max(1, CHUNK_PRODUCTS * each // products)
    cost = count * products / SPEED
    stage = Stage(name, (("in", 0), ("in", 1), ("out", 0)), count * each, grain, cost)
    share = share_of(g, min(cut.row_block, g.m), -(-g.n // cut.column_block))
    return LibraryKernel({name: text}, code.declarations, (stage,), (), g.flops, share)


def text_of(g: Gemm, cut: Cut, code: Code, name: str, last: int = 0) -> str:
    """The text of the function that computes chunks of (left, right, result).

    Args:
        last: of a batch of parts of one contraction, the steps of the last one; else 0.
    """
    kind = _Inner if is_inner(g, code.lanes * code.size * 8) else Outer
    return kind(g, cut, code, last).text(name)


def share_of(g: Gemm, row_block: int, column_parts: int) -> int:
    """Elements that blocks of rows have of a result without gaps; 0 if there are other blocks."""
    step = g.m * g.n
    for extent, _, _, apart in reversed(g.batch):
        if apart != step and extent > 1:
            return 0
        step *= extent
    whole = row_block >= g.m or step == g.m * g.n
    return row_block * g.n if whole and column_parts == 1 and g.pitch == g.n else 0


class Outer:
    """Text of the function that computes chunks `lo` to `hi` of (left, right, result)."""

    def __init__(self, g: Gemm, cut: Cut, code: Code, last: int) -> None:
        self.g, self.cut, self.code, self.lanes, self.last = g, cut, code, code.lanes, last
        self.row, self.step = (g.left[1], 1) if g.left[0] else (1, g.left[1])
        self.column, self.turn = (g.right[1], 1) if g.right[0] else (1, g.right[1])
        self.adds = g.adds or g.k > cut.depth
        self.uneven, self.ragged = (
            bool(g.k % of or self.last % of) for of in (cut.depth, code.lanes)
        )
        self.rest = g.n % cut.width
        # A line more, so that neighbouring panels do not compete for places in cache.
        self.panel = cut.depth * cut.width + 64 // code.size

    def text(self, name: str) -> str:
        g, cut, code = self.g, self.cut, self.code
        bases = [code.argument(i) for i in range(3)]
        self.room = ""
        partial = g.n % self.lanes
        if cut.copied or partial:
            panels = cut.column_block // cut.width if cut.copied else 1
            self.room = code.room(panels * self.panel)
            # What no copy writes takes part in sums that are thrown away.
            if partial:
                code.fill(self.room, panels * self.panel)
        extents = [b[0] for b in g.batch]
        parts = [-(-g.m // cut.row_block), -(-g.n // cut.column_block)]
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            *places, i, j = code.split(chunk.index, [*extents, *parts])
            row, column = code.mul(i, cut.row_block), code.mul(j, cut.column_block)
            starts: list[list[Value]] = [
                [code.mul(row, self.row)],
                [code.mul(column, self.column)],
                [code.mul(row, g.pitch), column],
            ]
            for place, (_, *strides) in zip(places, g.batch, strict=True):
                for start, stride in zip(starts, strides, strict=True):
                    start.append(code.mul(place, stride))
            self.left, self.right, self.out = (
                code.at(base, code.add(*start)) for base, start in zip(bases, starts, strict=True)
            )
            self.rows = code.least(code.sub(g.m, row), cut.row_block) if parts[0] > 1 else g.m
            self.steps: Value = g.k
            if 0 < self.last < g.k:
                before = code.mul(places[-1], g.k)
                total = g.k * (g.batch[-1][0] - 1) + self.last
                self.steps = code.least(g.k, code.sub(total, before))
            columns = g.n if parts[1] == 1 else code.least(code.sub(g.n, column), cut.column_block)
            self._block(columns)
        return code.function(name)

    def _block(self, columns: Value) -> None:
        """A block of rows and columns, over the whole contraction."""
        g, cut, code = self.g, self.cut, self.code
        if self.adds and not g.adds:
            with code.loop(0, self.rows) as i:
                code.fill(code.at(self.out, code.mul(i, g.pitch)), columns)
        whole = code.mul(code.div(columns, cut.width), cut.width)
        with code.loop(0, self.steps, cut.depth) as start:
            rest = code.sub(self.steps, start)
            self.depth = code.least(rest, cut.depth) if self.uneven else cut.depth
            self.a = code.at(self.left, code.mul(start, self.step))
            self.b = code.at(self.right, code.mul(start, self.turn))
            if cut.copied:
                self._copy(0, whole, cut.width)
            if self.rest and (cut.copied or g.n % self.lanes):
                with code.loop(whole, columns, cut.width) as column:
                    self._copy(column, code.add(column, cut.width), self.rest)
            if cut.by_rows:
                for row, rows in self._tiles():
                    for column, wide in self._panels(whole, columns):
                        self._tile(row, rows, column, wide, self._panel(column, wide))
            else:
                for column, wide in self._panels(whole, columns):
                    panel = self._panel(column, wide)
                    for row, rows in self._tiles():
                        self._tile(row, rows, column, wide, panel)

    def _tiles(self) -> Iterator[tuple[Value, int]]:
        """First row and number of rows of every tile, in open loops."""
        g, cut, code = self.g, self.cut, self.code
        whole = code.mul(code.div(self.rows, cut.rows), cut.rows)
        for first, last, rows in ((0, whole, cut.rows), (whole, self.rows, g.m % cut.rows)):
            if rows and first != last:
                with code.loop(first, last, cut.rows) as row:
                    yield row, rows

    def _panels(self, whole: Value, columns: Value) -> Iterator[tuple[Value, int]]:
        """First column and number of columns of every panel, in open loops."""
        width = self.cut.width
        for first, last, wide in ((0, whole, width), (whole, columns, self.rest)):
            if wide and first != last:
                with self.code.loop(first, last, width) as column:
                    yield column, wide

    def _next_product(
        self, row: Value, rows: int, column: Value, columns: int, step: int = 1
    ) -> list[Ahead]:
        """A tile's share of what the next product of the batch touches, if this chunk has one.

        Args:
            step: of the contraction, from one movement to the next.
        """
        g, cut, code = self.g, self.cut, self.code
        out: list[Ahead] = []
        whole = cut.row_block >= g.m and cut.column_block >= g.n
        if self.last and g.m * g.n < FETCHED * (g.m + g.n):
            return out
        if not (g.batch and (cut.by_rows or whole)):
            return out
        for pointer, size in (
            (self.left, g.m * g.k),
            (self.right, g.k * g.n),
            (self.out, g.m * g.n),
        ):
            each = size // g.m
            start = code.add(code.mul(row, each), code.mul(column, rows * each // g.n), size)
            move = -(-rows * columns * each * step // (g.n * cut.depth))
            out.append(Ahead(code.at(pointer, start), move, -(-move * code.size // 64)))
        return out

    def _next_panel(self, row: Value, panel: str) -> list[Ahead]:
        """A tile's share of the panel behind one that is read where it lies."""
        g, cut, code = self.g, self.cut, self.code
        line = 64 // code.size
        lines = -(-cut.width // line)
        each = -(-lines // -(-min(g.m, cut.row_block) // cut.rows))
        first = code.least(code.mul(code.div(row, cut.rows), each), lines - each)
        place = code.at(panel, code.add(code.mul(first, line), cut.width))
        return [Ahead(place, self.turn, each)]

    def _panel(self, column: Value, columns: int) -> tuple[str, int]:
        """Where a panel is, and how far its rows are apart."""
        cut, code = self.cut, self.code
        if cut.copied or columns % self.lanes:
            return self._room(column), cut.width
        return code.at(self.b, code.mul(column, self.column)), self.turn

    def _tile(
        self, row: Value, rows: int, column: Value, columns: int, panel: tuple[str, int]
    ) -> None:
        """A tile of results, over a block of the contraction."""
        code, g, (right, pitch) = self.code, self.g, panel
        places = tuple(t * self.row for t in range(rows))
        held = Tile(places, tuple(range(0, columns, code.lanes)), code.lanes)
        levels = [Level(self.depth, self.step, pitch)]
        here = code.at(self.a, code.mul(row, self.row))
        ahead = self._next_product(row, rows, column, columns)
        if not (ahead or self.cut.copied or self.cut.by_rows) and columns == self.cut.width:
            ahead = self._next_panel(row, right)
        sums = outer_products(code, held, levels, here, right, ahead)
        self._store(sums, code.at(self.out, code.add(code.mul(row, g.pitch), column)), columns)

    def _store(self, sums: list[str], out: str, columns: int) -> None:
        code, lanes = self.code, self.lanes
        per_row = -(-columns // lanes)
        for number, value in enumerate(sums):
            row, vector = divmod(number, per_row)
            valid = min(lanes, columns - vector * lanes)
            for first, count, part in code.pieces(value, lanes, valid):
                place = row * self.g.pitch + vector * lanes + first
                total = part
                if self.adds:
                    total = code.sum(code.load(out, place, count), part, count)
                code.store(total, out, place, count)

    def _copy(self, first: Value, last: Value, columns: int) -> None:
        """Panels of `columns` columns from `first` to `last` with their columns side by side."""
        cut, code, lanes = self.cut, self.code, self.code.lanes
        if first == last:
            return
        if self.column == 1:
            with code.loop(0, self.depth) as i, code.loop(first, last, cut.width) as column:
                into = code.at(self._room(column), code.mul(i, cut.width))
                source = code.at(self.b, code.add(code.mul(i, self.turn), column))
                code.copy(into, source, columns, 1, 1)
            return
        whole = code.mul(code.div(self.depth, lanes), lanes)
        squares = columns // lanes * lanes
        uneven = self.ragged or cut.depth % lanes
        with code.loop(first, last, cut.width) as start:
            room, source = self._room(start), code.at(self.b, code.mul(start, self.column))
            if whole != 0 and squares:
                with code.loop(0, whole, lanes) as i:
                    into, here = code.at(room, code.mul(i, cut.width)), code.at(source, i)
                    for column in range(0, squares, lanes):
                        square = code.at(here, column * self.column)
                        code.transpose(square, self.column, code.at(into, column), cut.width)
            for low, high, begin in ((0, squares if uneven else 0, whole), (squares, columns, 0)):
                if low == high:
                    continue
                with code.loop(begin, self.depth) as i:
                    into, here = code.at(room, code.mul(i, cut.width)), code.at(source, i)
                    for column in range(low, high):
                        code.store(code.load(here, column * self.column), into, column)

    def _room(self, column: Value) -> str:
        if not self.cut.copied:
            return self.room
        number = self.code.div(column, self.cut.width)
        return self.code.at(self.room, self.code.mul(number, self.panel))


class _Inner(Outer):
    """The same with lanes along the contraction, so that both sides are read as they lie."""

    def __init__(self, g: Gemm, cut: Cut, code: Code, last: int) -> None:
        super().__init__(g, cut, code, last)
        self.lanes = 1

    def _tile(
        self, row: Value, rows: int, column: Value, columns: int, panel: tuple[str, int]
    ) -> None:
        code, g, (right, _) = self.code, self.g, panel
        lanes = code.lanes
        places = tuple(t * self.row for t in range(rows))
        others = tuple(t * self.column for t in range(columns))
        left = code.at(self.a, code.mul(row, self.row))
        held = Tile(places, others, lanes, lanewise=True)
        levels = [Level(code.div(self.depth, lanes), lanes, lanes)]
        ahead = self._next_product(row, rows, column, columns, lanes)
        sums = [code.total(v) for v in outer_products(code, held, levels, left, right, ahead)]
        if self.ragged:
            whole = code.mul(code.div(self.depth, lanes), lanes)
            levels = [Level(code.rem(self.depth, lanes), 1, 1)]
            single = held._replace(lanes=1)
            starts = code.at(left, whole), code.at(right, whole)
            rest = outer_products(code, single, levels, *starts)
            sums = [code.sum(x, y) for x, y in zip(sums, rest, strict=True)]
        self._store(sums, code.at(self.out, code.add(code.mul(row, g.pitch), column)), columns)
