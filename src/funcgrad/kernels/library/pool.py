"""Poolings on the CPU: extrema and sums of windows.

    channels last:  lanes run over channels; a place's window is folded vector by vector
    rows last:      the rows of a window are folded first, into one row with padding at its ends;
                    then lanes run over the places of the row, each step k of the window at
                    row[place * stride + k * dilation]

A chunk is some rows of places. Sums of sums along axes change only the order of additions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from ..runtime.toolchain import Machine
from . import LibraryKernel, Stage
from .conv_code import Code, Value
from .conv_layout import offsets
from .pool_scatter import scatter_kernel
from .pool_windows import Plan, PoolSpec, plan_of
from .pool_windows import spec_of as spec_of

# Elements read by a chunk; vectors folded at once; windows of fewer elements are written out; and
# the longest row that is folded on the stack.
CHUNK, VECTORS, UNROLLED, LONGEST_ROW = 1 << 15, 4, 16, 1 << 14
# Elements read in a nanosecond of one core, roughly: decides only whether threads are worth it.
SPEED = 2.0


def build(spec: PoolSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of a pooling, or None where there is none."""
    if spec.dtype not in ("float32", "float64"):
        return None
    plan = plan_of(spec)
    if plan is None:
        return None
    if spec.op.startswith("scatter"):
        return scatter_kernel(plan, machine.vector_bits)
    code = Code(spec.dtype, machine.vector_bits)
    z, y, x = plan.spaces
    if plan.channels == 1 and x.padded > LONGEST_ROW:
        return None
    text = _Pool(plan, code).text("pool")
    rows = plan.lead * z.places * y.places
    read = x.places * plan.channels * prod(s.window for s in plan.spaces)
    grain = max(1, min(rows, CHUNK // read))
    stage = Stage("pool", (("in", 0), ("out", 0)), rows, grain, rows * read / SPEED)
    return LibraryKernel({"pool": text}, code.declarations, (stage,), (), float(rows * read))


class _Pool:
    """Text of the function that computes rows `lo` to `hi` of places of (operand, result)."""

    def __init__(self, plan: Plan, code: Code) -> None:
        self.plan, self.code = plan, code

    def text(self, name: str) -> str:
        code, plan = self.code, self.plan
        operand, out = code.argument(0), code.argument(1)
        z, y, x = plan.spaces
        by_row = plan.channels == 1
        # Vectors of every second place read somewhat behind the last one.
        row = code.room(x.padded + 2 * code.lanes) if by_row else ""
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            lead, at_z, at_y = code.split(chunk.index, [plan.lead, z.places, y.places])
            source = code.at(operand, code.mul(lead, plan.plane))
            into = code.at(out, code.mul(chunk.index, y.out))
            self.levels: list[tuple[Value, int]] = []
            for space, place in ((z, at_z), (y, at_y)):
                first, count, step = space.met(code, place)
                source = code.at(source, code.mul(first, space.pitch))
                self.levels.append((count, step * space.pitch))
            if by_row:
                self._fold_rows(source, row)
                self._fold_places(row, into)
            else:
                self._channels(source, into)
        return code.function(name)

    def _fold(
        self, levels: Sequence[tuple[Value, int]], source: str, totals: list[str], lanes: int
    ) -> list[str]:
        """The totals with all elements of the window folded in."""
        code = self.code
        if not levels:
            found: list[str] = []
            for v, total in enumerate(totals):
                found.append(
                    fold(code, self.plan.op, total, code.load(source, v * lanes, lanes), lanes)
                )
            return found
        counts = [count for count, _ in levels if isinstance(count, int)]
        if len(counts) == len(levels) and prod(counts) <= UNROLLED:
            for place in offsets(counts, [step for _, step in levels]):
                totals = self._fold([], code.at(source, place), totals, lanes)
            return totals
        (count, step), kind = levels[0], code.vector(lanes)
        carried = [("ptr", source), *((kind, total) for total in totals)]
        with code.carrying(count, carried) as loop:
            here, *within = loop.carried
            loop.next = [code.at(here, step), *self._fold(levels[1:], here, within, lanes)]
        return loop.results[1:]

    def _channels(self, source: str, into: str) -> None:
        code, plan, x = self.code, self.plan, self.plan.spaces[2]
        with code.loop(0, x.places) as place:
            first, count, step = x.met(code, place)
            start = code.at(source, code.mul(first, x.pitch))
            goal = code.at(into, code.mul(place, x.out))
            levels = [*self.levels, (count, step * x.pitch)]

            def fold_channels(channel: Value, lanes: int, vectors: int) -> None:
                totals = [identity(code, plan.op, lanes)] * vectors
                totals = self._fold(levels, code.at(start, channel), totals, lanes)
                for v, total in enumerate(totals):
                    code.store(total, code.at(goal, channel), v * lanes, lanes)

            pieces(code, plan.channels, fold_channels)

    def _fold_rows(self, source: str, row: str) -> None:
        """The rows that a row of windows meets, folded; padding where they end."""
        code, op, x = self.code, self.plan.op, self.plan.spaces[2]
        low, high = (x.low, x.high) if x.base == 1 else (0, 0)
        first, last = max(0, -low), x.size - max(0, -high)

        def fill(at: Value, lanes: int, vectors: int) -> None:
            for v in range(vectors):
                code.store(identity(code, op, lanes), code.at(row, at), v * lanes, lanes)

        def fold_row(at: Value, lanes: int, vectors: int) -> None:
            totals = [identity(code, op, lanes)] * vectors
            place = code.add(at, first)
            totals = self._fold(self.levels, code.at(source, place), totals, lanes)
            for v, total in enumerate(totals):
                code.store(total, code.at(row, code.add(place, low)), v * lanes, lanes)

        if low > 0 or high > 0:
            pieces(code, x.padded, fill)
        if last > first:
            pieces(code, last - first, fold_row)

    def _fold_places(self, row: str, into: str) -> None:
        """The places of a row, of a row already folded."""
        code, x = self.code, self.plan.spaces[2]
        if x.base != 1 or x.stride > 2:
            self._fold_singly(row, into)
            return

        def fold_run(at: Value, lanes: int, vectors: int) -> None:
            totals = [identity(code, self.plan.op, lanes)] * vectors
            start = code.at(row, code.mul(at, x.stride))
            with code.carrying(
                x.window, [("ptr", start), *((code.vector(lanes), t) for t in totals)]
            ) as loop:
                here, *within = loop.carried
                found = [
                    fold(code, self.plan.op, t, self._strided(here, v * lanes, lanes), lanes)
                    for v, t in enumerate(within)
                ]
                loop.next = [code.at(here, x.dilation), *found]
            for v, total in enumerate(loop.results[1:]):
                code.store(total, code.at(into, at), v * lanes, lanes)

        pieces(code, x.places, fold_run)

    def _strided(self, row: str, place: int, lanes: int) -> str:
        """The elements of so many neighbouring places."""
        code, stride = self.code, self.plan.spaces[2].stride
        if stride == 1 or lanes == 1:
            return code.load(row, place * stride, lanes)
        kind, mask = code.vector(lanes), ", ".join(f"i32 {2 * i}" for i in range(lanes))
        low, high = (code.load(row, 2 * place + shift, lanes) for shift in (0, lanes))
        return code.writer.value(
            f"shufflevector {kind} {low}, {kind} {high}, <{lanes} x i32> <{mask}>"
        )

    def _fold_singly(self, row: str, into: str) -> None:
        code, op, x = self.code, self.plan.op, self.plan.spaces[2]
        low = x.low if x.base == 1 else 0
        with code.loop(0, x.places) as place:
            first, count, step = x.met(code, place)
            start = code.at(row, code.add(first, low))
            (total,) = self._fold([(count, step)], start, [identity(code, op, 1)], 1)
            code.store(total, into, place)


def identity(code: Code, op: str, lanes: int) -> str:
    """What an empty window gives."""
    if op == "add":
        return code.zero(lanes)
    extreme = "0xFFF0000000000000" if op == "max" else "0x7FF0000000000000"
    return extreme if lanes == 1 else f"splat ({code.kind} {extreme})"


def fold(code: Code, op: str, total: str, value: str, lanes: int) -> str:
    """A value folded into a total; NaN prevails."""
    if op == "add":
        return code.sum(total, value, lanes)
    kind, mask = code.vector(lanes), "i1" if lanes == 1 else f"<{lanes} x i1>"
    write, relation = code.writer.value, "ogt" if op == "max" else "olt"
    beyond = write(f"fcmp {relation} {kind} {value}, {total}")
    unordered = write(f"fcmp uno {kind} {value}, {value}")
    taken = write(f"or {mask} {beyond}, {unordered}")
    return write(f"select {mask} {taken}, {kind} {value}, {kind} {total}")


def pieces(code: Code, count: int, body: Callable[[Value, int, int], None]) -> None:
    """`body(start, lanes, vectors)` over a run: as many full vectors at once as there are."""
    done, lanes = 0, code.lanes
    block = VECTORS * lanes
    if count >= block:
        done = count // block * block
        with code.loop(0, done, block) as start:
            body(start, lanes, VECTORS)
    while done < count:
        vectors = (count - done) // lanes
        if vectors:
            body(done, lanes, vectors)
            done += vectors * lanes
        else:
            lanes //= 2
