"""Reading by index: x[...], take, take_along_axis, and the windows a scatter writes to.

In: an array and an index. Out: an array. The one idea: static slices and points are slices, traced
points with plain slices are one dynamic slice, and everything else is one gather, whose batch axes
are those of the index arrays and of strided slices, whose windows are the plain slices.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..control.plans import planned
from ..core.array import Array as ArrayValue
from ..core.context import context
from ..core.trace import Tracer, eval_trace
from ..ir.avals import ShapedArray, aval_of, canonical_axis
from ..primitives import broadcasting, gathering, movement, slicing
from ..primitives.gathering import GatherDimensionNumbers, GatherScatterMode
from ..primitives.indexing import dynamic_slice
from ..typing import Array, ArrayLike
from .index_plan import Entry, Fancy, NewAxis, Part, Plan, Point, plan_index
from .index_windows import constant, counted_from_front, in_dtype, index_dtype, windows
from .promotion import check_arraylike, shape_of, to_array

if TYPE_CHECKING:
    from jaxtyping import Shaped


def getitem(x: Any, index: Any) -> Any:
    """x[index], by NumPy's rules; positions out of range are moved to the nearest in range."""
    if type(x) is ArrayValue and (context.trace is None or context.trace is eval_trace):
        view = _view(x, index)
        if view is not None:
            return view
    plan = plan_index(index, shape_of(x))
    kinds = {type(e) for e in plan.entries}
    if Fancy not in kinds:
        points = [e for e in plan.entries if isinstance(e, Point)]
        if all(isinstance(p.index, int) for p in points):
            return _static(x, plan)
        if all(e.step == 1 for e in plan.entries if isinstance(e, Part)):
            return _dynamic(x, plan)
    return read(x, plan)


def _view(x: ArrayValue, index: Any) -> ArrayValue | None:
    """The element or sub-array by NumPy itself, where the index is static and in range."""
    given: Any = index
    entries: tuple[Any, ...] = given if isinstance(index, tuple) else (given,)
    shape = x.aval.shape
    for i, entry in enumerate(entries):
        if type(entry) is int:
            # Entries before this one must be integers too, so that it belongs to axis i.
            if i >= len(shape) or not -shape[i] <= entry < shape[i]:
                return None
            if any(type(e) is not int for e in entries[:i]):
                return None
        elif not (type(entry) is slice and _is_plain(entry)):
            return None
    if len(entries) > len(shape):
        return None
    value = np.asarray(x.numpy()[index])
    return ArrayValue(value, ShapedArray(value.shape, x.aval.dtype, x.aval.weak_type))


def _is_plain(part: slice) -> bool:
    bounds = (part.start, part.stop, part.step)
    return part.step != 0 and all(b is None or type(b) is int for b in bounds)


def _inside(index: int, extent: int) -> int:
    """A static position counted from the front, moved into the axis."""
    return min(max(index + extent if index < 0 else index, 0), extent - 1)


def _static(x: Any, plan: Plan) -> Any:
    starts: list[int] = []
    limits: list[int] = []
    strides: list[int] = []
    backwards: list[int] = []
    points: list[int] = []
    for entry in plan.entries:
        if isinstance(entry, Point):
            start = _inside(entry.index, plan.shape[entry.axis])
            starts.append(start)
            limits.append(start + 1)
            strides.append(1)
            points.append(entry.axis)
        elif isinstance(entry, Part):
            _add_part(entry, starts, limits, strides)
            if entry.step < 0 and entry.size:
                backwards.append(entry.axis)
    if any(
        a != 0 or b != n or s != 1
        for a, b, s, n in zip(starts, limits, strides, plan.shape, strict=True)
    ):
        x = slicing.slice(x, starts, limits, None if set(strides) <= {1} else strides)
    if backwards:
        x = movement.rev(x, backwards)
    if points:
        x = movement.squeeze(x, points)
    return _with_new_axes(x, plan)


def _add_part(part: Part, starts: list[int], limits: list[int], strides: list[int]) -> None:
    """Bounds of the same elements read forwards."""
    if not part.size:
        starts.append(0)
        limits.append(0)
        strides.append(1)
        return
    last = part.start + (part.size - 1) * part.step
    low, high = min(part.start, last), max(part.start, last)
    starts.append(low)
    limits.append(high + 1)
    strides.append(abs(part.step) if part.size > 1 or abs(part.step) == 1 else 1)


def _with_new_axes(x: Any, plan: Plan) -> Any:
    """The result with the axes that `None` asks for."""
    kept = [e for e in plan.entries if not isinstance(e, Point)]
    new = tuple(i for i, e in enumerate(kept) if isinstance(e, NewAxis))
    return broadcasting.expand_dims(x, new) if new else x


def _dynamic(x: Any, plan: Plan) -> Any:
    starts: list[Any] = []
    sizes: list[int] = []
    points: list[int] = []
    dtype = index_dtype([e.index for e in plan.entries if isinstance(e, Point)])
    for entry in plan.entries:
        if isinstance(entry, Point):
            index = entry.index
            if isinstance(index, int):
                index = np.asarray(_inside(index, plan.shape[entry.axis]), dtype)
            starts.append(in_dtype(index, dtype))
            sizes.append(1)
            points.append(entry.axis)
        elif isinstance(entry, Part):
            starts.append(np.asarray(entry.start, dtype))
            sizes.append(entry.size)
    x = movement.squeeze(dynamic_slice(x, starts, sizes), points)
    return _with_new_axes(x, plan)


def read(
    x: Any,
    plan: Plan,
    mode: Any = None,
    fill_value: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    wrap_negative: bool = True,
) -> Any:
    """What the plan says, by one gather."""
    where_ = windows(plan, wrap_negative)
    if plan.lifted:
        x = broadcasting.expand_dims(x, plan.lifted)
    out = gathering.gather(
        x,
        where_.starts,
        where_.numbers,
        where_.sizes,
        mode=GatherScatterMode.PROMISE_IN_BOUNDS if mode is None else mode,
        fill_value=fill_value,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
    )
    return broadcasting.expand_dims(out, where_.new_axes) if where_.new_axes else out


def _gather_mode(name: str, mode: Any) -> Any:
    if mode == "raise":
        raise ValueError(
            f"{name} does not take mode='raise': traced indices cannot raise. "
            "Use 'fill', 'clip' or 'wrap'."
        )
    return "fill" if mode is None else mode


@planned
def take(
    a: Shaped[ArrayLike, "..."],
    indices: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Shaped[ArrayLike, ""] | None = None,
) -> Array:
    """The elements at indices along an axis, or of the raveled array.

    Args:
        mode: what indices out of range give: "fill" (the default) NaN or the extreme integer,
            "clip" the nearest element, "wrap" the one that many times around.
        fill_value: what "fill" fills with.
    Raises:
        TypeError: the indices are not integers.
        ValueError: another mode.
    """
    from .reductions import refuse_out

    check_arraylike("take", a, indices)
    refuse_out("take", out)
    x, index = to_array(a), to_array(indices)
    if index.dtype.kind not in "biu":
        raise TypeError(
            f"take requires indices of integer type, got {index.dtype.name}. Use astype(int)."
        )
    if index.dtype.kind == "b":
        index = index.astype(np.int32)
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(operator.index(axis), x.ndim)
    mode = _gather_mode("take", mode)
    if mode not in ("fill", "clip", "wrap"):
        raise ValueError(f"take does not take mode={mode!r}. Give 'fill', 'clip' or 'wrap'.")
    size = x.shape[axis]
    if mode == "wrap":
        index, mode = index % size if size else index, "clip"
    if not index.size:
        # Nothing is read, so the axis may be empty.
        return _empty_take(x, index.shape, axis)
    entry = Fancy(axis, index if isinstance(index, Tracer) else index.numpy())
    entries: list[Entry] = [Part(i, 0, n, 1) for i, n in enumerate(x.shape)]
    entries[axis] = entry
    return read(
        x,
        Plan(tuple(entries), x.shape, ()),
        mode,
        fill_value,
        indices_are_sorted,
        unique_indices,
        wrap_negative=mode != "clip",
    )


def _empty_take(x: Any, shape: tuple[int, ...], axis: int) -> Any:
    from .creation import zeros_like

    return zeros_like(x, shape=(*x.shape[:axis], *shape, *x.shape[axis + 1 :]))


@planned
def take_along_axis(
    arr: Shaped[ArrayLike, "..."],
    indices: Shaped[ArrayLike, "..."],
    axis: int | None = -1,
    mode: Any = None,
    fill_value: Shaped[ArrayLike, ""] | None = None,
    *,
    wrap_negative_indices: bool | None = None,
) -> Array:
    """The elements at indices along an axis, in step with the other axes, which broadcast.

    Args:
        axis: the axis; None ravels arr.
        mode: as in `take`.
    Raises:
        TypeError: the indices are not integers.
        ValueError: the ranks differ.
    """
    check_arraylike("take_along_axis", arr, indices)
    x, index = to_array(arr), to_array(indices)
    if index.dtype.kind not in "iu":
        raise TypeError(f"take_along_axis indices must be of integer type, got {index.dtype}.")
    if axis is None:
        x, axis = x.reshape(-1), 0
    if x.ndim != index.ndim:
        raise ValueError(
            f"indices and arr must have the same number of dimensions; {index.ndim} vs. {x.ndim}."
        )
    axis = canonical_axis(operator.index(axis), x.ndim)
    others = tuple(i for i in range(x.ndim) if i != axis)
    common = broadcasting.broadcast_shapes(*(tuple(v.shape[i] for i in others) for v in (x, index)))
    x, index = (_stretch(v, axis, common) for v in (x, index))
    mode = _gather_mode("take_along_axis", mode)
    wrap = mode != "clip" if wrap_negative_indices is None else wrap_negative_indices
    value = index if isinstance(index, Tracer) else index.numpy()
    starts = counted_from_front(value, x.shape[axis], index_dtype([value]), wrap)
    starts = starts.reshape((*index.shape, 1))
    if not isinstance(starts, Tracer):
        starts = constant(starts)
    numbers = GatherDimensionNumbers((), (axis,), (axis,), others, others)
    sizes = (1,) * x.ndim
    return gathering.gather(x, starts, numbers, sizes, mode=mode, fill_value=fill_value)


def _stretch(x: Any, axis: int, common: tuple[int, ...]) -> Any:
    shape = (*common[:axis], x.shape[axis], *common[axis:])
    return broadcasting.broadcast_to(x, shape)


def put_along_axis(
    arr: Shaped[ArrayLike, "..."],
    indices: Shaped[ArrayLike, "..."],
    values: Shaped[ArrayLike, "..."],
    axis: int | None,
    inplace: bool = True,
    *,
    mode: str | None = None,
) -> Array:
    """The array with the elements at indices along an axis replaced.

    Raises:
        ValueError: inplace is left True, since arrays are immutable.
    """
    check_arraylike("put_along_axis", arr, indices, values)
    if inplace:
        raise ValueError(
            "put_along_axis cannot work in place: arrays are immutable. Give inplace=False and "
            "use the result."
        )
    x, index = to_array(arr), to_array(indices)
    shape = x.shape
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(operator.index(axis), x.ndim)
    entries: list[Any] = []
    for i, n in enumerate(x.shape):
        line = np.arange(n, dtype=np.int32).reshape([-1 if j == i else 1 for j in range(x.ndim)])
        entries.append(index if i == axis else line)
    return x.at[tuple(entries)].set(values, mode=mode).reshape(shape)


def put(
    a: Shaped[ArrayLike, "..."],
    ind: Shaped[ArrayLike, "..."],
    v: Shaped[ArrayLike, "..."],
    mode: str | None = None,
    *,
    inplace: bool = True,
) -> Array:
    """The array with elements replaced at indices into the raveled array.

    Args:
        mode: of an index out of range: "clip" to the first or the last element, also of negative
            indices; "wrap"; or None, which counts negative ones from the end, then clips.
    Raises:
        ValueError: inplace is left True, since arrays are immutable; or another mode.
    """
    from .manipulation import resize
    from .selection import where

    check_arraylike("put", a, ind, v)
    if inplace:
        raise ValueError(
            "put cannot work in place: arrays are immutable. Give inplace=False and use the result."
        )
    x, index = to_array(a), to_array(ind).reshape(-1)
    if not (x.size and index.size and aval_of(v).size):
        return x
    values = resize(v, index.shape)
    if mode == "wrap":
        index = index % x.size
    elif mode in (None, "clip"):
        counted = index if mode else where(index < 0, index + x.size, index)
        index = counted.clip(0, x.size - 1)
    else:
        raise ValueError(f"put takes mode 'clip', 'wrap' or None; got {mode!r}.")
    return x.reshape(-1).at[index].set(values, mode="drop").reshape(x.shape)


def place(
    arr: Shaped[ArrayLike, "..."],
    mask: Shaped[ArrayLike, "..."],
    vals: Shaped[ArrayLike, "..."],
    *,
    inplace: bool = True,
) -> Array:
    """The array with the elements where a mask holds replaced by values, repeated as needed.

    Raises:
        ValueError: inplace is left True, since arrays are immutable; the sizes of array and mask
            differ; or there are no values.
    """
    from .cumulation import cumsum
    from .selection import where

    check_arraylike("place", arr, mask, vals)
    if inplace:
        raise ValueError(
            "place cannot work in place: arrays are immutable. Give inplace=False and use the "
            "result."
        )
    x, chosen, values = to_array(arr), to_array(mask).reshape(-1), to_array(vals).reshape(-1)
    if x.size != chosen.size:
        raise ValueError(f"place: arr and mask must be the same size: {x.size}, {chosen.size}.")
    if not values.size:
        raise ValueError("place cannot take values from an empty array.")
    chosen = chosen != 0
    rank = cumsum(chosen.astype(int)) - 1
    new = values[rank % values.size].astype(x.dtype)
    return where(chosen, new, x.reshape(-1)).reshape(x.shape)


def compress(
    condition: Shaped[ArrayLike, "n"],
    a: Shaped[ArrayLike, "..."],
    axis: int | None = None,
    *,
    size: int | None = None,
    fill_value: Shaped[ArrayLike, ""] = 0,
    out: None = None,
) -> Array:
    """The elements along an axis where a vector of booleans holds; `size` of them if given.

    Raises:
        ValueError: the condition is no vector.
    """
    from .reductions import refuse_out
    from .search import nonzero

    check_arraylike("compress", condition, a, fill_value)
    refuse_out("compress", out)
    x, mask = to_array(a), to_array(condition)
    if mask.ndim != 1:
        raise ValueError(f"condition must be a 1D array, got shape {mask.shape}.")
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = canonical_axis(axis, x.ndim)
    (index,) = nonzero(mask[: x.shape[axis]], size=size, fill_value=x.shape[axis])
    return take(x, index, axis, mode="fill", fill_value=np.asarray(fill_value).item())


def extract(
    condition: Shaped[ArrayLike, "..."],
    arr: Shaped[ArrayLike, "..."],
    *,
    size: int | None = None,
    fill_value: Shaped[ArrayLike, ""] = 0,
) -> Array:
    """The elements of the raveled array where the raveled condition holds."""
    check_arraylike("extract", condition, arr, fill_value)
    flat = to_array(condition).reshape(-1)
    return compress(flat, to_array(arr).reshape(-1), size=size, fill_value=fill_value)
