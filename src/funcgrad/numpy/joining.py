"""Joining and cutting arrays: concatenate, stack, split, tile, repeat, append, insert, delete."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.trace import Tracer, value_of
from ..errors import ConcretizationTypeError
from ..ir.avals import canonical_axis
from ..primitives import broadcasting, movement, slicing
from ..primitives import joining as ops
from ..typing import Array, ArrayLike, DTypeLike
from .promotion import (
    check_arraylike,
    convert,
    counting,
    is_array,
    is_list,
    is_sequence,
    promote_dtypes,
    refuse_out,
    requested_dtype,
    shape_of,
    to_array,
)

if TYPE_CHECKING:
    from jaxtyping import Shaped


def _operands(name: str, arrays: Any, dtype: Any) -> list[Any]:
    """The arrays of a sequence, or along the first axis of one array, in one dtype."""
    if is_array(arrays):
        arrays = list(to_array(arrays))
    elif not is_sequence(arrays):
        arrays = list(arrays)
    values: list[Any] = arrays
    if not values:
        raise ValueError(f"Need at least one array to {name}.")
    check_arraylike(name, *values)
    wanted = requested_dtype(dtype, name)
    if wanted is None:
        return [to_array(x) for x in promote_dtypes(*values)]
    return [convert(to_array(x), wanted) for x in values]


@planned
def concatenate(
    arrays: Sequence[Shaped[ArrayLike, "..."]] | Shaped[ArrayLike, "n ..."],
    axis: int | None = 0,
    dtype: DTypeLike | None = None,
) -> Array:
    """Arrays joined along an axis; raveled first when axis is None.

    Raises:
        ValueError: there are none, or one has no axis.
        TypeError: the other extents differ.
    """
    values = _operands("concatenate", arrays, dtype)
    if axis is None:
        return ops.concatenate([x.reshape(-1) for x in values], 0)
    if any(not x.ndim for x in values):
        raise ValueError("Zero-dimensional arrays cannot be concatenated. Use stack.")
    axis = canonical_axis(axis, values[0].ndim)
    return values[0] if len(values) == 1 else ops.concatenate(values, axis)


def concat(
    arrays: Sequence[Shaped[ArrayLike, "..."]] | Shaped[ArrayLike, "n ..."],
    /,
    *,
    axis: int | None = 0,
) -> Array:
    """Arrays joined along an axis, as `concatenate`."""
    return concatenate(arrays, axis)


@planned
def stack(
    arrays: Sequence[Shaped[ArrayLike, "*shape"]] | Shaped[ArrayLike, "n *shape"],
    axis: int = 0,
    out: None = None,
    dtype: DTypeLike | None = None,
) -> Array:
    """Arrays of one shape joined along a new axis.

    Raises:
        ValueError: there are none, or shapes differ.
    """
    refuse_out("stack", out)
    values = _operands("stack", arrays, dtype)
    shapes = {x.shape for x in values}
    if len(shapes) > 1:
        raise ValueError(f"All input arrays must have the same shape, got {sorted(shapes)}.")
    return ops.stack(values, canonical_axis(axis, values[0].ndim + 1))


@planned
def unstack(x: Shaped[ArrayLike, "..."], /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays along an axis, which is lost.

    Raises:
        ValueError: x has no axis.
    """
    check_arraylike("unstack", x)
    value = to_array(x)
    if not value.ndim:
        raise ValueError("Unstack requires arrays with rank > 0, however a scalar array was given.")
    return ops.unstack(value, axis)


def _lifted(tup: Any, lift: Any) -> list[Any]:
    if is_array(tup):
        tup = list(to_array(tup))
    return [lift(x) for x in tup]


@planned
def vstack(
    tup: Sequence[Shaped[ArrayLike, "..."]] | Shaped[ArrayLike, "n ..."],
    dtype: DTypeLike | None = None,
) -> Array:
    """Arrays with at least two axes joined along the first; vectors become rows."""
    from .manipulation import atleast_2d

    return concatenate(_lifted(tup, atleast_2d), 0, dtype)


@planned
def hstack(
    tup: Sequence[Shaped[ArrayLike, "..."]] | Shaped[ArrayLike, "n ..."],
    dtype: DTypeLike | None = None,
) -> Array:
    """Arrays joined along the second axis; vectors along their first."""
    from .manipulation import atleast_1d

    arrays = _lifted(tup, atleast_1d)
    return concatenate(arrays, 0 if arrays and len(shape_of(arrays[0])) == 1 else 1, dtype)


@planned
def dstack(
    tup: Sequence[Shaped[ArrayLike, "..."]] | Shaped[ArrayLike, "n ..."],
    dtype: DTypeLike | None = None,
) -> Array:
    """Arrays with at least three axes joined along the third."""
    from .manipulation import atleast_3d

    return concatenate(_lifted(tup, atleast_3d), 2, dtype)


@planned
def column_stack(tup: Sequence[Shaped[ArrayLike, "..."]] | Shaped[ArrayLike, "n ..."]) -> Array:
    """Arrays joined along the second axis; vectors become columns."""
    from .manipulation import atleast_2d

    def lift(x: Any) -> Any:
        return atleast_2d(x).T if len(shape_of(x)) < 2 else to_array(x)

    return concatenate(_lifted(tup, lift), 1)


def block(arrays: Any) -> Array:
    """An array put together from nested lists of blocks, innermost along the last axis."""
    depth = _depth(arrays)
    leaves = list(_flat_blocks(arrays))
    check_arraylike("block", *leaves)
    rank = max(depth, *(len(shape_of(x)) for x in leaves))
    return _join_blocks(arrays, depth, rank)


def _depth(x: Any) -> int:
    return 1 + max(map(_depth, x), default=0) if is_list(x) else 0


def _flat_blocks(x: Any) -> Any:
    if is_list(x):
        for element in x:
            yield from _flat_blocks(element)
    else:
        yield x


def _join_blocks(x: Any, depth: int, rank: int) -> Any:
    if not is_list(x):
        return broadcasting.broadcast_to_rank(to_array(x), rank)
    parts = [_join_blocks(element, depth - 1, rank) for element in x]
    return concatenate(parts, rank - depth)


def _split(name: str, ary: Any, sections: Any, axis: int, uneven: bool) -> list[Any]:
    check_arraylike(name, ary)
    x = to_array(ary)
    axis = canonical_axis(axis, x.ndim)
    size = x.shape[axis]
    if is_sequence(sections) or shape_of(sections):
        listed: Any = sections
        values: Any = [value_of(s) for s in listed]
        points = [min(size, p + size if p < 0 else p) for p in map(operator.index, values)]
        bounds = [0, *(max(p, 0) for p in points), size]
    else:
        count = operator.index(value_of(sections))
        if count <= 0:
            raise ValueError("number sections must be larger than 0.")
        part, rest = divmod(size, count)
        if rest and not uneven:
            raise ValueError(
                f"array split does not result in an equal division: extent {size} into {count} "
                f"parts leaves {rest}. Use array_split, or another number."
            )
        sizes = [part + 1] * rest + [part] * (count - rest)
        return list(ops.split(x, tuple(sizes), axis))
    sizes = [max(0, b - a) for a, b in itertools.pairwise(bounds)]
    if sum(sizes) == size:
        return list(ops.split(x, tuple(sizes), axis))
    return [slicing.slice_in_dim(x, a, max(a, b), 1, axis) for a, b in itertools.pairwise(bounds)]


@planned
def split(
    ary: Shaped[ArrayLike, "..."],
    indices_or_sections: Shaped[ArrayLike, "..."] | Sequence[int],
    axis: int = 0,
) -> list[Array]:
    """The array cut along an axis: into equal parts, or before the given indices.

    Raises:
        ValueError: the extent is no multiple of the number of parts.
    """
    return _split("split", ary, indices_or_sections, axis, uneven=False)


@planned
def array_split(
    ary: Shaped[ArrayLike, "..."],
    indices_or_sections: Shaped[ArrayLike, "..."] | Sequence[int],
    axis: int = 0,
) -> list[Array]:
    """The array cut along an axis; parts may differ by one when the extent does not divide."""
    return _split("array_split", ary, indices_or_sections, axis, uneven=True)


def vsplit(
    ary: Shaped[ArrayLike, "..."], indices_or_sections: Shaped[ArrayLike, "..."] | Sequence[int]
) -> list[Array]:
    """The array cut along the first axis."""
    return _split("vsplit", ary, indices_or_sections, 0, uneven=False)


def hsplit(
    ary: Shaped[ArrayLike, "..."], indices_or_sections: Shaped[ArrayLike, "..."] | Sequence[int]
) -> list[Array]:
    """The array cut along the second axis, or the only one."""
    check_arraylike("hsplit", ary)
    axis = 0 if len(shape_of(ary)) == 1 else 1
    return _split("hsplit", ary, indices_or_sections, axis, uneven=False)


def dsplit(
    ary: Shaped[ArrayLike, "..."], indices_or_sections: Shaped[ArrayLike, "..."] | Sequence[int]
) -> list[Array]:
    """The array cut along the third axis."""
    return _split("dsplit", ary, indices_or_sections, 2, uneven=False)


@planned
def tile(A: Shaped[ArrayLike, "..."], reps: Any) -> Array:
    """The array repeated along each axis, as often as `reps` says, counted from the last axis."""
    check_arraylike("tile", A)
    x = to_array(A)
    counts = (operator.index(reps),) if np.ndim(reps) == 0 else tuple(map(operator.index, reps))
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    return ops.tile(broadcasting.broadcast_to_rank(x, rank), counts)


@planned
def repeat(
    a: Shaped[ArrayLike, "..."],
    repeats: Shaped[ArrayLike, "..."] | Sequence[int],
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
) -> Array:
    """Each element repeated along an axis, or of the raveled array.

    Args:
        repeats: how often, for all or for each element; concrete unless the next is given.
        total_repeat_length: extent of the result; what is over is cut, what lacks repeats the end.
    Raises:
        ConcretizationTypeError: repeats is traced, and no total_repeat_length is given.
        ValueError: there are not as many repeats as elements along the axis.
    """
    check_arraylike("repeat", a)
    x = to_array(a)
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(axis, x.ndim)
    known = value_of(repeats)
    if total_repeat_length is None and isinstance(known, Tracer):
        raise ConcretizationTypeError(
            known, "repeat needs total_repeat_length when repeats is traced."
        )
    if total_repeat_length is None:
        counts = np.asarray(known)
        if counts.size == 1:
            return _repeat_evenly(x, int(counts.reshape(())), axis)
        if counts.shape != (x.shape[axis],):
            raise ValueError(
                f"repeats of shape {counts.shape} does not fit axis {axis} of extent "
                f"{x.shape[axis]}."
            )
        index: Any = np.repeat(counting(x.shape[axis]), counts)
        return _take_rows(x, index.astype(np.int32), axis)
    return _repeat_to_length(
        x,
        to_array(np.asarray(repeats) if not shape_of(repeats) else repeats),
        axis,
        operator.index(total_repeat_length),
    )


def _repeat_evenly(x: Any, count: int, axis: int) -> Any:
    shape = (*x.shape[: axis + 1], count, *x.shape[axis + 1 :])
    kept = tuple(i for i in range(len(shape)) if i != axis + 1)
    spread = broadcasting.broadcast_in_dim(x, shape, kept)
    return spread.reshape((*x.shape[:axis], x.shape[axis] * count, *x.shape[axis + 1 :]))


def _take_rows(x: Any, index: Any, axis: int) -> Any:
    where: list[Any] = [slice(None)] * x.ndim
    where[axis] = index
    return x[tuple(where)]


def _repeat_to_length(x: Any, repeats: Any, axis: int, length: int) -> Any:
    from .cumulation import cumsum
    from .manipulation import broadcast_to
    from .search import searchsorted

    size = x.shape[axis]
    counts = broadcast_to(repeats.reshape(-1), (size,))
    ends = cumsum(counts)
    from .ranges import arange

    index = searchsorted(ends, arange(length), side="right")
    return _take_rows(x, index.clip(0, max(size - 1, 0)), axis)


@planned
def append(
    arr: Shaped[ArrayLike, "..."], values: Shaped[ArrayLike, "..."], axis: int | None = None
) -> Array:
    """The values joined to the end of an axis, or both raveled."""
    check_arraylike("append", arr, values)
    if axis is None:
        return concatenate([to_array(arr).reshape(-1), to_array(values).reshape(-1)])
    return concatenate([arr, values], axis)


def delete(
    arr: Shaped[ArrayLike, "..."],
    obj: Shaped[ArrayLike, "..."] | slice | Sequence[int],
    axis: int | None = None,
    *,
    assume_unique_indices: bool = False,
) -> Array:
    """The array without the elements at the indices `obj` along an axis.

    Args:
        obj: an int, a slice, integers or a mask; concrete.
        assume_unique_indices: no two integers name one element, and they may then be traced.
    """
    check_arraylike("delete", arr)
    x = to_array(arr)
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(axis, x.ndim)
    if assume_unique_indices and _is_traced_integer(obj):
        return _take_rows(x, _others(to_array(obj).reshape(-1), x.shape[axis]), axis)
    kept: Any = np.delete(counting(x.shape[axis]), _concrete_index("delete", obj))
    return _take_rows(x, kept.astype(np.int32), axis)


def insert(
    arr: Shaped[ArrayLike, "..."],
    obj: Shaped[ArrayLike, "..."] | slice | Sequence[int],
    values: Shaped[ArrayLike, "..."],
    axis: int | None = None,
) -> Array:
    """The array with values put in before the indices `obj` along an axis.

    Args:
        obj: an int, a slice or integers; a mask must be concrete. Traced integers out of range
            count as the ends.
    """
    check_arraylike("insert", arr, values)
    x, new = map(to_array, promote_dtypes(arr, values))
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(axis, x.ndim)
    size = x.shape[axis]
    traced = _is_traced_integer(obj)
    given: Any = to_array(obj) if traced else _concrete_index("insert", obj)
    index: Any = counting(size)[given] if type(given) is slice else given
    index = index if traced else np.asarray(index)
    if index.dtype == bool:
        index = np.nonzero(index)[0]
    new = broadcasting.broadcast_to_rank(new, x.ndim)
    if index.ndim == 0:
        new = movement.moveaxis(new, 0, axis)
    if index.size == 1:
        # One index takes all values along the axis.
        places: Any = index.reshape(1)
        index = places.repeat(new.shape[axis])
    count = index.size
    order: Any
    if traced:
        order = _inserted_order(index, size)
    else:
        # NumPy says where everything goes: positions count x first, then the new elements.
        order = np.insert(counting(size), index, counting(size, size + count))
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    joined = concatenate([x, broadcasting.broadcast_to(new, shape)], axis)
    return _take_rows(joined, order.astype(np.int32), axis)


def _concrete_index(name: str, obj: Any) -> Any:
    given: Any = obj
    if isinstance(obj, (int, slice, list)):
        return given
    known = value_of(obj)
    if isinstance(known, Tracer):
        raise ConcretizationTypeError(known, f"{name} needs concrete indices.")
    return np.asarray(known)


def _is_traced_integer(obj: Any) -> bool:
    known = value_of(obj) if is_array(obj) else None
    return isinstance(known, Tracer) and known.dtype.kind in "iu"


def _others(index: Any, size: int) -> Any:
    """The positions below `size` that are not in the index, which has no repetitions."""
    from .sorting import argsort

    marked = to_array(np.zeros(size, np.int32)).at[index].set(1)
    return argsort(marked)[: max(size - index.size, 0)]


def _inserted_order(index: Any, size: int) -> Any:
    """Where everything goes, counting the `size` elements first, then the inserted ones."""
    from .selection import where
    from .sorting import argsort

    places = where(index < 0, index + size, index).clip(0, size)
    # An element comes after what is put in before it; sorting is stable.
    return argsort(concatenate([2 * counting(size) + 1, 2 * places]))
