"""The scatters as functions: set, add, subtract, multiply, limit, apply.

In: an operand, an array of index vectors, updates, dimension numbers. Out: a changed copy of the
operand. The primitives with their rules are in `scattering.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.sources import user_line
from ..core.staging import stage
from ..core.trace import Tracer
from ..ir.avals import ShapedArray, aval_of, canonical_shape
from ..ir.jaxpr import Jaxpr
from .gathering import GatherScatterMode
from .scatter_places import ScatterDimensionNumbers
from .scattering import (
    Scatter,
    combiner,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
    scatter_sub_p,
)


def bind_scatter(
    primitive: Scatter,
    operand: Any,
    indices: Any,
    updates: Any,
    numbers: Any,
    flags: tuple[bool, bool],
    mode: Any,
    jaxpr: Jaxpr | None = None,
    consts: tuple[Any, ...] = (),
) -> Any:
    """Bind one of the scatters; `flags` are (indices_are_sorted, unique_indices)."""
    return primitive.bind(
        operand,
        indices,
        updates,
        dimension_numbers=ScatterDimensionNumbers(*map(tuple, numbers)),
        indices_are_sorted=bool(flags[0]),
        unique_indices=bool(flags[1]),
        mode=GatherScatterMode.from_any(mode),
        update_jaxpr=jaxpr or combiner(primitive.name, aval_of(operand).dtype),
        update_consts=consts,
    )


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The operand with the window at each index vector replaced by an update.

    Args:
        scatter_indices: integers of shape [batch..., k]: k window starts a vector.
        updates: values of the operand's dtype, of shape [batch..., window...], the axes in the
            order that the dimension numbers say.
        unique_indices: promises that no two windows overlap; else the last update stays.
        mode: what becomes of windows out of bounds; they are left out by default.
    Raises:
        TypeError: shapes, dtypes or dimension numbers do not fit.
        ValueError: the indices are no integers.
    """
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_p, operand, scatter_indices, updates, dimension_numbers, flags, mode
    )


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The operand with updates added to the window at each index vector.

    Arguments and errors as in `scatter`.
    """
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_add_p, operand, scatter_indices, updates, dimension_numbers, flags, mode
    )


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The operand with updates subtracted from the window at each index vector.

    Arguments and errors as in `scatter`.
    """
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_sub_p, operand, scatter_indices, updates, dimension_numbers, flags, mode
    )


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The operand with updates multiplied into the window at each index vector.

    Arguments and errors as in `scatter`.
    """
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_mul_p, operand, scatter_indices, updates, dimension_numbers, flags, mode
    )


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The smaller of the operand's windows and the updates.

    Arguments and errors as in `scatter`.
    """
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_min_p, operand, scatter_indices, updates, dimension_numbers, flags, mode
    )


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The larger of the operand's windows and the updates.

    Arguments and errors as in `scatter`.
    """
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_max_p, operand, scatter_indices, updates, dimension_numbers, flags, mode
    )


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """The operand with func applied to the elements of windows, again where windows overlap.

    Args:
        func: a function of one scalar of the operand's dtype.
        update_shape: the shape updates would have: [batch..., window...].
    Raises:
        ValueError: func closes over a traced value.
    """
    from .creation import full

    aval = aval_of(operand)
    scalar = ShapedArray((), aval.dtype)

    def on_scalars(x: Any, unused: Any) -> list[Any]:
        return [func(x)]

    closed = stage(on_scalars, [scalar, scalar])
    if any(isinstance(c, Tracer) for c in closed.consts):
        raise ValueError(
            f"scatter_apply got a func that closes over a traced value.\n  {user_line()}\n"
            "  Gather the elements, apply the function, and set them."
        )
    updates = full(canonical_shape(update_shape, "scatter_apply"), 0, aval.dtype)
    flags = (indices_are_sorted, unique_indices)
    return bind_scatter(
        scatter_p,
        operand,
        scatter_indices,
        updates,
        dimension_numbers,
        flags,
        mode,
        closed.jaxpr,
        closed.consts,
    )
