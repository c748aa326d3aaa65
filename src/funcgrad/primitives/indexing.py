"""Slices at computed places: dynamic_slice, dynamic_update_slice and their short forms.

In: an operand, one scalar start for each axis, static sizes. Out: the window, or the operand with
the window replaced. The one idea: a window that would leave the operand is moved inside, so no
start is ever out of bounds. With several starts at once (under batching) these are gathers and
scatters, whose names are found here too.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.array import Array, to_ndarray
from ..core.axes import to_front
from ..core.primitive import AxisData, Example, Primitive
from ..core.sources import user_line
from ..core.staging import stage
from ..core.zeros import UndefinedPrimal
from ..ir import dtypes
from ..ir.avals import ShapedArray, aval_of, canonical_axis, canonical_shape
from ..ir.jaxpr import ClosedJaxpr, Eqn
from ..ir.loops import Lowered, Operand
from . import lowered_indexing
from .broadcasting import broadcast_in_dim, expand_dims
from .gathering import GatherDimensionNumbers, GatherScatterMode, gather, gather_p
from .joining import concatenate
from .kinds import draw, integers, reals
from .movement import squeeze
from .scatter import scatter_add
from .scatter_places import ScatterDimensionNumbers
from .scattering import scatter_p
from .selection import zeros_of
from .slicing import slice_in_dim

Dims = Sequence[int | None]


def check_starts(
    name: str, operand: ShapedArray, starts: Sequence[ShapedArray], sizes: Sequence[int]
) -> None:
    """Raise TypeError unless scalar starts of one integer dtype and fitting sizes are given."""
    problem = None
    if not len(starts) == len(sizes) == len(operand.shape):
        problem = "needs one start and one size for each axis"
    elif not all(0 <= s <= n for s, n in zip(sizes, operand.shape, strict=True)):
        problem = "got sizes out of range"
    elif any(s.shape for s in starts):
        problem = "needs scalar start_indices"
    elif any(s.dtype != starts[0].dtype or s.dtype.kind not in "iu" for s in starts):
        problem = "needs start_indices that are integers of the same type"
    if problem:
        raise TypeError(
            f"{name} {problem}: got operand {operand.long()}, start_indices "
            f"({', '.join(s.long() for s in starts)}), sizes {tuple(sizes)}.\n  {user_line()}\n"
            "  Sizes lie in [0, extent]; convert the starts with astype."
        )


def window_at(
    shape: tuple[int, ...], starts: Sequence[Any], sizes: Sequence[int]
) -> tuple[builtins.slice, ...]:
    """The window of the sizes at the starts, moved inside of the shape."""
    found: list[builtins.slice] = []
    for n, start, size in zip(shape, starts, sizes, strict=True):
        first = min(max(int(start), 0), n - size)
        found.append(builtins.slice(first, first + size))
    return tuple(found)


def stack_starts(axis: AxisData, starts: Sequence[Any], dims: Dims) -> Any:
    """Index vectors [batch, k] from k scalar starts, some of them batched."""
    columns = [
        broadcast_in_dim(s, (axis.size, 1), () if d is None else (0,))
        for s, d in zip(starts, dims, strict=True)
    ]
    return concatenate(columns, 1)


class DynamicSlice(Primitive):
    """The window of slice_sizes at the starts, moved inside where it would leave the operand."""

    name = "dynamic_slice"
    linear = "joint"
    linear_operands = slice(0, 1)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        operand, *starts = avals
        check_starts(self.name, operand, starts, params["slice_sizes"])
        return ShapedArray(params["slice_sizes"], operand.dtype, operand.weak_type)

    def impl(self, *arrays: Any, **params: Any) -> Any:
        operand, *starts = arrays
        return operand[(*window_at(operand.shape, starts, params["slice_sizes"]), ...)]

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        operand, *starts = args
        from .creation import zeros_like_aval

        zeros = zeros_like_aval(ShapedArray(operand.aval.shape, aval_of(ct).dtype))
        return [dynamic_update_slice_p.bind(zeros, ct, *starts), *[None] * len(starts)]

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Dims, **params: Any
    ) -> tuple[Any, Any]:
        operand, *starts = args
        sizes = params["slice_sizes"]
        if all(d is None for d in dims[1:]):
            operand = to_front(operand, dims[0], axis.size)
            zero = [np.zeros((), aval_of(s).dtype) for s in starts[:1]] or [np.int32(0)]
            whole = (axis.size, *sizes)
            return self.bind(operand, zero[0], *starts, slice_sizes=whole), 0
        indices = stack_starts(axis, starts, dims[1:])
        every = tuple(range(len(starts)))
        numbers = {
            "dimension_numbers": GatherDimensionNumbers(every, (), every),
            "slice_sizes": sizes,
            "unique_indices": True,
            "indices_are_sorted": True,
            "mode": GatherScatterMode.CLIP,
            "fill_value": None,
        }
        return gather_p.batch(axis, (operand, indices), (dims[0], 0), **numbers)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        operand, *starts = operands
        return lowered_indexing.sliced(operand, starts, params["slice_sizes"])

    def examples(self) -> Iterator[Example]:
        for shape, starts, sizes, dtype in (
            ((4, 5), (1, 2), (2, 3), np.int32),
            ((4, 5), (-3, 9), (2, 3), np.int8),
            ((4,), (200,), (2,), np.uint8),
            ((4,), (1,), (0,), np.int64),
            ((), (), (), np.int32),
        ):
            x = draw(reals(-1.0, 1.0), shape, 3)
            indices = tuple(np.asarray(s, dtype) for s in starts)
            yield Example((x, *indices), {"slice_sizes": sizes})


class DynamicUpdateSlice(Primitive):
    """The operand with the window at the starts replaced by an update."""

    name = "dynamic_update_slice"
    linear = "joint"
    linear_operands = slice(0, 2)

    def abstract_eval(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        operand, update, *starts = avals
        if operand.dtype != update.dtype or len(operand.shape) != len(update.shape):
            raise TypeError(
                f"{self.name} requires arguments to have the same dtypes and ranks, got operand "
                f"{operand.long()} and update {update.long()}.\n  {user_line()}\n"
                "  Convert the update with astype, or give it axes of size 1."
            )
        check_starts(self.name, operand, starts, update.shape)
        return operand

    def impl(self, *arrays: Any, **params: Any) -> Any:
        operand, update, *starts = arrays
        out = np.array(operand, order="C")
        out[(*window_at(out.shape, starts, update.shape), ...)] = update
        return out

    def transpose(self, ct: Any, *args: Any, **params: Any) -> list[Any]:
        from .creation import zeros_like_aval

        operand, update, *starts = args
        shape = aval_of(update).shape
        result: list[Any] = [None] * len(args)
        if isinstance(operand, UndefinedPrimal):
            zeros = zeros_like_aval(ShapedArray(shape, aval_of(ct).dtype))
            result[0] = self.bind(ct, zeros, *starts)
        if isinstance(update, UndefinedPrimal):
            result[1] = dynamic_slice_p.bind(ct, *starts, slice_sizes=shape)
        return result

    def batch(
        self, axis: AxisData, args: Sequence[Any], dims: Dims, **params: Any
    ) -> tuple[Any, Any]:
        operand, update, *starts = args
        if all(d is None for d in dims[2:]):
            operand = to_front(operand, dims[0], axis.size)
            update = to_front(update, dims[1], axis.size)
            dtype = aval_of(starts[0]).dtype if starts else np.int32
            return self.bind(operand, update, np.zeros((), dtype), *starts), 0
        indices = stack_starts(axis, starts, dims[2:])
        every = tuple(range(len(starts)))
        numbers = {
            "dimension_numbers": ScatterDimensionNumbers(every, (), every),
            "indices_are_sorted": True,
            "unique_indices": True,
            "mode": GatherScatterMode.CLIP,
            "update_jaxpr": None,
            "update_consts": (),
        }
        return scatter_p.batch(axis, (operand, indices, update), (dims[0], 0, dims[1]), **numbers)

    def lower(
        self, operands: Sequence[Operand], outs: Sequence[ShapedArray], **params: Any
    ) -> Lowered | Sequence[Lowered] | None:
        operand, update, *starts = operands
        return lowered_indexing.updated(operand, update, starts)

    def onto(self, eqn: Eqn) -> ClosedJaxpr | None:
        """The program that adds the update to the window, in the place of zeros."""
        every = tuple(range(len(eqn.invars) - 2))
        if not every:
            return None

        def run(operand: Any, update: Any, *starts: Any) -> list[Any]:
            indices = concatenate([broadcast_in_dim(s, (1,), ()) for s in starts], 0)
            numbers = ScatterDimensionNumbers(every, (), every)
            return [
                scatter_add(
                    operand,
                    indices,
                    update,
                    numbers,
                    indices_are_sorted=True,
                    unique_indices=True,
                    mode=GatherScatterMode.CLIP,
                )
            ]

        return stage(run, [a.aval for a in eqn.invars], self.name)

    def examples(self) -> Iterator[Example]:
        for shape, size, starts, dtype in (
            ((4, 5), (2, 3), (1, 2), np.int32),
            ((4, 5), (2, 3), (-3, 9), np.int8),
            ((4,), (0,), (1,), np.int64),
            ((3,), (3,), (1,), np.uint8),
            ((), (), (), np.int32),
        ):
            x, y = draw(reals(-1.0, 1.0), shape, 3), draw(reals(-1.0, 1.0), size, 4)
            yield Example((x, y, *[np.asarray(s, dtype) for s in starts]))
        yield Example((draw(integers(0, 9), (4,), 5), np.zeros(2, np.int32), np.int32(1)))


dynamic_slice_p = DynamicSlice()
dynamic_update_slice_p = DynamicUpdateSlice()


def start_scalars(
    operand: ShapedArray, starts: Any, allow_negative: bool | Sequence[bool]
) -> list[Any]:
    """The starts with negative ones counted from the end; at once where they are known."""
    given: list[Any] = separated(starts) if hasattr(starts, "shape") else [*starts]
    rank = len(operand.shape)
    if len(given) != rank:
        raise ValueError(
            f"Length of slice indices must match the number of operand dimensions: got "
            f"{len(given)} for {operand.long()}.\n  {user_line()}\n  Give one start an axis."
        )
    if any(is_too_narrow(i, n) for i, n in zip(given, operand.shape, strict=True)):
        from .casting import convert_element_type

        given = [convert_element_type(i, np.int32) for i in given]
    allowed = [allow_negative] * rank if isinstance(allow_negative, bool) else allow_negative
    triples = zip(given, operand.shape, allowed, strict=True)
    return [start_scalar(i, n, wrap) for i, n, wrap in triples]


def is_too_narrow(index: Any, extent: int) -> bool:
    """Whether the dtype of a signed index cannot hold the extent that is added to it."""
    dtype = aval_of(index).dtype
    return dtype.kind == "i" and extent > int(dtypes.iinfo(dtype).max)


def separated(starts: Any) -> list[Any]:
    """The elements of a vector of starts."""
    aval = aval_of(starts)
    if len(aval.shape) != 1:
        raise ValueError(
            f"Slice indices must be a 1D sequence, got {aval.long()}.\n  {user_line()}\n"
            "  Give one scalar start an axis."
        )
    return [squeeze(slice_in_dim(starts, i, i + 1), (0,)) for i in range(aval.shape[0])]


def start_scalar(index: Any, extent: int, allow_negative: bool) -> Any:
    """One start; a negative one counts from the end of the extent if that is allowed."""
    aval = aval_of(index)
    if aval.shape or aval.dtype.kind != "i":
        return index
    if type(index) is Array and allow_negative:
        index = index.item()
    if not hasattr(index, "aval") and type(index) is not np.ndarray:
        at = operator.index(index)
        if at < 0 and not allow_negative:
            raise ValueError(
                f"Index {index} is out of bounds for an axis of extent {extent} where negative "
                f"indices are not allowed.\n  {user_line()}\n  Count from the front."
            )
        found = at + extent if at < 0 else at
        return Array(to_ndarray(np.asarray(found, np.int64)).astype(aval.dtype))
    if not allow_negative:
        return index
    from .arithmetic import add
    from .casting import convert_element_type
    from .comparison import lt
    from .selection import select

    is_negative = lt(index, np.zeros((), aval.dtype))
    strong = convert_element_type(index, aval.dtype) if aval.weak_type else index
    return select(is_negative, add(strong, np.asarray(extent, aval.dtype)), index)


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """The window of the operand at start_indices, moved inside where it would leave it.

    Args:
        start_indices: one integer scalar for each axis, in a sequence or a vector.
        slice_sizes: the window's extents, static.
        allow_negative_indices: whether negative starts count from the end, for all axes or each.
    Raises:
        ValueError: the number of starts is not the operand's rank.
        TypeError: a size exceeds the extent, or starts are not integers of one dtype.
    """
    starts = start_scalars(aval_of(operand), start_indices, allow_negative_indices)
    sizes = canonical_shape(slice_sizes, "dynamic_slice")
    return dynamic_slice_p.bind(operand, *starts, slice_sizes=sizes)


def dynamic_update_slice(
    operand: Any,
    update: Any,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """The operand with the window at start_indices replaced by an update of its rank and dtype.

    Arguments and errors as in `dynamic_slice`.
    """
    starts = start_scalars(aval_of(operand), start_indices, allow_negative_indices)
    return dynamic_update_slice_p.bind(operand, update, *starts)


def starts_along(operand: Any, index: Any, axis: int, wrap: bool) -> tuple[list[Any], list[bool]]:
    """Starts that are `index` along one axis and zero along the others."""
    rank = len(aval_of(operand).shape)
    starts: list[Any] = [np.zeros((), aval_of(index).dtype)] * rank
    allowed = [False] * rank
    starts[axis], allowed[axis] = index, wrap
    return starts, allowed


def dynamic_slice_in_dim(
    operand: Any,
    start_index: Any,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """The window of one axis at a computed start; the other axes are kept whole."""
    shape = aval_of(operand).shape
    axis = canonical_axis(axis, len(shape))
    starts, allowed = starts_along(operand, start_index, axis, allow_negative_indices)
    sizes = (*shape[:axis], operator.index(slice_size), *shape[axis + 1 :])
    return dynamic_slice(operand, starts, sizes, allow_negative_indices=allowed)


def dynamic_index_in_dim(
    operand: Any,
    index: Any,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """The operand at one computed index of an axis, which stays with size 1 unless told."""
    axis = canonical_axis(axis, len(aval_of(operand).shape))
    found = dynamic_slice_in_dim(
        operand, index, 1, axis, allow_negative_indices=allow_negative_indices
    )
    return found if keepdims else squeeze(found, (axis,))


def dynamic_update_slice_in_dim(
    operand: Any,
    update: Any,
    start_index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """The operand with a window of one axis, at a computed start, replaced."""
    axis = canonical_axis(axis, len(aval_of(operand).shape))
    starts, allowed = starts_along(operand, start_index, axis, allow_negative_indices)
    return dynamic_update_slice(operand, update, starts, allow_negative_indices=allowed)


def dynamic_update_index_in_dim(
    operand: Any,
    update: Any,
    index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """The operand with one index of an axis replaced by an update with or without that axis."""
    axis = canonical_axis(axis, len(aval_of(operand).shape))
    if len(aval_of(update).shape) != len(aval_of(operand).shape):
        update = expand_dims(update, (axis,))
    return dynamic_update_slice_in_dim(
        operand, update, index, axis, allow_negative_indices=allow_negative_indices
    )


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """The operand at one static index of an axis, which stays with size 1 unless told.

    Raises:
        IndexError: the index is out of bounds.
    """
    aval = aval_of(operand)
    axis, index = canonical_axis(axis, len(aval.shape)), operator.index(index)
    extent = aval.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"index {index} is out of bounds for axis {axis} of {aval.long()}.\n  {user_line()}\n"
            f"  Give an index in [{-extent}, {extent - 1}]."
        )
    index += extent if index < 0 else 0
    found = slice_in_dim(operand, index, index + 1, 1, axis)
    return found if keepdims else squeeze(found, (axis,))


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Any:
    """The elements of src at vectors of indices, one vector for each of the axes.

    Indices count modulo the extent. The vectors' axis leads the result.
    """
    from .arithmetic import add, rem
    from .comparison import lt
    from .selection import select

    shape = aval_of(src).shape
    columns: list[Any] = []
    for index, axis in zip(idxs, axes, strict=True):
        extent = np.asarray(shape[axis], aval_of(index).dtype)
        rest = rem(index, extent)
        wrapped = select(lt(rest, zeros_of(rest)), add(rest, extent), rest)
        columns.append(expand_dims(wrapped, (1,)))
    axes = tuple(axes)
    sizes = tuple(1 if d in axes else n for d, n in enumerate(shape))
    offsets = tuple(range(1, len(shape) - len(axes) + 1))
    numbers = GatherDimensionNumbers(offsets, tuple(sorted(axes)), axes)
    return gather(src, concatenate(columns, 1), numbers, sizes)
