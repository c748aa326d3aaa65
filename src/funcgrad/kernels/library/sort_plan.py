"""What a sort is to do: rows along an axis, operands, keys, and where each element lies."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from .conv_code import Value
from .sort_words import Element, Key, Words, key_of

DType = np.dtype[Any]


class SortSpec(NamedTuple):
    """Operands of one shape in the order of the first `keys` of them along an axis."""

    dtypes: tuple[DType, ...]
    shape: tuple[int, ...]
    axis: int
    keys: int


class Rows(NamedTuple):
    """The rows of a sort.

    Attributes:
        bits: of each operand's elements.
        keys: how those that decide are ordered.
        outer, length, inner: extents before, along and behind the axis.
        kept: how many elements of a row there are in the results.
    """

    bits: tuple[int, ...]
    keys: tuple[Key, ...]
    outer: int
    length: int
    inner: int
    kept: int

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self.outer * self.inner

    @property
    def size(self) -> int:
        """How many elements there are."""
        return self.total * self.length

    @property
    def carries_values(self) -> bool:
        """Whether the second and last operand travels with the key itself, not its place."""
        return len(self.bits) == 2 and len(self.keys) == 1 and self.bits[1] <= 32

    @property
    def by_place(self) -> bool:
        """Whether places are sorted, and the operands are fetched from there in the end."""
        return len(self.bits) > 1 and not self.carries_values

    def element(self, number: int) -> Element:
        """What is sorted by key `number`."""
        key = self.keys[number]
        if len(self.bits) == 1:
            return Element(key, key.bits, False)
        # As wide for one key as for the next, which takes its places over.
        widest = max(k.bits for k in self.keys)
        return Element(key, 64 if widest <= 32 else 128, True)

    def start(self, code: Words, row: Value) -> Value:
        """The place of the first element of a row."""
        return self._start(code, row, self.length)

    def goal(self, code: Words, row: Value) -> Value:
        """The place of the first element of a row of the results."""
        return self._start(code, row, self.kept)

    def _start(self, code: Words, row: Value, length: int) -> Value:
        if self.inner == 1:
            return code.mul(row, length)
        outside, inside = code.div(row, self.inner), code.rem(row, self.inner)
        return code.add(code.mul(outside, length * self.inner), inside)

    def at(self, code: Words, start: Value, i: Value) -> Value:
        """The place of an element of a row."""
        return code.add(start, code.mul(i, self.inner))


def rows_of(spec: SortSpec) -> Rows | None:
    """The rows of a sort; None where operands have no bits, or no order, or are too many."""
    keys = [key_of(d) for d in spec.dtypes]
    found = [k for k in keys[: spec.keys] if k is not None]
    size, length = prod(spec.shape), spec.shape[spec.axis]
    if len(found) < spec.keys or None in keys or not 0 < size < 1 << 31:
        return None
    return Rows(
        tuple(8 * d.itemsize for d in spec.dtypes),
        tuple(found),
        prod(spec.shape[: spec.axis]),
        length,
        prod(spec.shape[spec.axis + 1 :]),
        length,
    )
