"""Products of few rows and columns over a long contraction, as XᵀX of many rows of few numbers.

    parts:  parts of the contraction, each a product of its own
    sum:    for runs of the result: the parts added up, in their order

There are too few rows and columns to share among threads, so it is the contraction that they share.
How it is cut depends on sizes alone, so results do not depend on how many threads there are.
"""

from __future__ import annotations

from . import LibraryKernel, Stage
from .conv_code import KINDS, Code
from .gemm import CHUNK_PRODUCTS, SPEED, Gemm, cut_of, text_of
from .gemm import MOST_PARTS as ENOUGH

# Parts at most, and steps that a part has at least and is a multiple of.
MOST_PARTS, STEPS = 16, 64
# Elements of a run of the result, and nanoseconds for an element of a part.
RUN, EACH = 1 << 11, 0.1


def steps_of(g: Gemm) -> int:
    """The steps of a part, of which the last one may have fewer.

    There is an even number of parts, which two threads share, unless the last one is left without
    steps.
    """
    parts = min(MOST_PARTS, 2 * round(g.m * g.n * g.k / (2 * CHUNK_PRODUCTS)), g.k // STEPS)
    return -(-g.k // (max(parts, 1) * STEPS)) * STEPS


def build(g: Gemm, name: str, vector_bits: int) -> LibraryKernel:
    """The kernel `name` of (left, right, result) for a single product whose rows have no gaps."""
    assert not g.batch and g.pitch == g.n
    steps, size = steps_of(g), g.m * g.n
    parts = -(-g.k // steps)
    left = steps * (1 if g.left[0] else g.left[1])
    right = steps * (1 if g.right[0] else g.right[1])
    part = g._replace(batch=((parts, left, right, size),), k=steps, adds=False)
    code, last = Code(g.dtype, vector_bits), Code(g.dtype, vector_bits)
    # The parts are chunks enough: none is cut into blocks of rows or columns.
    cut = cut_of(part._replace(batch=((ENOUGH, 0, 0, 0),)), vector_bits)
    each = -(-g.m // cut.row_block) * -(-g.n // cut.column_block)
    text = text_of(part, cut, code, name, g.k - (parts - 1) * steps)
    functions = {name: text, f"{name}_sum": _sum_text(g, parts, last, f"{name}_sum")}
    runs = -(-size // RUN)
    stages = (
        Stage(name, (("in", 0), ("in", 1), ("scratch", 0)), parts * each, 1, size * g.k / SPEED),
        Stage(f"{name}_sum", (("scratch", 0), ("out", 0)), runs, 1, EACH * size * parts),
    )
    declared = tuple(dict.fromkeys([*code.declarations, *last.declarations]))
    room = parts * size * KINDS[g.dtype][1]
    way = f"{parts} parts of the contraction, added up"
    return LibraryKernel(functions, declared, stages, (room,), g.flops, way=way)


def _sum_text(g: Gemm, parts: int, code: Code, name: str) -> str:
    source, out = code.argument(0), code.argument(1)
    size = g.m * g.n
    with code.writer.loop("%lo", "%hi", 1) as run:
        first = code.mul(run.index, RUN)
        count = code.least(RUN, code.sub(size, first))
        here, there = code.at(source, first), code.at(out, first)
        whole = code.mul(code.div(count, code.lanes), code.lanes)
        for start, stop, lanes in ((0, whole, code.lanes), (whole, count, 1)):
            with code.loop(start, stop, lanes) as i:
                total = code.load(here, i, lanes)
                for part in range(1, parts):
                    more = code.load(here, code.add(i, part * size), lanes)
                    total = code.sum(total, more, lanes)
                if g.adds:
                    total = code.sum(code.load(there, i, lanes), total, lanes)
                code.store(total, there, i, lanes)
    return code.function(name)
