"""Who does which part of a running fold: threads, warps, blocks.

In: a launch of plan whose inner loop stores the fold of its turns so far. Out: the same with its
shape, after one that clears memory where blocks tell each other folds. The one idea: a thread keeps
what it reads in registers until it knows what comes before, so that all is read once; few long rows
are divided among blocks, which leave the fold of their part where later ones look for it.
"""

from __future__ import annotations

from ...ir.loops import Axis, Const, IndexTuple, axis_index
from ...ir.nests import Accumulate, Buffer, For, Store, offset_of
from .apart import accesses
from .messages import WORD, words_for
from .plan import (
    BLOCK_THREADS,
    MAP_THREADS,
    MOST_WIDE,
    WARP,
    WIDE_BYTES,
    CudaLaunch,
    is_side_by_side,
    wide_of,
)

# A thread keeps so many bytes at a time.
KEPT = 64
# Fewer rows are divided among blocks.
FEW_ROWS = 528
# Of so many parts together the fold is told too: at most as many as a block has threads.
GROUP = BLOCK_THREADS


def divided(launch: CudaLaunch) -> list[CudaLaunch]:
    """The launches that do what one by scans does; others as they are."""
    if launch.kind != "scan":
        return [launch]
    loop = row_of(launch)
    size, extent, rows = loop.accs[0].value_dtype.itemsize, loop.axis.extent, launch.blocks
    most = KEPT // max(size, 4)
    # Threads of a warp have neighbours each, side by side, and that several times.
    launch.wide = min(_wide(loop), most)
    launch.each = launch.wide * min(most // launch.wide, -(-extent // (WARP * launch.wide)))
    warps = min(-(-extent // (WARP * launch.each)), BLOCK_THREADS // WARP)
    launch.threads = launch.team = WARP * warps
    parts = -(-extent // (launch.threads * launch.each))
    if parts < 2 or rows >= FEW_ROWS:
        return [launch]
    launch.blocks, launch.parts = rows * parts, parts
    words = words_for(rows * (parts + parts // GROUP), size)
    told = launch.told = Buffer((words,), WORD, f"{launch.name}_told")
    place = Axis(words, "place")
    store = Store(told, (axis_index(place),), Const(0, WORD))
    name, grid = f"{launch.name}_clear", [For(place, [store])]
    blocks = -(-words // MAP_THREADS)
    clear = CudaLaunch(name, launch.kernel, "map", grid, [store], blocks, MAP_THREADS, told=told)
    clear.wide = wide_of(clear)
    return [clear, launch]


def row_of(launch: CudaLaunch) -> For:
    """The loop along a row."""
    (loop,) = launch.body
    assert isinstance(loop, For) and isinstance(loop.body[0], Accumulate)
    return loop


def _wide(loop: For) -> int:
    """How many neighbours a thread moves together, 1 where memory does not allow it."""
    ends = [(a.buffer, a.place) for a in accesses(loop.body)]
    sizes = [b.dtype.itemsize for b, place in ends if side(b, place, loop.axis, 1)]
    wide = min(WIDE_BYTES // min(sizes), MOST_WIDE)
    while wide > 1 and not any(side(*end, loop.axis, wide) for end in ends):
        wide //= 2
    return wide


def side(buffer: Buffer, index: IndexTuple, axis: Axis, wide: int) -> int:
    """1 if `wide` neighbours along an axis can be moved together; -1 if the last one lies first."""
    offset = offset_of(buffer, index)
    if is_side_by_side(offset, axis, wide):
        return 1
    back = not offset.dynamic and offset.axes.get(axis) == -1 and (offset.const + 1) % wide == 0
    return -1 if back and all(c % wide == 0 for a, c in offset.axes.items() if a is not axis) else 0
