"""Loops around statements, and how a kernel is divided into chunks.

The one idea: chunks depend on sizes and estimated cost alone, never on the number of threads, so
partial results are the same, and are joined in the same order, on every machine with one core or
many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..ir.loops import Affine, Axis, Expr, Index, Load, axis_index, cast
from ..ir.nests import Acc, Accumulate, Buffer, For, Kernel, Node, Store, children, expressions
from .collapse import buffers_of, collapse


class Division(NamedTuple):
    """How finely the work of one kernel is divided.

    Attributes:
        nanoseconds: work of one chunk, on one core of a CPU.
        most: chunks of one kernel.
        in_order: whether what goes in order is shared out: updates by columns, running folds by
            chunks, whose folds are made first.
        outlines: whether products are only named, for somebody else to write; then there are
            some of 16-bit floats.
        row: elements of a row that is kept for later loops over it, and `kept`: bytes of all rows.
        again: operations of an element of a longer row that later loops do again: they take less
            time than memory would.
    """

    nanoseconds: float
    most: int
    in_order: bool
    outlines: bool
    row: int
    kept: int
    again: int


CPU = Division(15_000.0, 64, True, False, 8192, 4 << 20, 0)
# A GPU has more places to fill, divides what goes in order by itself, and 48 kB for a block.
GPU = Division(1_000.0, 1056, False, True, 8192, 40_000, 24)


# From here on threads share a kernel: below, waking one costs more than it gives.
SHARED_NANOSECONDS = 20_000.0
# Chunks that are enough even where each keeps a large partial result, and bytes of all that are
# kept by more: each is filled with zeros and read again to be joined.
ENOUGH, KEPT = 16, 8 << 20
# As many chunks of a GPU's work are enough for its multiprocessors where a block does each, and so
# many threads where one does each element of a partial result.
BLOCKS, THREADS = 256, 1 << 18
# A thread of a GPU that goes through a column has turns enough that the parts of all are few bytes
# beside what they read; fewer where there would be less than half of those threads.
TURNS, FEW_TURNS = 64, 16
# Long parts of a GPU's block are multiples of so many elements: two vectors of each of 256 threads.
WHOLE = 2048
# Vectors of a partial result that are joined at once: whole lines of each.
JOINED = 4
# Columns of parts that a GPU joins by a team each, whose lanes wait for memory side by side. Each
# moves a sector of 32 bytes for a number, so of more columns a thread goes through each.
TEAMS, LANES = 8192, 32


def chunks_of(body: list[Node], cost: float) -> tuple[int, int]:
    """Extent and grain of the leading loop, the only one, which is marked as done in chunks."""
    (lead,) = [n for n in body if isinstance(n, For)]
    lead.chunked = True
    extent = lead.axis.extent
    chunks = chunk_count(cost, extent)
    grain = max(-(-extent // chunks), 1)
    return extent, -(-grain // 64) * 64 if lead.vector else grain


def chunk_count(
    cost: float,
    extent: int,
    division: Division = CPU,
    partials: Sequence[tuple[Buffer, Buffer, str]] = (),
) -> int:
    """Into how many chunks a loop is cut.

    A power of two, which threads share evenly, and of which the blocks of a product are multiples.

    Args:
        partials: results of which each chunk keeps one, with what they are joined to, and how.
    """
    most, each = division.most, sum(p.bytes // p.shape[0] for p, _, _ in partials)
    if division.in_order and each:
        most = min(most, max(ENOUGH, KEPT // each))
    elif each:
        # More would only move more memory: a partial result for each chunk, written and read.
        most = min(most, max(BLOCKS, THREADS // max(p.size // p.shape[0] for p, _, _ in partials)))
    count = int(min(most, max(1.0, cost / division.nanoseconds), max(extent, 1)))
    return min(2 ** round(math.log2(count)), max(extent, 1))


def column_chunks(extent: int, columns: int, each: int) -> int:
    """Into how many chunks a GPU cuts a loop whose columns have a thread each: a power of two.

    Args:
        each: elements of a column in a turn of the loop.
    """
    turns = extent * each
    few = min(THREADS // 2 // columns, turns // FEW_TURNS)
    count = min(max(min(THREADS // columns, turns // TURNS), few, 1), max(extent, 1))
    return 1 << (count.bit_length() - 1)


def divisible(lead: For, partial: bool) -> bool:
    """Whether a loop can be done in parts: its folds must then be kept by part."""
    return not lead.accs or partial


def combined(
    partials: Sequence[tuple[Buffer, Buffer, str]], name: str, division: Division
) -> Kernel:
    """The kernel that folds the partial results of all chunks, columns apart; all of one shape.

    On a CPU in order, on a GPU by lanes where there are few columns: one thread would wait for
    each chunk's number.
    """
    first, like, _ = partials[0]
    kept = [Axis(n, f"i{k}") for k, n in enumerate(like.shape)]
    chunk = Axis(first.shape[0], "c")
    index = tuple(axis_index(a) for a in kept)
    accs: list[Acc] = []
    folds: list[Node] = []
    stores: list[Node] = []
    for k, (partial, target, op) in enumerate(partials):
        acc = Acc(op, partial.dtype, f"acc{k or ''}")
        value = Load(partial, (axis_index(chunk), *index), partial.dtype, None)
        accs.append(acc)
        folds.append(Accumulate(acc, value))
        stores.append(Store(target, index, cast(acc, target.dtype)))
    by_team = not division.in_order and like.size <= TEAMS and chunk.extent >= LANES
    nodes = loops_over([chunk], folds, accs, vector=by_team)
    wide = division.in_order and like.size > 1
    body = collapse(
        loops_over(kept, [*nodes, *stores], [], vector=True, times=JOINED if wide else 1)
    )
    cost, extent, grain = first.size * len(partials) * 0.1, 1, 1
    if wide and cost > SHARED_NANOSECONDS:
        extent, grain = chunks_of(body, cost)
    targets = [t for _, t, _ in partials]
    params, notes = [*(p for p, _, _ in partials), *targets], ["partial sums"]
    return Kernel(name, params, targets, [], body, extent, grain, None, cost, notes)


def join_in_place(body: list[Node], partial: Buffer, target: Buffer, chunk: Axis) -> None:
    """Let the stores of a kernel's only chunk go where the joined result would.

    No other chunk is at work on it then, so the leading loop is not to be divided.
    """
    for node in body:
        if isinstance(node, For):
            node.chunked = False
            join_in_place(node.body, partial, target, chunk)
        elif isinstance(node, Store) and node.target is partial:
            first, *rest = node.index
            if first.same(axis_index(chunk)):
                node.index = tuple(rest)
            else:  # one position in the whole buffer
                place = {axis: step for axis, step in first.axes.items() if axis is not chunk}
                node.index = (Affine(first.const, place, first.dynamic),)
            node.target, node.value = target, cast(node.value, target.dtype)


def loops_over(
    axes: list[Axis], body: list[Node], accs: list[Acc], vector: bool, times: int = 1
) -> list[Node]:
    """The body within loops over the axes; the innermost may be a vector loop, `times` as wide."""
    nodes: list[Node] = body
    for k, axis in enumerate(reversed(axes)):
        if axis.extent == 1 and not (accs and k == len(axes) - 1):
            continue
        loop: Node = For(axis, nodes, list(accs), vector, times=times if vector else 1)
        nodes, vector = [loop], False
    return nodes


def mentions(x: Expr, axis: Axis | None) -> bool:
    """Whether an expression depends on an axis."""
    stack = [x]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        indices: tuple[Affine, ...] = ()
        if isinstance(node, Load):
            indices = node.index
        elif isinstance(node, Index):
            indices = (node.affine,)
        if any(axis in i.axes for i in indices):
            return True
        stack.extend(children(node))
    return False


def buffers_of_body(body: list[Node]) -> list[Buffer]:
    """Every buffer a body touches, in order of first use."""
    found: dict[Buffer, None] = {}
    for node in body:
        if isinstance(node, For):
            found.update(dict.fromkeys(buffers_of_body(node.body)))
            continue
        found.update(dict.fromkeys(buffers_of(expressions(node))))
        if isinstance(node, Store):
            found[node.target] = None
    return list(found)


def written_in(body: list[Node]) -> list[Buffer]:
    """Every buffer a body writes."""
    found: dict[Buffer, None] = {}
    for node in body:
        if isinstance(node, For):
            found.update(dict.fromkeys(written_in(node.body)))
        elif isinstance(node, Store):
            found[node.target] = None
    return list(found)
