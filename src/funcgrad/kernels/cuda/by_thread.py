"""The turns of a launch that fall to a thread, and neighbours that it does together.

In: a `CudaLaunch`. Out: the lines of a thread. The one idea: a thread strides over all turns of the
grid's loops, whose places follow from their number; where memory allows it, it does neighbours at
once, from arrays of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.loops import Affine, Axis, IndexTuple, Load
from ...ir.nests import Accumulate, Buffer, Store, loads_of, offset_of
from ..emit.source import LINE, KernelSource, Scope
from .plan import CudaLaunch, is_side_by_side
from .words import CudaLibrary, memory_type


class ThreadSource(KernelSource):
    """Writes what a thread does by itself; `notes` are the eqns that a launch computes."""

    def __init__(self, launch: CudaLaunch, library: CudaLibrary, notes: Sequence[str]) -> None:
        super().__init__(launch.kernel, library, notes)
        self.launch = launch
        self.cuda = library
        self.alone = False  # inside of loops that threads share: each does what it has
        self.wide: dict[tuple[Buffer, object], str] = {}

    # Places of extremes.

    # What no element of a thread exceeds is what its fold starts from: there, the first place.
    first_place = 0

    def accumulate(self, node: Accumulate) -> None:
        """A value folded in; a thread meets places in order, so of equal ones the first stays."""
        if node.position is None:
            super().accumulate(node)
            return
        acc, name = node.acc, self.accs[node.acc][0]
        value = self.text(node.value, None, LINE)
        code = value.code
        if not code.isidentifier():
            code = self.name(node.value, value, self.depth)
        better = self.ops.helper("above" if acc.op == "argmax" else "below")
        place = self.index(node.position, self.depth)
        self.line(f"if {better}({code}, {name}):")
        self.line(f"    {name}, {name}_place = {code}, int64({place})")

    # A thread for each element.

    def by_thread(self) -> None:
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
            self.bounds()
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

    def bounds(self) -> None:
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


def key_of(offset: Affine) -> object:
    """What tells two places apart that are known while the text is written."""
    return (offset.const, frozenset(offset.axes.items()), bool(offset.dynamic))
