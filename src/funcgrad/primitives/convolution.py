"""Convolution: one kernel applied at every place of an array, with strides, dilation and groups.

In: an array and a kernel with any order of axes. Out: their correlation. The one idea: both
derivatives and every batch of convolutions are convolutions again, with axes exchanged, padding
adjusted and batches folded into groups. How it is computed is in `im2col.py`; names of axes and
padding are in `windowing.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.zeros import UndefinedPrimal, Zero
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of
from ..ir.loops import Library, Lowered, Operand
from .contraction import canonicalize_precision
from .conv_batching import batch_conv, merge_axis, split_axis
from .conv_checks import check_groups, check_ranks, conv_dtype
from .im2col import correlate
from .kinds import draw, integers, reals
from .lowered_windows import convolved
from .product_dtypes import work_dtype
from .windowing import (
    ConvDimensionNumbers,
    Pads,
    conv_dimension_numbers,
    dilated,
    padtype_to_pads,
    window_counts,
)


class ConvGeneralDilated(Primitive):
    """Correlation of an array with a kernel.

    out[n, o, y] = sum over c, k of lhs[n, c, y * stride + k * rhs_dilation - low] * rhs[o, c, k],
    where lhs has lhs_dilation - 1 zeros between its elements and zeros outside.
    """

    name = "conv_general_dilated"
    linear = "each"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        lhs, rhs = avals
        numbers: ConvDimensionNumbers = params["dimension_numbers"]
        check_ranks(lhs, rhs, params)
        check_groups(lhs, rhs, numbers, params)
        dtype = conv_dtype(lhs, rhs, params["preferred_element_type"])
        counts = spatial_shape(lhs.shape, rhs.shape, params)
        batch = lhs.shape[numbers.lhs_spec[0]] // params["batch_group_count"]
        ordered = (batch, rhs.shape[numbers.rhs_spec[0]], *counts)
        shape = [0] * lhs.ndim
        for axis, extent in zip(numbers.out_spec, ordered, strict=True):
            shape[axis] = extent
        return ShapedArray(tuple(shape), dtype, lhs.weak_type and rhs.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        lhs, rhs = arrays
        preferred = params["preferred_element_type"]
        dtype = lhs.dtype if preferred is None else preferred
        work = work_dtype(dtype, lhs.dtype, rhs.dtype)
        numbers: ConvDimensionNumbers = params["dimension_numbers"]
        lhs_spec, rhs_spec, out_spec = numbers
        groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
        images = lhs.astype(work, copy=False).transpose(lhs_spec[0], *lhs_spec[2:], lhs_spec[1])
        kernel = rhs.astype(work, copy=False).transpose(*rhs_spec[2:], rhs_spec[1], rhs_spec[0])
        if batch_groups > 1:
            # Groups of the batch see different kernels: they become groups of features.
            images = images.reshape(batch_groups, -1 if lhs.size else 0, *images.shape[1:])
            images = np.moveaxis(images, 0, -2)
            images = images.reshape(*images.shape[:-2], batch_groups * images.shape[-1])
            groups = batch_groups
        out = correlate(
            images,
            kernel,
            strides=params["window_strides"],
            padding=params["padding"],
            lhs_dilation=params["lhs_dilation"],
            rhs_dilation=params["rhs_dilation"],
            groups=groups,
        )
        order = [0, out.ndim - 1, *range(1, out.ndim - 1)]
        into = sorted(range(out.ndim), key=out_spec.__getitem__)
        return out.transpose([order[i] for i in into]).astype(dtype, copy=False)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        lhs, rhs = args
        if isinstance(lhs, UndefinedPrimal):
            return [transpose_lhs(ct, lhs.aval, rhs, **params), None]
        return [None, transpose_rhs(ct, lhs, rhs.aval, **params)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        return batch_conv(self, axis.size, args, dims, params)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        lhs, rhs = operands
        work = work_dtype(outs[0].dtype, lhs.dtype, rhs.dtype)
        if work.kind == "b":
            return None
        return Library("convolution", params, convolved(lhs, rhs, outs[0], work, params))

    def examples(self) -> Iterator[Example]:
        for lhs, rhs, changes in conv_cases:
            args = draw(reals(-1.0, 1.0), lhs, 1), draw(reals(-1.0, 1.0), rhs, 2)
            yield Example(args, conv_params(len(lhs) - 2, **changes))
        args = draw(integers(-9, 9), (2, 2, 5), 3), draw(integers(-9, 9), (3, 2, 2), 4)
        yield Example(args, conv_params(1))
        small = tuple(x.astype(np.float32) for x in args)
        wide = conv_params(1, preferred_element_type=np.dtype(np.float64))
        yield Example(small, wide, differentiable=())


conv_general_dilated_p = ConvGeneralDilated()


def conv_params(rank: int, **changes: Any) -> dict[str, Any]:
    """Params of a plain convolution over `rank` spatial axes, with some of them changed."""
    every = tuple(range(rank + 2))
    return {
        "window_strides": (1,) * rank,
        "padding": ((0, 0),) * rank,
        "lhs_dilation": (1,) * rank,
        "rhs_dilation": (1,) * rank,
        "dimension_numbers": ConvDimensionNumbers(every, every, every),
        "feature_group_count": 1,
        "batch_group_count": 1,
        "precision": None,
        "preferred_element_type": None,
        **changes,
    }


_nhwc = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
conv_cases: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 6, 5), (4, 3, 3, 2), {"padding": ((1, 0), (2, 1)), "window_strides": (2, 1)}),
    ((2, 5, 6, 2), (2, 3, 2, 4), {"dimension_numbers": _nhwc}),
    ((1, 2, 3, 2), (1, 1, 2, 3), {"dimension_numbers": _nhwc}),
    ((2, 4, 7), (6, 2, 3), {"feature_group_count": 2, "rhs_dilation": (2,)}),
    ((1, 3, 6), (6, 1, 2), {"feature_group_count": 3}),
    ((4, 2, 5), (6, 2, 2), {"batch_group_count": 2, "lhs_dilation": (2,)}),
    ((1, 2, 7), (3, 2, 2), {"padding": ((-1, 2),), "window_strides": (3,)}),
    ((2, 1, 3), (2, 1, 2), {"lhs_dilation": (3,), "padding": ((2, -2),)}),
    ((2, 3), (4, 3), {}),
    ((2, 0, 4), (3, 0, 2), {}),
    ((1, 1, 2), (1, 1, 3), {}),
]


def spatial_shape(
    lhs: Sequence[int], rhs: Sequence[int], params: dict[str, Any]
) -> tuple[int, ...]:
    """Spatial extents of the output."""
    numbers: ConvDimensionNumbers = params["dimension_numbers"]
    return window_counts(
        [lhs[a] for a in numbers.lhs_spec[2:]],
        [rhs[a] for a in numbers.rhs_spec[2:]],
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
    )


# Transposition. Leaving space aside, with m = batch, j = input and k = output features: forward
# is [m, j] [j, k] -> [m, k], so lhs gets [m, k] [k, j] and rhs gets [j, m] [m, k].


def swapped(spec: tuple[int, ...]) -> tuple[int, ...]:
    """The spec with its first two axes exchanged."""
    return (spec[1], spec[0], *spec[2:])


def _extents(shape: Sequence[int], spec: tuple[int, ...]) -> list[int]:
    return [shape[a] for a in spec[2:]]


def transpose_lhs(ct: Any, aval: ShapedArray, rhs: Any, **params: Any) -> Any:
    """Cotangent of lhs: the output's, dilated by the strides, with the kernel reversed."""
    from .casting import convert_element_type
    from .movement import rev

    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    before = dilated(_extents(aval.shape, lhs_spec), params["lhs_dilation"])
    kernel = dilated(_extents(aval_of(rhs).shape, rhs_spec), params["rhs_dilation"])
    after = dilated(_extents(aval_of(ct).shape, out_spec), params["window_strides"])
    padding = tuple(
        (k - low - 1, x + k - 1 - y - (k - low - 1))
        for x, k, y, (low, _) in zip(before, kernel, after, params["padding"], strict=True)
    )
    count = max(groups, batch_groups)
    if count > 1:
        # A group's outputs are now its inputs: move the group from output to input features.
        rhs = split_axis(rhs, rhs_spec[0], count)
        rhs = merge_axis(rhs, rhs_spec[0], rhs_spec[1])
    kernel_back = rev(rhs, rhs_spec[2:])
    dtype = aval_of(ct).dtype
    if aval_of(kernel_back).dtype != dtype:
        kernel_back = convert_element_type(kernel_back, dtype)
    out = conv_general_dilated_p.bind(
        ct,
        kernel_back,
        window_strides=params["lhs_dilation"],
        padding=padding,
        lhs_dilation=params["window_strides"],
        rhs_dilation=params["rhs_dilation"],
        dimension_numbers=ConvDimensionNumbers(out_spec, swapped(rhs_spec), lhs_spec),
        feature_group_count=count,
        batch_group_count=1,
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )
    if aval_of(out).dtype != aval.dtype:
        out = convert_element_type(out, aval.dtype)
    if batch_groups > 1:
        out = merge_axis(split_axis(out, lhs_spec[1], batch_groups), lhs_spec[1], lhs_spec[0])
    return out


def transpose_rhs(ct: Any, lhs: Any, aval: ShapedArray, **params: Any) -> Any:
    """Cotangent of rhs: lhs correlated with the output's cotangent, strides and dilation swapped.

    Groups of features become groups of the batch, and the other way round.
    """
    from .casting import convert_element_type

    if aval_of(ct).size == 0:
        return Zero(aval)
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    before = dilated(_extents(aval_of(lhs).shape, lhs_spec), params["lhs_dilation"])
    kernel = dilated(_extents(aval.shape, rhs_spec), params["rhs_dilation"])
    after = dilated(_extents(aval_of(ct).shape, out_spec), params["window_strides"])
    padding = tuple(
        (low, y - x + k - low - 1)
        for x, k, y, (low, _) in zip(before, kernel, after, params["padding"], strict=True)
    )
    dtype = aval_of(ct).dtype
    if aval_of(lhs).dtype != dtype:
        lhs = convert_element_type(lhs, dtype)
    out = conv_general_dilated_p.bind(
        lhs,
        ct,
        window_strides=params["rhs_dilation"],
        padding=padding,
        lhs_dilation=params["lhs_dilation"],
        rhs_dilation=params["window_strides"],
        dimension_numbers=ConvDimensionNumbers(
            swapped(lhs_spec), swapped(out_spec), swapped(rhs_spec)
        ),
        feature_group_count=params["batch_group_count"],
        batch_group_count=params["feature_group_count"],
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )
    return out if aval_of(out).dtype == aval.dtype else convert_element_type(out, aval.dtype)


# User functions.


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Correlation of lhs with the kernel rhs over n spatial axes.

    Args:
        lhs: numbers of rank n + 2: a batch axis, a feature axis, n spatial ones.
        rhs: kernel of the same dtype and rank: output features, input features, n spatial axes.
        window_strides: n steps between windows.
        padding: 'SAME', 'SAME_LOWER', 'VALID', or n pairs (low, high); negative ones cut away.
        lhs_dilation: n steps between elements of lhs, zeros lie between; None is 1.
        rhs_dilation: n steps between elements of the kernel; None is 1.
        dimension_numbers: None for ('NCHW', 'OIHW', 'NCHW'), three such strings, or
            `ConvDimensionNumbers`. Spatial params follow the order in the kernel's string.
        feature_group_count: features are cut into so many groups, convolved apart.
        batch_group_count: the batch is cut into so many groups, each with its output features.
        precision, preferred_element_type: as in `dot_general`.
    Raises:
        ValueError: ranks, groups or extents that do not fit.
        TypeError: dtypes that differ, or dimension numbers that are not understood.
    """
    left, right = aval_of(lhs), aval_of(rhs)
    numbers = conv_dimension_numbers(left.shape, right.shape, dimension_numbers)
    ones = (1,) * (left.ndim - 2)
    lhs_steps = ones if lhs_dilation is None else tuple(map(operator.index, lhs_dilation))
    rhs_steps = ones if rhs_dilation is None else tuple(map(operator.index, rhs_dilation))
    strides = tuple(map(operator.index, window_strides))
    if isinstance(padding, str):
        check_named_padding(padding, lhs_steps)
        kernel = dilated(_extents(right.shape, numbers.rhs_spec), rhs_steps)
        pads = padtype_to_pads(_extents(left.shape, numbers.lhs_spec), kernel, strides, padding)
    else:
        pads = explicit_padding(padding)
    return conv_general_dilated_p.bind(
        lhs,
        rhs,
        window_strides=strides,
        padding=tuple(pads),
        lhs_dilation=lhs_steps,
        rhs_dilation=rhs_steps,
        dimension_numbers=numbers,
        feature_group_count=operator.index(feature_group_count),
        batch_group_count=operator.index(batch_group_count),
        precision=canonicalize_precision(precision),
        preferred_element_type=checked_element_type(preferred_element_type),
    )


def checked_element_type(dtype: Any) -> Any:
    """The canonical dtype; None stays None."""
    return dtype and dtypes.check_user_dtype_supported(dtype, "conv_general_dilated")


def check_named_padding(padding: str, lhs_dilation: Sequence[int]) -> None:
    """Raise ValueError where a name of padding has no meaning: on a dilated array."""
    if any(n != 1 for n in lhs_dilation):
        raise ValueError(
            f"conv_general_dilated got padding {padding!r} with lhs_dilation {lhs_dilation}: a "
            f"named padding has no meaning there.\n  {user_line()}\n"
            "  Give pairs (low, high), or use conv_transpose."
        )


def explicit_padding(padding: Any) -> Pads:
    """Pairs of ints from a sequence of pairs.

    Raises:
        ValueError: it is not one.
    """
    try:
        return tuple((operator.index(low), operator.index(high)) for low, high in padding)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"padding should be a string or a sequence of (low, high) pairs, got {padding!r}.\n"
            f"  {user_line()}\n  Give one pair for each spatial axis."
        ) from error


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Correlation with a kernel, axes in the order NCHW and OIHW; see `conv_general_dilated`."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Correlation with dilation, axes in the order NCHW and OIHW; see `conv_general_dilated`."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


_layouts = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Convolution with fractional strides: lhs dilated by `strides`, then correlated.

    Args:
        lhs, rhs, rhs_dilation, precision, preferred_element_type: as in `conv_general_dilated`.
        strides: the stride of the forward convolution along each spatial axis.
        padding: 'SAME' or 'VALID', the padding of the forward convolution; pairs are the padding
            of this one, or of the forward one with `use_consistent_padding`.
        dimension_numbers: None for features last, ('NHWC', 'HWIO', 'NHWC').
        transpose_kernel: reverse the kernel and exchange its features, so that this is the
            gradient of the forward convolution with the same kernel.
    Raises:
        ValueError: no default order of axes for this rank, or the padding is not understood.
    """
    left, right = aval_of(lhs), aval_of(rhs)
    if dimension_numbers is None:
        if left.ndim not in _layouts:
            raise ValueError(
                f"conv_transpose has no default dimension_numbers for {left.long()}.\n"
                f"  {user_line()}\n  Give dimension_numbers."
            )
        dimension_numbers = _layouts[left.ndim]
    numbers = conv_dimension_numbers(left.shape, right.shape, dimension_numbers)
    steps = (1,) * (left.ndim - 2) if rhs_dilation is None else tuple(rhs_dilation)
    pads: Any = padding
    if use_consistent_padding or (isinstance(padding, str) and padding in ("SAME", "VALID")):
        extents = dilated(_extents(right.shape, numbers.rhs_spec), steps)
        each: Sequence[Any] = [padding] * len(extents) if isinstance(padding, str) else padding
        pads = [transposed_padding(k, s, p) for k, s, p in zip(extents, strides, each, strict=True)]
    if transpose_kernel:
        from .movement import rev, transpose

        axes = list(range(right.ndim))
        outs, ins = numbers.rhs_spec[:2]
        axes[outs], axes[ins] = ins, outs
        rhs = transpose(rev(rhs, numbers.rhs_spec[2:]), axes)
    return conv_general_dilated(
        lhs,
        rhs,
        (1,) * (left.ndim - 2),
        pads,
        strides,
        steps,
        numbers,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def transposed_padding(window: int, stride: int, padding: Any) -> tuple[int, int]:
    """Padding of the transposed convolution, given that of the forward one, along one axis.

    Raises:
        ValueError: not 'SAME', 'VALID' or a pair.
    """
    if padding == "SAME":
        total = window + stride - 2
        low = window - 1 if stride > window - 1 else -(-total // 2)
    elif padding == "VALID":
        total = window + stride - 2 + max(window - stride, 0)
        low = window - 1
    elif isinstance(padding, (tuple, list)):
        ((before, after),) = explicit_padding([padding])
        return window - before - 1, window - after - 1
    else:
        raise ValueError(
            f"conv_transpose got padding {padding!r}.\n  {user_line()}\n"
            "  Give 'SAME', 'VALID', or pairs (low, high)."
        )
    return low, total - low
