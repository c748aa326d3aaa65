"""Reductions: sums, products, means, truth over axes; extrema are in `extremes`.

In: an array, the axes to fold (all by default). Out: an array without those axes, or with size 1
there (`keepdims`). The one idea: `where` replaces what is left out by the identity of the fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import reduction as ops
from ..primitives.broadcasting import expand_dims
from ..typing import Array, ArrayLike, Axis, DTypeLike
from .promotion import (
    check_arraylike,
    convert,
    dtype_of,
    is_sequence,
    promote_dtypes_inexact,
    refuse_key,
    requested_dtype,
    shape_of,
    strong,
    to_array,
)
from .promotion import refuse_out as refuse_out
from .selection import as_mask
from .selection import where as choose_where

if TYPE_CHECKING:
    from jaxtyping import Shaped


def canonical_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes from the front, in ascending order; all of them for None.

    Raises:
        ValueError: an axis is out of range or named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    if is_sequence(axis):
        axes = tuple(sorted(canonical_axis(a, ndim) for a in axis))
        if len(set(axes)) != len(axes):
            raise ValueError(f"duplicate value in 'axis': {axis}. Name each axis once.")
        return axes
    return (canonical_axis(axis, ndim),)


def keep(result: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The result with the folded axes put back in size 1 when asked for."""
    return expand_dims(result, axes) if keepdims and axes else result


def fold(
    name: str,
    op: Callable[[Any, Any], Any],
    combine: Callable[[Any, Any], Any],
    identity: Any,
    a: Any,
    axis: Any,
    keepdims: bool,
    initial: Any,
    mask: Any,
) -> Any:
    """One fold; `identity` is None where an empty fold has no value of its own."""
    a = strong(a)
    axes = canonical_axes(axis, len(a.shape))
    start = identity
    if identity is None:
        if mask is not None and initial is None:
            raise ValueError(
                f"reduction operation {name} does not have an identity, so to use a where mask "
                "one has to specify initial."
            )
        start = initial
        if initial is None and math.prod(shape_of(a)[i] for i in axes) == 0:
            raise ValueError(
                f"zero-size array to reduction operation {name} which has no identity: got "
                f"shape {shape_of(a)}, axis {axis}.\n  {user_line()}\n  Give initial."
            )
    if mask is not None:
        check_arraylike(name, mask)
        a = choose_where(as_mask(mask), a, convert(start, dtype_of(a)))
        axes = canonical_axes(axis, len(shape_of(a)))
    result = op(a, axes)
    if initial is not None:
        check_arraylike(name, initial)
        result = combine(convert(initial, dtype_of(result)), result)
    return keep(result, axes, keepdims)


def sum_dtype(x: Any, promote_integers: bool = True) -> np.dtype[Any]:
    """The dtype of sums and products: small integers and booleans go to the default integer."""
    dtype = dtype_of(x)
    kind = dtypes.kind_of(dtype)
    if not promote_integers or kind not in "biu":
        return dtype
    default = dtypes.canonicalize_dtype(np.uint64 if kind == "u" else np.int64)
    return dtype if kind != "b" and dtype.itemsize > default.itemsize else default


@planned
def sum(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
    promote_integers: bool = True,
) -> Array:
    """Sum over axes.

    Args:
        axis: one axis, several, or None for all.
        dtype: dtype of the sum; by default that of `a`, small integers becoming the default one.
        initial: added to the result.
        where: mask of the elements to count.
    """
    from ..primitives import arithmetic, bits

    check_arraylike("sum", a)
    refuse_out("sum", out)
    wanted = requested_dtype(dtype, "sum")
    x = _in_dtype(a, sum_dtype(a, promote_integers) if wanted is None else wanted)
    if dtype_of(x).kind == "b":
        return fold("sum", ops.reduce_or, bits.or_, False, x, axis, keepdims, initial, where)
    return fold("sum", ops.reduce_sum, arithmetic.add, 0, x, axis, keepdims, initial, where)


def _in_dtype(a: Any, dtype: np.dtype[Any]) -> Any:
    return convert(to_array(a), dtype)


@planned
def prod(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    keepdims: bool = False,
    initial: Shaped[ArrayLike, ""] | None = None,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
    promote_integers: bool = True,
) -> Array:
    """Product over axes; arguments as in `sum`."""
    from ..primitives import arithmetic, bits

    check_arraylike("prod", a)
    refuse_out("prod", out)
    wanted = requested_dtype(dtype, "prod")
    x = _in_dtype(a, sum_dtype(a, promote_integers) if wanted is None else wanted)
    if dtype_of(x).kind == "b":
        return fold("prod", ops.reduce_and, bits.and_, True, x, axis, keepdims, initial, where)
    return fold("prod", ops.reduce_prod, arithmetic.mul, 1, x, axis, keepdims, initial, where)


@planned
def all(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Whether all elements over axes are true; what is not zero is."""
    from ..primitives import bits

    check_arraylike("all", a)
    refuse_out("all", out)
    x = as_mask(a)
    return fold("all", ops.reduce_and, bits.and_, True, x, axis, keepdims, None, where)


@planned
def any(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Whether any element over axes is true; what is not zero is."""
    from ..primitives import bits

    check_arraylike("any", a)
    refuse_out("any", out)
    x = as_mask(a)
    return fold("any", ops.reduce_or, bits.or_, False, x, axis, keepdims, None, where)


def _count(x: Any, axis: Any, mask: Any) -> Any:
    """How many elements a fold takes: a Python int, or an array where a mask decides."""
    shape = shape_of(x)
    if mask is None:
        return math.prod(shape[i] for i in canonical_axes(axis, len(shape)))
    from ..primitives.broadcasting import broadcast_to

    return broadcast_to(as_mask(mask), shape)


@planned
def mean(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
) -> Array:
    """Arithmetic mean over axes, in a float dtype; arguments as in `sum`."""
    from ..primitives import arithmetic

    check_arraylike("mean", a)
    refuse_out("mean", out)
    wanted = requested_dtype(dtype, "mean")
    target = dtypes.to_inexact_dtype(dtype_of(a)) if wanted is None else wanted
    x = _in_dtype(a, target)
    count = _count(x, axis, where)
    if where is not None:
        count = sum(count, axis, dtype=target, keepdims=keepdims)
    total = sum(x, axis, dtype=target, keepdims=keepdims, where=where)
    if target.kind in "biu":  # asked for: the quotient is cut off
        return arithmetic.div(total, convert(count, target))
    return total / (float(count) if where is None else count)


@planned
def var(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
    mean: Shaped[ArrayLike, "*#shape"] | None = None,
    correction: int | float | None = None,
) -> Array:
    """Variance over axes: the sum of |x - mean|², divided by the count less ddof.

    Args:
        mean: the mean, if it is known, with the folded axes kept in size 1.
        correction: another name of ddof.
    Returns:
        Real values; NaN where the count does not exceed ddof.
    Raises:
        ValueError: both ddof and correction are given, or a real dtype for complex values.
    """
    check_arraylike("var", a)
    refuse_out("var", out)
    if correction is not None:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously. Give one.")
        ddof = correction  # pyright: ignore[reportAssignmentType]
    wanted = requested_dtype(dtype, "var")
    target = dtypes.to_inexact_dtype(dtype_of(a)) if wanted is None else wanted
    if dtype_of(a).kind == "c" and target.kind != "c":
        raise ValueError(
            f"var of complex values is not defined in the real dtype {target.name}.\n"
            f"  {user_line()}\n  Leave dtype out, or give a complex one."
        )
    x = _in_dtype(a, target)
    if mean is None and where is None and target.kind not in "biuc":
        from .spread import squares_about_mean

        axes = canonical_axes(axis, len(shape_of(x)))
        divisor = float(_count(x, axes, None) - ddof)
        return squares_about_mean(x, axes, keepdims) / (divisor if divisor > 0 else float("nan"))
    centre = _mean(x, axis, keepdims=True, where=where) if mean is None else to_array(mean)
    centred = x - centre
    squares = _squared_modulus(centred)
    count = _count(squares, axis, where)
    if where is not None:
        count = sum(count, axis, dtype=dtype_of(squares), keepdims=keepdims)
        total = sum(squares, axis, keepdims=keepdims, where=where)
        result = choose_where(count > ddof, total / (count - ddof), float("nan"))
    else:
        divisor = float(count - ddof)
        total = sum(squares, axis, keepdims=keepdims)
        result = total / (divisor if divisor > 0 else float("nan"))
    return convert(result, wanted) if wanted is not None and wanted.kind == "c" else result


def _mean(x: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    return mean(x, axis, keepdims=keepdims, where=where)


def _squared_modulus(x: Any) -> Any:
    from ..primitives import arithmetic

    if dtype_of(x).kind == "c":
        return arithmetic.square(x.real) + arithmetic.square(x.imag)
    return arithmetic.square(x)


@planned
def std(
    a: Shaped[ArrayLike, "*#shape"],
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: None = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Shaped[ArrayLike, "*#shape"] | None = None,
    mean: Shaped[ArrayLike, "*#shape"] | None = None,
    correction: int | float | None = None,
) -> Array:
    """Standard deviation over axes: the root of the variance; arguments as in `var`."""
    from .arithmetic import sqrt

    check_arraylike("std", a)
    refuse_out("std", out)
    return sqrt(
        var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    )


@planned
def count_nonzero(a: Shaped[ArrayLike, "..."], axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over axes are not zero."""
    check_arraylike("count_nonzero", a)
    refuse_key("count_nonzero", a)
    return sum(as_mask(a), axis, dtype=int, keepdims=keepdims)


@planned
def average(
    a: Shaped[ArrayLike, "..."],
    axis: Axis = None,
    weights: Shaped[ArrayLike, "..."] | None = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Any:
    """Weighted mean over axes: Σ a·w / Σ w.

    Args:
        weights: of the shape of a, or one-dimensional along the one axis.
        returned: return (average, sum of weights).
    Raises:
        ValueError: the weights do not fit.
    """
    if weights is None:
        check_arraylike("average", a)
        result = mean(a, axis, keepdims=keepdims)
        total: Any = float(_count(a, axis, None))
    else:
        check_arraylike("average", a, weights)
        x, w = map(to_array, promote_dtypes_inexact(a, weights))
        w = _spread_weights(x, w, axis)
        total = sum(w, axis, keepdims=keepdims)
        result = sum(x * w, axis, keepdims=keepdims) / total
    if not returned:
        return result
    from .manipulation import broadcast_to

    return result, broadcast_to(to_array(total).astype(dtype_of(result)), shape_of(result))


def _spread_weights(x: Any, w: Any, axis: Any) -> Any:
    if w.shape == x.shape:
        return w
    if axis is None or isinstance(axis, tuple) or w.ndim != 1:
        raise ValueError(
            f"average: weights of shape {w.shape} differ from a of shape {x.shape}; weights of "
            "another shape have to be one-dimensional, with one integer axis."
        )
    axis = canonical_axis(axis, x.ndim)
    if w.shape[0] != x.shape[axis]:
        raise ValueError(
            f"average: length of weights {w.shape[0]} does not match axis {axis} of extent "
            f"{x.shape[axis]}."
        )
    return w.reshape(tuple(-1 if i == axis else 1 for i in range(x.ndim)))
