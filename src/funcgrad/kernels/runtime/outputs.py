"""Memory of large results, used again when nobody holds them any more.

The operating system hands out fresh pages for every large array, which costs as much as a kernel
that writes it. The one idea: a block whose only reference is ours is free; arrays over it, and
views of these, refer to it as their base. What is given out begins at a line of cache.

There is no lock, which a signal's handler or a forked child could wait for: who looks at a block
holds it, so that whoever looks meanwhile sees one reference more than those of a free one.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

# Below, the C library's own allocator keeps memory; above the limit blocks are given back.
SMALLEST = 1 << 20
_KEPT = 1 << 24
LIMIT = 1 << 29

_LINE = 64

# Blocks, and where in each the first line of cache begins.
_blocks: list[tuple[np.ndarray[Any, Any], int]] = []
_sole = 0  # what getrefcount gives for an array that a list and one other thing refer to


def _let_the_allocator_keep() -> None:
    """Make the C library's allocator keep what is freed, so that results are not in fresh pages.

    glibc gives the free end of its heap back from 128 KiB on, and pages that come anew cost ten
    times what a step of an optimizer computes. It learns from the largest block that was mapped and
    freed, up to 32 MiB, to map only larger ones, and to give back only twice as much.
    """
    np.empty(_KEPT, np.uint8)


_let_the_allocator_keep()


def empty(shape: tuple[int, ...], dtype: Any, size: int) -> np.ndarray[Any, Any]:
    """An uninitialised array of `size` bytes over a free block, or over a new one."""
    block, start = _free_block(size + _LINE) or _new_block(size + _LINE)
    return np.ndarray(shape, dtype, block, start)


def _references(blocks: list[tuple[np.ndarray[Any, Any], int]]) -> int:
    """What `_free_block` sees of a block that nobody holds."""
    for block, _ in blocks:
        return sys.getrefcount(block)
    return 0


_FREE = _references([(np.empty(1), 0)])


def _free_block(size: int) -> tuple[np.ndarray[Any, Any], int] | None:
    for block, start in _blocks:
        if block.nbytes == size and sys.getrefcount(block) == _FREE:
            return block, start
    return None


def _new_block(size: int) -> tuple[np.ndarray[Any, Any], int]:
    """Remember a new block; drop the oldest ones where there are too many."""
    block = np.empty(size, np.uint8)
    start = -block.ctypes.data % _LINE
    _blocks.append((block, start))
    held = sum(known.nbytes for known, _ in list(_blocks))
    while held > LIMIT and len(_blocks) > 1:
        # Dropping a block that is held elsewhere frees nothing now: its holder frees it.
        try:
            held -= _blocks.pop(0)[0].nbytes
        except IndexError:  # others drop too
            break
    return block, start


def is_sole(arrays: list[np.ndarray[Any, Any]], k: int) -> bool:
    """Whether nobody refers to an array's memory but its Array and this list of arrays."""
    global _sole
    if not _sole:
        mine = np.empty(1)
        probe = [mine]
        _sole = sys.getrefcount(probe[0])  # `mine` stands for the Array
    value = arrays[k]
    base: Any = value.base
    del value
    if sys.getrefcount(arrays[k]) != _sole or not arrays[k].flags.c_contiguous:
        return False
    # Its place among the blocks, the array and two here refer to a block nobody else holds.
    return base is None or (any(b is base for b, _ in _blocks) and sys.getrefcount(base) == 4)


def clear() -> None:
    """Give back all blocks that nobody holds."""
    _blocks.clear()
