"""The gradient of pooling by extrema: a source added at the winner of every window.

    for each window: which of its elements wins, for all lanes (channels) at once
                     for each of its elements: add the source in the lanes where it won

The first winner counts, NaN beats all else, and padding holds the value that everything beats: it
wins only where it comes first and nothing beats it, and what it wins is lost. A chunk is one plane
of the operand, since windows may overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from . import LibraryKernel, Stage
from .conv_code import Code, Value
from .conv_layout import offsets
from .pool_windows import Plan, Windowed

# Windows of so few elements are written out.
UNROLLED = 16
# Elements read in a nanosecond of one core, roughly: decides only whether threads are worth it.
SPEED = 0.5


def scatter_kernel(plan: Plan, vector_bits: int) -> LibraryKernel | None:
    """The kernel; None for windows over dilated operands."""
    if any(s.base != 1 for s in plan.spaces):
        return None
    code = Code(plan.dtype, vector_bits)
    text = _Scatter(plan, code).text("pool_scatter")
    read = plan.channels * prod(s.window * s.places for s in plan.spaces)
    grain = max(1, min(plan.lead, (1 << 14) // read))
    cost = plan.lead * read / SPEED
    stage = Stage("pool_scatter", (("in", 0), ("in", 1), ("out", 0)), plan.lead, grain, cost)
    return LibraryKernel(
        {"pool_scatter": text}, code.declarations, (stage,), (), float(plan.lead * read)
    )


class _Scatter:
    """Text of the function over planes `lo` to `hi` of (source, operand, result)."""

    def __init__(self, plan: Plan, code: Code) -> None:
        self.plan, self.code = plan, code
        self.largest = plan.op == "scatter_max"

    def text(self, name: str) -> str:
        code, plan = self.code, self.plan
        source, operand, out = (code.argument(i) for i in range(3))
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            moved = code.mul(chunk.index, plan.plane)
            self.source = code.at(source, code.mul(chunk.index, plan.out_plane))
            self.operand, self.out = code.at(operand, moved), code.at(out, moved)
            code.fill(self.out, plan.plane)
            self._places(0, 0, [], 0, None)
        return code.function(name)

    def _places(
        self,
        axis: int,
        place: Value,
        levels: list[tuple[Value, int]],
        base: Value,
        cut: str | None,
    ) -> None:
        """Loops over windows along the axes from this one on.

        `cut` says whether the window's first element is padding; None where it never is.
        """
        code, plan = self.code, self.plan
        if axis == 3:
            self._window(place, levels, base, cut)
            return
        space = plan.spaces[axis]
        with code.loop(0, space.places) as at:
            first, count, step = space.met(code, at)
            if not space.is_plain:
                cut = self._cut(cut, space, at)
            here = code.add(base, code.mul(first, space.pitch))
            there = code.add(place, code.mul(at, space.out))
            self._places(axis + 1, there, [*levels, (count, step * space.pitch)], here, cut)

    def _cut(self, cut: str | None, space: Windowed, at: Value) -> str:
        code = self.code
        start, write = code.sub(code.mul(at, space.stride), space.low), code.writer.value
        # Compared without sign, what lies before the array lies behind it too.
        outside = write(f"icmp uge i64 {start}, {space.size}")
        return outside if cut is None else write(f"or i1 {cut}, {outside}")

    def _window(
        self, place: Value, levels: list[tuple[Value, int]], base: Value, cut: str | None
    ) -> None:
        code, plan = self.code, self.plan

        def channels(at: Value, lanes: int) -> None:
            start = code.add(base, at)
            winner = self._winner(start, levels, lanes, cut)
            value = code.load(code.at(self.source, place), at, lanes)
            self._give(start, levels, value, winner, lanes)

        done, lanes = plan.channels // code.lanes * code.lanes, code.lanes
        if done:
            with code.loop(0, done, lanes) as at:
                channels(at, lanes)
        while done < plan.channels:
            while lanes > plan.channels - done:
                lanes //= 2
            channels(done, lanes)
            done += lanes

    def _number(self, lanes: int) -> str:
        """The type of the number of an element, in all lanes."""
        bits = f"i{8 * self.code.size}"
        return bits if lanes == 1 else f"<{lanes} x {bits}>"

    def _all_lanes(self, number: Value, lanes: int) -> str:
        code, kind, bits = self.code, self._number(lanes), 8 * self.code.size
        if isinstance(number, int):
            return str(number) if lanes == 1 else f"splat (i{bits} {number})"
        if bits == 32:
            number = code.writer.value(f"trunc i64 {number} to i32")
        if lanes == 1:
            return number
        one = code.writer.value(f"insertelement {kind} poison, i{bits} {number}, i64 0")
        return code.writer.value(
            f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )

    def _each(
        self,
        levels: list[tuple[Value, int]],
        number: Value,
        carried: list[tuple[str, str]],
        body: Callable[[Value, list[str]], list[str]],
    ) -> list[str]:
        """`body(number, carried)` for each element of a window, which gives what is carried on.

        The number of an element is its distance from the first one.
        """
        held = [name for _, name in carried]
        if not levels:
            return body(number, held)
        code, (count, step) = self.code, levels[0]
        kinds = [kind for kind, _ in carried]
        counts = [count for count, _ in levels if isinstance(count, int)]
        if len(counts) == len(levels) and prod(counts) <= UNROLLED:
            for offset in offsets(counts, [step for _, step in levels]):
                held = body(code.add(number, offset), held)
            return held
        with code.writer.loop("0", str(count), 1, carried) as loop:
            here = code.add(number, code.mul(loop.index, step))
            within = list(zip(kinds, loop.carried, strict=True))
            loop.next = self._each(levels[1:], here, within, body)
        return loop.results

    def _winner(
        self, start: Value, levels: list[tuple[Value, int]], lanes: int, cut: str | None
    ) -> str:
        """Distance of the winner from the first element, in every lane; -1 where padding won."""
        # A single element is compared as a vector of itself: choices among scalars are branches.
        code, load = self.code, self.code.load
        if lanes == 1:
            lanes, load = 16 // code.size, code.broadcast
        kind, number, mask = code.vector(lanes), self._number(lanes), f"<{lanes} x i1>"
        first, write = code.at(self.operand, start), code.writer.value
        if cut is None:
            best, winner = load(first, 0, lanes), "zeroinitializer"
        else:
            # Where the first element is padding its place may lie outside: nothing is read there.
            safe = write(f"select i1 {cut}, ptr {self.operand}, ptr {first}")
            worst = "0xFFF0000000000000" if self.largest else "0x7FF0000000000000"
            lowest, nobody = f"splat ({code.kind} {worst})", self._all_lanes(-1, lanes)
            best = write(f"select i1 {cut}, {kind} {lowest}, {kind} {load(safe, 0, lanes)}")
            winner = write(f"select i1 {cut}, {number} {nobody}, {number} zeroinitializer")

        def compare(place: Value, held: list[str]) -> list[str]:
            top, which = held
            value = load(first, place, lanes)
            relation = "ogt" if self.largest else "olt"
            beyond = write(f"fcmp {relation} {kind} {value}, {top}")
            lost = write(f"fcmp uno {kind} {value}, {value}")
            found = write(f"fcmp ord {kind} {top}, {top}")
            new = write(f"and {mask} {lost}, {found}")
            better = write(f"or {mask} {beyond}, {new}")
            here = self._all_lanes(place, lanes)
            top = write(f"select {mask} {better}, {kind} {value}, {kind} {top}")
            which = write(f"select {mask} {better}, {number} {here}, {number} {which}")
            return [top, which]

        return self._each(levels, 0, [(kind, best), (number, winner)], compare)[1]

    def _give(
        self, start: Value, levels: list[tuple[Value, int]], value: str, winner: str, lanes: int
    ) -> None:
        """The source added at the winners."""
        code, kind, number = self.code, self.code.vector(lanes), self._number(lanes)
        write = code.writer.value
        mask = "i1" if lanes == 1 else f"<{lanes} x i1>"
        if lanes == 1:
            several = 16 // code.size
            winner = write(f"extractelement {self._number(several)} {winner}, i64 0")
            someone = write(f"icmp sge {number} {winner}, 0")
            wide = write(f"sext {number} {winner} to i64") if code.size == 4 else winner
            with code.writer.when(someone):
                at = code.add(start, wide)
                code.store(code.sum(code.load(self.out, at), value), self.out, at)
            return

        out = code.at(self.out, start)

        def add(place: Value, held: list[str]) -> list[str]:
            here = self._all_lanes(place, lanes)
            won = write(f"icmp eq {number} {winner}, {here}")
            part = write(f"select {mask} {won}, {kind} {value}, {kind} {code.zero(lanes)}")
            total = code.sum(code.load(out, place, lanes), part, lanes)
            code.store(total, out, place, lanes)
            return held

        self._each(levels, 0, [], add)
