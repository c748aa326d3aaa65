"""Checks of the compiler's stages: what every later stage takes for granted.

In: a block and its memory plan. Out: nothing, or an `AssertionError` that names the kernel and
what is wrong. The one idea: bounds of indices are intervals, worked out from the extents of the
loops; where an index holds loaded values, only a clamp or a guard can bring it into its buffer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..ir.loops import (
    COMPARISONS,
    Affine,
    Apply,
    Axis,
    Const,
    Expr,
    Index,
    IndexTuple,
    Load,
    boolean,
    int64,
)
from ..ir.nests import (
    UNBOUNDED,
    Acc,
    Advance,
    Buffer,
    For,
    Kernel,
    Leave,
    Node,
    Store,
    children,
    offset_of,
)
from .memory import Plan, carried, direct_outputs, updates_in_place
from .program import Block, Launch, LibraryCall, Scan, While, inner_blocks

Interval = tuple[float, float]
_ANYTHING: Interval = (-math.inf, math.inf)
# Operands of one dtype, and a result of it.
_ALIKE = frozenset("add sub mul div rem min max and or xor fma copysign nextafter mulhi".split())


class KernelChecker:
    """Checks one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.bound: dict[Axis, None] = {}
        self.accs: dict[Acc, None] = {}
        self.buffers = {*kernel.params, *kernel.scratch}
        self.seen: dict[int, Expr] = {}
        self.empty = False

    def check(self) -> None:
        """Check the loops."""
        kernel = self.kernel
        self.require(len(kernel.params) == len(set(kernel.params)), "a parameter is there twice")
        self.require(kernel.extent >= 1 or kernel.extent == 0, "a negative extent")
        self.require(kernel.grain >= 1, "chunks without iterations")
        if kernel.chunk is not None:
            parts = -(-kernel.extent // kernel.grain)
            self.require(kernel.chunk.extent >= parts, "more chunks than partial results")
            self.bound[kernel.chunk] = None
        self.chunks()
        self.run(kernel.body)

    def chunks(self) -> None:
        """Check that chunks share no work, and write at places of their own."""
        kernel = self.kernel
        divided = list(_divided(kernel.body))
        if kernel.extent <= kernel.grain:
            return
        self.require(len(divided) == 1, "several chunks, and not one loop that is divided")
        self.require(divided[0].axis.extent == kernel.extent, "another extent than its loop")
        within = {id(store) for store in stores_of(divided)}
        for store in stores_of(kernel.body):
            mine = id(store) in within or any(kernel.chunk in i.axes for i in store.index)
            self.require(mine, f"{store.target} is written by every chunk")

    def require(self, holds: bool, what: str) -> None:
        """Raise if something does not hold."""
        assert holds, f"kernel {self.kernel.name}: {what}"

    def run(self, body: Sequence[Node]) -> None:
        """Check statements in order."""
        for node in body:
            if isinstance(node, For):
                self.loop(node)
            elif isinstance(node, Store):
                self.store(node)
            elif isinstance(node, Advance):
                for acc, e in node.pairs:
                    self.folded(acc, e)
            elif isinstance(node, Leave):
                self.require(node.unless.dtype == boolean, "a loop goes on by what is no bool")
                self.expression(node.unless)
            else:
                acc, place = node.acc, node.position
                self.folded(acc, node.value)
                self.require(acc.positional == (place is not None), f"{acc} and its position")
                if place is not None:
                    self.affine(place)

    def folded(self, acc: Acc, value: Expr) -> None:
        """Check what is folded, or carried on."""
        self.require(acc in self.accs, f"{acc} is folded outside of its loops")
        self.require(value.dtype == acc.value_dtype, f"{acc} folds another dtype")
        self.expression(value)

    def loop(self, node: For) -> None:
        """Check a loop."""
        self.require(node.axis not in self.bound, f"axis {node.axis} is bound twice")
        self.require(node.axis.extent >= 0, f"axis {node.axis} has a negative extent")
        for acc in node.accs:
            if acc.initial is not None and acc not in self.accs:
                self.expression(acc.initial)
            self.accs[acc] = None
        first = isinstance(node.body[0], Leave) if node.body else False
        self.require(first or node.axis.extent < UNBOUNDED, f"nothing ends {node.axis}")
        late = any(isinstance(n, Leave) for n in node.body[1:])
        self.require(not late, f"{node.axis} ends after its first statement")
        empty, self.empty = self.empty, self.empty or not node.axis.extent
        self.bound[node.axis] = None
        self.run(node.body)
        del self.bound[node.axis]
        self.empty = empty
        # What was seen under another binding of an axis counts no more.
        self.seen.clear()

    def store(self, node: Store) -> None:
        """Check a store."""
        target = node.target
        known = target in self.kernel.written or target in self.kernel.scratch
        self.require(known, f"{target} is written and not among what the kernel writes")
        self.require(
            node.value.dtype == target.dtype, f"{node.value.dtype} is stored into {target}"
        )
        self.expression(node.value)
        if node.guard is not None:
            self.require(node.guard.dtype == boolean, "a guard that is no bool")
            self.expression(node.guard)
        self.place(target, node.index, node.guard)

    def place(self, buffer: Buffer, index: IndexTuple, guard: Expr | None) -> None:
        """Check that an index is within its buffer."""
        self.require(buffer in self.buffers, f"{buffer} is no parameter")
        for i in index:
            self.affine(i)
        if self.empty or not buffer.size or guard is not None:
            return
        whole = len(index) == len(buffer.shape)
        pairs = zip(index, buffer.shape, strict=True) if whole else [(index[0], buffer.size)]
        self.require(whole or len(index) == 1, f"{buffer} has another rank than its index")
        if not all(inside(interval(i), n) for i, n in pairs):
            # A sum of parts may be within where each part is not seen to be.
            flat = interval(offset_of(buffer, index))
            self.require(inside(flat, buffer.size), f"{buffer}[{index}] may be out of bounds")

    def affine(self, index: Affine) -> None:
        """Check that the axes of an index are bound, and its expressions."""
        for axis in index.axes:
            self.require(axis in self.bound, f"axis {axis} is not bound")
        for e, _ in index.dynamic:
            self.require(e.dtype == int64, f"an index of {e.dtype}")
            self.expression(e)

    def expression(self, x: Expr) -> None:
        """Check an expression."""
        if id(x) in self.seen:
            return
        self.seen[id(x)] = x
        if isinstance(x, Acc):
            self.require(x in self.accs, f"{x} is read before its loops")
        elif isinstance(x, Load):
            self.require(x.dtype == x.source.dtype, f"{x.source} is loaded as {x.dtype}")
            if x.guard is not None:
                self.require(x.guard.dtype == boolean, "a guard that is no bool")
            self.place(x.source, x.index, x.guard)
        elif isinstance(x, Index):
            self.affine(x.affine)
        elif isinstance(x, Apply):
            self.types(x)
        for e in children(x):
            self.expression(e)

    def types(self, x: Apply) -> None:
        """Check that an operation gets and gives the dtypes it should."""
        kinds = [a.dtype for a in x.args]
        if x.op == "select":
            right = kinds[0] == boolean and kinds[1] == kinds[2] == x.dtype
        elif x.op in COMPARISONS:
            right = x.dtype == boolean and len(set(kinds)) == 1
        elif x.op == "bitcast":
            right = kinds[0].itemsize == x.dtype.itemsize
        elif x.op == "call":
            right = all(k == np.float64 for k in [*kinds, x.dtype])
        elif x.op in _ALIKE or x.op.startswith("shift"):
            right = all(k == x.dtype for k in kinds)
        else:
            right = True
        self.require(right, f"{x.op} of {', '.join(k.name for k in kinds)} gives {x.dtype.name}")


def _divided(body: Sequence[Node]) -> Iterator[For]:
    """The loops that are done in chunks."""
    for node in body:
        if isinstance(node, For):
            yield from [node] if node.chunked else _divided(node.body)


def stores_of(body: Sequence[Node]) -> list[Store]:
    """Every store in the statements."""
    found: list[Store] = []
    for node in body:
        if isinstance(node, For):
            found += stores_of(node.body)
        elif isinstance(node, Store):
            found.append(node)
    return found


def inside(found: Interval, extent: int) -> bool:
    """Whether every value of an interval is an index of an axis."""
    return found[0] >= 0 and found[1] <= extent - 1


def interval(x: Affine | Expr) -> Interval:
    """Bounds of an index, or of an integer expression."""
    if isinstance(x, Affine):
        low = high = float(x.const)
        parts: list[tuple[Interval, int]] = [((0.0, a.extent - 1.0), c) for a, c in x.axes.items()]
        parts += [(interval(e), c) for e, c in x.dynamic]
        for (a, b), c in parts:
            low, high = (low + c * a, high + c * b) if c > 0 else (low + c * b, high + c * a)
        return low, high
    if isinstance(x, Const):
        return float(x.value), float(x.value)
    if isinstance(x, Index):
        return interval(x.affine)
    if isinstance(x, Apply) and x.dtype.kind in "iu":
        return _of_operation(x)
    return _of_dtype(x)


def _of_dtype(x: Expr) -> Interval:
    if x.dtype.kind == "b":
        return 0.0, 1.0
    if x.dtype.kind not in "iu":
        return _ANYTHING
    info = np.iinfo(x.dtype)
    return float(info.min), float(info.max)


def _of_operation(x: Apply) -> Interval:
    parts = [interval(a) for a in x.args]
    if x.op == "min":
        return min(p[0] for p in parts), min(p[1] for p in parts)
    if x.op == "max":
        return max(p[0] for p in parts), max(p[1] for p in parts)
    if x.op == "select":
        return min(p[0] for p in parts[1:]), max(p[1] for p in parts[1:])
    if x.op in ("add", "sub"):
        (a, b), (c, d) = parts
        found = (a + c, b + d) if x.op == "add" else (a - d, b - c)
    elif x.op in ("div", "rem") and parts[0][0] >= 0 and parts[1][0] == parts[1][1] > 0:
        n = parts[1][0]
        if x.op == "rem":
            return 0.0, min(n - 1, parts[0][1])
        return parts[0][0] // n, parts[0][1] // n
    elif x.op == "cast":
        found = parts[0]
    else:
        return _of_dtype(x)
    whole = _of_dtype(x)
    # A sum that may leave its dtype wraps: then nothing is known of it.
    return found if whole[0] <= found[0] and found[1] <= whole[1] else whole


# Memory.


def lifetimes(block: Block) -> dict[Buffer, tuple[int, int]]:
    """First and last step of each buffer of a block that has memory of its own."""
    found: dict[Buffer, tuple[int, int]] = {}
    outside = {*block.inputs, *block.constants, *direct_outputs(block)}
    for at, step in enumerate(block.steps):
        begin, end = block.span(at)
        touched = [*step.reads, *step.writes]
        if isinstance(step, LibraryCall):
            touched += step.scratch
        if isinstance(step, (Scan, While)):
            pairs = zip(carried(step), step.rooms, strict=True)
            touched += [room for b, room in pairs if not updates_in_place(step.block, *b)]
        for b in touched:
            root = block.root(b)
            if root not in outside:
                found[root] = (min(found.get(root, (begin, end))[0], begin), end)
        if isinstance(step, LibraryCall) and step.ready:
            found.update((b, (0, len(block.steps))) for b in step.scratch)
    for b in block.outputs:
        root = block.root(b)
        if root in found:
            found[root] = (found[root][0], len(block.steps))
    return found


def check_memory(block: Block, plan: Plan) -> list[Buffer]:
    """Check that no two buffers share bytes while both are alive.

    Returns:
        All buffers of the block and of those within.
    """
    alive = lifetimes(block)
    everything = list(alive)
    for b in alive:
        assert b in plan.offsets, f"{b} has no place"
        assert plan.offsets[b] + b.bytes <= plan.size, f"{b} is outside of the arena"
    order = sorted(alive, key=lambda b: plan.offsets[b])
    for k, b in enumerate(order):
        for other in order[k + 1 :]:
            if plan.offsets[other] >= plan.offsets[b] + b.bytes:
                break
            (first, last), (start, end) = alive[b], alive[other]
            apart = last < start or end < first or not other.bytes
            assert apart, f"{b} and {other} share memory while both are alive"
    for at, step in enumerate(block.steps):
        outer = [b for b, (first, last) in alive.items() if first <= at <= last and b.bytes]
        for inner in inner_blocks(step):
            within = check_memory(inner, plan)
            for b in within:
                start = plan.offsets[b]
                for other in outer:
                    place = plan.offsets[other]
                    apart = start + b.bytes <= place or place + other.bytes <= start
                    assert apart or not b.bytes, f"{b} of a loop overlaps {other} around it"
            everything += within
    return everything


def check_sum(block: Block, at: int) -> None:
    """Check that what a step adds to is there, and that nobody reads it for what it was."""
    step = block.steps[at]
    assert isinstance(step, LibraryCall)
    there, (total,) = step.reads[-1], step.writes
    root = block.root(there)
    assert block.root(total) is root, f"{total} is not in the memory of {there}"
    assert root not in block.uses.inputs, f"{there} is an input, and {total} is added to it"
    assert root not in {block.root(b) for b in step.reads[:-1]}, f"{there} is added to itself"
    assert min(block.uses.writers[root]) < at, f"nothing is there where {total} is formed"
    # What updates the sum where it lies is a view of the memory, not of the sum.
    after = {total, *(b for other in block.steps[at + 1 :] for b in other.writes)}
    for k, other in enumerate(block.steps):
        for b in other.reads if other is not step else ():
            later = b in after
            while not later and b in block.views:
                b = block.views[b]
                later = b in after
            assert later == (k > at) or block.root(b) is not root, f"{b} is read at step {k}"


def check_chain(block: Block, at: int) -> None:
    """Check that the blocks of a product have all turns of the kernel behind them."""
    product, launch = block.steps[at : at + 2]
    assert isinstance(product, LibraryCall) and isinstance(launch, Launch)
    kernel, done = launch.kernel, product.kernel.stages[-1].extent * block.chains[at]
    assert done >= kernel.extent, f"{kernel.name}: {done} of {kernel.extent} turns have a block"


def check_block(block: Block) -> None:
    """Check every kernel of a block and of those within."""
    for at, step in enumerate(block.steps):
        if isinstance(step, Launch):
            KernelChecker(step.kernel).check()
        if isinstance(step, LibraryCall) and step.sum is not None:
            check_sum(block, at)
        for inner in inner_blocks(step):
            check_block(inner)
    for at in block.chains:
        check_chain(block, at)


def check(block: Block, plan: Plan) -> None:
    """Check the stages of a program.

    Raises:
        AssertionError: a stage broke what later ones take for granted.
    """
    check_block(block)
    check_memory(block, plan)
