"""Sorts on the CPU: which kernel sorts which rows."""

from __future__ import annotations

from ..runtime.toolchain import Machine
from . import LibraryKernel
from .sort_buckets import SplitSort
from .sort_digits import rows_kernel
from .sort_ends import Ends
from .sort_lanes import LaneSort
from .sort_pairs import PairEnds
from .sort_parts import PartSort
from .sort_plan import Rows, SortSpec, rows_of

# Rows of more elements are sorted by all threads together, of less each in one call's own memory.
LONG = 1 << 14
# Splits are quicker than lanes for longer rows than these, by bits of what is sorted.
FEW = {32: 96, 64: 48}
# The longest rows that are sooner sorted by comparisons in lanes than by digits, by bits of the
# key: of one operand, and of several, which are pairs of 64 bits each, or two of them.
SHORT = {8: 1024, 16: 4096, 32: 4096, 64: 256}, {8: 64, 16: 96, 32: 192, 64: 256}


def build(spec: SortSpec, machine: Machine) -> LibraryKernel | None:
    """The kernel of a sort along an axis, stable, NaN last and -0.0 equal to 0.0.

    Returns:
        None for empty arrays, and for dtypes other than bool, integers and floats.
    """
    rows = rows_of(spec)
    if rows is None:
        return None
    few = rows.length <= FEW.get(rows.element(0).bits, 0)
    if is_short(rows) and (few or not by_splits(rows, machine)):
        return LaneSort(rows, machine.vector_bits).kernel()
    return longer(rows, machine)


def longer(rows: Rows, machine: Machine, ends: type[Ends] = Ends) -> LibraryKernel:
    """The kernel of rows that are not short."""
    if by_splits(rows, machine):
        pairs = rows.carries_values and ends is Ends
        splits = SplitSort(rows, machine.vector_bits, PairEnds if pairs else ends)
        return splits.long_rows() if is_long(rows) else splits.whole_rows()
    if is_long(rows):
        return PartSort(rows, machine.vector_bits, ends).kernel()
    return rows_kernel(rows, machine.vector_bits, ends)


def by_splits(rows: Rows, machine: Machine) -> bool:
    """Whether rows are sorted by splits, for which AVX-512 moves chosen lanes together.

    They must lie side by side. Narrow keys have so few digits that these are sooner.
    """
    wide = rows.keys[0].bits >= 32 and rows.element(0).bits <= 64
    return len(rows.keys) == 1 and wide and rows.inner == 1 and machine.vector_bits == 512


def is_long(rows: Rows) -> bool:
    """Whether a row is too long for the memory of one call."""
    return rows.length > LONG


def is_short(rows: Rows) -> bool:
    """Whether comparisons are quicker than passes."""
    longest = SHORT[len(rows.bits) > 1][rows.keys[0].bits]
    return len(rows.keys) == 1 and rows.length <= longest
