"""Convolutions on the CPU: forward, gradients of the input and of the kernel, in any layout.

Everything is one sum of outer products held in registers (`conv_micro`). What differs is which
sums are long, and what lies along the lanes of a vector:

    wide     many outputs, short sums    lanes are output channels      conv_wide
    lanewise groups of few channels      lanes are channels of all groups, as is the input
    planar   few output channels         lanes are neighbouring outputs of a row    conv_planar
    deep     few outputs, long sums      parts of the sums, then their sum          conv_deep

A gradient of a convolution is again a convolution, and its shape tells which of these it is: that
of the input has zeros between its elements, which phases leave out (`conv_spec`); that of the
kernel has few outputs, the places of the kernel, and long sums over images and their places.
Copies into cache take care of padding and of the order of axes (`conv_pack`).

Chunks take up to 384 KiB of the stack of the thread they run on.
"""

from __future__ import annotations

from collections.abc import Callable
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

# Sums of more steps than this, and more than there are of them, are cut into parts.
LONG = 1024

Form = Callable[[Problem, int], LibraryKernel | None]


def build(spec: ConvSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of a convolution.

    Inputs are lhs and rhs, output the result, all in the layouts of the spec.

    Returns:
        None for other dtypes than float32 and float64, more than three spatial axes, empty arrays,
        and kernels so large that no part of the input fits in cache.
    """
    if spec.dtype not in ("float32", "float64") or len(spec.strides) > 3:
        return None
    if 0 in spec.lhs or 0 in spec.rhs or 0 in spec.out:
        return None
    problem, bits = problem_of(spec), machine.vector_bits
    deep, lanes = is_deep(problem), bits // (8 * np.dtype(spec.dtype).itemsize)
    # Groups of half a vector and more are well enough one by one.
    lanewise = problem.groups > 1 and 2 * problem.outs < lanes
    lanewise = lanewise and (deep or problem.features <= lanes)
    forms: list[Form] = [partial(wide_kernel, lanewise=lanewise)]
    if problem.outs < lanes and (not lanewise or problem.spaces[2].lhs == 1):
        forms.insert(0, planar_kernel)
    forms.insert(0 if deep else len(forms), partial(deep_kernel, lanewise=lanewise))
    return next((found for form in forms if (found := form(problem, bits)) is not None), None)


def is_deep(problem: Problem) -> bool:
    """Whether sums are long, and longer than there are outputs of a channel."""
    steps = problem.features * prod(s.rhs_taps for s in problem.spaces)
    outputs = problem.batch * prod(sum(p.places for p in s.phases) for s in problem.spaces)
    return steps > LONG and 2 * steps > 3 * outputs
