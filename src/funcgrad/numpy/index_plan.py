"""What an index means: the entries of x[...] resolved against a shape.

In: an index in any of NumPy's forms. Out: a `Plan`, one entry for each axis or new axis. The one
idea: masks become index arrays, an Ellipsis becomes full slices, and every entry then is one of
four kinds: a new axis, a part (slice), a point (one integer) or an array of integers.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from ..core.array import Array
from ..core.sources import user_line
from ..core.trace import Tracer, value_of
from ..errors import NonConcreteBooleanIndexError
from ..ir import dtypes
from ..ir.avals import aval_of, is_value
from .promotion import is_ndarray, is_sequence


class NewAxis(NamedTuple):
    """An axis of size 1 that only the result has."""


class Part(NamedTuple):
    """`size` elements of an axis from `start`, `step` apart (negative: backwards)."""

    axis: int
    start: int
    size: int
    step: int


class Point(NamedTuple):
    """One element of an axis: a Python int, or an integer scalar that is traced."""

    axis: int
    index: Any


class Fancy(NamedTuple):
    """Elements of an axis at an array of integers, concrete (NumPy) or traced."""

    axis: int
    index: Any


Entry = NewAxis | Part | Point | Fancy


class Plan(NamedTuple):
    """The entries of an index, in order.

    Attributes:
        entries: one for each axis of the operand, and the new axes between them.
        shape: the operand's, with axes of size 1 put in at `lifted` for scalar booleans.
        lifted: positions of these axes.
        gap: the entry before which an Ellipsis of no axes stood. It parts the index arrays on its
            two sides as any Ellipsis does.
    """

    entries: tuple[Entry, ...]
    shape: tuple[int, ...]
    lifted: tuple[int, ...]
    gap: int | None = None


def as_tuple(index: Any) -> tuple[Any, ...]:
    """The entries of an index as written.

    Raises:
        TypeError: a list as an index, which NumPy would read in two ways.
    """
    given: Any = index
    if isinstance(index, tuple):
        return given
    if isinstance(index, list):
        raise TypeError(
            "Using a non-tuple sequence for multidimensional indexing is not allowed; use "
            f"`arr[array(seq)]` instead of `arr[seq]`.\n  {user_line()}"
        )
    return (index,)


def plan_index(index: Any, shape: tuple[int, ...]) -> Plan:
    """The index resolved against a shape.

    Raises:
        TypeError: an entry is not an integer, boolean, slice, None or Ellipsis.
        IndexError: too many entries, a mask of another shape, or two Ellipses.
        NonConcreteBooleanIndexError: a traced mask.
    """
    entries = [_canonical_entry(e, i) for i, e in enumerate(as_tuple(index))]
    used = sum(_axes_used(e) for e in entries)
    if used > len(shape):
        raise IndexError(
            f"Too many indices: array is {len(shape)}-dimensional, but {used} were indexed.\n"
            f"  {user_line()}"
        )
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...').")
    rest = [slice(None)] * (len(shape) - used)
    at = dots[0] if dots else len(entries)
    entries[at : at + len(dots)] = rest
    return _resolve(entries, shape, at if dots and not rest else None)


def _canonical_entry(entry: Any, position: int) -> Any:
    """None, Ellipsis and slices as they are; integers as int, arrays as NumPy arrays or tracers."""
    given: Any = entry
    if entry is None or entry is Ellipsis or isinstance(entry, (slice, bool, int)):
        return given
    if is_sequence(entry):
        from .creation import array

        entry = array(entry, dtype=np.int32 if not entry else None)
    if isinstance(entry, str):
        raise TypeError(f"arrays do not support string indexing; got idx={entry!r}.")
    if not is_value(entry):
        try:
            return operator.index(entry)
        except TypeError:
            raise TypeError(
                f"Indexer must be an integer, boolean, slice, None or Ellipsis, got "
                f"{type(entry).__name__} at position {position}.\n  {user_line()}"
            ) from None
    aval = aval_of(entry)
    kind = dtypes.kind_of(aval.dtype)
    if kind not in "biu":
        raise TypeError(
            "Indexer must have integer or boolean type, got indexer with type "
            f"{dtypes.short_name(aval.dtype)} at position {position}.\n  {user_line()}\n"
            "  Convert it with astype(int)."
        )
    known = value_of(entry)
    if isinstance(known, Tracer):
        if kind == "b":
            raise NonConcreteBooleanIndexError(known)
        return known
    value = np.asarray(known.numpy() if type(known) is Array else known)
    if value.ndim == 0:
        return bool(value) if kind == "b" else int(value)
    return value


def _axes_used(entry: Any) -> int:
    if entry is None or entry is Ellipsis or isinstance(entry, bool):
        return 0
    if is_ndarray(entry) and entry.dtype.kind == "b":
        return entry.ndim
    return 1


def _resolve(entries: list[Any], shape: tuple[int, ...], empty: int | None) -> Plan:
    """The entries with axes; scalar booleans get an axis of their own.

    Args:
        empty: the position an Ellipsis of no axes was taken from.
    """
    result: list[Entry] = []
    extents: list[int] = []
    lifted: list[int] = []
    source = 0
    gap: int | None = None
    for position, entry in enumerate(entries):
        axis = len(extents)
        gap = len(result) if position == empty else gap
        if entry is None:
            result.append(NewAxis())
        elif isinstance(entry, bool):
            lifted.append(axis)
            extents.append(1)
            result.append(Fancy(axis, np.zeros(int(entry), np.int32)))
        elif is_ndarray(entry) and entry.dtype.kind == "b":
            expected = shape[source : source + entry.ndim]
            # As in NumPy, a mask may be empty along an axis of any extent: it picks nothing.
            fits = len(expected) == entry.ndim and all(
                n in (extent, 0) for n, extent in zip(entry.shape, expected, strict=True)
            )
            if not fits:
                raise IndexError(
                    f"boolean index did not match shape of indexed array in index {position}: "
                    f"got {entry.shape}, expected {expected}.\n  {user_line()}"
                )
            found = np.nonzero(entry)
            result += [Fancy(axis + i, ids.astype(np.int32)) for i, ids in enumerate(found)]
            extents += expected
            source += entry.ndim
        else:
            extent = shape[source]
            result.append(_one_axis(entry, axis, extent))
            extents.append(extent)
            source += 1
    return Plan(tuple(result), tuple(extents), tuple(lifted), gap)


def _one_axis(entry: Any, axis: int, extent: int) -> Entry:
    given = entry
    if isinstance(given, slice):
        return _part(entry, axis, extent)
    if isinstance(entry, int) or not entry.ndim:
        if extent == 0:
            raise IndexError(f"index is out of bounds for axis {axis} with size 0.")
        return Point(axis, entry)
    return Fancy(axis, entry)


def _part(entry: slice, axis: int, extent: int) -> Part:
    """The slice with its bounds in the axis.

    Raises:
        IndexError: a traced bound: the size of the result would depend on values.
    """
    bounds: list[Any] = []
    for bound in (entry.start, entry.stop, entry.step):
        known = None if bound is None else value_of(bound)
        if isinstance(known, Tracer):
            raise IndexError(
                "Array slice indices must have static start/stop/step to be used with NumPy "
                f"indexing syntax, got {entry}.\n  {user_line()}\n  To slice a statically sized "
                "array at a dynamic position, use lax.dynamic_slice."
            )
        bounds.append(None if known is None else operator.index(known))
    start, stop, step = slice(*bounds).indices(extent)
    return Part(axis, start, len(range(start, stop, step)), step)


def is_full(part: Part, extent: int) -> bool:
    """Whether the part is the whole axis in order."""
    return part.start == 0 and part.size == extent and part.step == 1
