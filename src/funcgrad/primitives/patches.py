"""Patches of an array, and convolution with a kernel of its own at every place.

In: an array and a window. Out: the windows' contents as features. The one idea: patches are a
convolution with unit kernels, so that all its rules apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.avals import aval_of, size_of
from .contraction import Precision, canonicalize_precision, dot_general
from .convolution import conv_general_dilated
from .windowing import conv_dimension_numbers


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The contents of every window of an array, as the features at its place.

    Args:
        lhs: numbers: a batch axis, a feature axis of c, n spatial ones.
        filter_shape: n extents of the window, in the order of the kernel's dimension numbers.
        precision: one `Precision` or its name, that of lhs.
        window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers,
            preferred_element_type: as in `conv_general_dilated`.
    Returns:
        An array with c * product(filter_shape) features: for each feature of lhs its window, row
        by row.
    Raises:
        ValueError, TypeError: as in `conv_general_dilated`.
    """
    aval = aval_of(lhs)
    window = tuple(filter_shape)
    numbers = conv_dimension_numbers(aval.shape, (1, 1, *window), dimension_numbers)
    size, features = size_of(window), aval.shape[numbers.lhs_spec[1]]
    unit = np.tile(np.eye(size, dtype=bool).astype(aval.dtype), (features, 1))
    kernel = np.moveaxis(unit.reshape(features * size, 1, *window), (0, 1), numbers.rhs_spec[:2])
    pair = None if precision is None else (precision, Precision.DEFAULT)
    return conv_general_dilated(
        lhs,
        kernel,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers,
        feature_group_count=features,
        precision=pair,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Any:
    """Correlation with another kernel at every place of the output.

    Args:
        lhs: numbers: a batch axis, a feature axis of c, n spatial ones.
        rhs: kernels: output features, c * product(filter_shape) input features, and the spatial
            extents of the output.
        window_strides, padding, filter_shape, lhs_dilation, rhs_dilation, dimension_numbers: as
            in `conv_general_dilated_patches`.
        precision: as in `dot_general`.
    Returns:
        An array of the output's dimension numbers.
    Raises:
        ValueError, TypeError: as in `conv_general_dilated` and `dot_general`.
    """
    from .movement import transpose

    pair = canonicalize_precision(precision)
    patches = conv_general_dilated_patches(
        lhs,
        filter_shape,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        dimension_numbers,
        None if pair is None else pair[0],
    )
    shape = (1, 1, *filter_shape)
    _, rhs_spec, out_spec = conv_dimension_numbers(aval_of(lhs).shape, shape, dimension_numbers)
    # Batched over places in the output's order: [*places, batch, output features] comes out.
    order = sorted(range(len(filter_shape)), key=lambda i: out_spec[2 + i])
    places = tuple(out_spec[2 + i] for i in order), tuple(rhs_spec[2 + i] for i in order)
    out = dot_general(patches, rhs, (((out_spec[1],), (rhs_spec[1],)), places), precision)
    axes = (*places[0], out_spec[0], out_spec[1])
    return transpose(out, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
