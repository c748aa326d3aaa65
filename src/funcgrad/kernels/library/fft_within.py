"""Text of one stage of a Fourier transform whose lines lie in the lanes of vectors themselves.

Of n = L c numbers of a line, L a power of two and c at least that, lane a holds x[a + L b] at
place b of a buffer: neighbours, which are read as they lie. All lanes are transformed along b by
the passes of `fft_passes`, multiplied by roots of unity, and transformed across lanes: L places are
a square, of which the columns are transformed in registers.

    y_a[k] = Σ_b x[a + L b] exp(-2πi bk / c)
    X[k + c q] = Σ_a y_a[k] exp(-2πi ak / n) exp(-2πi aq / L)

A vector holds as many lines as it has room for. So a line stays in the first cache, where as many
lines as a vector has lanes would not.
"""

from __future__ import annotations

from .conv_code import Value
from .fft_passes import WRITTEN, Pair, exchanged, transform
from .fft_points import halves
from .fft_sizes import lanes_of_line, steps_of
from .fft_stage import Line, StageText
from .fft_tables import Part


class WithinText(StageText):
    """Writes the function of a stage over rows; its forms are "halves out", "halves in" and ""."""

    def __init__(self, line: Line, vector_bits: int, table: dict[Part, int]) -> None:
        super().__init__(line, vector_bits, table)
        self.each = lanes_of_line(line.n, self.code.lanes)
        self.many = self.code.lanes // self.each
        self.places = line.n // self.each
        # What is written out comes first: the first pass brings its elements.
        self.radices = tuple(sorted(steps_of(self.places).radices, key=_order))

    def text(self, name: str) -> str:
        """The function; those that it calls are in `functions`."""
        code, line = self.code, self.line
        n, rows = line.n, line.extents[2]
        size = self.places * code.unit
        self.here, self.there = code.room(size), code.room(size)
        room = code.room(2 * n * self.many) if line.form == "halves in" else ""
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            first = code.mul(chunk.index, self.many)
            last: Value = self.many - 1
            if rows % self.many:
                last = code.least(last, code.sub(rows - 1, first))
            sides = (self.source, line.source), (self.target, line.target)
            sources, targets = (
                self._lines(self.start(base, side, (0, 0, first)), side.strides[2], last)
                for base, side in sides
            )
            if line.form == "halves in":
                inner = [code.at(room, 2 * n * k) for k in range(self.many)]
                for ends in zip(sources, inner, strict=True):
                    self._halves(ends)
                sources = inner
            self._columns(sources)
            self._rows(targets)
            if line.form == "halves out":
                for k, row in enumerate(targets):
                    # A line that is there twice is changed once.
                    if isinstance(last, int):
                        self._halves((row, row))
                        continue
                    with code.writer.when(code.writer.value(f"icmp sle i64 {k}, {last}")):
                        self._halves((row, row))
        return self.finished(name)

    def _lines(self, base: str, apart: int, last: Value) -> list[str]:
        """The addresses of the lines of a vector; those that are not there are the last one."""
        code = self.code
        return [code.at(base, code.mul(code.least(k, last), 2 * apart)) for k in range(self.many)]

    def _halves(self, ends: tuple[str, str]) -> None:
        n, out = self.line.n, self.line.form == "halves out"
        halves(self.code, n, out, ends, (0, n // 2), self.roots("halves", 2 * n))

    def _columns(self, sources: list[str]) -> None:
        """The transforms along b."""
        radices, rest, back = self.radices, self.places, self.line.inverse

        def get(b: Value) -> Pair:
            return exchanged(self._take(sources, b), back)

        if radices[0] in WRITTEN:
            self.first_pass(radices[0], rest // radices[0], get)
            self.passes(radices[1:], rest // radices[0], radices[0])
            return
        with self.code.loop(0, rest) as b:
            self.code.put(get(b), self.here, b)
        self.passes(radices, rest)

    def _rows(self, targets: list[str]) -> None:
        """The transforms across lanes."""
        code, each, places = self.code, self.each, self.places
        table = self.roots("within", each, places)
        with code.loop(0, -(-places // each)) as square:
            # The last square begins earlier where there is no room for a whole one.
            first = code.least(code.mul(square, each), places - each)
            held = [self._turned(table, code.add(first, k)) for k in range(each)]
            real, imag = (code.turned([x[part] for x in held]) for part in range(2))
            for q, x in enumerate(transform(code, [*zip(real, imag, strict=True)])):
                value = exchanged(self.scaled(x), self.line.inverse)
                self._give(value, targets, code.add(first, places * q))

    def _turned(self, table: str, k: Value) -> Pair:
        """Place k of the buffer, times its roots."""
        code, each = self.code, self.each
        place = code.mul(k, 2 * each)
        real, imag = (self._repeated(table, code.add(place, part * each)) for part in range(2))
        return code.times(code.get(self.here, k), (real, imag))

    def _repeated(self, table: str, place: Value) -> str:
        """As many elements as lanes of a line, again for each line."""
        code, each = self.code, self.each
        held = code.load(table, place, each)
        if self.many == 1:
            return held
        kind = code.vector(each)
        return code.shuffled(kind, held, "poison", [*range(each)] * self.many)

    # Neighbours in memory: 2 L floats of each line.

    def _take(self, sources: list[str], b: Value) -> Pair:
        code, lanes = self.code, self.code.lanes
        place = code.mul(b, 2 * self.each)
        if self.many == 1:
            low = code.load(sources[0], place, lanes)
            return code.parted(low, code.load(sources[0], code.add(place, lanes), lanes))
        held, width = [code.load(row, place, 2 * self.each) for row in sources], 2 * self.each
        while len(held) > 2:
            kind = code.vector(width)
            width *= 2
            pairs = zip(held[::2], held[1::2], strict=True)
            held = [code.shuffled(kind, *pair, range(width)) for pair in pairs]
        return code.parted(*held)

    def _give(self, x: Pair, targets: list[str], k: Value) -> None:
        code, lanes = self.code, self.code.lanes
        place, (low, high) = code.mul(k, 2), code.joined(x)
        if self.many == 1:
            code.store(low, targets[0], place, lanes)
            code.store(high, targets[0], code.add(place, lanes), lanes)
            return
        kind, width = code.vector(lanes), 2 * self.each
        for i, row in enumerate(targets):
            first = i * width % lanes
            half = high if i * width >= lanes else low
            if width < lanes:
                half = code.shuffled(kind, half, "poison", range(first, first + width))
            code.store(half, row, place, width)


def _order(radix: int) -> tuple[bool, int]:
    return radix not in WRITTEN, -radix
