"""Layouts of arrays in memory, of which there is one, row-major; as `jax.experimental.layout`."""

from __future__ import annotations

from typing import Any

from .. import tree
from ..core.formats import Format as Format
from ..core.formats import Layout as Layout
from ..core.formats import sharding_of
from ..ir.avals import aval_of

__all__ = ["Format", "Layout", "with_layout_constraint"]


def with_layout_constraint(x: Any, layouts: Any) -> Any:
    """The tree as it is, once its layouts are seen to be row-major.

    Args:
        x: a pytree of arrays.
        layouts: a Layout for each of them, or a tree prefix.
    Raises:
        ValueError: another layout.
    """
    for leaf, layout in zip(tree.leaves(x), tree.flatten_prefix(layouts, x), strict=True):
        sharding_of(Format(layout), len(aval_of(leaf).shape), "with_layout_constraint")
    return x
