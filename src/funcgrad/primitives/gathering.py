"""Gather: windows of an array read at computed places; and the geometry scatter shares with it.

In: an operand, an array of index vectors, dimension numbers. Out: one window for each index
vector. The one idea: the operand's axes are either moving (a start is computed for them) or at
rest; moving axes are brought to the front and indexed by broadcast grids of integers, the others
are plain slices, so that no index is ever made for them.
"""

from __future__ import annotations

import builtins
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.axes import move_axis
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, canonical_shape
from ..ir.loops import Lowered, Operand
from .kinds import draw, integers, reals
from .lowered_indexing import IndexedWindows, gathered

Axes = tuple[int, ...]


class GatherDimensionNumbers(NamedTuple):
    """How the axes of operand, indices and output of a gather belong together.

    Attributes:
        offset_dims: output axes that run through the windows, ascending.
        collapsed_slice_dims: operand axes of window size 1 that the output leaves out.
        start_index_map: the operand axis each component of an index vector is a start for.
        operand_batching_dims: operand axes walked in step with axes of the indices.
        start_indices_batching_dims: those axes of the indices, in the same order.
    """

    offset_dims: Axes
    collapsed_slice_dims: Axes
    start_index_map: Axes
    operand_batching_dims: Axes = ()
    start_indices_batching_dims: Axes = ()


class GatherScatterMode(enum.Enum):
    """What becomes of a window that does not lie in the operand.

    CLIP moves it inside. FILL_OR_DROP fills it (gather) or leaves it out (scatter), and so does
    ONE_HOT, with zeros. PROMISE_IN_BOUNDS says there is none; should there be one after all, a
    gather moves it inside and a scatter leaves it out.
    """

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()
    ONE_HOT = enum.auto()

    @staticmethod
    def from_any(s: str | GatherScatterMode | None) -> GatherScatterMode:
        """The mode of a name: clip, fill, drop, promise_in_bounds, one_hot; None is fill.

        Raises:
            ValueError: there is no such mode.
        """
        if isinstance(s, GatherScatterMode):
            return s
        if s not in _modes:
            names = ", ".join(repr(name) for name in _modes if name)
            raise ValueError(f"Unknown gather mode {s!r}.\n  {user_line()}\n  Give one of {names}.")
        return _modes[s]


_modes = {
    None: GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
    "one_hot": GatherScatterMode.ONE_HOT,
}


class Windows(NamedTuple):
    """Where the windows of a gather or scatter lie in one operand.

    Attributes:
        order: the operand's axes, moving ones first, then those at rest.
        part: an index into the axes at rest (after the moving ones).
        rows: for each moving axis integers of shape (batch..., windows along moving axes...),
            or broadcasting to it; always in bounds.
        shape: the broadcast shape of `rows`.
        valid: which index vectors lay in bounds, bool[batch...].
        axes: the operand axes of the window axes after the batch axes, moving ones first.
    """

    order: Axes
    part: tuple[Any, ...]
    rows: tuple[np.ndarray[Any, Any], ...]
    shape: tuple[int, ...]
    valid: np.ndarray[Any, Any]
    axes: Axes

    def view(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The operand as (moving axes..., window axes at rest...)."""
        # The ellipsis keeps a 0-d result a view, which scatter writes through.
        index = (*(builtins.slice(None),) * self.moving, *self.part, ...)
        x = x.transpose(self.order)[index]
        return x if self.moving else x[None]

    @property
    def moving(self) -> int:
        """Number of moving axes."""
        return len(self.order) - len(self.part)


def find_windows(
    shape: tuple[int, ...],
    indices: np.ndarray[Any, Any],
    numbers: GatherDimensionNumbers,
    sizes: Sequence[int],
) -> Windows:
    """The windows of the given sizes that index vectors point at in an operand of `shape`."""
    index = as_int64(indices)
    batch = index.shape[:-1]
    dropped = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    valid = np.ones(batch, bool)
    starts: dict[int, np.ndarray[Any, Any]] = {}
    for component, d in enumerate(numbers.start_index_map):
        last = shape[d] - sizes[d]
        raw = index[..., component]
        valid &= (raw >= 0) & (raw <= last)
        if last > 0:
            starts[d] = np.clip(raw, 0, last)
    for d, axis in zip(
        numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True
    ):
        starts[d] = np.arange(shape[d]).reshape((-1,) + (1,) * (len(batch) - axis - 1))
    moving = sorted(starts)
    rest = [d for d in range(len(shape)) if d not in starts]
    inner = [d for d in moving if d not in dropped]
    rows: list[np.ndarray[Any, Any]] = []
    for d in moving:
        grid = starts[d].reshape(starts[d].shape + (1,) * len(inner))
        if d in inner:
            after = len(inner) - inner.index(d) - 1
            grid = grid + np.arange(sizes[d]).reshape((-1,) + (1,) * after)
        rows.append(grid)
    if not rows:
        rows.append(np.zeros(batch, np.int64))
    part = tuple(0 if d in dropped else builtins.slice(0, sizes[d]) for d in rest)
    axes = (*inner, *(d for d in rest if d not in dropped))
    extents = (*batch, *(sizes[d] for d in inner))
    # Batching axes alone do not span all index vectors; one full row makes them all broadcast.
    rows[0] = np.broadcast_to(rows[0], extents)
    return Windows((*moving, *rest), part, tuple(rows), extents, valid, axes)


def rows_within(indices: np.ndarray[Any, Any], extent: int, mode: GatherScatterMode) -> Any:
    """Places along an axis, if all are in bounds or are brought there; else None."""
    rows, last = as_int64(indices)[..., 0], extent - 1
    if mode is GatherScatterMode.CLIP:
        return np.minimum(np.maximum(rows, 0), last)
    return rows if ((rows >= 0) & (rows <= last)).all() else None


def goes_along(
    axis: int,
    shape: tuple[int, ...],
    places: tuple[int, ...],
    numbers: GatherDimensionNumbers,
    sizes: Sequence[int],
) -> bool:
    """Whether the windows at indices of shape `places` are what lies across an axis.

    So it is where one component moves over one axis, whose place in the result the batch axes have.
    """
    rank, batch = len(shape), len(places) - 1
    moved = (*shape[:axis], 1, *shape[axis + 1 :])
    offsets = (*range(axis), *range(axis + batch, rank - 1 + batch))
    plain = numbers.start_index_map == (axis,) == numbers.collapsed_slice_dims
    if not plain or numbers.operand_batching_dims or tuple(sizes) != moved:
        return False
    return tuple(numbers.offset_dims) == offsets and 0 not in shape and 0 not in places


def as_int64(indices: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Indices of any integer dtype as int64; what is too large stays out of bounds."""
    if indices.dtype == np.uint64:
        indices = np.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    return indices.astype(np.int64)


def window_order(windows: Windows, window_dims: Sequence[int], rank: int) -> Axes:
    """The permutation from (batch..., windows.axes...) to the public order of axes.

    `window_dims` are the positions, among `rank` axes, of the window axes in operand order.
    """
    place = dict(zip(sorted(windows.axes), window_dims, strict=True))
    batch_places = [i for i in range(rank) if i not in window_dims]
    places = [*batch_places, *(place[d] for d in windows.axes)]
    return tuple(sorted(range(rank), key=places.__getitem__))


class Gather(Primitive):
    """The window of the operand at each index vector."""

    name = "gather"

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        operand, indices = avals
        numbers: GatherDimensionNumbers = params["dimension_numbers"]
        sizes: tuple[int, ...] = params["slice_sizes"]
        check_numbers("gather", operand, indices, numbers)
        problem = None
        dropped = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
        rank = len(indices.shape) - 1 + len(numbers.offset_dims)
        if len(sizes) != len(operand.shape):
            problem = "needs one slice size for each axis of the operand"
        elif not all(0 <= d < rank for d in numbers.offset_dims):
            problem = f"got offset_dims outside of the {rank} axes of the output"
        elif len(sizes) != len(numbers.offset_dims) + len(dropped):
            problem = "needs every operand axis to be an offset, collapsed or batching axis"
        elif any(sizes[d] > 1 for d in dropped) or any(
            sizes[d] != 1 for d in numbers.collapsed_slice_dims
        ):
            problem = "needs slice size 1 for collapsed and batching axes"
        elif indices.size and not all(
            0 <= s <= n for s, n in zip(sizes, operand.shape, strict=True)
        ):
            problem = "got slice sizes out of range"
        if problem:
            raise TypeError(
                f"gather {problem}: got operand {operand.long()}, indices {indices.long()}, "
                f"slice_sizes {sizes}, {numbers}.\n  {user_line()}\n"
                "  Indexing with x[...] or take works these numbers out."
            )
        batch = iter(indices.shape[:-1])
        window = iter(n for d, n in enumerate(sizes) if d not in dropped)
        shape = tuple(next(window if d in numbers.offset_dims else batch) for d in range(rank))
        return ShapedArray(shape, operand.dtype, operand.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        operand, indices = arrays
        numbers: GatherDimensionNumbers = params["dimension_numbers"]
        sizes: tuple[int, ...] = params["slice_sizes"]
        axis = numbers.start_index_map[0] if numbers.start_index_map else 0
        along = goes_along(axis, operand.shape, indices.shape, numbers, sizes)
        rows = rows_within(indices, operand.shape[axis], params["mode"]) if along else None
        if rows is not None:
            return operand.take(rows, axis=axis)
        windows = find_windows(operand.shape, indices, numbers, sizes)
        rows = windows.rows
        if 0 in windows.shape:
            # Nothing is read, not even from an operand that has nothing.
            rest = windows.axes[len(windows.shape) - windows.valid.ndim :]
            out = np.empty((*windows.shape, *(sizes[d] for d in rest)), operand.dtype)
        elif len(rows) == 1:
            out = windows.view(operand).take(rows[0], axis=0)
        else:
            out = windows.view(operand)[rows]
        if not windows.shape:
            out = np.array(out)
        if params["mode"] in (GatherScatterMode.FILL_OR_DROP, GatherScatterMode.ONE_HOT):
            out[~windows.valid] = params["fill_value"]
        return out.transpose(window_order(windows, numbers.offset_dims, out.ndim))

    def prepared(
        self, avals: Sequence[ShapedArray], params: dict[str, Any]
    ) -> Callable[..., Any] | None:
        operand, indices = avals
        numbers: GatherDimensionNumbers = params["dimension_numbers"]
        axis = numbers.start_index_map[0] if numbers.start_index_map else 0
        plain = goes_along(axis, operand.shape, indices.shape, numbers, params["slice_sizes"])
        if not plain or indices.dtype.itemsize > 4 or indices.ndim < 2:
            return None
        if params["mode"] is GatherScatterMode.CLIP:
            return None
        last, least, greatest = operand.shape[axis] - 1, np.minimum.reduce, np.maximum.reduce

        def taken(operand: Any, indices: Any) -> Any:
            rows = indices[..., 0]
            if least(rows, None) >= 0 and greatest(rows, None) <= last:
                return operand.take(rows, axis)
            return self.impl(operand, indices, **params)

        return taken

    def jvp_term(self, i: int, t: Any, out: Any, *primals: Any, **params: Any) -> Any:
        fill = None if params["fill_value"] is None else 0
        return gather_p.bind(t, primals[1], **{**params, "fill_value": fill})

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .creation import zeros_like_aval
        from .scatter import scatter_add
        from .scatter_places import scatter_numbers

        operand, indices = args
        zeros = zeros_like_aval(ShapedArray(operand.aval.shape, aval_of(ct).dtype))
        numbers = scatter_numbers(params["dimension_numbers"])
        found = scatter_add(
            zeros,
            indices,
            ct,
            numbers,
            unique_indices=params["unique_indices"],
            indices_are_sorted=params["indices_are_sorted"],
            mode=params["mode"],
        )
        return [found, None]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        operand, indices = args
        n: GatherDimensionNumbers = params["dimension_numbers"]
        sizes: tuple[int, ...] = params["slice_sizes"]
        offsets = shifted(n.offset_dims)
        if dims[0] is not None:
            operand = move_axis(operand, dims[0], 0)
            n = n._replace(
                collapsed_slice_dims=shifted(n.collapsed_slice_dims),
                start_index_map=shifted(n.start_index_map),
                operand_batching_dims=shifted(n.operand_batching_dims),
            )
        if dims[1] is not None:
            indices = move_axis(indices, dims[1], 0)
            batching = shifted(n.start_indices_batching_dims)
            n = n._replace(start_indices_batching_dims=batching)
        if dims[1] is None:
            # The batch axis is one more axis of every window.
            offsets, sizes = (0, *offsets), (axis.size, *sizes)
        elif dims[0] is None:
            # Several index arrays into one operand: no promise about them survives.
            params = {**params, "unique_indices": False, "indices_are_sorted": False}
        else:
            sizes = (min(axis.size, 1), *sizes)
            n = n._replace(
                operand_batching_dims=(0, *n.operand_batching_dims),
                start_indices_batching_dims=(0, *n.start_indices_batching_dims),
            )
        numbers = n._replace(offset_dims=offsets)
        params = {**params, "dimension_numbers": numbers, "slice_sizes": sizes}
        return gather_p.bind(operand, indices, **params), 0

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        x, indices = operands
        sizes: tuple[int, ...] = params["slice_sizes"]
        # Windows promised to be inside are moved there, so that no promise guards memory.
        clip = params["mode"] in (GatherScatterMode.CLIP, GatherScatterMode.PROMISE_IN_BOUNDS)
        windows = IndexedWindows(x.shape, indices, params["dimension_numbers"], sizes, clip)
        return gathered(x, windows, params["fill_value"])

    def examples(self) -> Iterator[Example]:
        for shape, index_shape, numbers, sizes in _examples:
            x = draw(reals(-1.0, 1.0), shape, 3)
            inside = draw(integers(0, 2), index_shape, 4)
            outside = draw(integers(-3, 6), index_shape, 5)
            for mode, fill, index in (
                (GatherScatterMode.PROMISE_IN_BOUNDS, None, inside),
                (GatherScatterMode.CLIP, None, outside.astype(np.int8)),
                (GatherScatterMode.FILL_OR_DROP, 2.5, outside),
            ):
                yield Example(
                    (x, index),
                    {
                        "dimension_numbers": numbers,
                        "slice_sizes": sizes,
                        "indices_are_sorted": False,
                        "unique_indices": False,
                        "mode": mode,
                        "fill_value": fill,
                    },
                )


_examples = (
    ((4, 3), (2, 1), GatherDimensionNumbers((1,), (0,), (0,)), (1, 3)),
    ((4, 3), (2, 5, 2), GatherDimensionNumbers((), (0, 1), (1, 0)), (1, 1)),
    ((4, 5), (3, 2), GatherDimensionNumbers((0, 2), (), (0, 1)), (2, 3)),
    ((3, 4, 2), (2, 3, 1), GatherDimensionNumbers((1,), (1,), (1,), (0,), (1,)), (1, 1, 2)),
    ((4,), (1,), GatherDimensionNumbers((0,), (), (0,)), (2,)),
    ((4,), (1,), GatherDimensionNumbers((), (0,), (0,)), (1,)),
    ((2, 3), (3, 0), GatherDimensionNumbers((1,), (0,), ()), (1, 3)),
    ((4,), (0, 1), GatherDimensionNumbers((), (0,), (0,)), (1,)),
)

gather_p = Gather()


def shifted(axes: Sequence[int]) -> Axes:
    """The axes after one more is put in front."""
    return tuple(a + 1 for a in axes)


def check_numbers(
    name: str, operand: ShapedArray, indices: ShapedArray, numbers: GatherDimensionNumbers
) -> None:
    """Raise unless the dimension numbers make sense for operand and indices.

    Raises:
        ValueError: the indices are no integers.
        TypeError: anything else.
    """
    if indices.dtype.kind not in "iu":
        raise ValueError(
            f"{name} indices must have an integer type, got {indices.long()}.\n"
            f"  {user_line()}\n  Convert them with astype(int)."
        )
    offsets, collapsed, index_map, batching, index_batching = numbers
    rank, lead = len(operand.shape), len(indices.shape) - 1
    problem = None
    if lead < 0 or len(index_map) != indices.shape[-1]:
        problem = "needs index vectors along the last axis of the indices, one component a start"
    elif any(len(set(axes)) != len(axes) for axes in numbers):
        problem = "got an axis twice"
    elif any(list(axes) != sorted(axes) for axes in (offsets, collapsed, batching)):
        problem = "needs ascending axes"
    elif any(not 0 <= d < rank for axes in (collapsed, index_map, batching) for d in axes):
        problem = f"got an operand axis outside of [0, {rank})"
    elif set(batching) & {*collapsed, *index_map}:
        problem = "got a batching axis that is collapsed or indexed as well"
    elif any(not 0 <= d < lead for d in index_batching):
        problem = f"got a batching axis of the indices outside of [0, {lead})"
    elif [operand.shape[d] for d in batching] != [indices.shape[d] for d in index_batching]:
        problem = "needs batching axes of the same extents in operand and indices"
    if problem:
        raise TypeError(
            f"{name} {problem}: got operand {operand.long()}, indices {indices.long()}, {numbers}."
            f"\n  {user_line()}\n  Indexing with x[...] or x.at[...] works these numbers out."
        )


def default_fill(dtype: np.dtype[Any]) -> Any:
    """What a gather fills with: NaN, the lowest integer, the highest unsigned one, True."""
    if dtypes.issubdtype(dtype, np.inexact):
        return np.nan
    if dtype.kind == "b":
        return True
    if dtypes.is_key_dtype(dtype):
        return int(np.iinfo(np.uint32).max)
    info = dtypes.iinfo(dtype)
    return int(info.min if dtype.kind == "i" else info.max)


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Any,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Any:
    """The window of the operand at each index vector.

    Args:
        start_indices: integers of shape [batch..., k]: k window starts a vector.
        dimension_numbers: how the axes belong together.
        slice_sizes: the window's extent along every operand axis.
        unique_indices: promises that no two windows overlap.
        indices_are_sorted: promises that the vectors ascend.
        mode: what becomes of windows out of bounds; PROMISE_IN_BOUNDS by default.
        fill_value: what FILL_OR_DROP fills with; NaN or the extreme integer by default.
    Raises:
        TypeError: the dimension numbers do not fit.
        ValueError: the indices are no integers.
    """
    parsed = GatherScatterMode.from_any(
        GatherScatterMode.PROMISE_IN_BOUNDS if mode is None else mode
    )
    if parsed is GatherScatterMode.ONE_HOT:
        fill_value = 0
    elif parsed is not GatherScatterMode.FILL_OR_DROP:
        fill_value = None
    elif fill_value is None:
        fill_value = default_fill(aval_of(operand).dtype)
    elif hasattr(fill_value, "item"):
        fill_value = fill_value.item()
    return gather_p.bind(
        operand,
        start_indices,
        dimension_numbers=GatherDimensionNumbers(*map(tuple, dimension_numbers)),
        slice_sizes=canonical_shape(slice_sizes, "gather"),
        unique_indices=bool(unique_indices),
        indices_are_sorted=bool(indices_are_sorted),
        mode=parsed,
        fill_value=fill_value,
    )
