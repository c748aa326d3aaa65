"""Dtypes of sums of products: of the result, and of what is added up.

In: the dtypes of two operands, and the one that is asked for. Out: dtypes. The one idea: of two
dtypes the one that has room for the other's exponents, digits and sign is the wider.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray
from .reduction import accumulator


def product_dtype(name: str, lhs: ShapedArray, rhs: ShapedArray, preferred: Any) -> Any:
    """Dtype of a sum of products: the wider of the two, or the preferred one.

    Raises:
        TypeError: neither dtype is the wider one, or the preferred one is narrower than an
            integer or complex result.
    """
    ranks = _width(lhs.dtype), _width(rhs.dtype)
    if lhs.dtype != rhs.dtype and (None in ranks or ranks[0] == ranks[1]):
        raise TypeError(
            f"{name} got dtypes that do not combine: {lhs.long()} and {rhs.long()}.\n"
            f"  {user_line()}\n  Convert one of them with astype."
        )
    if ranks[0] is None:
        raise TypeError(
            f"{name} does not accept dtype {dtypes.short_name(lhs.dtype)}: it takes numbers and "
            f"booleans.\n  {user_line()}"
        )
    wider = lhs.dtype if ranks[1] is None or ranks[0] >= ranks[1] else rhs.dtype
    if preferred is None or preferred == wider:
        return wider
    real = dtypes.issubdtype(wider, np.floating)
    if not real and preferred.itemsize < wider.itemsize:
        raise TypeError(
            f"{name}: preferred_element_type {preferred.name} must not be narrower than the "
            f"result dtype {wider.name} of {lhs.long()} and {rhs.long()}.\n  {user_line()}\n"
            "  Ask for a wider dtype, and convert the result with astype."
        )
    return preferred


@functools.cache
def _width(dtype: np.dtype[Any]) -> tuple[Any, ...] | None:
    """What orders dtypes by width: complex, then exponent, then mantissa, then bits, then sign."""
    kind = dtypes.kind_of(dtype)
    if kind in "biu":
        bits = dtypes.itemsize_bits(dtype) if kind != "b" else 0
        return (False, -1, -1, bits, kind != "u")
    if not dtypes.issubdtype(dtype, np.inexact):
        return None
    info = dtypes.finfo(dtypes.to_floating_dtype(dtype))
    return (dtype.kind == "c", int(info.maxexp), int(info.nmant), int(info.bits), True)


@functools.cache
def work_dtype(out: np.dtype[Any], *operands: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype products are formed and added in."""
    if out.kind in "biu":
        return out
    inexact = [accumulator(d) for d in (out, *operands) if d.kind not in "biu"]
    return np.result_type(*inexact)
