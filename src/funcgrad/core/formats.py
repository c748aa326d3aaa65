"""Formats: the order of elements in memory, and where an array lies. There is one order: row-major.

In: what programs for JAX say of memory. Out: the same, held to what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .shardings import Sharding
from .sources import user_line


@dataclass(frozen=True)
class Layout:
    """The order of the axes of an array in memory, the slowest first.

    Attributes:
        major_to_minor: the axes; `tiling`, `sub_byte_element_size_in_bits`: of other machines.
    """

    major_to_minor: tuple[int, ...]
    tiling: Sequence[Sequence[int]] | None = None
    sub_byte_element_size_in_bits: int = 0


@dataclass(frozen=True)
class Format:
    """A layout and a sharding; None leaves either open."""

    layout: Layout | None = None
    sharding: Any = None


def row_major(ndim: int, sharding: Sharding) -> Format:
    """The format of every array of so many axes that lies by a sharding."""
    return Format(Layout(tuple(range(ndim))), sharding)


def sharding_of(format: Format, ndim: int, what: str) -> Any:
    """The sharding of a format that arrays of so many axes can have.

    Raises:
        ValueError: its layout is not row-major.
    """
    layout = format.layout
    if layout is not None and (tuple(layout.major_to_minor) != (*range(ndim),) or layout.tiling):
        raise ValueError(
            f"{what} got {layout!r} for an array of {ndim} axes, and arrays are row-major here.\n"
            f"  {user_line()}\n  Leave the layout out: Format(None, sharding)."
        )
    return format.sharding
