"""Products whose epilogue is an activation, and those whose epilogue is its slope.

In: the steps of a block. Out: epilogues for pairs of products. The one idea: of h = GELU(x · w + b)
cuBLASLt's GELU_AUX_BIAS writes h and what GELU is of; where the cotangent of h is a product too,
DGELU_BGRAD makes of it, and of what was written, the cotangent of x · w + b and its sum over rows.
So two maps and a launch that joins parts are gone. The slope of h = ReLU(x · w + b) is known from h
alone: RELU_BIAS writes h, and DRELU_BGRAD reads bits of what is positive in it (`masks`). Both maps
are known by what they compute, at the same numbers as the epilogue: what the first keeps for the
second is evaluated with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...ir.loops import Affine, Axis, Const, Expr
from ...ir.nests import Buffer, Kernel, Node, Store, identity_of, loads_of, offset_of
from ..library.gemm import Gemm
from ..program import Block, Launch, LibraryCall
from .apart import loops_in, statements
from .matmuls import Epilogue, Takes, evaluated, is_bias, matmul_launch, nothing
from .plan import chain_of

# What cuBLASLt asks of the matrix that it keeps: elements of a row are a multiple of this. So they
# are whole bytes of a mask.
_LEAD = 8
_RATE, _NARROW_RATE = 1e-6, 1e-2


class _Map(NamedTuple):
    """A kernel that makes elements of what lies at their place.

    Attributes:
        values: of each buffer that it stores to at every place, what it stores.
        sums: of each that it adds to by column, what it adds.
        place, column: where the elements are, and the axis along a row.
    """

    values: dict[Buffer, Expr]
    sums: dict[Buffer, Expr]
    place: Affine
    column: Axis


def paired(block: Block, takes: Takes) -> dict[int, Epilogue]:
    """The epilogues of pairs of products, by their steps; what they do leaves the block."""
    found: dict[int, Epilogue] = {}
    if takes is nothing:
        return found
    for step in [s for s in block.steps if isinstance(s, LibraryCall) and s.gemm is not None]:
        if id(step) not in found:
            found |= _pair(block, step, takes)
    return found


def readers_of(block: Block, buffer: Buffer) -> list[Any]:
    """The steps that read a buffer, under whatever shape."""
    return [s for s in block.steps if buffer in map(block.root, s.reads)]


def _pair(block: Block, first: LibraryCall, takes: Takes) -> dict[int, Epilogue]:
    """The epilogues of a product that is activated, and of the cotangent of that."""
    (out,), gemm = first.writes, first.gemm
    assert gemm is not None
    readers = readers_of(block, out)
    kept = {*map(block.root, block.outputs)}
    if out in kept or len(readers) != 2 or not all(isinstance(r, Launch) for r in readers):
        return {}
    ahead, back = sorted(readers, key=block.steps.index)
    given = _map_of(ahead.kernel, gemm)
    slopes = _map_of(back.kernel, gemm)
    if given is None or slopes is None or given.sums or len(slopes.values) != 1:
        return {}
    # What the first map keeps for the second is read by nobody else.
    (target, *rest), own = _targets(given, back, block, kept), {id(ahead), id(back)}
    if target is None or rest:
        return {}
    second = _cotangent(block, back, first)
    # A cotangent that does not wait for the first product may be made before it.
    if second is None or block.steps.index(second) < block.steps.index(first):
        return {}
    (cotangent,), (made, slope) = second.writes, next(iter(slopes.values.items()))
    joined = _joined(block, slopes)
    if joined is None:
        return {}
    bias, name = _agree(given, slopes, (out, cotangent, target, slope), gemm)
    if name is None or (bias is not None and bias.dtype != target.dtype):
        return {}
    total = joined.writes[0] if isinstance(joined, Launch) else None
    if total is not None and total.dtype != made.dtype:
        return {}
    # What the slope is made of: what the activation is of, or what it gives.
    kept = out if name == "GELU" else target
    ahead_of = f"{name}{'_AUX' * (kept is out)}{'_BIAS' * (bias is not None)}"
    forward = Epilogue(ahead_of, bias, target, kept if kept is out else None)
    backward = Epilogue(f"D{name}{'_BGRAD' * (total is not None)}", total, made, kept)
    for step, end in ((first, forward), (second, backward)):
        buffers, precision = [*step.reads, step.writes[0]], step.eqn.params.get("precision")
        if step.gemm is None or (end.aux is not None and not _keeps(step.gemm, end)):
            return {}
        if matmul_launch(step.gemm, "", buffers, end, precision, takes) is None:
            return {}
    at = block.steps.index(first)
    later = {block.root(b) for s in block.steps[at + 1 :] for b in s.writes}
    if bias is not None and block.root(bias) in later:
        return {}
    first.reads = [*first.reads, *([] if bias is None else [bias])]
    first.writes = [target, out] if kept is out else [target]
    second.reads = [*second.reads, kept]
    second.writes = [made, *([] if total is None else [total])]
    block.steps[:] = [s for s in block.steps if id(s) not in own and s is not joined]
    return {id(first): forward, id(second): backward}


def _keeps(g: Gemm, end: Epilogue) -> bool:
    """Whether the matrix beside the result is one that cuBLASLt writes and reads."""
    assert end.aux is not None
    whole = g.pitch == g.n and g.n % _LEAD == 0 and prod(n for n, *_ in g.batch) == 1
    return whole and end.aux.dtype == end.target.dtype and end.aux.size == g.m * g.n


def _map_of(kernel: Kernel, g: Gemm) -> _Map | None:
    """What a kernel does, if it goes through the elements of a product once."""
    *zeros, last = kernel.body
    chain = chain_of([last])
    body = chain[-1].body if chain else []
    if kernel.scratch or not body or not all(isinstance(n, Store) for n in body):
        return None
    if prod(loop.axis.extent for loop in chain) != g.m * g.n != 0:
        return None
    column = chain[-1].axis
    values: dict[Buffer, Expr] = {}
    sums: dict[Buffer, Expr] = {}
    place: Affine | None = None
    for node in body:
        assert isinstance(node, Store)
        offset = offset_of(node.target, node.index)
        if node.guard is not None or offset.dynamic or node.target in {*values, *sums}:
            return None
        if node.combine:
            if node.combine != "add" or not _is_by_column(offset, column, g, kernel):
                return None
            sums[node.target] = node.value
            continue
        if node.target.size != g.m * g.n or (place is not None and not place.same(offset)):
            return None
        place, values[node.target] = offset, node.value
    if place is None or place.axes.get(column) != 1 or not are_zeros(zeros, sums):
        return None
    return _Map(values, sums, place, column)


def _is_by_column(offset: Affine, column: Axis, g: Gemm, kernel: Kernel) -> bool:
    """Whether a place is that of the column in a chunk's row of parts."""
    if kernel.chunk is None or column.extent != g.n:
        return False
    return offset.same(Affine(0, {column: 1, kernel.chunk: g.n}))


def are_zeros(nodes: Sequence[Node], sums: dict[Buffer, Expr]) -> bool:
    """Whether statements do nothing but let sums start."""
    started: list[Buffer] = []
    for node in statements(list(nodes)):
        if not isinstance(node, Store) or node.combine or not isinstance(node.value, Const):
            return False
        if node.value.value != identity_of("add", node.target.dtype):
            return False
        started.append(node.target)
    return len(started) == len(sums) and {*started} == {*sums}


def _targets(
    given: _Map, back: Launch, block: Block, kept: set[Buffer]
) -> tuple[Buffer | None, ...]:
    """What the first map makes for others than the second."""
    found = [
        b
        for b in given.values
        if block.root(b) in kept or any(s is not back for s in readers_of(block, block.root(b)))
    ]
    return tuple(found) or (None,)


def _cotangent(block: Block, back: Launch, first: LibraryCall) -> LibraryCall | None:
    """The product that the second map alone reads, as large as the first."""
    kept = {*map(block.root, block.outputs)}
    found: list[LibraryCall] = []
    for step in block.steps:
        if not isinstance(step, LibraryCall) or step.gemm is None or step is first:
            continue
        (out, *more) = step.writes
        alone = len(readers := readers_of(block, out)) == 1 and readers[0] is back
        assert first.gemm is not None
        alike = (step.gemm.m, step.gemm.n) == (first.gemm.m, first.gemm.n)
        if alone and alike and not more and out not in kept:
            found.append(step)
    return found[0] if len(found) == 1 else None


def _joined(block: Block, slopes: _Map) -> Launch | bool | None:
    """The step that adds up the parts of the sum by column; False: there is no sum.

    None where there are several, or more is done with the parts.
    """
    if not slopes.sums:
        return False
    (part, *more) = slopes.sums
    return None if more else joining(block, part)


def joining(block: Block, part: Buffer) -> Launch | None:
    """The step that alone reads sums of parts, and does nothing but add them up."""
    readers = readers_of(block, block.root(part))
    if len(readers) != 1 or not isinstance(readers[0], Launch):
        return None
    kernel = readers[0].kernel
    whole = kernel.params == [part, *kernel.written] and len(kernel.written) == 1
    nodes = statements(kernel.body)
    adds = [acc for loop in loops_in(kernel.body) for acc in loop.accs]
    plain = [acc.op for acc in adds] == ["add"] and kernel.notes == ["partial sums"]
    columns = kernel.written[0].size * part.shape[0] == part.size
    return readers[0] if whole and plain and columns and len(list(nodes)) == 2 else None


def _agree(
    given: _Map, slopes: _Map, names: tuple[Buffer, Buffer, Buffer, Expr], g: Gemm
) -> tuple[Buffer | None, str | None]:
    """The bias, and the activation that both maps are of; None where they are of none known."""
    out, cotangent, target, slope = names
    x = np.concatenate([np.linspace(-9, 9, 181), [0.0, 1e-3, -1e-3, 40.0, -40.0]])
    # The last ones add up to 0 with their bias: slopes differ there.
    b = np.concatenate([np.cos(7 * x), [1.0, -0.5, 0.0]])
    x = np.concatenate([x, [-1.0, 0.5, 0.0]])
    numbers = {"x": x, "b": b, "g": np.sin(3 * x) + 0.1}
    narrow = min(out.dtype.itemsize, target.dtype.itemsize) < 4
    rate = _NARROW_RATE if narrow else _RATE
    biases: set[Buffer] = set()

    def at(part: _Map, value: Expr, known: dict[Buffer, Any]) -> Any:
        """A value at the numbers; None where it reads something else."""
        names: dict[Expr, str] = {}
        held = dict(numbers)
        for load in loads_of(value):
            source, offset = load.source, offset_of(load.source, load.index)
            here = load.guard is None and offset.same(part.place)
            if here and source in known:
                # No name of a buffer, which could be one of the numbers'.
                names[load] = f"{id(source)}"
                held[names[load]] = known[source]
            elif load.guard is None and is_bias(load, source, part.column, g):
                names[load] = "b"
                biases.add(source)
            else:
                return None
        return evaluated(value, names, held)

    with np.errstate(all="ignore"):
        first: dict[Buffer, Any] = {
            b: at(given, value, {out: numbers["x"]}) for b, value in given.values.items()
        }
        known = {**first, out: numbers["x"], cotangent: numbers["g"]}
        if any(v is None for v in known.values()):
            return None, None
        values = [at(slopes, v, known) for v in (slope, *slopes.sums.values())]
        z = numbers["x"] + (numbers["b"] if biases else 0)
        for name, known_of in _ACTIVATIONS.items():
            activated, slope_of = known_of(z)
            want = numbers["g"] * slope_of
            alike = np.allclose(first[target], activated, rate, rate) and all(
                v is not None and np.allclose(v, want, rate, rate) for v in values
            )
            if alike and len(biases) <= 1:
                return next(iter(biases), None), name
    return None, None


def _gelu(z: Any) -> tuple[Any, Any]:
    """GELU, and its slope."""
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * z * (1 + t), 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


def _relu(z: Any) -> tuple[Any, Any]:
    """ReLU, and its slope, which is 0 at 0."""
    return np.maximum(z, 0), np.where(z > 0, 1.0, 0.0)


_ACTIVATIONS = {"GELU": _gelu, "RELU": _relu}
