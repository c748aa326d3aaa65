"""Reading by index: x[...], take, take_along_axis, and the windows a scatter writes to.

In: an array and an index. Out: an array. The one idea: static slices and points are slices, traced
points with plain slices are one dynamic slice, and everything else is one gather, whose batch axes
are those of the index arrays and of strided slices, whose windows are the plain slices.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from ..core.array import Array as ArrayValue
from ..core.context import context
from ..core.trace import Tracer, eval_trace
from ..ir.avals import ShapedArray, aval_of, canonical_axis
from ..primitives import gathering, joining, movement
from ..primitives.gathering import GatherDimensionNumbers, GatherScatterMode
from ..primitives.indexing import dynamic_slice
from ..typing import Array, ArrayLike
from .index_plan import Entry, Fancy, NewAxis, Part, Plan, Point, is_full, plan_index
from .promotion import check_arraylike, convert, shape_of, to_array
from .selection import where


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
    entries: tuple[Any, ...] = index if isinstance(index, tuple) else (index,)
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
    starts, limits, strides, backwards, points = [], [], [], [], []
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
        x = joining.slice(x, starts, limits, None if set(strides) <= {1} else strides)
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
    return movement.expand_dims(x, new) if new else x


def _dynamic(x: Any, plan: Plan) -> Any:
    starts: list[Any] = []
    sizes: list[int] = []
    points: list[int] = []
    dtype = _index_dtype([e.index for e in plan.entries if isinstance(e, Point)])
    for entry in plan.entries:
        if isinstance(entry, Point):
            index = entry.index
            if isinstance(index, int):
                index = np.asarray(_inside(index, plan.shape[entry.axis]), dtype)
            starts.append(_in_dtype(index, dtype))
            sizes.append(1)
            points.append(entry.axis)
        elif isinstance(entry, Part):
            starts.append(np.asarray(entry.start, dtype))
            sizes.append(entry.size)
    x = movement.squeeze(dynamic_slice(x, starts, sizes), points)
    return _with_new_axes(x, plan)


def _index_dtype(values: list[Any]) -> np.dtype[Any]:
    """int32, or int64 where a traced index has (or needs) it."""
    wide = [v for v in values if isinstance(v, Tracer) and v.dtype.itemsize == 8]
    return np.dtype(np.int64 if wide else np.int32)


def _in_dtype(index: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(index, np.ndarray):
        return index.astype(dtype)
    return convert(index, dtype)


class Windows(NamedTuple):
    """A gather or scatter that a plan stands for.

    Attributes:
        starts: the index vectors, integers [batch..., k].
        numbers: the dimension numbers of the gather.
        sizes: the windows' extents along the operand's axes.
        shape: shape of the result of the index, new axes included.
        new_axes: where the result has axes that the gather has not.
        distinct: whether no element is met twice.
        ascending: whether the index vectors are in order.
    """

    starts: Any
    numbers: GatherDimensionNumbers
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    new_axes: tuple[int, ...]
    distinct: bool
    ascending: bool


def windows(plan: Plan, wrap_negative: bool = True) -> Windows:
    """The gather that reads what the plan says, or the scatter that writes there."""
    chosen = [e for e in plan.entries if isinstance(e, (Point, Fancy))]
    arrays = [np.shape(e.index) if isinstance(e.index, int) else e.index.shape for e in chosen]
    common = movement.broadcast_shapes(*arrays) if arrays else ()
    layout = _layout(plan.entries, len(common))
    new_axes = tuple(i for i, slot in enumerate(layout) if slot[0] == "new")
    slots = [slot for slot in layout if slot[0] != "new"]
    batch = [slot for slot in slots if slot[0] != "window"]
    parts = {e.axis: e for e in plan.entries if isinstance(e, Part)}
    extents = {("index", i): n for i, n in enumerate(common)}
    extents |= {(kind, a): parts[a].size for kind, a in slots if kind != "index"}
    batch_shape = tuple(extents[slot] for slot in batch)

    dtype = _index_dtype([e.index for e in chosen])
    first = next((i for i, slot in enumerate(batch) if slot[0] == "index"), 0)
    components: list[Any] = []
    moving: list[int] = []
    for entry in plan.entries:
        if isinstance(entry, NewAxis):
            continue
        extent = plan.shape[entry.axis]
        if not isinstance(entry, Part):
            index = _counted_from_front(entry.index, extent, dtype, wrap_negative)
            axes = tuple(range(first + len(common) - index.ndim, first + len(common)))
        elif ("window", entry.axis) not in slots:
            index = np.arange(entry.size, dtype=dtype) * entry.step + entry.start
            axes = (batch.index(("stride", entry.axis)),)
        elif is_full(entry, extent):
            continue
        else:
            index, axes = np.asarray(entry.start, dtype), ()
        components.append(_component(index.astype(dtype), axes, batch_shape))
        moving.append(entry.axis)
    collapsed = tuple(
        e.axis
        for e in plan.entries
        if not isinstance(e, NewAxis) and ("window", e.axis) not in slots
    )
    sizes = tuple(1 if a in collapsed else parts[a].size for a in range(len(plan.shape)))
    offset = tuple(i for i, slot in enumerate(slots) if slot[0] == "window")
    shape = tuple(1 if slot[0] == "new" else extents[slot] for slot in layout)
    distinct = not any(isinstance(e, Fancy) for e in chosen)
    return Windows(
        _stacked(components, batch_shape, dtype),
        GatherDimensionNumbers(offset, collapsed, tuple(moving)),
        sizes,
        shape,
        new_axes,
        distinct,
        distinct and all(p.step > 0 for p in parts.values()),
    )


def _layout(entries: tuple[Entry, ...], count: int) -> list[tuple[str, int]]:
    """What each axis of the result is: of the index arrays, a window, a strided slice, or new.

    Index arrays that stand side by side put their axes where they stand, others in front.
    """
    indexed = any(isinstance(e, Fancy) for e in entries)
    where_chosen = [i for i, e in enumerate(entries) if isinstance(e, (Point, Fancy))]
    adjacent = bool(where_chosen) and where_chosen[-1] - where_chosen[0] + 1 == len(where_chosen)
    index_slots = [("index", i) for i in range(count)]
    result: list[tuple[str, int]] = [] if adjacent or not indexed else list(index_slots)
    for i, entry in enumerate(entries):
        if isinstance(entry, NewAxis):
            result.append(("new", i))
        elif isinstance(entry, Part):
            result.append(("window" if entry.step == 1 else "stride", entry.axis))
        elif indexed and adjacent and i == where_chosen[0]:
            result += index_slots
    return result


def _counted_from_front(index: Any, extent: int, dtype: np.dtype[Any], wrap: bool) -> Any:
    """The index in its final dtype, negative positions counted from the end."""
    if isinstance(index, Tracer):
        if index.dtype.kind == "i" and index.dtype.itemsize < 4:
            index = convert(index, dtype)
        if wrap and index.dtype.kind == "i":
            index = where(index < 0, index + extent, index)
        return convert(index, dtype)
    value = np.asarray(index)
    value = np.clip(value, -(2**31), 2**31 - 1) if value.dtype.itemsize > 4 else value
    value = value.astype(np.int64)
    return np.where(value < 0, value + extent, value).astype(dtype) if wrap else value.astype(dtype)


def _component(index: Any, axes: tuple[int, ...], batch_shape: tuple[int, ...]) -> Any:
    """One component of the index vectors: [batch..., 1]."""
    shape = (*batch_shape, 1)
    if isinstance(index, Tracer):
        return movement.broadcast_in_dim(index, shape, axes)
    spread = [1] * len(shape)
    for axis, n in zip(axes, index.shape, strict=True):
        spread[axis] = n
    return np.broadcast_to(index.reshape(spread), shape)


def _stacked(components: list[Any], batch_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    if not components:
        return np.zeros((*batch_shape, 0), dtype)
    if len(components) == 1:
        return components[0] if isinstance(components[0], Tracer) else _constant(components[0])
    if not any(isinstance(c, Tracer) for c in components):
        return _constant(np.concatenate(components, axis=-1))
    parts = [c if isinstance(c, Tracer) else _constant(c) for c in components]
    return joining.concatenate(parts, len(batch_shape))


def _constant(value: np.ndarray[Any, Any]) -> Any:
    """A constant array of indices; one repeated value is a scalar broadcast."""
    if value.size and (value == value.flat[0]).all():
        scalar = ArrayValue(np.array(value.flat[0], value.dtype))
        return movement.broadcast(scalar, value.shape)
    return ArrayValue(np.array(value))


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
        x = movement.expand_dims(x, plan.lifted)
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
    return movement.expand_dims(out, where_.new_axes) if where_.new_axes else out


def _gather_mode(name: str, mode: Any) -> Any:
    if mode == "raise":
        raise ValueError(
            f"{name} does not take mode='raise': traced indices cannot raise. "
            "Use 'fill', 'clip' or 'wrap'."
        )
    return "fill" if mode is None else mode


def take(
    a: ArrayLike,
    indices: ArrayLike,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:
    """The elements at indices along an axis, or of the raveled array.

    Args:
        mode: what indices out of range give: "fill" (the default) NaN or the extreme integer,
            "clip" the nearest element, "wrap" the one that many times around.
        fill_value: what "fill" fills with.
    Raises:
        TypeError: the indices are not integers.
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


def take_along_axis(
    arr: ArrayLike,
    indices: ArrayLike,
    axis: int | None = -1,
    mode: Any = None,
    fill_value: Any = None,
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
    common = movement.broadcast_shapes(*(tuple(v.shape[i] for i in others) for v in (x, index)))
    x, index = (_stretch(v, axis, common) for v in (x, index))
    mode = _gather_mode("take_along_axis", mode)
    wrap = mode != "clip" if wrap_negative_indices is None else wrap_negative_indices
    value = index if isinstance(index, Tracer) else index.numpy()
    starts = _counted_from_front(value, x.shape[axis], _index_dtype([value]), wrap)
    starts = starts.reshape((*index.shape, 1))
    if not isinstance(starts, Tracer):
        starts = _constant(starts)
    numbers = GatherDimensionNumbers((), (axis,), (axis,), others, others)
    sizes = (1,) * x.ndim
    return gathering.gather(x, starts, numbers, sizes, mode=mode, fill_value=fill_value)


def _stretch(x: Any, axis: int, common: tuple[int, ...]) -> Any:
    shape = (*common[:axis], x.shape[axis], *common[axis:])
    return movement.broadcast_to(x, shape)


def put_along_axis(
    arr: ArrayLike,
    indices: ArrayLike,
    values: ArrayLike,
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
    a: ArrayLike, ind: ArrayLike, v: ArrayLike, mode: str | None = None, *, inplace: bool = True
) -> Array:
    """The array with elements replaced at indices into the raveled array.

    Raises:
        ValueError: inplace is left True, since arrays are immutable.
    """
    from .manipulation import resize

    check_arraylike("put", a, ind, v)
    if inplace:
        raise ValueError(
            "put cannot work in place: arrays are immutable. Give inplace=False and use the result."
        )
    x, index = to_array(a), to_array(ind).reshape(-1)
    if not index.size or not aval_of(v).size:
        return x
    values = resize(v, index.shape)
    if mode == "clip":
        index = index.clip(0, x.size - 1)
    elif mode == "wrap":
        index = index % x.size
    return x.reshape(-1).at[index].set(values, mode="drop").reshape(x.shape)


def compress(
    condition: ArrayLike,
    a: ArrayLike,
    axis: int | None = None,
    *,
    size: int | None = None,
    fill_value: ArrayLike = 0,
    out: None = None,
) -> Array:
    """The elements along an axis where a vector of booleans holds; `size` of them if given."""
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
    condition: ArrayLike, arr: ArrayLike, *, size: int | None = None, fill_value: ArrayLike = 0
) -> Array:
    """The elements of the raveled array where the raveled condition holds."""
    check_arraylike("extract", condition, arr, fill_value)
    flat = to_array(condition).reshape(-1)
    return compress(flat, to_array(arr).reshape(-1), size=size, fill_value=fill_value)
