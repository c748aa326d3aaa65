"""Contractions as matrix products, with as few copies of operands as there can be.

In: a `Contract` and its operands. Out: `Products`. The one idea: an operand is first tried as what
it is a view of, then in memory of its own, and last as a copy whose axes lie as they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import gcd
from typing import NamedTuple

from ..ir.jaxpr import Atom, Eqn, Var
from ..ir.loops import Contract
from .contract import contiguous, free_axes, gemm_of, takes_pairs
from .library.gemm import Gemm
from .views import Strided

Views = Callable[[Atom, bool], Strided | None]


class Side(NamedTuple):
    """An operand of matrix products.

    Attributes:
        source: the operand, or what it is a view of.
        strides: of the operand's axes where it is read.
        start: elements of the source before the operand's first.
        order: the axes of a copy that is read instead, if one must be made.
    """

    source: Atom
    strides: tuple[int, ...]
    start: int = 0
    order: tuple[int, ...] | None = None


class Into(NamedTuple):
    """What products are added to, in its memory.

    Attributes:
        there: a value that nobody else reads.
        eqn: the product's; the value that is defined is the sum's.
    """

    there: Var
    eqn: Eqn


class Products(NamedTuple):
    """A contraction as matrix products on operands as they lie in memory."""

    gemm: Gemm
    sides: tuple[Side, ...]
    into: Into | None = None

    @property
    def sources(self) -> list[Atom]:
        """What is read."""
        return [*(s.source for s in self.sides), *([self.into.there] if self.into else [])]


class Added(NamedTuple):
    """Products that are formed where they are added to something; see `sums`."""


def products(c: Contract, operands: Sequence[Atom], strided: Views, moved: int = 0) -> Products:
    """A contraction of two operands as matrix products.

    Args:
        strided: what an operand is a view of; if asked for, also of values of another dtype, which
            integers of 8 and 16 bits are read as.
        moved: bytes that kernels like to move at once of 16-bit floats: a part where fewer can be
            moved than of a copy is copied. 0: nobody asks.
    """
    shapes: list[tuple[int, ...]] = [a.aval.shape for a in operands]
    sides: list[list[Side]] = []
    narrow = [strided(atom, True) for atom in operands]
    given = [view.source.aval.dtype for view in narrow if view is not None]
    if len(given) < len(narrow) or not takes_pairs(given, c.dtype):
        narrow = [None] * len(narrow)
    axes = ((c.left_batch, c.left_contract), (c.right_batch, c.right_contract))
    for atom, shape, (batch, inner), held in zip(operands, shapes, axes, narrow, strict=True):
        order = (*batch, *free_axes(len(shape), batch, inner), *inner)
        steps = dict(zip(order, contiguous([shape[a] for a in order]), strict=True))
        copy = Side(atom, tuple(steps[a] for a in range(len(shape))), order=order)
        view = strided(atom, False)
        if view is not None and _loses(view, shape, moved):
            view = None
        plain = [Side(x.source, x.strides, x.start) for x in (held, view) if x is not None]
        sides.append([*plain, Side(atom, contiguous(shape)), copy])
    for chosen in sorted(product(*sides), key=copies):
        given = [s.source.aval.dtype for s in chosen]
        pairs = takes_pairs(given, c.dtype)
        if not pairs and given != [a.aval.dtype for a in operands]:
            continue  # only one side is read before its conversion
        gemm = gemm_of(c, shapes, [s.strides for s in chosen])
        if gemm is not None:
            left, right = (d.name for d in given)
            starts = chosen[0].start, chosen[1].start
            gemm = gemm._replace(given=(left, right) if pairs else None, starts=starts)
            return Products(gemm, chosen)
    raise AssertionError("copies lie as matrix products take them")


def _loses(view: Strided, shape: Sequence[int], moved: int) -> bool:
    """Whether fewer bytes of a part can be moved at once than of a copy of it."""
    size = view.source.aval.dtype.itemsize
    if not moved or size > 2:
        return False

    def divisor(start: int, strides: Sequence[int]) -> int:
        steps = [s for n, s in zip(shape, strides, strict=True) if n > 1 and s > 1]
        return gcd(moved, *(size * s for s in (start, *steps)))

    return divisor(view.start, view.strides) < divisor(0, contiguous(shape))


def copies(sides: Sequence[Side]) -> int:
    """How many of the sides are copies."""
    return sum(side.order is not None for side in sides)
