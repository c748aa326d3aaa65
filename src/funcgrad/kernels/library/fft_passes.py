"""Text of the passes of a Fourier transform over lines that lie in the lanes of vectors.

A buffer holds the elements of as many lines as a vector has lanes: of each element a vector of real
parts, and one of imaginary parts. A pass of radix r reads r elements that are far apart, transforms
them, multiplies by roots of unity, and writes them where the next pass finds them in order:

    out[q + s (r p + j)] = w^(pj) Σ_k in[q + s (p + m k)] exp(-2πi jk / r)     w = exp(-2πi / rm)

All sizes are arguments, so that all lengths share the functions of their radices.
Source: Stockham's form of Cooley & Tukey's algorithm, Math. Comp. 19 (1965).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .conv_code import Code, Value

# Radices that are written out in registers; other odd ones, up to the largest, are loops.
WRITTEN, LARGEST = (8, 4, 2, 3, 5, 7), 127
# The real and the imaginary part of an element, in all lanes.
Pair = tuple[str, str]


def exchanged(x: Pair, there: bool = True) -> Pair:
    """The parts of a number in the other order, if they are to be."""
    return (x[1], x[0]) if there else x


class Lanes(Code):
    """Code on complex numbers in lanes."""

    def __init__(self, dtype: str, vector_bits: int) -> None:
        super().__init__(dtype, vector_bits)
        self.unit = 2 * self.lanes

    def op(self, name: str, a: str, b: str) -> str:
        """An operation of floats on two vectors."""
        return self.writer.value(f"{name} {self.vector(self.lanes)} {a}, {b}")

    def negative(self, a: str) -> str:
        """-a."""
        return self.writer.value(f"fneg {self.vector(self.lanes)} {a}")

    def constant(self, value: float) -> str:
        """A number in all lanes."""
        held = np.float64(np.float32(value) if self.size == 4 else value)
        number = f"0x{held.view(np.uint64):016X}"
        return number if self.lanes == 1 else f"splat ({self.kind} {number})"

    def plus(self, x: Pair, y: Pair) -> Pair:
        """x + y."""
        return self.op("fadd", x[0], y[0]), self.op("fadd", x[1], y[1])

    def minus(self, x: Pair, y: Pair) -> Pair:
        """x - y."""
        return self.op("fsub", x[0], y[0]), self.op("fsub", x[1], y[1])

    def plus_turned(self, x: Pair, y: Pair) -> Pair:
        """x + iy."""
        return self.op("fsub", x[0], y[1]), self.op("fadd", x[1], y[0])

    def minus_turned(self, x: Pair, y: Pair) -> Pair:
        """x - iy."""
        return self.op("fadd", x[0], y[1]), self.op("fsub", x[1], y[0])

    def scaled(self, x: Pair, factor: str) -> Pair:
        """x times a real vector."""
        return self.op("fmul", x[0], factor), self.op("fmul", x[1], factor)

    def added(self, total: Pair, x: Pair, factor: str) -> Pair:
        """total + x times a real vector."""
        lanes = self.lanes
        return self.fma(x[0], factor, total[0], lanes), self.fma(x[1], factor, total[1], lanes)

    def times(self, x: Pair, y: Pair) -> Pair:
        """x y."""
        low = self.negative(self.op("fmul", x[1], y[1]))
        high = self.op("fmul", x[1], y[0])
        lanes = self.lanes
        return self.fma(x[0], y[0], low, lanes), self.fma(x[0], y[1], high, lanes)

    def root(self, table: str, number: Value) -> Pair:
        """A complex number of a table in all lanes."""
        first = self.mul(number, 2)
        real = self.broadcast(table, first, self.lanes)
        return real, self.broadcast(table, self.add(first, 1), self.lanes)

    def parted(self, low: str, high: str) -> Pair:
        """Real and imaginary parts of complex numbers that lie side by side in two vectors."""
        kind, lanes = self.vector(self.lanes), self.lanes
        even = [2 * k for k in range(lanes)]
        return self.shuffled(kind, low, high, even), self.shuffled(
            kind, low, high, [k + 1 for k in even]
        )

    def joined(self, x: Pair) -> tuple[str, str]:
        """Complex numbers side by side in two vectors."""
        kind, lanes = self.vector(self.lanes), self.lanes
        order = [k // 2 + lanes * (k % 2) for k in range(2 * lanes)]
        return self.shuffled(kind, *x, order[:lanes]), self.shuffled(kind, *x, order[lanes:])

    def take(self, memory: str, number: Value, masks: Pair | None = None) -> Pair:
        """Complex numbers that lie side by side, one for each lane; zeros behind masks."""
        first, lanes = self.mul(number, 2), self.lanes
        places = self.at(memory, first), self.at(memory, self.add(first, lanes))
        if masks is None:
            low, high = (self.load(place, 0, lanes) for place in places)
        else:
            low, high = (self._masked(*x) for x in zip(places, masks, strict=True))
        return (low, high) if lanes == 1 else self.parted(low, high)

    def give(self, x: Pair, memory: str, number: Value, masks: Pair | None = None) -> None:
        """Write complex numbers side by side, one for each lane, those that masks show."""
        first, lanes = self.mul(number, 2), self.lanes
        sides = x if lanes == 1 else self.joined(x)
        for k, side in enumerate(sides):
            place = self.at(memory, self.add(first, k * lanes))
            if masks is None:
                self.store(side, place, 0, lanes)
            else:
                self._store_masked(side, place, masks[k])

    def masks(self, count: Value) -> Pair:
        """Of the floats of two vectors, which are among the first so many."""
        lanes, writer = self.lanes, self.writer
        kind = f"<{lanes} x i64>"
        one = writer.value(f"insertelement {kind} poison, i64 {count}, i64 0")
        every = writer.value(
            f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )
        low, high = (
            ", ".join(f"i64 {k}" for k in range(first, first + lanes)) for first in (0, lanes)
        )
        return (
            writer.value(f"icmp slt {kind} <{low}>, {every}"),
            writer.value(f"icmp slt {kind} <{high}>, {every}"),
        )

    def _masked(self, place: str, mask: str) -> str:
        kind, bits = self.vector(self.lanes), f"<{self.lanes} x i1>"
        name = f"llvm.masked.load.v{self.lanes}f{8 * self.size}.p0"
        at = self.writer.declare(name, f"{kind} (ptr, i32, {bits}, {kind})")
        given = f"ptr {place}, i32 {self.size}, {bits} {mask}, {kind} zeroinitializer"
        return self.writer.value(f"call {kind} {at}({given})")

    def _store_masked(self, value: str, place: str, mask: str) -> None:
        kind, bits = self.vector(self.lanes), f"<{self.lanes} x i1>"
        name = f"llvm.masked.store.v{self.lanes}f{8 * self.size}.p0"
        at = self.writer.declare(name, f"void ({kind}, ptr, i32, {bits})")
        self.writer.line(
            f"call void {at}({kind} {value}, ptr {place}, i32 {self.size}, {bits} {mask})"
        )

    def singles(self, vector: str) -> list[str]:
        """The lanes of a vector."""
        kind = self.vector(self.lanes)
        return [
            self.writer.value(f"extractelement {kind} {vector}, i64 {k}") for k in range(self.lanes)
        ]

    def conjugate(self, x: Pair) -> Pair:
        """The conjugate of x."""
        return x[0], self.negative(x[1])

    def get(self, buffer: str, number: Value) -> Pair:
        """An element of a buffer."""
        first = self.mul(number, self.unit)
        lanes = self.lanes
        return self.load(buffer, first, lanes), self.load(buffer, self.add(first, lanes), lanes)

    def put(self, x: Pair, buffer: str, number: Value) -> None:
        """Write an element of a buffer."""
        first = self.mul(number, self.unit)
        self.store(x[0], buffer, first, self.lanes)
        self.store(x[1], buffer, self.add(first, self.lanes), self.lanes)


def transform(code: Lanes, a: Sequence[Pair]) -> list[Pair]:
    """The transform of a few elements in registers."""
    if len(a) == 2:
        return [code.plus(*a), code.minus(*a)]
    if len(a) == 4:
        low, high = transform(code, a[::2]), transform(code, a[1::2])
        first, second = transform(code, (low[0], high[0]))
        turned = low[1], high[1]
        return [first, code.minus_turned(*turned), second, code.plus_turned(*turned)]
    if len(a) == 8:
        return _eight(code, a)
    return _odd(code, a)


def _eight(code: Lanes, a: Sequence[Pair]) -> list[Pair]:
    even = transform(code, [code.plus(a[k], a[k + 4]) for k in range(4)])
    apart = [code.minus(a[k], a[k + 4]) for k in range(4)]
    root = code.constant(math.sqrt(0.5))
    # Times (1 - i)/√2, -i and (-1 - i)/√2; signs are left to what follows.
    (r1, i1), (r3, i3) = apart[1], apart[3]
    one = code.scaled((code.op("fadd", r1, i1), code.op("fsub", i1, r1)), root)
    three = code.scaled((code.op("fsub", i3, r3), code.op("fadd", i3, r3)), root)
    # The last element is (three[0], -three[1]).
    low = code.minus_turned(apart[0], apart[2]), code.plus_turned(apart[0], apart[2])
    total = code.op("fadd", one[0], three[0]), code.op("fsub", one[1], three[1])
    other = code.op("fsub", one[0], three[0]), code.op("fadd", one[1], three[1])
    odd = [
        code.plus(low[0], total),
        code.minus_turned(low[1], other),
        code.minus(low[0], total),
        code.plus_turned(low[1], other),
    ]
    return [x for pair in zip(even, odd, strict=True) for x in pair]


def _odd(code: Lanes, a: Sequence[Pair]) -> list[Pair]:
    """With sums and differences of elements k and r - k: cosines go with sums, sines with these."""
    r, half = len(a), range(1, len(a) // 2 + 1)
    sums = {k: code.plus(a[k], a[r - k]) for k in half}
    apart = {k: code.minus(a[k], a[r - k]) for k in half}
    out = [a[0]] * r
    for k in half:
        out[0] = code.plus(out[0], sums[k])
    for j in half:
        even, odd = a[0], None
        for k in half:
            angle = 2 * math.pi * (j * k % r) / r
            even = code.added(even, sums[k], code.constant(math.cos(angle)))
            sine = code.constant(math.sin(angle))
            odd = code.scaled(apart[k], sine) if odd is None else code.added(odd, apart[k], sine)
        assert odd is not None
        out[j], out[r - j] = code.minus_turned(even, odd), code.plus_turned(even, odd)
    return out


def halves_out(code: Lanes, ends: tuple[Pair, Pair], root: Pair) -> tuple[Pair, Pair]:
    """Coefficients k and n - k of a real signal x of 2n numbers.

    Args:
        ends: those of the n numbers z[j] = x[2j] + i x[2j+1].
        root: exp(-πi k / n).
    """
    z, y = ends[0], code.conjugate(ends[1])
    half = code.constant(0.5)
    even, odd = code.scaled(code.plus(z, y), half), code.scaled(code.minus(z, y), half)
    turned = code.times((odd[1], code.negative(odd[0])), root)
    return code.plus(even, turned), code.conjugate(code.minus(even, turned))


def halves_in(code: Lanes, ends: tuple[Pair, Pair], root: Pair) -> tuple[Pair, Pair]:
    """The way back of `halves_out`, to twice the coefficients of z."""
    x, y = ends[0], code.conjugate(ends[1])
    even = code.plus(x, y)
    odd = code.times(code.minus(x, y), code.conjugate(root))
    return code.plus_turned(even, odd), code.conjugate(code.minus_turned(even, odd))


def pass_name(radix: int, last: bool, dtype: str) -> str:
    """The name of the function of a pass; the last one has no roots to multiply by."""
    kind = "odd" if radix not in WRITTEN else f"{'last' if last else 'pass'}{radix}"
    return f"fft_{kind}_{dtype}"


def pass_text(radix: int, last: bool, dtype: str, vector_bits: int) -> tuple[str, tuple[str, ...]]:
    """The text of the function of a pass, and what it needs in its module."""
    code, name = Lanes(dtype, vector_bits), pass_name(radix, last, dtype)
    if radix not in WRITTEN:
        return _Odd(code).text(name), code.declarations
    width = code.mul("%s", code.unit)
    apart = code.mul(width, "%m")
    pointers = [("ptr", "%in"), ("ptr", "%out"), ("ptr", "%table")]
    with code.carrying(1 if last else "%m", pointers) as over:
        source, target, table = over.carried
        with code.writer.loop("0", "%s", 1, [("ptr", source), ("ptr", target)]) as along:
            here, there = along.carried
            a = [code.get(code.at(here, code.mul(apart, k)), 0) for k in range(radix)]
            for j, x in enumerate(transform(code, a)):
                # Roots are loaded where they are used: all at once do not fit beside the elements.
                value = x if last or not j else code.times(x, code.root(table, j - 1))
                code.put(value, code.at(there, code.mul(width, j)), 0)
            along.next = [code.at(here, code.unit), code.at(there, code.unit)]
        step = code.mul(width, radix)
        over.next = [
            code.at(source, width),
            code.at(target, step),
            code.at(table, 2 * (radix - 1)),
        ]
    return code.function(name, _PARAMS), code.declarations


class _Odd:
    """Text of the pass of any odd radix, its sums and differences in memory."""

    def __init__(self, code: Lanes) -> None:
        self.code = code
        self.half = code.div("%r", 2)
        self.width = code.mul("%s", code.unit)
        self.apart = code.mul(self.width, "%m")
        self.room = code.room(LARGEST // 2 * 2 * code.unit)

    def text(self, name: str) -> str:
        """The function."""
        code, width = self.code, self.width
        # Some at a time, as many as registers hold sums of, for one sum waits for itself.
        counts = (4, 2, 1) if code.lanes * code.size == 64 else (2, 1)
        ends: list[Value] = [0]
        ends += [code.mul(code.div(self.half, count), count) for count in counts]
        pointers = [("ptr", "%in"), ("ptr", "%out"), ("ptr", "%table")]
        with code.carrying("%m", pointers) as over:
            source, target, table = over.carried
            with code.writer.loop("0", "%s", 1, [("ptr", source), ("ptr", target)]) as along:
                here, there = along.carried
                first = code.get(here, 0)
                self._sums(here, there, first)
                for count, (begin, end) in zip(counts, pairwise(ends), strict=True):
                    with code.loop(begin, end, count) as j:
                        self._rows(first, there, table, j, count)
                along.next = [code.at(here, code.unit), code.at(there, code.unit)]
            step, roots = code.mul(width, "%r"), code.mul(code.sub("%r", 1), 2)
            over.next = [code.at(source, width), code.at(target, step), code.at(table, roots)]
        return code.function(name, f"{_PARAMS}, ptr %odd, i64 %r")

    def _sums(self, here: str, there: str, first: Pair) -> None:
        code = self.code
        kind = code.vector(code.lanes)
        with code.carrying(self.half, [(kind, x) for x in first]) as loop:
            k = code.add(loop.index, 1)
            x = code.get(code.at(here, code.mul(self.apart, k)), 0)
            y = code.get(code.at(here, code.mul(self.apart, code.sub("%r", k))), 0)
            both, place = code.plus(x, y), code.mul(loop.index, 2)
            code.put(both, self.room, place)
            code.put(code.minus(x, y), self.room, code.add(place, 1))
            loop.next = [*code.plus((loop.carried[0], loop.carried[1]), both)]
        code.put((loop.results[0], loop.results[1]), there, 0)

    def _rows(self, first: Pair, there: str, table: str, j: Value, count: int) -> None:
        """Results j + 1 and its neighbours, and those as far from the end."""
        code = self.code
        kind, zero = code.vector(code.lanes), code.zero(code.lanes)
        angles = [
            code.at("%odd", code.mul(code.mul(code.add(j, i), self.half), 2)) for i in range(count)
        ]
        held = [(kind, x) for x in (*first, zero, zero)] * count
        with code.carrying(self.half, held) as row:
            place = code.mul(row.index, 2)
            both, apart = code.get(self.room, place), code.get(self.room, code.add(place, 1))
            for i in range(count):
                c0, c1, d0, d1 = row.carried[4 * i : 4 * i + 4]
                cosine, sine = code.root(angles[i], row.index)
                row.next += [*code.added((c0, c1), both, cosine)]
                row.next += [*code.added((d0, d1), apart, sine)]
        for i in range(count):
            c0, c1, d0, d1 = row.results[4 * i : 4 * i + 4]
            number = code.add(j, i + 1)
            ends = (number, code.minus_turned), (code.sub("%r", number), code.plus_turned)
            for place, made in ends:
                root = code.root(table, code.sub(place, 1))
                value = code.times(made((c0, c1), (d0, d1)), root)
                code.put(value, code.at(there, code.mul(self.width, place)), 0)


_PARAMS = "ptr %in, ptr %out, ptr %table, i64 %m, i64 %s"
