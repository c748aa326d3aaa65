"""Arrays read between their elements, under the names of `jax.scipy.ndimage`.

The one idea: along each axis a coordinate has one neighbour of weight 1, or two whose weights are
its distances; the value is the sum over all combinations of neighbours.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import numpy as fnp
from ..core.sources import user_line
from ..numpy.promotion import to_array
from ..primitives.rounding import round as round_away
from ..typing import Array, ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _mirrored(index: Any, size: int) -> Any:
    """abcdcb|abcd|cba: the edges stand once."""
    period = max(2 * (size - 1), 1)
    return abs((index + size - 1) % period - (size - 1))


def _reflected(index: Any, size: int) -> Any:
    """dcba|abcd|dcba: the edges stand twice."""
    folded = index % (2 * size)
    return fnp.minimum(folded, 2 * size - 1 - folded)


_folds: dict[str, Callable[[Any, int], Any]] = {
    "constant": lambda index, size: index,
    "nearest": lambda index, size: fnp.clip(index, 0, size - 1),
    "wrap": lambda index, size: index % size,
    "mirror": _mirrored,
    "reflect": _reflected,
}


def _neighbours(x: Any, order: int) -> list[tuple[Any, Any]]:
    """Indices about a coordinate, and their weights."""
    if order == 0:
        nearest = round_away(x) if x.dtype.kind == "f" else x
        return [(nearest.astype("int32"), 1)]
    below = fnp.floor(x)
    index = below.astype("int32")
    return [(index, 1 - (x - below)), (index + 1, x - below)]


def map_coordinates(
    input: Shaped[ArrayLike, "..."],
    coordinates: Sequence[Any],
    order: int,
    mode: str = "constant",
    cval: Shaped[ArrayLike, ""] = 0.0,
) -> Array:
    """The values of an array at places between its elements.

    Args:
        input: an array of any dtype.
        coordinates: for each axis, places counted in elements; one shape for all.
        order: 0, of the nearest element; 1, linear between neighbours.
        mode: what is outside: "constant", cval; "nearest", the edge; "wrap", the other side;
            "mirror" and "reflect", reflections that show the edges once and twice.
        cval: the value outside for mode "constant".
    Returns:
        Of the shape of the coordinates, in the dtype of the input; integers are rounded.
    Raises:
        ValueError: not one coordinate for each axis, or another mode or order.

    >>> import funcgrad.numpy as fnp
    >>> from funcgrad.scipy.ndimage import map_coordinates
    >>> map_coordinates(fnp.array([0.0, 10.0, 30.0]), [fnp.array([0.5, 1.25])], order=1)
    Array([ 5., 15.], dtype=float32)
    """
    x: Any = fnp.asarray(input)
    places: list[Any] = [fnp.asarray(c) for c in coordinates]
    outside = fnp.asarray(cval, x.dtype)
    if len(places) != x.ndim:
        raise ValueError(
            "coordinates must be a sequence of length input.ndim, but "
            f"{len(places)} != {x.ndim}.\n  {user_line()}"
        )
    if mode not in _folds:
        raise ValueError(
            f"map_coordinates got mode {mode!r}.\n  {user_line()}\n  Give one of {list(_folds)}."
        )
    if order not in (0, 1):
        raise ValueError(
            f"map_coordinates requires order<=1, got {order!r}: there are no splines of higher "
            f"order.\n  {user_line()}"
        )
    terms: list[Any] = []
    for found in itertools.product(*(_neighbours(to_array(c), order) for c in places)):
        index = tuple(_folds[mode](i, size) for (i, _), size in zip(found, x.shape, strict=True))
        value = x[index]
        if mode == "constant" and found:
            inside: Any = True
            for i, size in zip(index, x.shape, strict=True):
                inside = inside & (i >= 0) & (i < size)
            value = fnp.where(inside, value, outside)
        terms.append(functools.reduce(operator.mul, (w for _, w in found), 1) * value)
    total = functools.reduce(operator.add, terms)
    if x.dtype.kind in "iu" and total.dtype.kind == "f":
        total = round_away(total)
    return total.astype(x.dtype)
