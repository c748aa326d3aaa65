"""Systems with one triangle and many right sides, by tiles.

A panel of right sides, as many as a tile has columns, is brought into a room in the first cache,
in which unknowns take their place from the first row on, or from the last one where the triangle is
an upper one: then rows lie backwards. x op(a) = b is op(a)ᵀ xᵀ = bᵀ, so panels are transposed.

    chunk:  some panels, of all systems
"""

from __future__ import annotations

from . import LibraryKernel, Slot
from .blocked import WIDE, Blocked, Factors
from .conv_code import Value
from .lapack import LARGEST, Triangular, is_served, kernel_of, transposed


def triangular_solve(system: Triangular, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (a, b) to x.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for large systems.
    """
    b, n = system.b, system.n
    if not is_served(b) or n * n > LARGEST:
        return None
    text = _Solve(system, vector_bits)
    flops = float(n * n * text.wide)
    slots: tuple[Slot, ...] = (("in", 0), ("in", 1), ("out", 0))
    extent = b.many * text.panels
    return kernel_of(
        text.code, "triangular_solve", slots, extent, flops, way="tiles of right sides"
    )


class _Solve:
    """Writes the function.

    Attributes:
        wide: right sides of a panel.
        panels: of a system.
    """

    def __init__(self, system: Triangular, vector_bits: int) -> None:
        self.system, self.code = system, Blocked(system.b.dtype, vector_bits)
        code, (b, n, *_) = self.code, system
        sides = b.columns if system.left else b.rows
        vectors = min(WIDE, -(-sides // code.lanes))
        self.wide = vectors * code.lanes
        self.panels = -(-sides // self.wide)
        rest = sides - (self.panels - 1) * self.wide
        a, source, out = (code.argument(k) for k in range(3))
        self.room = code.room(n * self.wide)
        self.inverses = "" if system.unit else code.room(n)
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            number, part = code.split(chunk.index, [b.many, self.panels])
            self._triangle(code.at(a, code.mul(number, n * n)))
            first = code.mul(part, self.wide)
            begin = code.add(
                code.mul(number, b.size), first if system.left else code.mul(first, b.columns)
            )
            ends = code.at(source, begin), code.at(out, begin)
            if self.panels > 1:
                last = code.writer.value(f"icmp eq i64 {part}, {self.panels - 1}")
                with code.writer.when(last):
                    self._panel(*ends, rest)
                with code.writer.when(code.writer.value(f"xor i1 {last}, true")):
                    self._panel(*ends, self.wide)
            else:
                self._panel(*ends, rest)

    def _triangle(self, a: str) -> None:
        """Where the factors are, in the order of elimination, and what to divide by."""
        code, n, system = self.code, self.system.n, self.system
        # Of x op(a) = b both sides are turned.
        turned = system.transposed == system.left
        step, row = (n, 1) if turned else (1, n)
        self.forwards = system.lower != turned
        if not self.forwards:
            a, step, row = code.at(a, n * n - 1), -step, -row
        self.factors = Factors(a, step, row)
        if self.inverses:
            with code.loop(0, n) as i:
                x = code.load(a, code.mul(i, step + row))
                one = code.writer.value(f"fdiv {code.kind} 1.0, {x}")
                code.store(one, self.inverses, i)

    def _panel(self, source: str, target: str, sides: int) -> None:
        code, (b, n, *_) = self.code, self.system
        if sides % code.lanes:
            # Lanes without a right side are zeros: what lay there before might be slow to compute.
            with code.loop(0, n) as i:
                last = code.add(code.mul(i, self.wide), sides // code.lanes * code.lanes)
                code.store(code.zero(code.lanes), self.room, last, code.lanes)
        if self.system.left:
            with code.loop(0, n) as i:
                row = code.at(self.room, code.mul(i, self.wide))
                code.copy(row, code.at(source, code.mul(i, b.columns)), sides, 1, 1)
            self._eliminated(-(-sides // code.lanes))
            with code.loop(0, n) as i:
                row = code.at(self.room, code.mul(i, self.wide))
                code.copy(code.at(target, code.mul(i, b.columns)), row, sides, 1, 1)
            return
        with code.narrow():
            transposed(code, source, self.room, sides, n, pitch=self.wide)
        self._eliminated(-(-sides // code.lanes))
        with code.narrow():
            transposed(code, self.room, target, n, sides, apart=self.wide)

    def _eliminated(self, vectors: int) -> None:
        """The unknowns in the place of the right sides."""
        code, n, (pointer, step, row) = self.code, self.system.n, self.factors
        assert isinstance(step, int)
        assert isinstance(row, int)
        pitch = self.wide if self.forwards else -self.wide
        start = self.room if self.forwards else code.at(self.room, (n - 1) * self.wide)

        def rows_from(first: Value, rows: int) -> None:
            there = code.at(start, code.mul(first, pitch))
            factors = Factors(code.at(pointer, code.mul(first, row)), step, row)
            held = code.tile(there, pitch, rows, vectors)
            held = code.subtracted(held, factors, (start, pitch), first)
            square = Factors(code.at(factors.pointer, code.mul(first, step)), step, row)
            inverses = code.at(self.inverses, first) if self.inverses else ""
            code.put(code.solved(held, square, inverses), there, pitch)

        rows = code.rows
        whole = n // rows * rows
        if whole:
            with code.loop(0, whole, rows) as first:
                rows_from(first, rows)
        if whole < n:
            rows_from(whole, n - whole)
