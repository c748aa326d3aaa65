"""What stages of a Fourier transform have in common: where lines are, and passes over buffers.

In: a `Line`, what a stage does. Out, of what derives from `StageText`: the text of a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import Slot
from .conv_code import Value
from .fft_passes import WRITTEN, Lanes, Pair, pass_name, pass_text, transform
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


class StageText:
    """Code of a stage with two buffers, which passes read and write in turns: `here`, `there`."""

    here: str
    there: str

    def __init__(self, line: Line, vector_bits: int, table: dict[Part, int]) -> None:
        self.line, self.bits, self.table = line, vector_bits, table
        self.code = Lanes(line.dtype, vector_bits)
        self.source, self.target, self._table = (self.code.argument(k) for k in range(3))
        self.functions: dict[str, str] = {}
        self.declarations: dict[str, None] = {}

    def finished(self, name: str) -> str:
        """The text of the function, whose body is written."""
        text = self.code.function(name)
        self.declarations.update(dict.fromkeys(self.code.declarations))
        return text

    def roots(self, kind: str, *numbers: int) -> str:
        """The address of a part of the table."""
        return self.code.at(self._table, place_of(Part(kind, numbers), self.table))

    def start(self, base: str, side: Side, place: tuple[Value, ...]) -> str:
        """Where the first line of a turn is, by the indices of outer loops and the first lane."""
        code = self.code
        at = code.add(*(code.mul(i, s) for i, s in zip(place, side.strides, strict=False)))
        return code.at(base, code.mul(at, side.width))

    def exchange(self) -> None:
        """The buffers change places."""
        self.here, self.there = self.there, self.here

    def passes(self, radices: tuple[int, ...], rest: int, done: int = 1) -> None:
        """Passes over the buffer `here`, where the result is in the end.

        Args:
            rest: the product of the radices.
            done: the product of those of passes before.
        """
        code = self.code
        for radix in radices:
            rest //= radix
            last = rest == 1
            name = pass_name(radix, last, self.line.dtype)
            if name not in self.functions:
                text, needed = pass_text(radix, last, self.line.dtype, self.bits)
                self.functions[name] = text
                self.declarations.update(dict.fromkeys(needed))
            written = radix in WRITTEN
            none = last and written
            table = self.here if none else self.roots("twiddles", radix, rest)
            call = f"ptr {self.here}, ptr {self.there}, ptr {table}, i64 {rest}, i64 {done}"
            if not written:
                call += f", ptr {self.roots('odd', radix)}, i64 {radix}"
            code.writer.line(f"call void @{name}({call})")
            done *= radix
            self.exchange()

    def first_pass(self, radix: int, rest: int, get: Callable[[Value], Pair]) -> None:
        """The first pass, over elements that `get` brings; the result is in the buffer `here`."""
        code = self.code
        table = self.roots("twiddles", radix, rest)
        with code.loop(0, rest) as p:
            held = [get(code.add(p, k * rest)) for k in range(radix)]
            begin = code.mul(p, radix)
            for j, x in enumerate(transform(code, held)):
                if j and rest > 1:
                    x = code.times(x, code.root(table, code.add(code.mul(p, radix - 1), j - 1)))
                code.put(x, self.here, code.add(begin, j))

    def last_pass(self, radix: int, done: int, give: Callable[[Pair, Value], None]) -> None:
        """The last pass, over the buffer `here`; `give` writes each element of the result."""
        code = self.code
        with code.loop(0, done) as q:
            held = [code.get(self.here, code.add(q, done * k)) for k in range(radix)]
            for j, x in enumerate(transform(code, held)):
                give(x, code.add(q, done * j))

    def scaled(self, x: Pair) -> Pair:
        """A number of the result times the factor of the stage."""
        scale = self.line.scale
        return x if scale == 1.0 else self.code.scaled(x, self.code.constant(scale))
