"""Sorting: sort, argsort, lexsort, partition; and sets of values: unique and set operations."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..ir import dtypes
from ..ir.avals import canonical_axis
from ..primitives import sorting as ops
from ..primitives.creation import broadcasted_iota
from ..typing import Array, ArrayLike, DTypeLike
from .creation import array
from .manipulation import flip
from .promotion import check_arraylike, requested_dtype, shape_of, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _check_options(name: str, kind: Any, order: Any) -> None:
    if kind is not None:
        raise TypeError(f"'kind' argument to {name} is not supported. Only stable=True or False.")
    if order is not None:
        raise TypeError(f"'order' argument to {name} is not supported: arrays have no fields.")


def _laid_out(x: Any, axis: int | None) -> tuple[Any, int]:
    if axis is None:
        return x.reshape(-1), 0
    return x, canonical_axis(operator.index(axis), x.ndim)


@planned
def sort(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Array:
    """The elements in ascending order along an axis (None ravels), NaN last.

    Args:
        descending: reverse the order; NaN then comes first.
    """
    check_arraylike("sort", a)
    _check_options("sort", kind, order)
    x, along = _laid_out(to_array(a), axis)
    result = ops.sort(x, along, stable)
    return flip(result, along) if descending else result


@planned
def argsort(
    a: Shaped[ArrayLike, "..."],
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
    dtype: DTypeLike | None = None,
) -> Array:
    """The indices that sort along an axis; equal elements keep their order."""
    check_arraylike("argsort", a)
    _check_options("argsort", kind, order)
    x, along = _laid_out(to_array(a), axis)
    index_dtype = requested_dtype(dtype, "argsort") or dtypes.canonicalize_dtype(np.int64)
    if descending:
        # Read backwards, sorted, read backwards again: equal elements keep their order.
        x = flip(x, along)
    index = broadcasted_iota(index_dtype, x.shape, along)
    _, result = ops.sort((x, index), along, stable, 1)
    return x.shape[along] - 1 - flip(result, along) if descending else result


@planned
def lexsort(
    keys: Sequence[Shaped[ArrayLike, "*shape"]] | Shaped[ArrayLike, "keys *shape"], axis: int = -1
) -> Array:
    """The indices that sort by the last key, then by the one before it, and so on.

    Raises:
        TypeError: there are no keys.
        ValueError: the keys have different shapes.
    """
    arrays = [to_array(k) for k in keys]
    check_arraylike("lexsort", *arrays)
    if not arrays:
        raise TypeError("need sequence of keys with len > 0 in lexsort.")
    if len({shape_of(k) for k in arrays}) > 1:
        raise ValueError("all keys need to be the same shape.")
    if not arrays[0].ndim:
        return array(0, int)
    along = canonical_axis(axis, arrays[0].ndim)
    index = broadcasted_iota(dtypes.canonicalize_dtype(np.int64), arrays[0].shape, along)
    return ops.sort((*reversed(arrays), index), along, True, len(arrays))[-1]


def sort_complex(a: Shaped[ArrayLike, "..."]) -> Array:
    """The elements as complex numbers, by real part, then by imaginary part."""
    check_arraylike("sort_complex", a)
    x = to_array(a)
    return sort(x.astype(dtypes.to_complex_dtype(x.dtype)))


@planned
def partition(a: Shaped[ArrayLike, "..."], kth: int, axis: int = -1) -> Array:
    """The elements with the kth in its sorted place, none greater before it, none less after."""
    check_arraylike("partition", a)
    canonical_axis(kth, shape_of(a)[canonical_axis(axis, len(shape_of(a)))], "kth")
    return sort(a, axis)


@planned
def argpartition(a: Shaped[ArrayLike, "..."], kth: int, axis: int = -1) -> Array:
    """The indices of a partition; see `partition`."""
    check_arraylike("argpartition", a)
    canonical_axis(kth, shape_of(a)[canonical_axis(axis, len(shape_of(a)))], "kth")
    return argsort(a, axis)
