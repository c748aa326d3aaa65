"""Orthogonal factors and eigenvectors of matrices, by the LAPACK that comes with the BLAS.

LAPACK takes matrices by columns: each is transposed into memory of its own, and back.

    chunk:  some matrices of the batch
"""

from __future__ import annotations

from . import LibraryKernel, Slot
from .conv_code import Code, Value
from .lapack import Call, Matrices, Rooms, is_served, kernel_of, letter_of, transposed

# Columns that LAPACK's blocked routines take together at most.
_BLOCK = 64


def eigh(x: Matrices, lower: bool) -> LibraryKernel | None:
    """The kernel of (x) to (eigenvectors, eigenvalues), of which one triangle is read.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large matrix.
    """
    if not is_served(x):
        return None
    code, n = Code(x.dtype, 128), x.rows
    source, vectors, values, matrix, work, whole = (code.argument(k) for k in range(6))
    call = Call(code, f"fg_lapack_{letter_of(x)}syevd")
    floats, integers, flops = 1 + 6 * n + 2 * n * n, 3 + 5 * n, 9.0 * n**3
    how, triangle = call.letter("V"), call.letter("L" if lower else "U")
    order, info = call.integer(n), call.integer(0)
    sizes = call.integer(floats), call.integer(integers)
    rooms = Rooms(code, x.many, flops)
    here = code.at(matrix, code.mul(rooms.mine, x.size))
    room = code.at(work, code.mul(rooms.mine, floats))
    rest = call.at(whole, code.mul(rooms.mine, integers))
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        start = code.mul(chunk.index, x.size)
        there = code.at(vectors, start)
        found = code.at(values, code.mul(chunk.index, n))
        transposed(code, code.at(source, start), here, n, n)
        call(how, triangle, order, here, order, found, room, sizes[0], rest, sizes[1], info)
        transposed(code, here, there, n, n)
        with code.writer.when(_failed(code, call.load(info), found, n)):
            _undefined(code, there, x.size)
            _undefined(code, found, n)
    scratch = rooms.of(x.size * code.size, floats * code.size, integers * 4)
    return kernel_of(code, "eigh", _slots(2, 3), x.many, flops, scratch)


def eigh_values(x: Matrices, lower: bool) -> LibraryKernel | None:
    """The kernel of (x) to its eigenvalues, of which one triangle is read.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large matrix.
    """
    if not is_served(x):
        return None
    code, n = Code(x.dtype, 128), x.rows
    source, values, matrix, work = (code.argument(k) for k in range(4))
    call = Call(code, f"fg_lapack_{letter_of(x)}syevd")
    floats, flops = 1 + (2 + _BLOCK) * n, 4.0 / 3.0 * n**3
    # What is read lies by rows: of the columns that are taken for these it is the other triangle.
    how, triangle = call.letter("N"), call.letter("U" if lower else "L")
    order, size, info = call.integer(n), call.integer(floats), call.integer(0)
    rest, one = call.integer(0), call.integer(1)
    rooms = Rooms(code, x.many, flops)
    here = code.at(matrix, code.mul(rooms.mine, x.size))
    room = code.at(work, code.mul(rooms.mine, floats))
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        found = code.at(values, code.mul(chunk.index, n))
        code.copy(here, code.at(source, code.mul(chunk.index, x.size)), x.size, 1, 1)
        call(how, triangle, order, here, order, found, room, size, rest, one, info)
        with code.writer.when(_failed(code, call.load(info), found, n)):
            _undefined(code, found, n)
    scratch = rooms.of(x.size * code.size, floats * code.size)
    return kernel_of(code, "eigh_values", _slots(1, 2), x.many, flops, scratch)


def _slots(outs: int, scratch: int) -> tuple[Slot, ...]:
    """One operand, so many results, and so many pieces of scratch memory."""
    results: list[Slot] = [("out", k) for k in range(outs)]
    rooms: list[Slot] = [("scratch", k) for k in range(scratch)]
    return (("in", 0), *results, *rooms)


def _failed(code: Code, info: str, values: str, count: int) -> str:
    """Whether LAPACK says so, or any of the values is NaN: of a large matrix others may not be."""
    writer = code.writer
    with code.carrying(count, [("i1", writer.value(f"icmp ne i32 {info}, 0"))]) as loop:
        value = code.load(values, loop.index)
        missing = writer.value(f"fcmp uno {code.kind} {value}, {value}")
        loop.next = [writer.value(f"or i1 {loop.carried[0]}, {missing}")]
    return loop.results[0]


def _undefined(code: Code, pointer: str, count: int) -> None:
    """NaN in `count` neighbouring elements."""
    with code.loop(0, count) as i:
        code.store("0x7FF8000000000000", pointer, i)


def qr(x: Matrices, full: bool) -> LibraryKernel | None:
    """The kernel of (x) to (q, r), of square q where `full`.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large matrix.
    """
    if not is_served(x):
        return None
    code, m, n, least = Code(x.dtype, 128), x.rows, x.columns, min(x.rows, x.columns)
    inner = m if full else least
    source, q, r, matrix, taus, work = (code.argument(k) for k in range(6))
    letter, held, floats = letter_of(x), m * max(n, inner), _BLOCK * max(n, inner)
    factor = Call(code, f"fg_lapack_{letter}geqrf")
    multiply = Call(code, f"fg_lapack_{letter}orgqr")
    rows, columns, wide, count, size, info = (
        factor.integer(k) for k in (m, n, inner, least, floats, 0)
    )
    flops = 4.0 * least * least * max(m, n)
    rooms = Rooms(code, x.many, flops)
    here = code.at(matrix, code.mul(rooms.mine, held))
    scales = code.at(taus, code.mul(rooms.mine, least))
    room = code.at(work, code.mul(rooms.mine, floats))
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        transposed(code, code.at(source, code.mul(chunk.index, x.size)), here, m, n)
        factor(rows, columns, here, rows, scales, room, size, info)
        _upper(code, here, code.at(r, code.mul(chunk.index, inner * n)), (inner, n, m))
        multiply(rows, wide, count, here, rows, scales, room, size, info)
        transposed(code, here, code.at(q, code.mul(chunk.index, m * inner)), inner, m)
    scratch = rooms.of(*(k * code.size for k in (held, least, floats)))
    return kernel_of(code, "qr", _slots(2, 3), x.many, flops, scratch)


def _upper(code: Code, source: str, into: str, sizes: tuple[int, int, int]) -> None:
    """The upper triangle, by rows, of a matrix by columns of `apart` elements each."""
    rows, columns, apart = sizes
    with code.loop(0, rows) as i:
        line = code.at(into, code.mul(i, columns))
        first: Value = code.least(i, columns)
        code.fill(line, first)
        with code.loop(first, columns) as j:
            code.store(code.load(source, code.add(code.mul(j, apart), i)), line, j)


def svd(x: Matrices, full: bool, vectors: bool) -> LibraryKernel | None:
    """The kernel of (x) to singular values, or to (values, u, vᴴ), square ones where `full`.

    Returns:
        None for dtypes other than float32 and float64, for nothing, and for one large matrix.
    """
    if not is_served(x):
        return None
    code, m, n, least = Code(x.dtype, 128), x.rows, x.columns, min(x.rows, x.columns)
    wide, high = (m, n) if full else (least, least)
    floats = 4 * least * least + 10 * least + _BLOCK * (m + n)
    sizes = (m * n, floats, m * wide, high * n) if vectors else (m * n, floats)
    outs = 3 if vectors else 1
    source, values, *rest = (code.argument(k) for k in range(2 + outs + len(sizes)))
    call = Call(code, f"fg_lapack_{letter_of(x)}gesdd")
    how = call.letter("N" if not vectors else "A" if full else "S")
    rows, columns, tall, size, info = (call.integer(k) for k in (m, n, high, floats, 0))
    flops = 12.0 * least * least * max(m, n)
    rooms = Rooms(code, x.many, flops)
    held = rest[outs - 1 :]
    integers = call.at(held[0], code.mul(rooms.mine, 8 * least))
    each = zip(held[1:], sizes, strict=True)
    here, work, *sides = (code.at(p, code.mul(rooms.mine, k)) for p, k in each)
    left, right = sides or (here, here)
    with code.writer.loop("%lo", "%hi", 1) as chunk:
        found = code.at(values, code.mul(chunk.index, least))
        transposed(code, code.at(source, code.mul(chunk.index, x.size)), here, m, n)
        call(
            *(how, rows, columns, here, rows, found),
            *(left, rows, right, tall, work, size, integers, info),
        )
        results = [(found, least)]
        if vectors:
            u, vh = (
                code.at(p, code.mul(chunk.index, k)) for p, k in zip(rest, sizes[2:], strict=False)
            )
            transposed(code, left, u, wide, m)
            transposed(code, right, vh, n, high)
            results += [(u, m * wide), (vh, high * n)]
        with code.writer.when(code.writer.value(f"icmp ne i32 {call.load(info)}, 0")):
            for pointer, count in results:
                _undefined(code, pointer, count)
    scratch = rooms.of(8 * least * 4, *(k * code.size for k in sizes))
    return kernel_of(code, "svd", _slots(outs, len(scratch)), x.many, flops, scratch)
