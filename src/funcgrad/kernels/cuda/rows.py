"""Loops along rows, of which every lane keeps its own elements.

    before   what several loops read comes from memory, before the first loop waits for any of it
    loops    a lane goes through its vectors of neighbours: in registers, in shared memory, beyond
    stores   neighbours together, by moves of 128 bits where all addresses are multiples of 16

In: a launch of `row_plan`. Out: text. The one idea: an element of a value that is kept has the same
name in every loop, its number among the lane's own, so loops are written as they always are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...ir.loops import Axis, Expr, IndexTuple
from ...ir.nests import Accumulate, Buffer, For, Store, expressions, loads_of, offset_of, statements
from ..emit.source import LONG
from ..emit.source_ops import Text
from ..explain import count
from .plan import is_side_by_side
from .row_plan import Key, Piece, ends_of, key_in_row
from .source import CudaSource
from .words import memory_type

End = tuple[Buffer, IndexTuple]


def _plus(*terms: str) -> str:
    """A sum without what is 0."""
    return " + ".join(t for t in terms if t not in ("", "0")) or "0"


def _times(n: int, name: str) -> str:
    """A multiple of a name or of a number, which is worked out."""
    if name.isdigit():
        return str(n * int(name))
    return name if n == 1 else f"{n} * {name}"


class RowSource(CudaSource):
    """Writes one launch by rows."""

    def write(self) -> None:
        row = self.launch.row
        assert row is not None
        self.row, self.begins = row, row.rooms()
        self.own: dict[Key, str] = {}
        self.rooms_of: dict[str, str] = {}
        # Of neighbours that are moved together: the thread's own arrays, for a part of a row others
        # for those after, and those in use.
        self.vectors: dict[Key, str] = {}
        self.seconds: dict[Key, str] = {}
        self.moved: dict[Key, str] = {}
        self.along: Axis | None = None
        self.piece = Piece("memory", 0, 0, 0)
        self.vector = ""
        self.moves = ""
        for value, _ in (made for left in row.left.values() for made in left):
            self.uses[id(value)] += 1
        super().write()

    def how(self, shape: str) -> str:
        row = self.row
        told = super().how(shape)
        if not row.values:
            return told
        own = count(row.registers, "element")
        whose = "its row" if self.launch.kind == "block" else "it"
        parts = [f"{own} of {whose} in registers"] if row.registers else []
        size = self.launch.shared
        parts += [f"{row.shared} in {size >> 10} KiB of shared memory"] if row.shared else []
        told += f", a thread {' and '.join(parts)}"
        again = f"; {row.again} of {row.extent} elements are read by each loop"
        told += "; what loops make of it takes its place" if row.instead else ""
        return told + (again if row.again else "")

    # What comes before the first loop.

    def _bring(self) -> None:
        """Arrays of threads and of the block, and what several loops read into them."""
        row = self.row
        for key in row.values:
            kind, name = memory_type(key[0].dtype), key[0].name.removesuffix("_row")
            if row.registers:
                own = self.own[key] = self.names(f"{name}_own")
                self.line(f"{own} = cuda.local.array({row.registers}, {kind})")
            if row.shared and kind not in self.rooms_of:
                room = self.rooms_of[kind] = self.names("kept" if not self.rooms_of else kind)
                self.line(f"{room} = cuda.shared.array(0, {kind})")
        ends = [end for loop in row.loops for end in self._movable(loop)]
        for key, (buffer, _) in ends:
            if key not in self.vectors:
                name = self.vectors[key] = self.names(f"{self.buffers[buffer]}_{row.wide}")
                kind = memory_type(buffer.dtype)
                again = self.seconds[key] = self.names(f"{name}_after") if row.parts else ""
                for each in (name, again) if row.parts else (name,):
                    self.line(f"{each} = cuda.local.array({row.wide}, {kind}, alignment=16)")
        if self.vectors:
            self.moves = self.names("moves")
            given = dict.fromkeys(self.buffers[key[0]] for key in self.vectors)
            self.line(f"{self.moves} = {' and '.join(f'aligned({n})' for n in given)}")
        read = {k: v for k, v in row.values.items() if k[0] in self.launch.params}
        pieces = [p for p in row.pieces() if p.where != "memory"]
        if not read or not pieces:
            return

        def write(together: bool) -> None:
            for piece in pieces:
                for key, (buffer, index, axis) in read.items():
                    ends = {key: (buffer, index)} if together and key in self.vectors else {}
                    self._vectors(
                        axis, piece, ends, {}, lambda end=(buffer, index): self._keep(end)
                    )

        self._both_ways(any(key in self.vectors for key in read), write)

    def _keep(self, end: End) -> None:
        """An element from memory to where it is kept."""
        buffer, index = end
        assert self.along is not None
        key = key_in_row(buffer, index, self.along)
        assert key is not None
        name, place = self.moved.get(key), self.index(offset_of(buffer, index), self.depth)
        value = f"{name}[k]" if name else f"{self.buffers[buffer]}[{place}]"
        self.line(f"{self._kept(key)} = {value}")

    # Loops.

    def _go_through(self, node: For, chain: list[For]) -> None:
        if not any(node is loop for loop in self.row.loops):
            super()._go_through(node, chain)
            return
        if not self.moves and not self.own and not self.rooms_of:
            self._bring()
        if self.row.parts:
            self._go_through_part(node, chain)
            return
        ends = dict(self._movable(node))
        written = {n.target for n in node.body if isinstance(n, Store)}
        kept = set(self.row.values)

        def write(together: bool) -> None:
            for piece in self.row.pieces():
                here = ends if piece.where == "memory" else _without(ends, kept)
                here = here if together else {}
                loads = {k: end for k, end in here.items() if k[0] not in written}
                stores = {k: end for k, end in here.items() if k[0] in written}
                self._vectors(node.axis, piece, loads, stores, lambda: self._turn(node))

        beyond = any(piece.where == "memory" for piece in self.row.pieces())
        self._both_ways(bool(ends if beyond else _without(ends, kept)), write)
        self.unfolded |= {n.acc for n in statements(node.body) if isinstance(n, Accumulate)}

    def _go_through_part(self, node: For, chain: list[For]) -> None:
        """A loop over a part of a row: whole vectors of all lanes, then what is left one by one.

        Two vectors are on the way together, for one would be waited for with nothing else to do.
        """
        ends, row = dict(self._movable(node)), self.row
        written = {n.target for n in node.body if isinstance(n, Store)}
        loads = {k: end for k, end in ends.items() if k[0] not in written}
        stores = {k: end for k, end in ends.items() if k[0] in written}
        sweep, stop, start = row.wide * row.team, self.names("stop"), self.names("start")
        self.line(f"{stop} = hi - (hi - lo) % {2 * sweep} if {self.moves} else lo")
        self.line(f"{start} = lo + {row.wide} * lane")
        taken = set(self.names.taken)
        self.open()
        after = self.names("after")
        self.line(f"{after} = {start} + {sweep}")
        both = [(start, self.vectors), (after, self.seconds)]
        both = [(place, {key: names[key] for key in ends}) for place, names in both]
        for place, names in both:
            self._at(node.axis, place)
            for key, (buffer, index) in loads.items():
                self._move("load", names[key], buffer, index)
        for place, names in both:
            self._at(node.axis, place)
            self._vector(node.axis, place, names, {}, stores, lambda: self._turn(node))
        self.line(f"{start} += {2 * sweep}")
        self.close(f"while {start} < {stop}:")
        self.moved, self.along = {}, None
        self.names.taken = taken | {n for s in self.scopes for n, _ in s.names.values()}
        self.first = stop
        super()._go_through(node, chain)

    def _turn(self, node: For) -> None:
        """One turn of a loop, for the element at hand."""
        for acc in node.accs:
            self.accs[acc] = (self.accs[acc][0], self.depth)
        self.alone = True
        self.run(node.body)
        for value, key in self.row.left.get(id(node), ()) if self.piece.where != "memory" else ():
            made = self.ops.stored(self.text(value), value.dtype)
            self.line(f"{self._kept(key)} = {made}")
        self.alone = False

    def text(self, x: Expr, at: int | None = None, longest: int = LONG) -> Text:
        key = self.row.instead.get(id(x))
        if key is None or self.piece.where == "memory":
            return super().text(x, at, longest)
        return self.ops.loaded(self._kept(key), x.dtype)

    def _movable(self, loop: For) -> list[tuple[Key, End]]:
        """The accesses of a loop that are moved with those of neighbours."""
        row, found = self.row, list[tuple[Key, End]]()
        if row.wide == 1:
            return found
        stores = [n for n in loop.body if isinstance(n, Store)]
        read = {x.source for n in statements(loop.body) for x in loads_of(*expressions(n))}
        # What is written and read in one turn, or under a condition, is touched by itself.
        closed = {n.target for n in stores if n.combine or n.guard or n.target in read}
        for buffer, index in ends_of(loop):
            key = key_in_row(buffer, index, loop.axis)
            beside = is_side_by_side(offset_of(buffer, index), loop.axis, row.wide)
            if key is not None and beside and buffer in self.launch.params and buffer not in closed:
                found.append((key, (buffer, index)))
        return found

    def _both_ways(self, differ: bool, write: Callable[[bool], None]) -> None:
        """Lines for memory where neighbours can be moved together, and for other memory."""
        if not differ:
            write(False)
            return
        taken = set(self.names.taken)
        for together, heading in ((True, f"if {self.moves}:"), (False, "else:")):
            self.open()
            write(together)
            self.close(heading)
            # What stands before both keeps its name.
            self.names.taken = taken | {n for s in self.scopes for n, _ in s.names.values()}

    def _vectors(
        self,
        axis: Axis,
        piece: Piece,
        loads: dict[Key, End],
        stores: dict[Key, End],
        write: Callable[[], None],
    ) -> None:
        """Lines for each element of a lane's vectors, and for what is moved before and after."""
        row, taken = self.row, set(self.names.taken)
        several = piece.vectors > 1
        self.piece, self.vector = piece, self.names("vector") if several else "0"
        self.open()
        sweep = row.wide * row.team
        start = self.names("start" if row.wide > 1 else axis.name)
        terms = _times(row.wide, "lane"), _times(sweep, self.vector), str(sweep * piece.first)
        begun = len(self.scopes[-1].lines)
        self.line(f"{start} = {_plus(*terms)}")
        self._at(axis, start)
        names = {k: self.vectors[k] for k in (*loads, *stores)}
        self._vector(axis, start, names, loads, stores, write)
        self._drop(begun, start)
        self.moved, self.along = {}, None
        if piece.lanes:
            self.close(f"if lane < {piece.lanes}:")
        elif several:
            self.close(f"for {self.vector} in range({piece.vectors}):")
        else:
            # Its values are no others', but it needs no heading.
            inner = self.scopes.pop().lines
            self.forget_levels()
            self.scopes[-1].lines += inner
            return
        self.names.taken = taken | {n for s in self.scopes for n, _ in s.names.values()}

    def _vector(
        self,
        axis: Axis,
        start: str,
        names: dict[Key, str],
        loads: dict[Key, End],
        stores: dict[Key, End],
        write: Callable[[], None],
    ) -> None:
        """Lines for the neighbours from a start, and for what is moved before and after.

        Args:
            names: the arrays of what is moved, also of what was loaded before.
        """
        row = self.row
        for key, (buffer, index) in loads.items():
            self._move("load", names[key], buffer, index)
        self.moved = names
        if row.wide > 1:
            self.open()
            place = self.names(axis.name)
            self.line(f"{place} = {start} + k")
            self._at(axis, place)
            write()
            self._drop(0, place)
            self.close(f"for k in range({row.wide}):")
            self._at(axis, start)
        else:
            write()
        for key, (buffer, index) in stores.items():
            self._move("store", names[key], buffer, index)

    def _drop(self, at: int, name: str) -> None:
        """Leave out the line that gives a name, if no later one has it."""
        lines = self.scopes[-1].lines
        if not any(re.search(rf"\b{name}\b", line) for line in lines[at + 1 :]):
            assert lines[at].startswith(f"{name} = ")
            del lines[at]

    def _at(self, axis: Axis, name: str) -> None:
        self.along, self.axes[axis] = axis, (name, self.depth)

    def _move(self, how: str, name: str, buffer: Buffer, index: IndexTuple) -> None:
        """Neighbours from memory into a thread's array, or back."""
        place = self.index(offset_of(buffer, index), self.depth)
        self.line(f"{how}_{self.row.wide}({self.buffers[buffer]}, {place}, {name})")

    # Elements.

    def element(self, buffer: Buffer, index: IndexTuple, at: int) -> str:
        key = None if self.along is None else key_in_row(buffer, index, self.along)
        if key is not None and key in self.row.values and self.piece.where != "memory":
            return self._kept(key)
        if key is not None and key in self.moved:
            return f"{self.moved[key]}[k]"
        return super().element(buffer, index, at)

    def _kept(self, key: Key) -> str:
        """Where the element at hand of a value is kept."""
        row, k = self.row, "k" if self.row.wide > 1 else ""
        if self.piece.where == "registers":
            first = str(row.wide * self.piece.first)
            return f"{self.own[key]}[{_plus(_times(row.wide, self.vector), k, first)}]"
        # Elements of neighbouring lanes lie side by side.
        before = self.piece.first * row.wide - row.registers
        begin = str(self.begins[key] + before * row.team)
        terms = _times(row.wide * row.team, self.vector), _times(row.team, k) if k else ""
        room = self.rooms_of[memory_type(key[0].dtype)]
        return f"{room}[{_plus(*terms, 'lane', begin)}]"


def _without(ends: dict[Key, End], kept: set[Key]) -> dict[Key, End]:
    return {k: end for k, end in ends.items() if k not in kept}
