"""Elimination by tiles, on matrices by rows: what single factors and triangular systems share.

A tile is as many rows as registers hold sums of, and up to three vectors of columns. All rows
before are subtracted from it at once, in one loop over products, then its own rows from each other:

    x[i, j] ← x[i, j] - Σ_k c[k, i] x[k, j]   over all k before the tile, then those in it
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple

from .conv_code import KINDS, Code, Value
from .conv_tiles import registers
from .lapack import Matrices, is_served

# Vectors of a tile: with four rows, or eight where there are 32 registers, they hold its sums.
WIDE = 3
# Bytes of a matrix at most: all that is before a tile is read for it, from the second cache.
MOST = 1 << 20
Tile = list[list[str]]


def is_factored(x: Matrices) -> bool:
    """Whether matrices are of a dtype that there are tiles of, not nothing, and small enough."""
    return is_served(x) and x.size * KINDS[x.dtype][1] <= MOST


class Factors(NamedTuple):
    """Numbers c[k, i] in memory: where the first is, and how far those of k and of i are apart."""

    pointer: str
    step: Value
    row: Value


class Blocked(Code):
    """Code on tiles.

    Attributes:
        rows: of a tile.
    """

    def __init__(self, dtype: str, vector_bits: int) -> None:
        super().__init__(dtype, vector_bits)
        self.rows = min(registers(vector_bits) // 4, self.lanes)

    @contextmanager
    def narrow(self) -> Generator[None]:
        """Code with vectors of 128 bits: squares of these are what transpositions go by."""
        whole, self.lanes = self.lanes, 16 // self.size
        yield
        self.lanes = whole

    def pitch(self, columns: int) -> int:
        """Elements from one row of a room to the next: tiles may end behind the columns.

        An odd number of vectors, so that rows do not share their places in caches.
        """
        vectors = -(-(columns + self.lanes) // self.lanes)
        return (vectors + 1 - vectors % 2) * self.lanes

    def all_of(self, one: str) -> str:
        """A number in all lanes."""
        kind = self.vector(self.lanes)
        single = self.writer.value(f"insertelement {kind} poison, {self.kind} {one}, i64 0")
        return self.shuffled(kind, single, "poison", [0] * self.lanes)

    def less(self, total: str, factor: str, x: str) -> str:
        """total - factor · x, rounded once."""
        kind = self.vector(self.lanes)
        return self.fma(self.writer.value(f"fneg {kind} {factor}"), x, total, self.lanes)

    def times(self, a: str, b: str) -> str:
        """a · b of vectors."""
        return self.writer.value(f"fmul {self.vector(self.lanes)} {a}, {b}")

    def tile(self, pointer: str, pitch: Value, rows: int, vectors: int) -> Tile:
        """So many rows and vectors of columns."""
        return [
            [
                self.load(self.at(pointer, self.mul(pitch, r)), v * self.lanes, self.lanes)
                for v in range(vectors)
            ]
            for r in range(rows)
        ]

    def subtracted(
        self, held: Tile, factors: Factors, others: tuple[str, Value], count: Value
    ) -> Tile:
        """A tile less its factors times `count` other rows, these so far apart."""
        rows, vectors = len(held), len(held[0])
        kind = self.vector(self.lanes)
        pointers = [("ptr", factors.pointer), ("ptr", others[0])]
        sums = [(kind, x) for row in held for x in row]
        with self.writer.loop("0", str(count), 1, [*pointers, *sums]) as loop:
            left, right, *carried = loop.carried
            x = [self.load(right, v * self.lanes, self.lanes) for v in range(vectors)]
            loop.next = [self.at(left, factors.step), self.at(right, others[1])]
            for r in range(rows):
                factor = self.broadcast(left, self.mul(factors.row, r), self.lanes)
                mine = carried[r * vectors : (r + 1) * vectors]
                loop.next += [self.less(a, factor, b) for a, b in zip(mine, x, strict=True)]
        found = loop.results[2:]
        return [found[r * vectors : (r + 1) * vectors] for r in range(rows)]

    def solved(self, held: Tile, factors: Factors, inverses: str = "") -> Tile:
        """The rows of a tile less those before them in it, each times its number, if any."""
        rows = [*held]
        for r in range(len(held)):
            if inverses:
                inverse = self.broadcast(inverses, r, self.lanes)
                rows[r] = [self.times(x, inverse) for x in rows[r]]
            step = self.at(factors.pointer, self.mul(factors.step, r))
            for s in range(r + 1, len(held)):
                factor = self.broadcast(step, self.mul(factors.row, s), self.lanes)
                rows[s] = [self.less(a, factor, b) for a, b in zip(rows[s], rows[r], strict=True)]
        return rows

    def put(self, held: Tile, pointer: str, pitch: Value) -> None:
        """Write the rows of a tile."""
        for r, row in enumerate(held):
            for v, x in enumerate(row):
                self.store(x, self.at(pointer, self.mul(pitch, r)), v * self.lanes, self.lanes)

    def each_panel(self, first: Value, last: Value, body: Callable[[Value, int], None]) -> None:
        """`body` for columns first … last - 1, with the first of each tile and its vectors."""
        lanes, wide = self.lanes, WIDE * self.lanes
        columns = self.greatest(self.sub(last, first), 0)
        vectors = self.div(self.add(columns, lanes - 1), lanes)
        whole = self.div(vectors, WIDE)
        with self.loop(0, whole) as i:
            body(self.add(first, self.mul(i, wide)), WIDE)
        rest = self.sub(vectors, self.mul(whole, WIDE))
        start = self.add(first, self.mul(whole, wide))
        for count in range(1, WIDE):
            if isinstance(rest, int):
                if rest == count:
                    body(start, count)
                continue
            with self.writer.when(self.writer.value(f"icmp eq i64 {rest}, {count}")):
                body(start, count)
