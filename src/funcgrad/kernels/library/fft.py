"""Fourier transforms on the CPU: which stages transform which axes.

Lines are transformed in the lanes of vectors, many at once: rows of a batch, columns of a matrix.
A long line is a matrix itself, of n = r c numbers by rows: its columns are transformed, multiplied
by roots of unity and written by columns, then the columns of that, so both times there are many.

    x[j c + k]  to  y[k r + p] = w^(kp) Σ_j x[j c + k] exp(-2πi jp / r)
    y[k r + p]  to  out[q r + p] = Σ_k y[k r + p] exp(-2πi kq / c)

Real signals of even length are complex ones of half of it.
Source: Bailey, J. Supercomputing 4 (1990), for the transform by columns.
"""

from __future__ import annotations

from math import log2, prod
from typing import NamedTuple

from ..runtime.toolchain import Machine
from . import LibraryKernel, Slot, Stage
from .fft_lines import LineText
from .fft_points import Points, points_text
from .fft_sizes import Way, steps_of, way_of
from .fft_stage import Line, Side
from .fft_tables import Part, Table, place_of
from .fft_within import WithinText

# Bytes of a buffer of lines; a call has two.
_ROOM = 1 << 17
# Nanoseconds of a chunk at least.
_CHUNK = 20_000.0

_IN: Slot = ("in", 0)
_OUT: Slot = ("out", 0)
_TABLE: Slot = ("table", 0)


class FftSpec(NamedTuple):
    """A transform of the last axes.

    Attributes:
        dtype: of the parts.
        kind: "FFT", "IFFT", "RFFT" or "IRFFT".
        shape: of the operand.
        lengths: of the signal along the last axes.
        scale: a factor beside that of the inverse.
    """

    dtype: str
    kind: str
    shape: tuple[int, ...]
    lengths: tuple[int, ...]
    scale: float = 1.0


def build(spec: FftSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of a transform.

    Returns:
        None for empty arrays, and for numbers of coefficients that are not those of the lengths.
    """
    if spec.dtype not in ("float32", "float64") or not prod(spec.shape):
        return None
    last = spec.lengths[-1]
    if spec.kind == "IRFFT" and spec.shape[-1] != last // 2 + 1:
        return None
    return Builder(spec, machine.vector_bits).kernel()


class Builder:
    """Collects the stages of a transform."""

    def __init__(self, spec: FftSpec, vector_bits: int) -> None:
        self.spec, self.bits = spec, vector_bits
        self.size = 4 if spec.dtype == "float32" else 8
        self.lanes = vector_bits // (8 * self.size)
        self.longest = _ROOM // (2 * self.lanes * self.size)
        self.functions: dict[str, str] = {}
        self.declarations: dict[str, None] = {}
        self.stages: list[Stage] = []
        self.scratch: list[int] = []
        self.table: dict[Part, int] = {}
        self.inverse = spec.kind in ("IFFT", "IRFFT")

    def kernel(self) -> LibraryKernel:
        """The kernel."""
        *lead, last = self.spec.lengths
        batch = prod(self.spec.shape[: len(self.spec.shape) - len(self.spec.lengths)])
        stored = last if "R" not in self.spec.kind else last // 2 + 1
        scale = self.spec.scale / (prod(self.spec.lengths) if self.inverse else 1)
        if self.spec.kind == "IRFFT":
            source = _IN
            if lead:
                source = self._space(batch * prod(lead) * stored)
                self._axes(batch, lead, stored, _IN, source)
            self._from_halves(batch * prod(lead), last, source, scale)
        else:
            rows = batch * prod(lead)
            one = 1.0 if lead else scale
            if self.spec.kind == "RFFT":
                self._to_halves(rows, last, one)
            else:
                self._lines(rows, last, 1, _IN, _OUT, one)
            self._axes(batch, lead, stored, _OUT, _OUT, scale)
        if not self.table:
            # The address of a table is asked for everywhere.
            place_of(Part("halves", (2,)), self.table)
        flops = 5.0 * batch * prod(self.spec.lengths) * log2(prod(self.spec.lengths))
        return LibraryKernel(
            self.functions,
            tuple(self.declarations),
            tuple(self.stages),
            tuple(self.scratch),
            flops,
            tables=(Table(self.spec.dtype, tuple(self.table)),),
        )

    def _axes(
        self,
        batch: int,
        lengths: list[int],
        inner: int,
        source: Slot,
        target: Slot,
        scale: float = 1.0,
    ) -> None:
        """Transform axes before the last one."""
        for k in reversed(range(len(lengths))):
            rest = prod(lengths[k + 1 :]) * inner
            outer = batch * prod(lengths[:k])
            self._lines(outer, lengths[k], rest, source, target, 1.0 if k else scale)
            source = target

    def _space(self, numbers: int) -> Slot:
        self.scratch.append(2 * self.size * numbers)
        return ("scratch", len(self.scratch) - 1)

    def _lines(
        self, outer: int, n: int, inner: int, source: Slot, target: Slot, scale: float = 1.0
    ) -> None:
        """Transform complex lines, which may stay where they are."""
        way = way_of(outer, n, inner, self.lanes, self.longest)
        if way.convolved:
            self._convolved(outer, n, way.convolved, source, target, scale)
        elif way.rows:
            self._divided(outer, n, inner, way.rows, source, target, scale)
        elif way.cost == float("inf"):
            self._turned(outer, n, inner, source, target, scale)
        else:
            strides = (0, 0, n, 1) if inner == 1 else (n * inner, 0, 1, inner)
            extents = (1, 1, outer) if inner == 1 else (outer, 1, inner)
            ends = Side(source, strides, n), Side(target, strides, n)
            self._line(Line(self.spec.dtype, n, extents, *ends, self.inverse, scale))

    def _divided(
        self,
        outer: int,
        n: int,
        inner: int,
        rows: int,
        source: Slot,
        target: Slot,
        scale: float,
    ) -> None:
        columns = n // rows
        between = self._space(outer * n * inner)
        if inner == 1:
            extents, grid = (outer, 1, columns), "grid"
            first = Side(source, (n, 0, 1, columns), rows)
            second = Side(between, (n, 0, rows, 1), rows)
        else:
            extents, grid = (outer, columns, inner), "plane"
            first = Side(source, (n * inner, inner, 1, columns * inner), rows)
            second = Side(between, (n * inner, rows * inner, 1, inner), rows)
        self._line(Line(self.spec.dtype, rows, extents, first, second, self.inverse, grid=grid))
        self._lines(outer, columns, rows * inner, between, target, scale)

    def _turned(
        self, outer: int, n: int, inner: int, source: Slot, target: Slot, scale: float
    ) -> None:
        """Long columns with a large prime factor, as rows: matrices are transposed and back."""
        room = self._space(outer * n * inner)
        extents, dtype = (outer, n, inner), self.spec.dtype
        columns, rows = (n * inner, inner, 1, inner), (n * inner, 1, n, 1)
        self._line(Line(dtype, 1, extents, Side(source, columns, 1), Side(room, rows, 1), False))
        self._lines(outer * inner, n, 1, room, room, scale)
        self._line(Line(dtype, 1, extents, Side(room, rows, 1), Side(target, columns, 1), False))

    def _convolved(
        self, outer: int, n: int, size: int, source: Slot, target: Slot, scale: float
    ) -> None:
        """Lines whose length has a large prime factor, as convolutions of stages."""
        room = self._space(outer * size)
        chirp, spectrum = Part("chirp", (n,)), Part("spectrum", (n, size))
        dtype, back = self.spec.dtype, self.inverse
        self._points(Points(dtype, outer, (n, source), (size, room), chirp, before=back))
        self.inverse = False
        self._lines(outer, size, 1, room, room)
        # Exchanged parts make the transform the one back.
        self._points(Points(dtype, outer, (size, room), (size, room), spectrum, after=True))
        self._lines(outer, size, 1, room, room)
        self.inverse = back
        ends = (n, room), (n, target)
        self._points(Points(dtype, outer, *ends, chirp, True, back, scale, pitch=size))

    # Real signals, along the last axis.

    def _to_halves(self, rows: int, n: int, scale: float) -> None:
        half = n // 2
        if n % 2 == 0:
            ends = Side(_IN, (0, 0, half, 1), half), Side(_OUT, (0, 0, half + 1, 1), half + 1)
            line = Line(self.spec.dtype, half, (1, 1, rows), *ends, False, scale, "halves out")
            if self._is_one(rows, half):
                self._line(line)
                return
            room = self._space(rows * half)
            self._lines(rows, half, 1, _IN, room, scale)
            self._points(
                Points(self.spec.dtype, rows, (half, room), (half + 1, _OUT), form="halves out")
            )
            return
        ends = Side(_IN, (0, 0, n, 1), n, True), Side(_OUT, (0, 0, half + 1, 1), half + 1)
        if self._is_one(rows, n):
            self._line(Line(self.spec.dtype, n, (1, 1, rows), *ends, False, scale))
            return
        room = self._space(rows * n)
        self._points(Points(self.spec.dtype, rows, (n, _IN), (n, room), form="from real"))
        self._lines(rows, n, 1, room, room, scale)
        self._points(Points(self.spec.dtype, rows, (half + 1, room), (half + 1, _OUT), pitch=n))

    def _from_halves(self, rows: int, n: int, source: Slot, scale: float) -> None:
        half, dtype = n // 2, self.spec.dtype
        stored = half + 1
        start = Side(source, (0, 0, stored, 1), stored)
        if n % 2 == 0:
            if self._is_one(rows, half):
                goal = Side(_OUT, (0, 0, half, 1), half)
                self._line(Line(dtype, half, (1, 1, rows), start, goal, True, scale, "halves in"))
                return
            room = self._space(rows * half)
            self._points(Points(dtype, rows, (stored, source), (half, room), form="halves in"))
            self._lines(rows, half, 1, room, _OUT, scale)
            return
        if self._is_one(rows, n):
            goal = Side(_OUT, (0, 0, n, 1), n, True)
            self._line(Line(dtype, n, (1, 1, rows), start, goal, True, scale, "mirror"))
            return
        room = self._space(rows * n)
        self._points(Points(dtype, rows, (stored, source), (n, room), form="mirror"))
        self._lines(rows, n, 1, room, room)
        self._points(Points(dtype, rows, (n, room), (n, _OUT), form="to real", scale=scale))

    def _is_one(self, rows: int, n: int) -> bool:
        """Whether rows are transformed in one stage, which then begins or ends with real ones."""
        if n == 1:
            return True
        way = way_of(rows, n, 1, self.lanes, self.longest)
        return way.rows == way.convolved == 0

    # Stages.

    def _line(self, line: Line) -> None:
        if line.n == 1 and line.source.slot == line.target.slot and line.scale == 1.0:
            return
        name = f"fft_lines{len(self.stages)}"
        _, _, lanes = line.extents
        plain = line.source.strides[3] == line.target.strides[3] == 1 and not line.grid
        way = way_of(lanes, line.n, 1, self.lanes, self.longest) if plain else Way(0.0)
        text = (WithinText if way.within else LineText)(line, self.bits, self.table)
        self.functions[name] = text.text(name)
        self.functions.update(text.functions)
        self.declarations.update(text.declarations)
        many = self.lanes // (way.within or 1)
        extent = line.extents[0] * line.extents[1] * -(-line.extents[2] // many)
        each = steps_of(line.n).cost + 3.0 * line.n + 20.0
        if way.within:
            each = way.cost / extent
        ends = line.source.slot, line.target.slot
        self._stage(name, ends, extent, each)

    def _points(self, points: Points) -> None:
        name = f"fft_points{len(self.stages)}"
        text, needed = points_text(points, self.bits, self.table, name)
        self.functions[name] = text
        self.declarations.update(dict.fromkeys(needed))
        ends = points.source[1], points.target[1]
        self._stage(name, ends, points.chunks, 2.0 * points.each)

    def _stage(self, name: str, ends: tuple[Slot, Slot], extent: int, each: float) -> None:
        grain = max(1, min(int(_CHUNK / each), -(-extent // 8)))
        slots = (*ends, _TABLE)
        self.stages.append(Stage(name, slots, extent, grain, extent * each))
