"""`ravel_pytree`: a tree of arrays as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import tree
from .core.sources import user_line
from .ir import dtypes
from .ir.avals import ShapedArray, aval_of
from .primitives.casting import convert_element_type
from .primitives.complexes import real
from .primitives.joining import concatenate
from .primitives.movement import reshape
from .primitives.slicing import slice_in_dim


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A tree of arrays as one vector of the promoted dtype.

    Returns:
        The vector `[total size]`, and a function from such a vector to a tree of the original
        shapes and dtypes.
    Raises:
        ValueError: the returned function gets another shape or dtype.
    """
    leaves, treedef = tree.flatten(pytree)
    avals = [aval_of(x) for x in leaves]
    if not leaves:
        from .primitives.creation import full

        return full((0,), 0, np.float32), lambda _: tree.unflatten(treedef, [])
    dtype = dtypes.result_type(*leaves)
    flat = [
        convert_element_type(reshape(x, (a.size,)), dtype)
        for x, a in zip(leaves, avals, strict=True)
    ]
    vector = concatenate(flat, 0)
    return vector, lambda x: _unravel(x, avals, dtype, treedef)


def _unravel(x: Any, avals: list[ShapedArray], dtype: Any, treedef: Any) -> Any:
    got, total = aval_of(x), sum(a.size for a in avals)
    if got.shape != (total,):
        raise ValueError(
            f"unravel got an array of shape {got.shape}, but the tree has {total} elements: give "
            f"shape ({total},).\n  {user_line()}"
        )
    if got.dtype != dtype:
        raise TypeError(
            f"unravel got dtype {got.dtype.name}, but the tree was raveled to {dtype}.\n"
            f"  {user_line()}\n  Convert it with astype."
        )
    parts: list[Any] = []
    offset = 0
    for aval in avals:
        part = slice_in_dim(x, offset, offset + aval.size)
        # Among complex leaves, a real one has an imaginary part of 0 only.
        if got.dtype.kind == "c" and aval.dtype.kind != "c":
            part = real(part)
        parts.append(convert_element_type(reshape(part, aval.shape), aval.dtype))
        offset += aval.size
    return tree.unflatten(treedef, parts)
