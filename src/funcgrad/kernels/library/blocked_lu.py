"""LU with pivoting of rows by tiles, panel after panel of columns as wide as a vector.

All panels before are subtracted from a panel, as unknowns above its square and as products below.
Then it lies by columns in a room of its own: there pivots are looked for, columns divided and
subtracted from those behind by vectors. Rows change places in the rest of the matrix afterwards.
Behind the last row and column are zeros; no row there is a pivot.
Source: Golub & Van Loan, Matrix Computations, 3.4, the left-looking form.
"""

from __future__ import annotations

from . import LibraryKernel, Slot
from .blocked import Blocked, Factors, is_factored
from .conv_code import Value
from .lapack import Call, Matrices, Rooms, kernel_of, permutation


def lu(x: Matrices, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (x) to (L and U in one matrix, pivots from 0, permutation).

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for large matrices.
    """
    if not is_factored(x):
        return None
    code, least = Blocked(x.dtype, vector_bits), min(x.rows, x.columns)
    source, out, pivots, order, scratch = (code.argument(k) for k in range(5))
    flops = least * least * (max(x.rows, x.columns) - least / 3.0)
    panels = _Panels(code, x)
    rooms = Rooms(code, x.many, flops)
    room = code.at(scratch, code.mul(rooms.mine, panels.size))
    call = Call(code, "")
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        start = code.mul(chunk.index, x.size)
        here, there = code.at(source, start), code.at(out, start)
        exchanged = call.at(pivots, code.mul(chunk.index, least))
        with code.loop(0, x.rows) as i:
            row = code.at(room, code.mul(i, panels.pitch))
            code.copy(row, code.at(here, code.mul(i, x.columns)), x.columns, 1, 1)
            code.fill(code.at(row, x.columns), panels.pitch - x.columns)
        for i in range(x.rows, panels.rows):
            code.fill(code.at(room, i * panels.pitch), panels.pitch)
        panels.factor(room, call, exchanged)
        with code.loop(0, x.rows) as i:
            row = code.at(room, code.mul(i, panels.pitch))
            code.copy(code.at(there, code.mul(i, x.columns)), row, x.columns, 1, 1)
        permutation(code, call, exchanged, least, call.at(order, code.mul(chunk.index, x.rows)), x)
    slots: tuple[Slot, ...] = (("in", 0), ("out", 0), ("out", 1), ("out", 2), ("scratch", 0))
    memory = rooms.of(panels.size * code.size)
    return kernel_of(code, "lu", slots, x.many, flops, memory, way="tiles of each matrix")


class _Panels:
    """Elimination in the room of one matrix.

    Attributes:
        rows, pitch: of the room, in which tiles end behind the matrix.
        size: its elements.
    """

    def __init__(self, code: Blocked, x: Matrices) -> None:
        self.code, self.x = code, x
        self.rows = -(-x.rows // code.lanes) * code.lanes
        self.pitch = code.pitch(x.columns)
        self.size = self.rows * self.pitch
        # Columns of a panel, one behind the other.
        self.panel, self.apart = code.room(code.lanes * self.rows), self.rows
        lanes = range(code.lanes)
        self.kind, self.flags = code.vector(code.lanes), f"<{code.lanes} x i1>"
        self.whole = f"i{8 * code.size}"
        self.wholes = f"<{code.lanes} x {self.whole}>"
        self.numbers = f"<{', '.join(f'{self.whole} {k}' for k in lanes)}>"

    def factor(self, room: str, call: Call, pivots: str) -> None:
        """L and U in the place of the matrix; pivots count from 1."""
        code, x, lanes = self.code, self.x, self.code.lanes
        with code.loop(0, x.columns, lanes) as first:
            above = code.least(first, self.rows)
            self._subtracted(room, first, above)
            count = code.least(lanes, code.sub(min(x.rows, x.columns), first))
            with code.writer.when(code.writer.value(f"icmp sgt i64 {count}, 0")):
                self._moved(room, first, into=True)
                with code.loop(0, count) as c:
                    heights = code.sub(x.rows, first), code.sub(self.rows, first)
                    row = self._column(c, *heights)
                    number = code.add(code.add(first, row), 1)
                    place = call.at(pivots, code.add(first, c))
                    code.writer.line(f"store i32 {call.narrow(number)}, ptr {place}")
                self._moved(room, first, into=False)
                with code.loop(0, count) as c:
                    place = call.load(call.at(pivots, code.add(first, c)))
                    row = code.sub(code.writer.value(f"zext i32 {place} to i64"), 1)
                    self._exchanged(room, first, (code.add(first, c), row))

    def _subtracted(self, room: str, first: Value, above: Value) -> None:
        """All columns before a panel from it: unknowns in the rows above, products below."""
        code, pitch = self.code, self.pitch
        top = code.at(room, first)

        def rows_from(i: Value, count: Value, solves: bool) -> None:
            row = code.mul(i, pitch)
            held = code.tile(code.at(top, row), pitch, code.rows, 1)
            factors = Factors(code.at(room, row), 1, pitch)
            held = code.subtracted(held, factors, (top, pitch), count)
            if solves:
                square = Factors(code.at(factors.pointer, i), 1, pitch)
                held = code.solved(held, square)
            code.put(held, code.at(top, row), pitch)

        with code.loop(0, above, code.rows) as i:
            rows_from(i, i, True)
        with code.loop(above, self.rows, code.rows) as i:
            rows_from(i, first, False)

    def _moved(self, room: str, first: Value, into: bool) -> None:
        """A panel from its square on into its own room, by columns, or back."""
        code, pitch = self.code, self.pitch
        with code.loop(first, self.rows, code.lanes) as i:
            square = code.at(room, code.add(code.mul(i, pitch), first))
            mine = code.at(self.panel, code.sub(i, first))
            if into:
                code.transpose(square, pitch, mine, self.apart)
            else:
                code.transpose(mine, self.apart, square, pitch)

    def _exchanged(self, room: str, first: Value, rows: tuple[Value, Value]) -> None:
        """Two rows change places, but for the panel, where they have."""
        code, lanes = self.code, self.code.lanes
        differ = code.writer.value(f"icmp ne i64 {rows[0]}, {rows[1]}")
        one, other = (code.at(room, code.mul(i, self.pitch)) for i in rows)
        with code.writer.when(differ):
            for start, stop in ((0, first), (code.add(first, lanes), self.pitch)):
                with code.loop(start, stop, lanes) as j:
                    x, y = code.load(one, j, lanes), code.load(other, j, lanes)
                    code.store(y, one, j, lanes)
                    code.store(x, other, j, lanes)

    # Within the room of a panel, whose rows count from its square on.

    def _column(self, c: Value, own: Value, height: Value) -> Value:
        """Column c and what it takes from those behind; the row that was its pivot, of its own."""
        code, lanes = self.code, self.code.lanes
        mine = code.at(self.panel, code.mul(c, self.apart))
        row = self._pivot(mine, c, own)
        with code.loop(0, lanes) as d:
            column = code.at(self.panel, code.mul(d, self.apart))
            x, y = code.load(column, c), code.load(column, row)
            code.store(y, column, c)
            code.store(x, column, row)
        below = self._behind(c)
        self._divided(mine, code.load(mine, c), below, height)
        factors = code.load(mine, 0, lanes)
        with code.loop(code.add(c, 1), lanes) as d:
            column = code.at(self.panel, code.mul(d, self.apart))
            by = code.broadcast(column, c, lanes)
            old = code.load(column, 0, lanes)
            new = self._chosen(below, code.less(old, by, factors), old)
            code.store(new, column, 0, lanes)
            with code.loop(lanes, height, lanes) as i:
                x = code.less(code.load(column, i, lanes), by, code.load(mine, i, lanes))
                code.store(x, column, i, lanes)
        return row

    def _behind(self, c: Value) -> str:
        """Which lanes are those of rows behind c, of the first vector."""
        every = self._every(c)
        return self.code.writer.value(f"icmp sgt {self.wholes} {self.numbers}, {every}")

    def _every(self, number: Value) -> str:
        """A number of a row in all lanes."""
        code, kind, writer = self.code, self.wholes, self.code.writer
        if self.whole != "i64" and not isinstance(number, int):
            number = writer.value(f"trunc i64 {number} to {self.whole}")
        one = writer.value(f"insertelement {kind} poison, {self.whole} {number}, i64 0")
        return code.shuffled(kind, one, "poison", [0] * code.lanes)

    def _chosen(self, flags: str, x: str, y: str) -> str:
        return self.code.writer.value(
            f"select {self.flags} {flags}, {self.kind} {x}, {self.kind} {y}"
        )

    def _divided(self, mine: str, pivot: str, below: str, height: Value) -> None:
        """What is below a pivot, divided by it; below a zero all are zeros, and stay."""
        code, lanes, writer = self.code, self.code.lanes, self.code.writer
        zero = writer.value(f"fcmp oeq {code.kind} {pivot}, 0.0")
        with writer.when(writer.value(f"xor i1 {zero}, true")):
            by = code.all_of(pivot)
            first = code.load(mine, 0, lanes)
            found = writer.value(f"fdiv {self.kind} {first}, {by}")
            code.store(self._chosen(below, found, first), mine, 0, lanes)
            with code.loop(lanes, height, lanes) as i:
                x = writer.value(f"fdiv {self.kind} {code.load(mine, i, lanes)}, {by}")
                code.store(x, mine, i, lanes)

    def _pivot(self, mine: str, c: Value, own: Value) -> Value:
        """The first of the own rows, from c on, whose element is largest; c if none is a number."""
        code, lanes, writer = self.code, self.code.lanes, self.code.writer
        name = f"v{lanes}f{8 * code.size}"
        size = writer.declare(f"llvm.fabs.{name}", f"{self.kind} ({self.kind})")

        end = self._every(own)

        def larger(i: Value, best: str, where: str, flags: str = "") -> list[str]:
            x = writer.value(f"call {self.kind} {size}({self.kind} {code.load(mine, i, lanes)})")
            more = writer.value(f"fcmp ogt {self.kind} {x}, {best}")
            if flags:
                more = writer.value(f"and {self.flags} {more}, {flags}")
            here = writer.value(f"add {self.wholes} {self._every(i)}, {self.numbers}")
            # Behind the matrix are zeros, before which what is no number would not come.
            within = writer.value(f"icmp slt {self.wholes} {here}, {end}")
            more = writer.value(f"and {self.flags} {more}, {within}")
            places = f"{self.wholes} {here}, {self.wholes} {where}"
            return [
                self._chosen(more, x, best),
                writer.value(f"select {self.flags} {more}, {places}"),
            ]

        before = self._behind(code.sub(c, 1))
        none = f"splat ({code.kind} -1.0)"
        held = larger(0, none, "zeroinitializer", before)
        with writer.loop(
            str(lanes), str(own), lanes, [(self.kind, held[0]), (self.wholes, held[1])]
        ) as loop:
            loop.next = larger(loop.index, *loop.carried)
        best, where = loop.results
        most = writer.declare(f"llvm.vector.reduce.fmax.{name}", f"{code.kind} ({self.kind})")
        top = writer.value(f"call {code.kind} {most}({self.kind} {best})")
        same = writer.value(f"fcmp oeq {self.kind} {best}, {code.all_of(top)}")
        far = f"splat ({self.whole} {2**31 - 1})"
        places = f"{self.wholes} {where}, {self.wholes} {far}"
        rows = writer.value(f"select {self.flags} {same}, {places}")
        least = writer.declare(
            f"llvm.vector.reduce.umin.v{lanes}{self.whole}", f"{self.whole} ({self.wholes})"
        )
        row = writer.value(f"call {self.whole} {least}({self.wholes} {rows})")
        if self.whole != "i64":
            row = writer.value(f"zext {self.whole} {row} to i64")
        found = writer.value(f"fcmp oge {code.kind} {top}, 0.0")
        return code.chosen(found, row, c)
