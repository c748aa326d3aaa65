"""Forward convolutions with few output channels: lanes run along the last axis of the outputs.

           V vectors of neighbouring inputs, in one row or in several
           x0          x1
    w0   acc[0][0]   acc[0][1]        the micro-kernel with its sides exchanged: the kernel's
    w1   acc[1][0]   acc[1][1]        elements, one for each output channel, are in all lanes

The copy of the input has its features outermost and rows contiguous.
"""

from __future__ import annotations

from math import prod

from . import LibraryKernel
from .conv_code import Value
from .conv_layout import offsets
from .conv_micro import Level, Tile, outer_products
from .conv_spec import Problem
from .conv_tiles import Shape, choose_rows, registers
from .conv_wide import Chunks, Wide, assembled


class Planar(Wide):
    """Outputs cut into boxes, lanes along the last axis.

    Attributes:
        shape: extents of a tile in outputs; the last one is at most that of its vectors.
    """

    def _tile(self) -> tuple[Shape, int]:
        problem = self.problem
        counts = [min(p.places for p in s.phases) for s in problem.spaces]
        rows, vectors = choose_rows(
            counts[1], counts[2], self.lanes, self.outs, registers(self.vector_bits)
        )
        self.reach = vectors * self.lanes
        return Shape((1, 1, rows, min(self.reach, counts[2])), vectors), self.outs

    def can_read_in_place(self) -> bool:
        short = self.reach > self.shape.left[3]
        return super().can_read_in_place() and self.problem.spaces[2].lhs == 1 and not short

    def lay_out(self) -> int:
        super().lay_out()
        # Where a row is shorter than a vector, the lanes behind it read zeros.
        behind = self.reach - self.shape.left[3]
        batch, z, y, x, features, lane = self.copied
        self.copied = (batch, z, y, x + behind, features, lane)
        return self.ordered((0, 4, 1, 2, 3, 5))


def planar_kernel(problem: Problem, vector_bits: int) -> LibraryKernel | None:
    """The kernel; None where it does not suit, or no copy is small enough for the stack."""
    last = problem.spaces[2]
    taps = prod(s.rhs_taps for s in problem.spaces)
    # Features that lie side by side are moved apart: that pays where each is read often.
    if last.stride != 1 or len(last.phases) != 1 or (last.lhs != 1 and taps < 9):
        return None
    planar = Planar(problem, vector_bits, lanewise=False)
    if 2 * last.phases[0].places < planar.lanes:
        return None
    if planar.outs > registers(vector_bits) // 2 or not planar.fits:
        return None
    return assembled(planar, _Rows(planar))


class _Rows(Chunks):
    def __init__(self, planar: Planar) -> None:
        super().__init__(planar)
        self.planar = planar

    def compute(
        self, left: str, right: str, levels: list[Level], out: Value, channels: int
    ) -> None:
        code, planar, problem = self.code, self.planar, self.problem
        rows, vectors, lanes = planar.shape.left[2], planar.shape.vectors, planar.lanes
        steps, into = self.left_steps, self.out_steps
        reads = offsets((rows, vectors), (steps[2], lanes))
        tile = Tile(tuple(range(channels)), tuple(reads), lanes)
        exchanged = [Level(level.times, level.right, level.left) for level in levels]
        sums = outer_products(code, tile, exchanged, right, left)
        places = offsets((rows, vectors), (into[2], lanes * into[3]))
        pointer, k = code.at(self.out, out), 0
        for channel in range(channels):
            for i, place in enumerate(places):
                valid = min(lanes, planar.shape.left[3] - i % vectors * lanes)
                at = place + channel * problem.out[2]
                code.store_lanes(sums[k], lanes, valid, pointer, at, into[3])
                k += 1
