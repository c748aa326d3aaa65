"""`ravel_pytree`: a tree of arrays as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import tree
from .core.sources import user_line
from .ir import dtypes
from .ir.avals import aval_of
from .primitives.casting import convert_element_type
from .primitives.complexes import real
from .primitives.joining import concatenate
from .primitives.movement import reshape
from .primitives.slicing import slice_in_dim


@dataclass(frozen=True)
class Unravel:
    """The way back from a vector. Trees that are alike have equal ones, so it can be static data.

    Attributes:
        dtype: of the vector; None where all leaves have one dtype: then the vector may have any
            other, and the leaves have that.
    """

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any], ...]
    dtype: np.dtype[Any] | None

    def __call__(self, x: Any) -> Any:
        """The tree of the elements of a vector."""
        got, sizes = aval_of(x), [math.prod(shape) for shape in self.shapes]
        if got.shape != (sum(sizes),):
            raise ValueError(
                f"unravel got an array of shape {got.shape}, but the tree has {sum(sizes)} "
                f"elements: give shape ({sum(sizes)},).\n  {user_line()}"
            )
        if self.dtype is not None and got.dtype != self.dtype:
            raise TypeError(
                f"unravel got dtype {got.dtype.name}, but the tree was raveled to {self.dtype}.\n"
                f"  {user_line()}\n  Convert it with astype."
            )
        parts: list[Any] = []
        offset = 0
        for shape, size, dtype in zip(self.shapes, sizes, self.dtypes, strict=True):
            part = slice_in_dim(x, offset, offset + size)
            offset += size
            if self.dtype is not None:
                # Among complex leaves, a real one has an imaginary part of 0 only.
                if got.dtype.kind == "c" and dtype.kind != "c":
                    part = real(part)
                part = convert_element_type(part, dtype)
            parts.append(reshape(part, shape))
        return tree.unflatten(self.structure, parts)


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A tree of arrays as one vector of the promoted dtype.

    Returns:
        The vector `[total size]`, and a function from such a vector to a tree of the original
        shapes and dtypes. Functions of trees that are alike are equal, and have equal hashes. If
        the leaves have one dtype, vectors of any dtype are taken, and the leaves have that.
    Raises:
        ValueError: the returned function gets another shape.
        TypeError: it gets another dtype, and the leaves had several.
    """
    leaves, structure = tree.flatten(pytree)
    avals = [aval_of(x) for x in leaves]
    kinds = tuple(a.dtype for a in avals)
    shapes = tuple(a.shape for a in avals)
    if not leaves:
        from .primitives.creation import full

        return full((0,), 0, np.float32), Unravel(structure, (), (), None)
    flat = [reshape(x, (a.size,)) for x, a in zip(leaves, avals, strict=True)]
    if len(set(kinds)) == 1:
        return concatenate(flat, 0), Unravel(structure, shapes, kinds, None)
    dtype = dtypes.result_type(*kinds)
    vector = concatenate([convert_element_type(x, dtype) for x in flat], 0)
    return vector, Unravel(structure, shapes, kinds, dtype)
