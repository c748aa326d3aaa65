"""Loop nests to launches: which loops the grid shares out, which a team of threads, which remain.

In: a `Kernel` of the schedule. Out: `Launch`es of one of four kinds, in order. The one idea: the
grid takes the outer loops whose turns are apart; where a loop inside is long and apart too, a team
(a warp, or a block) shares its turns and joins its folds, else one thread does what is left.

map     every thread does elements of its own; neighbours together where memory lies side by side
tiles   a block turns a tile of a matrix over
column  every thread does elements of its own, and the loops that must go in order inside
scan    a block goes through a row, or a part of one, and joins the running folds of its threads
rows    a team for each turn of the outer loops: a warp or a block
chunks  a block for each part of the leading loop, which keeps a partial result
block   one block does everything
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from ...ir.loops import Affine, Axis, Const, Expr, Load
from ...ir.nests import (
    Acc,
    Accumulate,
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
from .apart import accesses, accs_read, independent, loops_in, statements

if TYPE_CHECKING:
    from .row_plan import Row

MAP_THREADS = 256
WARP = 32
# A row of so many elements is done by one warp; longer ones by a block.
WARP_ROW = 1024
BLOCK_THREADS = 256
MOST_BLOCKS = 132 * 16
# Loops inside that are shorter are done by one thread.
SHORT = 16
# Statements beside each other with less work than this are not worth a launch of their own.
SMALL = 4096
WIDE_BYTES = 16
# Transpositions go by squares, of few operands at a time.
TILE = 32
# Running folds of fewer elements are done by one thread.
SCAN = 64
MOST_TILES = 4
MOST_WIDE = 8


@dataclass(eq=False)
class CudaLaunch:
    """One kernel of a GPU.

    Attributes:
        kind: map, tiles, column, scan, rows, chunks or block.
        grid: loops that the grid shares out, outermost first.
        body: what is inside of them.
        chunk: the number of a block's part, where the leading loop is done in parts.
        blocks: how many, of `threads` threads each; a team has `team` of them.
        across: the axis along which loads are neighbours, where stores are so along the last one.
        wide: how many neighbours a thread does together, 1 where memory does not allow it.
        note: why it is done so, where that is not the best there is.
        each: how many elements a thread of a scan has at a time.
        parts: into how many a row of a scan is divided, and `told`: what their blocks tell others.
        shared: bytes of shared memory that it asks for, beside the arrays that its text sizes.
        row: what its teams keep of rows.
    """

    name: str
    kernel: Kernel
    kind: str
    grid: list[For]
    body: list[Node]
    blocks: int
    threads: int
    team: int = 1
    wide: int = 1
    across: Axis | None = None
    chunk: Axis | None = None
    note: str = ""
    scratch: list[Buffer] = field(default_factory=lambda: [])
    each: int = 1
    parts: int = 1
    told: Buffer | None = None
    shared: int = 0
    row: Row | None = None

    @property
    def total(self) -> int:
        """Turns of the loops that the grid shares."""
        total = self.chunk.extent if self.chunk is not None and self.kind == "column" else 1
        for loop in self.grid:
            total *= loop.axis.extent
        return total

    @property
    def params(self) -> list[Buffer]:
        """The buffers it is given."""
        used = {a.buffer for a in accesses([*self.grid, *self.body])}
        return [*(b for b in self.kernel.params if b in used), *self._between]

    @property
    def written(self) -> list[Buffer]:
        """The buffers it changes."""
        used = {a.buffer for a in accesses(self.body) if a.writes}
        return [*(b for b in self.kernel.params if b in used), *self._between]

    @property
    def _between(self) -> list[Buffer]:
        return [] if self.told is None else [self.told]


def launches(kernel: Kernel) -> list[CudaLaunch]:
    """The launches that do what a kernel does."""
    if kernel.chunk is not None:
        return [_chunked(kernel)]
    parts = _separate(kernel)
    if len(parts) == 1:
        return [_launch(kernel.name, kernel, parts[0])]
    return [_launch(f"{kernel.name}_{k}", kernel, part) for k, part in enumerate(parts)]


def _work(body: list[Node]) -> int:
    """How often the statements run."""
    total = 0
    for node in body:
        total += node.axis.extent * _work(node.body) if isinstance(node, For) else 1
    return total


def _separate(kernel: Kernel) -> list[list[Node]]:
    """The statements in parts, each worth a launch, between which nothing stays in registers."""
    body = kernel.body
    if len(body) == 1 or _work(body) <= SMALL:
        return [body]
    if any(a.buffer in kernel.scratch for a in accesses(body)):
        return [body]
    parts: list[list[Node]] = []
    for node in body:
        used = accs_read([node])
        if parts and used:
            parts[-1].append(node)
        else:
            parts.append([node])
    # A fold that an earlier part made cannot cross to a later one.
    for k, part in enumerate(parts):
        made = {acc for loop in loops_in(part) for acc in loop.accs}
        if accs_read(part) - made or any(accs_read(p) & made for p in parts[k + 1 :]):
            return [body]
    return parts


def chain_of(body: list[Node]) -> list[For]:
    """Loops each of which holds nothing but the next one."""
    found: list[For] = []
    while len(body) == 1 and isinstance(body[0], For):
        found.append(body[0])
        body = body[0].body
    return found


def shared_inside(body: list[Node]) -> bool:
    """Whether there are loops in the statements that a team had better share."""
    return any(
        loop.vector and loop.axis.extent >= SHORT and independent(loop) for loop in loops_in(body)
    )


def _launch(name: str, kernel: Kernel, body: list[Node]) -> CudaLaunch:
    chain = chain_of(body)
    private = frozenset(kernel.scratch)
    free = [independent(loop, private) for loop in chain]
    inside = chain[-1].body if chain else body
    if chain and all(free[:-1]) and is_running(chain[-1]) and _along_memory(chain):
        return _scan(name, kernel, chain)
    if chain and any(free) and not any(b in private for b in _touched(body)):
        by_thread = not shared_inside(inside)
        if by_thread and all(free):
            return _map(name, kernel, chain, inside)
        if by_thread:
            return _column(name, kernel, body, chain, free)
    leading = free.index(False) if False in free else len(free)
    if leading:
        return _rows(name, kernel, chain[:leading])
    return _block(name, kernel, body)


def _touched(body: list[Node]) -> set[Buffer]:
    return {a.buffer for a in accesses(body)}


def _grid(total: int, threads: int) -> int:
    return min(-(-total // threads), MOST_BLOCKS) if total else 0


def _map(name: str, kernel: Kernel, chain: list[For], body: list[Node]) -> CudaLaunch:
    found = CudaLaunch(name, kernel, "map", chain, body, 0, MAP_THREADS)
    found.across = across_of(found)
    if found.across is not None:
        found.kind = "tiles"
        sides = (found.across.extent, chain[-1].axis.extent)
        found.blocks = found.total // (sides[0] * sides[1])
        for side in sides:
            found.blocks *= -(-side // TILE)
        return found
    found.wide = wide_of(found)
    last = chain[-1].axis.extent
    if found.wide == 1 and len(chain) == 1 and last < MAP_THREADS:
        found.threads = max(-(-last // WARP), 1) * WARP
    found.blocks = _grid(-(-found.total // found.wide), found.threads)
    if found.wide == 1 and any(isinstance(n, For) for n in body):
        found.note = "one thread an element: the loops inside are short"
    return found


def _column(
    name: str, kernel: Kernel, body: list[Node], chain: list[For], free: list[bool]
) -> CudaLaunch:
    """Loops whose turns are apart go to the grid, whatever their place; the others stay inside."""
    grid = [loop for loop, apart in zip(chain, free, strict=True) if apart]
    inner: list[Node] = chain[-1].body
    inside = [loop for loop, apart in zip(chain, free, strict=True) if not apart]
    inner = in_registers(inside, inner, {})
    found = CudaLaunch(name, kernel, "column", grid, inner, 0, MAP_THREADS)
    found.threads = min(MAP_THREADS, max(-(-found.total // WARP), 1) * WARP)
    found.blocks = _grid(found.total, found.threads)
    found.note = f"one thread for each of {found.total}: updates go one after the other"
    return found


def is_running(loop: For) -> bool:
    """Whether a loop keeps the fold of its turns so far, and stores it at each."""
    if len(loop.accs) != 1 or loop.accs[0].positional or loop.accs[0].initial is not None:
        return False
    first, *rest = loop.body
    plain = [n for n in rest if isinstance(n, Store) and not n.combine and n.guard is None]
    if not isinstance(first, Accumulate) or first.position is not None or len(plain) != len(rest):
        return False
    read = {x.source for x in loads_of(*expressions(first), *(n.value for n in plain))}
    apart = independent(For(loop.axis, list(plain), []))
    return apart and not read & {n.target for n in plain}


def _along_memory(chain: list[For]) -> bool:
    """Whether the last loop of a chain is long, and goes through memory side by side."""
    axis = chain[-1].axis
    steps = [
        abs(offset_of(a.buffer, a.place).axes.get(axis, 0))
        for a in accesses(chain[-1].body)
        if a.writes
    ]
    return axis.extent >= SCAN and all(step == 1 for step in steps)


def _scan(name: str, kernel: Kernel, chain: list[For]) -> CudaLaunch:
    rows = 1
    for loop in chain[:-1]:
        rows *= loop.axis.extent
    body: list[Node] = [chain[-1]]
    return CudaLaunch(name, kernel, "scan", chain[:-1], body, rows, BLOCK_THREADS, BLOCK_THREADS)


def in_registers(inside: list[For], body: list[Node], start: dict[Buffer, bool]) -> list[Node]:
    """Loops around statements; what is combined at one place all the time stays in a register.

    Args:
        start: buffers that start as what their fold starts from, so that they need not be read.
    """
    axes = {loop.axis for loop in inside}
    after: list[Node] = []
    new: list[Node] = []
    accs: list[Acc] = []
    read = {x.source for n in statements(body) for x in loads_of(*_values(n))}
    for node in body:
        still = isinstance(node, Store) and node.combine and node.guard is None
        if not still or not isinstance(node, Store) or node.target in read:
            new.append(node)
            continue
        offset = offset_of(node.target, node.index)
        if offset.dynamic or axes & set(offset.axes):
            new.append(node)
            continue
        dtype = node.target.dtype
        first = None if start.get(node.target) else Load(node.target, node.index, dtype, None)
        acc = Acc(node.combine, dtype, f"acc{len(accs) + 1}", None, first)
        accs.append(acc)
        new.append(Accumulate(acc, node.value))
        after.append(Store(node.target, node.index, acc))
    for loop in reversed(inside):
        new = [For(loop.axis, new, [*loop.accs, *accs], False, loop.chunked)]
    return [*new, *after]


def _values(node: Node) -> list[Expr]:
    return [node.value] if isinstance(node, Store | Accumulate) else []


def _rows(name: str, kernel: Kernel, chain: list[For]) -> CudaLaunch:
    body = chain[-1].body
    rows = 1
    for loop in chain:
        rows *= loop.axis.extent
    longest = max((loop.axis.extent for loop in loops_in(body)), default=1)
    kept = sum(b.bytes for b in kernel.scratch)
    by_warp = longest <= WARP_ROW and kept * (BLOCK_THREADS // WARP) <= 32768
    team = WARP if by_warp else BLOCK_THREADS
    if not by_warp and longest >= 8192:
        team = 2 * BLOCK_THREADS
    threads = BLOCK_THREADS if by_warp else team
    each = threads // team
    found = CudaLaunch(name, kernel, "rows", chain, body, -(-rows // each), threads, team)
    found.scratch = list(kernel.scratch)
    return found


def _block(name: str, kernel: Kernel, body: list[Node]) -> CudaLaunch:
    found = CudaLaunch(name, kernel, "block", [], body, 1, BLOCK_THREADS, BLOCK_THREADS)
    found.scratch = list(kernel.scratch)
    if _work(body) > SMALL:
        found.note = "one block: its loops are not to be divided"
    return found


def _chunked(kernel: Kernel) -> CudaLaunch:
    assert kernel.chunk is not None
    column = _chunked_columns(kernel)
    if column is not None:
        return column
    # Of rows that are divided, each has its parts.
    rows = list(takewhile(lambda loop: not loop.chunked, chain_of(kernel.body)))
    body = rows[-1].body if rows else kernel.body
    blocks = kernel.chunk.extent
    for loop in rows:
        blocks *= loop.axis.extent
    found = CudaLaunch(
        kernel.name, kernel, "chunks", rows, body, blocks, BLOCK_THREADS, BLOCK_THREADS
    )
    found.chunk = kernel.chunk
    found.scratch = list(kernel.scratch)
    return found


def _chunked_columns(kernel: Kernel) -> CudaLaunch | None:
    """Sums over the leading loop, kept by part: a thread for each column and part."""
    *zeros, lead = kernel.body
    assert kernel.chunk is not None
    if not isinstance(lead, For) or not zeros or kernel.scratch:
        return None
    chain = chain_of([lead])
    columns = [loop for loop in chain[1:] if independent(loop)]
    inside = [lead, *(loop for loop in chain[1:] if loop not in columns)]
    if not columns or loops_in(chain[-1].body):
        return None
    combined: dict[Buffer, bool] = {}
    for node in chain[-1].body:
        if isinstance(node, Store) and node.combine and kernel.chunk in _axes(node):
            combined[node.target] = True
    for node in statements(zeros):
        if not isinstance(node, Store) or node.target not in combined or not _is_start(node, lead):
            return None
    body = in_registers(inside, chain[-1].body, combined)
    found = CudaLaunch(kernel.name, kernel, "column", columns, body, 0, MAP_THREADS)
    found.chunk = kernel.chunk
    found.threads = min(MAP_THREADS, max(-(-found.total // WARP), 1) * WARP)
    found.blocks = _grid(found.total, found.threads)
    return found


def _axes(node: Store) -> set[Axis]:
    return set(offset_of(node.target, node.index).axes)


def _is_start(zero: Store, lead: For) -> bool:
    ops = {
        n.combine for n in statements([lead]) if isinstance(n, Store) and n.target is zero.target
    }
    if len(ops) != 1 or not isinstance(zero.value, Const):
        return False
    return bool(zero.value.value == identity_of(ops.pop(), zero.target.dtype))


# Neighbours done together.


def across_of(launch: CudaLaunch) -> Axis | None:
    """The axis along which loads are neighbours in memory while the stores are not."""
    last = launch.grid[-1].axis
    stores = [n for n in launch.body if isinstance(n, Store)]
    plain = len(stores) == len(launch.body) and not any(n.combine or n.guard for n in stores)
    if not plain or last.extent < TILE // 2 or not _reads_elsewhere(launch):
        return None
    if any(offset_of(n.target, n.index).axes.get(last) != 1 for n in stores):
        return None
    found: dict[Axis, set[tuple[Buffer, object]]] = {}
    for load in loads_of(*(n.value for n in stores)):
        offset = offset_of(load.source, load.index)
        for loop in launch.grid[:-1]:
            if lies_across(load, loop.axis, last) and loop.axis.extent >= TILE // 2:
                places = found.setdefault(loop.axis, set())
                places.add((load.source, (offset.const, frozenset(offset.axes.items()))))
    if len(found) != 1:
        return None
    ((axis, places),) = found.items()
    return axis if len(places) <= MOST_TILES else None


def lies_across(load: Load, across: Axis, last: Axis) -> bool:
    """Whether neighbours along one axis are read side by side, and those along the last far off."""
    offset = offset_of(load.source, load.index)
    known = load.guard is None and not offset.dynamic
    return known and offset.axes.get(across) == 1 and offset.axes.get(last, 0) > 1


def _reads_elsewhere(launch: CudaLaunch) -> bool:
    """Whether nothing is read of what is written."""
    written = {n.target for n in launch.body if isinstance(n, Store)}
    return not any(a.buffer in written for a in accesses(launch.body) if not a.writes)


def wide_of(launch: CudaLaunch) -> int:
    """How many neighbours along the last loop a thread does together."""
    axis = launch.grid[-1].axis
    if loops_in(launch.body) or not all(isinstance(n, Store) for n in launch.body):
        return 1
    stores = [n for n in launch.body if isinstance(n, Store)]
    if any(n.combine or n.guard is not None for n in stores) or not _reads_elsewhere(launch):
        return 1
    sizes = [
        a.buffer.dtype.itemsize
        for a in accesses(launch.body)
        if is_side_by_side(offset_of(a.buffer, a.place), axis, 1)
    ]
    if not sizes:
        return 1
    wide = min(WIDE_BYTES // min(sizes), MOST_WIDE)
    others = len(launch.grid) > 1
    while wide > 1 and (axis.extent % wide if others else axis.extent < wide):
        wide //= 2
    # What is read under a guard is read one by one.
    loads = loads_of(*(n.value for n in stores))
    places = [(x.source, x.index) for x in loads if x.guard is None and x.source.size]
    places += [(n.target, n.index) for n in stores]
    fits = any(is_side_by_side(offset_of(*place), axis, wide) for place in places)
    return wide if fits else 1


def is_side_by_side(offset: Affine, axis: Axis, wide: int) -> bool:
    """Whether `wide` neighbours along an axis are neighbours in memory, and begin at a multiple."""
    if offset.dynamic or offset.axes.get(axis) != 1 or offset.const % wide:
        return False
    return all(c % wide == 0 for a, c in offset.axes.items() if a is not axis)
