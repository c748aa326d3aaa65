"""Convolutions on the CPU."""

from __future__ import annotations

from ..runtime.toolchain import Machine
from . import LibraryKernel
from .conv_spec import ConvSpec, problem_of
from .conv_spec import spec_of as spec_of
from .conv_wide import wide_kernel


def build(spec: ConvSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of a convolution, or None where there is none."""
    if spec.dtype not in ("float32", "float64") or len(spec.strides) > 3:
        return None
    if 0 in spec.lhs or 0 in spec.rhs or 0 in spec.out:
        return None
    problem = problem_of(spec)
    lanewise = problem.groups > 1 and problem.outs < 8 and problem.features <= 8
    return wide_kernel(problem, machine.vector_bits, lanewise=lanewise)
