"""Windows of a pooling: what they are over, and which elements each of them meets.

In: shapes and params of a `reduce_window` or `select_and_scatter_add`. Out: the array as
[lead, z, y, x, channels] with windows over z, y, x. The one idea: a window is cut to the elements
that are really there before anything is read, so that padding costs nothing and no lane is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .conv_code import Code, Value

Ints = tuple[int, ...]


class PoolSpec(NamedTuple):
    """A pooling with everything static.

    Attributes:
        op: "max", "min" or "add" of a window; "scatter_max", "scatter_min" add a source at its
            winner.
        dtype: "float32" or "float64".
        shape: of the operand; the other fields have one entry for each of its axes.
    """

    op: str
    dtype: str
    shape: Ints
    window: Ints
    strides: Ints
    padding: tuple[tuple[int, int], ...]
    base_dilation: Ints
    window_dilation: Ints


def spec_of(op: str, shape: Sequence[int], dtype: Any, params: dict[str, Any]) -> PoolSpec:
    """The spec of windows with these params over an array of this shape."""
    return PoolSpec(
        op,
        np.dtype(dtype).name,
        tuple(shape),
        tuple(params["window_dimensions"]),
        tuple(params["window_strides"]),
        tuple((low, high) for low, high in params["padding"]),
        tuple(params["base_dilation"]),
        tuple(params["window_dilation"]),
    )


class Windowed(NamedTuple):
    """An axis with windows; `pitch` and `out` are its strides in the operand and the result."""

    size: int = 1
    places: int = 1
    window: int = 1
    stride: int = 1
    low: int = 0
    high: int = 0
    base: int = 1
    dilation: int = 1
    pitch: int = 0
    out: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether all windows lie within the array."""
        last = (self.places - 1) * self.stride - self.low + (self.window - 1) * self.dilation
        return self.base == 1 and self.low <= 0 and last < self.size

    @property
    def padded(self) -> int:
        """Extent with padding, unless the array is dilated."""
        return self.low + self.size + self.high if self.base == 1 else self.size

    def met(self, code: Code, place: Value) -> tuple[Value, Value, int]:
        """First element that window number `place` meets, how many, and the step between them."""
        start = code.sub(code.mul(place, self.stride), self.low)
        if self.is_plain:
            return start, self.window, self.dilation
        if self.base == 1:
            skipped = code.least(_over(code, code.sub(0, start), self.dilation), self.window)
            stop = code.least(_over(code, code.sub(self.size, start), self.dilation), self.window)
            count = code.greatest(code.sub(stop, skipped), 0)
            return code.add(start, code.mul(skipped, self.dilation)), count, self.dilation
        first = _over(code, start, self.base)
        stop = code.least(_over(code, code.add(start, self.window), self.base), self.size)
        return first, code.greatest(code.sub(stop, first), 0), 1


def _over(code: Code, value: Value, step: int) -> Value:
    """How many multiples of step, from 0 on, are less than the value."""
    return code.div(code.add(code.greatest(value, 0), step - 1), step)


class Plan(NamedTuple):
    """The array as [lead, z, y, x, channels]; elements of a lead in operand and result."""

    op: str
    dtype: str
    lead: int
    spaces: tuple[Windowed, Windowed, Windowed]
    channels: int
    plane: int
    out_plane: int


def plan_of(spec: PoolSpec) -> Plan | None:
    """The axes sorted out; None where there are too many, or dilation of both kinds in one."""
    axes: list[Windowed] = []
    for i, size in enumerate(spec.shape):
        window, stride, (low, high) = spec.window[i], spec.strides[i], spec.padding[i]
        base, dilation = spec.base_dilation[i], spec.window_dilation[i]
        if base != 1 and dilation != 1 and window != 1:
            return None
        extent = size and (size - 1) * base + 1
        places = max(0, (low + extent + high - (window - 1) * dilation - 1) // stride + 1)
        if places == 0 or size == 0:
            return None
        axes.append(Windowed(size, places, window, stride, low, high, base, dilation))
    busy = [i for i, a in enumerate(axes) if a != Windowed(a.size, a.size, dilation=a.dilation)]
    first, last = (busy[0], busy[-1] + 1) if busy else (len(axes), len(axes))
    spaces, lead = axes[first:last], axes[:first]
    channels = prod(a.size for a in axes[last:])
    if len(spaces) > 3:
        return None
    pitch, out = channels, channels
    for i in range(len(spaces) - 1, -1, -1):
        spaces[i] = spaces[i]._replace(pitch=pitch, out=out)
        pitch, out = pitch * spaces[i].size, out * spaces[i].places
    z, y, x = [Windowed(pitch=pitch, out=out)] * (3 - len(spaces)) + spaces
    count = prod(a.size for a in lead)
    return Plan(spec.op, spec.dtype, count, (z, y, x), channels, pitch, out)
