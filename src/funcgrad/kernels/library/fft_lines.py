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
from typing import NamedTuple

from . import Slot
from .conv_code import Value
from .fft_passes import WRITTEN, Lanes, exchanged, halves_in, halves_out, pass_name, pass_text
from .fft_sizes import Steps, steps_of
from .fft_tables import Part, place_of


class Side(NamedTuple):
    """Where lines begin or end.

    Attributes:
        strides: of the outer loops, of lanes and of elements, in numbers.
        numbers: how many of a line are there.
        real: whether numbers are real.
    """

    slot: Slot
    strides: tuple[int, int, int, int]
    numbers: int
    real: bool = False

    @property
    def across(self) -> bool:
        """Whether lanes are neighbours."""
        return self.strides[2] == 1 != self.strides[3]

    @property
    def width(self) -> int:
        """Floats of a number."""
        return 1 if self.real else 2


class Line(NamedTuple):
    """A stage over outer loops and lanes.

    Attributes:
        n: complex length of what is transformed.
        extents: of two outer loops, and of the lanes.
        inverse: whether it is the inverse transform.
        scale: what the result is multiplied by.
        form: "halves out", a real signal whose neighbours are read as a complex number, "halves
            in", back to one, "mirror", back to a real signal of odd length, or "".
        grid: by what the result is multiplied where it is a step of a longer transform: "grid",
            roots that differ between lanes, "plane", between turns of the second loop, or "".
    """

    dtype: str
    n: int
    extents: tuple[int, int, int]
    source: Side
    target: Side
    inverse: bool
    scale: float = 1.0
    form: str = ""
    grid: str = ""


class LineText:
    """Writes the function of a stage."""

    def __init__(self, line: Line, vector_bits: int, table: dict[Part, int]) -> None:
        self.line, self.bits, self.table = line, vector_bits, table
        self.code = Lanes(line.dtype, vector_bits)
        self.steps: Steps = steps_of(line.n)
        self.functions: dict[str, str] = {}
        self.declarations: dict[str, None] = {}

    def text(self, name: str) -> str:
        """The function; those that it calls are in `functions`."""
        code, line = self.code, self.line
        source, target, self.roots = (code.argument(k) for k in range(3))
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
            self._bring(self._start(source, line.source, place), line.source)
            if line.form == "mirror":
                self._mirror()
            elif line.form == "halves in":
                self._halves_in()
                self._exchange()
            self._transform()
            if line.form == "halves out":
                self._halves_out()
                self._exchange()
            if line.grid:
                self._times_grid()
            self._return(self._start(target, line.target, place), line.target)
        text = code.function(name)
        self.declarations.update(dict.fromkeys(code.declarations))
        return text

    def _start(self, base: str, side: Side, place: tuple[Value, ...]) -> str:
        code = self.code
        at = code.add(*(code.mul(i, s) for i, s in zip(place, side.strides, strict=False)))
        return code.at(base, code.mul(at, side.width))

    def _roots(self, kind: str, *numbers: int) -> str:
        """The address of a part of the table."""
        return self.code.at(self.roots, place_of(Part(kind, numbers), self.table))

    # Passes over the buffers.

    def _exchange(self) -> None:
        self.here, self.there = self.there, self.here

    def _transform(self) -> None:
        code, steps, n = self.code, self.steps, self.line.n
        if steps.size == n:
            self._passes(steps)
            return
        chirp, room = self._roots("chirp", n), code.zero(code.lanes)
        self._times(chirp, n)
        with code.loop(n, steps.size) as j:
            code.put((room, room), self.here, j)
        self._passes(steps)
        # The transform back is one of exchanged parts.
        self._times(self._roots("spectrum", n, steps.size), steps.size, after=True)
        self._passes(steps)
        self._times(chirp, n, before=True)

    def _passes(self, steps: Steps) -> None:
        code, rest, done = self.code, steps.size, 1
        for radix in steps.radices:
            rest //= radix
            last = rest == 1
            name = pass_name(radix, last, self.line.dtype)
            if name not in self.functions:
                text, needed = pass_text(radix, last, self.line.dtype, self.bits)
                self.functions[name] = text
                self.declarations.update(dict.fromkeys(needed))
            written = radix in WRITTEN
            none = last and written
            table = self.roots if none else self._roots("twiddles", radix, rest)
            call = f"ptr {self.here}, ptr {self.there}, ptr {table}, i64 {rest}, i64 {done}"
            if not written:
                call += f", ptr {self._roots('odd', radix)}, i64 {radix}"
            code.writer.line(f"call void @{name}({call})")
            done *= radix
            self._exchange()

    def _times(self, table: str, count: int, before: bool = False, after: bool = False) -> None:
        """All elements times numbers of a table, parts exchanged before or after that."""
        code = self.code
        with code.loop(0, count) as j:
            x = code.get(self.here, j)
            x = code.times(exchanged(x, before), code.root(table, j))
            code.put(exchanged(x, after), self.here, j)

    def _times_grid(self) -> None:
        code, n, (_, rows, lanes) = self.code, self.line.n, self.line.extents
        if self.line.grid == "plane":
            table = self._roots("plane", rows, n)
            table = code.at(table, code.mul(self.second, 2 * n))
            pitch = 0
        else:
            pitch = -(-lanes // code.lanes) * code.lanes
            table = code.at(self._roots("grid", n, lanes, pitch), self.first)
        with code.loop(0, n) as k:
            x = code.get(self.here, k)
            if pitch:
                at = code.mul(k, pitch)
                real = code.load(table, at, code.lanes)
                root = real, code.load(table, code.add(at, n * pitch), code.lanes)
            else:
                root = code.root(table, k)
            code.put(code.times(x, root), self.here, k)

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
        table, zero = self._roots("halves", 2 * n), code.zero(code.lanes)
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
        table = self._roots("halves", 2 * n)
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

    @contextmanager
    def _whole(self) -> Generator[None]:
        """Code for blocks that have all lanes."""
        if self.count == self.code.lanes:
            yield
            return
        writer = self.code.writer
        with writer.when(writer.value(f"icmp eq i64 {self.count}, {self.code.lanes}")):
            yield

    @contextmanager
    def _part(self, whole: int, lanes: Value) -> Generator[Value]:
        """So many lanes, one by one, of blocks that lack some."""
        writer = self.code.writer
        lacks = writer.value(f"icmp ne i64 {self.count}, {whole}")
        with writer.when(lacks), self.code.loop(0, lanes) as lane:
            yield lane

    def _bring(self, source: str, side: Side) -> None:
        if side.across:
            self._bring_across(source, side)
        else:
            self._bring_along(source, side)

    def _bring_across(self, source: str, side: Side) -> None:
        code, step = self.code, side.strides[3]
        with self._whole(), code.loop(0, side.numbers) as j:
            x = code.take(source, code.mul(j, step))
            code.put(exchanged(x, self._exchanged), self.here, j)
        if self.count == self.code.lanes:
            return
        with self._part(code.lanes, code.lanes) as lane, code.loop(0, side.numbers) as j:
            # Lanes that are not there are the last one again.
            last = code.least(lane, code.sub(self.count, 1))
            at = code.mul(code.add(code.mul(j, step), last), 2)
            into = code.at(self.here, code.add(code.mul(j, code.unit), lane))
            for k in range(2):
                part = k ^ self._exchanged
                code.store(code.load(source, code.add(at, k)), into, part * code.lanes)

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

    def _scaled(self, x: str) -> str:
        if self.line.scale == 1.0:
            return x
        kind = self.code.vector(self.code.lanes)
        return self.code.writer.value(f"fmul {kind} {x}, {self.code.constant(self.line.scale)}")

    def _return(self, target: str, side: Side) -> None:
        code, back = self.code, self.line.inverse
        if not side.across:
            self._return_along(target, side)
            return
        with self._whole(), code.loop(0, side.numbers) as j:
            real, imag = (self._scaled(x) for x in code.get(self.here, j))
            pair = exchanged((real, imag), back)
            code.give(pair, target, code.mul(j, side.strides[3]))
        if self.count == self.code.lanes:
            return
        lanes, code.lanes = code.lanes, 1
        with self._part(lanes, self.count) as lane, code.loop(0, side.numbers) as j:
            at = code.mul(code.add(code.mul(j, side.strides[3]), lane), 2)
            held = code.at(self.here, code.add(code.mul(j, 2 * lanes), lane))
            for k in range(2):
                value = code.load(held, (k ^ back) * lanes)
                code.store(self._scaled(value), target, code.add(at, k))
        code.lanes = lanes

    def _return_along(self, target: str, side: Side) -> None:
        code, lanes, floats = self.code, self.code.lanes, side.numbers * side.width
        rows = self._rows(target, side)
        back = self.line.inverse
        with self._squares(floats) as (column, width):
            if width == 1:
                at = self._single(column, side.real, back)
                value = self._scaled(code.load(self.here, at, lanes))
                for one, row in zip(code.singles(value), rows, strict=True):
                    code.store(one, row, column)
            else:
                held = [
                    self._scaled(
                        code.load(self.here, self._slot(column, k, side.real, back), lanes)
                    )
                    for k in range(lanes)
                ]
                for x, row in zip(code.turned(held), rows, strict=True):
                    code.store(x, row, column, lanes)
