"""A user's numba.cuda kernel as a launch of a program.

In: a function of arrays to read and arrays to write, and what it is called with. Out: a launch that
hands it arrays as numba.cuda knows them. The one idea: an array is a few numbers of 64 bits
(address, extents, strides), so a call is a list of such numbers, as of every other kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...ir.loops import Native
from ...ir.nests import Buffer
from ..custom import Shapes, shapes_of

_THREADS = 256
_serial = count()


class CudaFunction:
    """A user's kernel for a GPU; equal to itself only.

    Attributes:
        function: as Python; `grid`: blocks and threads, or a function that gives them for
            descriptions of what is read; None: a thread for each element of the largest output.
    """

    def __init__(self, function: Callable[..., None], grid: Any) -> None:
        self.function = function
        self.grid = grid
        self.number = next(_serial)
        code = function.__code__
        self.where = f"{code.co_filename}:{code.co_firstlineno}"

    def size(self, read: Sequence[Any], outs: Sequence[tuple[int, ...]]) -> tuple[int, int]:
        """Blocks, and threads of each.

        Raises:
            TypeError: the grid is no pair of integers that a GPU can launch.
        """
        given = self.grid
        if given is None:
            largest = max(map(prod, outs))
            return -(-largest // _THREADS), _THREADS
        if callable(given):
            given = given(*read)
        pair: list[Any] = [*given] if isinstance(given, (tuple, list)) else []
        if len(pair) != 2 or not all(isinstance(n, int) for n in pair):
            raise TypeError(
                f"cuda_grid of {self.function.__name__} gave {given!r}. It is (blocks, threads of "
                "a block), or a function of the ShapeDtypeStructs of what is read that gives them."
            )
        blocks, threads = pair
        if not (0 <= blocks < 2**31 and 0 < threads <= 1024):
            raise TypeError(
                f"cuda_grid of {self.function.__name__} gave {blocks} blocks of {threads} threads: "
                "a GPU launches up to 2147483647 blocks of 1 to 1024 threads."
            )
        return blocks, threads


class Described(NamedTuple):
    """What is read, as `cuda_grid` sees it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)


@dataclass(eq=False)
class CustomLaunch:
    """A launch of a user's kernel, once for each turn of the loops around it.

    Attributes:
        arrays: shape and dtype of what one turn reads, then of what it writes.
        reads: how many of them are read.
    """

    name: str
    blocks: int
    threads: int
    params: list[Buffer]
    text: str
    function: CudaFunction
    native: Native
    arrays: list[tuple[tuple[int, ...], np.dtype[Any]]]
    reads: int
    kind: str = "custom"
    note: str = ""
    shared: int = 0

    @property
    def shapes(self) -> Shapes:
        """The loops around, and extents for one turn of them."""
        return shapes_of(self.native.signature, self.native.extents)

    def numbers(self, addresses: Sequence[int]) -> list[int]:
        """What the kernel is called with: of each array, what numba.cuda knows of it."""
        found: list[int] = []
        for address, (shape, dtype) in zip(addresses, self.arrays, strict=True):
            step, strides = dtype.itemsize, list[int]()
            for extent in reversed(shape):
                strides.insert(0, step)
                step *= extent
            # No owner on either side, then elements, their bytes, the address, extents, strides.
            found += [0, 0, prod(shape), dtype.itemsize, address, *shape, *strides]
        return found

    def strides(self) -> list[tuple[int, ...]]:
        """Of each array, how many bytes further it begins at the next turn of each loop."""
        signature, loops = self.native.signature, self.shapes.loops
        every = (True,) * len(loops)
        marks = [*(o.mapped for o in signature.operands), *(every for _ in signature.outs)]
        found: list[tuple[int, ...]] = []
        for (shape, dtype), mapped in zip(self.arrays, marks, strict=True):
            step, steps = prod(shape) * dtype.itemsize, list[int]()
            for extent, runs in zip(reversed(loops), reversed(mapped), strict=True):
                steps.insert(0, step if runs else 0)
                step *= extent if runs else 1
            found.append(tuple(steps))
        return found


def custom_launch(
    native: Native, function: CudaFunction, name: str, params: list[Buffer], notes: str
) -> CustomLaunch:
    """The launch of a call."""
    signature = native.signature
    shapes = shapes_of(signature, native.extents)
    kinds = [np.dtype(o.dtype) for o in signature.operands]
    outs = [np.dtype(dtype) for dtype, _ in signature.outs]
    read = [Described(s, d) for s, d in zip(shapes.operands, kinds, strict=True)]
    blocks, threads = function.size(read, shapes.outs)
    arrays = list(zip([*shapes.operands, *shapes.outs], [*kinds, *outs], strict=True))
    given = [
        f"a{k}[()]" if k < len(kinds) and not shape else f"a{k}"
        for k, (shape, _) in enumerate(arrays)
    ]
    names = ", ".join(f"a{k}" for k in range(len(arrays)))
    text = (
        f"{notes}# the kernel {function.number} of {function.where}\n"
        f"@kernel\ndef {name}({names}):\n    user({', '.join(given)})\n"
    )
    empty = not prod(shapes.loops)
    return CustomLaunch(
        name, 0 if empty else blocks, threads, params, text, function, native, arrays, len(kinds)
    )
