"""How a scatter names the places it writes to, and the gather that reads there.

In: the dimension numbers of a scatter. Out: those of the gather of the same windows, and what it
reads. The one idea: a scatter writes where a gather reads, so both find their windows alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..ir.avals import aval_of
from .gathering import Axes, GatherDimensionNumbers, gather


class ScatterDimensionNumbers(NamedTuple):
    """How the axes of operand, indices and updates of a scatter belong together.

    Attributes:
        update_window_dims: update axes that run through the windows, ascending.
        inserted_window_dims: operand axes of window size 1 that the updates leave out.
        scatter_dims_to_operand_dims: the operand axis of each component of an index vector.
        operand_batching_dims: operand axes walked in step with axes of the indices.
        scatter_indices_batching_dims: those axes of the indices, in the same order.
    """

    update_window_dims: Axes
    inserted_window_dims: Axes
    scatter_dims_to_operand_dims: Axes
    operand_batching_dims: Axes = ()
    scatter_indices_batching_dims: Axes = ()


def scatter_numbers(numbers: GatherDimensionNumbers) -> ScatterDimensionNumbers:
    """The numbers of the scatter that writes where a gather reads."""
    return ScatterDimensionNumbers(*numbers)


def gather_numbers(numbers: ScatterDimensionNumbers) -> GatherDimensionNumbers:
    """The numbers of the gather that reads where a scatter writes."""
    return GatherDimensionNumbers(*numbers)


def window_sizes(
    rank: int, updates: Sequence[int], numbers: ScatterDimensionNumbers
) -> tuple[int, ...]:
    """The window's extent along each of `rank` operand axes, from the shape of the updates."""
    left_out = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    window = iter(numbers.update_window_dims)
    return tuple(1 if d in left_out else updates[next(window)] for d in range(rank))


def gather_back(
    x: Any, indices: Any, shape: tuple[int, ...], params: dict[str, Any], fill_value: Any
) -> Any:
    """What x holds at the places of updates of a shape; fill_value for those left out."""
    numbers: ScatterDimensionNumbers = params["dimension_numbers"]
    return gather(
        x,
        indices,
        gather_numbers(numbers),
        window_sizes(len(aval_of(x).shape), shape, numbers),
        unique_indices=params["unique_indices"],
        indices_are_sorted=params["indices_are_sorted"],
        mode=params["mode"],
        fill_value=fill_value,
    )
