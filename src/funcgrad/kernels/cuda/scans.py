"""Running folds along a row, which is read once: a block goes through it, or does a part of it.

    values   a thread's elements, neighbours together, into registers
    lanes    what lies before each within its warp, by shuffles; before each warp, by shared memory
    blocks   leave the fold of their part where others look for it, and wait for earlier ones
    stores   of each element, with what lies before it

In: a launch of `scan_plan`. Out: text. The one idea: a part's number is that in which its block
began, so whoever waits, waits for blocks that have begun; and the folds of earlier parts are joined
by their places (those of earlier groups, then those of the group), whoever was quicker, so that
every run gives the same bits. Memory is passed once, as by the decoupled look-back of Merrill and
Garland (2016), whose sums depend on who was quicker.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.loops import IndexTuple
from ...ir.nests import (
    Accumulate,
    Buffer,
    For,
    Node,
    Store,
    expressions,
    identity_of,
    loads_of,
    offset_of,
)
from ..emit.source import LINE
from ..emit.source_ops import Text
from .by_thread import key_of
from .messages import hearing, telling
from .plan import WARP
from .scan_plan import GROUP, row_of, side
from .source import CudaSource
from .words import memory_type

End = tuple[Buffer, IndexTuple]


class ScanSource(CudaSource):
    """Writes one launch by scans."""

    def write(self) -> None:
        launch, self.row = self.launch, row_of(self.launch)
        (acc,) = self.row.accs
        self.op, self.dtype, self.kind = acc.op, acc.value_dtype, memory_type(acc.value_dtype)
        self.start_value = self.ops.constant(identity_of(acc.op, self.dtype), self.dtype)
        self.extent = self.row.axis.extent
        self.part = launch.threads * launch.each
        self.back: set[str] = set()
        self.alone = True
        self.line(f"warp, lane = cuda.threadIdx.x // {WARP}, cuda.threadIdx.x % {WARP}")
        turn = self._begun() if launch.parts > 1 else "cuda.blockIdx.x"
        if launch.grid:
            self.split_rows(f"{turn} // {launch.parts}" if launch.parts > 1 else turn)
        self._arrays()
        if launch.parts > 1:
            self._do(f"{self.part} * part", turn)
            return
        self.carried = self.names("carried")
        self.line(f"{self.carried} = {self.start_value}")
        if self.extent <= self.part:
            self._do("0")
            return
        begun = self.names("begun")
        self.line(f"{begun} = 0")
        self.open()
        self._do(begun)
        self.line(f"{begun} += {self.part}")
        self.close(f"while {begun} < {self.extent}:")

    def _begun(self) -> str:
        """The name of the number in which a block began."""
        assert self.launch.told is not None
        room, turn = self.names("number"), self.names("turn")
        self.line(f"{room} = cuda.shared.array(1, int64)")
        self.line("if cuda.threadIdx.x == 0:")
        self.line(f"    {room}[0] = next_number({self.buffers[self.launch.told]}, 0)")
        self.line("cuda.syncthreads()")
        self.line(f"{turn} = {room}[0]")
        self.line(f"part = {turn} % {self.launch.parts}")
        return turn

    def _joined(self, x: str, y: str) -> str:
        return self.cuda.join(self.op, self.dtype, x, y)

    # Memory of a thread.

    def _arrays(self) -> None:
        """Neighbours that are moved together, and folds: of elements, and before each vector."""
        launch = self.launch
        ends = [end for node in self.row.body for end in _ends(node)] if launch.wide > 1 else []
        for end in ends:
            way, key = side(*end, self.row.axis, launch.wide), _key(end)
            if way and key not in self.wide:
                name = self.wide[key] = self.names(f"{self.buffers[end[0]]}_{launch.wide}")
                kind = memory_type(end[0].dtype)
                self.line(f"{name} = cuda.local.array({launch.wide}, {kind}, alignment=16)")
                self.back |= {name} if way < 0 else set()
        self.folds, self.heads = self.names("folds"), self.names("heads")
        self.line(f"{self.folds} = cuda.local.array({launch.each}, {self.kind})")
        self.line(f"{self.heads} = cuda.local.array({launch.each // launch.wide}, {self.kind})")
        self.aligned = self.names("together") if self.wide else ""
        if self.wide:
            given = dict.fromkeys(self.buffers[b] for b, _ in self.wide)
            self.line(f"{self.aligned} = {' and '.join(f'aligned({n})' for n in given)}")

    def neighbour(self, name: str) -> str:
        return f"{name}[{self.launch.wide - 1} - k]" if name in self.back else f"{name}[k]"

    def _move(self, how: str, start: str, ends: list[End]) -> None:
        """Neighbours from memory into a thread's arrays, or back."""
        wide, axis = self.launch.wide, self.row.axis
        for key, (buffer, index) in {_key(end): end for end in ends}.items():
            name = self.wide.get(key)
            if name is None:
                continue
            at = start
            if name in self.back:
                at = self.names("last")
                self.line(f"{at} = {start} + {wide - 1}")
            self.axes[axis] = (at, self.depth)
            place = self.index(offset_of(buffer, index), self.depth)
            self.line(f"{how}_{wide}({self.buffers[buffer]}, {place}, {name})")

    # A part of a row.

    def _do(self, begun: str, turn: str = "") -> None:
        """What a block has in registers at once, from where it begins."""
        launch, several = self.launch, self.launch.threads > WARP
        first = self.names("begin")
        terms = [begun] if begun != "0" else []
        terms += [f"{WARP * launch.each} * warp"] if several else []
        terms += [f"{launch.wide} * lane" if launch.wide > 1 else "lane"]
        self.line(f"{first} = {' + '.join(terms)}")
        end = str(self.part) if begun == "0" else f"{begun} + {self.part}"
        self._parts(end, self._take, first)
        total = self._lanes()
        head = ""
        if several:
            head, own, total = self.names("before"), total, self.names("total")
            function = self.cuda.before_warps(self.op, self.dtype)
            self.line(f"{head}, {total} = {function}({own}, {self.room(self.kind)})")
        earlier = self._earlier(turn, total) if turn else self.carried
        if head:
            self.line(f"{head} = {self._joined(earlier, head)}")
        self._parts(end, self._stores, first, head or earlier)
        if not turn and self.extent > self.part:
            self.line(f"{earlier} = {self._joined(earlier, total)}")

    def _parts(self, end: str, write: Callable[..., None], *given: str) -> None:
        """Lines for a part that is there up to its end, and for the last one of a row."""
        if not self.wide or self.extent < self.part:
            write(*given, whole=False)
            return
        taken = set(self.names.taken)
        self.open()
        write(*given, whole=True)
        self.close(f"if {self.aligned} and {end} <= {self.extent}:")
        # What stands before both keeps its name.
        self.names.taken = taken | {n for s in self.scopes for n, _ in s.names.values()}
        self.open()
        write(*given, whole=False)
        self.close("else:")

    def _vector(self, start: str, whole: bool, write: Callable[[bool], None]) -> None:
        """Lines for neighbours that are moved together if they are there, else one by one."""
        if whole:
            write(False)
            return
        wide, self.wide = self.wide, {}
        if wide:
            self.wide = wide
            taken = set(self.names.taken)
            self.open()
            write(False)
            self.close(f"if {self.aligned} and {start} + {self.launch.wide} <= {self.extent}:")
            self.names.taken = taken | {n for s in self.scopes for n, _ in s.names.values()}
            self.wide = {}
            self.open()
        write(True)
        if wide:
            self.close("else:")
        self.wide = wide

    def _each(self, write: Callable[[str], None]) -> None:
        """Lines for each vector of neighbours that a thread has, given its number."""
        vector = self.names("vector")
        self.open()
        write(vector)
        self.close(f"for {vector} in range({self.launch.each // self.launch.wide}):")
        self.names.taken.discard(vector)

    def _fold_of(self, vector: str, at: str = "k") -> str:
        """An element of the thread's, at a place of a vector."""
        wide = self.launch.wide
        return f"{self.folds}[{f'{wide} * {vector} + {at}' if wide > 1 else vector}]"

    def _elements(self, start: str, guarded: bool, write: Callable[[], None]) -> None:
        """Lines for each of the neighbours from a start, if it is there."""
        wide, axis = self.launch.wide, self.row.axis
        at = start
        if wide > 1:
            self.open()
            at = self.names(axis.name)
            self.line(f"{at} = {start} + k")
        self.open() if guarded else None
        self.axes[axis] = (at, self.depth)
        write()
        self.close(f"if {at} < {self.extent}:") if guarded else None
        if wide > 1:
            self.close(f"for k in range({wide}):")

    def _take(self, first: str, whole: bool) -> None:
        """The values of a thread's elements, into registers."""
        node = self.row.body[0]
        assert isinstance(node, Accumulate)

        def vector(v: str) -> None:
            start, fold = self.names("start"), self._fold_of(v)
            self.line(f"{start} = {first} + {WARP * self.launch.wide} * {v}")

            def element() -> None:
                value = self.text(node.value, None, LINE)
                self.line(f"{fold} = {self.ops.stored(value, self.dtype)}")

            def lines(guarded: bool) -> None:
                if guarded:
                    self._fill(v)
                self._move("load", start, _ends(node))
                self._elements(start, guarded, element)

            self._vector(start, whole, lines)

        self._each(vector)

    def _fill(self, vector: str) -> None:
        """What is not there leaves folds as they are."""
        line = f"{self._fold_of(vector)} = {self.ops.stored(Text(self.start_value), self.dtype)}"
        if self.launch.wide == 1:
            self.line(line)
            return
        self.line(f"for k in range({self.launch.wide}):")
        self.line(f"    {line}")

    def _lanes(self) -> str:
        """Folds within vectors, and what lies before each in its warp; the fold of a warp."""
        own, own_total = self.names("own"), self.names("all_lanes")
        before = self.cuda.before_lanes(self.op, self.dtype)
        self.line(f"{own} = {self.start_value}")

        def loaded(place: str) -> str:
            return self.ops.loaded(place, self.dtype).code

        def vector(v: str) -> None:
            wide, head = self.launch.wide, self.names("head")
            if wide > 1:
                two = [loaded(self._fold_of(v, at)) for at in ("k - 1", "k")]
                joined = self.ops.stored(Text(self._joined(*two)), self.dtype)
                self.line(f"for k in range(1, {wide}):")
                self.line(f"    {self._fold_of(v)} = {joined}")
            last = loaded(self._fold_of(v, str(wide - 1)))
            self.line(f"{head}, {own_total} = {before}({last})")
            joined = self.ops.stored(Text(self._joined(own, head)), self.dtype)
            self.line(f"{self.heads}[{v}] = {joined}")
            self.line(f"{own} = {self._joined(own, own_total)}")

        self._each(vector)
        return own

    def _stores(self, first: str, head: str, whole: bool) -> None:
        """What is made of the running folds, given what lies before the warp."""
        (acc,), stores = self.row.accs, self.row.body[1:]
        ends = [end for node in stores for end in _ends(node)]
        written = {node.target for node in stores if isinstance(node, Store)}

        def vector(v: str) -> None:
            start, before, name = self.names("start"), self.names("head"), self.names(acc.name)
            self.line(f"{start} = {first} + {WARP * self.launch.wide} * {v}")
            kept = self.ops.loaded(f"{self.heads}[{v}]", self.dtype).code
            self.line(f"{before} = {self._joined(head, kept)}")

            def element() -> None:
                fold = self.ops.loaded(self._fold_of(v), self.dtype).code
                self.line(f"{name} = {self._joined(before, fold)}")
                self.accs[acc] = (name, self.depth)
                self.run(stores)

            def lines(guarded: bool) -> None:
                self._move("load", start, [end for end in ends if end[0] not in written])
                self._elements(start, guarded, element)
                self._move("store", start, [end for end in ends if end[0] in written])

            self._vector(start, whole, lines)

        self._each(vector)

    # Other blocks.

    def _earlier(self, turn: str, total: str) -> str:
        """The fold of the parts before, told by their blocks; this block tells its own."""
        launch = self.launch
        assert launch.told is not None
        told, parts = self.buffers[launch.told], launch.parts
        groups = parts // GROUP
        tell, hear = telling(self.cuda, self.dtype), hearing(self.cuda, self.dtype)
        fold = self.cuda.folded(self.op, self.dtype, True)
        room = self.room(self.kind)
        mate, row = self.names("mate"), ""
        self.line(f"{mate} = part % {GROUP}" if groups else f"{mate} = part")
        if launch.grid:
            name = self.names("messages")
            row = f"{name} + "
            self.line(f"{name} = {parts + groups} * ({turn} // {parts})")
        self.line("if cuda.threadIdx.x == 0:")
        self.line(f"    {tell}({told}, {row}part, {total})")
        other, first = self.names("earlier"), f"part - {mate} + " if groups else ""
        self.line(f"{other} = {self.start_value}")
        self.line(f"if cuda.threadIdx.x < {mate}:")
        self.line(f"    {other} = {hear}({told}, {row}{first}cuda.threadIdx.x)")
        self.line(f"{other} = {fold}({other}, {room})")
        if not groups:
            return other
        group, older, at = self.names("group"), self.names("older"), self.names("at")
        self.line(f"{group} = part // {GROUP}")
        self.line(f"if {mate} == {GROUP - 1} and cuda.threadIdx.x == 0:")
        self.line(f"    {tell}({told}, {row}{parts} + {group}, {self._joined(other, total)})")
        self.line(f"{older}, {at} = {self.start_value}, cuda.threadIdx.x")
        self.line(f"while {at} < {group}:")
        heard = f"{hear}({told}, {row}{parts} + {at})"
        self.line(f"    {older} = {self._joined(older, heard)}")
        self.line(f"    {at} += {launch.threads}")
        self.line(f"{older} = {fold}({older}, {room})")
        self.line(f"{other} = {self._joined(older, other)}")
        return other


def _ends(node: Node) -> list[End]:
    """Where a statement reads and writes, always."""
    assert not isinstance(node, For)
    found = [(x.source, x.index) for x in loads_of(*expressions(node)) if x.guard is None]
    found += [(node.target, node.index)] if isinstance(node, Store) else []
    return [end for end in found if end[0].size]


def _key(end: End) -> tuple[Buffer, object]:
    return end[0], key_of(offset_of(*end))
