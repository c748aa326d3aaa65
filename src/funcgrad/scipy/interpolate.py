"""Interpolation on grids, under the names of `jax.scipy.interpolate`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numpy as fnp
from ..core.sources import user_line
from ..core.trace import Tracer, value_of
from ..numpy.promotion import (
    check_arraylike,
    dtype_of,
    is_sequence,
    promote_dtypes_inexact,
    to_array,
)
from ..numpy.search import ascends
from ..tree_util import register_pytree_node
from ..typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _method(method: Any) -> str:
    if method not in ("linear", "nearest"):
        raise ValueError(
            f"RegularGridInterpolator: method {method!r} is not defined.\n  {user_line()}\n"
            "  Give 'linear' or 'nearest'."
        )
    return method


def _is_upward(line: Any, axis: int) -> bool:
    """Whether the places along an axis ascend; traced ones are taken to.

    Raises:
        ValueError: they neither ascend nor descend.
    """
    known: Any = value_of(line)
    if isinstance(known, Tracer) or ascends(known):
        return True
    if ascends(np.asarray(known)[::-1]):
        return False
    raise ValueError(
        f"RegularGridInterpolator: the points in dimension {axis} must be strictly ascending or "
        f"descending.\n  {user_line()}"
    )


def _grid_of(points: Sequence[Any], values: Any) -> tuple[list[Any], Any]:
    """Ascending places along each axis, and the values in that order."""
    if len(points) > values.ndim:
        raise ValueError(
            f"there are {len(points)} point arrays, but values has {values.ndim} dimensions.\n"
            f"  {user_line()}"
        )
    check_arraylike("RegularGridInterpolator", *points)
    grid: list[Any] = []
    for axis, given in enumerate(points):
        line = to_array(given)
        if line.ndim != 1 or line.shape[0] != values.shape[axis] or line.shape[0] < 2:
            raise ValueError(
                "RegularGridInterpolator takes a vector of at least 2 points for each axis, got "
                f"shape {line.shape} for axis {axis} of values {values.shape}.\n  {user_line()}"
            )
        if not _is_upward(line, axis):
            line, values = line[::-1], fnp.flip(values, axis)
        grid.append(line)
    return grid, values


class RegularGridInterpolator:
    """A function known at the points of a rectangular grid, linear or constant between them.

    Attributes:
        grid: the places along each axis, ascending.
        values: the values at the points: [n1, n2, ..., *channels].
        method: "linear" or "nearest".
        fill_value: the result outside the grid, or None.
        bounds_error: False.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.interpolate import RegularGridInterpolator
    >>> line = fnp.array([0.0, 1.0, 3.0])
    >>> f = RegularGridInterpolator((line, line), line[:, None] + 10 * line)
    >>> f(fnp.array([[0.5, 2.0], [1.0, 4.0]]))
    Array([20.5,  nan], dtype=float32)
    """

    def __init__(
        self,
        points: Sequence[Any],
        values: Shaped[ArrayLike, "..."],
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Shaped[ArrayLike, ""] | None = np.nan,
    ) -> None:
        """Take the grid and the values.

        Args:
            points: for each axis, at least two places, ascending or descending; traced ones
                ascending.
            bounds_error: False: whether a point lies outside is not known while tracing.
            fill_value: the result outside; None for the piece at the edge continued.
        Raises:
            ValueError: another method, bounds_error, places that do not fit the values, or a
                fill_value that the dtype of the values cannot hold.
        """
        self.method = _method(method)
        self.bounds_error = bounds_error
        if bounds_error:
            raise ValueError(
                "RegularGridInterpolator has no bounds_error: it takes no effect under jit.\n"
                f"  {user_line()}\n  Leave it False, and look for fill_value in the result."
            )
        check_arraylike("RegularGridInterpolator", values)
        (known,) = map(to_array, promote_dtypes_inexact(values))
        if fill_value is not None:
            check_arraylike("RegularGridInterpolator", fill_value)
            fill_value = fnp.asarray(fill_value)
            if not fnp.can_cast(dtype_of(fill_value), known.dtype, casting="same_kind"):
                raise ValueError(
                    "fill_value must be either 'None' or of a type compatible with values: got "
                    f"{dtype_of(fill_value)} for {known.dtype}.\n  {user_line()}"
                )
        self.fill_value: Any = fill_value
        grid, known = _grid_of(points, known)
        self.grid: tuple[Any, ...] = tuple(grid)
        self.values: Any = known

    def __call__(self, xi: Any, method: str | None = None) -> Array:
        """The values at points.

        Args:
            xi: points [..., d], or a tuple of d arrays of coordinates that broadcast.
            method: instead of that of the object.
        Returns:
            [..., *channels].
        Raises:
            ValueError: points of another number of coordinates, or another method.
        """
        method = _method(self.method if method is None else method)
        rank = len(self.grid)
        points = self._points(xi)
        places = [points[..., i] for i in range(rank)]
        index: list[Any] = []
        parts: list[Any] = []
        outside: Any = False
        for x, line in zip(places, self.grid, strict=True):
            below = fnp.clip(fnp.searchsorted(line, x) - 1, 0, line.shape[0] - 2)
            start, stop = line[below], line[below + 1]
            index.append(below)
            parts.append((x - start) / (stop - start))
            outside = outside | (x < line[0]) | (x > line[-1])
        channels = (None,) * (self.values.ndim - rank)
        if method == "nearest":
            nearest = [fnp.where(t <= 0.5, i, i + 1) for t, i in zip(parts, index, strict=True)]
            out = self.values[tuple(nearest)]
        else:
            out = self._linear(index, parts, channels)
        if self.fill_value is not None:
            out = fnp.where(fnp.asarray(outside)[(..., *channels)], self.fill_value, out)
        return out

    def _linear(self, index: list[Any], parts: list[Any], channels: tuple[None, ...]) -> Any:
        """Σ over the corners of a cell of value times weight."""
        total: Any = 0.0
        for corner in itertools.product((0, 1), repeat=len(index)):
            weight: Any = 1.0
            for side, t in zip(corner, parts, strict=True):
                weight = weight * (t if side else 1 - t)
            value = self.values[tuple(i + side for i, side in zip(index, corner, strict=True))]
            total = total + value * weight[(..., *channels)]
        return total

    def _points(self, xi: Any) -> Any:
        """The points as an array [..., d]."""
        rank = len(self.grid)
        if is_sequence(xi) and not isinstance(xi, list):
            if len(xi) != 1:
                return fnp.stack(fnp.broadcast_arrays(*promote_dtypes_inexact(*xi)), -1)
            xi = xi[0]
        check_arraylike("RegularGridInterpolator", xi)
        points = to_array(xi)
        if points.ndim == 1:
            points = points.reshape((-1, rank))
        if not points.ndim or points.shape[-1] != rank:
            raise ValueError(
                f"the requested sample points xi have shape {points.shape}, but this "
                f"RegularGridInterpolator has dimension {rank}.\n  {user_line()}"
            )
        return points


def _children(interpolator: RegularGridInterpolator) -> tuple[Any, Any]:
    found = interpolator
    return (found.grid, found.values, found.fill_value), (found.method, found.bounds_error)


def _rebuilt(static: tuple[str, bool], children: Any) -> RegularGridInterpolator:
    interpolator = RegularGridInterpolator.__new__(RegularGridInterpolator)
    interpolator.grid, interpolator.values, interpolator.fill_value = children
    interpolator.method, interpolator.bounds_error = static
    return interpolator


register_pytree_node(RegularGridInterpolator, _children, _rebuilt)
