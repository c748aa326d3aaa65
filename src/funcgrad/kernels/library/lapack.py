"""Factors of matrices and triangular systems too large for tiles of our own, by LAPACK.

LAPACK comes with the BLAS. It takes matrices by columns, and programs hold them by rows: what lies
by rows is the transpose by columns. A triangle and a system with it are as well read from the other
side, so Cholesky and triangular solves need no copy; for LU each matrix is transposed, and back.

    chunk:  some matrices of the batch; of a triangular solve, parts of the right sides of one
"""

from __future__ import annotations

from typing import NamedTuple

from . import LibraryKernel, Slot, Stage
from .conv_code import Code, Value

# A matrix larger than this is left to a LAPACK that has threads of its own, if it is the only one.
LARGEST = 512 * 512
# Chunks at most, where each needs memory of its own.
ROOMS = 64
# Right sides of two chunks at least, of each of more chunks (BLAS is quicker with many), and the
# operations that make a chunk worth its start.
FEW_SIDES, SIDES, WORK = 32, 64, 1 << 16
# Operations in a nanosecond of one core, and nanoseconds of a call, roughly: they decide only
# whether threads are worth it.
SPEED, CALL = 10.0, 500.0

_LETTER = {"float32": "s", "float64": "d"}
_ROWS, _LEFT, _RIGHT, _UPPER, _LOWER, _AS_IS, _TRANSPOSED = 101, 141, 142, 121, 122, 111, 112
_GENERAL, _UNIT = 131, 132
_TILE = 16


class Matrices(NamedTuple):
    """A batch of matrices by rows, one behind the other."""

    dtype: str
    many: int
    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Elements of one of them."""
        return self.rows * self.columns


class Triangular(NamedTuple):
    """op(a) x = b, or x op(a) = b; `b` says what the right sides are, `n` how large a is."""

    b: Matrices
    n: int
    left: bool
    lower: bool
    transposed: bool
    unit: bool


def is_served(x: Matrices) -> bool:
    """Whether matrices are of a dtype that LAPACK has, and not nothing, nor one large one."""
    if x.dtype not in _LETTER or not x.many * x.size:
        return False
    return x.size <= LARGEST or x.many > 1


def letter_of(x: Matrices) -> str:
    """The letter with which names of LAPACK's routines for the dtype begin."""
    return _LETTER[x.dtype]


def lu(x: Matrices) -> LibraryKernel | None:
    """The kernel of (x) to (L and U in one matrix, pivots from 0, permutation).

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large matrix.
    """
    if not is_served(x):
        return None
    code, least = Code(x.dtype, 128), min(x.rows, x.columns)
    source, out, pivots, order, scratch = (code.argument(k) for k in range(5))
    call = Call(code, f"fg_lapack_{_LETTER[x.dtype]}getrf")
    m, n = call.integer(x.rows), call.integer(x.columns)
    info = call.integer(0)
    flops = least * least * (max(x.rows, x.columns) - least / 3.0)
    rooms = Rooms(code, x.many, flops)
    here = code.at(scratch, code.mul(rooms.mine, x.size))
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        start = code.mul(chunk.index, x.size)
        there = code.at(out, start)
        exchanged = call.at(pivots, code.mul(chunk.index, least))
        transposed(code, code.at(source, start), here, x.rows, x.columns)
        call(m, n, here, m, exchanged, info)
        transposed(code, here, there, x.columns, x.rows)
        permutation(code, call, exchanged, least, call.at(order, code.mul(chunk.index, x.rows)), x)
    slots: tuple[Slot, ...] = (("in", 0), ("out", 0), ("out", 1), ("out", 2), ("scratch", 0))
    return kernel_of(code, "lu", slots, x.many, flops, rooms.of(x.size * code.size))


def permutation(
    code: Code, call: Call, exchanged: str, least: int, order: str, x: Matrices
) -> None:
    """Pivots, which count from 1, count from 0; and the order of rows that they make."""
    writer = code.writer
    with code.loop(0, x.rows) as i:
        writer.line(f"store i32 {call.narrow(i)}, ptr {call.at(order, i)}")
    with code.loop(0, least) as i:
        place = call.at(exchanged, i)
        pivot = writer.value(f"sub i32 {call.load(place)}, 1")
        writer.line(f"store i32 {pivot}, ptr {place}")
        mine, other = call.at(order, i), call.at(order, writer.value(f"zext i32 {pivot} to i64"))
        first, second = call.load(mine), call.load(other)
        writer.line(f"store i32 {second}, ptr {mine}")
        writer.line(f"store i32 {first}, ptr {other}")


def cholesky(x: Matrices) -> LibraryKernel | None:
    """The kernel of (x) to L with L Lᵀ = x; NaN in the triangle where x is not definite.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large matrix.
    """
    if not is_served(x):
        return None
    code = Code(x.dtype, 128)
    source, out = code.argument(0), code.argument(1)
    call = Call(code, f"fg_lapack_{_LETTER[x.dtype]}potrf")
    # The lower triangle by rows is the upper one by columns.
    upper, n, info = call.letter("U"), call.integer(x.rows), call.integer(0)
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        start = code.mul(chunk.index, x.size)
        here, there = code.at(source, start), code.at(out, start)
        with code.loop(0, x.rows) as i:
            row = code.mul(i, x.columns)
            last = code.add(row, i, 1)
            with code.loop(row, last) as k:
                code.store(code.load(here, k), there, k)
            if x.rows > 1:
                code.fill(code.at(there, last), code.sub(code.add(row, x.columns), last))
        call(upper, n, there, n, info)
        failed = code.writer.value(f"icmp ne i32 {call.load(info)}, 0")
        with code.writer.when(failed), code.loop(0, x.rows) as i:
            row = code.mul(i, x.columns)
            with code.loop(row, code.add(row, i, 1)) as k:
                code.store("0x7FF8000000000000", there, k)
    return kernel_of(code, "cholesky", (("in", 0), ("out", 0)), x.many, x.rows**3 / 3.0)


def triangular_solve(system: Triangular) -> LibraryKernel | None:
    """The kernel of (a, b) to x.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large system.
    """
    b, n = system.b, system.n
    if not is_served(b) or (n * n > LARGEST and b.many == 1):
        return None
    code = Code(b.dtype, 128)
    a, source, out = (code.argument(k) for k in range(3))
    sides = b.columns if system.left else b.rows
    flops = float(n * n * sides)
    parts = _parts_of(sides, flops)
    width = -(-sides // parts)
    parts = -(-sides // width)
    call = Call(code, f"fg_{_LETTER[b.dtype]}trsm")
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        number, part = code.split(chunk.index, [b.many, parts])
        first = code.mul(part, width)
        count = width if parts == 1 else code.least(width, code.sub(sides, first))
        start = code.mul(number, b.size)
        rows: Value = b.rows if system.left else count
        columns: Value = count if system.left else b.columns
        begin = code.add(start, first if system.left else code.mul(first, b.columns))
        here, there = code.at(source, begin), code.at(out, begin)
        with code.loop(0, rows) as i:
            row = code.mul(i, b.columns)
            code.copy(code.at(there, row), code.at(here, row), columns, 1, 1)
        how = [
            _ROWS,
            _LEFT if system.left else _RIGHT,
            _LOWER if system.lower else _UPPER,
            _TRANSPOSED if system.transposed else _AS_IS,
            _UNIT if system.unit else _GENERAL,
        ]
        sizes = call.narrow(rows), call.narrow(columns)
        triangle = code.at(a, code.mul(number, n * n))
        call.by_value(how, sizes, (triangle, n), (there, b.columns))
    slots: tuple[Slot, ...] = (("in", 0), ("in", 1), ("out", 0))
    return kernel_of(code, "triangular_solve", slots, b.many * parts, flops / parts)


def _parts_of(sides: int, flops: float) -> int:
    """Into how many parts right sides are cut: a power of two, which threads share evenly."""
    parts = 1
    while sides >= 2 * parts * (FEW_SIDES if parts == 1 else SIDES) and flops >= 2 * parts * WORK:
        parts *= 2
    return parts


def kernel_of(
    code: Code,
    name: str,
    slots: tuple[Slot, ...],
    extent: int,
    flops: float,
    scratch: tuple[int, ...] = (),
    way: str = "LAPACK for each matrix",
) -> LibraryKernel:
    """The kernel of `extent` parts with so many operations each."""
    each = CALL + flops / SPEED
    grain = _grain(extent, flops, bool(scratch))
    stage = Stage(name, slots, extent, grain, extent * each)
    text = code.function(name)
    return LibraryKernel(
        {name: text}, code.declarations, (stage,), scratch, extent * flops, way=way
    )


def _grain(extent: int, flops: float, rooms: bool) -> int:
    """How many of `extent` parts, of so many operations each, make a chunk."""
    grain = max(1, int(WORK / SPEED / (CALL + flops / SPEED)))
    return max(grain, -(-extent // ROOMS)) if rooms else grain


class Rooms:
    """Scratch memory of the chunks of a kernel, one room for each.

    Attributes:
        mine: the number of the room of the chunk that runs; a chunk begins at whole grains.
    """

    def __init__(self, code: Code, extent: int, flops: float) -> None:
        grain = _grain(extent, flops, rooms=True)
        self._count = -(-extent // grain)
        self.mine = code.div("%lo", grain)

    def of(self, *sizes: int) -> tuple[int, ...]:
        """Bytes of all rooms, from those of one."""
        return tuple(self._count * size for size in sizes)


def transposed(
    code: Code, source: str, into: str, rows: int, columns: int, apart: int = 0, pitch: int = 0
) -> None:
    """A matrix by rows written by columns, in squares of vectors, a line of memory at once.

    Args:
        apart, pitch: elements from one row to the next there, and from one column to the next
            here; 0: as many as they have.
    """
    lanes, apart, pitch = code.lanes, apart or columns, pitch or rows
    high, wide = rows // lanes * lanes, columns // lanes * lanes
    # Of fewer columns than a vector has lanes there are no squares.
    with (
        code.loop(0, high if wide else 0, _TILE) as first,
        code.loop(0, wide, lanes) as j,
        code.loop(first, code.least(code.add(first, _TILE), high), lanes) as i,
    ):
        square = code.at(source, code.add(code.mul(i, apart), j))
        code.transpose(square, apart, code.at(into, code.add(code.mul(j, pitch), i)), pitch)
    for top, left, right in ((0, wide, columns), (high, 0, wide)):
        if top < rows and left < right:
            with code.loop(top, rows) as i, code.loop(left, right) as j:
                value = code.load(source, code.add(code.mul(i, apart), j))
                code.store(value, into, code.add(code.mul(j, pitch), i))


class Call:
    """Calls of one routine, whose numbers and letters are in memory, as Fortran has them."""

    def __init__(self, code: Code, name: str) -> None:
        self._code, self._name = code, name

    def integer(self, value: int) -> str:
        """Memory that holds an integer."""
        place = self._code.writer.first("alloca i32, align 4")
        self._code.writer.line(f"store i32 {value}, ptr {place}")
        return place

    def letter(self, value: str) -> str:
        """Memory that holds a letter."""
        place = self._code.writer.first("alloca i8, align 1")
        self._code.writer.line(f"store i8 {ord(value)}, ptr {place}")
        return place

    def at(self, pointer: str, offset: Value) -> str:
        """The address of an integer."""
        return self._code.writer.value(f"getelementptr i32, ptr {pointer}, i64 {offset}")

    def load(self, place: str) -> str:
        """The integer at an address."""
        return self._code.writer.value(f"load i32, ptr {place}, align 4")

    def narrow(self, value: Value) -> str:
        """An integer as LAPACK and BLAS take it."""
        if isinstance(value, int):
            return str(value)
        return self._code.writer.value(f"trunc i64 {value} to i32")

    def __call__(self, *pointers: str) -> None:
        """Call it; lengths of letters, which follow in Fortran, are 1 and nobody reads them."""
        kinds = ", ".join(["ptr"] * len(pointers))
        function = self._code.writer.declare(self._name, f"void ({kinds})")
        given = ", ".join(f"ptr {p}" for p in pointers)
        self._code.writer.line(f"call void {function}({given})")

    def by_value(
        self,
        how: list[int],
        sizes: tuple[str, str],
        triangle: tuple[str, int],
        sides: tuple[str, int],
    ) -> None:
        """Call a routine of cblas that solves with a triangle."""
        kind = self._code.kind
        kinds = ", ".join(["i32"] * 7 + [kind, "ptr", "i32", "ptr", "i32"])
        function = self._code.writer.declare(self._name, f"void ({kinds})")
        numbers = ", ".join(f"i32 {x}" for x in (*how, *sizes))
        memory = ", ".join(f"ptr {p}, i32 {lead}" for p, lead in (triangle, sides))
        self._code.writer.line(f"call void {function}({numbers}, {kind} 1.0, {memory})")
