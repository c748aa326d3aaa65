"""Convolutions on the CPU."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from ..runtime.toolchain import Machine
from . import LibraryKernel
from .conv_deep import deep_kernel
from .conv_planar import planar_kernel
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
    bits = machine.vector_bits
    wide = partial(wide_kernel, lanewise=lanewise)
    if not lanewise and problem.outs < bits // (8 * np.dtype(spec.dtype).itemsize):
        forms = [planar_kernel, wide]
    else:
        forms = [wide]
    long = partial(deep_kernel, lanewise=lanewise)
    forms = [long, *forms] if deep else [*forms, long]
    return next((found for form in forms if (found := form(problem, bits)) is not None), None)


def is_deep(problem: Problem) -> bool:
    """Whether sums are longer than there are outputs of a channel, too long for one panel."""
    steps = problem.features * prod(s.rhs_taps for s in problem.spaces)
    outputs = problem.batch * prod(sum(p.places for p in s.phases) for s in problem.spaces)
    return steps > max(1024, outputs)
