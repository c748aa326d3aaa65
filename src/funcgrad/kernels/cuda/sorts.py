"""Sorts and top-k: the places of a row's elements are put in order, then the elements fetched.

    up to TILE elements:  a block has a row's places in shared memory, sorts them, fetches
    longer rows:          blocks sort tiles of a row; then, for each doubled size, elements further
                          apart than a tile are compared in launches of their own, nearer ones in
                          a tile

Source: Batcher, "Sorting networks and their applications", 1968: bitonic sorting, n·log²(n)
comparisons in an order that does not depend on the values. Places are part of what is compared, so
that no two elements are equal and the order is the one of a stable sort. A row is filled up to a
power of two by places beyond its end, which come last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...ir.jaxpr import Eqn
from ...ir.nests import Buffer
from ..emit.llvm_ops import is_small_float
from .products import ProductLaunch
from .words import CudaLibrary

DType = np.dtype[Any]
# Places that a block keeps in shared memory: 8 KiB.
TILE = 2048
THREADS = 256
INT32 = np.dtype(np.int32)


@dataclass(frozen=True)
class Rows:
    """What is sorted.

    Attributes:
        outer, length, inner: extents before, along and behind the axis.
        keys: how many operands decide; `largest`: the largest come first, by their bits.
        kept: how many elements of each row there are in the results.
        placed: whether their places in the row are the last result.
    """

    outer: int
    length: int
    inner: int
    keys: int
    largest: bool
    kept: int
    placed: bool

    @property
    def width(self) -> int:
        """The length of a row filled up."""
        return max(1 << max(self.length - 1, 0).bit_length(), 2)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.outer * self.inner


def rows_of(eqn: Eqn) -> Rows | None:
    """What an eqn sorts; None where its keys have no order here."""
    top = "k" in eqn.params
    avals = [atom.aval for atom in eqn.invars]
    keys = 1 if top else eqn.params["num_keys"]
    if any(a.dtype.kind not in "biuf" and not is_small_float(a.dtype) for a in avals[:keys]):
        return None
    if any(a.dtype.names is not None or a.dtype.kind == "c" for a in avals):
        return None
    shape: tuple[int, ...] = avals[0].shape
    axis: int = eqn.params["axis" if top else "dimension"]
    length = shape[axis]
    kept: int = eqn.params["k"] if top else length
    return Rows(prod(shape[:axis]), length, prod(shape[axis + 1 :]), keys, top, kept, top)


@dataclass(eq=False)
class Sort:
    """A sort as launches.

    Attributes:
        launches: in order.
        scratch: memory they need between; `constants`: small arrays that they read.
    """

    launches: list[ProductLaunch]
    scratch: list[Buffer]
    constants: dict[Buffer, np.ndarray[Any, Any]]


def sort_launches(
    rows: Rows, name: str, reads: list[Buffer], writes: list[Buffer], library: CudaLibrary
) -> Sort:
    """The launches of a sort from buffers to buffers."""
    if not rows.count * rows.kept:
        return Sort([], [], {})
    text = _Text(rows, reads, writes, library)
    if rows.width <= TILE:
        launch = text.launch(name, "sort", rows.count, [*reads, *writes], text.whole(name))
        return Sort([launch], [], {})
    places = Buffer((rows.count, rows.width), INT32, f"{name}_places")
    found = Sort([], [places], {})
    keys = reads[: rows.keys]

    def add(step: str, blocks: int, size: int, distance: int) -> None:
        turn = Buffer((2,), INT32, f"{name}_{step}_{size}_{distance}")
        found.constants[turn] = np.array([size, distance], np.int32)
        body = text.tile(f"{name}_{step}") if step == "tiles" else text.apart(f"{name}_{step}")
        params = [*keys, places, turn]
        found.launches.append(text.launch(f"{name}_{step}", "sort", blocks, params, body))

    tiles = rows.count * (rows.width // TILE)
    add("tiles", tiles, 2, TILE)
    size = 2 * TILE
    while size <= rows.width:
        distance = size // 2
        while distance >= TILE:
            add("apart", rows.count * rows.width // 2 // THREADS, size, distance)
            distance //= 2
        add("tiles", tiles, size, TILE)
        size *= 2
    last = text.fetch(f"{name}_fetch")
    blocks = -(-rows.count * rows.kept // THREADS)
    params = [*reads, places, *writes]
    found.launches.append(text.launch(f"{name}_fetch", "sort", blocks, params, last))
    found.launches[0].note = f"{len(found.launches)} launches for rows of {rows.length}"
    return found


class _Text:
    """Writes the kernels of one sort."""

    def __init__(
        self, rows: Rows, reads: list[Buffer], writes: list[Buffer], library: CudaLibrary
    ) -> None:
        self.rows = rows
        self.reads = reads
        self.writes = writes
        self.ops = library.ops
        self.threads = max(min(THREADS, rows.width // 2), 32)

    def launch(
        self, name: str, kind: str, blocks: int, params: list[Buffer], text: str
    ) -> ProductLaunch:
        threads = self.threads if self.rows.width <= TILE else THREADS
        return ProductLaunch(name, kind, blocks, threads, params, text)

    def _head(self, name: str, params: list[str], what: str) -> list[str]:
        rows = self.rows
        how = "the largest first" if rows.largest else f"by {rows.keys} keys"
        comment = f"# {name}: {rows.count} rows of {rows.length}, {how}: {what}"
        return [comment, "@kernel", f"def {name}({', '.join(params)}):"]

    @property
    def given(self) -> list[str]:
        """The names of the operands."""
        return [f"x{k}" for k in range(len(self.reads))]

    def _base(self, row: str) -> str:
        """Where a row begins."""
        inner, length = self.rows.inner, self.rows.length
        if inner == 1:
            return f"{row} * {length}"
        return f"{row} // {inner} * {length * inner} + {row} % {inner}"

    def _at(self, place: str) -> str:
        inner = self.rows.inner
        return f"base + {place}" if inner == 1 else f"base + {inner} * {place}"

    def compared(self, depth: int) -> list[str]:
        """Lines that say whether the place `b` comes before the place `a`."""
        last = self.rows.length - 1
        lines = [f"a_in, b_in = min(a, {last}), min(b, {last})"]
        order = "b < a"
        for k in reversed(range(self.rows.keys)):
            less, same = self._keys(k, lines)
            order = f"{less} or ({same} and ({order}))"
        lines.append(f"before = ({order}) if a < {last + 1} and b < {last + 1} else b < a")
        return ["    " * depth + line for line in lines]

    def _keys(self, k: int, lines: list[str]) -> tuple[str, str]:
        """Of one key: whether b's is less, and whether they are the same."""
        dtype = self.reads[k].dtype
        for side in "ab":
            code = f"x{k}[{self._at(f'{side}_in')}]"
            lines.append(f"{side}{k} = {self._ordered(code, dtype)}")
        a, b = f"a{k}", f"b{k}"
        if self.rows.largest:
            return f"{b} > {a}", f"{b} == {a}"
        if dtype.kind in "biu":
            return f"{b} < {a}", f"{b} == {a}"
        # NaN comes last, and no NaN before another one.
        return (
            f"({b} < {a} or ({b} == {b} and {a} != {a}))",
            f"({b} == {a} or ({b} != {b} and {a} != {a}))",
        )

    def _ordered(self, code: str, dtype: DType) -> str:
        """An element as what is compared."""
        if not self.rows.largest or dtype.kind in "biu":
            return code if dtype.kind in "biu" else self.ops.loaded(code, dtype).code
        bits = 8 * dtype.itemsize
        word = code if bits == 16 else f"as_uint{bits}({code})"
        # The bits of negative numbers are turned over.
        signed = f"int64(int{bits}({word}))"
        return f"{signed} ^ (({signed} >> 63) & {(1 << (bits - 1)) - 1})"

    def _swap(self, depth: int, where: str) -> list[str]:
        lines = [
            f"a, b = {where}[i], {where}[j]",
            *self.compared(0),
            "if before == rising:",
            f"    {where}[i] = b",
            f"    {where}[j] = a",
        ]
        return ["    " * depth + line for line in lines]

    def whole(self, name: str) -> str:
        """A row for each block."""
        rows, outs = self.rows, [f"y{k}" for k in range(len(self.writes))]
        lines = self._head(name, [*self.given, *outs], "a block has one")
        lines += [
            "    lane = cuda.threadIdx.x",
            f"    base = {self._base('cuda.blockIdx.x')}",
            f"    places = cuda.shared.array({rows.width}, int32)",
            "    i = lane",
            f"    while i < {rows.width}:",
            "        places[i] = int32(i)",
            f"        i += {self.threads}",
            "    size = 2",
            f"    while size <= {rows.width}:",
            "        distance = size // 2",
            "        while distance > 0:",
            "            cuda.syncthreads()",
            "            pair = lane",
            f"            while pair < {rows.width // 2}:",
            "                i = 2 * distance * (pair // distance) + pair % distance",
            "                j = i + distance",
            "                rising = i & size == 0",
            *self._swap(4, "places"),
            f"                pair += {self.threads}",
            "            distance = distance // 2",
            "        size *= 2",
            "    cuda.syncthreads()",
            "    i = lane",
            f"    while i < {rows.kept}:",
            "        place = places[i]",
        ]
        lines += self._stores("cuda.blockIdx.x", "i", 2)
        return "\n".join([*lines, f"        i += {self.threads}"]) + "\n"

    def _stores(self, row: str, at: str, depth: int) -> list[str]:
        """What is written of an element, from its place."""
        rows = self.rows
        target = f"{row} * {rows.kept} + {at}"
        if rows.inner > 1:
            start = f"{row} // {rows.inner} * {rows.kept * rows.inner} + {row} % {rows.inner}"
            target = f"{start} + {rows.inner} * {at}"
        lines = [f"y{k}[{target}] = x{k}[{self._at('place')}]" for k in range(len(self.reads))]
        if rows.placed:
            lines.append(f"y{len(self.reads)}[{target}] = place")
        return ["    " * depth + line for line in lines]

    def tile(self, name: str) -> str:
        """A tile of a row: sorted from `size` 2 on, or one size from the middle on."""
        rows = self.rows
        params = [*self.given[: rows.keys], "places", "turn"]
        tiles = rows.width // TILE
        lines = self._head(name, params, f"a block has {TILE} places")
        lines += [
            "    lane = cuda.threadIdx.x",
            f"    row, first = cuda.blockIdx.x // {tiles}, {TILE} * (cuda.blockIdx.x % {tiles})",
            f"    base = {self._base('row')}",
            f"    start = {rows.width} * row + first",
            f"    own = cuda.shared.array({TILE}, int32)",
            "    size, last = int64(turn[0]), int64(turn[0])",
            "    if size == 2:",
            f"        last = int64({TILE})",
            "    i = lane",
            f"    while i < {TILE}:",
            "        own[i] = int32(first + i) if size == 2 else places[start + i]",
            f"        i += {THREADS}",
            "    while size <= last:",
            f"        distance = min(size // 2, {TILE // 2})",
            "        while distance > 0:",
            "            cuda.syncthreads()",
            "            pair = lane",
            f"            while pair < {TILE // 2}:",
            "                i = 2 * distance * (pair // distance) + pair % distance",
            "                j = i + distance",
            "                rising = (first + i) & size == 0",
            *self._swap(4, "own"),
            f"                pair += {THREADS}",
            "            distance = distance // 2",
            "        size *= 2",
            "    cuda.syncthreads()",
            "    i = lane",
            f"    while i < {TILE}:",
            "        places[start + i] = own[i]",
            f"        i += {THREADS}",
        ]
        return "\n".join(lines) + "\n"

    def apart(self, name: str) -> str:
        """Pairs of places that no tile holds together."""
        rows = self.rows
        lines = self._head(name, [*self.given[: rows.keys], "places", "turn"], "pairs far apart")
        half = rows.width // 2
        lines += [
            "    at = cuda.grid(1)",
            "    size, distance = int64(turn[0]), int64(turn[1])",
            f"    row, pair = at // {half}, at % {half}",
            f"    base = {self._base('row')}",
            "    k = 2 * distance * (pair // distance) + pair % distance",
            "    rising = k & size == 0",
            f"    i = {rows.width} * row + k",
            "    j = i + distance",
            *self._swap(1, "places"),
        ]
        return "\n".join(lines) + "\n"

    def fetch(self, name: str) -> str:
        """The elements from their places."""
        rows, outs = self.rows, [f"y{k}" for k in range(len(self.writes))]
        lines = self._head(name, [*self.given, "places", *outs], "a thread an element")
        lines += [
            "    at = cuda.grid(1)",
            f"    if at < {rows.count * rows.kept}:",
            f"        row, i = at // {rows.kept}, at % {rows.kept}",
            f"        base = {self._base('row')}",
            f"        place = places[{rows.width} * row + i]",
            *self._stores("row", "i", 2),
        ]
        return "\n".join(lines) + "\n"
