"""A launch as readable numba.cuda source.

In: a `CudaLaunch`. Out: the text of a kernel of pointers. The one idea: the expressions are
written by the printer of the CPU's kernels; only who does which turn of a loop, how folds of many
lanes are joined, and where the lanes must wait for each other is said here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.loops import Axis, Expr
from ...ir.nests import (
    Acc,
    Accumulate,
    Buffer,
    For,
    Node,
    Store,
    expressions,
    loads_of,
    neighbours,
)
from ..emit.source import short
from ..explain import count
from ..memory import reads_where_it_writes
from .apart import independent, statements
from .by_thread import ThreadSource
from .hazards import Hazards, Touch, shared_chain, touched
from .plan import WARP, CudaLaunch, chain_of, shared_inside
from .words import CudaLibrary, memory_type

_OWN = set("cuda libdevice math device first step lane warp row part lo hi k".split())


class CudaSource(ThreadSource):
    """Writes one launch; `notes` are the eqns it computes."""

    def __init__(self, launch: CudaLaunch, library: CudaLibrary, notes: Sequence[str]) -> None:
        super().__init__(launch, library, notes)
        self.unfolded: set[Acc] = set()
        self.rooms: dict[str, str] = {}
        self.first = "lo"  # where a loop over a part of a row begins
        self.hazards = Hazards()
        self.same = one_memory(launch)

    # The whole.

    def function(self, name: str) -> str:
        """The kernel, with a comment in front that says what it computes."""
        launch = self.launch
        self.names.taken |= _OWN
        for buffer in [*launch.params, *launch.scratch]:
            self.buffers[buffer] = self.names(buffer.name)
        self.count([x for n in statements(launch.body) for x in _roots(n)])
        self._hint(launch.body)
        self.write()
        rooms = [f"{n} = cuda.shared.array({WARP}, {t})" for t, n in self.rooms.items()]
        lines = [*rooms, *self.scopes[0].lines]
        body = "".join(f"    {line}\n" for line in lines) or "    return\n"
        params = ", ".join(self.buffers[b] for b in launch.params)
        return f"{self.header(name)}@kernel\ndef {name}({params}):\n{body}"

    def write(self) -> None:
        """The lines of the kernel."""
        if self.launch.kind in ("map", "column"):
            self.by_thread()
        else:
            self._by_team()

    def header(self, name: str) -> str:
        launch = self.launch
        shape = f"{count(launch.blocks, 'block')} of {launch.threads} threads"
        reads = [b for b in launch.params if b not in launch.written]
        typed = [" ".join(map(self._typed, part)) for part in (reads, launch.written)]
        lines = [f"{name}: {typed[0]} -> {typed[1]}", self.how(shape), *self.notes]
        return "".join(f"# {line}\n" for line in lines)

    def how(self, shape: str) -> str:
        """Who does what, in words."""
        launch = self.launch
        part = "a part of " if launch.parts > 1 else ""
        of = " of a row" if launch.grid else ""
        return {
            "map": f"{shape}; each does {launch.wide} neighbours" if launch.wide > 1 else shape,
            "scan": f"{shape}; a block goes through {part}a row",
            "tiles": f"{shape}; a block turns a tile over",
            "column": f"{shape}; a thread goes through a column",
            "rows": f"{shape}; {'a warp' if launch.team == WARP else 'a block'} does a row",
            "chunks": f"{shape}; a block does {self.kernel.grain} turns{of}",
            "block": f"one block of {launch.threads} threads",
        }[launch.kind]

    def _typed(self, buffer: Buffer) -> str:
        return f"{self.buffers[buffer]}:{short(buffer)}"

    # A team for each row, or for everything.

    def _by_team(self) -> None:
        launch = self.launch
        if launch.team == WARP and launch.threads > WARP:
            self._warps()
        else:
            self.line("lane = cuda.threadIdx.x")
            if launch.kind == "rows":
                self.split_rows("cuda.blockIdx.x")
            elif launch.chunk is not None:
                self._parts_of(launch.chunk)
            for buffer in launch.scratch:
                self._shared(buffer, 1)
        self.run(launch.body)

    def _parts_of(self, chunk: Axis) -> None:
        """Which part a block does, and of which row."""
        if self.launch.grid:
            block, parts = "cuda.blockIdx.x", chunk.extent
            self.line(f"row, part = {block} // {parts}, {block} % {parts}")
            self.split_rows("row")
        else:
            self.line("part = cuda.blockIdx.x")
        self.axes[chunk] = ("part", 0)
        self.bounds()

    def _warps(self) -> None:
        launch = self.launch
        each = launch.threads // WARP
        self.line(f"warp, lane = cuda.threadIdx.x // {WARP}, cuda.threadIdx.x % {WARP}")
        self.line(f"row = cuda.blockIdx.x * {each} + warp")
        for buffer in launch.scratch:
            self._shared(buffer, each)
        if launch.total % each:
            self.line(f"if row >= {launch.total}:")
            self.line("    return")
        self.split_rows("row")

    def split_rows(self, at: str) -> None:
        axes = [loop.axis for loop in self.launch.grid]
        if len(axes) > 1:
            if at != "row":
                self.line(f"row = {at}")
            self.split("row", axes, 1)
            return
        name = self.names(axes[0].name)
        self.line(f"{name} = {at}")
        self.axes[axes[0]] = (name, 0)

    def _shared(self, buffer: Buffer, rows: int) -> None:
        """What a row keeps for later loops over it, in the memory that its team shares."""
        name, size = self.buffers[buffer], max(buffer.size, 1)
        kind = memory_type(buffer.dtype)
        self.line(f"{name} = cuda.shared.array({rows * size}, {kind})")

    def run(self, body: list[Node]) -> None:
        """Statements in order; a team waits where one lane needs what another one did."""
        if self.alone:
            super().run(body)
            return
        at = 0
        while at < len(body):
            part: list[Node] = list(neighbours(body, at)) or [body[at]]
            self._wait_before(part)
            self._read_first(part)
            super().run(part)
            at += len(part)

    def _wait_before(self, part: list[Node]) -> None:
        if isinstance(part[0], For) and not self._is_shared(part[0]):
            return  # the statements inside wait for themselves
        shared = isinstance(part[0], For)
        new = [self._known(t) for node in part for t in touched(node, shared)]
        if self.hazards.needed(new):
            self.line(self._waiting())
            self.hazards.clear()
        self.hazards.add(new)

    def _read_first(self, part: list[Node]) -> None:
        """All lanes read what the first one then replaces before it does so."""
        stores = [node for node in part if isinstance(node, Store)]
        read = {self._one(x.source) for node in stores for x in loads_of(*expressions(node))}
        if any(self._one(node.target) in read for node in stores):
            self._values(stores)
            self.line(self._waiting())

    def _one(self, buffer: Buffer) -> Buffer:
        return self.same.get(buffer, buffer)

    def _known(self, touch: Touch) -> Touch:
        """A touch of the memory that a buffer may share with another one."""
        return touch._replace(buffer=self._one(touch.buffer))

    def _waiting(self) -> str:
        """The line at which all lanes of the team meet before any goes on."""
        return "cuda.syncwarp()" if self.launch.team == WARP else "cuda.syncthreads()"

    def _is_shared(self, node: Node) -> bool:
        """Whether the team shares out the turns of a loop."""
        if not isinstance(node, For) or node.axis.extent == 1 or not independent(node):
            return False
        return not shared_inside(node.body) or all(map(independent, chain_of([node])))

    def loop(self, node: For) -> None:
        if self.alone:
            super().loop(node)
        elif self._is_shared(node):
            self._share(node)
        else:
            self._together(node)

    def _together(self, node: For) -> None:
        """A loop that all lanes go through side by side; what is inside may be shared."""
        started = [acc for acc in node.accs if acc not in self.accs]
        before = self.hazards.copy()
        super().loop(node)
        if not node.axis.extent:
            self.hazards = before
        self._join(started)

    def within(self, node: For, started: list[Acc]) -> None:
        super().within(node, started)
        if self.alone or node.axis.extent == 1:
            return
        # The next turn begins where this one ends.
        again = [self._known(t) for part in node.body for t in self._all_touched(part)]
        if self.hazards.needed(again):
            self.line(self._waiting())
            self.hazards.clear()

    def _all_touched(self, node: Node) -> list[Touch]:
        if isinstance(node, For) and not self._is_shared(node):
            return [t for part in node.body for t in self._all_touched(part)]
        return touched(node, isinstance(node, For))

    def _share(self, node: For) -> None:
        """A loop whose turns the lanes share, and the folds of all lanes joined after it."""
        chain = shared_chain(node)
        started = [acc for acc in node.accs if acc not in self.accs]
        for acc in started:
            name = self.names(acc.name)
            self.start(acc, name)
            self.accs[acc] = (name, self.depth)
        self._go_through(node, chain)
        for acc in started:
            self.accs[acc] = (self.accs[acc][0], self.depth)
        self._join(started)

    def _go_through(self, node: For, chain: list[For]) -> None:
        axes = [loop.axis for loop in chain]
        total = 1
        for axis in axes:
            total *= axis.extent
        part = node.chunked and self.launch.chunk is not None
        first, stop = (f"{self.first} + lane", "hi") if part else ("lane", str(total))
        if part and len(chain) > 1:
            below = total // axes[0].extent
            first, stop = f"{below} * lo + lane", f"{below} * hi"
        at = self.names(axes[0].name if len(axes) == 1 else "place")
        self.line(f"{at} = {first}")
        self.open()
        self.split(at, axes, 1)
        for acc in node.accs:
            self.accs[acc] = (self.accs[acc][0], self.depth)
        self.alone = True
        self.run(chain[-1].body)
        self.alone = False
        self.unfolded |= {n.acc for n in statements(node.body) if isinstance(n, Accumulate)}
        self.line(f"{at} += {self.launch.team}")
        self.close(f"while {at} < {stop}:")
        for a in axes:
            self.names.taken.discard(self.axes[a][0])

    def _join(self, started: list[Acc]) -> None:
        """Folds of the lanes become one value, which all of them have."""
        for acc in started:
            if acc not in self.unfolded:
                continue
            self.unfolded.discard(acc)
            name, dtype = self.accs[acc][0], acc.value_dtype
            block = self.launch.team != WARP
            room = self.room(memory_type(dtype)) if block else ""
            if acc.positional:
                helper = self.cuda.placed(acc.op, dtype, block)
                more = f", {room}, {self.room('int64', 'places')}" if block else ""
                self.line(f"{name}, {name}_place = {helper}({name}, {name}_place{more})")
            else:
                helper = self.cuda.folded(acc.op, dtype, block)
                self.line(f"{name} = {helper}({name}{', ' + room if room else ''})")
            if block:
                self.hazards.clear()

    def room(self, kind: str, wish: str = "room") -> str:
        """Shared memory for a value of each warp."""
        key = kind if wish == "room" else f"{kind} "
        if key not in self.rooms:
            self.rooms[key] = self.names(
                f"{wish}_{kind}" if self.rooms and wish == "room" else wish
            )
        return self.rooms[key]

    def assign(self, lines: list[str]) -> None:
        if self.alone:
            super().assign(lines)
            return
        self.line("if lane == 0:")
        self.scopes[-1].lines += ["    " + line for line in lines]

    def heading(self, node: For, name: str) -> str:
        if node.chunked and self.launch.chunk is not None:
            return f"for {name} in range(lo, hi):"
        return f"for {name} in range({node.axis.extent}):"


def one_memory(launch: CudaLaunch) -> dict[Buffer, Buffer]:
    """For buffers that may be written where another one is read: what stands for both."""
    found: dict[Buffer, Buffer] = {}
    if launch.kind in ("map", "column"):
        return found  # a thread has its elements for itself
    for target in launch.written:
        for source in launch.params:
            alike = source is not target and source.bytes == target.bytes
            if alike and reads_where_it_writes(launch.kernel, source, target):
                group = {
                    b for b, of in found.items() if of in (found.get(source), found.get(target))
                }
                found |= dict.fromkeys({*group, source, target}, target)
    return found


def _roots(node: Node) -> list[Expr]:
    return [] if isinstance(node, For) else expressions(node)
