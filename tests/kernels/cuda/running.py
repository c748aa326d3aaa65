"""Programs as the emulator of a GPU runs them, beside NumPy's rules."""

import numpy as np

import funcgrad as fg
from funcgrad.control.jit import simplified_for_gpu as simplified
from funcgrad.core.evaluate import run_numpy
from funcgrad.kernels.cuda.custom import CustomLaunch
from funcgrad.kernels.cuda.emulated import emulate
from funcgrad.kernels.cuda.llvm.gpu import Gpu
from funcgrad.kernels.cuda.llvm.module import Module
from funcgrad.kernels.cuda.program import cuda_program
from funcgrad.kernels.cuda.words import memory_type

# Of NVVM's language, as CUDA 13 has it.
VERSION = (2, 0, 3, 2)


def traced(f, *args):
    """The simplified program of a function, and its flat inputs."""
    closed = simplified(fg.make_jaxpr(f)(*args))
    leaves = [x.numpy() if hasattr(x, "aval") else x for x in fg.tree_util.tree_leaves(args)]
    pairs = zip(leaves, closed.in_avals, strict=True)
    return closed, [x if a.dtype.names else np.asarray(x, a.dtype) for x, a in pairs]


def program_of(f, *args):
    """The kernels of a function."""
    return cuda_program(traced(f, *args)[0], simplified)


def in_memory(value):
    """A result flat, as kernels store it."""
    value = np.ascontiguousarray(value)
    if value.dtype.names is not None:
        return value.view(np.uint32).reshape(-1)
    return (
        value.view(value.real.dtype).reshape(-1) if value.dtype.kind == "c" else value.reshape(-1)
    )


def compiled(program):
    """The kernels of a program in NVVM's language; what makes PTX of it is not asked."""
    found = []
    for kernel in program.kernels:
        if not isinstance(kernel.launch, CustomLaunch):
            kinds = [memory_type(b.dtype) for b in kernel.params]
            module = Module(program.module_of(kernel), Gpu((kernel.launch.threads, 1), VERSION))
            found.append(module.kernel(kernel.name, kinds, "k"))
    return found


def both_ways(closed, inputs):
    """What the emulator gives with and without alignment, and what NumPy's rules give.

    None where a step is refused.
    """
    program = cuda_program(closed, simplified)
    if program.refused:
        return None
    want = [in_memory(w) for w in run_numpy(closed, inputs)]
    found = [
        [g.reshape(-1) for g in emulate(program, inputs, aligned)] for aligned in (True, False)
    ]
    return program, want, found
