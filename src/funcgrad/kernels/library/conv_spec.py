"""What a convolution computes, as a hashable value, and the same reduced to strides.

In: shapes and params of a `conv_general_dilated`. Out: a `ConvSpec`, and from it a `Problem`:

    out[g, b, y, o] = sum over c, k of lhs[g, b, c, origin + y * stride + k * dilation]
                                       * rhs[g, o, c, k]

with three spatial axes, where order of axes, groups, flipped kernels and inserted zeros are gone:
they are strides in memory. The one idea: zeros inserted into lhs fall out when the outputs are
dealt into phases. Outputs of one phase meet the same taps with real elements under them, so that
each phase is a convolution without inserted zeros, which uses every `tap_step`-th tap and writes
every `out_step`-th output.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

Axes = tuple[int, ...]


class ConvSpec(NamedTuple):
    """A convolution with everything static.

    Attributes:
        dtype: "float32" or "float64" of both operands and the result.
        lhs, rhs: shapes in memory.
        lhs_axes: where lhs has batch, feature and spatial axes.
        rhs_axes: where rhs has output feature, input feature and spatial axes.
        out_axes: where the output has batch, feature and spatial axes.
        strides, padding, lhs_dilation, rhs_dilation: one entry a spatial axis.
        flipped: spatial axes along which rhs is read backwards.
    """

    dtype: str
    lhs: Axes
    rhs: Axes
    lhs_axes: Axes
    rhs_axes: Axes
    out_axes: Axes
    strides: Axes
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: Axes
    rhs_dilation: Axes
    feature_group_count: int = 1
    batch_group_count: int = 1
    flipped: tuple[bool, ...] = ()

    @property
    def places(self) -> Axes:
        """Spatial extents of the output."""
        counts: list[int] = []
        for i, (low, high) in enumerate(self.padding):
            size = self.lhs[self.lhs_axes[2 + i]]
            size = size and (size - 1) * self.lhs_dilation[i] + 1
            window = (self.rhs[self.rhs_axes[2 + i]] - 1) * self.rhs_dilation[i] + 1
            counts.append(max(0, (low + size + high - window) // self.strides[i] + 1))
        return tuple(counts)

    @property
    def out(self) -> Axes:
        """The output's shape in memory."""
        batch = self.lhs[self.lhs_axes[0]] // self.batch_group_count
        shape = [0] * len(self.lhs)
        ordered = (batch, self.rhs[self.rhs_axes[0]], *self.places)
        for axis, extent in zip(self.out_axes, ordered, strict=True):
            shape[axis] = extent
        return tuple(shape)


def spec_of(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    dtype: Any,
    params: dict[str, Any],
    flipped: Sequence[bool] = (),
) -> ConvSpec:
    """The spec of a `conv_general_dilated` with these shapes, dtype of all three, and params."""
    numbers = params["dimension_numbers"]
    return ConvSpec(
        np.dtype(dtype).name,
        tuple(lhs_shape),
        tuple(rhs_shape),
        tuple(numbers.lhs_spec),
        tuple(numbers.rhs_spec),
        tuple(numbers.out_spec),
        tuple(params["window_strides"]),
        tuple((low, high) for low, high in params["padding"]),
        tuple(params["lhs_dilation"]),
        tuple(params["rhs_dilation"]),
        params["feature_group_count"],
        params["batch_group_count"],
        tuple(flipped),
    )


class Phase(NamedTuple):
    """Outputs `first, first + out_step, …` of an axis and the taps they meet.

    `origin` is the place in lhs under tap number `tap` for output number `first`.
    """

    first: int
    places: int
    tap: int
    taps: int
    origin: int


class Space(NamedTuple):
    """A spatial axis: steps in lhs of neighbouring outputs and taps of a phase; memory strides."""

    size: int
    stride: int
    dilation: int
    out_step: int
    tap_step: int
    phases: tuple[Phase, ...]
    rhs_taps: int
    lhs: int
    rhs: int
    out: int

    @property
    def is_plain(self) -> bool:
        """Whether no tap of any output falls outside lhs."""
        return all(
            p.origin >= 0
            and p.origin + (p.places - 1) * self.stride + max(p.taps - 1, 0) * self.dilation
            < self.size
            for p in self.phases
        )


class Problem(NamedTuple):
    """A convolution as strides; extents are those of one group.

    `lhs` has the memory strides of (group, batch, feature), `rhs` those of (group, output feature,
    feature), `out` those of (group, batch, output feature); `rhs_base` is where tap 0 lies.
    """

    dtype: str
    groups: int
    batch: int
    features: int
    outs: int
    spaces: tuple[Space, Space, Space]
    lhs: tuple[int, int, int]
    rhs: tuple[int, int, int]
    rhs_base: int
    out: tuple[int, int, int]

    @property
    def phases(self) -> list[tuple[Phase, ...]]:
        """Phases of all three axes together."""
        z, y, x = (space.phases for space in self.spaces)
        return [(a, b, c) for a in z for b in y for c in x]

    @property
    def products(self) -> int:
        """Number of multiplications."""
        each = [sum(p.places * p.taps for p in space.phases) for space in self.spaces]
        return prod(each) * self.groups * self.batch * self.features * self.outs


def memory_strides(shape: Sequence[int]) -> list[int]:
    """Strides in elements of an array in C order."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * shape[i + 1]
    return strides


def phases_of(size: int, count: int, taps: int, steps: tuple[int, int, int, int]) -> Space:
    """A spatial axis (its memory strides still 1) from (stride, dilation of lhs, of rhs, low).

    Output y and tap k meet place y * stride + k * dilation - low of the dilated lhs, a real
    element if that is a multiple of lhs_dilation.
    """
    stride, spread, dilation, low = steps
    out_step, tap_step = spread // gcd(spread, stride), spread // gcd(spread, dilation)
    phases: list[Phase] = []
    for first in range(min(out_step, count)):
        hits = [k for k in range(tap_step) if (first * stride + k * dilation - low) % spread == 0]
        tap = hits[0] if hits else taps
        origin = (first * stride + tap * dilation - low) // spread if hits else 0
        found = max(0, -(-(taps - tap) // tap_step))
        phases.append(Phase(first, -(-(count - first) // out_step), tap, found, origin))
    jump, gap = out_step * stride // spread, tap_step * dilation // spread
    return Space(size, jump, gap, out_step, tap_step, tuple(phases), taps, 1, 1, 1)


def problem_of(spec: ConvSpec) -> Problem:
    """The convolution as strides, its space filled up to three axes."""
    lhs, rhs, out = (memory_strides(shape) for shape in (spec.lhs, spec.rhs, spec.out))
    spaces: list[Space] = []
    base = 0
    for i in range(len(spec.strides)):
        at, tap, into = spec.lhs_axes[2 + i], spec.rhs_axes[2 + i], spec.out_axes[2 + i]
        taps = spec.rhs[tap]
        steps = (spec.strides[i], spec.lhs_dilation[i], spec.rhs_dilation[i], spec.padding[i][0])
        space = phases_of(spec.lhs[at], spec.out[into], taps, steps)
        flip = bool(spec.flipped) and spec.flipped[i]
        base += (taps - 1) * rhs[tap] if flip else 0
        step = -rhs[tap] if flip else rhs[tap]
        spaces.append(space._replace(lhs=lhs[at], rhs=step, out=out[into]))
    alone = Space(1, 1, 1, 1, 1, (Phase(0, 1, 0, 1, 0),), 1, 0, 0, 0)
    groups = max(spec.feature_group_count, spec.batch_group_count)
    outs = spec.rhs[spec.rhs_axes[0]] // groups
    batch = spec.lhs[spec.lhs_axes[0]] // spec.batch_group_count
    features = spec.lhs[spec.lhs_axes[1]] // spec.feature_group_count
    by_batch, by_feature = lhs[spec.lhs_axes[0]], lhs[spec.lhs_axes[1]]
    jump = batch * by_batch if spec.batch_group_count > 1 else features * by_feature
    z, y, x = [alone] * (3 - len(spaces)) + spaces
    return Problem(
        spec.dtype,
        groups,
        batch,
        features,
        outs,
        (z, y, x),
        (jump, by_batch, by_feature),
        (outs * rhs[spec.rhs_axes[0]], rhs[spec.rhs_axes[0]], rhs[spec.rhs_axes[1]]),
        base,
        (outs * out[spec.out_axes[1]], out[spec.out_axes[0]], out[spec.out_axes[1]]),
    )
