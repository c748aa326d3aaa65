"""Running folds along a row: a block goes through it, as many elements at a time as it has threads.

In: a launch whose inner loop stores the fold of its turns so far. Out: text. The one idea: lanes
fold what the lanes before them have by shuffles, warps by shared memory, and what all have had so
far is carried to the next part of the row. Few long rows are done by many blocks: a first launch
folds parts of them, whose results each block of the second one joins up to its own part.
"""

from __future__ import annotations

from ...ir.loops import DType
from ...ir.nests import Accumulate, For, Node, identity_of
from ..emit.source_ops import Text
from .source import CudaSource
from .words import memory_type


class ScanSource(CudaSource):
    """Writes one launch by scans."""

    def write(self) -> None:
        launch = self.launch
        (loop,) = launch.body
        assert isinstance(loop, For)
        self.line("lane = cuda.threadIdx.x")
        row = "cuda.blockIdx.x"
        if launch.parts > 1:
            self.line(f"part = cuda.blockIdx.x % {launch.parts}")
            row = f"cuda.blockIdx.x // {launch.parts}"
        if launch.grid:
            self.split_rows(row)
        self.alone = True
        if launch.kind == "totals":
            self._fold(loop)
        else:
            self._parts(loop)

    @property
    def _each(self) -> int:
        """Elements of a part of a row, a multiple of a block's threads."""
        (loop,) = self.launch.body
        assert isinstance(loop, For)
        turns = -(-loop.axis.extent // (self.launch.parts * self.launch.threads))
        return turns * self.launch.threads

    def _fold(self, loop: For) -> None:
        """The fold of a part of a row, which one lane stores."""
        (first,) = loop.body
        assert isinstance(first, Accumulate) and self.launch.totals is not None
        acc, totals = first.acc, self.launch.totals
        dtype = acc.value_dtype
        value, at = self.names("value"), self.names(loop.axis.name)
        self.line(f"{value} = {self.ops.constant(identity_of(acc.op, dtype), dtype)}")
        self.line(f"{at} = {self._each} * part + lane")
        stop = self.names("stop")
        self.line(f"{stop} = min({self._each} * part + {self._each}, {loop.axis.extent})")
        self.open()
        self.axes[loop.axis] = (at, self.depth)
        own = self.text(first.value, None, 72).code
        self.line(f"{value} = {self.cuda.join(acc.op, dtype, value, own)}")
        self.line(f"{at} += {self.launch.threads}")
        self.close(f"while {at} < {stop}:")
        function = self.cuda.folded(acc.op, dtype, True)
        self.line(f"{value} = {function}({value}, {self.room(memory_type(dtype))})")
        self.line("if lane == 0:")
        stored = self.ops.stored(Text(value), dtype)
        self.line(f"    {self.buffers[totals]}[cuda.blockIdx.x] = {stored}")

    def _before(self, carried: str, op: str, dtype: DType) -> None:
        """What the parts before this one come to, in order."""
        totals = self.launch.totals
        assert totals is not None
        other = self.names("other")
        self.line(f"{other} = cuda.blockIdx.x - part")
        self.line(f"while {other} < cuda.blockIdx.x:")
        found = self.ops.loaded(f"{self.buffers[totals]}[{other}]", dtype).code
        self.line(f"    {carried} = {self.cuda.join(op, dtype, carried, found)}")
        self.line(f"    {other} += 1")

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
        end = str(extent)
        if self.launch.parts > 1:
            self._before(carried, acc.op, dtype)
            end = self.names("stop")
            self.line(f"{end} = min({self._each} * part + {self._each}, {extent})")
        self.line(f"{begun} = {f'{self._each} * part' if self.launch.parts > 1 else 0}")
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
        self.close(f"while {begun} < {end}:")

    def _store(self, loop: For, name: str, at: str, stores: list[Node]) -> None:
        """What is made of the running fold, where the row goes so far."""
        (acc,) = loop.accs
        self.open()
        self.axes[loop.axis] = (at, self.depth)
        self.accs[acc] = (name, self.depth)
        self.run(stores)
        self.close(f"if {at} < {loop.axis.extent}:")
