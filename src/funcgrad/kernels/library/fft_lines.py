"""Text of one stage of a Fourier transform: lines brought into lanes, transformed, brought back.

    across    the lanes are neighbours in memory, as in columns of a matrix by rows: vectors are
              read as they lie, and every line of memory is read whole
    along     the elements of a line are neighbours: squares of them are transposed on the way

Between lie the passes of `fft_passes`, over two buffers on the stack. A length with a large prime
factor is a convolution with a chirp, of a better length. The inverse transform is the transform of
numbers whose parts are exchanged, so parts are exchanged on the way in and out.
Source: Bluestein, IEEE Trans. Audio Electroacoust. 18 (1970).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .conv_code import Value
from .fft_passes import WRITTEN, Pair, exchanged, halves_in, halves_out, transform
from .fft_sizes import Steps, steps_of
from .fft_stage import Line, Side, StageText
from .fft_tables import Part


class LineText(StageText):
    """Writes the function of a stage."""

    def __init__(self, line: Line, vector_bits: int, table: dict[Part, int]) -> None:
        super().__init__(line, vector_bits, table)
        self.steps: Steps = steps_of(line.n)
        # Which floats of two vectors are there, where lanes are missing.
        self.masks: Pair | None = None

    def text(self, name: str) -> str:
        """The function; those that it calls are in `functions`."""
        code, line = self.code, self.line
        size = max(self.steps.size, line.source.numbers, line.target.numbers) * code.unit
        self.here, self.there = code.room(size), code.room(size)
        blocks = -(-line.extents[2] // code.lanes)
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            outer = code.split(chunk.index, [*line.extents[:2], blocks])
            self.first, self.second = code.mul(outer[2], code.lanes), outer[1]
            self.count = code.least(code.lanes, code.sub(line.extents[2], self.first))
            if not line.extents[2] % code.lanes:
                self.count = code.lanes
            place = outer[0], outer[1], self.first
            ends = (
                self.start(self.source, line.source, place),
                self.start(self.target, line.target, place),
            )
            if self.count == code.lanes or not (line.source.across or line.target.across):
                self._turn(*ends)
            else:
                self._turn_of_some(*ends)
        return self.finished(name)

    def _turn_of_some(self, source: str, target: str) -> None:
        """A turn which may have all lanes, or lacks some: then vectors are read behind masks."""
        code, writer, buffers = self.code, self.code.writer, (self.here, self.there)
        if isinstance(self.count, int):
            self._turn_behind_masks(source, target)
            return
        whole = writer.value(f"icmp eq i64 {self.count}, {code.lanes}")
        with writer.when(whole):
            self._turn(source, target)
        self.here, self.there = buffers
        with writer.when(writer.value(f"xor i1 {whole}, true")):
            self._turn_behind_masks(source, target)

    def _turn_behind_masks(self, source: str, target: str) -> None:
        self.masks = self.code.masks(self.code.mul(self.count, 2))
        self._turn(source, target)
        self.masks = None

    def _turn(self, source: str, target: str) -> None:
        """The lines of all lanes, which the first pass brings and the last one returns."""
        line, n = self.line, self.line.n
        starts, ends = line.source.across, line.target.across

        def get(j: Value) -> Pair:
            return self._taken(source, j)

        def give(x: Pair, j: Value) -> None:
            self._given(x, target, j)

        if line.form or self.steps.size != n or n == 1:
            self._turn_apart(source, target)
            return
        # What is written out is at the ends.
        odd = [r for r in self.steps.radices if r not in WRITTEN]
        written = [r for r in self.steps.radices if r in WRITTEN]
        radices, done = (*written[:1], *odd, *written[1:]), 1
        if starts and ends and len(radices) == 1 and written:
            for j, x in enumerate(transform(self.code, [get(k) for k in range(n)])):
                give(x, j)
            return
        if starts and written:
            done = radices[0]
            self.first_pass(done, n // done, get)
            radices = radices[1:]
        else:
            self._bring(source)
        last = radices[-1] if ends and radices and radices[-1] in WRITTEN else 0
        self.passes(radices[:-1] if last else radices, n // done, done)
        if last:
            self.last_pass(last, n // last, give)
        else:
            self._return(target)

    def _turn_apart(self, source: str, target: str) -> None:
        line = self.line
        self._bring(source)
        if line.form == "mirror":
            self._mirror()
        elif line.form == "halves in":
            self._halves_in()
            self.exchange()
        self._transform()
        if line.form == "halves out":
            self._halves_out()
            self.exchange()
        self._return(target)

    # Passes over the buffers.

    def _transform(self) -> None:
        code, steps, n = self.code, self.steps, self.line.n
        if steps.size == n:
            self.passes(steps.radices, steps.size)
            return
        chirp, room = self.roots("chirp", n), code.zero(code.lanes)
        self._times(chirp, n)
        with code.loop(n, steps.size) as j:
            code.put((room, room), self.here, j)
        self.passes(steps.radices, steps.size)
        # The transform back is one of exchanged parts.
        self._times(self.roots("spectrum", n, steps.size), steps.size, after=True)
        self.passes(steps.radices, steps.size)
        self._times(chirp, n, before=True)

    def _times(self, table: str, count: int, before: bool = False, after: bool = False) -> None:
        """All elements times numbers of a table, parts exchanged before or after that."""
        code = self.code
        with code.loop(0, count) as j:
            x = code.get(self.here, j)
            x = code.times(exchanged(x, before), code.root(table, j))
            code.put(exchanged(x, after), self.here, j)

    def _on_grid(self, x: Pair, k: Value) -> Pair:
        """Element k of the lines, times the roots by which a longer transform multiplies it."""
        code, n, (_, rows, lanes) = self.code, self.line.n, self.line.extents
        if not self.line.grid:
            return x
        if self.line.grid == "plane":
            table = code.at(self.roots("plane", rows, n), code.mul(self.second, 2 * n))
            return code.times(x, code.root(table, k))
        pitch = -(-lanes // code.lanes) * code.lanes
        table = code.at(self.roots("grid", n, lanes, pitch), self.first)
        at = code.mul(k, pitch)
        real = code.load(table, at, code.lanes)
        return code.times(x, (real, code.load(table, code.add(at, n * pitch), code.lanes)))

    # Real signals.

    def _mirror(self) -> None:
        """The coefficients of a real signal of odd length that are not stored.

        The parts of those that are there are exchanged, as those of all will have to be.
        """
        code, n = self.code, self.line.n
        first = code.get(self.here, 0)
        code.put((code.zero(code.lanes), first[1]), self.here, 0)
        with code.loop(1, n // 2 + 1) as k:
            imag, real = code.get(self.here, k)
            code.put((code.negative(imag), real), self.here, code.sub(n, k))

    def _halves_out(self) -> None:
        """From the transform of x[2j] + i x[2j+1] to that of x."""
        code, n = self.code, self.line.n
        table, zero = self.roots("halves", 2 * n), code.zero(code.lanes)
        real, imag = code.get(self.here, 0)
        code.put((code.op("fadd", real, imag), zero), self.there, 0)
        code.put((code.op("fsub", real, imag), zero), self.there, n)
        with code.loop(1, n // 2 + 1) as k:
            ends = code.get(self.here, k), code.get(self.here, code.sub(n, k))
            low, high = halves_out(code, ends, code.root(table, k))
            code.put(low, self.there, k)
            code.put(high, self.there, code.sub(n, k))

    def _halves_in(self) -> None:
        """Twice what `_halves_out` began with, its parts exchanged."""
        code, n = self.code, self.line.n
        table = self.roots("halves", 2 * n)
        first, last = code.get(self.here, 0)[0], code.get(self.here, n)[0]
        start = code.op("fadd", first, last), code.op("fsub", first, last)
        code.put(exchanged(start), self.there, 0)
        with code.loop(1, n // 2 + 1) as k:
            ends = code.get(self.here, k), code.get(self.here, code.sub(n, k))
            low, high = halves_in(code, ends, code.root(table, k))
            code.put(exchanged(low), self.there, k)
            code.put(exchanged(high), self.there, code.sub(n, k))

    # Ways in and out.

    @property
    def _exchanged(self) -> bool:
        """Whether parts are exchanged on the way in; `halves in` does it later."""
        return self.line.inverse and self.line.form != "halves in"

    def _taken(self, source: str, j: Value) -> Pair:
        """Element j of lines that are neighbours; lanes that are not there are zeros."""
        number = self.code.mul(j, self.line.source.strides[3])
        return exchanged(self.code.take(source, number, self.masks), self._exchanged)

    def _given(self, x: Pair, target: str, j: Value) -> None:
        """Write element j of lines that are neighbours."""
        x = exchanged(self.scaled(self._on_grid(x, j)), self.line.inverse)
        self.code.give(x, target, self.code.mul(j, self.line.target.strides[3]), self.masks)

    def _bring(self, source: str) -> None:
        side = self.line.source
        if not side.across:
            self._bring_along(source, side)
            return
        with self.code.loop(0, side.numbers) as j:
            self.code.put(self._taken(source, j), self.here, j)

    def _return(self, target: str) -> None:
        side = self.line.target
        if not side.across:
            self._return_along(target, side)
            return
        with self.code.loop(0, side.numbers) as j:
            self._given(self.code.get(self.here, j), target, j)

    def _rows(self, base: str, side: Side) -> list[str]:
        """The addresses of the lines of all lanes; those that are not there are the last one."""
        code, apart = self.code, side.strides[2] * side.width
        last = code.sub(self.count, 1)
        return [code.at(base, code.mul(code.least(k, last), apart)) for k in range(code.lanes)]

    def _slot(self, column: Value, k: int, real: bool, back: bool) -> Value:
        """Where the vector of floats number `column + k` of all lines is in a buffer."""
        code = self.code
        if real:
            return code.add(code.mul(code.add(column, k), code.unit), back * code.lanes)
        # Columns begin with real parts.
        return code.add(code.mul(column, code.lanes), (k ^ back) * code.lanes)

    @contextmanager
    def _squares(self, floats: int) -> Generator[tuple[Value, int]]:
        """Columns of squares that cover lines of so many floats; those of single columns else.

        The last square begins earlier where there is no room for a whole one.
        """
        code, lanes = self.code, self.code.lanes
        if floats < lanes:
            with code.loop(0, floats) as column:
                yield column, 1
            return
        count = -(-floats // lanes)
        with code.loop(0, count) as square:
            yield code.least(code.mul(square, lanes), floats - lanes), lanes

    def _bring_along(self, source: str, side: Side) -> None:
        code, lanes, floats = self.code, self.code.lanes, side.numbers * side.width
        rows = self._rows(source, side)
        with self._squares(floats) as (column, width):
            if width == 1:
                # Of few columns, the part of a number is not known here.
                at = self._single(column, side.real, self._exchanged)
                for k, row in enumerate(rows):
                    code.store(code.load(row, column), self.here, code.add(at, k))
            else:
                held = code.turned([code.load(row, column, lanes) for row in rows])
                for k, x in enumerate(held):
                    at = self._slot(column, k, side.real, self._exchanged)
                    code.store(x, self.here, at, lanes)
        if side.real:
            with code.loop(0, side.numbers) as j:
                at = code.add(code.mul(j, code.unit), 0 if self._exchanged else lanes)
                code.store(code.zero(lanes), self.here, at, lanes)

    def _single(self, column: Value, real: bool, back: bool) -> Value:
        code = self.code
        if real:
            return self._slot(column, 0, True, back)
        if not back:
            return code.mul(column, code.lanes)
        other = column ^ 1 if isinstance(column, int) else code.writer.value(f"xor i64 {column}, 1")
        return code.mul(other, code.lanes)

    def _return_along(self, target: str, side: Side) -> None:
        code, lanes, floats = self.code, self.code.lanes, side.numbers * side.width
        # What is in the place of lines that are not there comes first, the last line behind it.
        rows = self._rows(target, side)[::-1]
        if floats < lanes and self.line.grid:
            with code.loop(0, side.numbers) as k:
                code.put(self._on_grid(code.get(self.here, k), k), self.here, k)
        with self._squares(floats) as (column, width):
            if width == 1:
                at = self._single(column, side.real, self.line.inverse)
                value = code.load(self.here, at, lanes)
                if self.line.scale != 1.0:
                    value = code.op("fmul", value, code.constant(self.line.scale))
                for one, row in zip(code.singles(value)[::-1], rows, strict=True):
                    code.store(one, row, column)
            else:
                held = code.turned(self._columns(column, side))[::-1]
                for x, row in zip(held, rows, strict=True):
                    code.store(x, row, column, lanes)

    def _columns(self, column: Value, side: Side) -> list[str]:
        """As many columns of the result, from one on, as a square has."""
        code, lanes, back = self.code, self.code.lanes, self.line.inverse
        if side.real:
            held = [
                code.load(self.here, self._slot(column, k, True, back), lanes) for k in range(lanes)
            ]
            return [self.scaled((x, x))[0] for x in held]
        first, held = code.div(column, 2), list[str]()
        for k in range(lanes // 2):
            number = code.add(first, k)
            x = self.scaled(self._on_grid(code.get(self.here, number), number))
            held += exchanged(x, back)
        return held
