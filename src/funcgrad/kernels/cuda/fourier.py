"""Fourier transforms: a block has some lines in shared memory, each pass reads and writes once.

    lines of up to LONGEST:  one pass for each axis, along memory or across it
    longer ones:             two passes for an axis: columns of a matrix, then its rows

In: an eqn of complex or real signals whose lengths have no prime factor beyond 13. Out: launches.
The one idea: a pass is a loop over lines, each with a place where its elements are, and one where
they go; which axis it is, and whether it is part of a longer one, is in these places alone. Within
a block the line is gone over in place, a radix at a time; what comes out in the order of reversed
digits is put right on the way to memory.

Source: Van Loan, Computational Frameworks for the Fast Fourier Transform, 1992, sections 1.9, 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt, prod
from typing import Any, NamedTuple

import numpy as np

from ...ir.jaxpr import Eqn
from ...ir.nests import Buffer
from .butterflies import Butterfly
from .limits import most_shared
from .panels import Lines
from .products import ProductLaunch
from .words import CudaLibrary, memory_type

DType = np.dtype[Any]
# Bytes of a line that a block keeps, and of all its lines.
_LINE, _BLOCK = 64 << 10, 132 << 10
# Of a line on GPUs that give a block no more than all do; what lines need beside their elements.
_LEAST_LINE, _SPARE = 32 << 10, 4 << 10
# Bytes of the lines of a block that lie along memory; across it, of neighbours side by side.
_ALONG, _BESIDE = 16 << 10, 64
_MOST_THREADS = 256
_PRIMES = (3, 5, 7, 11, 13)


class Pass(NamedTuple):
    """One transform of lines.

    Attributes:
        n, lines: the length of a line, and how many there are.
        inner, target: elements between neighbours of a line, where it is read and written.
        given, made: "complex", "real", or "half", the stored coefficients of a real signal.
        whole: the length of the transform that this is a part of.
        turned: of the first part of a longer one, elements between neighbours of the second.
        scale: of what is written.
    """

    n: int
    lines: int
    inner: int
    target: int
    given: str
    made: str
    whole: int
    turned: int = 0
    scale: float = 1.0


def longest(dtype: DType, target: str = "") -> int:
    """The longest line of one pass on a GPU, or on all of them; dtype: of a real part."""
    line = _LINE if target and most_shared(target) > _LINE + _SPARE else _LEAST_LINE
    return line // (2 * dtype.itemsize)


def radices(n: int, largest: int) -> list[int]:
    """What a length is made of: powers of 2 up to `largest`, as few as can be, and primes."""
    twos = (n & -n).bit_length() - 1
    n >>= twos
    most = largest.bit_length() - 1
    count = -(-twos // most)
    found = [1 << (twos // count + (k < twos % count)) for k in range(count)]
    for p in _PRIMES:
        while n % p == 0:
            found.append(p)
            n //= p
    return found if n == 1 else []


def split(n: int, dtype: DType, target: str = "") -> tuple[int, int] | None:
    """Lengths of one or two passes whose product is n; None where there are none."""
    if n > 1 and not radices(n, 8):
        return None
    most = longest(dtype, target)
    if n <= most:
        return n, 1
    first = next((k for k in range(isqrt(n), 0, -1) if n % k == 0), 1)
    return (first, n // first) if n // first <= most else None


def is_smooth(eqn: Eqn) -> bool:
    """Whether there are passes for all axes of a transform."""
    aval, how = eqn.invars[0].aval, eqn.params
    lengths: tuple[int, ...] = how["fft_lengths"]
    dtype = np.dtype(f"float{4 * eqn.outvars[0].aval.dtype.itemsize}")
    back = how["fft_type"].name == "IRFFT"
    if back:
        dtype = eqn.outvars[0].aval.dtype
    if aval.dtype.name not in ("float32", "float64", "complex64", "complex128"):
        return False
    if back and aval.shape[-1] != lengths[-1] // 2 + 1:
        return False
    return aval.size > 0 and all(split(n, dtype) is not None for n in lengths)


def _passes(eqn: Eqn, dtype: DType, target: str) -> list[Pass]:
    """The passes of a transform, in order."""
    how = eqn.params
    lengths: tuple[int, ...] = how["fft_lengths"]
    kind, rank, last = how["fft_type"].name, len(lengths), lengths[-1]
    shape = eqn.invars[0].aval.shape
    count = prod(shape[: len(shape) - rank])
    real = kind in ("RFFT", "IRFFT")
    stored = last // 2 + 1 if real else last
    both, others = ("complex", "complex"), list[Pass]()
    for axis in range(rank - 1):
        inner = prod(lengths[axis + 1 : -1]) * stored
        lines = count * prod(lengths[:axis]) * inner
        others += _along(lengths[axis], lines, inner, both, dtype, target)
    ends = {"RFFT": ("real", "half"), "IRFFT": ("half", "real")}
    lines = count * prod(lengths[:-1])
    own = list(_along(last, lines, 1, ends.get(kind, both), dtype, target))
    found = others + own if kind == "IRFFT" else own + others
    scale = how.get("scale", 1.0) / (prod(lengths) if kind in ("IFFT", "IRFFT") else 1)
    return [*found[:-1], found[-1]._replace(scale=scale)]


def _along(
    n: int, lines: int, inner: int, ends: tuple[str, str], dtype: DType, target: str
) -> Iterator[Pass]:
    """The passes along one axis; `ends`: what is read, and what is written."""
    (given, made), parts = ends, split(n, dtype, target)
    assert parts is not None
    first, second = parts
    if second == 1:
        yield Pass(n, lines, inner, inner, given, made, n)
        return
    # x[second · j + i]: along j, then along i, to X[k + first · l].
    wide = second * inner
    yield Pass(first, lines * second, wide, wide, given, "complex", n, inner)
    yield Pass(second, lines * first, inner, first * inner, "complex", made, n)


class Made(NamedTuple):
    """A transform as launches, the memory they need between, and what they read."""

    launches: list[ProductLaunch]
    scratch: list[Buffer]
    constants: dict[Buffer, np.ndarray[Any, Any]]


def fourier_launches(
    name: str, eqn: Eqn, read: Buffer, written: Buffer, library: CudaLibrary, target: str
) -> Made:
    """The launches of a transform of which `is_smooth` holds.

    Args:
        target: the GPU, for what a block can share.
    """
    dtype = read.dtype
    sign = -1 if eqn.params["fft_type"].name in ("FFT", "RFFT") else 1
    passes, made = _passes(eqn, dtype, target), Made([], [], {})
    source = read
    for k, p in enumerate(passes):
        out = written
        if k < len(passes) - 1:
            # What lies in between: where this pass does not read.
            size = 2 * (_half(p) if p.made == "half" else p.lines * p.n)
            out = Buffer((size,), dtype, f"{name}_between{k}")
            made.scratch.append(out)
        text = _Text(f"{name}_{k}" if k else name, p, sign, library, dtype, target)
        roots = Buffer((text.roots.size,), dtype, f"{name}_roots{k}")
        made.constants[roots] = text.roots
        launch = ProductLaunch(
            text.name, "fourier", text.blocks, text.threads, [source, roots, out], text.written()
        )
        launch.shared = text.shared
        made.launches.append(launch)
        source = out
    return made


def _half(p: Pass) -> int:
    """Coefficients that a pass stores of real signals."""
    return p.lines * p.n // p.whole * (p.whole // 2 + 1)


class _Text:
    """Writes the kernel of a pass."""

    def __init__(
        self, name: str, p: Pass, sign: int, library: CudaLibrary, dtype: DType, target: str
    ) -> None:
        self.name, self.p, self.sign = name, p, sign
        self.ops, self.dtype = library.ops, dtype
        self.fma = library.ops.helper(f"fma_{dtype.name}")
        self.stages = radices(p.n, 16 if dtype.itemsize == 4 else 8)
        self.across = p.inner > 1
        # Lines are an odd number of words apart, of which one in 33 is empty: few meet in a bank.
        self.stride = (p.n + p.n // 32) | 1
        size, most = 2 * dtype.itemsize, min(most_shared(target) - 1024, _BLOCK)
        wanted = _BESIDE // size if self.across or p.target > 1 else _ALONG // (size * p.n)
        fits = max(most // (size * self.stride), 1)
        self.side = max(min(wanted, fits, p.lines), 1)
        work = self.side * p.n // max(self.stages, default=1)
        self.threads = min(max(-(-work // 32) * 32, 32), _MOST_THREADS)
        self.blocks = -(-p.lines // self.side)
        self.words = self.side * self.stride
        self.shared = 2 * self.words * dtype.itemsize

    @property
    def roots(self) -> np.ndarray[Any, Any]:
        """Roots of 1 by n; of the first part of a longer transform, two tables for that too."""
        p, step = self.p, self.step
        found = [np.arange(p.n) / p.n]
        if p.turned:
            found += [np.arange(step) / p.whole, np.arange(-(-p.whole // step)) * step / p.whole]
        angle = self.sign * 2 * np.pi * np.concatenate(found)
        return np.stack([np.cos(angle), np.sin(angle)], -1).astype(self.dtype).reshape(-1)

    @property
    def step(self) -> int:
        """How far the entries of the second table are apart."""
        return 1 << (self.p.whole.bit_length() + 1) // 2

    def written(self) -> str:
        """The kernel."""
        p, n, kind = self.p, self.p.n, memory_type(self.dtype)
        what = f"{p.lines} lines of {n}, a block has {self.side}; {p.given} to {p.made}"
        out = Lines(self.name, ["x", "roots", "y"], what)
        out.add(f"""
lines = cuda.shared.array(0, {kind})
first = cuda.blockIdx.x * {self.side}
there = min({self.side}, {p.lines} - first)
""")
        # Both parts of a number are moved at once where its memory begins at 16 bytes.
        if p.given != "real":
            out.add(f"given = cuda.local.array(2, {kind})\nwhole_in = aligned(x)")
        if p.made != "real":
            out.add(f"made = cuda.local.array(2, {kind})\nwhole_out = aligned(y)")
        left = n
        for k, radix in enumerate(self.stages or [1]):
            self._stage(out, k, radix, left)
            left //= radix
        out.add("cuda.syncthreads()")
        self._stored(out)
        return out.text

    def _loop(self, out: Lines, count: int, beside: bool) -> None:
        """A loop over `count` things of each line: `line` and `b`; `beside`: lines side by side."""
        side = self.side
        ends = (f"e % {side}", f"e // {side}") if beside else (f"e // {count}", f"e % {count}")
        out.add(f"e = lane\nwhile e < {side * count}:\n    line, b = {', '.join(ends)}")
        out.add("if line < there:", 2)

    def _next(self, out: Lines) -> None:
        out.add(f"e += {self.threads}", 2)

    def _stage(self, out: Lines, k: int, radix: int, left: int) -> None:
        """A radix of all lines: the first from memory, others where they lie."""
        n, apart = self.p.n, left // radix
        if k:
            out.add("cuda.syncthreads()")
        self._loop(out, n // radix, self.across and not k)
        if apart == 1:
            out.add(f"j, at = 0, b * {left}", 3)
        else:
            out.add(f"j = b % {apart}\nat = b // {apart} * {left} + j", 3)
        for q in range(radix):
            out.add(f"p{q} = at + {q * apart}", 3)
            out.add(f"s{q} = line * {self.stride} + p{q} + p{q} // 32", 3)
        if not k:
            self._loaded(out, radix)
        else:
            for q in range(radix):
                out.add(f"r{q}, i{q} = lines[s{q}], lines[{self.words} + s{q}]", 3)
        butterfly = Butterfly(out, self.ops, self.dtype, self.sign, 3)
        found = butterfly.transform([(f"r{q}", f"i{q}") for q in range(radix)])
        if apart > 1:
            out.add(f"w = 2 * (j * {n // left})\na1, b1 = roots[w], roots[w + 1]", 3)
            for q in range(1, radix):
                if q > 1:
                    low, high = (f"a{q // 2}", f"b{q // 2}"), (f"a{q - q // 2}", f"b{q - q // 2}")
                    a, b = butterfly.product(low, high)
                    out.add(f"a{q}, b{q} = {a}, {b}", 3)
                found[q] = butterfly.product(found[q], (f"a{q}", f"b{q}"))
        for q, (real, imaginary) in enumerate(found):
            out.add(f"lines[s{q}] = {real}\nlines[{self.words} + s{q}] = {imaginary}", 3)
        self._next(out)

    def _loaded(self, out: Lines, radix: int) -> None:
        """A line's elements from memory."""
        p, zero = self.p, self.ops.constant(0.0, self.dtype)
        whole = p.n * p.inner
        stored = whole if p.given != "half" else p.whole // 2 + 1
        out.add(f"start = (first + line) // {p.inner} * {stored}", 3)
        out.add(f"own = (first + line) % {p.inner}", 3)
        for q in range(radix):
            place = f"p{q} * {p.inner} + own"
            if p.given == "real":
                out.add(f"r{q}, i{q} = x[start + {place}], {zero}", 3)
                continue
            if p.given == "half":
                # Coefficients behind the middle are those before it, conjugate.
                out.add(f"g{q} = {place}\nh{q} = min(g{q}, {p.whole} - g{q})", 3)
                place = f"h{q}"
            out.add(f"m{q} = 2 * (start + {place})", 3)
        if p.given == "real":
            return
        out.add("if whole_in:", 3)
        for q in range(radix):
            out.add(f"load_2(x, m{q}, given)\nr{q}, i{q} = given[0], given[1]", 4)
        out.add("else:", 3)
        for q in range(radix):
            out.add(f"r{q}, i{q} = x[m{q}], x[m{q} + 1]", 4)
        if p.given == "half":
            for q in range(radix):
                out.add(f"i{q} = -i{q} if h{q} != g{q} else i{q}", 3)
                out.add(f"i{q} = {zero} if h{q} == 0 or 2 * h{q} == {p.whole} else i{q}", 3)

    def _stored(self, out: Lines) -> None:
        """A line's elements to memory, which lie in the order of reversed digits."""
        p, left = self.p, self.p.n
        self._loop(out, p.n, p.target > 1)
        out.add("rest, at = b, 0", 3)
        for radix in self.stages:
            left //= radix
            out.add(f"at += rest % {radix} * {left}\nrest = rest // {radix}", 3)
        out.add(f"s = line * {self.stride} + at + at // 32", 3)
        out.add(f"real, imaginary = lines[s], lines[{self.words} + s]", 3)
        if p.turned:
            self._turned(out)
        if p.scale != 1.0:
            scale = self.ops.constant(p.scale, self.dtype)
            out.add(f"real, imaginary = real * {scale}, imaginary * {scale}", 3)
        stored = p.n * p.target if p.made != "half" else p.whole // 2 + 1
        out.add(f"place = b * {p.target} + (first + line) % {p.target}", 3)
        depth = 3
        if p.made == "half":
            out.add(f"if place < {stored}:", 3)
            depth = 4
        start = f"(first + line) // {p.target} * {stored} + place"
        if p.made == "real":
            out.add(f"y[{start}] = real", depth)
        else:
            out.add(f"m = 2 * ({start})\nif whole_out:", depth)
            out.add("made[0], made[1] = real, imaginary\nstore_2(y, m, made)", depth + 1)
            out.add("else:\n    y[m] = real\n    y[m + 1] = imaginary", depth)
        self._next(out)

    def _turned(self, out: Lines) -> None:
        """The factors between both parts of a longer transform, from two tables."""
        p, step = self.p, self.step
        out.add(f"far = (first + line) % {p.inner} // {p.turned} * b", 3)
        out.add(f"w = 2 * ({p.n} + far % {step})\nv = 2 * ({p.n + step} + far // {step})", 3)
        out.add("a1, b1, a2, b2 = roots[w], roots[w + 1], roots[v], roots[v + 1]", 3)
        butterfly = Butterfly(out, self.ops, self.dtype, self.sign, 3)
        factor = butterfly.product(("a1", "b1"), ("a2", "b2"))
        a, b = butterfly.product(("real", "imaginary"), factor)
        out.add(f"real, imaginary = {a}, {b}", 3)
