"""Convolutions with few outputs and long sums: gradients of the kernel.

Here "features" are the images, "taps" the places of the output's gradient, "outputs" the places
of the kernel, "batch" its input features.

    chunk:   a part of the contraction and of the outputs; its sums are in memory of its own
             for each box of taps and features that fits in cache:
                 copy the input under it, and the kernel in it as panels [block][step][channel]
                 for each panel: for each tile: add a sum of outer products to the tile's sums
    gather:  adds the sums of all parts of the contraction, in order, into the output

The number of parts depends on sizes alone, so that the order of additions does not depend on
threads.
"""

from __future__ import annotations

from math import prod

from . import LibraryKernel, Stage
from .conv_code import Value
from .conv_layout import Layout, Loops
from .conv_micro import Level, outer_products
from .conv_pack import Side, pack, pitches
from .conv_spec import Problem

# Bytes of both copies of a box, what there may be at most, and elements of all sums.
GOOD_COPY, MOST_COPY, MOST_SUMS = 3 << 16, 3 << 17, 1 << 20
# Steps of a box for each time that sums are read and written.
GOOD_STEPS = 128
# Parts of the contraction, chunks, and products of a chunk that are worth one.
PARTS, CHUNKS, CHUNK_PRODUCTS = 8, 16, 1 << 20
SPEED = 20.0


class Deep(Layout):
    """The contraction cut into boxes, and those dealt to parts.

    Attributes:
        totals: extents of the contraction: feature, taps z, y, x, the most of any phase.
        box: extents of a box of it.
        sum_parts: how many parts the contraction has.
    """

    def __init__(self, problem: Problem, vector_bits: int, *, lanewise: bool) -> None:
        super().__init__(problem, vector_bits, lanewise=lanewise)
        taps = (max(1, *(p.taps for p in s.phases)) for s in problem.spaces)
        self.totals = (problem.features, *taps)
        self.box = (1, 1, 1, 1)
        wanted = min(CHUNKS, max(1, problem.products // CHUNK_PRODUCTS))
        self.sum_parts = 1
        while not self._grow(min(GOOD_STEPS, prod(self.totals))) and self._split():
            pass
        outputs = len(problem.phases) * self.groups * self.chunk_sums * self.output_parts
        most = min(PARTS, wanted, prod(self.boxes), max(1, MOST_SUMS // outputs))
        self.sum_parts = most
        while self.chunks < wanted and self._split():
            self._grow(0)
        self.fits = self._bytes(self.box) <= MOST_COPY
        self._lay_out(self.box)

    def _split(self) -> bool:
        """More parts of whatever takes more of the copies: panels, or features of the kernel."""
        by_batch, by_block = self.parts[0].can_split, self.block_parts < self.blocks
        if by_batch and (not by_block or self.parts[0].longest > self.longest_blocks * self.width):
            self.parts[0] = self.parts[0].split()
            return True
        if by_block:
            self.block_parts = min(2 * self.block_parts, self.blocks)
        return by_block

    def _grow(self, steps: int) -> bool:
        """The largest box whose copies are small; whether it has so many steps."""
        box = [1, 1, 1, 1]
        for axis in (3, 2, 1, 0):
            total = self.totals[axis]
            for count in range(1, total + 1):
                # Boxes of equal extents: as few of them as there would be otherwise.
                extent = -(-total // count)
                trial = (*box[:axis], extent, *box[axis + 1 :])
                if extent == 1 or self._bytes(trial) <= GOOD_COPY:
                    box[axis] = extent
                    break
            if box[axis] < total:
                break
        self.box = tuple(box)
        self._lay_out(self.box)
        return prod(self.box) >= steps and self._bytes(self.box) <= GOOD_COPY

    def _lay_out(self, box: tuple[int, ...]) -> None:
        lane = self.width if self.lanewise else 1
        self.copied = (self.shape.left[0], *self.copied_spaces(box[1:]), box[0], lane)
        self.pitch = pitches(self.copied, (4, 1, 2, 3, 0, 5))
        self.copies = self.longest_blocks if self.lanewise else 1
        self.copies *= self.parts[0].longest // self.parts[0].tile
        # Of the copied kernel: feature, taps z, y, x, channel.
        self.panel_pitch = pitches((*box, self.width), range(5))
        self.panel = prod(box) * self.width

    def _bytes(self, box: tuple[int, ...]) -> int:
        self._lay_out(box)
        return (self.copies * prod(self.copied) + self.longest_blocks * self.panel) * self.size

    @property
    def boxes(self) -> list[int]:
        """Number of boxes along each axis of the contraction."""
        return [-(-total // extent) for total, extent in zip(self.totals, self.box, strict=True)]

    @property
    def grid(self) -> list[int]:
        """Extents of the index of a chunk; the part of the contraction comes last."""
        return [
            len(self.problem.phases),
            self.groups,
            self.parts[0].parts,
            self.block_parts,
            self.sum_parts,
        ]

    @property
    def output_parts(self) -> int:
        """Into how many parts the outputs of a group are cut."""
        return self.parts[0].parts * self.block_parts

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return prod(self.grid)

    @property
    def tiles(self) -> int:
        """How many tiles a panel of a chunk has at most."""
        return prod(part.longest // part.tile for part in self.parts)

    @property
    def chunk_sums(self) -> int:
        """Elements of a chunk's sums: [panel][tile][place][channel]."""
        return self.longest_blocks * self.tiles * prod(self.shape.left) * self.width


def deep_kernel(problem: Problem, vector_bits: int, *, lanewise: bool) -> LibraryKernel | None:
    """The kernel; None where no copy is small enough for the stack."""
    deep = Deep(problem, vector_bits, lanewise=lanewise)
    if not deep.fits:
        return None
    summing, gathering = _Sums(deep), _Gather(deep)
    functions = {
        "conv_sums": summing.text("conv_sums"),
        "conv_gather": gathering.text("conv_gather"),
    }
    declared = dict.fromkeys((*summing.code.declarations, *gathering.code.declarations))
    sums = deep.chunks * deep.chunk_sums
    stages = (
        Stage(
            "conv_sums",
            (("in", 0), ("in", 1), ("scratch", 0)),
            deep.chunks,
            1,
            problem.products / SPEED,
        ),
        Stage(
            "conv_gather",
            (("scratch", 0), ("out", 0)),
            deep.chunks // deep.sum_parts,
            1,
            sums / SPEED,
        ),
    )
    return LibraryKernel(
        functions, tuple(declared), stages, (sums * deep.size,), 2.0 * problem.products
    )


class _Sums(Loops):
    """Text of the function that computes chunks `lo` to `hi` of (input, kernel, sums)."""

    layout: Deep

    def text(self, name: str) -> str:
        code, deep = self.code, self.layout
        self.lhs, self.rhs, sums = (code.argument(i) for i in range(3))
        self.left = code.room(deep.copies * prod(deep.copied))
        self.panels = code.room(deep.longest_blocks * deep.panel)
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            phase, group, batch_part, block_part, part = code.split(chunk.index, deep.grid)
            self.pick_phase(phase, group, [s.rhs for s in self.problem.spaces])
            self.bound([batch_part, 0, 0, 0], block_part)
            self.sums = code.at(sums, code.mul(chunk.index, deep.chunk_sums))
            code.fill(self.sums, deep.chunk_sums)
            count = prod(deep.boxes)
            first = code.div(code.mul(part, count), deep.sum_parts)
            last = code.div(code.mul(code.add(part, 1), count), deep.sum_parts)
            with code.loop(first, last) as number:
                self._box(number)
        return code.function(name)

    def _box(self, number: Value) -> None:
        """Copies, and what they add to the sums."""
        code, deep, problem = self.code, self.layout, self.problem
        starts = [
            code.mul(i, extent)
            for i, extent in zip(code.split(number, deep.boxes), deep.box, strict=True)
        ]
        totals: list[Value] = [problem.features, *self.taps]
        self.extents = [
            extent if total == extent * count else code.clamp(code.sub(total, start), 0, extent)
            for extent, count, total, start in zip(
                deep.box, deep.boxes, totals, starts, strict=True
            )
        ]
        features = Side(
            deep.box[0],
            problem.lhs[2],
            deep.pitch[4],
            starts[0],
            problem.features,
            is_sure=problem.features % deep.box[0] == 0,
        )
        self._pack_input(starts[1:], features)
        self._pack_kernel(starts, totals)
        self.each_panel(self._panel)

    def _pack_input(self, taps: list[Value], features: Side) -> None:
        """A copy for each tile along the batch, and with `lanewise` for each panel."""
        code, deep = self.code, self.layout
        source = code.at(self.lhs, code.mul(self.group, self.problem.lhs[0]))
        first, last = self.blocks if deep.lanewise else (0, 1)
        whole, rest = divmod(self.problem.batch, deep.shape.left[0])
        from_, to = self.tiles[0]
        with code.loop(first, last) as block:
            within, *others = self.lhs_sides(0, taps)
            others += [features, *self.lane_side(block)]
            within = within._replace(is_sure=True)
            # All whole tiles at once, so that memory is read in its own order.
            each, pitch = within.extent * within.stride, prod(deep.copied)
            sure = deep.parts[0].parts == 1 and not rest
            count = deep.parts[0].longest // within.extent
            tiles = Side(count, each, pitch, from_, code.least(to, whole), is_sure=sure)
            into = code.at(self.left, self.copy_of(block))
            pack(code, into, source, [tiles, within, *others])
            if rest:
                with code.loop(code.greatest(from_, whole), to) as tile:
                    # The last tile moves back to fit.
                    here = code.at(into, self.moved(0, tile, 0))
                    back = (self.problem.batch - within.extent) * within.stride
                    pack(code, here, code.at(source, back), [within, *others])

    def moved(self, axis: int, tile: Value, place: Value) -> Value:
        """Tiles along the batch have copies of their own."""
        if axis:
            return super().moved(axis, tile, place)
        code = self.code
        return code.mul(code.sub(tile, self.tiles[0][0]), prod(self.layout.copied))

    def copy_of(self, block: Value) -> Value:
        """Panels have copies of their own where lanes are channels of the input."""
        code, deep = self.code, self.layout
        if not deep.lanewise:
            return 0
        each = deep.copies // deep.longest_blocks * prod(deep.copied)
        return code.mul(code.sub(block, self.blocks[0]), each)

    def _pack_kernel(self, starts: list[Value], totals: list[Value]) -> None:
        code, deep, problem = self.code, self.layout, self.problem
        strides = (problem.rhs[2], *(s.rhs * s.tap_step for s in problem.spaces))
        sides = [
            Side(extent, stride, pitch, start, total, is_sure=found == extent)
            for extent, stride, pitch, start, total, found in zip(
                deep.box, strides, deep.panel_pitch, starts, totals, self.extents, strict=False
            )
        ]
        base = code.add(code.mul(self.group, problem.rhs[0]), problem.rhs_base, self.tap_place)
        source, (first, last) = code.at(self.rhs, base), self.blocks
        with code.loop(first, last) as block:
            into = code.at(self.panels, code.mul(code.sub(block, first), deep.panel))
            start = code.mul(block, deep.width)
            whole = deep.outs % deep.width == 0
            channels = Side(deep.width, problem.rhs[1], 1, start, deep.outs, is_sure=whole)
            pack(code, into, source, [*sides, channels])

    def _panel(self, block: Value, channels: int) -> None:
        code, deep, problem = self.code, self.layout, self.problem
        here = code.sub(block, self.blocks[0])
        right = code.at(self.panels, code.mul(here, deep.panel))
        steps = (
            deep.pitch[4],
            *(s.dilation * p for s, p in zip(problem.spaces, deep.pitch[1:4], strict=True)),
        )
        levels = [
            Level(extent, left, pitch)
            for extent, left, pitch in zip(self.extents, steps, deep.panel_pitch, strict=False)
        ]
        tile, each = self.registers(channels), prod(deep.shape.left) * deep.width
        vectors = len(tile.right)
        place = code.mul(here, deep.tiles * each)

        def add(left: Value, out: Value, number: Value) -> None:
            start = code.at(self.left, left)
            found = outer_products(code, tile, levels, start, right)
            sums = code.at(self.sums, code.add(place, code.mul(number, each)))
            for k, value in enumerate(found):
                at = k // vectors * deep.width + k % vectors * deep.lanes
                total = code.sum(code.load(sums, at, deep.lanes), value, deep.lanes)
                code.store(total, sums, at, deep.lanes)

        self.each_tile(block, add)


class _Gather(Loops):
    """Text of the function that adds up the parts of outputs `lo` to `hi` of (sums, output)."""

    layout: Deep

    def text(self, name: str) -> str:
        code, deep = self.code, self.layout
        self.sums, self.out = code.argument(0), code.argument(1)
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            phase, group, batch_part, block_part = code.split(chunk.index, deep.grid[:-1])
            self.pick_phase(phase, group, (0, 0, 0))
            self.bound([batch_part, 0, 0, 0], block_part)
            self.chunk = code.mul(chunk.index, deep.sum_parts * deep.chunk_sums)
            self.each_panel(self._panel)
        return code.function(name)

    def _panel(self, block: Value, channels: int) -> None:
        code, deep = self.code, self.layout
        here = code.sub(block, self.blocks[0])
        each = prod(deep.shape.left) * deep.width
        place = code.add(self.chunk, code.mul(here, deep.tiles * each))

        def gather(left: Value, out: Value, number: Value) -> None:
            first = code.at(self.sums, code.add(place, code.mul(number, each)))
            vectors = range(0, channels, deep.lanes)
            places = [t * deep.width + v for t in range(prod(deep.shape.left)) for v in vectors]
            kind = code.vector(deep.lanes)
            carried = [("ptr", first), *((kind, code.zero(deep.lanes)) for _ in places)]
            with code.carrying(deep.sum_parts, carried) as loop:
                source, *totals = loop.carried
                found = [
                    code.sum(total, code.load(source, at, deep.lanes), deep.lanes)
                    for total, at in zip(totals, places, strict=True)
                ]
                loop.next = [code.at(source, deep.chunk_sums), *found]
            self.store(loop.results[1:], self.out, out, channels)

        self.each_tile(block, gather)
