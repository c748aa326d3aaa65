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
    keys: Sequence[Shaped[ArrayLike, "*shape"]] | Shaped[ArrayLike, "keys *shape"],
    axis: int = -1,
    *,
    batch_size: int = 16,
) -> Array:
    """The indices that sort by the last key, then by the one before it, and so on.

    Args:
        batch_size: taken for programs written for JAX, which sorts by so many keys at a time; here
            one sort goes by all of them.
    Raises:
        TypeError: there are no keys.
        ValueError: the keys have different shapes, or batch_size is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"lexsort: batch_size must be positive, got {batch_size}.")
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


@planned
def top_k(
    a: Shaped[ArrayLike, "..."],
    k: int,
    /,
    *,
    axis: int = -1,
    mode: str = "largest",
    sorted: bool = True,
) -> tuple[Array, Array]:
    """The k largest or smallest elements along an axis, from the outermost on, and their indices.

    NaN counts as larger than any number, and of equal elements the one with the lower index comes
    first.

    Args:
        mode: "largest" or "smallest".
        sorted: False leaves the order open; they are sorted all the same.
    Returns:
        values of the dtype of a and indices i32, both with extent k along the axis.
    Raises:
        ValueError: k is negative or beyond the extent, mode is another, or a is complex.
    """
    check_arraylike("top_k", a)
    x = to_array(a)
    if x.dtype.kind == "c":
        raise ValueError(
            f"top_k is not compatible with complex inputs, got {x.dtype}: give abs(a), say."
        )
    if mode not in ("largest", "smallest"):
        raise ValueError(f"mode must be 'largest' or 'smallest', got {mode!r}.")
    along = canonical_axis(operator.index(axis), x.ndim)
    if mode == "largest":
        return ops.top_k(x, k, axis=along)
    values, indices = ops.top_k(_reversed_order(x), k, axis=along)
    return _reversed_order(to_array(values)), indices


def _reversed_order(x: Any) -> Any:
    """Values whose order is the reverse, by a map that is its own inverse."""
    # ~x of integers: -x of the least one, and of unsigned ones, has no value.
    return ~x if dtypes.kind_of(x.dtype) in "biu" else -x


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
