"""A launch as readable numba.cuda source.

In: a `CudaLaunch`. Out: the text of a kernel of pointers. The one idea: the expressions are
written by the printer of the CPU's kernels; only who does which turn of a loop, how folds of many
lanes are joined, and where the lanes must wait for each other is said here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.loops import Affine, Axis, Expr, IndexTuple, Load
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
    offset_of,
)
from ..emit.source import KernelSource, Scope, short
from ..explain import count
from ..memory import reads_where_it_writes
from .apart import independent, statements
from .hazards import Hazards, Touch, shared_chain, touched
from .plan import WARP, CudaLaunch, chain_of, is_side_by_side, shared_inside
from .words import CudaLibrary, memory_type

_OWN = set("cuda libdevice math device first step lane warp row part lo hi k".split())


class CudaSource(KernelSource):
    """Writes one launch; `notes` are the eqns it computes."""

    def __init__(self, launch: CudaLaunch, library: CudaLibrary, notes: Sequence[str]) -> None:
        super().__init__(launch.kernel, library, notes)
        self.launch = launch
        self.cuda = library
        self.alone = False  # inside of loops that threads share: each does what it has
        self.wide: dict[tuple[Buffer, object], str] = {}
        self.unfolded: set[Acc] = set()
        self.rooms: dict[str, str] = {}
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
            self._by_thread()
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
        return {
            "map": f"{shape}; each does {launch.wide} neighbours" if launch.wide > 1 else shape,
            "scan": f"{shape}; a block goes through {part}a row",
            "tiles": f"{shape}; a block turns a tile over",
            "column": f"{shape}; a thread goes through a column",
            "rows": f"{shape}; {'a warp' if launch.team == WARP else 'a block'} does a row",
            "chunks": f"{shape}; a block does {self.kernel.grain} turns",
            "block": f"one block of {launch.threads} threads",
        }[launch.kind]

    def _typed(self, buffer: Buffer) -> str:
        return f"{self.buffers[buffer]}:{short(buffer)}"

    # A thread for each element.

    def _by_thread(self) -> None:
        launch = self.launch
        self.alone = True
        total = launch.total
        self.line("first, step = cuda.grid(1), cuda.gridsize(1)")
        if launch.wide == 1:
            self.turns("first", str(total), 1)
            return
        self._find_wide()
        # What comes from outside may begin anywhere; then, every element is done by itself.
        given = " and ".join(f"aligned({n})" for n in dict.fromkeys(self._wide_buffers()))
        stop = self.names("stop")
        self.line(f"{stop} = {total // launch.wide} if {given} else 0")
        for (buffer, _), name in self.wide.items():
            kind = memory_type(buffer.dtype)
            self.line(f"{name} = cuda.local.array({launch.wide}, {kind}, alignment=16)")
        taken = set(self.names.taken)
        self.turns("first", stop, launch.wide)
        self.wide.clear()
        # What stands before both loops keeps its name; the rest is said again.
        self.names.taken = taken | {name for name, _ in self.scopes[0].names.values()}
        self.turns(f"{launch.wide} * {stop} + first", str(total), 1)

    def _wide_buffers(self) -> list[str]:
        return [self.buffers[b] for b, _ in self.wide]

    def turns(self, first: str, stop: str, wide: int) -> None:
        """The turns of the grid's loops that fall to a thread."""
        launch = self.launch
        axes = [loop.axis for loop in launch.grid]
        if launch.chunk is not None:
            axes = [launch.chunk, *axes]
        single = len(axes) == 1
        at = self.names(axes[0].name if single and wide == 1 else "turn")
        self.line(f"{at} = {first}")
        self.open()
        if wide > 1:
            self._neighbours(at, axes, wide)
        else:
            self.split(at, axes, 1)
            self._bounds()
            self.run(launch.body)
        self.line(f"{at} += step")
        self.close(f"while {at} < {stop}:")

    def open(self) -> None:
        """Begin the body of a compound statement."""
        self.scopes.append(Scope())
        self.forget_levels()

    def close(self, heading: str) -> None:
        """End it, and write it under its heading."""
        inner = self.scopes.pop().lines or ["pass"]
        self.forget_levels()
        self.line(heading)
        self.scopes[-1].lines += ["    " + line for line in inner]

    def _bounds(self) -> None:
        """Where the part of a column begins and ends."""
        if self.launch.chunk is None:
            return
        number, grain = self.axes[self.launch.chunk][0], self.kernel.grain
        self.line(f"lo = {number} * {grain}")
        self.line(f"hi = min(lo + {grain}, {self.kernel.extent})")

    def split(self, at: str, axes: list[Axis], wide: int) -> None:
        """Give each axis its name, from the place in all of them."""
        if len(axes) == 1:
            name = at
            if wide > 1:
                name = self.names(axes[0].name)
                self.line(f"{name} = {wide} * {at}")
            self.axes[axes[0]] = (name, self.depth)
            return
        rest = at
        inner = [a.extent for a in axes]
        inner[-1] //= wide
        for k, axis in enumerate(axes):
            below = 1
            for n in inner[k + 1 :]:
                below *= n
            if axis.extent == 1:
                self.axes[axis] = ("0", self.depth)
                continue
            name = self.names(axis.name)
            code = rest if below == 1 else f"{rest} // {below}"
            if inner[k] == 1:
                code = "0"
            if wide > 1 and k == len(axes) - 1:
                code = f"{wide} * ({code})" if " " in code else f"{wide} * {code}"
            self.line(f"{name} = {code}")
            if below > 1:
                rest = f"({at} % {below})" if k < len(axes) - 2 else f"{at} % {below}"
            self.axes[axis] = (name, self.depth)

    # Neighbours together.

    def _find_wide(self) -> None:
        """The accesses that a thread makes for its neighbours at once."""
        axis, wide = self.launch.grid[-1].axis, self.launch.wide
        found: list[tuple[Buffer, object]] = []
        for node in self.launch.body:
            assert isinstance(node, Store)
            for x in self._loads_of(node):
                offset = offset_of(x.source, x.index)
                if x.guard is None and is_side_by_side(offset, axis, wide):
                    found.append((x.source, key_of(offset)))
            offset = offset_of(node.target, node.index)
            if is_side_by_side(offset, axis, wide):
                found.append((node.target, key_of(offset)))
        for key in dict.fromkeys(found):
            self.wide[key] = self.names(f"{self.buffers[key[0]]}_{wide}")

    def _loads_of(self, node: Store) -> list[Load]:
        return [x for x in loads_of(node.value) if x.source.size]

    def _neighbours(self, at: str, axes: list[Axis], wide: int) -> None:
        launch = self.launch
        self.split(at, axes, wide)
        start = self.axes[axes[-1]][0]
        stored = {
            (n.target, key_of(offset_of(n.target, n.index)))
            for n in launch.body
            if isinstance(n, Store)
        }
        places = {key: self._place(key) for key in self.wide}
        for key, name in self.wide.items():
            if key not in stored:
                self.line(f"load_{wide}({self.buffers[key[0]]}, {places[key]}, {name})")
        self.open()
        name = self.names(axes[-1].name)
        self.line(f"{name} = {start} + k")
        self.axes[axes[-1]] = (name, self.depth)
        self.run(launch.body)
        self.close(f"for k in range({wide}):")
        self.axes[axes[-1]] = (start, self.depth)
        for key, kept in self.wide.items():
            if key in stored:
                self.line(f"store_{wide}({self.buffers[key[0]]}, {places[key]}, {kept})")

    def _place(self, key: tuple[Buffer, object]) -> str:
        for node in self.launch.body:
            assert isinstance(node, Store)
            for x in [*self._loads_of(node), node]:
                buffer = x.target if isinstance(x, Store) else x.source
                offset = offset_of(buffer, x.index)
                if (buffer, key_of(offset)) == key:
                    return self.index(offset, self.depth)
        raise AssertionError(key)

    def element(self, buffer: Buffer, index: IndexTuple, at: int) -> str:
        offset = offset_of(buffer, index)
        name = self.wide.get((buffer, key_of(offset))) if self.wide else None
        if name is not None:
            return self.neighbour(name)
        if buffer not in self.launch.scratch or self.launch.threads == self.launch.team:
            return super().element(buffer, index, at)
        size, place = max(buffer.size, 1), self.index(offset, at)
        start = "warp" if size == 1 else f"{size} * warp"
        return f"{self.buffers[buffer]}[{start if place == '0' else f'{start} + {place}'}]"

    def neighbour(self, name: str) -> str:
        """The element of a thread's own array that stands for one in memory."""
        return f"{name}[k]"

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
                self.line("part = cuda.blockIdx.x")
                self.axes[launch.chunk] = ("part", 0)
                self._bounds()
            for buffer in launch.scratch:
                self._shared(buffer, 1)
        self.run(launch.body)

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
        first, stop = ("lo + lane", "hi") if part else ("lane", str(total))
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


def key_of(offset: Affine) -> object:
    """What tells two places apart that are known while the text is written."""
    return (offset.const, frozenset(offset.axes.items()), bool(offset.dynamic))


def _roots(node: Node) -> list[Expr]:
    return [] if isinstance(node, For) else expressions(node)
