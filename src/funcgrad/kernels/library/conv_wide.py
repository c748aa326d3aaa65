"""Convolutions with many outputs and short sums: forward ones and gradients of their input.

    pack:    kernel -> panels [group][block of V vectors of channels][tap][feature][channel]
    chunk:   a box of outputs of one image; the part of the input under it is copied, with its
             padding, into memory of the call that stays in cache (or is read in place)
             for each panel: for each tile of outputs in the box: one sum of outer products

In: a `Problem`. Out: a `LibraryKernel` of two stages. With `lanewise`, every group has few
channels: lanes run over the channels of all groups, and the copy repeats each group's features
under all of its output channels.
"""

from __future__ import annotations

from math import prod

from . import LibraryKernel, Stage
from .conv_code import Code, Value
from .conv_micro import Level, Tile, outer_products
from .conv_pack import Side, pack, pitches
from .conv_spec import Problem
from .conv_tiles import Parts, Shape, choose, registers

# Bytes of a chunk's copy of its input: what stays in the second cache beside a panel, and what
# there may be at most on the stack of a thread.
GOOD_COPY, MOST_COPY = 1 << 17, 1 << 18
# Chunks enough for any number of threads to share the work, each of at least so many products.
CHUNKS, CHUNK_PRODUCTS = 64, 1 << 20
# Products in a nanosecond of one core, roughly: decides only whether threads are worth it.
SPEED = 20.0


class Wide:
    """The layout of the work, which all functions of one kernel share.

    Attributes:
        lanes: elements in a vector.
        outs: output channels of a panel's group; with `lanewise`, of all groups.
        blocks: panels of a group.
        parts: the outputs' axes batch, z, y, x cut into boxes.
        block_parts: into how many parts the panels are cut.
        copied: extents of a chunk's copy: batch, z, y, x, feature, lane.
        pitch: their strides; the input's own ones where it is read in place.
    """

    def __init__(self, problem: Problem, vector_bits: int, *, lanewise: bool) -> None:
        self.problem, self.lanewise, self.vector_bits = problem, lanewise, vector_bits
        self.outs = problem.outs * problem.groups if lanewise else problem.outs
        self.groups = 1 if lanewise else problem.groups
        full = Code(problem.dtype, vector_bits).lanes
        self.lanes = min(full, max(2, 1 << (self.outs - 1).bit_length()))
        self.taps = prod(s.rhs_taps for s in problem.spaces)
        self.shape = self._tile()
        self.width = self.shape.vectors * self.lanes
        self.blocks = -(-self.outs // self.width)
        self._cut()

    def _tile(self) -> Shape:
        problem = self.problem
        counts = (problem.batch, *(min(p.places for p in s.phases) for s in problem.spaces))
        steps = max(prod(p.taps for p in phases) for phases in problem.phases) * problem.features
        vectors = -(-self.outs // self.lanes)
        scattered = 0 if problem.out[2] == 1 else 2 * self.lanes
        limit = registers(self.vector_bits)
        return choose(counts, vectors, limit, steps, scattered, self.lanewise)

    def _cut(self) -> None:
        problem = self.problem
        counts = [(problem.batch,), *(tuple(p.places for p in s.phases) for s in problem.spaces)]
        self.parts = [Parts(c, t, 1) for c, t in zip(counts, self.shape.left, strict=True)]
        self.block_parts = 1
        self.in_place = not self.lanewise and all(s.is_plain for s in problem.spaces)
        wanted = min(CHUNKS, max(1, problem.products // CHUNK_PRODUCTS))
        while self._copy_bytes() > GOOD_COPY or self.chunks < wanted:
            able = [i for i, part in enumerate(self.parts) if part.can_split]
            if able:
                self.parts[able[0]] = self.parts[able[0]].split()
            elif self.block_parts < self.blocks:
                self.block_parts = min(2 * self.block_parts, self.blocks)
            else:
                break
        self.fits = self._copy_bytes() <= MOST_COPY
        if self.in_place:
            self.pitch = (problem.lhs[1], *(s.lhs for s in problem.spaces), problem.lhs[2], 0)

    def _copy_bytes(self) -> int:
        """Size of a chunk's copy; lays it out."""
        problem = self.problem
        spaces = [
            (part.longest - 1) * s.stride
            + max(max(p.taps for p in s.phases) - 1, 0) * s.dilation
            + 1
            for s, part in zip(problem.spaces, self.parts[1:], strict=True)
        ]
        lane = self._block_longest * self.width if self.lanewise else 1
        self.copied = (self.parts[0].longest, *spaces, problem.features, lane)
        strides = (problem.lhs[1], *(s.lhs for s in problem.spaces), problem.lhs[2], 0)
        order = sorted(range(6), key=lambda axis: strides[axis], reverse=True)
        self.pitch = pitches(self.copied, order)
        return prod(self.copied) * Code(problem.dtype, self.vector_bits).size

    @property
    def _block_longest(self) -> int:
        return -(-self.blocks // self.block_parts)

    @property
    def grid(self) -> list[int]:
        """Extents of the index of a chunk."""
        parts = [part.parts for part in self.parts]
        return [len(self.problem.phases), self.groups, *parts, self.block_parts]

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return prod(self.grid)

    @property
    def panel(self) -> int:
        """Elements of a panel."""
        return self.taps * self.problem.features * self.width

    def panel_pitches(self) -> tuple[int, ...]:
        """Strides within a panel: taps z, y, x, feature, channel."""
        extents = (*(s.rhs_taps for s in self.problem.spaces), self.problem.features, self.width)
        return pitches(extents, range(5))


def wide_kernel(problem: Problem, vector_bits: int, *, lanewise: bool) -> LibraryKernel | None:
    """The kernel; None where no copy of the input is small enough for the stack."""
    wide = Wide(problem, vector_bits, lanewise=lanewise)
    if not (wide.fits or wide.in_place):
        return None
    packing, declared = panels_text(wide)
    work, more = _WideText(wide).text("conv_wide")
    panels = wide.groups * wide.blocks
    size = Code(problem.dtype, vector_bits).size
    pack_stage = Stage(
        "conv_panels", (("in", 1), ("scratch", 0)), panels, 1, float(panels * wide.panel)
    )
    cost = problem.products / SPEED
    work_stage = Stage("conv_wide", (("in", 0), ("scratch", 0), ("out", 0)), wide.chunks, 1, cost)
    return LibraryKernel(
        {"conv_panels": packing, "conv_wide": work},
        tuple(sorted({*declared, *more})),
        (pack_stage, work_stage),
        (panels * wide.panel * size,),
        2.0 * problem.products,
    )


def panels_text(wide: Wide) -> tuple[str, list[str]]:
    """The function that packs panels `lo` to `hi` of (kernel, panels)."""
    problem = wide.problem
    code = Code(problem.dtype, wide.vector_bits)
    source, panels = code.argument(0), code.argument(1)
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        group, block = code.split(chunk.index, [wide.groups, wide.blocks])
        pitch = wide.panel_pitches()
        sides = [
            Side(s.rhs_taps, s.rhs, p, 0, s.rhs_taps)
            for s, p in zip(problem.spaces, pitch, strict=False)
        ]
        sides.append(Side(problem.features, problem.rhs[2], pitch[3], 0, problem.features))
        start = code.mul(block, wide.width)
        sides.append(Side(wide.width, problem.rhs[1], 1, start, wide.outs))
        place = code.add(code.mul(group, problem.rhs[0]), problem.rhs_base)
        pack(
            code, code.at(panels, code.mul(chunk.index, wide.panel)), code.at(source, place), sides
        )
    return code.function("conv_panels"), list(code.writer.declared.values())


class _WideText:
    """Text of the function that computes chunks `lo` to `hi` of (input, panels, output)."""

    def __init__(self, wide: Wide) -> None:
        self.wide, self.problem = wide, wide.problem
        self.code = Code(wide.problem.dtype, wide.vector_bits)

    def text(self, name: str) -> tuple[str, list[str]]:
        code, wide = self.code, self.wide
        source, self.panels, self.out = (code.argument(i) for i in range(3))
        self.copy = source if wide.in_place else code.room(prod(wide.copied))
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            phase, self.group, *parts, block_part = code.split(chunk.index, wide.grid)
            self._pick_phase(phase)
            self._bound(parts, block_part)
            self.left = self._read_in_place(source) if wide.in_place else self._copied(source)
            self._blocks()
        return code.function(name), list(code.writer.declared.values())

    def _pick_phase(self, number: Value) -> None:
        """What differs between phases: counts, taps, origins, places of outputs and taps."""
        code, problem = self.code, self.problem
        phases = problem.phases
        self.phase = number
        self.counts = [
            problem.batch,
            *(self._each([p[i].places for p in phases]) for i in range(3)),
        ]
        self.taps = [self._each([p[i].taps for p in phases]) for i in range(3)]
        self.origins = [self._each([p[i].origin for p in phases]) for i in range(3)]
        pitch = self.wide.panel_pitches()
        self.tap_place = self._each(
            [sum(q.tap * s for q, s in zip(p, pitch, strict=False)) for p in phases]
        )
        outs = [s.out for s in problem.spaces]
        first = self._each([sum(q.first * s for q, s in zip(p, outs, strict=True)) for p in phases])
        self.out_place = code.add(first, code.mul(self.group, problem.out[0]))

    def _each(self, table: list[int]) -> Value:
        return self.code.pick(table, self.phase)

    def _bound(self, parts: list[Value], block_part: Value) -> None:
        """Start and end of the chunk along each axis and among the panels."""
        code, wide = self.code, self.wide
        self.bounds: list[tuple[Value, Value]] = []
        for part, number, count in zip(wide.parts, parts, self.counts, strict=True):
            tiles = code.div(code.add(count, part.tile - 1), part.tile)
            first = code.div(code.mul(number, tiles), part.parts)
            last = code.div(code.mul(code.add(number, 1), tiles), part.parts)
            start = code.least(code.mul(first, part.tile), code.sub(count, part.tile))
            self.bounds.append((start, code.least(code.mul(last, part.tile), count)))
        first = code.div(code.mul(block_part, wide.blocks), wide.block_parts)
        last = code.div(code.mul(code.add(block_part, 1), wide.blocks), wide.block_parts)
        self.block_bounds = first, last

    def _places(self) -> list[Value]:
        """Where in the input the chunk starts: batch, z, y, x."""
        code = self.code
        starts: list[Value] = [self.bounds[0][0]]
        for s, (start, _), origin in zip(
            self.problem.spaces, self.bounds[1:], self.origins, strict=True
        ):
            starts.append(code.add(code.mul(start, s.stride), origin))
        return starts

    def _read_in_place(self, source: str) -> str:
        code, wide = self.code, self.wide
        moves = [code.mul(at, p) for at, p in zip(self._places(), wide.pitch, strict=False)]
        return code.at(source, code.add(*moves, code.mul(self.group, self.problem.lhs[0])))

    def _copied(self, source: str) -> str:
        code, wide, problem = self.code, self.wide, self.problem
        strides = (problem.lhs[1], *(s.lhs for s in problem.spaces))
        sizes = (problem.batch, *(s.size for s in problem.spaces))
        sides = [
            Side(extent, stride, pitch, start, size)
            for extent, stride, pitch, start, size in zip(
                wide.copied, strides, wide.pitch, self._places(), sizes, strict=False
            )
        ]
        features = problem.features
        sides.append(Side(features, problem.lhs[2], wide.pitch[4], 0, features))
        if wide.lanewise:
            lane = code.mul(self.block_bounds[0], wide.width)
            sides.append(
                Side(wide.copied[5], problem.lhs[0], wide.pitch[5], lane, wide.outs, problem.outs)
            )
        pack(code, self.copy, code.at(source, code.mul(self.group, problem.lhs[0])), sides)
        return self.copy

    def _blocks(self) -> None:
        """All panels of the chunk: the last one of a group may be narrower."""
        code, wide = self.code, self.wide
        first, last = self.block_bounds
        tail = wide.outs - (wide.blocks - 1) * wide.width
        whole = wide.blocks if tail == wide.width else wide.blocks - 1
        if whole:
            with code.loop(first, code.least(last, whole)) as block:
                self._tiles(block, wide.width)
        if whole < wide.blocks:
            with code.loop(code.greatest(first, whole), last) as block:
                self._tiles(block, tail)

    def _tiles(self, block: Value, channels: int) -> None:
        code, wide = self.code, self.wide
        panel = code.add(code.mul(self.group, wide.blocks), block)
        right = code.at(self.panels, code.add(code.mul(panel, wide.panel), self.tap_place))
        out = code.add(self.out_place, code.mul(block, wide.width * self.problem.out[2]))
        left: Value = 0
        if wide.lanewise:
            left = code.mul(code.sub(block, self.block_bounds[0]), wide.width)
        self._axis(0, left, out, right, channels)

    def _axis(self, axis: int, left: Value, out: Value, right: str, channels: int) -> None:
        """Loops over tiles along axis number `axis` and those after it."""
        if axis == 4:
            self._tile(left, out, right, channels)
            return
        code, wide, problem = self.code, self.wide, self.problem
        tile, (start, end) = wide.shape.left[axis], self.bounds[axis]
        step, into = wide.pitch[axis], problem.out[1]
        if axis:
            space = problem.spaces[axis - 1]
            step, into = step * space.stride, space.out * space.out_step
        with code.loop(start, end, tile) as i:
            at = i if tile == 1 else code.least(i, code.sub(end, tile))
            moved = code.add(left, code.mul(code.sub(at, start), step))
            self._axis(axis + 1, moved, code.add(out, code.mul(at, into)), right, channels)

    def _tile(self, left: Value, out: Value, right: str, channels: int) -> None:
        code, wide, problem = self.code, self.wide, self.problem
        vectors = -(-channels // wide.lanes)
        steps = (
            wide.pitch[0],
            *(p * s.stride for p, s in zip(wide.pitch[1:4], problem.spaces, strict=True)),
        )
        into = (problem.out[1], *(s.out * s.out_step for s in problem.spaces))
        reads = tuple(offsets(wide.shape.left, steps))
        tile = Tile(reads, tuple(v * wide.lanes for v in range(vectors)), wide.lanes, wide.lanewise)
        panel = wide.panel_pitches()
        levels = [
            Level(taps, s.dilation * wide.pitch[1 + i], s.tap_step * panel[i])
            for i, (taps, s) in enumerate(zip(self.taps, problem.spaces, strict=True))
        ]
        levels.append(Level(problem.features, wide.pitch[4], panel[3]))
        sums = outer_products(code, tile, levels, code.at(self.left, left), right)
        place = code.at(self.out, out)
        for t, offset in enumerate(offsets(wide.shape.left, into)):
            for v in range(vectors):
                valid = min(wide.lanes, channels - v * wide.lanes)
                at = offset + v * wide.lanes * problem.out[2]
                value = sums[t * vectors + v]
                code.store_lanes(value, wide.lanes, valid, place, at, problem.out[2])


def offsets(extents: tuple[int, ...], steps: tuple[int, ...]) -> list[int]:
    """Places of all elements of a box, in C order."""
    places = [0]
    for extent, step in zip(extents, steps, strict=True):
        places = [place + i * step for place in places for i in range(extent)]
    return places
