"""Sums of products: which ones a plain fused loop does best, and which ones BLAS.

In: a `Contract` and its operands. Out: a `Fold`, which fuses with its neighbours, or a
`LibraryKernel`: our own, or one that calls gemm on blocks of rows. The one idea: an operand's axes
fall into batch, free and contracted ones; where the free and the contracted axes each step through
memory evenly, and one of them by one element, a matrix product takes the operand as it lies,
transposed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..ir.loops import Affine, Contract, DType, Expr, Fold, IndexTuple, Operand, apply, cast
from .emit.writer import Writer
from .library import LibraryKernel, Stage, gemm_deep, gemm_packed, gemm_pairs
from .library.gemm import Gemm, build, is_inner, share_of
from .runtime.toolchain import machine

_BLAS = {
    "float32": ("fg_sgemm", "float", "0x3FF0000000000000"),
    "float64": ("fg_dgemm", "double", "0x3FF0000000000000"),
}
_HALVES = ("bfloat16", "float16")
_WHOLE = ("int32", "uint32", "int64", "uint64")
# What products of narrower integers are added up in.
_SUMS = ("int32", "uint32")
_SMALL_FLOPS = 4096
_FEW = 8
_CHUNK_FLOPS = 4e6
# Rows or columns of a block, up to four blocks and beyond.
_NARROW, _WIDE = 96, 224
_FLOPS_PER_NANOSECOND = 60.0
# Where kernels of our own replace BLAS: products in all, rows and columns that are few, rows that
# the kernel which packs the right side must have, bytes that all packed sides may have, and columns
# that pay for the copy of a left side. `Limits` has what depends on the processor.
_WORTHWHILE = 1 << 19
_FEW_OUTER, _FEW_INNER, _FEW_ROWS = 16, 32, 64
_PACKED_ROWS, _PACKED_BYTES, _PACKED_COLUMNS = 96, 1 << 23, 256
# How much longer than rows and columns a contraction is that threads share, and products in all.
_DEEP, _WORTH_PARTS = 8, 1 << 22


class Limits(NamedTuple):
    """Up to which sizes kernels of our own beat BLAS, as `benchmarks/products.py` measures.

    Attributes:
        in_batch, alone: extents of a small product of a batch, and of a single one.
        right: elements of the right side of a product with few rows.
        row, share: bytes of a row of the result, and of a packed side for each row that reads it,
            where the right side is packed.
    """

    in_batch: int
    alone: int
    right: int
    row: int
    share: int


class Sizes(NamedTuple):
    """Extents of the batch, free and contracted axes of a contraction."""

    batch: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    inner: tuple[int, ...]


def product(extents: Sequence[int]) -> int:
    """The product of extents."""
    total = 1
    for n in extents:
        total *= n
    return total


def sizes_of(c: Contract, left: Sequence[int], right: Sequence[int]) -> Sizes:
    """Extents by kind of axis."""
    free_left = free_axes(len(left), c.left_batch, c.left_contract)
    free_right = free_axes(len(right), c.right_batch, c.right_contract)
    return Sizes(
        tuple(left[a] for a in c.left_batch),
        tuple(left[a] for a in free_left),
        tuple(right[a] for a in free_right),
        tuple(left[a] for a in c.left_contract),
    )


def free_axes(rank: int, batch: Sequence[int], contract: Sequence[int]) -> list[int]:
    """The axes that are neither."""
    return [a for a in range(rank) if a not in batch and a not in contract]


def wants_fold(
    c: Contract, left: Operand, right: Operand, dtype: DType, halves: bool = False
) -> bool:
    """Whether a fused loop is at least as good as a kernel of products.

    Args:
        dtype: of the result.
        halves: whether there are kernels for 16-bit floats, whose products are added as float32,
            rather than for integers.
    """
    given, sums = {left.dtype, right.dtype}, c.dtype
    if halves and len(given) == 1 and left.dtype.name in _HALVES:
        if sums.name != "float32" or dtype not in (left.dtype, sums):
            return True
    elif not halves and takes_pairs([left.dtype, right.dtype], sums) and dtype == sums:
        pass
    elif sums.name not in (_BLAS if halves else (*_BLAS, *_WHOLE)) or given | {dtype} != {sums}:
        return True
    s = sizes_of(c, left.shape, right.shape)
    m, n, k = product(s.left), product(s.right), product(s.inner)
    if not product(s.batch) * m * n * k:
        return True
    if m * n * k <= _SMALL_FLOPS or k <= _FEW:
        return True
    return m == 1 or n == 1


def takes_pairs(given: Sequence[DType], sums: DType) -> bool:
    """Whether there is a kernel of products of these two dtypes with sums of a wider one."""
    return sums.name in _SUMS and all(d.name in gemm_pairs.NARROW for d in given)


def as_fold(c: Contract, left: Operand, right: Operand) -> Fold:
    """The contraction as a sum over loops, in the dtype it is to be done in."""
    s = sizes_of(c, left.shape, right.shape)
    sums = c.dtype

    def at(kept: IndexTuple, folded: IndexTuple) -> Expr:
        b, m = len(s.batch), len(s.batch) + len(s.left)
        x = left.at(
            placed(len(left.shape), c.left_batch, c.left_contract, kept[:b], kept[b:m], folded)
        )
        y = right.at(
            placed(len(right.shape), c.right_batch, c.right_contract, kept[:b], kept[m:], folded)
        )
        return apply("mul", cast(x, sums), cast(y, sums))

    return Fold("or" if sums.kind == "b" else "add", s.inner, at, sums)


def placed(
    rank: int,
    batch: Sequence[int],
    contract: Sequence[int],
    batch_index: IndexTuple,
    free_index: IndexTuple,
    inner_index: IndexTuple,
) -> IndexTuple:
    """The index into an operand, from the parts of an index by kind of axis."""
    index: list[Affine] = [Affine()] * rank
    free = free_axes(rank, batch, contract)
    for axes, part in ((batch, batch_index), (free, free_index), (contract, inner_index)):
        for axis, i in zip(axes, part, strict=True):
            index[axis] = i
    return tuple(index)


class Layout(NamedTuple):
    """How an operand lies in memory: strides in elements, or None where they are uneven."""

    free: int | None
    inner: int | None


def even(extents: Sequence[int], strides: Sequence[int]) -> int | None:
    """The one stride with which the axes, taken as one, step through memory."""
    stride: int | None = None
    count = 1
    for n, s in zip(reversed(extents), reversed(strides), strict=True):
        if n == 1:
            continue
        if stride is None:
            stride = s
        elif s != stride * count:
            return None
        count *= n
    return 1 if stride is None else stride


def gemm_operand(layout: Layout, free: int, inner: int) -> tuple[bool, int] | None:
    """Whether the operand is (free, inner) with inner side by side, and its leading stride.

    The first is False where it is stored as (inner, free).
    """
    if layout.free is None or layout.inner is None:
        return None
    if (layout.inner == 1 or inner == 1) and layout.free >= max(inner, 1):
        return True, layout.free
    if (layout.free == 1 or free == 1) and layout.inner >= max(free, 1):
        return False, layout.inner
    return None


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array in C order, in elements."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def gemm_of(
    c: Contract, shapes: Sequence[Sequence[int]], strides: Sequence[Sequence[int]]
) -> Gemm | None:
    """The matrix products a contraction consists of, on operands with these strides.

    Free axes that do not step evenly with the ones after them count as axes of the batch.

    Returns:
        None where an operand does not lie in memory as a matrix product takes it.
    """
    left_free, right_free = (
        free_axes(len(shapes[0]), c.left_batch, c.left_contract),
        free_axes(len(shapes[1]), c.right_batch, c.right_contract),
    )
    sizes = sizes_of(c, *shapes)
    steps = contiguous([*sizes.batch, *sizes.left, *sizes.right])
    count, k = len(sizes.batch), product(sizes.inner)
    batch = [
        (n, strides[0][a], strides[1][b], step)
        for n, a, b, step in zip(
            sizes.batch, c.left_batch, c.right_batch, steps[:count], strict=True
        )
    ]
    found: list[tuple[int, tuple[bool, int]]] = []
    for side, free, inner in ((0, left_free, c.left_contract), (1, right_free, c.right_contract)):
        shape, stride = shapes[side], strides[side]
        outer, operand = _matrix(shape, stride, free, even_inner(shape, stride, inner), k)
        if operand is None:
            return None
        first = count + side * len(left_free)
        for axis, step in zip(free[:outer], steps[first:], strict=False):
            apart = stride[axis]
            batch.append((shape[axis], 0 if side else apart, apart if side else 0, step))
        found.append((product([shape[a] for a in free[outer:]]), operand))
    (m, left), (n, right) = found
    return Gemm(c.dtype.name, tuple(batch), m, n, k, left, right, product(sizes.right))


def even_inner(shape: Sequence[int], stride: Sequence[int], inner: Sequence[int]) -> int | None:
    """The one stride of the contracted axes."""
    return even([shape[a] for a in inner], [stride[a] for a in inner])


def _matrix(
    shape: Sequence[int], stride: Sequence[int], free: Sequence[int], inner: int | None, k: int
) -> tuple[int, tuple[bool, int] | None]:
    """How many free axes must be left to the batch, and the operand with the others as rows."""
    for outer in range(max(len(free), 1)):
        rest = free[outer:]
        extents = [shape[a] for a in rest]
        layout = Layout(even(extents, [stride[a] for a in rest]), inner)
        operand = gemm_operand(layout, product(extents), k)
        if operand is not None:
            return outer, operand
    return 0, None


def limits(vector_bits: int) -> Limits:
    """Measured with vectors of 256 bits, and of 512."""
    if vector_bits == 512:
        return Limits(128, 256, 1 << 20, 1 << 13, 1 << 16)
    return Limits(128, 192, 1 << 18, 1 << 12, 1 << 13)


def gemm_kernel(g: Gemm, name: str) -> LibraryKernel:
    """A kernel of batched matrix products: one of our own, or one that calls BLAS."""
    bits = machine().vector_bits
    if g.given is not None:
        return gemm_pairs.build(g, name, bits)
    if is_deep(g):
        return gemm_deep.build(g, name, bits)
    if is_small(g, bits) or g.dtype not in _BLAS:
        return build(g, name, bits)
    return gemm_packed.build(g, name, bits) if is_packed(g, bits) else blas_kernel(g, name)


def gemm_outline(g: Gemm, name: str) -> LibraryKernel:
    """What is known of a kernel of products that is written elsewhere: its name and its flops."""
    count = product([b[0] for b in g.batch])
    stage = Stage(name, (("in", 0), ("in", 1), ("out", 0)), count, 1, 0.0)
    return LibraryKernel({}, (), (stage,), (), g.flops)


def is_deep(g: Gemm) -> bool:
    """Whether threads share the contraction: of rows and columns there are too few to share."""
    few = max(g.m, g.n)
    if g.batch or g.pitch != g.n or few >= 2 * _NARROW:
        return False
    return g.k >= _DEEP * few and g.m * g.n * g.k >= _WORTH_PARTS


def is_small(g: Gemm, vector_bits: int) -> bool:
    """Whether the kernel of small products beats BLAS by so much that it is worth compiling.

    Measured on AVX2: batches of products of up to 128 cubed gain 5 to 90 %, single ones of up to
    192 cubed 5 to 10 % and what threads give, for BLAS is not called in so small blocks; those with
    few rows or columns 5 to 50 %, and 30 to 400 % where both sides hold the contraction side by
    side.
    """
    count, most = product([b[0] for b in g.batch]), limits(vector_bits)
    if count * g.m * g.n * g.k < _WORTHWHILE:
        return False
    if max(g.m, g.n, g.k) <= (most.in_batch if count > 1 else most.alone):
        return True
    if g.m <= _FEW_ROWS and g.n * g.k <= most.right:
        return True
    return min(g.m, g.n) <= (_FEW_INNER if is_inner(g, vector_bits) else _FEW_OUTER)


def is_packed(g: Gemm, vector_bits: int) -> bool:
    """Whether blocks of rows that share one packed right side beat larger blocks given to BLAS.

    Measured by `benchmarks/products.py`, on one thread: on AVX2 from 16 % faster to 16 % slower,
    with AVX-512 from 15 % faster to 5 % slower; and what follows a product finds it in cache. Not
    where a row is so long that a block of few rows fills the cache, where few rows read a large
    packed side (128 rows of 8 MB: 27 % slower on AVX2), and where few columns read a left side that
    is copied.
    """
    size, count = 4 if g.dtype == "float32" else 8, product([b[0] for b in g.batch])
    if g.m < _PACKED_ROWS or count * g.m * g.n * g.k < _WORTHWHILE:
        return False
    packed, most = g.n * g.k * size, limits(vector_bits)
    if g.n * size > most.row or packed > g.m * most.share or count * packed > _PACKED_BYTES:
        return False
    return g.left[0] or g.n >= _PACKED_COLUMNS


def looped_kernel(g: Gemm, name: str) -> LibraryKernel | None:
    """A kernel for each turn of a loop whose right side is the same in all of them.

    All stages but the last one pack that side, which is done before the loop.

    Returns:
        None where the kernel of a single product serves as well or better: little is computed,
        there are fewer than three tiles of rows, which threads share, or few columns, rows are so
        long that blocks have few of them, or much would have to be kept.
    """
    if g.dtype not in _BLAS or g.given is not None or g.batch:
        return None
    bits, size = machine().vector_bits, 4 if g.dtype == "float32" else 8
    if g.m < 3 * gemm_packed.rows_of(bits) or g.m * g.n * g.k < _WORTHWHILE:
        return None
    if g.n < _PACKED_COLUMNS or g.n * size > limits(bits).row or g.n * g.k * size > _PACKED_BYTES:
        return None
    way = "its right side packed before the loop"
    return gemm_packed.build(g, name, bits)._replace(way=way)


def blas_kernel(g: Gemm, name: str) -> LibraryKernel:
    """A kernel whose chunks are blocks of rows of one product of the batch."""
    symbol, kind, one = _BLAS[g.dtype]
    count = product([b[0] for b in g.batch])
    flops = 2.0 * g.m * g.n * g.k
    # Rows or columns are split, whichever there are more of; blocks keep BLAS at full speed.
    rows = g.m >= g.n
    longer = max(g.m, g.n)
    parts = 1 if count > 8 else parts_of(longer, flops)
    block = -(-longer // parts)
    block = -(-block // 16) * 16 if parts > 1 else block
    parts = -(-longer // block)
    text = _gemm_text(g, name, (symbol, kind, one), rows, block, parts)
    per = flops / _FLOPS_PER_NANOSECOND
    grain = max(1, int(20_000 / max(per / parts, 1.0))) if parts == 1 else 1
    stage = Stage(name, (("in", 0), ("in", 1), ("out", 0)), count * parts, grain, per * count)
    declaration = (
        f"declare void @{symbol}(i32, i32, i32, i32, i32, i32, {kind}, ptr, i32, ptr, i32, "
        f"{kind}, ptr, i32)"
    )
    share = share_of(g, block if rows else g.m, 1 if rows else parts)
    texts = {name: text}
    return LibraryKernel(texts, (declaration,), (stage,), (), g.flops, share, way="blocks by BLAS")


def parts_of(longer: int, flops: float) -> int:
    """Into how many blocks a product is cut, by its size alone.

    A power of two, which two and four threads share evenly. BLAS brings an operand into an order of
    its own in each call, so blocks are large; where there is one for each of four threads, larger.
    """
    parts = 1
    while parts < 16 and longer >= 2 * parts * (_WIDE if parts >= 4 else _NARROW):
        if flops < 2 * parts * _CHUNK_FLOPS:
            break
        parts *= 2
    return parts


def _gemm_text(
    g: Gemm, name: str, blas: tuple[str, str, str], rows: bool, block: int, parts: int
) -> str:
    symbol, kind, one = blas
    w = Writer()
    bases: list[str] = []
    for slot in range(3):
        at = w.value(f"getelementptr ptr, ptr %args, i64 {slot}")
        bases.append(w.value(f"load ptr, ptr {at}"))
    with w.loop("%lo", "%hi", 1) as loop:
        item = w.value(f"udiv i64 {loop.index}, {parts}")
        part = w.value(f"urem i64 {loop.index}, {parts}")
        start = w.value(f"mul i64 {part}, {block}")
        rest = w.value(f"sub i64 {g.m if rows else g.n}, {start}")
        fits = w.value(f"icmp slt i64 {rest}, {block}")
        size = w.value(f"select i1 {fits}, i64 {rest}, i64 {block}")
        extent = w.value(f"trunc i64 {size} to i32")
        offsets = _batch_offsets(w, g, item)
        (left_rows, lda), (right_cols, ldb) = g.left, g.right
        if rows:
            offsets[0] = _plus(w, offsets[0], start, lda if left_rows else 1)
            offsets[2] = _plus(w, offsets[2], start, g.pitch)
        else:
            offsets[1] = _plus(w, offsets[1], start, ldb if right_cols else 1)
            offsets[2] = _plus(w, offsets[2], start, 1)
        a, b, c = (
            w.value(f"getelementptr {kind}, ptr {base}, i64 {offset}")
            for base, offset in zip(bases, offsets, strict=True)
        )
        m = extent if rows else str(g.m)
        n = str(g.n) if rows else extent
        there = one if g.adds else "0.0"
        flags = f"i32 101, i32 {111 if left_rows else 112}, i32 {112 if right_cols else 111}"
        w.line(
            f"call void @{symbol}({flags}, i32 {m}, i32 {n}, i32 {g.k}, {kind} {one}, "
            f"ptr {a}, i32 {lda}, ptr {b}, i32 {ldb}, {kind} {there}, ptr {c}, i32 {g.pitch})"
        )
        loop.next = []
    return w.function(name, "ptr %args, i64 %lo, i64 %hi", "void", "#0")


def _batch_offsets(w: Writer, g: Gemm, item: str) -> list[str]:
    offsets = ["0", "0", "0"]
    for extent, *strides in reversed(g.batch):
        index = w.value(f"urem i64 {item}, {extent}")
        item = w.value(f"udiv i64 {item}, {extent}")
        offsets = [_plus(w, o, index, s) for o, s in zip(offsets, strides, strict=True)]
    return offsets


def _plus(w: Writer, offset: str, index: str, stride: int) -> str:
    if not stride:
        return offset
    step = w.value(f"mul i64 {index}, {stride}")
    return w.value(f"add i64 {offset}, {step}")
