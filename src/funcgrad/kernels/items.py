"""What eqns become before they are grouped: nests of loops, and steps of other kinds.

Words without behaviour, between `lowering`, which makes them, and `fuse` and `program`, which read
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..ir.jaxpr import Atom, Eqn
from ..ir.loops import Axis, DType, Expr, IndexTuple, Library, Native, Region
from ..ir.nests import Buffer
from .library import LibraryKernel
from .library.gemm import Gemm

# Of each operand, the axes along which it is read backwards.
Backwards = tuple[tuple[int, ...], ...]
LibraryBuilder = Callable[[Library, Eqn, Backwards], LibraryKernel | None]


class Part(NamedTuple):
    """Elements of a buffer that are an operand or a result: its shape, and how it lies there.

    Attributes:
        start: elements of the buffer before its first; `strides`: between neighbours of each axis.
    """

    shape: tuple[int, ...]
    start: int
    strides: tuple[int, ...]


class ByHand(NamedTuple):
    """A kernel of the library, and what it reads for each operand of the eqn.

    Attributes:
        parts: of each operand which part of what is read it is; None: all of it, in order.
    """

    kernel: LibraryKernel
    sources: tuple[Atom, ...]
    backwards: Backwards
    parts: tuple[Part | None, ...] = ()


@dataclass(eq=False)
class Nest:
    """One value computed by loops over `kept` axes, with `folded` axes inside for a fold.

    Attributes:
        kind: map, fold, running or scatter.
        target: the buffer of the value.
        kept: an axis for each axis of the target.
        folded: axes of a fold, or of the updates of a scatter.
        value: the element, or what is folded, run over or combined.
        op: how values are folded; `side by side` of a map that joins the parts of complex numbers.
        apart: no two updates of a scatter meet one element.
        takes: nobody reads after a scatter what it starts as, so that it may change that.
    """

    kind: str
    target: Buffer
    kept: tuple[Axis, ...]
    folded: tuple[Axis, ...]
    value: Expr
    op: str
    eqn: Eqn
    dtype: DType
    index: IndexTuple = ()
    guard: Expr | None = None
    base: Expr | None = None
    axis: int = 0
    reverse: bool = False
    apart: bool = False
    takes: bool = False


@dataclass(eq=False)
class Step:
    """An eqn that is no nest: products, a kernel by hand or of the user, a region, a call-out.

    Attributes:
        why: why a branch is none within a kernel.
        sum: the eqn that adds products to the last of the inputs, whose memory the output is.
    """

    what: Gemm | ByHand | Native | Region | None
    eqn: Eqn
    inputs: list[Buffer]
    outputs: list[Buffer]
    why: str = ""
    sum: Eqn | None = None


@dataclass(eq=False)
class Program:
    """A jaxpr as items in order, over buffers.

    Attributes:
        constants: values of literals that must be in memory.
        views: buffers that are the memory of another buffer under another shape.
    """

    inputs: list[Buffer]
    outputs: list[Buffer]
    items: list[Nest | Step]
    constants: dict[Buffer, np.ndarray[Any, Any]]
    views: dict[Buffer, Buffer]
