"""What the dimension numbers of a ragged contraction say, and its evaluation on NumPy arrays.

In: two arrays, the sizes of the groups that one axis of the first is cut into, and which axes play
which part. The one idea: within a group a ragged contraction is a plain one of slices.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.sources import user_line
from ..ir import dtypes
from ..ir.avals import ShapedArray
from .contraction import Axes, DimensionNumbers, check_dimension_numbers, contract, free_axes


class Mode(enum.Enum):
    """Which part the ragged axis of lhs plays."""

    FREE = 1
    CONTRACTED = 2
    BATCH = 3


@dataclass(frozen=True, init=False)
class RaggedDotDimensionNumbers:
    """Which axes of a ragged contraction play which part.

    Attributes:
        dot_dimension_numbers: ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)).
        lhs_ragged_dimensions: the one axis of lhs that is cut into groups.
        rhs_group_dimensions: the axis of rhs that numbers the groups where the ragged axis is
            free, else none.
    """

    dot_dimension_numbers: DimensionNumbers
    lhs_ragged_dimensions: Axes
    rhs_group_dimensions: Axes

    def __init__(
        self,
        dot_dimension_numbers: Any,
        lhs_ragged_dimensions: Sequence[int],
        rhs_group_dimensions: Sequence[int],
    ) -> None:
        """Dimension numbers as tuples, whatever sequences they are given in."""
        numbers = tuple((tuple(left), tuple(right)) for left, right in dot_dimension_numbers)
        object.__setattr__(self, "dot_dimension_numbers", numbers)
        object.__setattr__(self, "lhs_ragged_dimensions", tuple(lhs_ragged_dimensions))
        object.__setattr__(self, "rhs_group_dimensions", tuple(rhs_group_dimensions))

    def mode(self) -> Mode:
        """The part the ragged axis plays."""
        (axis,) = self.lhs_ragged_dimensions
        (contracted, _), (batched, _) = self.dot_dimension_numbers
        if axis in contracted:
            return Mode.CONTRACTED
        return Mode.BATCH if axis in batched else Mode.FREE

    def prefix(self, ndim: int) -> Axes:
        """The axes of lhs along which group sizes may differ: those outer to the ragged one."""
        (axis,) = self.lhs_ragged_dimensions
        (contracted, _), (batched, _) = self.dot_dimension_numbers
        mode = self.mode()
        if mode is Mode.BATCH:
            return batched[: batched.index(axis)]
        inner = list(contracted)
        if mode is Mode.FREE:
            inner = free_axes(ndim, contracted, batched)
        return (*batched, *inner[: inner.index(axis)])


# Checks and shapes.


def check_ragged(
    lhs: ShapedArray, rhs: ShapedArray, sizes: ShapedArray, numbers: RaggedDotDimensionNumbers
) -> None:
    """Raise TypeError unless the dimension numbers and the group sizes fit the operands."""

    def refuse(text: str) -> TypeError:
        return TypeError(f"ragged_dot_general {text}.\n  {user_line()}")

    ragged, groups = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    if len(ragged) != 1 or not 0 <= ragged[0] < lhs.ndim:
        raise refuse(f"needs one ragged axis of lhs, below its rank; got {ragged} of {lhs.long()}")
    check_dimension_numbers(lhs, rhs, numbers.dot_dimension_numbers)
    if not dtypes.issubdtype(sizes.dtype, np.integer) or not sizes.ndim:
        raise refuse(f"needs group sizes that are integers[..., groups], got {sizes.long()}")
    prefix = tuple(lhs.shape[a] for a in numbers.prefix(lhs.ndim))
    if sizes.ndim > 1 and sizes.shape[:-1] != prefix:
        raise refuse(
            f"needs group sizes of shape (groups,) or {(*prefix, sizes.shape[-1])}, got "
            f"{sizes.long()}"
        )
    if numbers.mode() is not Mode.FREE:
        if groups:
            raise refuse(f"takes no group axis of rhs unless the ragged axis is free, got {groups}")
        return
    (_, contracted), (_, batched) = numbers.dot_dimension_numbers
    if len(groups) != 1 or not 0 <= groups[0] < rhs.ndim or groups[0] in (*contracted, *batched):
        raise refuse(
            f"needs one group axis of rhs, neither contracted nor batched; got {groups} of "
            f"{rhs.long()}"
        )
    if rhs.shape[groups[0]] != sizes.shape[-1]:
        raise refuse(
            f"got {sizes.shape[-1]} group sizes, but {rhs.long()} has {rhs.shape[groups[0]]} "
            f"groups along axis {groups[0]}"
        )


def ragged_shape(
    lhs: tuple[int, ...], rhs: tuple[int, ...], groups: int, numbers: RaggedDotDimensionNumbers
) -> tuple[int, ...]:
    """Shape of the result: that of the contraction, groups in front when those are contracted."""
    (lc, rc), (lb, rb) = numbers.dot_dimension_numbers
    left = [lhs[a] for a in free_axes(len(lhs), lc, lb)]
    right = [rhs[a] for a in free_axes(len(rhs), rc, rb, numbers.rhs_group_dimensions)]
    front = (groups,) if numbers.mode() is Mode.CONTRACTED else ()
    return (*front, *[lhs[a] for a in lb], *left, *right)


# Evaluation.


def contract_ragged(lhs: Any, rhs: Any, sizes: Any, numbers: RaggedDotDimensionNumbers) -> Any:
    """The ragged contraction of NumPy arrays of one dtype; sizes are int64."""
    mode = numbers.mode()
    if mode is Mode.BATCH:
        return contract(lhs, rhs, numbers.dot_dimension_numbers)
    out = np.zeros(ragged_shape(lhs.shape, rhs.shape, sizes.shape[-1], numbers), lhs.dtype)
    if sizes.ndim > 1:
        _each_prefix(out, lhs, rhs, sizes, numbers)
        return out
    (ragged,) = numbers.lhs_ragged_dimensions
    (lc, rc), (lb, rb) = numbers.dot_dimension_numbers
    ends = np.cumsum(sizes)
    starts = ends - sizes
    rows = [slice(max(int(a), 0), max(int(b), 0)) for a, b in zip(starts, ends, strict=True)]
    if mode is Mode.CONTRACTED:
        theirs = rc[lc.index(ragged)]
        for g, row in enumerate(rows):
            parts = along(lhs, ragged, row), along(rhs, theirs, row)
            out[g] = contract(*parts, numbers.dot_dimension_numbers)
        return out
    (group,) = numbers.rhs_group_dimensions
    inner = ((lc, without(rc, group)), (lb, without(rb, group)))
    at = len(lb) + free_axes(lhs.ndim, lc, lb).index(ragged)
    for g, row in enumerate(rows):
        # Groups of negative size make others overlap; the results add up.
        along(out, at, row)[...] += contract(along(lhs, ragged, row), along(rhs, group, g), inner)
    return out


def _each_prefix(
    out: Any, lhs: Any, rhs: Any, sizes: Any, numbers: RaggedDotDimensionNumbers
) -> None:
    """Add the contractions along the first axis on which the sizes depend, one by one."""
    axis, theirs, inner = without_outer(lhs.ndim, numbers)
    front = int(numbers.mode() is Mode.CONTRACTED)
    for i, own in enumerate(sizes):
        right = rhs if theirs is None else along(rhs, theirs, i)
        part = contract_ragged(along(lhs, axis, i), right, own, inner)
        if axis in numbers.dot_dimension_numbers[0][0]:
            out += part
        else:
            along(out, front, i)[...] = part


def without_outer(
    ndim: int, numbers: RaggedDotDimensionNumbers
) -> tuple[int, int | None, RaggedDotDimensionNumbers]:
    """The first axis on which sizes depend, its partner in rhs if any, and the numbers without."""
    axis = numbers.prefix(ndim)[0]
    (lc, rc), (lb, rb) = numbers.dot_dimension_numbers
    theirs = None
    if axis in lb:
        theirs = rb[lb.index(axis)]
    elif axis in lc:
        theirs = rc[lc.index(axis)]
    inner = RaggedDotDimensionNumbers(
        ((without(lc, axis), without(rc, theirs)), (without(lb, axis), without(rb, theirs))),
        without(numbers.lhs_ragged_dimensions, axis),
        without(numbers.rhs_group_dimensions, theirs),
    )
    return axis, theirs, inner


def along(x: Any, axis: int, index: int | slice) -> Any:
    """The part of an array at an index of one axis."""
    return x[(slice(None),) * axis + (index,)]


def without(axes: Axes, gone: int | None) -> Axes:
    """Axes counted anew after one was taken away."""
    return axes if gone is None else tuple(a - (a > gone) for a in axes if a != gone)
