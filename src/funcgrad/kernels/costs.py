"""What a program costs, counted from its loops: operations, and bytes read and written.

In: a block. Out: `Cost`. The one idea: an operation is counted in the loop it stands in, once for
all its uses there; memory once for each kernel that touches it. Loops of unknown length count one
turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..ir.loops import ARITHMETIC, Apply
from ..ir.nests import UNBOUNDED, Accumulate, For, Kernel, Node, Store, children, expressions
from .program import (
    Block,
    BlockStep,
    Branch,
    HostCall,
    Launch,
    LibraryCall,
    Scan,
    While,
    inner_blocks,
)

_MOVES = frozenset("and or xor not neg abs sign copysign shift_left conj".split())
_ELEMENTARY = frozenset(
    "pow sqrt rsqrt cbrt exp exp2 expm1 log log1p sin cos tan asin acos atan atan2 sinh cosh tanh "
    "asinh acosh atanh logistic erf erfc erf_inv erfcx log_ndtr ndtri dawsn "
    "lgamma digamma bessel_i0e bessel_i1e".split()
)


class Cost(NamedTuple):
    """What is done.

    Attributes:
        flops: additions, multiplications and the like, an fma being two.
        transcendentals: elementary functions.
        bytes: read from memory and written to it.
        nanoseconds: a rough guess for one core.
    """

    flops: float = 0.0
    transcendentals: float = 0.0
    bytes: float = 0.0
    nanoseconds: float = 0.0

    def plus(self, other: Cost, times: float = 1.0) -> Cost:
        """The sum with another cost, so many times."""
        return Cost(*(a + b * times for a, b in zip(self, other, strict=True)))


def kernel_cost(kernel: Kernel) -> Cost:
    """The cost of a fused kernel."""
    flops, elementary = _operations(kernel.body, 1.0)
    size = sum(b.bytes for b in kernel.params)
    return Cost(flops, elementary, float(size), kernel.cost)


def _operations(body: Sequence[Node], times: float) -> tuple[float, float]:
    flops = elementary = 0.0
    seen: set[int] = set()
    for node in body:
        if isinstance(node, For):
            turns = node.axis.extent if node.axis.extent < UNBOUNDED else 1
            inner = _operations(node.body, times * turns)
            flops, elementary = flops + inner[0], elementary + inner[1]
            continue
        if isinstance(node, Accumulate) or (isinstance(node, Store) and node.combine):
            flops += times
        roots = expressions(node)
        while roots:
            x = roots.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            roots += children(x)
            if not isinstance(x, Apply) or x.op in _MOVES or x.op not in ARITHMETIC:
                continue
            if x.op in _ELEMENTARY:
                elementary += times
            elif x.dtype.kind not in "biu":
                flops += times * (2 if x.op == "fma" else 1)
    return flops, elementary


def step_cost(step: BlockStep) -> Cost:
    """The cost of a step, of all turns of a loop, of the dearest branch."""
    if isinstance(step, Launch):
        return kernel_cost(step.kernel)
    if isinstance(step, (LibraryCall, HostCall)):
        size = float(sum(b.bytes for b in [*step.reads, *step.writes]))
        if isinstance(step, HostCall):
            return Cost(bytes=size)
        spent = sum(s.cost for s in step.kernel.stages)
        return Cost(step.kernel.flops, 0.0, size, spent)
    parts = [block_cost(b) for b in inner_blocks(step)]
    if isinstance(step, Branch):
        return max(parts, key=lambda c: c.nanoseconds, default=Cost())
    total = Cost()
    for part in parts:
        total = total.plus(part, step.length if isinstance(step, Scan) else 1.0)
    return total


def block_cost(block: Block) -> Cost:
    """The cost of a block."""
    total = Cost()
    for step in block.steps:
        total = total.plus(step_cost(step))
    return total


def serial_nanoseconds(block: Block) -> float:
    """Rough nanoseconds of a block on one core; a call-out is long."""
    total = 0.0
    for step in block.steps:
        if isinstance(step, Launch):
            total += step.kernel.cost
        elif isinstance(step, LibraryCall):
            total += sum(s.cost for s in step.kernel.stages)
        elif isinstance(step, Scan):
            total += serial_nanoseconds(step.block) * step.length
        elif isinstance(step, (While, HostCall)):
            total += 1e6
    return total
