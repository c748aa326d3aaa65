"""Large matrix products whose row blocks share one copy of the right side.

    pack:     the right side, once: panels of V vectors of columns, for each block of the
              contraction, each panel's rows one behind the other
    product:  for each block of rows of the result (a chunk):
                for each block of the contraction:
                  for each panel: for each tile of T rows: a sum of outer products in registers

A BLAS called for blocks of rows copies the right side in each call, so its blocks must be large.
Here they are small: a block is complete while it is in its thread's second cache, and the kernel
that reads it (see `chains`) finds it there. The left side is read where it lies if its rows are
the outer axis, and else copied, a block at a time, into tiles. How a product is cut is decided
here; the functions, which all products share, are in `gemm_text`.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from . import LibraryKernel, Stage, gemm_text
from .conv_code import KINDS
from .gemm import SPEED, Gemm, share_of
from .gemm_text import COPY, STEPS, WIDE, rows_of

# Bytes of a panel, which comes from the second cache a tile after the other; of a block of results
# and of the left side of such a block.
PANEL, BLOCK, LEFT = 100_000, 1 << 18, 1 << 18
# So many rows of a left side that is copied have room.
COPIED_ROWS = 64
# Elements in a chunk of items of the packing, and packed in a nanosecond of one core, roughly.
PACKED, PACKING = 1 << 16, 5.0
# What it costs to begin a block, in rows.
BEGIN = 3.0


class Cut(NamedTuple):
    """How a product is cut.

    Attributes:
        rows, width: rows and columns of a tile.
        depth: steps of the contraction in a block.
        row_block: rows of a chunk, whole tiles.
    """

    rows: int
    width: int
    depth: int
    row_block: int


def cut_of(g: Gemm, vector_bits: int) -> Cut:
    """The cut of a product, from sizes alone."""
    size = _size(g)
    rows, width = rows_of(vector_bits), WIDE * vector_bits // (8 * size)
    high = max(BLOCK // (g.n * size), 1)
    deepest = PANEL // (width * size)
    if not g.left[0]:
        deepest = min(deepest, COPY // (COPIED_ROWS * size))
    deepest = deepest // STEPS * STEPS
    depth = -(-g.k // -(-g.k // deepest))
    depth = -(-depth // STEPS) * STEPS
    high = min(high, (LEFT if g.left[0] else COPY) // (depth * size))
    return Cut(rows, width, depth, _rows_of_block(g.m, rows, max(high // rows, 1) * rows))


def _rows_of_block(m: int, rows: int, most: int) -> int:
    """Whole tiles of rows, at most `most`, that leave two and four threads the least to do."""

    def cost(block: int) -> float:
        blocks = -(-m // block)
        return sum(-(-blocks // threads) * (block + BEGIN) * threads for threads in (2, 4))

    return min(range(rows, most + 1, rows), key=lambda block: (cost(block), -block))


def build(g: Gemm, name: str, vector_bits: int) -> LibraryKernel:
    """The kernel `name` of (left, right, result), of what `KINDS` knows."""
    cut = cut_of(g, vector_bits)
    count, sides = prod(b[0] for b in g.batch), prod(b[0] for b in g.batch if b[2])
    items, each = sides * -(-g.k // STEPS), STEPS * g.n
    blocks, products = -(-g.m // cut.row_block), g.m * g.n * g.k
    cost = count * products / SPEED
    packing = items * each / PACKING
    pack = f"{name}_pack"
    stages = (
        Stage(pack, (("in", 1), ("scratch", 0)), items, max(1, PACKED // each), packing),
        Stage(name, (("in", 0), ("scratch", 0), ("out", 0)), count * blocks, 1, cost),
    )
    texts, declared = _texts(g, cut, name, pack, vector_bits)
    room = sides * _per_side(g, cut) * _size(g)
    share = share_of(g, min(cut.row_block, g.m), 1)
    return LibraryKernel(texts, declared, stages, (room,), g.flops, share)


def _texts(
    g: Gemm, cut: Cut, name: str, pack: str, vector_bits: int
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The functions of a product, its own and shared ones, and what they need."""
    kind, lanes = g.dtype, cut.width // WIDE
    packer = f"gemm_{'turn' if g.right[0] else 'pack'}_{kind}"
    blocks = f"gemm_blocks_{kind}"
    rest = -(-(g.n % cut.width) // lanes) or WIDE
    tiles = [f"gemm_tiles{vectors}_{kind}" for vectors in (WIDE, rest)]
    (sizes, memory), (packing, more) = _numbers(g, cut), _packing(g, cut)
    texts = {
        pack: gemm_text.call_text(pack, packer, packing),
        name: gemm_text.call_text(name, blocks, sizes, tiles),
    }
    declared = [memory, more]
    for function in (packer, blocks, *tiles):
        texts[function], needed = gemm_text.shared(function, g.dtype, vector_bits)
        declared += needed
    return texts, tuple(dict.fromkeys(declared))


def _numbers(g: Gemm, cut: Cut) -> tuple[str, str]:
    """The memory of a product's numbers."""
    row, step = (g.left[1], 1) if g.left[0] else (1, g.left[1])
    tile_row, tile_step, tile = row, step, cut.rows * row
    if not g.left[0]:
        tile_row, tile_step, tile = 1, cut.rows, _apart(cut, cut.rows, _size(g))
    numbers = {
        "m": g.m,
        "n": g.n,
        "k": g.k,
        "row": row,
        "step": step,
        "tile_row": tile_row,
        "tile_step": tile_step,
        "tile": tile,
        "pitch": g.pitch,
        "depth": cut.depth,
        "row_block": cut.row_block,
        "blocks": -(-g.m // cut.row_block),
        "apart": _apart(cut, cut.width, _size(g)),
        "per_block": _per_block(g, cut),
        "share": -(-cut.width * cut.rows // min(cut.row_block, g.m)),
        "copies": int(not g.left[0]),
        "adds": int(g.adds),
    }
    axes: list[tuple[int, int, int, int]] = []
    step = _per_side(g, cut)
    for extent, a, b, c in reversed(g.batch):
        axes.append((extent, a, step if b else 0, c))
        step *= extent if b else 1
    return gemm_text.numbers_text(gemm_text.PRODUCT, numbers, axes[::-1])


def _packing(g: Gemm, cut: Cut) -> tuple[str, str]:
    """The memory of the numbers of a product's packing."""
    column, turn = (g.right[1], 1) if g.right[0] else (1, g.right[1])
    numbers = {
        "n": g.n,
        "k": g.k,
        "column": column,
        "turn": turn,
        "depth": cut.depth,
        "per_block": _per_block(g, cut),
        "apart": _apart(cut, cut.width, _size(g)),
        "items": -(-g.k // STEPS),
    }
    axes: list[tuple[int, int, int, int]] = []
    step = _per_side(g, cut)
    for extent, _, b, _ in reversed([b for b in g.batch if b[2]]):
        axes.append((extent, b, step, 0))
        step *= extent
    return gemm_text.numbers_text(gemm_text.PACKING, numbers, axes[::-1])


def _size(g: Gemm) -> int:
    return KINDS[g.dtype][1]


def _apart(cut: Cut, side: int, size: int) -> int:
    """Elements from a panel or tile to the next: a line more, so that they share no place in cache.

    Args:
        side: columns of a panel, rows of a tile.
    """
    return cut.depth * side + 64 // size


def _per_block(g: Gemm, cut: Cut) -> int:
    """Elements of the panels of a block of the contraction."""
    return -(-g.n // cut.width) * _apart(cut, cut.width, _size(g))


def _per_side(g: Gemm, cut: Cut) -> int:
    """Elements of a packed right side."""
    return -(-g.k // cut.depth) * _per_block(g, cut)
