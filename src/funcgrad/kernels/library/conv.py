"""Convolutions on the CPU."""

from __future__ import annotations

from math import prod

from ..runtime.toolchain import Machine
from . import LibraryKernel
from .conv_deep import deep_kernel
from .conv_spec import ConvSpec, Problem, problem_of
from .conv_spec import spec_of as spec_of
from .conv_wide import wide_kernel


def build(spec: ConvSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of a convolution, or None where there is none."""
    if spec.dtype not in ("float32", "float64") or len(spec.strides) > 3:
        return None
    if 0 in spec.lhs or 0 in spec.rhs or 0 in spec.out:
        return None
    problem = problem_of(spec)
    deep = is_deep(problem)
    lanewise = problem.groups > 1 and problem.outs < 8 and (deep or problem.features <= 8)
    kernels = (deep_kernel, wide_kernel) if deep else (wide_kernel, deep_kernel)
    for kernel in kernels:
        found = kernel(problem, machine.vector_bits, lanewise=lanewise)
        if found is not None:
            return found
    return None


def is_deep(problem: Problem) -> bool:
    """Whether sums are longer than there are outputs of a channel, too long for one panel."""
    steps = problem.features * prod(s.rhs_taps for s in problem.spaces)
    outputs = problem.batch * prod(sum(p.places for p in s.phases) for s in problem.spaces)
    return steps > max(1024, outputs)
