"""Shapes: reshaping, moving and adding axes, broadcasting, flipping, repeating.

In: arrays. Out: arrays with the same elements elsewhere. What a movement leaves as it is comes back
unchanged, so that a jaxpr shows no eqn for it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.sources import user_line
from ..core.trace import Tracer, value_of
from ..ir.avals import canonical_axis, canonical_shape
from ..primitives import broadcasting
from ..primitives import movement as ops
from ..primitives.broadcasting import broadcast_shapes as broadcast_shapes
from ..typing import Array, ArrayLike, Axis
from .joining import concatenate as concatenate
from .promotion import check_arraylike, is_sequence, shape_of, to_array
from .reductions import canonical_axes

if TYPE_CHECKING:
    from jaxtyping import Shaped


@planned
def reshape(
    a: Shaped[ArrayLike, "..."], shape: Any, order: str = "C", *, copy: bool | None = None
) -> Array:
    """The elements in another shape.

    Args:
        shape: the new extents; one may be -1 and follows from the others.
        order: "C" reads and writes the last axis fastest, "F" the first.
    Raises:
        TypeError: the sizes do not fit.
        ValueError: another order.
    """
    check_arraylike("reshape", a)
    x = to_array(a)
    extents = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    sizes = _resolve_extents(x.shape, tuple(map(_extent, extents)))
    if order == "C":
        return x if sizes == x.shape else ops.reshape(x, sizes)
    if order != "F":
        raise ValueError(f"Unexpected value for 'order' argument: {order!r}. Give 'C' or 'F'.")
    flipped = ops.transpose(x, tuple(reversed(range(x.ndim))))
    return transpose(ops.reshape(flipped, tuple(reversed(sizes))))


def _extent(n: Any) -> int:
    try:
        return operator.index(n)
    except TypeError as error:
        raise TypeError(
            f"Shapes must be 1D sequences of concrete values of integer type, got {n!r}. "
            "Mark an argument that decides on a shape static (static_argnums)."
        ) from error


def _resolve_extents(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """The new extents with -1 filled in."""
    size = math.prod(old)
    known = math.prod([n for n in new if n != -1])
    unknown = new.count(-1)
    fits = size == known if not unknown else (known and size % known == 0 and unknown == 1)
    if not fits or any(n < -1 for n in new):
        raise TypeError(
            f"cannot reshape array of shape {old} (size {size}) into shape {new}"
            f"{'' if unknown else f' (size {known})'}.\n  {user_line()}\n"
            "  The sizes have to be equal; one extent may be -1."
        )
    return tuple(size // known if n == -1 else n for n in new)


@planned
def ravel(a: Shaped[ArrayLike, "..."], order: str = "C") -> Array:
    """The elements along one axis."""
    check_arraylike("ravel", a)
    if order == "K":
        order = "C"
    return reshape(a, -1, order) if shape_of(a).count(0) == 0 else reshape(a, (0,), order)


@planned
def transpose(a: Shaped[ArrayLike, "..."], axes: Sequence[int] | None = None) -> Array:
    """The axes in another order, reversed by default.

    Raises:
        TypeError: axes are no permutation of those of the array.
        ValueError: an axis is out of range.
    """
    check_arraylike("transpose", a)
    x = to_array(a)
    if axes is None:
        order = tuple(reversed(range(x.ndim)))
    else:
        order = tuple(canonical_axis(i, x.ndim) for i in axes)
        if sorted(order) != list(range(x.ndim)):
            raise TypeError(
                f"axes {tuple(axes)} are no permutation of the axes of an array of shape {x.shape}."
            )
    return ops.transpose(x, order)


permute_dims = transpose


@planned
def matrix_transpose(x: Shaped[ArrayLike, "*batch n m"], /) -> Array:
    """The last two axes exchanged.

    Raises:
        ValueError: there are fewer than two axes.
    """
    check_arraylike("matrix_transpose", x)
    if len(shape_of(x)) < 2:
        raise ValueError(
            f"x must be at least two-dimensional for matrix_transpose; got shape {shape_of(x)}."
        )
    return swapaxes(x, -1, -2)


@planned
def swapaxes(a: Shaped[ArrayLike, "..."], axis1: int, axis2: int) -> Array:
    """Two axes exchanged."""
    check_arraylike("swapaxes", a)
    x = to_array(a)
    order = list(range(x.ndim))
    i, j = canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim)
    order[i], order[j] = order[j], order[i]
    return ops.transpose(x, order)


@planned
def moveaxis(
    a: Shaped[ArrayLike, "..."], source: int | Sequence[int], destination: int | Sequence[int]
) -> Array:
    """Axes moved to new positions; the others keep their order.

    Raises:
        ValueError: the numbers of axes differ, or one is named twice.
    """
    check_arraylike("moveaxis", a)
    x = to_array(a)
    starts = _axes_in_order(source, x.ndim)
    ends = _axes_in_order(destination, x.ndim)
    if len(starts) != len(ends) or len(set(starts)) != len(starts) or len(set(ends)) != len(ends):
        raise ValueError(
            f"moveaxis got source {source} and destination {destination}: they have to name as "
            "many axes each, every one once."
        )
    order = [i for i in range(x.ndim) if i not in starts]
    for end, start in sorted(zip(ends, starts, strict=True)):
        order.insert(end, start)
    return ops.transpose(x, order)


def _axes_in_order(axes: Any, ndim: int) -> list[int]:
    given = [axes] if np.ndim(axes) == 0 else list(axes)
    return [canonical_axis(i, ndim) for i in given]


def rollaxis(a: Shaped[ArrayLike, "..."], axis: int, start: int = 0) -> Array:
    """An axis moved back to stand before axis `start`."""
    check_arraylike("rollaxis", a)
    rank = len(shape_of(a))
    axis = canonical_axis(axis, rank)
    start = canonical_axis(start, rank + 1, "start")
    return moveaxis(a, axis, start - 1 if start > axis else start)


@planned
def expand_dims(a: Shaped[ArrayLike, "..."], axis: int | Sequence[int]) -> Array:
    """Axes of size 1 inserted; positions are counted in the result."""
    check_arraylike("expand_dims", a)
    axes = (axis,) if isinstance(axis, int) else tuple(map(operator.index, np.atleast_1d(axis)))
    return ops.expand_dims(to_array(a), axes)


@planned
def squeeze(a: Shaped[ArrayLike, "..."], axis: Axis = None) -> Array:
    """Axes of size 1 taken out: those named, or all.

    Raises:
        ValueError: a named axis has another size.
    """
    check_arraylike("squeeze", a)
    x = to_array(a)
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = canonical_axes(axis, x.ndim)
    return ops.squeeze(x, axes) if axes else x


@planned
def broadcast_to(array: Shaped[ArrayLike, "..."], shape: Any) -> Array:
    """The array stretched to a shape by NumPy's rules.

    Raises:
        ValueError: the shapes do not broadcast.
    """
    check_arraylike("broadcast_to", array)
    extents = canonical_shape((shape,) if np.ndim(shape) == 0 else shape, "broadcast_to")
    return broadcasting.broadcast_to(to_array(array), extents)


@planned
def broadcast_arrays(*args: Shaped[ArrayLike, "*#shape"]) -> list[Array]:
    """The arrays stretched to their common shape."""
    check_arraylike("broadcast_arrays", *args)
    shape = broadcast_shapes(*map(shape_of, args))
    return [broadcasting.broadcast_to(to_array(x), shape) for x in args]


def _at_least(name: str, arrays: tuple[Any, ...], lift: Any) -> Any:
    check_arraylike(name, *arrays)
    lifted = [lift(to_array(x)) for x in arrays]
    return lifted[0] if len(lifted) == 1 else lifted


def _one_axis(x: Any) -> Any:
    return x if x.ndim else ops.expand_dims(x, (0,))


@planned
def atleast_1d(*arys: Shaped[ArrayLike, "..."]) -> Any:
    """The arrays with at least one axis; a list of them for several."""
    return _at_least("atleast_1d", arys, _one_axis)


@planned
def atleast_2d(*arys: Shaped[ArrayLike, "..."]) -> Any:
    """The arrays with at least two axes, new ones in front; a list of them for several."""

    def lift(x: Any) -> Any:
        return x if x.ndim >= 2 else ops.expand_dims(x, tuple(range(2 - x.ndim)))

    return _at_least("atleast_2d", arys, lift)


def atleast_3d(*arys: Shaped[ArrayLike, "..."]) -> Any:
    """The arrays with at least three axes: n becomes [1, n, 1], [m, n] becomes [m, n, 1]."""

    def lift(x: Any) -> Any:
        axes = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}.get(x.ndim, ())
        return ops.expand_dims(x, axes) if axes else x

    return _at_least("atleast_3d", arys, lift)


@planned
def flip(m: Shaped[ArrayLike, "..."], axis: Axis = None) -> Array:
    """The order along axes reversed, along all by default."""
    check_arraylike("flip", m)
    x = to_array(m)
    axes: Any = axis if is_sequence(axis) else canonical_axes(axis, x.ndim)
    return ops.rev(x, tuple(canonical_axis(a, x.ndim) for a in axes)) if x.ndim else x


def fliplr(m: Shaped[ArrayLike, "n m ..."]) -> Array:
    """The order along the second axis reversed."""
    check_arraylike("fliplr", m)
    canonical_axis(1, len(shape_of(m)))
    return flip(m, 1)


def flipud(m: Shaped[ArrayLike, "n ..."]) -> Array:
    """The order along the first axis reversed."""
    check_arraylike("flipud", m)
    canonical_axis(0, len(shape_of(m)))
    return flip(m, 0)


def rot90(m: Shaped[ArrayLike, "..."], k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """The plane of two axes turned by k right angles, from the first axis to the second.

    Raises:
        ValueError: the axes are the same.
    """
    check_arraylike("rot90", m)
    rank = len(shape_of(m))
    first, second = (canonical_axis(a, rank) for a in axes)
    if first == second:
        raise ValueError(f"rot90 needs two different axes, got {axes}.")
    turns = k % 4
    if turns == 0:
        return to_array(m)
    if turns == 2:
        return flip(m, (first, second))
    if turns == 1:
        return swapaxes(flip(m, second), first, second)
    return flip(swapaxes(m, first, second), second)


@planned
def roll(
    a: Shaped[ArrayLike, "..."], shift: Shaped[ArrayLike, "..."] | Sequence[int], axis: Axis = None
) -> Array:
    """The elements moved along axes; those pushed out come in at the other end.

    Args:
        shift: how far, for each axis; may be traced.
        axis: the axes; the raveled array is rolled by default.
    Raises:
        ValueError: there are not as many shifts as axes.
    """
    check_arraylike("roll", a)
    x = to_array(a)
    if axis is None:
        return roll(ravel(x), shift, 0).reshape(x.shape)
    axes = [axis] if isinstance(axis, int) else list(axis)
    is_single = not is_sequence(shift) and not shape_of(shift)
    shifts: list[Any] = [shift] * len(axes) if is_single else list(shift)
    if len(axes) == 1 and len(shifts) > 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise ValueError(f"roll got {len(shifts)} shifts for {len(axes)} axes.")
    for one, along in zip(shifts, axes, strict=True):
        x = _roll_one(x, one, canonical_axis(along, x.ndim))
    return x


def _roll_one(x: Any, shift: Any, axis: int) -> Any:
    size = x.shape[axis]
    if size == 0:
        return x
    known = value_of(shift)
    if not isinstance(known, Tracer):
        cut = -operator.index(np.asarray(known).item()) % size
        if cut == 0:
            return x
        index: list[Any] = [slice(None)] * x.ndim
        index[axis] = slice(cut, None)
        first = x[tuple(index)]
        index[axis] = slice(0, cut)
        return concatenate([first, x[tuple(index)]], axis=axis)
    from ..primitives.indexing import dynamic_slice_in_dim

    doubled = concatenate([x, x], axis=axis)
    return dynamic_slice_in_dim(doubled, -to_array(shift) % size, size, axis)


def resize(a: Shaped[ArrayLike, "..."], new_shape: Any) -> Array:
    """The elements in another shape, repeated or cut to fill it."""
    check_arraylike("resize", a)
    extents = canonical_shape((new_shape,) if np.ndim(new_shape) == 0 else new_shape, "resize")
    flat = ravel(a)
    size = math.prod(extents)
    if size == 0 or flat.size == 0:
        from .creation import zeros_like

        return zeros_like(flat, shape=extents)
    from .joining import tile

    return reshape(tile(flat, -(-size // flat.size))[:size], extents)


def trim_zeros(
    filt: Shaped[ArrayLike, "..."], trim: str = "fb", axis: int | Sequence[int] | None = None
) -> Array:
    """The array without its leading (f) and trailing (b) zeros along the axes (all).

    Raises:
        TracerArrayConversionError: `filt` is traced.
    """
    check_arraylike("trim_zeros", filt)
    x = to_array(filt)
    present = np.asarray(value_of(x)) != 0
    ends = trim.lower()
    index: list[Any] = [slice(None)] * x.ndim
    for i in canonical_axes(tuple(axis) if isinstance(axis, Sequence) else axis, x.ndim):
        kept = np.nonzero(present.any(axis=tuple(j for j in range(x.ndim) if j != i)))[0]
        if ("f" in ends or "b" in ends) and not kept.size:
            index[i] = slice(0, 0)
        elif kept.size:
            start = int(kept[0]) if "f" in ends else None
            index[i] = slice(start, int(kept[-1]) + 1 if "b" in ends else None)
    return x[tuple(index)]
