"""Kernels that follow a matrix product block by block.

In: the steps of a block, in order. Out: the same steps, some nearer to each other, and which of
them run as one. The one idea: where a product is made in blocks that lie one behind the other, and
a kernel's leading loop reads them one behind the other, the turns that read a block run as soon as
it is there, on the same thread, while it is in that thread's cache. So a bias, an activation, a
residual, a softmax or an optimizer's update is done behind the product it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ..ir.loops import Affine, Axis, Load
from ..ir.nests import Buffer, For, Kernel, expressions, loads_of, offset_of, statements
from .chunks import SHARED_NANOSECONDS
from .library import Stage

# An input of a kernel that is as large may be written in its own place, if no one reads it later.
_LARGE = 1 << 12
# Bytes of a block that stays in the second cache. Larger ones gain nothing and are fewer than the
# kernel's own chunks: four blocks of BLAS made an MLP's step 5 % slower.
_LARGEST_BLOCK = 1 << 18
# Blocks that are enough for the threads.
_ENOUGH = 4


class Step(Protocol):
    """What is asked of a step."""

    @property
    def reads(self) -> list[Buffer]:
        """What it reads."""
        ...

    @property
    def writes(self) -> list[Buffer]:
        """What it writes."""
        ...


def turns_of(kernel: Kernel, sources: Collection[Buffer], share: int) -> int:
    """How many turns of a kernel's leading loop read one block.

    Args:
        sources: the buffers that are the memory of the blocks.
        share: elements of a block.
    Returns:
        0 where blocks are not read in order, each by turns of its own; where there are turns that
        read none; or where a chunk of turns with a partial result reads more than one.
    """
    leads = [node for node in kernel.body if isinstance(node, For) and node.chunked]
    if len(leads) != 1:
        return 0
    (lead,) = leads
    # A load outside of the leading loop does not go on with its turns.
    loads = loads_of(*(x for node in statements(kernel.body) for x in expressions(node)))
    steps = {_step(load, lead.axis) for load in loads if load.source in sources}
    if len(steps) != 1:
        return 0
    (step,) = steps
    size = max(b.dtype.itemsize for b in sources)
    if not step or share % step or share * size > _LARGEST_BLOCK:
        return 0
    if lead.axis.extent * step > max(b.size for b in sources):
        return 0
    turns = share // step
    return 0 if kernel.chunk is not None and turns % kernel.grain else turns


def shares_well(stage: Stage, kernel: Kernel) -> bool:
    """Whether as many threads find work in the blocks as would in the kernel alone, or enough."""
    blocks, chunks = -(-stage.extent // stage.grain), -(-kernel.extent // kernel.grain)
    return blocks >= min(chunks if kernel.cost > SHARED_NANOSECONDS else 1, _ENOUGH)


def _step(load: Load, lead: Axis) -> int:
    """By how many elements a load goes on with each turn; 0 if it leaves what lies between."""
    offset = offset_of(load.source, load.index)
    step = offset.axes.get(lead, 0)
    bounds = (offset - Affine(0, {lead: step})).bounds() if step > 0 else None
    return step if bounds is not None and bounds[0] >= 0 and bounds[1] < step else 0


def first_reader(
    steps: Sequence[Step], at: int, root: Callable[[Buffer], Buffer]
) -> tuple[int, list[Buffer]]:
    """The first step after one that reads its only result, and the buffers it reads it as.

    Returns:
        -1 and nothing where none does.
    """
    (made,) = steps[at].writes
    made = root(made)
    for k in range(at + 1, len(steps)):
        found = [b for b in steps[k].reads if root(b) is made]
        if found:
            return k, found
    return -1, []


def earliest(
    steps: Sequence[Step], at: int, inputs: Collection[Buffer], root: Callable[[Buffer], Buffer]
) -> int:
    """Before which step the one at `at` could run.

    What it reads must be there; and nobody may come later to read a large input of the program
    that it reads too, for in the memory of that one it may write its result.
    """
    step = steps[at]
    reads = {root(b) for b in step.reads}
    large = {b for b in reads if b in inputs and b.bytes > _LARGE}
    for k in range(at - 1, -1, -1):
        if any(root(b) in reads for b in steps[k].writes):
            return k + 1
        if any(root(b) in large for b in steps[k].reads):
            return k + 1
    return 0
