"""Updates of elements that data choose: sorted by their place, each place's then done in order.

    keys      of each update, where it goes; a number beyond all for those that go nowhere
    sort      the keys with the numbers of their updates: stable, so updates of one place stay in
              the order of the program
    pieces    the fold of each piece of a segment (updates of one place) that begins at a multiple
              of PIECE of the sorted updates
    segments  who is first in a segment folds it up to the next piece, then the pieces, in order

In: a launch that would do updates one after the other. Out: these launches. The one idea: what is
added in which order depends on the keys alone, never on who is quicker. Where the promise is given
that places differ, nothing of this is needed (`apart`); with `config.gpu_scatter_atomics` one
launch adds by atomic operations, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...config import config
from ...ir.loops import Affine, Axis, axis_index, cast, const, flat_index, select, value_of
from ...ir.nests import (
    Buffer,
    For,
    Kernel,
    Node,
    Store,
    expressions,
    identity_of,
    loads_of,
    offset_of,
)
from ..chunks import mentions
from ..emit.source_ops import Text
from .plan import MAP_THREADS, MOST_BLOCKS, WARP, CudaLaunch, chain_of
from .products import ProductLaunch
from .sorts import Rows, sort_launches
from .source import CudaSource
from .words import ATOMICS, CudaLibrary

# Fewer updates go one after the other.
LEAST = 64
PIECE = 1024
INT32 = np.dtype(np.int32)


@dataclass(frozen=True)
class Updates:
    """Updates of one buffer.

    Attributes:
        store: the update.
        ordered: the loops whose turns may meet at one place, outermost first.
        columns: those whose turns never do.
        key: the part of the place that the ordered loops choose.
    """

    store: Store
    ordered: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    key: Affine

    @property
    def count(self) -> int:
        """Turns of the ordered loops."""
        return _turns(self.ordered)

    @property
    def width(self) -> int:
        """Turns of the others."""
        return _turns(self.columns)


def _turns(axes: Sequence[Axis]) -> int:
    total = 1
    for axis in axes:
        total *= axis.extent
    return total


def updates_of(launch: CudaLaunch) -> Updates | None:
    """The updates that a launch does one after the other; None where it does something else."""
    if launch.kind not in ("column", "block") or launch.chunk is not None:
        return None
    chain = chain_of(launch.body)
    inner = chain[-1].body if chain else []
    if len(inner) != 1 or not isinstance(inner[0], Store) or any(loop.accs for loop in chain):
        return None
    store, columns = inner[0], tuple(loop.axis for loop in launch.grid)
    if any(load.source is store.target for load in loads_of(*expressions(store))):
        return None
    offset = offset_of(store.target, store.index)
    chosen = [e for e, _ in offset.dynamic] + ([store.guard] if store.guard is not None else [])
    if any(mentions(e, axis) for e in chosen for axis in columns):
        return None
    axes = {a: c for a, c in offset.axes.items() if a not in columns}
    found = Updates(
        store,
        tuple(loop.axis for loop in chain),
        columns,
        Affine(offset.const, axes, offset.dynamic),
    )
    return found if found.count >= LEAST else None


@dataclass(eq=False)
class SegmentLaunch(CudaLaunch):
    """A launch of kind pieces or segments.

    Attributes:
        keys: in order, and `order`: the updates' numbers in the same order.
        pieces: what is folded of the segments from multiples of `PIECE` on, if there are such.
    """

    updates: Updates | None = None
    given: list[Buffer] = field(default_factory=lambda: [])
    pieces: Buffer | None = None

    @property
    def params(self) -> list[Buffer]:
        """The buffers it is given."""
        assert self.updates is not None
        read = {load.source for load in loads_of(self.updates.store.value)}
        found = [b for b in self.kernel.params if b in read]
        found += [*self.given, *([] if self.pieces is None else [self.pieces])]
        return found if self.kind == "pieces" else [*found, self.updates.store.target]

    @property
    def written(self) -> list[Buffer]:
        """The buffers it changes."""
        assert self.updates is not None
        if self.kind == "pieces":
            return [] if self.pieces is None else [self.pieces]
        return [self.updates.store.target]


@dataclass(eq=False)
class Segments:
    """Updates as launches.

    Attributes:
        launches: in order, with their text where it is not of a loop nest.
        scratch: memory they need between; `constants`: small arrays that they read.
    """

    launches: list[CudaLaunch | ProductLaunch]
    scratch: list[Buffer]
    constants: dict[Buffer, np.ndarray[Any, Any]]


def segment_launches(launch: CudaLaunch, updates: Updates, library: CudaLibrary) -> Segments:
    """The launches that sort updates and do them segment by segment."""
    name, count = launch.name, updates.count
    kind = INT32 if updates.store.target.size < 2**31 - 1 else np.dtype(np.int64)
    keys, held = (Buffer((count,), kind, n) for n in ("keys", "sorted_keys"))
    order = Buffer((count,), INT32, "order")
    first = _keys(launch, updates, keys)
    rows = Rows(1, count, 1, 1, False, count, True)
    sort = sort_launches(rows, f"{name}_sort", [keys], [held, order], library)
    scratch = [keys, held, order, *sort.scratch]
    found: list[CudaLaunch | ProductLaunch] = [first, *sort.launches]
    pieces: Buffer | None = None
    if count > PIECE and updates.store.combine:
        shape = (-(-count // PIECE), updates.width)
        pieces = Buffer(shape, updates.store.target.dtype, "pieces")
        scratch.append(pieces)
        work = (shape[0] - 1) * updates.width
        found.append(_segments(launch, updates, "pieces", work, [held, order], pieces))
    work = count * updates.width
    last = _segments(launch, updates, "segments", work, [held, order], pieces)
    last.note = f"{count} updates, sorted by their place: those of one place go in order"
    return Segments([*found, last], scratch, dict(sort.constants))


def _segments(
    launch: CudaLaunch,
    updates: Updates,
    kind: str,
    work: int,
    given: list[Buffer],
    pieces: Buffer | None,
) -> SegmentLaunch:
    name = launch.name if kind == "segments" else f"{launch.name}_{kind}"
    threads = min(MAP_THREADS, max(-(-work // WARP), 1) * WARP)
    blocks = min(-(-work // threads), MOST_BLOCKS)
    grid = list(launch.grid)
    found = SegmentLaunch(name, launch.kernel, kind, grid, launch.body, blocks, threads)
    found.updates, found.given, found.pieces = updates, given, pieces
    return found


def _keys(launch: CudaLaunch, updates: Updates, keys: Buffer) -> CudaLaunch:
    """The launch that says of each update where it goes."""
    store = updates.store
    value = cast(value_of(updates.key), keys.dtype)
    if store.guard is not None:
        value = select(store.guard, value, const(store.target.size, keys.dtype))
    extents = [a.extent for a in updates.ordered]
    place = flat_index(tuple(axis_index(a) for a in updates.ordered), extents)
    body: list[Node] = [Store(keys, (place,), value)]
    params = [*launch.kernel.params, keys]
    kernel: Kernel = replace(launch.kernel, params=params, written=[keys], body=body, scratch=[])
    grid = [For(a, body) for a in updates.ordered]
    threads = min(MAP_THREADS, max(-(-updates.count // WARP), 1) * WARP)
    blocks = min(-(-updates.count // threads), MOST_BLOCKS)
    return CudaLaunch(f"{launch.name}_keys", kernel, "map", grid, body, blocks, threads)


def is_atomic(updates: Updates) -> bool:
    """Whether atomic operations are asked for, and there is one for these updates."""
    store = updates.store
    return config.gpu_scatter_atomics and (store.combine, store.target.dtype.name) in ATOMICS


def atomic_launch(launch: CudaLaunch, updates: Updates) -> CudaLaunch:
    """The launch in which every thread adds its updates as they come."""
    chain = chain_of(launch.body)
    grid, body = [*chain, *launch.grid], chain[-1].body
    work = updates.count * updates.width
    threads = min(MAP_THREADS, max(-(-work // WARP), 1) * WARP)
    blocks = min(-(-work // threads), MOST_BLOCKS)
    found = CudaLaunch(launch.name, launch.kernel, "atomics", grid, body, blocks, threads)
    found.note = "atomic operations: sums of floats differ by their rounding from run to run"
    return found


class AtomicSource(CudaSource):
    """Writes one launch by atomic operations."""

    def write(self) -> None:
        self.alone = True
        self.line("first, step = cuda.grid(1), cuda.gridsize(1)")
        self.turns("first", str(self.launch.total), 1)

    def how(self, shape: str) -> str:
        return f"{shape}; each does its updates when it comes to them"

    def store(self, node: Store) -> None:
        value = self.text(node.value, None, 72)
        guard = None if node.guard is None else self.text(node.guard)
        place = self.index(offset_of(node.target, node.index), self.depth)
        function = f"atomic_{node.combine}_{node.target.dtype.name}"
        line = f"{function}({self.buffers[node.target]}, {place}, {value.code})"
        self.assign([line] if guard is None else [f"if {guard.code}:", f"    {line}"])


class SegmentSource(CudaSource):
    """Writes one launch by segments."""

    launch: SegmentLaunch

    def how(self, shape: str) -> str:
        if self.launch.kind == "pieces":
            return f"{shape}; each folds a piece of a segment"
        return f"{shape}; who is first in a segment goes through it"

    def write(self) -> None:
        updates = self.updates
        self.alone = True
        self.line("first, step = cuda.grid(1), cuda.gridsize(1)")
        pieces = self.launch.kind == "pieces"
        count = -(-updates.count // PIECE) - 1 if pieces else updates.count
        turn, at = self.names("turn"), self.names("at")
        self.line(f"{turn} = first")
        self.open()
        width = updates.width
        place = turn if width == 1 else f"{turn} // {width}"
        self.line(f"{at} = {PIECE} * ({place} + 1)" if pieces else f"{at} = {place}")
        column = "0"
        if width > 1:
            column = self.names("column")
            self.line(f"{column} = {turn} % {width}")
            self.split(column, list(updates.columns), 1)
        else:
            self.axes |= dict.fromkeys(updates.columns, ("0", self.depth))
        self._begin(at, column, pieces)
        self.line(f"{turn} += step")
        self.close(f"while {turn} < {count * width}:")

    @property
    def updates(self) -> Updates:
        """What is done."""
        assert self.launch.updates is not None
        return self.launch.updates

    def _begin(self, at: str, column: str, pieces: bool) -> None:
        """What one thread does, if a segment or a piece begins here."""
        store, keys = self.updates.store, self.buffers[self.launch.given[0]]
        key = self.names("key")
        self.line(f"{key} = int64({keys}[{at}])")
        there = [f"{key} < {store.target.size}"] if store.guard is not None else []
        if not store.combine:
            last = self.updates.count - 1
            test = [*there, f"({at} == {last} or {keys}[{at} + 1] != {key})"]
        elif pieces:
            test = [*there, f"{keys}[{at} - 1] == {key}"]
        else:
            test = [*there, f"({at} == 0 or {keys}[{at} - 1] != {key})"]
        self.open()
        if store.combine:
            self._fold(at, key, column, pieces)
        else:
            self._numbered(at)
            value = self.text(store.value, None, 72)
            self._put(key, self.ops.stored(value, store.target.dtype))
        self.close(f"if {' and '.join(test)}:")

    def _numbered(self, at: str) -> None:
        """The update at a place of the sorted ones, as places in its loops."""
        number = self.names("update")
        self.line(f"{number} = int64({self.buffers[self.launch.given[1]]}[{at}])")
        self.split(number, list(self.updates.ordered), 1)

    def _target(self, key: str) -> str:
        columns = {
            a: c
            for a, c in offset_of(self.updates.store.target, self.updates.store.index).axes.items()
            if a in self.updates.columns
        }
        place = self.index(Affine(0, columns), self.depth)
        target = self.buffers[self.updates.store.target]
        return f"{target}[{key}]" if place == "0" else f"{target}[{key} + {place}]"

    def _put(self, key: str, code: str) -> None:
        self.line(f"{self._target(key)} = {code}")

    def _fold(self, at: str, key: str, column: str, pieces: bool) -> None:
        store, keys = self.updates.store, self.buffers[self.launch.given[0]]
        op, dtype = store.combine, store.target.dtype
        total, i, end = self.names("total"), self.names("i"), self.names("end")
        start = self.ops.constant(identity_of(op, dtype), dtype)
        if not pieces:
            start = self.ops.loaded(self._target(key), dtype).code
        self.line(f"{total} = {start}")
        self.line(f"{i} = {at}")
        count = self.updates.count
        stop = f"min({at} - {at} % {PIECE} + {PIECE}, {count})" if count > PIECE else str(count)
        self.line(f"{end} = {stop}")
        self.open()
        self._numbered(i)
        value = self.text(store.value, None, 72).code
        self.line(f"{total} = {self.cuda.join(op, dtype, total, value)}")
        self.line(f"{i} += 1")
        self.close(f"while {i} < {end} and {keys}[{i}] == {key}:")
        self._finish(key, column, (total, i), pieces)

    def _finish(self, key: str, column: str, names: tuple[str, str], pieces: bool) -> None:
        """The pieces that follow are folded in, and the fold is stored."""
        store, keys = self.updates.store, self.buffers[self.launch.given[0]]
        (total, i), dtype = names, store.target.dtype
        room, count, width = self.launch.pieces, self.updates.count, self.updates.width
        stored = self.ops.stored(Text(total), dtype)
        if room is None:
            self._put(key, stored)
            return
        name = self.buffers[room]

        def piece(number: str) -> str:
            place = number if width == 1 else f"{width} * ({number})"
            return f"{name}[{place}]" if column == "0" else f"{name}[{place} + {column}]"

        if pieces:
            at = self.names("piece")
            self.line(f"{at} = ({i} - 1) // {PIECE}")
            self.line(f"{piece(at)} = {stored}")
            return
        self.open()
        found = self.ops.loaded(piece(f"{i} // {PIECE}"), dtype).code
        self.line(f"{total} = {self.cuda.join(store.combine, dtype, total, found)}")
        self.line(f"{i} += {PIECE}")
        self.close(f"while {i} < {count} and {keys}[{i}] == {key}:")
        self._put(key, stored)
