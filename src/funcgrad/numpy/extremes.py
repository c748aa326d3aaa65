"""The greatest and the least: max, min, both at once, their places and their distance."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import arithmetic
from ..primitives import reduction as ops
from ..typing import Array, ArrayLike, Axis
from .promotion import check_arraylike, refuse_out, shape_of, to_array
from .reductions import fold, keep

if TYPE_CHECKING:
    from jaxtyping import Shaped


@planned
def max(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """The greatest element over axes; NaN if any is.

    Raises:
        ValueError: no elements, or a mask, without initial.
    """
    check_arraylike("max", a)
    refuse_out("max", out)
    return fold("max", ops.reduce_max, arithmetic.max, None, a, axis, keepdims, initial, where)


@planned
def min(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """The least element over axes; NaN if any is.

    Raises:
        ValueError: no elements, or a mask, without initial.
    """
    check_arraylike("min", a)
    refuse_out("min", out)
    return fold("min", ops.reduce_min, arithmetic.min, None, a, axis, keepdims, initial, where)


amax, amin = max, min


@planned
def minmax(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""]
    | tuple[Shaped[ArrayLike, ""], Shaped[ArrayLike, ""]]
    | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> tuple[Array, Array]:
    """The least and the greatest element over axes; both NaN if any is.

    Args:
        initial: what both begin with, or a pair: what the least one does, and the greatest.
        where: elements elsewhere are left out.
    Raises:
        ValueError: no elements, or a mask, without initial.
    """
    check_arraylike("minmax", a)
    refuse_out("minmax", out)
    given: Any = initial
    low, high = given if isinstance(initial, tuple) else (given, given)
    # Told with its own name, not with those of the two folds.
    least = fold("minmax", ops.reduce_min, arithmetic.min, None, a, axis, keepdims, low, where)
    most = fold("minmax", ops.reduce_max, arithmetic.max, None, a, axis, keepdims, high, where)
    return least, most


@planned
def ptp(
    a: Shaped[ArrayLike, "..."], axis: Axis = None, out: None = None, keepdims: bool = False
) -> Array:
    """The greatest less the least element over axes."""
    check_arraylike("ptp", a)
    refuse_out("ptp", out)
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


def _index_of(
    name: str,
    op: Callable[..., Any],
    a: Any,
    axis: Any,
    out: Any,
    keepdims: bool | None,
) -> Any:
    check_arraylike(name, a)
    refuse_out(name, out)
    x = to_array(a)
    rank = x.ndim
    if axis is None:
        x, axis = x.reshape(-1), 0
        folded = tuple(range(rank))
    else:
        axis = canonical_axis(operator.index(axis), rank)
        folded = (axis,)
    if x.shape[axis] == 0:
        raise ValueError(f"attempt to get {name} of an empty sequence: shape {shape_of(a)}.")
    index_dtype = dtypes.canonicalize_dtype(np.int64)
    return keep(op(x, axis, index_dtype), folded, bool(keepdims))


@planned
def argmax(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """Index of the greatest element along an axis, or in the raveled array; first of equals.

    Raises:
        ValueError: there are no elements.
    """
    return _index_of("argmax", ops.argmax, a, axis, out, keepdims)


@planned
def argmin(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """Index of the least element along an axis, or in the raveled array; first of equals.

    Raises:
        ValueError: there are no elements.
    """
    return _index_of("argmin", ops.argmin, a, axis, out, keepdims)
