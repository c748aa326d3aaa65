"""The Cholesky factor of a matrix by tiles: U of U ᵀU = x by rows, from the upper side.

All rows above are subtracted from those of a tile, first in the square on the diagonal, whose own
rows follow one by one, then right of it. Matrices are filled up to whole tiles with ones on the
diagonal, which change nothing.
Source: Golub & Van Loan, Matrix Computations, the block form of Cholesky's method.
"""

from __future__ import annotations

from . import LibraryKernel, Slot
from .blocked import Blocked, Factors, Tile, is_factored
from .conv_code import Value
from .lapack import Matrices, Rooms, kernel_of, transposed


def cholesky(x: Matrices, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (x) to L with L Lᵀ = x; NaN in the triangle where x is not definite.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for large matrices.
    """
    if not is_factored(x):
        return None
    code, n = Blocked(x.dtype, vector_bits), x.rows
    source, out, scratch = (code.argument(k) for k in range(3))
    whole = -(-n // code.rows) * code.rows
    pitch = code.pitch(whole)
    flops = n**3 / 3.0
    rooms = Rooms(code, x.many, flops)
    room = code.at(scratch, code.mul(rooms.mine, whole * pitch))
    inverses = code.room(code.rows)
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        start = code.mul(chunk.index, x.size)
        there = code.at(out, start)
        with code.narrow():
            transposed(code, code.at(source, start), room, n, n, pitch=pitch)
        _filled(code, room, (n, whole, pitch))
        definite = _factored(code, room, (n, whole, pitch), inverses)
        with code.narrow():
            transposed(code, room, there, n, n, apart=pitch)
        with code.loop(0, n) as i:
            row, last = code.at(there, code.mul(i, n)), code.add(i, 1)
            if n > 1:
                code.fill(code.at(row, last), code.sub(n, last))
        failed = code.writer.value(f"xor i1 {definite}, true")
        with code.writer.when(failed), code.loop(0, n) as i:
            row = code.at(there, code.mul(i, n))
            with code.loop(0, code.add(i, 1)) as k:
                code.store("0x7FF8000000000000", row, k)
    slots: tuple[Slot, ...] = (("in", 0), ("out", 0), ("scratch", 0))
    memory = rooms.of(whole * pitch * code.size)
    return kernel_of(code, "cholesky", slots, x.many, flops, memory, way="tiles of each matrix")


def _filled(code: Blocked, room: str, sizes: tuple[int, int, int]) -> None:
    """What is behind the columns and rows of a matrix: zeros, ones on the diagonal."""
    n, whole, pitch = sizes
    with code.loop(0, n) as i:
        code.fill(code.at(room, code.add(code.mul(i, pitch), n)), pitch - n)
    for i in range(n, whole):
        row = code.at(room, i * pitch)
        code.fill(row, pitch)
        code.store("1.0", row, i)


def _factored(code: Blocked, room: str, sizes: tuple[int, int, int], inverses: str) -> str:
    """U in the place of the matrix, and whether it is definite."""
    _, whole, pitch = sizes
    with code.writer.loop("0", str(whole), code.rows, [("i1", "true")]) as block:
        first = block.index
        rows = code.at(room, code.mul(first, pitch))

        def panel(column: Value, vectors: int, first: Value = first, rows: str = rows) -> None:
            """The rows of the block in some columns, right of its square where that is done."""
            there = code.at(rows, column)
            held = code.tile(there, pitch, code.rows, vectors)
            above = Factors(code.at(room, first), pitch, 1)
            held = code.subtracted(held, above, (code.at(room, column), pitch), first)
            square = Factors(code.at(rows, first), pitch, 1)
            code.put(code.solved(held, square, inverses), there, pitch)

        square = code.tile(code.at(rows, first), pitch, code.rows, 1)
        above = Factors(code.at(room, first), pitch, 1)
        square = code.subtracted(square, above, (above.pointer, pitch), first)
        definite = _square(code, square, inverses, block.carried[0])
        code.put(square, code.at(rows, first), pitch)
        code.each_panel(code.add(first, code.lanes), whole, panel)
        block.next = [definite]
    return block.results[0]


def _square(code: Blocked, held: Tile, inverses: str, definite: str) -> str:
    """The rows of a square on the diagonal, and of the columns that share its vectors."""
    writer, kind = code.writer, code.vector(code.lanes)
    suffix = f"f{8 * code.size}"
    root = writer.declare(f"llvm.sqrt.{suffix}", f"{code.kind} ({code.kind})")
    for r in range(code.rows):
        (x,) = held[r]
        left = writer.value(f"extractelement {kind} {x}, i64 {r}")
        positive = writer.value(f"fcmp ogt {code.kind} {left}, 0.0")
        definite = writer.value(f"and i1 {definite}, {positive}")
        pivot = writer.value(f"call {code.kind} {root}({code.kind} {left})")
        inverse = writer.value(f"fdiv {code.kind} 1.0, {pivot}")
        code.store(inverse, inverses, r)
        x = code.times(x, code.all_of(inverse))
        held[r] = [writer.value(f"insertelement {kind} {x}, {code.kind} {pivot}, i64 {r}")]
        for s in range(r + 1, code.rows):
            factor = code.shuffled(kind, x, "poison", [s] * code.lanes)
            held[s] = [code.less(held[s][0], factor, x)]
    return definite
