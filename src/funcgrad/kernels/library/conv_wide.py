"""Convolutions with many outputs and short sums: forward ones and gradients of their input.

    panels:  kernel -> [group][block of V vectors of channels][tap][feature][channel]
    chunk:   a box of outputs; the part of the input under it is copied, with its padding, into
             memory of the call that stays in cache (or is read in place)
             for each panel: for each tile of outputs in the box: one sum of outer products

With `lanewise`, the copy repeats each group's features under all of its output channels.
"""

from __future__ import annotations

from math import prod

from . import LibraryKernel, Stage
from .conv_code import Code, Value
from .conv_layout import Layout, Loops
from .conv_micro import Level, outer_products
from .conv_pack import Side, pack, pitches
from .conv_spec import Problem
from .conv_tiles import IMAGES

# Bytes of a chunk's copy of its input: what stays in the second cache beside a panel, and what
# there may be at most on the stack of a thread.
GOOD_COPY, MOST_COPY = 1 << 17, 1 << 18
# Chunks enough for any number of threads to share the work, each of at least so many products.
CHUNKS, CHUNK_PRODUCTS = 64, 1 << 20
# Products in a nanosecond of one core, roughly: decides only whether threads are worth it.
SPEED = 20.0


class Wide(Layout):
    """Outputs cut into boxes, each computed whole.

    Attributes:
        in_place: whether the input is read where it lies.
        panel_pitch: strides within a panel: taps z, y, x, feature, channel.
        panel: elements of a panel.
    """

    def __init__(self, problem: Problem, vector_bits: int, *, lanewise: bool) -> None:
        super().__init__(problem, vector_bits, lanewise=lanewise)
        extents = (*(s.rhs_taps for s in problem.spaces), problem.features, self.width)
        self.panel_pitch = pitches(extents, range(5))
        self.panel = prod(extents)
        self.in_place = self.can_read_in_place()
        wanted = min(CHUNKS, max(1, problem.products // CHUNK_PRODUCTS))
        while self.lay_out() > GOOD_COPY or self.chunks < wanted:
            if not self._split():
                break
        self.fits = self.in_place or self.lay_out() <= MOST_COPY
        if self.in_place:
            self.pitch = (*self.lhs_strides[:5], 0)

    @property
    def images(self) -> float:
        """What a tile of several images costs, over one of neighbours."""
        return IMAGES if any(s.rhs_taps > 1 for s in self.problem.spaces) else 1.0

    def can_read_in_place(self) -> bool:
        """Whether the micro-kernel can read the input where it lies."""
        return not self.lanewise and all(s.is_plain for s in self.problem.spaces)

    def _split(self) -> bool:
        for i, part in enumerate(self.parts):
            if part.can_split:
                self.parts[i] = part.split()
                return True
        if self.block_parts == self.blocks:
            return False
        self.block_parts = min(2 * self.block_parts, self.blocks)
        return True

    def lay_out(self) -> int:
        """Lays out a chunk's copy, its axes as in the input; its size in bytes."""
        problem = self.problem
        spaces = self.copied_spaces([max(p.taps for p in s.phases) for s in problem.spaces])
        lane = self.longest_blocks * self.width if self.lanewise else 1
        self.copied = (self.parts[0].longest, *spaces, problem.features, lane)
        order = sorted(range(5), key=lambda axis: self.lhs_strides[axis], reverse=True)
        return self.ordered((*order, 5))

    def ordered(self, order: tuple[int, ...]) -> int:
        """Lays the copy's axes in this order, outermost first; its size in bytes."""
        self.pitch = pitches(self.copied, order)
        return prod(self.copied) * self.size

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
    def grain(self) -> int:
        """How many chunks are one piece of work."""
        worthwhile = self.chunks * CHUNK_PRODUCTS // max(1, self.problem.products)
        return max(1, min(self.chunks // CHUNKS, worthwhile))


def wide_kernel(problem: Problem, vector_bits: int, *, lanewise: bool) -> LibraryKernel | None:
    """The kernel; None where no copy of the input is small enough for the stack."""
    wide = Wide(problem, vector_bits, lanewise=lanewise)
    return assembled(wide, Chunks(wide)) if wide.fits else None


def assembled(wide: Wide, computing: Chunks) -> LibraryKernel:
    """The kernel of two stages whose second one is `computing`."""
    problem, packing = wide.problem, Code(wide.problem.dtype, wide.vector_bits)
    panels = wide.groups * wide.blocks
    functions = {"conv_panels": _panels(wide, packing), "conv_wide": computing.text("conv_wide")}
    declared = dict.fromkeys((*packing.declarations, *computing.code.declarations))
    stages = (
        Stage("conv_panels", (("in", 1), ("scratch", 0)), panels, 1, float(panels * wide.panel)),
        Stage(
            "conv_wide",
            (("in", 0), ("scratch", 0), ("out", 0)),
            wide.chunks,
            wide.grain,
            problem.products / SPEED,
        ),
    )
    scratch = (panels * wide.panel * wide.size,)
    return LibraryKernel(functions, tuple(declared), stages, scratch, 2.0 * problem.products)


def _panels(wide: Wide, code: Code) -> str:
    """The function that packs panels `lo` to `hi` of (kernel, panels)."""
    problem, pitch = wide.problem, wide.panel_pitch
    source, panels = code.argument(0), code.argument(1)
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        group, block = code.split(chunk.index, [wide.groups, wide.blocks])
        sides = [
            Side(s.rhs_taps, s.rhs, p, 0, s.rhs_taps)
            for s, p in zip(problem.spaces, pitch, strict=False)
        ]
        sides.append(Side(problem.features, problem.rhs[2], pitch[3], 0, problem.features))
        start = code.mul(block, wide.width)
        sides.append(Side(wide.width, problem.rhs[1], 1, start, wide.outs))
        place = code.add(code.mul(group, problem.rhs[0]), problem.rhs_base)
        into = code.at(panels, code.mul(chunk.index, wide.panel))
        pack(code, into, code.at(source, place), sides)
    return code.function("conv_panels")


class Chunks(Loops):
    """Text of the function that computes chunks `lo` to `hi` of (input, panels, output)."""

    layout: Wide

    def text(self, name: str) -> str:
        code, wide = self.code, self.layout
        source, self.panels, self.out = (code.argument(i) for i in range(3))
        room = source if wide.in_place else code.room(prod(wide.copied))
        with code.writer.loop("%lo", "%hi", 1) as chunk:
            phase, group, *parts, block_part = code.split(chunk.index, wide.grid)
            self.pick_phase(phase, group, wide.panel_pitch[:3])
            self.bound(parts, block_part)
            source = code.at(source, code.mul(group, self.problem.lhs[0]))
            sides = self.lhs_sides(self.starts[0], [0, 0, 0])
            if wide.in_place:
                self.left = code.at(source, code.add(*(code.mul(s.start, s.stride) for s in sides)))
            else:
                features = self.problem.features
                sides.append(Side(features, self.problem.lhs[2], wide.pitch[4], 0, features))
                pack(code, room, source, [*sides, *self.lane_side(self.blocks[0])])
                self.left = room
            self.each_panel(self._panel)
        return code.function(name)

    def _panel(self, block: Value, channels: int) -> None:
        code, wide, problem = self.code, self.layout, self.problem
        number = code.add(code.mul(self.group, wide.blocks), block)
        right = code.at(self.panels, code.add(code.mul(number, wide.panel), self.tap_place))
        levels = [
            Level(taps, s.dilation * left, s.tap_step * pitch)
            for taps, s, left, pitch in zip(
                self.taps, problem.spaces, wide.pitch[1:4], wide.panel_pitch[:3], strict=True
            )
        ]
        levels.append(Level(problem.features, wide.pitch[4], wide.panel_pitch[3]))

        def tile(left: Value, out: Value, number: Value) -> None:
            self.compute(code.at(self.left, left), right, levels, out, channels)

        self.each_tile(block, tile)

    def compute(
        self, left: str, right: str, levels: list[Level], out: Value, channels: int
    ) -> None:
        """A tile of outputs from these elements of the copy and of the panel on."""
        tile = self.registers(channels)
        self.store(outer_products(self.code, tile, levels, left, right), self.out, out, channels)
