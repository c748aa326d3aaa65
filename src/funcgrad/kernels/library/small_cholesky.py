"""The Cholesky factor of small matrices, a matrix in each lane."""

from __future__ import annotations

from . import LibraryKernel
from .conv_code import Value
from .lapack import Matrices
from .small import WRITTEN, Small, lanes_of


def cholesky(x: Matrices, vector_bits: int) -> LibraryKernel | None:
    """The kernel of (x) to L with L Lᵀ = x; NaN in the triangle where x is not definite.

    Returns:
        None for matrices that are not small.
    """
    n, lanes = x.rows, lanes_of(x, vector_bits, x.rows)
    if not lanes:
        return None
    code = Small(x.dtype, lanes, n <= WRITTEN)
    source, out = code.argument(0), code.argument(1)
    matrix = code.space(x.size)
    with code.blocks(x.many) as first:
        code.bring(code.at(source, code.mul(first, x.size)), x.size, matrix)
        _factor(code, matrix, n)
        code.give(matrix, x.size, code.at(out, code.mul(first, x.size)))
    steps = n**3 / 3.0 + 12.0 * x.size
    return code.kernel("small_cholesky", (("in", 0), ("out", 0)), x.many, steps)


def _factor(code: Small, matrix: str, n: int) -> None:
    """L in the place of the matrix, column after column."""

    def at(i: Value, j: Value) -> Value:
        return code.add(code.mul(i, n), j)

    def rest(i: Value, j: Value) -> str:
        """What is left of an element beside the columns before j."""

        def less(k: Value, total: list[str]) -> list[str]:
            both = code.get(matrix, at(i, k)), code.get(matrix, at(j, k))
            return [code.minus_product(total[0], *both)]

        return code.fold(0, j, [(code.wide, code.get(matrix, at(i, j)))], less)[0]

    def column(j: Value, definite: list[str]) -> list[str]:
        square = rest(j, j)
        positive = code.op("fcmp ogt", square, code.constant(0.0))
        pivot = code.function_of("sqrt", square)
        inverse = code.op("fdiv", code.constant(1.0), pivot)
        code.put(pivot, matrix, at(j, j))
        for i in code.each(code.add(j, 1), n):
            code.put(code.op("fmul", rest(i, j), inverse), matrix, at(i, j))
        return [code.writer.value(f"and {code.flags} {definite[0]}, {positive}")]

    every = "true" if code.lanes == 1 else "splat (i1 true)"
    (definite,) = code.fold(0, n, [(code.flags, every)], column)
    none = code.constant(float("nan"))
    for i in code.each(0, n):
        for j in code.each(0, code.add(i, 1)):
            x = code.get(matrix, at(i, j))
            code.put(code.chosen_lanes(definite, x, none), matrix, at(i, j))
        for j in code.each(code.add(i, 1), n):
            code.put(code.constant(0.0), matrix, at(i, j))
