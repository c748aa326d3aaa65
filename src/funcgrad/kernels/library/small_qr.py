"""QR by reflections of small matrices, a matrix in each lane.

Each column is reflected into a multiple of the first unit vector, H = I − τ v vᵀ with v₀ = 1, with
the signs of LAPACK: the diagonal of R has the other sign than what was there, unless there was
nothing below, which leaves the column as it is.
Source: Golub & Van Loan, Matrix Computations, 4th edition, algorithms 5.1.1 and 5.2.1.
"""

from __future__ import annotations

from . import LibraryKernel, Slot
from .conv_code import Value
from .lapack import Matrices
from .small import WRITTEN, Small, lanes_of


def qr(x: Matrices, full: bool, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (x) to (q, r), of square q where `full`.

    Returns:
        None for matrices that are not small.
    """
    m, n = x.rows, x.columns
    inner, lanes = m if full else min(m, n), lanes_of(x, vector_bits, m, n)
    if not lanes:
        return None
    code = Small(x.dtype, lanes, max(m, n) <= WRITTEN)
    source, q, r = (code.argument(k) for k in range(3))
    made = Reflections(code, x, inner)
    with code.blocks(x.many) as first:
        code.bring(code.at(source, code.mul(first, x.size)), x.size, made.matrix)
        made.factor()
        made.multiply()
        made.clear()
        code.give(made.factors, m * inner, code.at(q, code.mul(first, m * inner)))
        code.give(made.matrix, inner * n, code.at(r, code.mul(first, inner * n)))
    steps = 4.0 * min(m, n) * m * (n + inner) + 8.0 * m * (n + inner)
    slots: tuple[Slot, ...] = (("in", 0), ("out", 0), ("out", 1))
    return code.kernel("small_qr", slots, x.many, steps)


class Reflections:
    """The reflections of a matrix, and their product.

    Attributes:
        matrix: the room of x, then of r with the v below its diagonal.
        factors: the room of q.
    """

    def __init__(self, code: Small, x: Matrices, inner: int) -> None:
        self.code, self.rows, self.columns, self.inner = code, x.rows, x.columns, inner
        self.least = min(x.rows, x.columns)
        self.matrix, self.factors = code.space(x.size), code.space(x.rows * inner)
        self.taus = code.space(self.least)

    def _at(self, i: Value, j: Value) -> Value:
        return self.code.add(self.code.mul(i, self.columns), j)

    def _below(self, k: Value) -> tuple[Value, Value]:
        """The rows below row k."""
        return self.code.add(k, 1), self.rows

    def factor(self) -> None:
        """Reflect column after column."""
        code = self.code
        for k in code.each(0, self.least):
            tau = self._reflection(k)
            code.put(tau, self.taus, k)
            for j in code.each(code.add(k, 1), self.columns):
                self._reflect(k, tau, self.matrix, self.columns, j)

    def multiply(self) -> None:
        """The product of the reflections, from the last to the first."""
        code = self.code
        for i in code.each(0, self.rows):
            for j in code.each(0, self.inner):
                code.put(code.constant(0.0), self.factors, self._place(i, j))
        for i in code.each(0, self.inner):
            code.put(code.constant(1.0), self.factors, self._place(i, i))
        for k in code.each(0, self.least, backwards=True):
            tau = code.get(self.taus, k)
            for j in code.each(k, self.inner):
                self._reflect(k, tau, self.factors, self.inner, j)

    def _place(self, i: Value, j: Value) -> Value:
        return self.code.add(self.code.mul(i, self.inner), j)

    def clear(self) -> None:
        """Zeros below the diagonal of r."""
        code = self.code
        for j in code.each(0, self.least):
            for i in code.each(code.add(j, 1), self.rows):
                code.put(code.constant(0.0), self.matrix, self._at(i, j))

    def _reflection(self, k: Value) -> str:
        """v below the diagonal of column k and what it becomes on it; τ."""
        code, below = self.code, self._below(k)
        head = code.get(self.matrix, self._at(k, k))

        def largest(i: Value, held: list[str]) -> list[str]:
            x = code.get(self.matrix, self._at(i, k))
            size = code.function_of("fabs", x)
            more = code.op("fcmp ogt", size, held[0])
            some = code.op("fcmp une", x, code.constant(0.0))
            any_yet = code.writer.value(f"or {code.flags} {held[1]}, {some}")
            return [code.chosen_lanes(more, size, held[0]), any_yet]

        none = "false" if code.lanes == 1 else "zeroinitializer"
        start = [(code.wide, code.function_of("fabs", head)), (code.flags, none)]
        size, some = code.fold(*below, start, largest)
        by = code.divisor(size)

        def squares(i: Value, held: list[str]) -> list[str]:
            x = code.divided(code.get(self.matrix, self._at(i, k)), by)
            return [code.plus_product(held[0], x, x)]

        first = code.divided(head, by)
        (total,) = code.fold(*below, [(code.wide, code.op("fmul", first, first))], squares)
        length = code.op("fmul", size, code.function_of("sqrt", total))
        goal = code.negative(code.function_of("copysign", length, head))
        tau = code.op("fdiv", code.op("fsub", goal, head), goal)
        over = code.divisor(code.op("fsub", head, goal))
        for i in code.each(*below):
            x = code.get(self.matrix, self._at(i, k))
            moved = code.chosen_lanes(some, code.divided(x, over), x)
            code.put(moved, self.matrix, self._at(i, k))
        code.put(code.chosen_lanes(some, goal, head), self.matrix, self._at(k, k))
        return code.chosen_lanes(some, tau, code.constant(0.0))

    def _reflect(self, k: Value, tau: str, room: str, columns: int, j: Value) -> None:
        """Reflection k of column j of what is in a room."""
        code, below = self.code, self._below(k)

        def place(i: Value) -> Value:
            return code.add(code.mul(i, columns), j)

        def times(i: Value, held: list[str]) -> list[str]:
            v = code.get(self.matrix, self._at(i, k))
            return [code.plus_product(held[0], v, code.get(room, place(i)))]

        head = code.get(room, place(k))
        (along,) = code.fold(*below, [(code.wide, head)], times)
        less = code.op("fmul", along, tau)
        code.put(code.op("fsub", head, less), room, place(k))
        minus = code.negative(less)
        for i in code.each(*below):
            v = code.get(self.matrix, self._at(i, k))
            code.put(code.plus_product(code.get(room, place(i)), v, minus), room, place(i))
