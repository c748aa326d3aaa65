"""Matrix products of integers of 8 and 16 bits whose sums have 32, as quantised networks have them.

    widen:    each side, once: two neighbours of the contraction become one word of two int16
    product:  a product of such words by the kernels of all products, whose multiply-add is

                  sum + low(x) * low(y) + high(x) * high(y)        modulo 2^32

Every int8, uint8 and int16 is an int16, and the product of two has its place in 32 bits; sums wrap
as those of the definition do. So nothing is rounded or saturated, and processors have an
instruction for it (x86: vpmaddwd, or vpdpwssd with its addition). A side keeps the order of its
axes; a last step without a neighbour gets a zero.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from . import LibraryKernel, Slot, Stage, gemm_packed
from .conv_code import PAIRS, Code, Value
from .gemm import Gemm
from .gemm import build as build_small

# What a side may consist of: LLVM's name of the type, and how it becomes an int16.
NARROW = {"int8": ("i8", "sext"), "uint8": ("i8", "zext"), "int16": ("i16", "")}
# Words widened in an item of work, at least, and in a nanosecond of one core, roughly.
WORDS, SPEED = 1 << 13, 2.0
# From so many products, and so many readers of a right side, on packing it once pays.
_LARGE, _ROWS = 1 << 22, 48


class _Side:
    """One side: how it lies, how it lies as words, and the function that makes one of the other.

    Attributes:
        lines, length: the axes in memory, the outer one first, in elements.
        lead: elements between lines.
        batch: extents and strides of the axes along which it changes.
        apart: words between its lines, and `steps` between its matrices, an entry a batch axis.
    """

    def __init__(self, g: Gemm, side: int) -> None:
        assert g.given is not None
        self.kind, self.extend = NARROW[g.given[side]]
        self.within, self.lead = (g.left, g.right)[side]
        free = (g.m, g.n)[side]
        self.k = g.k
        self.batch = [(axis[0], axis[1 + side]) for axis in g.batch if axis[1 + side]]
        self.apart = -(-g.k // 2) if self.within else free
        self.lines = free if self.within else -(-g.k // 2)
        self.steps: list[int] = []
        step = self.lines * self.apart
        for axis in reversed(g.batch):
            self.steps.append(step if axis[1 + side] else 0)
            step *= axis[0] if axis[1 + side] else 1
        self.steps.reverse()
        self.words = step

    def stage(self, name: str, side: int, place: int) -> Stage:
        """The launch that fills a scratch of `words` words."""
        items = self.words // self.apart
        grain = max(1, WORDS // self.apart)
        return Stage(name, (("in", side), ("scratch", place)), items, grain, self.words / SPEED)

    def text(self, name: str, vector_bits: int) -> tuple[str, tuple[str, ...]]:
        """The function: for each item a line of words."""
        code = Code(PAIRS, vector_bits)
        source, into = code.argument(0), code.argument(1)
        extents = [n for n, _ in self.batch]
        with code.writer.loop("%lo", "%hi", 1) as item:
            *places, line = code.split(item.index, [*extents, self.lines])
            start = code.mul(line, self.lead if self.within else 2 * self.lead)
            moves = [code.mul(p, s) for p, (_, s) in zip(places, self.batch, strict=True)]
            here = self._at(code, source, code.add(start, *moves))
            target = code.at(into, code.mul(item.index, self.apart))
            (self._along if self.within else self._across)(code, here, target, line)
        return code.function(name), code.declarations

    def _at(self, code: Code, pointer: str, offset: Value) -> str:
        return code.writer.value(f"getelementptr {self.kind}, ptr {pointer}, i64 {offset}")

    def _numbers(self, code: Code, pointer: str, offset: Value, count: int) -> str:
        """So many elements as int16."""
        place, writer = self._at(code, pointer, offset), code.writer
        align = 2 if self.kind == "i16" else 1
        given = f"<{count} x {self.kind}>"
        value = writer.value(f"load {given}, ptr {place}, align {align}")
        if not self.extend:
            return value
        return writer.value(f"{self.extend} {given} {value} to <{count} x i16>")

    def _along(self, code: Code, here: str, target: str, line: Value) -> None:
        """Neighbours in memory become words."""

        def words(first: Value, count: int) -> None:
            value = self._numbers(code, here, code.mul(first, 2), 2 * count)
            kind = code.vector(count)
            whole = code.writer.value(f"bitcast <{2 * count} x i16> {value} to {kind}")
            code.store(whole, target, first, count)

        self._pieces(code, self.k // 2, words)
        if self.k % 2:
            value = self._numbers(code, here, self.k - 1, 1)
            one = code.writer.value(f"zext <1 x i16> {value} to <1 x i32>")
            last = code.writer.value(f"extractelement <1 x i32> {one}, i64 0")
            code.store(last, target, self.k // 2)

    def _across(self, code: Code, here: str, target: str, line: Value) -> None:
        """Two rows of memory become one of words; the last of an odd number is by itself."""
        writer = code.writer
        second: Value = self.lead
        mask = ""
        if self.k % 2:
            alone = writer.value(f"icmp eq i64 {line}, {self.k // 2}")
            second = code.chosen(alone, 0, self.lead)
            mask = writer.value(f"select i1 {alone}, i32 0, i32 -65536")
        other = self._at(code, here, second)

        def words(first: Value, count: int) -> None:
            kind = f"<{count} x i32>"
            low, high = (self._numbers(code, p, first, count) for p in (here, other))
            low = writer.value(f"zext <{count} x i16> {low} to {kind}")
            high = writer.value(f"zext <{count} x i16> {high} to {kind}")
            high = writer.value(f"shl {kind} {high}, splat (i32 16)")
            if mask:
                one = writer.value(f"insertelement {kind} poison, i32 {mask}, i64 0")
                zeros = f"<{count} x i32> zeroinitializer"
                every = writer.value(f"shufflevector {kind} {one}, {kind} poison, {zeros}")
                high = writer.value(f"and {kind} {high}, {every}")
            whole = writer.value(f"or {kind} {low}, {high}")
            place = code.at(target, first)
            writer.line(f"store {kind} {whole}, ptr {place}, align 4")

        self._pieces(code, self.apart, words)

    def _pieces(self, code: Code, count: int, words: Callable[[Value, int], None]) -> None:
        """A line of `count` words, in vectors and what is left in halves of them."""
        lanes = code.lanes
        whole = count // lanes * lanes
        if whole:
            with code.loop(0, whole, lanes) as i:
                words(i, lanes)
        while whole < count:
            while lanes > count - whole:
                lanes //= 2
            words(whole, lanes)
            whole += lanes


def build(g: Gemm, name: str, vector_bits: int) -> LibraryKernel:
    """The kernel `name` of (left, right, result) for sides of `NARROW` and results of 32 bits."""
    sides = [_Side(g, side) for side in (0, 1)]
    batch = tuple(
        (axis[0], *steps, axis[3])
        for axis, *steps in zip(g.batch, sides[0].steps, sides[1].steps, strict=True)
    )
    left, right = ((s.within, s.apart) for s in sides)
    words = g._replace(dtype=PAIRS, batch=batch, k=-(-g.k // 2), left=left, right=right, given=None)
    make = gemm_packed.build if _is_packed(words) else build_small
    product = make(words, name, vector_bits)
    texts, declared, stages = dict(product.functions), [*product.declarations], list[Stage]()
    count = len(product.scratch)
    for side, what in enumerate(sides):
        widen = f"{name}_{'left' if side == 0 else 'right'}"
        texts[widen], needed = what.text(widen, vector_bits)
        declared += needed
        stages.append(what.stage(widen, side, count + side))
    for stage in product.stages:
        args = tuple(_moved(slot, count) for slot in stage.args)
        stages.append(stage._replace(args=args))
    scratch = (*product.scratch, *(4 * s.words for s in sides))
    declarations = tuple(dict.fromkeys(declared))
    return product._replace(
        functions=texts,
        declarations=declarations,
        stages=tuple(stages),
        scratch=scratch,
        flops=2.0 * product.flops,
    )


def _moved(slot: Slot, count: int) -> Slot:
    """Where a stage of the product finds a side: among the scratch, behind its own."""
    return ("scratch", count + slot[1]) if slot[0] == "in" else slot


def _is_packed(g: Gemm) -> bool:
    """Whether blocks of rows share a packed right side."""
    return g.m >= _ROWS and prod(b[0] for b in g.batch) * g.m * g.n * g.k >= _LARGE
