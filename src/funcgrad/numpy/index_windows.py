"""The windows of an index: the gather that reads what a plan says, or the scatter that writes it.

In: a plan. Out: index vectors, dimension numbers and sizes. The one idea: axes of the result are
those of the index arrays, of strided slices (both batch axes of the gather), or of plain slices
(its windows), and the order they stand in is NumPy's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.array import Array as ArrayValue
from ..core.context import context
from ..core.staging import maker_of
from ..core.trace import Tracer
from ..primitives import broadcasting, joining
from ..primitives.creation import iota_p
from ..primitives.gathering import GatherDimensionNumbers
from .index_plan import Fancy, NewAxis, Part, Plan, Point, is_full
from .promotion import convert, is_ndarray
from .selection import where


def index_dtype(values: list[Any]) -> np.dtype[Any]:
    """int32, or int64 where a traced index has (or needs) it."""
    wide = [v for v in values if isinstance(v, Tracer) and v.dtype.itemsize == 8]
    return np.dtype(np.int64 if wide else np.int32)


def in_dtype(index: Any, dtype: np.dtype[Any]) -> Any:
    """An index, concrete or traced, in a dtype."""
    if is_ndarray(index):
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
    common = broadcasting.broadcast_shapes(*arrays) if arrays else ()
    layout = _layout(plan, len(common))
    new_axes = tuple(i for i, slot in enumerate(layout) if slot[0] == "new")
    slots = [slot for slot in layout if slot[0] != "new"]
    batch = [slot for slot in slots if slot[0] != "window"]
    parts = {e.axis: e for e in plan.entries if isinstance(e, Part)}
    extents = {("index", i): n for i, n in enumerate(common)}
    extents |= {(kind, a): parts[a].size for kind, a in slots if kind != "index"}
    batch_shape = tuple(extents[slot] for slot in batch)

    dtype = index_dtype([e.index for e in chosen])
    first = next((i for i, slot in enumerate(batch) if slot[0] == "index"), 0)
    moving: list[int] = []
    stepped: dict[int, int] = {}
    found: list[tuple[Any, tuple[int, ...]]] = []
    for entry in plan.entries:
        if isinstance(entry, NewAxis):
            continue
        extent = plan.shape[entry.axis]
        if not isinstance(entry, Part):
            index: Any = counted_from_front(entry.index, extent, dtype, wrap_negative)
            axes = tuple(range(first + len(common) - index.ndim, first + len(common)))
            every = len(chosen) > 1 and _is_every_place(entry.index, extent)
            if every and batch_shape[axes[0]] == extent and axes[0] not in stepped.values():
                stepped[entry.axis] = axes[0]
                continue
        elif ("window", entry.axis) not in slots:
            index = np.arange(entry.size, dtype=dtype) * entry.step + entry.start
            axes = (batch.index(("stride", entry.axis)),)
        elif is_full(entry, extent):
            continue
        else:
            index, axes = np.asarray(entry.start, dtype), ()
        found.append((index, axes))
        moving.append(entry.axis)
    components = [_component(index.astype(dtype), axes, batch_shape) for index, axes in found]
    collapsed = tuple(
        e.axis
        for e in plan.entries
        if not isinstance(e, NewAxis) and ("window", e.axis) not in slots and e.axis not in stepped
    )
    single = {*collapsed, *stepped}
    sizes = tuple(1 if a in single else parts[a].size for a in range(len(plan.shape)))
    offset = tuple(i for i, slot in enumerate(slots) if slot[0] == "window")
    shape = tuple(1 if slot[0] == "new" else extents[slot] for slot in layout)
    distinct = not any(isinstance(e, Fancy) for e in chosen)
    return Windows(
        _stacked(components, batch_shape, dtype),
        GatherDimensionNumbers(offset, collapsed, *map(tuple, (moving, stepped, stepped.values()))),
        sizes,
        shape,
        new_axes,
        distinct,
        distinct and all(p.step > 0 for p in parts.values()),
    )


def _layout(plan: Plan, count: int) -> list[tuple[str, int]]:
    """What each axis of the result is: of the index arrays, a window, a strided slice, or new.

    Index arrays that stand side by side put their axes where they stand, others in front.
    """
    entries = plan.entries
    indexed = any(isinstance(e, Fancy) for e in entries)
    where_chosen = [i for i, e in enumerate(entries) if isinstance(e, (Point, Fancy))]
    adjacent = bool(where_chosen) and where_chosen[-1] - where_chosen[0] + 1 == len(where_chosen)
    if adjacent and plan.gap is not None:
        adjacent = not where_chosen[0] < plan.gap <= where_chosen[-1]
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


def counted_from_front(index: Any, extent: int, dtype: np.dtype[Any], wrap: bool) -> Any:
    """The index in its final dtype, negative positions counted from the end."""
    if isinstance(index, Tracer):
        index = _dynamic(index)
        if index.dtype.kind == "i" and index.dtype.itemsize < 4:
            index = convert(index, dtype)
        if wrap and index.dtype.kind == "i":
            index = where(index < 0, index + extent, index)
        return convert(index, dtype)
    value = np.asarray(index)
    value = np.clip(value, -(2**31), 2**31 - 1) if value.dtype.itemsize > 4 else value
    value = value.astype(np.int64)
    return np.where(value < 0, value + extent, value).astype(dtype) if wrap else value.astype(dtype)


def _is_every_place(index: Any, extent: int) -> bool:
    """Whether an index is 0, 1, ... up to the last place of an axis, as `arange` gives it.

    Not asked without a trace, where one gather is as good as the other.
    """
    if context.trace is None or isinstance(index, int) or index.shape != (extent,) or not extent:
        return False
    if isinstance(index, Tracer):
        maker = maker_of(index)
        return maker is not None and maker.primitive is iota_p
    return bool(index[-1] == extent - 1) and bool((index == np.arange(extent)).all())


def _component(index: Any, axes: tuple[int, ...], batch_shape: tuple[int, ...]) -> Any:
    """One component of the index vectors: [batch..., 1]."""
    shape = (*batch_shape, 1)
    if isinstance(index, Tracer):
        return broadcasting.broadcast_in_dim(index, shape, axes)
    spread = [1] * len(shape)
    for axis, n in zip(axes, index.shape, strict=True):
        spread[axis] = n
    return np.broadcast_to(index.reshape(spread), shape)


def _stacked(components: list[Any], batch_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    if not components:
        return np.zeros((*batch_shape, 0), dtype)
    if len(components) == 1:
        return components[0] if isinstance(components[0], Tracer) else constant(components[0])
    if not any(isinstance(c, Tracer) for c in components):
        return constant(np.concatenate(components, axis=-1))
    parts = [c if isinstance(c, Tracer) else constant(c) for c in components]
    return joining.concatenate(parts, len(batch_shape))


def constant(value: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """A constant array of indices; one repeated value is a scalar broadcast."""
    if value.size and (value == value.flat[0]).all():
        scalar = ArrayValue(np.array(value.flat[0], value.dtype))
        return broadcasting.broadcast(scalar, value.shape)
    return ArrayValue(np.array(value))


def _dynamic(x: Any) -> Any:
    """A tracer to which the operators apply that a type checker does not see."""
    return x
