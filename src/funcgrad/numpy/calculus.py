"""Differences, gradients and sums of samples."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..control.plans import planned
from ..ir.avals import canonical_axis
from ..typing import Array, ArrayLike
from .joining import concatenate
from .promotion import (
    check_arraylike,
    dtype_of,
    promote_dtypes_inexact,
    to_array,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _along(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = slice(start, stop)
    return x[tuple(index)]


@planned
def diff(
    a: Shaped[ArrayLike, "..."],
    n: int = 1,
    axis: int = -1,
    prepend: Shaped[ArrayLike, "..."] | None = None,
    append: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """Differences of neighbours along an axis, taken n times; of booleans, whether they differ.

    Args:
        prepend, append: values to put before and after the axis first.
    Raises:
        ValueError: n is negative, or `a` has no axis.
    """
    from .manipulation import broadcast_to

    check_arraylike("diff", a)
    x = to_array(a)
    n = operator.index(n)
    if n == 0:
        return x
    if n < 0 or not x.ndim:
        raise ValueError(f"diff needs n >= 0 and an axis, got n={n} and shape {x.shape}.")
    axis = canonical_axis(axis, x.ndim)
    parts: list[Any] = [x]
    for value, at in ((prepend, 0), (append, len(parts) + 1)):
        if value is not None:
            check_arraylike("diff", value)
            part = to_array(value)
            if not part.ndim:
                part = broadcast_to(part, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
            parts.insert(at, part)
    x = concatenate(parts, axis)
    for _ in range(n):
        later, earlier = _along(x, axis, 1, None), _along(x, axis, None, -1)
        x = later != earlier if dtype_of(x).kind == "b" else later - earlier
    return x


@planned
def ediff1d(
    ary: Shaped[ArrayLike, "..."],
    to_end: Shaped[ArrayLike, "..."] | None = None,
    to_begin: Shaped[ArrayLike, "..."] | None = None,
) -> Array:
    """Differences of neighbours of the raveled array, with values before and after them."""
    check_arraylike("ediff1d", ary)
    x = to_array(ary).reshape(-1)
    parts: list[Any] = [x[1:] - x[:-1]]
    if to_begin is not None:
        parts.insert(0, to_array(to_begin).reshape(-1).astype(x.dtype))
    if to_end is not None:
        parts.append(to_array(to_end).reshape(-1).astype(x.dtype))
    return concatenate(parts)


@planned
def gradient(
    f: Shaped[ArrayLike, "..."],
    *varargs: Shaped[ArrayLike, "..."],
    axis: int | Sequence[int] | None = None,
    edge_order: int | None = None,
) -> Any:
    """Slopes along axes: central differences inside, one-sided at the ends.

    Args:
        varargs: distance of samples: none (1), one for all, or one (a scalar or coordinates)
            for each axis.
        axis: the axes; all by default.
    Returns:
        An array, or a list of them for several axes.
    Raises:
        ValueError: edge_order is given, or an axis has fewer than two samples.
        TypeError: as many distances as axes are needed.
    """
    if edge_order not in (None, 1):
        raise ValueError("gradient takes edge_order=1 only.")
    check_arraylike("gradient", f, *varargs)
    (x,) = map(to_array, promote_dtypes_inexact(f))
    listed = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = [canonical_axis(i, x.ndim) for i in listed]
    spacing: list[Any] = [1.0] * len(axes) if not varargs else list(varargs)
    if len(spacing) == 1:
        spacing = spacing * len(axes)
    if len(spacing) != len(axes):
        raise TypeError(f"Invalid number of spacing arguments {len(varargs)} for {len(axes)} axes.")
    results = [_slope(x, to_array(h), i) for h, i in zip(spacing, axes, strict=True)]
    return results[0] if len(results) == 1 else results


def _slope(x: Any, h: Any, axis: int) -> Any:
    if x.shape[axis] < 2:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least 2 elements "
            f"are required: got shape {x.shape} along axis {axis}."
        )
    if not h.ndim:
        steps: Any = h
        inside = (_along(x, axis, 2, None) - _along(x, axis, None, -2)) / (2 * h)
        first, last = steps, steps
    else:
        if h.shape != (x.shape[axis],):
            raise ValueError(f"spacing of shape {h.shape} does not fit axis {axis} of {x.shape}.")
        gaps = h[1:] - h[:-1]
        first, last = gaps[0], gaps[-1]
        shape = [-1 if i == axis else 1 for i in range(x.ndim)]
        left, right = gaps[:-1].reshape(shape), gaps[1:].reshape(shape)
        before, here, after = (
            _along(x, axis, None, -2),
            _along(x, axis, 1, -1),
            _along(x, axis, 2, None),
        )
        # The parabola through three samples, by its slope at the middle one.
        inside = (
            -right / (left * (left + right)) * before
            + (right - left) / (left * right) * here
            + left / (right * (left + right)) * after
        )
    start = (_along(x, axis, 1, 2) - _along(x, axis, 0, 1)) / first
    stop = (_along(x, axis, -1, None) - _along(x, axis, -2, -1)) / last
    return concatenate([start, inside, stop], axis)


@planned
def trapezoid(
    y: Shaped[ArrayLike, "..."],
    x: Shaped[ArrayLike, "..."] | None = None,
    dx: Shaped[ArrayLike, "..."] = 1.0,
    axis: int = -1,
) -> Array:
    """The integral along an axis by the trapezoidal rule.

    Args:
        x: coordinates of the samples, a vector or of the shape of y.
        dx: distance of the samples where x is not given.
    """
    from .manipulation import moveaxis

    check_arraylike("trapezoid", y)
    values = moveaxis(to_array(promote_dtypes_inexact(y)[0]), axis, -1)
    steps: Any = dx
    if x is not None:
        check_arraylike("trapezoid", x)
        coordinates = to_array(x)
        if coordinates.ndim > 1:
            coordinates = moveaxis(coordinates, axis, -1)
        steps = diff(coordinates)
    return 0.5 * (steps * (values[..., 1:] + values[..., :-1])).sum(axis=-1)
