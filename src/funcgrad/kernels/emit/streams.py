"""Which stores of a kernel go past the caches.

The one idea: a large result has left the caches before anybody reads it, so bringing its lines in
only to overwrite them is a third of the traffic of a kernel that reads as much as it writes.
"""

from __future__ import annotations

from ...ir.loops import Affine, Axis
from ...ir.nests import Buffer, Kernel, Store, expressions, loads_of, statements
from ..runtime.machine import architecture

# Bytes of a buffer from which on it is worth it: of 4 MiB and less, a reader still finds some.
LEAST = 8 << 20
# What such a buffer must be aligned to: vectors of any width then are.
ALIGNMENT = 64
# What makes such stores visible to others before what is stored later.
FENCE = ("llvm.x86.sse.sfence", "void ()")


def streamed(kernel: Kernel) -> list[Buffer]:
    """The buffers that a kernel should write past the caches: large ones it does not read."""
    large = [b for b in kernel.written if b.bytes >= LEAST]
    if not large or architecture() != "x86_64":
        return []
    nodes = list(statements(kernel.body))
    read = {load.source for node in nodes for load in loads_of(*expressions(node))}
    read |= {node.target for node in nodes if isinstance(node, Store) and node.combine}
    return [b for b in large if b not in read]


def line_of(buffer: Buffer, lanes: int) -> int:
    """Elements at whose multiples vectors of so many lanes may begin: a line, or all lanes."""
    return min(lanes, ALIGNMENT // buffer.dtype.itemsize)


def in_rows_of(offset: Affine, vector: Axis | None, lanes: int) -> bool:
    """Whether positions are multiples of `lanes` wherever the vector axis is at one."""
    others = [c for axis, c in offset.axes.items() if axis is not vector]
    return not offset.dynamic and all(c % lanes == 0 for c in [*others, offset.const])
