"""What our programs on a GPU move and compute, counted from their launches: nothing is measured.

    python benchmarks/gpu_estimate.py [words of names ...]

Needs no GPU. A row is a work of `gpu.py`: its launches in one call (loops turn by turn); the bytes
of the buffers that they name, once a launch, each whole or as many elements as its loops can touch;
these over the arguments read and the results written once, the least for whoever changes all of
them; and the time that the launches cannot go below on an H200: of each the longest of its bytes at
the rate of the memory, or of what its blocks have of the cache if they are few, and, of products,
its operations at the highest rate of their arithmetic.
Rows of which a block cannot keep all are read again, which is counted; what stays in the cache is
quicker than that; gaps between launches, and what others read again, come on top. A state is
donated. Products are cuBLASLt's, whatever it would say of them; operations of convolutions are not
counted, those of attention are the work's.
"""

from __future__ import annotations

import argparse
from math import prod
from types import SimpleNamespace

import numpy as np
from gpu_works import works

import funcgrad as fg
import funcgrad.numpy as fnp
from funcgrad.control.jit import simplified_for_gpu as simplified
from funcgrad.ir.nests import For, offset_of
from funcgrad.kernels.cuda.apart import accesses
from funcgrad.kernels.cuda.matmuls import MatmulLaunch
from funcgrad.kernels.cuda.plan import CudaLaunch
from funcgrad.kernels.cuda.program import cuda_program
from funcgrad.kernels.cuda.row_plan import ends_of, key_in_row
from funcgrad.kernels.cuda.runtime.commands import Walk
from funcgrad.kernels.cuda.runtime.writing import commands_of
from funcgrad.kernels.memory import reusable

# NVIDIA's data sheet of the H200 SXM: bytes, and dense floating-point operations, of a second.
BYTES = 4.8e12
# A multiprocessor gets 64 bytes a cycle, and has a block of its own where there are few.
BLOCK = 64 * 1.98e9
RATES = {"float64": 67e12, "float32": 67e12, "TF32": 494e12, "float16": 989e12, "bfloat16": 989e12}
HEAD = "work|launches|moved|over the least|operations|not below"


class Count(Walk):
    """Adds up what a run of commands would do.

    Args:
        over: of a result the argument in whose memory it is written.
    """

    def __init__(self, over=()):
        super().__init__()
        self.launches = self.moved = self.flops = 0
        self.seconds = 0.0
        self.over = dict(over)
        self.known = {}

    def launch(self, command):
        """A kernel."""
        kernel = command.kernel
        if kernel not in self.known:
            self.known[kernel] = touched(kernel)
        self.add(self.known[kernel], kernel.launch)

    def copy(self, command):
        """A copy reads and writes, but for what is there already."""
        ends = [
            slot._replace(region="input", number=self.over[slot.number])
            if slot.region == "output" and slot.number in self.over
            else slot
            for slot in (command.target, command.source)
        ]
        if ends[0] != ends[1]:
            self.add(2 * command.bytes, None)

    def add(self, moved, launch):
        """One launch."""
        seconds = moved / BYTES
        if isinstance(launch, CudaLaunch) or getattr(launch, "kind", "") == "factor":
            seconds = moved / min(BYTES, launch.blocks * BLOCK)
        if isinstance(launch, MatmulLaunch):
            p = launch.product
            flops = 2 * p.m * p.n * p.k * p.times * launch.blocks
            self.flops += flops
            seconds = max(seconds, flops / RATES["TF32" if p.tf32 else p.given])
        self.launches += 1
        self.moved += moved
        self.seconds += seconds


def touched(kernel):
    """The bytes that a kernel can touch of its buffers."""
    launch = kernel.launch
    if not isinstance(launch, CudaLaunch):
        return sum(b.bytes for b in {*kernel.params}) + getattr(launch, "again", 0)
    around = {loop.axis: loop.axis.extent for loop in launch.grid}
    around |= {} if launch.chunk is None else {launch.chunk: launch.chunk.extent}
    places = {}
    for extents, access in visited(launch.body, around):
        offset = offset_of(access.buffer, access.place)
        axes = extents if offset.dynamic else offset.axes
        turns = prod(extents.get(axis, 1) for axis in axes)
        key = offset.const, frozenset(offset.axes.items()), offset.dynamic
        places.setdefault(access.buffer, {})[key] = turns * access.buffer.dtype.itemsize
    known = {b: min(b.bytes, sum(found.values())) for b, found in places.items()}
    return sum(known.get(b, b.bytes) for b in kernel.params) + again(launch)


def again(launch):
    """The bytes that loops read again of rows of which a block cannot keep all."""
    row = launch.row
    if row is None or not row.again:
        return 0
    rows = prod(loop.axis.extent for loop in launch.grid)
    bytes_each = 0
    for key in row.values:
        ends = [(end, loop.axis) for loop in row.loops for end in ends_of(loop, stores=False)]
        read = {axis for end, axis in ends if key_in_row(*end, axis) == key}
        bytes_each += (len(read) - 1) * key[0].dtype.itemsize
    return rows * row.again * bytes_each


def visited(body, around):
    """Each access of the statements, and the extents of the loops around it."""
    for node in body:
        if isinstance(node, For):
            yield from visited(node.body, {**around, node.axis: node.axis.extent})
        else:
            yield from ((around, access) for access in accesses([node]))


class Ours:
    """The names that works call a library by."""

    np, nn, grad, fw = fnp, fg.nn, fg.grad, fg

    @staticmethod
    def rounded(x, y):
        """A product in TF32."""
        return fnp.matmul(x, y, precision="tensorfloat32")


def counted(work):
    """What a call of a work does, and the least bytes that any program would move."""
    closed = simplified(fg.make_jaxpr(work.make(Ours))(*work.args))
    program = cuda_program(closed, simplified, lambda product: True)
    block = program.block
    count = Count(donated(block, work.args) if work.carry else ())
    count.all(commands_of(program).body)
    read = {block.root(b) for s in block.steps for b in s.reads}
    ends = [b.bytes for b in block.inputs if b in read] + [b.bytes for b in block.outputs]
    return SimpleNamespace(count=count, least=sum(ends), refused=program.refused)


def donated(block, args):
    """Pairs of a result and a part of the state in whose memory it is written, each once."""
    state = len(fg.tree.leaves(args[0]))
    results, arguments = {}, set()
    for result, argument in reusable(block):
        if argument < state and argument not in arguments and result not in results:
            results[result] = argument
            arguments.add(argument)
    return results.items()


def text_of(x, units):
    """A number with its unit."""
    for size, unit in units:
        if x >= size:
            return f"{x / size:.3g} {unit}"
    return f"{x:.3g}"


def row(work):
    """The cells of a work."""
    found = counted(work)
    c = found.count
    sizes = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
    flops = c.flops or work.flops
    bound = c.seconds if c.flops else max(c.seconds, flops / RATES["bfloat16"])
    cells = [
        work.name,
        str(c.launches),
        text_of(c.moved, sizes),
        f"{c.moved / found.least:.2f}" if found.least else "",
        text_of(flops, ((1e12, "T"), (1e9, "G"), (1e6, "M"))) if flops else "",
        text_of(bound, ((1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))),
    ]
    return cells


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    print(f"| {HEAD.replace('|', ' | ')} |\n{'|---' * (HEAD.count('|') + 1)}|")
    with np.errstate(all="ignore"):
        for work in works(1.0):
            if all(word in work.name for word in options.words):
                print(f"| {' | '.join(row(work))} |", flush=True)


if __name__ == "__main__":
    main()
