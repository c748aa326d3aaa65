"""Shapes of the results of convolutions and windows, from shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ..core.sources import user_line
from .convolution import transposed_padding
from .windowing import (
    ConvDimensionNumbers,
    conv_general_permutations,
    dilated,
    padtype_to_pads,
    window_counts,
)

ConvGeneralDilatedDimensionNumbers: TypeAlias = tuple[str, str, str] | ConvDimensionNumbers | None
Shape = tuple[int, ...]


def conv_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    strides: Sequence[int],
    pads: Any,
    batch_group_count: int = 1,
) -> Shape:
    """Shape of a convolution of operands in the order of axes NCHW and OIHW.

    Args:
        pads: 'SAME', 'SAME_LOWER', 'VALID', or a pair (low, high) for each spatial axis.
        batch_group_count: into how many groups the batch is cut.
    Raises:
        TypeError: not a pair for each spatial axis.
        ValueError: negative padding cuts away more than there is.
    """
    space, window = tuple(lhs_shape[2:]), tuple(rhs_shape[2:])
    if isinstance(pads, str):
        pads = padtype_to_pads(space, window, strides, pads)
    if len(pads) != len(space):
        raise TypeError(
            f"conv_shape_tuple got {len(pads)} pairs of padding for the {len(space)} spatial axes "
            f"of {tuple(lhs_shape)}.\n  {user_line()}"
        )
    if any(n + low + high < 0 for n, (low, high) in zip(space, pads, strict=True)):
        raise ValueError(
            f"conv_shape_tuple: negative padding {list(pads)} is larger than the extents {space}.\n"
            f"  {user_line()}"
        )
    ones = (1,) * len(space)
    counts = window_counts(space, window, strides, pads, ones, ones)
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *counts)


def conv_general_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> Shape:
    """Shape of a convolution of operands in any order of axes.

    Args:
        padding: as in `conv_shape_tuple`.
        dimension_numbers: three strings, such as ('NHWC', 'HWIO', 'NHWC').
    """
    left, right, out = conv_general_permutations(dimension_numbers)
    found = conv_shape_tuple(
        [lhs_shape[i] for i in left], [rhs_shape[i] for i in right], window_strides, padding
    )
    return _inverse(found, out)


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    dimension_numbers: Any,
) -> Shape:
    """Shape of a transposed convolution.

    Args:
        padding: 'SAME' or 'VALID', that of the forward convolution; pairs are this one's.
        dimension_numbers: three strings, such as ('NHWC', 'HWIO', 'NHWC').
    """
    left, right, out = conv_general_permutations(dimension_numbers)
    batch, _, *space = (lhs_shape[i] for i in left)
    features, _, *window = (rhs_shape[i] for i in right)
    pads: Any = padding
    if isinstance(padding, str):
        pairs = zip(window, window_strides, strict=True)
        pads = [transposed_padding(k, s, padding) for k, s in pairs]
    counts = [
        (n - 1) * s - k + 2 + low + high
        for n, k, s, (low, high) in zip(space, window, window_strides, pads, strict=True)
    ]
    return _inverse((batch, features, *counts), out)


def _inverse(shape: Shape, order: Sequence[int]) -> Shape:
    """The shape whose extents, taken in this order, are the given ones."""
    return tuple(shape[i] for i in sorted(range(len(shape)), key=order.__getitem__))


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Shape:
    """How many windows fit along each axis; dilations are 1 unless given."""
    if base_dilation is not None:
        operand_shape = dilated(operand_shape, base_dilation)
    if window_dilation is not None:
        window_dimensions = dilated(window_dimensions, window_dilation)
    ones = (1,) * len(operand_shape)
    return window_counts(operand_shape, window_dimensions, window_strides, padding, ones, ones)
