"""Running folds along a row: a block goes through it, as many elements at a time as it has threads.

In: a launch whose inner loop stores the fold of its turns so far. Out: text. The one idea: lanes
fold what the lanes before them have by shuffles, warps by shared memory, and what all have had so
far is carried to the next part of the row.
"""

from __future__ import annotations

from ...ir.nests import Accumulate, For, Node, identity_of
from .source import CudaSource
from .words import memory_type


class ScanSource(CudaSource):
    """Writes one launch by scans."""

    def write(self) -> None:
        launch = self.launch
        (loop,) = launch.body
        assert isinstance(loop, For)
        self.line("lane = cuda.threadIdx.x")
        if launch.grid:
            self.split_rows("cuda.blockIdx.x")
        self.alone = True
        self._parts(loop)

    def _parts(self, loop: For) -> None:
        first, *stores = loop.body
        assert isinstance(first, Accumulate)
        acc = first.acc
        dtype, extent = acc.value_dtype, loop.axis.extent
        start = self.ops.constant(identity_of(acc.op, dtype), dtype)
        carried, begun = self.names("carried"), self.names("begun")
        value, total = self.names("value"), self.names("total")
        name = self.names(acc.name)
        self.line(f"{carried} = {start}")
        self.line(f"{begun} = 0")
        self.open()
        at = self.names(loop.axis.name)
        self.line(f"{at} = {begun} + lane")
        self.line(f"{value} = {start}")
        self.open()
        self.axes[loop.axis] = (at, self.depth)
        self.line(f"{value} = {self.text(first.value, None, 72).code}")
        self.close(f"if {at} < {extent}:")
        function = self.cuda.running(acc.op, dtype)
        self.line(f"{value}, {total} = {function}({value}, {self.room(memory_type(dtype))})")
        self.line(f"{name} = {self.cuda.join(acc.op, dtype, carried, value)}")
        self.line(f"{carried} = {self.cuda.join(acc.op, dtype, carried, total)}")
        self._store(loop, name, at, list(stores))
        self.line(f"{begun} += {self.launch.threads}")
        self.close(f"while {begun} < {extent}:")

    def _store(self, loop: For, name: str, at: str, stores: list[Node]) -> None:
        """What is made of the running fold, where the row goes so far."""
        (acc,) = loop.accs
        self.open()
        self.axes[loop.axis] = (at, self.depth)
        self.accs[acc] = (name, self.depth)
        self.run(stores)
        self.close(f"if {at} < {loop.axis.extent}:")
