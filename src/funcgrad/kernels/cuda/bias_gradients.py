"""Products that sum one of their sides over the rows, as the gradient of a bias asks for it.

In: the steps of a block. Out: epilogues of products. The one idea: of y = x · w + b with a
cotangent c, the gradients are xᵀ · c and the sum of c over rows. Where nobody summed c when it was
made, as where it is a product or of an attention, cuBLASLt's BGRADA sums it while it multiplies,
or BGRADB if it is the left side. So a pass over c and the launch that joins its parts are gone.
"""

from __future__ import annotations

from math import prod

from ...ir.loops import Affine, Apply, Expr, Load
from ...ir.nests import Buffer, Kernel, Store, offset_of
from ..program import Block, Launch, LibraryCall
from .matmul_gradients import are_zeros, joining, readers_of
from .matmuls import Epilogue, Takes, matmul_launch, nothing
from .plan import chain_of


def summing(block: Block, takes: Takes, known: dict[int, Epilogue]) -> dict[int, Epilogue]:
    """The epilogues of products that sum a side, by step; the launches that did it leave the block.

    Args:
        known: products that have an epilogue already.
    """
    found: dict[int, Epilogue] = {}
    if takes is nothing:
        return found
    for step in [s for s in block.steps if isinstance(s, LibraryCall) and s.gemm is not None]:
        for side in (1, 0):
            end = None if id(step) in (known | found) else _sum_of(block, step, side, takes)
            if end is not None:
                found[id(step)] = end
    return found


def _sum_of(block: Block, step: LibraryCall, side: int, takes: Takes) -> Epilogue | None:
    """The epilogue that sums a side of a product, if somebody asks for that sum."""
    g = step.gemm
    assert g is not None
    (outside, lead), columns = (g.right, g.n) if side else (g.left, g.m)
    operand = block.root(step.reads[side])
    whole = operand.size == g.k * columns and not g.starts[side]
    if outside or lead != columns or not whole or prod(n for n, *_ in g.batch) != 1:
        return None
    for launch in readers_of(block, operand):
        if not isinstance(launch, Launch) or {*map(block.root, launch.reads)} != {operand}:
            continue
        part = _parts(launch.kernel, columns)
        joined = None if part is None else joining(block, part)
        if part is None or joined is None:
            continue
        (out, *more), (total,) = step.writes, joined.writes
        at = block.steps.index(step)
        early = any(block.steps.index(s) < at for s in readers_of(block, total))
        if more or early or total.dtype != out.dtype or total.size != columns:
            continue
        end = Epilogue("BGRADA" if side else "BGRADB", total, out)
        buffers, precision = [*step.reads, out], step.eqn.params.get("precision")
        if matmul_launch(g, "", buffers, end, precision, takes) is not None:
            step.writes = [out, total]
            block.steps[:] = [s for s in block.steps if s is not launch and s is not joined]
            return end
    return None


def _parts(kernel: Kernel, columns: int) -> Buffer | None:
    """Where a kernel adds up what it reads, by column, if it does nothing else."""
    *zeros, last = kernel.body
    chain = chain_of([last])
    body = chain[-1].body if chain else []
    if kernel.scratch or kernel.chunk is None or len(body) != 1 or not isinstance(body[0], Store):
        return None
    store, column = body[0], chain[-1].axis
    load = _loaded(store.value)
    if store.combine != "add" or store.guard is not None or load is None or len(chain) != 2:
        return None
    rows, read = chain[0].axis, offset_of(load.source, load.index)
    by_column = offset_of(store.target, store.index).same(
        Affine(0, {column: 1, kernel.chunk: columns})
    )
    in_order = column.extent == columns and read.same(Affine(0, {column: 1, rows: columns}))
    whole = rows.extent * columns == load.source.size
    if not (by_column and in_order and whole and are_zeros(zeros, {store.target: store.value})):
        return None
    return store.target


def _loaded(x: Expr) -> Load | None:
    """The element that is added, as it is or in the dtype of the sum."""
    if isinstance(x, Apply) and x.op == "cast":
        (x,) = x.args
    return x if isinstance(x, Load) and x.guard is None else None
