"""What operands and params of a convolution must satisfy, and the dtype that follows.

In: avals and params. Out: nothing, or an error that names both shapes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray
from .windowing import ConvDimensionNumbers


def check_ranks(lhs: ShapedArray, rhs: ShapedArray, params: dict[str, Any]) -> None:
    """Raise ValueError unless the ranks agree and every spatial param has one entry an axis."""
    problem = None
    if lhs.ndim != rhs.ndim:
        problem = "lhs and rhs must have the same number of dimensions"
    elif lhs.ndim < 2:
        problem = "operands need a batch (or output feature) and a feature axis"
    else:
        for name in ("window_strides", "padding", "lhs_dilation", "rhs_dilation"):
            if len(params[name]) != lhs.ndim - 2:
                problem = f"{name}={params[name]} must have {lhs.ndim - 2} entries"
            elif name != "padding" and any(n < 1 for n in params[name]):
                problem = f"{name}={params[name]} must be positive"
    if problem:
        raise ValueError(
            f"conv_general_dilated: {problem}; got {lhs.long()} and {rhs.long()}.\n"
            f"  {user_line()}\n  Both have two axes more than there are spatial ones."
        )


def check_groups(
    lhs: ShapedArray, rhs: ShapedArray, numbers: ConvDimensionNumbers, params: dict[str, Any]
) -> None:
    """Raise ValueError unless groups divide batch and features, and features agree."""
    groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    batch, features = (lhs.shape[a] for a in numbers.lhs_spec[:2])
    outs, ins = (rhs.shape[a] for a in numbers.rhs_spec[:2])
    problem = None
    if groups < 1 or batch_groups < 1:
        problem = "feature_group_count and batch_group_count must be positive"
    elif groups > 1 and batch_groups > 1:
        problem = "at most one of feature_group_count and batch_group_count may exceed 1"
    elif features % groups:
        problem = f"feature_group_count must divide the lhs feature extent {features}"
    elif features // groups != ins:
        problem = (
            f"the lhs feature extent {features} over feature_group_count {groups} must be the "
            f"rhs input feature extent {ins}"
        )
    elif outs % groups or outs % batch_groups:
        problem = f"the group count must divide the rhs output feature extent {outs}"
    elif batch % batch_groups:
        problem = f"batch_group_count must divide the lhs batch extent {batch}"
    if problem:
        raise ValueError(
            f"conv_general_dilated: {problem}; got {lhs.long()} and {rhs.long()}, "
            f"feature_group_count={groups}, batch_group_count={batch_groups}, {numbers}.\n"
            f"  {user_line()}\n"
            "  Say with dimension_numbers which axes are features, e.g. ('NHWC', 'HWIO', 'NHWC')."
        )


def conv_dtype(lhs: ShapedArray, rhs: ShapedArray, preferred: Any) -> Any:
    """Dtype of a convolution: the operands', or the preferred one.

    Raises:
        TypeError: the operands' dtypes differ, or the preferred one cannot hold their products.
    """
    name = "conv_general_dilated"
    given = lhs.dtype
    if given != rhs.dtype or dtypes.is_opaque(given):
        raise TypeError(
            f"lax.{name} requires arguments to have the same numeric dtypes, got {lhs.long()} "
            f"and {rhs.long()}.\n  {user_line()}\n  Convert one of them with astype."
        )
    if preferred is None or preferred == given:
        return given
    kinds = (np.signedinteger, np.unsignedinteger, np.floating, np.complexfloating)
    same = any(dtypes.issubdtype(given, k) and dtypes.issubdtype(preferred, k) for k in kinds)
    to_float = given.kind in "iu" and dtypes.issubdtype(preferred, np.floating)
    if not (same or to_float) or preferred.itemsize < given.itemsize:
        raise TypeError(
            f"{name}: preferred_element_type {preferred.name} does not hold sums of products of "
            f"{lhs.long()} and {rhs.long()}.\n  {user_line()}\n"
            "  Ask for a dtype of the same kind (or float for integers) that is not narrower."
        )
    return preferred
