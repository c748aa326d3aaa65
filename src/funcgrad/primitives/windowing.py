"""Windows over an array: their padding, dilation, number and axes, for convolution and pooling.

In: shapes and static specifications. Out: canonical ones, and NumPy views of the windows.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.sources import user_line

Pads = tuple[tuple[int, int], ...]


class ConvDimensionNumbers(NamedTuple):
    """Which axes of a convolution are which.

    Attributes:
        lhs_spec: axes of the array: batch, feature, then spatial ones.
        rhs_spec: axes of the kernel: output feature, input feature, then spatial ones.
        out_spec: axes of the output: batch, feature, then spatial ones.
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


class PaddingType(enum.Enum):
    """Names of padding: none, or as much as gives ceil(extent / stride) windows."""

    VALID = 1
    SAME = 2
    SAME_LOWER = 3


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | PaddingType,
) -> list[tuple[int, int]]:
    """The pairs (low, high) that a named padding stands for.

    Args:
        in_shape: extents of the array.
        window_shape: extents of the window, dilation included.
        window_strides: steps between windows.
        padding: 'VALID', 'SAME' (odd rest at the end) or 'SAME_LOWER' (odd rest at the start).
    Raises:
        RuntimeError: no padding has that name.
        TypeError: not a name.
    """
    if isinstance(padding, str):
        found = PaddingType.__members__.get(padding.upper())
        if found is None:
            raise RuntimeError(
                f"Unrecognized padding type: got {padding!r}.\n  {user_line()}\n"
                "  Give 'VALID', 'SAME', 'SAME_LOWER', or pairs (low, high)."
            )
        padding = found
    if not isinstance(padding, PaddingType):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"padding must be a string or a PaddingType, got {padding!r}.\n  {user_line()}\n"
            "  Give 'VALID', 'SAME' or 'SAME_LOWER'."
        )
    if padding is PaddingType.VALID:
        return [(0, 0)] * len(in_shape)
    pads: list[tuple[int, int]] = []
    for extent, window, stride in zip(in_shape, window_shape, window_strides, strict=True):
        count = -(-extent // stride)
        total = max((count - 1) * stride + window - extent, 0)
        less = total // 2
        pads.append((less, total - less) if padding is PaddingType.SAME else (total - less, less))
    return pads


def dilated(shape: Sequence[int], steps: Sequence[int]) -> list[int]:
    """Extents after steps - 1 places are put between neighbours."""
    return [n if n == 0 else (n - 1) * s + 1 for n, s in zip(shape, steps, strict=True)]


def window_counts(
    shape: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> tuple[int, ...]:
    """How many windows fit along each axis."""
    counts: list[int] = []
    extents, windows = dilated(shape, base_dilation), dilated(window, window_dilation)
    for extent, size, stride, (low, high) in zip(extents, windows, strides, padding, strict=True):
        counts.append(max(0, (low + extent + high - size) // stride + 1))
    return tuple(counts)


def pad_numpy(
    x: Any, value: Any, padding: Sequence[tuple[int, int]], dilation: Sequence[int]
) -> Any:
    """The NumPy array padded (or cut, where negative), with `value` between and around."""
    from .slicing import pad_p

    if all(p == (0, 0) for p in padding) and all(d == 1 for d in dilation):
        return x
    config = [(low, high, d - 1) for (low, high), d in zip(padding, dilation, strict=True)]
    # An axis cut away more than whole leaves nothing: there is no window either.
    extents = dilated(x.shape, dilation)
    config = [
        (max(low, -n - max(high, 0)), max(high, -n - max(low, -n)), inner)
        for n, (low, high, inner) in zip(extents, config, strict=True)
    ]
    return pad_p.impl(x, np.asarray(value).astype(x.dtype), padding_config=tuple(config))


def window_view(
    x: Any,
    first: int,
    window: Sequence[int],
    counts: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Any:
    """All windows of a NumPy array as a view, over the axes from `first` on.

    Returns:
        The leading axes, one axis of `counts` for each axis windowed, one of `window` each, and
        the axes that are left.
    """
    rank = len(window)
    lead, steps, rest = (
        x.strides[:first],
        x.strides[first : first + rank],
        x.strides[first + rank :],
    )
    shape = (*x.shape[:first], *counts, *window, *x.shape[first + rank :])
    outer = [n * s for n, s in zip(steps, strides, strict=True)]
    inner = [n * d for n, d in zip(steps, dilation, strict=True)]
    return np.lib.stride_tricks.as_strided(
        x, shape, (*lead, *outer, *inner, *rest), writeable=False
    )


# Names of the axes of a convolution.


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """Dimension numbers in canonical form.

    Args:
        lhs_shape, rhs_shape: shapes of array and kernel.
        dimension_numbers: None for batch, feature, spatial axes in this order; three strings
            such as ('NHWC', 'HWIO', 'NHWC'); or `ConvDimensionNumbers`.
    Raises:
        TypeError: ranks differ, or the strings do not name the axes.
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    shapes = f"lhs shape {tuple(lhs_shape)} and rhs shape {tuple(rhs_shape)}"
    tail = f"\n  {user_line()}\n  Give e.g. ('NHWC', 'HWIO', 'NHWC'), one letter an axis."
    if len(lhs_shape) != len(rhs_shape):
        raise TypeError(
            f"convolution requires lhs and rhs of one rank, got {shapes}.\n  {user_line()}\n"
            "  Add axes of size 1 to the smaller one."
        )
    if dimension_numbers is None:
        every = tuple(range(len(lhs_shape)))
        return ConvDimensionNumbers(every, every, every)
    if not isinstance(dimension_numbers, (tuple, list)):
        raise TypeError(
            "convolution dimension_numbers must be a tuple, list or None, got "
            f"{type(dimension_numbers).__name__}.{tail}"
        )
    specs: list[Any] = list(dimension_numbers)  # pyright: ignore[reportUnknownArgumentType]
    if len(specs) != 3 or not all(isinstance(s, str) for s in specs):
        raise TypeError(f"convolution dimension_numbers must be 3 strings, got {specs}.{tail}")
    if any(len(s) != len(lhs_shape) for s in specs):
        raise TypeError(
            f"convolution dimension_numbers {tuple(specs)} must have {len(lhs_shape)} letters "
            f"each for {shapes}.{tail}"
        )
    return ConvDimensionNumbers(*conv_general_permutations(specs))


def conv_general_permutations(
    dimension_numbers: Sequence[str],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """For each of three strings: its batch (or output) axis, feature axis, and spatial axes.

    Spatial axes come in the order of the kernel's string.

    Raises:
        TypeError: a letter is missing or repeated, or spatial letters differ.
    """
    specs = tuple(dimension_numbers)
    pairs = ("NC", "OI", "NC")
    tail = f"\n  {user_line()}\n  Give e.g. ('NHWC', 'HWIO', 'NHWC'), one letter an axis."
    for i, (spec, pair) in enumerate(zip(specs, pairs, strict=True)):
        if any(spec.count(letter) != 1 for letter in pair):
            raise TypeError(
                f"convolution dimension_numbers[{i}] must contain the letters {pair[0]!r} and "
                f"{pair[1]!r} exactly once, got {spec!r}.{tail}"
            )
        if len(set(spec)) != len(spec):
            raise TypeError(
                f"convolution dimension_numbers[{i}] cannot have duplicate letters, got "
                f"{spec!r}.{tail}"
            )
    spatial = [set(spec) - set(pair) for spec, pair in zip(specs, pairs, strict=True)]
    if not spatial[0] == spatial[1] == spatial[2]:
        raise TypeError(
            "convolution dimension_numbers must each have the same set of spatial letters, got "
            f"{specs}.{tail}"
        )
    order = [letter for letter in specs[1] if letter not in pairs[1]]
    lhs, rhs, out = (
        tuple(spec.index(letter) for letter in (*pair, *order))
        for spec, pair in zip(specs, pairs, strict=True)
    )
    return lhs, rhs, out
