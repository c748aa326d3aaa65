"""Kernels written by hand, and the form in which a program calls them.

A builder takes the spec of a `Library` node and gives a `LibraryKernel`: LLVM functions of the
kernel ABI `void (ptr args, i64 lo, i64 hi)` and the stages that launch them in order.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .fft_tables import Table

Slot = tuple[Literal["in", "out", "scratch", "table"], int]


class Stage(NamedTuple):
    """One launch: `function` over chunks of `grain` out of `extent`; args are pointers to slots.

    `cost` is a rough number of nanoseconds on one core, which decides whether threads are worth it.
    """

    function: str
    args: tuple[Slot, ...]
    extent: int
    grain: int
    cost: float


class LibraryKernel(NamedTuple):
    """Text of the functions, what each one declares, the stages, scratch sizes in bytes.

    Attributes:
        share: elements of the only result that each of the `extent` items of the only stage
            writes, one item's behind the other's (the last may have fewer); 0 where that is not so.
        tables: constants that stages read.
        way: how it goes about its work, where there are several.
        parts: operands that may be parts of what is read, where the last axis is side by side.
        placed: whether its results may be parts of what is written.
    """

    functions: dict[str, str]
    declarations: tuple[str, ...]
    stages: tuple[Stage, ...]
    scratch: tuple[int, ...]
    flops: float
    share: int = 0
    tables: tuple[Table, ...] = ()
    way: str = ""
    parts: tuple[int, ...] = ()
    placed: bool = False
