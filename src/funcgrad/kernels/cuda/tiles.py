"""Transpositions: a block moves a tile through shared memory, always side by side.

In: a launch whose loads lie along another axis than its stores. Out: text. The one idea: lanes
that are neighbours read neighbours, put them into a tile, wait, and take out of it across what they
store to neighbours. A row of the tile has one element more than it needs, so that a column lies in
as many banks as a row.
"""

from __future__ import annotations

from ...ir.loops import Affine, Axis
from ...ir.nests import Buffer, Store, loads_of, offset_of
from .by_thread import key_of
from .plan import lies_across
from .source import CudaSource
from .words import memory_type

SIDE = 32
PITCH = SIDE + 1
ROWS = 8


class TileSource(CudaSource):
    """Writes one launch by tiles."""

    def write(self) -> None:
        launch = self.launch
        assert launch.across is not None
        across, along = launch.across, launch.grid[-1].axis
        self.line(f"lane, row = cuda.threadIdx.x % {SIDE}, cuda.threadIdx.x // {SIDE}")
        places = self._tiles(across, along)
        first = [self.names("first_row"), self.names("first_column")]
        sizes = [-(-a.extent // SIDE) for a in (across, along)]
        self.line(f"{first[0]} = {SIDE} * (cuda.blockIdx.x % {sizes[0]})")
        self.line(f"{first[1]} = {SIDE} * (cuda.blockIdx.x // {sizes[0]} % {sizes[1]})")
        self._others(across, along, sizes[0] * sizes[1])
        self.alone = True
        self._pass((across, first[0]), (along, first[1]), places)
        self.line("cuda.syncthreads()")
        self._pass((along, first[1]), (across, first[0]), [])

    def _tiles(self, across: Axis, along: Axis) -> list[tuple[Buffer, Affine]]:
        """A tile for each place that is read along the other axis."""
        found: list[tuple[Buffer, Affine]] = []
        for node in self.launch.body:
            assert isinstance(node, Store)
            for load in loads_of(node.value):
                offset = offset_of(load.source, load.index)
                key = (load.source, key_of(offset))
                if not lies_across(load, across, along) or key in self.wide:
                    continue
                name = self.names(f"{self.buffers[load.source]}_tile")
                kind = memory_type(load.source.dtype)
                self.line(f"{name} = cuda.shared.array({SIDE * PITCH}, {kind})")
                self.wide[key] = name
                found.append((load.source, offset))
        return found

    def _others(self, across: Axis, along: Axis, tiles: int) -> None:
        """The axes that only choose a matrix."""
        axes = [f.axis for f in self.launch.grid if f.axis not in (across, along)]
        if axes:
            at = self.names("matrix")
            self.line(f"{at} = cuda.blockIdx.x // {tiles}")
            self.split(at, axes, 1)

    def _pass(
        self, fast: tuple[Axis, str], slow: tuple[Axis, str], places: list[tuple[Buffer, Affine]]
    ) -> None:
        """All elements of the tile once, neighbours along one axis: read in, or taken out."""
        self.open()
        names: list[str] = []
        for (axis, first), own in ((fast, "lane"), (slow, f"row + {ROWS} * k")):
            name = self.names(axis.name)
            self.line(f"{name} = {first} + {own}")
            names.append(name)
        # What an element needs is done inside of the test that it is there.
        self.open()
        for (axis, _), name in zip((fast, slow), names, strict=True):
            self.axes[axis] = (name, self.depth)
        for buffer, offset in places:
            tile = self.wide[(buffer, key_of(offset))]
            place = f"{PITCH} * (row + {ROWS} * k) + lane"
            self.line(f"{tile}[{place}] = {self.buffers[buffer]}[{self.index(offset, self.depth)}]")
        if not places:
            self.run(self.launch.body)
        within = " and ".join(
            f"{name} < {axis.extent}" for (axis, _), name in zip((fast, slow), names, strict=True)
        )
        self.close(f"if {within}:")
        self.close(f"for k in range({SIDE // ROWS}):")
        self.names.taken -= set(names)

    def neighbour(self, name: str) -> str:
        return f"{name}[{PITCH} * lane + row + {ROWS} * k]"
