"""Text of kernels on small matrices, of which each lane of a vector holds one.

All matrices of a vector go through the same instructions: what differs between them, such as which
row is the pivot, is a choice in each lane. A room holds an element after the other, of all lanes:

    element i of the matrices:  vector i of the room

    chunk:  as many matrices as a vector has lanes; the last ones begin earlier where some are
            missing, so that there are no others than whole ones

Nothing depends on how many lanes there are: one matrix gives the same bits in any place of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from . import LibraryKernel, Slot, Stage
from .conv_code import KINDS, Code, Value
from .lapack import Matrices

# Rows and columns at most, where few lanes work and where four or more do. Calls of LAPACK have a
# price, and its vectors find little to do in small matrices: four and more in lanes take 0.04 (a
# thousand of 3 × 3) to 0.9 (inverses of four of 16 × 16) of its time, one alone as much at 8 × 8
# and up to 1.7 at 16 × 16 (`python benchmarks/small_factors.py`).
FEW, LARGEST = 8, 16
MANY = 4
# Up to so many rows, loops over elements are written out, and elements are in registers.
WRITTEN = 4
# Nanoseconds of a chunk at least.
_CHUNK = 10_000.0

_WAY = "a matrix in each lane of vectors"
Turn = Callable[[Value, list[str]], Sequence[str]]


def lanes_of(x: Matrices, vector_bits: int, *extents: int) -> int:
    """How many lanes a kernel on small matrices has; 0 where LAPACK takes them one by one.

    Args:
        extents: rows and columns of all that a kernel keeps of one of them.
    """
    if x.dtype not in ("float32", "float64") or not x.many * x.size:
        return 0
    lanes = vector_bits // (8 * KINDS[x.dtype][1])
    while lanes > x.many:
        lanes //= 2
    return lanes if max(extents) <= (LARGEST if lanes >= MANY else FEW) else 0


class Scale(NamedTuple):
    """What x is multiplied by, in turn, to divide it by a number."""

    first: str
    second: str


class Small(Code):
    """Code on vectors in whose lanes are elements of different matrices.

    Attributes:
        written: whether loops over elements are written out.
    """

    def __init__(self, dtype: str, lanes: int, written: bool) -> None:
        super().__init__(dtype, lanes * 8 * KINDS[dtype][1])
        self.written = written

    def integers(self) -> Small:
        """The same function's code on int32."""
        made = Small("int32", self.lanes, self.written)
        made.writer = self.writer
        return made

    @property
    def wide(self) -> str:
        """The type of a vector."""
        return self.vector(self.lanes)

    @property
    def flags(self) -> str:
        """The type of what is true or not in each lane."""
        return "i1" if self.lanes == 1 else f"<{self.lanes} x i1>"

    # Loops.

    @contextmanager
    def blocks(self, many: int) -> Generator[Value]:
        """The loop of a chunk; the number of the first matrix of a vector."""
        with self.writer.loop("%lo", "%hi", 1) as block:
            yield self.least(self.mul(block.index, self.lanes), many - self.lanes)

    def each(self, start: Value, stop: Value, backwards: bool = False) -> Iterator[Value]:
        """A loop over start … stop - 1, or the numbers themselves where loops are written out."""
        if isinstance(start, int) and isinstance(stop, int):
            if self.written:
                yield from reversed(range(start, stop)) if backwards else range(start, stop)
                return
            if start >= stop:
                return
        with self.loop(start, stop) as i:
            yield self.sub(self.add(start, self.sub(stop, 1)), i) if backwards else i

    def fold(
        self, start: Value, stop: Value, carried: Sequence[tuple[str, str]], turn: Turn
    ) -> list[str]:
        """What values (type, first one) become by a turn for each of start … stop - 1."""
        held = [first for _, first in carried]
        if isinstance(start, int) and isinstance(stop, int) and (self.written or start >= stop):
            for i in range(start, stop):
                held = [*turn(i, held)]
            return held
        with self.writer.loop(str(start), str(stop), 1, carried) as opened:
            opened.next = [*turn(opened.index, opened.carried)]
        return opened.results

    # Values.

    def get(self, room: str, number: Value) -> str:
        """An element of all lanes."""
        return self.load(room, self.mul(number, self.lanes), self.lanes)

    def put(self, value: str, room: str, number: Value) -> None:
        """Write an element of all lanes."""
        self.store(value, room, self.mul(number, self.lanes), self.lanes)

    def space(self, elements: int) -> str:
        """A room for so many elements."""
        return self.room(elements * self.lanes)

    def op(self, name: str, a: str, b: str) -> str:
        """An operation on two vectors."""
        return self.writer.value(f"{name} {self.wide} {a}, {b}")

    def negative(self, a: str) -> str:
        """-a."""
        return self.writer.value(f"fneg {self.wide} {a}")

    def function_of(self, name: str, *values: str) -> str:
        """An intrinsic function of LLVM's, such as `fabs`."""
        suffix = f"f{8 * self.size}" if self.lanes == 1 else f"v{self.lanes}f{8 * self.size}"
        kinds = ", ".join([self.wide] * len(values))
        called = self.writer.declare(f"llvm.{name}.{suffix}", f"{self.wide} ({kinds})")
        given = ", ".join(f"{self.wide} {x}" for x in values)
        return self.writer.value(f"call {self.wide} {called}({given})")

    def plus_product(self, total: str, a: str, b: str) -> str:
        """total + a · b, rounded once."""
        return self.fma(a, b, total, self.lanes)

    def minus_product(self, total: str, a: str, b: str) -> str:
        """total - a · b, rounded once."""
        return self.fma(self.negative(a), b, total, self.lanes)

    def constant(self, value: float) -> str:
        """A float in all lanes."""
        held = np.float64(np.float32(value) if self.size == 4 else value)
        number = f"0x{held.view(np.uint64):016X}"
        return number if self.lanes == 1 else f"splat ({self.kind} {number})"

    def number(self, i: Value) -> str:
        """An integer in all lanes."""
        if isinstance(i, int):
            return str(i) if self.lanes == 1 else f"splat (i32 {i})"
        one = self.writer.value(f"trunc i64 {i} to i32")
        if self.lanes == 1:
            return one
        first = self.writer.value(f"insertelement {self.wide} poison, i32 {one}, i64 0")
        return self.shuffled(self.wide, first, "poison", [0] * self.lanes)

    def chosen_lanes(self, flags: str, a: str, b: str) -> str:
        """In each lane a where it is flagged, else b."""
        return self.writer.value(f"select {self.flags} {flags}, {self.wide} {a}, {self.wide} {b}")

    def divisor(self, x: str) -> Scale:
        """What divides by x.

        The inverse of a number below the normal ones is infinite, so these are made larger first.
        """
        info = np.finfo(np.float32 if self.size == 4 else np.float64)
        tiny = self.op("fcmp olt", self.function_of("fabs", x), self.constant(float(info.tiny)))
        one, more = self.constant(1.0), self.constant(2.0**64)
        scale = self.chosen_lanes(tiny, more, one)
        return Scale(scale, self.op("fdiv", one, self.op("fmul", x, scale)))

    def divided(self, x: str, by: Scale) -> str:
        """The quotient of x."""
        return self.op("fmul", self.op("fmul", x, by.first), by.second)

    # Between memory and lanes.

    def bring(self, source: str, count: int, room: str) -> None:
        """`count` elements of each matrix, one matrix behind the other, into a room."""
        lanes = self.lanes
        if count < lanes:
            held = [self.load(source, v * lanes, lanes) for v in range(count)]
            order = [[count * lane + i for lane in range(lanes)] for i in range(count)]
            for i, x in enumerate(self._dealt(held, order)):
                self.put(x, room, i)
            return
        for column in self._squares(count):
            held = [self.load(source, self.add(column, k * count), lanes) for k in range(lanes)]
            for i, x in enumerate(self.turned(held)):
                self.put(x, room, self.add(column, i))

    def give(self, room: str, count: int, target: str) -> None:
        """`count` elements of each matrix from a room to where `bring` has them from."""
        lanes = self.lanes
        if count < lanes:
            held = [self.get(room, i) for i in range(count)]
            flat = range(count * lanes)
            places = [k % count * lanes + k // count for k in flat]
            order = [places[v * lanes : (v + 1) * lanes] for v in range(count)]
            for v, x in enumerate(self._dealt(held, order)):
                self.store(x, target, v * lanes, lanes)
            return
        for column in self._squares(count):
            held = [self.get(room, self.add(column, i)) for i in range(lanes)]
            for k, x in enumerate(self.turned(held)):
                self.store(x, target, self.add(column, k * count), lanes)

    def _squares(self, count: int) -> Iterator[Value]:
        """First columns of squares that cover `count`; the last one begins earlier if it must."""
        for square in self.each(0, -(-count // self.lanes)):
            yield self.least(self.mul(square, self.lanes), count - self.lanes)

    def _dealt(self, held: Sequence[str], order: Sequence[Sequence[int]]) -> Iterator[str]:
        """Vectors of which each lane is one of those of all vectors held, by its number."""
        lanes = self.lanes
        for places in order:
            needed = sorted({place // lanes for place in places})
            made, there = held[needed[0]], {needed[0]}
            at = [place % lanes for place in places]
            for v in needed[1:] or needed:
                mask = [
                    lanes + place % lanes if place // lanes == v and v not in there else now
                    for place, now in zip(places, at, strict=True)
                ]
                made = self.shuffled(self.wide, made, held[v], mask)
                there.add(v)
                # Lanes that are there stay; what is still to come may be anything.
                at = [*range(lanes)]
            yield made

    def kernel(self, name: str, slots: tuple[Slot, ...], many: int, steps: float) -> LibraryKernel:
        """The kernel of the function that was written, of so many vector instructions a chunk."""
        extent = -(-many // self.lanes)
        each = steps / 2.0
        grain = max(1, int(_CHUNK / each))
        stage = Stage(name, slots, extent, grain, extent * each)
        text = self.function(name)
        flops = many * steps
        return LibraryKernel({name: text}, self.declarations, (stage,), (), flops, way=_WAY)
