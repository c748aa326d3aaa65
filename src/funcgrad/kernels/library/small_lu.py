"""LU with pivoting of rows of small matrices, and systems with triangles, a matrix in each lane.

Which row is the pivot differs between lanes, so rows change places by choices: of each pair of
rows all lanes look at both.
"""

from __future__ import annotations

from . import LibraryKernel, Slot
from .conv_code import Value
from .lapack import Matrices, Triangular
from .small import WRITTEN, Small, lanes_of


def lu(x: Matrices, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (x) to (L and U in one matrix, pivots from 0, permutation).

    Returns:
        None for matrices that are not small.
    """
    lanes, least = lanes_of(x, vector_bits, x.rows, x.columns), min(x.rows, x.columns)
    if not lanes:
        return None
    code = Small(x.dtype, lanes, max(x.rows, x.columns) <= WRITTEN)
    source, out, pivots, order = (code.argument(k) for k in range(4))
    found = Exchanges(code, x)
    with code.blocks(x.many) as first:
        code.bring(code.at(source, code.mul(first, x.size)), x.size, found.matrix)
        found.factor()
        code.give(found.matrix, x.size, code.at(out, code.mul(first, x.size)))
        ints = found.ints
        ints.give(found.pivots, least, ints.at(pivots, code.mul(first, least)))
        ints.give(found.order, x.rows, ints.at(order, code.mul(first, x.rows)))
    steps = 4.0 * least * x.size + 12.0 * x.size
    return code.kernel("small_lu", (("in", 0), ("out", 0), ("out", 1), ("out", 2)), x.many, steps)


class Exchanges:
    """Elimination with pivots that each lane chooses.

    Attributes:
        matrix, pivots, order: the rooms of what goes in and out.
    """

    def __init__(self, code: Small, x: Matrices) -> None:
        self.code, self.ints = code, code.integers()
        self.rows, self.columns = x.rows, x.columns
        self.matrix = code.space(x.size)
        self.pivots = self.ints.space(min(x.rows, x.columns))
        self.order = self.ints.space(x.rows)

    def factor(self) -> None:
        """L and U in the place of the matrix."""
        code, ints = self.code, self.ints
        for i in code.each(0, self.rows):
            ints.put(ints.number(i), self.order, i)
        for k in code.each(0, min(self.rows, self.columns)):
            pivot = self._pivot(k)
            ints.put(pivot, self.pivots, k)
            self._exchange(ints, self.order, k, 1, 0, pivot)
            for j in code.each(0, k):
                self._exchange(code, self.matrix, k, self.columns, j, pivot)
            self._scale(k, self._exchange(code, self.matrix, k, self.columns, k, pivot))
            for j in code.each(code.add(k, 1), self.columns):
                head = self._exchange(code, self.matrix, k, self.columns, j, pivot)
                self._eliminate(k, j, code.negative(head))

    def _at(self, i: Value, j: Value) -> Value:
        return self.code.add(self.code.mul(i, self.columns), j)

    def _pivot(self, k: Value) -> str:
        """The first row, from k on, whose element in column k is largest."""
        code, ints = self.code, self.ints
        first = code.function_of("fabs", code.get(self.matrix, self._at(k, k)))

        def larger(i: Value, held: list[str]) -> list[str]:
            size = code.function_of("fabs", code.get(self.matrix, self._at(i, k)))
            more = code.op("fcmp ogt", size, held[0])
            return [
                code.chosen_lanes(more, size, held[0]),
                ints.chosen_lanes(more, ints.number(i), held[1]),
            ]

        carried = [(code.wide, first), (ints.wide, ints.number(k))]
        return code.fold(code.add(k, 1), self.rows, carried, larger)[1]

    def _exchange(
        self, code: Small, room: str, k: Value, columns: int, j: Value, pivot: str
    ) -> str:
        """Element j of row k and of row `pivot` change places; what is in row k then."""
        first = code.add(code.mul(k, columns), j)
        old = code.get(room, first)

        def turn(i: Value, held: list[str]) -> list[str]:
            at = code.add(code.mul(i, columns), j)
            x, here = code.get(room, at), self.ints.op("icmp eq", pivot, self.ints.number(i))
            code.put(code.chosen_lanes(here, old, x), room, at)
            return [code.chosen_lanes(here, x, held[0])]

        (new,) = code.fold(code.add(k, 1), self.rows, [(code.wide, old)], turn)
        code.put(new, room, first)
        return new

    def _scale(self, k: Value, pivot: str) -> None:
        """Column k below its pivot becomes that of L; of zeros, it stays."""
        code = self.code
        none, by = code.op("fcmp oeq", pivot, code.constant(0.0)), code.divisor(pivot)
        for i in code.each(code.add(k, 1), self.rows):
            x = code.get(self.matrix, self._at(i, k))
            factor = code.chosen_lanes(none, x, code.divided(x, by))
            code.put(factor, self.matrix, self._at(i, k))

    def _eliminate(self, k: Value, j: Value, minus: str) -> None:
        code = self.code
        for i in code.each(code.add(k, 1), self.rows):
            factor, place = code.get(self.matrix, self._at(i, k)), self._at(i, j)
            rest = code.plus_product(code.get(self.matrix, place), factor, minus)
            code.put(rest, self.matrix, place)


def triangular_solve(system: Triangular, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (a, b) to x.

    Returns:
        None for systems that are not small.
    """
    b, n = system.b, system.n
    lanes = lanes_of(b, vector_bits, n, b.rows, b.columns)
    if not lanes:
        return None
    sides = b.columns if system.left else b.rows
    code = Small(b.dtype, lanes, max(n, sides) <= WRITTEN)
    a, right, out = (code.argument(k) for k in range(3))
    triangle, held = code.space(n * n), code.space(b.size)
    with code.blocks(b.many) as first:
        code.bring(code.at(a, code.mul(first, n * n)), n * n, triangle)
        code.bring(code.at(right, code.mul(first, b.size)), b.size, held)
        _substitute(code, system, triangle, held)
        code.give(held, b.size, code.at(out, code.mul(first, b.size)))
    steps = n * n * sides + 8.0 * (n * n + 2 * b.size)
    slots: tuple[Slot, ...] = (("in", 0), ("in", 1), ("out", 0))
    return code.kernel("small_triangular_solve", slots, b.many, steps)


def _substitute(code: Small, system: Triangular, triangle: str, held: str) -> None:
    """x in the place of b; x op(a) = b is op(a)ᵀ xᵀ = bᵀ."""
    n, (b, left) = system.n, (system.b, system.left)
    sides = b.columns if left else b.rows
    turned = left == system.transposed
    lower = system.lower != turned

    def entry(i: Value, j: Value) -> str:
        i, j = (j, i) if turned else (i, j)
        return code.get(triangle, code.add(code.mul(i, n), j))

    def place(i: Value, side: Value) -> Value:
        i, side = (i, side) if left else (side, i)
        return code.add(code.mul(i, b.columns), side)

    for i in code.each(0, n, backwards=not lower):
        by = None if system.unit else code.divisor(entry(i, i))
        known: tuple[Value, Value] = (0, i) if lower else (code.add(i, 1), n)
        for side in code.each(0, sides):

            def less(j: Value, total: list[str], i: Value = i, side: Value = side) -> list[str]:
                return [code.minus_product(total[0], entry(i, j), code.get(held, place(j, side)))]

            first = (code.wide, code.get(held, place(i, side)))
            (rest,) = code.fold(*known, [first], less)
            code.put(rest if by is None else code.divided(rest, by), held, place(i, side))
