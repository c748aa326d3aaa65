"""What every kernel of a convolution shares: registers, panels, phases, loops over tiles.

In: a `Problem`. Out: how its outputs lie in the registers of the micro-kernel, as a box of
outputs times vectors of channels, and the loops that lead to each such tile. The one idea: the
loops carry two offsets, one into the input and one into the output, and hand them to whoever
computes the tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from math import prod

from .conv_code import Code, Value
from .conv_micro import Tile
from .conv_pack import Side
from .conv_spec import Problem
from .conv_tiles import Parts, Shape, choose, registers


class Layout:
    """How outputs are cut into tiles.

    With `lanewise`, every group has few channels: lanes run over the channels of all groups.

    Attributes:
        lanes: elements in a vector.
        outs: output channels of a group; with `lanewise`, of all groups.
        shape: extents of a tile along batch, z, y, x, and its vectors.
        width: channels of a panel, which is what one tile sees of the kernel.
        blocks: panels of a group.
        parts: the outputs' axes batch, z, y, x cut into parts.
        block_parts: into how many parts the panels are cut.
        copied, pitch: extents and strides of a chunk's copy of the input: batch, z, y, x, feature,
            lane.
    """

    def __init__(self, problem: Problem, vector_bits: int, *, lanewise: bool) -> None:
        self.problem, self.lanewise, self.vector_bits = problem, lanewise, vector_bits
        self.outs = problem.outs * problem.groups if lanewise else problem.outs
        self.groups = 1 if lanewise else problem.groups
        code = Code(problem.dtype, vector_bits)
        self.size, self.lanes = code.size, code.lanes
        self.shape, self.width = self._tile()
        self.blocks = -(-self.outs // self.width)
        counts = [(problem.batch,), *(tuple(p.places for p in s.phases) for s in problem.spaces)]
        self.parts = [Parts(c, t, 1) for c, t in zip(counts, self.shape.left, strict=True)]
        self.block_parts = 1
        self.copied: tuple[int, ...] = ()
        self.pitch: tuple[int, ...] = ()

    def _tile(self) -> tuple[Shape, int]:
        """The tile, and the channels of a panel."""
        problem = self.problem
        self.lanes = min(self.lanes, max(2, 1 << (self.outs - 1).bit_length()))
        counts = (problem.batch, *(min(p.places for p in s.phases) for s in problem.spaces))
        steps = max(prod(p.taps for p in phases) for phases in problem.phases) * problem.features
        vectors = -(-self.outs // self.lanes)
        scattered = 0 if problem.out[2] == 1 else 2 * self.lanes
        limit = registers(self.vector_bits)
        shape = choose(counts, vectors, limit, steps, scattered, self.lanewise, self.images)
        return shape, shape.vectors * self.lanes

    @property
    def images(self) -> float:
        """What a tile of several elements of the batch costs, over one of neighbours."""
        return 1.0

    @property
    def longest_blocks(self) -> int:
        """The most panels a part has."""
        return -(-self.blocks // self.block_parts)

    @property
    def lhs_strides(self) -> tuple[int, ...]:
        """Strides of the input: batch, z, y, x, feature, and between groups."""
        problem = self.problem
        return (problem.lhs[1], *(s.lhs for s in problem.spaces), problem.lhs[2], problem.lhs[0])

    def copied_spaces(self, taps: Sequence[int]) -> list[int]:
        """Extents z, y, x of the input under a part of the outputs and so many taps."""
        return [
            (part.longest - 1) * s.stride + max(n - 1, 0) * s.dilation + 1
            for s, part, n in zip(self.problem.spaces, self.parts[1:], taps, strict=True)
        ]


class Loops:
    """The text of a function over chunks, up to what it does with a tile."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.problem = layout, layout.problem
        self.code = Code(layout.problem.dtype, layout.vector_bits)

    def pick_phase(self, number: Value, group: Value, taps: Sequence[int]) -> None:
        """What differs between phases: counts, taps, origins, places of outputs and taps.

        Args:
            number: of the phase.
            group: number of the group.
            taps: strides of the taps where the kernel is read.
        """
        code, problem = self.code, self.problem
        phases = problem.phases
        self.group = group
        self.counts: list[Value] = [problem.batch]
        self.counts += [code.pick([p[i].places for p in phases], number) for i in range(3)]
        self.taps = [code.pick([p[i].taps for p in phases], number) for i in range(3)]
        self.origins = [code.pick([p[i].origin for p in phases], number) for i in range(3)]
        outs = [s.out for s in problem.spaces]
        firsts = [sum(q.first * s for q, s in zip(p, outs, strict=True)) for p in phases]
        places = [sum(q.tap * s for q, s in zip(p, taps, strict=True)) for p in phases]
        self.tap_place = code.pick(places, number)
        moved = code.mul(group, problem.out[0])
        self.out_place = code.add(code.pick(firsts, number), moved)

    def bound(self, parts: Sequence[Value], block_part: Value) -> None:
        """The chunk's tiles and where it starts along each axis, and its panels."""
        code, layout = self.code, self.layout
        self.tiles: list[tuple[Value, Value]] = []
        self.starts: list[Value] = []
        for part, number, count in zip(layout.parts, parts, self.counts, strict=True):
            tiles = code.div(code.add(count, part.tile - 1), part.tile)
            first, last = self._part(number, tiles, part.parts)
            self.tiles.append((first, last))
            self.starts.append(self.place(first, part.tile, count))
        self.blocks = self._part(block_part, layout.blocks, layout.block_parts)

    def _part(self, number: Value, count: Value, parts: int) -> tuple[Value, Value]:
        """Where part number `number` of so many starts and ends."""
        code, after = self.code, self.code.add(number, 1)
        if isinstance(count, int) and count % parts == 0:
            return code.mul(number, count // parts), code.mul(after, count // parts)
        first, last = code.mul(number, count), code.mul(after, count)
        return code.div(first, parts), code.div(last, parts)

    def place(self, tile: Value, extent: int, count: Value) -> Value:
        """Where a tile starts: the last one moves back to fit."""
        code = self.code
        if extent == 1:
            return tile
        return code.least(code.mul(tile, extent), code.sub(count, extent))

    def lhs_sides(self, batch: Value, taps: Sequence[Value]) -> list[Side]:
        """Batch, z, y, x of the input from `batch` on under the outputs and these taps."""
        code, problem, layout = self.code, self.problem, self.layout
        places = [batch]
        for space, start, tap, origin in zip(
            problem.spaces, self.starts[1:], taps, self.origins, strict=True
        ):
            by_output, by_tap = code.mul(start, space.stride), code.mul(tap, space.dilation)
            places.append(code.add(by_output, by_tap, origin))
        sizes = (problem.batch, *(s.size for s in problem.spaces))
        sides = [
            Side(extent, stride, pitch, place, size)
            for extent, stride, pitch, place, size in zip(
                layout.copied, layout.lhs_strides, layout.pitch, places, sizes, strict=False
            )
        ]
        sides[0] = sides[0]._replace(is_sure=layout.parts[0].is_even)
        return sides

    def lane_side(self, block: Value) -> list[Side]:
        """The copy's axis of lanes from a panel on, where there is one."""
        layout = self.layout
        if not layout.lanewise:
            return []
        lane, extent, pitch = self.code.mul(block, layout.width), layout.copied[5], layout.pitch[5]
        stride, each = layout.lhs_strides[5], self.problem.outs
        if layout.width % each:
            return [Side(extent, stride, pitch, lane, layout.outs, each)]
        first = self.code.mul(block, layout.width // each)
        groups = Side(extent // each, stride, pitch * each, first, self.problem.groups)
        return [groups, Side(each, 0, pitch, 0, each)]

    def each_panel(self, body: Callable[[Value, int], None]) -> None:
        """`body(panel, channels)` for the chunk's panels; a group's last one may be narrower."""
        code, layout = self.code, self.layout
        first, last = self.blocks
        tail = layout.outs - (layout.blocks - 1) * layout.width
        whole = layout.blocks if tail == layout.width else layout.blocks - 1
        if whole:
            with code.loop(first, code.least(last, whole)) as block:
                body(block, layout.width)
        if whole < layout.blocks:
            with code.loop(code.greatest(first, whole), last) as block:
                body(block, tail)

    def each_tile(self, block: Value, body: Callable[[Value, Value, Value], None]) -> None:
        """`body(left, out, number)` for the chunk's tiles.

        `left` and `out` are offsets in the copy and the output, `number` counts the tiles.
        """
        code, layout = self.code, self.layout
        out = code.add(self.out_place, code.mul(block, layout.width * self.problem.out[2]))
        self._axis(0, self.copy_of(block), out, 0, body)

    def _axis(
        self,
        axis: int,
        left: Value,
        out: Value,
        number: Value,
        body: Callable[[Value, Value, Value], None],
    ) -> None:
        if axis == 4:
            body(left, out, number)
            return
        code, part, (first, last) = self.code, self.layout.parts[axis], self.tiles[axis]
        into = self.out_steps[axis]
        alone = set(part.tiles) == {part.parts}
        with nullcontext(first) if alone else code.loop(first, last) as tile:
            at = self.place(tile, part.tile, self.counts[axis])
            moved = self.moved(axis, tile, at)
            count = code.add(code.mul(number, part.longest // part.tile), code.sub(tile, first))
            self._axis(
                axis + 1, code.add(left, moved), code.add(out, code.mul(at, into)), count, body
            )

    def moved(self, axis: int, tile: Value, place: Value) -> Value:
        """How far into the copy a tile lies that starts at `place` of an axis."""
        code = self.code
        return code.mul(code.sub(place, self.starts[axis]), self.left_steps[axis])

    def copy_of(self, block: Value) -> Value:
        """Where the copy starts that a panel sees."""
        code, layout = self.code, self.layout
        if not layout.lanewise:
            return 0
        return code.mul(code.sub(block, self.blocks[0]), layout.width)

    @property
    def left_steps(self) -> tuple[int, ...]:
        """What one output along batch, z, y, x is in the copy."""
        spaces, pitch = self.problem.spaces, self.layout.pitch
        steps = [p * s.stride for p, s in zip(pitch[1:4], spaces, strict=True)]
        return (pitch[0], *steps)

    @property
    def out_steps(self) -> tuple[int, ...]:
        """What one output along batch, z, y, x is in the output array."""
        return (self.problem.out[1], *(s.out * s.out_step for s in self.problem.spaces))

    def registers(self, channels: int) -> Tile:
        """The tile of the micro-kernel for so many channels."""
        layout = self.layout
        vectors = range(0, channels, layout.lanes)
        reads = offsets(layout.shape.left, self.left_steps)
        return Tile(tuple(reads), tuple(vectors), layout.lanes, layout.lanewise)

    def store(self, sums: Sequence[str], out: str, place: Value, channels: int) -> None:
        """A tile of sums written to the output from `place` on."""
        code, layout, stride = self.code, self.layout, self.problem.out[2]
        pointer, k = code.at(out, place), 0
        for offset in offsets(layout.shape.left, self.out_steps):
            for channel in range(0, channels, layout.lanes):
                valid = min(layout.lanes, channels - channel)
                at = offset + channel * stride
                code.store_lanes(sums[k], layout.lanes, valid, pointer, at, stride)
                k += 1


def offsets(extents: Sequence[int], steps: Sequence[int]) -> list[int]:
    """Places of all elements of a box, in C order."""
    places = [0]
    for extent, step in zip(extents, steps, strict=True):
        places = [place + i * step for place in places for i in range(extent)]
    return places
