"""Text of what lies between stages of a Fourier transform: each number by itself, or with its pair.

Lines here are whole ones in memory, vectors go along them; `form` says what is done:

    ""            numbers times those of a table, cut or filled up with zeros
    "from real"   complex numbers from real ones, "to real" their real parts
    "mirror"      the coefficients of a real signal of odd length that are not stored
    "halves out"  see `fft_passes.halves_out`, "halves in" the way back
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from . import Slot
from .conv_code import Value
from .fft_passes import Lanes, Pair, exchanged, halves_in, halves_out
from .fft_tables import Part, place_of

# Numbers of a chunk.
_CHUNK = 4096


class Points(NamedTuple):
    """A stage over numbers.

    Attributes:
        source, target: numbers of a line there, and where it is.
        part: the table that numbers are multiplied by.
        before, after: whether parts are exchanged before or after that.
        pitch: numbers from one line of the source to the next; 0: as many as it has.
    """

    dtype: str
    outer: int
    source: tuple[int, Slot]
    target: tuple[int, Slot]
    part: Part | None = None
    before: bool = False
    after: bool = False
    scale: float = 1.0
    form: str = ""
    pitch: int = 0

    @property
    def turns(self) -> int:
        """Numbers of a line, or pairs."""
        if "halves" in self.form:
            return min(self.source[0], self.target[0]) // 2
        return self.target[0] // 2 if self.form == "mirror" else self.target[0]

    @property
    def parts(self) -> int:
        """Chunks of a line."""
        return max(1, -(-self.turns // _CHUNK))

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return self.outer * self.parts

    @property
    def each(self) -> int:
        """Numbers of a chunk."""
        return self.turns // self.parts + 1


def points_text(
    points: Points, vector_bits: int, table: dict[Part, int], name: str
) -> tuple[str, tuple[str, ...]]:
    """The text of the function, and what it needs in its module."""
    code = Lanes(points.dtype, vector_bits)
    source, target, roots = (code.argument(k) for k in range(3))
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        line, part = code.split(chunk.index, [points.outer, points.parts])
        start = code.mul(part, _CHUNK)
        span = start, code.least(code.add(start, _CHUNK), points.turns)
        widths = [1 if points.form == f else 2 for f in ("from real", "to real")]
        here = code.mul(line, (points.pitch or points.source[0]) * widths[0])
        there = code.mul(line, points.target[0] * widths[1])
        ends = code.at(source, here), code.at(target, there)
        if "halves" in points.form:
            kind = Part("halves", (4 * points.turns + 2 * (_half(points) % 2),))
            out = points.form == "halves out"
            halves(code, _half(points), out, ends, span, code.at(roots, place_of(kind, table)))
        elif points.form == "mirror":
            _mirror(code, points, ends, span)
        else:
            if points.part is not None:
                roots = code.at(roots, place_of(points.part, table))
            _each(code, points, ends, span, roots)
    return code.function(name), code.declarations


def _half(points: Points) -> int:
    return min(points.source[0], points.target[0])


@contextmanager
def _lanes(code: Lanes, lanes: int) -> Generator[None]:
    """Code on vectors of so many lanes."""
    whole, code.lanes = code.lanes, lanes
    yield
    code.lanes = whole


def _spans(code: Lanes, span: tuple[Value, Value]) -> list[tuple[int, Value, Value]]:
    """A span in vectors, and what remains in single numbers: lanes, first, last."""
    start, stop = span
    lanes = code.lanes
    if isinstance(start, int) and isinstance(stop, int):
        spans: list[tuple[int, Value, Value]] = []
        while start < stop:
            lanes = min(lanes, 1 << (stop - start).bit_length() - 1)
            first, start = start, start + (stop - start) // lanes * lanes
            spans.append((lanes, first, start))
        return spans
    # Nothing is left of a span that ends before it begins.
    count = code.greatest(code.sub(stop, start), 0)
    between = code.add(start, code.mul(code.div(count, lanes), lanes))
    return [(lanes, start, between), (1, between, stop)]


def _scaled(code: Lanes, x: Pair, scale: float) -> Pair:
    return x if scale == 1.0 else code.scaled(x, code.constant(scale))


def _each(
    code: Lanes, points: Points, ends: tuple[str, str], span: tuple[Value, Value], table: str
) -> None:
    source, target = ends
    held = points.source[0]
    for lanes, first, last in _spans(code, (span[0], code.least(span[1], held))):
        with _lanes(code, lanes), code.loop(first, last, lanes) as j:
            if points.form == "from real":
                x = code.load(source, j, lanes), code.zero(lanes)
            else:
                x = code.take(source, j)
            x = exchanged(x, points.before)
            if points.part is not None:
                x = code.times(x, code.take(table, j))
            x = _scaled(code, exchanged(x, points.after), points.scale)
            if points.form == "to real":
                code.store(x[0], target, j, lanes)
            else:
                code.give(x, target, j)
    if held < points.target[0]:
        behind = code.greatest(span[0], held)
        for lanes, first, last in _spans(code, (behind, span[1])):
            with _lanes(code, lanes), code.loop(first, last, lanes) as j:
                code.give((code.zero(lanes), code.zero(lanes)), target, j)


@contextmanager
def _first(code: Lanes, span: tuple[Value, Value]) -> Generator[None]:
    """Single numbers, in the chunk that begins a line."""
    with _lanes(code, 1):
        if isinstance(span[0], int):
            yield
            return
        with code.writer.when(code.writer.value(f"icmp eq i64 {span[0]}, 0")):
            yield


def _backwards(code: Lanes, x: Pair) -> Pair:
    lanes = code.lanes
    if lanes == 1:
        return x
    kind, order = code.vector(lanes), [*reversed(range(lanes))]
    return code.shuffled(kind, x[0], x[0], order), code.shuffled(kind, x[1], x[1], order)


def _mirror(code: Lanes, points: Points, ends: tuple[str, str], span: tuple[Value, Value]) -> None:
    source, target = ends
    n = points.target[0]
    with _first(code, span):
        code.give((code.take(source, 0)[0], "0.0"), target, 0)
    for lanes, first, last in _spans(code, span):
        with _lanes(code, lanes), code.loop(first, last, lanes) as i:
            x = code.take(source, code.add(i, 1))
            code.give(x, target, code.add(i, 1))
            there = code.sub(n - lanes, i)
            code.give(_backwards(code, code.conjugate(x)), target, there)


def halves(
    code: Lanes, n: int, out: bool, ends: tuple[str, str], span: tuple[Value, Value], table: str
) -> None:
    """`halves_out` of a line of n numbers, or `halves_in`, for a span of pairs; these may stay."""
    source, target = ends
    with _first(code, span):
        real, imag = code.take(source, 0)
        if out:
            code.give((code.op("fadd", real, imag), "0.0"), target, 0)
            code.give((code.op("fsub", real, imag), "0.0"), target, n)
        else:
            last = code.take(source, n)[0]
            code.give((code.op("fadd", real, last), code.op("fsub", real, last)), target, 0)
    for lanes, first, last in _spans(code, span):
        with _lanes(code, lanes), code.loop(first, last, lanes) as i:
            k, behind = code.add(i, 1), code.sub(n - lanes, i)
            pair = code.take(source, k), _backwards(code, code.take(source, behind))
            low, high = (halves_out if out else halves_in)(code, pair, code.take(table, k))
            code.give(low, target, k)
            code.give(_backwards(code, high), target, behind)
