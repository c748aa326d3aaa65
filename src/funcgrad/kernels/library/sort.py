"""Sorts on the CPU: which kernel sorts which rows."""

from __future__ import annotations

from ..runtime.toolchain import Machine
from . import LibraryKernel
from .sort_digits import rows_kernel
from .sort_lanes import LaneSort
from .sort_parts import PartSort
from .sort_plan import Rows, SortSpec, rows_of

# Rows of more elements are sorted by all threads together, of less each in one call's own memory.
LONG = 1 << 14
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
    if is_long(rows):
        return PartSort(rows, machine.vector_bits).kernel()
    if is_short(rows):
        return LaneSort(rows, machine.vector_bits).kernel()
    return rows_kernel(rows, machine.vector_bits)


def is_long(rows: Rows) -> bool:
    """Whether a row is too long for the memory of one call."""
    return rows.length > LONG


def is_short(rows: Rows) -> bool:
    """Whether comparisons are quicker than passes."""
    longest = SHORT[len(rows.bits) > 1][rows.keys[0].bits]
    return len(rows.keys) == 1 and rows.length <= longest
